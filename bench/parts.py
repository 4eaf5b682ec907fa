"""The parts of the benchmark: what is measured, and the budget that each figure has."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import psycopg

from bench import analytics, imports, pricing, size
from bench import first as sessions
from bench.figures import Budget, Figure, figure
from bench.lab import EVALUATORS, FEW, HISTORY_ACCOUNTS, METRICS, Lab, bulk, settle
from bench.pgbench import BenchError, Comparison, Script
from ducto_pg.exact_json import dumps
from ducto_pg.install.script import Evaluator

NAMES: dict[Evaluator, str] = {"plpython": "PL/Python", "portable": "portable"}
HOT_CLIENTS = 32
BATCH = 100
# More than any machine gets through: an empty batch would be fast for nothing.
BATCHES_PER_SECOND = 400
MIGRATIONS = 3
FLOOR = "of the floor"
CHARGE_SCRIPT, TURNS = "charge.sql", "charge_turns.sql"


@dataclass(frozen=True)
class Part:
    """A part: what it says above its figures, and how it gets them."""

    title: str
    unit: str
    measure: Callable[[Lab], Iterator[Figure]]


def plain(lab: Lab) -> Iterator[Figure]:
    """A charge priced from an expression; no plan, no caps. Then one that checks nothing, the bound
    of what leaving checks out could bring."""
    for evaluator in lab.evaluators:
        dsn = lab.charging(evaluator)
        for found in against_floor(lab, "plain", "plain", evaluator, dsn, "user_", CHARGE):
            yield found
            yield from behind(found)
        name, script = "bare: the same without a check", "charge_bare.sql"
        yield from against_floor(lab, "plain", name, evaluator, dsn, "user_", UNBOUND, script)


def behind(found: Figure) -> Iterator[Figure]:
    """What the server did for it: the floor's processor time as a share of the charge's, and the
    log the charge wrote, page images included, as a multiple of the floor's."""
    part, evaluator, clients = found.part, found.evaluator, found.clients
    if found.backend is not None:
        floor, charge = found.backend
        name, values = "  backend time, the floor's of the charge's", [floor / charge]
        yield figure(part, name, evaluator, FLOOR, values, BACKEND, clients=clients)
    if found.log is not None:
        floor, charge = found.log
        unit, values = "times the floor's", [charge / floor]
        name = f"  log, {charge:.0f} of {floor:.0f} bytes"
        yield figure(part, name, evaluator, unit, values, size.LOG, clients=clients)


def plan(lab: Lab) -> Iterator[Figure]:
    """With a plan's allowance, a plan and two caps, an open hold: beside the plain charge, and
    beside the floor."""
    for evaluator in lab.evaluators:
        dsn = lab.charging(evaluator, *PLANNED)
        yield from mixed(lab, "plan", evaluator, dsn, "user_", PLANNED, PLAIN, lab.accounts)
        for prefix in ("small_", "held_", "capped_"):
            name = PLANNED[prefix]
            yield from against_floor(lab, "plan", name, evaluator, dsn, prefix, PLAN)


def pipeline(lab: Lab) -> Iterator[Figure]:
    """Charges that find the headroom closed: on accounts that are charged only once, and on
    accounts with two caps on a model whose charges name two models in turn."""
    name = "two models in turn, two caps"
    for evaluator in lab.evaluators:
        dsn = lab.charging(evaluator, "once_", "turns_")
        for clients in lab.clients:
            yield once(lab, evaluator, dsn, clients)
        yield from against_floor(
            lab, "pipeline", name, evaluator, dsn, "turns_", PIPELINE, TURNS, charges=2
        )


def once(lab: Lab, evaluator: Evaluator, dsn: str, clients: int) -> Figure:
    """Every charge is the first of its account since its headroom was closed."""
    with psycopg.connect(dsn, autocommit=True) as link:
        link.execute("select bench.close_accounts('once_')")
        link.execute("select setval('bench.next_account', 1, false)")
        settle(link)
    found = lab.pgbench.compare(
        lab.load(dsn, "charge_floor.sql"),
        lab.load(dsn, Script("charge_once.sql", "once_"), accounts=lab.count("once_")),
        clients,
        seconds=lab.seconds,
        rounds=lab.rounds,
    )
    with psycopg.connect(dsn) as link:
        row = link.execute("select last_value from bench.next_account").fetchone()
    assert row is not None
    if row[0] > lab.count("once_"):
        raise BenchError(f"{lab.count('once_')} accounts were too few for this machine")
    name = "accounts charged once"
    return compared("pipeline", name, evaluator, clients, found, PIPELINE[clients > 1])


def pair(lab: Lab) -> Iterator[Figure]:
    """A hold and its settlement, as streamed answers are charged; a call each."""
    name = "reserve and settle"
    for evaluator in lab.evaluators:
        dsn = lab.charging(evaluator, "pair_")
        script = "reserve_settle.sql"
        yield from against_floor(lab, "pair", name, evaluator, dsn, "pair_", PAIR, script)


def growth(lab: Lab) -> Iterator[Figure]:
    """Accounts with many lots or many holds beside such with one lot, and no hold; within the
    headroom, and where it is closed."""
    for evaluator in lab.evaluators:
        for base, kinds in GROWN.items():
            dsn = lab.charging(evaluator, base, *kinds)
            script = TURNS if base == "turns_one_" else CHARGE_SCRIPT
            yield from mixed(lab, "growth", evaluator, dsn, base, kinds, GROWTH, FEW, script)


