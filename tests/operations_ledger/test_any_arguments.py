"""Whatever a caller sends is answered or refused in the words of the catalogue: every routine of
the API, read from the catalog, with every argument of any value that its type can have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.support.ledger import Ledger

NOTHING = "0d1b9f6c-6a3c-4bd4-9a37-3f9b7b1f4a10"
LONG = "x" * 70_000
CONTROL = "\x01\x1b\x7f\n\u202e'\"\\{message}"
DEEP = "[" * 300 + "]" * 300
NUMBERS = [
    "0", "-1", "0.000000000001", "0.0000000000001", "99999999999999999999999999", "1e25", "-1e25",
    "1e26", "-1e26", "1e40", "1e1000", "1e-1000",
]  # fmt: skip
JSON = [
    "null", "true", "0", "-1", "1e40", '""', '"x"', "[]", "{}", "[null]", "[{}]", "[[]]",
    '{"model":null}', '{"":{}}', '{"model":"gpt-4"}',
]  # fmt: skip
VALUES: dict[str, list[str | None]] = {
    "text": [None, "", " ", "x" * 200, "x" * 201, "é" * 255, LONG, CONTROL, "NaN", "1:1", "-1"],
    "numeric": [None, "NaN", "Infinity", "-Infinity", *NUMBERS],
    "integer": [None, "0", "-1", "2147483647", "-2147483648"],
    "bigint": [None, "0", "-1", "9223372036854775807", "-9223372036854775808"],
    "boolean": [None, "true", "false"],
    "uuid": [None, NOTHING],
    "timestamp with time zone": [
        None, "infinity", "-infinity", "4713-01-01 00:00Z BC", "0001-01-01 00:00Z",
        "294276-12-31 00:00Z", "2020-01-01 00:00Z", "2999-01-01 00:00Z",
    ],
    "text[]": [None, "{}", "{NULL}", '{""}', "{{day},{model}}", "{" + "x," * 999 + "x}"],
    "jsonb": [
        None, *JSON, DEEP, '{"a":' * 300 + "1" + "}" * 300, json.dumps({"a": LONG * 2}),
        json.dumps({CONTROL: CONTROL}), json.dumps({f"k{i}": i for i in range(1000)}),
    ],
}  # fmt: skip
USAGE = {"model": "gpt-4", "input_tokens": 100, "output_tokens": 1}
# What stands in the others' place while one argument is tried.
ORDINARY: dict[str, Any] = {
    "p_user_id": "ann",
    "p_amount": 1,
    "p_metrics": json.dumps(USAGE),
    "p_job_name": "report",
    "p_start": "2020-01-01 00:00Z",
    "p_end": "2030-01-01 00:00Z",
    "p_limit": 10,
    "p_config": json.dumps({"models": {"gpt-4": "input_tokens"}}),
    "p_feature": "sso",
    "p_consumer": "billing",
    "p_cursor": "0:0",
    "p_charges": json.dumps([{"user_id": "ann", "amount": 1}]),
    "p_grants": json.dumps([{"user_id": "ann", "amount": 1}]),
    "p_version": 1,
    "p_from": 1,
    "p_to": 1,
    "p_cap_type": "daily",
    "p_plan_key": "pro",
    "p_error": "it failed",
    "p_name": "team",
    "p_team_id": "pool",
}
Signature = tuple[str, list[str], list[str], int]


def signatures(ledger: Ledger) -> list[Signature]:
    """Name, parameters, their types and how many must be given, of every routine of the API."""
    return ledger.connection.execute(
        "select p.proname, coalesce(p.proargnames[1:p.pronargs], '{}'),"
        " array(select format_type(t, null)"
        "   from unnest(p.proargtypes) with ordinality a (t, n) order by n),"
        " p.pronargs - p.pronargdefaults"
        " from pg_proc p where p.pronamespace = 'public'::regnamespace"
        " and starts_with(p.proname, 'ducto_') order by p.proname"
    ).fetchall()


@pytest.fixture
def lively(ledger: Ledger) -> Ledger:
    """A ledger with something of everything, and a user whom the session's claims name."""
    ledger.publish(
        plans=[{"id": "pro", "free_allowance": 5, "features": {"sso": True}}],
        fixed={"report": "3"},
    )
    ledger.grant("ann", 1000)
    ledger.call("set_spend_cap", user_id="ann", cap_type="daily", limit=500, action="notify")
    ledger.call("create_team", team_id="pool", name="Pool", initial_balance=100, owner_id="ann")
    ledger.call("create_consumer", consumer="billing", **{"from": "start"})
    claims = json.dumps({"sub": "ann", "role": "authenticated"})
    ledger.connection.execute("select set_config('request.jwt.claims', %s, false)", [claims])
    return ledger


def ordinary(ledger: Ledger) -> dict[str, Any]:
    charge, hold = ledger.spend("ann", 2), ledger.hold("ann", 2)
    return ORDINARY | {
        "p_transaction_id": charge["transaction_id"],
        "p_reservation_id": hold["reservation_id"],
    }


