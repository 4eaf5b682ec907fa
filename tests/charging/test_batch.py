"""Many charges in one call: each its own result, none spoils another."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest

from tests.support.ledger import Json, Ledger

USAGE = {"model": "gpt-4", "input_tokens": 100}


@pytest.fixture(autouse=True)
def priced(ledger: Ledger) -> None:
    ledger.publish(fixed={"report": 2})
    ledger.grant("ann", 10)
    ledger.grant("bob", 10)


def batch(ledger: Ledger, *charges: Any) -> list[dict[str, Any]]:
    results = ledger.call("deduct_batch", charges=list(charges))
    assert isinstance(results, list)
    return results


def test_every_item_gets_its_result_in_order(ledger: Ledger) -> None:
    results = batch(
        ledger,
        {"user_id": "bob", "metrics": USAGE},
        {"user_id": "ann", "amount": D("1.5")},
        {"user_id": "bob", "job_name": "report"},
    )
    assert [(r["user_id"], r["status"], r["cost"], r["balance_after"]) for r in results] == [
        ("bob", "ok", 3, 7),
        ("ann", "ok", D("1.5"), D("8.5")),
        ("bob", "ok", 2, 5),
    ]


def test_an_item_is_what_the_call_of_its_own_would_be(ledger: Ledger) -> None:
    single = ledger.use("ann", USAGE, metadata={"a": 1})
    (item,) = batch(ledger, {"user_id": "bob", "metrics": USAGE, "metadata": {"a": 1}})
    for result in (single, item):
        del result["transaction_id"], result["user_id"]
    assert item == single
    assert ledger.entries("bob")[-1]["metadata"] == {"a": 1}


def test_a_denied_item_spoils_no_other(ledger: Ledger) -> None:
    results = batch(
        ledger,
        {"user_id": "ann", "amount": 4},
        {"user_id": "ann", "amount": 7},
        {"user_id": "ann", "amount": 6},
        {"user_id": "bob", "amount": 10},
    )
    assert [result["status"] for result in results] == ["ok", "denied", "ok", "ok"]
    assert (results[1]["code"], results[1]["available"]) == ("DU002", 6)
    assert ledger.amounts("ann") == (0, 0, 0, 0)
    assert ledger.event_types("ann") == ["deduct_failed"]


BAD: list[Any] = [
    {"user_id": "ann"},
    {"user_id": "ann", "amount": 1, "metrics": USAGE},
    {"user_id": "ann", "amount": "1"},
    {"user_id": "ann", "amount": -1},
    {"user_id": "ann", "amount": D("0.0000000000001")},
    {"user_id": "ann", "metrics": "gpt-4"},
    {"user_id": "ann", "metrics": []},
    {"user_id": "ann", "metrics": {"model": "gpt-4", "input_token": 1}},
    {"user_id": "ann", "amount": 1, "color": "red"},
    {"user_id": "ann", "amount": 1, "metadata": []},
    {"user_id": "ann", "amount": 1, "idempotency_key": ""},
    {"user_id": "ann", "amount": 1, "idempotency_key": 5},
    {"user_id": "", "amount": 1},
    {"user_id": None, "amount": 1},
    {"user_id": 7, "amount": 1},
    {"user_id": "x" * 201, "amount": 1},
    {"amount": 1},
    {},
    None,
    "ann",
    5,
    [],
    [{"user_id": "ann", "amount": 1}],
]


@pytest.mark.parametrize("item", BAD, ids=str)
def test_a_bad_item_is_an_error_and_spoils_no_other(ledger: Ledger, item: Any) -> None:
    results = batch(ledger, {"user_id": "ann", "amount": 1}, item, {"user_id": "ann", "amount": 2})
    assert [result["status"] for result in results] == ["ok", "error", "ok"]
    assert results[1]["code"] == "DU017"
    assert results[1]["message"]
    assert ledger.amounts("ann") == (7, 0, 0, 0)


def test_errors_of_the_pricing_are_told_item_by_item(ledger: Ledger) -> None:
    results = batch(
        ledger,
        {"user_id": "ann", "metrics": {"model": "llama"}},
        {"user_id": "ann", "job_name": "dance"},
    )
    assert [(r["status"], r["code"]) for r in results] == [("error", "DU004"), ("error", "DU018")]


def test_an_item_with_a_key_charges_once(ledger: Ledger) -> None:
    item = {"user_id": "ann", "amount": 3, "idempotency_key": "k"}
    first, second = batch(ledger, item, item)
    assert second == {**first, "replayed": True}
    (third,) = batch(ledger, item)
    assert third == {**first, "replayed": True}
    assert ledger.balance("ann")["balance"] == 7


def test_a_key_is_the_same_in_a_batch_and_in_a_call_of_its_own(ledger: Ledger) -> None:
    first = ledger.use("ann", USAGE, idempotency_key="k")
    (item,) = batch(ledger, {"user_id": "ann", "metrics": USAGE, "idempotency_key": "k"})
    assert item == {**first, "replayed": True}
    (item,) = batch(ledger, {"user_id": "bob", "job_name": "report", "idempotency_key": "k"})
    again = ledger.call("deduct_fixed", user_id="bob", job_name="report", idempotency_key="k")
    assert again == {**item, "replayed": True}


def test_a_conflicting_key_is_an_error_of_its_item(ledger: Ledger) -> None:
    results = batch(
        ledger,
        {"user_id": "ann", "amount": 3, "idempotency_key": "k"},
        {"user_id": "ann", "amount": 4, "idempotency_key": "k"},
        {"user_id": "bob", "amount": 4, "idempotency_key": "k"},
    )
    assert [result["status"] for result in results] == ["ok", "error", "ok"]
    assert results[1]["code"] == "DU007"


def test_null_members_count_as_missing(ledger: Ledger) -> None:
    (item,) = batch(
        ledger,
        {
            "user_id": "ann",
            "amount": 1,
            "metrics": None,
            "job_name": None,
            "idempotency_key": None,
            "metadata": None,
        },
    )
    assert item["status"] == "ok"


def test_an_empty_batch_does_nothing(ledger: Ledger) -> None:
    before = ledger.snapshot()
    assert batch(ledger) == []
    assert ledger.snapshot() == before


def test_new_accounts_come_into_being_with_their_bonus(ledger: Ledger) -> None:
    ledger.publish(signup_bonus=5)
    (item,) = batch(ledger, {"user_id": "new", "amount": 2})
    assert (item["status"], item["balance_after"]) == ("ok", 3)


def test_caps_count_from_item_to_item(ledger: Ledger) -> None:
    ledger.call("set_spend_cap", user_id="ann", cap_type="daily", limit=5)
    results = batch(ledger, *[{"user_id": "ann", "amount": 2}] * 4)
    assert [result["status"] for result in results] == ["ok", "ok", "denied", "denied"]
    assert results[2]["code"] == "DU001"


def test_a_thousand_charges_fit(ledger: Ledger) -> None:
    results = batch(ledger, *[{"user_id": "ann", "amount": D("0.01")}] * 1000)
    assert [result["status"] for result in results] == ["ok"] * 1000
    assert results[-1]["balance_after"] == 0


@pytest.mark.parametrize(
    "charges",
    ["null", "{}", '"x"', "5", '{"user_id": "ann", "amount": 1}', "[" + "1," * 1000 + "1]"],
    ids=["null", "object", "text", "number", "one charge", "too many"],
)
def test_what_is_no_list_of_at_most_1000_is_refused(ledger: Ledger, charges: str) -> None:
    detail = ledger.refused("DU017", "deduct_batch", charges=Json(charges))
    assert detail["argument"] == "p_charges"


def test_a_missing_list_is_refused(ledger: Ledger) -> None:
    assert ledger.refused("DU017", "deduct_batch", charges=None)["argument"] == "p_charges"
