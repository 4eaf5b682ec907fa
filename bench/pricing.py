"""What pricing costs: microseconds of backend time per usage, on both evaluators.

Each figure is the processor time of a loop inside the server, less that of an empty loop, divided
by the number of turns; the best of several loops counts, because other work on the machine only
ever adds. `make bench` starts it; `python -m bench.pricing [DSN]` runs it alone, in a database of
its own on the given server or on a throwaway one.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import conninfo, sql

from ducto_pg.exact_json import dumps
from ducto_pg.install.embedded import Cluster
from ducto_pg.install.migrate import migrate
from ducto_pg.plpython.bundle import bundle
from tests.support.server import local_programs

Connection = psycopg.Connection[Any]

DATABASE = "ducto_bench_pricing"
TURNS = 20_000
LOOPS = 5
MANY_MODELS = 4_000
MANY_VERSIONS = 100
BUDGET = 10.0

TYPICAL = "input_tokens * 0.00003 + output_tokens * 0.00006"
TIERED = (
    "tier(input_tokens, 200000, input_tokens * 0.000003, input_tokens * 0.000006)"
    " + output_tokens * 0.000015 + cache_read_tokens * 0.0000003"
)
PLAIN = {"model": "gpt-4", "input_tokens": 500, "output_tokens": 200}
USAGES: dict[str, tuple[dict[str, Any], str]] = {
    "a model's own price": (PLAIN, ""),
    "a dated model name": ({**PLAIN, "model": "gpt-4-0613"}, ""),
    "a tiered price": ({**PLAIN, "model": "claude-sonnet-4"}, ""),
    "the price of a plan": (PLAIN, "pro"),
    "fractions": ({**PLAIN, "input_tokens": 0.5}, ""),
    "two tools and a job": ({**PLAIN, "tool_calls": ["web", "crawl"], "job_name": "report"}, ""),
}
HOSTS = ("plpython", "portable")

CPU = """
create or replace function pg_temp.cpu() returns double precision language plpython3u as
$$
import resource
used = resource.getrusage(resource.RUSAGE_SELF)
return used.ru_utime + used.ru_stime
$$
"""
LOOP = """
create or replace function pg_temp.loop(p_turns integer) returns double precision
language plpgsql as
$$
declare
    v_metrics jsonb := {metrics};
    v_rate ducto.credit_rates;
    v_price jsonb;
    v_run record;
    v_start double precision;
begin
    select r.* into v_rate from ducto.credit_rates r where r.key = 'gpt-4' limit 1;
    v_start := pg_temp.cpu();
    for i in 1 .. p_turns loop
        {statement}
    end loop;
    return (pg_temp.cpu() - v_start) / p_turns * 1e6;
end
$$
"""
IN_PYTHON = """
create or replace function pg_temp.loop(p_turns integer) returns double precision
language plpython3u as
$ducto_bench$
import resource
{runtime}
def used():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
(row,) = plpy.execute("select code, constants, names from ducto.credit_rates"
                      " where key = 'gpt-4' limit 1")
run = Program(row["code"], row["constants"], row["names"]).run
numbers = {{"input_tokens": Decimal(500), "output_tokens": Decimal(200)}}
start = used()
for _ in range(p_turns):
    run(numbers)
