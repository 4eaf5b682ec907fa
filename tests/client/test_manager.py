"""The manager over a store that records its calls: arguments, denials, holds, and both worlds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from ducto_pg.client.async_manager import AsyncCreditManager
from ducto_pg.client.manager import CreditManager
from ducto_pg.errors import (
    CapReachedError,
    InsufficientCreditsError,
    InvalidArgumentError,
)
from tools.asyncify import SOURCE, TARGET, generate

HOLD = "6f3c1a52-64c4-4f0f-9d0f-2a1f7b7f0c11"
CHARGED = {
    "status": "ok",
    "transaction_id": 7,
    "user_id": "ann",
    "cost": 1,
    "amount": 1,
    "balance_after": 4,
    "available_after": 4,
    "breakdown": {"model": 1, "total": 1},
}
DENIED = {
    "status": "denied",
    "code": "DU002",
    "error": "insufficient_credits",
    "message": "ann has 1 credits available and needs 5.",
    "hint": "Add credits.",
    "available": Decimal(1),
    "required": Decimal(5),
}


class Recorder:
    """A store that answers from a table and remembers what it was asked."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def call(self, function: str, /, **params: Any) -> Any:
        self.calls.append((function, params))
        answer = self.answers[function]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def rows(self, function: str, /, **params: Any) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.call(function, **params)
        return rows


class AsyncRecorder:
    def __init__(self, answers: dict[str, Any]) -> None:
        self.inner = Recorder(answers)

    async def call(self, function: str, /, **params: Any) -> Any:
        return self.inner.call(function, **params)

    async def rows(self, function: str, /, **params: Any) -> list[dict[str, Any]]:
        return self.inner.rows(function, **params)


def test_only_given_arguments_are_sent_so_the_database_keeps_its_defaults() -> None:
    store = Recorder({"ducto_deduct": CHARGED})
    CreditManager(store).deduct("ann", {"model": "m"}, idempotency_key="k")
    assert store.calls == [
        (
            "ducto_deduct",
            {
                "p_user_id": "ann",
                "p_metrics": {"model": "m"},
                "p_idempotency_key": "k",
                "p_raise": False,
            },
        )
    ]


def test_a_denied_charge_is_raised_here_with_its_facts() -> None:
    manager = CreditManager(Recorder({"ducto_deduct": DENIED}))
    with pytest.raises(InsufficientCreditsError, match="ann has 1 credits") as caught:
        manager.deduct("ann", {"model": "m"})
    assert caught.value.detail["required"] == Decimal(5)
    assert caught.value.hint == "Add credits."


def test_a_batch_returns_denials_in_their_places() -> None:
    answer = [{"status": "ok", "cost": 1}, DENIED, {"status": "ok", "replayed": True}]
    results = CreditManager(Recorder({"ducto_deduct_batch": answer})).deduct_batch([{}, {}, {}])
    assert [(r.ok, r.code, r.replayed) for r in results] == [
        (True, None, False),
        (False, "DU002", False),
        (True, None, True),
    ]


def test_an_empty_batch_does_not_call() -> None:
    assert CreditManager(Recorder({})).deduct_batch([]) == []


@pytest.mark.parametrize("amount", [0.1, True, None, "ten"])
def test_an_amount_is_exact_or_refused(amount: Any) -> None:
    manager = CreditManager(Recorder({}))
    if amount is None:
        amount = object()
    with pytest.raises(InvalidArgumentError):
        manager.deduct_amount("ann", amount)


@pytest.mark.parametrize("amount", [Decimal("0.10"), "0.10"])
def test_an_amount_keeps_its_digits(amount: Any) -> None:
    store = Recorder({"ducto_deduct_amount": CHARGED})
    CreditManager(store).deduct_amount("ann", amount)
    assert str(store.calls[0][1]["p_amount"]) == "0.10"


def test_a_pricing_is_sent_as_it_is() -> None:
    config = {"models": {"m": "input_tokens * 2"}}
    store = Recorder({"ducto_pricing_set": {"version": 1}})
    CreditManager(store).publish_pricing(config)
    assert store.calls == [("ducto_pricing_set", {"p_config": config})]


HOLD_ANSWERS: dict[str, Any] = {
    "ducto_reserve": {"reservation_id": HOLD, "amount": 5, "user_id": "ann"},
    "ducto_settle": {**CHARGED, "cost": 3, "amount": 3},
    "ducto_release": {"reservation_id": HOLD},
}


