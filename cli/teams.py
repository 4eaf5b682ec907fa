"""`ducto teams`: pools of credits, who may spend of them, and who did."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from ducto_pg.cli.arguments import (
    AMOUNT,
    MOMENT,
    NAME,
    WHOLE,
    json_object,
    key_option,
    metadata_option,
    metrics_options,
    open_manager,
    usage,
)
from ducto_pg.cli.common import Group, dsn_option, json_option
from ducto_pg.cli.credits import print_charge
from ducto_pg.cli.output import amount as shown
from ducto_pg.cli.output import echo, fields, print_json, table

if TYPE_CHECKING:
    from ducto_pg.client.results import Team, TeamMember

TEAM = click.argument("team", type=NAME)
USER = click.argument("user", type=NAME)
LIMIT = click.option("--limit", type=WHOLE(1, 1000), help="At most so many.")
ROLE = click.Choice(["owner", "admin", "member"])
WINDOW = click.Choice(["daily", "weekly", "monthly"])
CAP = click.option("--cap", type=AMOUNT, help="What the user may spend of the team in a window.")
PER = click.option("--per", type=WINDOW, help="The window of the cap; default: monthly.")


@click.group(cls=Group)
def teams() -> None:
    """Teams: pools of credits, who may spend of them, and who did."""


def _command(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """A command of this group that takes --dsn and --json."""

    def register(function: Callable[..., None]) -> click.Command:
        return teams.command(name)(dsn_option(json_option(function)))

    return register


@_command("create")
@click.argument("name", type=NAME)
@click.option("--balance", type=AMOUNT, help="Credits it begins with; default: none.")
@click.option("--id", "team_id", type=NAME, help="Its id; default: one is made up.")
@click.option("--owner", type=NAME, help="Its first member.")
@key_option
@metadata_option
def create(
    name: str,
    balance: Decimal | None,
    team_id: str | None,
    owner: str | None,
    idempotency_key: str | None,
    metadata_text: str | None,
    dsn: str | None,
    as_json: bool,
) -> None:
    """Create a team called NAME."""
    metadata = json_object(metadata_text, "--metadata")
    with open_manager(dsn) as manager:
        team = manager.create_team(
            name,
            balance,
            team_id=team_id,
            owner_id=owner,
            idempotency_key=idempotency_key,
            metadata=metadata,
        )
    _print_team(team, as_json)


@_command("get")
@TEAM
def get(team: str, dsn: str | None, as_json: bool) -> None:
    """What TEAM has."""
    with open_manager(dsn) as manager:
        _print_team(manager.get_team(team), as_json)


def _print_team(team: Team, as_json: bool) -> None:
    if as_json:
        print_json(team.raw)
        return
    fields(
        [
            ("team", team.team_id),
            ("name", team.name),
            ("plan", team.plan_key),
            ("balance", team.balance),
            ("allowance", team.allowance_remaining),
            ("held", team.held),
            ("available", team.available),
            ("members", team.member_count),
            ("status", team.status),
        ]
    )


@_command("list")
@click.option("--user", type=NAME, help="Only the teams of this user, with the role there.")
@LIMIT
@click.option("--after", type=NAME, help="Only those behind this id, for the next page.")
def list_(
    user: str | None, limit: int | None, after: str | None, dsn: str | None, as_json: bool
) -> None:
    """The teams, by id; 50 of them unless --limit says otherwise."""
    with open_manager(dsn) as manager:
        found = manager.list_teams(user_id=user, limit=limit, after=after)
    if as_json:
        print_json([team.raw for team in found])
        return
    table(
        ["team", "name", "balance", "available", "members", "role", "plan", "status"],
        [
            [
                t.team_id, t.name, t.balance, t.available, t.member_count, t.role, t.plan_key,
                t.status,
            ]
            for t in found
        ],
        empty="There are no teams." if user is None else f"{user} is in no team.",
    )  # fmt: skip


@_command("add")
@TEAM
@USER
@click.option("--role", type=ROLE, help="Default: member.")
@CAP
@PER
def add(team: str, user: str, cap: Decimal | None, per: str | None, **given: Any) -> None:
    """Make USER a member of TEAM, who may spend of it from now on."""
    if per and cap is None:
        raise click.UsageError("give --cap with --per")
    with open_manager(given["dsn"]) as manager:
        member = manager.add_team_member(team, user, given["role"], cap, cap_type=per)
    _print_member(member, given["as_json"])


@_command("update")
@TEAM
@USER
@click.option("--role", type=ROLE, help="The new role; the last owner stays one.")
@CAP
@PER
@click.option("--no-cap", is_flag=True, help="Without a cap from now on.")
def update(team: str, user: str, cap: Decimal | None, per: str | None, **given: Any) -> None:
    """Change the role or the cap of USER in TEAM; what is not given stays."""
    no_cap, role = given["no_cap"], given["role"]
    if no_cap and (per or cap is not None):
        raise click.UsageError("give --cap or --no-cap, not both")
    if not (no_cap or per or role) and cap is None:
        raise click.UsageError("give --role, --cap, --per or --no-cap")
    with open_manager(given["dsn"]) as manager:
        member = manager.update_team_member(
            team, user, role=role, spend_cap=cap, cap_type=per, remove_cap=no_cap or None
        )
    _print_member(member, given["as_json"])


def _print_member(member: TeamMember, as_json: bool) -> None:
    if as_json:
        print_json(member.raw)
        return
    cap = "without a cap"
    if member.spend_cap is not None:
        cap = (
            f"with a {member.cap_type} cap of {shown(member.spend_cap)}, "
            f"{shown(member.used)} of it used"
        )
    echo(f"{member.user_id} is {member.role} of {member.team_id}, {cap}.")


@_command("remove")
@TEAM
@USER
def remove(team: str, user: str, dsn: str | None, as_json: bool) -> None:
    """Take USER out of TEAM; open holds can still be settled or released."""
    with open_manager(dsn) as manager:
        manager.remove_team_member(team, user)
    if as_json:
        print_json({"team_id": team, "user_id": user, "removed": True})
    else:
        echo(f"{user} is no member of {team} any more.")


@_command("members")
@TEAM
@click.option("--since", type=MOMENT, help="Spent from this UTC day; default: this month.")
@click.option("--until", type=MOMENT, help="Spent before this date or time; default: now.")
@LIMIT
@click.option("--after", type=NAME, help="Only those behind this user, for the next page.")
def members(
    team: str,
    since: datetime | None,
    until: datetime | None,
    limit: int | None,
    after: str | None,
    dsn: str | None,
    as_json: bool,
) -> None:
    """Who is in TEAM, and what each spent of it; 100 of them unless --limit says otherwise."""
    with open_manager(dsn) as manager:
        found = manager.list_team_members(team, start=since, end=until, limit=limit, after=after)
    if as_json:
        print_json([member.raw for member in found])
        return
    table(
        ["user", "role", "cap", "per", "used", "resets", "spent", "by allowance", "charges"],
        [
            [
                m.user_id, m.role, m.spend_cap, m.cap_type, m.used, m.resets_at, m.spent,
                m.allowance_consumed, m.charges,
            ]
            for m in found
        ],
        empty="Nobody is in the team.",
    )  # fmt: skip


@_command("credit")
@TEAM
@click.argument("amount", type=AMOUNT)
@click.option(
    "--type",
    "kind",
    type=click.Choice(["adjustment", "purchase", "subscription", "promo"]),
    default="adjustment",
)
@click.option("--expires-at", type=MOMENT, help="When they lapse, such as 2026-12-31.")
@key_option
def credit(team: str, amount: Decimal, kind: str, **given: Any) -> None:
    """Give TEAM an AMOUNT of credits; a negative adjustment (after `--`) takes them."""
    with open_manager(given["dsn"]) as manager:
        grant = manager.add_team_credits(
            team,
            amount,
            tx_type=kind,
            expires_at=given["expires_at"],
            idempotency_key=given["idempotency_key"],
        )
    if given["as_json"]:
        print_json(grant.raw)
        return
    verb = "Already added" if grant.replayed else ("Added" if grant.amount >= 0 else "Took")
    echo(
        f"{verb} {shown(abs(grant.amount))} credits for {team}; "
        f"the balance is {shown(grant.balance_after)}."
    )


@_command("deduct")
@TEAM
@USER
@metrics_options
@key_option
@metadata_option
def deduct(
    team: str,
    user: str,
    metrics_text: str | None,
    metric_pairs: tuple[str, ...],
    idempotency_key: str | None,
    metadata_text: str | None,
    dsn: str | None,
    as_json: bool,
) -> None:
    """Charge a usage of USER to TEAM."""
    metrics = usage(metrics_text, metric_pairs)
    if metrics is None:
        raise click.UsageError("give the usage with --metric or --metrics")
    metadata = json_object(metadata_text, "--metadata")
    with open_manager(dsn) as manager:
        charge = manager.deduct_team(
            team, user, metrics, idempotency_key=idempotency_key, metadata=metadata
        )
    print_charge(charge, as_json)
