"""Every entry can be explained from what it stores, and priced again."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

from tests.support.ledger import Ledger, utc


def explain(ledger: Ledger, entry: dict[str, Any]) -> dict[str, Any]:
    explained = ledger.call("explain", transaction_id=entry["transaction_id"])
    assert isinstance(explained, dict)
    return explained


def test_a_charge_is_explained_by_expressions_variables_and_lots(ledger: Ledger) -> None:
    version = ledger.publish(
        tools={"web": "tool_calls * 0.5", "_default": "tool_calls * 2"},
        search={"queries": "search_queries * 0.1"},
        fixed={"report": 2},
    )
    granted = ledger.grant("ann", 100)
    usage = {
        "model": "gpt-4",
        "input_tokens": 100,
        "tool_calls": ["web", "other"],
        "search_queries": 3,
        "job_name": "report",
    }
    charge = ledger.use("ann", usage)
    explained = explain(ledger, charge)
    assert explained["variables"] == usage
    assert sorted(
        (rate["section"], rate["key"], rate["expression"]) for rate in explained["expressions"]
    ) == [
        ("fixed", "report", "2"),
        ("models", "gpt-4", "input_tokens * 0.03 + output_tokens * 0.06"),
        ("search", "queries", "search_queries * 0.1"),
        ("tools", "_default", "tool_calls * 2"),
        ("tools", "web", "tool_calls * 0.5"),
    ]
    assert explained["recomputes"] is True
    assert explained["pricing_version"] == version
    assert (explained["cost"], explained["amount"]) == (D("7.8"), D("-7.8"))
    assert explained["breakdown"] == charge["breakdown"]
    assert explained["allocations"] == [{"lot": granted["lot_id"], "amount": D("-7.8")}]
    assert [(lot["lot_id"], lot["change"]) for lot in explained["lots"]] == [
        (granted["lot_id"], D("-7.8"))
    ]


def test_a_charge_recomputes_after_the_pricing_has_changed(ledger: Ledger) -> None:
    ledger.publish()
    ledger.grant("ann", 100)
    charge = ledger.use("ann", {"model": "gpt-4", "input_tokens": 100})
    ledger.publish(models={"gpt-4": "1000"})
    explained = explain(ledger, charge)
    assert explained["recomputes"] is True
    assert explained["expressions"][0]["expression"].startswith("input_tokens * 0.03")


def test_a_plans_override_explains_the_price(ledger: Ledger) -> None:
    ledger.publish(plans=[{"id": "pro", "default": True, "rate_overrides": {"gpt-4": "1"}}])
    ledger.grant("ann", 100)
    charge = ledger.use("ann", {"model": "gpt-4-turbo", "input_tokens": 100})
    explained = explain(ledger, charge)
    assert (charge["cost"], explained["plan_key"], explained["recomputes"]) == (1, "pro", True)
    assert explained["expressions"] == [
        {"section": "models", "key": "gpt-4", "plan_key": "pro", "expression": "1"}
    ]


def test_the_allowance_part_is_explained(ledger: Ledger) -> None:
    ledger.at(utc(2026))
    ledger.publish(plans=[{"id": "pro", "default": True, "free_allowance": 2}])
    ledger.grant("ann", 100)
    explained = explain(ledger, ledger.use("ann", {"model": "gpt-4", "input_tokens": 100}))
    assert (explained["cost"], explained["allowance_consumed"]) == (3, 2)
    assert [(lot["kind"], lot["change"]) for lot in explained["lots"]] == [
        ("allowance", -2),
        ("adjustment", -1),
    ]
    assert explained["recomputes"] is True


def test_an_amount_a_grant_and_a_refund_are_explained_too(ledger: Ledger) -> None:
    granted = ledger.grant("ann", 10)
    charge = ledger.spend("ann", 4)
    refund = ledger.refund(charge, amount=D(1), reason="slow")
    for entry in (granted, charge, refund):
        assert explain(ledger, entry)["recomputes"] is True
    assert explain(ledger, charge)["refunds"] == [refund["transaction_id"]]
    explained = explain(ledger, refund)
    assert explained["reference_id"] == charge["transaction_id"]
    assert explained["metadata"] == {"reason": "slow"}
    assert explained["expressions"] == []


def test_an_unknown_transaction_is_not_explained(ledger: Ledger) -> None:
    assert ledger.refused("DU008", "explain", transaction_id=-1)["transaction_id"] == -1
