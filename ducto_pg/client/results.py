"""What the calls return: frozen dataclasses, money as Decimal, times as aware datetimes.

A field that a server does not send takes its default, and `raw` keeps the whole answer, so a
newer server never breaks an older client and a new key is reachable before it has a field.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import MISSING, dataclass, field
from dataclasses import fields as dataclass_fields
from datetime import date, datetime
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any, Self, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from ducto_pg.client.arguments import money
from ducto_pg.errors import DatabaseError, InvalidArgumentError

__all__ = [
    "Balance",
    "BatchItem",
    "Breakdown",
    "Calculation",
    "CapCheck",
    "Charge",
    "DailySpend",
    "ExpiredAccount",
    "Explanation",
    "Feature",
    "Grant",
    "Hold",
    "Lot",
    "ModelSpend",
    "Plan",
    "PricingVersion",
    "Quote",
    "Refund",
    "ReportedSpend",
    "RepricedModel",
    "Result",
    "Revocation",
    "Rollup",
    "Spend",
    "SpendCap",
    "SweepResult",
    "Team",
    "TeamMember",
    "Transaction",
    "UsageEvent",
    "UsageStats",
    "UserPlan",
    "UserSpend",
    "Validation",
    "Violation",
]

ZERO = Decimal(0)
# Sums of money that are computed here keep every digit.
EXACT = Context(prec=200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The common part: `parse` reads an answer, `raw` is that answer.

    Money is in credits, exact; times are aware. A field without a value is None.
    """

    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        """Read a JSON object, or a row, into this result; DatabaseError if it is not that."""
        if not isinstance(answer, Mapping):
            raise DatabaseError(f"The server's answer is no object: {answer!r:.60}.")
        values: dict[str, Any] = {"raw": answer}
        for name, (convert, required) in _converters(cls).items():
            if name not in answer:
                if required:
                    raise DatabaseError(f"The server's answer has no {name}: {sorted(answer)}.")
                continue
            try:
                values[name] = convert(answer[name])
            except (ValueError, TypeError) as error:
                raise DatabaseError(
                    f"The server's answer has a {name} that cannot be read: {error}."
                ) from error
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown(Result):
    """The parts of a price, exact; `total` is their sum, rounded once.

    Source: the price of a charge, quote or calculation.
    """

    model: Decimal = ZERO
    tools: Decimal = ZERO
    search: Decimal = ZERO
    cache: Decimal = ZERO
    fixed: Decimal = ZERO
    total: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchItem(Result):
    """What an item of a batch did: a charge where it is `ok`, else why not in `code`, `message`.

    Money as in a Charge. Source: ducto_deduct_batch.
    """

    status: str = "ok"
    transaction_id: int | None = None
    user_id: str | None = None
    team_id: str | None = None
    model: str | None = None
    cost: Decimal = ZERO
    allowance_consumed: Decimal = ZERO
    amount: Decimal = ZERO
    balance_after: Decimal | None = None
    available_after: Decimal | None = None
    pricing_version: int | None = None
    breakdown: Breakdown | None = None
    warnings: tuple[Any, ...] = ()
    replayed: bool = False
    reservation_id: UUID | None = None
    code: str | None = None
    error: str | None = None
    message: str | None = None

    @property
    def ok(self) -> bool:
        """True when the credits were taken (now, or by the call this one repeats)."""
        return self.status == "ok"

    def __bool__(self) -> bool:
        return self.ok


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge(BatchItem):
    """What a charge did. `cost` is the price, `amount` what left the balance.

    Source: ducto_deduct and its kin, ducto_settle.
    """

    transaction_id: int
    user_id: str
    balance_after: Decimal
    available_after: Decimal
    breakdown: Breakdown


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote(Result):
    """What a charge would do now. Nothing was written.

    Source: ducto_quote.
    """

    user_id: str | None = None
    team_id: str | None = None
    affordable: bool = True
    status: str = "ok"
    model: str | None = None
    cost: Decimal | None = None
    allowance_consumed: Decimal | None = None
    amount: Decimal | None = None
    balance_after: Decimal | None = None
    available_after: Decimal | None = None
    pricing_version: int | None = None
    breakdown: Breakdown | None = None
    allocations: tuple[Any, ...] = ()
    caps: tuple[Any, ...] = ()
    warnings: tuple[Any, ...] = ()
    code: str | None = None
    error: str | None = None
    message: str | None = None

    def __bool__(self) -> bool:
        return self.affordable


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant(Result):
    """Credits that were added.

    Source: ducto_add_credits.
    """

    transaction_id: int
    lot_id: int | None = None
    user_id: str
    team_id: str | None = None
    type: str | None = None
    amount: Decimal
    balance_after: Decimal
    expires_at: datetime | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation(Result):
    """What was taken back of a grant: `amount` is what was left of it (`taken`) and new debt.

    Source: ducto_revoke_grant.
    """

    transaction_id: int | None = None
    user_id: str | None = None
    revoked_transaction_id: int | None = None
    lot_id: int | None = None
    amount: Decimal = ZERO
    taken: Decimal = ZERO
    debt_added: Decimal = ZERO
    balance_after: Decimal | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance(Result):
    """An account now: `available = balance + allowance_remaining - held`.

    Source: ducto_get_balance.
    """

    user_id: str
    balance: Decimal
    allowance_remaining: Decimal = ZERO
    held: Decimal = ZERO
    available: Decimal = ZERO
    debt: Decimal = ZERO
    plan_key: str | None = None
    status: str = "active"
    lifetime_granted: Decimal = ZERO
    lifetime_spent: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction(Result):
    """One entry of the ledger.

    Source: ducto_list_transactions.
    """

    transaction_id: int
    user_id: str | None = None
    team_id: str | None = None
    type: str
    amount: Decimal
    allowance_consumed: Decimal = ZERO
    balance_after: Decimal
    model: str | None = None
    operation: str | None = None
    metrics: Mapping[str, Any] | None = None
    breakdown: Mapping[str, Any] | None = None
    pricing_version: int | None = None
    idempotency_key: str | None = None
    allocations: tuple[Any, ...] = ()
    reference_id: int | None = None
    reservation_id: UUID | None = None
    metadata: Mapping[str, Any] | None = None
    created_at: datetime
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot(Result):
    """A grant of credits and what is left of it.

    Source: ducto_list_lots.
    """

    lot_id: int
    kind: str
    category: str | None = None
    amount: Decimal
    remaining: Decimal
    priority: int | None = None
    effective_at: datetime | None = None
    expires_at: datetime | None = None
    status: str | None = None
    transaction_id: int | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PricingVersion(Result):
    """A published pricing. `config` is absent in lists.

    Source: ducto_pricing_set, ducto_pricing_get, ducto_pricing_list.
    """

    version: int
    id: UUID | None = None
    label: str | None = None
    active: bool = False
    config: Mapping[str, Any] | None = None
    created_at: datetime | None = None
    warnings: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation(Result):
    """Whether a pricing config could be published, and every reason why not.

    Source: ducto_pricing_validate.
    """

    valid: bool
    errors: tuple[Any, ...] = ()
    warnings: tuple[Any, ...] = ()

    def __bool__(self) -> bool:
        return self.valid


