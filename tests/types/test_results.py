"""`sql/results.yaml` says what the functions of the API return, and real results are like that."""

from __future__ import annotations

from typing import Any, LiteralString

import pytest

from ducto_pg.install.result_shapes import Shapes, load_shapes, parse_type
from tests.conftest import MakeDb
from tests.docs.test_reference import results
from tests.support.databases import Connection, open_connection
from tests.support.ledger import Ledger
from tests.types.matching import problem

KINDS: LiteralString = """
    select p.proname, p.proretset, coalesce(p.proargnames[p.pronargs + 1:], '{}')
    from pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.proname like 'ducto\\_%'
"""


@pytest.fixture(scope="module")
def shapes() -> Shapes:
    """The file."""
    return load_shapes()


def test_every_function_of_the_api_is_in_the_file(shapes: Shapes, db: Connection) -> None:
    found = db.execute(KINDS).fetchall()
    assert sorted(shapes.results) == sorted(name for name, rows, _ in found if not rows)
    columns = {name: set(names) for name, rows, names in found if rows}
    for name, nullable in shapes.nullable.items():
        assert nullable and nullable <= columns[name], name
    needed = db.execute(
        "select proname, proargnames[:pronargs - pronargdefaults] from pg_proc"
        " where pronamespace = 'public'::regnamespace"
    ).fetchall()
    for name, nullable in shapes.nullable_arguments.items():
        assert nullable and nullable <= set(dict(needed)[name]), name


def test_every_shape_is_used_and_every_type_is_known(shapes: Shapes) -> None:
    included = {keys["..."] for keys in shapes.shapes.values() if "..." in keys}
    assert set(shapes.used) | included == set(shapes.shapes)
    for name in shapes.used:
        if not shapes.is_alias(name):
            assert [key.name for key in shapes.keys(name)], name


def wrong(shapes: Shapes, name: str, value: Any) -> list[str]:
    """What is wrong with a result, as a list."""
    found = problem(shapes, shapes.results[name], value, name)
    return [found] if found else []


def test_real_results_are_of_their_types(shapes: Shapes, make_db: MakeDb) -> None:
    with open_connection(make_db()) as connection:
        problems = [
            found
            for name, result in results(connection)
            if name in shapes.results
            for found in wrong(shapes, name, result)
        ]
    assert problems == []


def test_results_of_an_account_with_everything_are_of_their_types(
    shapes: Shapes, ledger: Ledger
) -> None:
    ledger.publish(
        plans=[{"id": "pro", "free_allowance": 3, "default": True, "features": {"seats": 2}}],
        fixed={"report": 5},
    )
    usage = {"model": "gpt-4", "input_tokens": 100, "output_tokens": 10}
    ledger.grant("ann", 100, type="promo", expires_at="2100-01-01", idempotency_key="k")
    for model in (None, "gpt-4"):
        ledger.call("set_spend_cap", user_id="ann", cap_type="daily", limit=90, model=model)
    charge = ledger.use("ann", usage, idempotency_key="c", metadata={"a": [1]})
    found: list[tuple[str, Any]] = [
        ("deduct", charge),
        ("deduct", ledger.use("ann", usage, idempotency_key="c", metadata={"a": [1]})),
        (
            "deduct_amount",
            ledger.call("deduct_amount", user_id="ann", amount=99, **{"raise": False}),
        ),
        (
            "deduct_amount",
            ledger.call("deduct_amount", user_id="bob", amount=99, **{"raise": False}),
        ),
        ("reserve", ledger.call("reserve", user_id="bob", amount=99, **{"raise": False})),
        ("quote", ledger.call("quote", user_id="ann", metrics=usage)),
        ("quote", ledger.call("quote", user_id="bob", metrics=usage | {"input_tokens": 1000})),
        ("get_balance", ledger.balance("ann")),
        ("get_balance", ledger.balance("nobody")),
        ("get_user_plan", ledger.call("get_user_plan", user_id="nobody")),
        ("check_feature", ledger.call("check_feature", user_id="ann", feature="other")),
        ("check_spend_cap", ledger.call("check_spend_cap", user_id="ann", model="gpt-4")),
        ("explain", ledger.call("explain", transaction_id=charge["transaction_id"])),
        ("refund", ledger.refund(charge, amount=1)),
        ("explain", ledger.call("explain", transaction_id=charge["transaction_id"])),
        ("calculate", ledger.call("calculate", metrics={"input_tokens": 1, "job_name": "report"})),
        ("pricing_validate", ledger.call("pricing_validate", config={"models": {"m": "1 +"}})),
        ("pricing_export", ledger.call("pricing_export", version=1)),
        (
            "deduct_batch",
            ledger.call(
                "deduct_batch",
                charges=[
                    {"user_id": "ann", "metrics": usage},
                    {"user_id": "ann", "amount": -1},
                    {"user_id": "bob", "amount": 99},
                ],
            ),
        ),
    ]
    assert {item["status"] for item in found[-1][1]} == {"ok", "denied", "error"}
    problems = [p for name, value in found for p in wrong(shapes, f"ducto_{name}", value)]
    assert problems == []


def test_columns_that_are_null_are_said_to_be(shapes: Shapes, ledger: Ledger) -> None:
    ledger.publish(plans=[{"id": "pro"}])
    ledger.grant("ann", 100)
    ledger.spend("ann", 1)
    ledger.call("set_spend_cap", user_id="ann", cap_type="daily", limit=90)
    ledger.value("select set_config('request.jwt.claims', '{\"sub\": \"ann\"}', true)")
    calls: list[tuple[str, dict[str, Any]]] = [
        ("list_lots", {"user_id": "ann"}),
        ("list_plans", {}),
        ("list_spend_caps", {"user_id": "ann"}),
        ("list_transactions", {"user_id": "ann"}),
        ("my_transactions", {}),
        ("my_usage", {"end": "2100-01-01", "start": "2000-01-01"}),
        ("pricing_list", {}),
    ]
    for name, arguments in calls:
        rows = ledger.rows(name, **arguments)
        assert rows, name
        null = {key for row in rows for key, value in row.items() if value is None}
        assert null <= shapes.nullable.get(f"ducto_{name}", set()), name


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("text", "x", None),
        ("text?", None, None),
        ("number[]", [1, 2], None),
        ("'a' | 'b'", "b", None),
        ("balance | number", 5, None),
        ("text", None, "result is no text: None"),
        ("number", True, "result is no number: True"),
        ("number[]", [1, "2"], "result[1] is no number: '2'"),
        ("text[]", "x", "result is no array"),
        ("'a'", "b", "result is 'b'"),
        ("allocation", {"lot": 1, "amount": "2"}, "result.amount is no number: '2'"),
        (
            "account_status",
            {"user_id": "u", "more": 1},
            "result is no account_status: missing ['status'], unknown ['more']",
        ),
    ],
)
def test_a_value_that_is_not_of_a_type_is_noticed(
    shapes: Shapes, kind: str, value: Any, said: str | None
) -> None:
    assert problem(shapes, parse_type(kind), value) == said


@pytest.mark.parametrize("text", ["", "a b", "text!", "'open", "a |"])
def test_what_is_no_type_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a type"):
        parse_type(text)
