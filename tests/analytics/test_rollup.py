"""The rollup: with it and the entries that are not in it yet, a report is a scan of the ledger, at
every moment, whoever is writing, committing late or rolling back."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.analytics.scan import COLUMNS, compare
from tests.support.databases import Connection
from tests.support.pricing import publish

USERS = [f"user {number}" for number in range(6)]
MODELS = ("mini", "gpt", "haiku")
BUCKETS = (None, None, "day", "week", "month")
STORM_SECONDS = 8
WRITERS = 5

Connect = Callable[..., Connection]


def call(connection: Connection, query: str, *parameters: object) -> Any:
    """The one value of a query."""
    row = connection.execute(query.encode(), parameters).fetchone()
    assert row is not None
    return row[0]


def roll(connection: Connection, limit: int = 1_000_000) -> dict[str, Any]:
    """One call of the rollup."""
    result: dict[str, Any] = call(connection, "select ducto_rollup_usage(%s)", limit)
    return result


def lag(connection: Connection) -> int:
    """How many entries reports read one by one."""
    behind = call(connection, "select ducto.usage_lag() -> 'entries_behind'")
    return int(behind)


def spend(connection: Connection, user: str, amount: object) -> int:
    """A charge of an amount; its id."""
    charge = call(connection, "select ducto_deduct_amount(%s, %s)", user, amount)
    return int(charge["transaction_id"])


def spent(connection: Connection) -> Any:
    """What reports say was spent today and yesterday."""
    return call(
        connection,
        "select (ducto_aggregate_stats(now() - interval '24 hours', now() + interval '1 hour')"
        " -> 'spent')::numeric",
    )


@pytest.fixture
def books(db: Connection) -> Connection:
    """A database in which a token costs a credit and nobody runs out."""
    publish(db, {"models": dict.fromkeys(MODELS, "input_tokens")})
    db.execute("select ducto_create_team('Crew', 1000000, p_team_id => 'crew')")
    for user in USERS:
        db.execute("select ducto_add_credits(%s, 1000000)", [user])
        db.execute("select ducto_add_team_member('crew', %s)", [user])
    return db


def usage(
    connection: Connection, choose: random.Random, start: datetime, hours: int, count: int
) -> None:
    """Charges and refunds anywhere in a span of time, written out of order."""
    connection.execute(
        "insert into ducto.settings values ('test_clock', 'on') on conflict do nothing"
    )
    charges: list[int] = []
    connection.execute("select set_config('ducto.clock', %s, false)", [start.isoformat()])
    for user in USERS:
        connection.execute("select ducto_add_credits(%s, 1000000)", [user])
    for _ in range(count):
        at = start + timedelta(seconds=choose.randrange(hours * 3600))
        connection.execute("select set_config('ducto.clock', %s, false)", [at.isoformat()])
        if charges and choose.random() < 0.2:
            charge = charges.pop(choose.randrange(len(charges)))
            connection.execute("select ducto_refund(%s)", [charge])
            continue
        metrics = {
            "model": choose.choice(MODELS),
            "operation": choose.choice(["chat", "search"]),
            "input_tokens": choose.randrange(1, 50),
        }
        charge = call(
            connection,
            choose.choice(
                ["select ducto_deduct(%s, %s)", "select ducto_deduct_team('crew', %s, %s)"]
            ),
            choose.choice(USERS),
            psycopg.types.json.Jsonb(metrics),
        )
        charges.append(int(charge["transaction_id"]))
    connection.execute("select set_config('ducto.clock', '', false)")


def grouping(choose: random.Random) -> list[str]:
    """Any combination."""
    return [name for name in COLUMNS if choose.random() < 0.4]


def test_any_window_by_anything_is_a_scan(books: Connection) -> None:
    choose = random.Random(11)
    start = datetime(2026, 2, 20, 5, tzinfo=UTC)
    rows = 0
    for _ in range(6):
        usage(books, choose, start, 40 * 24, 60)
        if choose.random() < 0.8:
            roll(books, choose.choice([5, 40, 1000]))
        for _ in range(25):
            first = start + timedelta(seconds=choose.randrange(-86400, 40 * 86400))
            last = first + timedelta(
                microseconds=choose.choice([1, 3_600_000_000, 86_400_000_000 * 20])
                * choose.randrange(3)
                + choose.randrange(7_200_000_000)
            )
            rows += compare(books, first, last, grouping(choose), choose.choice(BUCKETS))
    assert rows > 500
    while not roll(books, 50)["complete"]:
        pass
    for name in COLUMNS:
        compare(books, start, start + timedelta(days=40), [name])


@pytest.mark.parametrize("by", ["user", "team", "model", "user,model"])
@pytest.mark.parametrize("bucket", [None, "day"])
def test_the_spans_of_a_window_are_the_window_once(
    books: Connection, by: str, bucket: str | None
) -> None:
    choose = random.Random(by)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    books.execute(
        "insert into ducto.credit_usage_state (first_at, last_at) values (%s, %s)",
        [start - timedelta(days=500), start + timedelta(days=500)],
    )
    for _ in range(40):
        first = start + timedelta(seconds=choose.randrange(-9_000_000, 9_000_000))
        length = timedelta(microseconds=choose.randrange(10 ** choose.randrange(8, 14)))
        rows = books.execute(
            "select sign, from_at, to_at, hours from ducto.usage_reads(%s, %s, %s, %s)",
            [by.split(","), first, first + length, bucket],
        ).fetchall()
        at: dict[datetime, int] = {}
        for sign, begin, end, _ in rows:
            at[begin] = at.get(begin, 0) + sign
            at[end] = at.get(end, 0) - sign
        assert {key: step for key, step in at.items() if step} == {first: 1, first + length: -1}
        read = sum((end - begin for _, begin, end, hours in rows if not hours), timedelta())
        assert read <= timedelta(hours=24 if by == "user,model" else 1), "of the ledger"
        assert len(rows) < 20


def test_half_a_span_is_read_by_itself(books: Connection) -> None:
    start = datetime(1900, 1, 1, tzinfo=UTC) + timedelta(days=32 * 1440)
    books.execute(
        "insert into ducto.credit_usage_state (first_at, last_at) values (%s, %s)",
        [start - timedelta(days=500), start + timedelta(days=500)],
    )
    # The second half of one span of 32 days and the first of the next.
    rows = books.execute(
        "select hours, sign, from_at, to_at from ducto.usage_reads('{user}', %s, %s, null)",
        [start - timedelta(days=16), start + timedelta(days=16)],
    ).fetchall()
    assert rows == [(384, 1, start - timedelta(days=16), start + timedelta(days=16))]


def test_no_report_is_compiled_anew(books: Connection) -> None:
    # The planner takes what is not rolled up yet for a third of the ledger: worth a second of JIT.
    (rows,) = books.execute(
        "select array_agg(p.proname::text) from pg_proc p"
        " where p.pronamespace = 'ducto'::regnamespace"
        " and p.prosrc ~ 'credit_usage_(entries|roll)|usage_parts'"
        " and p.proname ~ '^(usage|count|roll|recent|user)_' and not 'jit=off' = any (p.proconfig)"
    )
    assert rows == (None,)


def test_rolling_up_again_adds_nothing(books: Connection) -> None:
    for user in USERS:
        spend(books, user, 3)
    assert lag(books) == 6
    assert roll(books) == {"entries": 6, "complete": True}
    before = books.execute("select * from ducto.credit_usage_rollup order by 1, 2, 3, 4").fetchall()
    assert roll(books) == {"entries": 0, "complete": True}
    after = books.execute("select * from ducto.credit_usage_rollup order by 1, 2, 3, 4").fetchall()
    assert after == before
    assert (lag(books), spent(books)) == (0, 18)


def test_a_limit_bounds_a_call_and_the_next_goes_on(books: Connection) -> None:
    for _ in range(10):
        spend(books, USERS[0], 1)
    calls = 0
    while not roll(books, 4)["complete"]:
        calls += 1
        assert spent(books) == 10
    assert calls >= 2
    assert (lag(books), spent(books)) == (0, 10)


def test_an_entry_that_commits_late_is_neither_lost_nor_counted_twice(
    books: Connection, connect: Connect
) -> None:
    with connect() as slow, slow.transaction():
        spend(slow, USERS[0], 100)
        for user in USERS[1:]:
            spend(books, user, 1)
        for _ in range(3):
            assert roll(books)["complete"] is True
            assert (lag(books), spent(books)) == (0, 5)
        spend(slow, USERS[0], 200)
    # It has committed now: reports have it at once.
    assert (lag(books), spent(books)) == (2, 305)
    assert roll(books)["entries"] == 2
    assert (lag(books), spent(books)) == (0, 305)
    settled = "select settled_id from ducto.credit_usage_state"
    assert roll(books)["entries"] == 0
    last = call(books, "select max(id) from ducto.credit_transactions")
    assert call(books, settled) == last


def test_what_the_same_transaction_writes_afterwards_is_not_lost(books: Connection) -> None:
    with books.transaction():
        spend(books, USERS[0], 1)
        roll(books)
        spend(books, USERS[0], 2)
        assert spent(books) == 3
    roll(books)
    assert (lag(books), spent(books)) == (0, 3)
    with pytest.raises(ZeroDivisionError), books.transaction():
        spend(books, USERS[0], 4)
        roll(books)
        raise ZeroDivisionError
    assert (lag(books), spent(books)) == (0, 3)


def test_writers_of_another_time_or_cluster_do_not_hold_it_up(books: Connection) -> None:
    spend(books, USERS[0], 1)
    roll(books)
    # As after a restore: the state speaks of transactions that nobody here knows.
    books.execute(
        "update ducto.credit_usage_state set settled_id = 0, mark_writers = '{99/4711,prepared}'"
    )
    spend(books, USERS[0], 2)
    roll(books)
    assert (lag(books), spent(books)) == (0, 3)
    assert call(books, "select settled_id > 0 from ducto.credit_usage_state")


@pytest.mark.parametrize("scope", ["user", "team", "detail", "model"])
def test_the_check_of_the_books_finds_a_rollup_that_is_wrong(books: Connection, scope: str) -> None:
    spend(books, USERS[0], 1)
    roll(books)
    assert books.execute("select * from ducto_check()").fetchall() == []
    books.execute(
        "update ducto.credit_usage_rollup set spent = spent + 1 where scope = %s and hours = 24",
        [scope],
    )
    ((name, user, detail),) = books.execute("select * from ducto_check()").fetchall()
    assert (name, user) == ("usage_rollup", USERS[0] if scope in ("user", "detail") else None)
    assert (detail["rolled_up"], detail["ledger"]) == ([1, 2, 0], [1, 1, 0])


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_it_must_see_what_others_commit(books: Connection, level: str) -> None:
    with pytest.raises(psycopg.Error) as caught, books.transaction():
        books.execute(f"set transaction isolation level {level}".encode())
        roll(books)
    assert caught.value.sqlstate == "DU017"


@contextmanager
def storm(connect: Connect) -> Iterator[list[Exception]]:
    """Writers and rollers at full speed until the block ends; what went wrong in them."""
    stop = threading.Event()
    failures: list[Exception] = []

    def write(seed: int) -> None:
        choose = random.Random(seed)
        with connect() as link:
            while not stop.is_set():
                user = choose.choice(USERS)
                if choose.random() < 0.6:
                    spend(link, user, choose.randrange(1, 9))
                    continue
                try:
                    with link.transaction():
                        # In one order, so that they never wait for each other in a circle.
                        for each in sorted(choose.sample(USERS, 2)):
                            charge = spend(link, each, choose.randrange(1, 9))
                            if choose.random() < 0.3:
                                link.execute("select ducto_refund(%s)", [charge])
                            time.sleep(choose.random() * 0.02)
                        if choose.random() < 0.3:
                            raise InterruptedError
                except InterruptedError:
                    pass

    def roll_up(seed: int) -> None:
        choose = random.Random(seed)
        with connect() as link:
            while not stop.is_set():
                roll(link, choose.choice([3, 50, 1_000_000]))
                time.sleep(choose.random() * 0.03)

    with ThreadPoolExecutor(WRITERS + 2) as pool:
        running = [pool.submit(write, seed) for seed in range(WRITERS)]
        running += [pool.submit(roll_up, 100 + seed) for seed in range(2)]
        try:
            yield failures
        finally:
            stop.set()
            for each in running:
                each.result()


def test_at_every_moment_a_report_is_a_scan_while_writers_run(
    books: Connection, connect: Connect
) -> None:
    choose = random.Random(5)
    checks = 0
    with storm(connect), connect() as reader:
        end = time.monotonic() + STORM_SECONDS
        while time.monotonic() < end:
            now = datetime.now(UTC)
            first = now - timedelta(seconds=choose.choice([2, 3600, 90_000]))
            last = now + timedelta(seconds=choose.choice([-1, 0, 60]))
            compare(reader, first, last, grouping(choose), choose.choice(BUCKETS))
            checks += 1
    assert checks > 20
    charges = call(books, "select count(*) from ducto.credit_transactions where type = 'usage'")
    assert charges > 100
    while not roll(books)["complete"]:
        pass
    assert lag(books) == 0
    now = datetime.now(UTC)
    compare(books, now - timedelta(days=1), now + timedelta(days=1), ["user"])
    assert books.execute("select * from ducto_check()").fetchall() == []
