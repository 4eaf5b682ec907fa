"""`ducto usage import` beside the calls of ducto_deduct_batch that it makes.

Guarantees: the command is timed from its start to its end, Python's included; the calls alone send
as many charges in batches of the same size, made ready beforehand; the two take turns, and a row
that was not charged ends the benchmark.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from bench.figures import Budget, Figure, figure
from bench.lab import METRICS, Lab
from bench.pgbench import BenchError
from ducto_pg.exact_json import dumps

ROWS, BATCH = 20_000, 500
TURNS = 3
IMPORT = Budget(0.6)
CALL = "select ducto_deduct_batch(%s::jsonb)"


def imports(lab: Lab) -> Iterator[Figure]:
    """Rows a second of the command, as a share of the calls'."""
    for evaluator in lab.evaluators:
        dsn = lab.charging(evaluator)
        called, imported = [], []
        for turn in range(TURNS):
            users = [f"user_{1 + random.randrange(lab.accounts)}" for _ in range(ROWS)]
            called.append(ROWS / time_calls(dsn, users, f"called {turn}"))
            imported.append(ROWS / time_import(dsn, users, f"imported {turn}"))
        ratios = [of / to for of, to in zip(imported, called, strict=True)]
        name = "PL/Python" if evaluator == "plpython" else evaluator
        yield figure("import", "ducto usage import", name, "of the batch call", ratios, IMPORT)
        yield figure("import", "its rows a second", name, "rows a second", imported, None)


def time_calls(dsn: str, users: list[str], key: str) -> float:
    """Seconds that the calls alone take."""
    charges = [
        {"user_id": user, "metrics": METRICS, "idempotency_key": f"{key}/{number}",
         "metadata": {"import": "usage.csv", "line": number + 2}}
        for number, user in enumerate(users)
    ]  # fmt: skip
    batches = [dumps(charges[first : first + BATCH]) for first in range(0, ROWS, BATCH)]
    with psycopg.connect(dsn, autocommit=True) as link:
        started = time.perf_counter()
        found = [link.execute(CALL, [batch]).fetchone() for batch in batches]
        taken = time.perf_counter() - started
    if any(item["status"] != "ok" for row in found if row is not None for item in row[0]):
        raise BenchError("a charge of a batch was refused")
    return taken


def time_import(dsn: str, users: list[str], key: str) -> float:
    """Seconds that the command takes."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "usage.csv"
        with path.open("w") as file:
            file.write(",".join(["user", "event", *METRICS]) + "\n")
            values = ",".join(str(value) for value in METRICS.values())
            for number, user in enumerate(users):
                file.write(f"{user},{key}/{number},{values}\n")
        command = [sys.executable, "-m", "ducto_pg.cli.main", "usage", "import", str(path)]
        command += ["--dsn", dsn, "--user-column", "user", "--key-column", "event"]
        started = time.perf_counter()
        done = subprocess.run(
            [*command, "--batch-size", str(BATCH)], capture_output=True, text=True
        )
        taken = time.perf_counter() - started
    if done.returncode != 0:
        raise BenchError(f"ducto usage import failed: {done.stderr.strip() or done.stdout.strip()}")
    return taken
