"""The code of docs/python.md and docs/cli.md runs, block after block, as it is printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
import pytest

from ducto_pg import CreditManager, PostgresStore
from tests.conftest import MakeDb
from tests.support.databases import Databases
from tests.support.postgrest import Project

pytest_plugins = ["pytester"]

DOCS = Path(__file__).parents[2] / "docs"


def blocks(document: str, language: str) -> list[tuple[int, str]]:
    """The code blocks of a language, with the line each begins on."""
    text = (DOCS / document).read_text()
    found = re.finditer(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(text[: match.start(1)].count("\n") + 1, match.group(1)) for match in found]


# Blocks that need more than a database; each has a test below.
ELSEWHERE = ("from django.", "SupabaseStore(", "def test_")


def runs_elsewhere(code: str) -> bool:
    """Whether a block is run by a test of its own."""
    return any(text in code for text in ELSEWHERE)


def the_block_with(text: str) -> str:
    """The one block of docs/python.md that contains a text."""
    (code,) = [code for _, code in blocks("python.md", "python") if text in code]
    return code


def as_url(dsn: str) -> str:
    """A connection string as the URI that the page speaks of."""
    parts = psycopg.conninfo.conninfo_to_dict(dsn)
    query = urlencode([(name, str(parts[name])) for name in ("host", "port") if name in parts])
    user = quote(str(parts.get("user", "")))
    return f"postgresql://{user}@/{parts['dbname']}?{query}"


@pytest.mark.parametrize("evaluator", ["plpython", "portable"])
def test_the_python_page_runs(
    evaluator: str, make_db: MakeDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", as_url(make_db(evaluator)))
    found = [block for block in blocks("python.md", "python") if not runs_elsewhere(block[1])]
    assert len(found) > 15
    namespace: dict[str, Any] = {}
    for line, code in found:
        exec(compile("\n" * (line - 1) + code, "docs/python.md", "exec"), namespace)


DJANGO = """
import os, psycopg
from django.conf import settings
parts = psycopg.conninfo.conninfo_to_dict(os.environ["DATABASE_URL"])
settings.configure(DATABASES={"default": {
    "ENGINE": "django.db.backends.postgresql", "NAME": parts["dbname"], "USER": parts["user"],
    "HOST": parts["host"], "PORT": parts["port"]}})
import django
django.setup()
from ducto_pg import CreditManager, PostgresStore
"""


def test_the_django_recipe_runs(make_db: MakeDb) -> None:
    dsn = make_db("portable")
    with psycopg.connect(dsn) as connection:
        connection.execute("create table messages (id int, text text)")
        CreditManager(PostgresStore(connection)).add_credits("user_abc", 5)
    program = DJANGO + the_block_with("from django.")
    for tail, balance in (("    raise SystemExit", 5), ("", 4)):
        environment = {**os.environ, "DATABASE_URL": as_url(dsn)}
        done = subprocess.run(
            [sys.executable, "-c", program + tail], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        with psycopg.connect(dsn) as connection:
            count = connection.execute("select count(*) from messages").fetchone()
            assert count == (5 - balance,)
            assert (
                CreditManager(PostgresStore(connection)).get_balance("user_abc").balance == balance
            )


def test_the_supabase_example_runs(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SUPABASE_URL", project.url)
    monkeypatch.setenv("SUPABASE_SERVICE_ROLE_KEY", project.service_key)
    project.serve("add_credits", user_id="user_abc", amount="7.25")
    exec(the_block_with("SupabaseStore("), {"os": os})
    assert capsys.readouterr().out == "7.25\n"


def test_the_example_of_the_pytest_plugin_runs(
    pytester: pytest.Pytester, databases: Databases
) -> None:
    pytester.makepyfile(the_block_with("def test_"))
    pytester.runpytest_subprocess("--ducto-dsn", databases.server.dsn).assert_outcomes(passed=1)


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
