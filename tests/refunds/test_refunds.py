"""Refunds: from the ledger, to the payer, into the lots the charge came from, never above it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from tests.support.ledger import Json, Ledger, utc

START = utc(2026, 1, 10)


@pytest.fixture(autouse=True)
def start(ledger: Ledger) -> None:
    ledger.at(START)


def remaining(ledger: Ledger) -> list[Any]:
    return [lot["remaining"] for lot in ledger.lots("ann")]


def test_a_full_refund_gives_everything_back(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    charge = ledger.spend("ann", 7)
    refund = ledger.refund(charge, reason="slow", metadata={"ticket": 5})
    assert refund.pop("transaction_id") == ledger.entries("ann")[-1]["transaction_id"]
    assert refund == {
        "refunded_transaction_id": charge["transaction_id"],
        "user_id": "ann",
        "amount": 7,
        "allowance_restored": 0,
        "balance_after": 10,
        "replayed": False,
    }
    entry = ledger.entries("ann")[-1]
    assert (entry["type"], entry["amount"], entry["reference_id"]) == (
        "refund",
        7,
        charge["transaction_id"],
    )
    assert entry["metadata"] == {"reason": "slow", "ticket": 5}
    assert ledger.amounts("ann") == (10, 0, 0, 0)


def test_a_refund_goes_to_the_lots_it_came_from_the_last_first(ledger: Ledger) -> None:
    ledger.grant("ann", 5, priority=1)
    ledger.grant("ann", 5, priority=2)
    ledger.grant("ann", 5, priority=3)
    charge = ledger.spend("ann", 12)
    assert remaining(ledger) == [0, 0, 3]
    ledger.refund(charge, amount=3)
    assert remaining(ledger) == [0, 1, 5]
    ledger.refund(charge, amount=D("4.5"))
    assert remaining(ledger) == [D("0.5"), 5, 5]
    ledger.refund(charge)
    assert remaining(ledger) == [5, 5, 5]


def test_partial_refunds_never_exceed_the_charge(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    charge = ledger.spend("ann", 7)
    ledger.refund(charge, amount=4)
    detail = ledger.refused("DU009", "refund", transaction_id=charge["transaction_id"], amount=4)
    assert detail == {
        "code": "DU009",
        "error": "refund_exceeds_charge",
        "transaction_id": charge["transaction_id"],
        "cost": 7,
        "refunded": 4,
        "refundable": 3,
        "requested": 4,
        "message": detail["message"],
    }
    assert ledger.refund(charge)["amount"] == 3
    detail = ledger.refused("DU009", "refund", transaction_id=charge["transaction_id"])
    assert detail["refundable"] == 0


def test_many_small_refunds_add_up_exactly(ledger: Ledger) -> None:
    ledger.grant("ann", 1)
    charge = ledger.spend("ann", 1)
    for _ in range(3):
        ledger.refund(charge, amount=D("0.333333333333"))
    assert ledger.refund(charge)["amount"] == D("0.000000000001")
    assert ledger.amounts("ann") == (1, 0, 0, 0)


def test_the_amount_is_the_ledgers_whatever_the_price_is_now(ledger: Ledger) -> None:
    ledger.publish()
    ledger.grant("ann", 10)
    charge = ledger.use("ann", {"model": "gpt-4", "input_tokens": 100})
    ledger.publish(models={"gpt-4": "1000"})
    assert ledger.refund(charge)["amount"] == 3


def test_a_settled_hold_a_fixed_job_and_a_batch_item_can_be_refunded(ledger: Ledger) -> None:
    ledger.publish(fixed={"job": 2})
    ledger.grant("ann", 10)
    charges = [
        ledger.settle(ledger.hold("ann", 3)),
        ledger.call("deduct_fixed", user_id="ann", job_name="job"),
        *ledger.call("deduct_batch", charges=[{"user_id": "ann", "amount": 1}]),
    ]
    assert [ledger.refund(charge)["amount"] for charge in charges] == [3, 2, 1]
    assert ledger.amounts("ann") == (10, 0, 0, 0)


# --- the allowance part ---------------------------------------------------------------------------


def on_a_plan(ledger: Ledger, **more: Any) -> None:
    ledger.publish(plans=[{"id": "p", "default": True, "free_allowance": 5, **more}])


def test_the_allowance_part_goes_back_to_the_allowance(ledger: Ledger) -> None:
    on_a_plan(ledger)
    ledger.grant("ann", 10)
    charge = ledger.spend("ann", 8)
    refund = ledger.refund(charge)
    assert (refund["amount"], refund["allowance_restored"], refund["balance_after"]) == (3, 5, 10)
    assert ledger.amounts("ann") == (10, 5, 0, 0)
    entry = ledger.entries("ann")[-1]
    assert (entry["amount"], entry["allowance_consumed"]) == (3, -5)


def test_a_partial_refund_gives_the_balance_part_back_first(ledger: Ledger) -> None:
    on_a_plan(ledger)
    ledger.grant("ann", 10)
    charge = ledger.spend("ann", 8)
    refund = ledger.refund(charge, amount=4)
    assert (refund["amount"], refund["allowance_restored"]) == (3, 1)
    refund = ledger.refund(charge)
    assert (refund["amount"], refund["allowance_restored"]) == (0, 4)


def test_an_allowance_that_has_lapsed_comes_back_with_the_life_it_had_left(ledger: Ledger) -> None:
    on_a_plan(ledger)
    ledger.at(utc(2026, 1, 29))
    charge = ledger.spend("ann", 5)
    ledger.at(utc(2026, 2, 2))
    assert ledger.amounts("ann") == (0, 5, 0, 0)
    assert ledger.refund(charge)["allowance_restored"] == 5
    assert ledger.amounts("ann") == (0, 10, 0, 0)
    ledger.at(utc(2026, 2, 4, 23, 59))
    assert ledger.amounts("ann") == (0, 10, 0, 0)
    ledger.at(utc(2026, 2, 5))
    assert ledger.amounts("ann") == (0, 5, 0, 0)


def test_an_allowance_given_back_does_not_reduce_the_next_grant(ledger: Ledger) -> None:
    on_a_plan(ledger)
    ledger.at(utc(2026, 1, 1))
    charge = ledger.spend("ann", 5)
    ledger.at(utc(2026, 1, 31))
    ledger.spend("ann", 0)
    ledger.at(utc(2026, 2, 1))
    ledger.refund(charge)
    assert ledger.amounts("ann") == (0, 10, 0, 0)
    ledger.at(utc(2026, 3, 2))
    assert ledger.amounts("ann") == (0, 10, 0, 0)
    ledger.at(utc(2026, 3, 4))
    assert ledger.amounts("ann") == (0, 5, 0, 0)


# --- lots whose life is over ----------------------------------------------------------------------


def test_an_expired_lots_credits_come_back_with_the_life_they_had_left(ledger: Ledger) -> None:
    ledger.grant("ann", 10, type="promo", priority=7, expires_at=START + timedelta(days=10))
    ledger.at(START + timedelta(days=4))
    charge = ledger.spend("ann", 6)
    ledger.at(START + timedelta(days=20))
    refund = ledger.refund(charge)
    assert (refund["amount"], refund["balance_after"]) == (6, 6)
    (_, lot) = ledger.lots("ann")
    assert (lot["kind"], lot["category"], lot["priority"]) == ("refund", "promotional", 7)
    assert (lot["amount"], lot["remaining"]) == (6, 6)
    assert lot["expires_at"] == START + timedelta(days=26)
    assert [entry["type"] for entry in ledger.entries("ann")] == [
        "promo",
        "usage",
        "expiry",
        "refund",
    ]


def test_a_refund_into_an_expired_lot_can_be_spent_and_refunded_again(ledger: Ledger) -> None:
    ledger.grant("ann", 10, expires_at=START + timedelta(days=10))
    charge = ledger.spend("ann", 10)
    ledger.at(START + timedelta(days=20))
    ledger.refund(charge)
    second = ledger.spend("ann", 10)
    assert ledger.refund(second)["balance_after"] == 10
    found = ledger.balance("ann")
    assert (found["lifetime_granted"], found["lifetime_spent"]) == (10, 0)


def test_a_refund_just_before_expiry_goes_back_to_the_lot(ledger: Ledger) -> None:
    ledger.grant("ann", 10, expires_at=START + timedelta(days=10))
    charge = ledger.spend("ann", 10)
    ledger.at(START + timedelta(days=10) - timedelta(microseconds=1))
    ledger.refund(charge)
    assert remaining(ledger) == [10]


# --- debt -----------------------------------------------------------------------------------------


def test_the_debt_part_lowers_the_debt(ledger: Ledger) -> None:
    ledger.publish(min_balance=-100)
    ledger.grant("ann", 10)
    charge = ledger.spend("ann", 25)
    assert ledger.amounts("ann") == (-15, 0, 0, 15)
    ledger.refund(charge, amount=5)
    assert ledger.amounts("ann") == (-10, 0, 0, 10)
    ledger.refund(charge)
    assert ledger.amounts("ann") == (10, 0, 0, 0)
    assert remaining(ledger) == [10]


def test_debt_that_has_been_paid_comes_back_as_a_lot(ledger: Ledger) -> None:
    ledger.publish(min_balance=-100)
    charge = ledger.spend("ann", 15)
    ledger.grant("ann", 20)
    assert ledger.amounts("ann") == (5, 0, 0, 0)
    ledger.refund(charge)
    assert ledger.amounts("ann") == (20, 0, 0, 0)
    lot = ledger.lots("ann")[-1]
    assert (lot["kind"], lot["category"], lot["remaining"], lot["expires_at"]) == (
        "refund",
        "paid",
        15,
        None,
    )
    assert ledger.balance("ann")["lifetime_spent"] == 0


def test_debt_that_has_been_paid_in_part_comes_back_in_part(ledger: Ledger) -> None:
    ledger.publish(min_balance=-100)
    charge = ledger.spend("ann", 15)
    ledger.grant("ann", 9)
    ledger.refund(charge)
    assert ledger.amounts("ann") == (9, 0, 0, 0)


# --- keys, payers, what cannot be refunded --------------------------------------------------------


def test_a_key_refunds_once(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    charge = ledger.spend("ann", 7)
    first = ledger.refund(charge, amount=2, idempotency_key="k")
    assert ledger.refund(charge, amount=2, idempotency_key="k") == {**first, "replayed": True}
    assert ledger.amounts("ann") == (5, 0, 0, 0)


def test_a_full_refund_with_a_key_replays(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    charge = ledger.spend("ann", 7)
    first = ledger.refund(charge, idempotency_key="k")
    assert ledger.refund(charge, idempotency_key="k") == {**first, "replayed": True}


def test_a_refused_refund_does_not_burn_its_key(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    charge = ledger.spend("ann", 7)
    ledger.refused(
        "DU009",
        "refund",
        transaction_id=charge["transaction_id"],
        amount=8,
        idempotency_key="k",
    )
    assert ledger.refund(charge, amount=7, idempotency_key="k")["replayed"] is False


def test_only_charges_can_be_refunded(ledger: Ledger) -> None:
    granted = ledger.grant("ann", 10)
    refund = ledger.refund(ledger.spend("ann", 5))
    for entry, type_ in ((granted, "adjustment"), (refund, "refund")):
        detail = ledger.refused("DU021", "refund", transaction_id=entry["transaction_id"])
        assert (detail["transaction_id"], detail["type"]) == (entry["transaction_id"], type_)


def test_a_charge_that_cost_nothing_has_nothing_to_refund(ledger: Ledger) -> None:
    charge = ledger.spend("ann", 0)
    detail = ledger.refused("DU009", "refund", transaction_id=charge["transaction_id"])
    assert detail["refundable"] == 0


@pytest.mark.parametrize("transaction_id", [0, -1, 10**12, None])
def test_an_unknown_charge_is_not_found(ledger: Ledger, transaction_id: int | None) -> None:
    detail = ledger.refused("DU008", "refund", transaction_id=transaction_id)
    assert detail["transaction_id"] == transaction_id


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("amount", D(0)),
        ("amount", D(-1)),
        ("amount", D("NaN")),
        ("amount", "Infinity"),
        ("amount", D("0.0000000000001")),
        ("idempotency_key", ""),
        ("idempotency_key", "k" * 256),
        ("metadata", Json("[]")),
        ("reason", "x" * 70_000),
    ],
)
def test_a_bad_argument_is_refused_by_name(ledger: Ledger, argument: str, value: Any) -> None:
    ledger.grant("ann", 10)
    charge = ledger.spend("ann", 5)
    detail = ledger.refused(
        "DU017", "refund", transaction_id=charge["transaction_id"], **{argument: value}
    )
    assert detail["argument"] == f"p_{argument}"


def test_a_refund_keeps_the_model_for_analytics(ledger: Ledger) -> None:
    ledger.publish()
    ledger.grant("ann", 10)
    ledger.refund(ledger.use("ann", {"model": "gpt-4", "input_tokens": 100}))
    assert ledger.entries("ann")[-1]["model"] == "gpt-4"


def test_a_used_lot_that_lives_again_lapses_when_it_should(ledger: Ledger) -> None:
    ledger.grant("ann", 10, expires_at=utc(2026, 2, 1))
    ledger.grant("ann", 5, expires_at=utc(2026, 1, 20))
    charge = ledger.spend("ann", 5)
    ledger.at(utc(2026, 1, 15))
    ledger.refund(charge)
    ledger.at(utc(2026, 1, 25))
    assert ledger.amounts("ann")[0] == 10
