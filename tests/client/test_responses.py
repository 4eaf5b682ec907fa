"""Token counts read from the providers' responses, as objects and as dicts, each token once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ducto_pg import InvalidArgumentError, PricingEngine, UsageMetrics, usage_from

# Recorded responses, shortened to what surrounds the usage.
OPENAI_CHAT = {
    "id": "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG",
    "object": "chat.completion",
    "model": "gpt-4o-2024-08-06",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}],
    "usage": {
        "prompt_tokens": 2006,
        "completion_tokens": 300,
        "total_tokens": 2306,
        "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 128,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    },
}
OPENAI_RESPONSES = {
    "id": "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b",
    "object": "response",
    "model": "gpt-4.1-2025-04-14",
    "output": [
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"type": "code_interpreter_call", "id": "ci_1", "status": "completed"},
        {"type": "message", "id": "msg_1", "role": "assistant", "content": []},
    ],
    "usage": {
        "input_tokens": 36,
        "input_tokens_details": {"cached_tokens": 10},
        "output_tokens": 87,
        "output_tokens_details": {"reasoning_tokens": 64},
        "total_tokens": 123,
    },
}
ANTHROPIC = {
    "id": "msg_013Zva2CMHLNnjNjJKqJ2EF",
    "type": "message",
    "model": "claude-sonnet-4-20250514",
    "content": [{"type": "text", "text": "Hi"}],
    "usage": {
        "input_tokens": 50,
        "cache_creation_input_tokens": 248,
        "cache_read_input_tokens": 1800,
        "output_tokens": 503,
        "server_tool_use": {"web_search_requests": 2},
        "service_tier": "standard",
    },
}
GEMINI = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "Hi"}]}}],
    "modelVersion": "gemini-2.5-flash",
    "usageMetadata": {
        "promptTokenCount": 1000,
        "cachedContentTokenCount": 800,
        "candidatesTokenCount": 40,
        "toolUsePromptTokenCount": 25,
        "thoughtsTokenCount": 300,
        "totalTokenCount": 1365,
    },
}
GEMINI_OBJECT = {
    "model_version": "models/gemini-2.5-flash",
    "usage_metadata": {
        "prompt_token_count": 1000,
        "cached_content_token_count": 800,
        "candidates_token_count": 40,
        "tool_use_prompt_token_count": 25,
        "thoughts_token_count": 300,
        "total_token_count": 1365,
    },
}
# Anthropic's numbers as LiteLLM gives them: the prompt contains the cache's.
LITELLM_ANTHROPIC = {
    "object": "chat.completion",
    "model": "claude-sonnet-4-20250514",
    "usage": {
        "prompt_tokens": 2098,
        "completion_tokens": 503,
        "total_tokens": 2601,
        "prompt_tokens_details": {"cached_tokens": 1800, "audio_tokens": None},
        "completion_tokens_details": None,
        "cache_creation_input_tokens": 248,
        "cache_read_input_tokens": 1800,
    },
}
# Thinking reported beside the answer, as xAI does; the total gives it away.
BESIDE = {
    "model": "grok-3-mini",
    "usage": {
        "prompt_tokens": 12,
        "completion_tokens": 9,
        "total_tokens": 321,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 300},
    },
}

EXPECTED = [
    (
        OPENAI_CHAT,
        UsageMetrics(
            model="gpt-4o-2024-08-06",
            input_tokens=2006,
            cached_tokens=1920,
            output_tokens=300,
            reasoning_tokens=128,
            total_tokens=2306,
        ),
    ),
    (
        OPENAI_RESPONSES,
        UsageMetrics(
            model="gpt-4.1-2025-04-14",
            input_tokens=36,
            cached_tokens=10,
            output_tokens=87,
            reasoning_tokens=64,
            total_tokens=123,
            web_search_calls=1,
            code_exec_calls=1,
        ),
    ),
    (
        ANTHROPIC,
        UsageMetrics(
            model="claude-sonnet-4-20250514",
            input_tokens=50,
            cache_read_tokens=1800,
            cache_write_tokens=248,
            output_tokens=503,
            total_tokens=2601,
            web_search_calls=2,
        ),
    ),
    *(
        (
            recorded,
            UsageMetrics(
                model="gemini-2.5-flash",
                input_tokens=1025,
                cached_tokens=800,
                output_tokens=340,
                reasoning_tokens=300,
                total_tokens=1365,
            ),
        )
        for recorded in (GEMINI, GEMINI_OBJECT)
    ),
    (
        LITELLM_ANTHROPIC,
        UsageMetrics(
            model="claude-sonnet-4-20250514",
            input_tokens=50,
            cache_read_tokens=1800,
            cache_write_tokens=248,
            output_tokens=503,
            total_tokens=2601,
        ),
    ),
    (
        BESIDE,
        UsageMetrics(
            model="grok-3-mini",
            input_tokens=12,
            cached_tokens=4,
            output_tokens=309,
            reasoning_tokens=300,
            total_tokens=321,
        ),
    ),
]


def as_object(value: Any) -> Any:
    """What a client library makes of the JSON."""
    if isinstance(value, dict):
        return SimpleNamespace(**{name: as_object(member) for name, member in value.items()})
    return [as_object(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("recorded", "usage"), EXPECTED)
def test_a_recorded_response_is_read(recorded: dict[str, Any], usage: UsageMetrics) -> None:
    assert usage_from(recorded) == usage
    assert usage_from(as_object(recorded)) == usage


def test_litellm_and_the_provider_itself_cost_the_same() -> None:
    engine = PricingEngine.from_dict(
        {
            "models": {
                "claude": "input_tokens * 3 + output_tokens * 15"
                " + cache_read_tokens * 0.3 + cache_write_tokens * 3.75"
            },
        }
    )
    usages = [usage_from(recorded) for recorded in (ANTHROPIC, LITELLM_ANTHROPIC)]
    assert {engine.calculate(usage).total for usage in usages} == {50 * 3 + 503 * 15 + 540 + 930}


def test_the_usage_alone_will_do_and_the_model_can_be_named() -> None:
    usage = usage_from(OPENAI_CHAT["usage"], model="gpt-4o")
    assert (usage.model, usage.input_tokens) == ("gpt-4o", 2006)
    assert usage_from(OPENAI_CHAT, model="mine").model == "mine"


@pytest.mark.parametrize(
    "response",
    [None, {}, "text", 5, [], {"usage": None}, {"usage": {}}, {"choices": []}, SimpleNamespace()],
)
def test_a_response_without_usage_is_refused(response: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="reports no usage"):
        usage_from(response)


@pytest.mark.parametrize("count", ["12", 1.5, -1, True])
def test_a_count_that_is_none_is_refused(count: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="that is no count"):
        usage_from({"usage": {"prompt_tokens": count, "completion_tokens": 1}})
