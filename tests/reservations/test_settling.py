"""Settling: the whole cost is charged, once, at the pinned price, and never denied."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from tests.support.ledger import Json, Ledger, utc

USAGE = {"model": "gpt-4", "input_tokens": 100}
START = utc(2026, 1, 10)


@pytest.fixture(autouse=True)
def start(ledger: Ledger) -> None:
    ledger.at(START)


def refused(ledger: Ledger, code: str, hold: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    return ledger.refused(code, "settle", reservation_id=hold["reservation_id"], **arguments)


def test_settling_below_the_hold_frees_the_rest(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    hold = ledger.hold("ann", 8)
    settled = ledger.settle(hold, amount=5)
    assert (settled["status"], settled["cost"], settled["balance_after"]) == ("ok", 5, 5)
    assert (settled["available_after"], settled["reservation_id"]) == (5, hold["reservation_id"])
    assert ledger.amounts("ann") == (5, 0, 0, 0)
    entry = ledger.entries("ann")[-1]
    assert (entry["type"], entry["amount"]) == ("usage", -5)
    assert str(entry["reservation_id"]) == hold["reservation_id"]


def test_settling_without_an_amount_charges_the_whole_hold(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    assert ledger.settle(ledger.hold("ann", 8))["cost"] == 8


def test_settling_at_zero_charges_nothing_and_frees_all(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    assert ledger.settle(ledger.hold("ann", 8), amount=0)["cost"] == 0
    assert ledger.amounts("ann") == (10, 0, 0, 0)


def test_settling_above_the_hold_takes_the_difference(ledger: Ledger) -> None:
    ledger.grant("ann", 20)
    settled = ledger.settle(ledger.hold("ann", 8), amount=15)
    assert (settled["cost"], settled["balance_after"]) == (15, 5)
    assert ledger.amounts("ann") == (5, 0, 0, 0)


def test_settling_above_all_there_is_becomes_debt_never_a_smaller_bill(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    settled = ledger.settle(ledger.hold("ann", 8), amount=25)
    assert (settled["cost"], settled["amount"], settled["balance_after"]) == (25, 25, -15)
    assert ledger.amounts("ann") == (-15, 0, 0, 15)
    assert ledger.events("ann")[-1][0] == "overdraft"
    assert ledger.events("ann")[-1][1]["debt_added"] == 15


def test_other_holds_stay_as_they_are(ledger: Ledger) -> None:
    ledger.grant("ann", 20)
    first, _ = ledger.hold("ann", 8), ledger.hold("ann", 5)
    settled = ledger.settle(first, amount=6)
    assert (settled["balance_after"], settled["available_after"]) == (14, 9)
    assert ledger.amounts("ann") == (14, 0, 5, 0)


def test_the_allowance_is_drawn_on_first(ledger: Ledger) -> None:
    ledger.publish(plans=[{"id": "p", "default": True, "free_allowance": 5}])
    ledger.grant("ann", 10)
    settled = ledger.settle(ledger.hold("ann", 8), amount=7)
    assert (settled["allowance_consumed"], settled["amount"], settled["balance_after"]) == (5, 2, 8)


def test_usage_is_settled_at_the_price_of_the_hold(ledger: Ledger) -> None:
    version = ledger.publish()
    ledger.grant("ann", 10)
    hold = ledger.call("reserve", user_id="ann", metrics=USAGE)
    ledger.publish(models={"gpt-4": "1000"})
    settled = ledger.settle(hold, metrics={**USAGE, "output_tokens": 50})
    assert (settled["cost"], settled["pricing_version"], settled["model"]) == (6, version, "gpt-4")
    explained = ledger.call("explain", transaction_id=settled["transaction_id"])
    assert explained["recomputes"] is True
    assert explained["pricing_version"] == version


def test_usage_is_settled_at_the_price_of_the_plan_the_hold_was_taken_on(ledger: Ledger) -> None:
    ledger.publish(plans=[{"id": "vip", "rate_overrides": {"gpt-4": "1"}}, {"id": "basic"}])
    ledger.grant("ann", 10)
    ledger.call("set_user_plan", user_id="ann", plan_key="vip")
    hold = ledger.hold("ann", 5)
    ledger.call("set_user_plan", user_id="ann", plan_key="basic")
    settled = ledger.settle(hold, metrics=USAGE)
    assert settled["cost"] == 1
    explained = ledger.call("explain", transaction_id=settled["transaction_id"])
    assert (explained["plan_key"], explained["recomputes"]) == ("vip", True)


def test_a_hold_from_before_any_pricing_is_settled_at_the_current_price(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    hold = ledger.hold("ann", 5)
    version = ledger.publish(
        plans=[{"id": "vip", "default": True, "rate_overrides": {"gpt-4": "2"}}]
    )
    settled = ledger.settle(hold, metrics=USAGE)
    assert (settled["cost"], settled["pricing_version"]) == (2, version)
    assert ledger.call("explain", transaction_id=settled["transaction_id"])["recomputes"] is True


def test_an_operation_stays_with_its_hold(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    ledger.settle(ledger.hold("ann", 5, operation_type="chat"), amount=4)
    assert ledger.entries("ann")[-1]["operation"] == "chat"


def test_settling_is_never_denied(ledger: Ledger) -> None:
    ledger.publish(min_balance=5)
    ledger.grant("ann", 20)
    ledger.call("set_spend_cap", user_id="ann", cap_type="daily", limit=10)
    hold = ledger.hold("ann", 8)
    ledger.call("freeze_account", user_id="ann")
    assert ledger.settle(hold, amount=18)["balance_after"] == 2


def test_usage_that_cannot_be_priced_leaves_the_hold_open(ledger: Ledger) -> None:
    ledger.publish()
    ledger.grant("ann", 10)
    hold = ledger.hold("ann", 5)
    refused(ledger, "DU004", hold, metrics={"model": "llama"})
    refused(ledger, "DU017", hold, metrics={"model": "gpt-4", "input_tokens": -1})
    refused(ledger, "DU017", hold, metrics=Json("[]"))
    assert ledger.amounts("ann") == (10, 0, 5, 0)
    assert ledger.settle(hold, metrics=USAGE)["cost"] == 3


@pytest.mark.parametrize(
    "arguments",
    [
        {"metrics": USAGE, "amount": 5},
        {"amount": D(-1)},
        {"amount": D("NaN")},
        {"amount": D("0.0000000000001")},
        {"amount": 1, "idempotency_key": ""},
        {"amount": 1, "metadata": Json("[]")},
    ],
)
def test_a_bad_argument_is_refused(ledger: Ledger, arguments: dict[str, Any]) -> None:
    ledger.publish()
    ledger.grant("ann", 10)
    refused(ledger, "DU017", ledger.hold("ann", 5), **arguments)


# --- idempotency ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [{}, {"amount": D(5)}, {"metrics": USAGE}, {"amount": D(5), "idempotency_key": "k"}],
)
def test_a_final_settlement_replays(ledger: Ledger, arguments: dict[str, Any]) -> None:
    ledger.publish()
    ledger.grant("ann", 10)
    hold = ledger.hold("ann", 8)
    first = ledger.settle(hold, **arguments)
    before = ledger.snapshot()
    assert ledger.settle(hold, **arguments) == {**first, "replayed": True}
    assert ledger.snapshot() == before


def test_a_final_settlement_replays_by_its_reservation_whatever_the_key(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    hold = ledger.hold("ann", 8)
    first = ledger.settle(hold, amount=5, idempotency_key="k")
    assert ledger.settle(hold, amount=5) == {**first, "replayed": True}
    assert ledger.settle(hold) == {**first, "replayed": True}
    assert ledger.settle(hold, amount=5, idempotency_key="other") == {**first, "replayed": True}


def test_settling_again_with_another_amount_conflicts(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    hold = ledger.hold("ann", 8)
    first = ledger.settle(hold, amount=5)
    assert refused(ledger, "DU007", hold, amount=6)["transaction_id"] == first["transaction_id"]
    assert ledger.amounts("ann") == (5, 0, 0, 0)


def test_settling_again_under_a_new_key_with_another_amount_is_late(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    hold = ledger.hold("ann", 8)
    ledger.settle(hold, amount=5)
    detail = refused(ledger, "DU011", hold, amount=6, idempotency_key="new")
    assert detail["state"] == "settled"


def test_a_replay_comes_back_after_the_deadline_too(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    hold = ledger.hold("ann", 8)
    first = ledger.settle(hold, amount=5)
    ledger.at(START + timedelta(days=1))
    assert ledger.settle(hold, amount=5) == {**first, "replayed": True}


# --- partial settlements --------------------------------------------------------------------------


def test_a_partial_settlement_keeps_the_rest_held(ledger: Ledger) -> None:
    ledger.grant("ann", 20)
    hold = ledger.hold("ann", 10)
    first = ledger.settle(hold, amount=4, final=False)
    assert (first["balance_after"], first["available_after"]) == (16, 10)
    assert ledger.amounts("ann") == (16, 0, 6, 0)
    second = ledger.settle(hold, amount=1, final=False)
    assert (second["balance_after"], second["available_after"]) == (15, 10)
    last = ledger.settle(hold)
    assert (last["cost"], last["balance_after"], last["available_after"]) == (5, 10, 10)
    assert ledger.amounts("ann") == (10, 0, 0, 0)


def test_partial_settlements_beyond_the_hold_hold_nothing_more(ledger: Ledger) -> None:
    ledger.grant("ann", 20)
    hold = ledger.hold("ann", 10)
    settled = ledger.settle(hold, amount=13, final=False)
    assert (settled["balance_after"], settled["available_after"]) == (7, 7)
    assert ledger.amounts("ann") == (7, 0, 0, 0)
    assert ledger.settle(hold)["cost"] == 0


def test_partial_settlements_without_a_key_charge_every_time(ledger: Ledger) -> None:
    ledger.grant("ann", 20)
    hold = ledger.hold("ann", 10)
    for _ in range(3):
        assert ledger.settle(hold, amount=2, final=False)["replayed"] is False
    assert ledger.amounts("ann") == (14, 0, 4, 0)


def test_a_partial_settlement_replays_even_after_the_final_one(ledger: Ledger) -> None:
    ledger.grant("ann", 20)
    hold = ledger.hold("ann", 10)
    first = ledger.settle(hold, amount=4, final=False, idempotency_key="part")
    ledger.settle(hold, amount=3)
    again = ledger.settle(hold, amount=4, final=False, idempotency_key="part")
    assert again == {**first, "replayed": True}


def test_after_a_partial_settlement_the_rest_can_be_released(ledger: Ledger) -> None:
    ledger.grant("ann", 20)
    hold = ledger.hold("ann", 10)
    ledger.settle(hold, amount=4, final=False)
    ledger.call("release", reservation_id=hold["reservation_id"])
    assert ledger.amounts("ann") == (16, 0, 0, 0)
    assert ledger.events("ann")[-1][1]["freed"] == 6


# --- late -----------------------------------------------------------------------------------------


def test_settling_at_the_deadline_is_refused(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    hold = ledger.hold("ann", 8, ttl_seconds=60)
    ledger.at(START + timedelta(seconds=60))
    detail = refused(ledger, "DU011", hold, amount=5)
    assert (detail["state"], detail["closed_at"]) == ("expired", "2026-01-10T00:01:00+00:00")
    assert ledger.amounts("ann") == (10, 0, 0, 0)


def test_settling_a_second_before_the_deadline_works(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    hold = ledger.hold("ann", 8, ttl_seconds=60)
    ledger.at(START + timedelta(seconds=59))
    assert ledger.settle(hold, amount=5)["cost"] == 5


@pytest.mark.parametrize("swept", [False, True])
def test_late_usage_leaves_an_event_when_the_refusal_is_returned(
    ledger: Ledger, swept: bool
) -> None:
    ledger.publish()
    ledger.grant("ann", 10)
    hold = ledger.hold("ann", 8, ttl_seconds=60)
    ledger.at(START + timedelta(seconds=61))
    if swept:
        ledger.call("expire_reservations")
    result = ledger.settle(hold, metrics=USAGE, **{"raise": False})
    assert (result["status"], result["code"]) == ("denied", "DU011")
    kind, data = ledger.events("ann")[-1]
    assert (kind, data["reservation_id"], data["metrics"]) == (
        "unbilled_usage",
        hold["reservation_id"],
        USAGE,
    )
    assert ledger.amounts("ann") == (10, 0, 0, 0)


def test_within_the_grace_a_late_settlement_is_charged(ledger: Ledger) -> None:
    ledger.setting("settle_grace_seconds", "30")
    ledger.grant("ann", 10)
    first, second = (ledger.hold("ann", 4, ttl_seconds=60) for _ in range(2))
    ledger.at(START + timedelta(seconds=89))
    assert ledger.amounts("ann") == (10, 0, 0, 0)
    assert ledger.call("expire_reservations") == {"expired": 0}
    settled = ledger.settle(first, amount=4)
    assert (settled["balance_after"], settled["available_after"]) == (6, 6)
    ledger.at(START + timedelta(seconds=90))
    refused(ledger, "DU011", second, amount=4)
    assert ledger.call("expire_reservations") == {"expired": 1}


def test_within_the_grace_credits_that_went_elsewhere_become_debt(ledger: Ledger) -> None:
    ledger.setting("settle_grace_seconds", "30")
    ledger.grant("ann", 10)
    hold = ledger.hold("ann", 8, ttl_seconds=60)
    ledger.at(START + timedelta(seconds=61))
    ledger.spend("ann", 9)
    assert ledger.settle(hold, amount=8)["balance_after"] == -7
    assert ledger.amounts("ann") == (-7, 0, 0, 7)


def test_a_lot_that_lapses_under_a_hold_is_not_kept_alive_by_it(ledger: Ledger) -> None:
    ledger.grant("ann", 10, expires_at=START + timedelta(seconds=30))
    hold = ledger.hold("ann", 8, ttl_seconds=60)
    ledger.at(START + timedelta(seconds=40))
    assert ledger.amounts("ann") == (0, 0, 8, 0)
    assert ledger.settle(hold, amount=5)["balance_after"] == -5
    assert [entry["type"] for entry in ledger.entries("ann")] == ["adjustment", "expiry", "usage"]


def test_the_key_of_a_partial_settlement_is_not_that_of_the_final_one(ledger: Ledger) -> None:
    ledger.call("add_credits", user_id="ann", amount=100, type="purchase")
    hold = ledger.call("reserve", user_id="ann", amount=50)["reservation_id"]
    part = {"reservation_id": hold, "amount": 10, "idempotency_key": "part"}
    ledger.call("settle", **part, final=False)
    detail = ledger.refused("DU007", "settle", **part)
    assert detail["idempotency_key"] == "part"
    assert ledger.call("get_balance", user_id="ann")["held"] == 40
    assert ledger.call("settle", **part, final=False)["replayed"] is True
