"""`python -m bench`: what a charge costs, beside the floor; prints ratios with their budgets."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from datetime import UTC, datetime
from typing import Any

from bench.figures import Figure, heading
from bench.lab import EVALUATORS, Lab, lab
from bench.parts import PARTS
from bench.pgbench import BenchError
from ducto_pg.install.embedded import EmbeddedError, server_version

ACCOUNTS, QUICK_ACCOUNTS = 100_000, 10_000
QUICK_PARTS = (
    "plain", "plan", "pipeline", "pair", "batch", "import", "hot", "growth", "size", "first",
    "migrate",
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parts asked for; 1 and one sentence where they cannot run."""
    options = arguments(argv)
    names = options.part or (QUICK_PARTS if options.quick else tuple(PARTS))
    figures: list[Figure] = []
    try:
        # Under --json the report goes where it does not mix with the JSON.
        with (
            redirect_stdout(sys.stderr if options.json else sys.stdout),
            lab(
                options.seconds,
                options.rounds,
                options.clients,
                options.accounts,
                tuple(options.evaluator),
            ) as opened,
        ):
            report(opened, names, figures)
    except (BenchError, EmbeddedError) as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        found = {"machine": machine(opened), "figures": [each.record() for each in figures]}
        print(json.dumps(found, indent=2))
    return 0


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line, with what --quick or its absence leaves to be filled in."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--part", action="append", choices=PARTS, help="only this part; may be repeated"
    )
    parser.add_argument(
        "--quick", action="store_true", help="under three minutes: rough, and not all parts"
    )
    parser.add_argument("--seconds", type=positive, help="of each side in a round (1)")
    parser.add_argument("--rounds", type=positive, help="of each comparison (7)")
    parser.add_argument("--clients", type=counts, help="numbers of clients (1,4,16)")
    parser.add_argument("--accounts", type=positive, help=f"accounts to charge ({ACCOUNTS})")
    parser.add_argument(
        "--evaluator", action="append", choices=EVALUATORS, help="only this one (quick: plpython)"
    )
    parser.add_argument("--json", action="store_true", help="figures as JSON on standard output")
    options = parser.parse_args(argv)
    quick = options.quick
    options.seconds = options.seconds or (0.5 if quick else 1)
    options.rounds = options.rounds or (3 if quick else 7)
    options.clients = options.clients or ((1, 16) if quick else (1, 4, 16))
    options.evaluator = options.evaluator or (["plpython"] if quick else list(EVALUATORS))
    options.accounts = options.accounts or (QUICK_ACCOUNTS if quick else ACCOUNTS)
    return options


def positive(text: str) -> int:
    """A number of at least one."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def counts(text: str) -> tuple[int, ...]:
    """Numbers with commas between them."""
    return tuple(positive(word) for word in text.split(","))


def report(opened: Lab, names: Sequence[str], figures: list[Figure]) -> None:
    """Print the figures as they come, and collect them."""
    started = time.monotonic()
    print(describe(opened), flush=True)
    for name in names:
        part = PARTS[name]
        print(heading(part.title, part.unit), flush=True)
        for each in part.measure(opened):
            figures.append(each)
            print(each.line(), flush=True)
    missed = [each for each in figures if each.mark == "missed"]
    kept = sum(1 for each in figures if each.mark == "ok")
    print(
        f"\n{kept} figures within their budgets, {len(missed)} missed;"
        f" {time.monotonic() - started:.0f} s"
    )


def machine(opened: Lab) -> dict[str, Any]:
    """What the figures were measured on, when, and how thoroughly."""
    return {
        "postgresql": server_version(opened.cluster.bin_dir)[1],
        "architecture": platform.machine(),
        "processors": os.cpu_count() or 1,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "accounts": opened.accounts,
        "rounds": opened.rounds,
        "seconds": opened.seconds,
    }


def describe(opened: Lab) -> str:
    """The head of the report: the machine, and how to read what follows."""
    return (
        "PostgreSQL {postgresql}, {architecture}, {processors} processors, {date};"
        " {accounts:,} accounts, {rounds} rounds of {seconds:g} s\n"
        "The median of the rounds, then the lowest and the highest; the budget; on the right the\n"
        "backend's processor time per charge: of what it is compared with, and its own."
    ).format(**machine(opened))


if __name__ == "__main__":
    # Ended from outside, the server and its directory go too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
