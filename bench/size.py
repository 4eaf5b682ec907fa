"""What a charge writes and locks: bytes of log and of ledger, relation locks.

Guarantees: each operation runs in transactions of its own, with full_page_writes off, so that the
log is counted without the page images that follow a checkpoint, which are the same for the floor
and depend on how many charges share a page; locks are counted from another session, before the
charge commits.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg

from bench.figures import Budget, Figure, figure
from bench.lab import COST, METRICS, Lab
from ducto_pg.exact_json import dumps

Link = psycopg.Connection[Any]
Operation = Callable[[Link, str, str], None]

ACCOUNTS = 50
TURNS, ROUNDS = 250, 3
LOG = Budget(1.2, at_least=False)
LOCKS = Budget(16, at_least=False)


def floor(link: Link, account: str, key: str) -> None:
    """A charge of the floor."""
    link.execute("select floor.charge(%s, %s, %s)", [account, COST, key])


def charge(link: Link, account: str, key: str) -> None:
    """A charge."""
    link.execute("select ducto_deduct(%s, %s::jsonb, %s)", [account, dumps(METRICS), key])


def reserve(link: Link, account: str, key: str) -> str:
    """A hold of what the charge costs."""
    row = link.execute(
        "select ducto_reserve(%s, p_metrics => %s::jsonb, p_idempotency_key => %s)"
        " ->> 'reservation_id'",
        [account, dumps(METRICS), key],
    ).fetchone()
    assert row is not None
    return str(row[0])


def settle(link: Link, hold: str) -> None:
    """Settle it with the usage."""
    link.execute("select ducto_settle(%s::uuid, %s::jsonb)", [hold, dumps(METRICS)])


def pair(link: Link, account: str, key: str) -> None:
    """Both."""
    settle(link, reserve(link, account, key))


# What is measured: the operation, its accounts, and whether it is the usual charge.
OPERATIONS: dict[str, tuple[Operation, str, bool]] = {
    "plain": (charge, "user_", True),
    "allowance used up, caps count": (charge, "small_", True),
    "the same with an open hold": (charge, "held_", True),
    "reserve and settle": (pair, "pair_", False),
}


def sizes(lab: Lab) -> Iterator[Figure]:
    """The log, the ledger's rows, the locks."""
    dsn = lab.charging(lab.evaluators[0], *(prefix for _, prefix, _ in OPERATIONS.values()))
    name = partial(figure, "size", evaluator="")
    with (
        psycopg.connect(dsn, autocommit=True) as link,
        psycopg.connect(dsn, autocommit=True) as observer,
    ):
        with page_images_off(link):
            base = log_bytes(link, floor, "user_")
            logged = {
                title: log_bytes(link, operation, prefix)
                for title, (operation, prefix, _) in OPERATIONS.items()
            }
        yield name("log bytes, the floor", unit="bytes", values=base, budget=None)
        for title, found in logged.items():
            usual = OPERATIONS[title][2]
            yield name(f"log bytes, {title}", unit="bytes", values=found, budget=None)
            if usual:
                ratios = [of / to for of, to in zip(found, base, strict=True)]
                yield name("  of the floor's", unit="times the floor's", values=ratios, budget=LOG)
        yield name(
            "row bytes, the floor", unit="bytes", budget=None,
            values=row_bytes(link, "floor.ledger", "user_"),
        )  # fmt: skip
        for title, (_, prefix, _) in OPERATIONS.items():
            values = row_bytes(link, "ducto.credit_transactions", prefix)
            yield name(f"row bytes, {title}", unit="bytes", values=values, budget=None)
        for title, (operation, prefix, usual) in OPERATIONS.items():
            if operation is charge:
                locks = charge_locks(link, observer, prefix)
                budget = LOCKS if usual else None
                yield name(f"locks, {title}", unit="locks", values=[locks], budget=budget)


@contextmanager
def page_images_off(link: Link) -> Iterator[None]:
    """Until the block ends; the checkpoint makes sure that the server has heard."""
    link.execute("alter system set full_page_writes = off")
    try:
        link.execute("select pg_reload_conf()")
        link.execute("checkpoint")
        yield
    finally:
        link.execute("alter system reset full_page_writes")
        link.execute("select pg_reload_conf()")
        link.execute("checkpoint")


def log_bytes(link: Link, operation: Operation, prefix: str) -> list[float]:
    """Bytes that an operation adds to the log, by round; the first, which is not counted, touches
    every account."""
    found = []
    for number in range(ROUNDS + 1):
        before = log_position(link)
        for turn in range(TURNS):
            key = f"size {prefix} {number} {turn}"
            operation(link, f"{prefix}{1 + turn % ACCOUNTS}", key)
        found.append((log_position(link) - before) / TURNS)
    return found[1:]


def log_position(link: Link) -> int:
    """Where the log ends, in bytes."""
    row = link.execute("select pg_current_wal_insert_lsn() - '0/0'").fetchone()
    assert row is not None
    return int(row[0])


def row_bytes(link: Link, table: str, prefix: str) -> list[float]:
    """The average row that log_bytes wrote to a ledger."""
    row = link.execute(
        f"select avg(pg_column_size(t.*)) from {table} t"
        " where t.account_id = any (%s) and t.amount < 0".encode(),
        [[f"{prefix}{n}" for n in range(1, ACCOUNTS + 1)]],
    ).fetchone()
    assert row is not None
    return [float(row[0])]


def charge_locks(link: Link, observer: Link, prefix: str) -> int:
    """Relation locks that a charge holds when it has done its work."""
    numbers = itertools.count()
    for _ in range(10):
        charge(link, f"{prefix}1", f"locks {prefix} {next(numbers)}")
    with link.transaction(force_rollback=True):
        charge(link, f"{prefix}1", f"locks {prefix} {next(numbers)}")
        row = observer.execute(
            "select count(*) from pg_locks where locktype = 'relation' and pid = %s",
            [link.info.backend_pid],
        ).fetchone()
    assert row is not None
    return int(row[0])
