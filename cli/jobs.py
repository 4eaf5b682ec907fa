"""`ducto jobs`: what keeps things tidy, run from here or by pg_cron in the database.

The same jobs on the same schedules, in UTC. Any number of these may run at once.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from ducto_pg.cli.common import Group, dsn_option, json_option
from ducto_pg.cli.failures import CliError
from ducto_pg.cli.output import cell, echo, print_json, table
from ducto_pg.cli.stores import lasting_store, open_store

if TYPE_CHECKING:
    from types import FrameType

    from ducto_pg.client.store import Store

# The jobs whose function returns rows.
ROWS = frozenset({"ducto_sweep_expired_credits"})
MINUTE = timedelta(minutes=1)
# A minute is looked at this long after it began, and a machine that slept catches up so far.
CATCH_UP = timedelta(days=1)
LIMITS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))

SCHEDULES = click.option(
    "--schedule",
    "schedules",
    multiple=True,
    metavar="JOB=SCHEDULE",
    help="Another schedule, of five fields: ducto-sweep='*/10 * * * *'. May be repeated.",
)


class Schedule:
    """A cron schedule of five fields, which the database has found to be one."""

    def __init__(self, text: str) -> None:
        fields = text.split()
        self.fields = [
            _values(field, *limits) for field, limits in zip(fields, LIMITS, strict=True)
        ]
        # Sunday is 0 and 7. Where both kinds of days are limited, either is enough.
        self.fields[4] = {day % 7 for day in self.fields[4]}
        self.either = not fields[2].startswith("*") and not fields[4].startswith("*")

    def matches(self, moment: datetime) -> bool:
        """Whether it is time in this minute."""
        minute, hour, day, month, weekday = (
            value in allowed
            for value, allowed in zip(
                (
                    moment.minute,
                    moment.hour,
                    moment.day,
                    moment.month,
                    moment.isoweekday() % 7,
                ),
                self.fields,
                strict=True,
            )
        )
        today = (day or weekday) if self.either else (day and weekday)
        return minute and hour and month and today


def _values(field: str, lowest: int, highest: int) -> set[int]:
    values: set[int] = set()
    for item in field.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        if span == "*":
            begin, end = lowest, highest
        else:
            begin = int(first)
            # As cron has it, 5/10 is from 5 on.
            end = int(last) if last else highest if step else begin
        values.update(range(begin, end + 1, int(step or 1)))
    return values


@click.group(cls=Group)
def jobs() -> None:
    """Jobs: expire credits and holds, sum usage up, delete old events."""


@jobs.command("list")
@dsn_option
@json_option
def list_(dsn: str | None, as_json: bool) -> None:
    """The jobs, and when they run unless something else is said."""
    with open_store(dsn) as store:
        rows = store.rows("ducto_list_jobs")
    if as_json:
        print_json(rows)
        return
    names = ["job", "schedule", "function", "purpose"]
    table(names, [[row[name] for name in names] for row in rows])


@jobs.command("run")
@click.option("--once", is_flag=True, help="Run each job now, one after the other, and end.")
@click.option("--job", "chosen", multiple=True, metavar="JOB", help="Only this; may be repeated.")
@SCHEDULES
@dsn_option
def run(once: bool, chosen: tuple[str, ...], schedules: tuple[str, ...], dsn: str | None) -> None:
    """Run the jobs on their schedules, until Ctrl-C or SIGTERM; it ends after the job at hand.

    It is what pg_cron does where it is installed (`ducto jobs schedule`). Several may run at once.
    """
    with lasting_store(dsn) as (store, _), _stopping() as stopping:
        rows = store.rows("ducto_list_jobs", p_schedules=_given(schedules))
        unknown = sorted(set(chosen) - {row["job"] for row in rows})
        if unknown:
            raise CliError(f"there is no job {unknown[0]}", hint="`ducto jobs list` lists them.")
        wanted = [row for row in rows if not chosen or row["job"] in chosen]
        if once:
            done = [_run_job(store, row) for row in wanted]
            if not all(done):
                click.get_current_context().exit(1)
            return
        _run_for_ever(store, wanted, stopping)


def _run_for_ever(store: Store, rows: list[dict[str, Any]], stopping: threading.Event) -> None:
    schedules = [(row, Schedule(row["schedule"])) for row in rows]
    seen = _minute(datetime.now(UTC))
    while not stopping.is_set():
        now = _minute(datetime.now(UTC))
        for row, schedule in schedules:
            if stopping.is_set():
                return
            # What came due while another job was running is done once, late.
            if any(map(schedule.matches, _minutes(seen, now))):
                _run_job(store, row)
        seen = now
        left = now + MINUTE - datetime.now(UTC)
        stopping.wait(max(left.total_seconds(), 0) + 0.05)


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _minutes(after: datetime, until: datetime) -> Iterator[datetime]:
    moment = max(after, until - CATCH_UP)
    while moment < until:
        moment += MINUTE
        yield moment


def _run_job(store: Store, row: dict[str, Any]) -> bool:
    """Run one job, and say how it went; what fails is told, and tried again when it is due."""
    from ducto_pg import exact_json
    from ducto_pg.errors import DuctoError

    call: Callable[..., Any] = store.rows if row["function"] in ROWS else store.call
    try:
        result = call(row["function"])
    except DuctoError as error:
        echo(f"{cell(datetime.now(UTC))}  {row['job']}  failed: {error}", err=True)
        return False
    if isinstance(result, list):
        result = {"accounts": len(result)}
    echo(f"{cell(datetime.now(UTC))}  {row['job']}  {exact_json.dumps(result)}")
    return True


@jobs.command("schedule")
@SCHEDULES
@dsn_option
@json_option
def schedule(schedules: tuple[str, ...], dsn: str | None, as_json: bool) -> None:
    """Register the jobs with pg_cron, to run as the role that is connected.

    Jobs that are registered keep the schedules they have, unless another one is given here.
    """
    with open_store(dsn) as store:
        rows = store.rows("ducto_schedule_jobs", p_schedules=_given(schedules))
    if as_json:
        print_json(rows)
        return
    names = ["job", "schedule", "command", "active"]
    table(names, [[row[name] for name in names] for row in rows])


@jobs.command("unschedule")
@dsn_option
@json_option
def unschedule(dsn: str | None, as_json: bool) -> None:
    """Remove the jobs that this role has registered with pg_cron."""
    with open_store(dsn) as store:
        rows = store.rows("ducto_unschedule_jobs")
    if as_json:
        print_json(rows)
        return
    table(["removed"], [[row["job"]] for row in rows], empty="Nothing was scheduled.")


def _given(schedules: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition("=") for text in schedules]
    for job, equals, _ in pairs:
        if not (job and equals):
            raise click.BadParameter(
                "a schedule is given as ducto-sweep='*/10 * * * *'", param_hint="'--schedule'"
            )
    return {job.strip(): value.strip() for job, _, value in pairs}


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """Set by the first SIGINT or SIGTERM; the second one ends the program at once."""
    event = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(number, before[signal.Signals(number)])
        event.set()

    for number in before:
        signal.signal(number, stop)
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
