"""One charge: its result, its ledger row, the floor, zero cost, errors and denials."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest

from tests.support.databases import Connection
from tests.support.ledger import Json, Ledger, utc
from tests.support.pricing import publish

USAGE = {"model": "gpt-4", "input_tokens": 100, "output_tokens": 50}


def test_the_result_tells_everything(ledger: Ledger) -> None:
    version = ledger.publish(
        tools={"search": "tool_calls * 0.5"},
        fixed={"report": 2},
        plans=[{"id": "pro", "free_allowance": 4}],
    )
    ledger.call("set_user_plan", user_id="ann", plan_key="pro")
    ledger.grant("ann", 1000)
    charge = ledger.use("ann", {**USAGE, "tool_calls": ["search", "search"], "job_name": "report"})
    assert charge.pop("transaction_id") == ledger.entries("ann")[-1]["transaction_id"]
    assert charge == {
        "status": "ok",
        "user_id": "ann",
        "team_id": None,
        "model": "gpt-4",
        "cost": 9,
        "allowance_consumed": 4,
        "amount": 5,
        "balance_after": 995,
        "available_after": 995,
        "pricing_version": version,
        "breakdown": {"model": 6, "tools": 1, "search": 0, "cache": 0, "fixed": 2, "total": 9},
        "warnings": [],
        "replayed": False,
    }


def test_the_ledger_row_keeps_what_is_needed_to_recompute_it(ledger: Ledger) -> None:
    ledger.at(utc(2026, 3, 4, 5))
    version = ledger.publish()
    ledger.grant("ann", 10)
    charge = ledger.use("ann", {**USAGE, "operation": "chat"}, metadata={"chat": 42})
    (lot,) = ledger.lots("ann")
    row = ledger.entries("ann")[-1]
    assert row["transaction_id"] == charge["transaction_id"]
    assert (row["type"], row["amount"], row["allowance_consumed"]) == ("usage", -6, 0)
    assert (row["model"], row["operation"]) == ("gpt-4", "chat")
    assert row["metrics"] == {**USAGE, "operation": "chat"}
    assert row["allocations"] == [{"lot": lot["lot_id"], "amount": -6}]
    assert row["breakdown"]["total"] == 6
    assert row["pricing_version"] == version
    assert row["metadata"] == {"chat": 42}
    assert row["created_at"] == utc(2026, 3, 4, 5)


def test_an_amount_is_charged_without_pricing(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    charge = ledger.spend("ann", "2.50")
    assert (charge["cost"], charge["amount"], charge["balance_after"]) == (
        D("2.5"),
        D("2.5"),
        D("7.5"),
    )
    assert (charge["model"], charge["pricing_version"]) == (None, None)
    assert charge["breakdown"]["total"] == D("2.5")


def test_a_fixed_job_costs_its_price(ledger: Ledger) -> None:
    ledger.publish(fixed={"report": "75"})
    ledger.grant("ann", 100)
    charge = ledger.call("deduct_fixed", user_id="ann", job_name="report")
    assert (charge["cost"], charge["breakdown"]["fixed"], charge["model"]) == (75, 75, None)
    assert ledger.balance("ann")["balance"] == 25


def test_a_charge_takes_the_balance_down_to_zero_and_no_further(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    assert ledger.spend("ann", 10)["balance_after"] == 0
    detail = ledger.refused("DU002", "deduct_amount", user_id="ann", amount=D("0.000000000001"))
    assert (detail["available"], detail["balance"], detail["floor"]) == (0, 0, 0)
    assert detail["required"] == D("0.000000000001")


def test_the_floor_is_the_pricings_min_balance(ledger: Ledger) -> None:
    ledger.publish(min_balance=5)
    ledger.grant("ann", 10)
    ledger.refused("DU002", "deduct_amount", user_id="ann", amount=D("5.01"))
    assert ledger.spend("ann", 5)["balance_after"] == 5


def test_a_negative_min_balance_lets_the_balance_go_below_zero(ledger: Ledger) -> None:
    ledger.publish(min_balance=-5)
    assert ledger.spend("ann", 5)["balance_after"] == -5
    assert ledger.amounts("ann") == (-5, 0, 0, 5)
    ledger.refused("DU002", "deduct_amount", user_id="ann", amount=1)


def test_what_no_lot_can_pay_is_debt(ledger: Ledger) -> None:
    ledger.publish(min_balance=-100)
    ledger.grant("ann", 10)
    ledger.spend("ann", 25)
    (lot,) = ledger.lots("ann")
    assert ledger.entries("ann")[-1]["allocations"] == [
        {"lot": lot["lot_id"], "amount": -10},
        {"debt": 15},
    ]
    assert ledger.events("ann")[-1][0] == "overdraft"
    assert ledger.events("ann")[-1][1]["debt_added"] == 15


def test_zero_cost_usage_is_written_too(ledger: Ledger) -> None:
    ledger.publish()
    charge = ledger.use("ann", {"model": "gpt-4"})
    assert (charge["status"], charge["cost"], charge["balance_after"]) == ("ok", 0, 0)
    (row,) = ledger.entries("ann")
    assert (row["type"], row["amount"]) == ("usage", 0)


def test_zero_cost_usage_passes_even_below_the_floor(ledger: Ledger) -> None:
    ledger.publish(min_balance=-5)
    ledger.spend("ann", 5)
    ledger.publish(min_balance=10)
    assert ledger.use("ann", {"model": "gpt-4"})["status"] == "ok"


def test_a_price_below_zero_costs_nothing(ledger: Ledger) -> None:
    ledger.publish(models={"m": "1 - input_tokens"})
    charge = ledger.use("ann", {"model": "m", "input_tokens": 10})
    assert (charge["cost"], charge["breakdown"]["model"]) == (0, -9)


def test_the_charge_is_rounded_once(ledger: Ledger) -> None:
    ledger.publish(models={"m": "input_tokens / 3"}, tools={"_default": "tool_calls / 3"}, scale=2)
    ledger.grant("ann", 10)
    charge = ledger.use("ann", {"model": "m", "input_tokens": 1, "tool_calls": 1})
    assert (charge["cost"], charge["balance_after"]) == (D("0.67"), D("9.33"))


@pytest.mark.parametrize(
    ("rounding", "cost"),
    [("half_up", D("0.13")), ("half_even", D("0.12")), ("ceiling", D("0.13"))],
)
def test_the_rounding_is_the_pricings(ledger: Ledger, rounding: str, cost: D) -> None:
    ledger.publish(models={"m": "0.125"}, scale=2, rounding=rounding)
    ledger.grant("ann", 1)
    assert ledger.use("ann", {"model": "m"})["cost"] == cost


# --- errors ---------------------------------------------------------------------------------------


def test_nothing_is_priced_before_a_pricing_is_published(ledger: Ledger) -> None:
    ledger.refused("DU003", "deduct", user_id="ann", metrics=USAGE)
    ledger.refused("DU003", "deduct_fixed", user_id="ann", job_name="x")
    ledger.refused("DU003", "quote", user_id="ann", metrics=USAGE)
    ledger.refused("DU003", "reserve", user_id="ann", metrics=USAGE)


def test_an_unpriced_model_is_an_error(ledger: Ledger) -> None:
    version = ledger.publish()
    detail = ledger.refused("DU004", "deduct", user_id="ann", metrics={"model": "llama"})
    assert (detail["model"], detail["version"]) == ("llama", version)


def test_an_unknown_job_is_an_error_that_names_the_nearest(ledger: Ledger) -> None:
    ledger.publish(fixed={"report": 1})
    detail = ledger.refused("DU018", "deduct_fixed", user_id="ann", job_name="reprot")
    assert (detail["job_name"], detail["nearest"]) == ("reprot", "report")


def test_an_unknown_metric_is_an_error_because_a_typo_must_not_be_free(ledger: Ledger) -> None:
    ledger.publish()
    detail = ledger.refused(
        "DU017", "deduct", user_id="ann", metrics={"model": "gpt-4", "input_token": 5}
    )
    assert "input_token" in detail["message"]


def test_an_expression_that_fails_charges_nothing(ledger: Ledger) -> None:
    ledger.publish(models={"m": "1 / (requests - 12345)"})
    ledger.grant("ann", 10)
    detail = ledger.refused(
        "DU022", "deduct", user_id="ann", metrics={"model": "m", "requests": 12345}
    )
    assert detail["reason"] == "division_by_zero"


@pytest.mark.parametrize(
    "value",
    ["-1", "null", '"5"', "true", "[]", "{}", "1e27", "0." + "1" * 41],
)
def test_a_metric_must_be_a_finite_number_not_below_zero(ledger: Ledger, value: str) -> None:
    ledger.publish()
    ledger.grant("ann", 10)
    ledger.refused(
        "DU017",
        "deduct",
        user_id="ann",
        metrics=Json('{"model": "gpt-4", "input_tokens": ' + value + "}"),
    )


@pytest.mark.parametrize("metrics", ["null", "[]", '"gpt-4"', "5", "true"])
@pytest.mark.parametrize("name", ["deduct", "quote"])
def test_metrics_must_be_an_object(ledger: Ledger, name: str, metrics: str) -> None:
    ledger.publish()
    detail = ledger.refused("DU017", name, user_id="ann", metrics=Json(metrics))
    assert detail["argument"] == "p_metrics"


@pytest.mark.parametrize("name", ["deduct", "quote"])
def test_metrics_must_not_be_missing(ledger: Ledger, name: str) -> None:
    ledger.publish()
    assert ledger.refused("DU017", name, user_id="ann", metrics=None)["argument"] == "p_metrics"


def test_metrics_are_at_most_64_kilobytes(ledger: Ledger) -> None:
    ledger.publish()
    ledger.refused(
        "DU017", "deduct", user_id="ann", metrics={"model": "gpt-4", "operation": "x" * 70_000}
    )


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("amount", D("NaN")),
        ("amount", "Infinity"),
        ("amount", "-Infinity"),
        ("amount", -1),
        ("amount", None),
        ("amount", D("0.0000000000001")),
        ("amount", D(10) ** 26),
        ("user_id", ""),
        ("user_id", None),
        ("user_id", "x" * 201),
        ("idempotency_key", ""),
        ("idempotency_key", "k" * 256),
        ("metadata", Json("[]")),
        ("metadata", {"huge": "x" * 70_000}),
    ],
)
def test_a_bad_argument_is_refused_by_name(ledger: Ledger, argument: str, value: object) -> None:
    arguments: dict[str, object] = {"user_id": "ann", "amount": 5, argument: value}
    detail = ledger.refused("DU017", "deduct_amount", **arguments)
    assert detail["argument"] == f"p_{argument}"


CALLS: dict[str, dict[str, Any]] = {
    "deduct": {"metrics": {"model": "gpt-4"}},
    "deduct_fixed": {"job_name": "report"},
    "quote": {"metrics": {"model": "gpt-4"}},
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("user_id", ""),
        ("user_id", None),
        ("user_id", "x" * 201),
        ("user_id", "x" * 1_000_000),
        ("idempotency_key", ""),
        ("idempotency_key", "k" * 256),
        ("metadata", Json("[]")),
        ("metadata", Json("null")),
        ("metadata", {"huge": "x" * 70_000}),
    ],
)
def test_every_door_checks_its_arguments(
    ledger: Ledger, name: str, argument: str, value: object
) -> None:
    ledger.publish(fixed={"report": 0})
    if name == "quote" and argument != "user_id":
        return
    arguments = {"user_id": "ann", **CALLS[name], argument: value}
    assert ledger.refused("DU017", name, **arguments)["argument"] == f"p_{argument}"


@pytest.mark.parametrize("job_name", [None, "", "x" * 1000])
def test_a_bad_job_name_is_refused(ledger: Ledger, job_name: str | None) -> None:
    ledger.publish(fixed={"report": 1})
    ledger.refused("DU017", "deduct_fixed", user_id="ann", job_name=job_name)


def test_an_error_is_raised_even_where_denials_are_returned(ledger: Ledger) -> None:
    ledger.publish()
    ledger.refused("DU004", "deduct", user_id="ann", metrics={"model": "x"}, **{"raise": False})
    ledger.refused("DU017", "deduct_amount", user_id="ann", amount=-1, **{"raise": False})


# --- denied: raised or returned -------------------------------------------------------------------


def deny_credits(ledger: Ledger) -> None:
    ledger.grant("ann", 1)


def deny_cap(ledger: Ledger) -> None:
    ledger.grant("ann", 100)
    ledger.call("set_spend_cap", user_id="ann", cap_type="daily", limit=1)


def deny_feature(ledger: Ledger) -> None:
    ledger.publish(
        plans=[
            {
                "id": "free",
                "default": True,
                "per_operation": {"chat": {"required_feature": "chat"}},
            }
        ]
    )
    ledger.grant("ann", 100)


def deny_frozen(ledger: Ledger) -> None:
    ledger.grant("ann", 100)
    ledger.call("freeze_account", user_id="ann")


DENIALS = [
    ("DU002", "insufficient_credits", deny_credits, "deduct_failed"),
    ("DU001", "cap_reached", deny_cap, "cap_reached"),
    ("DU013", "feature_not_entitled", deny_feature, "deduct_failed"),
    ("DU019", "account_frozen", deny_frozen, "deduct_failed"),
]
CHAT = {"model": "gpt-4", "input_tokens": 100, "operation": "chat"}


@pytest.mark.parametrize(("code", "error", "arrange", "event"), DENIALS)
def test_a_denial_is_raised_by_default_and_then_leaves_no_trace(
    ledger: Ledger, code: str, error: str, arrange: Any, event: str
) -> None:
    ledger.publish()
    arrange(ledger)
    before = ledger.events("ann")
    detail = ledger.refused(code, "deduct", user_id="ann", metrics=CHAT)
    assert detail["error"] == error
    assert ledger.events("ann") == before


@pytest.mark.parametrize(("code", "error", "arrange", "event"), DENIALS)
def test_a_denial_is_returned_and_recorded_when_asked(
    ledger: Ledger, code: str, error: str, arrange: Any, event: str
) -> None:
    ledger.publish()
    arrange(ledger)
    amounts, entries = ledger.amounts("ann"), ledger.entries("ann")
    raised = ledger.refused(code, "deduct", user_id="ann", metrics=CHAT)
    result = ledger.use("ann", CHAT, **{"raise": False})
    assert (result["status"], result["code"], result["error"]) == ("denied", code, error)
    facts = {key: value for key, value in result.items() if key not in ("status", "hint")}
    assert facts == raised
    assert (ledger.amounts("ann"), ledger.entries("ann")) == (amounts, entries)
    assert ledger.events("ann")[-1][0] == event
    assert ledger.events("ann")[-1][1]["code"] == code


def test_a_denial_after_which_the_application_goes_on_charges_nothing(ledger: Ledger) -> None:
    ledger.grant("ann", 5)
    assert ledger.spend("ann", 6, **{"raise": False})["status"] == "denied"
    assert ledger.spend("ann", 5)["balance_after"] == 0


def test_frozen_is_told_before_feature_cap_and_credits(ledger: Ledger) -> None:
    ledger.publish()
    ledger.call("freeze_account", user_id="ann")
    ledger.call("set_spend_cap", user_id="ann", cap_type="daily", limit=0)
    assert ledger.refused("DU019", "deduct", user_id="ann", metrics=CHAT)


# --- in the caller's transaction, on both evaluators ----------------------------------------------


def test_a_charge_belongs_to_the_callers_transaction(both: Connection) -> None:
    publish(both, {"models": {"m": "input_tokens / 3"}, "scale": 4})
    both.execute("create table public.messages (body text)")
    both.execute("select ducto_add_credits('ann', 10)")
    try:
        with both.transaction():
            both.execute("insert into public.messages values ('hi')")
            both.execute("""select ducto_deduct('ann', '{"model": "m", "input_tokens": 1}')""")
            raise RuntimeError("the application fails")
    except RuntimeError:
        pass
    assert both.execute("select count(*) from public.messages").fetchone() == (0,)
    row = both.execute("select ducto_get_balance('ann') -> 'balance'").fetchone()
    assert row == (10,)
    with both.transaction():
        both.execute("insert into public.messages values ('hi')")
        both.execute("""select ducto_deduct('ann', '{"model": "m", "input_tokens": 1}')""")
    row = both.execute("select ducto_get_balance('ann') -> 'balance'").fetchone()
    assert row == (D("9.6667"),)
    assert both.execute("select * from ducto_check()").fetchall() == []
