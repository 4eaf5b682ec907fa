"""The client for asyncio: `CreditManager` with every call awaited.

Generated from ducto_pg/client/manager.py by tools/asyncify.py; change that file and run it again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

from ducto_pg.client.answers import Lease, charged, compiled, given, held, moment, money, validated
from ducto_pg.client.results import (
    Balance,
    Calculation,
    CapCheck,
    Charge,
    ExpiredAccount,
    Explanation,
    Feature,
    Grant,
    Hold,
    Lot,
    Plan,
    PricingVersion,
    Quote,
    Refund,
    RepricedModel,
    Revocation,
    SpendCap,
    Transaction,
    UserPlan,
    Validation,
    Violation,
)
from ducto_pg.client.store import AsyncStore

__all__ = ["AsyncCreditManager"]

Amount: TypeAlias = Decimal | int | str
Json: TypeAlias = Mapping[str, Any]


class AsyncCreditManager:
    """Accounts, charges, holds, refunds, plans, caps and pricing over a store.

    `AsyncCreditManager(AsyncPostgresStore(connection))` works inside the connection's transaction.
    """

    def __init__(self, store: AsyncStore) -> None:
        self._store = store

    # Accounts ----------------------------------------------------------------------------------

    async def add_credits(
        self,
        user_id: str,
        amount: Amount,
        *,
        type: str = "adjustment",
        expires_at: datetime | None = None,
        priority: int | None = None,
        category: str | None = None,
        idempotency_key: str | None = None,
        metadata: Json | None = None,
    ) -> Grant:
        """Add credits (or take them, with a negative adjustment)."""
        params = given(
            p_user_id=user_id,
            p_amount=money(amount),
            p_type=type,
            p_expires_at=moment(expires_at),
            p_priority=priority,
            p_category=category,
            p_idempotency_key=idempotency_key,
            p_metadata=metadata,
        )
        return Grant.parse(await self._store.call("ducto_add_credits", **params))

    async def revoke_grant(
        self,
        transaction_id: int,
        *,
        write_off: bool | None = None,
        reason: str | None = None,
        idempotency_key: str | None = None,
        metadata: Json | None = None,
    ) -> Revocation:
        """Take back what is left of a grant; what was spent becomes debt or is written off."""
        params = given(
            p_transaction_id=transaction_id,
            p_write_off=write_off,
            p_reason=reason,
            p_idempotency_key=idempotency_key,
            p_metadata=metadata,
        )
        return Revocation.parse(await self._store.call("ducto_revoke_grant", **params))

    async def get_balance(self, user_id: str) -> Balance:
        """What the account has now."""
        return Balance.parse(await self._store.call("ducto_get_balance", p_user_id=user_id))

    async def get_available(self, user_id: str) -> Decimal:
        """What a charge could take now: balance and allowance, less what is held."""
        answer = await self._store.call("ducto_get_available", p_user_id=user_id)
        return Decimal(answer["available"])

    async def list_transactions(
        self,
        user_id: str,
        *,
        limit: int | None = None,
        before: int | None = None,
        type: str | None = None,
    ) -> list[Transaction]:
        """Ledger entries, newest first; `before` is the last transaction_id already seen."""
        params = given(p_user_id=user_id, p_limit=limit, p_before=before, p_type=type)
        rows = await self._store.rows("ducto_list_transactions", **params)
        return [Transaction.parse(row) for row in rows]

    async def list_lots(self, user_id: str) -> list[Lot]:
        """The account's grants, in the order charges draw on them."""
        return [
            Lot.parse(row) for row in await self._store.rows("ducto_list_lots", p_user_id=user_id)
        ]

    async def freeze_account(self, user_id: str) -> None:
        """Refuse every charge and hold of the account until it is unfrozen."""
        await self._store.call("ducto_freeze_account", p_user_id=user_id)

    async def unfreeze_account(self, user_id: str) -> None:
        """Let the account charge again."""
        await self._store.call("ducto_unfreeze_account", p_user_id=user_id)

    # Charging ----------------------------------------------------------------------------------

    async def deduct(
        self,
        user_id: str,
        metrics: Json,
        *,
        idempotency_key: str | None = None,
        metadata: Json | None = None,
    ) -> Charge:
        """Price a usage and charge it; raises InsufficientCreditsError, CapReachedError, …"""
        params = given(
            p_user_id=user_id,
            p_metrics=metrics,
            p_idempotency_key=idempotency_key,
            p_metadata=metadata,
            p_raise=False,
        )
        return charged(await self._store.call("ducto_deduct", **params))

    async def deduct_fixed(
        self,
        user_id: str,
        job_name: str,
        *,
        idempotency_key: str | None = None,
        metadata: Json | None = None,
    ) -> Charge:
        """Charge the fixed price of a job."""
        params = given(
            p_user_id=user_id,
            p_job_name=job_name,
            p_idempotency_key=idempotency_key,
            p_metadata=metadata,
            p_raise=False,
        )
        return charged(await self._store.call("ducto_deduct_fixed", **params))

    async def deduct_amount(
        self,
        user_id: str,
        amount: Amount,
        *,
        idempotency_key: str | None = None,
        metadata: Json | None = None,
    ) -> Charge:
        """Charge an amount that was priced elsewhere."""
        params = given(
            p_user_id=user_id,
            p_amount=money(amount),
            p_idempotency_key=idempotency_key,
            p_metadata=metadata,
            p_raise=False,
        )
        return charged(await self._store.call("ducto_deduct_amount", **params))

    async def deduct_batch(self, charges: Sequence[Json]) -> list[Charge]:
        """Charge many usages in one call; one result each, in order, none of them raised.

        An item is `{"user_id": …, "metrics": {…}}` (or `amount`, or `job_name`), with
        `idempotency_key`, `metadata` and `team_id` where wanted.
        """
        if not charges:
            return []
        answer = await self._store.call("ducto_deduct_batch", p_charges=list(charges))
        return [Charge.parse(item) for item in answer]

    async def quote(self, user_id: str, metrics: Json, *, team_id: str | None = None) -> Quote:
        """What a charge would do now, or why it would be denied; writes nothing."""
        params = given(p_user_id=user_id, p_metrics=metrics, p_team_id=team_id)
        return Quote.parse(await self._store.call("ducto_quote", **params))

    async def explain(self, transaction_id: int) -> Explanation:
        """A ledger entry with its expressions, variables and lots, and whether it recomputes."""
        return Explanation.parse(
            await self._store.call("ducto_explain", p_transaction_id=transaction_id)
        )

    # Holds -------------------------------------------------------------------------------------

    async def reserve(
        self,
        user_id: str,
        amount: Amount | None = None,
        *,
        metrics: Json | None = None,
        operation_type: str | None = None,
        ttl_seconds: int | None = None,
        min_balance: Amount | None = None,
        required_feature: str | None = None,
        idempotency_key: str | None = None,
        metadata: Json | None = None,
    ) -> Hold:
        """Set credits aside: an amount, or the estimated price of a usage."""
        params = given(
            p_user_id=user_id,
            p_amount=money(amount),
            p_metrics=metrics,
            p_operation_type=operation_type,
            p_ttl_seconds=ttl_seconds,
            p_min_balance=money(min_balance),
            p_required_feature=required_feature,
            p_idempotency_key=idempotency_key,
            p_metadata=metadata,
            p_raise=False,
        )
        return held(await self._store.call("ducto_reserve", **params))

    async def settle(
        self,
        reservation_id: UUID | str,
        metrics: Json | None = None,
        *,
        amount: Amount | None = None,
        final: bool | None = None,
        idempotency_key: str | None = None,
        metadata: Json | None = None,
    ) -> Charge:
        """Charge what was really used (nothing given: all of the hold) and free the rest.

        `final=False` charges a part and keeps the hold open.
        """
        params = given(
            p_reservation_id=reservation_id,
            p_metrics=metrics,
            p_amount=money(amount),
            p_final=final,
            p_idempotency_key=idempotency_key,
            p_metadata=metadata,
            p_raise=False,
        )
        return charged(await self._store.call("ducto_settle", **params))

    async def release(self, reservation_id: UUID | str) -> Hold:
        """Give a hold up; nothing is charged."""
        return Hold.parse(await self._store.call("ducto_release", p_reservation_id=reservation_id))

    async def renew(self, reservation_id: UUID | str, *, ttl_seconds: int | None = None) -> Hold:
        """Move a hold's deadline."""
        params = given(p_reservation_id=reservation_id, p_ttl_seconds=ttl_seconds)
        return held(await self._store.call("ducto_renew", **params))

    @asynccontextmanager
    async def hold(
        self,
        user_id: str,
        amount: Amount | None = None,
        *,
        metrics: Json | None = None,
        operation_type: str | None = None,
        ttl_seconds: int | None = None,
        required_feature: str | None = None,
        idempotency_key: str | None = None,
    ) -> AsyncIterator[Lease]:
        """Reserve, run the block, settle what `lease.settle(…)` was told; release otherwise."""
        hold = await self.reserve(
            user_id,
            amount,
            metrics=metrics,
            operation_type=operation_type,
            ttl_seconds=ttl_seconds,
            required_feature=required_feature,
            idempotency_key=idempotency_key,
        )
        lease = Lease(hold)
        try:
            yield lease
        except BaseException as failure:
            try:
                await self.release(lease.reservation_id)
            except Exception as second:
                failure.add_note(f"The hold {lease.reservation_id} was not released: {second}")
            raise
        if lease.wanted is None:
            await self.release(lease.reservation_id)
        else:
            lease.charge = await self.settle(lease.reservation_id, **lease.wanted)

    async def expire_reservations(self) -> int:
        """Close the holds whose deadline has passed (they stopped counting by themselves)."""
        answer = await self._store.call("ducto_expire_reservations")
        return int(answer["expired"])

    # Refunds and expiry ------------------------------------------------------------------------

    async def refund(
        self,
        transaction_id: int,
        amount: Amount | None = None,
        *,
        reason: str | None = None,
        idempotency_key: str | None = None,
        metadata: Json | None = None,
    ) -> Refund:
        """Give a charge back, or part of it, to its payer and the lots it drew on."""
        params = given(
            p_transaction_id=transaction_id,
            p_amount=money(amount),
            p_reason=reason,
            p_idempotency_key=idempotency_key,
            p_metadata=metadata,
        )
        return Refund.parse(await self._store.call("ducto_refund", **params))

    async def sweep_expired_credits(self, *, dry_run: bool = False) -> list[ExpiredAccount]:
        """Book the expiry of lapsed credits; they stopped counting when they lapsed."""
        rows = await self._store.rows("ducto_sweep_expired_credits", p_dry_run=dry_run)
        return [ExpiredAccount.parse(row) for row in rows]

    # Plans -------------------------------------------------------------------------------------

    async def set_user_plan(
        self, user_id: str, plan_key: str | None, *, period_anchor: datetime | None = None
    ) -> UserPlan:
        """Put an account on a plan; None leaves it to the pricing's default plan."""
        params = given(p_user_id=user_id, p_period_anchor=moment(period_anchor))
        answer = await self._store.call("ducto_set_user_plan", p_plan_key=plan_key, **params)
        return UserPlan.parse(answer)

    async def get_user_plan(self, user_id: str) -> UserPlan:
        """The account's plan and its current period."""
        return UserPlan.parse(await self._store.call("ducto_get_user_plan", p_user_id=user_id))

    async def list_plans(self) -> list[Plan]:
        """The plans of the active pricing, in its order."""
        return [Plan.parse(row) for row in await self._store.rows("ducto_list_plans")]

    async def check_feature(self, user_id: str, feature: str) -> Feature:
        """Whether the account's plan has a feature, and its value."""
        answer = await self._store.call("ducto_check_feature", p_user_id=user_id, p_feature=feature)
        return Feature.parse(answer)

    # Spend caps --------------------------------------------------------------------------------

    async def set_spend_cap(
        self,
        user_id: str,
        cap_type: str,
        limit: Amount,
        *,
        action: str = "deny",
        model: str | None = None,
    ) -> SpendCap:
        """Cap what leaves an account in a day, week or month; of one model or of all."""
        params = given(
            p_user_id=user_id,
            p_cap_type=cap_type,
            p_limit=money(limit),
            p_action=action,
            p_model=model,
        )
        return SpendCap.parse(await self._store.call("ducto_set_spend_cap", **params))

    async def list_spend_caps(self, user_id: str) -> list[SpendCap]:
        """The account's caps with what their current windows have used."""
        rows = await self._store.rows("ducto_list_spend_caps", p_user_id=user_id)
        return [SpendCap.parse({**row, "limit": row["amount_limit"]}) for row in rows]

    async def remove_spend_cap(
        self, user_id: str, cap_type: str, *, model: str | None = None
    ) -> bool:
        """Remove a cap; False when there was none."""
        params = given(p_user_id=user_id, p_cap_type=cap_type, p_model=model)
        answer = await self._store.call("ducto_remove_spend_cap", **params)
        return bool(answer["removed"])

    async def check_spend_cap(
        self, user_id: str, amount: Amount | None = None, *, model: str | None = None
    ) -> CapCheck:
        """Whether the caps leave room for an amount; writes nothing."""
        params = given(p_user_id=user_id, p_amount=money(amount), p_model=model)
        return CapCheck.parse(await self._store.call("ducto_check_spend_cap", **params))

    # Pricing -----------------------------------------------------------------------------------

    async def set_pricing(self, config: Json, *, label: str | None = None) -> PricingVersion:
        """Publish a pricing as a new, active version."""
        params = given(p_config=await self._prepared(config), p_label=label)
        return PricingVersion.parse(await self._store.call("ducto_pricing_set", **params))

    async def get_pricing(self) -> PricingVersion:
        """The active pricing."""
        return PricingVersion.parse(await self._store.call("ducto_pricing_get"))

    async def list_pricing(self) -> list[PricingVersion]:
        """Every version, newest first, without the configs."""
        return [PricingVersion.parse(row) for row in await self._store.rows("ducto_pricing_list")]

    async def activate_pricing(self, version: int) -> PricingVersion:
        """Make an older version the active one."""
        return PricingVersion.parse(
            await self._store.call("ducto_pricing_activate", p_version=version)
        )

    async def validate_pricing(self, config: Json) -> Validation:
        """Every error of a config, without publishing it."""
        if await self._compiles_here():
            return validated(config)
        return Validation.parse(await self._store.call("ducto_pricing_validate", p_config=config))

    async def export_pricing(self, version: int) -> Mapping[str, Any]:
        """The config of a version, as it was published."""
        answer = await self._store.call("ducto_pricing_export", p_version=version)
        config: Mapping[str, Any] = answer
        return config

    async def diff_pricing(self, from_version: int, to_version: int) -> list[dict[str, Any]]:
        """What changed between two versions, a row for each expression or setting."""
        return await self._store.rows("ducto_pricing_diff", p_from=from_version, p_to=to_version)

    async def calculate(
        self,
        metrics: Json,
        *,
        config: Json | None = None,
        version: int | None = None,
        plan_key: str | None = None,
    ) -> Calculation:
        """Price a usage without an account: by a config, a version, or the active pricing."""
        params = given(
            p_metrics=metrics,
            p_config=None if config is None else await self._prepared(config),
            p_version=version,
            p_plan_key=plan_key,
        )
        return Calculation.parse(await self._store.call("ducto_calculate", **params))

    async def reprice(
        self, config: Json, start: datetime, end: datetime | None = None
    ) -> list[RepricedModel]:
        """What a window's stored usage would have cost under another config."""
        params = given(
            p_config=await self._prepared(config), p_start=moment(start), p_end=moment(end)
        )
        return [
            RepricedModel.parse(row) for row in await self._store.rows("ducto_reprice", **params)
        ]

    async def _prepared(self, config: Json) -> Json:
        """The config as the server takes it: compiled here where it cannot compile by itself."""
        return compiled(config) if await self._compiles_here() else config

    async def _compiles_here(self) -> bool:
        version = await self._store.call("ducto_version")
        return bool(version["evaluator"] == "portable")

    # Operations --------------------------------------------------------------------------------

    async def version(self) -> Mapping[str, Any]:
        """What is installed, and which evaluator prices."""
        answer: Mapping[str, Any] = await self._store.call("ducto_version")
        return answer

    async def check(self) -> list[Violation]:
        """Every invariant that does not hold; none on a healthy database."""
        return [Violation.parse(row) for row in await self._store.rows("ducto_check")]
