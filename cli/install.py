"""`ducto migrate` and `ducto status`."""

from __future__ import annotations

from dataclasses import asdict

import click

from ducto_pg.cli.common import connect, json_option
from ducto_pg.cli.output import fields, print_json
from ducto_pg.install.migrate import MigrationReport, Status, build_script
from ducto_pg.install.migrate import migrate as run_migrate
from ducto_pg.install.migrate import status as read_status
from ducto_pg.install.script import EVALUATORS, Evaluator


@click.command()
@click.argument("dsn", required=False)
@click.option("--dry-run", is_flag=True, help="Show the plan and change nothing.")
@click.option("--sql", is_flag=True, help="Print the whole installation as one SQL script.")
@click.option(
    "--evaluator",
    type=click.Choice(EVALUATORS),
    default="auto",
    help="Where prices are computed; auto takes PL/Python where it can be had.",
)
@json_option
def migrate(dsn: str | None, dry_run: bool, sql: bool, evaluator: Evaluator, as_json: bool) -> None:
    """Install ducto-pg into the database DSN, or upgrade it, in one transaction."""
    if sql:
        click.echo(build_script(evaluator), nl=False)
        return
    with connect(dsn) as connection:
        report = run_migrate(connection, evaluator=evaluator, dry_run=dry_run)
    if as_json:
        print_json(asdict(report))
    else:
        _print_report(report)


def _print_report(report: MigrationReport) -> None:
    for name in report.applied:
        click.echo(f"{'would apply' if report.dry_run else 'applied'} {name}")
    for note in report.notes:
        click.echo(f"note: {note}")
    if report.dry_run and not report.applied:
        click.echo("no migrations are pending; routines, views and access would be renewed")
    done = "would be" if report.dry_run else "is"
    click.echo(
        f"ducto-pg {report.version} {done} installed: "
        f"{report.routines} routines, evaluator {report.evaluator}"
    )


@click.command()
@click.argument("dsn", required=False)
@json_option
def status(dsn: str | None, as_json: bool) -> None:
    """Show the version, the evaluator and pending migrations of the database DSN."""
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
        ("applied", ", ".join(found.applied) or "none"),
        ("pending", ", ".join(found.pending) or "none"),
    ]
    if found.edited:
        pairs.append(("edited", ", ".join(found.edited)))
    if found.unknown:
        pairs.append(("unknown here", ", ".join(found.unknown)))
    fields(pairs)
    if not found.up_to_date:
        click.echo("\nRun `ducto migrate` to bring this database up to date.")
