"""A role that may only call pins nothing: what is ours can be replaced by the next release."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from ducto_pg.install.manifest import Manifest, MigrationError, load_manifest, sql_root
from ducto_pg.install.migrate import migrate
from tests.conftest import Connect
from tests.support.catalog import snapshot
from tests.support.databases import Connection

MEMBER = "ducto_test_member"
GROUPS = ["ducto_reader", "ducto_service", "ducto_admin"]


@pytest.fixture(params=GROUPS)
def member(
    request: pytest.FixtureRequest, db: Connection, connect: Connect
) -> Iterator[Connection]:
    """A session of a member of the group, with a schema of its own."""
    db.execute(f"create role {MEMBER} in role {request.param}".encode())
    db.execute(f"create schema mine authorization {MEMBER}")
    session = connect()
    session.execute(f"set role {MEMBER}".encode())
    yield session
    session.close()
    db.execute(f"drop owned by {MEMBER} cascade".encode())
    db.execute(f"drop role {MEMBER}".encode())


def attempts(db: Connection) -> list[sql.Composed]:
    """Statements that would make something depend on each private object."""
    found = []
    relations = db.execute(
        "select c.relname, c.relkind = 'S' from pg_class c"
        " where c.relnamespace = 'ducto'::regnamespace and c.relkind in ('r', 'v', 'S')"
    ).fetchall()
    for name, is_sequence in relations:
        table = sql.Identifier("ducto", name)
        found.append(sql.SQL("create view mine.v as select * from {}").format(table))
        if not is_sequence:
            found.append(sql.SQL("create table mine.t (x {})").format(table))
            found.append(sql.SQL("create table mine.t () inherits ({})").format(table))
            found.append(sql.SQL("create table mine.t (like {})").format(table))
    types = db.execute(
        "select t.typname from pg_type t left join pg_class c on c.oid = t.typrelid"
        " where t.typnamespace = 'ducto'::regnamespace and t.typelem = 0"
        " and (c.relkind is null or c.relkind = 'c')"
    ).fetchall()
    for (name,) in types:
        kind = sql.Identifier("ducto", name)
        found.append(sql.SQL("create table mine.t (x {})").format(kind))
        found.append(sql.SQL("create domain mine.d as {}").format(kind))
        found.append(
            sql.SQL("create function mine.f({}) returns int language sql return 1").format(kind)
        )
    routines = db.execute(
        "select p.proname, array(select format_type(t, null) from unnest(p.proargtypes) t)"
        " from pg_proc p where p.pronamespace = 'ducto'::regnamespace"
    ).fetchall()
    for name, kinds in routines:
        arguments = sql.SQL(", ").join(sql.SQL("null::" + kind) for kind in kinds)
        call = sql.SQL("{}({})").format(sql.Identifier("ducto", name), arguments)
        found.append(sql.SQL("create view mine.v as select {} as x").format(call))
        found.append(
            sql.SQL("create function mine.f() returns void begin atomic select {}; end").format(
                call
            )
        )
    return found


def test_nothing_private_can_be_depended_on(db: Connection, member: Connection) -> None:
    statements = attempts(db)
    assert len(statements) > 200
    worked = []
    for statement in statements:
        try:
            member.execute(statement)
        except psycopg.Error:
            continue
        worked.append(statement.as_string(member))
    assert worked == []
    before = snapshot(db)
    migrate(db)
    assert snapshot(db) == before


def views_on_the_api(db: Connection, member: Connection) -> int:
    """Make a view on every routine the member may call; how many there are."""
    routines = db.execute(
        "select p.oid::regproc::text, array(select format_type(t, null)"
        " from unnest(p.proargtypes) t) from pg_proc p"
        " where p.pronamespace = 'public'::regnamespace and starts_with(p.proname, 'ducto_')"
        " and has_function_privilege(%s, p.oid, 'execute')",
        [MEMBER],
    ).fetchall()
    for number, (name, kinds) in enumerate(routines):
        arguments = sql.SQL(", ").join(sql.SQL("null::" + kind) for kind in kinds)
        member.execute(
            sql.SQL("create view mine.{} as select * from {}({})").format(
                sql.Identifier(f"v{number}"), sql.SQL(name), arguments
            )
        )
    return len(routines)


def test_views_on_the_api_do_not_stop_an_upgrade_that_keeps_it(
    db: Connection, member: Connection, tmp_path: Path
) -> None:
    assert views_on_the_api(db, member) > 10
    tree = Path(shutil.copytree(sql_root(), tmp_path / "sql"))
    for path in (tree / "routines").glob("*/ducto_*.sql"):
        text = path.read_text()
        # Another body, another helper: what a release changes.
        if "\nbegin\n" in text:
            path.write_text(text.replace("\nbegin\n", "\nbegin\n    perform 1;\n", 1))
    (tree / "migrations" / "9000_extra.sql").write_text(
        "alter table ducto.credit_transactions add column extra integer;\n"
    )
    assert migrate(db, manifest=load_manifest(tree)).applied == ("9000_extra",)


@pytest.fixture
def without_version(tmp_path: Path) -> Manifest:
    """A release in which a routine is gone."""
    tree = Path(shutil.copytree(sql_root(), tmp_path / "gone"))
    (tree / "routines" / "operations" / "ducto_version.sql").unlink()
    access = tree / "access.sql"
    access.write_text(access.read_text().replace("    ('reader', 'public.ducto_version'),\n", ""))
    return load_manifest(tree)


@pytest.fixture
def retiring_version(tmp_path: Path) -> Manifest:
    """A release that drops a routine to give it another result."""
    tree = Path(shutil.copytree(sql_root(), tmp_path / "retired"))
    retired = tree / "retired.sql"
    retired.write_text(retired.read_text() + "drop function if exists public.ducto_version();\n")
    return load_manifest(tree)


@pytest.mark.parametrize("release", ["without_version", "retiring_version"])
def test_what_a_view_calls_is_not_taken_from_under_it(
    release: str, db: Connection, member: Connection, request: pytest.FixtureRequest
) -> None:
    member.execute("create view mine.installed as select public.ducto_version()")
    before = snapshot(db)
    with pytest.raises(MigrationError) as refused:
        migrate(db, manifest=request.getfixturevalue(release))
    assert "ducto_version()" in str(refused.value)
    assert "view mine.installed depends on function" in str(refused.value)
    assert "Drop or change what depends on it, then migrate again" in str(refused.value)
    assert snapshot(db) == before
    member.execute("drop view mine.installed")
    migrate(db, manifest=request.getfixturevalue(release))


def pin(member: Connection, db: Connection, kind: str, name: str) -> None:
    """Make something of the member's depend on what it may not use, by its number."""
    row = db.execute(f"select %s::{kind}::oid::bigint".encode(), [name]).fetchone()
    assert row is not None
    member.execute(f"create view mine.{kind}_v as select '{row[0]}'::{kind} as x".encode())
    member.execute(f"create table mine.{kind}_t (x {kind} default '{row[0]}')".encode())


