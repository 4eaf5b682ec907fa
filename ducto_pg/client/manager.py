"""The client of the credits engine: typed methods over the database's own functions.

Everything that decides (prices, floors, caps, which credits are taken) happens in the database. A
denial is asked for as a result and raised here, as a typed exception, so that it never aborts the
transaction the application is in.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from ducto_pg.client.answers import (
    Bill,
    Event,
    cap_parameters,
    charge_events,
    charged,
    held,
    hold_events,
    operation_of,
)
from ducto_pg.client.arguments import Amount, Identifier, Json, Metrics, given, needed
from ducto_pg.client.results import (
    Balance,
    BatchItem,
    Calculation,
    CapCheck,
    Charge,
    DailySpend,
    ExpiredAccount,
    Explanation,
    Feature,
    Grant,
    Hold,
    Lot,
    ModelSpend,
    Plan,
    PricingVersion,
    Quote,
    Refund,
    ReportedSpend,
    RepricedModel,
    Revocation,
    Rollup,
    SpendCap,
    SweepResult,
    Team,
    TeamMember,
    Transaction,
    UsageEvent,
    UsageStats,
    UserPlan,
    UserSpend,
    Validation,
    Violation,
)
from ducto_pg.client.store import Emitter, Store, check_store, migrate_store
from ducto_pg.pricing.engine import PricingEngine
from ducto_pg.pricing.typed import PricingConfig, plain_config

__all__ = ["CreditManager"]

logger = logging.getLogger(__name__)


class CreditManager:
    """Accounts, charges, holds, refunds, plans, caps and pricing over a store.

    Over `PostgresStore(connection)` each call is part of the connection's transaction.

    `engine` is kept for pricing offline (`manager.engine`); no call decides anything by it.
    `emitter` is told of each call that did something, in this process, before the transaction
    commits.

    Ids and idempotency keys are text; a UUID or an int counts as its text. Credits are Decimal, int
    or text, exact; a float is refused. A time without a zone is UTC. Every exception is a
    DuctoError; an argument of a wrong type is an InvalidArgumentError that names it.
    """

    def __init__(
        self, store: Store, engine: PricingEngine | None = None, emitter: Emitter | None = None
    ) -> None:
        check_store(store)
        self._store = store
        self._engine = engine
        self._config: Json | None = None
        self._emitter = emitter

    @property
    def engine(self) -> PricingEngine | None:
        """The prices for offline use: given, or those last loaded or published here."""
        if self._engine is None and self._config is not None:
            self._engine = PricingEngine.from_dict(self._config)
        return self._engine

    def setup(self) -> None:
        """Install ducto-pg through the store, or upgrade it; a store that cannot says how.

        An engine that was given is published, if no pricing ever was. Raises MigrationError, having
        changed nothing.
        """
        migrate_store(self._store)
        if self._engine is not None and not self.list_pricing():
            self.publish_pricing(self._engine.pricing_schema())

    def _report(self, events: Iterable[Event]) -> None:
        if self._emitter is None:
            return
        for event_type, data in events:
            try:
                self._emitter.emit(event_type, data)
            except Exception:
                # What was done is done, whoever failed to hear of it.
                logger.exception("the emitter failed on %s", event_type)

    def _charge(self, function: str, params: Json) -> Charge:
        answer = self._store.call(function, **params, p_raise=False)
        self._report(charge_events(answer))
        return charged(answer)

    # Accounts ----------------------------------------------------------------------------------

    def add_credits(
        self,
        user_id: Identifier,
        amount: Amount,
        tx_type: str = "adjustment",
        metadata: Json | None = None,
        expires_at: datetime | None = None,
        *,
        priority: int | None = None,
        category: str | None = None,
        idempotency_key: Identifier | None = None,
    ) -> Grant:
        """Add credits (or take them, with a negative adjustment).

        `tx_type` is purchase, subscription, promo, signup_bonus, adjustment or opening. Raises
        IdempotencyConflictError. Calls ducto_add_credits.
        """
        params = needed(p_user_id=user_id, p_amount=amount, p_type=tx_type) | given(
            p_expires_at=expires_at,
            p_priority=priority,
            p_category=category,
            p_idempotency_key=idempotency_key,
            p_metadata=metadata,
        )
        answer = self._store.call("ducto_add_credits", **params)
        self._report([] if answer["replayed"] else [("credits.added", answer)])
        return Grant.parse(answer)

    def add_credits_batch(self, grants: Sequence[Json]) -> list[Grant]:
        """Grant to many users in one call, all or nothing; one result each, in order.

        A grant is `{"user_id": …, "amount": …}`, with `type`, `expires_at` (a datetime, or ISO 8601
        with a zone), `priority`, `idempotency_key`, `metadata` and `category` where wanted, at most
        100,000 in a call. Raises InvalidArgumentError, InsufficientCreditsError,
        IdempotencyConflictError.
        Calls ducto_add_credits_batch.
        """
        params = needed(p_grants=grants)
        if not params["p_grants"]:
            return []
        answer = self._store.call("ducto_add_credits_batch", **params)
        self._report(("credits.added", item) for item in answer if not item["replayed"])
        return [Grant.parse(item) for item in answer]

    def revoke_grant(
        self,
        transaction_id: int,
        *,
        write_off: bool | None = None,
        reason: str | None = None,
        idempotency_key: Identifier | None = None,
        metadata: Json | None = None,
    ) -> Revocation:
        """Take back what is left of a grant; what was spent becomes debt or is written off.

        Raises TransactionNotFoundError, NotRefundableError. Calls ducto_revoke_grant.
        """
        params = needed(p_transaction_id=transaction_id) | given(
            p_write_off=write_off,
            p_reason=reason,
            p_idempotency_key=idempotency_key,
            p_metadata=metadata,
        )
        return Revocation.parse(self._store.call("ducto_revoke_grant", **params))

    def get_balance(self, user_id: Identifier) -> Balance:
        """What the account has now, in credits; zero for a user that was never seen.

        Calls ducto_get_balance.
        """
        return Balance.parse(self._store.call("ducto_get_balance", **needed(p_user_id=user_id)))

    def get_available(self, user_id: Identifier) -> Decimal:
        """What a charge could take now: balance and allowance, less what is held.

        Calls ducto_get_available.
        """
        answer = self._store.call("ducto_get_available", **needed(p_user_id=user_id))
        return Decimal(answer["available"])

    def list_transactions(
        self,
        user_id: Identifier,
        *,
        limit: int | None = None,
        before: int | None = None,
        tx_type: str | None = None,
    ) -> list[Transaction]:
        """Ledger entries, newest first; `before` is the last transaction_id already seen.

        Calls ducto_list_transactions.
        """
        params = needed(p_user_id=user_id) | given(p_limit=limit, p_before=before, p_type=tx_type)
        rows = self._store.rows("ducto_list_transactions", **params)
        return [Transaction.parse(row) for row in rows]

    def list_lots(self, user_id: Identifier) -> list[Lot]:
        """The account's grants, in the order charges draw on them.

        Calls ducto_list_lots.
        """
        rows = self._store.rows("ducto_list_lots", **needed(p_user_id=user_id))
        return [Lot.parse(row) for row in rows]

    def freeze_account(self, user_id: Identifier) -> None:
        """Refuse every charge and hold of the account until it is unfrozen.

        Calls ducto_freeze_account.
        """
        self._store.call("ducto_freeze_account", **needed(p_user_id=user_id))

    def unfreeze_account(self, user_id: Identifier) -> None:
        """Let the account charge again.

        Calls ducto_unfreeze_account.
        """
        self._store.call("ducto_unfreeze_account", **needed(p_user_id=user_id))

    # Charging ----------------------------------------------------------------------------------

    def deduct(
        self,
        user_id: Identifier,
        metrics: Metrics,
        *,
        idempotency_key: Identifier | None = None,
        metadata: Json | None = None,
        occurred_at: datetime | None = None,
    ) -> Charge:
        """Price a usage and charge it; `occurred_at` says when it happened, if not now.

        Raises InsufficientCreditsError, CapReachedError, FeatureNotEntitledError,
        AccountFrozenError (the transaction goes on), UnknownModelError, PricingNotLoadedError,
        EvaluationError, IdempotencyConflictError. Calls ducto_deduct.
        """
        params = needed(p_user_id=user_id, p_metrics=metrics) | given(
            p_idempotency_key=idempotency_key, p_metadata=metadata, p_occurred_at=occurred_at
        )
        return self._charge("ducto_deduct", params)

    def deduct_fixed(
        self,
        user_id: Identifier,
        job_name: str,
        *,
        idempotency_key: Identifier | None = None,
        metadata: Json | None = None,
        occurred_at: datetime | None = None,
    ) -> Charge:
        """Charge the fixed price of a job; raises as `deduct` does, and UnknownFixedJobError.

        Calls ducto_deduct_fixed.
        """
        params = needed(p_user_id=user_id, p_job_name=job_name) | given(
            p_idempotency_key=idempotency_key, p_metadata=metadata, p_occurred_at=occurred_at
        )
        return self._charge("ducto_deduct_fixed", params)

    def deduct_amount(
        self,
        user_id: Identifier,
        amount: Amount,
        *,
        idempotency_key: Identifier | None = None,
        metadata: Json | None = None,
        occurred_at: datetime | None = None,
    ) -> Charge:
        """Charge an amount that was priced elsewhere; raises as `deduct` does.

        Calls ducto_deduct_amount.
        """
        params = needed(p_user_id=user_id, p_amount=amount) | given(
            p_idempotency_key=idempotency_key, p_metadata=metadata, p_occurred_at=occurred_at
        )
        return self._charge("ducto_deduct_amount", params)

    def deduct_team(
        self,
        team_id: Identifier,
        user_id: Identifier,
        metrics: Metrics,
        *,
        idempotency_key: Identifier | None = None,
        metadata: Json | None = None,
        occurred_at: datetime | None = None,
    ) -> Charge:
        """Charge a usage of a member to the team; raises as `deduct` does.

        Also TeamNotFoundError, NotATeamMemberError, and CapReachedError for the member's own cap.
        Calls ducto_deduct_team.
        """
        params = needed(p_team_id=team_id, p_user_id=user_id, p_metrics=metrics) | given(
            p_idempotency_key=idempotency_key, p_metadata=metadata, p_occurred_at=occurred_at
        )
        return self._charge("ducto_deduct_team", params)

    def deduct_batch(self, charges: Sequence[Json]) -> list[BatchItem]:
        """Charge many usages in one call; one result each, in order, none of them raised.

        An item is `{"user_id": …, "metrics": {…}}` (or `amount`, or `job_name`), with
        `idempotency_key`, `metadata`, `occurred_at` and `team_id` where wanted.
        Calls ducto_deduct_batch.
        """
        params = needed(p_charges=charges)
        if not params["p_charges"]:
            return []
        answer = self._store.call("ducto_deduct_batch", **params)
        self._report(event for item in answer for event in charge_events(item))
        return [BatchItem.parse(item) for item in answer]

    def quote(
        self, user_id: Identifier, metrics: Metrics, *, team_id: Identifier | None = None
    ) -> Quote:
        """What a charge would do now, or why it would be denied; writes nothing.

        Calls ducto_quote.
        """
        params = needed(p_user_id=user_id, p_metrics=metrics) | given(p_team_id=team_id)
        return Quote.parse(self._store.call("ducto_quote", **params))

    def explain(self, transaction_id: int) -> Explanation:
        """A ledger entry with its expressions, variables and lots, and whether it recomputes.

        Raises TransactionNotFoundError. Calls ducto_explain.
        """
        params = needed(p_transaction_id=transaction_id)
        return Explanation.parse(self._store.call("ducto_explain", **params))

    # Holds -------------------------------------------------------------------------------------

    def reserve_credits(
        self,
        user_id: Identifier,
        amount: Amount | None = None,
        operation_type: str | None = "usage",
        metadata: Json | None = None,
        min_balance: Amount | None = None,
        *,
        metrics: Metrics | None = None,
        ttl_seconds: int | None = None,
        required_feature: str | None = None,
        idempotency_key: Identifier | None = None,
        team_id: Identifier | None = None,
    ) -> Hold:
        """Set credits aside, the user's or a team's: an amount, or the price of a usage.

        For 600 seconds, or `ttl_seconds` (at most 604800). An operation that `metrics` name goes
        before the default `operation_type`. Raises InsufficientCreditsError,
        CapReachedError, ConcurrencyLimitError, FeatureNotEntitledError, AccountFrozenError.
        Calls ducto_reserve.
        """
        params = needed(p_user_id=user_id) | given(
            p_amount=amount,
            p_metrics=metrics,
            p_operation_type=operation_of(operation_type, metrics),
            p_ttl_seconds=ttl_seconds,
            p_min_balance=min_balance,
            p_required_feature=required_feature,
            p_idempotency_key=idempotency_key,
            p_metadata=metadata,
            p_team_id=team_id,
        )
        answer = self._store.call("ducto_reserve", **params, p_raise=False)
        self._report(hold_events(answer))
        return held(answer)

    def settle(
        self,
        reservation_id: UUID | str,
        metrics: Metrics | None = None,
        *,
        amount: Amount | None = None,
        final: bool | None = None,
        idempotency_key: Identifier | None = None,
        metadata: Json | None = None,
    ) -> Charge:
        """Charge what was really used (nothing given: all of the hold) and free the rest.

        `final=False` charges a part and keeps the hold open. Raises ReservationNotFoundError,
        ReservationExpiredError. Calls ducto_settle.
        """
        params = needed(p_reservation_id=reservation_id) | given(
            p_metrics=metrics,
            p_amount=amount,
            p_final=final,
            p_idempotency_key=idempotency_key,
            p_metadata=metadata,
        )
        return self._charge("ducto_settle", params)

    def release(self, reservation_id: UUID | str) -> Hold:
        """Give a hold up; nothing is charged. Raises ReservationNotFoundError.

        Calls ducto_release.
        """
        params = needed(p_reservation_id=reservation_id)
        answer = self._store.call("ducto_release", **params)
        self._report([] if answer.get("replayed") else [("credits.reservation_released", answer)])
        return Hold.parse(answer)

    def renew(self, reservation_id: UUID | str, *, ttl_seconds: int | None = None) -> Hold:
        """Move a hold's deadline to so many seconds from now. Raises ReservationExpiredError.

        Calls ducto_renew.
        """
        params = needed(p_reservation_id=reservation_id) | given(p_ttl_seconds=ttl_seconds)
        return held(self._store.call("ducto_renew", **params))

    @contextmanager
    def billed(
        self,
        user_id: Identifier,
        estimate: Metrics | Amount,
        *,
        operation_type: str | None = "usage",
        ttl_seconds: int | None = None,
        required_feature: str | None = None,
        metadata: Json | None = None,
        team_id: Identifier | None = None,
    ) -> Iterator[Bill]:
        """Reserve the estimate, run the block, and charge what `bill.settle(usage)` reports.

        The block is entered only when the estimate (a usage, or an amount) can be paid. When it
        raises, or reports no usage, the hold is released and nothing is charged. Do not use it
        inside an open transaction: the account would stay locked while the block runs.
        """
        hold = self.reserve_credits(
            user_id,
            amount=estimate if isinstance(estimate, Decimal | int | str) else None,
            metrics=None if isinstance(estimate, Decimal | int | str) else estimate,
            operation_type=operation_type,
            ttl_seconds=ttl_seconds,
            required_feature=required_feature,
            metadata=metadata,
            team_id=team_id,
        )
        bill = Bill(hold)
        try:
            yield bill
        except BaseException as failure:
            try:
                self.release(bill.reservation_id)
            except Exception as second:
                failure.add_note(f"The hold {bill.reservation_id} was not released: {second}")
            raise
        if bill.reported is None:
            self.release(bill.reservation_id)
        else:
            bill.charge = self.settle(bill.reservation_id, **bill.reported)

    def expire_reservations(self) -> int:
        """Close the holds whose deadline has passed (they stopped counting by themselves).

        Calls ducto_expire_reservations.
        """
        answer = self._store.call("ducto_expire_reservations")
        return int(answer["expired"])

    # Refunds and expiry ------------------------------------------------------------------------

    def refund_credits(
        self,
        transaction_id: int,
        amount: Amount | None = None,
        reason: str | None = None,
        metadata: Json | None = None,
        *,
        idempotency_key: Identifier | None = None,
    ) -> Refund:
        """Give a charge back, or part of it, to its payer and the lots it drew on.

        Raises TransactionNotFoundError, RefundExceedsChargeError, NotRefundableError.
        Calls ducto_refund.
        """
        params = needed(p_transaction_id=transaction_id) | given(
            p_amount=amount,
            p_reason=reason,
            p_idempotency_key=idempotency_key,
            p_metadata=metadata,
        )
        answer = self._store.call("ducto_refund", **params)
        self._report([] if answer["replayed"] else [("credits.refunded", answer)])
        return Refund.parse(answer)

    def sweep_expired_credits(self, dry_run: bool = False) -> SweepResult:
        """Book the expiry of lapsed credits; they stopped counting when they lapsed.

        Calls ducto_sweep_expired_credits.
        """
        rows = self._store.rows("ducto_sweep_expired_credits", **needed(p_dry_run=dry_run))
        self._report([] if dry_run else [("credits.expired", row) for row in rows])
        return SweepResult.of(ExpiredAccount.parse(row) for row in rows)

    # Plans -------------------------------------------------------------------------------------

    def set_user_plan(
        self,
        user_id: Identifier,
        plan_key: str | None,
        *,
        period_anchor: datetime | None = None,
    ) -> UserPlan:
        """Put an account on a plan; None leaves it to the pricing's default plan.

        Raises PlanNotFoundError, PricingNotLoadedError. Calls ducto_set_user_plan.
        """
        plan = given(p_plan_key=plan_key) or {"p_plan_key": None}
        params = needed(p_user_id=user_id) | plan | given(p_period_anchor=period_anchor)
        answer = self._store.call("ducto_set_user_plan", **params)
        self._report([("credits.plan_changed", answer)])
        return UserPlan.parse(answer)

    def get_user_plan(self, user_id: Identifier) -> UserPlan:
        """The account's plan and its current period.

        Calls ducto_get_user_plan.
        """
        return UserPlan.parse(self._store.call("ducto_get_user_plan", **needed(p_user_id=user_id)))

    def list_plans(self) -> list[Plan]:
        """The plans of the active pricing, in its order.

        Calls ducto_list_plans.
        """
        return [Plan.parse(row) for row in self._store.rows("ducto_list_plans")]

    def check_feature(self, user_id: Identifier, feature: str) -> Feature:
        """Whether the account's plan has a feature, and its value.

        Calls ducto_check_feature.
        """
        params = needed(p_user_id=user_id, p_feature=feature)
        return Feature.parse(self._store.call("ducto_check_feature", **params))

    # Spend caps --------------------------------------------------------------------------------

    def set_spend_cap(
        self,
        user_id: Identifier | SpendCap,
        cap_type: str | None = None,
        limit: Amount | None = None,
        *,
        action: str = "deny",
        model: str | None = None,
    ) -> SpendCap:
        """Cap what leaves an account in a day, week or month; of one model or of all.

        `cap_type` is daily, weekly or monthly, `action` deny, warn or notify. All of it may come as
        one SpendCap: `set_spend_cap(SpendCap(user_id="ann", cap_type="daily", limit=50))`.
        Calls ducto_set_spend_cap.
        """
        if isinstance(user_id, SpendCap):
            cap = user_id
            params = cap_parameters(cap.user_id, cap.cap_type, cap.limit, cap.action, cap.model)
        else:
            params = cap_parameters(user_id, cap_type, limit, action, model)
        return SpendCap.parse(self._store.call("ducto_set_spend_cap", **params))

    def list_spend_caps(self, user_id: Identifier) -> list[SpendCap]:
        """The account's caps with what their current windows have used.

        Calls ducto_list_spend_caps.
        """
        rows = self._store.rows("ducto_list_spend_caps", **needed(p_user_id=user_id))
        return [SpendCap.parse({**row, "limit": row["amount_limit"]}) for row in rows]

    def remove_spend_cap(
        self, user_id: Identifier, cap_type: str, *, model: str | None = None
    ) -> bool:
        """Remove a cap; False when there was none.

        Calls ducto_remove_spend_cap.
        """
        params = needed(p_user_id=user_id, p_cap_type=cap_type) | given(p_model=model)
        answer = self._store.call("ducto_remove_spend_cap", **params)
        return bool(answer["removed"])

    def check_spend_cap(
        self, user_id: Identifier, amount: Amount | None = None, *, model: str | None = None
    ) -> CapCheck:
        """Whether the caps leave room for an amount; writes nothing.

        Calls ducto_check_spend_cap.
        """
        params = needed(p_user_id=user_id) | given(p_amount=amount, p_model=model)
        return CapCheck.parse(self._store.call("ducto_check_spend_cap", **params))

    # Teams -------------------------------------------------------------------------------------

    def create_team(
        self,
        name: str,
        initial_balance: Amount | None = None,
        *,
        team_id: Identifier | None = None,
        owner_id: Identifier | None = None,
        idempotency_key: Identifier | None = None,
        metadata: Json | None = None,
    ) -> Team:
        """A pool of credits that its members' usage is charged to.

        `team_id` is its id, which may be no user's (None: one is made up), `owner_id` its first
        member. Raises IdempotencyConflictError. Calls ducto_create_team.
        """
        params = needed(p_name=name) | given(
            p_initial_balance=initial_balance,
            p_team_id=team_id,
            p_owner_id=owner_id,
            p_idempotency_key=idempotency_key,
            p_metadata=metadata,
        )
        return Team.parse(self._store.call("ducto_create_team", **params))

    def get_team(self, team_id: Identifier) -> Team:
        """The team and its balance. Raises TeamNotFoundError. Calls ducto_get_team."""
        return Team.parse(self._store.call("ducto_get_team", **needed(p_team_id=team_id)))

    def list_teams(
        self,
        *,
        limit: int | None = None,
        after: Identifier | None = None,
        user_id: Identifier | None = None,
    ) -> list[Team]:
        """Teams by id, from behind the id `after`; of one user, with the role there.

        Calls ducto_list_teams.
        """
        params = given(p_limit=limit, p_after=after, p_user_id=user_id)
        return [Team.parse(row) for row in self._store.rows("ducto_list_teams", **params)]

    def add_team_credits(
        self,
        team_id: Identifier,
        amount: Amount,
        tx_type: str = "adjustment",
        metadata: Json | None = None,
        expires_at: datetime | None = None,
        *,
        priority: int | None = None,
        category: str | None = None,
        idempotency_key: Identifier | None = None,
    ) -> Grant:
        """Add credits to a team, as `add_credits` does. Raises TeamNotFoundError.

        Calls ducto_add_team_credits.
        """
        params = needed(p_team_id=team_id, p_amount=amount, p_type=tx_type) | given(
            p_expires_at=expires_at,
            p_priority=priority,
            p_category=category,
            p_idempotency_key=idempotency_key,
            p_metadata=metadata,
        )
        answer = self._store.call("ducto_add_team_credits", **params)
        self._report([] if answer["replayed"] else [("credits.added", answer)])
        return Grant.parse(answer)

    def add_team_member(
        self,
        team_id: Identifier,
        user_id: Identifier,
        role: str | None = None,
        spend_cap: Amount | None = None,
        *,
        cap_type: str | None = None,
    ) -> TeamMember:
        """Let a user charge the team, up to `spend_cap` credits a month, or day or week.

        `role` is member, admin or owner, for the application to act on; `cap_type` daily, weekly
        or monthly. Raises TeamNotFoundError. Calls ducto_add_team_member.
        """
        params = needed(p_team_id=team_id, p_user_id=user_id) | given(
            p_role=role, p_spend_cap=spend_cap, p_cap_type=cap_type
        )
        return TeamMember.parse(self._store.call("ducto_add_team_member", **params))

    def update_team_member(
        self,
        team_id: Identifier,
        user_id: Identifier,
        role: str | None = None,
        spend_cap: Amount | None = None,
        *,
        cap_type: str | None = None,
        remove_cap: bool | None = None,
    ) -> TeamMember:
        """Change a member's role or cap; what is None stays as it is.

        Raises TeamNotFoundError, NotATeamMemberError. Calls ducto_update_team_member.
        """
        params = needed(p_team_id=team_id, p_user_id=user_id) | given(
            p_role=role, p_spend_cap=spend_cap, p_cap_type=cap_type, p_remove_cap=remove_cap
        )
        return TeamMember.parse(self._store.call("ducto_update_team_member", **params))

    def remove_team_member(self, team_id: Identifier, user_id: Identifier) -> None:
        """Take a user out of the team; open holds can still be settled.

        Raises TeamNotFoundError, NotATeamMemberError. Calls ducto_remove_team_member.
        """
        params = needed(p_team_id=team_id, p_user_id=user_id)
        self._store.call("ducto_remove_team_member", **params)

    def list_team_members(
        self,
        team_id: Identifier,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int | None = None,
        after: Identifier | None = None,
    ) -> list[TeamMember]:
        """The members, their caps, and what each spent of the team from `start` to before `end`.

        The whole UTC days of this month, unless told. Raises TeamNotFoundError.
        Calls ducto_list_team_members.
        """
        params = needed(p_team_id=team_id) | given(
            p_start=start, p_end=end, p_limit=limit, p_after=after
        )
        rows = self._store.rows("ducto_list_team_members", **params)
        return [TeamMember.parse(row) for row in rows]

    # Pricing -----------------------------------------------------------------------------------

    def publish_pricing(
        self, config: PricingConfig | Json, label: str | None = None
    ) -> PricingVersion:
        """Publish a pricing as a new, active version, and keep it as `engine`.

        Raises ConfigError with every error in `error.detail["errors"]`; nothing is published then.
        Calls ducto_pricing_set.
        """
        params = needed(p_config=plain_config(config)) | given(p_label=label)
        version = PricingVersion.parse(self._store.call("ducto_pricing_set", **params))
        self._engine, self._config = None, version.config
        return version

    def publish_pricing_from_dict(self, config: Json, label: str | None = None) -> PricingVersion:
        """`publish_pricing` after checking the config here, so that an error costs no call."""
        PricingEngine.from_dict(config)
        return self.publish_pricing(config, label)

    def load_pricing_from_store(self) -> PricingEngine:
        """Load the active pricing into `engine`, as `get_pricing` reads it.

        Raises PricingNotLoadedError.
        """
        version = self.get_pricing()
        self._engine = PricingEngine.from_dict(version.config or {})
        return self._engine

    def get_pricing(self) -> PricingVersion:
        """The active pricing. Raises PricingNotLoadedError.

        Calls ducto_pricing_get.
        """
        return PricingVersion.parse(self._store.call("ducto_pricing_get"))

    def list_pricing(self) -> list[PricingVersion]:
        """Every version, newest first, without the configs.

        Calls ducto_pricing_list.
        """
        return [PricingVersion.parse(row) for row in self._store.rows("ducto_pricing_list")]

    def activate_pricing(self, version: int) -> PricingVersion:
        """Make an older version the active one. Raises VersionNotFoundError.

        Calls ducto_pricing_activate.
        """
        answer = self._store.call("ducto_pricing_activate", **needed(p_version=version))
        return PricingVersion.parse(answer)

    def validate_pricing(self, config: PricingConfig | Json) -> Validation:
        """Every error of a config, without publishing it.

        Calls ducto_pricing_validate.
        """
        params = needed(p_config=plain_config(config))
        return Validation.parse(self._store.call("ducto_pricing_validate", **params))

    def export_pricing(self, version: int) -> Mapping[str, Any]:
        """The config of a version, as it was published. Raises VersionNotFoundError.

        Calls ducto_pricing_export.
        """
        answer = self._store.call("ducto_pricing_export", **needed(p_version=version))
        config: Mapping[str, Any] = answer
        return config

    def diff_pricing(self, from_version: int, to_version: int) -> list[dict[str, Any]]:
        """What changed between two versions, a row for each expression or setting.

        Calls ducto_pricing_diff.
        """
        params = needed(p_from=from_version, p_to=to_version)
        return self._store.rows("ducto_pricing_diff", **params)

    def calculate(
        self,
        metrics: Metrics,
        *,
        config: PricingConfig | Json | None = None,
        version: int | None = None,
        plan_key: str | None = None,
    ) -> Calculation:
        """Price a usage without an account: by a config, a version, or the active pricing.

        Calls ducto_calculate.
        """
        params = needed(p_metrics=metrics) | given(p_version=version, p_plan_key=plan_key)
        if config is not None:
            params |= needed(p_config=plain_config(config))
        return Calculation.parse(self._store.call("ducto_calculate", **params))

    def reprice(
        self, config: PricingConfig | Json, start: datetime, end: datetime | None = None
    ) -> list[RepricedModel]:
        """What a window's stored usage would have cost under another config, by model.

        Calls ducto_reprice.
        """
        params = needed(p_config=plain_config(config), p_start=start) | given(p_end=end)
        return [RepricedModel.parse(row) for row in self._store.rows("ducto_reprice", **params)]

    # Analytics ---------------------------------------------------------------------------------

    def spend_by_user(self, start: datetime, end: datetime) -> list[UserSpend]:
        """What each user used from `start` to before `end`, most spent first.

        Calls ducto_spend_by_user.
        """
        rows = self._store.rows("ducto_spend_by_user", **needed(p_start=start, p_end=end))
        return [UserSpend.parse(row) for row in rows]

    def spend_by_model(self, start: datetime, end: datetime) -> list[ModelSpend]:
        """What was used of each model from `start` to before `end`, most spent first.

        Calls ducto_spend_by_model.
        """
        rows = self._store.rows("ducto_spend_by_model", **needed(p_start=start, p_end=end))
        return [ModelSpend.parse(row) for row in rows]

    def top_users(self, limit: int, start: datetime, end: datetime) -> list[UserSpend]:
        """The `limit` (1 to 1000) users who spent most from `start` to before `end`.

        Calls ducto_top_users.
        """
        params = needed(p_limit=limit, p_start=start, p_end=end)
        return [UserSpend.parse(row) for row in self._store.rows("ducto_top_users", **params)]

    def daily_spend(self, start: datetime, end: datetime) -> list[DailySpend]:
        """What was used on each UTC day that the window touches; days without any are zero.

        Calls ducto_daily_spend.
        """
        rows = self._store.rows("ducto_daily_spend", **needed(p_start=start, p_end=end))
        return [DailySpend.parse(row) for row in rows]

    def aggregate_stats(self, start: datetime, end: datetime) -> UsageStats:
        """The totals of the usage from `start` to before `end`. Calls ducto_aggregate_stats."""
        params = needed(p_start=start, p_end=end)
        return UsageStats.parse(self._store.call("ducto_aggregate_stats", **params))

    def spend_report(
        self,
        start: datetime,
        end: datetime,
        *,
        group_by: Sequence[str] | None = None,
        bucket: str | None = None,
    ) -> list[ReportedSpend]:
        """What was used, by any of user, team, model, operation, and by day, week or month.

        Calls ducto_spend_report.
        """
        params = needed(p_start=start, p_end=end) | given(p_group_by=group_by, p_bucket=bucket)
        return [
            ReportedSpend.parse(row) for row in self._store.rows("ducto_spend_report", **params)
        ]

    def list_usage_events(
        self,
        start: datetime,
        end: datetime,
        *,
        user_id: Identifier | None = None,
        limit: int | None = None,
        before: int | None = None,
    ) -> list[UsageEvent]:
        """The charges of one user or of all, last first by when the usage happened.

        `before` is the last transaction_id already seen. Calls ducto_list_usage_events.
        """
        params = needed(p_start=start, p_end=end) | given(
            p_user_id=user_id, p_limit=limit, p_before=before
        )
        rows = self._store.rows("ducto_list_usage_events", **params)
        return [UsageEvent.parse(row) for row in rows]

    def rollup_usage(self, limit: int | None = None) -> Rollup:
        """Prepare the ledger for fast reports, which are exact without it too.

        Call it again until `complete`. Calls ducto_rollup_usage.
        """
        return Rollup.parse(self._store.call("ducto_rollup_usage", **given(p_limit=limit)))

    # Operations --------------------------------------------------------------------------------

    def version(self) -> Mapping[str, Any]:
        """What is installed, and which evaluator prices.

        Calls ducto_version.
        """
        answer: Mapping[str, Any] = self._store.call("ducto_version")
        return answer

    def check(self) -> list[Violation]:
        """Every invariant that does not hold; none on a healthy database.

        Calls ducto_check.
        """
        return [Violation.parse(row) for row in self._store.rows("ducto_check")]
