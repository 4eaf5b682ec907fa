"""`ducto migrate` and `ducto status` as a person meets them; failures are one sentence."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ducto_pg import __version__
from ducto_pg.cli.common import read_env_file
from ducto_pg.cli.main import COMMANDS, cli, help_text
from ducto_pg.install.manifest import load_manifest
from ducto_pg.install.migrate import Choices, build_script
from tests.support.catalog import is_installed
from tests.support.databases import open_connection
from tests.support.server import Server

NAMES = [f"{m.version:04}_{m.name}" for m in load_manifest().migrations]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without a .env file, and an environment without a database."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    return tmp_path


def ducto(*words: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(cli, list(words))


def failure(result: Result) -> str:
    """What a failed command said: one sentence, perhaps a hint, no traceback."""
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert len(result.stderr.splitlines()) <= 2
    return result.stderr


def test_migrate_and_status(empty_dsn: str, cluster: Server) -> None:
    before = ducto("status", "--dsn", empty_dsn)
    assert before.exit_code == 0
    assert "not installed" in before.stdout
    result = ducto("migrate", "--dsn", empty_dsn)
    assert result.exit_code == 0, result.output
    lines = [line for line in result.stdout.splitlines() if not line.startswith("note: portable")]
    assert lines[:-1] == [f"applied {name}" for name in NAMES]
    assert f"ducto-pg {__version__} is installed: " in result.stdout
    assert result.stdout.endswith(f"evaluator {cluster.evaluator}\n")
    after = ducto("status", "--dsn", empty_dsn)
    assert "Run `ducto migrate`" not in after.stdout
    facts = json.loads(ducto("status", "--dsn", empty_dsn, "--json").stdout)
    assert facts["up_to_date"] is True
    assert (facts["version"], facts["evaluator"]) == (__version__, cluster.evaluator)
    assert (facts["applied"], facts["pending"]) == (NAMES, [])


def test_migrate_as_json(empty_dsn: str) -> None:
    facts = json.loads(
        ducto("migrate", "--dsn", empty_dsn, "--evaluator", "portable", "--json").stdout
    )
    assert facts["applied"] == NAMES
    assert (facts["evaluator"], facts["dry_run"]) == ("portable", False)


def test_a_dry_run_says_what_it_would_do(empty_dsn: str) -> None:
    result = ducto("migrate", "--dsn", empty_dsn, "--dry-run")
    assert result.stdout.splitlines()[:-1] == [f"would apply {name}" for name in NAMES]
    with open_connection(empty_dsn) as connection:
        assert not is_installed(connection)


def test_the_script_is_printed_without_a_database() -> None:
    assert ducto("migrate", "--sql").stdout == build_script()
    portable = ducto("migrate", "--sql", "--evaluator", "portable").stdout
    assert portable == build_script(Choices("portable"))
    assert "plpython3u;" not in portable


def test_the_script_carries_what_was_chosen() -> None:
    words = ["migrate", "--sql", "--no-transaction", "--role-prefix", "shop_", "--no-roles",
             "--grant", "web=app=service", "--grant", "reports=reader", "--revoke", "old",
             "--lock-timeout", "123"]  # fmt: skip
    choices = Choices(
        role_prefix="shop_",
        create_roles=False,
        grants={"web=app": "service", "reports": "reader"},
        revokes=("old",),
        lock_timeout_ms=123,
    )
    assert ducto(*words).stdout == build_script(choices, transaction=False)


def test_access_is_given_and_taken_by_name(empty_dsn: str) -> None:
    granted = ducto("migrate", "--dsn", empty_dsn, "--grant", "pg_monitor=service", "--json")
    assert granted.exit_code == 0, granted.output
    assert ducto("migrate", "--dsn", empty_dsn).exit_code == 0
    may = "select has_function_privilege('pg_monitor', 'ducto_get_balance(text)', 'execute')"
    with open_connection(empty_dsn) as connection:
        assert connection.execute(may.encode()).fetchone() == (True,)
        assert ducto("migrate", "--dsn", empty_dsn, "--revoke", "pg_monitor").exit_code == 0
        assert connection.execute(may.encode()).fetchone() == (False,)
    assert "the role nobody_of_that_name does not exist" in failure(
        ducto("migrate", "--dsn", empty_dsn, "--grant", "nobody_of_that_name=admin")
    )


def test_status_and_migrate_warn_of_a_public_that_may_create(empty_dsn: str) -> None:
    with open_connection(empty_dsn) as connection:
        connection.execute("grant create on schema public to public")
    warning = "PUBLIC may create objects in the schema public"
    assert f"note: {warning}" in ducto("migrate", "--dsn", empty_dsn).stdout
    assert f"Warning: {warning}" in ducto("status", "--dsn", empty_dsn).stdout
    facts = json.loads(ducto("status", "--dsn", empty_dsn, "--json").stdout)
    assert facts["owner"] == "ducto_owner"
    assert facts["warnings"][0].startswith(warning)


def test_a_wait_is_reported_where_it_is_no_result(empty_dsn: str) -> None:
    assert ducto("migrate", "--dsn", empty_dsn, "--evaluator", "portable").exit_code == 0
    with open_connection(empty_dsn, application_name="nightly") as reader:
        reader.execute("begin")
        reader.execute("lock table ducto.settings in share mode")
        words = ["migrate", "--dsn", empty_dsn, "--lock-timeout", "50", "--retries", "1"]
        waited = ducto(*words, "--role-prefix", "other_", "--no-roles")
        reader.execute("rollback")
    assert waited.exit_code == 1
    assert waited.stdout == ""
    lines = waited.stderr.splitlines()
    assert lines[0].startswith("waiting: ")
    assert "(nightly, role postgres, idle in transaction, " in lines[0]
    assert "gave up after 2 attempts, having changed nothing" in lines[1]


def test_the_dsn_comes_from_the_environment_or_an_env_file(
    empty_dsn: str, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / ".env").write_text(f'OTHER=1\nexport DATABASE_URL="{empty_dsn}"\n')
    assert ducto("status").exit_code == 0
    monkeypatch.setenv("DATABASE_URL", "postgresql://localhost:1/x")
    assert "does not answer" in failure(ducto("status"))
    assert ducto("status", "--dsn", empty_dsn).exit_code == 0


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("export A = b", "b"),
        ("A='b c'", "b c"),
        ('A="b#c"', "b#c"),
        ("A=b # remark", "b"),
        ("A=b=c", "b=c"),
        ("# A=b", None),
        ("A", None),
    ],
)
def test_lines_of_an_env_file(line: str, value: str | None, elsewhere: Path) -> None:
    (elsewhere / ".env").write_text(line + "\n")
    assert read_env_file(elsewhere / ".env").get("A") == value


@pytest.mark.parametrize("command", ["migrate", "status"])
def test_failures_are_one_sentence(command: str) -> None:
    assert "no database given" in failure(ducto(command))
    assert "does not answer" in failure(ducto(command, "--dsn", "postgresql://127.0.0.1:1/x"))
    said = failure(ducto(command, "--dsn", "hunter2"))
    assert "not a connection string" in said
    assert "hunter2" not in said


def test_a_database_that_does_not_exist_is_one_sentence(empty_dsn: str) -> None:
    dsn = empty_dsn.replace("ducto_test_", "ducto_none_")
    assert "does not exist" in failure(ducto("migrate", "--dsn", dsn))


def test_a_command_line_that_makes_no_sense_exits_with_2() -> None:
    assert ducto("no-such-command").exit_code == 2
    assert ducto("migrate", "--evaluator", "abacus").exit_code == 2
    assert ducto("migrate", "--no-transaction").exit_code == 2
    for grant in ("app", "app=owner", "=reader", "app=reader=", ""):
        assert ducto("migrate", "--sql", "--grant", grant).exit_code == 2
    assert ducto("migrate", "--sql", "--lock-timeout", "0").exit_code == 2


def test_help_lists_every_command_and_loads_none() -> None:
    result = ducto("--help")
    assert result.exit_code == 0
    assert result.stdout == help_text()
    for name, (_, summary) in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(summary)}$", result.stdout, re.M)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help(name: str) -> None:
    result = ducto(name, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: cli {name} ")


def test_the_console_script_prints_no_traceback() -> None:
    program = [sys.executable, "-m", "ducto_pg.cli.main"]
    command = [*program, "status", "--dsn", "postgresql://127.0.0.1:1/x"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: the database does not answer: ")
    assert "Traceback" not in done.stderr
