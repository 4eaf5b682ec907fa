"""One key, one charge: replays, conflicts, and denials that burn nothing."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal as D
from typing import Any

import pytest

from tests.support.ledger import Ledger

USAGE = {"model": "gpt-4", "input_tokens": 100}
CALLS: dict[str, dict[str, Any]] = {
    "deduct": {"metrics": USAGE},
    "deduct_amount": {"amount": D(3)},
    "deduct_fixed": {"job_name": "report"},
}
OTHERS: dict[str, dict[str, Any]] = {
    "deduct": {"metrics": {**USAGE, "input_tokens": 101}},
    "deduct_amount": {"amount": D("3.5")},
    "deduct_fixed": {"job_name": "summary"},
}


@pytest.fixture(autouse=True)
def priced(ledger: Ledger) -> None:
    ledger.publish(fixed={"report": 3, "summary": 3})
    ledger.grant("ann", 100)


@pytest.mark.parametrize("name", CALLS)
def test_the_same_call_again_replays_its_result(ledger: Ledger, name: str) -> None:
    first = ledger.call(name, user_id="ann", idempotency_key="k", **CALLS[name])
    before = ledger.snapshot()
    again = ledger.call(name, user_id="ann", idempotency_key="k", **CALLS[name])
    assert again == {**first, "replayed": True}
    assert ledger.snapshot() == before


@pytest.mark.parametrize("name", CALLS)
def test_a_replay_is_unchanged_after_everything_has_changed(ledger: Ledger, name: str) -> None:
    first = ledger.call(name, user_id="ann", idempotency_key="k", **CALLS[name])
    ledger.publish(models={"gpt-4": "1000"}, fixed={"report": 1000})
    ledger.spend("ann", 50)
    again = ledger.call(name, user_id="ann", idempotency_key="k", **CALLS[name])
    assert again == {**first, "replayed": True}
    assert ledger.balance("ann")["balance"] == 47


@pytest.mark.parametrize("name", CALLS)
def test_other_arguments_conflict(ledger: Ledger, name: str) -> None:
    first = ledger.call(name, user_id="ann", idempotency_key="k", **CALLS[name])
    detail = ledger.refused("DU007", name, user_id="ann", idempotency_key="k", **OTHERS[name])
    assert detail["transaction_id"] == first["transaction_id"]
    assert (detail["user_id"], detail["idempotency_key"]) == ("ann", "k")


@pytest.mark.parametrize("name", CALLS)
def test_a_denied_call_does_not_burn_its_key(ledger: Ledger, name: str) -> None:
    ledger.spend("ann", 99)
    arguments = {"user_id": "ann", "idempotency_key": "k", **CALLS[name]}
    denied = ledger.call(name, **arguments, **{"raise": False})
    assert (denied["status"], denied["code"]) == ("denied", "DU002")
    ledger.refused("DU002", name, **arguments)
    ledger.grant("ann", 10)
    charged = ledger.call(name, **arguments)
    assert (charged["status"], charged["replayed"]) == ("ok", False)


def test_a_failed_call_does_not_burn_its_key(ledger: Ledger) -> None:
    ledger.refused("DU004", "deduct", user_id="ann", metrics={"model": "x"}, idempotency_key="k")
    assert ledger.use("ann", USAGE, idempotency_key="k")["replayed"] is False


def test_a_replay_comes_back_even_when_the_charge_would_now_be_denied(ledger: Ledger) -> None:
    first = ledger.spend("ann", 60, idempotency_key="k")
    assert ledger.spend("ann", 60, idempotency_key="k") == {**first, "replayed": True}


def test_a_replay_comes_back_even_when_the_account_is_frozen(ledger: Ledger) -> None:
    first = ledger.spend("ann", 60, idempotency_key="k")
    ledger.call("freeze_account", user_id="ann")
    assert ledger.spend("ann", 60, idempotency_key="k") == {**first, "replayed": True}


def test_a_replay_comes_back_even_when_the_model_is_no_longer_priced(ledger: Ledger) -> None:
    first = ledger.use("ann", USAGE, idempotency_key="k")
    ledger.publish(models={"other": "1"})
    assert ledger.use("ann", USAGE, idempotency_key="k") == {**first, "replayed": True}


def test_metrics_are_compared_as_json_not_as_text(ledger: Ledger) -> None:
    first = ledger.use("ann", {"model": "gpt-4", "input_tokens": 100}, idempotency_key="k")
    again = ledger.use("ann", {"input_tokens": 100, "model": "gpt-4"}, idempotency_key="k")
    assert again == {**first, "replayed": True}


def test_amounts_are_compared_as_numbers(ledger: Ledger) -> None:
    first = ledger.spend("ann", "3", idempotency_key="k")
    assert ledger.spend("ann", "3.000", idempotency_key="k") == {**first, "replayed": True}


def test_other_metadata_is_the_same_operation(ledger: Ledger) -> None:
    first = ledger.spend("ann", 3, idempotency_key="k", metadata={"try": 1})
    again = ledger.spend("ann", 3, idempotency_key="k", metadata={"try": 2})
    assert again == {**first, "replayed": True}


def test_a_key_belongs_to_its_account(ledger: Ledger) -> None:
    ledger.grant("bob", 100)
    ledger.spend("ann", 3, idempotency_key="k")
    assert ledger.spend("bob", 4, idempotency_key="k")["replayed"] is False


def test_a_key_belongs_to_its_operation(ledger: Ledger) -> None:
    ledger.use("ann", {"job_name": "report"}, idempotency_key="k")
    ledger.refused("DU007", "deduct_amount", user_id="ann", amount=3, idempotency_key="k")
    ledger.refused("DU007", "add_credits", user_id="ann", amount=3, idempotency_key="k")


def test_calls_without_a_key_charge_every_time(ledger: Ledger) -> None:
    ids = {ledger.spend("ann", 1)["transaction_id"] for _ in range(3)}
    assert len(ids) == 3
    assert ledger.balance("ann")["balance"] == 97


def test_a_key_of_255_characters_works(ledger: Ledger) -> None:
    key = "ü" * 255
    assert ledger.spend("ann", 1, idempotency_key=key)["replayed"] is False
    assert ledger.spend("ann", 1, idempotency_key=key)["replayed"] is True


def refund(ledger: Ledger) -> dict[str, Any]:
    charge = ledger.spend("ann", 10)
    return {"name": "refund", "transaction_id": charge["transaction_id"]}


def revoke(ledger: Ledger) -> dict[str, Any]:
    granted = ledger.grant("ann", 10)
    return {"name": "revoke_grant", "transaction_id": granted["transaction_id"]}


def reserve(ledger: Ledger) -> dict[str, Any]:
    return {"name": "reserve", "user_id": "ann", "amount": D(5)}


def partial(ledger: Ledger) -> dict[str, Any]:
    hold = ledger.hold("ann", 10)
    return {
        "name": "settle",
        "reservation_id": hold["reservation_id"],
        "amount": D(4),
        "final": False,
    }


def partial_rest(ledger: Ledger) -> dict[str, Any]:
    hold = ledger.hold("ann", 10)
    return {"name": "settle", "reservation_id": hold["reservation_id"], "final": False}


MAKERS: list[Callable[[Ledger], dict[str, Any]]] = [refund, revoke, reserve, partial, partial_rest]


@pytest.mark.parametrize("maker", MAKERS)
def test_every_other_call_that_moves_money_replays_too(
    ledger: Ledger, maker: Callable[[Ledger], dict[str, Any]]
) -> None:
    arguments = maker(ledger)
    name = arguments.pop("name")
    first = ledger.call(name, idempotency_key="k", **arguments)
    before = ledger.snapshot()
    again = ledger.call(name, idempotency_key="k", **arguments)
    assert again == {**first, "replayed": True}
    assert ledger.snapshot() == before


@pytest.mark.parametrize(
    ("maker", "other"),
    [
        (refund, {"amount": D(1)}),
        (revoke, {"write_off": True}),
        (reserve, {"amount": D(6)}),
        (partial, {"amount": D(5)}),
    ],
)
def test_every_other_call_that_moves_money_conflicts_on_other_arguments(
    ledger: Ledger, maker: Callable[[Ledger], dict[str, Any]], other: dict[str, Any]
) -> None:
    arguments = maker(ledger)
    name = arguments.pop("name")
    ledger.call(name, idempotency_key="k", **arguments)
    ledger.refused("DU007", name, idempotency_key="k", **{**arguments, **other})


@pytest.mark.parametrize("maker", [refund, revoke, partial])
def test_a_key_of_a_charge_conflicts_everywhere(
    ledger: Ledger, maker: Callable[[Ledger], dict[str, Any]]
) -> None:
    ledger.spend("ann", 1, idempotency_key="k")
    arguments = maker(ledger)
    ledger.refused("DU007", arguments.pop("name"), idempotency_key="k", **arguments)
