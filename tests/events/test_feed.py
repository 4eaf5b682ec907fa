"""The feed: every committed event, no other, in commit order per account, to whoever asks."""

from __future__ import annotations

from collections.abc import Iterator
from subprocess import PIPE, run
from threading import Thread

import psycopg
import pytest

from ducto_pg.install.embedded import Cluster
from ducto_pg.install.migrate import migrate
from tests.conftest import Connect, MakeDb
from tests.events.feed import Consumer, expire_leases
from tests.support.databases import Connection, open_connection
from tests.support.server import Server, programs_not_older, server_programs
from tests.support.waiting import until_blocked


def grant(connection: Connection, user: str, amount: int = 1) -> int:
    """Grant, and return the id of the entry."""
    row = connection.execute(
        "select (ducto_add_credits(%s, %s) ->> 'transaction_id')::bigint", [user, amount]
    ).fetchone()
    assert row is not None
    return int(row[0])


def cursors(connection: Connection, columns: str) -> list[tuple[object, ...]]:
    """Of every lane."""
    query = f"select {columns} from ducto.event_cursors order by lane"
    return connection.execute(query.encode()).fetchall()


def test_a_new_consumer_gets_everything_there_is(db: Connection) -> None:
    written = [grant(db, user) for user in ("ann", "bob", "cat", "ann")]
    events = Consumer(db).take()
    assert [event["event_id"] for event in events] == written
    assert [event["user_id"] for event in events] == ["ann", "bob", "cat", "ann"]
    assert Consumer(db).poll() == []


def test_a_consumer_from_now_gets_what_happens_from_now_on(db: Connection) -> None:
    grant(db, "ann")
    db.execute("select ducto_create_consumer('billing', 'now')")
    assert Consumer(db).poll() == []
    later = grant(db, "ann")
    assert Consumer(db).ids() == [later]


def test_creating_a_consumer_again_changes_nothing(db: Connection) -> None:
    def create(*arguments: object) -> object:
        row = db.execute("select ducto_create_consumer(%s, %s, %s)", arguments).fetchone()
        assert row is not None
        return row[0]

    assert create("billing", "start", 2) == {"consumer": "billing", "lanes": 2, "created": True}
    assert create("billing", "now", 8) == {"consumer": "billing", "lanes": 2, "created": False}
    written = grant(db, "ann")
    assert Consumer(db).ids() == [written]


def test_of_two_that_create_a_consumer_at_once_one_decides(
    db: Connection, connect: Connect
) -> None:
    first = connect()
    first.execute("begin")
    first.execute("select ducto_create_consumer('billing', 'start', 2)")
    second = Thread(target=connect().execute, args=["select ducto_create_consumer('billing')"])
    second.start()
    until_blocked(db)
    first.execute("commit")
    second.join(10)
    assert cursors(db, "lane, lanes") == [(0, 2), (1, 2)]


def test_consumers_do_not_disturb_each_other(db: Connection) -> None:
    written = [grant(db, "ann") for _ in range(3)]
    assert Consumer(db, "mail").ids() == written
    assert Consumer(db, "billing").ids() == written


def test_what_is_not_committed_does_not_exist_and_holds_nobody_up(
    db: Connection, connect: Connect
) -> None:
    consumer = Consumer(db)
    slow = connect()
    slow.execute("begin")
    first = grant(slow, "slow")
    others = [grant(db, f"user-{number}") for number in range(20)]
    assert consumer.ids() == others
    assert consumer.ids() == []
    more = [grant(db, f"user-{number}") for number in range(20)]
    slow.execute("commit")
    assert sorted(consumer.ids()) == sorted([first, *more])
    assert consumer.ids() == []


def test_what_is_rolled_back_never_happens(db: Connection, connect: Connect) -> None:
    consumer = Consumer(db)
    other = connect()
    other.execute("begin")
    grant(other, "ann")
    kept = grant(db, "bob")
    assert consumer.ids() == [kept]
    other.execute("rollback")
    later = grant(db, "bob")
    assert consumer.ids() == [later]


