"""Whatever is passed to whichever argument: a DuctoError that says what is wrong, or a result.

Nothing else: no TypeError of the driver, no "not installed", no half-done call. A manager that took
it is asked on afterwards, inside the same transaction.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from ducto_pg import (
    CreditManager,
    DatabaseError,
    DuctoError,
    InvalidArgumentError,
    NotInstalledError,
    PostgresStore,
    PricingConfig,
    PricingEngine,
    SpendCap,
    SupabaseStore,
    ToolCall,
    UsageMetrics,
    usage_from,
)
from tests.support.databases import Connection, Databases, open_connection

CYCLE: dict[str, Any] = {}
CYCLE["self"] = CYCLE
HOSTILE: list[Any] = [
    None,
    True,
    0,
    -1,
    2**31,
    2**63,
    2**63 - 1,
    -(2**200),
    10**5000,
    0.1,
    float("nan"),
    float("inf"),
    1j,
    Decimal("NaN"),
    Decimal("sNaN"),
    Decimal("-Infinity"),
    Decimal("1e1000000"),
    Decimal("1e-1000000"),
    Decimal("0.1234567890123"),
    "",
    " ",
    "x" * 100_000,
    "\0",
    "\ud800",
    "'; drop table ducto.credit_accounts; --",
    "{balance}",
    b"bytes",
    UUID(int=0),
    datetime(1, 1, 1),
    datetime(9999, 12, 31, 23, 59, 59),
    date(2026, 1, 1),
    timedelta(days=1),
    [],
    [None],
    [[]],
    [{}],
    [{"user_id": 0.5}],
    [{"user_id": "ann", "amount": "x"}],
    {},
    {"": ""},
    {1: 1},
    {"a": {1, 2}},
    {"a": float("nan")},
    {"a": "\0"},
    {"a": 10**400},
    {"input_tokens": Decimal("1e400")},
    CYCLE,
    UsageMetrics(),
    UsageMetrics(input_tokens=-1),
    UsageMetrics(model="m", extra={"input_tokens": 5}),
    UsageMetrics(tool_calls=[ToolCall("")]),
    SpendCap(cap_type="daily", limit=Decimal(1)),
    SpendCap(user_id="ann", cap_type="yearly", limit=Decimal("NaN")),
    object(),
    int,
    print,
]
GOOD: dict[str, Any] = {
    "amount": 1,
    "cap_type": "daily",
    "charges": [{"user_id": "ann", "amount": 1}],
    "grants": [{"user_id": "ann", "amount": 1}],
    "config": {"models": {"m": 1}},
    "end": datetime(2026, 2, 1),
    "estimate": 1,
    "feature": "f",
    "from_version": 1,
    "job_name": "report",
    "limit": 5,
    "metrics": {"model": "m"},
    "name": "Team",
    "plan_key": None,
    "reservation_id": UUID(int=1),
    "start": datetime(2026, 1, 1),
    "team_id": "team",
    "to_version": 1,
    "transaction_id": 1,
    "user_id": "ann",
    "version": 1,
}
# They take no argument of a call, or change what is installed.
LEFT_OUT = ("engine", "setup")
METHODS = [name for name in vars(CreditManager) if name[0] != "_" and name not in LEFT_OUT]


def arguments() -> list[tuple[str, str]]:
    """Every argument of every method."""
    return [
        (method, argument)
        for method in METHODS
        for argument in list(inspect.signature(getattr(CreditManager, method)).parameters)[1:]
    ]


@pytest.fixture(scope="module")
def connection(databases: Databases) -> Iterator[Connection]:
    """One database for all: each test's transaction is taken back."""
    dsn = databases.create("portable")
    with open_connection(dsn) as connection:
        manager = CreditManager(PostgresStore(connection))
        manager.publish_pricing({"models": {"m": 1}, "fixed": {"report": 1}})
        manager.add_credits("ann", 100)
        yield connection
    databases.drop(dsn)


@pytest.fixture
def manager(connection: Connection) -> Iterator[CreditManager]:
    with connection.transaction(force_rollback=True):
        yield CreditManager(PostgresStore(connection))


def shown(value: Any) -> str:
    """A hostile value, shortened."""
    try:
        return repr(value)[:60]
    except ValueError:
        return "a number of very many digits"


def call(manager: CreditManager, method: str, argument: str, value: Any) -> None:
    """One call with one hostile argument."""
    bound: Callable[..., Any] = getattr(manager, method)
    parameters = inspect.signature(bound).parameters.values()
    required = [p.name for p in parameters if p.default is p.empty]
    given = {name: GOOD[name] for name in required} | {argument: value}
    if method == "set_spend_cap":
        given = {"user_id": "ann", "cap_type": "daily", "limit": 5} | given
    if method == "billed":
        with bound(**given) as bill:
            bill.settle()
    else:
        bound(**given)


@pytest.mark.parametrize(("method", "argument"), arguments())
def test_a_hostile_argument_is_a_result_or_a_ducto_error(
    manager: CreditManager, connection: Connection, method: str, argument: str
) -> None:
    for value in HOSTILE:
        try:
            with connection.transaction():
                call(manager, method, argument, value)
        except DuctoError as error:
            raw = isinstance(error, NotInstalledError | DatabaseError)
            if raw or "\n" in str(error) or len(str(error)) > 1000:
                pytest.fail(f"{shown(value)}: {type(error).__name__}: {str(error)[:300]}")
        except Exception as error:
            pytest.fail(f"{shown(value)}: {type(error).__name__}: {str(error)[:300]}")
    assert manager.get_balance("ann").balance >= 0


