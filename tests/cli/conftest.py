"""Runs the commands against a test's database, in this process and as the real program."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ducto_pg import exact_json
from ducto_pg.cli.main import cli
from ducto_pg.client.manager import CreditManager
from ducto_pg.client.store import PostgresStore
from tests.conftest import MakeDb

Run = Callable[..., Result]
Manage = Callable[[str], CreditManager]
PRICING: dict[str, Any] = {
    "models": {
        "gpt-4": "input_tokens * 0.03 + output_tokens * 0.06",
        "mini": "input_tokens * 0.00000015 + output_tokens * 0.0000006",
    },
    "fixed": {"report": 75},
    "plans": [{"id": "pro", "free_allowance": 10, "features": {"export": True, "seats": 5}}],
}
PROGRAM = [sys.executable, "-m", "ducto_pg.cli.main"]


@pytest.fixture(params=["plpython", "portable"])
def target(request: pytest.FixtureRequest, make_db: MakeDb) -> str:
    """The DSN of a fresh database, once with each evaluator."""
    return make_db(request.param)


@pytest.fixture
def run(dsn: str) -> Run:
    """`run("credits", "balance", "ann")`: a command on the test's database."""

    def command(*arguments: str, **options: Any) -> Result:
        env = {"DATABASE_URL": options.pop("dsn", dsn)}
        return CliRunner().invoke(cli, arguments, env=env, catch_exceptions=False, **options)

    return command


@pytest.fixture
def manage() -> Iterator[Manage]:
    """`manage(dsn)`: a manager whose connection is closed when the test ends."""
    with ExitStack() as stack:
        yield lambda dsn: CreditManager(stack.enter_context(PostgresStore(dsn)))


@pytest.fixture
def priced(dsn: str, manage: Manage) -> CreditManager:
    """The test's database with PRICING published."""
    manager = manage(dsn)
    manager.publish_pricing(PRICING, label="test")
    return manager


def as_json(result: Result) -> Any:
    """What a command with --json printed."""
    assert result.exit_code == 0, result.output
    return exact_json.loads(result.stdout)


def program(dsn: str | None, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own."""
    environment = {k: v for k, v in os.environ.items() if k != "DATABASE_URL"}
    if dsn is not None:
        environment["DATABASE_URL"] = dsn
    return subprocess.run(
        [*PROGRAM, *arguments], env=environment, capture_output=True, text=True, **options
    )