def test_a_savepoint_that_is_rolled_back_never_happened(db: Connection) -> None:
    with db.transaction():
        kept = [grant(db, "ann")]
        with db.transaction(force_rollback=True):
            grant(db, "ann")
        kept.append(grant(db, "ann"))
    assert Consumer(db).ids() == kept


@pytest.mark.parametrize("younger", [False, True])
def test_polling_and_writing_in_one_transaction_loses_nothing(
    db: Connection, connect: Connect, younger: bool
) -> None:
    consumer = Consumer(db)
    first = grant(db, "ann")
    with db.transaction():
        second = grant(db, "ann")
        if younger:
            # One that began later and has ended: the server's snapshot then counts ours as done.
            third = grant(connect(), "bob")
        # Nothing of its own, for it may still be rolled back.
        expected = [first, third] if younger else [first]
        assert consumer.ids() == expected
        assert consumer.ids() == []
        fourth = grant(db, "ann")
    assert consumer.ids() == [second, fourth]
    assert consumer.ids() == []


def test_a_poll_that_is_rolled_back_hands_out_nothing(db: Connection) -> None:
    written = [grant(db, "ann")]
    with db.transaction(force_rollback=True):
        assert Consumer(db).ids() == written
    assert Consumer(db).ids() == written


def test_acknowledging_in_a_transaction_goes_with_what_it_writes(db: Connection) -> None:
    grant(db, "ann")
    consumer = Consumer(db)
    (event,) = consumer.poll()
    with db.transaction(force_rollback=True):
        assert consumer.ack(event)
    expire_leases(db)
    assert consumer.poll() != []


def test_what_is_not_acknowledged_comes_again_when_the_lease_is_over(db: Connection) -> None:
    written = [grant(db, "ann") for _ in range(4)]
    consumer = Consumer(db)
    events = consumer.poll()
    assert consumer.poll() == []
    consumer.ack(events[1])
    assert consumer.poll() == []
    expire_leases(db)
    assert [event["event_id"] for event in consumer.poll()] == written[2:]


def test_an_acknowledgement_that_comes_too_late_is_told_so(db: Connection) -> None:
    grant(db, "ann")
    consumer = Consumer(db)
    (lost,) = consumer.poll()
    expire_leases(db)
    (again,) = consumer.poll()
    assert lost["event_id"] == again["event_id"]
    assert lost["cursor"] < again["cursor"]
    assert not consumer.ack(lost)
    assert consumer.ack(again)
    assert not consumer.ack(again)


def test_a_lease_that_is_given_back_is_free_at_once(db: Connection) -> None:
    written = [grant(db, "ann") for _ in range(3)]
    consumer = Consumer(db)
    events = consumer.poll()
    assert consumer.ack(events[0])
    assert consumer.release(events[0])
    assert not consumer.release(events[0])
    assert not consumer.ack(events[2])
    assert consumer.ids() == written[1:]


def test_two_processes_of_a_consumer_share_its_events(db: Connection, connect: Connect) -> None:
    written = [grant(db, f"user-{number}") for number in range(40)]
    one, two = Consumer(db), Consumer(connect())
    first, second = one.poll(5), two.poll(5)
    assert len(first) == len(second) == 5
    assert {e["user_id"] for e in first} & {e["user_id"] for e in second} == set()
    one.ack(first[-1])
    two.ack(second[-1])
    rest = one.ids() + two.ids()
    assert sorted(rest + [event["event_id"] for event in first + second]) == written


def test_a_batch_is_in_the_order_of_its_cursors(db: Connection) -> None:
    written = [grant(db, f"user-{number % 7}") for number in range(30)]
    events = Consumer(db).poll()
    assert [event["event_id"] for event in events] == written
    assert sorted(event["cursor"] for event in events) == [event["cursor"] for event in events]


def test_other_types_than_the_wanted_ones_count_as_delivered(db: Connection) -> None:
    grant(db, "ann", 10)
    db.execute("select ducto_deduct_amount('ann', 20, p_raise => false)")
    consumer = Consumer(db)
    wanted = consumer.take(types=["credits.deduct_failed"])
    assert [event["type"] for event in wanted] == ["credits.deduct_failed"]
    assert consumer.take() == []


