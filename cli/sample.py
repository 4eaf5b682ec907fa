"""Synthetic usage: made up here, from a fixed seed, in the proportions of a small AI product.

The same number of events is the same list on every machine.
"""

from __future__ import annotations

import math
import random
from typing import Any

__all__ = ["USERS", "events"]

SEED = 20_260_501
# Who they are, the plan they are on, and their share of the traffic.
USERS: tuple[tuple[str, str, int], ...] = (
    ("acme-robotics", "scale", 34),
    ("birch-analytics", "pro", 22),
    ("cedar-legal", "pro", 16),
    ("dune-travel", "free", 12),
    ("ember-games", "pro", 10),
    ("fjord-health", "free", 6),
)
MODELS: tuple[tuple[str, int, float, float], ...] = (
    # model, share, median input tokens, median output tokens
    ("gpt-4o", 22, 1400, 260),
    ("gpt-4o-mini", 30, 900, 200),
    ("claude-sonnet-4-20250514", 18, 2600, 420),
    ("claude-haiku-3-5", 12, 800, 180),
    ("gemini-2.5-pro", 7, 9000, 500),
    ("text-embedding-3-small", 11, 700, 0),
)


def events(count: int) -> list[dict[str, Any]]:
    """Charges as `deduct_batch` takes them; keys make a second replay free of charge."""
    chance = random.Random(SEED)
    users = [name for name, _, _ in USERS]
    shares = [share for _, _, share in USERS]
    return [
        {
            "user_id": chance.choices(users, shares)[0],
            "metrics": _metrics(chance),
            "idempotency_key": f"demo:{number}",
            "metadata": {"synthetic": True},
        }
        for number in range(1, count + 1)
    ]


def _metrics(chance: random.Random) -> dict[str, Any]:
    model, _, tokens_in, tokens_out = chance.choices(MODELS, [m[1] for m in MODELS])[0]
    metrics: dict[str, Any] = {"model": model, "input_tokens": _around(chance, tokens_in)}
    if not tokens_out:
        return metrics | {"operation": "embedding"}
    metrics |= {"operation": "chat", "output_tokens": _around(chance, tokens_out)}
    if chance.random() < 0.18:
        metrics["tool_calls"] = [
            {"name": chance.choice(["web_browse", "code_interpreter", "lookup_order"])}
            for _ in range(chance.randint(1, 3))
        ]
    if chance.random() < 0.08:
        metrics |= {"search_queries": 1, "search_results": chance.randint(3, 30)}
    if chance.random() < 0.25:
        metrics["cache_read_tokens"] = _around(chance, 1500)
    return metrics


def _around(chance: random.Random, median: float) -> int:
    """A count from a long-tailed distribution, as token counts have."""
    return max(1, round(math.exp(math.log(median) + chance.gauss(0, 0.9))))
