"""The scheduled jobs: with pg_cron really installed and running, and by hand without it.

The schedules and the work of the jobs are tested on any server; that pg_cron runs them, on one of
its own which preloads it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest

from ducto_pg.install.embedded import Cluster
from ducto_pg.install.migrate import migrate
from tests.docs.pages import blocks
from tests.support.databases import Connection, open_connection
from tests.support.server import PG_CRON, extensions_of, server_programs

NAMES = ["ducto-events", "ducto-holds", "ducto-rollup", "ducto-sweep"]
SCHEDULER = "job_runner"
JOB_SECONDS = 130


def scheduled(connection: Connection) -> dict[str, tuple[str, bool]]:
    """What pg_cron has of a role: schedule and state, by job."""
    rows = connection.execute(
        "select jobname::text, schedule, active from cron.job where username = current_user"
    ).fetchall()
    return {name: (schedule, active) for name, schedule, active in rows}


def test_the_jobs_do_their_work(db: Connection) -> None:
    rows = db.execute("select job, schedule, command from ducto_list_jobs()").fetchall()
    assert sorted(job for job, _, _ in rows) == NAMES
    for _, schedule, command in rows:
        assert len(schedule.split()) == 5
        db.execute(command.encode())


def test_without_pg_cron_it_says_so_and_what_to_do(db: Connection) -> None:
    for function in ("ducto_schedule_jobs", "ducto_unschedule_jobs"):
        with pytest.raises(psycopg.Error) as caught:
            db.execute(f"select * from {function}()".encode())
        assert caught.value.sqlstate == "DU024"
        assert "`ducto jobs run`" in (caught.value.diag.message_hint or "")


def test_a_function_planted_beside_the_api_is_not_called_by_it(db: Connection) -> None:
    db.execute(
        "create function public.ducto_list_jobs(text, boolean) returns table (job text)"
        " language plpgsql as $$ begin raise 'planted'; end $$"
    )
    for function in ("ducto_schedule_jobs", "ducto_unschedule_jobs"):
        with pytest.raises(psycopg.Error) as caught:
            db.execute(f"select * from {function}()".encode())
        assert caught.value.sqlstate == "DU024"


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        ("* * * * *", None),
        ("*/5 * * * *", None),
        ("0,30 8-18 1-15/2 1,7 0-6", None),
        ("  5  4 * * 7 ", None),
        ("59 23 31 12 7", None),
        ("10 seconds", "five fields"),
        ("* * * *", "five fields"),
        ("* * * * * *", "five fields"),
        ("", "five fields"),
        ("@daily", "five fields"),
        ("60 * * * *", "from 0 to 59"),
        ("* 24 * * *", "from 0 to 23"),
        ("* * 0 * *", "from 1 to 31"),
        ("* * * 13 *", "from 1 to 12"),
        ("* * * * 8", "from 0 to 7"),
        ("5-1 * * * *", "from 0 to 59"),
        ("1-60 * * * *", "from 0 to 59"),
        ("*/0 * * * *", "is no minute"),
        ("x * * * *", "is no minute"),
        ("* * * jan *", "is no month"),
        ("*; * * * *", "is no minute"),
        ("1, * * * *", "is no minute"),
    ],
)
def test_schedules_have_five_fields(db: Connection, schedule: str, problem: str | None) -> None:
    found = db.execute("select ducto.schedule_problem(%s)", [schedule]).fetchone()
    assert found is not None
    assert (found[0] is None) if problem is None else (problem in (found[0] or ""))


@pytest.mark.parametrize(
    ("schedules", "sentence"),
    [
        ('{"ducto-sweep": "hourly"}', "five fields"),
        ('{"sweep": "* * * * *"}', "no job sweep"),
        ('{"ducto-sweep": null}', "five fields"),
        ("[]", "an object"),
        (None, "an object"),
    ],
)
def test_schedules_that_make_no_sense_are_refused(
    db: Connection, schedules: str | None, sentence: str
) -> None:
    with pytest.raises(psycopg.Error, match=sentence) as caught:
        db.execute("select * from ducto_list_jobs(%s)", [schedules])
    assert caught.value.sqlstate == "DU017"


@pytest.fixture(scope="module")
def preloaded() -> Iterator[Cluster]:
    """A server of our own that preloads pg_cron."""
    programs = server_programs()
    if PG_CRON not in extensions_of(programs):
        pytest.skip("the programs for further servers come without pg_cron")
    settings = {"shared_preload_libraries": "pg_cron", "cron.database_name": "app"}
    # Otherwise it connects by TCP, where this server does not listen.
    settings["cron.use_background_workers"] = "on"
    with Cluster(programs, settings) as cluster:
        with psycopg.connect(cluster.dsn(), autocommit=True) as admin:
            admin.execute("create database app")
            admin.execute(f"create role {SCHEDULER} login".encode())
        migrate(cluster.dsn("app"))
        with open_connection(cluster.dsn("app")) as admin:
            admin.execute("create extension pg_cron")
            admin.execute(f"grant usage on schema cron to {SCHEDULER}".encode())
            admin.execute(f"grant ducto_admin to {SCHEDULER}".encode())
        yield cluster


@pytest.fixture
def scheduler(preloaded: Cluster) -> Iterator[Connection]:
    """The role that schedules; its jobs are gone afterwards."""
    with open_connection(preloaded.dsn("app", SCHEDULER)) as connection:
        yield connection
        connection.execute("select * from ducto_unschedule_jobs()")


@pytest.mark.needs(PG_CRON)
def test_scheduling_registers_the_jobs_of_the_caller(scheduler: Connection) -> None:
    rows = scheduler.execute("select job, schedule, active from ducto_schedule_jobs()").fetchall()
    assert sorted(job for job, _, _ in rows) == NAMES
    assert scheduled(scheduler) == {job: (schedule, active) for job, schedule, active in rows}
    removed = scheduler.execute("select job from ducto_unschedule_jobs()").fetchall()
    assert sorted(job for (job,) in removed) == NAMES
    assert scheduled(scheduler) == {}
    assert scheduler.execute("select * from ducto_unschedule_jobs()").fetchall() == []


@pytest.mark.needs(PG_CRON)
def test_what_an_administrator_has_changed_is_kept(
    scheduler: Connection, preloaded: Cluster
) -> None:
    scheduler.execute("select * from ducto_schedule_jobs()")
    with open_connection(preloaded.dsn("app")) as admin:
        admin.execute(
            "select cron.alter_job(jobid, schedule => '0 4 * * *', active => false)"
            " from cron.job where jobname = 'ducto-sweep'"
        )
    scheduler.execute("""select * from ducto_schedule_jobs('{"ducto-holds": "*/2 * * * *"}')""")
    found = scheduled(scheduler)
    assert found["ducto-sweep"] == ("0 4 * * *", False)
    assert found["ducto-holds"] == ("*/2 * * * *", True)
    scheduler.execute("select * from ducto_schedule_jobs()")
    assert scheduled(scheduler) == found


@pytest.mark.needs(PG_CRON)
def test_a_role_without_pg_cron_may_not(preloaded: Cluster) -> None:
    with open_connection(preloaded.dsn("app")) as admin:
        admin.execute("drop role if exists outsider")
        admin.execute("create role outsider login")
        admin.execute("grant ducto_admin to outsider")
        with (
            open_connection(preloaded.dsn("app", "outsider")) as outsider,
            pytest.raises(psycopg.errors.InsufficientPrivilege, match="cron"),
        ):
            outsider.execute("select * from ducto_schedule_jobs()")
        admin.execute("drop role outsider")


@pytest.mark.needs(PG_CRON)
def test_what_the_page_says_about_pg_cron_runs(scheduler: Connection, preloaded: Cluster) -> None:
    grants, schedules = [
        block.text
        for block in blocks("docs/operations.md")
        if block.text.startswith(("create extension", "select * from ducto_schedule_jobs()"))
    ]
    with open_connection(preloaded.dsn("app")) as admin:
        admin.execute(grants.replace("my_server", SCHEDULER).encode())
    scheduler.execute(schedules.encode())
    assert scheduled(scheduler)["ducto-sweep"] == ("*/10 * * * *", True)


@pytest.mark.storm
@pytest.mark.needs(PG_CRON)
def test_the_scheduled_sweep_expires_a_lot_without_anyone_calling_it(
    scheduler: Connection, preloaded: Cluster
) -> None:
    with open_connection(preloaded.dsn("app")) as admin:
        admin.execute(
            "select ducto_add_credits('ann', 100, 'promo',"
            " p_expires_at => clock_timestamp() + interval '1 second')"
        )
    scheduler.execute("""select * from ducto_schedule_jobs('{"ducto-sweep": "* * * * *"}')""")
    deadline = time.monotonic() + JOB_SECONDS
    entries: list[tuple[object, ...]] = []
    while not entries:
        assert time.monotonic() < deadline, details(scheduler)
        time.sleep(0.5)
        entries = scheduler.execute(
            "select amount, balance_after from ducto_list_transactions('ann', p_type => 'expiry')"
        ).fetchall()
    assert entries == [(-100, 0)]
    while len(details(scheduler)) < 2:
        assert time.monotonic() < deadline, details(scheduler)
        time.sleep(0.5)
    assert {status for _, status, _ in details(scheduler)} <= {"succeeded", "running"}


def details(connection: Connection) -> list[tuple[object, ...]]:
    """What pg_cron says of the runs so far."""
    return connection.execute(
        "select command, status, return_message from cron.job_run_details"
    ).fetchall()
