"""What calls cost in instructions: the same on every machine, whatever else it does.

    python -m bench.instructions [--calls 200] [--json]

Times of short calls vary by a tenth from one minute to the next; what the processor is told to do
does not. The server runs under callgrind, a tool of valgrind, which counts that, without what the
system does for it. Each figure is the difference of two sessions of which one makes so many calls
more than the other, a transaction each, so that what a session does once is not in it. Beside it,
how often the next instruction was not in a first-level cache of 32 kB: code that runs once per
transaction runs cold.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, LiteralString

import psycopg

from bench.lab import COST, METRICS, OTHER, Lab, lab, settle
from bench.pgbench import BenchError
from ducto_pg.exact_json import dumps

ACCOUNTS = 2_000
WARM = 12
BATCH = 100
END_SECONDS = 60
CACHES = ("--cache-sim=yes", "--I1=32768,8,64", "--D1=32768,8,64", "--LL=1048576,8,64")
DEDUCT = "select ducto_deduct(%s, %s::jsonb, %s)"
BARE = "select floor.bare(%s, %s::jsonb, %s)"
RESERVE = "select ducto_reserve(%s, p_metrics => %s::jsonb, p_idempotency_key => %s)"
SETTLE = "select ducto_settle(%s::uuid, %s::jsonb)"
HELD = (
    "select reservation_id from ducto.credit_reservations"
    " where account_id like 'pair\\_%' and status = 'active'"
)
NUMBERS = count(1)

Link = psycopg.Connection[Any]
Call = Callable[[Link, int], object]


@dataclass(frozen=True)
class Cost:
    """Of one call: instructions, and instructions that were not in the cache."""

    name: str
    instructions: float
    misses: float


def account(prefix: str, number: int) -> str:
    """Accounts in an order that scatters them."""
    return f"{prefix}{number * 1009 % ACCOUNTS + 1}"


def key() -> str:
    """A key that was never used."""
    return f"instructions {next(NUMBERS)}"


def charge(prefix: str, call: LiteralString = DEDUCT) -> Call:
    """A charge of an account of a kind."""
    return lambda link, n: link.execute(call, [account(prefix, n), dumps(METRICS), key()])


def turn(link: Link, number: int) -> object:
    """A charge for the other model than the account's last one was for."""
    metrics = (METRICS, OTHER)[number % 2]
    return link.execute(DEDUCT, [account("turns_", number // 2), dumps(metrics), key()])


def hold(link: Link, number: int) -> object:
    """A hold of what a usage costs."""
    return link.execute(RESERVE, [account("user_", number), dumps(METRICS), key()])


def batch(link: Link, number: int) -> object:
    """Charges of as many accounts."""
    charges = [
        {
            "user_id": account("user_", number * BATCH + place),
            "metrics": METRICS,
            "idempotency_key": key(),
        }
        for place in range(BATCH)
    ]
    return link.execute("select ducto_deduct_batch(%s::jsonb)", [dumps(charges)])


def calls(held: Iterator[Any]) -> dict[str, tuple[Call, int]]:
    """What is measured, and how many charges a call makes; held: holds to settle."""
    closed = count()
    return {
        "the floor": (
            lambda link, n: link.execute(
                "select floor.charge(%s, %s, %s)", [account("user_", n), COST, key()]
            ),
            1,
        ),
        "plain charge": (charge("user_"), 1),
        "bare: it checks nothing": (charge("user_", BARE), 1),
        "caps on the model": (charge("capped_"), 1),
        "account charged once": (
            lambda link, n: link.execute(
                DEDUCT, [f"once_{next(closed) + 1}", dumps(METRICS), key()]
            ),
            1,
        ),
        "two models in turn, two caps": (turn, 1),
        "hold": (hold, 1),
        "its settlement": (lambda link, n: link.execute(SETTLE, [*next(held), dumps(METRICS)]), 1),
        "charge of a batch of 100": (batch, BATCH),
    }


def session(opened: Lab, dsn: str, call: Call, turns: int) -> dict[str, int]:
    """What the server process of a session of so many calls counted."""
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=0) as link:
        process = link.info.backend_pid
        for number in range(turns):
            call(link, number)
    path = opened.cluster.data_dir / f"counts.{process}"
    deadline = time.monotonic() + END_SECONDS
    while time.monotonic() < deadline:
        if path.exists() and (found := totals(path.read_text())):
            return found
        time.sleep(0.05)
    raise BenchError("callgrind has written nothing")


def totals(text: str) -> dict[str, int] | None:
    """The events of a file of callgrind and their sums; None: it is not yet all there."""
    events = re.search(r"^events: (.+)$", text, re.MULTILINE)
    sums = re.search(r"^totals: (.+)$", text, re.MULTILINE)
    if events is None or sums is None:
        return None
    return dict(zip(events[1].split(), map(int, sums[1].split()), strict=True))


def measure(opened: Lab, turns: int) -> Iterator[Cost]:
    """Fill a database, start the server anew under callgrind, and count."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise BenchError("valgrind is missing: install the package of that name")
    dsn = opened.charging("portable", "capped_", "once_", "turns_", "pair_")
    with psycopg.connect(dsn, autocommit=True) as link:
        held = iter(link.execute(HELD).fetchall())
        settle(link)
    opened.cluster.kill(signal.SIGINT)
    opened.cluster.runner = (
        valgrind, "--tool=callgrind", "--trace-children=yes", *CACHES,
        f"--callgrind-out-file={opened.cluster.data_dir}/counts.%p",
    )  # fmt: skip
    opened.cluster.start()
    for name, (call, charges) in calls(held).items():
        # The first session of all builds what later ones find.
        session(opened, dsn, call, 1)
        few = session(opened, dsn, call, WARM)
        many = session(opened, dsn, call, WARM + turns // charges + 1)
        spent = {event: (many[event] - few[event]) / (turns // charges + 1) for event in few}
        yield Cost(name, spent["Ir"] / charges, spent["I1mr"] / charges)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.instructions", description=__doc__)
    parser.add_argument("--calls", type=int, default=200, help="of each kind (200)")
    parser.add_argument("--json", action="store_true", help="the counts as JSON")
    arguments = parser.parse_args()
    try:
        with lab(0, 0, (1,), ACCOUNTS, ("portable",)) as opened:
            found = list(measure(opened, arguments.calls))
    except BenchError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps([vars(each) for each in found]))
        return 0
    floor = found[0].instructions
    print(f"{'':32}{'instructions':>14}{'of the floor':>14}{'not in cache':>14}")
    for each in found:
        print(
            f"{each.name:32}{each.instructions:>14,.0f}{each.instructions / floor:>14.2f}"
            f"{each.misses:>14,.0f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
