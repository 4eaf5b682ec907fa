"""`ducto usage import`: every row charged once, to the last digit, whatever is in the file."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import time
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ducto_pg import exact_json
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
    # In larger batches, because it is quicker: what is in one batch makes no difference.
    done = program(dsn, *command, "--batch-size", "500")
    assert done.returncode == 0, done.stderr
    assert ledger_sum(dsn) == 3 * rows


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
    assert program(dsn, *command, "--batch-size", "500").returncode == 0
    assert ledger_sum(dsn) == 3 * 4_000


def _wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "nothing happened within 30 seconds"
        time.sleep(0.01)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_import_reports_what_was_committed_to_the_last_row(
    make_db: MakeDb, tmp_path: Path, ending: signal.Signals
) -> None:
    dsn = make_db()
    prepare(dsn)
    file = write(tmp_path / "e.csv", "input_tokens\n" + "100\n" * 20_000)
    command = ["usage", "import", file, "--user", "ann", "--set", "model=gpt-4", "--json",
               "--batch-size", "50"]  # fmt: skip
    process = subprocess.Popen(
        [*PROGRAM, *command],
        env={**os.environ, "DATABASE_URL": dsn},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    _wait_for(lambda: ledger_sum(dsn) > 0)
    process.send_signal(ending)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    report, error = exact_json.loads(output), exact_json.loads(errors)["error"]
    assert (error["name"], report["complete"]) == ("interrupted", False)
    assert 0 < report["cost"] == ledger_sum(dsn) == 3 * report["charged"]
    assert report["charged"] % 50 == 0


def test_waiting_for_standard_input_can_be_interrupted(make_db: MakeDb, tmp_path: Path) -> None:
    dsn = make_db()
    prepare(dsn)
    command = ["usage", "import", "-", "--source", "pipe", "--user", "ann", "--set", "model=gpt-4",
               "--batch-size", "1", "--json"]  # fmt: skip
    process = subprocess.Popen(
        [*PROGRAM, *command],
        env={**os.environ, "DATABASE_URL": dsn},
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(b"input_tokens\n100\n100\n")
    process.stdin.flush()
    _wait_for(lambda: ledger_sum(dsn) > 0)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 1
    report = exact_json.loads(process.stdout.read())
    process.communicate()
    assert report["cost"] == ledger_sum(dsn)


def test_progress_shows_rows_rate_time_left_and_credits_on_a_terminal_only(
    make_db: MakeDb, tmp_path: Path
) -> None:
    dsn = make_db()
    prepare(dsn)
    file = write(tmp_path / "e.csv", "input_tokens\n" + "100\n" * 2_000)
    command = [*PROGRAM, "usage", "import", file, "--user", "ann", "--set", "model=gpt-4",
               "--batch-size", "50"]  # fmt: skip
    on_terminal = subprocess.run(
        [sys.executable, "-c", "import pty, sys; pty.spawn(sys.argv[1:])", *command],
        env={**os.environ, "DATABASE_URL": dsn, "TERM": "xterm"},
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    shown = on_terminal.stdout.decode()
    assert re.search(
        r"Importing, \d+%, [\d,]+ rows, [\d,]+ a second, [\d,]+ credits, .* left", shown
    )
    assert "\x1b" not in shown
    piped = program(dsn, *command[len(PROGRAM) :])
    assert (piped.returncode, piped.stderr) == (0, "")


def test_the_same_name_in_two_folders_is_two_files_and_one_file_by_any_path_is_one(
    ann: CreditManager, run: Run, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--user", "ann", "--set", "model=gpt-4", "--json"]
    for month in ("jan", "feb"):
        (tmp_path / month).mkdir()
        file = write(tmp_path / month / "usage.csv", "input_tokens\n100\n")
        assert as_json(run("usage", "import", file, *options))["charged"] == 1
    monkeypatch.chdir(tmp_path / "jan")
    assert as_json(run("usage", "import", "usage.csv", *options))["already_charged"] == 1
    assert as_json(run("usage", "import", "../feb/usage.csv", *options))["already_charged"] == 1
    (tmp_path / "link.csv").symlink_to(tmp_path / "jan" / "usage.csv")
    linked = as_json(run("usage", "import", "../link.csv", *options))
    assert linked["already_charged"] == 1
    assert ledger_sum(dsn) == 6


def test_lines_that_are_added_are_charged_and_equal_lines_are_as_many_charges(
    ann: CreditManager, run: Run, dsn: str, tmp_path: Path
) -> None:
    path = tmp_path / "e.csv"
    options = ["--user", "ann", "--set", "model=gpt-4", "--json"]
    for text, charged in (
        ("input_tokens\n", 0),
        ("input_tokens\n100\n", 1),
        ("input_tokens\n100\n100\n", 1),
        ("\ufeffinput_tokens\r\n100\r\n\r\n100\r\n100", 1),
        ("input_tokens\n100\n", 0),
    ):
        report = as_json(run("usage", "import", write(path, text), *options))
        assert report["charged"] == charged
    assert ledger_sum(dsn) == 9


def test_json_lines_of_a_rejects_file(
    ann: CreditManager, run: Run, dsn: str, tmp_path: Path
) -> None:
    file = write(
        tmp_path / "e.jsonl",
        '{"u": "ann", "input_tokens": 100}\n'
        '{"u": "ann", "input_tokens": 100, "input_tokens": 200}\n'
        '{"u": "ann", "input_tokens": null}\n'
        '{"u": "ann", "input_tokens": "100"}\n',
    )
    options = ["--user-column", "u", "--set", "model=gpt-4", "--format", "jsonl"]
    assert run("usage", "import", file, *options).exit_code == 3
    rejects = Path(f"{file}.rejects.csv")
    with rejects.open(newline="") as stream:
        heading, *rows = list(csv.reader(stream))
    assert [(row[0], row[1]) for row in rows] == [
        ("2", "not JSON: the key 'input_tokens' appears twice in one object"),
        ("3", "no usage in the row"),
    ]
    rows[0][2] = '{"u": "ann", "input_tokens": 100}'
    with rejects.open("w", newline="") as stream:
        csv.writer(stream).writerows([heading, *rows])
    for charged in (1, 0):
        again = run("usage", "import", str(rejects), *options, "--json")
        assert exact_json.loads(again.stdout)["charged"] == charged
    assert ledger_sum(dsn) == 9


def test_a_rejects_file_of_standard_input(
    ann: CreditManager, run: Run, dsn: str, tmp_path: Path
) -> None:
    rejects = str(tmp_path / "r.csv")
    options = ["--user", "ann", "--set", "model=gpt-4"]
    command = ["usage", "import", "-", "--source", "may", "--rejects", rejects, *options]
    assert run(*command, input="input_tokens\n100\nmany\n").exit_code == 3
    corrected = Path(rejects).read_text().replace(",many,", ",100,")
    Path(rejects).write_text(corrected)
    for charged in (1, 0):
        assert as_json(run("usage", "import", rejects, *options, "--json"))["charged"] == charged
    other = run("usage", "import", rejects, *options, "--source", "june")
    assert (other.exit_code, "of the source 'may'" in other.stderr) == (2, True)
    assert as_json(run(*command, "--json", input="input_tokens\n100\n"))["already_charged"] == 1
    assert ledger_sum(dsn) == 6


def test_the_rejects_of_an_earlier_import_stay_until_there_are_new_ones(
    ann: CreditManager, run: Run, tmp_path: Path
) -> None:
    file = write(tmp_path / "e.csv", "input_tokens\nmany\n")
    options = ["--user", "ann", "--set", "model=gpt-4"]
    rejects = Path(f"{file}.rejects.csv")
    assert run("usage", "import", file, *options).exit_code == 3
    before = rejects.read_bytes()
    assert run("usage", "import", file, *options, "--set", "nonsense=1").exit_code == 1
    assert rejects.read_bytes() == before
    write(tmp_path / "e.csv", "input_tokens\n1\n")
    assert run("usage", "import", file, *options).exit_code == 0
    assert not rejects.exists()
    assert run("usage", "import", file, *options, "--rejects", "/dev/null").exit_code == 0
    assert Path("/dev/null").is_char_device()


def test_when_the_usage_happened_is_kept_and_counted_there(
    ann: CreditManager, run: Run, dsn: str, tmp_path: Path
) -> None:
    file = write(
        tmp_path / "e.csv",
        "input_tokens,at\n"
        "100,2026-05-01T12:00:00.25Z\n"
        "200,1777636800\n"
        "300,2026-05-02 12:00\n"
        "400,2999-01-01T00:00:00Z\n"
        "500,\n",
    )
    command = ["usage", "import", file, "--user", "ann", "--set", "model=gpt-4",
               "--time-column", "at"]  # fmt: skip
    assert run(*command).exit_code == 3
    result = run(*command, "--time-zone", "Asia/Tokyo")
    assert result.exit_code == 3
    with Path(f"{file}.rejects.csv").open(newline="") as rejects:
        reasons = [(row["line"], row["reason"]) for row in csv.DictReader(rejects)]
    assert [line for line, _ in reasons] == ["5", "6"]
    assert "not in the future" in reasons[0][1]
    assert reasons[1][1] == "no time in at"
    with psycopg.connect(dsn) as connection:
        connection.execute("set timezone = 'UTC'")
        rows = connection.execute(
            "select occurred_at::text from ducto.credit_transactions where type = 'usage'"
            " order by id"
        ).fetchall()
    assert [row[0] for row in rows] == [
        "2026-05-01 12:00:00.25+00",
        "2026-05-01 12:00:00+00",
        "2026-05-02 03:00:00+00",
    ]
    assert ledger_sum(dsn) == 3 + 6 + 9


def test_importing_again_is_no_slower_than_importing(make_db: MakeDb, tmp_path: Path) -> None:
    """Every row is only looked up; with a wide margin, since others use this machine too."""
    dsn = make_db()
    prepare(dsn)
    file = write(tmp_path / "e.csv", "input_tokens\n" + "".join(f"{n}\n" for n in range(1, 10_001)))
    command = ["usage", "import", file, "--user", "ann", "--set", "model=mini", "--json"]
    seconds = []
    for charged in (10_000, 0, 0):
        started = time.monotonic()
        done = program(dsn, *command)
        seconds.append(time.monotonic() - started)
        assert exact_json.loads(done.stdout)["charged"] == charged
    assert min(seconds[1:]) < 2 * seconds[0]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_says_what_was_charged_and_which_file_is_not_whole(
    make_db: MakeDb, tmp_path: Path
) -> None:
    dsn = make_db()
    prepare(dsn)
    file = write(tmp_path / "e.csv", "input_tokens\n100\nmany\n")
    command = ["usage", "import", file, "--user", "ann", "--set", "model=gpt-4"]
    done = program(dsn, *command, "--rejects", "/dev/full")
    assert done.returncode == 1
    assert re.search(r"^charged +1$", done.stdout, re.MULTILINE)
    assert done.stderr == "Error: rejects are missing, /dev/full: No space left on device\n"
    through = subprocess.run(
        [*PROGRAM, *command, "--rejects", "/dev/stderr"],
        env={**os.environ, "DATABASE_URL": dsn},
        capture_output=True,
        text=True,
    )
    assert through.returncode == 3
    assert "input_tokens is not a number: 'many'" in through.stderr


def test_whoever_interrupts_twice_does_not_wait_for_the_batch(
    make_db: MakeDb, tmp_path: Path
) -> None:
    dsn = make_db()
    prepare(dsn)
    file = write(tmp_path / "e.csv", "input_tokens\n" + "100\n" * 300)
    command = ["usage", "import", file, "--user", "ann", "--set", "model=gpt-4", "--json",
               "--batch-size", "100"]  # fmt: skip
    with psycopg.connect(dsn) as connection:
        connection.execute("lock table ducto.credit_accounts in access exclusive mode")
        process = subprocess.Popen(
            [*PROGRAM, *command],
            env={**os.environ, "DATABASE_URL": dsn},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        _wait_for(lambda: _waiting_for_a_lock(dsn))
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=10)
        connection.rollback()
    assert process.returncode == 1
    assert exact_json.loads(output)["rows"] == 0
    assert exact_json.loads(errors)["error"]["name"] == "interrupted"


def _waiting_for_a_lock(dsn: str) -> bool:
    with psycopg.connect(dsn) as connection:
        found = connection.execute(
            "select true from pg_stat_activity"
            " where datname = current_database() and wait_event_type = 'Lock'"
        )
        return found.fetchone() is not None