@dataclass(frozen=True, slots=True, kw_only=True)
class Calculation(Result):
    """The price of a usage, without an account.

    Source: ducto_calculate.
    """

    total: Decimal
    cost: Decimal = ZERO
    model: str | None = None
    plan_key: str | None = None
    pricing_version: int | None = None
    breakdown: Breakdown | None = None
    warnings: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold(Result):
    """Credits set aside until settled, released, or `expires_at`.

    Source: ducto_reserve, ducto_renew, ducto_release.
    """

    reservation_id: UUID
    user_id: str | None = None
    team_id: str | None = None
    amount: Decimal = ZERO
    held: Decimal = ZERO
    state: str | None = None
    available: Decimal | None = None
    expires_at: datetime | None = None
    pricing_version: int | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund(Result):
    """Credits given back for a charge, to the payer and the lots it drew on.

    Source: ducto_refund.
    """

    transaction_id: int
    refunded_transaction_id: int
    user_id: str | None = None
    amount: Decimal
    allowance_restored: Decimal = ZERO
    balance_after: Decimal
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Result):
    """A plan of a pricing version.

    Source: ducto_list_plans.
    """

    plan_key: str
    name: str | None = None
    free_allowance: Decimal = ZERO
    period: str | None = None
    period_anchor: str | None = None
    rollover_max: Decimal = ZERO
    features: Mapping[str, Any] = field(default_factory=dict)
    billing_mode: str | None = None
    overdraft_floor: Decimal | None = None
    max_concurrent: int | None = None
    per_operation: Mapping[str, Any] = field(default_factory=dict)
    is_default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UserPlan(Result):
    """The plan an account is on (`assigned`, or the pricing's default), and its current period.

    Source: ducto_get_user_plan, ducto_set_user_plan.
    """

    user_id: str
    plan_key: str | None = None
    assigned: bool = False
    name: str | None = None
    free_allowance: Decimal | None = None
    allowance_remaining: Decimal | None = None
    period: str | None = None
    period_start: datetime | None = None
    period_end: datetime | None = None
    pricing_version: int | None = None
    features: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature(Result):
    """Whether a plan has a feature, and its value.

    Source: ducto_check_feature.
    """

    has_feature: bool
    value: Any = None
    user_id: str | None = None
    plan_key: str | None = None
    feature: str | None = None

    def __bool__(self) -> bool:
        return self.has_feature


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendCap(Result):
    """A cap and its current window.

    Source: ducto_set_spend_cap, ducto_list_spend_caps.
    """

    user_id: str | None = None
    cap_type: str
    model: str | None = None
    limit: Decimal
    action: str = "deny"
    used: Decimal = ZERO
    remaining: Decimal | None = None
    resets_at: datetime | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            raw: Mapping[str, Any] = ...,
            user_id: str | UUID | int | None = None,
            cap_type: str,
            model: str | None = None,
            limit: Decimal | int | str,
            action: str = "deny",
            used: Decimal = ...,
            remaining: Decimal | None = None,
            resets_at: datetime | None = None,
        ) -> None:
            """A cap to set is written as arguments are: ids and amounts in any of their types."""

    def __post_init__(self) -> None:
        # What is no amount is refused by the call that sets the cap, as every argument is.
        with suppress(InvalidArgumentError):
            object.__setattr__(self, "limit", money("limit", self.limit))


