"""Holds: taken by the rules of a charge, respected by every charge, over at their deadline."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal as D
from typing import Any
from uuid import uuid4

import pytest

from tests.support.ledger import Json, Ledger, utc

USAGE = {"model": "gpt-4", "input_tokens": 100}
START = utc(2026, 1, 10)


@pytest.fixture(autouse=True)
def start(ledger: Ledger) -> None:
    ledger.at(START)


def later(ledger: Ledger, **by: int) -> None:
    ledger.at(START + timedelta(**by))


def test_a_hold_sets_credits_aside(ledger: Ledger) -> None:
    version = ledger.publish()
    ledger.grant("ann", 10)
    hold = ledger.hold("ann", 4)
    assert hold.pop("reservation_id")
    assert hold == {
        "status": "ok",
        "user_id": "ann",
        "amount": 4,
        "held": 4,
        "state": "active",
        "available": 6,
        "expires_at": "2026-01-10T00:10:00+00:00",
        "pricing_version": version,
        "replayed": False,
    }
    assert ledger.amounts("ann") == (10, 0, 4, 0)
    available = ledger.call("get_available", user_id="ann")
    assert (available["available"], available["held"]) == (6, 4)


def test_a_hold_writes_no_entry_but_an_event(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    hold = ledger.hold("ann", 4)
    assert len(ledger.entries("ann")) == 1
    ((kind, data),) = ledger.events("ann")
    assert (kind, data["reservation_id"], data["amount"]) == ("reserved", hold["reservation_id"], 4)


def test_every_charge_respects_holds(ledger: Ledger) -> None:
    ledger.publish(fixed={"job": 7})
    ledger.grant("ann", 10)
    ledger.hold("ann", 4)
    detail = ledger.refused("DU002", "deduct_amount", user_id="ann", amount=7)
    assert (detail["available"], detail["balance"], detail["held"]) == (6, 10, 4)
    ledger.refused("DU002", "deduct_fixed", user_id="ann", job_name="job")
    ledger.refused("DU002", "deduct", user_id="ann", metrics={**USAGE, "output_tokens": 100})
    ledger.refused("DU002", "reserve", user_id="ann", amount=7)
    (item,) = ledger.call("deduct_batch", charges=[{"user_id": "ann", "amount": 7}])
    assert item["code"] == "DU002"
    assert ledger.spend("ann", 6)["available_after"] == 0


def test_holds_add_up(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    for _ in range(5):
        ledger.hold("ann", 2)
    ledger.refused("DU002", "reserve", user_id="ann", amount=1)
    assert ledger.amounts("ann") == (10, 0, 10, 0)


def test_a_hold_of_usage_sets_its_price_aside(ledger: Ledger) -> None:
    ledger.publish()
    ledger.grant("ann", 10)
    assert ledger.call("reserve", user_id="ann", metrics=USAGE)["amount"] == 3


def test_a_hold_can_lie_on_the_allowance(ledger: Ledger) -> None:
    ledger.publish(plans=[{"id": "p", "default": True, "free_allowance": 10}])
    ledger.hold("ann", 8)
    assert ledger.amounts("ann") == (0, 10, 8, 0)
    ledger.refused("DU002", "deduct_amount", user_id="ann", amount=3)
    assert ledger.spend("ann", 2)["allowance_consumed"] == 2


def test_a_hold_of_zero_is_allowed(ledger: Ledger) -> None:
    assert ledger.hold("ann", 0)["amount"] == 0


def test_min_balance_raises_the_floor_and_never_lowers_it(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    detail = ledger.refused("DU002", "reserve", user_id="ann", amount=6, min_balance=5)
    assert detail["floor"] == 5
    detail = ledger.refused("DU002", "reserve", user_id="ann", amount=15, min_balance=-5)
    assert detail["floor"] == 0
    assert ledger.hold("ann", 10, min_balance=-5)["available"] == 0


def test_a_required_feature_must_be_in_the_plan(ledger: Ledger) -> None:
    ledger.publish(plans=[{"id": "p", "default": True, "features": ["chat"]}])
    ledger.grant("ann", 10)
    detail = ledger.refused("DU013", "reserve", user_id="ann", amount=1, required_feature="agents")
    assert detail["feature"] == "agents"
    assert ledger.hold("ann", 1, required_feature="chat")["status"] == "ok"


def test_a_hold_takes_the_policy_of_its_operation(ledger: Ledger) -> None:
    ledger.publish(
        plans=[
            {
                "id": "p",
                "default": True,
                "per_operation": {"chat": {"billing_mode": "overdraft", "overdraft_floor": -5}},
            }
        ]
    )
    ledger.refused("DU002", "reserve", user_id="ann", amount=5)
    assert ledger.hold("ann", 5, operation_type="chat")["available"] == -5
    ledger.refused("DU002", "reserve", user_id="ann", amount=1, operation_type="chat")


def test_a_denied_hold_can_be_returned(ledger: Ledger) -> None:
    result = ledger.hold("ann", 5, **{"raise": False})
    assert (result["status"], result["code"], result["error"]) == (
        "denied",
        "DU002",
        "insufficient_credits",
    )
    assert ledger.event_types("ann") == ["deduct_failed"]
    assert ledger.amounts("ann") == (0, 0, 0, 0)


# --- the deadline ---------------------------------------------------------------------------------


def test_a_hold_stops_counting_at_its_deadline_swept_or_not(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    ledger.hold("ann", 8, ttl_seconds=60)
    later(ledger, seconds=59)
    ledger.refused("DU002", "deduct_amount", user_id="ann", amount=3)
    later(ledger, seconds=60)
    assert ledger.amounts("ann") == (10, 0, 0, 0)
    assert ledger.spend("ann", 10)["available_after"] == 0


def test_sweeping_closes_lapsed_holds_and_only_those(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    ledger.grant("bob", 10)
    lapsed = [ledger.hold("ann", 1, ttl_seconds=60), ledger.hold("bob", 2, ttl_seconds=60)]
    ledger.hold("ann", 3, ttl_seconds=61)
    later(ledger, seconds=60)
    assert ledger.call("expire_reservations") == {"expired": 2}
    assert ledger.call("expire_reservations") == {"expired": 0}
    assert ledger.amounts("ann") == (10, 0, 3, 0)
    for user_id, hold in zip(("ann", "bob"), lapsed, strict=True):
        kind, data = ledger.events(user_id)[-1]
        assert (kind, data["reservation_id"], data["freed"]) == (
            "reservation_expired",
            hold["reservation_id"],
            hold["amount"],
        )


def test_the_next_hold_closes_lapsed_ones(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    ledger.hold("ann", 10, ttl_seconds=60)
    later(ledger, seconds=60)
    ledger.hold("ann", 10)
    assert ledger.event_types("ann") == ["reserved", "reservation_expired", "reserved"]


def test_renewing_moves_the_deadline(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    hold = ledger.hold("ann", 8, ttl_seconds=60)
    later(ledger, seconds=50)
    renewed = ledger.call("renew", reservation_id=hold["reservation_id"], ttl_seconds=60)
    assert (renewed["expires_at"], renewed["state"], renewed["amount"]) == (
        "2026-01-10T00:01:50+00:00",
        "active",
        8,
    )
    later(ledger, seconds=109)
    assert ledger.amounts("ann") == (10, 0, 8, 0)
    later(ledger, seconds=110)
    assert ledger.amounts("ann") == (10, 0, 0, 0)


def test_renewing_is_refused_at_the_deadline(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    hold = ledger.hold("ann", 8, ttl_seconds=60)
    later(ledger, seconds=60)
    detail = ledger.refused("DU011", "renew", reservation_id=hold["reservation_id"])
    assert (detail["state"], detail["closed_at"]) == ("expired", "2026-01-10T00:01:00+00:00")


# --- releasing ------------------------------------------------------------------------------------


def test_releasing_frees_the_credits(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    hold = ledger.hold("ann", 8)
    released = ledger.call("release", reservation_id=hold["reservation_id"])
    assert (released["state"], released["held"], released["available"], released["replayed"]) == (
        "released",
        0,
        10,
        False,
    )
    assert ledger.amounts("ann") == (10, 0, 0, 0)
    assert ledger.events("ann")[-1][0] == "reservation_released"
    assert ledger.events("ann")[-1][1]["freed"] == 8


def test_releasing_again_changes_nothing(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    hold = ledger.hold("ann", 8)
    ledger.call("release", reservation_id=hold["reservation_id"])
    before = ledger.snapshot()
    again = ledger.call("release", reservation_id=hold["reservation_id"])
    assert (again["state"], again["replayed"]) == ("released", True)
    assert ledger.snapshot() == before


def test_releasing_a_lapsed_hold_closes_it_as_expired(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    hold = ledger.hold("ann", 8, ttl_seconds=60)
    later(ledger, seconds=61)
    assert ledger.call("release", reservation_id=hold["reservation_id"])["state"] == "expired"
    assert ledger.events("ann")[-1][0] == "reservation_expired"


def test_a_settled_hold_cannot_be_released_or_renewed(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    hold = ledger.hold("ann", 8)
    ledger.settle(hold)
    for name in ("release", "renew"):
        detail = ledger.refused("DU011", name, reservation_id=hold["reservation_id"])
        assert detail["state"] == "settled"


def test_a_released_hold_cannot_be_settled_or_renewed(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    hold = ledger.hold("ann", 8)
    ledger.call("release", reservation_id=hold["reservation_id"])
    for name, arguments in (("settle", {"amount": 8}), ("renew", {})):
        detail = ledger.refused("DU011", name, reservation_id=hold["reservation_id"], **arguments)
        assert detail["state"] == "released"


@pytest.mark.parametrize("name", ["release", "renew", "settle"])
def test_an_unknown_hold_is_not_found(ledger: Ledger, name: str) -> None:
    unknown = uuid4()
    assert ledger.refused("DU010", name, reservation_id=unknown)["reservation_id"] == str(unknown)
    ledger.refused("DU010", name, reservation_id=None)


# --- idempotency and concurrency ------------------------------------------------------------------


def test_a_key_takes_one_hold(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    first = ledger.hold("ann", 4, idempotency_key="k")
    again = ledger.hold("ann", 4, idempotency_key="k")
    assert again == {**first, "replayed": True}
    assert ledger.amounts("ann") == (10, 0, 4, 0)


@pytest.mark.parametrize(
    "other", [{"amount": D(5)}, {"operation_type": "chat"}, {"amount": None, "metrics": USAGE}]
)
def test_a_key_with_other_arguments_conflicts(ledger: Ledger, other: dict[str, Any]) -> None:
    ledger.publish()
    ledger.grant("ann", 10)
    first = ledger.hold("ann", 4, idempotency_key="k")
    arguments = {"user_id": "ann", "amount": D(4), "idempotency_key": "k", **other}
    detail = ledger.refused("DU007", "reserve", **arguments)
    assert detail["reservation_id"] == first["reservation_id"]


def test_a_denied_hold_does_not_burn_its_key(ledger: Ledger) -> None:
    ledger.refused("DU002", "reserve", user_id="ann", amount=4, idempotency_key="k")
    ledger.grant("ann", 10)
    assert ledger.hold("ann", 4, idempotency_key="k")["replayed"] is False


def test_a_plan_limits_how_many_holds_are_open(ledger: Ledger) -> None:
    ledger.publish(plans=[{"id": "p", "default": True, "max_concurrent": 2}])
    ledger.grant("ann", 10)
    first = ledger.hold("ann", 1)
    ledger.hold("ann", 1, ttl_seconds=60)
    detail = ledger.refused("DU012", "reserve", user_id="ann", amount=1)
    assert (detail["active"], detail["max_concurrent"]) == (2, 2)
    ledger.settle(first)
    ledger.hold("ann", 1)
    ledger.refused("DU012", "reserve", user_id="ann", amount=1)
    later(ledger, seconds=60)
    ledger.hold("ann", 1)


def test_an_operation_limits_its_own_holds(ledger: Ledger) -> None:
    ledger.publish(
        plans=[
            {
                "id": "p",
                "default": True,
                "max_concurrent": 3,
                "per_operation": {"chat": {"max_concurrent": 1}},
            }
        ]
    )
    ledger.grant("ann", 10)
    ledger.hold("ann", 1, operation_type="chat")
    detail = ledger.refused("DU012", "reserve", user_id="ann", amount=1, operation_type="chat")
    assert (detail["active"], detail["max_concurrent"], detail["operation"]) == (1, 1, "chat")
    ledger.hold("ann", 1, operation_type="image")
    ledger.hold("ann", 1)
    detail = ledger.refused("DU012", "reserve", user_id="ann", amount=1)
    assert (detail["active"], detail["max_concurrent"]) == (3, 3)


def test_the_limit_can_be_returned_as_a_denial(ledger: Ledger) -> None:
    ledger.publish(plans=[{"id": "p", "default": True, "max_concurrent": 0}])
    ledger.grant("ann", 10)
    result = ledger.hold("ann", 1, **{"raise": False})
    assert (result["status"], result["code"]) == ("denied", "DU012")


# --- bad arguments --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("user_id", ""),
        ("user_id", None),
        ("user_id", "x" * 201),
        ("amount", None),
        ("amount", D(-1)),
        ("amount", D("NaN")),
        ("amount", "Infinity"),
        ("amount", D("0.0000000000001")),
        ("amount", D(10) ** 26),
        ("ttl_seconds", 0),
        ("ttl_seconds", -5),
        ("ttl_seconds", 604_801),
        ("ttl_seconds", None),
        ("min_balance", D("NaN")),
        ("idempotency_key", ""),
        ("idempotency_key", "k" * 256),
        ("metadata", Json("[]")),
        ("metrics", Json('"x"')),
    ],
)
def test_a_bad_argument_is_refused_by_name(ledger: Ledger, argument: str, value: Any) -> None:
    arguments = {"user_id": "ann", "amount": D(5), argument: value}
    detail = ledger.refused("DU017", "reserve", **arguments)
    assert detail["argument"] == f"p_{argument}"


@pytest.mark.parametrize("ttl_seconds", [0, -1, 604_801, None])
def test_renewing_checks_the_time(ledger: Ledger, ttl_seconds: int | None) -> None:
    ledger.grant("ann", 10)
    hold = ledger.hold("ann", 1)
    detail = ledger.refused(
        "DU017", "renew", reservation_id=hold["reservation_id"], ttl_seconds=ttl_seconds
    )
    assert detail["argument"] == "p_ttl_seconds"
