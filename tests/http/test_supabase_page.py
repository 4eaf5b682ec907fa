"""Every code block of docs/supabase.md runs, in order, against the real server.

`console.log` prints JSON here; a `json` block behind JavaScript is what it holds at least.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner

from ducto_pg.cli.main import cli
from ducto_pg.install.manifest import CatalogueError, load_errors
from tests.conftest import Connect
from tests.docs.pages import Block, ShellPage, blocks, contains, read
from tests.support import js
from tests.support.databases import loads
from tests.support.postgrest import PASSWORD, Project

PAGE = "docs/supabase.md"
LANGUAGES = {"sh", "sql", "js", "json", "ts"}
HEAD = """
const print = console.log
console.log = (value) => print('@' + JSON.stringify(value))
"""
PROJECT_TYPES = """
export type Database = {
  public: {
    Tables: { messages: { Row: { body: string }, Insert: {}, Update: {}, Relationships: [] } }
    Views: { [_ in never]: never }
    Functions: {
      send_message: { Args: { p_body: string }, Returns: string }
      ducto_my_balance: { Args: never, Returns: unknown }
    }
    Enums: { [_ in never]: never }
    CompositeTypes: { [_ in never]: never }
  }
}
"""
MERGED = """
import type { Database } from './merged'
export const both: [number, string] = [
  ({} as Database['public']['Functions']['ducto_my_balance']['Returns']).available,
  ({} as Database['public']['Functions']['send_message']['Returns']),
]
"""
TSCONFIG = """
{
  "compilerOptions": {
    "strict": true, "noEmit": true, "skipLibCheck": true, "target": "es2022", "module": "es2022",
    "moduleResolution": "bundler", "types": [], "lib": ["es2022", "dom"]
  },
  "include": ["*.ts"]
}
"""


def of(language: str) -> list[Block]:
    """The page's blocks of a language."""
    return [block for block in blocks(PAGE) if block.language == language]


def test_every_block_is_run_here() -> None:
    assert {block.language for block in blocks(PAGE)} == LANGUAGES


def test_the_shell_blocks_run(tmp_path: Path, empty_dsn: str) -> None:
    shell = ShellPage(tmp_path, empty_dsn)
    for block in of("sh"):
        shell.run(block)
    (script,) = tmp_path.glob("supabase/migrations/*.sql")
    assert script.stat().st_size > 100_000


@pytest.fixture(scope="module")
def set_up(project: Project) -> Project:
    """The project behind the page's SQL, which here comes before all of its JavaScript."""
    text = "\n".join(block.text for block in of("sql"))
    project.add_routines(text, "send_message", "/rpc/plans")
    return project


def test_the_sql_and_the_javascript_run(set_up: Project, tmp_path: Path) -> None:
    project, user_id = set_up, f"ann-{uuid4()}"
    project.users = {"ann@example.com": user_id}
    scripts = of("js")
    imports, _, first = scripts[0].text.partition("\n\n")
    source = imports + HEAD + first + "".join(block.text for block in scripts[1:])
    printed = js.run(
        source,
        tmp_path,
        SUPABASE_URL=project.url,
        SUPABASE_ANON_KEY=project.anon_key,
        SUPABASE_SERVICE_ROLE_KEY=project.service_key,
        USER_ID=user_id,
        PASSWORD=PASSWORD,
    )
    found = [loads(line[1:]) for line in printed.splitlines() if line.startswith("@")]
    shown = of("json")
    assert len(found) == len(shown) == sum(block.text.count("console.log(") for block in scripts)
    for block, value in zip(shown, found, strict=True):
        assert contains(value, loads(block.text)), f"{block.place}: {value}"


def test_what_the_user_could_not_pay_is_not_there(set_up: Project, connect: Connect) -> None:
    project = set_up
    token = project.user_token(f"poor-{uuid4()}")
    body = {"p_body": "free of charge"}
    for _ in range(2):
        assert project.request("POST", "/rpc/send_message", token=token, body=body).status == 200
    answer = project.request("POST", "/rpc/send_message", token=token, body=body)
    assert (answer.status, answer.body["code"]) == (402, "DU002")
    with connect(project.dsn) as connection:
        found = connection.execute("select body from messages where body = 'free of charge'")
        assert len(found.fetchall()) == 2
    assert (
        project.request("POST", "/rpc/send_message", token=project.anon_key, body=body).status
        == 401
    )


def test_the_types_fit(project: Project, tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["types", "typescript", "--dsn", project.dsn])
    program, merged = of("ts")
    files = {
        "database.types.ts": result.output,
        "project.types.ts": PROJECT_TYPES,
        "program.ts": program.text,
        "merged.ts": merged.text,
        "use.ts": MERGED,
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "node_modules").symlink_to(js.MODULES)
    (tmp_path / "tsconfig.json").write_text(TSCONFIG)
    done = subprocess.run(
        [str(js.program("tsc")), "-p", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize("error", load_errors(), ids=lambda error: str(error.code))
def test_the_table_of_statuses_is_the_catalogues(error: CatalogueError) -> None:
    rows = re.findall(r"^\| (\d{3}) \| (.*?) \|", read(PAGE), re.M)
    statuses = [int(status) for status, codes in rows if error.code in codes]
    # The row of 422 says: all others.
    assert statuses == ([] if error.http_status == 422 else [error.http_status])
