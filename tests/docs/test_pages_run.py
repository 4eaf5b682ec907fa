"""Every code block of the README and the pages about the database runs, as it is printed.

The few that a test cannot run are listed with the reason, and what they name is checked to exist.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.conftest import MakeDb
from tests.docs.pages import ROOT, Block, ShellPage, SqlPage, blocks, pages
from tests.support.databases import Connection, loads, open_connection
from tests.support.server import Server

EVALUATORS = ["plpython", "portable"]
PAGES = [
    "README.md",
    "docs/analytics.md",
    "docs/errors.md",
    "docs/events.md",
    "docs/operations.md",
    "docs/pricing.md",
    "docs/sql-api.md",
    "docs/teams.md",
    "docs/tutorial.md",
]
# Pages whose code is somebody else's to run.
ELSEWHERE = {
    "docs/cli.md": "tests/client/test_documentation.py",
    "docs/python.md": "tests/client/test_documentation.py",
    "docs/expressions.md": "tests/pricing/test_expressions_reference.py",
    "docs/supabase.md": "tests/http/test_supabase_page.py",
    "docs/portable-programs.md": "tests/pricing/test_sql_machine.py",
}
# How a block begins that is not run with its page, and why.
NOT_RUN = {
    "make demo\n": "it would run the demo, which has tests of its own",
    "make test\n": "it would run this test",
    "python3 -m venv ": "it would download what the package needs: test_packaging installs it",
    "export DATABASE_URL=": "the tests have a database of their own",
    "psql ": "it needs psql: test_the_scripts_for_psql_run",
    "create extension if not exists pg_cron": "it needs a server that preloads pg_cron: "
    "tests/operations/test_jobs.py",
    "select * from ducto_schedule_jobs()": "the same",
}
OUTCOMES = ("json", "text")
ROLES = ("shop_backend", "my_server")


def not_run(page: str) -> list[Block]:
    """The blocks of a page that are on the list."""
    return [block for block in blocks(page) if block.text.startswith(tuple(NOT_RUN))]


@pytest.fixture
def no_roles_left(cluster: Server) -> Iterator[None]:
    """Login roles that a page creates belong to the server, so they are dropped behind it."""
    yield
    with psycopg.connect(cluster.dsn, autocommit=True) as connection:
        for role in ROLES:
            connection.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(role)))


@pytest.mark.usefixtures("no_roles_left")
@pytest.mark.parametrize("evaluator", EVALUATORS)
@pytest.mark.parametrize("page", PAGES)
def test_the_page_runs(
    page: str,
    evaluator: str,
    make_db: MakeDb,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dsn = make_db(evaluator)
    namespace: dict[str, Any] = {}
    found = [block for block in blocks(page) if block not in not_run(page)]
    with open_connection(dsn) as connection:
        if page != "docs/operations.md":  # which sets the clock itself
            stop_the_clock(connection, monkeypatch)
        monkeypatch.setenv("DATABASE_URL", dsn)
        on_psql, shell = SqlPage(connection), ShellPage(tmp_path, dsn)
        for block, following in zip(found, [*found[1:], None], strict=True):
            if block.language == "sql":
                on_psql.run(block, following)
            elif block.language == "sh":
                shell.run(block)
            elif block.language == "python":
                run_python(block, namespace, capsys)


def stop_the_clock(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is noon: what a page says of today must not depend on when the test runs."""
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0).isoformat()
    connection.execute("insert into ducto.settings values ('test_clock', 'on')")
    connection.execute("select set_config('ducto.clock', %s, false)", [noon])
    monkeypatch.setenv("PGOPTIONS", f"-c ducto.clock={noon}")


def run_python(block: Block, namespace: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Run a block; what stands in a comment behind `print` is what is printed."""
    capsys.readouterr()
    exec(compile("\n" * (block.line - 1) + block.text, block.page, "exec"), namespace)
    shown = re.findall(r"^\s*print\(.*\)  # (.*)$", block.text, re.M)
    printed = capsys.readouterr().out.splitlines()
    assert shown == printed, block.place


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_looked_at(page: str) -> None:
    before: Block | None = None
    for block in blocks(page):
        if block.language in OUTCOMES:
            described = before is not None and before.language == "sql"
            signature = page == "docs/sql-api.md" and block.text.startswith("ducto_")
            assert described or signature, f"{block.place}: the outcome of what?"
        elif block.language == "yaml":
            assert page == "docs/pricing.md", block.place
        elif block.language == "js":
            assert page == "README.md", f"{block.place}: tests/http/test_readme.py runs that page's"
        else:
            assert block.language in ("sql", "sh", "python"), block.place
        before = block


def test_every_page_has_a_test() -> None:
    for page in pages():
        names = {block.language for block in blocks(page)} - {""}
        assert page in PAGES or page in ELSEWHERE or not names, page
    for page, test in ELSEWHERE.items():
        assert Path(page).name in (ROOT / test).read_text(encoding="utf-8"), page


def test_the_list_of_blocks_not_run_has_no_more_than_there_is() -> None:
    texts = [block.text for page in PAGES for block in blocks(page)]
    for start in NOT_RUN:
        assert any(text.startswith(start) for text in texts), start


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.M))
    named = {
        name
        for page in pages()
        for name in re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / page).read_text(), re.M)
    }
    assert {"demo", "test"} <= named <= targets


def test_the_clone_can_be_installed_as_the_page_says() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"]["ducto"] == "ducto_pg.cli.main:main"
    extras = set(project["optional-dependencies"])
    for page in pages():
        for names in re.findall(r"pip install [^\n`]*\[([a-z,]+)\]", (ROOT / page).read_text()):
            assert set(names.split(",")) <= extras, page


def test_the_scripts_for_psql_run(
    empty_dsn: str, cluster: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = str(cluster.cluster.bin_dir) if cluster.cluster else None
    if shutil.which("psql") is None and shutil.which("psql", path=programs) is None:
        pytest.skip("there is no psql on this machine")
    monkeypatch.setenv("PATH", programs or "", prepend=":")
    shell = ShellPage(tmp_path, empty_dsn)
    found = [block for block in blocks("docs/operations.md") if block.language == "sh"]
    for script, block in pairwise(found):
        if block.text.startswith("psql "):
            shell.run(script)
            shell.run(block)
    status = subprocess.run(
        ["ducto", "status", "--json"],
        env=shell.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert loads(status.stdout)["up_to_date"] is True


def test_the_example_of_a_pricing_config_is_valid(both: Connection) -> None:
    from ducto_pg.pricing.config_file import parse_config
    from tests.support.pricing import publish

    found = [block.text for block in blocks("docs/pricing.md") if block.language == "yaml"]
    assert len(found) == 1
    assert publish(both, parse_config(found[0].encode()))["warnings"] == []
