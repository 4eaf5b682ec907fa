"""The server and the databases that are measured.

Guarantees: a cluster of its own, durable like a production server, gone at the end; databases that
are filled before they are measured, vacuumed and checkpointed, so that no such work falls into a
round.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from bench.pgbench import HERE, BenchError, Load, Pgbench, Script
from bench.pricing import copy_versions, plain_config
from ducto_pg.exact_json import dumps
from ducto_pg.install.embedded import Cluster
from ducto_pg.install.migrate import migrate
from ducto_pg.install.script import Evaluator
from tests.support.server import local_programs

Connection = psycopg.Connection[Any]

# Autovacuum would fall into some rounds and not into others; what it does is done beforehand.
SETTINGS = {
    "shared_buffers": "512MB",
    "max_connections": "100",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",
    "jit": "off",
}
EVALUATORS: tuple[Evaluator, ...] = ("plpython", "portable")
METRICS = {"model": "gpt-4", "input_tokens": 500, "output_tokens": 200}
# A model of a cap's other charges.
OTHER = {**METRICS, "model": "provider/model-0"}
# What METRICS cost; the plan "small" allows just one such charge in a month.
COST = Decimal("0.027")
PLANS = {
    "small": {"free_allowance": COST},
    "large": {"free_allowance": 1_000_000},
}
# What a charge costs that is the first after a while is measured on accounts charged only once.
ONCE_PER_SECOND = 8_000
HISTORY_ACCOUNTS = 20
HISTORY_CHARGES = 10_000
MODELS, MANY_MODELS, MANY_VERSIONS = 4, 2_000, 100
FEW, MANY = 4, 10_000


@dataclass(frozen=True)
class Kind:
    """What the accounts of a kind have: a plan, caps on a model (empty: on every charge), lots,
    open holds; whether they begin with their headroom open, and how many there are (0: as many as
    were asked for)."""

    plan: str | None = None
    caps: str | None = None
    lots: int = 1
    holds: int = 0
    opened: bool = True
    count: int = 0


# By the beginning of their names. Pairs meet holds that are there already, because plans made on an
# empty table would be kept while it grows.
KINDS = {
    "user_": Kind(),
    "pair_": Kind(holds=1),
    "large_": Kind(plan="large", caps=""),
    "small_": Kind(plan="small", caps=""),
    "held_": Kind(plan="small", caps="", holds=1),
    "capped_": Kind(caps="gpt-4"),
    "once_": Kind(opened=False),
    "turns_": Kind(caps="gpt-4"),
    "one_": Kind(count=FEW),
    "lots_": Kind(lots=MANY, count=FEW),
    "holds_": Kind(holds=MANY, count=FEW),
    "turns_one_": Kind(caps="gpt-4", count=FEW),
    "turns_lots_": Kind(caps="gpt-4", lots=MANY, count=FEW),
    "turns_holds_": Kind(caps="gpt-4", holds=MANY, count=FEW),
}


@dataclass
class Lab:
    """The running cluster and what has been filled in it so far."""

    cluster: Cluster
    pgbench: Pgbench
    seconds: float
    rounds: int
    clients: tuple[int, ...]
    accounts: int
    evaluators: tuple[Evaluator, ...] = EVALUATORS
    _filled: set[tuple[str, str]] = field(default_factory=set)

    def dsn(self, name: str) -> str:
        """The DSN of one of its databases."""
        return self.cluster.dsn(name)

    def create(self, name: str) -> str:
        """A new, empty database."""
        with psycopg.connect(self.cluster.dsn(), autocommit=True) as link:
            link.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        return self.dsn(name)

    def charging(self, evaluator: Evaluator, *prefixes: str) -> str:
        """The database of the charges, with the floor in it and accounts of the given kinds."""
        name = f"charging_{evaluator}"
        if self._first(name, ""):
            dsn = self.create(name)
            self.install(dsn, evaluator, MODELS)
            with psycopg.connect(dsn, autocommit=True) as link:
                for script in ("floor.sql", "bare.sql"):
                    link.execute((HERE / script).read_bytes())
                link.execute(
                    "insert into floor.balances"
                    " select 'user_' || n, 1000000 from generate_series(1, %s) n",
                    [self.accounts],
                )
        with psycopg.connect(self.dsn(name), autocommit=True) as link:
            for prefix in ("user_", *prefixes):
                if self._first(name, prefix):
                    add_accounts(link, prefix, self.count(prefix), KINDS[prefix])
            settle(link)
        return self.dsn(name)

    def count(self, prefix: str) -> int:
        """How many accounts of a kind there are."""
        if prefix == "once_":
            return int(ONCE_PER_SECOND * (self.seconds * self.rounds + 2))
        return KINDS[prefix].count or self.accounts

    def history(self, evaluator: Evaluator, *, full: bool) -> str:
        """A database of few accounts: with a month of charges, many models and many versions
        behind them, or with nothing."""
        dsn = self.create(f"{'full' if full else 'empty'}_{evaluator}")
        self.install(dsn, evaluator, MANY_MODELS if full else MODELS)
        with psycopg.connect(dsn, autocommit=True) as link:
            if full:
                copy_versions(link, MANY_VERSIONS)
            add_accounts(link, "small_", HISTORY_ACCOUNTS, Kind("small", "", opened=False))
            if full:
                bulk(
                    link,
                    "select bench.add_charges('small_', %s, %s::jsonb)",
                    HISTORY_CHARGES,
                    dumps(METRICS),
                )
            open_accounts(link, "small_")
            settle(link)
        return dsn

    def install(self, dsn: str, evaluator: Evaluator, models: int) -> None:
        """The schema, the pricing and the bulk functions."""
        migrate(dsn, evaluator=evaluator)
        config = {**plain_config(models), "plans": PLANS}
        text = dumps(config)
        with psycopg.connect(dsn, autocommit=True) as link:
            link.execute("select ducto_pricing_set(%s::jsonb)", [text])
            link.execute((HERE / "seed.sql").read_bytes())

    def load(
        self,
        dsn: str,
        *scripts: str | Script,
        accounts: int | None = None,
        charges: int = 1,
        **more: str,
    ) -> Load:
        """Clients that run scripts on so many accounts; more variables of the scripts."""
        variables = {
            "accounts": str(accounts or self.accounts),
            "metrics": dumps(METRICS),
            "other": dumps(OTHER),
            "cost": str(COST),
            **more,
        }
        found = (each if isinstance(each, Script) else Script(each) for each in scripts)
        return Load(dsn, tuple(found), variables, charges)

    def _first(self, name: str, what: str) -> bool:
        first = (name, what) not in self._filled
        self._filled.add((name, what))
        return first


@contextmanager
def lab(
    seconds: float,
    rounds: int,
    clients: tuple[int, ...],
    accounts: int,
    evaluators: tuple[Evaluator, ...] = EVALUATORS,
) -> Iterator[Lab]:
    """A cluster to measure on, until the block ends."""
    bin_dir = local_programs()
    if bin_dir is None:
        raise BenchError(
            "no PostgreSQL with PL/Python to measure on: install the packages postgresql and "
            "postgresql-plpython3 (PostgreSQL 15 or newer)"
        )
    program = find_pgbench(bin_dir)
    with Cluster(bin_dir, SETTINGS, durable=True) as cluster:
        pgbench = Pgbench(program, cluster.dsn())
        yield Lab(cluster, pgbench, seconds, rounds, clients, accounts, evaluators)


def find_pgbench(bin_dir: Path) -> Path:
    """pgbench, beside the server's programs or on the PATH."""
    found = shutil.which("pgbench", path=str(bin_dir)) or shutil.which("pgbench")
    if found is None:
        raise BenchError(
            f"pgbench is missing, in {bin_dir} and on the PATH: install the package that brings "
            "it, postgresql or postgresql-contrib"
        )
    return Path(found)


def add_accounts(link: Connection, prefix: str, count: int, kind: Kind) -> None:
    """So many accounts of a kind."""
    call: LiteralString = "select bench.add_accounts(%s, %s, %s, %s, %s, %s, %s::jsonb)"
    rest = (kind.plan, kind.caps, kind.lots, kind.holds, dumps(METRICS))
    bulk(link, call, prefix, count, *rest)
    if kind.opened:
        open_accounts(link, prefix)


def open_accounts(link: Connection, prefix: str) -> None:
    """Open their headroom, as their first charge would leave it; their rows lie packed again."""
    bulk(link, "select bench.open_accounts(%s, %s::jsonb)", prefix, dumps(METRICS))
    link.execute("vacuum full ducto.credit_accounts")


def bulk(link: Connection, call: LiteralString, *arguments: object) -> None:
    """Call a function of seed.sql, past the triggers."""
    with link.transaction():
        link.execute("set local session_replication_role = replica")
        link.execute(call, arguments)


def settle(link: Connection) -> None:
    """Do what background work would otherwise do in the middle of a round."""
    link.execute("vacuum analyze")
    link.execute("checkpoint")