def history(lab: Lab) -> Iterator[Figure]:
    """After a month of charges, with many models and versions, against none."""
    for evaluator in lab.evaluators:
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
    count = int(BATCHES_PER_SECOND * (lab.seconds * lab.rounds + 1))
    for evaluator in lab.evaluators:
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
        for kind, name in BATCHES.items():
            found = lab.pgbench.compare(
                lab.load(dsn, "charge.sql"),
                lab.load(dsn, "charge_batch.sql", charges=BATCH, kind=kind),
                1,
                seconds=lab.seconds,
                rounds=lab.rounds,
            )
            check_batches(dsn, kind, count)
            yield compared("batch", name, evaluator, 1, found, BATCHED, "times")


def check_batches(dsn: str, kind: str, count: int) -> None:
    """A batch that charged nothing would be fast: every charge of every batch is in the ledger."""
    with psycopg.connect(dsn) as link:
        row = link.execute(
            "select currval, (select count(*) from ducto.credit_transactions t"
            " where starts_with(t.idempotency_key, %s))"
            " from pg_sequence_last_value(%s::text::regclass) as currval",
            [f"batch {kind}/", f"bench.next_{kind}"],
        ).fetchone()
    assert row is not None
    taken, charged = row
    if taken > count:
        raise BenchError(f"the {count} batches prepared were too few for this machine")
    if charged != taken * BATCH:
        raise BenchError(f"{taken} batches of {BATCH} charges wrote {charged} charges")


def hot(lab: Lab) -> Iterator[Figure]:
    """One account that everybody charges at once."""
    for evaluator in lab.evaluators:
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
    yield from sessions.first(lab, NAMES)


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
    lab: Lab,
    part: str,
    name: str,
    evaluator: Evaluator,
    dsn: str,
    prefix: str,
    budgets: Sequence[Budget | None],
    script: str = CHARGE_SCRIPT,
    charges: int = 1,
) -> Iterator[Figure]:
    """A script on accounts of a kind against the floor, for each number of clients; budgets: with
    one client, with more; charges: how many the script makes."""
    for clients in lab.clients:
        found = lab.pgbench.compare(
            lab.load(dsn, "charge_floor.sql"),
            lab.load(dsn, Script(script, prefix), charges=charges),
            clients,
            seconds=lab.seconds,
            rounds=lab.rounds,
        )
        yield compared(part, name, evaluator, clients, found, budgets[clients > 1])


def mixed(
    lab: Lab,
    part: str,
    evaluator: Evaluator,
    dsn: str,
    base: str,
    kinds: Mapping[str, str],
    budget: Budget,
    accounts: int,
    script: str = CHARGE_SCRIPT,
) -> Iterator[Figure]:
    """Charges of accounts of several kinds, and of the kind they are compared with, in turns of one
    and the same client."""
    scripts = [Script(script, prefix) for prefix in (base, *kinds)]
    found = lab.pgbench.mixed(
        lab.load(dsn, *scripts, accounts=accounts), seconds=lab.seconds, rounds=lab.rounds
    )
    unit = "of one lot" if part == "growth" else "of the plain charge"
    for place, name in enumerate(kinds.values()):
        ratios = [each[place] for each in found]
        named = f"{name} (mixed)"
        yield figure(part, named, NAMES[evaluator], unit, ratios, budget, clients=1)


def compared(
    part: str,
    name: str,
    evaluator: Evaluator,
    clients: int,
    found: Comparison,
    budget: Budget | None,
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
        log=found.log,
    )


# What the figures must reach: with one client, with more.
CHARGE = (Budget(0.75), Budget(0.65))
UNBOUND = (None, None)
PLAIN = Budget(0.95)
PLAN = (Budget(0.7125), Budget(0.6175))
PIPELINE = (Budget(0.5), Budget(0.4))
PAIR = (Budget(0.35), Budget(0.35))
BACKEND = Budget(0.7)
GROWTH = Budget(0.9)
HISTORY = Budget(0.95)
BATCHED = Budget(12)
HOT = Budget(1.0)
MIGRATE = Budget(2, at_least=False)

PLANNED = {
    "large_": "the allowance pays",
    "small_": "allowance used up, caps count",
    "held_": "the same with an open hold",
    "capped_": "caps on the model",
}
BATCHES = {"one": "100 charges of one account", "hundred": "100 charges of 100 accounts"}
GROWN = {
    "one_": {"lots_": "10,000 lots", "holds_": "10,000 holds"},
    "turns_one_": {
        "turns_lots_": "10,000 lots, two models in turn",
        "turns_holds_": "10,000 holds, two models in turn",
    },
}
PARTS = {
    "plain": Part("A charge priced from an expression", FLOOR, plain),
    "plan": Part("With a plan, two caps, an open hold", FLOOR, plan),
    "pipeline": Part("Charges that find the headroom closed", FLOOR, pipeline),
    "pair": Part("A hold and its settlement", FLOOR, pair),
    "history": Part(
        "After 10,000 charges in the month, 2,000 models, 100 versions", "of the empty case",
        history,
    ),
    "growth": Part("Accounts with much in them", "of one lot", growth),
    "batch": Part("A batch, per charge", "times single calls", batch),
    "import": Part("Usage from a file", "of the batch call", imports.imports),
    "hot": Part("One account, many clients", "of the floor's own hot account", hot),
    "size": Part("Log, rows and locks of a charge", "bytes, times the floor's, locks", size.sizes),
    "first": Part("The first charge of a session", "ms", first),
    "migrate": Part("ducto migrate on an empty database", "seconds", migration),
    "pricing": Part("Pricing alone", "microseconds, under 10", prices),
    "analytics": Part("Reports over 30 days on 10 million charges", "ms", analytics.reports),
}  # fmt: skip
