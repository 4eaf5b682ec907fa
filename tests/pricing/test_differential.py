"""Generated expressions and usages: the three hosts give the same digits, or the same error."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ducto_pg.plpython.language import ExpressionError, compile_expression
from ducto_pg.plpython.names import STANDARD_METRICS
from tests.pricing.generated import METRIC_TEXTS, expressions
from tests.pricing.hosts import price_everywhere
from tests.support.databases import Connection

pytestmark = pytest.mark.fuzz

# One database serves all examples of a test: each example leaves nothing behind. The number of
# examples is the profile's, so that `make fuzz` can ask for more.
EXAMPLES = settings(
    deadline=None,
    max_examples=2 * settings().max_examples,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

COUNTS = st.dictionaries(
    st.sampled_from(["input_tokens", "output_tokens", "total_tokens", "requests"]), METRIC_TEXTS
)
KEYS = st.sampled_from(["gpt-4", "gpt-4o", "gpt", "g", "é", "_default", "web", "crawl", "Gpt-4"])
NAMES = st.sampled_from(["gpt-4", "gpt-4o-mini", "gp", "x", "éa", "_default", "_defaults", "web"])
PRICES = st.one_of(
    st.sampled_from(
        [
            "input_tokens * 0.00003 + output_tokens * 0.00006",
            "tool_calls * 0.25 - 1",
            "search_queries / 3 + cache_hits",
            "1 / requests",
            "input_tokens ** 3 * 0.000000000000000001",
        ]
    ),
    st.integers(0, 9),
    st.decimals("-1", "1", places=13, allow_nan=False),
)


def agree(answers: list[dict[str, Any]]) -> None:
    for answer in answers:
        for host, found in answer.items():
            assert found == answer["in-process"], host


def usage_text(model: str, counts: dict[str, str], **more: str) -> str:
    """A usage as JSON, the digits of its numbers as they are."""
    members = {"model": f'"{model}"', **counts, **more}
    return "{" + ", ".join(f'"{name}": {text}' for name, text in members.items()) + "}"


def compiles(expression: str) -> bool:
    """Whether it is within the limits of the language."""
    try:
        compile_expression(expression, STANDARD_METRICS)
    except ExpressionError:
        return False
    return True


@EXAMPLES
@given(st.lists(expressions().filter(compiles), min_size=1, max_size=6), COUNTS, COUNTS)
def test_generated_expressions(
    db: Connection, texts: list[str], first: dict[str, str], second: dict[str, str]
) -> None:
    config = {"models": {f"m{number}": text for number, text in enumerate(texts)}}
    usages = [
        (usage_text(name, counts), "") for name in config["models"] for counts in (first, second)
    ]
    agree(price_everywhere(db, config, usages))


def sections(*names: str) -> st.SearchStrategy[dict[str, dict[str, Any]]]:
    return st.fixed_dictionaries(
        {}, optional={name: st.dictionaries(KEYS, PRICES, max_size=4) for name in names}
    )


CONFIGS = st.fixed_dictionaries(
    {
        "models": st.dictionaries(KEYS, PRICES, min_size=1, max_size=6),
        "plans": st.fixed_dictionaries(
            {
                "pro": st.fixed_dictionaries(
                    {"rate_overrides": sections("models", "tools", "search", "cache", "fixed")}
                ),
                "flat": st.fixed_dictionaries(
                    {"rate_overrides": st.dictionaries(KEYS, PRICES, max_size=3)}
                ),
                "free": st.just({"free_allowance": 5}),
            }
        ),
        "scale": st.integers(0, 12),
        "rounding": st.sampled_from(["half_up", "half_even", "ceiling"]),
    },
    optional={
        name: st.dictionaries(KEYS, PRICES, max_size=4)
        for name in ("tools", "search", "cache", "fixed")
    },
)
CALLS = st.one_of(
    st.sampled_from(
        ["0", "3", "2.5", "[]", "{}", "null", '"x"', "-1", "true", "[1]", '{"a": 0.5}']
    ),
    st.lists(NAMES.map(lambda name: f'"{name}"'), max_size=5).map(lambda n: f"[{', '.join(n)}]"),
    st.lists(NAMES.map(lambda name: f'{{"name": "{name}"}}'), max_size=5).map(
        lambda n: f"[{', '.join(n)}]"
    ),
    st.dictionaries(NAMES, st.integers(0, 5)).map(
        lambda d: "{" + ", ".join(f'"{name}": {count}' for name, count in d.items()) + "}"
    ),
)
MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        "model": NAMES.map(lambda name: f'"{name}"'),
        "job_name": st.one_of(NAMES.map(lambda name: f'"{name}"'), st.just("null")),
        "operation": st.sampled_from(['"chat"', '""', "5"]),
        "tool_calls": CALLS,
        "input_tokens": METRIC_TEXTS,
        "requests": METRIC_TEXTS,
        "search_queries": METRIC_TEXTS,
        "cache_hits": METRIC_TEXTS,
        "output_tokens": st.sampled_from(
            ["5", "-1", "1e27", "1e26", "null", "1e-41", '"5"', "[3]"]
        ),
        "input_token": st.just("1"),
    },
)


@EXAMPLES
@given(
    CONFIGS,
    st.lists(
        st.tuples(MEMBERS, st.sampled_from(["", "pro", "flat", "free", "none"])),
        min_size=1,
        max_size=8,
    ),
)
def test_generated_configs_and_usages(
    db: Connection, config: dict[str, Any], usages: list[tuple[dict[str, str], str]]
) -> None:
    texts = [
        ("{" + ", ".join(f'"{name}": {text}' for name, text in members.items()) + "}", plan)
        for members, plan in usages
    ]
    agree(price_everywhere(db, config, texts))
