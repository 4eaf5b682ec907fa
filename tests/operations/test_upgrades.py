"""Upgrading while the database is in use: charges go on, whoever else holds a lock."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from ducto_pg.install.manifest import Manifest, MigrationError, load_manifest, sql_root
from ducto_pg.install.migrate import migrate
from tests.conftest import Connect
from tests.support.catalog import snapshot
from tests.support.databases import Connection, open_connection
from tests.support.pricing import publish
from tests.support.waiting import until, until_blocked

# What a charge that came just behind a lock request waits, and a busy machine.
CHARGE_SECONDS_MAX = 1.5


@pytest.fixture
def changing(tmp_path: Path) -> Manifest:
    """A release that changes two tables every charge uses."""
    tree = Path(shutil.copytree(sql_root(), tmp_path / "sql"))
    (tree / "migrations" / "9000_extra.sql").write_text(
        "alter table ducto.credit_accounts add column extra integer;\n"
        "alter table ducto.credit_transactions add column extra integer;\n"
    )
    return load_manifest(tree)


@dataclass
class Charging:
    """What a session that charges all the time has seen."""

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@contextmanager
def charging(dsn: str) -> Iterator[Charging]:
    """Charge one account again and again, until the block ends."""
    seen, stop = Charging(), threading.Event()

    def charge() -> None:
        with open_connection(dsn) as connection:
            while not stop.is_set():
                started = time.monotonic()
                try:
                    connection.execute("select ducto_deduct_amount('busy', 1)")
                except psycopg.Error as error:
                    seen.errors.append(str(error))
                seen.seconds.append(time.monotonic() - started)

    thread = threading.Thread(target=charge)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def busy(db: Connection) -> Connection:
    """An account that can be charged for long."""
    publish(db, {"models": {"_default": "1"}})
    db.execute("select ducto_add_credits('busy', 1000000)")
    return db


def test_running_again_locks_no_table_for_anybody(
    busy: Connection, dsn: str, connect: Connect
) -> None:
    session = connect()
    session.execute("begin")
    before = snapshot(busy)
    migrate(session)
    rows = busy.execute(
        """
        select distinct c.relname, l.mode
        from pg_locks l
        join pg_class c on c.oid = l.relation and c.relnamespace = 'ducto'::regnamespace
        where l.pid = %s and c.relkind in ('r', 'v') and l.mode not in (
            'AccessShareLock', 'RowShareLock', 'RowExclusiveLock'
        )
        """,
        [session.info.backend_pid],
    ).fetchall()
    # Only what runs take their turn on.
    assert rows == [("migrations", "ShareRowExclusiveLock")]
    with charging(dsn) as seen:
        until(lambda: len(seen.seconds) > 20, "charges pass by")
    assert seen.errors == []
    session.execute("commit")
    assert snapshot(busy) == before


def test_a_reader_with_an_open_transaction_delays_an_upgrade_and_no_charge(
    busy: Connection, dsn: str, connect: Connect, changing: Manifest
) -> None:
    reader = connect(application_name="nightly report")
    reader.execute("begin")
    reader.execute("select count(*) from ducto.credit_transactions")
    reports: list[str] = []

    def let_go_after_two(report: str) -> None:
        reports.append(report)
        if len(reports) == 2:
            reader.execute("commit")

    with charging(dsn) as seen:
        until(lambda: len(seen.seconds) > 5, "charges have begun")
        report = migrate(busy, manifest=changing, on_retry=let_go_after_two)
        count = len(seen.seconds)
        until(lambda: len(seen.seconds) > count + 5, "charges go on")
    assert report.applied == ("9000_extra",)
    assert seen.errors == []
    assert max(seen.seconds) < CHARGE_SECONDS_MAX
    assert len(reports) >= 2
    assert f"pid {reader.info.backend_pid} (nightly report, role postgres, idle in" in reports[0]
    assert "transaction open for" in reports[0]
    assert "trying again in" in reports[0]


def test_an_upgrade_that_cannot_get_through_gives_up_and_says_why(
    busy: Connection, connect: Connect, changing: Manifest
) -> None:
    before = snapshot(busy)
    reader = connect(application_name="nightly report")
    reader.execute("begin")
    reader.execute("select count(*) from ducto.credit_accounts")
    with pytest.raises(MigrationError, match=r"gave up after 2 attempts.*nightly report"):
        migrate(busy, manifest=changing, lock_timeout_ms=50, retries=1)
    reader.execute("commit")
    assert snapshot(busy) == before
    assert migrate(busy, manifest=changing, retries=0).applied == ("9000_extra",)


def test_in_the_callers_transaction_it_is_tried_again_too(
    busy: Connection, connect: Connect, changing: Manifest
) -> None:
    reader = connect()
    reader.execute("begin")
    reader.execute("select count(*) from ducto.credit_accounts")
    busy.execute("begin")
    busy.execute("create table public.mine ()")
    busy.execute("set local search_path = public")

    def let_go(_: str) -> None:
        reader.execute("rollback")

    report = migrate(busy, manifest=changing, lock_timeout_ms=50, on_retry=let_go)
    assert report.applied == ("9000_extra",)
    row = busy.execute(
        "select current_setting('search_path'), to_regclass('mine')::text"
    ).fetchone()
    assert row == ("public", "mine")
    busy.execute("rollback")


def test_a_second_run_waits_for_the_first_without_being_in_anybodys_way(
    busy: Connection, dsn: str, connect: Connect, changing: Manifest
) -> None:
    first = connect()
    first.execute("begin")
    first.execute("lock table ducto.migrations in share row exclusive mode")
    done: list[tuple[str, ...]] = []
    thread = threading.Thread(target=lambda: done.append(migrate(dsn, manifest=changing).applied))
    thread.start()
    until_blocked(busy)
    with charging(dsn) as seen:
        until(lambda: len(seen.seconds) > 20, "charges pass by")
    first.execute("commit")
    thread.join()
    assert (seen.errors, done) == ([], [("9000_extra",)])


def test_no_other_role_can_keep_upgrades_or_publications_waiting(
    busy: Connection, connect: Connect
) -> None:
    # What they take their turn on belongs to the owner.
    stranger = connect()
    stranger.execute("create role ducto_test_stranger")
    stranger.execute("set role ducto_test_stranger")
    for table in ("migrations", "settings", "credit_accounts", "credit_pricing_config"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), stranger.transaction():
            stranger.execute(f"lock table ducto.{table} in access share mode".encode())
    stranger.execute("reset role")
    stranger.execute("drop role ducto_test_stranger")


def test_a_trigger_or_view_that_was_changed_by_hand_is_set_right(busy: Connection) -> None:
    before = snapshot(busy)
    busy.execute("alter table ducto.credit_transactions disable trigger append_only")
    busy.execute("drop trigger append_only_truncate on ducto.credit_transactions")
    assert snapshot(busy) != before
    migrate(busy)
    assert snapshot(busy) == before


def test_a_changed_trigger_is_declared_again(busy: Connection, tmp_path: Path) -> None:
    tree = Path(shutil.copytree(sql_root(), tmp_path / "sql"))
    file = tree / "routines" / "operations" / "append_only.sql"
    file.write_text(file.read_text().replace("before truncate on", "after truncate on"))
    (tree / "views").mkdir(exist_ok=True)
    view = tree / "views" / "recent.sql"
    for column in ("1 as one", "1 as one, 2 as two"):
        view.write_text(f"create or replace view ducto.recent as select {column};\n")
        migrate(busy, manifest=load_manifest(tree))
        migrate(busy, manifest=load_manifest(tree))
    row = busy.execute(
        "select pg_get_triggerdef(t.oid), (select count(*) from pg_attribute a"
        " where a.attrelid = 'ducto.recent'::regclass) from pg_trigger t"
        " where t.tgname = 'append_only_truncate'"
    ).fetchone()
    assert row is not None
    assert row[0].startswith("CREATE TRIGGER append_only_truncate AFTER TRUNCATE")
    assert row[1] == 2
