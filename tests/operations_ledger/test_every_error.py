"""Every error of the catalogue is provoked by a call: its facts, its sentence, its HTTP status."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest

from ducto_pg.install.manifest import load_errors
from tests.support.ledger import Ledger, utc

CATALOGUE = {error.code: error for error in load_errors()}
USAGE = {"model": "gpt-4", "input_tokens": 100}
NO_HOLD = UUID(int=0)
Call = tuple[str, dict[str, Any]]


def cap_reached(ledger: Ledger) -> Call:
    ledger.grant("ann", 10)
    ledger.call("set_spend_cap", user_id="ann", cap_type="daily", limit=1, model="gpt-4")
    return "deduct", {"user_id": "ann", "metrics": USAGE}


def insufficient_credits(ledger: Ledger) -> Call:
    return "deduct", {"user_id": "ann", "metrics": USAGE}


def pricing_not_loaded(ledger: Ledger) -> Call:
    ledger.connection.execute("update ducto.credit_pricing_config set active = false")
    return "deduct", {"user_id": "ann", "metrics": USAGE}


def unknown_model(ledger: Ledger) -> Call:
    return "deduct", {"user_id": "ann", "metrics": {"model": "llama"}}


def invalid_expression(ledger: Ledger) -> Call:
    return "pricing_set", {"config": {"models": {"m": "__import__('os')"}}}


def invalid_pricing_config(ledger: Ledger) -> Call:
    return "pricing_set", {"config": {"modles": {}}}


def idempotency_conflict(ledger: Ledger) -> Call:
    ledger.grant("ann", 10, idempotency_key="k")
    return "add_credits", {"user_id": "ann", "amount": 11, "idempotency_key": "k"}


def transaction_not_found(ledger: Ledger) -> Call:
    return "refund", {"transaction_id": -1}


def refund_exceeds_charge(ledger: Ledger) -> Call:
    ledger.grant("ann", 10)
    charge = ledger.spend("ann", 5)
    return "refund", {"transaction_id": charge["transaction_id"], "amount": 6}


def reservation_not_found(ledger: Ledger) -> Call:
    return "release", {"reservation_id": NO_HOLD}


def reservation_expired(ledger: Ledger) -> Call:
    ledger.at(utc(2026))
    ledger.grant("ann", 10)
    hold = ledger.hold("ann", 5)
    ledger.at(utc(2026, 2))
    return "settle", {"reservation_id": hold["reservation_id"], "amount": 5}


def concurrency_limit(ledger: Ledger) -> Call:
    ledger.publish(plans=[{"id": "p", "default": True, "max_concurrent": 0}])
    return "reserve", {"user_id": "ann", "amount": 0, "operation_type": "chat"}


def feature_not_entitled(ledger: Ledger) -> Call:
    ledger.publish(plans=[{"id": "p", "default": True}])
    return "reserve", {"user_id": "ann", "amount": 0, "required_feature": "agents"}


def plan_not_found(ledger: Ledger) -> Call:
    ledger.publish(plans=[{"id": "pro"}])
    return "set_user_plan", {"user_id": "ann", "plan_key": "prro"}


def team_not_found(ledger: Ledger) -> Call:
    return "quote", {"user_id": "ann", "metrics": USAGE, "team_id": "nobody"}


def not_a_team_member(ledger: Ledger) -> Call:
    ledger.call("create_team", name="Team", team_id="team")
    return "quote", {"user_id": "ann", "metrics": USAGE, "team_id": "team"}


def invalid_argument(ledger: Ledger) -> Call:
    return "deduct_amount", {"user_id": "", "amount": 1}


def unknown_fixed_job(ledger: Ledger) -> Call:
    ledger.publish(fixed={"report": 1})
    return "deduct_fixed", {"user_id": "ann", "job_name": "reprot"}


def account_frozen(ledger: Ledger) -> Call:
    ledger.call("freeze_account", user_id="ann")
    return "deduct", {"user_id": "ann", "metrics": USAGE}


def version_not_found(ledger: Ledger) -> Call:
    return "pricing_activate", {"version": 999}


def not_refundable(ledger: Ledger) -> Call:
    granted = ledger.grant("ann", 10)
    return "refund", {"transaction_id": granted["transaction_id"]}


def evaluation_error(ledger: Ledger) -> Call:
    ledger.publish(models={"m": "1 / (requests - 12345)"})
    return "deduct", {"user_id": "ann", "metrics": {"model": "m", "requests": 12345}}


def not_signed_in(ledger: Ledger) -> Call:
    return "my_balance", {}


def scheduler_missing(ledger: Ledger) -> Call:
    return "schedule_jobs", {}


PROVOKERS: list[Callable[[Ledger], Call]] = [
    cap_reached,
    insufficient_credits,
    pricing_not_loaded,
    unknown_model,
    invalid_expression,
    invalid_pricing_config,
    idempotency_conflict,
    transaction_not_found,
    refund_exceeds_charge,
    reservation_not_found,
    reservation_expired,
    concurrency_limit,
    feature_not_entitled,
    plan_not_found,
    team_not_found,
    not_a_team_member,
    invalid_argument,
    unknown_fixed_job,
    account_frozen,
    version_not_found,
    not_refundable,
    evaluation_error,
    not_signed_in,
    scheduler_missing,
]
CODES = {error.name: error.code for error in CATALOGUE.values()}


def provoke(ledger: Ledger, provoker: Callable[[Ledger], Call]) -> tuple[str, psycopg.Error]:
    ledger.publish()
    name, arguments = provoker(ledger)
    with pytest.raises(psycopg.Error) as raised, ledger.connection.transaction():
        ledger.call(name, **arguments)
    return CODES[provoker.__name__], raised.value


def test_no_error_of_the_catalogue_is_left_out() -> None:
    assert sorted(CODES[provoker.__name__] for provoker in PROVOKERS) == sorted(CATALOGUE)


@pytest.mark.parametrize("provoker", PROVOKERS)
def test_it_is_raised_under_its_code(ledger: Ledger, provoker: Callable[[Ledger], Call]) -> None:
    code, error = provoke(ledger, provoker)
    assert error.sqlstate == code
    detail = json.loads(error.diag.message_detail or "")
    assert (detail["code"], detail["error"]) == (code, CATALOGUE[code].name)


@pytest.mark.parametrize("provoker", PROVOKERS)
def test_its_detail_has_the_facts_that_the_catalogue_promises(
    ledger: Ledger, provoker: Callable[[Ledger], Call]
) -> None:
    code, error = provoke(ledger, provoker)
    detail = json.loads(error.diag.message_detail or "")
    assert set(CATALOGUE[code].detail) <= set(detail)


@pytest.mark.parametrize("provoker", PROVOKERS)
def test_its_sentence_and_its_hint_are_for_people(
    ledger: Ledger, provoker: Callable[[Ledger], Call]
) -> None:
    _, error = provoke(ledger, provoker)
    for text in (error.diag.message_primary, error.diag.message_hint):
        assert text
        assert text.rstrip()[-1] in ".!`)"
        assert not re.search(r"\{\w+\}|null|None", text), text


@pytest.mark.parametrize("provoker", PROVOKERS)
def test_through_postgrest_it_carries_its_http_status(
    ledger: Ledger, provoker: Callable[[Ledger], Call]
) -> None:
    ledger.connection.execute(
        "select set_config('request.method', 'POST', true),"
        " set_config('request.path', '/rpc/ducto_call', true)"
    )
    code, error = provoke(ledger, provoker)
    assert error.sqlstate == "PGRST"
    body = json.loads(error.diag.message_primary or "")
    assert body["code"] == code
    assert json.loads(body["details"])["error"] == CATALOGUE[code].name
    head = json.loads(error.diag.message_detail or "")
    assert head == {"status": CATALOGUE[code].http_status, "headers": {}}
