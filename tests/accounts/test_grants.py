"""Granting credits: types, expiry, priority, category, the signup bonus, adjustments, debt."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal as D

import pytest

from tests.support.ledger import Json, Ledger, utc


@pytest.mark.parametrize(
    ("type_", "category"),
    [
        ("purchase", "paid"),
        ("subscription", "paid"),
        ("opening", "paid"),
        ("adjustment", "paid"),
        ("promo", "promotional"),
        ("signup_bonus", "promotional"),
    ],
)
def test_each_type_makes_a_lot_of_its_category(ledger: Ledger, type_: str, category: str) -> None:
    granted = ledger.grant("ann", "12.5", type=type_)
    (lot,) = ledger.lots("ann")
    assert (lot["kind"], lot["category"], lot["amount"], lot["remaining"], lot["status"]) == (
        type_,
        category,
        D("12.5"),
        D("12.5"),
        "live",
    )
    assert lot["lot_id"] == granted["lot_id"]
    assert lot["transaction_id"] == granted["transaction_id"]
    assert (lot["priority"], lot["expires_at"]) == (100, None)
    (entry,) = ledger.entries("ann")
    assert (entry["type"], entry["amount"], entry["balance_after"]) == (type_, D("12.5"), D("12.5"))
    assert entry["allocations"] == [{"lot": lot["lot_id"], "amount": D("12.5")}]


def test_the_result_tells_what_was_granted(ledger: Ledger) -> None:
    ledger.at(utc(2026))
    granted = ledger.grant(
        "ann", "10.500", type="purchase", expires_at=utc(2026, 2), metadata={"order": 7}
    )
    assert granted["user_id"] == "ann"
    assert (granted["amount"], granted["balance_after"]) == (D("10.5"), D("10.5"))
    assert granted["expires_at"] == "2026-02-01T00:00:00+00:00"
    assert granted["replayed"] is False
    assert ledger.entries("ann")[0]["metadata"] == {"order": 7}


def test_an_explicit_category_wins_over_the_type(ledger: Ledger) -> None:
    ledger.grant("ann", 1, type="promo", category="paid")
    ledger.grant("ann", 1, type="purchase", category="promotional")
    assert [lot["category"] for lot in ledger.lots("ann")] == ["paid", "promotional"]


def test_money_is_exact_to_twelve_places(ledger: Ledger) -> None:
    ledger.grant("ann", "0.1")
    ledger.grant("ann", "0.2")
    ledger.grant("ann", "0.000000000001")
    assert ledger.balance("ann")["balance"] == D("0.300000000001")


def test_large_and_tiny_amounts_add_up(ledger: Ledger) -> None:
    ledger.grant("ann", "99999999999999999999999999.000000000001")
    ledger.spend("ann", "99999999999999999999999998")
    assert ledger.balance("ann")["balance"] == D("1.000000000001")


def test_an_account_never_touched_has_nothing_and_reading_creates_none(ledger: Ledger) -> None:
    assert ledger.amounts("nobody") == (0, 0, 0, 0)
    assert ledger.entries("nobody") == []
    assert ledger.lots("nobody") == []
    assert ledger.call("get_available", user_id="nobody")["available"] == 0
    assert ledger.value("select count(*) from ducto.credit_accounts") == 0


def test_lifetime_totals_count_grants_and_spend(ledger: Ledger) -> None:
    ledger.grant("ann", 100)
    ledger.grant("ann", 50, type="promo")
    charge = ledger.spend("ann", 30)
    ledger.refund(charge, amount=D(10))
    found = ledger.balance("ann")
    assert (found["lifetime_granted"], found["lifetime_spent"]) == (150, 20)


# --- idempotency ----------------------------------------------------------------------------------


def test_a_key_grants_once(ledger: Ledger) -> None:
    first = ledger.grant("ann", 10, type="purchase", idempotency_key="order-1")
    again = ledger.grant("ann", "10.0", type="purchase", idempotency_key="order-1")
    assert again == {**first, "replayed": True}
    assert ledger.balance("ann")["balance"] == 10


def test_a_grant_that_has_expired_since_replays(ledger: Ledger) -> None:
    ledger.at(utc(2026))
    arguments = {"expires_at": utc(2026, 2), "idempotency_key": "k"}
    first = ledger.grant("ann", 10, **arguments)
    ledger.at(utc(2026, 3))
    assert ledger.grant("ann", 10, **arguments) == {**first, "replayed": True}


def test_a_replayed_grant_tells_the_balance_of_then(ledger: Ledger) -> None:
    first = ledger.grant("ann", 10, idempotency_key="k")
    ledger.spend("ann", 4)
    assert ledger.grant("ann", 10, idempotency_key="k")["balance_after"] == first["balance_after"]


@pytest.mark.parametrize("other", [{"amount": D(11)}, {"amount": D(10), "type": "promo"}])
def test_a_key_with_other_arguments_conflicts(ledger: Ledger, other: dict[str, object]) -> None:
    first = ledger.grant("ann", 10, type="purchase", idempotency_key="k")
    detail = ledger.refused(
        "DU007", "add_credits", user_id="ann", idempotency_key="k", **{"type": "purchase", **other}
    )
    assert detail["user_id"] == "ann"
    assert detail["idempotency_key"] == "k"
    assert detail["transaction_id"] == first["transaction_id"]


def test_a_key_belongs_to_its_account(ledger: Ledger) -> None:
    ledger.grant("ann", 10, idempotency_key="k")
    assert ledger.grant("bob", 11, idempotency_key="k")["replayed"] is False


def test_a_key_of_a_charge_is_none_for_a_grant(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    ledger.spend("ann", 1, idempotency_key="k")
    ledger.refused("DU007", "add_credits", user_id="ann", amount=1, idempotency_key="k")


# --- the signup bonus -----------------------------------------------------------------------------


def test_the_signup_bonus_arrives_with_the_account(ledger: Ledger) -> None:
    ledger.publish(signup_bonus=25)
    ledger.spend("ann", 5)
    assert ledger.amounts("ann") == (20, 0, 0, 0)
    assert [entry["type"] for entry in ledger.entries("ann")] == ["signup_bonus", "usage"]


def test_the_signup_bonus_is_granted_once_ever(ledger: Ledger) -> None:
    ledger.publish(signup_bonus=25)
    ledger.spend("ann", 25)
    ledger.publish(signup_bonus=40)
    ledger.refused("DU002", "deduct_amount", user_id="ann", amount=1)
    assert len(ledger.lots("ann")) == 1


def test_accounts_older_than_the_bonus_do_not_get_it(ledger: Ledger) -> None:
    ledger.grant("ann", 1)
    ledger.publish(signup_bonus=25)
    ledger.spend("ann", 1)
    assert ledger.amounts("ann") == (0, 0, 0, 0)


def test_a_bonus_granted_by_hand_replays_without_a_key(ledger: Ledger) -> None:
    first = ledger.grant("ann", 5, type="signup_bonus")
    again = ledger.grant("ann", 5, type="signup_bonus")
    assert again == {**first, "replayed": True}
    assert ledger.balance("ann")["balance"] == 5


def test_a_second_bonus_of_another_amount_conflicts(ledger: Ledger) -> None:
    first = ledger.grant("ann", 5, type="signup_bonus")
    detail = ledger.refused("DU007", "add_credits", user_id="ann", amount=6, type="signup_bonus")
    assert detail["transaction_id"] == first["transaction_id"]


def test_a_second_bonus_under_another_key_conflicts(ledger: Ledger) -> None:
    ledger.grant("ann", 5, type="signup_bonus", idempotency_key="one")
    ledger.refused(
        "DU007",
        "add_credits",
        user_id="ann",
        amount=5,
        type="signup_bonus",
        idempotency_key="two",
    )


def test_a_bonus_by_hand_after_the_automatic_one_conflicts(ledger: Ledger) -> None:
    ledger.publish(signup_bonus=25)
    ledger.grant("ann", 1)
    ledger.refused("DU007", "add_credits", user_id="ann", amount=5, type="signup_bonus")


def test_the_automatic_bonus_replays_when_it_is_asked_for_by_hand(ledger: Ledger) -> None:
    ledger.publish(signup_bonus=25)
    granted = ledger.grant("ann", 25, type="signup_bonus")
    assert granted["replayed"] is True
    assert ledger.balance("ann")["balance"] == 25


# --- negative adjustments -------------------------------------------------------------------------


def test_a_negative_adjustment_takes_credits_in_the_order_of_consumption(ledger: Ledger) -> None:
    ledger.at(utc(2026))
    ledger.grant("ann", 10, type="purchase")
    ledger.grant("ann", 10, type="promo", expires_at=utc(2026, 2))
    taken = ledger.grant("ann", -14)
    assert (taken["amount"], taken["balance_after"], taken["lot_id"]) == (-14, 6, None)
    assert [lot["remaining"] for lot in ledger.lots("ann")] == [6, 0]


def test_a_negative_adjustment_stops_at_the_floor(ledger: Ledger) -> None:
    ledger.publish(min_balance=3)
    ledger.grant("ann", 10)
    detail = ledger.refused("DU002", "add_credits", user_id="ann", amount=D("-7.5"))
    assert (detail["required"], detail["available"], detail["floor"]) == (D("7.5"), 10, 3)
    assert ledger.grant("ann", -7)["balance_after"] == 3


def test_a_negative_adjustment_leaves_the_allowance_alone(ledger: Ledger) -> None:
    ledger.publish(plans=[{"id": "pro", "free_allowance": 50}])
    ledger.call("set_user_plan", user_id="ann", plan_key="pro")
    ledger.grant("ann", 10)
    assert ledger.grant("ann", -10)["balance_after"] == 0
    assert ledger.amounts("ann") == (0, 50, 0, 0)
    ledger.refused("DU002", "add_credits", user_id="ann", amount=-1)


def test_a_negative_adjustment_leaves_held_credits_alone(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    ledger.hold("ann", 6)
    ledger.refused("DU002", "add_credits", user_id="ann", amount=-5)
    assert ledger.grant("ann", -4)["balance_after"] == 6


def test_an_adjustment_is_not_spend(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    ledger.grant("ann", -4)
    ledger.spend("ann", 1)
    found = ledger.balance("ann")
    assert (found["lifetime_granted"], found["lifetime_spent"]) == (10, 1)


def test_an_adjustment_into_debt_is_not_spend_either(ledger: Ledger) -> None:
    ledger.publish(min_balance=-10)
    ledger.grant("ann", 4)
    ledger.grant("ann", -9)
    assert ledger.amounts("ann") == (-5, 0, 0, 5)
    assert ledger.balance("ann")["lifetime_spent"] == 0
    ledger.grant("ann", 20)
    ledger.spend("ann", 3)
    assert ledger.balance("ann")["lifetime_spent"] == 3


def test_a_negative_adjustment_replays(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    first = ledger.grant("ann", -4, idempotency_key="k")
    assert ledger.grant("ann", -4, idempotency_key="k") == {**first, "replayed": True}
    assert ledger.balance("ann")["balance"] == 6


# --- debt -----------------------------------------------------------------------------------------


def test_a_grant_pays_debt_first(ledger: Ledger) -> None:
    ledger.publish(plans=[{"id": "post", "default_billing_mode": "overdraft", "default": True}])
    ledger.spend("ann", 30)
    assert ledger.amounts("ann") == (-30, 0, 0, 30)
    granted = ledger.grant("ann", 50)
    assert granted["balance_after"] == 20
    assert ledger.amounts("ann") == (20, 0, 0, 0)
    (lot,) = ledger.lots("ann")
    assert (lot["amount"], lot["remaining"]) == (50, 20)
    assert ledger.entries("ann")[-1]["allocations"] == [
        {"lot": lot["lot_id"], "amount": 50},
        {"lot": lot["lot_id"], "amount": -30},
        {"debt": -30},
    ]


def test_a_grant_smaller_than_the_debt_lowers_it(ledger: Ledger) -> None:
    ledger.publish(plans=[{"id": "post", "default_billing_mode": "overdraft", "default": True}])
    ledger.spend("ann", 30)
    ledger.grant("ann", 10)
    assert ledger.amounts("ann") == (-20, 0, 0, 20)
    (lot,) = ledger.lots("ann")
    assert (lot["remaining"], lot["status"]) == (0, "used")
    assert ledger.balance("ann")["lifetime_spent"] == 30


# --- bad arguments --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("amount", D("NaN")),
        ("amount", "Infinity"),
        ("amount", "-Infinity"),
        ("amount", 0),
        ("amount", None),
        ("amount", D("0.0000000000001")),
        ("amount", D(10) ** 26),
        ("amount", -(D(10) ** 26)),
        ("user_id", ""),
        ("user_id", None),
        ("user_id", "x" * 201),
        ("user_id", "x" * 1_000_000),
        ("type", "gift"),
        ("type", "usage"),
        ("type", "rollover"),
        ("type", None),
        ("category", "free"),
        ("idempotency_key", ""),
        ("idempotency_key", "k" * 256),
        ("metadata", Json("[]")),
        ("metadata", Json("null")),
        ("metadata", Json('"text"')),
        ("metadata", {"huge": "x" * 70_000}),
        ("expires_at", utc(2000)),
        ("expires_at", "-infinity"),
        ("expires_at", "infinity"),
        ("expires_at", "9999-12-31 23:59-12:00"),
    ],
)
def test_a_bad_argument_is_refused_by_name(ledger: Ledger, argument: str, value: object) -> None:
    arguments: dict[str, object] = {"user_id": "ann", "amount": 5, argument: value}
    detail = ledger.refused("DU017", "add_credits", **arguments)
    assert detail["argument"] == f"p_{argument}"


def test_only_adjustments_are_negative(ledger: Ledger) -> None:
    for type_ in ("purchase", "subscription", "promo", "signup_bonus", "opening"):
        ledger.refused("DU017", "add_credits", user_id="ann", amount=-1, type=type_)


def test_a_negative_adjustment_cannot_expire(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    ledger.refused("DU017", "add_credits", user_id="ann", amount=-1, expires_at=utc(2999))


def test_an_expiry_at_this_very_instant_is_past(ledger: Ledger) -> None:
    ledger.at(utc(2026))
    ledger.refused("DU017", "add_credits", user_id="ann", amount=1, expires_at=utc(2026))
    ledger.grant("ann", 1, expires_at=utc(2026) + timedelta(microseconds=1))


def test_null_metadata_counts_as_none(ledger: Ledger) -> None:
    ledger.grant("ann", 1, metadata=None)
    assert ledger.entries("ann")[0]["metadata"] == {}


def test_a_balance_beyond_what_can_be_stored_is_refused(ledger: Ledger) -> None:
    ledger.grant("ann", "99999999999999999999999999")
    detail = ledger.refused("DU017", "add_credits", user_id="ann", amount=1)
    assert detail["argument"] == "p_amount"


# --- many at once -------------------------------------------------------------------------------


def test_a_batch_grants_to_many_and_again_replays(ledger: Ledger) -> None:
    grants = [
        {"user_id": "zoe", "amount": 5, "type": "opening", "idempotency_key": "move-zoe"},
        {"user_id": "ann", "amount": D("2.5"), "type": "promo", "expires_at": "2030-01-01T00:00Z"},
        {"user_id": "zoe", "amount": 1, "category": "promotional", "priority": 5},
    ]
    first = ledger.call("add_credits_batch", grants=grants)
    assert [(each["user_id"], each["amount"], each["balance_after"]) for each in first] == [
        ("zoe", 5, 5),
        ("ann", D("2.5"), D("2.5")),
        ("zoe", 1, 6),
    ]
    assert first[1]["expires_at"] == "2030-01-01T00:00:00+00:00"
    again = ledger.call("add_credits_batch", grants=grants[:1])
    assert again == [{**first[0], "replayed": True}]
    assert ledger.amounts("zoe")[0] == 6


@pytest.mark.parametrize(
    ("grant", "argument"),
    [
        ("not an object", "p_grants"),
        ({"user_id": "ann"}, "amount"),
        ({"user_id": "ann", "amount": "5"}, "amount"),
        ({"user_id": "", "amount": 5}, "p_user_id"),
        ({"user_id": "ann", "amount": 0}, "p_amount"),
        ({"user_id": "ann", "amount": 5, "type": "gift"}, "p_type"),
        ({"user_id": "ann", "amount": 5, "expires_at": "tomorrow"}, "expires_at"),
        ({"user_id": "ann", "amount": 5, "expires_at": "2030-02-30T00:00Z"}, "expires_at"),
        ({"user_id": "ann", "amount": 5, "priority": 1.5}, "priority"),
        ({"user_id": "ann", "amount": 5, "colour": "red"}, "colour"),
    ],
)
def test_one_wrong_grant_of_a_batch_refuses_all_of_it(
    ledger: Ledger, grant: object, argument: str
) -> None:
    detail = ledger.refused(
        "DU017", "add_credits_batch", grants=[{"user_id": "bob", "amount": 5}, grant]
    )
    assert detail["argument"] == argument
    assert detail["place"] == 2
    assert ledger.amounts("bob")[0] == 0
