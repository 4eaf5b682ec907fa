"""The pricing of the storm: every version has other prices, allowances and floors."""

from __future__ import annotations

from typing import Any

MODELS = ["plain", "banded", "unlisted"]
PLANS = ["small", "large", "open", None]


def pricing(factor: int) -> dict[str, Any]:
    """One of several versions; `factor` scales what things cost."""
    return {
        "version": 2,
        "models": {
            "plain": f"input_tokens * {factor} / 3",
            "banded": f"graduated(input_tokens, 5, 1, {factor})",
            "_default": f"{factor}",
        },
        "tools": {"_default": f"tool_calls * {factor}"},
        "fixed": {"report": factor},
        "low_balance_thresholds": [100, 20],
        "signup_bonus": 25,
        "plans": [
            {"id": "small", "name": "Small", "free_allowance": 10 * factor},
            {
                "id": "large",
                "name": "Large",
                "free_allowance": 100 + factor,
                "rate_overrides": {"plain": f"input_tokens * {factor} / 7"},
                "max_concurrent": 4,
            },
            {
                "id": "open",
                "name": "Open",
                "default_billing_mode": "overdraft",
                "overdraft_floor": -50,
            },
        ],
    }
