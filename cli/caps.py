"""`ducto caps`: limits on what leaves an account in a day, a week or a month."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import click

from ducto_pg.cli.arguments import AMOUNT, NAME, open_manager
from ducto_pg.cli.common import CliError, Group, dsn_option, json_option
from ducto_pg.cli.output import amount as shown
from ducto_pg.cli.output import echo, print_json, table

if TYPE_CHECKING:
    from ducto_pg.client.results import SpendCap

CAP_TYPE = click.Choice(["daily", "weekly", "monthly"])
USER = click.argument("user", type=NAME)
KIND = click.argument("cap_type", type=CAP_TYPE, metavar="daily|weekly|monthly")
MODEL = click.option("--model", type=NAME, help="Only what this model costs; default: everything.")


@click.group(cls=Group)
def caps() -> None:
    """Spend caps: how much may leave an account in a day, week or month."""


@caps.command("set")
@USER
@KIND
@click.argument("limit", type=AMOUNT)
@click.option("--action", type=click.Choice(["deny", "warn", "notify"]), default="deny")
@MODEL
@dsn_option
@json_option
def set_(
    user: str,
    cap_type: str,
    limit: Decimal,
    action: str,
    model: str | None,
    dsn: str | None,
    as_json: bool,
) -> None:
    """Cap what leaves the account of USER at LIMIT."""
    with open_manager(dsn) as manager:
        cap = manager.set_spend_cap(user, cap_type, limit, action=action, model=model)
    if as_json:
        print_json(cap.raw)
    else:
        _print([cap])


@caps.command("list")
@USER
@dsn_option
@json_option
def list_(user: str, dsn: str | None, as_json: bool) -> None:
    """The caps of USER, and what their windows have used."""
    with open_manager(dsn) as manager:
        found = manager.list_spend_caps(user)
    if as_json:
        print_json([cap.raw for cap in found])
    else:
        _print(found)


def _print(found: list[SpendCap]) -> None:
    table(
        ["cap", "model", "limit", "used", "action", "resets"],
        [[c.cap_type, c.model or "(all)", c.limit, c.used, c.action, c.resets_at] for c in found],
        empty="There are no caps.",
    )


@caps.command("remove")
@USER
@KIND
@MODEL
@dsn_option
@json_option
def remove(user: str, cap_type: str, model: str | None, dsn: str | None, as_json: bool) -> None:
    """Remove a cap of USER; exits with 1 when there is none."""
    with open_manager(dsn) as manager:
        removed = manager.remove_spend_cap(user, cap_type, model=model)
    of_model = f" on {model}" if model else ""
    if not removed:
        raise CliError(
            f"{user} has no {cap_type} cap{of_model}",
            "`ducto caps list` shows the caps there are.",
            name="cap_not_found",
            detail={"user_id": user, "cap_type": cap_type, "model": model},
        )
    if as_json:
        print_json({"removed": removed})
    else:
        echo(f"Removed the {cap_type} cap of {user}{of_model}.")


@caps.command("check")
@USER
@click.argument("amount", type=AMOUNT)
@MODEL
@dsn_option
@json_option
def check(user: str, amount: Decimal, model: str | None, dsn: str | None, as_json: bool) -> None:
    """Whether the caps of USER leave room for AMOUNT; exits with 1 when they do not."""
    with open_manager(dsn) as manager:
        found = manager.check_spend_cap(user, amount, model=model)
    if as_json:
        print_json(found.raw)
    else:
        echo(f"{shown(amount)} credits {'fit' if found.allowed else 'do not fit'}.")
        from ducto_pg.client.results import SpendCap

        _print([SpendCap.parse(cap) for cap in found.caps])
    if not found.allowed:
        click.get_current_context().exit(1)
