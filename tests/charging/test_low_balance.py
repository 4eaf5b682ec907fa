"""credits.low_balance fires once per crossing of a threshold and re-arms above it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.support.ledger import Ledger, utc

START = utc(2026, 1, 10)


@pytest.fixture(autouse=True)
def start(ledger: Ledger) -> None:
    ledger.at(START)


def alerts(ledger: Ledger) -> list[Any]:
    return [data["threshold"] for kind, data in ledger.events("ann") if kind == "low_balance"]


def test_it_fires_at_the_threshold_and_once(ledger: Ledger) -> None:
    ledger.publish(low_balance_thresholds=[10])
    ledger.grant("ann", 20)
    ledger.spend("ann", 9)
    assert alerts(ledger) == []
    ledger.spend("ann", 1)
    assert alerts(ledger) == [10]
    ledger.spend("ann", 5)
    assert alerts(ledger) == [10]


def test_the_event_tells_what_is_left(ledger: Ledger) -> None:
    ledger.publish(
        low_balance_thresholds=[10],
        plans=[{"id": "p", "default": True, "free_allowance": 5}],
    )
    ledger.grant("ann", 20)
    ledger.spend("ann", 1)
    ledger.spend("ann", 18)
    assert ledger.events("ann") == [
        ("low_balance", {"threshold": 10, "balance": 6, "allowance_remaining": 0})
    ]


def test_each_lower_threshold_fires_for_itself(ledger: Ledger) -> None:
    ledger.publish(low_balance_thresholds=[5, 20, 10])
    ledger.grant("ann", 30)
    for amount in (10, 3, 7, 5):
        ledger.spend("ann", amount)
    assert alerts(ledger) == [20, 10, 5]


def test_a_charge_across_several_thresholds_announces_the_lowest(ledger: Ledger) -> None:
    ledger.publish(low_balance_thresholds=[20, 10, 5])
    ledger.grant("ann", 30)
    ledger.spend("ann", 22)
    assert alerts(ledger) == [10]


def test_a_top_up_re_arms_it(ledger: Ledger) -> None:
    ledger.publish(low_balance_thresholds=[10])
    ledger.grant("ann", 15)
    ledger.spend("ann", 10)
    ledger.grant("ann", 20)
    ledger.spend("ann", 20)
    assert alerts(ledger) == [10, 10]


def test_a_top_up_that_stays_below_does_not_re_arm_it(ledger: Ledger) -> None:
    ledger.publish(low_balance_thresholds=[10])
    ledger.grant("ann", 15)
    ledger.spend("ann", 10)
    ledger.grant("ann", 2)
    ledger.spend("ann", 1)
    assert alerts(ledger) == [10]


def test_a_grant_never_fires_it(ledger: Ledger) -> None:
    ledger.publish(low_balance_thresholds=[10])
    ledger.grant("ann", 5)
    assert alerts(ledger) == []


def test_a_refund_re_arms_it(ledger: Ledger) -> None:
    ledger.publish(low_balance_thresholds=[10])
    ledger.grant("ann", 15)
    charge = ledger.spend("ann", 10)
    ledger.refund(charge)
    ledger.spend("ann", 10)
    assert alerts(ledger) == [10, 10]


def test_a_new_periods_allowance_re_arms_it(ledger: Ledger) -> None:
    ledger.publish(
        low_balance_thresholds=[10],
        plans=[{"id": "p", "default": True, "free_allowance": 50}],
    )
    ledger.spend("ann", 45)
    ledger.at(utc(2026, 2, 2))
    ledger.spend("ann", 45)
    assert alerts(ledger) == [10, 10]


def test_expiry_fires_it(ledger: Ledger) -> None:
    ledger.publish(low_balance_thresholds=[10])
    ledger.grant("ann", 30, expires_at=START + timedelta(days=1))
    ledger.grant("ann", 5)
    ledger.at(START + timedelta(days=2))
    ledger.rows("sweep_expired_credits")
    assert alerts(ledger) == [10]
    ledger.spend("ann", 1)
    assert alerts(ledger) == [10]


def test_a_revocation_fires_it(ledger: Ledger) -> None:
    ledger.publish(low_balance_thresholds=[10])
    granted = ledger.grant("ann", 30)
    ledger.call("revoke_grant", transaction_id=granted["transaction_id"])
    assert alerts(ledger) == [10]


def test_a_negative_adjustment_fires_it(ledger: Ledger) -> None:
    ledger.publish(low_balance_thresholds=[10])
    ledger.grant("ann", 30)
    ledger.grant("ann", -25)
    assert alerts(ledger) == [10]


def test_a_small_signup_bonus_does_not_count_as_a_crossing(ledger: Ledger) -> None:
    ledger.publish(low_balance_thresholds=[10], signup_bonus=5)
    ledger.spend("ann", 1)
    assert alerts(ledger) == []


def test_a_denied_charge_fires_nothing(ledger: Ledger) -> None:
    ledger.publish(low_balance_thresholds=[10])
    ledger.grant("ann", 15)
    ledger.spend("ann", 20, **{"raise": False})
    assert alerts(ledger) == []
