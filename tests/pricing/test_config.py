"""Validating a config: every error at once, with its path, and the proof before publishing."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import Any

import pytest

from ducto_pg.plpython.config import (
    CheckedConfig,
    compile_config,
    compile_config_json,
)

MODELS = {"gpt-4": "input_tokens * 0.00003"}


def errors(**config: Any) -> list[tuple[str, str]]:
    found = compile_config({"models": MODELS, **config})["errors"]
    return [(error["path"], error["message"]) for error in found]


def plan_errors(**plan: Any) -> list[tuple[str, str]]:
    return errors(plans=[{"id": "pro", **plan}])


FULL = {
    "version": 2,
    "description": "Everything that a config may have",
    "models": {"gpt-4": "input_tokens * 0.00003", "_default": 1},
    "tools": {"web": "tool_calls * 0.01", "_default": "tool_calls"},
    "search": {"queries": "search_queries * 0.005"},
    "cache": {"read": "cache_read_tokens * 0.0000001"},
    "fixed": {"report": 5, "scan": "2.50"},
    "min_balance": Decimal("-10.5"),
    "metrics": ["image_count", "input_tokens"],
    "scale": 6,
    "rounding": "half_even",
    "low_balance_thresholds": [100, Decimal("10.5"), 0],
    "signup_bonus": 50,
    "plans": [
        {
            "id": "pro",
            "name": "Pro",
            "free_allowance": 1000,
            "rate_overrides": {"models": {"gpt-4": "image_count"}, "tools": {"web": 1}},
            "features": {"sso": True, "seats": 5, "limits": {"a": [1, None]}},
            "default_billing_mode": "overdraft",
            "overdraft_floor": -50,
            "max_concurrent": 3,
            "per_operation": {
                "batch": {
                    "billing_mode": "strict",
                    "overdraft_floor": None,
                    "max_concurrent": None,
                    "required_feature": "sso",
                }
            },
            "period": "weekly",
            "period_anchor": "account",
            "rollover_max": 10,
            "default": True,
        },
        {"id": "free", "features": ["chat"], "rate_overrides": {"gpt-4": "2"}},
    ],
}


def test_config_with_every_key_is_valid() -> None:
    result = compile_config(FULL)
    assert result["errors"] == []
    assert result["code"] is None


def test_checked_config_lists_rates_and_settings() -> None:
    checked = CheckedConfig(FULL)
    assert checked.rates == {
        ("", "models", "gpt-4"): "input_tokens * 0.00003",
        ("", "models", "_default"): "1",
        ("", "tools", "web"): "tool_calls * 0.01",
        ("", "tools", "_default"): "tool_calls",
        ("", "search", "queries"): "search_queries * 0.005",
        ("", "cache", "read"): "cache_read_tokens * 0.0000001",
        ("", "fixed", "report"): "5",
        ("", "fixed", "scan"): "2.50",
        ("pro", "models", "gpt-4"): "image_count",
        ("pro", "tools", "web"): "1",
        ("free", "models", "gpt-4"): "2",
    }
    assert set(checked.rates.values()) == set(checked.programs)
    assert (checked.scale, checked.rounding) == (6, "half_even")
    assert checked.min_balance == Decimal("-10.5")
    assert checked.plan_keys == ["pro", "free"]
    assert checked.metric_names[-1] == "image_count"


def test_plans_may_be_an_object_keyed_by_id() -> None:
    checked = CheckedConfig({"models": MODELS, "plans": {"pro": {"rate_overrides": {"m": 2}}}})
    assert checked.errors == []
    assert checked.rates["pro", "models", "m"] == "2"


@pytest.mark.parametrize("version", [1, 2])
def test_both_versions_of_the_format_are_accepted(version: int) -> None:
    assert errors(version=version) == []


def test_all_errors_are_found_at_once() -> None:
    found = errors(
        models={"a": "foo", "b": "1/0"},
        scale=99,
        modles={},
        plans=[{"name": "x"}, {"id": "p", "period": "dayly"}],
    )
    assert [path for path, _ in found] == [
        "modles",
        "scale",
        "models.a",
        "models.b",
        "plans[0].id",
        "plans[1].period",
    ]


@pytest.mark.parametrize(
    ("config", "path", "message"),
    [
        ({"modles": {}}, "modles", "unknown key; did you mean 'models'?"),
        ({"minbalance": 0}, "minbalance", "unknown key; did you mean 'min_balance'?"),
        ({"zzzzzzzz": 0}, "zzzzzzzz", "unknown key"),
        ({"_compiled": {}}, "_compiled", "unknown key"),
        ({"version": 3}, "version", "the version must be 1 or 2"),
        ({"version": "1"}, "version", "the version must be 1 or 2"),
        ({"version": True}, "version", "the version must be 1 or 2"),
        ({"description": 5}, "description", "must be a text of at most 10000 characters"),
        ({"models": {}}, "models", "'models' must have at least one model"),
        ({"models": []}, "models", "'models' must be an object of expressions"),
        ({"models": None}, "models", "'models' must be an object of expressions"),
        ({"tools": "x"}, "tools", "'tools' must be an object of expressions"),
        ({"models": {"": "1"}}, "models.", "a name must have 1 to 200 characters"),
        ({"models": {"a\n": "1"}}, "models.a\n", "a name must not contain control characters"),
        ({"models": {"m": None}}, "models.m", "an expression must be a text or a number"),
        ({"models": {"m": True}}, "models.m", "an expression must be a text or a number"),
        ({"models": {"m": ["1"]}}, "models.m", "an expression must be a text or a number"),
        (
            {"fixed": {"m": Decimal("1e999999999")}},
            "fixed.m",
            "the number is beyond 10^26, or has more than 40 fraction digits",
        ),
        (
            {"fixed": {"m": Decimal("1e-999999999")}},
            "fixed.m",
            "the number is beyond 10^26, or has more than 40 fraction digits",
        ),
        ({"fixed": {"m": Decimal("NaN")}}, "fixed.m", "an expression must be a text or a number"),
        ({"min_balance": "0"}, "min_balance", "must be a number"),
        ({"min_balance": Decimal("1e26")}, "min_balance", "must be less than 10^26"),
        (
            {"min_balance": Decimal("0.0000000000001")},
            "min_balance",
            "must have at most 12 fraction digits",
        ),
        (
            {"min_balance": Decimal("1e-999999999")},
            "min_balance",
            "must have at most 12 fraction digits",
        ),
        ({"signup_bonus": -1}, "signup_bonus", "must not be negative"),
        ({"scale": 13}, "scale", "the scale must be a whole number from 0 to 12"),
        ({"scale": Decimal("1.5")}, "scale", "the scale must be a whole number from 0 to 12"),
        (
            {"rounding": "half-up"},
            "rounding",
            "must be one of half_up, half_even, ceiling; did you mean 'half_up'?",
        ),
        ({"metrics": "x"}, "metrics", "'metrics' must be a list of names"),
        ({"metrics": ["max"]}, "metrics[0]", "'max' already has a meaning and cannot be a metric"),
        (
            {"metrics": ["model"]},
            "metrics[0]",
            "'model' already has a meaning and cannot be a metric",
        ),
        ({"metrics": ["if"]}, "metrics[0]", "'if' already has a meaning and cannot be a metric"),
        (
            {"metrics": ["lambda"]},
            "metrics[0]",
            "'lambda' already has a meaning and cannot be a metric",
        ),
        ({"low_balance_thresholds": 5}, "low_balance_thresholds", "must be a list of at most 32"),
        ({"low_balance_thresholds": [1, "2"]}, "low_balance_thresholds[1]", "must be a number"),
        ({"plans": 5}, "plans", "'plans' must be a list of plans, or an object of plans by id"),
        ({"plans": ["x"]}, "plans[0]", "a plan must be an object"),
        ({"plans": {"x": 1}}, "plans.x", "a plan must be an object"),
        ({"plans": [{}]}, "plans[0].id", "a plan needs an id"),
        ({"plans": [{"id": 5}]}, "plans[0].id", "a name must be a text"),
        ({"plans": [{"id": "a"}, {"id": "a"}]}, "plans[1].id", "two plans have the id 'a'"),
        (
            {"plans": {"a": {"id": "b"}}},
            "plans.a.id",
            "the id differs from the key that the plan is under",
        ),
        (
            {"plans": [{"id": "a", "default": True}, {"id": "b", "default": True}]},
            "plans[1].default",
            "plans[0] is the default plan already",
        ),
    ],
)
def test_error_names_its_path(config: dict[str, Any], path: str, message: str) -> None:
    [(found_path, found_message)] = errors(**config)
    assert found_path == path
    assert found_message.startswith(message)


@pytest.mark.parametrize("name", ["_x", "9x", "a b", "a-b", "\u0430", "", "x" * 64, "__import__"])
def test_metric_names_are_plain_identifiers(name: str) -> None:
    [(path, message)] = errors(metrics=[name])
    assert path == "metrics[0]"
    assert "cannot be a metric" in message


@pytest.mark.parametrize(
    ("plan", "path", "message"),
    [
        ({"nmae": "x"}, "nmae", "unknown key; did you mean 'name'?"),
        ({"name": ""}, "name", "a name must have 1 to 200 characters"),
        ({"free_allowance": -1}, "free_allowance", "must not be negative"),
        ({"free_allowance": "1"}, "free_allowance", "must be a number"),
        ({"rollover_max": -1}, "rollover_max", "must not be negative"),
        ({"overdraft_floor": 1}, "overdraft_floor", "must be zero or negative"),
        ({"max_concurrent": -1}, "max_concurrent", "must be a whole number from 0 to"),
        ({"max_concurrent": Decimal("1.5")}, "max_concurrent", "must be a whole number from 0 to"),
        ({"max_concurrent": 2**31}, "max_concurrent", "must be a whole number from 0 to"),
        ({"period": "yaerly"}, "period", "did you mean 'yearly'?"),
        ({"period_anchor": "x"}, "period_anchor", "must be one of calendar, account"),
        ({"default_billing_mode": "x"}, "default_billing_mode", "must be one of strict, overdraft"),
        ({"default": "yes"}, "default", "must be true or false"),
        ({"features": "x"}, "features", "must be an object, or a list of names"),
        ({"features": [1]}, "features[0]", "a name must be a text"),
        ({"per_operation": []}, "per_operation", "must be an object of policies by operation"),
        ({"per_operation": {"x": 1}}, "per_operation.x", "a policy must be an object"),
        ({"per_operation": {"x": {"mode": 1}}}, "per_operation.x.mode", "unknown key"),
        (
            {"per_operation": {"x": {"billing_mode": 1}}},
            "per_operation.x.billing_mode",
            "must be one of strict, overdraft",
        ),
        ({"rate_overrides": 5}, "rate_overrides", "must be an object of expressions"),
        ({"rate_overrides": {"m": "foo"}}, "rate_overrides.m", "unknown name 'foo'"),
        (
            {"rate_overrides": {"models": {"m": "foo"}}},
            "rate_overrides.models.m",
            "unknown name 'foo'",
        ),
        (
            {"rate_overrides": {"models": {}, "x": {}}},
            "rate_overrides.models",
            "an expression must be a text or a number",
        ),
    ],
)
def test_plan_error_names_its_path(plan: dict[str, Any], path: str, message: str) -> None:
    found_path, found_message = plan_errors(**plan)[0]
    assert found_path == f"plans[0].{path}"
    assert message in found_message


def test_features_that_nest_too_deep_are_refused() -> None:
    deep: Any = 1
    for _ in range(40):
        deep = [deep]
    assert plan_errors(features={"x": deep}) == [
        ("plans[0].features.x", "nested more than 16 deep")
    ]


@pytest.mark.parametrize("config", [None, [], "x", 5, True])
def test_config_must_be_an_object(config: Any) -> None:
    [error] = compile_config(config)["errors"]
    assert error["message"] == "a pricing config must be an object with the key 'models'"


def test_models_are_required() -> None:
    [error] = compile_config({})["errors"]
    assert (error["path"], error["message"]) == ("models", "the key 'models' is missing")


def test_expression_error_carries_what_a_caret_needs() -> None:
    [error] = compile_config({"models": {"gpt": "1 + foo * 2"}})["errors"]
    assert error == {
        "path": "models.gpt",
        "message": "unknown name 'foo'",
        "code": "DU005",
        "expression": "1 + foo * 2",
        "section": "models",
        "key": "gpt",
        "position": 5,
        "length": 3,
        "name": "foo",
    }


def test_only_expression_errors_give_the_expression_code() -> None:
    assert compile_config({"models": {"a": "foo", "b": "1/0"}})["code"] == "DU005"
    assert compile_config({"models": {"a": "foo"}, "scale": 99})["code"] == "DU006"
    assert compile_config({"models": {}})["code"] == "DU006"


@pytest.mark.parametrize(
    ("expression", "reason", "metrics"),
    [
        ("1 / input_tokens", "division_by_zero", {"input_tokens": 0}),
        ("1 % (input_tokens - 1)", "division_by_zero", {"input_tokens": 1}),
        ("1 / (input_tokens - 1000)", "division_by_zero", {"input_tokens": 1000}),
        ("input_tokens ** 3", "overflow", {"input_tokens": 10**9}),
        (
            "input_tokens / (output_tokens - 1)",
            "division_by_zero",
            {"input_tokens": 1, "output_tokens": 1},
        ),
        ("1 / 0", "division_by_zero", {}),
        ("round(1, input_tokens)", "invalid_digits", {"input_tokens": 10**9}),
        ("percentile(input_tokens, 1)", "invalid_percentile", {"input_tokens": 10**9}),
        (
            "graduated(1, input_tokens, 1, 5, 2, 3)",
            "thresholds_not_ascending",
            {"input_tokens": 10**9},
        ),
        ("(1e-40 ** 16) * (1e-40 ** 16) + 1e-40 ** 16 * 1e-40 ** 16", "too_many_digits", {}),
    ],
)
def test_expression_without_a_value_somewhere_cannot_be_published(
    expression: str, reason: str, metrics: dict[str, int]
) -> None:
    result = compile_config({"models": {"ok": 1}, "search": {"s": expression}})
    [error] = result["errors"]
    assert (error["path"], error["section"], error["key"]) == ("search.s", "search", "s")
    assert error["reason"] == reason
    assert error["metrics"] == metrics
    assert all(f"{name} = {count}" in error["message"] for name, count in metrics.items())
    assert result["code"] == "DU005"
    assert result["programs"] == {}


def test_overrides_of_a_plan_are_proved_too() -> None:
    plans = [{"id": "pro", "rate_overrides": {"cache": {"c": "1 / cache_hits"}}}]
    [error] = compile_config({"models": MODELS, "plans": plans})["errors"]
    assert error["path"] == "plans[0].rate_overrides.cache.c"
    assert (error["plan_key"], error["section"], error["key"]) == ("pro", "cache", "c")
    assert error["metrics"] == {"cache_hits": 0}


def test_prices_that_are_zero_or_negative_for_typical_usage_are_warned_about() -> None:
    result = compile_config(
        {
            "models": {"free": 0, "minus": "0 - input_tokens", "fine": "input_tokens"},
            "metrics": ["image_count"],
            "search": {"never": "max(0, image_count - 10)"},
        }
    )
    assert result["errors"] == []
    assert [(w["path"], w["code"], w["message"]) for w in result["warnings"]] == [
        ("models.free", "zero_price", "the price is zero for typical usage (0)"),
        ("models.minus", "negative_price", "the price is negative for typical usage (-1000)"),
        ("search.never", "zero_price", "the price is zero for typical usage (0)"),
    ]


def test_number_as_expression_is_its_digits() -> None:
    checked = CheckedConfig({"models": {"m": Decimal("0.50")}, "fixed": {"f": Decimal("1E+3")}})
    assert checked.rates["", "models", "m"] == "0.5"
    assert checked.rates["", "fixed", "f"] == "1000"
    assert set(checked.programs) == {"0.5", "1000"}


def test_float_counts_as_the_digits_it_is_written_with() -> None:
    assert CheckedConfig({"models": {"m": 0.1}}).rates["", "models", "m"] == "0.1"


def test_json_in_and_out() -> None:
    text = json.dumps({"models": {"m": "input_tokens"}, "min_balance": 0.5})
    result = json.loads(compile_config_json(text))
    assert result["errors"] == []
    assert result["programs"]["input_tokens"]["names"] == ["input_tokens"]
    for broken in ("", "{", "[" * 100_000, "nope"):
        assert json.loads(compile_config_json(broken))["code"] == "DU006"


def test_four_thousand_models_take_seconds() -> None:
    models = {
        f"model-{number}": f"input_tokens * 0.{number:08d} + output_tokens * 0.{number + 1:08d}"
        for number in range(1, 4001)
    }
    start = time.process_time()
    result = compile_config({"models": models})
    assert time.process_time() - start < 5
    assert len(result["programs"]) == 4000


def test_number_of_expressions_is_bounded() -> None:
    [error] = compile_config({"models": {f"m{number}": 1 for number in range(20_001)}})["errors"]
    assert error["message"] == "the config has 20001 expressions, more than 20000"


def test_number_of_errors_is_bounded() -> None:
    found = compile_config({"models": {f"m{number}": "foo" for number in range(5000)}})["errors"]
    assert len(found) == 101
    assert found[-1]["message"] == "4900 further errors are not listed"


def test_number_of_warnings_is_bounded() -> None:
    found = compile_config({"models": {f"m{number}": 0 for number in range(5000)}})["warnings"]
    assert len(found) == 101
    assert found[-1]["message"] == "4900 further warnings are not listed"


def test_a_long_name_is_shown_cut() -> None:
    key = "k" * 10_000
    found = compile_config({"models": {"m": key, key: "1"}, key: 1, "metrics": [key]})["errors"]
    assert len(found) == 4
    assert all(len(error["path"]) + len(error["message"]) < 400 for error in found)


def test_a_price_that_the_scale_makes_nothing_is_warned_about() -> None:
    def warned(**config: Any) -> list[str]:
        return [warning["path"] for warning in compile_config(config)["warnings"]]

    models = {"m": "0.0001", "n": "input_tokens * 0.0005"}
    assert warned(models=models) == []
    assert warned(models=models, scale=0) == ["models.m"]
    assert warned(models=models, scale=0, rounding="ceiling") == []
    assert warned(models=models, scale=0, rounding="half_even") == ["models.m", "models.n"]
    [warning] = compile_config({"models": {"m": "0.0001"}, "scale": 0})["warnings"]
    assert warning["code"] == "zero_price"
    assert warning["message"] == "the price rounds to zero for typical usage (0.0001)"


def test_a_discount_for_what_was_cached_is_no_warning() -> None:
    config = {"models": MODELS, "cache": {"discount": "0 - cached_tokens * 0.0000005"}}
    assert compile_config(config)["warnings"] == []