@dataclass(frozen=True, slots=True, kw_only=True)
class CapCheck(Result):
    """Whether the caps leave room for an amount.

    Source: ducto_check_spend_cap.
    """

    allowed: bool
    user_id: str | None = None
    caps: tuple[Any, ...] = ()

    def __bool__(self) -> bool:
        return self.allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation(Result):
    """A ledger entry with everything needed to recompute it.

    Source: ducto_explain.
    """

    transaction_id: int
    recomputes: bool | None = None
    recomputed: Any = None
    type: str | None = None
    user_id: str | None = None
    account_id: str | None = None
    operation: str | None = None
    cost: Decimal | None = None
    amount: Decimal | None = None
    allowance_consumed: Decimal = ZERO
    balance_after: Decimal | None = None
    model: str | None = None
    pricing_version: int | None = None
    plan_key: str | None = None
    expressions: tuple[Any, ...] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
    breakdown: Breakdown | None = None
    lots: tuple[Any, ...] = ()
    refunds: tuple[Any, ...] = ()
    created_at: datetime | None = None
    occurred_at: datetime | None = None
    idempotency_key: str | None = None
    metadata: Mapping[str, Any] | None = None
    allocations: tuple[Any, ...] = ()
    reference_id: int | None = None
    reservation_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiredAccount(Result):
    """What a sweep booked, or would book, for one account.

    Source: ducto_sweep_expired_credits.
    """

    user_id: str
    expired: Decimal = ZERO
    lots: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepResult:
    """What a sweep booked, or would book: how many grants lapsed, their credits, and whose.

    Source: ducto_sweep_expired_credits.
    """

    count: int = 0
    amount: Decimal = ZERO
    accounts: tuple[ExpiredAccount, ...] = ()

    @classmethod
    def of(cls, accounts: Iterable[ExpiredAccount]) -> Self:
        """The sums over the accounts."""
        found = tuple(accounts)
        amount = ZERO
        for account in found:
            amount = EXACT.add(amount, account.expired)
        return cls(count=sum(account.lots for account in found), amount=amount, accounts=found)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepricedModel(Result):
    """What stored usage cost, and what it would have cost.

    `model` is None for the total and empty for usage without a model; `unpriced` charges have no
    price in the new config and are not part of `new_cost`.

    Source: ducto_reprice.
    """

    model: str | None = None
    charges: int = 0
    cost: Decimal = ZERO
    new_cost: Decimal = ZERO
    unpriced: int = 0
    first_error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend(Result):
    """What was used: `cost = spent + allowance_consumed`, in credits, less `refunded`."""

    spent: Decimal = ZERO
    allowance_consumed: Decimal = ZERO
    refunded: Decimal = ZERO
    cost: Decimal = ZERO
    charges: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSpend(Spend):
    """What one user used, with the credits of teams too.

    Source: ducto_spend_by_user, ducto_top_users.
    """

    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpend(Spend):
    """What was used of one model; None: no model was named.

    Source: ducto_spend_by_model.
    """

    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DailySpend(Spend):
    """What was used on one UTC day.

    Source: ducto_daily_spend.
    """

    day: date


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedSpend(Spend):
    """A row of a report; what was not grouped by is None. `bucket` is its first UTC day.

    Source: ducto_spend_report.
    """

    bucket: date | None = None
    user_id: str | None = None
    team_id: str | None = None
    model: str | None = None
    operation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageStats(Spend):
    """The totals of a window, of how many users and teams, and how far the rollup is behind.

    Source: ducto_aggregate_stats.
    """

    start: datetime
    end: datetime
    users: int = 0
    teams: int = 0
    rollup: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageEvent(Result):
    """One charge, by when its usage happened (`occurred_at`) and was booked (`created_at`).

    Source: ducto_list_usage_events.
    """

    transaction_id: int
    user_id: str | None = None
    team_id: str | None = None
    model: str | None = None
    operation: str | None = None
    cost: Decimal = ZERO
    allowance_consumed: Decimal = ZERO
    amount: Decimal = ZERO
    metrics: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] | None = None
    occurred_at: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollup(Result):
    """What one step of the rollup added; `complete` says whether anything is left.

    Source: ducto_rollup_usage.
    """

    entries: int = 0
    complete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Team(Result):
    """A pool of credits: `available = balance + allowance_remaining - held`.

    Source: ducto_create_team, ducto_get_team, ducto_list_teams.
    """

    team_id: str
    name: str
    balance: Decimal = ZERO
    allowance_remaining: Decimal = ZERO
    held: Decimal = ZERO
    available: Decimal = ZERO
    debt: Decimal | None = None
    member_count: int = 0
    role: str | None = None
    plan_key: str | None = None
    status: str = "active"
    lifetime_granted: Decimal | None = None
    lifetime_spent: Decimal | None = None
    metadata: Mapping[str, Any] | None = None
    created_at: datetime | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamMember(Result):
    """A user in a team; `used` and `remaining` are of the cap's window, None without a cap.

    Source: ducto_add_team_member, ducto_update_team_member, ducto_list_team_members.
    """

    team_id: str | None = None
    user_id: str
    role: str | None = None
    spend_cap: Decimal | None = None
    cap_type: str | None = None
    used: Decimal | None = None
    remaining: Decimal | None = None
    resets_at: datetime | None = None
    spent: Decimal | None = None
    allowance_consumed: Decimal | None = None
    charges: int | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation(Result):
    """An invariant that does not hold. A healthy database has none.

    Source: ducto_check.
    """

    check_name: str
    user_id: str | None = None
    detail: Any = None


