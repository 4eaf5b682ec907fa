"""Accounts: freezing, listing, balances that follow the lots, isolation levels."""

from __future__ import annotations

from decimal import Decimal as D

import psycopg
import pytest

from tests.conftest import Connect
from tests.support.databases import Connection
from tests.support.ledger import Ledger, utc


def test_freezing_stops_charges_and_holds(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    assert ledger.call("freeze_account", user_id="ann") == {"user_id": "ann", "status": "frozen"}
    for name in ("deduct_amount", "reserve"):
        detail = ledger.refused("DU019", name, user_id="ann", amount=1)
        assert detail["user_id"] == "ann"
    assert ledger.balance("ann")["status"] == "frozen"


def test_a_frozen_account_still_takes_grants_refunds_and_settlements(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    charge = ledger.spend("ann", 4)
    hold = ledger.hold("ann", 5)
    ledger.call("freeze_account", user_id="ann")
    ledger.grant("ann", 1)
    ledger.refund(charge)
    assert ledger.settle(hold, amount=5)["status"] == "ok"
    assert ledger.amounts("ann") == (6, 0, 0, 0)


def test_unfreezing_lets_charges_through_again(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    ledger.call("freeze_account", user_id="ann")
    ledger.call("freeze_account", user_id="ann")
    ledger.call("unfreeze_account", user_id="ann")
    assert ledger.spend("ann", 1)["balance_after"] == 9


def test_an_account_can_be_frozen_before_its_first_use(ledger: Ledger) -> None:
    ledger.call("freeze_account", user_id="ann")
    ledger.refused("DU019", "deduct_amount", user_id="ann", amount=0)


def test_a_frozen_account_is_told_by_quote(ledger: Ledger) -> None:
    ledger.publish()
    ledger.grant("ann", 10)
    ledger.call("freeze_account", user_id="ann")
    quote = ledger.call("quote", user_id="ann", metrics={"model": "mini", "input_tokens": 1})
    assert (quote["affordable"], quote["code"]) == (False, "DU019")


def test_history_is_newest_first_and_pages_by_id(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    for amount in (1, 2, 3):
        ledger.spend("ann", amount)
    page = ledger.rows("list_transactions", user_id="ann", limit=2)
    assert [row["amount"] for row in page] == [-3, -2]
    rest = ledger.rows("list_transactions", user_id="ann", before=page[-1]["transaction_id"])
    assert [row["amount"] for row in rest] == [-1, 10]


def test_history_filters_by_type(ledger: Ledger) -> None:
    ledger.grant("ann", 10, type="purchase")
    ledger.spend("ann", 1)
    (row,) = ledger.rows("list_transactions", user_id="ann", type="purchase")
    assert row["amount"] == 10


def test_history_shows_only_the_own_account(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    ledger.grant("bob", 20)
    assert [row["amount"] for row in ledger.entries("bob")] == [20]


@pytest.mark.parametrize("limit", [0, -1, 1001, None])
def test_a_limit_out_of_range_is_refused(ledger: Ledger, limit: int | None) -> None:
    detail = ledger.refused("DU017", "list_transactions", user_id="ann", limit=limit)
    assert detail["argument"] == "p_limit"


def test_lots_tell_their_state(ledger: Ledger) -> None:
    ledger.at(utc(2026))
    ledger.grant("ann", 10, type="purchase")
    ledger.grant("ann", 5, type="promo", expires_at=utc(2026, 2))
    ledger.grant("ann", 3, type="opening", priority=1)
    revoked = ledger.grant("ann", 7, type="subscription")
    ledger.spend("ann", 3)
    ledger.call("revoke_grant", transaction_id=revoked["transaction_id"])
    ledger.at(utc(2026, 2))
    assert {lot["kind"]: lot["status"] for lot in ledger.lots("ann")} == {
        "purchase": "live",
        "promo": "expired",
        "opening": "used",
        "subscription": "revoked",
    }


def test_ids_are_compared_exactly(ledger: Ledger) -> None:
    for user_id in ("ann", "Ann", " ann", "änn", "a" * 200, "'; drop table x; --"):
        ledger.grant(user_id, 1)
        assert ledger.balance(user_id)["balance"] == 1


@pytest.mark.parametrize("name", ["freeze_account", "unfreeze_account"])
@pytest.mark.parametrize("user_id", ["", None, "x" * 201])
def test_a_bad_user_id_is_refused(ledger: Ledger, name: str, user_id: str | None) -> None:
    assert ledger.refused("DU017", name, user_id=user_id)["argument"] == "p_user_id"


def test_each_balance_after_is_the_one_before_plus_the_amount(ledger: Ledger) -> None:
    ledger.at(utc(2026))
    ledger.grant("ann", "10.25", expires_at=utc(2026, 1, 5))
    ledger.grant("ann", 20)
    ledger.spend("ann", "3.5")
    ledger.at(utc(2026, 1, 6))
    charge = ledger.spend("ann", 4)
    ledger.refund(charge)
    balance = D(0)
    for entry in ledger.entries("ann"):
        balance += entry["amount"]
        assert entry["balance_after"] == balance
    assert balance == D(20)


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_a_stale_snapshot_fails_to_serialise(db: Connection, connect: Connect, level: str) -> None:
    db.execute("select ducto_add_credits('ann', 5)")
    db.autocommit = False
    db.execute(f"set transaction isolation level {level}".encode())
    db.execute("select ducto_get_balance('ann')")
    connect().execute("select ducto_deduct_amount('ann', 1)")
    with pytest.raises(psycopg.errors.SerializationFailure):
        db.execute("select ducto_deduct_amount('ann', 5)")
    db.rollback()


@pytest.mark.parametrize("level", ["read committed", "repeatable read", "serializable"])
def test_the_other_isolation_levels_work(db: Connection, level: str) -> None:
    db.autocommit = False
    db.execute(f"set transaction isolation level {level}")
    db.execute("select ducto_add_credits('ann', 5)")
    db.execute("select ducto_deduct_amount('ann', 2)")
    db.commit()
    row = db.execute("select ducto_get_balance('ann') -> 'balance'").fetchone()
    assert row == (3,)
