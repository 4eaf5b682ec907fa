"""Which lots a charge draws on, and in which order."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest

from tests.support.ledger import Ledger, utc


def drawn(ledger: Ledger, amount: int | str) -> list[tuple[str, Any]]:
    """What a charge draws: the names (metadata) of the lots and how much of each."""
    charge = ledger.spend("ann", amount)
    allocations = ledger.entries("ann")[-1]["allocations"]
    assert sum(-item["amount"] for item in allocations) == charge["cost"]
    return [
        (
            ledger.value(
                "select coalesce((select t.metadata ->> 'name' from ducto.credit_transactions t"
                " where t.id = l.transaction_id), l.kind) from ducto.credit_lots l"
                " where l.lot_id = %s",
                item["lot"],
            ),
            -item["amount"],
        )
        for item in allocations
    ]


def lot(ledger: Ledger, name: str, amount: int = 10, **arguments: Any) -> None:
    ledger.grant("ann", amount, metadata={"name": name}, **{"type": "purchase", **arguments})


@pytest.fixture(autouse=True)
def start(ledger: Ledger) -> None:
    ledger.at(utc(2026))


def test_the_oldest_first_when_nothing_else_decides(ledger: Ledger) -> None:
    for day, name in enumerate(["first", "second", "third"], start=1):
        ledger.at(utc(2026, 1, day))
        lot(ledger, name)
    assert drawn(ledger, 25) == [("first", 10), ("second", 10), ("third", 5)]
    assert drawn(ledger, 5) == [("third", 5)]


def test_lots_of_one_instant_go_in_the_order_they_were_granted(ledger: Ledger) -> None:
    for name in ("a", "b", "c"):
        lot(ledger, name, 1)
    assert drawn(ledger, 3) == [("a", 1), ("b", 1), ("c", 1)]


def test_promotional_before_paid(ledger: Ledger) -> None:
    lot(ledger, "paid")
    lot(ledger, "gift", type="promo")
    assert drawn(ledger, 15) == [("gift", 10), ("paid", 5)]


def test_soonest_expiry_before_category(ledger: Ledger) -> None:
    lot(ledger, "gift", type="promo", expires_at=utc(2026, 6))
    lot(ledger, "paid", expires_at=utc(2026, 3))
    assert drawn(ledger, 15) == [("paid", 10), ("gift", 5)]


def test_never_expiring_last(ledger: Ledger) -> None:
    lot(ledger, "for ever", type="promo")
    lot(ledger, "a century", expires_at=utc(2126))
    assert drawn(ledger, 15) == [("a century", 10), ("for ever", 5)]


def test_priority_before_expiry(ledger: Ledger) -> None:
    lot(ledger, "soon", expires_at=utc(2026, 2))
    lot(ledger, "urgent", priority=1)
    lot(ledger, "reserve", priority=101, type="promo", expires_at=utc(2026, 1, 2))
    assert drawn(ledger, 25) == [("urgent", 10), ("soon", 10), ("reserve", 5)]


def test_negative_priorities_are_allowed(ledger: Ledger) -> None:
    lot(ledger, "normal")
    lot(ledger, "first", priority=-5)
    assert drawn(ledger, 1) == [("first", 1)]


def test_the_allowance_before_everything(ledger: Ledger) -> None:
    ledger.publish(plans=[{"id": "pro", "free_allowance": 5, "default": True}])
    lot(ledger, "urgent", priority=-1000, expires_at=utc(2026, 1, 2))
    assert drawn(ledger, 7) == [("allowance", 5), ("urgent", 2)]


def test_a_lapsed_lot_is_not_drawn_on(ledger: Ledger) -> None:
    lot(ledger, "short", expires_at=utc(2026, 1, 2))
    lot(ledger, "long")
    ledger.at(utc(2026, 1, 2))
    assert drawn(ledger, 5) == [("long", 5)]


def test_one_charge_can_draw_on_many_lots(ledger: Ledger) -> None:
    for number in range(40):
        lot(ledger, str(number), 1)
    assert drawn(ledger, "39.5") == [(str(n), 1) for n in range(39)] + [("39", D("0.5"))]


def test_a_hold_and_a_quote_draw_in_the_same_order(ledger: Ledger) -> None:
    ledger.publish(models={"m": "input_tokens"})
    lot(ledger, "paid")
    lot(ledger, "gift", type="promo")
    quote = ledger.call("quote", user_id="ann", metrics={"model": "m", "input_tokens": 15})
    hold = ledger.hold("ann", 15)
    ledger.settle(hold)
    assert ledger.entries("ann")[-1]["allocations"] == quote["allocations"]
