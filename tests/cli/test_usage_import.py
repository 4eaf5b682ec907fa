"""`ducto usage import`: every row charged once, to the last digit, whatever is in the file."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import time
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ducto_pg.client.manager import CreditManager
from ducto_pg.client.store import PostgresStore
from tests.cli.conftest import PRICING, PROGRAM, Manage, Run, as_json, program
from tests.conftest import MakeDb

TRACE = Path("/work/shared/data/azure_llm_trace_conv.csv")
GRANT = Decimal(1_000_000)
D = Decimal


def ledger_sum(dsn: str, user: str = "ann") -> Decimal:
    """What the ledger says was charged, summed by the database."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "select coalesce(sum(allowance_consumed - amount), 0) from ducto.credit_transactions"
            " where account_id = %s and type = 'usage'",
            [user],
        ).fetchone()
    assert row is not None
    return D(row[0])


def prepare(dsn: str) -> None:
    """Publish PRICING and give ann credits."""
    with PostgresStore(dsn) as store:
        manager = CreditManager(store)
        manager.publish_pricing(PRICING)
        manager.add_credits("ann", GRANT, tx_type="purchase")


@pytest.fixture
def ann(priced: CreditManager) -> CreditManager:
    priced.add_credits("ann", GRANT, tx_type="purchase")
    return priced


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_a_real_trace_is_charged_to_the_last_digit_and_only_once(
    target: str, run: Run, manage: Manage, tmp_path: Path
) -> None:
    if not TRACE.exists():
        pytest.skip(f"{TRACE} is not here: the import of a real trace is not tested")
    prepare(target)
    expected, exact = D(0), Context(prec=100)
    with TRACE.open(newline="") as file:
        for row in csv.DictReader(file):
            tokens_in = exact.multiply(D(row["ContextTokens"]), D("0.00000015"))
            tokens_out = exact.multiply(D(row["GeneratedTokens"]), D("0.0000006"))
            expected = exact.add(expected, exact.add(tokens_in, tokens_out))
    command = [
        "usage", "import", str(TRACE), "--user", "ann", "--set", "model=mini",
        "--map", "input_tokens=ContextTokens", "--map", "output_tokens=GeneratedTokens",
        "--rejects", str(tmp_path / "rejects.csv"), "--json",
    ]  # fmt: skip
    first = as_json(run(*command, dsn=target))
    assert (first["rows"], first["charged"], first["rejected"]) == (19_366, 19_366, 0)
    assert first["cost"] == first["amount"] == expected == ledger_sum(target)
    assert manage(target).get_balance("ann").balance == GRANT - expected

    second = as_json(run(*command, dsn=target))
    assert (second["charged"], second["already_charged"], second["cost"]) == (0, 19_366, 0)
    assert ledger_sum(target) == expected
    assert not (tmp_path / "rejects.csv").exists()


def test_bad_rows_are_written_down_and_the_rest_is_charged(
    target: str, run: Run, tmp_path: Path
) -> None:
    prepare(target)
    file = write(
        tmp_path / "events.csv",
        "who,model,In,Out\n"
        "ann,gpt-4,100,10\n"
        "ann,gpt-4,many,10\n"
        "ann,unheard-of,100,10\n"
        "ann,gpt-4,-5,10\n"
        "poor,gpt-4,100,10\n"
        ",gpt-4,100,10\n"
        "ann,gpt-4,1\n"
        "ann,gpt-4,200,20\n",
    )
    command = ["usage", "import", file, "--user-column", "who", "--map", "model=model",
               "--map", "input_tokens=In", "--map", "output_tokens=Out"]  # fmt: skip
    result = run(*command, dsn=target)
    assert result.exit_code == 3
    assert ledger_sum(target) == D("3.6") + D("7.2")
    with Path(f"{file}.rejects.csv").open(newline="") as rejects:
        rows = list(csv.DictReader(rejects))
    assert sorted((int(row["line"]), row["reason"].split(":")[0]) for row in rows) == [
        (3, "In is not a number"),
        (4, "DU004"),
        (5, "DU017"),
        (6, "DU002"),
        (7, "no user in who"),
        (8, "3 fields where the heading has 4"),
    ]
    assert next(row["row"] for row in rows if row["line"] == "6") == "poor,gpt-4,100,10"
    assert "rejected         6, see" in result.stdout


def test_a_corrected_situation_is_picked_up_by_running_again(
    ann: CreditManager, run: Run, dsn: str, tmp_path: Path
) -> None:
    file = write(tmp_path / "e.csv", "who,input_tokens\nann,100\npoor,100\n")
    command = ["usage", "import", file, "--user-column", "who", "--set", "model=gpt-4"]
    assert run(*command).exit_code == 3
    ann.add_credits("poor", 10)
    again = run(*command, "--json")
    summary = as_json(again)
    assert (summary["charged"], summary["already_charged"], summary["rejects_file"]) == (1, 1, None)
    assert not Path(f"{file}.rejects.csv").exists()
    assert ledger_sum(dsn, "poor") == 3


def test_json_lines_with_a_metrics_object_or_flat(
    ann: CreditManager, run: Run, dsn: str, tmp_path: Path
) -> None:
    file = write(
        tmp_path / "events.jsonl",
        '{"u": "ann", "metrics": {"model": "gpt-4", "input_tokens": 100}}\n'
        '{"u": "ann", "model": "gpt-4", "input_tokens": 0.5, "at": "noon"}\n'
        '{"u": "ann", "at": "noon"}\n'
        '{"u": "ann", "job_name": "report"}\n',
    )
    result = run("usage", "import", file, "--user-column", "u")
    assert result.exit_code == 3
    assert ledger_sum(dsn) == D("3") + D("0.015") + D("75")


