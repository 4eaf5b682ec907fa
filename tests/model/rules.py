"""The rules of the ledger, in plain Python: what the database must do, written from the design.

Nothing here looks at the SQL. An `Account` is changed by one operation at a time; an operation that
may not happen raises `Refused`, and its caller decides whether what it had done so far stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

ZERO = Decimal(0)
TICK = timedelta(microseconds=1)
PROMOTIONAL = {"promo", "signup_bonus", "rollover", "allowance"}


class Refused(Exception):
    """The operation may not happen."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


# --- time -----------------------------------------------------------------------------------------


def add_months(start: datetime, months: int) -> datetime:
    """The same day so many months later, or the last day of a shorter month."""
    year, month = divmod(start.month - 1 + months, 12)
    first = datetime(start.year + year, month + 1, 1, tzinfo=UTC)
    following = datetime(first.year + first.month // 12, first.month % 12 + 1, 1, tzinfo=UTC)
    day = min(start.day, (following - first).days)
    return start.replace(year=first.year, month=first.month, day=day)


def nth(kind: str, anchor: datetime, number: int) -> datetime:
    """Where the period of this number begins, counted from the anchor."""
    if kind == "daily":
        return anchor + timedelta(days=number)
    if kind == "weekly":
        return anchor + timedelta(days=7 * number)
    return add_months(anchor, number * (12 if kind == "yearly" else 1))


def period(kind: str, now: datetime, anchor: datetime | None = None) -> tuple[datetime, datetime]:
    """The period around an instant: of the calendar, or from an anchor."""
    if anchor is None:
        # A Monday, and the first of a year.
        anchor = datetime(2001, 1, 1, tzinfo=UTC)
    number = (now - anchor).days // {"daily": 1, "weekly": 7, "monthly": 31, "yearly": 366}[kind]
    while nth(kind, anchor, number) > now:
        number -= 1
    while nth(kind, anchor, number + 1) <= now:
        number += 1
    return nth(kind, anchor, number), nth(kind, anchor, number + 1)


# --- what is published ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    key: str
    allowance: Decimal
    kind: str
    anchored: bool
    rollover_max: Decimal
    overdraft_floor: Decimal | None
    max_concurrent: int | None
    overrides: dict[str, Decimal]


@dataclass(frozen=True)
class Pricing:
    version: int
    rates: dict[str, Decimal]
    min_balance: Decimal
    signup_bonus: Decimal
    plans: dict[str, Plan]
    default: str | None

    def cost(self, plan_key: str | None, model: str, tokens: int) -> Decimal:
        """The price of so many tokens of a model."""
        rates = dict(self.rates)
        if plan_key is not None:
            rates |= self.plans[plan_key].overrides
        return rates[model] * tokens


# --- what an account has --------------------------------------------------------------------------


@dataclass(eq=False)
class Lot:
    kind: str
    category: str
    amount: Decimal
    remaining: Decimal
    priority: int
    effective_at: datetime
    expires_at: datetime | None
    number: int
    plan_key: str | None = None
    period_start: datetime | None = None
    forfeited: Decimal = ZERO
    revoked: bool = False

    def live(self, now: datetime) -> bool:
        return not self.lapsed(now) and self.remaining > 0

    def lapsed(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    @property
    def spent(self) -> Decimal:
        return self.amount - self.remaining - self.forfeited


@dataclass(eq=False)
class Charge:
    created_at: datetime
    model: str | None
    parts: list[tuple[Lot | None, Decimal]]
    free: Decimal
    number: int
    refunded: Decimal = ZERO
    refunded_amount: Decimal = ZERO

    @property
    def cost(self) -> Decimal:
        return sum((part for _, part in self.parts), ZERO)

    @property
    def amount(self) -> Decimal:
        return self.cost - self.free


@dataclass(eq=False)
class Hold:
    amount: Decimal
    held: Decimal
    capped: Decimal
    floor: Decimal
    deadline: datetime
    version: int
    plan_key: str | None
    number: int
    status: str = "active"
    charged: Decimal = ZERO
    last_amount: Decimal = ZERO


@dataclass(eq=False)
class Cap:
    limit: Decimal
    action: str


@dataclass(eq=False)
class Account:
    created_at: datetime
    plan_since: datetime
    plan_key: str | None = None
    anchor: datetime | None = None
    debt: Decimal = ZERO
    frozen: bool = False
    lots: list[Lot] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    caps: dict[tuple[str, str | None], Cap] = field(default_factory=dict)

    # --- reading -----------------------------------------------------------------------------

    def plan(self, pricing: Pricing) -> Plan | None:
        key = self.plan_key or pricing.default
        return pricing.plans.get(key) if key is not None else None

    def drawable(self, now: datetime) -> list[Lot]:
        """Live lots in the order of consumption."""
        never = datetime.max.replace(tzinfo=UTC)
        return sorted(
            (lot for lot in self.lots if lot.live(now)),
            key=lambda lot: (
                lot.kind != "allowance",
                lot.priority,
                lot.expires_at or never,
                lot.category != "promotional",
                lot.number,
            ),
        )

    def balance(self, now: datetime) -> Decimal:
        live = (lot.remaining for lot in self.drawable(now) if lot.kind != "allowance")
        return sum(live, -self.debt)

    def allowance(self, now: datetime) -> Decimal:
        live = (lot.remaining for lot in self.drawable(now) if lot.kind == "allowance")
        return sum(live, ZERO)

    def open_holds(self, now: datetime) -> list[Hold]:
        return [h for h in self.holds if h.status == "active" and h.deadline > now]

    def held(self, now: datetime) -> Decimal:
        return sum((hold.held for hold in self.open_holds(now)), ZERO)

    def floor(self, pricing: Pricing) -> Decimal:
        plan = self.plan(pricing)
        if plan is not None and plan.overdraft_floor is not None:
            return plan.overdraft_floor
        return pricing.min_balance

    def granted(self) -> Decimal:
        kinds = ("allowance", "refund")
        return sum((lot.amount for lot in self.lots if lot.kind not in kinds), ZERO)

    def spent(self) -> Decimal:
        return sum((c.amount - c.refunded_amount for c in self.charges), ZERO)

    def used(self, cap_type: str, model: str | None, now: datetime) -> Decimal:
        """What a cap counts: what left the balance in the window around now, and what is held."""
        start, _ = period(cap_type, now)
        held = (hold.capped for hold in self.open_holds(now) if model is None)
        return sum(
            (
                charge.amount - charge.refunded_amount
                for charge in self.charges
                if charge.created_at >= start and model in (None, charge.model)
            ),
            sum(held, ZERO),
        )

    # --- time passes -------------------------------------------------------------------------

    def expire(self, now: datetime) -> Decimal:
        """Lapsed lots lose what is left of them; what of it was balance is returned."""
        lapsed = ZERO
        for lot in self.lots:
            if lot.lapsed(now) and lot.remaining > 0:
                if lot.kind != "allowance":
                    lapsed += lot.remaining
                lot.forfeited += lot.remaining
                lot.remaining = ZERO
        return lapsed

    def touch(self, pricing: Pricing, now: datetime) -> None:
        """What happens before anything else: expiry, then the allowance of the period."""
        self.expire(now)
        plan = self.plan(pricing)
        if plan is None:
            return
        anchor = (self.anchor or self.created_at) if plan.anchored else None
        start, end = period(plan.kind, now, anchor)
        rollover = self._rollover(plan, start, period(plan.kind, start - TICK, anchor)[0])
        due = plan.allowance - sum(
            (
                lot.amount
                for lot in self.lots
                if lot.kind == "allowance"
                and lot.period_start is not None
                and lot.expires_at is not None
                and lot.expires_at > start
                and lot.effective_at < end
            ),
            ZERO,
        )
        if due > 0:
            self._allow(plan, due, start, end)
        if rollover > 0:
            lot = self.grant("rollover", rollover, now, expires_at=end)
            lot.period_start = start

    def _allow(self, plan: Plan, due: Decimal, start: datetime, end: datetime) -> None:
        for lot in self.lots:
            if lot.kind == "allowance" and (lot.plan_key, lot.period_start) == (plan.key, start):
                lot.amount += due
                lot.remaining += due
                assert lot.expires_at is not None
                lot.expires_at = max(lot.expires_at, end)
                return
        self.lots.append(
            Lot(
                "allowance",
                "promotional",
                due,
                due,
                100,
                start,
                end,
                len(self.lots),
                plan.key,
                start,
            )
        )

    def _rollover(self, plan: Plan, start: datetime, last_start: datetime) -> Decimal:
        already = any(lot.kind == "rollover" and lot.period_start == start for lot in self.lots)
        if already or self.plan_since >= start:
            return ZERO
        ended = [lot for lot in self.lots if lot.kind == "allowance" and lot.expires_at == start]
        if ended:
            left = sum((lot.remaining + lot.forfeited for lot in ended), ZERO)
        else:
            left = plan.allowance if self.plan_since <= last_start else ZERO
        return min(plan.rollover_max, left)

    # --- money moves -------------------------------------------------------------------------

    def grant(
        self,
        kind: str,
        amount: Decimal,
        now: datetime,
        *,
        expires_at: datetime | None = None,
        priority: int = 100,
    ) -> Lot:
        """A new lot, from which debt is paid first."""
        category = "promotional" if kind in PROMOTIONAL else "paid"
        paid = min(self.debt, amount)
        self.debt -= paid
        lot = Lot(kind, category, amount, amount - paid, priority, now, expires_at, len(self.lots))
        self.lots.append(lot)
        return lot

    def take_back(self, amount: Decimal, pricing: Pricing, now: datetime) -> None:
        """A negative adjustment: down to the floor, not from the allowance."""
        if self.balance(now) - self.held(now) - amount < self.floor(pricing):
            raise Refused("DU002")
        for lot in self.drawable(now):
            if lot.kind != "allowance":
                part = min(lot.remaining, amount)
                lot.remaining -= part
                lot.forfeited += part
                amount -= part
        self.debt += amount

    def decide(
        self,
        cost: Decimal,
        model: str | None,
        pricing: Pricing,
        now: datetime,
        *,
        capped: Decimal | None = None,
    ) -> None:
        """Whether a charge or a hold of this cost, so much of it capped, may happen."""
        if self.frozen:
            raise Refused("DU019")
        allowance, held = self.allowance(now), self.held(now)
        amount = max(cost - allowance, ZERO) if capped is None else capped
        for (cap_type, cap_model), cap in self.caps.items():
            if (
                cap.action == "deny"
                and amount > 0
                and cap_model in (None, model)
                and self.used(cap_type, cap_model, now) + amount > cap.limit
            ):
                raise Refused("DU001")
        left = self.balance(now) + allowance - held - cost
        if left < self.floor(pricing) and cost > max(allowance - held, ZERO):
            raise Refused("DU002")

    def draw(
        self, cost: Decimal, model: str | None, now: datetime, takeable: Decimal | None = None
    ) -> Charge:
        """Take a cost from the lots, or what is takeable of it; what none can pay is debt."""
        parts: list[tuple[Lot | None, Decimal]] = []
        left = cost if takeable is None else takeable
        for lot in self.drawable(now):
            part = min(lot.remaining, left)
            if part > 0:
                lot.remaining -= part
                left -= part
                parts.append((lot, part))
        left += ZERO if takeable is None else cost - takeable
        if left > 0:
            self.debt += left
            parts.append((None, left))
        free = sum((part for lot, part in parts if lot and lot.kind == "allowance"), ZERO)
        charge = Charge(now, model, parts, free, len(self.charges))
        self.charges.append(charge)
        return charge

    def take_hold(
        self, cost: Decimal, model: str | None, seconds: int, pricing: Pricing, now: datetime
    ) -> Hold:
        """Set credits aside, by the rules of a charge."""
        capped = cost - min(cost, max(self.allowance(now) - self.held(now), ZERO))
        self.decide(cost, model, pricing, now, capped=capped)
        plan = self.plan(pricing)
        limit = plan.max_concurrent if plan is not None else None
        if limit is not None and len(self.open_holds(now)) >= limit:
            raise Refused("DU012")
        hold = Hold(
            cost,
            cost,
            capped,
            self.floor(pricing),
            now + timedelta(seconds=seconds),
            pricing.version,
            plan.key if plan else None,
            len(self.holds),
        )
        self.holds.append(hold)
        return hold

    def settle(self, hold: Hold, cost: Decimal, final: bool, now: datetime) -> Charge:
        """Charge what a hold was for; never denied while it is open.

        Beyond the hold it takes what is available above the hold's floor and what no other hold
        has claimed; the rest is debt.
        """
        if hold.status != "active" or hold.deadline <= now:
            raise Refused("DU011")
        held, lots = self.held(now), self.balance(now) + self.debt + self.allowance(now)
        available = lots - self.debt - held
        takeable = min(
            cost,
            hold.held + max(available - hold.floor, ZERO),
            max(lots - (held - hold.held), ZERO),
        )
        charge = self.draw(cost, None, now, takeable)
        hold.charged += cost
        hold.held = max(hold.held - cost, ZERO)
        hold.capped = min(hold.capped, hold.held)
        hold.last_amount = cost
        if final:
            hold.status, hold.held = "settled", ZERO
        return charge

    def refund(
        self, charge: Charge, wanted: Decimal | None, now: datetime
    ) -> tuple[Decimal, Decimal]:
        """Give back; returns what went to the balance and what to the allowance."""
        left = charge.cost - charge.refunded if wanted is None else wanted
        if left > charge.cost - charge.refunded or left == 0:
            raise Refused("DU009")
        balance_part = free_part = ZERO
        before = len(self.lots)
        for lot, part in list(_unrefunded(charge)):
            part = min(part, left)
            if part == 0:
                break
            self._give_back(charge, lot, part, now)
            left -= part
            charge.refunded += part
            if lot is not None and lot.kind == "allowance":
                free_part += part
            else:
                balance_part += part
        charge.refunded_amount += balance_part
        # What was owed, and no lot had paid, is the last of the new lots.
        self.lots[before:] = sorted(self.lots[before:], key=lambda lot: lot.expires_at is None)
        for number, lot in enumerate(self.lots):
            lot.number = number
        return balance_part, free_part

    def _give_back(self, charge: Charge, lot: Lot | None, part: Decimal, now: datetime) -> None:
        if lot is not None and not lot.revoked and not lot.lapsed(now):
            lot.remaining += part
            return
        expires_at = None
        if lot is not None and lot.revoked:
            # What was written off with the grant is revoked too, and given to nobody.
            written_off = min(part, lot.amount - lot.forfeited)
            lot.forfeited += written_off
            part -= written_off
        if lot is None or lot.revoked:
            paid = min(self.debt, part)
            self.debt -= paid
            part -= paid
        elif lot.expires_at is not None:
            expires_at = now + (lot.expires_at - charge.created_at)
        if part > 0:
            free = lot is not None and lot.kind == "allowance"
            self.lots.append(
                Lot(
                    "allowance" if free else "refund",
                    lot.category if lot else "paid",
                    part,
                    part,
                    lot.priority if lot else 100,
                    now,
                    expires_at,
                    len(self.lots),
                    lot.plan_key if lot else None,
                )
            )

    def revoke(self, lot: Lot, write_off: bool) -> tuple[Decimal, Decimal]:
        """Take a grant back; returns what was left of it and what is now owed."""
        taken, owed = lot.remaining, ZERO if write_off else lot.spent
        lot.forfeited += taken + owed
        lot.remaining = ZERO
        lot.revoked = True
        self.debt += owed
        return taken, owed


def _unrefunded(charge: Charge) -> Iterator[tuple[Lot | None, Decimal]]:
    """The parts of a charge, the last first, without what has been given back."""
    skip = charge.refunded
    for lot, part in reversed(charge.parts):
        if skip >= part:
            skip -= part
            continue
        yield lot, part - skip
        skip = ZERO
