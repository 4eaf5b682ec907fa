"""Fixtures that every test relies on: a server, and a clean migrated database per test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from ducto_pg.install.embedded import EmbeddedError
from ducto_pg.install.script import Evaluator
from tests.support import js
from tests.support.databases import Connection, Databases, open_connection
from tests.support.ledger import Ledger
from tests.support.postgrest import Project, supabase_project
from tests.support.server import EXTENSIONS, PLPYTHON, NoServer, Rung, Server, find_rung

# A slow machine is no reason to fail; `make fuzz` asks for far more of the same.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "fuzz", settings.get_profile("default"), max_examples=20_000, print_blob=True
)
settings.load_profile("default")

MakeDb = Callable[..., str]
Connect = Callable[..., Connection]


def pytest_configure(config: pytest.Config) -> None:
    """Choose the server once, so that the header and the tests speak of the same one."""
    config.stash[RUNG] = _choose()


def pytest_report_header(config: pytest.Config) -> str:
    """Which rung of the ladder this run uses."""
    rung = config.stash[RUNG]
    return f"server: {rung.description if isinstance(rung, Rung) else rung}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs an extension that this run's server does not come with.

    A test says so with a mark, or by asking for the evaluator `plpython` as a parameter.
    """
    rung = config.stash[RUNG]
    lacking = set() if isinstance(rung, str) else set(EXTENSIONS) - rung.extensions
    if not lacking:
        return
    left_out = [item for item in items if _needs(item) & lacking]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if not _needs(item) & lacking]


def _needs(item: pytest.Item) -> set[str]:
    needs = {mark.args[0] for mark in item.iter_markers("needs")}
    callspec = getattr(item, "callspec", None)
    if callspec is not None and "plpython" in callspec.params.values():
        needs.add(PLPYTHON)
    return needs


RUNG = pytest.StashKey[Rung | str]()


def _choose() -> Rung | str:
    try:
        return find_rung()
    except (NoServer, EmbeddedError) as error:
        return str(error)


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The running server; a run without one ends with one sentence."""
    rung = request.config.stash[RUNG]
    if isinstance(rung, str):
        pytest.exit(rung, returncode=3)
    try:
        yield from rung.run()
    except (NoServer, EmbeddedError) as error:
        pytest.exit(str(error), returncode=3)


@pytest.fixture(scope="session")
def databases(cluster: Server) -> Iterator[Databases]:
    """Creates databases; each test uses it through the fixtures below."""
    with closing(Databases(cluster)) as databases:
        yield databases


@pytest.fixture
def make_db(databases: Databases) -> Iterator[MakeDb]:
    """A factory: `make_db("portable")` gives the DSN of another fresh migrated database."""
    created: list[str] = []

    def make(evaluator: Evaluator | None = None) -> str:
        created.append(databases.create(evaluator))
        return created[-1]

    yield make
    for dsn in created:
        databases.drop(dsn)


@pytest.fixture
def empty_dsn(databases: Databases) -> Iterator[str]:
    """The DSN of a database with nothing in it."""
    dsn = databases.create_empty()
    yield dsn
    databases.drop(dsn)


@pytest.fixture
def dsn(make_db: MakeDb) -> str:
    """The DSN of the database behind `db`."""
    return make_db()


@pytest.fixture
def db(dsn: str) -> Iterator[Connection]:
    """A connection to a fresh migrated database; with PL/Python, where the server has it."""
    with open_connection(dsn) as connection:
        yield connection


@pytest.fixture
def db_portable(make_db: MakeDb) -> Iterator[Connection]:
    """A connection to a fresh migrated database with the portable evaluator."""
    with open_connection(make_db("portable")) as connection:
        yield connection


@pytest.fixture(params=["plpython", "portable"])
def both(request: pytest.FixtureRequest, make_db: MakeDb) -> Iterator[Connection]:
    """As `db`, the test running once with each evaluator."""
    with open_connection(make_db(request.param)) as connection:
        yield connection


@pytest.fixture(scope="session")
def ledger_connection(databases: Databases) -> Iterator[Connection]:
    """The connection behind `ledger`, to a database that all of its tests share."""
    dsn = databases.create()
    with open_connection(dsn) as connection:
        yield connection
    databases.drop(dsn)


@pytest.fixture
def ledger(ledger_connection: Connection) -> Iterator[Ledger]:
    """An empty ledger in a transaction that is rolled back; the books must balance at the end."""
    with ledger_connection.transaction(force_rollback=True):
        ledger = Ledger(ledger_connection)
        yield ledger
        assert ledger.violations() == []
    ledger_connection.execute("reset all")


@pytest.fixture(scope="module")
def project(databases: Databases) -> Iterator[Project]:
    """A Supabase project with ducto-pg in it: a real PostgREST on a database of its own."""
    try:
        js.install()
    except js.NoTools as error:
        pytest.skip(str(error))
    with supabase_project(databases) as project:
        yield project


@pytest.fixture
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """A factory of further connections to the test's database, closed at the end.

    That is the database of `both` or `db_portable` where the test uses one of them, else of `db`;
    `connect(dsn)` opens any other.
    """
    opened: list[Connection] = []

    def open_another(dsn: str | None = None, **options: Any) -> Connection:
        opened.append(open_connection(dsn or _dsn_of(request), **options))
        return opened[-1]

    yield open_another
    for connection in opened:
        connection.close()


def _dsn_of(request: pytest.FixtureRequest) -> str:
    for name in ("both", "db_portable"):
        if name in request.fixturenames:
            connection: psycopg.Connection[Any] = request.getfixturevalue(name)
            server: Server = request.getfixturevalue("cluster")
            return server.database(connection.info.dbname)
    dsn: str = request.getfixturevalue("dsn")
    return dsn
