"""Eight writers at full speed, some rolling back, and three consumers that are killed at random:
each consumer gets every committed event, none that was rolled back, in commit order per account."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest

from tests.storm.driver import SECONDS
from tests.support.databases import Connection

pytestmark = pytest.mark.storm

WRITERS = 8
CONSUMERS = ["billing", "mail", "audit"]
ACCOUNTS = [f"user-{number}" for number in range(40)]
CATCH_UP_SECONDS = 120


class Writer(threading.Thread):
    """Charges, grants and denials in transactions of several, every fourth one rolled back."""

    def __init__(self, dsn: str, number: int, deadline: float) -> None:
        super().__init__()
        self.dsn, self.random, self.deadline = dsn, random.Random(number), deadline
        self.failure: Exception | None = None

    def run(self) -> None:
        """Until the time is up."""
        try:
            with psycopg.connect(self.dsn, autocommit=True) as connection:
                while time.time() < self.deadline:
                    self.transaction(connection)
        except Exception as error:
            self.failure = error

    def transaction(self, connection: psycopg.Connection) -> None:
        """A few operations, in the order of the accounts, so that no two of them deadlock."""
        users = sorted(self.random.sample(ACCOUNTS, self.random.choice([1, 1, 1, 2, 3])))
        with connection.transaction(force_rollback=self.random.random() < 0.25):
            if self.random.random() < 0.1:
                # Its id is then older than those of others that charge before it does.
                connection.execute("select pg_current_xact_id()")
                time.sleep(self.random.random() / 50)
            for user in users:
                connection.execute(
                    "select ducto_deduct_amount(%s, %s, p_raise => false)",
                    [user, self.random.choice([1, 2, 10**9])],
                )
            if self.random.random() < 0.01:
                time.sleep(self.random.random() / 5)


class Killed:
    """A consumer that is killed at random moments and started again."""

    def __init__(self, dsn: str, name: str, log: Path) -> None:
        self.command = [sys.executable, "-m", "tests.events.worker", dsn, name, str(log)]
        self.log = log
        self.kills = 0
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        """Another process."""
        return subprocess.Popen(self.command, cwd=Path(__file__).parents[2])

    def kill(self) -> None:
        """As a crash does, between any two of its instructions."""
        self.process.kill()
        self.process.wait()
        self.kills += 1

    def events(self) -> list[tuple[int, str]]:
        """What its handler was given, in order; a line that was never ended does not count."""
        lines = self.log.read_text().split("\n") if self.log.exists() else []
        words = [line.split(" ") for line in lines if line.endswith(" .")]
        return [(int(number), user) for number, user, _ in words]


def committed(db: Connection) -> dict[int, str]:
    """Every event that exists, by its id: whose it is."""
    return dict(
        db.execute(
            "select id, account_id from ducto.credit_transactions"
            " union all select id, account_id from ducto.credit_events"
        ).fetchall()
    )


def test_consumers_that_crash_miss_nothing(
    db: Connection, dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for user in ACCOUNTS:
        db.execute("select ducto_add_credits(%s, 100000)", [user])
    consumers = [Killed(dsn, name, tmp_path / name) for name in CONSUMERS]
    begin = time.time()
    writers = [Writer(dsn, number, begin + SECONDS) for number in range(WRITERS)]
    chance = random.Random(1)
    try:
        for writer in writers:
            writer.start()
        while any(writer.is_alive() for writer in writers):
            time.sleep(chance.random())
            victim = chance.choice(consumers)
            victim.kill()
            victim.process = victim.start()
        assert [writer.failure for writer in writers] == [None] * WRITERS
        expected = committed(db)
        deadline = time.time() + CATCH_UP_SECONDS
        for consumer in consumers:
            while not set(expected) <= {number for number, _ in consumer.events()}:
                assert time.time() < deadline, f"{consumer.log.name} has not got everything"
                time.sleep(0.1)
        caught_up = time.time() - begin
    finally:
        for consumer in consumers:
            consumer.kill()
    delivered = 0
    for consumer in consumers:
        events = consumer.events()
        delivered += len(events)
        assert dict(events) == expected
        for user in ACCOUNTS:
            first_seen = list(dict.fromkeys(n for n, owner in events if owner == user))
            assert first_seen == sorted(first_seen), user
    with capsys.disabled():
        print(
            f"\nfeed storm, {WRITERS} writers, {SECONDS:g} s: {len(expected)} events committed,"
            f" {delivered} deliveries to {len(CONSUMERS)} consumers killed"
            f" {sum(consumer.kills for consumer in consumers)} times, caught up after"
            f" {caught_up:.1f} s"
        )
