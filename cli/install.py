"""`ducto migrate` and `ducto status`."""

from __future__ import annotations

from dataclasses import asdict

import click

from ducto_pg.cli.arguments import WHOLE
from ducto_pg.cli.common import connect, dsn_option, json_option
from ducto_pg.cli.output import echo, fields, print_json, write
from ducto_pg.cli.stores import is_project, open_store
from ducto_pg.install.migrate import (
    RETRIES,
    Choices,
    MigrationReport,
    Status,
    build_script,
    status_of,
)
from ducto_pg.install.migrate import migrate as run_migrate
from ducto_pg.install.migrate import status as read_status
from ducto_pg.install.script import EVALUATORS, LEVELS, LOCK_TIMEOUT_MS, Evaluator, Level


class Grant(click.ParamType[tuple[str, Level]]):
    """ROLE=LEVEL, the role's name as it is: what is behind the last equals sign is the level."""

    name = "ROLE=LEVEL"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Level]:
        """Role and level; a command line that names another level makes no sense."""
        role, _, level = str(value).rpartition("=")
        if not role or level not in LEVELS:
            self.fail(f"{value} is not ROLE=LEVEL with one of {', '.join(LEVELS)}", param, ctx)
        return role, LEVELS[LEVELS.index(level)]


@click.command()
@click.option("--dry-run", is_flag=True, help="Show the plan and change nothing.")
@click.option("--sql", is_flag=True, help="Print the whole installation as one SQL script.")
@click.option(
    "--no-transaction",
    is_flag=True,
    help="With --sql: one statement, for tools that bring their own transaction.",
)
@click.option(
    "--evaluator",
    type=click.Choice(EVALUATORS),
    default="auto",
    help="Where prices are computed; auto keeps the installed one, at first PL/Python if possible.",
)
@click.option(
    "--role-prefix",
    metavar="PREFIX",
    help="Call the roles PREFIXowner, PREFIXreader, ... instead of ducto_owner, ...; remembered.",
)
@click.option(
    "--roles/--no-roles",
    default=None,
    help="Whether to create roles that are missing; remembered, at first yes.",
)
@click.option(
    "--grant",
    "grants",
    multiple=True,
    type=Grant(),
    help="Give a role what readers, services or admins may; remembered. May be repeated.",
)
@click.option(
    "--revoke",
    "revokes",
    multiple=True,
    metavar="ROLE",
    help="Take back what --grant gave. May be repeated.",
)
@click.option(
    "--lock-timeout",
    "lock_timeout_ms",
    type=WHOLE(1, 600_000),
    default=LOCK_TIMEOUT_MS,
    show_default=True,
    metavar="MS",
    help="Milliseconds to wait for a lock, while charges may queue behind.",
)
@click.option(
    "--retries",
    type=WHOLE(0, 1000),
    default=RETRIES,
    show_default=True,
    help="How often to try again when a lock could not be had.",
)
@dsn_option
@json_option
def migrate(
    dsn: str | None,
    dry_run: bool,
    sql: bool,
    no_transaction: bool,
    evaluator: Evaluator,
    role_prefix: str | None,
    roles: bool | None,
    grants: tuple[tuple[str, Level], ...],
    revokes: tuple[str, ...],
    lock_timeout_ms: int,
    retries: int,
    as_json: bool,
) -> None:
    """Install ducto-pg into the database, or upgrade it, in one transaction."""
    if no_transaction and not sql:
        raise click.UsageError("--no-transaction goes with --sql")
    if sql:
        choices = Choices(evaluator, role_prefix, roles, dict(grants), revokes, lock_timeout_ms)
        write(build_script(choices, transaction=not no_transaction))
        return
    with connect(dsn) as connection:
        report = run_migrate(
            connection,
            evaluator=evaluator,
            role_prefix=role_prefix,
            create_roles=roles,
            grants=dict(grants),
            revokes=revokes,
            lock_timeout_ms=lock_timeout_ms,
            retries=retries,
            on_retry=lambda reason: echo(f"waiting: {reason}", err=True),
            dry_run=dry_run,
        )
    if as_json:
        print_json(asdict(report))
    else:
        _print_report(report)


def _print_report(report: MigrationReport) -> None:
    for name in report.applied:
        echo(f"{'would apply' if report.dry_run else 'applied'} {name}")
    for note in report.notes:
        echo(f"note: {note}")
    if report.dry_run and not report.applied:
        echo("no migrations are pending; routines, views and access would be renewed")
    done = "would be" if report.dry_run else "is"
    echo(
        f"ducto-pg {report.version} {done} installed: "
        f"{report.routines} routines, evaluator {report.evaluator}"
    )


@click.command()
@dsn_option
@json_option
def status(dsn: str | None, as_json: bool) -> None:
    """Show the version, the evaluator and pending migrations of the database."""
    if is_project(dsn):
        with open_store(dsn) as store:
            found = status_of(store.call("ducto_version"))
    else:
        with connect(dsn) as connection:
            found = read_status(connection)
    if as_json:
        print_json({**asdict(found), "up_to_date": found.up_to_date})
    else:
        _print_status(found)


def _print_status(found: Status) -> None:
    installed = found.version or ("unknown" if found.applied else "not installed")
    pairs = [
        ("installed", installed),
        ("this package", found.package_version),
        ("evaluator", found.evaluator or f"none; `ducto migrate` would use {found.next_evaluator}"),
        ("PostgreSQL", found.server_version),
        # The HTTP API does not tell it.
        *([("owner", found.owner)] if found.owner else []),
        ("applied", ", ".join(found.applied) or "none"),
        ("pending", ", ".join(found.pending) or "none"),
    ]
    if found.edited:
        pairs.append(("edited", ", ".join(found.edited)))
    if found.unknown:
        pairs.append(("unknown here", ", ".join(found.unknown)))
    fields(pairs)
    for warning in found.warnings:
        echo(f"\nWarning: {warning}.")
    if not found.up_to_date:
        echo("\nRun `ducto migrate` to bring this database up to date.")
