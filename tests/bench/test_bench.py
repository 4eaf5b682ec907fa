"""The benchmark runs, on books that balance, and counts what it says it counts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from bench import analytics, first, imports, parts, size
from bench import lab as laboratory
from bench.__main__ import arguments, main
from bench.figures import Budget, figure
from bench.lab import Lab
from bench.pgbench import BenchError, Entry, Load, Player, Script, Turn, by_round, read_logs
from tests.support.server import local_programs

ACCOUNTS = 50


def can_run() -> bool:
    """Whether there are server programs here to measure with."""
    programs = local_programs()
    try:
        return programs is not None and laboratory.find_pgbench(programs).exists()
    except BenchError:
        return False


needs_programs = pytest.mark.skipif(not can_run(), reason="no local PostgreSQL with pgbench")


@pytest.fixture(scope="module")
def opened() -> Iterator[Lab]:
    """A cluster to measure on, briefly."""
    with laboratory.lab(1, 1, (2,), ACCOUNTS, ("portable",)) as found:
        yield found


def violations(dsn: str) -> list[tuple[object, ...]]:
    """What ducto_check() finds."""
    with psycopg.connect(dsn) as connection:
        return connection.execute("select * from ducto_check()").fetchall()


def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accounts with some lots and holds instead of thousands."""
    kinds = {
        prefix: replace(kind, lots=min(kind.lots, 25), holds=min(kind.holds, 25))
        for prefix, kind in laboratory.KINDS.items()
    }
    monkeypatch.setattr(laboratory, "KINDS", kinds)