def test_a_hold_is_settled_when_its_block_ends() -> None:
    store = Recorder(HOLD_ANSWERS)
    with CreditManager(store).billed("ann", 5, ttl_seconds=60) as bill:
        bill.settle({"model": "m", "input_tokens": 3}, metadata={"k": 1})
        assert [name for name, _ in store.calls] == ["ducto_reserve"]
    assert bill.charge is not None
    assert bill.charge.cost == 3
    assert store.calls[-1] == (
        "ducto_settle",
        {
            "p_reservation_id": UUID(HOLD),
            "p_metrics": {"model": "m", "input_tokens": 3},
            "p_metadata": {"k": 1},
            "p_raise": False,
        },
    )


def test_a_hold_is_released_when_nothing_was_used_or_the_block_failed() -> None:
    store = Recorder(HOLD_ANSWERS)
    with CreditManager(store).billed("ann", 5):
        pass
    assert [name for name, _ in store.calls] == ["ducto_reserve", "ducto_release"]

    store = Recorder(HOLD_ANSWERS)
    with pytest.raises(ZeroDivisionError), CreditManager(store).billed("ann", 5) as bill:
        bill.settle(amount=3)
        raise ZeroDivisionError
    assert [name for name, _ in store.calls] == ["ducto_reserve", "ducto_release"]


def test_a_hold_that_cannot_be_released_does_not_hide_the_failure() -> None:
    store = Recorder({**HOLD_ANSWERS, "ducto_release": RuntimeError("gone")})
    with pytest.raises(ZeroDivisionError) as caught, CreditManager(store).billed("ann", 5):
        raise ZeroDivisionError
    assert caught.value.__notes__ == [f"The hold {HOLD} was not released: gone"]


def test_a_denied_hold_is_raised() -> None:
    denied = {"status": "denied", "code": "DU001", "message": "reached"}
    manager = CreditManager(Recorder({"ducto_reserve": denied}))
    with pytest.raises(CapReachedError), manager.billed("ann", 5):
        pytest.fail("the block must not run")


def test_the_asynchronous_manager_makes_the_same_calls() -> None:
    async def work(manager: AsyncCreditManager) -> None:
        with pytest.raises(InsufficientCreditsError):
            await manager.deduct("ann", {"model": "m"})
        async with manager.billed("ann", 5) as bill:
            bill.settle(amount="3")
        await manager.publish_pricing({"models": {"m": 1}}, label="x")
        assert [lot.lot_id for lot in await manager.list_lots("ann")] == [4]

    answers = {
        **HOLD_ANSWERS,
        "ducto_deduct": DENIED,
        "ducto_pricing_set": {"version": 1},
        "ducto_list_lots": [{"lot_id": 4, "kind": "promo", "amount": 5, "remaining": 5}],
    }
    store = AsyncRecorder(answers)
    asyncio.run(work(AsyncCreditManager(store)))
    assert [name for name, _ in store.inner.calls] == [
        "ducto_deduct",
        "ducto_reserve",
        "ducto_settle",
        "ducto_pricing_set",
        "ducto_list_lots",
    ]
    settled = store.inner.calls[2][1]
    assert settled["p_amount"] == Decimal(3)


def test_the_asynchronous_manager_is_generated_from_this_one() -> None:
    assert TARGET.read_text() == generate(SOURCE.read_text()), "run: python tools/asyncify.py"


def test_both_managers_have_the_same_methods() -> None:
    def methods(kind: type) -> dict[str, Callable[..., Any]]:
        return {name: item for name, item in vars(kind).items() if not name.startswith("_")}

    assert methods(CreditManager).keys() == methods(AsyncCreditManager).keys()


def test_a_time_is_sent_as_it_is_and_without_a_zone_is_utc() -> None:
    store = Recorder(
        {
            "ducto_add_credits": {
                "transaction_id": 1,
                "user_id": "a",
                "amount": 1,
                "balance_after": 1,
                "replayed": False,
            }
        }
    )
    until = datetime(2026, 12, 31, tzinfo=UTC)
    CreditManager(store).add_credits("a", 1, tx_type="promo", expires_at=until, priority=5)
    assert store.calls[0][1]["p_expires_at"] == until
    CreditManager(store).add_credits("a", 1, expires_at=datetime(2026, 12, 31))
    assert store.calls[1][1]["p_expires_at"] == until
