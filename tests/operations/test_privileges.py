"""Every role and every object, from the catalog, are what docs/privileges.md says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ducto_pg.install.migrate import migrate
from tests.support.databases import Connection, Databases, open_connection
from tests.support.privileges import BEGIN, PAGE, ROLES, matrix
from tests.support.server import Server
from tests.support.supabase import open_everything, supabase_roles


@pytest.fixture
def dsn(cluster: Server, databases: Databases) -> Iterator[str]:
    """The DSN of an empty database on a server with Supabase's roles."""
    with supabase_roles(cluster):
        dsn = databases.create_empty()
        yield dsn
        databases.drop(dsn)


@pytest.fixture
def empty(dsn: str) -> Iterator[Connection]:
    """A connection to it."""
    with open_connection(dsn) as connection:
        yield connection


def said() -> str:
    """The tables of the page."""
    return PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].lstrip("\n")


def test_the_page_says_what_the_catalog_says(empty: Connection) -> None:
    migrate(empty)
    assert matrix(empty) == said(), "run: make privileges"


def test_an_upgrade_opens_nothing_and_closes_what_was_opened(dsn: str, empty: Connection) -> None:
    open_everything(dsn)
    migrate(empty)
    assert matrix(empty) == said()
    for role in ROLES:
        for kind in ("functions", "routines"):
            empty.execute(f"grant all on all {kind} in schema public, ducto to {role}".encode())
        for kind in ("tables", "sequences"):
            empty.execute(f"grant all on all {kind} in schema ducto to {role}".encode())
        empty.execute(f"grant all on schema ducto to {role}".encode())
        empty.execute(f"grant select (account_id) on ducto.credit_accounts to {role}".encode())
        empty.execute(f"grant usage on type ducto.lot_kind to {role}".encode())
    assert matrix(empty) != said()
    migrate(empty)
    assert matrix(empty) == said()


def test_roles_that_appear_later_are_wired_by_the_next_run(
    cluster: Server, databases: Databases
) -> None:
    dsn = databases.create_empty()
    with open_connection(dsn) as connection:
        migrate(connection)
        with supabase_roles(cluster):
            migrate(connection)
            assert matrix(connection) == said()
    databases.drop(dsn)


def test_what_is_dropped_and_created_again_is_closed_again(empty: Connection) -> None:
    migrate(empty)
    (routine,) = empty.execute(
        "select p.oid::regprocedure::text from pg_proc p where p.proname = 'ducto_add_credits'"
    ).fetchone() or ("",)
    empty.execute(f"drop function {routine}".encode())
    migrate(empty)
    assert matrix(empty) == said()
