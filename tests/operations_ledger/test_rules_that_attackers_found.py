"""Rules that did not hold once: money, keys and the life of credits whatever the session is set to,
and what caps, refunds and settlements may touch."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal as D
from typing import Any

import pytest

from tests.support.ledger import Ledger, utc

SETTINGS = [
    "TimeZone = 'America/New_York'",
    "TimeZone = 'Pacific/Kiritimati'",
    "DateStyle = 'German, DMY'",
    "DateStyle = 'Postgres, MDY'",
    "IntervalStyle = 'sql_standard'",
    "lc_numeric = 'C'",
    "lc_monetary = 'C'",
    "extra_float_digits = -15",
    "bytea_output = 'escape'",
    "standard_conforming_strings = off",
    "backslash_quote = off",
    "array_nulls = off",
    "quote_all_identifiers = on",
    "transform_null_equals = on",
]
NAME = "o'hara\\{balance}"


# --- sessions -------------------------------------------------------------------------------------


@pytest.mark.parametrize("autumn", [True, False])
def test_the_life_of_a_refunded_lot_is_a_span_of_time(ledger: Ledger, autumn: bool) -> None:
    """The hour of a change of the clocks lies in the lot's life, or in that of its refund."""
    ledger.connection.execute("set local TimeZone = 'America/New_York'")
    month, refunded = (10, utc(2026, 12, 1)) if autumn else (9, utc(2026, 10, 30))
    ledger.at(utc(2026, month, 30))
    ledger.grant("ann", 10, expires_at=utc(2026, month + 1, 4))
    charge = ledger.spend("ann", 10)
    ledger.at(refunded)
    ledger.refund(charge)
    (lot,) = ledger.lots("ann", kind="refund")
    life = utc(2026, month + 1, 4) - utc(2026, month, 30)
    assert lot["expires_at"] == refunded + life


def _a_life(ledger: Ledger) -> list[Any]:
    """Something of everything, and what is left of it: money, instants, words."""
    ledger.at("2026-02-27T12:00:00Z")
    ledger.publish(
        plans=[
            {
                "id": "pro",
                "default": True,
                "free_allowance": 5,
                "period": "monthly",
                "period_anchor": "account",
                "rollover_max": 3,
            }
        ],
        signup_bonus=2,
    )
    ledger.call("set_user_plan", user_id=NAME, plan_key="pro", period_anchor=utc(2025, 1, 31))
    ledger.grant(NAME, "1234567.000000000001", expires_at=utc(2026, 3, 9), priority=5)
    ledger.call(
        "add_credits_batch",
        grants=[{"user_id": NAME, "amount": 7, "expires_at": "2026-03-08T04:30:00+02:00"}],
    )
    ledger.call("set_spend_cap", user_id=NAME, cap_type="weekly", limit=1000, action="warn")
    charge = ledger.use(NAME, {"model": "gpt-4-0613", "input_tokens": 12345})
    ledger.call(
        "deduct_batch",
        charges=[{"user_id": NAME, "amount": D("0.1"), "occurred_at": "2026-02-01T00:00:00Z"}],
    )
    hold = ledger.hold(NAME, 50, ttl_seconds=604800)
    ledger.at("2026-03-10T00:00:00Z")
    denied = ledger.call("deduct_amount", user_id=NAME, amount=10**9, **{"raise": False})
    ledger.refund(charge)
    ledger.call("release", reservation_id=hold["reservation_id"])
    ledger.at("2026-04-01T00:00:00Z")
    ledger.spend(NAME, "0.5", idempotency_key="k")
    # The driver reads no other dates.
    ledger.connection.execute("set local DateStyle = ISO")
    instants = "expires_at", "effective_at", "created_at"
    return [
        denied["message"],
        [(e["type"], e["amount"], e["balance_after"], e["occurred_at"]) for e in
         ledger.entries(NAME)],
        [(x["kind"], x["remaining"], *(x[i] for i in instants)) for x in ledger.lots(NAME)],
        ledger.balance(NAME),
        ledger.rows("list_spend_caps", user_id=NAME),
        datetime.fromisoformat(ledger.call("get_user_plan", user_id=NAME)["period_end"]),
        ledger.rows("daily_spend", start=utc(2026, 1), end=utc(2027, 1)),
    ]  # fmt: skip


