"""What `ducto report` shows: the sums of a window, the window before it, and who may run dry.

Everything is asked of the functions that any client may call; nothing is computed here that the
database decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ducto_pg.client.manager import CreditManager
    from ducto_pg.client.results import DailySpend, ModelSpend, UsageStats, UserSpend

__all__ = ["NO_MODEL", "Report", "Risk", "Series", "gather", "stacked"]

NO_MODEL = "(no model)"
OTHERS = "all others"
PAYERS_MAX = 30
RISK_DAYS = 14
SERIES_MAX = 6
EXACT = Context(prec=200)
DIVIDED = Context(prec=40)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Risk:
    """An account that will be empty soon, at the pace of the window."""

    account: str
    team: bool
    available: Decimal
    debt: Decimal
    per_day: Decimal
    days_left: Decimal

    def record(self) -> dict[str, Any]:
        """It for a machine."""
        return {
            "account": self.account,
            "team": self.team,
            "available": self.available,
            "debt": self.debt,
            "spent_per_day": self.per_day,
            "days_left": self.days_left,
        }


@dataclass(frozen=True)
class Series:
    """One colour of a stacked chart: a value a day."""

    name: str
    values: tuple[Decimal, ...]


@dataclass(frozen=True)
class Report:
    """Everything the report shows."""

    stats: UsageStats
    before: UsageStats
    daily: Sequence[DailySpend]
    models: Sequence[ModelSpend]
    users: Sequence[UserSpend]
    by_model: Sequence[Series]
    risks: Sequence[Risk]

    def record(self) -> dict[str, Any]:
        """It for a machine: the answers of the database, and the accounts at risk."""
        return {
            "stats": self.stats.raw,
            "before": self.before.raw,
            "daily": [row.raw for row in self.daily],
            "models": [row.raw for row in self.models],
            "users": [row.raw for row in self.users],
            "daily_by_model": {each.name: list(each.values) for each in self.by_model},
            "at_risk": [risk.record() for risk in self.risks],
        }


def gather(manager: CreditManager, start: datetime, end: datetime, top: int) -> Report:
    """The report of a window; `before` is the time of the same length in front of it."""
    stats = manager.aggregate_stats(start, end)
    daily = manager.daily_spend(start, end)
    rows = manager.spend_report(start, end, group_by=["model"], bucket="day")
    cells = {(row.bucket, row.model): row.spent for row in rows if row.bucket is not None}
    return Report(
        stats=stats,
        before=manager.aggregate_stats(start - (end - start), start),
        daily=daily,
        models=manager.spend_by_model(start, end),
        users=manager.top_users(top, start, end),
        by_model=stacked([row.day for row in daily], cells),
        risks=at_risk(manager, start, end),
    )


def stacked(
    days: Sequence[date], cells: dict[tuple[date, str | None], Decimal]
) -> tuple[Series, ...]:
    """A series for each of the models that cost most, and one for all the others together."""
    totals: dict[str | None, Decimal] = defaultdict(Decimal)
    for (_, model), value in cells.items():
        totals[model] = EXACT.add(totals[model], value)
    order = sorted(totals, key=lambda model: (-totals[model], model or ""))
    order = [model for model in order if totals[model] > 0]
    shown = order if len(order) <= SERIES_MAX else order[: SERIES_MAX - 1]
    series = [
        Series(
            NO_MODEL if model is None else model,
            tuple(cells.get((day, model), Decimal(0)) for day in days),
        )
        for model in shown
    ]
    rest = order[len(shown) :]
    if rest:
        values = []
        for day in days:
            total = Decimal(0)
            for model in rest:
                total = EXACT.add(total, cells.get((day, model), Decimal(0)))
            values.append(total)
        series.append(Series(OTHERS, tuple(values)))
    return tuple(series)


def at_risk(manager: CreditManager, start: datetime, end: datetime) -> tuple[Risk, ...]:
    """Of the accounts that pay most: those in debt, and those that last two weeks at most."""
    paid: dict[tuple[str, bool], Decimal] = defaultdict(Decimal)
    for row in manager.spend_report(start, end, group_by=["user", "team"]):
        payer = (row.team_id, True) if row.team_id is not None else (row.user_id or "", False)
        paid[payer] = EXACT.add(paid[payer], row.spent)
    payers = sorted(paid, key=lambda payer: (-paid[payer], payer))[:PAYERS_MAX]
    days = DIVIDED.divide(Decimal(int((end - start).total_seconds())), Decimal(86_400))
    risks = []
    for account, team in payers:
        if paid[account, team] <= 0 or days <= 0:
            continue
        now = manager.get_balance(account)
        pace = DIVIDED.divide(paid[account, team], days)
        left = DIVIDED.divide(max(now.available, Decimal(0)), pace)
        if now.debt > 0 or left <= RISK_DAYS:
            shown_pace, shown_left = (round(value, 12) for value in (pace, left))
            risks.append(Risk(account, team, now.available, now.debt, shown_pace, shown_left))
    return tuple(sorted(risks, key=lambda risk: (risk.days_left, -risk.debt, risk.account)))