@pytest.mark.parametrize("user_id", [UUID("6f3c1a52-64c4-4f0f-9d0f-2a1f7b7f0c11"), 42])
def test_uuids_and_ints_are_ids_as_their_text(manager: CreditManager, user_id: Any) -> None:
    granted = manager.add_credits(user_id, 5, idempotency_key=user_id)
    assert granted.user_id == str(user_id)
    assert manager.get_balance(str(user_id)).balance == 5
    assert manager.add_credits(str(user_id), 5, idempotency_key=str(user_id)).replayed
    (charge,) = manager.deduct_batch([{"user_id": user_id, "amount": "1.5"}])
    assert charge.amount == Decimal("1.5")


@pytest.mark.parametrize(
    ("method", "given", "named"),
    [
        ("deduct", {"user_id": None, "metrics": {}}, "user_id"),
        ("deduct", {"user_id": "ann", "metrics": None}, "metrics"),
        ("deduct", {"user_id": "ann", "metrics": {}, "idempotency_key": 1.5}, "idempotency_key"),
        ("deduct_amount", {"user_id": "ann", "amount": 0.1}, "amount"),
        ("explain", {"transaction_id": 2**63}, "transaction_id"),
        ("explain", {"transaction_id": "7"}, "transaction_id"),
        ("add_credits", {"user_id": "ann", "amount": 1, "tx_type": 5}, "tx_type"),
        ("add_credits", {"user_id": "ann", "amount": 1, "expires_at": "2026"}, "expires_at"),
        ("renew", {"reservation_id": "x"}, "reservation_id"),
        ("diff_pricing", {"from_version": "1", "to_version": 2}, "from_version"),
        ("set_spend_cap", {"user_id": "ann", "cap_type": "daily"}, "limit"),
        (
            "deduct_batch",
            {"charges": [{"user_id": "a"}, {"user_id": "a", "amount": 0.1}]},
            "charges[1].amount",
        ),
    ],
)
def test_a_wrong_argument_is_named(
    manager: CreditManager, method: str, given: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        getattr(manager, method)(**given)
    assert caught.value.detail == {"argument": named}
    assert str(caught.value).startswith(named)


ENGINE = PricingEngine.from_dict({"models": {"m": "input_tokens * 2"}, "fixed": {"report": 5}})
# What works without a database: each with the hostile value somewhere in it.
OFFLINE: dict[str, Callable[[Any], object]] = {
    "from_dict": PricingEngine.from_dict,
    "from_dict models": lambda value: PricingEngine.from_dict({"models": value}),
    "from_dict expression": lambda value: PricingEngine.from_dict({"models": {"m": value}}),
    "from_dict plans": lambda value: PricingEngine.from_dict({"models": {"m": 1}, "plans": value}),
    "calculate": ENGINE.calculate,
    "calculate plan": lambda value: ENGINE.calculate({"model": "m"}, value),
    "calculate model": lambda value: ENGINE.calculate({"model": value}),
    "calculate input_tokens": lambda value: ENGINE.calculate({"model": "m", "input_tokens": value}),
    "calculate tool_calls": lambda value: ENGINE.calculate({"model": "m", "tool_calls": value}),
    "calculate_batch": ENGINE.calculate_batch,
    "get_fixed_cost": ENGINE.get_fixed_cost,
    "has_model": ENGINE.has_model,
    "resolve_model": ENGINE.resolve_model,
    "usage_from": usage_from,
    "usage_from usage": lambda value: usage_from({"usage": value}),
    "usage_from tokens": lambda value: usage_from({"usage": {"prompt_tokens": value}}),
    "usage_from model": lambda value: usage_from({"usage": {"prompt_tokens": 1}}, model=value),
    "PricingConfig.from_dict": PricingConfig.from_dict,
    "PricingConfig plans": lambda value: PricingConfig.from_dict({"models": {}, "plans": value}),
    "PricingConfig(models)": lambda value: PricingEngine.from_dict(PricingConfig(models=value)),
    "PricingConfig(plans)": lambda value: PricingConfig(models={"m": 1}, plans=value).to_dict(),
    "tool_calls": lambda value: UsageMetrics(tool_calls=value).to_dict(),
    "a tool call": lambda value: UsageMetrics(tool_calls=[value]).to_dict(),
    "a tool's count": lambda value: UsageMetrics(tool_calls=[ToolCall("a", value)]).to_dict(),
    "extra": lambda value: UsageMetrics(extra=value).to_dict(),
    "PostgresStore": PostgresStore,
    "SupabaseStore url": lambda value: SupabaseStore(value, "key").close(),
    "SupabaseStore key": lambda value: SupabaseStore("https://x.example", value).close(),
}


@pytest.mark.parametrize("name", OFFLINE)
def test_without_a_database_it_is_the_same(name: str) -> None:
    for value in [*HOSTILE, "http://[", "https://x:y"]:
        try:
            OFFLINE[name](value)
        except DuctoError as error:
            if "\n" in str(error) or len(str(error)) > 1000:
                pytest.fail(f"{shown(value)}: {type(error).__name__}: {str(error)[:300]}")
        except Exception as error:
            pytest.fail(f"{shown(value)}: {type(error).__name__}: {str(error)[:300]}")
