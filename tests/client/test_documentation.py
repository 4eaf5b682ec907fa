"""The code of docs/python.md and docs/cli.md runs, block after block, as it is printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeDb

DOCS = Path(__file__).parents[2] / "docs"


def blocks(document: str, language: str) -> list[tuple[int, str]]:
    """The code blocks of a language, with the line each begins on."""
    text = (DOCS / document).read_text()
    found = re.finditer(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(text[: match.start(1)].count("\n") + 1, match.group(1)) for match in found]


@pytest.mark.parametrize("evaluator", ["plpython", "portable"])
def test_the_python_page_runs(
    evaluator: str, make_db: MakeDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", make_db(evaluator))
    found = blocks("python.md", "python")
    assert len(found) > 10
    namespace: dict[str, Any] = {}
    for line, code in found:
        exec(compile("\n" * (line - 1) + code, "docs/python.md", "exec"), namespace)


def test_the_command_line_page_runs(make_db: MakeDb, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "DATABASE_URL": make_db("portable"),
        "PATH": f"{_bin(tmp_path)}:{os.environ['PATH']}",
    }
    found = blocks("cli.md", "sh")
    assert len(found) > 6
    for line, code in found:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", code],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"docs/cli.md line {line}: {done.stdout}{done.stderr}"


def _bin(folder: Path) -> Path:
    """A folder with a `ducto` that is this very code."""
    script = folder / "bin" / "ducto"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ducto_pg.cli.main "$@"\n')
    script.chmod(0o755)
    return script.parent
