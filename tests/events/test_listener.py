"""Listeners: every event handled, what fails tried again and then laid aside, a graceful stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from ducto_pg import (
    AsyncEventListener,
    AsyncPostgresStore,
    CreditEvent,
    CreditEventEmitter,
    CreditManager,
    EventListener,
    PostgresStore,
)
from ducto_pg.errors import InsufficientCreditsError, InvalidArgumentError
from tests.support.databases import Connection, open_connection

QUICK: dict[str, Any] = {"backoff_seconds": 0.01, "poll_seconds": 0.05}


@pytest.fixture
def store(db: Connection, dsn: str) -> Iterator[PostgresStore]:
    """A store on the test's database."""
    with PostgresStore(dsn) as store:
        yield store


@pytest.fixture
def seen() -> list[CreditEvent]:
    """What the handlers of a test were given."""
    return []


def grant(db: Connection, *users: str) -> None:
    """A grant for each."""
    for user in users:
        db.execute("select ducto_add_credits(%s, 10.50)", [user])


def dead(db: Connection) -> list[tuple[Any, ...]]:
    """The dead letters."""
    return db.execute(
        "select consumer, type, error, attempts from ducto_list_dead_events()"
    ).fetchall()


def test_each_event_is_handled_once(
    db: Connection, store: PostgresStore, seen: list[CreditEvent]
) -> None:
    grant(db, "ann", "bob", "ann")
    listener = EventListener(store, consumer="mail").on("credits.added", seen.append)
    assert listener.drain() == 3
    assert listener.drain() == 0
    assert [event.user_id for event in seen] == ["ann", "bob", "ann"]
    first = seen[0]
    assert first.type == "credits.added"
    assert first.team_id is None
    assert first.occurred_at.tzinfo is not None
    assert first.data["amount"] == Decimal("10.50")
    assert first.raw["event_id"] == first.event_id


def test_handlers_are_called_by_type(db: Connection, store: PostgresStore) -> None:
    called: list[str] = []
    listener = EventListener(store)

    @listener.on("credits.deducted")
    def charged(event: CreditEvent) -> None:
        called.append(f"charged {event.data['amount']}")

    listener.on("*", lambda event: called.append(event.type))
    grant(db, "ann")
    db.execute("select ducto_deduct_amount('ann', 2)")
    listener.drain()
    assert called == ["credits.added", "charged 2", "credits.deducted"]


def test_only_the_wanted_types_are_asked_for(db: Connection, store: PostgresStore) -> None:
    grant(db, "ann")
    listener = EventListener(store).on("credits.low_balance", lambda event: None)
    assert listener.drain() == 0


def test_what_fails_is_tried_again(
    db: Connection, store: PostgresStore, seen: list[CreditEvent]
) -> None:
    failures = [ValueError("busy"), ValueError("busy")]

    def handle(event: CreditEvent) -> None:
        if failures:
            raise failures.pop()
        seen.append(event)

    grant(db, "ann")
    EventListener(store, **QUICK).on("*", handle).drain()
    assert len(seen) == 1
    assert dead(db) == []


def test_what_fails_for_good_becomes_a_dead_letter_and_holds_nobody_up(
    db: Connection, store: PostgresStore, seen: list[CreditEvent], caplog: pytest.LogCaptureFixture
) -> None:
    def handle(event: CreditEvent) -> None:
        if event.user_id == "ann":
            raise ValueError("no such address")
        seen.append(event)

    grant(db, "ann", "bob")
    listener = EventListener(store, consumer="mail", attempts=3, **QUICK).on("*", handle)
    with caplog.at_level(logging.WARNING):
        listener.drain()
    assert [event.user_id for event in seen] == ["bob"]
    assert dead(db) == [("mail", "credits.added", "ValueError: no such address", 3)]
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "ERROR"]
    db.execute("select ducto_retry_dead_events('mail')")
    fixed = EventListener(store, consumer="mail").on("*", seen.append)
    assert fixed.drain() == 1
    assert [event.user_id for event in seen] == ["bob", "ann"]
    assert dead(db) == []


def test_a_handler_that_succeeded_is_not_called_again_for_another_that_failed(
    db: Connection, store: PostgresStore, seen: list[CreditEvent]
) -> None:
    failures = [ValueError("busy")]

    def flaky(event: CreditEvent) -> None:
        if failures:
            raise failures.pop()

    grant(db, "ann")
    EventListener(store, **QUICK).on("*", seen.append).on("*", flaky).drain()
    assert len(seen) == 1
    assert failures == []


def test_coroutine_functions_are_handlers_too(
    db: Connection, store: PostgresStore, seen: list[CreditEvent]
) -> None:
    async def handle(event: CreditEvent) -> None:
        await asyncio.sleep(0)
        seen.append(event)

    grant(db, "ann", "bob")
    EventListener(store).on("*", handle).drain()
    assert len(seen) == 2


