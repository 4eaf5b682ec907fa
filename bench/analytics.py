"""Reports over thirty days on a ledger of ten million rows.

Guarantees: the data set is built here, once a run, the same one every time; each report is timed as
its client waits for it, several times over, on windows that begin in the middle of a day, which is
the dearer case; what the rollup answers is compared with a scan of the ledger first.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from bench.figures import Budget, Figure, figure
from bench.lab import Lab
from bench.pgbench import BenchError
from ducto_pg.install.migrate import migrate

HERE = Path(__file__).parent
ROWS = int(os.environ.get("DUCTO_BENCH_ROWS", "10000000"))
DAYS, USERS, SKEW = 90, 10_000, 2
CALLS = 7
REPORT = Budget(100, at_least=False)
REPORTS = {
    "spend by user": "ducto_spend_by_user(%(start)s, %(end)s)",
    "spend by model": "ducto_spend_by_model(%(start)s, %(end)s)",
    "top 20 users": "ducto_top_users(20, %(start)s, %(end)s)",
    "daily spend": "ducto_daily_spend(%(start)s, %(end)s)",
    "aggregate stats": "ducto_aggregate_stats(%(start)s, %(end)s)",
    "last 100 usage events": "ducto_list_usage_events(%(start)s, %(end)s)",
    "by team": "ducto_spend_report(%(start)s, %(end)s, '{team}')",
    "by model and day": "ducto_spend_report(%(start)s, %(end)s, '{model}', 'day')",
    "by operation and week": "ducto_spend_report(%(start)s, %(end)s, '{operation}', 'week')",
}
LARGE = "ducto_spend_report(%(start)s, %(end)s, '{user,model}')"
CHECK = """
    select
        (select sum(spent) from ducto_spend_by_model(%(start)s, %(end)s)),
        (select sum(e.spent) from ducto.credit_usage_entries e
            where e.happened_at >= %(start)s and e.happened_at < %(end)s)
"""


def reports(lab: Lab) -> Iterator[Figure]:
    """Build the ledger, roll it up, and time every report."""
    dsn = lab.create("analytics")
    migrate(dsn, evaluator="portable")
    with psycopg.connect(dsn, autocommit=True) as link:
        end = build(link)
        window = {"start": end - timedelta(days=30, hours=4, minutes=20), "end": end}
        seconds, largest = roll_up(link)
        yield figure("analytics", "rolling up all of it", "", "s", [seconds], None)
        yield figure("analytics", "of it, its longest call", "", "s", [largest], None)
        link.execute("vacuum analyze")
        found = link.execute(CHECK, window).fetchone()
        assert found is not None
        if found[0] != found[1]:
            raise BenchError(f"the reports say {found[0]} was spent, the ledger {found[1]}")
        for name, call in REPORTS.items():
            times = [timed(link, f"select * from {call}", window) for _ in range(CALLS)]
            yield figure("analytics", name, "", "ms", times, REPORT)
        times = [timed(link, f"select * from {LARGE}", window) for _ in range(CALLS)]
        yield figure("analytics", "by user and model, a row for each", "", "ms", times, None)
        window["end"] = end - timedelta(days=25, hours=-2)
        window["start"] = window["end"] - timedelta(days=30, minutes=30)
        for name in ("spend by user", "daily spend"):
            times = [timed(link, f"select * from {REPORTS[name]}", window) for _ in range(CALLS)]
            yield figure("analytics", f"{name}, an earlier month", "", "ms", times, REPORT)


def build(link: psycopg.Connection[Any]) -> datetime:
    """The ledger; the instant that its last charge was made."""
    end = datetime.fromisoformat("2026-11-19 14:37:11+00:00")
    link.execute((HERE / "usage.sql").read_bytes())
    with link.transaction():
        link.execute("set local session_replication_role = replica")
        link.execute("set local maintenance_work_mem = '1GB'")
        link.execute(
            "select bench.add_usage(%s::int, %s, %s, %s::float8, %s)",
            [ROWS, DAYS, USERS, SKEW, end],
        )
    link.execute("vacuum analyze")
    return end


def roll_up(link: psycopg.Connection[Any]) -> tuple[float, float]:
    """Roll everything up; how long that took, and the longest call of it."""
    calls = []
    while True:
        started = time.perf_counter()
        row = link.execute("select ducto_rollup_usage() -> 'complete'").fetchone()
        calls.append(time.perf_counter() - started)
        if row == (True,):
            return sum(calls), max(calls)


def timed(link: psycopg.Connection[Any], query: str, window: dict[str, datetime]) -> float:
    """Milliseconds until all rows have arrived."""
    started = time.perf_counter()
    link.execute(query.encode(), window).fetchall()
    return (time.perf_counter() - started) * 1000
