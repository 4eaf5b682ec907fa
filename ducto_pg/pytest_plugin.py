"""pytest fixtures for applications that use ducto-pg; installed with the package.

    def test_a_chat_is_charged(ducto):
        ducto.add_credits("ann", 10)
        ...

`ducto_database` is the DSN of a migrated database that is the test's own, cloned from a template in
milliseconds; `ducto` is a CreditManager on it. The server is `--ducto-dsn` or DUCTO_TEST_DSN (a
superuser's DSN; databases are made beside its own), else a private one of the extra `embedded`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from ducto_pg.client.manager import CreditManager

__all__ = ["ducto", "ducto_database", "ducto_make_database"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """The one option."""
    group = parser.getgroup("ducto")
    group.addoption(
        "--ducto-dsn",
        metavar="DSN",
        default=os.environ.get("DUCTO_TEST_DSN"),
        help="a superuser's DSN; ducto's test databases are created beside its own"
        " (default: DUCTO_TEST_DSN, else a private server)",
    )


@pytest.fixture(scope="session")
def ducto_make_database(request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """A factory of migrated databases: each call returns the DSN of a new one."""
    import psycopg
    from psycopg import sql

    from ducto_pg.install.embedded import embedded_server
    from ducto_pg.install.migrate import migrate

    run = f"ducto_test_{uuid4().hex[:12]}"
    made: list[str] = []
    with ExitStack() as stack:
        dsn = request.config.getoption("--ducto-dsn")
        server = dsn or stack.enter_context(embedded_server()).dsn()
        admin = stack.enter_context(psycopg.connect(server, autocommit=True))

        def make(template: str = "template1") -> str:
            name = f"{run}_{len(made)}"
            statement = sql.SQL("create database {} template {}")
            admin.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
            made.append(name)
            return psycopg.conninfo.make_conninfo(server, dbname=name)

        def drop_all() -> None:
            for name in made:
                statement = sql.SQL("drop database if exists {} with (force)")
                admin.execute(statement.format(sql.Identifier(name)))

        stack.callback(drop_all)
        migrate(make())
        yield lambda: make(made[0])


@pytest.fixture
def ducto_database(ducto_make_database: Callable[[], str]) -> str:
    """The DSN of a migrated database that is the test's own."""
    return ducto_make_database()


@pytest.fixture
def ducto(ducto_database: str) -> Iterator[CreditManager]:
    """A CreditManager on the test's own database."""
    from ducto_pg.client.manager import CreditManager
    from ducto_pg.client.store import PostgresStore

    with PostgresStore(ducto_database) as store:
        yield CreditManager(store)
