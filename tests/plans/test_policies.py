"""What a plan rules besides its allowance: prices, billing mode, features, listing."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest

from tests.support.ledger import Ledger

USAGE = {"model": "gpt-4", "input_tokens": 100}


def plan(ledger: Ledger, **more: Any) -> None:
    ledger.publish(plans=[{"id": "p", "default": True, **more}])


# --- rate overrides -------------------------------------------------------------------------------


def test_an_override_prices_before_the_base(ledger: Ledger) -> None:
    ledger.publish(plans=[{"id": "vip", "rate_overrides": {"gpt-4": "input_tokens * 0.01"}}])
    ledger.grant("ann", 10)
    assert ledger.use("ann", USAGE)["cost"] == 3
    ledger.call("set_user_plan", user_id="ann", plan_key="vip")
    assert ledger.use("ann", USAGE)["cost"] == 1
    assert ledger.use("ann", {**USAGE, "model": "gpt-4-turbo"})["cost"] == 1
    assert ledger.use("ann", {**USAGE, "model": "mini"})["cost"] == D("0.1")


def test_an_overrides_default_comes_before_the_base(ledger: Ledger) -> None:
    plan(ledger, rate_overrides={"_default": "2"})
    ledger.grant("ann", 10)
    assert ledger.use("ann", USAGE)["cost"] == 2


def test_overrides_of_other_sections(ledger: Ledger) -> None:
    ledger.publish(
        fixed={"report": 5},
        plans=[{"id": "p", "default": True, "rate_overrides": {"fixed": {"report": 2}}}],
    )
    ledger.grant("ann", 10)
    assert ledger.call("deduct_fixed", user_id="ann", job_name="report")["cost"] == 2


# --- billing mode ---------------------------------------------------------------------------------


def test_strict_is_the_default(ledger: Ledger) -> None:
    plan(ledger)
    ledger.refused("DU002", "deduct", user_id="ann", metrics=USAGE)


def test_overdraft_goes_down_to_its_floor(ledger: Ledger) -> None:
    plan(ledger, default_billing_mode="overdraft", overdraft_floor=-5)
    assert ledger.use("ann", USAGE)["balance_after"] == -3
    detail = ledger.refused("DU002", "deduct", user_id="ann", metrics=USAGE)
    assert (detail["floor"], detail["available"]) == (-5, -3)
    assert ledger.spend("ann", 2)["balance_after"] == -5


def test_overdraft_without_a_floor_has_none(ledger: Ledger) -> None:
    plan(ledger, default_billing_mode="overdraft")
    assert ledger.spend("ann", 10**20)["balance_after"] == -(10**20)


def test_an_overdraft_is_an_event(ledger: Ledger) -> None:
    plan(ledger, default_billing_mode="overdraft")
    ledger.grant("ann", 1)
    charge = ledger.use("ann", USAGE)
    assert ledger.events("ann") == [
        (
            "overdraft",
            {
                "transaction_id": charge["transaction_id"],
                "debt_added": 2,
                "balance_after": -2,
            },
        )
    ]


def test_an_operation_can_overdraw_where_the_plan_is_strict(ledger: Ledger) -> None:
    plan(
        ledger,
        per_operation={"chat": {"billing_mode": "overdraft", "overdraft_floor": -4}},
    )
    ledger.refused("DU002", "deduct", user_id="ann", metrics=USAGE)
    ledger.refused("DU002", "deduct", user_id="ann", metrics={**USAGE, "operation": "other"})
    assert ledger.use("ann", {**USAGE, "operation": "chat"})["balance_after"] == -3
    ledger.refused("DU002", "deduct", user_id="ann", metrics={**USAGE, "operation": "chat"})


def test_an_operation_can_be_strict_where_the_plan_overdraws(ledger: Ledger) -> None:
    plan(
        ledger,
        default_billing_mode="overdraft",
        overdraft_floor=-100,
        per_operation={"batch": {"billing_mode": "strict"}},
    )
    ledger.refused("DU002", "deduct", user_id="ann", metrics={**USAGE, "operation": "batch"})
    assert ledger.use("ann", USAGE)["status"] == "ok"


def test_an_operations_floor_replaces_the_plans(ledger: Ledger) -> None:
    plan(
        ledger,
        default_billing_mode="overdraft",
        overdraft_floor=-100,
        per_operation={"chat": {"overdraft_floor": -2}},
    )
    ledger.refused("DU002", "deduct", user_id="ann", metrics={**USAGE, "operation": "chat"})
    assert ledger.use("ann", USAGE)["status"] == "ok"


def test_an_operation_without_a_floor_uses_the_plans(ledger: Ledger) -> None:
    plan(
        ledger,
        overdraft_floor=-2,
        per_operation={"chat": {"billing_mode": "overdraft"}},
    )
    detail = ledger.refused(
        "DU002", "deduct", user_id="ann", metrics={**USAGE, "operation": "chat"}
    )
    assert detail["floor"] == -2


# --- features -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "has"),
    [(True, True), (5, True), (0, True), ("gold", True), ("", True), ([], True), (False, False),
     (None, False)],
)  # fmt: skip
def test_a_feature_is_there_when_its_value_is_neither_null_nor_false(
    ledger: Ledger, value: Any, has: bool
) -> None:
    plan(ledger, features={"search": value})
    found = ledger.call("check_feature", user_id="ann", feature="search")
    assert (found["has_feature"], found["value"], found["plan_key"]) == (has, value, "p")


def test_features_can_be_a_list_of_names(ledger: Ledger) -> None:
    plan(ledger, features=["search"])
    assert ledger.call("check_feature", user_id="ann", feature="search")["has_feature"] is True
    assert ledger.call("check_feature", user_id="ann", feature="api")["has_feature"] is False


def test_without_a_plan_there_are_no_features(ledger: Ledger) -> None:
    found = ledger.call("check_feature", user_id="ann", feature="search")
    assert (found["has_feature"], found["value"], found["plan_key"]) == (False, None, None)


def test_an_operation_may_require_a_feature(ledger: Ledger) -> None:
    ledger.publish(
        plans=[
            {"id": "free", "per_operation": {"agent": {"required_feature": "agents"}}},
            {
                "id": "pro",
                "features": ["agents"],
                "per_operation": {"agent": {"required_feature": "agents"}},
            },
        ]
    )
    ledger.grant("ann", 10)
    usage = {**USAGE, "operation": "agent"}
    ledger.call("set_user_plan", user_id="ann", plan_key="free")
    detail = ledger.refused("DU013", "deduct", user_id="ann", metrics=usage)
    assert (detail["feature"], detail["plan_key"]) == ("agents", "free")
    detail = ledger.refused("DU013", "reserve", user_id="ann", amount=1, operation_type="agent")
    assert ledger.use("ann", USAGE)["status"] == "ok"
    ledger.call("set_user_plan", user_id="ann", plan_key="pro")
    assert ledger.use("ann", usage)["status"] == "ok"


# --- listing --------------------------------------------------------------------------------------


def test_plans_are_listed_in_the_order_of_the_config(ledger: Ledger) -> None:
    ledger.publish(
        plans=[
            {"id": "z", "name": "Zed", "free_allowance": D("2.50"), "features": ["a"]},
            {
                "id": "a",
                "period": "weekly",
                "period_anchor": "account",
                "rollover_max": 3,
                "default_billing_mode": "overdraft",
                "overdraft_floor": -7,
                "max_concurrent": 2,
                "default": True,
            },
        ]
    )
    first, second = ledger.rows("list_plans")
    assert (first["plan_key"], first["name"], first["free_allowance"]) == ("z", "Zed", D("2.5"))
    assert (first["period"], first["period_anchor"], first["billing_mode"]) == (
        "monthly",
        "calendar",
        "strict",
    )
    assert (first["features"], first["is_default"]) == ({"a": True}, False)
    assert (second["plan_key"], second["period"], second["period_anchor"]) == (
        "a",
        "weekly",
        "account",
    )
    assert (second["rollover_max"], second["billing_mode"], second["overdraft_floor"]) == (
        3,
        "overdraft",
        -7,
    )
    assert (second["max_concurrent"], second["is_default"]) == (2, True)


def test_only_the_active_versions_plans_are_listed(ledger: Ledger) -> None:
    ledger.publish(plans=[{"id": "old"}])
    ledger.publish(plans=[{"id": "new"}])
    assert [row["plan_key"] for row in ledger.rows("list_plans")] == ["new"]


def test_before_any_pricing_there_are_no_plans(ledger: Ledger) -> None:
    assert ledger.rows("list_plans") == []
    detail = ledger.refused("DU014", "set_user_plan", user_id="ann", plan_key="pro")
    assert detail["nearest"] is None