def test_stdin_and_a_key_column(ann: CreditManager, run: Run, dsn: str, tmp_path: Path) -> None:
    text = "id,input_tokens\nr1,100\nr2,100\nr1,100\n"
    rejects = str(tmp_path / "r.csv")
    command = ["usage", "import", "-", "--user", "ann", "--set", "model=gpt-4",
               "--key-column", "id", "--rejects", rejects, "--json"]  # fmt: skip
    summary = as_json(run(*command, input=text))
    assert (summary["charged"], summary["already_charged"]) == (2, 1)
    shuffled = "id,input_tokens\nr2,100\nr3,100\n"
    assert as_json(run(*command, input=shuffled))["charged"] == 1
    assert ledger_sum(dsn) == 9


def test_two_files_of_one_name_are_told_apart_by_their_source(
    ann: CreditManager, run: Run, dsn: str, tmp_path: Path
) -> None:
    file = write(tmp_path / "e.csv", "input_tokens\n100\n")
    command = ["usage", "import", file, "--user", "ann", "--set", "model=gpt-4"]
    for source in ("may", "june", "may"):
        assert run(*command, "--source", source).exit_code == 0
    assert ledger_sum(dsn) == 6


@pytest.mark.parametrize(
    ("text", "arguments", "sentence"),
    [
        ("a,b\n1,2\n", [], "none of the columns is named like a metric: a, b"),
        ("a\n1\n", ["--map", "input_tokens=X"], "the file has no column 'X'"),
        ("a\n1\n", ["--map", "input_token=a"], "the active pricing has no metric 'input_token'"),
        ("a\n1\n", ["--set", "modle=x"], "the active pricing has no metric 'modle'"),
        ("", [], "the file is empty"),
        ("a,a\n1,2\n", [], "the column 'a' appears twice"),
    ],
)
def test_a_file_that_cannot_be_imported_is_one_sentence(
    ann: CreditManager, run: Run, tmp_path: Path, text: str, arguments: list[str], sentence: str
) -> None:
    file = write(tmp_path / "e.csv", text)
    result = run("usage", "import", file, "--user", "ann", *arguments)
    assert result.exit_code == 1
    assert f"Error: {sentence}" in result.stderr
    assert "Traceback" not in result.output


def test_what_is_missing_is_one_sentence(run: Run, dsn: str, tmp_path: Path) -> None:
    file = write(tmp_path / "e.csv", "input_tokens\n1\n")
    unpublished = run("usage", "import", file, "--user", "ann")
    assert unpublished.exit_code == 1
    assert "No pricing has been published yet." in unpublished.stderr
    missing = program(dsn, "usage", "import", str(tmp_path / "none.csv"), "--user", "ann")
    assert (missing.returncode, missing.stderr.count("\n")) == (1, 1)
    assert missing.stderr.endswith("none.csv: No such file or directory\n")
    unreachable = program("postgresql://127.0.0.1:1/x", "usage", "import", file, "--user", "ann")
    assert unreachable.returncode == 1
    assert "Error: the database does not answer" in unreachable.stderr
    assert "Traceback" not in unreachable.stderr
    assert run("usage", "import", file).exit_code == 2


def test_an_import_cut_short_by_a_crash_is_finished_by_running_again(
    make_db: MakeDb, tmp_path: Path
) -> None:
    dsn = make_db()
    prepare(dsn)
    rows = 4_000
    file = write(tmp_path / "e.csv", "input_tokens\n" + "100\n" * rows)
    command = ["usage", "import", file, "--user", "ann", "--set", "model=gpt-4",
               "--batch-size", "20", "--json"]  # fmt: skip
    environment = {**os.environ, "DATABASE_URL": dsn}
    process = subprocess.Popen(
        [*PROGRAM, *command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    _wait_for(lambda: ledger_sum(dsn) > 0)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = ledger_sum(dsn) / 3
    assert 0 < before < rows
    done = program(dsn, *command)
    assert done.returncode == 0, done.stderr
    assert ledger_sum(dsn) == 3 * rows
    _wait_for(lambda: ledger_sum(dsn) == 3 * rows)


def test_a_lost_connection_says_how_far_it_came_and_how_to_go_on(
    make_db: MakeDb, tmp_path: Path
) -> None:
    dsn = make_db()
    prepare(dsn)
    file = write(tmp_path / "e.csv", "input_tokens\n" + "100\n" * 4_000)
    command = ["usage", "import", file, "--user", "ann", "--set", "model=gpt-4",
               "--batch-size", "20"]  # fmt: skip
    process = subprocess.Popen(
        [*PROGRAM, *command],
        env={**os.environ, "DATABASE_URL": dsn},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    _wait_for(lambda: ledger_sum(dsn) > 0)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and application_name = 'ducto'"
        )
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "charged" in output
    assert "the import was cut short, the database went away" in errors
    assert "Run the same command again" in errors
    assert "Traceback" not in errors
    assert program(dsn, *command).returncode == 0
    assert ledger_sum(dsn) == 3 * 4_000


def _wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "nothing happened within 30 seconds"
        time.sleep(0.01)
