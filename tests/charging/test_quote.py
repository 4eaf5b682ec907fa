"""A quote says what the charge then does, to the last digit, and writes nothing."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.databases import Connection
from tests.support.ledger import Ledger, utc

SHARED = [
    "user_id",
    "team_id",
    "model",
    "cost",
    "allowance_consumed",
    "amount",
    "balance_after",
    "available_after",
    "pricing_version",
    "breakdown",
    "warnings",
]


def agrees(ledger: Ledger, metrics: dict[str, Any], user_id: str = "ann") -> dict[str, Any]:
    """The quote, after the charge has been compared with it."""
    before = ledger.snapshot()
    quote = ledger.call("quote", user_id=user_id, metrics=metrics)
    assert ledger.snapshot() == before
    charge = ledger.use(user_id, metrics, **{"raise": False})
    assert quote["status"] == charge["status"]
    assert quote["affordable"] is (charge["status"] == "ok")
    if charge["status"] == "ok":
        assert {key: quote[key] for key in SHARED} == {key: charge[key] for key in SHARED}
        done = ledger.entries(user_id)[-1]["allocations"] or []
        quoted = quote["allocations"]
        assert [{**b, "lot": a["lot"]} if "lot" in b and b["lot"] is None else b
                for a, b in zip(done, quoted, strict=True)] == done  # fmt: skip
    else:
        assert (quote["code"], quote["error"], quote["message"]) == (
            charge["code"],
            charge["error"],
            charge["message"],
        )
    assert isinstance(quote, dict)
    return quote


def test_a_quote_has_the_charges_keys_without_a_transaction(ledger: Ledger) -> None:
    ledger.publish()
    ledger.grant("ann", 10)
    quote = agrees(ledger, {"model": "gpt-4", "input_tokens": 100})
    assert "transaction_id" not in quote
    assert (quote["affordable"], quote["code"], quote["error"]) == (True, None, None)


def test_a_quote_tells_why_a_charge_would_be_denied(ledger: Ledger) -> None:
    ledger.publish()
    quote = agrees(ledger, {"model": "gpt-4", "input_tokens": 100})
    assert (quote["affordable"], quote["code"], quote["cost"]) == (False, "DU002", 3)


def test_a_quote_counts_the_allowance_that_is_due(ledger: Ledger) -> None:
    ledger.publish(plans=[{"id": "pro", "free_allowance": 2, "default": True}])
    ledger.grant("ann", 10)
    quote = agrees(ledger, {"model": "gpt-4", "input_tokens": 100})
    assert (quote["allowance_consumed"], quote["amount"]) == (2, 1)


def test_a_quote_for_a_new_user_counts_the_plan_and_the_bonus(ledger: Ledger) -> None:
    ledger.publish(plans=[{"id": "pro", "free_allowance": 2, "default": True}], signup_bonus=5)
    quote = agrees(ledger, {"model": "gpt-4", "input_tokens": 200}, user_id="new")
    assert (quote["allowance_consumed"], quote["amount"], quote["balance_after"]) == (2, 4, 1)


def test_a_quote_ignores_lapsed_lots(ledger: Ledger) -> None:
    ledger.publish()
    ledger.at(utc(2026))
    ledger.grant("ann", 10, expires_at=utc(2026, 2))
    ledger.grant("ann", 5)
    ledger.at(utc(2026, 2))
    quote = agrees(ledger, {"model": "gpt-4", "input_tokens": 100})
    assert quote["balance_after"] == 2


def test_a_quote_respects_holds(ledger: Ledger) -> None:
    ledger.publish()
    ledger.grant("ann", 10)
    ledger.hold("ann", 8)
    assert agrees(ledger, {"model": "gpt-4", "input_tokens": 100})["affordable"] is False
    assert agrees(ledger, {"model": "mini", "input_tokens": 1000})["available_after"] == 1


def test_a_quote_tells_the_headroom_of_every_cap_it_meets(ledger: Ledger) -> None:
    ledger.publish()
    ledger.at(utc(2026))
    ledger.grant("ann", 100)
    ledger.call("set_spend_cap", user_id="ann", cap_type="daily", limit=20)
    ledger.call("set_spend_cap", user_id="ann", cap_type="monthly", limit=4, model="gpt-4")
    ledger.call("set_spend_cap", user_id="ann", cap_type="monthly", limit=1, model="mini")
    quote = agrees(ledger, {"model": "gpt-4", "input_tokens": 100})
    assert [(c["cap_type"], c["remaining"], c["exceeded"]) for c in quote["caps"]] == [
        ("monthly", 4, False),
        ("daily", 20, False),
    ]
    quote = agrees(ledger, {"model": "gpt-4", "input_tokens": 100})
    assert (quote["affordable"], quote["code"]) == (False, "DU001")
    assert quote["caps"][0]["exceeded"] is True


def test_a_quote_uses_the_policy_of_the_operation(ledger: Ledger) -> None:
    ledger.publish(
        plans=[
            {
                "id": "pro",
                "default": True,
                "per_operation": {"chat": {"billing_mode": "overdraft", "overdraft_floor": -10}},
            }
        ]
    )
    usage = {"model": "gpt-4", "input_tokens": 100}
    assert agrees(ledger, usage)["affordable"] is False
    assert agrees(ledger, {**usage, "operation": "chat"})["balance_after"] == -3


def test_a_quote_is_no_promise_to_a_frozen_account(ledger: Ledger) -> None:
    ledger.publish()
    ledger.grant("ann", 10)
    ledger.call("freeze_account", user_id="ann")
    assert agrees(ledger, {"model": "mini"})["code"] == "DU019"


def test_a_quote_for_a_team_needs_the_team_and_the_membership(ledger: Ledger) -> None:
    ledger.publish()
    detail = ledger.refused(
        "DU015", "quote", user_id="ann", metrics={"model": "mini"}, team_id="nobody"
    )
    assert detail["team_id"] == "nobody"


AMOUNTS = st.decimals("0.000000000001", "50", places=12)
LOTS = st.lists(
    st.tuples(
        AMOUNTS,
        st.sampled_from(["purchase", "promo", "adjustment"]),
        st.sampled_from([None, 1, 2, 30, 400]),
        st.sampled_from([100, 50, 150]),
    ),
    max_size=5,
)
USAGES = st.lists(
    st.tuples(st.sampled_from(["gpt-4", "mini"]), st.integers(0, 1500), st.integers(0, 12)),
    min_size=1,
    max_size=4,
)


@pytest.mark.fuzz
@settings(
    max_examples=max(20, settings().max_examples // 20),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    lots=LOTS,
    usages=USAGES,
    allowance=st.sampled_from([0, 5, D("12.5")]),
    rollover=st.sampled_from([0, 7]),
    floor=st.sampled_from([0, 3, -10]),
    cap=st.sampled_from([None, 20]),
    held=st.sampled_from([0, 4]),
)
@example(
    lots=[],
    usages=[("gpt-4", 334, 0), ("gpt-4", 167, 0)],
    allowance=5,
    rollover=7,
    floor=-10,
    cap=None,
    held=0,
)
@pytest.mark.parametrize("days", [0, 1, 45])
def test_whatever_an_account_has_the_quote_is_what_the_charge_does(
    ledger_connection: Connection,
    days: int,
    lots: list[Any],
    usages: list[Any],
    allowance: Any,
    rollover: int,
    floor: int,
    cap: int | None,
    held: int,
) -> None:
    with ledger_connection.transaction(force_rollback=True):
        ledger = Ledger(ledger_connection)
        now = utc(2026, 1, 10)
        ledger.at(now)
        plan = {"id": "p", "default": True, "free_allowance": allowance, "rollover_max": rollover}
        ledger.publish(plans=[plan], min_balance=floor)
        for amount, kind, life, priority in lots:
            ledger.grant(
                "ann",
                amount,
                type=kind,
                priority=priority,
                expires_at=now + timedelta(days=life) if life else None,
            )
        if cap is not None:
            ledger.call("set_spend_cap", user_id="ann", cap_type="monthly", limit=cap)
        if held:
            ledger.hold("ann", held, **{"raise": False, "ttl_seconds": 172_800})
        for model, tokens, hours in usages:
            now += timedelta(days=days, hours=hours)
            ledger.at(now)
            agrees(ledger, {"model": model, "input_tokens": tokens})
        assert ledger.violations() == []
