"""`ducto report`: who spent what, on which model, when; in the terminal, as a page, as data."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ducto_pg import exact_json
from ducto_pg.cli.arguments import MOMENT, WHOLE, beginning, open_manager
from ducto_pg.cli.common import CliError, dsn_option, json_option
from ducto_pg.cli.output import amount, bars, cell, counted, echo, print_json, table, write

if TYPE_CHECKING:
    from ducto_pg.cli.report_data import Report
    from ducto_pg.client.results import ReportedSpend

GROUPS = ("user", "team", "model", "operation")
COLUMNS = ("bucket", "user_id", "team_id", "model", "operation")
SUMS = (
    "spent",
    "allowance_consumed",
    "refunded",
    "cost",
    "charges",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
)
BLOCKS = " ▁▂▃▄▅▆▇█"
BEHIND_MAX = 100_000
# What a spreadsheet would take for the beginning of a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def GROUPING(text: str) -> list[str]:  # click shows the name as the placeholder
    """`user,model`: what the rows of a report are grouped by."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in GROUPS:
            raise click.BadParameter(f"{name!r} is none of {', '.join(GROUPS)}")
    return names


@click.command("report", short_help="Show who spent what, on which model, when.")
@click.option("--since", default="30d", show_default=True, help="A duration, or a date.")
@click.option("--until", type=MOMENT, help="A date or time; default: now.")
@click.option("--top", type=WHOLE(1, 1000), default=10, show_default=True, help="Users.")
@click.option("--by", type=GROUPING, help="Rows instead, by any of user,team,model,operation.")
@click.option("--bucket", type=click.Choice(["day", "week", "month"]), help="Rows for each.")
@click.option("--html", "page", metavar="FILE", help="Write a page with charts; - for stdout.")
@click.option("--csv", "as_csv", is_flag=True, help="Print rows as CSV.")
@dsn_option
@json_option
def report(
    since: str,
    until: datetime | None,
    top: int,
    by: list[str] | None,
    bucket: str | None,
    page: str | None,
    as_csv: bool,
    dsn: str | None,
    as_json: bool,
) -> None:
    """Show who spent what, on which model, when.

    Rows are what --by and --bucket say; --csv alone means --by user,team,model,operation --bucket
    day.
    """
    as_rows = as_csv or by is not None or bucket is not None
    if sum((page is not None, as_csv, as_json)) > 1:
        raise click.UsageError("give one of --html, --csv, --json")
    if page is not None and as_rows:
        raise click.UsageError("--html shows everything: it goes with neither --by nor --bucket")
    end = until or datetime.now(UTC)
    start = beginning(since, end)
    if start >= end:
        raise CliError("the report ends before it starts", "Choose an earlier --since.")
    with open_manager(dsn) as manager:
        if as_rows:
            if as_csv and by is None and bucket is None:
                by, bucket = list(GROUPS), "day"
            rows = manager.spend_report(start, end, group_by=by or [], bucket=bucket)
            _print_rows(rows, by or [], bucket, as_csv=as_csv, as_json=as_json)
            return
        from ducto_pg.cli.report_data import gather

        found = gather(manager, start, end, top)
    if as_json:
        print_json(found.record())
    elif page is not None:
        _write_page(found, page)
    else:
        _print(found)


def _print_rows(
    rows: Sequence[ReportedSpend], by: list[str], bucket: str | None, *, as_csv: bool, as_json: bool
) -> None:
    if as_json:
        print_json([row.raw for row in rows])
        return
    if as_csv:
        written = io.StringIO(newline="")
        lines = csv.writer(written, lineterminator="\n")
        lines.writerow([*COLUMNS, *SUMS])
        lines.writerows(
            [_csv_cell(getattr(row, name)) for name in (*COLUMNS, *SUMS)] for row in rows
        )
        write(written.getvalue())
        return
    named = {"user": "user_id", "team": "team_id"}
    keys = [*(["bucket"] if bucket else []), *(named.get(name, name) for name in by)]
    headings = [bucket or "", *by] if bucket else list(by)
    table(
        [*headings, "spent", "allowances", "charges", "input tokens", "output tokens"],
        [
            [
                *(_label(getattr(row, key)) for key in keys),
                row.spent,
                row.allowance_consumed,
                row.charges,
                row.input_tokens,
                row.output_tokens,
            ]
            for row in rows
        ],
        empty="No usage in that time.",
    )


def _label(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else f"{value:%Y-%m-%d}"


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal | int):
        return exact_json.plain(Decimal(value))
    text = str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _write_page(found: Report, place: str) -> None:
    from ducto_pg.cli.report_page import page

    text = page(found, datetime.now(UTC))
    if place == "-":
        write(text)
        return
    Path(place).write_text(text, encoding="utf-8")
    echo(f"Written to {place}")


def _print(found: Report) -> None:
    """The report in a terminal."""
    stats = found.stats
    echo(f"{stats.start:%Y-%m-%d %H:%M} to {stats.end:%Y-%m-%d %H:%M} UTC", bold=True)
    if stats.charges == 0:
        echo("No usage in that time.")
        _print_lag(found)
        return
    echo(
        f"{amount(stats.spent)} credits spent{_change(stats.spent, found.before.spent)},"
        f" {amount(stats.allowance_consumed)} paid by allowances"
        f"{f', {amount(stats.refunded)} refunded' if stats.refunded else ''}"
    )
    teams = f" and {counted(stats.teams, 'team')}" if stats.teams else ""
    echo(f"{counted(stats.charges, 'charge')} of {counted(stats.users, 'user')}{teams}")
    echo()
    echo("By day", bold=True)
    days = found.daily
    echo(f"{sparkline([row.spent for row in days])}")
    largest = max(days, key=lambda row: row.spent)
    echo(f"{days[0].day} to {days[-1].day}, most on {largest.day}: {amount(largest.spent)}")
    echo()
    echo("By model", bold=True)
    from ducto_pg.cli.report_data import NO_MODEL

    bars((cell(row.model or NO_MODEL, 40), row.spent) for row in found.models)
    echo()
    echo("Top users", bold=True)
    bars((cell(row.user_id, 40), row.spent) for row in found.users)
    _print_risks(found)
    _print_lag(found)


def sparkline(values: Sequence[Decimal]) -> str:
    """A character a value, the highest for the largest; a small value is still seen."""
    largest = max(values, default=Decimal(0))
    if largest <= 0:
        return "·" * len(values)
    top = len(BLOCKS) - 1
    return "".join(
        "·" if value <= 0 else BLOCKS[max(1, round(value / largest * top))] for value in values
    )


def _change(now: Decimal, before: Decimal) -> str:
    if before <= 0:
        return ""
    percent = round((now - before) * 100 / before)
    return f" ({percent:+,}% on the time before)" if percent else " (as in the time before)"


def _print_risks(found: Report) -> None:
    if not found.risks:
        return
    echo()
    echo("Balances at risk", bold=True)
    table(
        ["account", "available", "debt", "spent a day", "days left"],
        [
            [
                f"{risk.account} (team)" if risk.team else risk.account,
                risk.available,
                risk.debt,
                round(risk.per_day, 2),
                round(risk.days_left, 1),
            ]
            for risk in found.risks
        ],
    )


def _print_lag(found: Report) -> None:
    """One line where the rollup is so far behind that reports are slow."""
    behind = found.stats.rollup.get("entries_behind", 0)
    if behind > BEHIND_MAX:
        echo()
        echo(
            f"The rollup is {counted(behind, 'entry').replace('entrys', 'entries')} behind: this "
            "report is exact, but slow. Schedule the jobs, or run `ducto jobs run --once`.",
            err=True,
        )
