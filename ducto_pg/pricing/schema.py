"""The JSON Schema of a pricing config, for editors.

It describes the shape only: an editor completes and checks keys with it. Whether an expression is
valid and has a value is what `ducto pricing validate` tells.
"""

from __future__ import annotations

from typing import Any

from ducto_pg.plpython.config import (
    BILLING_MODES,
    CONCURRENT_LIMIT,
    EXTRA_METRIC_LIMIT,
    PERIOD_ANCHORS,
    PERIODS,
    ROUNDINGS,
    THRESHOLD_COUNT_LIMIT,
)
from ducto_pg.plpython.language import LENGTH_LIMIT
from ducto_pg.plpython.names import DEFAULT_KEY, NAME_LENGTH_LIMIT, SECTIONS

__all__ = ["pricing_schema"]

_SECTION_TEXTS = {
    "models": (
        "Price of a usage by model: the exact name, else the longest key that the name starts"
        f" with, else {DEFAULT_KEY}."
    ),
    "tools": (
        "Price of tool calls by tool; tool_calls is the number of its calls."
        f" {DEFAULT_KEY} prices all tools without an expression of their own together."
    ),
    "search": "Prices that are added to every usage, usually of search metrics.",
    "cache": "Prices that are added to every usage, usually of cache metrics.",
    "fixed": "Price of a job by its name.",
}


def pricing_schema() -> dict[str, Any]:
    """A JSON Schema (draft 2020-12) that accepts every valid config."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ducto pricing",
        "description": "Prices of AI usage in credits: one expression per model, tool and job.",
        "type": "object",
        "required": ["models"],
        "additionalProperties": False,
        "properties": {
            "version": {"enum": [1, 2], "description": "Version of the format."},
            "description": {"type": "string"},
            **{section: _section(section) for section in SECTIONS},
            "min_balance": _described({"type": "number"}, "The floor of every balance."),
            "plans": {
                "description": "Plans: a list, or an object by plan id.",
                "oneOf": [
                    {"type": "array", "items": {**_plan(), "required": ["id"]}},
                    {"type": "object", "additionalProperties": _plan()},
                ],
            },
            "metrics": {
                "type": "array",
                "description": "Further metric names that expressions and usages may use.",
                "maxItems": EXTRA_METRIC_LIMIT,
                "items": {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]{0,62}$"},
            },
            "scale": {
                "type": "integer",
                "minimum": 0,
                "maximum": 12,
                "default": 12,
                "description": "Fraction digits that the price of a usage is rounded to, once.",
            },
            "rounding": _described(
                {"enum": list(ROUNDINGS), "default": "half_up"}, "How the price is rounded."
            ),
            "low_balance_thresholds": {
                "type": "array",
                "maxItems": THRESHOLD_COUNT_LIMIT,
                "items": {"type": "number"},
                "description": "Balances whose crossing, downwards, is announced.",
            },
            "signup_bonus": _described(_positive(), "Credits granted once to each new user."),
        },
        "$defs": {
            "expression": {
                "description": "An expression such as input_tokens * 0.00003, or a number.",
                "oneOf": [
                    {"type": "string", "minLength": 1, "maxLength": LENGTH_LIMIT},
                    {"type": "number"},
                ],
            },
            "rates": _rates(),
        },
    }


def _described(schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {**schema, "description": description}


def _positive() -> dict[str, Any]:
    return {"type": "number", "minimum": 0}


def _rates() -> dict[str, Any]:
    return {
        "type": "object",
        "propertyNames": {"minLength": 1, "maxLength": NAME_LENGTH_LIMIT},
        "additionalProperties": {"$ref": "#/$defs/expression"},
    }


def _section(section: str) -> dict[str, Any]:
    schema = _described(_rates(), _SECTION_TEXTS[section])
    return {**schema, "minProperties": 1} if section == "models" else schema


def _policy() -> dict[str, Any]:
    return {
        "overdraft_floor": _described(
            {"type": ["number", "null"], "maximum": 0},
            "In overdraft mode, how far below zero a balance may go; null: without limit.",
        ),
        "max_concurrent": _described(
            {"type": ["integer", "null"], "minimum": 0, "maximum": CONCURRENT_LIMIT},
            "How many holds may be open at once; null: any number.",
        ),
    }


def _plan() -> dict[str, Any]:
    overrides = {
        "type": "object",
        "additionalProperties": False,
        "properties": {section: {"$ref": "#/$defs/rates"} for section in SECTIONS},
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "id": {"type": "string", "minLength": 1, "maxLength": NAME_LENGTH_LIMIT},
            "name": {"type": "string", "minLength": 1, "maxLength": NAME_LENGTH_LIMIT},
            "free_allowance": _described(_positive(), "Credits granted in each period."),
            "rate_overrides": {
                "description": "Prices of this plan, looked up before the base prices.",
                "anyOf": [overrides, {"$ref": "#/$defs/rates"}],
            },
            "features": {
                "description": "What the plan includes: an object, or a list of names.",
                "oneOf": [
                    {"type": "object"},
                    {"type": "array", "items": {"type": "string", "minLength": 1}},
                ],
            },
            "default_billing_mode": {"enum": list(BILLING_MODES), "default": "strict"},
            **_policy(),
            "per_operation": {
                "type": "object",
                "description": "Policy by operation type, in place of the plan's.",
                "additionalProperties": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "billing_mode": {"enum": list(BILLING_MODES)},
                        **_policy(),
                        "required_feature": {"type": "string", "minLength": 1},
                    },
                },
            },
            "period": {"enum": list(PERIODS), "default": "monthly"},
            "period_anchor": {"enum": list(PERIOD_ANCHORS), "default": "calendar"},
            "rollover_max": _described(
                _positive(), "How much unused allowance moves into the next period; 0: none."
            ),
            "default": {
                "type": "boolean",
                "default": False,
                "description": "The plan of accounts that were never assigned one.",
            },
        },
    }
