"""Charges of a batch that were written before: answered as they were, together, at any age."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.databases import Connection
from tests.support.ledger import Ledger
from tests.support.pricing import publish

CONFIG = {"models": {"gpt-4": "input_tokens * 2", "odd": "max(input_tokens, 1) * 3"}}


def item(user: str, key: str, tokens: int = 1, **more: Any) -> dict[str, Any]:
    model = more.pop("model", "gpt-4")
    metrics = {"model": model, "input_tokens": tokens}
    return {"user_id": user, "metrics": metrics, "idempotency_key": key, **more}


def batch(connection: Connection, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = Ledger(connection).call("deduct_batch", charges=items)
    return answer


@pytest.fixture
def shop(both: Connection) -> Connection:
    publish(both, CONFIG)
    for user in ("ann", "bob"):
        Ledger(both).grant(user, 100)
    return both


def facts(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in result.items() if k != "replayed"} for result in results]


def test_a_batch_sent_again_is_answered_as_it_was(shop: Connection) -> None:
    items = [
        item("ann", "a1"),
        item("bob", "b1", 2),
        item("ann", "a2", 3, occurred_at="2026-05-01T12:00:00+02:00"),
        item("ann", "a3", 4, model="odd"),
    ]
    first = batch(shop, items)
    again = batch(shop, items)
    assert facts(again) == facts(first)
    assert [result["replayed"] for result in again] == [True] * 4
    assert Ledger(shop).violations() == []


def test_what_is_new_beside_what_was_written_is_charged(shop: Connection) -> None:
    batch(shop, [item("ann", "a1"), item("ann", "a3", 3), item("bob", "b1")])
    results = batch(
        shop, [item("ann", "a1"), item("ann", "a2", 2), item("ann", "a3", 3), item("bob", "b2", 4)]
    )
    assert [(r["replayed"], r["cost"]) for r in results] == [
        (True, 2),
        (False, 4),
        (True, 6),
        (False, 8),
    ]
    assert results[1]["balance_after"] == 100 - 2 - 6 - 4
    assert Ledger(shop).violations() == []


def test_a_key_that_stands_for_something_else_is_a_conflict_and_spoils_no_other(
    shop: Connection,
) -> None:
    batch(shop, [item("ann", "a1"), item("ann", "a2", occurred_at="2026-05-01T12:00:00Z")])
    Ledger(shop).call("add_credits", user_id="ann", amount=1, idempotency_key="grant")
    results = batch(
        shop,
        [
            item("ann", "a1", 2),
            item("ann", "a2", occurred_at="2026-05-01T12:00:01Z"),
            item("ann", "grant"),
            item("ann", "a1"),
            item("ann", "a3"),
            {"user_id": "ann", "amount": 2, "idempotency_key": "a1"},
        ],
    )
    assert [r.get("code") or r["replayed"] for r in results] == [
        "DU007",
        "DU007",
        "DU007",
        True,
        False,
        "DU007",
    ]


def test_what_could_not_be_paid_again_is_still_answered(shop: Connection) -> None:
    items = [item("ann", f"a{n}", 10) for n in range(5)]
    assert [r["status"] for r in batch(shop, items)] == ["ok"] * 5
    results = batch(shop, [*items, item("ann", "a9", 10)])
    assert [r["status"] for r in results] == ["ok"] * 5 + ["denied"]
    assert [r.get("replayed") for r in results[:5]] == [True] * 5


def test_a_key_twice_in_one_batch_is_one_charge(shop: Connection) -> None:
    items = [item("ann", "a1"), item("ann", "a1"), item("ann", "a2")]
    for expected in ([False, True, False], [True, True, True]):
        assert [r["replayed"] for r in batch(shop, items)] == expected


def test_looking_for_keys_does_not_walk_through_the_ledger(shop: Connection) -> None:
    """In a database that was never analysed, too."""
    Ledger(shop).grant("ann", 100_000)
    items = [item("ann", f"k{n}") for n in range(1000)]
    for start in range(0, 1000, 100):
        batch(shop, items[start : start + 100])

    def read() -> int:
        shop.execute("select pg_stat_force_next_flush()")
        row = shop.execute(
            "select sum(idx_tup_read) from pg_stat_user_indexes"
            " where relname = 'credit_transactions'"
        ).fetchone()
        assert row
        return int(row[0])

    before = read()
    for start in range(0, 1000, 100):
        assert all(r["replayed"] for r in batch(shop, items[start : start + 100]))
    assert read() - before < 10_000


def test_a_batch_finds_its_accounts_by_index(shop: Connection) -> None:
    batch(shop, [item("ann", "a1"), item("bob", "b1")])
    Ledger(shop).grant("bob", 1)
    with shop.transaction():
        shop.execute("set local enable_seqscan = off")
        # One within the headroom, one that finds it closed.
        results = batch(shop, [item("ann", "a2"), item("bob", "b2")])
        scans = shop.execute(
            "select relname from pg_stat_xact_user_tables where seq_scan > 0"
            " and relname in ('credit_accounts', 'credit_transactions')"
        ).fetchall()
    assert [result["status"] for result in results] == ["ok", "ok"]
    assert scans == []
