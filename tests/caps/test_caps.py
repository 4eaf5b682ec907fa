"""Spend caps: windows, counters, actions, models, refunds, and what their error says."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal as D
from typing import Any

import pytest

from tests.support.ledger import Ledger, utc


@pytest.fixture(autouse=True)
def rich(ledger: Ledger) -> None:
    ledger.at(utc(2026))
    ledger.publish()
    ledger.grant("ann", 1000)
    ledger.at(utc(2026, 1, 14, 12))


def cap(ledger: Ledger, cap_type: str, limit: int | D, **arguments: Any) -> Any:
    return ledger.call("set_spend_cap", user_id="ann", cap_type=cap_type, limit=limit, **arguments)


def use(ledger: Ledger, model: str, cost: int, **arguments: Any) -> dict[str, Any]:
    tokens = cost * 1000 if model == "mini" else D(cost) / D("0.03")
    return ledger.use("ann", {"model": model, "input_tokens": round(tokens, 20)}, **arguments)


def used(ledger: Ledger) -> dict[tuple[str, str | None], Any]:
    return {
        (row["cap_type"], row["model"]): row["used"]
        for row in ledger.rows("list_spend_caps", user_id="ann")
    }


def test_a_cap_lets_spend_up_to_its_limit_and_no_further(ledger: Ledger) -> None:
    cap(ledger, "daily", 10)
    ledger.spend("ann", 6)
    ledger.spend("ann", 4)
    ledger.refused("DU001", "deduct_amount", user_id="ann", amount=D("0.000000000001"))
    assert used(ledger) == {("daily", None): 10}


def test_the_error_names_cap_use_limit_and_reset(ledger: Ledger) -> None:
    cap(ledger, "daily", 10)
    ledger.spend("ann", 6)
    detail = ledger.refused("DU001", "deduct_amount", user_id="ann", amount=D("4.5"))
    assert detail == {
        "code": "DU001",
        "error": "cap_reached",
        "user_id": "ann",
        "cap_type": "daily",
        "model": None,
        "limit": 10,
        "used": 6,
        "remaining": 4,
        "required": D("4.5"),
        "action": "deny",
        "resets_at": "2026-01-15T00:00:00+00:00",
        "message": detail["message"],
    }
    for fact in ("daily", "ann", "6", "10", "4.5", "2026-01-15"):
        assert fact in detail["message"]


@pytest.mark.parametrize(
    ("cap_type", "last", "next_"),
    [
        ("daily", utc(2026, 1, 14, 23, 59), utc(2026, 1, 15)),
        ("weekly", utc(2026, 1, 18, 23, 59), utc(2026, 1, 19)),
        ("monthly", utc(2026, 1, 31, 23, 59), utc(2026, 2)),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland", "America/Los_Angeles"])
def test_a_window_ends_in_utc_and_the_next_starts_at_zero(
    ledger: Ledger, zone: str, cap_type: str, last: datetime, next_: datetime
) -> None:
    ledger.connection.execute("select set_config('TimeZone', %s, true)", [zone])
    state = cap(ledger, cap_type, 10)
    assert datetime.fromisoformat(state["resets_at"]) == next_
    ledger.spend("ann", 10)
    ledger.at(last)
    ledger.refused("DU001", "deduct_amount", user_id="ann", amount=1)
    ledger.at(next_)
    assert used(ledger) == {(cap_type, None): 0}
    ledger.spend("ann", 7)
    assert used(ledger) == {(cap_type, None): 7}
    ledger.refused("DU001", "deduct_amount", user_id="ann", amount=4)


def test_windows_nobody_spent_in_are_skipped(ledger: Ledger) -> None:
    cap(ledger, "daily", 10)
    ledger.spend("ann", 10)
    ledger.at(utc(2027, 8, 9, 10))
    (row,) = ledger.rows("list_spend_caps", user_id="ann")
    assert (row["used"], row["remaining"], row["resets_at"]) == (0, 10, utc(2027, 8, 10))
    ledger.spend("ann", 1)
    assert used(ledger) == {("daily", None): 1}


def test_several_caps_all_hold(ledger: Ledger) -> None:
    cap(ledger, "daily", 10)
    cap(ledger, "weekly", 15)
    cap(ledger, "monthly", 18)
    ledger.spend("ann", 10)
    assert ledger.refused("DU001", "deduct_amount", user_id="ann", amount=1)["cap_type"] == "daily"
    ledger.at(utc(2026, 1, 15))
    ledger.spend("ann", 5)
    detail = ledger.refused("DU001", "deduct_amount", user_id="ann", amount=1)
    assert detail["cap_type"] == "weekly"
    ledger.at(utc(2026, 1, 20))
    ledger.spend("ann", 3)
    detail = ledger.refused("DU001", "deduct_amount", user_id="ann", amount=1)
    assert detail["cap_type"] == "monthly"


def test_a_cap_of_zero_denies_all_spend_but_not_what_is_free(ledger: Ledger) -> None:
    ledger.publish(plans=[{"id": "p", "default": True, "free_allowance": 5}])
    cap(ledger, "daily", 0)
    assert ledger.spend("ann", 0)["status"] == "ok"
    assert ledger.spend("ann", 5)["allowance_consumed"] == 5
    ledger.refused("DU001", "deduct_amount", user_id="ann", amount=1)


def test_only_what_leaves_the_balance_counts(ledger: Ledger) -> None:
    ledger.publish(plans=[{"id": "p", "default": True, "free_allowance": 5}])
    cap(ledger, "daily", 10)
    ledger.spend("ann", 8)
    assert used(ledger) == {("daily", None): 3}
    ledger.spend("ann", 7)
    ledger.refused("DU001", "deduct_amount", user_id="ann", amount=1)


# --- per model ------------------------------------------------------------------------------------


def test_a_models_cap_covers_only_its_model(ledger: Ledger) -> None:
    cap(ledger, "daily", 5, model="mini")
    use(ledger, "mini", 5)
    detail = ledger.refused(
        "DU001", "deduct", user_id="ann", metrics={"model": "mini", "input_tokens": 1}
    )
    assert (detail["model"], detail["used"]) == ("mini", 5)
    assert use(ledger, "gpt-4", 3)["status"] == "ok"
    assert ledger.spend("ann", 3)["status"] == "ok"
    assert used(ledger) == {("daily", "mini"): 5}


def test_a_model_counts_against_its_own_and_the_general_cap(ledger: Ledger) -> None:
    cap(ledger, "daily", 5, model="mini")
    cap(ledger, "daily", 7)
    use(ledger, "mini", 4)
    assert used(ledger) == {("daily", None): 4, ("daily", "mini"): 4}
    ledger.spend("ann", 3)
    detail = ledger.refused(
        "DU001", "deduct", user_id="ann", metrics={"model": "mini", "input_tokens": 1}
    )
    assert detail["model"] is None


# --- actions --------------------------------------------------------------------------------------


def test_warn_lets_the_charge_through_with_a_warning_and_one_event(ledger: Ledger) -> None:
    cap(ledger, "daily", 10, action="warn")
    assert ledger.spend("ann", 10)["warnings"] == []
    charge = ledger.spend("ann", 5)
    (warning,) = charge["warnings"]
    assert (warning["code"], warning["cap_type"], warning["used"], warning["limit"]) == (
        "cap_warning",
        "daily",
        10,
        10,
    )
    ledger.spend("ann", 5)
    assert ledger.event_types("ann") == ["cap_warning"]
    assert used(ledger) == {("daily", None): 20}


def test_notify_only_writes_an_event(ledger: Ledger) -> None:
    cap(ledger, "daily", 10, action="notify")
    charge = ledger.spend("ann", 12)
    assert charge["warnings"] == []
    ((kind, data),) = ledger.events("ann")
    assert (kind, data["cap_type"], data["limit"], data["required"]) == (
        "cap_reached",
        "daily",
        10,
        12,
    )


def test_the_event_comes_again_in_the_next_window(ledger: Ledger) -> None:
    cap(ledger, "daily", 10, action="notify")
    for day in (14, 15, 16):
        ledger.at(utc(2026, 1, day, 13))
        ledger.spend("ann", 11)
        ledger.spend("ann", 1)
    assert ledger.event_types("ann") == ["cap_reached"] * 3


def test_a_denied_charge_counts_nowhere_and_warns_nobody(ledger: Ledger) -> None:
    cap(ledger, "daily", 10)
    cap(ledger, "weekly", 5, action="warn")
    result = ledger.spend("ann", 11, **{"raise": False})
    assert (result["status"], result["code"]) == ("denied", "DU001")
    assert used(ledger) == {("daily", None): 0, ("weekly", None): 0}
    assert ledger.event_types("ann") == ["cap_reached"]


def test_caps_are_told_before_the_balance(ledger: Ledger) -> None:
    cap(ledger, "daily", 10)
    ledger.refused("DU001", "deduct_amount", user_id="ann", amount=2000)


# --- holds and settlements ------------------------------------------------------------------------


def test_a_hold_takes_room_in_the_caps_until_it_is_settled(ledger: Ledger) -> None:
    cap(ledger, "daily", 10)
    ledger.refused("DU001", "reserve", user_id="ann", amount=11)
    hold = ledger.hold("ann", 8)
    assert used(ledger) == {("daily", None): 8}
    ledger.refused("DU001", "reserve", user_id="ann", amount=3)
    ledger.refused("DU001", "deduct_amount", user_id="ann", amount=3)
    ledger.settle(hold, amount=6)
    assert used(ledger) == {("daily", None): 6}
    ledger.spend("ann", 4)


def test_a_hold_that_is_released_or_lapses_gives_its_room_back(ledger: Ledger) -> None:
    cap(ledger, "daily", 10)
    first = ledger.hold("ann", 4)
    ledger.hold("ann", 5, ttl_seconds=60)
    ledger.call("release", reservation_id=first["reservation_id"])
    assert used(ledger) == {("daily", None): 5}
    ledger.at(utc(2026, 1, 14, 12, 5))
    assert used(ledger) == {("daily", None): 0}
    ledger.spend("ann", 10)


def test_holds_together_pass_no_cap_that_one_of_them_could_not(ledger: Ledger) -> None:
    cap(ledger, "daily", 100)
    ledger.grant("ann", 1000)
    holds = [ledger.hold("ann", 100)]
    for _ in range(4):
        ledger.refused("DU001", "reserve", user_id="ann", amount=100)
    ledger.settle(holds[0], amount=100)
    assert used(ledger) == {("daily", None): 100}


def test_a_settlement_is_not_denied_by_a_cap_but_counts(ledger: Ledger) -> None:
    cap(ledger, "daily", 10)
    hold = ledger.hold("ann", 5)
    ledger.spend("ann", 5)
    assert ledger.settle(hold, amount=8)["status"] == "ok"
    assert used(ledger) == {("daily", None): 13}


# --- refunds --------------------------------------------------------------------------------------


def test_a_refund_drops_the_counters_of_its_window(ledger: Ledger) -> None:
    cap(ledger, "daily", 10)
    cap(ledger, "daily", 10, model="mini")
    charge = use(ledger, "mini", 8)
    ledger.refund(charge, amount=D(3))
    assert used(ledger) == {("daily", None): 5, ("daily", "mini"): 5}
    ledger.refund(charge)
    assert used(ledger) == {("daily", None): 0, ("daily", "mini"): 0}
    use(ledger, "mini", 10)


def test_a_refund_does_not_touch_a_later_window(ledger: Ledger) -> None:
    cap(ledger, "daily", 10)
    cap(ledger, "monthly", 100)
    charge = ledger.spend("ann", 8)
    ledger.at(utc(2026, 1, 15))
    ledger.spend("ann", 4)
    ledger.refund(charge)
    assert used(ledger) == {("daily", None): 4, ("monthly", None): 4}


def test_a_refund_of_allowance_drops_no_counter(ledger: Ledger) -> None:
    ledger.publish(plans=[{"id": "p", "default": True, "free_allowance": 5}])
    cap(ledger, "daily", 10)
    charge = ledger.spend("ann", 8)
    ledger.refund(charge, amount=D(3))
    assert used(ledger) == {("daily", None): 0}
    ledger.refund(charge)
    assert used(ledger) == {("daily", None): 0}


# --- setting, checking, removing ------------------------------------------------------------------


def test_a_cap_set_in_mid_window_counts_what_the_window_has_seen(ledger: Ledger) -> None:
    ledger.at(utc(2026, 1, 2))
    ledger.spend("ann", 100)
    ledger.at(utc(2026, 1, 14, 12))
    charge = use(ledger, "mini", 8)
    use(ledger, "gpt-4", 3)
    ledger.refund(charge, amount=D(2))
    assert cap(ledger, "daily", 20)["used"] == 9
    assert cap(ledger, "weekly", 20, model="mini")["used"] == 6
    assert cap(ledger, "monthly", 200)["used"] == 109
    ledger.refused("DU001", "deduct_amount", user_id="ann", amount=12)


def test_setting_again_replaces_limit_and_action_and_keeps_the_count(ledger: Ledger) -> None:
    cap(ledger, "daily", 10)
    ledger.spend("ann", 8)
    state = cap(ledger, "daily", 20, action="warn")
    assert (state["limit"], state["used"], state["remaining"], state["action"]) == (
        20,
        8,
        12,
        "warn",
    )
    assert len(ledger.rows("list_spend_caps", user_id="ann")) == 1


def test_a_limit_below_what_is_used_denies_at_once(ledger: Ledger) -> None:
    ledger.spend("ann", 8)
    assert cap(ledger, "daily", 5)["remaining"] == 0
    ledger.refused("DU001", "deduct_amount", user_id="ann", amount=D("0.01"))


def test_check_tells_whether_an_amount_would_pass(ledger: Ledger) -> None:
    cap(ledger, "daily", 10)
    cap(ledger, "daily", 2, action="warn")
    cap(ledger, "daily", 10, action="deny")
    cap(ledger, "monthly", 3, model="mini")

    def allowed(**arguments: Any) -> tuple[bool, int]:
        found = ledger.call("check_spend_cap", user_id="ann", **arguments)
        return found["allowed"], len(found["caps"])

    assert allowed() == (True, 1)
    assert allowed(amount=10) == (True, 1)
    assert allowed(amount=D("10.5")) == (False, 1)
    assert allowed(amount=4, model="mini") == (False, 2)
    assert allowed(amount=3, model="mini") == (True, 2)


def test_a_warn_cap_does_not_forbid(ledger: Ledger) -> None:
    cap(ledger, "daily", 1, action="warn")
    found = ledger.call("check_spend_cap", user_id="ann", amount=5)
    assert (found["allowed"], found["caps"][0]["exceeded"]) == (True, True)


def test_removing_a_cap_lets_spend_through(ledger: Ledger) -> None:
    cap(ledger, "daily", 1)
    removed = ledger.call("remove_spend_cap", user_id="ann", cap_type="daily")
    assert removed["removed"] is True
    assert ledger.spend("ann", 5)["status"] == "ok"
    assert ledger.rows("list_spend_caps", user_id="ann") == []
    again = ledger.call("remove_spend_cap", user_id="ann", cap_type="daily")
    assert again["removed"] is False


def test_removing_one_cap_keeps_the_others(ledger: Ledger) -> None:
    cap(ledger, "daily", 1, model="mini")
    cap(ledger, "daily", 5)
    ledger.call("remove_spend_cap", user_id="ann", cap_type="daily", model="mini")
    assert used(ledger) == {("daily", None): 0}
    ledger.refused("DU001", "deduct_amount", user_id="ann", amount=6)


def test_caps_of_one_user_do_not_bind_another(ledger: Ledger) -> None:
    cap(ledger, "daily", 1)
    ledger.grant("bob", 10)
    assert ledger.spend("bob", 10)["status"] == "ok"


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("user_id", ""),
        ("user_id", None),
        ("user_id", "x" * 201),
        ("cap_type", "hourly"),
        ("cap_type", None),
        ("limit", D(-1)),
        ("limit", D("NaN")),
        ("limit", None),
        ("limit", D("0.0000000000001")),
        ("action", "explode"),
        ("action", None),
        ("model", ""),
        ("model", "m" * 201),
    ],
)
def test_a_bad_argument_is_refused_by_name(ledger: Ledger, argument: str, value: Any) -> None:
    arguments = {"user_id": "ann", "cap_type": "daily", "limit": D(5), argument: value}
    detail = ledger.refused("DU017", "set_spend_cap", **arguments)
    assert detail["argument"] == f"p_{argument}"


@pytest.mark.parametrize(
    ("argument", "value"),
    [("user_id", ""), ("user_id", None), ("user_id", "x" * 201), ("cap_type", "hourly")],
)
def test_removing_refuses_bad_arguments_too(ledger: Ledger, argument: str, value: Any) -> None:
    arguments = {"user_id": "ann", "cap_type": "daily", argument: value}
    detail = ledger.refused("DU017", "remove_spend_cap", **arguments)
    assert detail["argument"] == f"p_{argument}"


def test_checking_a_bad_amount_is_refused(ledger: Ledger) -> None:
    detail = ledger.refused("DU017", "check_spend_cap", user_id="ann", amount=D("NaN"))
    assert detail["argument"] == "p_amount"


def test_a_settlement_frees_the_caps_its_hold_was_held_against(ledger: Ledger) -> None:
    ledger.publish(models={"mini": "input_tokens"})
    cap(ledger, "daily", 100, model="mini")
    ledger.grant("ann", 100)
    hold = ledger.call("reserve", user_id="ann", metrics={"model": "mini", "input_tokens": 8})
    assert used(ledger) == {("daily", "mini"): 8}
    ledger.settle(hold, amount=5)
    assert used(ledger) == {("daily", "mini"): 0}