def test_what_is_pinned_by_its_number_is_dropped_with_the_pin(
    db: Connection, member: Connection
) -> None:
    # What an older release left: whatever lies in the schema and is not this one's.
    db.execute("create function ducto.old_helper() returns int language sql return 1")
    db.execute("create view ducto.old_view as select 1 as x")
    pin(member, db, "regprocedure", "ducto.old_helper()")
    pin(member, db, "regclass", "ducto.old_view")
    notes = "\n".join(migrate(db).notes)
    assert "of somebody who may not use it, and so dropped with routine ducto.old_helper()" in notes
    assert "view mine.regclass_v depends on view ducto.old_view" in notes
    left = db.execute(
        "select to_regproc('ducto.old_helper'), to_regclass('ducto.old_view'),"
        " to_regclass('mine.regprocedure_v'), to_regclass('mine.regprocedure_t') is not null"
    ).fetchone()
    assert left == (None, None, None, True)


def test_what_may_be_used_is_not_taken_from_under_its_user(db: Connection) -> None:
    db.execute("create view ducto.old_view as select 1 as x")
    db.execute("create view public.of_a_superuser as select * from ducto.old_view")
    with pytest.raises(MigrationError, match=r"drops view ducto[.]old_view, but something still"):
        migrate(db)


@pytest.mark.parametrize("release", ["without_version", "retiring_version"])
def test_who_may_not_call_a_function_cannot_pin_it(
    release: str, db: Connection, member: Connection, request: pytest.FixtureRequest
) -> None:
    db.execute("create role ducto_test_nobody")
    db.execute("grant create on schema public to ducto_test_nobody")
    try:
        db.execute("set role ducto_test_nobody")
        db.execute("create view public.pin as select public.ducto_version() as x")
        db.execute("reset role")
        migrate(db, manifest=request.getfixturevalue(release))
        assert db.execute("select to_regclass('public.pin')").fetchone() == (None,)
    finally:
        db.execute("drop owned by ducto_test_nobody")
        db.execute("drop role ducto_test_nobody")
