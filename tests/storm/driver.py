"""Starts the processes of a storm, and holds what they were told against what is there.

`DUCTO_STORM_SECONDS` says how long a storm lasts; a run of all tests makes it a short one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.storm.config import pricing
from tests.storm.worker import OPERATIONS
from tests.support.databases import Connection, loads, open_connection
from tests.support.pricing import publish

SECONDS = float(os.environ.get("DUCTO_STORM_SECONDS", "3"))
PROCESSES = 16
ACCOUNTS = ["anna", "bert", "cleo", "dora", "emil"]
GRACE_SECONDS = 180
# Long enough for every kind of operation to have happened.
LONG = 20

Record = dict[str, Any]


class Storm:
    """Sixteen processes on one database, and what each has written down."""

    def __init__(self, dsn: str, folder: Path, level: str, *, outage: bool = False) -> None:
        self.dsn = dsn
        self.level = level
        self._outage = outage
        self._logs = [folder / f"worker-{number}" for number in range(PROCESSES)]
        self._workers: list[subprocess.Popen[str]] = []
        with open_connection(dsn) as db:
            publish(db, pricing(1))
            db.execute("create table messages (key text primary key, account_id text not null)")

    def run(self, meanwhile: Callable[[float], None]) -> None:
        """Let the storm loose; `meanwhile` is called with the seconds that have passed of it."""
        try:
            for number, log in enumerate(self._logs):
                self._workers.append(self._start(number, log))
            for worker in self._workers:
                assert worker.stdout is not None and worker.stdout.readline() == "ready\n"
            begin = time.time()
            for worker in self._workers:
                assert worker.stdin is not None
                worker.stdin.write(f"{begin + SECONDS}\n")
                worker.stdin.flush()
            while (passed := time.time() - begin) < SECONDS:
                meanwhile(passed)
            for worker in self._workers:
                worker.wait(GRACE_SECONDS)
        finally:
            for worker in self._workers:
                worker.kill()
                worker.communicate()

    def _start(self, number: int, log: Path) -> subprocess.Popen[str]:
        settings = {
            "dsn": self.dsn,
            "number": number,
            "level": self.level,
            "accounts": ACCOUNTS,
            "output": str(log),
            "outage": self._outage,
        }
        command = [sys.executable, "-m", "tests.storm.worker", json.dumps(settings)]
        return subprocess.Popen(
            command,
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def records(self) -> list[Record]:
        """Everything the workers wrote down; fails where one of them failed."""
        records: list[Record] = [
            loads(line) for log in self._logs for line in log.read_text().splitlines()
        ]
        failures = [r["failure"] for r in records if "failure" in r]
        assert not failures, failures
        assert [worker.returncode for worker in self._workers] == [0] * PROCESSES
        return records

    def report(self, records: list[Record]) -> str:
        """What happened, in a line or two."""
        kinds = Counter(r["op"] for r in records)
        refused = Counter(r["refused"] for r in records if "refused" in r)
        charges = sum(
            entry["kind"] == "charge" and not entry["replayed"] for entry in acknowledged(records)
        )
        retries = sum(r.get("retries", 0) for r in records)
        if SECONDS >= LONG:
            assert {*OPERATIONS} <= {*kinds}, "not every kind of operation has happened"
        return (
            f"storm, {self.level}, {PROCESSES} processes, {SECONDS:g} s: {len(records)} operations"
            f" ({len(records) / SECONDS:.0f}/s), {charges} charges ({charges / SECONDS:.0f}/s),"
            f" {retries} serialisation retries, refused {dict(refused)}"
        )


def acknowledged(records: list[Record]) -> list[Record]:
    """Every ledger entry that some worker was told of, by its id."""
    entries = []
    for record in records:
        value = record.get("value")
        for item in value if isinstance(value, list) else [value]:
            if not isinstance(item, dict) or "transaction_id" not in item:
                continue
            is_charge = "breakdown" in item
            is_taken = is_charge or "revoked_transaction_id" in item
            entries.append({
                "id": int(item["transaction_id"]),
                "kind": "charge" if is_charge else record["op"],
                "amount": -Decimal(item["amount"]) if is_taken else Decimal(item["amount"]),
                "balance_after": Decimal(item["balance_after"]),
                "user": item["user_id"],
                "replayed": item["replayed"],
            })  # fmt: skip
    return entries


def expect_everything_kept(db: Connection, records: list[Record]) -> None:
    """What was acknowledged is there as it was acknowledged, and nothing else is."""
    stored = {
        row[0]: row[1:]
        for row in db.execute(
            "select id, account_id, amount, balance_after, metadata ? 'worker'"
            " from ducto.credit_transactions"
        )
    }
    told = acknowledged(records)
    for entry in told:
        assert entry["id"] in stored, f"lost: {entry}"
        assert stored[entry["id"]][:3] == (entry["user"], entry["amount"], entry["balance_after"])
    assert {entry["id"] for entry in told} == {key for key, row in stored.items() if row[3]}
    # An acknowledged hold is there, and a row of the application's if and only if its charge is.
    holds = {
        str(row[0]) for row in db.execute("select reservation_id from ducto.credit_reservations")
    }
    named = [r["value"] for r in records if r["op"] == "reserve" and r.get("value")]
    assert {value["reservation_id"] for value in named if value["status"] == "ok"} <= holds
    messages = {row[0] for row in db.execute("select key from messages")}
    assert messages == {
        row[0]
        for row in db.execute(
            "select t.idempotency_key from ducto.credit_transactions t"
            " where t.idempotency_key = any (%s)",
            [[*messages]],
        )
    }
    expect_books_to_hold(db)


def expect_books_to_hold(db: Connection) -> None:
    """The invariants, with every price recomputed and the sums of the ledger counted anew."""
    violations = db.execute("select * from ducto_check()").fetchall()
    assert violations == [], violations
    assert db.execute("select * from ducto.check_prices(100000000)").fetchall() == []
    db.execute("select ducto_expire_reservations()")
    # One transaction and one instant: a lot that lapses in between would be nobody's fault.
    with db.transaction():
        db.execute("insert into ducto.settings values ('test_clock', 'on')")
        db.execute("select set_config('ducto.clock', clock_timestamp()::text, true)")
        db.execute("select * from ducto_sweep_expired_credits()")
        wrong = db.execute(
            "select account_id, sum(amount), ducto_get_balance(account_id)"
            " from ducto.credit_transactions group by account_id"
            " having sum(amount) <> (ducto_get_balance(account_id) -> 'balance')::numeric"
        ).fetchall()
        db.execute("delete from ducto.settings where key = 'test_clock'")
    assert wrong == []
    violations = db.execute("select * from ducto_check()").fetchall()
    assert violations == [], violations
    versions = db.execute(
        "select count(*) = max(version), count(*) filter (where active)"
        " from ducto.credit_pricing_config"
    ).fetchone()
    assert versions == (True, 1)


def watch(db: Connection) -> None:
    """What any reader may rely on at every moment: one active version, and books that hold."""
    active = "select count(*) from ducto.credit_pricing_config where active"
    assert db.execute(active).fetchone() == (1,)
    violations = db.execute("select * from ducto_check()").fetchall()
    assert violations == [], violations
