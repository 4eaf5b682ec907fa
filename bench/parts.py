"""The parts of the benchmark: what is measured, and the budget that each figure has."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg

from bench import analytics, pricing
from bench.figures import Budget, Figure, figure
from bench.lab import EVALUATORS, HISTORY_ACCOUNTS, METRICS, Lab, bulk, settle
from bench.pgbench import BenchError, Comparison
from ducto_pg.exact_json import dumps
from ducto_pg.install.script import Evaluator

NAMES: dict[Evaluator, str] = {"plpython": "PL/Python", "portable": "portable"}
HOT_CLIENTS = 32
BATCH = 100
# More than any machine gets through: an empty batch would be fast for nothing.
BATCHES_PER_SECOND = 400
FRESH_SESSIONS = 20
MIGRATIONS = 3
FLOOR = "of the floor"


@dataclass(frozen=True)
class Part:
    """A part: what it says above its figures, and how it gets them."""

    title: str
    unit: str
    budget: Budget | None
    measure: Callable[[Lab], Iterator[Figure]]


def plain(lab: Lab) -> Iterator[Figure]:
    """A charge priced from an expression; no plan, no caps."""
    for evaluator in EVALUATORS:
        dsn = lab.charging(evaluator)
        yield from mixed(lab, "plain", evaluator, dsn, {"charge.sql": "plain"}, PLAIN)
        yield from against_floor(lab, "plain", evaluator, dsn, "charge.sql", PLAIN)


def plan(lab: Lab) -> Iterator[Figure]:
    """With a plan allowance and two caps: the allowance pays, or is used up and the caps count."""
    scripts = {
        "charge_large_plan.sql": "the allowance pays",
        "charge_small_plan.sql": "allowance used up, caps count",
    }
    for evaluator in EVALUATORS:
        dsn = lab.charging(evaluator, "large", "small")
        yield from mixed(lab, "plan", evaluator, dsn, scripts, PLAN)
        yield from against_floor(lab, "plan", evaluator, dsn, "charge_small_plan.sql", PLAN)


def history(lab: Lab) -> Iterator[Figure]:
    """After a month of charges, with many models and versions, against none."""
    for evaluator in EVALUATORS:
        empty, full = (lab.history(evaluator, full=each) for each in (False, True))
        found = lab.pgbench.compare(
            lab.load(empty, "charge_small_plan.sql", accounts=HISTORY_ACCOUNTS),
            lab.load(full, "charge_small_plan.sql", accounts=HISTORY_ACCOUNTS),
            1,
            seconds=lab.seconds,
            rounds=lab.rounds,
        )
        yield compared("history", "10,000 charges before it", evaluator, 1, found, HISTORY)


def batch(lab: Lab) -> Iterator[Figure]:
    """A batch of charges against as many calls."""
    count = BATCHES_PER_SECOND * lab.seconds * (lab.rounds + 1)
    for evaluator in EVALUATORS:
        dsn = lab.charging(evaluator)
        with psycopg.connect(dsn, autocommit=True) as link:
            bulk(
                link,
                "select bench.add_batches('user_', %s, %s, %s::jsonb)",
                lab.accounts,
                count,
                dumps(METRICS),
            )
            settle(link)
        found = lab.pgbench.compare(
            lab.load(dsn, "charge.sql"),
            lab.load(dsn, "charge_batch.sql", charges=BATCH),
            1,
            seconds=lab.seconds,
            rounds=lab.rounds,
        )
        check_batches(dsn, count)
        yield compared("batch", "one call of 100", evaluator, 1, found, BATCHED, "times")


def check_batches(dsn: str, count: int) -> None:
    """A batch that charged nothing would be fast: every charge of every batch is in the ledger."""
    with psycopg.connect(dsn) as link:
        row = link.execute(
            "select s.last_value, (select count(*) from ducto.credit_transactions t"
            " where t.idempotency_key like 'batch %') from bench.next_batch s"
        ).fetchone()
    assert row is not None
    taken, charged = row
    if taken > count:
        raise BenchError(f"the {count} batches prepared were too few for this machine")
    if charged != taken * BATCH:
        raise BenchError(f"{taken} batches of {BATCH} charges wrote {charged} charges")


def hot(lab: Lab) -> Iterator[Figure]:
    """One account that everybody charges at once."""
    for evaluator in EVALUATORS:
        dsn = lab.charging(evaluator)
        found = lab.pgbench.compare(
            lab.load(dsn, "charge_floor.sql", accounts=1),
            lab.load(dsn, "charge.sql", accounts=1),
            HOT_CLIENTS,
            seconds=lab.seconds,
            rounds=lab.rounds,
        )
        yield compared("hot", "plain, one account", evaluator, HOT_CLIENTS, found, HOT)


def first(lab: Lab) -> Iterator[Figure]:
    """The first charge of a session, as its client waits for it."""
    for evaluator in EVALUATORS:
        dsn = lab.charging(evaluator)
        times = [first_charge(dsn, number) for number in range(FRESH_SESSIONS)]
        yield figure(
            "first", "first charge of a session", NAMES[evaluator], "ms", times, FIRST[evaluator]
        )


def first_charge(dsn: str, number: int) -> float:
    """Milliseconds from sending the charge to its result, on a connection just made."""
    with psycopg.connect(dsn, autocommit=True) as link:
        started = time.perf_counter()
        link.execute(
            "select ducto_deduct(%s, %s::jsonb, %s)",
            [f"user_{number + 1}", dumps(METRICS), f"first {number}"],
        )
        return (time.perf_counter() - started) * 1000


def migration(lab: Lab) -> Iterator[Figure]:
    """The command, from its start to its end."""
    for evaluator in EVALUATORS:
        times = []
        for number in range(MIGRATIONS):
            dsn = lab.create(f"migrated_{evaluator}_{number}")
            command = [sys.executable, "-m", "ducto_pg.cli.main", "migrate", "--dsn", dsn]
            started = time.perf_counter()
            done = subprocess.run(
                [*command, "--evaluator", evaluator], capture_output=True, text=True
            )
            times.append(time.perf_counter() - started)
            if done.returncode != 0:
                raise BenchError(f"ducto migrate failed: {done.stderr.strip()}")
        yield figure("migrate", "ducto migrate", NAMES[evaluator], "s", times, MIGRATE)


def prices(lab: Lab) -> Iterator[Figure]:
    """Pricing alone, which prints its own table."""
    pricing.measure(lab.cluster.dsn())
    yield from ()


def against_floor(
    lab: Lab, part: str, evaluator: Evaluator, dsn: str, script: str, budget: Budget
) -> Iterator[Figure]:
    """A script against the floor, for each number of clients."""
    names = {"charge.sql": "plain", "charge_small_plan.sql": "allowance used up, caps count"}
    for clients in lab.clients:
        found = lab.pgbench.compare(
            lab.load(dsn, "charge_floor.sql"),
            lab.load(dsn, script),
            clients,
            seconds=lab.seconds,
            rounds=lab.rounds,
        )
        yield compared(part, names[script], evaluator, clients, found, budget)


def mixed(
    lab: Lab, part: str, evaluator: Evaluator, dsn: str, scripts: dict[str, str], budget: Budget
) -> Iterator[Figure]:
    """Scripts and the floor in turns of one and the same client."""
    found = lab.pgbench.mixed(
        lab.load(dsn, "charge_floor.sql", *scripts),
        seconds=lab.seconds,
        rounds=lab.rounds,
    )
    for place, name in enumerate(scripts.values()):
        ratios = [each[place] for each in found]
        named = f"{name} (mixed)"
        yield figure(part, named, NAMES[evaluator], FLOOR, ratios, budget, clients=1)


def compared(
    part: str,
    name: str,
    evaluator: Evaluator,
    clients: int,
    found: Comparison,
    budget: Budget,
    unit: str = FLOOR,
) -> Figure:
    """The figure of a comparison."""
    return figure(
        part,
        name,
        NAMES[evaluator],
        "of the empty case" if part == "history" else unit,
        found.ratios,
        budget,
        clients=clients,
        backend=found.backend,
    )


PLAIN = Budget(0.65)
PLAN = Budget(0.5)
HISTORY = Budget(0.95)
BATCHED = Budget(8)
HOT = Budget(1.0)
FIRST: dict[Evaluator, Budget] = {
    "plpython": Budget(40, at_least=False),
    "portable": Budget(5, at_least=False),
}
MIGRATE = Budget(2, at_least=False)

PARTS = {
    "plain": Part("A charge priced from an expression", FLOOR, PLAIN, plain),
    "plan": Part("With a plan's allowance and two caps", FLOOR, PLAN, plan),
    "history": Part(
        "The same after 10,000 charges in the month, 2,000 models, 100 versions",
        "of the empty case",
        HISTORY,
        history,
    ),
    "batch": Part("A batch, per charge", "times single calls", BATCHED, batch),
    "hot": Part("One account, many clients", "of the floor's own hot account", HOT, hot),
    "first": Part(
        "The first charge of a session", "ms, under 40 with PL/Python, under 5 portable",
        None, first,
    ),
    "migrate": Part("ducto migrate on an empty database", "seconds", MIGRATE, migration),
    "pricing": Part("Pricing alone", "microseconds, under 10", None, prices),
    "analytics": Part(
        "Reports over 30 days on 10 million charges", "ms, under 100", None, analytics.reports
    ),
}  # fmt: skip
