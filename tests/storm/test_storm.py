"""Sixteen processes, every kind of operation, few accounts: nothing deadlocks, nothing is lost,
the books hold at every moment; also when the server is killed in the middle of it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ducto_pg.install.embedded import Cluster
from ducto_pg.install.migrate import migrate
from tests.storm.driver import LONG, PROCESSES, SECONDS, Storm, expect_everything_kept, watch
from tests.support.databases import Connection, open_connection
from tests.support.server import server_programs

pytestmark = pytest.mark.storm

WATCH_EVERY_SECONDS = 1.0


@pytest.mark.parametrize("level", ["read committed", "serializable"])
def test_a_storm_loses_nothing(
    db: Connection, dsn: str, tmp_path: Path, level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    storm = Storm(dsn, tmp_path, level)

    def meanwhile(_: float) -> None:
        watch(db)
        time.sleep(WATCH_EVERY_SECONDS)

    storm.run(meanwhile)
    records = storm.records()
    with capsys.disabled():
        print(f"\n{storm.report(records)}")
    expect_everything_kept(db, records)
    deadlocks = "select deadlocks from pg_stat_database where datname = current_database()"
    assert db.execute(deadlocks).fetchone() == (0,)


@pytest.fixture
def durable() -> Iterator[Cluster]:
    """A server of our own that flushes what it commits, as one in production does."""
    with Cluster(server_programs(), durable=True) as cluster:
        yield cluster


def running() -> dict[int, int]:
    """Every process that is not a zombie, and its parent."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True)
    rows = [line.split() for line in listed.stdout.splitlines()]
    return {int(pid): int(parent) for pid, parent, state in rows if not state.startswith("Z")}


def kill_at_once(cluster: Cluster) -> None:
    """`kill -9` of the server and every process of it, which get no chance to tidy up."""
    postmaster = int((cluster.data_dir / "postmaster.pid").read_text().split()[0])
    # Stopped, it starts no process that the list would not have.
    os.kill(postmaster, signal.SIGSTOP)
    children = [pid for pid, parent in running().items() if parent == postmaster]
    assert len(children) > PROCESSES, "the storm is not raging"
    cluster.kill(signal.SIGKILL)
    for pid in children:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    # Until the last is gone its shared memory is in use, and no new server starts.
    while running().keys() & set(children):
        time.sleep(0.01)


def test_a_server_killed_in_a_storm_keeps_what_it_acknowledged(
    durable: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with psycopg.connect(durable.dsn(), autocommit=True) as connection:
        connection.execute("create database storm")
    dsn = durable.dsn("storm")
    migrate(dsn)
    storm = Storm(dsn, tmp_path, "read committed", outage=True)
    # A long storm is hit twice: the second time it meets what the first recovery left.
    moments = [SECONDS / 3, SECONDS * 2 / 3] if SECONDS >= LONG else [SECONDS / 2]
    hits = len(moments)

    def meanwhile(passed: float) -> None:
        if moments and passed > moments[0]:
            del moments[0]
            kill_at_once(durable)
            durable.start()
            with open_connection(dsn) as db:
                watch(db)
        time.sleep(0.05)

    storm.run(meanwhile)
    assert moments == []
    records = storm.records()
    outages = [record for record in records if record["op"] == "reconnect"]
    assert len(outages) >= hits * PROCESSES
    with capsys.disabled():
        print(f"\nserver killed; {storm.report(records)}")
    with open_connection(dsn) as db:
        expect_everything_kept(db, records)
