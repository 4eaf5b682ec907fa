"""Errors over HTTP: the status, the body, and that a function in the database can catch them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Connect
from tests.support.databases import loads
from tests.support.postgrest import Answer, Project

CONFIG = {
    "models": {"gpt-4": "input_tokens * 0.03"},
    "plans": [{"id": "free", "default": True, "features": {"export": False}}],
}
CATCHING = """
create function catch_it(p_user_id text) returns text language plpgsql as $$
begin
    perform ducto_deduct_amount(p_user_id, 5);
    return 'charged';
exception when sqlstate 'DU002' then
    return 'caught: ' || sqlerrm;
end $$;
create function wrapped(p_user_id text) returns jsonb language plpgsql as $$
begin
    return ducto_deduct_amount(p_user_id, 5);
end $$;
create function wrapped_in_sql(p_user_id text) returns jsonb language sql as $$
    select ducto_deduct_amount(p_user_id, 5);
$$;
create function with_status(p_user_id text) returns jsonb language plpgsql as $$
begin
    set local ducto.http_errors = on;
    return ducto_deduct_amount(p_user_id, 5);
end $$;
create function ducto_lookalike(p_user_id text) returns text language plpgsql as $$
begin
    perform ducto_deduct_amount(p_user_id, 5);
    return 'charged';
exception when sqlstate 'DU002' then
    return 'caught';
end $$;
create table charges (user_id text);
create function charge_it() returns trigger language plpgsql as $$
begin
    perform ducto_deduct_amount(new.user_id, 5);
    return new;
exception when sqlstate 'DU002' then
    return null;
end $$;
create trigger charge_it before insert on charges for each row execute function charge_it();
"""


@pytest.fixture(scope="module")
def priced(project: Project) -> Project:
    """The project with pricing, and an application's own functions beside the API."""
    project.serve("pricing_set", config=CONFIG)
    project.add_routines(CATCHING, "catch_it", "wrapped", "with_status", "charges")
    return project


@pytest.fixture
def user(priced: Project) -> str:
    """A user with ten credits."""
    user_id = f"user-{uuid4()}"
    priced.serve("add_credits", user_id=user_id, amount=10)
    return user_id


def refusal(answer: Answer, status: int, code: str) -> dict[str, Any]:
    """The facts of an error, after checking the form that all of them have."""
    assert answer.status == status, answer.text
    assert set(answer.body) == {"code", "message", "details", "hint"}
    assert answer.body["code"] == code
    assert answer.body["message"] and answer.body["hint"]
    # `details` is text that holds JSON.
    facts = loads(answer.body["details"])
    assert facts["code"] == code
    assert isinstance(facts, dict)
    return facts


def test_402_insufficient_credits(priced: Project, user: str) -> None:
    answer = priced.rpc("deduct_amount", priced.service_key, user_id=user, amount=Decimal("10.5"))
    facts = refusal(answer, 402, "DU002")
    assert (facts["error"], facts["user_id"]) == ("insufficient_credits", user)
    assert (facts["available"], facts["required"]) == (10, Decimal("10.5"))
    assert answer.body["message"] == (
        f"{user} has 10 credits available and needs 10.5; the balance may not fall below 0."
    )
    assert answer.body["hint"].startswith("Add credits with ducto_add_credits")


def test_403_feature_not_entitled_and_account_frozen(priced: Project, user: str) -> None:
    key = priced.service_key
    answer = priced.rpc("reserve", key, user_id=user, amount=1, required_feature="export")
    assert refusal(answer, 403, "DU013")["feature"] == "export"
    priced.serve("freeze_account", user_id=user)
    refusal(priced.rpc("deduct_amount", key, user_id=user, amount=1), 403, "DU019")


def test_404_what_is_not_there(priced: Project, user: str) -> None:
    key = priced.service_key
    refusal(priced.rpc("refund", key, transaction_id=-1), 404, "DU008")
    refusal(priced.rpc("release", key, reservation_id=str(uuid4())), 404, "DU010")
    answer = priced.rpc("set_user_plan", key, user_id=user, plan_key="fre")
    assert refusal(answer, 404, "DU014")["nearest"] == "free"


