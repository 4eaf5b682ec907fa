"""Every type of event is produced by what it tells of, with the data that the page lists."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.docs.pages import read
from tests.support.ledger import Ledger, utc

PLANS = [
    {
        "id": "open",
        "default": True,
        "default_billing_mode": "overdraft",
        "overdraft_floor": -50,
    },
    {"id": "pro", "free_allowance": 10},
]


def documented() -> dict[str, set[str]]:
    """The table of docs/events.md: the keys of the data, by type."""
    rows = re.findall(r"^\| `(credits\.\w+)` \| [^|]+ \| ([^|]+) \|$", read("docs/events.md"), re.M)
    return {kind: set(re.findall(r"`(\w+)`", keys)) for kind, keys in rows}


def added(ledger: Ledger) -> None:
    ledger.grant("ann", 100, type="purchase", idempotency_key="k", metadata={"order": 7})


def adjusted(ledger: Ledger) -> None:
    ledger.grant("ann", 100)
    ledger.grant("ann", -30)


def deducted(ledger: Ledger) -> None:
    ledger.publish()
    ledger.grant("ann", 100)
    ledger.use("ann", {"model": "gpt-4", "input_tokens": 100})


def deduct_failed(ledger: Ledger) -> None:
    ledger.spend("ann", 5, **{"raise": False})


def refunded(ledger: Ledger) -> None:
    ledger.grant("ann", 100)
    ledger.refund(ledger.spend("ann", 5))


def revoked(ledger: Ledger) -> None:
    grant = ledger.grant("ann", 100)
    ledger.call("revoke_grant", transaction_id=grant["transaction_id"])


def expired(ledger: Ledger) -> None:
    ledger.at(utc(2026))
    ledger.grant("ann", 100, expires_at=utc(2026, 2))
    ledger.at(utc(2026, 3))
    ledger.rows("sweep_expired_credits")


def plan_changed(ledger: Ledger) -> None:
    ledger.publish(plans=PLANS)
    ledger.call("set_user_plan", user_id="ann", plan_key="pro")


def cap_reached(ledger: Ledger) -> None:
    ledger.grant("ann", 100)
    ledger.call("set_spend_cap", user_id="ann", cap_type="daily", limit=10)
    ledger.spend("ann", 20, **{"raise": False})


def cap_notified(ledger: Ledger) -> None:
    ledger.grant("ann", 100)
    ledger.call("set_spend_cap", user_id="ann", cap_type="daily", limit=10, action="notify")
    ledger.spend("ann", 20)
    ledger.spend("ann", 20)


def cap_warning(ledger: Ledger) -> None:
    ledger.grant("ann", 100)
    ledger.call("set_spend_cap", user_id="ann", cap_type="daily", limit=10, action="warn")
    ledger.spend("ann", 20)
    ledger.spend("ann", 20)


def low_balance(ledger: Ledger) -> None:
    ledger.publish(low_balance_thresholds=[20])
    ledger.grant("ann", 100)
    ledger.spend("ann", 85)
    ledger.spend("ann", 1)


def reserved(ledger: Ledger) -> None:
    ledger.grant("ann", 100)
    ledger.hold("ann", 5)


def reservation_released(ledger: Ledger) -> None:
    ledger.grant("ann", 100)
    ledger.call("release", reservation_id=ledger.hold("ann", 5)["reservation_id"])


def reservation_expired(ledger: Ledger) -> None:
    ledger.at(utc(2026))
    ledger.grant("ann", 100)
    ledger.hold("ann", 5)
    ledger.at(utc(2026, 2))
    ledger.call("expire_reservations")


def overdraft(ledger: Ledger) -> None:
    ledger.publish(plans=PLANS)
    ledger.spend("ann", 5)


def unbilled_usage(ledger: Ledger) -> None:
    ledger.at(utc(2026))
    ledger.grant("ann", 100)
    hold = ledger.hold("ann", 5)
    ledger.at(utc(2026, 2))
    ledger.settle(hold, amount=5, **{"raise": False})


CASES: list[tuple[str, Callable[[Ledger], None]]] = [
    ("credits.added", added),
    ("credits.adjusted", adjusted),
    ("credits.deducted", deducted),
    ("credits.deduct_failed", deduct_failed),
    ("credits.refunded", refunded),
    ("credits.revoked", revoked),
    ("credits.expired", expired),
    ("credits.plan_changed", plan_changed),
    ("credits.cap_reached", cap_reached),
    ("credits.cap_reached", cap_notified),
    ("credits.cap_warning", cap_warning),
    ("credits.low_balance", low_balance),
    ("credits.reserved", reserved),
    ("credits.reservation_released", reservation_released),
    ("credits.reservation_expired", reservation_expired),
    ("credits.overdraft", overdraft),
    ("credits.unbilled_usage", unbilled_usage),
]


def happened(ledger: Ledger) -> list[dict[str, Any]]:
    """What this transaction has written, as a consumer will get it once it is committed."""
    rows = ledger.connection.execute(
        """
        select to_jsonb(e)
        from (
            -- All that is visible once the transaction after this one has ended.
            select format('%s:%s:', n, n) from (select pg_current_xact_id()::text::bigint + 1) x (n)
        ) as s (reading)
        cross join lateral ducto.find_events(
            jsonb_populate_record(null::ducto.event_cursors, jsonb_build_object(
                'seen', '1:1:', 'reading', s.reading, 'lane', 0, 'lanes', 1, 'mark_id', 0,
                'mark_xid', '0'
            )),
            0, 9000000000000000000, null, 1000
        ) as found (ids)
        join ducto.told_events e on e.event_id = any (found.ids)
        order by e.event_id
        """
    ).fetchall()
    return [row[0] for row in rows]


@pytest.mark.parametrize(("kind", "provoke"), CASES, ids=[case.__name__ for _, case in CASES])
def test_it_is_told_once_with_the_documented_data(
    ledger: Ledger, kind: str, provoke: Callable[[Ledger], None]
) -> None:
    provoke(ledger)
    (event,) = [event for event in happened(ledger) if event["type"] == kind]
    assert event["user_id"] == "ann"
    assert event["team_id"] is None
    assert set(event["data"]) - documented()[kind] == set(), "not documented"
    if kind not in ("credits.deduct_failed", "credits.cap_reached", "credits.unbilled_usage"):
        assert documented()[kind] - set(event["data"]) == set(), "documented, but missing"


def test_the_documentation_lists_every_type() -> None:
    assert set(documented()) == {kind for kind, _ in CASES}


def test_amounts_are_what_they_are_called(ledger: Ledger) -> None:
    ledger.publish(plans=[{"id": "pro", "free_allowance": 10}])
    ledger.call("set_user_plan", user_id="ann", plan_key="pro")
    grant = ledger.grant("ann", 100, type="purchase", idempotency_key="order-7")
    charge = ledger.spend("ann", 25, metadata={"chat": 1}, idempotency_key="chat-1")
    ledger.refund(charge, amount=5)
    ledger.grant("ann", -10)
    ledger.call("revoke_grant", transaction_id=grant["transaction_id"])
    by_type = {event["type"]: event["data"] for event in happened(ledger)}
    assert by_type["credits.added"] | {"idempotency_key": "order-7"} == {
        "transaction_id": grant["transaction_id"],
        "kind": "purchase",
        "amount": 100,
        "balance_after": 100,
        "idempotency_key": "order-7",
        "metadata": {},
    }
    deducted = by_type["credits.deducted"]
    assert (deducted["cost"], deducted["allowance_consumed"], deducted["amount"]) == (25, 10, 15)
    assert (deducted["balance_after"], deducted["metadata"]) == (85, {"chat": 1})
    refunded = by_type["credits.refunded"]
    assert refunded["refunded_transaction_id"] == charge["transaction_id"]
    assert (refunded["amount"], refunded["allowance_restored"]) == (5, 0)
    adjusted = by_type["credits.adjusted"]
    assert (adjusted["amount"], adjusted["balance_after"]) == (10, 80)
    assert by_type["credits.revoked"]["revoked_transaction_id"] == grant["transaction_id"]


def test_an_event_of_a_team_names_the_team_and_who_caused_it(ledger: Ledger) -> None:
    ledger.call("create_team", name="Research", team_id="research", initial_balance=100)
    ledger.call("add_team_member", team_id="research", user_id="ann", role="owner")
    ledger.publish()
    ledger.call(
        "deduct_team",
        team_id="research",
        user_id="ann",
        metrics={"model": "gpt-4", "input_tokens": 1},
    )
    events = [(event["type"], event["user_id"], event["team_id"]) for event in happened(ledger)]
    assert events == [
        ("credits.added", "research", "research"),
        ("credits.deducted", "ann", "research"),
    ]


def test_events_of_a_charge_follow_it(ledger: Ledger) -> None:
    low_balance(ledger)
    kinds = [event["type"] for event in happened(ledger)]
    assert kinds == [
        "credits.added", "credits.deducted", "credits.low_balance", "credits.deducted",
    ]  # fmt: skip
