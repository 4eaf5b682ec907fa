"""`ducto plans`: which plans there are, and who is on which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ducto_pg.cli.arguments import NAME, open_manager
from ducto_pg.cli.common import Group, dsn_option, json_option
from ducto_pg.cli.output import amount, echo, fields, print_json, table

if TYPE_CHECKING:
    from ducto_pg.client.results import UserPlan


@click.group(cls=Group)
def plans() -> None:
    """Plans of the active pricing, and the accounts on them."""


@plans.command("list")
@dsn_option
@json_option
def list_(dsn: str | None, as_json: bool) -> None:
    """The plans of the active pricing."""
    with open_manager(dsn) as manager:
        found = manager.list_plans()
    if as_json:
        print_json([plan.raw for plan in found])
        return
    table(
        ["plan", "name", "allowance", "period", "default", "features"],
        [
            [p.plan_key, p.name, p.free_allowance, p.period, p.is_default, ", ".join(p.features)]
            for p in found
        ],
        empty="The active pricing has no plans.",
    )


@plans.command("get")
@click.argument("user", type=NAME)
@dsn_option
@json_option
def get(user: str, dsn: str | None, as_json: bool) -> None:
    """The plan of USER and its current period."""
    with open_manager(dsn) as manager:
        _print(manager.get_user_plan(user), as_json)


@plans.command("set")
@click.argument("user", type=NAME)
@click.argument("plan", type=NAME, required=False)
@click.option("--none", "no_plan", is_flag=True, help="Take USER off any plan.")
@dsn_option
@json_option
def set_(user: str, plan: str | None, no_plan: bool, dsn: str | None, as_json: bool) -> None:
    """Put USER on PLAN.

    What is left of the former plan's allowance can be used until the end of its period.
    """
    if (plan is None) != no_plan:
        raise click.UsageError("give a PLAN, or --none")
    with open_manager(dsn) as manager:
        found = manager.set_user_plan(user, plan)
    _print(found, as_json)
    left = found.allowance_remaining
    if found.plan_key is None and left and not as_json:
        echo(f"Of the former plan's allowance, {amount(left)} can be used until its period ends.")


def _print(found: UserPlan, as_json: bool) -> None:
    if as_json:
        print_json(found.raw)
        return
    fields(
        [
            ("user", found.user_id),
            ("plan", found.plan_key),
            ("name", found.name),
            ("allowance", found.free_allowance),
            ("left of it", found.allowance_remaining),
            ("period from", found.period_start),
            ("period to", found.period_end),
            ("features", found.features),
        ]
    )


@plans.command("feature")
@click.argument("user", type=NAME)
@click.argument("feature", type=NAME)
@dsn_option
@json_option
def feature(user: str, feature: str, dsn: str | None, as_json: bool) -> None:
    """Whether the plan of USER has FEATURE; exits with 1 when it has not."""
    with open_manager(dsn) as manager:
        found = manager.check_feature(user, feature)
    if as_json:
        print_json(found.raw)
    else:
        value: Any = "no" if not found.has_feature else found.value
        fields([(feature, "yes" if value is True else value)])
    if not found.has_feature:
        click.get_current_context().exit(1)