def test_409_a_key_used_for_something_else(priced: Project, user: str) -> None:
    priced.serve("deduct_amount", user_id=user, amount=1, idempotency_key="k")
    answer = priced.rpc(
        "deduct_amount", priced.service_key, user_id=user, amount=2, idempotency_key="k"
    )
    assert refusal(answer, 409, "DU007")["idempotency_key"] == "k"


def test_422_what_makes_no_sense(priced: Project, user: str) -> None:
    key = priced.service_key
    answer = priced.rpc("deduct_amount", key, user_id=user, amount=-1)
    assert refusal(answer, 422, "DU017")["argument"] == "p_amount"
    refusal(priced.rpc("deduct", key, user_id=user, metrics={"model": "llama"}), 422, "DU004")


def test_429_a_cap(priced: Project, user: str) -> None:
    priced.serve("set_spend_cap", user_id=user, cap_type="daily", limit=2)
    answer = priced.rpc("deduct_amount", priced.service_key, user_id=user, amount=3)
    assert refusal(answer, 429, "DU001")["limit"] == 2


def test_a_read_refuses_with_its_status_over_get(priced: Project, user: str) -> None:
    path = f"/rpc/ducto_list_transactions?p_user_id={user}&p_limit=0"
    refusal(priced.request("GET", path, token=priced.service_key), 422, "DU017")


def test_a_denial_that_is_returned_is_an_answer_and_an_event(
    priced: Project, user: str, connect: Connect
) -> None:
    answer = priced.rpc(
        "deduct_amount", priced.service_key, user_id=user, amount=11, **{"raise": False}
    )
    assert answer.status == 200
    assert (answer.body["status"], answer.body["code"]) == ("denied", "DU002")
    with connect(priced.dsn) as connection:
        found = connection.execute(
            "select type, data ->> 'code' from ducto.credit_events where account_id = %s", [user]
        ).fetchall()
    assert found == [("credits.deduct_failed", "DU002")]


def called(project: Project, name: str, user_id: str) -> Answer:
    """A call of one of the application's own functions."""
    body = {"p_user_id": user_id}
    return project.request("POST", f"/rpc/{name}", token=project.service_key, body=body)


def test_an_applications_function_catches_the_error_by_its_code(priced: Project) -> None:
    answer = called(priced, "catch_it", "nobody")
    assert (answer.status, answer.body) == (
        200,
        "caught: nobody has 0 credits available and needs 5; the balance may not fall below 0.",
    )


def test_a_trigger_catches_the_error_by_its_code(priced: Project) -> None:
    row = {"user_id": "nobody"}
    answer = priced.request("POST", "/charges", token=priced.service_key, body=row)
    assert answer.status == 201
    assert priced.request("GET", "/charges", token=priced.service_key).body == []


@pytest.mark.parametrize("name", ["wrapped", "wrapped_in_sql"])
def test_uncaught_in_an_applications_function_the_code_arrives_with_status_400(
    priced: Project, name: str
) -> None:
    answer = called(priced, name, "nobody")
    assert refusal(answer, 400, "DU002")["required"] == 5


def test_such_a_function_can_ask_for_the_status(priced: Project) -> None:
    assert refusal(called(priced, "with_status", "nobody"), 402, "DU002")["required"] == 5


def test_a_function_named_like_the_api_catches_by_the_code_too(priced: Project) -> None:
    assert called(priced, "ducto_lookalike", "nobody").body == "caught"


def test_the_text_of_details_is_json_with_exact_numbers(priced: Project, user: str) -> None:
    amount = "12345678901234567890.123456789012"
    answer = priced.request(
        "POST",
        "/rpc/ducto_deduct_amount",
        token=priced.service_key,
        body={"p_user_id": user, "p_amount": amount},
    )
    assert f'"required": {amount}' in answer.body["details"]
    assert json.loads(answer.text)["code"] == "DU002"
