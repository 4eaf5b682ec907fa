"""The rollup on another server, whose transactions are not those it was made with, and beside
transactions that outlive their session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from subprocess import PIPE, run

import psycopg
import pytest

from ducto_pg.install.embedded import Cluster
from ducto_pg.install.migrate import migrate
from tests.analytics.scan import compare
from tests.analytics.test_rollup import USERS, lag, roll, spend
from tests.conftest import MakeDb
from tests.support.databases import Connection, open_connection
from tests.support.server import Server, programs_not_older

Connect = Callable[..., Connection]
ROLES = ("ducto_owner", "ducto_reader", "ducto_service", "ducto_admin")


@pytest.fixture
def elsewhere(cluster: Server) -> Iterator[Cluster]:
    """Another server, whose transaction ids begin anew."""
    with Cluster(programs_not_older(cluster), {"max_prepared_transactions": "2"}) as other:
        yield other


def exact(connection: Connection) -> None:
    """Reports are a scan, by user and in all."""
    now = datetime.now(UTC)
    for group_by in ([], ["user"]):
        compare(connection, now - timedelta(days=1), now + timedelta(days=1), group_by)


def funded(connection: Connection) -> None:
    for user in USERS:
        connection.execute("select ducto_add_credits(%s, 1000000)", [user])


def test_a_rollup_restored_on_another_server_goes_on(
    make_db: MakeDb, connect: Connect, elsewhere: Cluster
) -> None:
    dsn = make_db("portable")
    db, running = connect(dsn), connect(dsn)
    funded(db)
    for _ in range(2000):
        db.execute("select pg_current_xact_id()")
    for user in USERS:
        spend(db, user, 1)
    running.execute("begin")
    spend(running, USERS[0], 5)
    roll(db)
    for user in USERS[1:]:
        spend(db, user, 2)
    dump = run(
        [str(elsewhere.bin_dir / "pg_dump"), "--no-owner", dsn],
        stdout=PIPE, check=True,
    )  # fmt: skip
    running.execute("rollback")
    with psycopg.connect(elsewhere.dsn(), autocommit=True) as admin:
        for role in ROLES:
            admin.execute(f"create role {role}".encode())
        admin.execute("create database restored")
    target = elsewhere.dsn("restored")
    run(
        [str(elsewhere.bin_dir / "psql"), "-1", "-q", "-v", "ON_ERROR_STOP=1", target],
        input=dump.stdout, stdout=PIPE, check=True,
    )  # fmt: skip
    with open_connection(target) as restored, open_connection(target) as other:
        exact(restored)
        with other.transaction():
            spend(other, USERS[0], 7)
            spend(restored, USERS[1], 3)
            roll(restored)
            exact(restored)
        for _ in range(3):
            exact(restored)
            roll(restored)
            spend(restored, USERS[2], 1)
        roll(restored)
        exact(restored)
        assert lag(restored) == 0
        assert restored.execute("select * from ducto_check()").fetchall() == []


def test_a_prepared_transaction_that_commits_much_later_is_not_lost(elsewhere: Cluster) -> None:
    migrate(elsewhere.dsn(), evaluator="portable")
    with open_connection(elsewhere.dsn()) as db, open_connection(elsewhere.dsn()) as other:
        funded(db)
        roll(db)
        other.execute("begin")
        spend(other, USERS[0], 5)
        for user in USERS[1:]:
            spend(db, user, 1)
        roll(db)
        other.execute("prepare transaction 'two-phase'")
        for _ in range(3):
            for user in USERS[1:]:
                spend(db, user, 1)
            roll(db)
            exact(db)
        other.execute("commit prepared 'two-phase'")
        exact(db)
        assert lag(db) == 1
        assert roll(db)["entries"] == 1
        exact(db)
        assert (lag(db), roll(db)["entries"]) == (0, 0)
