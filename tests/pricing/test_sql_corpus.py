"""The corpus in tests/data, in the database: both evaluators, and what refuses hostile text."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from ducto_pg.exact_json import dumps
from ducto_pg.plpython.names import STANDARD_METRICS
from tests.pricing.corpus import hostile_text, load
from tests.pricing.hosts import json_text, price_everywhere
from tests.support.databases import Connection

EXPRESSIONS = load("expressions")
HOSTILE = load("hostile")


def test_every_expression_has_its_digits_in_every_host(db: Connection) -> None:
    config = {
        "metrics": sorted(
            {name for case in EXPRESSIONS for name in case.get("metrics", {})}
            - set(STANDARD_METRICS)
        ),
        "models": {f"m{n}": case["expression"] for n, case in enumerate(EXPRESSIONS)},
    }
    usages = [
        (json_text({"model": f"m{n}", **case.get("metrics", {})}), "")
        for n, case in enumerate(EXPRESSIONS)
    ]
    for case, answer in zip(EXPRESSIONS, price_everywhere(db, config, usages), strict=True):
        for found in answer.values():
            _check(case, found)


# The least value that rounding to 12 places makes 10^26. Comparing rounds nothing.
ROUNDED_UP_TO_THE_LIMIT = Decimal("99999999999999999999999999.9999999999995")


def _check(case: dict[str, Any], answer: dict[str, Any]) -> None:
    if "error" in case:
        assert answer["detail"]["reason"] == case["error"], case["expression"]
    elif Decimal(case["value"]) >= ROUNDED_UP_TO_THE_LIMIT:
        # A value that the machine allows, and a price that no column holds.
        assert answer["detail"]["section"] == "total", case["expression"]
    else:
        assert format(answer["breakdown"]["model"], "f") == case["value"], case["expression"]


@pytest.mark.parametrize("group", load("pricing"), ids=lambda group: group["name"])
def test_every_usage_has_its_price_in_every_host(db: Connection, group: dict[str, Any]) -> None:
    usages = [(json_text(case["metrics"]), case.get("plan", "")) for case in group["cases"]]
    answers = price_everywhere(db, group["config"], usages)
    for case, answer in zip(group["cases"], answers, strict=True):
        for host, found in answer.items():
            assert _facts(found, case) == _expected(case), (host, case)


def _expected(case: dict[str, Any]) -> dict[str, Any]:
    if "error" in case:
        return {"code": case["error"], "detail": case.get("detail", {})}
    return {
        "cost": case["breakdown"]["total"],
        "breakdown": case["breakdown"],
        "warnings": case.get("warnings", []),
    }


def _facts(answer: dict[str, Any], case: dict[str, Any]) -> dict[str, Any]:
    """What the answer says about everything that the case speaks of."""
    if "code" in answer:
        named = {name: answer["detail"].get(name) for name in case.get("detail", {})}
        return {"code": answer["code"], "detail": named}
    return {
        "cost": format(answer["cost"], "f"),
        "breakdown": {name: format(value, "f") for name, value in answer["breakdown"].items()},
        "warnings": answer["warnings"],
    }


@pytest.mark.parametrize("how", ["ducto_pricing_set", "ducto_pricing_validate", "ducto_calculate"])
def test_hostile_text_is_refused_in_the_database(both: Connection, how: str) -> None:
    db = both
    db.execute("select ducto_pricing_validate('{}')")
    for case in HOSTILE:
        if case.get("in_process"):
            continue
        config = dumps({"models": {"m": hostile_text(case)}})
        elapsed: list[float] = []
        # A busy machine may stretch one attempt; it is the text that must not.
        while not elapsed or (min(elapsed) >= 0.05 and len(elapsed) < 5):
            started = time.perf_counter()
            error = refusal(db, how, config)
            elapsed.append(time.perf_counter() - started)
        assert case["says"] in error["message"]
        assert error["path"] == "models.m"
        assert min(elapsed) < 0.05, f"{min(elapsed):.3f} s for {hostile_text(case)[:60]!r}"


def refusal(db: Connection, how: str, config: str) -> dict[str, Any]:
    """The one error of a config whose only fault is an expression."""
    if how == "ducto_pricing_validate":
        row = db.execute("select ducto_pricing_validate(%s::jsonb)", [config]).fetchone()
        assert row is not None
        assert row[0]["valid"] is False
        (error,) = row[0]["errors"]
        assert error["code"] == "DU005"
        return dict(error)
    call = f"select {how}('{{}}', %s::jsonb)" if how == "ducto_calculate" else f"select {how}(%s)"
    with pytest.raises(psycopg.Error) as raised:
        db.execute(call.encode(), [config])  # the call is one of the two above
    assert raised.value.sqlstate == "DU005"
    (error,) = _detail(raised.value)["errors"]
    assert error["message"] in str(raised.value)
    return dict(error)


def _detail(error: psycopg.Error) -> dict[str, Any]:
    from ducto_pg.exact_json import loads

    detail: dict[str, Any] = loads(error.diag.message_detail or "{}")
    return detail
