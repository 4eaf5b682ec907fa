"""The allowance of a plan: granted on first touch of a period, lapsing at its end, minted once."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest

from tests.support.ledger import Ledger, utc

PLANS = [
    {"id": "free", "free_allowance": 10},
    {"id": "pro", "free_allowance": 100},
    {"id": "team", "free_allowance": 60},
]


@pytest.fixture(autouse=True)
def start(ledger: Ledger) -> None:
    ledger.at(utc(2026, 1, 10))


def on(ledger: Ledger, plan_key: str | None, user_id: str = "ann", **arguments: Any) -> Any:
    return ledger.call("set_user_plan", user_id=user_id, plan_key=plan_key, **arguments)


def test_the_allowance_is_there_at_once_and_is_not_balance(ledger: Ledger) -> None:
    ledger.publish(plans=PLANS)
    assert on(ledger, "pro")["allowance_remaining"] == 100
    assert ledger.amounts("ann") == (0, 100, 0, 0)
    (lot,) = ledger.lots("ann")
    assert (lot["kind"], lot["category"], lot["expires_at"]) == (
        "allowance",
        "promotional",
        utc(2026, 2),
    )
    assert ledger.entries("ann") == []


def test_a_charge_draws_on_it_first(ledger: Ledger) -> None:
    ledger.publish(plans=PLANS)
    on(ledger, "free")
    ledger.grant("ann", 50)
    charge = ledger.spend("ann", 15)
    assert (charge["cost"], charge["allowance_consumed"], charge["amount"]) == (15, 10, 5)
    assert (charge["balance_after"], charge["available_after"]) == (45, 45)
    entry = ledger.entries("ann")[-1]
    assert (entry["amount"], entry["allowance_consumed"]) == (-5, 10)


def test_the_allowance_part_is_no_spend(ledger: Ledger) -> None:
    ledger.publish(plans=PLANS)
    on(ledger, "free")
    ledger.grant("ann", 50)
    ledger.spend("ann", 15)
    found = ledger.balance("ann")
    assert (found["lifetime_granted"], found["lifetime_spent"]) == (50, 5)


def test_what_is_left_lapses_at_the_end_of_the_period(ledger: Ledger) -> None:
    ledger.publish(plans=PLANS)
    on(ledger, "pro")
    ledger.spend("ann", 30)
    assert ledger.amounts("ann") == (0, 70, 0, 0)
    ledger.at(utc(2026, 2))
    assert ledger.amounts("ann") == (0, 100, 0, 0)
    ledger.spend("ann", 1)
    assert [(lot["amount"], lot["remaining"], lot["status"]) for lot in ledger.lots("ann")] == [
        (100, 0, "expired"),
        (100, 99, "live"),
    ]


def test_periods_nobody_touched_grant_nothing(ledger: Ledger) -> None:
    ledger.publish(plans=PLANS)
    on(ledger, "pro")
    ledger.at(utc(2027, 7, 3))
    ledger.spend("ann", 1)
    assert len(ledger.lots("ann")) == 2
    assert ledger.amounts("ann") == (0, 99, 0, 0)


def test_reading_counts_a_due_allowance_without_writing_it(ledger: Ledger) -> None:
    ledger.publish(plans=PLANS)
    on(ledger, "pro")
    ledger.at(utc(2026, 2, 5))
    before = ledger.snapshot()
    assert ledger.amounts("ann") == (0, 100, 0, 0)
    assert ledger.call("get_available", user_id="ann")["available"] == 100
    assert ledger.call("get_user_plan", user_id="ann")["allowance_remaining"] == 100
    assert ledger.snapshot() == before


def test_the_default_plan_is_that_of_accounts_never_assigned_one(ledger: Ledger) -> None:
    ledger.publish(plans=[{**PLANS[0], "default": True}, PLANS[1]])
    assert ledger.amounts("new") == (0, 10, 0, 0)
    assert ledger.spend("new", 4)["allowance_consumed"] == 4
    plan = ledger.call("get_user_plan", user_id="new")
    assert (plan["plan_key"], plan["assigned"], plan["allowance_remaining"]) == ("free", False, 6)


def test_without_a_default_plan_there_is_no_allowance(ledger: Ledger) -> None:
    ledger.publish(plans=PLANS)
    assert ledger.amounts("new") == (0, 0, 0, 0)
    assert ledger.call("get_user_plan", user_id="new")["plan_key"] is None


@pytest.mark.parametrize(
    ("period", "end", "next_end"),
    [
        ("daily", utc(2026, 1, 11), utc(2026, 1, 12)),
        ("weekly", utc(2026, 1, 12), utc(2026, 1, 19)),
        ("monthly", utc(2026, 2), utc(2026, 3)),
        ("yearly", utc(2027), utc(2028)),
    ],
)
def test_each_kind_of_period_grants_anew_at_its_end(
    ledger: Ledger, period: str, end: Any, next_end: Any
) -> None:
    ledger.publish(plans=[{"id": "p", "free_allowance": 7, "period": period, "default": True}])
    ledger.spend("ann", 7)
    ledger.refused("DU002", "deduct_amount", user_id="ann", amount=1)
    plan = ledger.call("get_user_plan", user_id="ann")
    assert plan["period"] == period
    assert plan["period_end"] == end.isoformat()
    ledger.at(end)
    ledger.spend("ann", 7)
    assert ledger.lots("ann")[-1]["expires_at"] == next_end


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/Los_Angeles"])
def test_the_sessions_time_zone_changes_nothing(ledger: Ledger, zone: str) -> None:
    ledger.publish(plans=PLANS)
    ledger.connection.execute("select set_config('TimeZone', %s, true)", [zone])
    ledger.at("2026-01-31T23:59:59.999999+00:00")
    on(ledger, "free")
    ledger.spend("ann", 10)
    ledger.refused("DU002", "deduct_amount", user_id="ann", amount=1)
    ledger.at("2026-02-01T00:00:00+00:00")
    ledger.spend("ann", 10)
    assert [lot["expires_at"] for lot in ledger.lots("ann")] == [utc(2026, 2), utc(2026, 3)]


def test_an_accounts_own_month_runs_from_the_31st_over_february(ledger: Ledger) -> None:
    ledger.publish(plans=[{"id": "p", "free_allowance": 10, "period_anchor": "account"}])
    ledger.at(utc(2026, 1, 31, 15))
    on(ledger, "p")
    for month, day in ((2, 28), (3, 31), (4, 30)):
        ledger.spend("ann", 10)
        ledger.at(utc(2026, month, day, 14, 59))
        ledger.refused("DU002", "deduct_amount", user_id="ann", amount=1)
        ledger.at(utc(2026, month, day, 15))
    assert [lot["expires_at"] for lot in ledger.lots("ann")] == [
        utc(2026, 2, 28, 15),
        utc(2026, 3, 31, 15),
        utc(2026, 4, 30, 15),
    ]
    assert ledger.amounts("ann") == (0, 10, 0, 0)


def test_an_anchor_can_be_given(ledger: Ledger) -> None:
    ledger.publish(plans=[{"id": "p", "free_allowance": 10, "period_anchor": "account"}])
    plan = on(ledger, "p", period_anchor=utc(2025, 11, 15))
    assert plan["period_start"] == utc(2025, 12, 15).isoformat()
    assert plan["period_end"] == utc(2026, 1, 15).isoformat()


def test_without_an_anchor_an_accounts_default_plan_runs_from_its_creation(ledger: Ledger) -> None:
    ledger.publish(
        plans=[{"id": "p", "free_allowance": 10, "period_anchor": "account", "default": True}]
    )
    ledger.spend("ann", 10)
    ledger.at(utc(2026, 2, 9, 23, 59))
    ledger.refused("DU002", "deduct_amount", user_id="ann", amount=1)
    ledger.at(utc(2026, 2, 10))
    ledger.spend("ann", 10)


@pytest.mark.parametrize("anchor", ["infinity", "-infinity"])
def test_an_anchor_must_be_finite(ledger: Ledger, anchor: str) -> None:
    ledger.publish(plans=[{"id": "p", "free_allowance": 10, "period_anchor": "account"}])
    detail = ledger.refused(
        "DU017", "set_user_plan", user_id="ann", plan_key="p", period_anchor=anchor
    )
    assert detail["argument"] == "p_period_anchor"


# --- changing plans -------------------------------------------------------------------------------


def test_a_better_plan_grants_the_difference(ledger: Ledger) -> None:
    ledger.publish(plans=PLANS)
    on(ledger, "free")
    ledger.spend("ann", 10)
    changed = on(ledger, "pro")
    assert (changed["previous_plan_key"], changed["allowance_remaining"]) == ("free", 90)


def test_a_smaller_plan_takes_nothing_away_and_grants_nothing(ledger: Ledger) -> None:
    ledger.publish(plans=PLANS)
    on(ledger, "pro")
    ledger.spend("ann", 5)
    assert on(ledger, "free")["allowance_remaining"] == 95
    ledger.at(utc(2026, 2))
    assert ledger.amounts("ann") == (0, 10, 0, 0)


def test_cycling_plans_mints_nothing(ledger: Ledger) -> None:
    ledger.publish(plans=PLANS)
    for plan_key in ("free", "pro", "free", "team", "pro", "team", "free", None, "pro"):
        on(ledger, plan_key)
    granted = sum(lot["amount"] for lot in ledger.lots("ann", kind="allowance"))
    assert granted == 100
    ledger.spend("ann", 100)
    for plan_key in ("free", "pro", "team", "pro"):
        on(ledger, plan_key)
        ledger.refused("DU002", "deduct_amount", user_id="ann", amount=D("0.01"))


def test_cycling_between_kinds_of_periods_mints_nothing(ledger: Ledger) -> None:
    ledger.publish(
        plans=[
            {"id": "day", "free_allowance": 10, "period": "daily"},
            {"id": "month", "free_allowance": 100},
            {"id": "own", "free_allowance": 100, "period_anchor": "account"},
        ]
    )
    on(ledger, "month")
    ledger.spend("ann", 100)
    for plan_key in ("day", "own", "month", "day", "month", "own"):
        on(ledger, plan_key)
        ledger.refused("DU002", "deduct_amount", user_id="ann", amount=1)


def test_moving_the_anchor_mints_nothing(ledger: Ledger) -> None:
    ledger.publish(plans=[{"id": "p", "free_allowance": 10, "period_anchor": "account"}])
    on(ledger, "p")
    ledger.spend("ann", 10)
    for day in (1, 9, 10, 5):
        on(ledger, "p", period_anchor=utc(2026, 1, day))
        ledger.refused("DU002", "deduct_amount", user_id="ann", amount=1)


def test_the_change_is_an_event_and_setting_the_same_plan_again_is_none(ledger: Ledger) -> None:
    ledger.publish(plans=PLANS)
    on(ledger, "free")
    on(ledger, "free")
    on(ledger, "pro")
    assert ledger.events("ann") == [
        ("plan_changed", {"plan_key": "free", "previous_plan_key": None}),
        ("plan_changed", {"plan_key": "pro", "previous_plan_key": "free"}),
    ]


def test_a_new_pricing_version_that_grants_more_grants_the_difference(ledger: Ledger) -> None:
    ledger.publish(plans=PLANS)
    on(ledger, "free")
    ledger.spend("ann", 10)
    ledger.publish(plans=[{"id": "free", "free_allowance": 25}])
    assert ledger.amounts("ann") == (0, 15, 0, 0)
    ledger.spend("ann", 15)
    ledger.refused("DU002", "deduct_amount", user_id="ann", amount=1)


def test_activating_versions_back_and_forth_mints_nothing(ledger: Ledger) -> None:
    versions = [ledger.publish(plans=[{"id": "free", "free_allowance": n}]) for n in (25, 10, 40)]
    on(ledger, "free")
    for version in [*versions, *versions]:
        ledger.call("pricing_activate", version=version)
        ledger.spend("ann", 0)
    assert ledger.amounts("ann") == (0, 40, 0, 0)


def test_a_plan_that_a_new_version_dropped_means_base_prices_and_a_warning(ledger: Ledger) -> None:
    ledger.publish(plans=[{"id": "old", "free_allowance": 5, "rate_overrides": {"gpt-4": 1}}])
    on(ledger, "old")
    ledger.spend("ann", 5)
    ledger.publish(plans=PLANS)
    ledger.grant("ann", 10)
    charge = ledger.use("ann", {"model": "gpt-4", "input_tokens": 100})
    assert (charge["cost"], charge["allowance_consumed"]) == (3, 0)
    assert charge["warnings"] == [{"code": "plan_missing", "plan_key": "old"}]
    assert ledger.balance("ann")["plan_key"] == "old"


def test_an_unknown_plan_is_refused_with_the_nearest_name(ledger: Ledger) -> None:
    ledger.publish(plans=PLANS)
    detail = ledger.refused("DU014", "set_user_plan", user_id="ann", plan_key="prro")
    assert (detail["plan_key"], detail["nearest"]) == ("prro", "pro")


@pytest.mark.parametrize("user_id", ["", None, "x" * 201])
def test_a_bad_user_id_is_refused(ledger: Ledger, user_id: str | None) -> None:
    ledger.publish(plans=PLANS)
    detail = ledger.refused("DU017", "set_user_plan", user_id=user_id, plan_key="pro")
    assert detail["argument"] == "p_user_id"


# --- rollover -------------------------------------------------------------------------------------


def rolling(maximum: int, allowance: int = 100, **more: Any) -> dict[str, Any]:
    return {"id": "roll", "free_allowance": allowance, "rollover_max": maximum, **more}


def test_what_is_left_rolls_over_up_to_the_maximum(ledger: Ledger) -> None:
    ledger.publish(plans=[rolling(30)])
    on(ledger, "roll")
    ledger.spend("ann", 20)
    ledger.at(utc(2026, 2))
    assert ledger.amounts("ann") == (30, 100, 0, 0)
    ledger.spend("ann", 110)
    assert ledger.amounts("ann") == (20, 0, 0, 0)
    (lot,) = ledger.lots("ann", kind="rollover")
    assert (lot["amount"], lot["remaining"], lot["expires_at"]) == (30, 20, utc(2026, 3))
    assert ledger.entries("ann")[-2]["type"] == "rollover"


def test_less_than_the_maximum_rolls_over_whole(ledger: Ledger) -> None:
    ledger.publish(plans=[rolling(30)])
    on(ledger, "roll")
    ledger.spend("ann", "87.5")
    ledger.at(utc(2026, 2))
    assert ledger.amounts("ann") == (D("12.5"), 100, 0, 0)


def test_nothing_left_rolls_nothing_over(ledger: Ledger) -> None:
    ledger.publish(plans=[rolling(30)])
    on(ledger, "roll")
    ledger.spend("ann", 100)
    ledger.at(utc(2026, 2))
    ledger.spend("ann", 1)
    assert ledger.lots("ann", kind="rollover") == []


def test_what_rolled_over_lasts_one_period(ledger: Ledger) -> None:
    ledger.publish(plans=[rolling(30)])
    on(ledger, "roll")
    ledger.at(utc(2026, 2))
    ledger.spend("ann", 100)
    assert ledger.amounts("ann") == (30, 0, 0, 0)
    ledger.at(utc(2026, 3))
    assert ledger.amounts("ann") == (0, 100, 0, 0)
    ledger.spend("ann", 1)
    assert [entry["type"] for entry in ledger.entries("ann")] == [
        "rollover",
        "usage",
        "expiry",
        "usage",
    ]


def test_a_period_nobody_touched_rolls_its_whole_allowance_over(ledger: Ledger) -> None:
    ledger.publish(plans=[rolling(30)])
    on(ledger, "roll")
    ledger.at(utc(2026, 4, 2))
    assert ledger.amounts("ann") == (30, 100, 0, 0)


def test_rolling_over_happens_once_a_period(ledger: Ledger) -> None:
    ledger.publish(plans=[rolling(30), *PLANS])
    on(ledger, "roll")
    ledger.at(utc(2026, 2))
    for plan_key in ("roll", "pro", "roll", "free", "roll"):
        on(ledger, plan_key)
    ledger.publish(plans=[rolling(30)])
    ledger.spend("ann", 0)
    assert ledger.amounts("ann") == (30, 100, 0, 0)


def test_a_plan_entered_in_this_period_rolls_nothing_over_from_the_one_before(
    ledger: Ledger,
) -> None:
    ledger.publish(plans=[rolling(30), *PLANS])
    on(ledger, "pro")
    ledger.at(utc(2026, 2, 3))
    assert ledger.amounts("ann") == (0, 100, 0, 0)
    on(ledger, "roll")
    assert ledger.amounts("ann") == (0, 100, 0, 0)


def test_rolled_over_credits_pay_debt(ledger: Ledger) -> None:
    ledger.publish(plans=[rolling(30)], min_balance=-50)
    on(ledger, "roll")
    ledger.grant("ann", 1)
    hold = ledger.hold("ann", 10)
    ledger.settle(hold, amount=11)
    ledger.spend("ann", 100)
    assert ledger.amounts("ann") == (-10, 0, 0, 10)
    ledger.at(utc(2026, 2))
    ledger.spend("ann", 50)
    ledger.at(utc(2026, 3))
    ledger.spend("ann", 0)
    assert ledger.amounts("ann") == (20, 100, 0, 0)