@pytest.mark.parametrize("setting", SETTINGS)
def test_money_and_expiry_are_the_same_in_every_session(ledger: Ledger, setting: str) -> None:
    with ledger.connection.transaction(force_rollback=True):
        expected = _a_life(ledger)
    ledger.connection.execute(f"set local {setting}".encode())
    assert _a_life(ledger) == expected


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_key_replays_in_every_session(ledger: Ledger, setting: str) -> None:
    metrics = {"model": "mini", "input_tokens": 3}
    ledger.publish()
    ledger.grant("ann", 10)
    first = ledger.use("ann", metrics, idempotency_key="k\\x00é'")
    ledger.connection.execute(f"set local {setting}".encode())
    assert ledger.use("ann", metrics, idempotency_key="k\\x00é'") == {**first, "replayed": True}


# --- keys -----------------------------------------------------------------------------------------


def test_a_fingerprint_does_not_skip_what_is_not_given(ledger: Ledger) -> None:
    assert ledger.value(
        "select count(distinct f) = 4 from unnest(array["
        " ducto.fingerprint('a', null, 'b'), ducto.fingerprint('a', 'b', null),"
        " ducto.fingerprint('a', '', 'b'), ducto.fingerprint('a', 'b')]) f"
    )
    ledger.publish()
    ledger.grant("ann", 100)
    usage = {"model": "mini", "input_tokens": 1}
    ledger.call("reserve", user_id="ann", metrics=usage, idempotency_key="k")
    ledger.refused(
        "DU007", "reserve", user_id="ann", metrics=usage, operation_type="x", idempotency_key="k"
    )
    charge = ledger.spend("ann", 5)
    ledger.refund(charge, idempotency_key="r")
    ledger.refused(
        "DU007", "refund", transaction_id=charge["transaction_id"], amount=5, idempotency_key="r"
    )


# --- caps -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("later", [False, True])
def test_a_cap_on_a_model_covers_what_is_priced_as_it(ledger: Ledger, later: bool) -> None:
    def cap() -> None:
        ledger.call("set_spend_cap", user_id="ann", cap_type="daily", limit=10, model="gpt-4")

    def used() -> Any:
        (found,) = ledger.rows("list_spend_caps", user_id="ann")
        return found["used"]

    ledger.publish()
    ledger.grant("ann", 100)
    if not later:
        cap()
    charge = ledger.use("ann", {"model": "gpt-4-0613", "input_tokens": 200})
    ledger.use("ann", {"model": "mini", "input_tokens": 1000})
    if later:
        ledger.refund(charge, amount=1)
        cap()
        assert used() == 5
    else:
        assert used() == 6
        ledger.refund(charge, amount=1)
        assert used() == 5
    ledger.refused(
        "DU001", "deduct", user_id="ann", metrics={"model": "gpt-4-32k", "input_tokens": 200}
    )
    hold = ledger.call(
        "reserve", user_id="ann", metrics={"model": "gpt-4-0613", "input_tokens": 100}
    )
    assert used() == 8
    ledger.settle(hold, metrics={"model": "gpt-4-0613", "input_tokens": 50})
    assert used() == D("6.5")
    ledger.refund(charge)
    assert used() == D("1.5")


# --- refunds --------------------------------------------------------------------------------------


def test_a_refund_of_what_was_written_off_makes_no_credits(ledger: Ledger) -> None:
    grant = ledger.grant("ann", 10)
    ledger.grant("ann", 5)
    charge = ledger.spend("ann", 12)
    ledger.call("revoke_grant", transaction_id=grant["transaction_id"], write_off=True)
    before = ledger.balance("ann")
    ledger.refund(charge, amount=2)
    assert ledger.balance("ann")["balance"] == before["balance"] + 2
    ledger.refund(charge, amount=4)
    ledger.refund(charge)
    assert ledger.balance("ann")["balance"] == 5
    assert ledger.lots("ann", kind="refund") == []
    ledger.refused("DU009", "refund", transaction_id=charge["transaction_id"])
    ledger.refused("DU009", "refund", transaction_id=charge["transaction_id"], amount=1)
    assert ledger.balance("ann")["lifetime_spent"] == 0


