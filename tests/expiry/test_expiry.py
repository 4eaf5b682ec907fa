"""Credits expire at their instant, swept or not; booking it keeps the chain of entries whole."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal as D

import pytest

from tests.support.ledger import Ledger, utc

START = utc(2026, 1, 10)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def start(ledger: Ledger) -> None:
    ledger.at(START)


def test_a_lot_is_spendable_until_the_instant_of_its_expiry(ledger: Ledger) -> None:
    ledger.grant("ann", 10, expires_at=START + DAY)
    ledger.at(START + DAY - timedelta(microseconds=1))
    assert ledger.amounts("ann") == (10, 0, 0, 0)
    ledger.spend("ann", 1)
    ledger.at(START + DAY)
    assert ledger.amounts("ann") == (0, 0, 0, 0)
    ledger.refused("DU002", "deduct_amount", user_id="ann", amount=1)


def test_reading_does_not_book_the_expiry(ledger: Ledger) -> None:
    ledger.publish()
    ledger.grant("ann", 10, expires_at=START + DAY)
    ledger.at(START + DAY)
    before = ledger.snapshot()
    ledger.balance("ann")
    ledger.call("get_available", user_id="ann")
    ledger.call("quote", user_id="ann", metrics={"model": "mini"})
    ledger.lots("ann")
    assert ledger.snapshot() == before


def test_the_next_operation_books_it_before_its_own_entry(ledger: Ledger) -> None:
    ledger.grant("ann", 10, expires_at=START + DAY)
    ledger.grant("ann", 5, expires_at=START + 2 * DAY)
    ledger.grant("ann", 20)
    ledger.spend("ann", 4)
    ledger.at(START + 3 * DAY)
    ledger.spend("ann", 1)
    assert [
        (entry["type"], entry["amount"], entry["balance_after"])
        for entry in ledger.entries("ann")[3:]
    ] == [("usage", -4, 31), ("expiry", -11, 20), ("usage", -1, 19)]
    lots = ledger.lots("ann")
    assert [(lot["status"], lot["remaining"]) for lot in lots] == [
        ("expired", 0),
        ("expired", 0),
        ("live", 19),
    ]
    assert ledger.entries("ann")[4]["allocations"] == [
        {"lot": lots[0]["lot_id"], "amount": -6},
        {"lot": lots[1]["lot_id"], "amount": -5},
    ]


@pytest.mark.parametrize(
    "operation",
    ["grant", "adjust", "refund", "revoke", "hold", "settle", "plan"],
)
def test_every_operation_that_moves_money_books_it_first(ledger: Ledger, operation: str) -> None:
    ledger.publish(plans=[{"id": "p"}])
    granted = ledger.grant("ann", 20)
    ledger.grant("ann", 10, expires_at=START + DAY, priority=200)
    charge = ledger.spend("ann", 1)
    hold = ledger.hold("ann", 1, ttl_seconds=604_800)
    ledger.at(START + DAY)
    if operation == "grant":
        ledger.grant("ann", 1)
    elif operation == "adjust":
        ledger.grant("ann", -1)
    elif operation == "refund":
        ledger.refund(charge)
    elif operation == "revoke":
        ledger.call("revoke_grant", transaction_id=granted["transaction_id"])
    elif operation == "hold":
        ledger.hold("ann", 1)
    elif operation == "settle":
        ledger.settle(hold)
    else:
        ledger.call("set_user_plan", user_id="ann", plan_key="p")
    booked = ledger.entries("ann")[3]
    assert (booked["type"], booked["amount"], booked["balance_after"]) == ("expiry", -10, 19)


def test_an_expiry_is_booked_once(ledger: Ledger) -> None:
    ledger.grant("ann", 10, expires_at=START + DAY)
    ledger.at(START + DAY)
    ledger.spend("ann", 0)
    ledger.spend("ann", 0)
    ledger.rows("sweep_expired_credits")
    assert [e["type"] for e in ledger.entries("ann")].count("expiry") == 1


def test_a_used_up_lot_expires_without_an_entry(ledger: Ledger) -> None:
    ledger.grant("ann", 10, expires_at=START + DAY)
    ledger.spend("ann", 10)
    ledger.at(START + DAY)
    ledger.spend("ann", 0)
    assert "expiry" not in [entry["type"] for entry in ledger.entries("ann")]


def test_expiry_is_not_spend(ledger: Ledger) -> None:
    ledger.grant("ann", 10, expires_at=START + DAY)
    ledger.spend("ann", 4)
    ledger.at(START + DAY)
    for _ in range(2):
        found = ledger.balance("ann")
        assert (found["lifetime_granted"], found["lifetime_spent"]) == (10, 4)
        ledger.rows("sweep_expired_credits")


# --- the sweep ------------------------------------------------------------------------------------


def test_the_sweep_reports_per_account(ledger: Ledger) -> None:
    ledger.grant("ann", 10, expires_at=START + DAY)
    ledger.grant("ann", 5, expires_at=START + 2 * DAY)
    ledger.grant("bob", "2.5", expires_at=START + DAY)
    ledger.grant("cid", 9, expires_at=START + 3 * DAY)
    ledger.grant("dan", 9)
    ledger.at(START + 2 * DAY)
    assert ledger.rows("sweep_expired_credits") == [
        {"user_id": "ann", "expired": 15, "lots": 2},
        {"user_id": "bob", "expired": D("2.5"), "lots": 1},
    ]
    assert ledger.rows("sweep_expired_credits") == []
    assert ledger.entries("ann")[-1]["type"] == "expiry"
    assert ledger.amounts("cid") == (9, 0, 0, 0)


def test_a_dry_run_reports_the_same_and_writes_nothing(ledger: Ledger) -> None:
    ledger.publish(plans=[{"id": "p", "default": True, "free_allowance": 5}])
    ledger.grant("ann", 10, expires_at=START + DAY)
    ledger.grant("bob", 3, expires_at=START + DAY)
    ledger.spend("bob", 7)
    ledger.at(START + 40 * DAY)
    before = ledger.snapshot()
    expected = ledger.rows("sweep_expired_credits", dry_run=True)
    assert ledger.snapshot() == before
    assert (
        ledger.rows("sweep_expired_credits")
        == expected
        == [
            {"user_id": "ann", "expired": 10, "lots": 1},
            {"user_id": "bob", "expired": 1, "lots": 1},
        ]
    )
    assert ledger.rows("sweep_expired_credits", dry_run=True) == []


def test_the_sweep_destroys_nothing_that_has_not_expired(ledger: Ledger) -> None:
    ledger.grant("ann", 10, expires_at=START + DAY)
    ledger.at(START + DAY - timedelta(microseconds=1))
    assert ledger.rows("sweep_expired_credits") == []
    assert ledger.amounts("ann") == (10, 0, 0, 0)


def test_the_sweep_does_not_care_about_the_sessions_time_zone(ledger: Ledger) -> None:
    ledger.grant("ann", 10, expires_at=utc(2026, 2))
    ledger.connection.execute("set local TimeZone = 'Pacific/Auckland'")
    ledger.at("2026-01-31T23:59:59+00:00")
    assert ledger.rows("sweep_expired_credits") == []
    ledger.at("2026-02-01T00:00:00+00:00")
    assert len(ledger.rows("sweep_expired_credits")) == 1


def test_a_frozen_accounts_credits_expire_too(ledger: Ledger) -> None:
    ledger.grant("ann", 10, expires_at=START + DAY)
    ledger.call("freeze_account", user_id="ann")
    ledger.at(START + DAY)
    assert len(ledger.rows("sweep_expired_credits")) == 1