def tries(signature: Signature) -> Iterator[tuple[str, Any]]:
    """The argument that is tried and its value, one at a time."""
    _, names, types, _ = signature
    for name, kind in zip(names, types, strict=True):
        for value in VALUES[kind]:
            yield name, value


def call(ledger: Ledger, signature: Signature, arguments: dict[str, Any]) -> Any:
    """The first column of the first row, or the error's SQLSTATE and text."""
    name, names, types, _ = signature
    kinds = dict(zip(names, types, strict=True))
    statement = sql.SQL("select * from public.{}({})").format(
        sql.Identifier(name),
        sql.SQL(", ").join(
            sql.SQL("{} => {}::{}").format(
                sql.Identifier(key), sql.Placeholder(), sql.SQL(kinds[key])
            )
            for key in arguments
        ),
    )
    try:
        with ledger.connection.transaction(force_rollback=True):
            ledger.connection.execute("set local statement_timeout = '2s'")
            rows = ledger.connection.execute(statement, list(arguments.values())).fetchall()
            return rows[0][0] if len(rows) == 1 and len(rows[0]) == 1 else ()
    except RecursionError:
        return ()
    except psycopg.Error as error:
        return error


def wrong(signature: Signature, tried: str, value: Any, answer: Any) -> str | None:
    """What is wrong with an answer, if anything."""
    _, names, _, required = signature
    if isinstance(answer, psycopg.Error):
        if not (answer.sqlstate or "").startswith("DU"):
            return f"{answer.sqlstate} {answer}"
        return "a long message" if len(answer.diag.message_primary or "") > 1000 else None
    if answer is None:
        return "null"
    if isinstance(answer, dict) and not str(answer.get("code") or "DU").startswith("DU"):
        return f"the code {answer['code']}"
    if len(str(answer)) > 200_000:
        return "a long answer"
    may_be_null = names.index(tried) >= required
    if tried in ("p_user_id", "p_team_id", "p_owner_id") and (
        value in ("", LONG, "x" * 201) or (value is None and not may_be_null)
    ):
        return f"answered {answer}"
    return None


def test_every_argument_of_every_routine_may_be_anything(lively: Ledger) -> None:
    given = ordinary(lively)
    found = []
    for signature in signatures(lively):
        name, names, _, required = signature
        for tried, value in tries(signature):
            arguments = {key: given[key] for key in names[:required] if key in given}
            if "p_amount" in names and "p_metrics" in names and tried not in arguments:
                arguments["p_amount"] = None if tried == "p_metrics" else 1
            for more in {}, {"p_raise": "false"}:
                if set(more) <= set(names):
                    answer = call(lively, signature, {**arguments, **more, tried: value})
                    problem = wrong(signature, tried, value, answer)
                    if problem:
                        found.append(f"{name}({tried} => {str(value)[:40]!r}): {problem[:300]}")
    assert not found, "\n".join(found)


FIELDS = {
    "deduct_batch": (
        '{"user_id":"ann","amount":1}',
        "user_id team_id amount metrics job_name idempotency_key metadata occurred_at",
    ),
    "add_credits_batch": (
        '{"user_id":"ann","amount":1}',
        "user_id amount type expires_at priority idempotency_key metadata category",
    ),
    "deduct": (
        '{"model":"gpt-4"}',
        "model input_tokens output_tokens job_name operation tool_calls search_calls cached_tokens",
    ),
}
FIELD_VALUES = [
    *JSON, "1e26", "1e-1000", "1e1000", "12.5", "true", '"2020"', '"infinity"', '"now"', '"NaN"',
    '"-4713-01-01T00:00:00Z"', '"99999-01-01T00:00:00Z"', '"2020-01-01T00:00:00Z"',
    '["search", 1, null]', '[{"name": "x"}]', json.dumps(CONTROL), json.dumps(LONG), DEEP,
]  # fmt: skip


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_of_an_item_may_be_anything(lively: Ledger, name: str) -> None:
    item, fields = FIELDS[name]
    found = []
    parameter = {"deduct": "p_metrics", "deduct_batch": "p_charges"}.get(name, "p_grants")
    signature = next(s for s in signatures(lively) if s[0] == f"ducto_{name}")
    for field in fields.split():
        for value in FIELD_VALUES:
            text = item[:-1] + f',"{field}":{value}}}'
            if name != "deduct":
                text = f"[{text}]"
            arguments = {"p_user_id": "ann"} if name == "deduct" else {}
            answer = call(lively, signature, {**arguments, parameter: text})
            problem = wrong(signature, parameter, text, answer)
            if problem is None and isinstance(answer, list):
                code = answer[0].get("code")
                if answer[0].get("status", "ok") != "ok" and not (code or "").startswith("DU"):
                    problem = f"the item {answer[0]}"
            if problem:
                found.append(f"{name} {field} => {value[:40]}: {problem[:300]}")
    assert not found, "\n".join(found)