@needs_programs
def test_accounts_begin_as_the_api_would_leave_them(
    opened: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    few(monkeypatch)
    dsn = opened.charging("portable", *laboratory.KINDS)
    assert violations(dsn) == []
    with psycopg.connect(dsn) as connection:
        found = connection.execute(
            "select regexp_replace(account_id, '[0-9]+$', ''), bool_and(headroom > 0), count(*)"
            " from ducto.credit_accounts group by 1"
        ).fetchall()
    # It begins closed where accounts are charged once.
    assert {prefix: is_open for prefix, is_open, _ in found} == {
        prefix: prefix != "once_" for prefix in laboratory.KINDS
    }
    assert all(count == opened.count(prefix) for prefix, _, count in found)


@needs_programs
def test_charges_are_compared_with_the_floor(opened: Lab) -> None:
    figures = list(parts.PARTS["plan"].measure(opened))
    assert [(each.name, each.clients) for each in figures] == [
        ("the allowance pays (mixed)", 1),
        ("allowance used up, caps count (mixed)", 1),
        ("the same with an open hold (mixed)", 1),
        ("caps on the model (mixed)", 1),
        ("allowance used up, caps count", 2),
        ("the same with an open hold", 2),
        ("caps on the model", 2),
    ]
    for each in figures:
        assert 0 < each.low <= each.value <= each.high < 3
        assert each.mark in ("ok", "missed")
    assert [each.budget for each in figures[4:]] == [parts.PLAN[1]] * 3
    if Path("/proc/self/stat").exists():
        assert figures[4].backend is not None
        assert all(0 < microseconds < 100_000 for microseconds in figures[4].backend)
    assert violations(opened.dsn("charging_portable")) == []


@needs_programs
def test_the_charge_without_a_check_leaves_what_a_charge_leaves(opened: Lab) -> None:
    dsn = opened.charging("portable")
    call = "select floor.bare(%s, %s::jsonb, %s)", "select ducto_deduct(%s, %s::jsonb, %s)"
    with psycopg.connect(dsn, autocommit=True) as connection:
        bare, charge = (
            connection.execute(each, ["user_3", json.dumps(laboratory.METRICS), each]).fetchone()
            for each in call
        )
        rows = connection.execute(
            "select to_jsonb(t.*) - '{id,xid,created_at,balance_after,idempotency_key}'::text[]"
            " from ducto.credit_transactions t where idempotency_key = any (%s)",
            [list(call)],
        ).fetchall()
    assert bare is not None and charge is not None
    moved = ("transaction_id", "balance_after", "available_after")
    assert [bare[0].pop(each) != charge[0].pop(each) for each in moved] == [True] * 3
    assert bare == charge
    assert rows[0] == rows[1]
    assert violations(dsn) == []


@needs_programs
def test_every_charge_of_the_pipeline_finds_its_headroom_closed(
    opened: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = opened.charging("portable", "once_", "turns_")
    once = parts.once(opened, "portable", dsn, 2)
    assert (once.name, once.budget) == ("accounts charged once", parts.PIPELINE[1])
    with psycopg.connect(dsn) as connection:
        query = (
            "select account_id from ducto.credit_transactions where type = 'usage'"
            " and starts_with(account_id, 'once_') group by account_id having count(*) > 1"
        )
        assert connection.execute(query).fetchall() == []
    monkeypatch.setattr(Lab, "count", lambda lab, prefix: 1)
    with pytest.raises(BenchError, match="1 accounts were too few for this machine"):
        parts.once(opened, "portable", dsn, 2)
    monkeypatch.undo()
    assert violations(dsn) == []


@needs_programs
def test_holds_are_settled_in_pairs(opened: Lab) -> None:
    (figure,) = parts.PARTS["pair"].measure(opened)
    assert (figure.name, figure.clients) == ("reserve and settle", 2)
    with psycopg.connect(opened.dsn("charging_portable")) as connection:
        found = connection.execute(
            "select status, count(*) from ducto.credit_reservations"
            " where starts_with(account_id, 'pair_') and idempotency_key is not null"
            " group by status order by 2"
        ).fetchall()
    # What the clients had under way at the end stays open.
    assert found[-1][0] == "settled"
    assert sum(count for status, count in found if status != "settled") <= 2
    assert violations(opened.dsn("charging_portable")) == []


@needs_programs
def test_accounts_with_much_in_them_are_compared_with_those_with_one_lot(
    opened: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    few(monkeypatch)
    figures = list(parts.PARTS["growth"].measure(opened))
    assert [each.name for each in figures] == [
        "10,000 lots (mixed)",
        "10,000 holds (mixed)",
        "10,000 lots, two models in turn (mixed)",
        "10,000 holds, two models in turn (mixed)",
    ]
    assert all(each.budget == parts.GROWTH for each in figures)
    assert violations(opened.dsn("charging_portable")) == []


@needs_programs
def test_an_import_is_compared_with_the_calls_it_makes(
    opened: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "ROWS", 1200)
    monkeypatch.setattr(imports, "TURNS", 1)
    ratio, rate = parts.PARTS["import"].measure(opened)
    assert (ratio.unit, ratio.budget) == ("of the batch call", imports.IMPORT)
    assert rate.value > 0
    with psycopg.connect(opened.dsn("charging_portable")) as connection:
        found = connection.execute(
            "select split_part(idempotency_key, ' ', 1), count(*) from ducto.credit_transactions"
            " where idempotency_key like any ('{called %,imported %}') group by 1 order by 1"
        ).fetchall()
    assert found == [("called", 1200), ("imported", 1200)]


@needs_programs
def test_what_a_charge_writes_and_locks_is_counted(
    opened: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(size, "TURNS", 60)
    figures = {each.name: each for each in parts.PARTS["size"].measure(opened)}
    for name in ("the floor", *size.OPERATIONS):
        assert 100 < figures[f"log bytes, {name}"].value < 10_000
        assert 50 < figures[f"row bytes, {name}"].value < 1000
    # Accounts and prices with their indexes, the ledger, its sequence.
    assert 5 <= figures["locks, plain"].value <= figures["locks, the same with an open hold"].value
    assert violations(opened.dsn("charging_portable")) == []


@needs_programs
def test_first_charges_of_sessions_are_timed_beside_the_floors(
    opened: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The median of two is their mean, which one interrupted session decides.
    monkeypatch.setattr(first, "SESSIONS", 7)
    monkeypatch.setattr(first, "EVALUATORS", ("portable",))
    figures = list(parts.PARTS["first"].measure(opened))
    assert [(each.name, each.budget) for each in figures] == [
        ("within the headroom", first.QUICKLY),
        ("its headroom closed", first.QUICKLY),
        ("a price that is no sum of products", first.QUICKLY),
    ]
    assert all(each.backend and 0 < each.backend[0] < each.backend[1] for each in figures)
    assert violations(opened.dsn("charging_portable")) == []


@needs_programs
@pytest.mark.parametrize("full", [False, True])
def test_a_month_in_bulk_is_as_charged_one_by_one(
    opened: Lab, full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(laboratory, "HISTORY_ACCOUNTS", 2)
    monkeypatch.setattr(laboratory, "HISTORY_CHARGES", 30)
    monkeypatch.setattr(laboratory, "MANY_MODELS", 10)
    monkeypatch.setattr(laboratory, "MANY_VERSIONS", 3)
    dsn = opened.history("plpython", full=full)
    with psycopg.connect(dsn, autocommit=True) as connection:
        charged = connection.execute(
            "select count(*), count(*) filter (where amount < 0), min(model)"
            " from ducto.credit_transactions where type = 'usage'"
        ).fetchone()
        versions = connection.execute("select count(*) from ducto.credit_pricing_config").fetchone()
        connection.execute(
            "select ducto_deduct('small_1', %s::jsonb, 'history 30x')",
            [json.dumps(laboratory.METRICS)],
        )
        row = connection.execute(
            "select c.spent, a.drawn from ducto.credit_spend_caps c"
            " join ducto.credit_accounts a on a.account_id = c.account_id"
            " where c.account_id = 'small_1' and c.cap_type = 'monthly'"
        ).fetchone()
    # The allowance pays for one charge of each account, the balance for the others.
    assert charged == ((62, 60, "gpt-4") if full else (2, 0, "gpt-4"))
    assert versions == (3 if full else 1,)
    # One more was charged, within the headroom.
    assert row == (laboratory.COST * (30 if full else 0), laboratory.COST)
    assert violations(dsn) == []


@needs_programs
def test_the_command_prints_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(parts, "BATCHES_PER_SECOND", 300)
    command = ["--part", "batch", "--rounds", "3", "--accounts", "50"]
    assert main([*command, "--evaluator", "plpython", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["machine"]["accounts"] == 50
    assert [each["name"] for each in found["figures"]] == list(parts.BATCHES.values())
    for each in found["figures"]:
        assert (each["part"], each["evaluator"], each["clients"]) == ("batch", "PL/Python", 1)
        assert each["budget"] == {"bound": 12, "at_least": True}
        assert each["value"] > 1


@needs_programs
def test_a_load_that_fails_ends_the_benchmark(opened: Lab) -> None:
    load = opened.load(opened.create("nothing"), "charge.sql")
    with pytest.raises(BenchError, match=r"pgbench failed on charge\.sql: .*ducto_deduct"):
        opened.pgbench.compare(load, load, 1, seconds=1, rounds=1)


def test_a_machine_without_the_programs_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(laboratory, "local_programs", lambda: None)
    assert main(["--quick"]) == 1
    assert capsys.readouterr().err.startswith("no PostgreSQL with PL/Python to measure on: ")
    monkeypatch.setattr(laboratory, "local_programs", lambda: tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["--quick"]) == 1
    assert capsys.readouterr().err.startswith(f"pgbench is missing, in {tmp_path} and on the PATH")


def test_what_was_in_flight_between_turns_counts_half(tmp_path: Path) -> None:
    log = tmp_path / "log.1"
    # Client, transaction, microseconds, script, end: before the first turn, in it, in flight at
    # its end and logged in the next turn, and twice in that.
    log.write_text(
        "0 1 1000 0 99 999000\n"
        "0 2 1000 0 100 100000\n"
        "0 3 700000 0 100 900000\n"
        "0 4 1000 0 100 901000\n"
        "0 5 1000 0 101 0\n"
    )
    player = Player.__new__(Player)
    player.load = Load("", (Script("charge.sql"),))
    player.turns = [Turn(100.0, 100.25, None), Turn(100.8, 101.05, None)]
    entries = read_logs([log])
    assert entries[2] == Entry(100.9, 0.7, 0)
    assert by_round(player, entries, 1) == [(1.0, 0.25), (2.5, pytest.approx(0.25))]
    with pytest.raises(BenchError, match=r"charge\.sql finished nothing in a round"):
        by_round(player, entries[:1], 1)


def test_budgets_bound_from_below_or_above() -> None:
    reached = figure("plain", "plain", "portable", "of the floor", [0.7, 0.6, 0.65], Budget(0.65))
    assert (reached.value, reached.low, reached.high, reached.mark) == (0.65, 0.6, 0.7, "ok")
    under = Budget(2, at_least=False)
    assert figure("migrate", "x", "portable", "s", [2.0], under).mark == "ok"
    assert figure("migrate", "x", "portable", "s", [2.1], under).mark == "missed"
    assert figure("mix", "x", "portable", "of the floor", [0.1], None).mark == ""


def test_the_command_line_chooses() -> None:
    usual, quick = arguments([]), arguments(["--quick"])
    assert (usual.rounds, usual.seconds, usual.clients, usual.accounts) == (7, 1, (1, 4, 16), 10**5)
    assert (quick.rounds, quick.seconds, quick.clients, quick.accounts) == (3, 0.5, (1, 16), 10**4)
    assert (usual.evaluator, quick.evaluator) == (["plpython", "portable"], ["plpython"])
    both = arguments(["--part", "hot", "--part", "first", "--clients", "2,8"])
    assert (both.part, both.clients) == (["hot", "first"], (2, 8))
    with pytest.raises(SystemExit):
        arguments(["--clients", "0"])


@needs_programs
def test_reports_are_timed_on_a_ledger_that_they_sum_rightly(
    opened: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analytics, "ROWS", 20_000)
    monkeypatch.setattr(analytics, "USERS", 800)
    # It raises where the reports do not say what the ledger does.
    figures = {each.name: each for each in parts.PARTS["analytics"].measure(opened)}
    assert {*analytics.REPORTS} < {*figures}
    assert all(figures[name].budget == analytics.REPORT for name in analytics.REPORTS)
    with psycopg.connect(opened.dsn("analytics")) as connection:
        found = connection.execute(
            "select count(*), count(distinct account_id), count(distinct model),"
            " count(*) filter (where type = 'refund'), count(occurred_at)"
            " from ducto.credit_transactions"
        ).fetchone()
    assert found is not None
    entries, payers, models, refunds, late = found
    assert (entries, models, refunds, late) == (20_100, 8, 100, 400)
    assert payers > 400