def test_an_account_is_told_in_the_order_of_its_commits(db: Connection, connect: Connect) -> None:
    grant(db, "ann", 100)
    older, younger = connect(), connect()
    older.execute("begin")
    older.execute("select pg_current_xact_id()")
    younger.execute("select ducto_deduct_amount('ann', 1)")
    older.execute("select ducto_deduct_amount('ann', 2)")
    older.execute("commit")
    events = Consumer(db).take()
    assert [event["data"]["amount"] for event in events] == [100, 1, 2]
    assert [event["data"]["balance_after"] for event in events] == [100, 99, 97]


def test_an_idle_consumer_writes_nothing(db: Connection) -> None:
    consumer = Consumer(db)
    grant(db, "ann")
    for _ in range(4):
        consumer.take()
    before = cursors(db, "xmin::text, seen::text")
    for _ in range(5):
        assert consumer.poll() == []
    assert cursors(db, "xmin::text, seen::text") == before


def test_a_long_transaction_that_does_not_charge_makes_nobody_look_back(
    db: Connection, connect: Connect
) -> None:
    consumer = Consumer(db)
    elsewhere = connect()
    elsewhere.execute("begin")
    elsewhere.execute("select pg_current_xact_id()")
    grant(db, "ann")
    consumer.take()
    # As much as ten thousand events make.
    db.execute("select setval('ducto.credit_transactions_id_seq', 100000)")
    grant(db, "ann")
    consumer.take()
    grant(db, "ann")
    consumer.take()
    lows = db.execute(
        "select r.low from ducto.event_cursors c, unnest(c.running) r where c.reading is null"
    ).fetchall()
    assert lows != []
    assert min(low for (low,) in lows) >= 100000
    late = grant(elsewhere, "bob")
    elsewhere.execute("commit")
    assert consumer.ids() == [late]


def test_a_long_transaction_that_charged_is_found_when_it_ends(
    db: Connection, connect: Connect
) -> None:
    consumer = Consumer(db)
    db.execute("select ducto_create_consumer('billing', 'start', 1)")
    slow = connect()
    slow.execute("begin")
    early = grant(slow, "slow")
    for _ in range(3):
        last = db.execute("select nextval('ducto.credit_transactions_id_seq')").fetchone()
        assert last is not None
        db.execute("select setval('ducto.credit_transactions_id_seq', %s)", [last[0] + 150000])
        written = grant(db, "ann")
        assert consumer.ids() == [written]
        assert consumer.ids() == []
    late = grant(slow, "slow")
    slow.execute("commit")
    found = [consumer.ids() for _ in range(3)]
    assert [event for ids in found for event in ids] == [early, late]


def test_a_prepared_transaction_is_found_when_it_is_committed() -> None:
    with Cluster(server_programs(), {"max_prepared_transactions": "5"}) as cluster:
        migrate(cluster.dsn())
        with open_connection(cluster.dsn()) as db:
            db.execute("begin")
            early = grant(db, "ann")
            # What notifies elsewhere must not keep a transaction from being prepared.
            db.execute("select ducto.write_event('ann', 'ann', 'credits.low_balance', now(), '{}')")
            db.execute("prepare transaction 'two-phase'")
            other = grant(db, "bob")
            consumer = Consumer(db)
            assert consumer.ids() == [other]
            db.execute("commit prepared 'two-phase'")
            assert consumer.ids() == [early, early + 1]


@pytest.fixture
def elsewhere(cluster: Server) -> Iterator[Cluster]:
    """Another server, whose transaction ids begin anew."""
    with Cluster(programs_not_older(cluster)) as other:
        yield other


