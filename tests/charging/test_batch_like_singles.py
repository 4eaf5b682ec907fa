"""Whatever is in a batch, it does what its charges would do one after the other."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.databases import Connection, loads
from tests.support.ledger import Ledger, utc

USED = {"model": "mini", "input_tokens": 7}
USERS = ["ann", "bob", "cid", "new"]
USUAL = st.builds(
    lambda model, tokens: {"metrics": {"model": model, "input_tokens": tokens}},
    st.sampled_from(["gpt-4", "mini", "mini"]),
    st.sampled_from([0, 7, 7, 20, 90, 900]),
)
WHAT = st.one_of(
    USUAL,
    st.builds(
        lambda tokens, operation: {
            "metrics": {"model": "mini", "input_tokens": tokens, "operation": operation}
        },
        st.integers(0, 900),
        st.sampled_from(["chat", "agent"]),
    ),
    st.builds(lambda amount: {"amount": amount}, st.decimals("0", "12", places=3)),
    st.sampled_from(
        [
            {"job_name": "report"},
            {"job_name": "dance"},
            {"amount": Decimal(-1)},
            {"metrics": {"model": "mini", "input_token": 1}},
            {"metrics": {"model": "mini", "tool_calls": ["web", "web"]}},
            {"metrics": {"model": "llama"}},
            {"metrics": {"model": "mini", "input_tokens": Decimal("0.5")}},
            {"metrics": {"model": "mini", "input_tokens": "7"}},
        ]
    ),
)


def charges(
    what: st.SearchStrategy[dict[str, Any]], users: list[str], keys: list[str | None]
) -> st.SearchStrategy[list[dict[str, Any]]]:
    """A batch of such charges."""
    return st.lists(
        st.builds(
            lambda user_id, what, key, metadata, occurred_at: {
                "user_id": user_id,
                **what,
                **({"idempotency_key": key} if key else {}),
                **({"metadata": metadata} if metadata is not None else {}),
                **({"occurred_at": occurred_at} if occurred_at else {}),
            },
            st.sampled_from(users),
            what,
            st.sampled_from(keys),
            st.sampled_from([None, None, {}, {"chat": 1}]),
            st.sampled_from([None, None, None, "2026-01-02T03:04:05+01:00"]),
        ),
        min_size=1,
        max_size=12,
    )


# What differs from run to run where the clock is the real one.
INSTANTS = {"created_at", "plan_since", "effective_at"}


def arrange(ledger: Ledger, plan: str | None, lives: list[int | None], extras: set[str]) -> None:
    now = utc(2026, 1, 30) if "clock" in extras else datetime.now(UTC)
    if "clock" in extras:
        ledger.at(now)
    ledger.publish(
        fixed={"report": 2},
        tools={"_default": "tool_calls * 0.5"},
        low_balance_thresholds=[10, 3] if "thresholds" in extras else [],
        signup_bonus=4 if "bonus" in extras else 0,
        plans=[
            {
                "id": "free",
                "free_allowance": 3,
                "per_operation": {"agent": {"required_feature": "agents"}},
                "rate_overrides": {"mini": "input_tokens * 0.002"},
                "default": plan == "free",
            },
            {
                "id": "post",
                "default_billing_mode": "overdraft",
                "overdraft_floor": -5,
                "default": plan == "post",
            },
        ],
    )
    for user_id in ("ann", "bob", "cid"):
        if "rich" in extras:
            ledger.grant(user_id, 90)
        for number, life in enumerate(lives):
            ledger.grant(
                user_id,
                5 + number,
                type="promo" if number % 2 else "purchase",
                expires_at=now + timedelta(days=life) if life else None,
            )
    ledger.grant("ann", 1)
    ledger.spend("ann", 1, idempotency_key="used")
    ledger.use("ann", USED, idempotency_key="used usage", **{"raise": False})
    if "cap" in extras:
        ledger.call("set_spend_cap", user_id="bob", cap_type="daily", limit=6)
        ledger.call("set_spend_cap", user_id="ann", cap_type="monthly", limit=4, action="warn")
    if "frozen" in extras:
        ledger.call("freeze_account", user_id="cid")
    if "hold" in extras:
        ledger.hold("ann", 2, ttl_seconds=604_800, **{"raise": False})
    if "clock" in extras:
        ledger.at(now + timedelta(days=3))
    if "open" in extras:
        for user_id in USERS:
            ledger.spend(user_id, 0, **{"raise": False})


def single(ledger: Ledger, item: dict[str, Any]) -> dict[str, Any]:
    """The item as a call of its own; an error as the result it would be in a batch."""
    name = next(
        name
        for key, name in (
            ("metrics", "deduct"),
            ("amount", "deduct_amount"),
            ("job_name", "deduct_fixed"),
        )
        if key in item
    )
    try:
        with ledger.connection.transaction():
            result = ledger.call(name, **item, **{"raise": False})
    except psycopg.Error as error:
        assert error.sqlstate is not None and error.sqlstate.startswith("DU"), error
        detail = loads(error.diag.message_detail or "{}")
        return {"status": "error", **detail, "message": error.diag.message_primary}
    assert isinstance(result, dict)
    return result


def written(ledger: Ledger) -> dict[str, Any]:
    """Everything the charges have left behind, without ids that come from a sequence and instants
    that come from a running clock."""
    real = not ledger.value("select current_setting('ducto.clock', true)")
    left_out = INSTANTS if real else set()
    queries = {
        "entries": "select to_jsonb(t) - 'id' - 'allocations' - 'lot_id' - 'xid' from"
        " ducto.credit_transactions t order by account_id, id",
        "lots": "select to_jsonb(l) - 'lot_id' - 'transaction_id' from ducto.lots_now l"
        " order by account_id, lot_id",
        "accounts": "select to_jsonb(a) - '{draw_lot,draw_free,drawn,headroom,headroom_until,"
        "headroom_version,headroom_plan}'::text[] from ducto.accounts_now a order by account_id",
        "caps": "select to_jsonb(c) from ducto.credit_accounts a cross join lateral"
        " ducto.find_caps(a.account_id, ducto.now()) c order by a.account_id, c.cap_type",
        "events": "select to_jsonb(e) - 'id' - 'xid' #- '{data,transaction_id}' from"
        " ducto.credit_events e order by account_id, id",
    }
    return {
        name: [
            {key: value for key, value in row[0].items() if key not in left_out}
            for row in ledger.connection.execute(query.encode()).fetchall()
        ]
        for name, query in queries.items()
    }


def facts(result: dict[str, Any], first: int) -> str:
    """A result as text, its own transaction counted from the first of its run."""
    shown = {key: value for key, value in result.items() if key not in ("hint", "status")}
    if isinstance(shown.get("transaction_id"), int) and shown["transaction_id"] > first:
        shown["transaction_id"] = "new"
    return json.dumps({"status": result["status"], **shown}, sort_keys=True, default=str)


def compare(
    connection: Connection,
    items: list[dict[str, Any]],
    plan: str | None,
    lives: list[int | None],
    extras: set[str],
) -> None:
    """The items in one batch and each in a call of its own, from the same beginning."""
    with connection.transaction(force_rollback=True):
        ledger = Ledger(connection)
        arrange(ledger, plan, lives, extras)
        runs = []
        for together in (True, False):
            first = ledger.value("select max(id) from ducto.credit_transactions")
            with connection.transaction(force_rollback=True):
                if together:
                    results = ledger.call("deduct_batch", charges=items)
                else:
                    results = [single(ledger, item) for item in items]
                # An error takes what time had changed back with it, except in a batch.
                for user_id in USERS:
                    ledger.spend(user_id, 0, **{"raise": False})
                assert ledger.violations() == []
                runs.append(([facts(result, first) for result in results], written(ledger)))
        (batch, batch_left), (singles, singles_left) = runs
        assert batch == singles
        assert batch_left == singles_left


PLANS = st.sampled_from([None, "free", "post"])
LIVES = st.lists(st.sampled_from([None, 1, 30]), max_size=3)
EXTRAS = ["thresholds", "bonus", "cap", "frozen", "hold"]
few = settings(
    max_examples=max(30, settings().max_examples // 10),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.fuzz
@few
@given(
    items=charges(WHAT, USERS, [None, None, None, "k1", "k2", "k3", "used", "used usage"]),
    plan=PLANS,
    lives=LIVES,
    extras=st.sets(st.sampled_from([*EXTRAS, "clock", "open", "rich"])),
)
def test_a_batch_is_its_charges_one_after_the_other(
    ledger_connection: Connection,
    items: list[dict[str, Any]],
    plan: str | None,
    lives: list[int | None],
    extras: set[str],
) -> None:
    compare(ledger_connection, items, plan, lives, extras)


@pytest.mark.fuzz
@few
@given(
    items=charges(USUAL, ["ann", "bob"], [None, None, "used usage", *"abcdefghij"]),
    plan=PLANS,
    lives=LIVES,
    extras=st.sets(st.sampled_from(EXTRAS)),
)
def test_a_batch_within_the_headroom_is_its_charges_one_after_the_other(
    ledger_connection: Connection,
    items: list[dict[str, Any]],
    plan: str | None,
    lives: list[int | None],
    extras: set[str],
) -> None:
    compare(ledger_connection, items, plan, lives, extras | {"open", "rich"})
