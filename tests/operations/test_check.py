"""ducto_check finds every kind of corruption that somebody with a superuser's rights can plant."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.support.databases import Connection
from tests.support.ledger import Ledger, utc

START = utc(2026, 1, 10)


@pytest.fixture
def books(ledger_connection: Connection) -> Iterator[Ledger]:
    """A ledger with one of everything, whose triggers are off: it may be corrupted."""
    with ledger_connection.transaction(force_rollback=True):
        ledger = Ledger(ledger_connection)
        ledger.at(START)
        ledger.publish(
            min_balance=-100,
            plans=[{"id": "p", "default": True, "free_allowance": 5, "rollover_max": 2}],
        )
        ledger.call("set_spend_cap", user_id="ann", cap_type="monthly", limit=1000)
        granted = ledger.grant("ann", 50, type="purchase")
        ledger.grant("ann", 10, type="promo", expires_at=START + timedelta(days=2))
        charge = ledger.use("ann", {"model": "gpt-4", "input_tokens": 500})
        ledger.spend("ann", 90)
        ledger.refund(charge, amount=4)
        ledger.hold("ann", 3)
        ledger.settle(ledger.hold("ann", 2), amount=1)
        ledger.at(START + timedelta(days=40))
        ledger.grant("ann", 300)
        ledger.call("revoke_grant", transaction_id=granted["transaction_id"])
        ledger.spend("ann", 20)
        ledger.hold("ann", 1)
        assert ledger.violations() == []
        ledger_connection.execute("set local session_replication_role = 'replica'")
        yield ledger
    ledger_connection.execute("reset all")


CORRUPTIONS: dict[str, tuple[str, set[str]]] = {
    "a lot with more than its entries gave it": (
        "update ducto.credit_lots set amount = amount + 1, remaining = remaining + 1"
        " where kind = 'adjustment'",
        {"balance", "lot"},
    ),
    "an allowance larger than what its charges left of it": (
        "update ducto.credit_lots set amount = amount + 1 where kind = 'allowance'",
        {"lot"},
    ),
    "a lot that lost credits": (
        "update ducto.credit_lots set remaining = remaining - 0.000000000001"
        " where kind = 'adjustment'",
        {"balance", "lot"},
    ),
    "a lot that is live but empty": (
        "update ducto.credit_lots set live = true where remaining = 0",
        {"lot"},
    ),
    "a lot with credits that no charge looks at": (
        "update ducto.credit_lots set live = false where kind = 'adjustment'",
        {"lot"},
    ),
    "a lot that forfeited more than it had": (
        "update ducto.credit_lots set forfeited = amount + 1 where kind = 'purchase'",
        {"lot"},
    ),
    "a lot that vanished": (
        "delete from ducto.credit_lots where kind = 'adjustment'",
        {"balance"},
    ),
    "a lot out of nowhere": (
        "insert into ducto.credit_lots (account_id, kind, category, amount, remaining,"
        " effective_at, created_at) values ('ann', 'purchase', 'paid', 5, 5, now(), now())",
        {"balance", "lot"},
    ),
    "a debt that was forgiven silently": (
        "update ducto.credit_accounts set debt = debt - 1",
        {"balance", "debt"},
    ),
    "a balance_after that is not the one before plus the amount": (
        "update ducto.credit_transactions set balance_after = balance_after + 1"
        " where type = 'refund'",
        {"chain"},
    ),
    "the last balance_after": (
        "update ducto.credit_transactions set balance_after = balance_after + 1"
        " where id = (select max(id) from ducto.credit_transactions)",
        {"balance", "chain"},
    ),
    "a charge of another amount": (
        "update ducto.credit_transactions set amount = amount - 1 where type = 'usage'"
        " and model = 'gpt-4'",
        {"chain", "entry", "price"},
    ),
    "a charge that says the allowance paid": (
        "update ducto.credit_transactions set allowance_consumed = allowance_consumed + 1,"
        " amount = amount + 1 where type = 'usage' and model = 'gpt-4'",
        {"chain"},
    ),
    "an entry that vanished": (
        "delete from ducto.credit_transactions where type = 'refund'",
        {"chain", "lot"},
    ),
    "allocations that do not add up": (
        "update ducto.credit_transactions set allocations = '[]' where type = 'refund'",
        {"entry", "lot"},
    ),
    "allocations of another lot": (
        "update ducto.credit_transactions set allocations = jsonb_set(allocations, '{0,lot}', '0')"
        " where type = 'refund'",
        {"lot"},
    ),
    "refunds beyond their charge": (
        "update ducto.credit_transactions r set reference_id = (select max(t.id)"
        " from ducto.credit_transactions t where t.type = 'usage' and t.amount = -1)"
        " where r.type = 'refund'",
        {"refund"},
    ),
    "metrics other than those that were priced": (
        "update ducto.credit_transactions set metrics = metrics || '{\"input_tokens\": 501}'"
        " where model = 'gpt-4' and type = 'usage'",
        {"price"},
    ),
    "a cap that counted too little": (
        "update ducto.credit_spend_caps set spent = spent - 0.5",
        {"cap"},
    ),
    "a hold nobody counts": (
        "update ducto.credit_accounts set held = held - 1",
        {"holds"},
    ),
    "a closed hold that still holds": (
        "update ducto.credit_reservations set held = amount where status = 'settled'",
        {"holds"},
    ),
    "a hold closed by hand": (
        "update ducto.credit_reservations set status = 'released', held = 0 where status = 'active'"
        " and expires_at > (select max(created_at) from ducto.credit_reservations)",
        {"holds"},
    ),
    "a cap no charge looks for": (
        "update ducto.credit_accounts set has_caps = false",
        {"has_caps"},
    ),
}


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_it_finds(books: Ledger, kind: str) -> None:
    statement, expected = CORRUPTIONS[kind]
    changed = books.connection.execute(statement.encode())
    assert changed.rowcount > 0
    found = books.violations()
    assert {row["user_id"] for row in found} == {"ann"}
    names = {row["check_name"] for row in found}
    assert names & expected, found
    assert expected <= names, found
    assert all(row["detail"] for row in found)


def test_every_check_has_found_something() -> None:
    found = set().union(*(expected for _, expected in CORRUPTIONS.values()))
    assert found == {
        "balance",
        "lot",
        "debt",
        "chain",
        "entry",
        "refund",
        "price",
        "cap",
        "holds",
        "has_caps",
    }


def test_it_finds_functions_planted_beside_the_api(ledger: Ledger) -> None:
    ledger.connection.execute(
        "create function public.ducto_deduct(text, text) returns int language sql return 1"
    )
    ledger.connection.execute("create function public.ducto_x() returns int language sql return 1")
    ledger.connection.execute("grant create on schema public to ducto_owner")
    ledger.connection.execute("alter function public.ducto_x() owner to ducto_owner")
    found = ledger.violations()
    ledger.connection.execute("drop function public.ducto_deduct(text, text), public.ducto_x()")
    assert {row["check_name"] for row in found} == {"overload"}
    assert sorted((row["detail"]["routine"], row["detail"]["owner"]) for row in found) == [
        ("public.ducto_deduct(text,text)", "postgres"),
        ("public.ducto_x()", "ducto_owner"),
    ]


def test_it_is_empty_on_a_new_database(ledger: Ledger) -> None:
    assert ledger.violations() == []


def test_it_writes_nothing(books: Ledger) -> None:
    before = books.snapshot()
    books.violations()
    assert books.snapshot() == before


def test_lapsed_lots_and_windows_that_are_not_yet_booked_are_no_violation(books: Ledger) -> None:
    books.at(START + timedelta(days=400))
    assert books.violations() == []


def test_pricing_published_since_is_no_violation(books: Ledger) -> None:
    books.connection.execute("set local session_replication_role = 'origin'")
    books.publish(models={"gpt-4": "7"})
    assert books.violations() == []


def test_the_ledger_refuses_to_be_changed_even_by_a_superuser(ledger: Ledger) -> None:
    import psycopg

    ledger.grant("ann", 10)
    statements: list[Any] = [
        "update ducto.credit_transactions set amount = 5",
        "delete from ducto.credit_transactions",
        "truncate ducto.credit_transactions",
        "delete from ducto.credit_accounts",
        "update ducto.credit_accounts set account_id = 'bob'",
    ]
    before = ledger.snapshot()
    for statement in statements:
        with pytest.raises(psycopg.errors.RestrictViolation), ledger.connection.transaction():
            ledger.connection.execute(statement)
    assert ledger.snapshot() == before
