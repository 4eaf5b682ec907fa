"""Results read what a server sends, over SQL (native types) and over HTTP (text)."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError, fields
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
import yaml

from ducto_pg import DatabaseError
from ducto_pg.client import results
from ducto_pg.client.results import (
    Balance,
    BatchItem,
    Calculation,
    CapCheck,
    Charge,
    Explanation,
    Feature,
    Grant,
    Hold,
    Plan,
    PricingVersion,
    Quote,
    Refund,
    Result,
    Revocation,
    SpendCap,
    Team,
    TeamMember,
    Transaction,
    UserPlan,
    Validation,
)
from tests.support.databases import Connection

ROOT = Path(__file__).parents[2]

ROW = {
    "transaction_id": 7,
    "type": "usage",
    "amount": Decimal("-1.5"),
    "balance_after": 10,
    "created_at": datetime(2026, 5, 1, tzinfo=UTC),
}


def test_money_is_decimal_however_it_was_written() -> None:
    balance = Balance.parse({"user_id": "u", "balance": 5, "held": Decimal("0.5"), "debt": "2"})
    assert (balance.balance, balance.held, balance.debt) == (Decimal(5), Decimal("0.5"), Decimal(2))
    assert all(type(v) is Decimal for v in (balance.balance, balance.held, balance.debt))


def test_a_float_is_never_accepted_as_money() -> None:
    with pytest.raises(DatabaseError, match="not an exact amount"):
        Balance.parse({"user_id": "u", "balance": 0.1})


def test_times_and_ids_are_read_from_text_too() -> None:
    hold = Hold.parse(
        {
            "reservation_id": "6f3c1a52-64c4-4f0f-9d0f-2a1f7b7f0c11",
            "expires_at": "2026-05-01T12:00:00.123456+00:00",
        }
    )
    assert hold.reservation_id == UUID("6f3c1a52-64c4-4f0f-9d0f-2a1f7b7f0c11")
    assert hold.expires_at == datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
    same = Transaction.parse({**ROW, "created_at": "2026-05-01T00:00:00+00:00"})
    assert same == Transaction.parse(ROW)


def test_what_the_server_adds_stays_reachable() -> None:
    grant = Grant.parse(
        {"transaction_id": 1, "user_id": "u", "amount": 5, "balance_after": 5, "colour": "blue"}
    )
    assert grant.raw["colour"] == "blue"
    assert grant.lot_id is None


def test_an_answer_without_a_needed_field_says_which() -> None:
    with pytest.raises(DatabaseError, match="no transaction_id"):
        Grant.parse({"user_id": "u", "amount": 5, "balance_after": 5})


# Results by the shape the database says it returns; keys that have no field are named.
SHAPES: dict[type[Result], tuple[str, set[str]]] = {
    Balance: ("balance", set()),
    Calculation: ("calculation", {"tools", "search", "cache", "fixed"}),
    CapCheck: ("cap_check", set()),
    BatchItem: ("settlement", set()),
    Charge: ("settlement", set()),
    Explanation: ("explanation", set()),
    Feature: ("feature", set()),
    Grant: ("team_grant", set()),
    Hold: ("hold", {"status"}),
    PricingVersion: ("published_pricing", set()),
    Quote: ("quote", set()),
    Refund: ("refund", set()),
    Revocation: ("revocation", set()),
    SpendCap: ("cap", set()),
    Team: ("team", set()),
    TeamMember: ("team_member", set()),
    UserPlan: ("plan", set()),
    Validation: ("validation", set()),
}
# A denial that is raised elsewhere is a result in a batch; lists tell more of each row.
MORE: dict[type[Result], set[str]] = {
    BatchItem: {"code", "error", "message"},
    Charge: {"code", "error", "message"},
    Team: {"role", "replayed"},
    TeamMember: {"spent", "allowance_consumed", "charges"},
}


def keys_of(shape: str) -> set[str]:
    """The keys of a shape of sql/results.yaml, with those of the shapes in it."""
    members = yaml.safe_load((ROOT / "sql" / "results.yaml").read_text())["shapes"][shape]
    found: set[str] = set()
    for key, value in members.items():
        if key == "...":
            for inner in value if isinstance(value, list) else [value]:
                found |= keys_of(inner)
        else:
            found.add(key.rstrip("?"))
    return found


@pytest.mark.parametrize("kind", SHAPES, ids=lambda kind: str(kind.__name__))
def test_a_result_has_what_the_database_returns(kind: type[Result]) -> None:
    shape, without = SHAPES[kind]
    names = {item.name for item in fields(kind)} - {"raw"}
    keys = keys_of(shape)
    assert names - keys <= MORE.get(kind, set())
    assert keys - names == without


def test_every_result_says_which_function_returns_it(db_portable: Connection) -> None:
    rows = db_portable.execute(
        "select proname from pg_proc where pronamespace = 'public'::regnamespace"
    ).fetchall()
    functions = {name for (name,) in rows}
    for name in results.__all__:
        kind = getattr(results, name)
        if kind in (Result, results.Breakdown, results.Spend):
            continue
        source = (kind.__doc__ or "").partition("Source: ")[2]
        named = set(re.findall(r"ducto_\w+", source))
        assert named, name
        assert named <= functions, name


def test_null_becomes_none_or_empty() -> None:
    plan = Plan.parse({"plan_key": "pro", "name": None, "features": None})
    assert plan.name is None
    assert plan.features == {}
    assert BatchItem.parse({"status": "ok", "warnings": None}).warnings == ()


def test_results_are_frozen() -> None:
    transaction = Transaction.parse(ROW)
    with pytest.raises(FrozenInstanceError):
        transaction.amount = Decimal(0)  # type: ignore[misc]


@pytest.mark.parametrize("yes", [True, False])
def test_an_answer_to_a_question_is_true_or_false(yes: bool) -> None:
    assert bool(Feature(has_feature=yes)) is yes
    assert bool(CapCheck(allowed=yes)) is yes
    assert bool(Quote(affordable=yes)) is yes
    assert bool(Validation(valid=yes)) is yes
    assert bool(BatchItem(status="ok" if yes else "denied")) is yes
