"""Results read what a server sends, over SQL (native types) and over HTTP (text)."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from ducto_pg import DatabaseError
from ducto_pg.client.results import Balance, Charge, Grant, Hold, Plan, Transaction

ROW = {
    "transaction_id": 7,
    "type": "usage",
    "amount": Decimal("-1.5"),
    "balance_after": 10,
    "created_at": datetime(2026, 5, 1, tzinfo=UTC),
}


def test_money_is_decimal_however_it_was_written() -> None:
    balance = Balance.parse({"user_id": "u", "balance": 5, "held": Decimal("0.5"), "debt": "2"})
    assert (balance.balance, balance.held, balance.debt) == (Decimal(5), Decimal("0.5"), Decimal(2))
    assert all(type(v) is Decimal for v in (balance.balance, balance.held, balance.debt))


def test_a_float_is_never_accepted_as_money() -> None:
    with pytest.raises(DatabaseError, match="not an exact amount"):
        Balance.parse({"user_id": "u", "balance": 0.1})


def test_times_and_ids_are_read_from_text_too() -> None:
    hold = Hold.parse(
        {
            "reservation_id": "6f3c1a52-64c4-4f0f-9d0f-2a1f7b7f0c11",
            "expires_at": "2026-05-01T12:00:00.123456+00:00",
        }
    )
    assert hold.reservation_id == UUID("6f3c1a52-64c4-4f0f-9d0f-2a1f7b7f0c11")
    assert hold.expires_at == datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
    same = Transaction.parse({**ROW, "created_at": "2026-05-01T00:00:00+00:00"})
    assert same == Transaction.parse(ROW)


def test_what_the_server_adds_stays_reachable() -> None:
    grant = Grant.parse(
        {"transaction_id": 1, "user_id": "u", "amount": 5, "balance_after": 5, "colour": "blue"}
    )
    assert grant.raw["colour"] == "blue"
    assert grant.lot_id is None


def test_an_answer_without_a_needed_field_says_which() -> None:
    with pytest.raises(DatabaseError, match="no transaction_id"):
        Grant.parse({"user_id": "u", "amount": 5, "balance_after": 5})


def test_null_becomes_none_or_empty() -> None:
    plan = Plan.parse({"plan_key": "pro", "name": None, "features": None})
    assert plan.name is None
    assert plan.features == {}
    assert Charge.parse({"status": "ok", "warnings": None}).warnings == ()


def test_results_are_frozen() -> None:
    transaction = Transaction.parse(ROW)
    with pytest.raises(FrozenInstanceError):
        transaction.amount = Decimal(0)  # type: ignore[misc]