def test_it_runs_until_it_is_stopped(
    db: Connection, store: PostgresStore, seen: list[CreditEvent]
) -> None:
    listener = EventListener(store, **QUICK).on("*", seen.append)
    thread = threading.Thread(target=listener.run)
    thread.start()
    try:
        for number in range(3):
            grant(db, f"user-{number}")
            wait_for(seen, number + 1)
    finally:
        listener.stop()
        thread.join(10)
    assert not thread.is_alive()


def wait_for(seen: list[CreditEvent], count: int) -> None:
    """Until so many events have arrived."""
    deadline = time.monotonic() + 20
    while len(seen) < count:
        assert time.monotonic() < deadline, f"{len(seen)} of {count} events"
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_after_the_event_at_hand(
    db: Connection, store: PostgresStore, seen: list[CreditEvent], number: signal.Signals
) -> None:
    def handle(event: CreditEvent) -> None:
        os.kill(os.getpid(), number)
        time.sleep(0.05)
        seen.append(event)

    grant(db, "ann", "ann", "ann")
    before = signal.getsignal(number)
    EventListener(store, **QUICK).on("*", handle).run()
    assert len(seen) == 1
    assert signal.getsignal(number) is before
    # The rest was given back, and is there at once.
    assert EventListener(store).on("*", seen.append).drain() == 2
    assert len({event.event_id for event in seen}) == 3


def test_a_stop_while_it_waits_to_try_again_gives_the_event_back(
    db: Connection, store: PostgresStore, seen: list[CreditEvent]
) -> None:
    def handle(event: CreditEvent) -> None:
        listener.stop()
        raise ValueError("busy")

    grant(db, "ann")
    listener = EventListener(store, backoff_seconds=60).on("*", handle)
    began = time.monotonic()
    listener.run()
    assert time.monotonic() - began < 5
    assert EventListener(store).on("*", seen.append).drain() == 1


def test_a_batch_that_took_too_long_is_left_to_whoever_has_it(
    db: Connection, store: PostgresStore, seen: list[CreditEvent]
) -> None:
    def slow(event: CreditEvent) -> None:
        db.execute("update ducto.event_cursors set leased_until = '2000-01-01'")
        EventListener(store).on("*", seen.append).drain()

    grant(db, "ann", "ann")
    assert EventListener(store).on("*", slow).drain() == 2
    assert len(seen) == 2


