"""Offline pricing: whole usages, from metrics to breakdown."""

from __future__ import annotations

import dataclasses
from dataclasses import fields
from decimal import Decimal
from typing import Any

import pytest

from ducto_pg import errors
from ducto_pg.plpython.runtime import Pricing
from ducto_pg.pricing.engine import CostBreakdown, PricingEngine
from ducto_pg.pricing.schema import pricing_schema
from ducto_pg.pricing.typed import PlanConfig, PricingConfig
from tests.pricing.corpus import load, pricing_cases

PARTS = ("model", "tools", "search", "cache", "fixed", "total")
CONFIG: dict[str, Any] = {
    "models": {"gpt-4": "input_tokens * 0.00003 + output_tokens * 0.00006"},
    "fixed": {"report": "2.50", "by_page": "requests * 2 + 1"},
    "min_balance": Decimal("-5.5"),
    "plans": [{"id": "pro", "rate_overrides": {"models": {"gpt-4": 1}, "fixed": {"report": 2}}}],
}


@pytest.fixture
def engine() -> PricingEngine:
    return PricingEngine.from_dict(CONFIG)


@pytest.mark.parametrize(("config", "case"), pricing_cases())
def test_corpus(config: dict[str, Any], case: dict[str, Any]) -> None:
    engine = PricingEngine.from_dict(config)
    if "error" in case:
        with pytest.raises(errors.DuctoError) as caught:
            engine.calculate(case["metrics"], case.get("plan"))
        assert caught.value.code == case["error"]
        assert {key: caught.value.detail.get(key, "absent") for key in case["detail"]} == (
            case["detail"]
        )
    else:
        breakdown = engine.calculate(case["metrics"], case.get("plan"))
        assert {part: format(getattr(breakdown, part), "f") for part in PARTS} == case["breakdown"]
        assert list(breakdown.warnings) == case.get("warnings", [])


def test_corpus_has_one_config_a_group_that_is_valid() -> None:
    for group in load("pricing"):
        PricingEngine.from_dict(group["config"])


def test_calculate_gives_exact_parts(engine: PricingEngine) -> None:
    assert engine.calculate({"model": "gpt-4-0613", "input_tokens": 500, "output_tokens": 200}) == (
        CostBreakdown(
            model=Decimal("0.027"),
            tools=Decimal(0),
            search=Decimal(0),
            cache=Decimal(0),
            fixed=Decimal(0),
            total=Decimal("0.027"),
            model_name="gpt-4-0613",
        )
    )


def test_breakdown_cannot_be_changed(engine: PricingEngine) -> None:
    breakdown = engine.calculate({"model": "gpt-4"})
    with pytest.raises(dataclasses.FrozenInstanceError):
        breakdown.total = Decimal(1)  # type: ignore[misc]


def test_calculate_with_a_plan(engine: PricingEngine) -> None:
    assert engine.calculate({"model": "gpt-4"}, plan="pro").total == 1
    with pytest.raises(errors.PlanNotFoundError) as caught:
        engine.calculate({"model": "gpt-4"}, plan="prro")
    assert caught.value.detail == {"plan_key": "prro", "nearest": "pro"}


def test_calculate_batch_keeps_the_order(engine: PricingEngine) -> None:
    usages = [{"model": "gpt-4", "input_tokens": count} for count in (3, 1, 2)]
    totals = [breakdown.total for breakdown in engine.calculate_batch(usages)]
    assert totals == [Decimal("0.00009"), Decimal("0.00003"), Decimal("0.00006")]


def test_get_fixed_cost(engine: PricingEngine) -> None:
    assert engine.get_fixed_cost("report") == Decimal("2.5")
    assert engine.get_fixed_cost("report", plan="pro") == 2
    assert engine.get_fixed_cost("by_page") == 1
    assert engine.get_fixed_cost("reprot") is None


def test_resolve_model_and_has_model(engine: PricingEngine) -> None:
    assert engine.resolve_model("gpt-4") == "gpt-4"
    assert engine.resolve_model("gpt-4-0613") == "gpt-4"
    assert engine.has_model("gpt-4")
    assert not engine.has_model("gpt-4-0613")
    assert not engine.has_model("gpt")
    assert engine.resolve_model("gpt") is None
    with_default = PricingEngine.from_dict({"models": {"_default": 1}})
    assert with_default.resolve_model("anything") == "_default"
    assert not with_default.has_model("anything")


def test_min_balance(engine: PricingEngine) -> None:
    assert engine.min_balance == Decimal("-5.5")
    assert PricingEngine.from_dict({"models": {"m": 1}}).min_balance == 0


def test_warnings_of_the_config() -> None:
    engine = PricingEngine.from_dict({"models": {"m": 0}})
    assert [warning["code"] for warning in engine.warnings] == ["zero_price"]


def test_ints_decimals_and_floats_are_read_as_written(engine: PricingEngine) -> None:
    for count in (1500, Decimal("1.5E3"), 1500.0, Decimal("1500.00")):
        breakdown = engine.calculate({"model": "gpt-4", "input_tokens": count})
        assert breakdown.total == Decimal("0.045")
    tenth = PricingEngine.from_dict({"models": {"m": "input_tokens"}})
    assert tenth.calculate({"model": "m", "input_tokens": 0.1}).total == Decimal("0.1")


