"""Hostile command lines: each ends in one sentence and the right exit status, nothing half done.

An attack is a command line (words separated by spaces, `{...}` filled in), the exit status, and a
part of the sentence. Status 2: the command line makes no sense; 1: refused or failed.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import psycopg
import pytest
from click.testing import CliRunner, Result

from ducto_pg import exact_json
from ducto_pg.cli.main import cli
from ducto_pg.client.manager import CreditManager
from ducto_pg.client.store import PostgresStore
from tests.cli.conftest import PRICING, PROGRAM
from tests.support.databases import Databases

NOBODY = "6f3c1a52-64c4-4f0f-9d0f-2a1f7b7f0c11"
LONG = "x" * 100_000

# Without a database: it must be refused before one is looked for (there is none at this address).
MEANINGLESS = [
    ("", 0, ""),
    ("nonsense", 2, "No such command 'nonsense'"),
    ("--nonsense", 2, "No such option"),
    ("credits nonsense", 2, "No such command"),
    ("credits add", 2, "Missing argument 'USER'"),
    ("credits add u", 2, "Missing argument 'AMOUNT'"),
    ("credits add u 1 2", 2, "unexpected extra argument"),
    ("credits add u 1,5", 2, "has a comma"),
    ("credits add u 1,500.00", 2, "has a comma"),
    ("credits add u 1.500,00", 2, "has a comma"),
    ("credits add u ''", 2, "is not an amount"),
    ("credits add u ' '", 2, "is not an amount"),
    ("credits add u abc", 2, "is not an amount"),
    ("credits add u 0x10", 2, "is not an amount"),
    ("credits add u 1_000", 2, "is not an amount"),
    ("credits add u NaN", 2, "is not an amount"),
    ("credits add u inf", 2, "is not an amount"),
    ("credits add u 1e", 2, "is not an amount"),
    ("credits add u 1e99999", 2, "is not an amount"),
    ("credits add u ١٢", 2, "is not an amount"),
    ("credits add u ½", 2, "is not an amount"),
    ("credits add u 5€", 2, "is not an amount"),
    ("credits add u 1.2.3", 2, "is not an amount"),
    ("credits add u " + "1" * 100_000 + "x", 2, "is not an amount"),
    ("credits add u -5", 2, "No such option"),
    ("credits add u 5 --type gift", 2, "'gift' is not one of"),
    ("credits add u 5 --expires-in 999999w", 2, "longer than a hundred years"),
    ("credits add u 5 --expires-in 99999999999w", 2, "is not a duration"),
    ("credits add u 5 --expires-in 999999999w", 2, "longer than a hundred years"),
    ("credits reserve u --amount 1 --ttl 0s", 2, "is no time at all"),
    ("credits add u 5 --expires-in 0s", 2, "is no time at all"),
    ("credits add u 5 --expires-in 5", 2, "is not a duration"),
    ("credits add u 5 --expires-in 5y", 2, "is not a duration"),
    ("credits add u 5 --expires-in -5d", 2, "is not a duration"),
    ("credits add u 5 --expires-in ''", 2, "is not a duration"),
    ("credits add u 5 --expires-in 1.5h", 2, "is not a duration"),
    ("credits add u 5 --expires-in ٣d", 2, "is not a duration"),
    ("credits add u 5 --expires-at tomorrow", 2, "is not a date or time"),
    ("credits add u 5 --expires-at 2026-13-01", 2, "is not a date or time"),
    ("credits add u 5 --expires-at 99999-01-01", 2, "is not a date or time"),
    ("credits add u 5 --expires-at 0001-01-01T00:00+23:59", 2, "is not in the years"),
    ("credits add u 5 --expires-at 9999-12-31T23:59-23:59", 2, "is not in the years"),
    ("credits add u 5 --expires-at ''", 2, "is not a date or time"),
    ("credits add u 5 --expires-at 2099-01-01 --expires-in 5d", 2, "not both"),
    ("credits add u 5 --priority high", 2, "is not a whole number"),
    ("credits add u 5 --priority 99999999999", 2, "is not in the range"),
    ("credits add u 5 --priority 1_0", 2, "is not a whole number"),
    ("credits transactions u --limit ٣", 2, "is not a whole number"),
    ("pricing what-if {pricing} --since 999999999w", 2, "longer than a hundred years"),
    ("pricing what-if {pricing} --until 0001-01-02", 2, "reaches back before the year 1"),
    ("report --until 0001-01-02", 2, "reaches back before the year 1"),
    ("events listen --exec true --timeout 0s", 2, "is no time at all"),
    ("events consumers --remove ' '", 2, "it is empty"),
    ("credits add u 5 --metadata {", 1, "--metadata is not JSON"),
    ("credits add u 5 --metadata []", 1, "--metadata must be a JSON object"),
    ("credits add u 5 --metadata 5", 1, "--metadata must be a JSON object"),
    ("credits add u 5 --metadata ''", 1, "--metadata is not JSON"),
    ("""credits add u 5 --metadata '{"a": 1, "a": 2}'""", 1, "the key 'a' appears twice"),
    ("""credits add u 5 --metadata '{"a": NaN}'""", 1, "NaN is not a number"),
    ("""credits add u 5 --metadata '{"a": 1e999999999}'""", 1, "digits"),
    ("credits add u 5 --metadata @/nowhere/x.json", 1, "No such file"),
    ("credits add u 5 --metadata @/", 1, "Is a directory"),
    ("credits add u 5 --metadata @{binary}", 1, "not text in UTF-8"),
    ("credits add u 5 --metadata " + "[" * 5000, 1, "--metadata is not JSON"),
    ("credits add '' 5", 2, "it is empty"),
    ("credits add u 5 --key ''", 2, "it is empty"),
    ("credits balance ''", 2, "it is empty"),
    ("credits deduct ann --job ''", 2, "it is empty"),
    ("credits transactions ''", 2, "it is empty"),
    ("credits lots ''", 2, "it is empty"),
    ("credits quote '' -m model=gpt-4", 2, "it is empty"),
    ("credits freeze ''", 2, "it is empty"),
    ("caps set '' daily 1", 2, "it is empty"),
    ("caps check '' 1", 2, "it is empty"),
    ("plans set ann ''", 2, "it is empty"),
    ("plans set '' pro", 2, "it is empty"),
    ("plans feature '' export", 2, "it is empty"),
    ("credits deduct u", 2, "give one of"),
    ("credits deduct u --amount 1 --job report", 2, "give one of"),
    ("credits deduct u --amount 1 -m model=a", 2, "give one of"),
    ("credits deduct u -m model", 2, "takes NAME=VALUE"),
    ("credits deduct u -m =5", 2, "takes NAME=VALUE"),
    ("credits deduct u -m ''", 2, "takes NAME=VALUE"),
    ("credits deduct u -m", 2, "requires an argument"),
    ("credits deduct u -m input_tokens=1 -m input_tokens=2", 2, "'input_tokens' is given twice"),
    ("credits deduct u -m model=a -m ' model =b'", 2, "'model' is given twice"),
    ("""credits deduct u --metrics '{"model":"a"}' -m model=b""", 2, "'model' is given twice"),
    ("""credits deduct u --metrics '{"model":"a","model":"b"}'""", 1, "'model' appears twice"),
    ("credits deduct u -m tool_calls=[", 2, "is not JSON"),
    ("credits deduct u --metrics @", 1, ""),
    ("credits transactions u --type foo", 2, "'foo' is not one of"),
    ("credits transactions u --limit 0", 2, "is not in the range"),
    ("credits transactions u --limit 1001", 2, "is not in the range"),
    ("credits transactions u --limit x", 2, "is not a whole number"),
    ("credits transactions u --before x", 2, "is not the number of an entry"),
    ("credits transactions u --before -1", 2, "is not the number of an entry"),
    ("credits explain x", 2, "is not the number of an entry"),
    ("credits explain 99999999999999999999", 2, "is not the number of an entry"),
    ("credits explain 1.5", 2, "is not the number of an entry"),
    ("credits explain ١", 2, "is not the number of an entry"),
    ("credits refund x", 2, "is not the number of an entry"),
    ("credits refund 1 --amount 1,5", 2, "has a comma"),
    ("credits revoke x", 2, "is not the number of an entry"),
    ("credits settle x", 2, "is not a valid UUID"),
    ("credits release ''", 2, "is not a valid UUID"),
    ("credits renew 1", 2, "is not a valid UUID"),
    ("credits reserve u --ttl forever", 2, "is not a duration"),
    ("credits reserve u --amount all", 2, "is not an amount"),
    ("credits quote u", 2, "give --metric or --metrics"),
    ("caps set u yearly 5", 2, "'yearly' is not one of"),
    ("caps set u daily 5 --action shout", 2, "'shout' is not one of"),
    ("caps set u daily 5,5", 2, "has a comma"),
    ("caps set u daily", 2, "Missing argument"),
    ("caps check u", 2, "Missing argument"),
    ("plans set u", 2, "give a PLAN, or --none"),
    ("plans set u pro --none", 2, "give a PLAN, or --none"),
    ("plans get", 2, "Missing argument"),
    ("pricing activate x", 2, "is not the number"),
    ("pricing activate -1", 2, "No such option"),
    ("pricing export 99999999999999999999", 2, "is not the number"),
    ("pricing validate", 2, "Missing argument 'FILE'"),
    ("pricing validate /nowhere.yaml", 1, "No such file"),
    ("pricing validate /", 1, "Is a directory"),
    ("pricing validate {binary}", 1, "not UTF-8"),
    ("pricing validate ''", 1, ""),
    ("pricing test {pricing}", 2, "give the usage"),
    ("pricing test {pricing} -m model=a", 1, "has no price"),
    ("pricing test {pricing} -m model=gpt-4 -m input_tokens=1 -m input_tokens=1", 2, "twice"),
    ("pricing test {pricing} -m model=gpt-4 --plan gold", 1, "There is no plan"),
    ("pricing test {pricing} --metrics {{}}", 2, "the usage is empty"),
    ("pricing what-if {pricing} --since 999999w", 2, "longer than a hundred years"),
    ("pricing what-if {pricing} --since yesterday", 2, "is not a date or time"),
    ("pricing what-if {pricing} --since ''", 2, "is not a date or time"),
    ("pricing what-if {pricing} --until 0001-01-01T00:00+14:00", 2, "is not in the years"),
    ("pricing import-litellm {pricing} --markup 1,5", 2, "has a comma"),
    ("pricing import-litellm {pricing}", 1, "is not JSON"),
    ("pricing import-litellm {binary}", 1, "is not"),
    ("pricing import-litellm {pricing} --service-tier gold", 2, "'gold' is not one of"),
    ("pricing diff {pricing} /nowhere.json", 1, "No such file"),
    ("pricing diff {pricing}", 2, "Missing argument"),
    ("usage import", 2, "Missing argument 'FILE'"),
    ("usage import {events}", 2, "give --user or --user-column"),
    ("usage import {events} --user a --user-column b", 2, "give --user or --user-column"),
    ("usage import {events} --user ''", 2, "it is empty"),
    ("usage import {events} --user a --source ' '", 2, "it is empty"),
    ("usage import {events} --user a --map input_tokens", 2, "takes METRIC=COLUMN"),
    ("usage import {events} --user a --map a=b --map a=c", 2, "names a twice"),
    ("usage import {events} --user a --map a=b --set a=1", 2, "in --map and in --set"),
    ("usage import {events} --user a --set a=1 --set a=2", 2, "'a' is given twice"),
    ("usage import {events} --user a --set model", 2, "takes NAME=VALUE"),
    ("usage import {events} --user a --batch-size 0", 2, "is not in the range"),
    ("usage import {events} --user a --batch-size 1001", 2, "is not in the range"),
    ("usage import {events} --user a --format xml", 2, "'xml' is not one of"),
    ("usage import {events} --user a --time-zone UTC", 2, "belongs to --time-column"),
    (
        "usage import {events} --user a --time-column t --time-zone Mars",
        2,
        "not the name of a zone",
    ),
    ("usage import {events} --user a --time-column t --time-zone ../../etc/passwd", 2, "of a zone"),
    ("usage import {events} --user a --time-column t --time-zone ''", 2, "not the name of a zone"),
    ("usage import /nowhere.csv --user a", 1, "No such file"),
    ("usage import / --user a", 1, "Is a directory"),
    ("usage import '' --user a", 1, ""),
    ("usage import {empty} --user a", 1, "the file is empty"),
    ("usage import {binary} --user a", 1, "the first line is not text in UTF-8"),
    ("usage import {twice} --user a", 1, "the column 'a' appears twice"),
    ("usage import {unclosed} --user a", 1, "no CSV heading"),
    ("usage import {events} --user a --rejects {events}", 2, "cannot be the file"),
    ("usage import - --user a", 2, "needs --source NAME or --key-column"),
    ("status postgresql://u:secret@h/db", 2, "unexpected extra argument"),
    ("status ''", 2, "unexpected extra argument"),
    ("status --dsn ''", 2, "the DSN given with --dsn is empty"),
    ("status --dsn ' '", 2, "the DSN given with --dsn is empty"),
    ("status --dsn nonsense", 1, "is not a connection string"),
    ("status --dsn postgresql://h:port/db", 1, ""),
    ("status --dsn host=127.0.0.1\\ port=1\\ password=secret", 1, "does not answer"),
    ("status --dsn mysql://h/db", 1, "is not a connection string"),
    ("status --dsn postgresql://127.0.0.1:1/db?connect_timeout=x", 1, ""),
    ("status --dsn postgresql://%zz/db", 1, ""),
    ("status --dsn", 2, "requires an argument"),
    ("migrate --evaluator abacus", 2, "'abacus' is not one of"),
    ("check extra", 2, "unexpected extra argument"),
    ("sweep --dry", 2, "No such option"),
    ("demo --events 0", 2, "is not in the range"),
    ("demo --events many", 2, "is not a whole number"),
    (f"credits balance {LONG} extra", 2, "unexpected extra argument"),
    (f"{LONG}", 2, "No such command"),
    ("'\x1b[31mred'", 2, "\\x1b[31mred"),
    ("credits '\x1b]0;title\x07'", 2, "\\x1b]0;title\\x07"),
    ("pricing validate '/\x1b[2J'", 1, "\\x1b[2J"),
    ("pricing validate $'/\u202egnp'", 1, ""),
]

# With a database that has the pricing of the tests and a user `ann` with 100 credits.
REFUSED = [
    (f"credits add {'u' * 201} 5", "DU017"),
    ("credits add u 0", "DU017"),
    ("credits add u 1e30", "DU017"),
    ("credits add u 0.0000000000001", "DU017"),
    (f"credits add u 5 --key {'k' * 256}", "DU017"),
    ("credits add u 5 --expires-at 2001-01-01", "DU017"),
    ('credits add u 5 --type purchase --metadata \'{{"a": "\\u0000"}}\'', "DU017"),
    ("credits deduct ann --amount 101", "DU002"),
    ("credits deduct ann --amount 1e25", "DU0"),
    ("credits deduct ann --amount 1e999", "DU017"),
    ("credits deduct ann --amount 1e-99", "DU017"),
    ("credits deduct ann --job nothing", "DU018"),
    ("credits deduct ann -m model=none", "DU004"),
    ("credits deduct ann -m model=", "DU0"),
    ("credits deduct ann -m model=gpt-4 -m input_tokens=-1", "DU017"),
    ("credits deduct ann -m model=gpt-4 -m input_tokens=lots", "DU017"),
    ("credits deduct ann -m model=gpt-4 -m input_tokens=NaN", "DU017"),
    ("credits deduct ann -m model=gpt-4 -m input_tokens=1e999", "DU0"),
    ("credits deduct ann -m model=gpt-4 -m input_token=1", "DU017"),
    ("""credits deduct ann --metrics '{{"model": 5}}'""", "DU017"),
    ("""credits deduct ann --metrics '{{"model": "gpt-4", "input_tokens": "5"}}'""", "DU017"),
    ("""credits deduct ann --metrics '{{"model": "gpt-4", "input_tokens": null}}'""", "DU017"),
    ("""credits deduct ann --metrics '{{"model": "gpt-4", "input_tokens": true}}'""", "DU017"),
    ("""credits deduct ann --metrics '{{"model": "a\\u0000b"}}'""", "DU017"),
    ("""credits deduct ann --metrics '{{"model": "\\ud800"}}'""", "DU017"),
    ("credits deduct nobody --amount 1", "DU002"),
    ("credits explain 999999", "DU008"),
    ("credits explain 9223372036854775807", "DU008"),
    ("credits refund 999999", "DU008"),
    ("credits refund {grant}", "DU021"),
    ("credits revoke 999999", "DU008"),
    (f"credits settle {NOBODY}", "DU010"),
    (f"credits release {NOBODY}", "DU010"),
    (f"credits renew {NOBODY}", "DU010"),
    ("credits reserve ann", "DU017"),
    ("credits reserve ann --amount 101", "DU002"),
    ("credits reserve ann --amount 1 --ttl 99w", "DU017"),
    ("credits reserve ann --amount 1 --feature fly", "DU013"),
    ("caps set ann daily -- -1", "DU017"),
    ("caps set ann daily 1e30", "DU017"),
    ("caps remove ann daily", ""),
    ("caps remove ann daily --model gpt-4", ""),
    ("plans set ann gold", "DU014"),
    ("pricing activate 99", "DU020"),
    ("pricing activate 0", "DU020"),
    ("pricing activate 9223372036854775807", ""),
    ("pricing export 99", "DU020"),
    ("pricing diff 1 99", "DU020"),
    ("pricing set {bad}", ""),
    (f"pricing set {{pricing}} --label {'l' * 100_000}", ""),
    ("usage import {events} --user ann --map nonsense=a", ""),
    ("usage import {events} --user ann --map input_tokens=nonsense", ""),
    ("usage import {events} --user-column nonsense", ""),
    ("usage import {events} --user ann --set nonsense=5", ""),
    ("usage import {events} --user ann --time-column nonsense", ""),
    ("usage import {events} --user ann --rejects /nowhere/r.csv", ""),
    ("usage import {events} --user ann --rejects /", ""),
    ("usage import {events} --user ann --rejects {pricing}", ""),
]


def said(result: Result, *, status: int) -> str:
    """What a command that failed said: one sentence and perhaps a hint, and nothing else."""
    assert result.exit_code == status, result.output
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert "Traceback" not in result.output
    assert result.stdout == ""
    lines = result.stderr.lstrip("\n").splitlines()
    *above, error, hint = lines if lines[-1].startswith("Hint: ") else [*lines, ""]
    assert error.startswith("Error: ")
    assert all(line.startswith(("models.", "    ")) for line in above), result.stderr
    assert len(result.stderr) < 3000
    assert result.stderr.replace("\n", "").isprintable()
    assert "ducto_" not in hint or "role" in hint, "a hint of a command names commands"
    return error


def spoken(result: Result, *, status: int) -> dict[str, Any]:
    """The same with --json: an object with the five keys, and nothing else."""
    assert result.exit_code == status, result.output
    assert result.stdout == ""
    answer = json.loads(result.stderr)
    assert list(answer) == ["error"]
    error: dict[str, Any] = answer["error"]
    assert list(error) == ["code", "name", "message", "hint", "detail"]
    assert isinstance(error["detail"], dict)
    assert re.fullmatch(r"[a-z0-9_]+", error["name"])
    assert error["message"]
    return error


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files of every kind."""
    folder = tmp_path_factory.mktemp("hostile")
    contents = {
        "binary": b"\xff\xfe\x00a\n",
        "empty": b"",
        "twice": b"a,a\n1,2\n",
        "unclosed": b'a,"b\n1,2\n',
        "events": b"a,input_tokens\n1,2\n",
        "pricing": b"models: {gpt-4: input_tokens * 0.03}\n",
        "bad": b"models: {m: oops, n: 1 +}\n",
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return {name: str(folder / name) for name in contents}


def words(line: str, **values: str) -> list[str]:
    return [word.format(**values) if "{" in word else word for word in shlex.split(line)]


def invoke(arguments: list[str], dsn: str = "postgresql://127.0.0.1:1/nowhere") -> Result:
    return CliRunner().invoke(cli, arguments, env={"DATABASE_URL": dsn, "SUPABASE_URL": None})


def name_of(attack: Any) -> str:
    return str(attack)[:60]


@pytest.mark.parametrize(("line", "status", "part"), MEANINGLESS[1:], ids=name_of)
def test_a_command_line_that_is_refused_at_once(
    line: str, status: int, part: str, files: dict[str, str]
) -> None:
    braces = files if re.search(r"\{[a-z]+\}|\{\{", line) else None
    arguments = words(line, **files) if braces else shlex.split(line)
    sentence = said(invoke(arguments), status=status)
    assert part in sentence
    assert "secret" not in sentence
    assert "does not answer" in part or "does not answer" not in sentence or "--dsn" in line
    if "--" in arguments or "requires" in part or {"diff", "export"} & set(arguments):
        return
    error = spoken(invoke([*arguments, "--json"]), status=status)
    assert status == 1 or error["name"] == "usage"


@pytest.mark.parametrize("line", ["caps remove u daily --model --", "events dead --consumer --"])
def test_json_is_what_was_asked_for_however_the_line_looks(line: str) -> None:
    """The two dashes are the option's value here, and what follows is an option again."""
    assert spoken(invoke([*line.split(), "--json"]), status=1)["name"] == "unavailable"


def test_a_file_that_would_not_be_written_is_refused(files: dict[str, str]) -> None:
    line = ["pricing", "import-litellm", files["pricing"], "-o", "x.json", "--json"]
    assert spoken(invoke(line), status=2)["name"] == "usage"


@pytest.fixture(scope="module")
def shop(databases: Databases) -> Iterator[dict[str, str]]:
    """A database that no attack may change."""
    dsn = databases.create()
    with PostgresStore(dsn) as store:
        manager = CreditManager(store)
        manager.publish_pricing_from_dict(PRICING)
        grant = manager.add_credits("ann", 100, "purchase")
    yield {"dsn": dsn, "grant": str(grant.transaction_id)}
    databases.drop(dsn)


def state(dsn: str) -> list[Any]:
    """What there is in the database, as far as money and settings go."""
    with psycopg.connect(dsn) as connection:
        return [
            connection.execute(query.encode()).fetchall()
            for query in (
                "select count(*), max(id), sum(amount) from ducto.credit_transactions",
                "select account_id, plan_key, status from ducto.credit_accounts a where exists"
                " (select from ducto.credit_lots l where l.account_id = a.account_id) order by 1",
                "select count(*), sum(remaining) from ducto.credit_lots",
                "select count(*) from ducto.credit_reservations",
                "select count(*) from ducto.credit_spend_caps",
                "select version, active from ducto.credit_pricing_config order by 1",
            )
        ]


@pytest.mark.parametrize(("line", "code"), REFUSED, ids=name_of)
def test_what_the_database_refuses_changes_nothing(
    line: str, code: str, shop: dict[str, str], files: dict[str, str]
) -> None:
    before = state(shop["dsn"])
    arguments = words(line, **files, grant=shop["grant"])
    sentence = said(invoke(arguments, shop["dsn"]), status=1)
    assert code in sentence
    if not {"--", "diff", "export"} & set(arguments):
        error = spoken(invoke([*arguments, "--json"], shop["dsn"]), status=1)
        assert (error["code"] or "").startswith(code[:5])
    assert state(shop["dsn"]) == before
    assert not list(Path.cwd().glob("*.rejects.csv"))


def process(
    *arguments: str | bytes, dsn: str | None = None, **options: Any
) -> subprocess.CompletedProcess[bytes]:
    """The command as a process of its own, its environment bare."""
    environment = {"PATH": os.environ["PATH"], **options.pop("env", {})}
    if dsn is not None:
        environment["DATABASE_URL"] = dsn
    command: list[str | bytes] = [*PROGRAM, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, **options)


@pytest.mark.parametrize(
    "arguments",
    [
        [b"\xff"],
        [b"credits", b"add", b"\xff\xfe", b"5"],
        [b"credits", b"add", b"u", b"5\xff"],
        [b"credits", b"add", b"u", b"5", b"--key", b"\xed\xa0\x80"],
        [b"pricing", b"validate", b"/tmp/\xff.yaml"],
        [b"status", b"--dsn", b"\xff"],
        [b"usage", b"import", b"\xff", b"--user", b"u", b"--json"],
    ],
)
def test_bytes_that_are_no_text_are_refused(arguments: list[bytes]) -> None:
    done = process(*arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"not UTF-8 text" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_name_that_the_terminal_cannot_show_is_escaped_after_the_credits_were_added(
    shop: dict[str, str],
) -> None:
    for encoding in ("ascii", "latin-1"):
        done = process(
            "credits", "add", "Ω\u2028ann", "5", dsn=shop["dsn"],
            env={"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert b"Added 5 credits for \\u03a9\\u2028ann" in done.stdout


def test_escape_codes_in_ids_never_reach_the_terminal(shop: dict[str, str]) -> None:
    user = "\x1b[2J\x1b]0;x\x07eve\u202e\x9b1m"
    for command in (
        ["credits", "add", user, "5"],
        ["credits", "balance", user],
        ["credits", "transactions", user],
        ["credits", "deduct", user, "--amount", "500"],
        ["credits", "freeze", user],
        ["credits", "unfreeze", user],
        ["caps", "set", user, "daily", "5", "--model", "\x1b[1m"],
        ["caps", "list", user],
        ["caps", "remove", user, "weekly", "--model", "\x1b[1m"],
        ["plans", "get", user],
        ["plans", "feature", user, "\x1b[1m"],
    ):
        for arguments in (command, [*command, "--json"]):
            result = invoke(arguments, shop["dsn"])
            assert isinstance(result.exception, SystemExit | None)
            assert result.output.replace("\n", "").isprintable(), command


def test_the_last_line_of_defence(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the unforeseen\nhappened \x1b[1m")

    monkeypatch.setattr("ducto_pg.pricing.schema.pricing_schema", broken)
    result = invoke(["pricing", "schema"])
    assert said(result, status=1) == (
        "Error: unexpected RuntimeError: the unforeseen happened \\x1b[1m"
    )
    assert spoken(invoke(["pricing", "schema", "--json"]), status=2)["name"] == "usage"
    for arguments in (["--debug", "pricing", "schema"], ["pricing", "schema", "--debug"]):
        debugged = invoke(arguments)
        assert debugged.exit_code == 1
        assert "Traceback (most recent call last)" in debugged.stderr
        assert debugged.stderr.splitlines()[-2].startswith("Error: unexpected RuntimeError")


@pytest.mark.parametrize("kind", [KeyboardInterrupt, MemoryError, RecursionError, SystemError])
def test_every_kind_of_end_is_one_sentence(
    kind: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise kind

    monkeypatch.setattr("ducto_pg.pricing.schema.pricing_schema", broken)
    said(invoke(["pricing", "schema"]), status=1)


def test_a_reader_that_left_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*PROGRAM, "migrate", "--sql"], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


def test_streams_that_are_closed_or_full(shop: dict[str, str]) -> None:
    def shell(command: str, redirections: str) -> tuple[int, str]:
        line = f"exec {shlex.join([*PROGRAM, *shlex.split(command)])} {redirections}"
        environment = {"PATH": os.environ["PATH"], "DATABASE_URL": shop["dsn"]}
        done = subprocess.run(["bash", "-c", line], env=environment, capture_output=True, text=True)
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr
        return done.returncode, done.stderr

    tail = "events tail --from start --once"
    reports = ("report --csv", "report --html -", "types typescript")
    for command in ("--help", "--version", "credits --help", "credits balance ann", tail, *reports):
        assert shell(command, ">&- 2>&-") == (0, "")
        assert shell(command, "> /dev/full") == (1, "Error: No space left on device\n")
    assert shell("report --csv", ">&-") == (0, "")
    assert shell("credits nonsense", "2>&-") == (2, "")
    assert shell("credits nonsense", "2>/dev/full") == (2, "")
    closed = "Error: standard input is closed\n"
    for command in ("pricing validate -", "usage import - --user u --source s"):
        assert shell(command, "<&-") == (1, closed)
    endless = shell("credits deduct u --metrics @/dev/zero", "")
    assert endless == (1, "Error: /dev/zero is larger than 1 MB\n")


def test_an_env_file_of_any_kind(tmp_path: Path, shop: dict[str, str]) -> None:
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfDATABASE_URL=" + shop["dsn"].encode() + b"\r\n")
    assert process("pricing", "list", cwd=tmp_path).returncode == 0
    (tmp_path / ".env").write_bytes(b"DATABASE_URL=\xff\n")
    done = process("pricing", "list", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, b"Error: .env: not text in UTF-8\n")
    (tmp_path / ".env").write_bytes(b"DATABASE_URL=\n")
    assert b"no database given" in process("pricing", "list", cwd=tmp_path).stderr


@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_styles_are_only_for_terminals_that_have_them(
    variables: dict[str, str], files: dict[str, str], tmp_path: Path
) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"models": {"gpt-4": 1}}')
    arguments = ["pricing", "diff", files["pricing"], str(other)]
    script = shlex.join([*PROGRAM, *arguments])
    environment = {"PATH": os.environ["PATH"], "TERM": "xterm", **variables}
    on_terminal = subprocess.run(
        [sys.executable, "-c", "import pty, sys; pty.spawn(['sh', '-c', sys.argv[1]])", script],
        env=environment,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    assert (b"\x1b[" in on_terminal.stdout) is (variables == {})
    assert b"gpt-4" in on_terminal.stdout
    piped = process(*arguments, env=environment)
    assert b"\x1b" not in piped.stdout


def test_a_reader_is_told_the_role_that_is_missing(shop: dict[str, str]) -> None:
    role = f"hostile_reader_{os.getpid()}"
    with psycopg.connect(shop["dsn"], autocommit=True) as connection:
        connection.execute(f"create role {role} login".encode())
        try:
            connection.execute(f"grant ducto_reader to {role}".encode())
            dsn = re.sub(r"user=\S+", f"user={role}", shop["dsn"])
            refused = invoke(["credits", "add", "ann", "5"], dsn)
            assert "permission denied" in said(refused, status=1)
            assert "ducto_service" in refused.stderr
        finally:
            connection.execute(f"drop role {role}".encode())


def test_an_import_without_the_right_says_so_and_not_to_try_again(
    shop: dict[str, str], files: dict[str, str], tmp_path: Path
) -> None:
    role = f"hostile_importer_{os.getpid()}"
    with psycopg.connect(shop["dsn"], autocommit=True) as connection:
        connection.execute(f"create role {role} login".encode())
        try:
            connection.execute(f"grant ducto_reader to {role}".encode())
            dsn = re.sub(r"user=\S+", f"user={role}", shop["dsn"])
            rejects = str(tmp_path / "r.csv")
            result = invoke(
                ["usage", "import", files["events"], "--user", "ann", "--rejects", rejects], dsn
            )
            assert result.exit_code == 1
            assert "permission denied" in result.stderr
            assert "same command again" not in result.stderr
            assert "ducto_service" in result.stderr
            assert not Path(rejects).exists()
        finally:
            connection.execute(f"drop role {role}".encode())


def test_a_second_full_refund_does_not_advise_what_was_done(shop: dict[str, str]) -> None:
    result = invoke(["credits", "deduct", "ann", "--amount", "1", "--json"], shop["dsn"])
    charge = str(exact_json.loads(result.stdout)["transaction_id"])
    assert invoke(["credits", "refund", charge], shop["dsn"]).exit_code == 0
    second = invoke(["credits", "refund", charge], shop["dsn"])
    assert "[DU009]" in said(second, status=1)
    assert "Leave the amount out" not in second.stderr
    assert "given back already" in second.stderr


VALUES = ("", " ", "\x1b[31m", "٣", "-1", "9" * 30, "NaN", "\u202e", "x" * 5000, "@/nowhere", "1,5")


def every_command() -> Iterator[tuple[list[str], click.Command]]:
    """All commands that there are, whoever adds one; those that start a server are left out."""
    todo: list[tuple[list[str], click.Command]] = [([], cli)]
    while todo:
        path, command = todo.pop()
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None
                todo.append(([*path, name], inner))
        elif path != ["demo"]:
            yield path, command


@pytest.mark.parametrize(("path", "command"), list(every_command()), ids=name_of)
def test_every_option_and_argument_of_every_command_refuses_nonsense(
    path: list[str], command: click.Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said(invoke([*path, "--nonsense"]), status=2)
    required = [p for p in command.params if isinstance(p, click.Argument) and p.required]
    given = {p.name: "daily" if isinstance(p.type, click.Choice) else "7" for p in required}
    for parameter in command.params:
        for value in VALUES:
            words = {**given}
            options: list[str] = []
            if isinstance(parameter, click.Option):
                if parameter.is_flag:
                    continue
                options = [parameter.opts[0], value]
            else:
                words[parameter.name] = value
            result = invoke([*path, *options, "--", *(str(w) for w in words.values() if w)])
            assert isinstance(result.exception, SystemExit | None), (options, words)
            assert result.exit_code in (0, 1, 2), (options, words)
            assert "Traceback" not in result.output
            assert "unexpected" not in result.stderr.replace("unexpected extra", ""), result.stderr
            if result.exit_code:
                assert result.stderr.startswith("Error: "), (options, words, result.stderr)
                assert len(result.stderr) < 3000
                assert result.stderr.replace("\n", "").isprintable()