def test_it_survives_the_loss_of_its_connection(
    db: Connection, dsn: str, seen: list[CreditEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ducto_pg.client.events.RECONNECT_SECONDS", 0.05)
    with PostgresStore(dsn) as store:
        listener = EventListener(store, wake_dsn=dsn, **QUICK).on("*", seen.append)
        thread = threading.Thread(target=listener.run)
        thread.start()
        try:
            grant(db, "ann")
            wait_for(seen, 1)
            db.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where pid <> pg_backend_pid() and datname = current_database()"
            )
            grant(db, "bob")
            wait_for(seen, 2)
        finally:
            listener.stop()
            thread.join(10)


def test_a_rare_event_wakes_it_up(dsn: str, db: Connection, seen: list[CreditEvent]) -> None:
    with PostgresStore(dsn) as store:
        listener = EventListener(store, wake_dsn=dsn, poll_seconds=60)
        listener.on("credits.plan_changed", seen.append)
        thread = threading.Thread(target=listener.run)
        thread.start()
        try:
            deadline = time.monotonic() + 20
            listening = "select count(*) from pg_stat_activity where query = 'listen ducto_events'"
            while db.execute(listening).fetchone() != (1,):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            db.execute(
                "select ducto.write_event('ann', 'ann', 'credits.plan_changed', now(), '{}')"
            )
            wait_for(seen, 1)
        finally:
            listener.stop()
            thread.join(10)


def test_processes_of_a_consumer_share_its_events(db: Connection, dsn: str) -> None:
    handled: list[tuple[int, int]] = []

    def work(number: int) -> None:
        with PostgresStore(dsn) as store:
            listener = EventListener(store, batch_size=5, **QUICK)

            def handle(event: CreditEvent) -> None:
                time.sleep(0.01)
                handled.append((number, event.event_id))
                if len(handled) >= 200:
                    for each in listeners:
                        each.stop()

            listeners.append(listener.on("*", handle))
            listener.run()

    grant(db, *[f"user-{number % 40}" for number in range(200)])
    listeners: list[EventListener] = []
    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len({event_id for _, event_id in handled}) == len(handled) == 200
    assert {number for number, _ in handled} == {0, 1, 2}


def test_a_listener_of_a_transaction_is_refused(dsn: str) -> None:
    with psycopg.connect(dsn) as connection, pytest.raises(ValueError, match="autocommit"):
        EventListener(PostgresStore(connection))


def test_mistakes_are_told_at_once(store: PostgresStore) -> None:
    listener = EventListener(store)
    with pytest.raises(ValueError, match="needs a handler"):
        listener.drain()
    with pytest.raises(ValueError, match="no type of event"):
        listener.on("low_balance", print)
    with pytest.raises(InvalidArgumentError, match="cannot be"):
        listener.on("credits.added", "print")  # type: ignore[call-overload]
    mistakes: dict[str, list[Any]] = {
        "attempts": [0, None, 1.5, True, 10**6],
        "backoff_seconds": [-1, None, float("nan"), float("inf"), "1"],
        "poll_seconds": [-1, None, 10**30],
        "batch_size": [0, 1001, None],
        "lanes": [0, 65, "4"],
        "consumer": [None, "\0", 5],
        "wake_dsn": [5],
    }
    for option, values in mistakes.items():
        for value in values:
            with pytest.raises(InvalidArgumentError, match=option):
                EventListener(store, **{option: value})
    for wrong in (None, "postgresql://somewhere", store.call):
        with pytest.raises(InvalidArgumentError, match="must be a store"):
            EventListener(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "said", ["\0", "\ud800", "x" * 100_000, None], ids=["nul", "surrogate", "long", "none"]
)
def test_an_error_that_no_database_can_store_still_ends_as_a_dead_letter(
    store: PostgresStore, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a test logs is sent between processes, which such a text does not survive either.
    monkeypatch.setattr(logging.getLogger("ducto_pg.events"), "disabled", True)

    class Unspeakable(Exception):
        def __str__(self) -> str:
            if said is None:
                raise RuntimeError
            return said

    def refuse(event: CreditEvent) -> None:
        raise Unspeakable

    CreditManager(store).add_credits("ann", 5)
    EventListener(store, attempts=1).on("*", refuse).drain()
    (dead,) = store.rows("ducto_list_dead_events")
    assert dead["error"].startswith("Unspeakable: ")


def test_the_asynchronous_listener_does_the_same(
    db: Connection, dsn: str, seen: list[CreditEvent]
) -> None:
    failures = [ValueError("busy")]

    async def flaky(event: CreditEvent) -> None:
        await asyncio.sleep(0)
        if failures:
            raise failures.pop()
        seen.append(event)

    def broken(event: CreditEvent) -> None:
        assert threading.current_thread() is not threading.main_thread()
        raise ValueError("never")

    async def main() -> None:
        async with AsyncPostgresStore(dsn) as store:
            listener = AsyncEventListener(store, "mail", attempts=2, **QUICK)
            listener.on("credits.added", flaky).on("credits.deducted", broken)
            assert await listener.drain() == 2
            running = asyncio.create_task(listener.run())
            await asyncio.to_thread(grant, db, "bob")
            while len(seen) < 2:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(listener.stop)
            await asyncio.wait_for(running, 10)

    grant(db, "ann")
    db.execute("select ducto_deduct_amount('ann', 2)")
    asyncio.run(main())
    assert [event.user_id for event in seen] == ["ann", "bob"]
    assert dead(db) == [("mail", "credits.deducted", "ValueError: never", 2)]


def test_the_asynchronous_listener_stops_on_a_signal_and_gives_back(
    db: Connection, dsn: str, seen: list[CreditEvent]
) -> None:
    async def handle(event: CreditEvent) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.05)
        seen.append(event)

    async def main() -> None:
        async with AsyncPostgresStore(dsn) as store:
            listener = AsyncEventListener(store, wake_dsn=dsn, **QUICK)
            await listener.on("*", handle).run()
            rest = AsyncEventListener(store).on("*", seen.append)
            assert await rest.drain() == 1

    grant(db, "ann", "ann")
    asyncio.run(main())
    assert len({event.event_id for event in seen}) == 2


def test_the_emitter_tells_what_its_manager_does(db: Connection, dsn: str) -> None:
    told: list[tuple[str, Any]] = []
    emitter = CreditEventEmitter().on("*", lambda kind, data: told.append((kind, data)))

    @emitter.on("credits.deducted")
    def boom(kind: str, data: Any) -> None:
        raise RuntimeError("a handler's mistake")

    @emitter.on("credits.deducted")
    async def later(kind: str, data: Any) -> None:
        await asyncio.sleep(0)
        told.append(("later", data["amount"]))

    with open_connection(dsn) as connection:
        manager = CreditManager(PostgresStore(connection), emitter=emitter)
        manager.add_credits("ann", 10)
        manager.deduct_amount("ann", 4)
        with pytest.raises(InsufficientCreditsError):
            manager.deduct_amount("ann", 40)
    kinds = [kind for kind, _ in told]
    assert kinds[0] == "credits.added"
    assert kinds[1:4] == ["credits.deducted", "later", "credits.deduct_failed"]


def test_what_the_emitter_leaves_to_be_awaited_is_awaited() -> None:
    told: list[str] = []

    async def handle(kind: str, data: Any) -> None:
        await asyncio.sleep(0)
        told.append(kind)

    async def broken(kind: str, data: Any) -> None:
        raise RuntimeError("a handler's mistake")

    emitter = CreditEventEmitter().on("*", broken).on("*", handle)

    async def main() -> None:
        outcome = emitter.emit("credits.added", {})
        assert outcome is not None
        await outcome

    asyncio.run(main())
    assert told == ["credits.added"]
