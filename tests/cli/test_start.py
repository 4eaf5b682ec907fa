"""How long the command takes to start, and what it loads for that."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from ducto_pg.cli.common import Group, LazyGroup
from ducto_pg.cli.main import cli, help_text
from tests.cli.conftest import PROGRAM

HEAVY = ("psycopg", "pglast", "asyncio", "ducto_pg.client.manager", "ducto_pg.install.migrate")


def loaded(*arguments: str) -> set[str]:
    """The heavy modules that a command has loaded."""
    code = (
        "import sys\n"
        "from ducto_pg.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print(*[m for m in {HEAVY} + ('click', 'yaml') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    return set(done.stderr.split())


def quickest(*command: str) -> float:
    """Seconds of work from start to end, whoever else uses this machine; of several runs the best.

    The command waits for nothing, so that on an idle machine this is what the clock says.
    """
    times = []
    for _ in range(7):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(times)


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "pricing.yaml"
    path.write_text("models: {gpt-4: input_tokens * 0.03}\n")
    return str(path)


def test_help_loads_nothing_and_validating_no_driver(config: str) -> None:
    assert loaded("--help") == set()
    assert loaded("--version") == set()
    assert loaded("pricing", "validate", config) == {"click", "yaml"}
    assert loaded("credits", "--help") == {"click"}
    assert loaded("usage", "import", "--help") == {"click"}


INTERRUPTED_WHILE_LOADING = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "click.core":
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
from ducto_pg.cli.main import main
sys.exit(main())
"""


@pytest.mark.parametrize("extra", [(), ("--json",)])
def test_an_interrupt_while_the_command_is_loaded_is_a_sentence(extra: tuple[str, ...]) -> None:
    command = [sys.executable, "-c", INTERRUPTED_WHILE_LOADING, "credits", "balance", "ann", *extra]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    if extra:
        assert json.loads(done.stderr)["error"]["name"] == "interrupted"
    else:
        assert done.stderr == "Error: interrupted\n"


def test_the_command_starts_within_its_budget(config: str) -> None:
    assert quickest(*PROGRAM, "--help") < 0.1
    # Or, on a slow machine, little more than what the libraries it needs take.
    libraries = quickest(sys.executable, "-c", "import click, yaml")
    assert quickest(*PROGRAM, "pricing", "validate", config) < max(0.15, 2.5 * libraries)


def test_help_is_the_same_with_and_without_the_library() -> None:
    plain = subprocess.run([*PROGRAM, "--help"], capture_output=True, text=True).stdout
    other = subprocess.run([*PROGRAM, "--debug", "--help"], capture_output=True, text=True).stdout
    assert plain == other == help_text()


def test_no_summary_is_cut() -> None:
    assert isinstance(cli, LazyGroup)
    for name in cli.lazy:
        group = cli.get_command(None, name)  # type: ignore[arg-type]
        if not hasattr(group, "commands"):
            continue
        assert isinstance(group, Group), name
        text = subprocess.run([*PROGRAM, name, "--help"], capture_output=True, text=True).stdout
        assert "..." not in text.partition("Commands:")[2], name
