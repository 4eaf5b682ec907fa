"""Events that a handler refused for good, and the retention of those that everybody has seen."""

from __future__ import annotations

from typing import Any

from psycopg.rows import dict_row

from tests.conftest import Connect
from tests.events.feed import Consumer, expire_leases
from tests.support.databases import Connection


def deny(connection: Connection, user: str) -> None:
    """Write an event that is not in the ledger."""
    connection.execute("select ducto_deduct_amount(%s, 20, p_raise => false)", [user])


def fail(consumer: Consumer, event: dict[str, Any], error: str = "boom", attempts: int = 3) -> None:
    """Give up on an event, as a listener does."""
    consumer.connection.execute(
        "select ducto_fail_event(%s, %s, %s, %s)", [consumer.name, event["cursor"], error, attempts]
    )
    consumer.ack(event)


def dead(connection: Connection) -> list[dict[str, Any]]:
    """ducto_list_dead_events."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("select * from ducto_list_dead_events()").fetchall()


def retry(connection: Connection, *arguments: object) -> int:
    """ducto_retry_dead_events: how many."""
    placeholders = ", ".join(["%s"] * len(arguments))
    row = connection.execute(
        f"select ducto_retry_dead_events({placeholders}) -> 'events'".encode(), arguments
    ).fetchone()
    assert row is not None
    return int(row[0])


def remaining(connection: Connection) -> int:
    """How many events of their own there are."""
    row = connection.execute("select count(*) from ducto.credit_events").fetchone()
    assert row is not None
    return int(row[0])


def test_a_dead_letter_says_what_failed_and_why(db: Connection) -> None:
    consumer = Consumer(db)
    deny(db, "ann")
    (event,) = consumer.poll()
    fail(consumer, event, "the mail server is down")
    (letter,) = dead(db)
    assert {key: letter[key] for key in ("event_id", "type", "user_id", "data")} == {
        key: event[key] for key in ("event_id", "type", "user_id", "data")
    }
    assert letter["consumer"] == "billing"
    assert letter["error"] == "the mail server is down"
    assert letter["attempts"] == 3
    assert not letter["retrying"]
    assert consumer.poll() == []


def test_a_dead_letter_is_delivered_again_when_asked_for(db: Connection) -> None:
    consumer = Consumer(db)
    deny(db, "ann")
    deny(db, "bob")
    for event in consumer.poll():
        fail(consumer, event)
    (first, second) = sorted(letter["event_id"] for letter in dead(db))
    assert retry(db, "billing", first) == 1
    assert retry(db, "billing", first) == 0
    (again,) = consumer.poll()
    assert again["event_id"] == first
    assert consumer.poll() == []
    fail(consumer, again, "still down", 2)
    letters = {letter["event_id"]: letter for letter in dead(db)}
    assert (letters[first]["error"], letters[first]["attempts"]) == ("still down", 5)
    assert retry(db, "billing") == 2
    events = consumer.poll()
    assert [event["event_id"] for event in events] == [first, second]
    consumer.ack(events[-1])
    assert dead(db) == []
    assert consumer.poll() == []


def test_a_retried_letter_comes_with_what_is_new(db: Connection) -> None:
    consumer = Consumer(db)
    deny(db, "ann")
    (event,) = consumer.poll()
    fail(consumer, event)
    deny(db, "ann")
    retry(db, "billing")
    events = consumer.poll()
    assert [e["event_id"] for e in events] == [event["event_id"], event["event_id"] + 1]
    consumer.ack(events[0])
    assert dead(db) == []
    expire_leases(db)
    assert [e["event_id"] for e in consumer.poll()] == [event["event_id"] + 1]


def test_a_dead_letter_can_be_forgotten(db: Connection) -> None:
    consumer = Consumer(db)
    deny(db, "ann")
    (event,) = consumer.poll()
    fail(consumer, event)
    assert retry(db, "billing", event["event_id"], True) == 1
    assert dead(db) == []


def test_old_events_go_when_every_consumer_has_seen_them(db: Connection, connect: Connect) -> None:
    def prune() -> int:
        row = db.execute("select ducto_prune_events() -> 'deleted'").fetchone()
        assert row is not None
        return int(row[0])

    one, two = Consumer(db, "one"), Consumer(db, "two")
    deny(db, "ann")
    one.take()
    two.poll()
    assert prune() == 0
    db.execute("update ducto.credit_events set created_at = created_at - interval '31 days'")
    assert prune() == 0
    expire_leases(db)
    two.take()
    late = connect()
    late.execute("begin")
    deny(late, "bob")
    deny(db, "cat")
    one.take()
    two.take()
    late.execute("commit")
    db.execute("update ducto.credit_events set created_at = created_at - interval '31 days'")
    assert prune() == 2
    assert [event["user_id"] for event in one.take()] == ["bob"]
    assert prune() == 0
    db.execute("select ducto_remove_consumer('two')")
    assert prune() == 1
    assert remaining(db) == 0


def test_the_retention_is_a_setting(db: Connection) -> None:
    deny(db, "ann")
    db.execute("update ducto.credit_events set created_at = created_at - interval '5 days'")
    db.execute("select ducto_prune_events()")
    assert remaining(db) == 1
    db.execute("insert into ducto.settings values ('event_retention_days', '3')")
    db.execute("select ducto_prune_events()")
    assert remaining(db) == 0


def test_what_a_killed_tail_left_behind_is_removed(db: Connection) -> None:
    for name in ("tail-1", "billing"):
        db.execute("select ducto_create_consumer(%s)", [name])
    db.execute("select ducto_prune_events()")
    db.execute("update ducto.event_cursors set created_at = created_at - interval '25 hours'")
    db.execute("select ducto_prune_events()")
    names = db.execute("select consumer from ducto_list_consumers()").fetchall()
    assert names == [("billing",)]


def test_the_consumers_are_listed(db: Connection) -> None:
    consumer = Consumer(db)
    deny(db, "ann")
    (event,) = consumer.poll()
    columns = "consumer, lanes, leased, behind, dead_letters"
    query = f"select {columns} from ducto_list_consumers()".encode()
    assert db.execute(query).fetchall() == [("billing", 4, 1, 1, 0)]
    fail(consumer, event)
    consumer.poll()
    assert db.execute(query).fetchall() == [("billing", 4, 0, 0, 1)]
    removed = db.execute("select ducto_remove_consumer('billing') -> 'removed'").fetchone()
    assert removed == (True,)
    assert db.execute(query).fetchall() == []
    assert dead(db) == []