def test_a_consumer_restored_on_another_server_misses_nothing(
    make_db: MakeDb, connect: Connect, elsewhere: Cluster
) -> None:
    dsn = make_db("portable")
    db, running = connect(dsn), connect(dsn)
    for _ in range(2000):
        db.execute("select pg_current_xact_id()")
    consumer = Consumer(db)
    old = [grant(db, f"user-{number}") for number in range(10)]
    assert consumer.ids() == old
    assert consumer.ids() == []
    running.execute("begin")
    grant(running, "slow")
    pending = [grant(db, f"user-{number}") for number in range(5)]
    assert consumer.poll(2) != []
    dump = run(
        [str(elsewhere.bin_dir / "pg_dump"), "--no-owner", dsn],
        stdout=PIPE, check=True,
    )  # fmt: skip
    with psycopg.connect(elsewhere.dsn(), autocommit=True) as admin:
        for role in ("ducto_owner", "ducto_reader", "ducto_service", "ducto_admin"):
            admin.execute(f"create role {role}".encode())
        admin.execute("create database restored")
    target = elsewhere.dsn("restored")
    run(
        [str(elsewhere.bin_dir / "psql"), "-1", "-q", "-v", "ON_ERROR_STOP=1", target],
        input=dump.stdout, stdout=PIPE, check=True,
    )  # fmt: skip
    with open_connection(target) as restored:
        assert restored.execute("select pg_current_xact_id()::text::bigint < 2000").fetchone() == (
            True,
        )
        fresh = [grant(restored, f"user-{number}") for number in range(10)]
        expire_leases(restored)
        found = Consumer(restored).ids()
        assert set(pending) | set(fresh) <= set(found) <= set(old) | set(pending) | set(fresh)
        assert Consumer(restored).ids() == []
        later = grant(restored, "user-1")
        assert Consumer(restored).ids() == [later]
    running.execute("rollback")


@pytest.mark.parametrize(
    ("statement", "argument"),
    [
        ("select * from ducto_poll_events(null)", "p_consumer"),
        ("select * from ducto_poll_events('')", "p_consumer"),
        ("select * from ducto_poll_events(repeat('x', 101))", "p_consumer"),
        ("select * from ducto_poll_events('b', 0)", "p_limit"),
        ("select * from ducto_poll_events('b', null)", "p_limit"),
        ("select * from ducto_poll_events('b', 1001)", "p_limit"),
        ("select * from ducto_poll_events('b', 1, p_lease_seconds => 0)", "p_lease_seconds"),
        ("select * from ducto_poll_events('b', 1, p_lease_seconds => null)", "p_lease_seconds"),
        ("select ducto_create_consumer('b', 'yesterday')", "p_from"),
        ("select ducto_create_consumer('b', null)", "p_from"),
        ("select ducto_create_consumer('b', 'now', 0)", "p_lanes"),
        ("select ducto_create_consumer('b', 'now', null)", "p_lanes"),
        ("select ducto_ack_events('nobody', 'x')", "p_consumer"),
        ("select ducto_ack_events(null, 'x')", "p_consumer"),
        ("select ducto_ack_events('there', 'x')", "p_cursor"),
        ("select ducto_ack_events('there', null)", "p_cursor"),
        ("select ducto_ack_events('there', '9999999999999999999-0000000000000000001')", "p_cursor"),
        ("select ducto_release_events('nobody', 'x')", "p_consumer"),
        ("select ducto_release_events('there', 'x')", "p_cursor"),
        ("select ducto_fail_event('nobody', 'x', 'error')", "p_consumer"),
        ("select ducto_fail_event('there', 'x', 'error')", "p_cursor"),
        (
            "select ducto_fail_event('there', '0000000000000000001-8999999999999999999', 'e')",
            "p_cursor",
        ),
        ("select * from ducto_list_dead_events('b', 0)", "p_limit"),
        ("select ducto_prune_events(0)", "p_limit"),
        ("select ducto_prune_events(null)", "p_limit"),
    ],
)
def test_what_makes_no_sense_is_refused(db: Connection, statement: str, argument: str) -> None:
    db.execute("select ducto_create_consumer('there')")
    before = cursors(db, "*")
    with pytest.raises(psycopg.Error) as caught:
        db.execute(statement.encode())
    assert caught.value.sqlstate == "DU017"
    assert f'"{argument}"' in (caught.value.diag.message_detail or "")
    assert cursors(db, "*") == before
