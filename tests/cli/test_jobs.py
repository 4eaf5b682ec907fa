"""`ducto jobs`: the jobs on their schedules from the command line, and handing them to pg_cron."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from datetime import UTC, datetime, timedelta, tzinfo

import pytest

from ducto_pg.cli.jobs import Schedule
from tests.cli.conftest import Run
from tests.operations.test_jobs import NAMES
from tests.support.databases import open_connection


@pytest.mark.parametrize(
    ("schedule", "moment", "due"),
    [
        ("* * * * *", "2026-05-01T12:34", True),
        ("*/5 * * * *", "2026-05-01T12:35", True),
        ("*/5 * * * *", "2026-05-01T12:36", False),
        ("5/20 * * * *", "2026-05-01T12:25", True),
        ("5/20 * * * *", "2026-05-01T12:20", False),
        ("0,30 8-10 * * *", "2026-05-01T10:30", True),
        ("0,30 8-10 * * *", "2026-05-01T11:30", False),
        ("10-20/5 * * * *", "2026-05-01T12:15", True),
        ("10-20/5 * * * *", "2026-05-01T12:16", False),
        ("0 0 1 1 *", "2026-01-01T00:00", True),
        ("0 0 1 1 *", "2026-02-01T00:00", False),
        ("0 0 * * 0", "2026-05-03T00:00", True),
        ("0 0 * * 7", "2026-05-03T00:00", True),
        ("0 0 * * 1-5", "2026-05-03T00:00", False),
        # A day of the month or a day of the week, where both are given.
        ("0 0 13 * 5", "2026-05-13T00:00", True),
        ("0 0 13 * 5", "2026-05-15T00:00", True),
        ("0 0 13 * 5", "2026-05-14T00:00", False),
        ("0 0 */2 * 5", "2026-05-15T00:00", True),
        ("0 0 */2 * 5", "2026-05-13T00:00", False),
    ],
)
def test_schedules_are_those_of_cron(schedule: str, moment: str, due: bool) -> None:
    assert Schedule(schedule).matches(datetime.fromisoformat(moment).replace(tzinfo=UTC)) == due


def expire_something(dsn: str) -> None:
    """A lot that has lapsed and is not booked."""
    with open_connection(dsn) as connection:
        connection.execute(
            "select ducto_add_credits('ann', 5, 'promo',"
            " p_expires_at => clock_timestamp() + interval '0.05 seconds')"
        )
        connection.execute("select pg_sleep(0.06)")


def expired(dsn: str) -> int:
    """How many expiries are booked."""
    with open_connection(dsn) as connection:
        rows = connection.execute(
            "select from ducto_list_transactions('ann', p_type => 'expiry')"
        ).fetchall()
        return len(rows)


def test_each_job_is_run_once(run: Run, dsn: str) -> None:
    expire_something(dsn)
    done = run("jobs", "run", "--once")
    assert done.exit_code == 0
    assert sorted(line.split("  ")[1] for line in done.stdout.splitlines()) == NAMES
    assert '{"accounts":1}' in done.stdout.replace(" ", "")
    assert expired(dsn) == 1


def test_only_some_jobs_are_run(run: Run) -> None:
    done = run("jobs", "run", "--once", "--job", "ducto-holds")
    assert [line.split("  ")[1] for line in done.stdout.splitlines()] == ["ducto-holds"]
    unknown = run("jobs", "run", "--once", "--job", "sweep")
    assert unknown.exit_code == 1
    assert "there is no job sweep" in unknown.stderr


def test_a_job_that_fails_is_told_and_the_others_run(run: Run, dsn: str) -> None:
    with open_connection(dsn) as connection:
        connection.execute("insert into ducto.settings values ('event_retention_days', 'many')")
    done = run("jobs", "run", "--once")
    assert done.exit_code == 1
    assert "ducto-events  failed: " in done.stderr
    assert len(done.stdout.splitlines()) == len(NAMES) - 1


def test_the_jobs_are_listed(run: Run) -> None:
    assert "books credits that have lapsed" in run("jobs", "list").stdout
    rows = json.loads(run("jobs", "list", "--json").stdout)
    assert sorted(row["job"] for row in rows) == NAMES


def test_they_run_on_their_schedules_until_it_is_stopped(
    run: Run, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expire_something(dsn)

    class Clock(datetime):
        """When it is looked at first, the next minute is a moment away."""

        ahead: timedelta | None = None

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Clock:
            moment = datetime.now(tz)
            if Clock.ahead is None:
                gone = timedelta(seconds=moment.second, microseconds=moment.microsecond)
                Clock.ahead = timedelta(seconds=59.7) - gone
            moment += Clock.ahead
            return cls.combine(moment.date(), moment.timetz())

    def stop_when_done() -> None:
        while not expired(dsn):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("ducto_pg.cli.jobs.datetime", Clock)
    watcher = threading.Thread(target=stop_when_done)
    watcher.start()
    done = run("jobs", "run", "--job", "ducto-sweep", "--schedule", "ducto-sweep=* * * * *")
    watcher.join()
    assert done.exit_code == 0
    assert [line.split("  ")[1] for line in done.stdout.splitlines()] == ["ducto-sweep"]


@pytest.mark.parametrize(
    ("text", "sentence", "status"),
    [
        ("ducto-sweep", "a schedule is given as", 2),
        ("=* * * * *", "a schedule is given as", 2),
        ("ducto-sweep=hourly", "five fields", 1),
        ("sweep=* * * * *", "no job sweep", 1),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(
    run: Run, text: str, sentence: str, status: int
) -> None:
    done = run("jobs", "run", "--once", "--schedule", text)
    assert (done.exit_code, sentence in done.stderr) == (status, True), done.stderr


def test_without_pg_cron_it_says_so(run: Run) -> None:
    for command in ("schedule", "unschedule"):
        done = run("jobs", command)
        assert done.exit_code == 1
        assert "pg_cron is not installed" in done.stderr
        assert "Run `ducto jobs run` as a service" in done.stderr
