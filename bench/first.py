"""The first charge of a session, when nothing is compiled, planned or looked up yet.

Each is a session of its own, the floor's first call beside it: what a backend pays for its first
statement at all, and for PL/pgSQL's library, is in both.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from bench.figures import Budget, Figure, figure
from bench.lab import COST, EVALUATORS, METRICS, Lab
from ducto_pg.exact_json import dumps
from ducto_pg.install.script import Evaluator

SESSIONS = 20
QUICKLY = Budget(5, at_least=False)
# Where the price asks PL/Python, its interpreter starts.
EVALUATED: dict[Evaluator, Budget] = {
    "plpython": Budget(40, at_least=False),
    "portable": QUICKLY,
}
# A price of the benchmark's pricing that the evaluator tells.
TIERED = {**METRICS, "model": "claude-sonnet-4"}
FLOOR = "select floor.charge(%s, %s, %s)"
CHARGE = "select ducto_deduct(%s, %s::jsonb, %s)"


@dataclass(frozen=True)
class Call:
    """What one first call took: milliseconds as its client waited for it, microseconds of the
    backend's processor; null where the system does not tell."""

    milliseconds: float
    processor: float | None


def first(lab: Lab, names: dict[Evaluator, str]) -> Iterator[Figure]:
    """Within the headroom, with the headroom closed, at a price that the evaluator tells."""
    for evaluator in EVALUATORS:
        dsn = lab.charging(evaluator)
        kinds: dict[str, tuple[Any, Budget]] = {
            "within the headroom": (METRICS, QUICKLY),
            "its headroom closed": (METRICS, QUICKLY),
            "a price that is no sum of products": (TIERED, EVALUATED[evaluator]),
        }
        for place, (name, (metrics, budget)) in enumerate(kinds.items()):
            floors, charges = [], []
            for number in range(SESSIONS):
                user_id = f"user_{(place * SESSIONS + number) % lab.accounts + 1}"
                key = f"first {place} {number}"
                if name == "its headroom closed":
                    close(dsn, user_id)
                floors.append(call(dsn, FLOOR, [user_id, COST, key]))
                charges.append(call(dsn, CHARGE, [user_id, dumps(metrics), key]))
            times = [each.milliseconds for each in charges]
            floor, charge = processor(floors), processor(charges)
            backend = None if floor is None or charge is None else (floor, charge)
            yield figure("first", name, names[evaluator], "ms", times, budget, backend=backend)


def close(dsn: str, user_id: str) -> None:
    """Close the headroom of an account, as every operation but a charge does."""
    with psycopg.connect(dsn, autocommit=True) as link:
        link.execute("select ducto.lock_account(%s)", [user_id])


def call(dsn: str, statement: str, arguments: list[Any]) -> Call:
    """The first statement of a connection just made."""
    with psycopg.connect(dsn, autocommit=True) as link:
        before = used(link.info.backend_pid)
        started = time.perf_counter()
        link.execute(statement.encode(), arguments)
        milliseconds = (time.perf_counter() - started) * 1000
        after = used(link.info.backend_pid)
    return Call(milliseconds, None if before is None or after is None else after - before)


def used(pid: int) -> float | None:
    """Microseconds of processor time of a process so far; Linux tells to the nanosecond."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1000
    except OSError:
        return None


def processor(calls: list[Call]) -> float | None:
    """The median of their processor times."""
    known = [each.processor for each in calls if each.processor is not None]
    return median(known) if known else None
