"""`ducto check` and `ducto sweep`: what an operator or a scheduled job runs."""

from __future__ import annotations

import click

from ducto_pg.cli.arguments import open_manager
from ducto_pg.cli.common import dsn_option, json_option
from ducto_pg.cli.output import counted, echo, print_json, table


@click.command()
@dsn_option
@json_option
def check(dsn: str | None, as_json: bool) -> None:
    """Verify every invariant of the ledger; exits with 1 on any violation."""
    with open_manager(dsn) as manager:
        found = [violation.raw for violation in manager.check()]
    if as_json:
        print_json(found)
    elif found:
        headings = list(found[0])
        table(headings, [[row.get(name) for name in headings] for row in found])
        echo(f"\n{counted(len(found), 'violation')}.", err=True)
    else:
        echo("Every invariant holds.")
    if found:
        click.get_current_context().exit(1)


@click.command()
@click.option("--dry-run", is_flag=True, help="Show what would be booked and change nothing.")
@dsn_option
@json_option
def sweep(dsn: str | None, dry_run: bool, as_json: bool) -> None:
    """Book the expiry of lapsed credits and close holds past their deadline.

    Neither counts any more once its time has come, whether or not this is ever run.
    """
    with open_manager(dsn) as manager:
        credits = [row.raw for row in manager.sweep_expired_credits(dry_run=dry_run).accounts]
        holds = 0 if dry_run else manager.expire_reservations()
    if as_json:
        print_json({"credits": credits, "reservations_closed": holds, "dry_run": dry_run})
        return
    if credits:
        table(
            ["user", "expired", "lots"], [[c["user_id"], c["expired"], c["lots"]] for c in credits]
        )
    accounts = counted(len(credits), "account")
    if dry_run:
        echo(f"Credits of {accounts} would expire.")
    else:
        closed = f"{counted(holds, 'hold')} {'was' if holds == 1 else 'were'} closed"
        echo(f"Credits of {accounts} expired; {closed}.")