_KNOWN: dict[type, dict[str, tuple[Callable[[Any], Any], bool]]] = {}


def _converters(cls: type[Result]) -> dict[str, tuple[Callable[[Any], Any], bool]]:
    """How each field of a result is read, worked out once for each class."""
    if cls in _KNOWN:
        return _KNOWN[cls]
    hints = get_type_hints(cls)
    converters: dict[str, tuple[Callable[[Any], Any], bool]] = {}
    for item in dataclass_fields(cls):
        if item.name == "raw":
            continue
        required = item.default is MISSING and item.default_factory is MISSING
        converters[item.name] = (_converter(hints[item.name]), required)
    return _KNOWN.setdefault(cls, converters)


def _converter(hint: Any) -> Callable[[Any], Any]:
    """The reader for one annotated type; `X | None` reads null as None."""
    if get_origin(hint) in (Union, types.UnionType):
        members = [arg for arg in get_args(hint) if arg is not type(None)]
        if len(members) > 1:
            return _as_is
        inner = _converter(members[0])
        return lambda value: None if value is None else inner(value)
    origin = get_origin(hint) or hint
    if isinstance(origin, type) and issubclass(origin, Result):
        result: type[Result] = origin
        return lambda value: result.parse(value)
    return _READERS.get(origin, _as_is)


def _as_is(value: Any) -> Any:
    return value


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool | float) or value is None:
        raise ValueError(f"{value!r} is not an exact amount")
    return value if isinstance(value, Decimal) else Decimal(value)


def _moment(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


def _day(value: Any) -> date:
    return value if isinstance(value, date) else date.fromisoformat(value)


def _identifier(value: Any) -> UUID:
    return value if isinstance(value, UUID) else UUID(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return {} if value is None else value


def _sequence(value: Any) -> tuple[Any, ...]:
    return () if value is None else tuple(value)


_READERS: dict[Any, Callable[[Any], Any]] = {
    Decimal: _decimal,
    datetime: _moment,
    date: _day,
    UUID: _identifier,
    int: int,
    Mapping: _mapping,
    tuple: _sequence,
}
