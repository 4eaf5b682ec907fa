"""Whoever reads the README goes on reading: the pages run behind it, on the same database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.client.test_documentation import as_url, runs_elsewhere
from tests.client.test_documentation import blocks as client_blocks
from tests.conftest import MakeDb
from tests.docs.pages import Block, ShellPage, SqlPage, blocks
from tests.docs.test_pages_run import not_run, run_python, stop_the_clock
from tests.support.databases import open_connection


def run_readme(
    dsn: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every block of the README that can be run."""
    with open_connection(dsn) as connection:
        stop_the_clock(connection, monkeypatch)
        sql, shell = SqlPage(connection), ShellPage(folder, dsn)
        namespace: dict[str, Any] = {}
        found: list[Block] = [b for b in blocks("README.md") if b not in not_run("README.md")]
        for block, following in zip(found, [*found[1:], None], strict=True):
            if block.language == "sql" and "create role" not in block.text:
                sql.run(block, following)
            elif block.language == "sh":
                shell.run(block)
            elif block.language == "python":
                run_python(block, namespace, capsys)


def test_python_page_behind_the_readme(
    make_db: MakeDb,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dsn = as_url(make_db("portable"))
    monkeypatch.setenv("DATABASE_URL", dsn)
    run_readme(dsn, tmp_path, monkeypatch, capsys)
    namespace: dict[str, Any] = {}
    for line, code in client_blocks("python.md", "python"):
        if not runs_elsewhere(code):
            exec(compile("\n" * (line - 1) + code, "docs/python.md", "exec"), namespace)


def test_command_line_page_behind_the_readme(
    make_db: MakeDb,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dsn = as_url(make_db("portable"))
    monkeypatch.setenv("DATABASE_URL", dsn)
    run_readme(dsn, tmp_path, monkeypatch, capsys)
    (tmp_path / "cli").mkdir()
    shell = ShellPage(tmp_path / "cli", dsn)
    for block in blocks("docs/cli.md"):
        if block.language == "sh":
            shell.run(block)
