"""Holds, refunds, plans, caps and the books, from the command line, with their exit codes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal

import psycopg
import pytest

from ducto_pg.client.manager import CreditManager
from tests.cli.conftest import Run, as_json, program

USAGE = ("-m", "model=gpt-4", "-m", "input_tokens=100")  # costs 3
NOBODY = "6f3c1a52-64c4-4f0f-9d0f-2a1f7b7f0c11"


@pytest.fixture(autouse=True)
def ann(priced: CreditManager) -> Iterator[CreditManager]:
    priced.add_credits("ann", 100, tx_type="purchase")
    yield priced
    assert priced.check() == []


def test_a_quote_says_what_a_charge_would_do_and_fails_when_it_would_be_denied(run: Run) -> None:
    good = as_json(run("credits", "quote", "ann", *USAGE, "--json"))
    assert (good["affordable"], good["cost"], good["balance_after"]) == (True, 3, 97)
    bad = run("credits", "quote", "ann", "-m", "model=gpt-4", "-m", "input_tokens=10000")
    assert bad.exit_code == 1
    assert "affordable  no" in bad.stdout
    assert "reason      ann has 100 credits available and needs 300" in bad.stdout


def test_a_hold_is_settled_with_less_and_the_rest_is_free(run: Run, ann: CreditManager) -> None:
    hold = as_json(run("credits", "reserve", "ann", "--amount", "20", "--ttl", "15m", "--json"))
    assert (hold["amount"], hold["available"]) == (20, 80)
    settled = run("credits", "settle", hold["reservation_id"], *USAGE, "--json")
    assert as_json(settled)["cost"] == 3
    assert ann.get_available("ann") == 97
    again = as_json(run("credits", "settle", hold["reservation_id"], *USAGE, "--json"))
    assert again["replayed"] is True


def test_a_hold_in_parts_renewed_and_released(run: Run, ann: CreditManager) -> None:
    hold = as_json(run("credits", "reserve", "ann", *USAGE, "--key", "h", "--json"))
    assert hold["amount"] == 3
    name = hold["reservation_id"]
    assert run("credits", "settle", name, "--amount", "1", "--partial").exit_code == 0
    renewed = as_json(run("credits", "renew", name, "--ttl", "2h", "--json"))
    assert renewed["expires_at"] > hold["expires_at"]
    assert "is released; 99 credits are available" in run("credits", "release", name).stdout
    late = run("credits", "settle", name, "--amount", "1")
    assert (late.exit_code, "[DU011]" in late.stderr) == (1, True)


def test_a_refund_goes_back_and_never_beyond_the_charge(run: Run, ann: CreditManager) -> None:
    charge = as_json(run("credits", "deduct", "ann", "--amount", "10", "--json"))
    name = str(charge["transaction_id"])
    part = run("credits", "refund", name, "--amount", "4", "--reason", "slow", "--key", "r")
    assert "to the balance    4" in part.stdout
    too_much = run("credits", "refund", name, "--amount", "7")
    assert (too_much.exit_code, "[DU009]" in too_much.stderr) == (1, True)
    assert as_json(run("credits", "refund", name, "--json"))["amount"] == 6
    assert ann.get_balance("ann").balance == 100


def test_a_grant_is_revoked(run: Run, ann: CreditManager) -> None:
    grant = ann.list_transactions("ann", tx_type="purchase")[0].transaction_id
    ann.deduct_amount("ann", 30)
    result = run("credits", "revoke", str(grant), "--reason", "chargeback")
    assert result.exit_code == 0
    balance = ann.get_balance("ann")
    assert (balance.balance, balance.debt) == (Decimal(-30), Decimal(30))


def test_a_charge_is_explained(run: Run) -> None:
    charge = as_json(run("credits", "deduct", "ann", *USAGE, "--json"))
    name = str(charge["transaction_id"])
    found = as_json(run("credits", "explain", name, "--json"))
    assert found["recomputes"] is True
    assert found["variables"] == {"model": "gpt-4", "input_tokens": 100}
    shown = run("credits", "explain", name).stdout
    assert "input_tokens * 0.03 + output_tokens * 0.06" in shown
    assert "recomputes       yes" in shown
    assert "purchase" in shown


def test_plans(run: Run, ann: CreditManager) -> None:
    assert "pro" in run("plans", "list").stdout
    assert run("plans", "set", "ann", "pro").exit_code == 0
    plan = as_json(run("plans", "get", "ann", "--json"))
    assert (plan["plan_key"], plan["allowance_remaining"]) == ("pro", 10)
    charge = as_json(run("credits", "deduct", "ann", "--amount", "12", "--json"))
    assert (charge["allowance_consumed"], charge["amount"]) == (10, 2)
    assert run("plans", "feature", "ann", "seats").stdout == "seats  5\n"
    assert run("plans", "feature", "ann", "export").stdout == "export  yes\n"
    assert run("plans", "feature", "ann", "fly").exit_code == 1
    assert "former plan" not in run("plans", "set", "ann", "--none").stdout
    assert ann.get_user_plan("ann").plan_key is None
    unknown = run("plans", "set", "ann", "gold")
    assert (unknown.exit_code, "[DU014]" in unknown.stderr) == (1, True)
    assert run("plans", "set", "ann").exit_code == 2


def test_leaving_a_plan_says_what_becomes_of_its_allowance(run: Run, ann: CreditManager) -> None:
    ann.set_user_plan("ann", "pro")
    ann.deduct_amount("ann", 4)
    left = run("plans", "set", "ann", "--none").stdout
    assert left.endswith("Of the former plan's allowance, 6 can be used until its period ends.\n")
    assert ann.get_balance("ann").allowance_remaining == 6


def test_caps(run: Run, ann: CreditManager) -> None:
    assert run("caps", "list", "ann").stdout == "There are no caps.\n"
    assert run("caps", "set", "ann", "daily", "5").exit_code == 0
    assert run("credits", "deduct", "ann", *USAGE).exit_code == 0
    (cap,) = as_json(run("caps", "list", "ann", "--json"))
    assert (cap["used"], cap["remaining"]) == (3, 2)
    assert run("caps", "check", "ann", "2").exit_code == 0
    full = run("caps", "check", "ann", "2.000000000001")
    assert (full.exit_code, "do not fit" in full.stdout) == (1, True)
    denied = run("credits", "deduct", "ann", *USAGE)
    assert (denied.exit_code, "[DU001]" in denied.stderr) == (1, True)
    assert run("caps", "remove", "ann", "daily").stdout == "Removed the daily cap of ann.\n"
    for arguments in (
        ["caps", "remove", "ann", "daily"],
        ["caps", "remove", "ann", "daily", "--json"],
    ):
        gone = run(*arguments)
        assert (gone.exit_code, gone.stdout) == (1, "")
        assert "ann has no daily cap" in gone.stderr
    assert run("credits", "deduct", "ann", *USAGE).exit_code == 0


def test_the_books_are_checked_and_a_violation_fails_the_command(run: Run, dsn: str) -> None:
    assert run("check").stdout == "Every invariant holds.\n"
    assert as_json(run("check", "--json")) == []
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("update ducto.credit_lots set remaining = remaining - 1")
        found = program(dsn, "check")
        connection.execute("update ducto.credit_lots set remaining = remaining + 1")
    assert found.returncode == 1
    assert "ann" in found.stdout
    assert "violations." in found.stderr


def test_sweeping(run: Run, ann: CreditManager) -> None:
    assert run("sweep", "--dry-run").stdout == "Credits of 0 accounts would expire.\n"
    assert run("sweep").stdout == "Credits of 0 accounts expired; 0 holds were closed.\n"
    swept = as_json(run("sweep", "--json"))
    assert swept == {"credits": [], "reservations_closed": 0, "dry_run": False}


def test_what_if_reprices_what_is_stored(run: Run) -> None:
    for _ in range(2):
        run("credits", "deduct", "ann", *USAGE)
    config = '{"models": {"gpt-4": "input_tokens * 0.045"}}'
    rows = as_json(run("pricing", "what-if", "-", "--since", "1h", "--json", input=config))
    assert [(r["model"], r["charges"], r["cost"], r["new_cost"]) for r in rows] == [
        ("gpt-4", 2, 6, 9),
        (None, 2, 6, 9),
    ]
    shown = run("pricing", "what-if", "-", input=config).stdout.splitlines()
    assert shown[-1].split() == ["total", "2", "6", "9", "3", "+50.0", "0"]
    other = run("pricing", "what-if", "-", input='{"models": {"claude": 1}}')
    assert other.exit_code == 0
    assert "Warning: gpt-4: 2 unpriced: " in other.stderr
    long_ago = run("pricing", "what-if", "-", "--since", "2001-01-01", "--until", "2001-02-01",
                   input=config)  # fmt: skip
    assert long_ago.stdout == "No usage is stored in that time.\n"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["credits", "settle", NOBODY, "--amount", "1"], "DU010"),
        (["credits", "release", NOBODY], "DU010"),
        (["credits", "refund", "999"], "DU008"),
        (["credits", "explain", "999"], "DU008"),
        (["credits", "revoke", "999"], "DU008"),
        (["credits", "reserve", "ann", "--amount", "1000"], "DU002"),
        (["credits", "reserve", "ann", "--amount", "1", "--feature", "fly"], "DU013"),
        (["credits", "reserve", "ann"], "DU017"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(run: Run, command: list[str], code: str) -> None:
    result = run(*command)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[0].endswith(f"[{code}]")


def test_credits_lapse_and_are_swept(run: Run, ann: CreditManager) -> None:
    run("credits", "add", "bob", "5", "--type", "promo", "--expires-in", "1s")
    deadline = time.monotonic() + 20
    while not (swept := as_json(run("sweep", "--json"))["credits"]):
        assert time.monotonic() < deadline, "the credits did not lapse"
        time.sleep(0.1)
    assert [(row["user_id"], row["expired"]) for row in swept] == [("bob", 5)]
    assert ann.get_balance("bob").balance == 0
