"""The sentences of errors: values appear as they are, and none makes a sentence long."""

from __future__ import annotations

import json

import pytest

from tests.support.ledger import Ledger


def test_a_value_is_never_taken_for_a_placeholder(ledger: Ledger) -> None:
    name = "{balance}{required}"
    detail = ledger.refused("DU002", "deduct_amount", user_id="plain", amount=7)
    assert detail["message"].startswith("plain has 0 credits available and needs 7;")
    filled = ledger.value(
        "select ducto.error_object('DU002', %s::jsonb) ->> 'message'",
        json.dumps({**detail, "user_id": name, "message": None}),
    )
    assert filled.startswith(name + " has 0 credits available and needs 7;")


@pytest.mark.parametrize("user_id", ["{message}" * 22, "{hint}{user_id}", "[nearest] {nearest}"])
def test_a_denied_user_of_any_name_gets_a_plain_sentence(ledger: Ledger, user_id: str) -> None:
    denial = ledger.call("deduct_amount", user_id=user_id, amount=7, **{"raise": False})
    assert denial["message"] == (
        f"{user_id} has 0 credits available and needs 7; the balance may not fall below 0."
    )
    assert denial["hint"].startswith("Add credits")


def test_a_long_value_is_cut_in_the_sentence(ledger: Ledger) -> None:
    model = "m" * 5000
    message = ledger.value(
        "select ducto.error_object('DU004', %s::jsonb) ->> 'message'",
        json.dumps({"model": model, "version": 1}),
    )
    assert message == (
        f"The model {'m' * 297}... has no price in pricing version 1, and there is no _default."
    )


def test_a_sentence_that_comes_with_the_facts_is_bounded_too(ledger: Ledger) -> None:
    found = ledger.value(
        "select ducto.error_object('DU017', %s::jsonb)",
        json.dumps({"argument": "p_x", "message": "{argument} " * 1000}),
    )
    assert len(found["message"]) == 1000
    assert found["message"].startswith("{argument} {argument}")


@pytest.mark.parametrize(
    ("sentence", "filled"),
    [
        ("", ""),
        ("none here", "none here"),
        ("{a}", "1"),
        ("{a}{b}", "1none"),
        ("{ {a} }", "{ 1 }"),
        ('like {"a": 1}, {a}.', 'like {"a": 1}, 1.'),
        ("{unknown} {a", "{unknown} {a"),
        ("é {c} €", "é {a} €"),
    ],
)
def test_placeholders_are_filled_in_one_pass(ledger: Ledger, sentence: str, filled: str) -> None:
    facts = json.dumps({"a": 1, "b": None, "c": "{a}"})
    assert ledger.value("select ducto.fill_in(%s, %s::jsonb)", sentence, facts) == filled
