"""Taking a grant back: what is left goes, what was spent is owed or written off."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from tests.support.ledger import Json, Ledger, utc


def revoke(ledger: Ledger, granted: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    result = ledger.call("revoke_grant", transaction_id=granted["transaction_id"], **arguments)
    assert isinstance(result, dict)
    return result


def test_an_unspent_grant_goes_whole(ledger: Ledger) -> None:
    granted = ledger.grant("ann", 10, type="purchase")
    ledger.grant("ann", 5)
    revoked = revoke(ledger, granted, reason="chargeback")
    assert revoked.pop("transaction_id") == ledger.entries("ann")[-1]["transaction_id"]
    assert revoked == {
        "revoked_transaction_id": granted["transaction_id"],
        "lot_id": granted["lot_id"],
        "user_id": "ann",
        "amount": 10,
        "taken": 10,
        "debt_added": 0,
        "balance_after": 5,
        "replayed": False,
    }
    entry = ledger.entries("ann")[-1]
    assert (entry["type"], entry["amount"], entry["reference_id"]) == (
        "revocation",
        -10,
        granted["transaction_id"],
    )
    assert entry["metadata"] == {"reason": "chargeback"}


def test_what_was_spent_becomes_debt_and_other_lots_stay(ledger: Ledger) -> None:
    granted = ledger.grant("ann", 10, priority=1)
    ledger.grant("ann", 5)
    ledger.spend("ann", 4)
    revoked = revoke(ledger, granted)
    assert (revoked["amount"], revoked["taken"], revoked["debt_added"]) == (10, 6, 4)
    assert (revoked["balance_after"], ledger.amounts("ann")) == (1, (1, 0, 0, 4))
    assert [lot["remaining"] for lot in ledger.lots("ann")] == [0, 5]


def test_what_was_spent_can_be_written_off(ledger: Ledger) -> None:
    granted = ledger.grant("ann", 10)
    ledger.spend("ann", 4)
    revoked = revoke(ledger, granted, write_off=True)
    assert (revoked["amount"], revoked["taken"], revoked["debt_added"]) == (6, 6, 0)
    assert ledger.amounts("ann") == (0, 0, 0, 0)


def test_a_revocation_changes_nothing_about_what_was_spent(ledger: Ledger) -> None:
    for number, write_off in enumerate((False, True)):
        user_id = f"user-{number}"
        granted = ledger.grant(user_id, 10)
        ledger.spend(user_id, 4)
        revoke(ledger, granted, write_off=write_off)
        assert ledger.balance(user_id)["lifetime_spent"] == 4


def test_a_revocation_can_go_below_the_floor(ledger: Ledger) -> None:
    granted = ledger.grant("ann", 10)
    ledger.spend("ann", 10)
    assert revoke(ledger, granted)["balance_after"] == -10
    ledger.refused("DU002", "deduct_amount", user_id="ann", amount=1)
    assert ledger.grant("ann", 12)["balance_after"] == 2


def test_a_grant_is_revoked_once(ledger: Ledger) -> None:
    granted = ledger.grant("ann", 10)
    first = revoke(ledger, granted)
    before = ledger.snapshot()
    assert revoke(ledger, granted) == {**first, "replayed": True}
    assert revoke(ledger, granted, idempotency_key="k") == {**first, "replayed": True}
    assert ledger.snapshot() == before


def test_an_expired_grant_leaves_only_its_spent_part_to_revoke(ledger: Ledger) -> None:
    ledger.at(utc(2026))
    granted = ledger.grant("ann", 10, expires_at=utc(2026, 2))
    ledger.spend("ann", 4)
    ledger.at(utc(2026, 3))
    revoked = revoke(ledger, granted)
    assert (revoked["taken"], revoked["debt_added"], revoked["balance_after"]) == (0, 4, -4)
    assert [entry["type"] for entry in ledger.entries("ann")][-2:] == ["expiry", "revocation"]


def test_a_refund_of_a_charge_from_a_revoked_grant_lowers_the_debt(ledger: Ledger) -> None:
    granted = ledger.grant("ann", 10)
    charge = ledger.spend("ann", 4)
    revoke(ledger, granted)
    assert ledger.amounts("ann") == (-4, 0, 0, 4)
    ledger.refund(charge, amount=3)
    assert ledger.amounts("ann") == (-1, 0, 0, 1)
    ledger.refund(charge)
    assert ledger.amounts("ann") == (0, 0, 0, 0)


def test_what_a_revoked_grant_paid_of_a_debt_is_owed_again(ledger: Ledger) -> None:
    ledger.publish(min_balance=-10)
    ledger.spend("ann", 10)
    granted = ledger.grant("ann", 15)
    assert ledger.amounts("ann") == (5, 0, 0, 0)
    revoked = revoke(ledger, granted)
    assert (revoked["taken"], revoked["debt_added"]) == (5, 10)
    assert ledger.amounts("ann") == (-10, 0, 0, 10)


def test_what_an_adjustment_took_of_a_grant_is_not_owed(ledger: Ledger) -> None:
    granted = ledger.grant("ann", 10)
    ledger.grant("ann", -3)
    ledger.spend("ann", 2)
    revoked = revoke(ledger, granted)
    assert (revoked["taken"], revoked["debt_added"]) == (5, 2)


def test_what_was_refunded_to_a_grant_is_not_owed(ledger: Ledger) -> None:
    granted = ledger.grant("ann", 10)
    ledger.refund(ledger.spend("ann", 6), amount=D(4))
    revoked = revoke(ledger, granted)
    assert (revoked["taken"], revoked["debt_added"]) == (8, 2)


def test_a_charge_has_nothing_to_revoke(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    charge = ledger.spend("ann", 5)
    taken = ledger.grant("ann", -1)
    for entry, type_ in ((charge, "usage"), (taken, "adjustment")):
        detail = ledger.refused("DU021", "revoke_grant", transaction_id=entry["transaction_id"])
        assert detail["type"] == type_


def test_an_unknown_grant_is_not_found(ledger: Ledger) -> None:
    ledger.refused("DU008", "revoke_grant", transaction_id=-1)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("idempotency_key", ""),
        ("idempotency_key", "k" * 256),
        ("metadata", Json("[]")),
        ("reason", "x" * 70_000),
    ],
)
def test_a_bad_argument_is_refused_by_name(ledger: Ledger, argument: str, value: Any) -> None:
    granted = ledger.grant("ann", 10)
    detail = ledger.refused(
        "DU017", "revoke_grant", transaction_id=granted["transaction_id"], **{argument: value}
    )
    assert detail["argument"] == f"p_{argument}"


def test_a_bonus_that_came_with_the_account_can_be_revoked(ledger: Ledger) -> None:
    ledger.at(utc(2026))
    ledger.publish(signup_bonus=5)
    ledger.spend("ann", 2)
    bonus = ledger.entries("ann")[0]
    assert revoke(ledger, bonus)["debt_added"] == 2
    ledger.at(utc(2026) + timedelta(days=1))
    ledger.refused("DU002", "deduct_amount", user_id="ann", amount=1)