return (used() - start) / p_turns * 1e6
$ducto_bench$
"""


def main(argv: list[str]) -> int:
    """Print the tables; 0 unless there is no server with PL/Python."""
    if argv:
        measure(argv[0])
        return 0
    programs = local_programs()
    if programs is None:
        print("pricing: no local PostgreSQL with PL/Python to measure on", file=sys.stderr)
        return 1
    with Cluster(programs) as cluster:
        measure(cluster.dsn())
    return 0


def measure(server: str) -> None:
    """All figures, each under its heading."""
    with database(server) as dsn, connection(dsn) as link:
        print("Pricing, microseconds of backend time\n")
        print(f"{'':34}{'PL/Python':>12}{'portable':>12}")
        publish(link, config(4))
        expression(link)
        for name, (metrics, plan_key) in USAGES.items():
            row(name, *(price(link, host, metrics, plan_key) for host in HOSTS))
        print()
        publish(link, plain_config(4))
        plain(link, 4, 1)
        copy_versions(link, MANY_VERSIONS)
        plain(link, 4, MANY_VERSIONS)
        started = time.perf_counter()
        publish(link, plain_config(MANY_MODELS))
        published = time.perf_counter() - started
        plain(link, MANY_MODELS, 1)
        copy_versions(link, MANY_VERSIONS)
        plain(link, MANY_MODELS, MANY_VERSIONS)
        fresh_sessions(dsn, link)
        print(f"\npublishing {MANY_MODELS} models: {published:.1f} s on a server with PL/Python,")
        print(f"{publish_portable(server):.1f} s on one without")
        print(f"\nbudget for a model's own price: {BUDGET:.0f}")


@contextmanager
def database(server: str) -> Iterator[str]:
    """A migrated database that is dropped afterwards."""
    name = sql.Identifier(DATABASE)
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("drop database if exists {} with (force)").format(name))
        admin.execute(sql.SQL("create database {}").format(name))
        try:
            dsn = conninfo.make_conninfo(server, dbname=DATABASE)
            migrate(dsn)
            yield dsn
        finally:
            admin.execute(sql.SQL("drop database if exists {} with (force)").format(name))


@contextmanager
def connection(dsn: str) -> Iterator[Connection]:
    """A session that can tell its processor time."""
    with psycopg.connect(dsn, autocommit=True) as link:
        link.execute(CPU)
        yield link


def config(models: int) -> dict[str, Any]:
    """A config with something in every section."""
    return {
        **plain_config(models),
        "tools": {"web": "tool_calls * 0.01", "_default": "tool_calls * 0.001"},
        "fixed": {"report": 5},
        "plans": {"pro": {"rate_overrides": {"gpt-4": TYPICAL}}},
    }


def plain_config(models: int) -> dict[str, Any]:
    """So many models, and nothing else."""
    names = ["gpt-4", "claude-sonnet-4", *(f"provider/model-{n}" for n in range(models))]
    prices = {name: f"{TYPICAL} + {n} * requests" for n, name in enumerate(names[:models])}
    return {"models": {**prices, "gpt-4": TYPICAL, "claude-sonnet-4": TIERED}}


def publish(link: Connection, content: dict[str, Any]) -> None:
    """Publish a config, and let the planner know the tables."""
    link.execute("select ducto_pricing_set(%s::jsonb)", [dumps(content)])
    link.execute("analyze ducto.credit_pricing_config")
    link.execute("analyze ducto.credit_rates")


def copy_versions(link: Connection, versions: int) -> None:
    """Older versions like the active one, as years of publishing would have left them."""
    link.execute(
        "insert into ducto.credit_pricing_config (version, config, metric_names, created_at)"
        " select m.version + n, '{}', c.metric_names, c.created_at"
        " from ducto.credit_pricing_config c, generate_series(1, %s) n,"
        " (select max(version) as version from ducto.credit_pricing_config) m where c.active",
        [versions - 1],
    )
    link.execute(
        "insert into ducto.credit_rates"
        " select v.version, r.plan_key, r.section, r.key, r.expression, r.code, r.constants,"
        " r.names, r.factors, r.plain_scale, r.plain_except"
        " from ducto.credit_rates r join ducto.credit_pricing_config c using (version)"
        " join ducto.credit_pricing_config v on v.version > c.version where c.active"
    )
    link.execute("analyze ducto.credit_rates")


def row(name: str, *figures: float) -> None:
    """One line of a table."""
    print(f"{name:34}" + "".join(f"{figure:12.1f}" for figure in figures), flush=True)


def loop(link: Connection, statement: str, metrics: dict[str, Any]) -> float:
    """Microseconds per turn, of the best of some loops."""
    quoted = "'" + json.dumps(metrics).replace("'", "''") + "'"
    link.execute(LOOP.format(metrics=quoted, statement=statement).encode())
    return best(link)


def best(link: Connection) -> float:
    """The fastest run of the loop that was defined last."""
    figures = []
    for _ in range(LOOPS):
        found = link.execute("select pg_temp.loop(%s)", [TURNS]).fetchone()
        assert found is not None
        figures.append(float(found[0]))
    return min(figures)


def price(link: Connection, host: str, metrics: dict[str, Any], plan_key: str = "") -> float:
    """Pricing a usage with the active version, whole."""
    found = link.execute("select version from ducto.credit_pricing_config where active").fetchone()
    assert found is not None
    call = f"v_price := ducto.price_{host}({found[0]}, '{plan_key}', v_metrics);"
    return loop(link, call, metrics) - loop(link, "null;", metrics)


def expression(link: Connection) -> None:
    """A typical expression alone: no metrics to read, no rate to find, no result to build."""
    empty = loop(link, "null;", PLAIN)
    run = "v_run := ducto.run_program(v_rate.code, v_rate.constants, v_rate.names, v_metrics);"
    portable = loop(link, run, PLAIN) - empty
    link.execute("drop function pg_temp.loop(integer)")
    link.execute(IN_PYTHON.format(runtime=bundle("runtime")).encode())
    python = best(link)
    link.execute("drop function pg_temp.loop(integer)")
    row("the expression alone", python, portable)


def plain(link: Connection, models: int, versions: int) -> None:
    """The typical usage with so many models and versions."""
    name = f"{models:,} models, {versions} version{'s' if versions > 1 else ''}"
    row(name, *(price(link, host, PLAIN) for host in HOSTS))


def fresh_sessions(dsn: str, link: Connection) -> None:
    """The first pricing of a session, milliseconds as the client sees them."""
    found = link.execute("select version from ducto.credit_pricing_config where active").fetchone()
    assert found is not None
    figures = []
    for host in HOSTS:
        times = []
        for _ in range(LOOPS):
            with psycopg.connect(dsn, autocommit=True) as fresh:
                fresh.execute("select 1")
                started = time.perf_counter()
                fresh.execute(
                    f"select ducto.price_{host}(%s, '', %s::jsonb)".encode(),
                    [found[0], json.dumps(PLAIN)],
                )
                times.append((time.perf_counter() - started) * 1000)
        figures.append(min(times))
    print()
    row("first of a session, milliseconds", *figures)


def publish_portable(server: str) -> float:
    """Seconds to publish many models where the server has no PL/Python."""
    text = dumps(plain_config(MANY_MODELS))
    with database(server) as dsn:
        migrate(dsn, evaluator="portable")
        with psycopg.connect(dsn, autocommit=True) as link:
            started = time.perf_counter()
            link.execute("select ducto_pricing_set(%s::jsonb)", [text])
            return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
