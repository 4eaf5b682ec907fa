"""`ducto demo`: the whole thing in half a minute, on a PostgreSQL of its own.

The usage is synthetic, made from a fixed seed, and says so on the screen. Everything is gone when
the command ends, unless --keep holds it open.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from decimal import Decimal
from importlib.resources import files
from typing import Any

import click

from ducto_pg import exact_json
from ducto_pg.cli.arguments import WHOLE
from ducto_pg.cli.output import amount, bars, echo, fields, table
from ducto_pg.cli.progress import Progress
from ducto_pg.cli.sample import USERS, events
from ducto_pg.client.manager import CreditManager
from ducto_pg.client.results import EXACT, BatchItem
from ducto_pg.client.store import PostgresStore
from ducto_pg.install.embedded import embedded_server
from ducto_pg.install.migrate import migrate
from ducto_pg.pricing.config_file import parse_config

BATCH = 100
GRANT = Decimal(60_000)


@click.command()
@click.option(
    "--events", "count", type=WHOLE(1, 1_000_000), default=5_000, show_default=True,
    help="How many usage events to replay.",
)  # fmt: skip
@click.option("--keep", is_flag=True, help="Print the DSN at the end and wait for Ctrl-C.")
def demo(count: int, keep: bool) -> None:
    """See AI usage being priced and charged, on a PostgreSQL of its own."""
    _say("Starting a PostgreSQL of our own …")
    with embedded_server() as cluster:
        report = migrate(cluster.dsn())
        _say(f"Installed ducto-pg {report.version}: {report.routines} routines, ", end="")
        _say(f"prices computed by the {report.evaluator} evaluator.")
        with PostgresStore(cluster.dsn()) as store:
            _play(CreditManager(store), count)
        if keep:
            _wait(cluster.dsn())


def _say(text: str, end: str = "\n") -> None:
    echo(text + end, nl=False)


def _heading(text: str) -> None:
    echo()
    echo(text, bold=True)


def _play(manager: CreditManager, count: int) -> None:
    config = parse_config(files("ducto_pg.cli").joinpath("demo_pricing.yaml").read_bytes())
    version = manager.publish_pricing(config, label="demo").version
    _say(f"Published pricing version {version}: {len(config['models'])} models, ", end="")
    _say(f"{len(config['plans'])} plans.")
    _open_accounts(manager)
    before = _balances(manager)

    _say(f"Replaying {count:,} synthetic usage events of {len(USERS)} customers.")
    sample = events(count)
    started = time.monotonic()
    charges = _replay(manager, sample)
    seconds = time.monotonic() - started

    _heading("Balances, in credits (1,000 are a US dollar)")
    _print_balances(manager, before)
    _heading("Spend by model")
    bars(_by_model(charges).items())
    _print_throughput(charges, seconds)
    _explain(manager, charges)
    again = manager.deduct_batch(sample[:BATCH])
    taken = sum(not charge.replayed for charge in again if charge.ok)
    _heading("The same events once more")
    _say(f"{len(again)} sent again with their idempotency keys: {taken} charged twice.")


def _open_accounts(manager: CreditManager) -> None:
    for user, plan, _ in USERS:
        manager.set_user_plan(user, plan)
        manager.add_credits(user, GRANT, tx_type="purchase", idempotency_key="demo:grant")


def _balances(manager: CreditManager) -> dict[str, tuple[Decimal, Decimal]]:
    found = {user: manager.get_balance(user) for user, _, _ in USERS}
    return {user: (b.balance, b.allowance_remaining) for user, b in found.items()}


def _replay(manager: CreditManager, sample: list[dict[str, Any]]) -> list[BatchItem]:
    charges: list[BatchItem] = []
    with Progress("Charging") as progress:
        for start in range(0, len(sample), BATCH):
            charges.extend(manager.deduct_batch(sample[start : start + BATCH]))
            progress.update(len(charges) / len(sample), f"{len(charges):,} events")
    return charges


def _print_balances(manager: CreditManager, before: Mapping[str, tuple[Decimal, Decimal]]) -> None:
    after = _balances(manager)
    table(
        ["customer", "plan", "allowance", "left", "balance before", "after"],
        [
            [user, plan, before[user][1], after[user][1], before[user][0], after[user][0]]
            for user, plan, _ in USERS
        ],
    )


def _by_model(charges: list[BatchItem]) -> dict[str, Decimal]:
    spent: dict[str, Decimal] = {}
    for charge in charges:
        if charge.ok:
            name = charge.model or "(no model)"
            spent[name] = EXACT.add(spent.get(name, Decimal(0)), charge.cost)
    return spent


def _print_throughput(charges: list[BatchItem], seconds: float) -> None:
    paid = [charge for charge in charges if charge.ok]
    denied = len(charges) - len(paid)
    total = Decimal(0)
    for charge in paid:
        total = EXACT.add(total, charge.cost)
    _heading("Throughput")
    _say(
        f"{len(paid):,} charges, {amount(total)} credits, in {seconds:.1f} s: "
        f"{len(charges) / seconds:,.0f} charges a second, one connection, {BATCH} a call."
    )
    if denied:
        reasons = sorted({charge.error or charge.status for charge in charges if not charge.ok})
        _say(f"{denied:,} were denied: {', '.join(reasons)}.")


def _explain(manager: CreditManager, charges: list[BatchItem]) -> None:
    """The charge with the most parts, from its usage to what was taken."""
    paid = [charge for charge in charges if charge.ok and charge.transaction_id is not None]
    if not paid:
        return
    charge = max(paid, key=lambda charge: (len(_priced(charge)), charge.amount))
    assert charge.transaction_id is not None
    found = manager.explain(charge.transaction_id)
    _heading(f"Transaction {charge.transaction_id} explained")
    fields(
        [
            ("customer", f"{found.user_id}, plan {found.plan_key}"),
            ("usage", exact_json.dumps(found.variables).replace('"', "")),
            *((_rate_name(rate), rate["expression"]) for rate in found.expressions),
            *((f"cost of {name}", value) for name, value in _priced(charge)),
            ("cost", charge.cost),
            ("from the allowance", charge.allowance_consumed),
            ("from the balance", charge.amount),
            ("balance after", charge.balance_after),
            ("written", found.created_at),
            ("computed again, it is the same", found.recomputes),
        ]
    )


def _rate_name(rate: Mapping[str, Any]) -> str:
    plan = f", plan {rate['plan_key']}" if rate.get("plan_key") else ""
    return f"{rate['section']}.{rate['key']}{plan}"


def _priced(charge: BatchItem) -> list[tuple[str, Decimal]]:
    parts = charge.breakdown
    if parts is None:
        return []
    names = ("model", "tools", "search", "cache", "fixed")
    return [(name, getattr(parts, name)) for name in names if getattr(parts, name)]


def _wait(dsn: str) -> None:
    _heading("Still running")
    _say(f"psql '{dsn}'")
    _say(f"export DATABASE_URL='{dsn}'")
    # Also where the shell started us with interrupts ignored, as it does in the background.
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    _say("Ctrl-C ends the server and deletes everything.")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        _say("\nGone.")
