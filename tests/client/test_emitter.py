"""An emitter is told of each call that did something, once, by the sync and the async manager."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from ducto_pg import (
    AsyncCreditManager,
    AsyncPostgresStore,
    CreditManager,
    InsufficientCreditsError,
    PostgresStore,
)
from tests.conftest import MakeDb
from tests.support.databases import Connection

PRICING = {
    "models": {"m": "input_tokens"},
    "plans": [{"id": "pro", "free_allowance": 1}],
}


class Listener:
    def __init__(self) -> None:
        self.heard: list[tuple[str, Mapping[str, Any]]] = []

    def emit(self, event_type: str, data: Mapping[str, Any]) -> None:
        self.heard.append((event_type, data))

    def types(self) -> list[str]:
        """What was heard since the last look, without the common prefix."""
        found = [event_type.removeprefix("credits.") for event_type, _ in self.heard]
        self.heard.clear()
        return found


class AsyncListener(Listener):
    async def emit(self, event_type: str, data: Mapping[str, Any]) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        super().emit(event_type, data)


def test_each_call_that_did_something_is_told_of(db_portable: Connection) -> None:
    listener = Listener()
    manager = CreditManager(PostgresStore(db_portable), emitter=listener)
    manager.publish_pricing(PRICING)
    assert listener.types() == []
    manager.add_credits("ann", 10, idempotency_key="order")
    manager.add_credits("ann", 10, idempotency_key="order")
    assert listener.types() == ["added"]
    charge = manager.deduct("ann", {"model": "m", "input_tokens": 3}, idempotency_key="k")
    manager.deduct("ann", {"model": "m", "input_tokens": 3}, idempotency_key="k")
    assert listener.heard[0][1]["transaction_id"] == charge.transaction_id
    assert listener.types() == ["deducted"]
    assert charge.transaction_id is not None
    manager.refund_credits(charge.transaction_id, 1, idempotency_key="back")
    manager.refund_credits(charge.transaction_id, 1, idempotency_key="back")
    assert listener.types() == ["refunded"]
    with manager.billed("ann", 2) as bill:
        bill.settle(amount=1)
    with manager.billed("ann", 2):
        pass
    assert listener.types() == ["reserved", "deducted", "reserved", "reservation_released"]
    manager.set_user_plan("ann", "pro")
    assert listener.types() == ["plan_changed"]


def test_a_denial_is_told_of_and_raised(db_portable: Connection) -> None:
    listener = Listener()
    manager = CreditManager(PostgresStore(db_portable), emitter=listener)
    with pytest.raises(InsufficientCreditsError):
        manager.deduct_amount("ann", 5)
    assert listener.heard[0][1]["required"] == Decimal(5)
    assert listener.types() == ["deduct_failed"]
    manager.add_credits("ann", 100)
    manager.set_spend_cap("ann", "daily", 3, action="warn")
    manager.set_spend_cap("ann", "weekly", 8)
    results = manager.deduct_batch(
        [
            {"user_id": "ann", "amount": 5},
            {"user_id": "ann", "amount": 5},
            {"user_id": "ann", "metrics": {"model": 7}},
        ]
    )
    assert [result.status for result in results] == ["ok", "denied", "error"]
    assert listener.types() == ["added", "deducted", "cap_warning", "cap_reached", "deduct_failed"]


class Broken:
    def emit(self, event_type: str, data: Mapping[str, Any]) -> None:
        raise RuntimeError("nobody listens")


def test_what_was_done_stays_done_when_the_emitter_fails(
    db_portable: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    manager = CreditManager(PostgresStore(db_portable), emitter=Broken())
    assert manager.add_credits("ann", 5).balance_after == 5
    assert "the emitter failed on credits.added" in caplog.text


@pytest.mark.parametrize("kind", [Listener, AsyncListener])
def test_the_asynchronous_manager_tells_both_kinds_of_emitter(
    make_db: MakeDb, kind: type[Listener]
) -> None:
    async def work() -> list[str]:
        listener = kind()
        async with AsyncPostgresStore(make_db("portable")) as store:
            manager = AsyncCreditManager(store, emitter=listener)
            await manager.add_credits("ann", 5)
            async with manager.billed("ann", 2) as bill:
                bill.settle(amount=1)
        return listener.types()

    assert asyncio.run(work()) == ["added", "reserved", "deducted"]
