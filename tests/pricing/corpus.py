"""The cases that every host of the evaluator runs, from tests/data.

- expressions.json: `expression`, optional `metrics`, and `value` (digits) or `error` (reason)
- hostile.json: `expression` or `parts` (texts with how often each is repeated), and `says`, part
  of the message it is refused with; `in_process` marks texts that a database cannot hold
- pricing.json: groups of a `config` and `cases`: `metrics`, optional `plan`, and `breakdown`
  (digits) with optional `warnings`, or `error` (code) with what its `detail` must contain
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent.parent / "data"


def load(name: str) -> list[dict[str, Any]]:
    """The cases of one file, numbers exact."""
    text = (DATA / f"{name}.json").read_text(encoding="utf-8")
    cases: list[dict[str, Any]] = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    return cases


def hostile_text(case: dict[str, Any]) -> str:
    """The expression of a case of hostile.json."""
    if "expression" in case:
        return str(case["expression"])
    return "".join(text * int(times) for text, times in case["parts"])


def case_name(case: dict[str, Any]) -> str:
    """A short printable name of a case."""
    return ascii(hostile_text(case))[1:41]


def pricing_cases() -> list[Any]:
    """Every case of pricing.json with its group's config, named for pytest."""
    import pytest

    return [
        pytest.param(group["config"], case, id=f"{group['name']}-{number}")
        for group in load("pricing")
        for number, case in enumerate(group["cases"], 1)
    ]
