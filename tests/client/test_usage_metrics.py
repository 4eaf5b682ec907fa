"""The typed usage: every standard metric, the same price as the dict it stands for."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal

import pytest

from ducto_pg import CreditManager, InvalidArgumentError, PricingEngine, ToolCall, UsageMetrics
from ducto_pg.plpython.names import STANDARD_METRICS
from tests.client.test_manager import CHARGED, Recorder


def test_it_has_every_standard_metric() -> None:
    names = {item.name for item in fields(UsageMetrics)}
    assert names == {*STANDARD_METRICS, "model", "operation", "extra"}


def test_what_is_zero_or_empty_is_left_out() -> None:
    assert UsageMetrics().to_dict() == {}
    usage = UsageMetrics(model="m", input_tokens=5, requests=0, extra={"image_count": 2})
    assert usage.to_dict() == {"model": "m", "input_tokens": 5, "image_count": 2}


@pytest.mark.parametrize(
    "calls",
    [
        [ToolCall(name="web"), ToolCall("code"), ToolCall("web")],
        ["web", "code", "web"],
        [ToolCall("web", 2), "code"],
        {"web": 2, "code": 1},
    ],
)
def test_tool_calls_are_counted_by_name(calls: list[ToolCall]) -> None:
    assert UsageMetrics(tool_calls=calls).to_dict() == {"tool_calls": {"web": 2, "code": 1}}
    engine = PricingEngine.from_dict(
        {"models": {"_default": 0}, "tools": {"web": "tool_calls * 2", "code": "tool_calls * 30"}}
    )
    assert engine.calculate(UsageMetrics(model="m", tool_calls=calls)).tools == Decimal(34)


def test_a_metric_of_its_own_is_not_given_as_extra() -> None:
    with pytest.raises(InvalidArgumentError, match="metric of its own"):
        UsageMetrics(extra={"input_tokens": 5}).to_dict()


def test_the_manager_sends_it_as_its_dict() -> None:
    store = Recorder({"ducto_deduct": CHARGED, "ducto_deduct_batch": [CHARGED]})
    usage = UsageMetrics(model="m", input_tokens=5)
    CreditManager(store).deduct("ann", usage)
    CreditManager(store).deduct_batch([{"user_id": 7, "metrics": usage}])
    assert store.calls[0][1]["p_metrics"] == {"model": "m", "input_tokens": 5}
    assert store.calls[1][1]["p_charges"] == [
        {"user_id": "7", "metrics": {"model": "m", "input_tokens": 5}}
    ]
