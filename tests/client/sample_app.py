"""A chat service as an application would write it: what type checkers see of the package.

`make types` checks it in strict mode, and a test runs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, assert_type
from uuid import UUID, uuid4

import psycopg

from ducto_pg import (
    AsyncCreditManager,
    AsyncPostgresStore,
    Balance,
    CapReachedError,
    Charge,
    CreditManager,
    DuctoError,
    InsufficientCreditsError,
    PlanConfig,
    PostgresStore,
    PricingConfig,
    PricingEngine,
    PricingVersion,
    Refund,
    SpendCap,
    SweepResult,
    ToolCall,
    UsageMetrics,
    usage_from,
)

PRICING = PricingConfig(
    models={"gpt-4o": "input_tokens * 0.0025 + output_tokens * 0.01"},
    tools={"web_search": "tool_calls * 2"},
    plans=[PlanConfig(id="pro", free_allowance=Decimal("0.5"), features=["export"])],
)


@dataclass(frozen=True)
class Reply:
    """What the service answers."""

    status: int
    text: str
    cost: Decimal = Decimal(0)


class Chat:
    """Charges each message in the transaction that stores it."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self.credits = CreditManager(PostgresStore(connection))

    def set_up(self) -> PricingEngine:
        """Publish the prices."""
        version = self.credits.publish_pricing(PRICING, label="sample")
        assert_type(version, PricingVersion)
        self.connection.execute("create table messages (id uuid primary key, text text)")
        return self.credits.load_pricing_from_store()

    def join(self, user_id: UUID) -> Balance:
        """A new user: a plan, a gift, a limit."""
        self.credits.set_user_plan(user_id, "pro")
        until = datetime.now(UTC) + timedelta(days=30)
        self.credits.add_credits(user_id, 5, "promo", expires_at=until, idempotency_key="welcome")
        cap = SpendCap(user_id=user_id, cap_type="daily", limit=4)
        assert_type(self.credits.set_spend_cap(cap), SpendCap)
        return self.credits.get_balance(user_id)

    def say(self, user_id: UUID, text: str, tokens: int) -> Reply:
        """One message; nothing of it is stored when it cannot be paid."""
        message_id = uuid4()
        usage = UsageMetrics(
            model="gpt-4o", input_tokens=tokens, tool_calls=[ToolCall(name="web_search")]
        )
        try:
            with self.connection.transaction():
                self.connection.execute("insert into messages values (%s, %s)", [message_id, text])
                charge = self.credits.deduct(user_id, usage, idempotency_key=message_id)
        except InsufficientCreditsError as error:
            return Reply(error.http_status, f"Please top up: {error.detail['required']} needed.")
        except CapReachedError as error:
            return Reply(error.http_status, f"Enough for today: {error.detail['limit']}.")
        except DuctoError as error:
            return Reply(error.http_status, error.message)
        assert_type(charge, Charge)
        return Reply(200, "ok", charge.cost)

    def undo(self, user_id: UUID) -> Refund:
        """Refund the newest charge."""
        for entry in self.credits.list_transactions(user_id, tx_type="usage"):
            return self.credits.refund_credits(entry.transaction_id, reason="wrong answer")
        raise LookupError("nothing to undo")

    def retract(self, charge: Charge) -> Decimal:
        """Give one charge back; what the balance is then, above what it was after the charge."""
        refund = self.credits.refund_credits(charge.transaction_id)
        return refund.balance_after - charge.balance_after

    def clean_up(self) -> SweepResult:
        """The nightly job."""
        return self.credits.sweep_expired_credits()


async def stream(dsn: str, user_id: UUID, response: dict[str, Any]) -> Decimal:
    """An AI call billed by what it used."""
    async with AsyncPostgresStore(dsn) as store:
        credits = AsyncCreditManager(store)
        async with credits.billed(user_id, UsageMetrics(model="gpt-4o", input_tokens=100)) as bill:
            bill.settle(usage_from(response))
        assert bill.charge is not None
        assert_type(bill.charge.cost, Decimal)
        return bill.charge.cost