@pytest.mark.parametrize(
    "value",
    [
        *(float("nan"), float("inf"), -1, -0.5, 10**27, object(), b"1"),
        *map(Decimal, ("NaN", "sNaN", "-Infinity", "1e999999999", "1e-999999999", "0E-50")),
    ],
)
def test_numbers_that_are_not_a_quantity_are_refused(engine: PricingEngine, value: Any) -> None:
    with pytest.raises(errors.InvalidArgumentError) as caught:
        engine.calculate({"model": "gpt-4", "input_tokens": value})
    assert caught.value.detail == {"argument": "metrics", "metric": "input_tokens"}
    assert "'input_tokens'" in str(caught.value)


def test_zero_with_an_absurd_exponent_is_zero(engine: PricingEngine) -> None:
    usage = {"model": "gpt-4", "input_tokens": Decimal("0E+999999")}
    assert engine.calculate(usage).total == 0


@pytest.mark.parametrize("metrics", [None, [], "x", 5])
def test_metrics_must_be_an_object(engine: PricingEngine, metrics: Any) -> None:
    with pytest.raises(errors.InvalidArgumentError):
        engine.calculate(metrics)


def test_unknown_metric_suggests_the_nearest(engine: PricingEngine) -> None:
    with pytest.raises(errors.InvalidArgumentError) as caught:
        engine.calculate({"model": "gpt-4", "input_tokns": 5})
    assert str(caught.value) == "unknown metric 'input_tokns'; did you mean 'input_tokens'?"
    assert caught.value.detail["nearest"] == "input_tokens"


def test_metrics_are_bounded_in_number_and_size(engine: PricingEngine) -> None:
    with pytest.raises(errors.InvalidArgumentError, match="more than 64 metrics"):
        engine.calculate({f"m{number}": 1 for number in range(65)})
    with pytest.raises(errors.InvalidArgumentError, match="larger than 64 kB"):
        engine.calculate({"model": "gpt-4", "tool_calls": ["x" * 100] * 1000})


def test_invalid_expression_is_its_own_error() -> None:
    with pytest.raises(errors.InvalidExpressionError) as caught:
        PricingEngine.from_dict({"models": {"m": "__import__('os')"}})
    assert str(caught.value) == "models.m: unknown name '__import__'"
    assert caught.value.detail["errors"][0]["path"] == "models.m"


def test_invalid_config_lists_all_errors() -> None:
    with pytest.raises(errors.ConfigError) as caught:
        PricingEngine.from_dict({"models": {"m": "foo"}, "scale": 99})
    assert str(caught.value).endswith("(and 1 more)")
    assert [error["path"] for error in caught.value.detail["errors"]] == ["scale", "models.m"]


@pytest.mark.parametrize("config", [None, [], "x", {}])
def test_config_must_be_an_object_with_models(config: Any) -> None:
    with pytest.raises(errors.ConfigError):
        PricingEngine.from_dict(config)


def test_looked_up_models_are_forgotten_before_they_fill_the_memory() -> None:
    engine = PricingEngine.from_dict({"models": {"_default": 1}})
    for number in range(10_000):
        engine.calculate({"model": f"m{number}", "tool_calls": [f"t{number}"]})
    pricing: Pricing = engine._pricing
    assert len(pricing._models) <= 4096
    assert len(pricing._named) <= 4096


def test_json_result_is_plain_decimal_numbers(engine: PricingEngine) -> None:
    price = engine._pricing.price_json
    assert price('{"model": "gpt-4", "input_tokens": 1, "requests": 1}') == (
        '{"cost":0.00003,"model":"gpt-4","breakdown":{"model":0.00003,"tools":0,"search":0,'
        '"cache":0,"fixed":0,"total":0.00003},"warnings":[]}'
    )
    assert price('{"job_name": "report", "tool_calls": ["a"]}') == (
        '{"cost":2.5,"model":null,"breakdown":{"model":0,"tools":0,"search":0,"cache":0,'
        '"fixed":2.5,"total":2.5},"warnings":[{"code": "unpriced_tool", "tool": "a"}]}'
    )
    assert price('{"model": "x\\"y"}') == '{"code": "DU004", "detail": {"model": "x\\"y"}}'


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"a": NaN}', "[" * 5000, '"x"'])
def test_text_that_is_no_json_object_is_refused(engine: PricingEngine, text: str) -> None:
    assert engine._pricing.price_json(text).startswith('{"code": "DU017"')


def test_the_config_of_an_engine_is_typed() -> None:
    config = PricingConfig(
        models={"m": "input_tokens * 2"},
        min_balance=-5,
        plans=[PlanConfig(id="pro", free_allowance=Decimal("2.5"), features=["export"])],
    )
    schema = PricingEngine.from_dict(config).pricing_schema()
    assert schema.plans[0].free_allowance == Decimal("2.5")
    assert schema.to_dict() == config.to_dict()
    by_id = {"models": {"m": 1}, "plans": {"pro": {"free_allowance": 2}}}
    read = PricingEngine.from_dict(by_id).pricing_schema()
    assert read.plans == (PlanConfig(id="pro", free_allowance=2),)


def test_the_typed_config_has_every_key_of_the_format() -> None:
    from ducto_pg.plpython import config

    assert {item.name for item in fields(PricingConfig)} == set(config._TOP_KEYS)
    assert {item.name for item in fields(PlanConfig)} == {*config._PLAN_KEYS, "id"}


def test_schema_knows_every_key_that_validation_knows() -> None:
    from ducto_pg.plpython import config

    schema = pricing_schema()
    assert set(schema["properties"]) == set(config._TOP_KEYS)
    plan = schema["properties"]["plans"]["oneOf"][1]["additionalProperties"]["properties"]
    assert set(plan) == set(config._PLAN_KEYS)
    policy = plan["per_operation"]["additionalProperties"]["properties"]
    assert set(policy) == set(config._POLICY_KEYS)