def test_credits_given_back_to_a_lot_that_was_used_up_lapse_with_it(ledger: Ledger) -> None:
    ledger.at(utc(2026, 1, 1))
    ledger.grant("ann", 5, expires_at=utc(2026, 1, 2))
    ledger.grant("ann", 10, expires_at=utc(2026, 1, 10))
    charge = ledger.spend("ann", 15)
    ledger.hold("ann", 0, ttl_seconds=60)
    ledger.at(utc(2026, 1, 3))
    ledger.refund(charge, amount=10)
    assert ledger.balance("ann")["balance"] == 10
    ledger.spend("ann", 1)
    ledger.at(utc(2026, 1, 11))
    assert ledger.balance("ann")["balance"] == 0
    ledger.refused("DU002", "deduct_amount", user_id="ann", amount=1)
    assert ledger.entries("ann")[-1]["balance_after"] == 9
    ledger.grant("ann", 3)
    assert [entry["balance_after"] for entry in ledger.entries("ann")[-2:]] == [0, 3]


# --- settlements ----------------------------------------------------------------------------------


def test_above_its_hold_a_settlement_takes_what_is_above_the_floor_and_unclaimed(
    ledger: Ledger,
) -> None:
    ledger.publish(min_balance=3)
    ledger.grant("ann", 30)
    other, hold = ledger.hold("ann", 10), ledger.hold("ann", 10)
    ledger.settle(hold, amount=25)
    # Ten of its own, seven above the floor, eight owed; the other hold's ten and the floor's three
    # are still in the lot.
    assert ledger.amounts("ann") == (5, 0, 10, 8)
    (lot,) = ledger.lots("ann")
    assert lot["remaining"] == 13
    assert ledger.settle(other)["cost"] == 10
    assert ledger.amounts("ann") == (-5, 0, 0, 8)


def test_a_holds_own_floor_holds_for_its_settlement(ledger: Ledger) -> None:
    ledger.grant("ann", 30)
    hold = ledger.hold("ann", 10, min_balance=15)
    ledger.settle(hold, amount=20)
    assert ledger.amounts("ann") == (10, 0, 0, 5)


# --- arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize("argument", ["metadata", "metrics"])
def test_a_size_is_what_was_sent(ledger: Ledger, argument: str) -> None:
    sent = {"metrics": {"model": "mini"}, argument: {"model": "mini", "a": "a" * 200_000}}
    ledger.publish()
    ledger.refused("DU017", "deduct", user_id="ann", **sent)
    ledger.grant("ann", 1)
    for item in ({"user_id": "ann", **sent},):
        (refused,) = ledger.call("deduct_batch", charges=[item])
        assert (refused["status"], refused["code"]) == ("error", "DU017")


@pytest.mark.parametrize("name", ["get_balance", "get_available", "get_user_plan"])
@pytest.mark.parametrize("user_id", [None, "", "x" * 201])
def test_a_reading_of_nobody_is_refused(ledger: Ledger, name: str, user_id: str | None) -> None:
    ledger.refused("DU017", name, user_id=user_id)


def test_an_operation_has_a_name_of_some_length(ledger: Ledger) -> None:
    ledger.refused("DU017", "reserve", user_id="ann", amount=0, operation_type="x" * 201)
    ledger.refused("DU017", "reserve", user_id="ann", amount=0, operation_type="")


def test_an_anchor_before_our_era_is_refused(ledger: Ledger) -> None:
    ledger.publish(plans=[{"id": "p", "period_anchor": "account"}])
    for anchor in "0044-03-15 00:00Z BC", "-infinity", "infinity":
        ledger.refused("DU017", "set_user_plan", user_id="ann", plan_key="p", period_anchor=anchor)
