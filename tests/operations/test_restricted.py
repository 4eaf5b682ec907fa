"""Installing where one is not the superuser; roles made by others, shared, or not to be had."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import conninfo, sql

from ducto_pg.install.embedded import embedded_binaries
from ducto_pg.install.manifest import Manifest, MigrationError, load_manifest, sql_root
from ducto_pg.install.migrate import Choices, build_script, migrate, status
from tests.support.catalog import is_installed, snapshot
from tests.support.databases import Connection, Databases, open_connection
from tests.support.server import PLPYTHON, Server

PREFIX = "ducto_test_own_"
OTHER = "ducto_test_other_"
HOST = "ducto_test_host"
APP = "ducto_test_app"
Login = Callable[..., str]


@pytest.fixture
def admin(cluster: Server) -> Iterator[Connection]:
    """A superuser's connection; every role that a test makes is gone afterwards."""
    with open_connection(cluster.dsn) as connection:
        yield connection
        made = connection.execute(
            "select rolname from pg_roles where rolname like 'ducto\\_test\\_%' order by 1"
        ).fetchall()
        for (role,) in made:
            connection.execute(sql.SQL("drop owned by {}").format(sql.Identifier(role)))
        for (role,) in made:
            connection.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))


@pytest.fixture
def empty(admin: Connection, databases: Databases) -> Iterator[str]:
    """An empty database, for a superuser."""
    dsn = databases.create_empty()
    yield dsn
    databases.drop(dsn)


@pytest.fixture
def another(admin: Connection, databases: Databases) -> Iterator[str]:
    """A second database of the same server."""
    dsn = databases.create_empty()
    yield dsn
    databases.drop(dsn)


@pytest.fixture
def login(admin: Connection) -> Login:
    """A factory: `login(dsn, name, "createrole")` makes a role and gives its DSN."""

    def make(dsn: str, name: str, attributes: str = "") -> str:
        admin.execute(f"create role {name} login password 'secret' {attributes}".encode())
        return conninfo.make_conninfo(dsn, user=name, password="secret")

    return make


@pytest.fixture
def host(empty: str, admin: Connection, login: Login) -> str:
    """The DSN of who owns the database and may create no roles, as on many managed hosts."""
    dsn = login(empty, HOST)
    name = conninfo.conninfo_to_dict(empty)["dbname"]
    admin.execute(f"alter database {name} owner to {HOST}".encode())
    return dsn


def scalar(connection: Connection, query: str) -> Any:
    """The one value a query returns."""
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def owners(connection: Connection) -> set[str]:
    """Who owns anything of an installation."""
    rows = connection.execute(
        """
        select pg_get_userbyid(n.nspowner) from pg_namespace n where n.nspname = 'ducto'
        union select pg_get_userbyid(c.relowner) from pg_class c
        where c.relnamespace = 'ducto'::regnamespace
        union select pg_get_userbyid(t.typowner) from pg_type t
        where t.typnamespace = 'ducto'::regnamespace
        union select pg_get_userbyid(p.proowner) from pg_proc p
        where p.pronamespace = 'ducto'::regnamespace or p.proname like 'ducto\\_%'
        """
    ).fetchall()
    return {owner for (owner,) in rows}


def may(connection: Connection, role: str) -> tuple[bool, bool, bool]:
    """Whether a role may look, charge, publish."""
    row = connection.execute(
        """
        select bool_or(has_function_privilege(%(role)s, p.oid, 'execute'))
                filter (where p.proname = 'ducto_get_balance'),
            bool_or(has_function_privilege(%(role)s, p.oid, 'execute'))
                filter (where p.proname = 'ducto_add_credits'),
            bool_or(has_function_privilege(%(role)s, p.oid, 'execute'))
                filter (where p.proname = 'ducto_check')
        from pg_proc p
        where p.pronamespace = 'public'::regnamespace
        """,
        {"role": role},
    ).fetchone()
    assert row is not None
    return row[0], row[1], row[2]


def tree_with(tmp_path: Path, path: str, old: str, new: str) -> Manifest:
    """The manifest of a release with one file changed."""
    tree = Path(shutil.copytree(sql_root(), tmp_path / "sql"))
    text = (tree / path).read_text()
    assert old in text
    (tree / path).write_text(text.replace(old, new))
    return load_manifest(tree)


def test_without_createrole_access_is_given_by_name_and_kept(
    host: str, empty: str, login: Login, databases: Databases
) -> None:
    login(empty, APP)
    report = migrate(host, role_prefix=PREFIX, grants={APP: "service"})
    assert report.evaluator == "portable"
    missing = f"{PREFIX}owner, {PREFIX}reader, {PREFIX}service, {PREFIX}admin"
    assert any(f"{HOST} may not create the roles {missing}" in note for note in report.notes)
    with open_connection(empty) as connection:
        assert owners(connection) == {HOST}
        assert may(connection, APP) == (True, True, False)
        before = snapshot(connection)
        migrate(host)
        # A superuser's upgrade neither takes it away nor takes the installation over.
        again = migrate(empty)
        assert (again.evaluator, owners(connection)) == ("portable", {HOST})
        assert may(connection, APP) == (True, True, False)
        migrate(host, grants={APP: "reader"})
        assert may(connection, APP) == (True, False, False)
        migrate(host, grants={APP: "admin"})
        assert may(connection, APP) == (True, True, True)
        migrate(host, revokes=(APP,))
        assert may(connection, APP) == (False, False, False)
        assert migrate(host, grants={APP: "service"}).applied == ()
        # The superuser's run has made the roles that were missing, and given them their access.
        assert may(connection, f"{PREFIX}reader") == (True, False, False)
        for name in ("routines", "schema"):
            assert len(snapshot(connection)[name]) == len(before[name])
    with open_connection(conninfo.make_conninfo(empty, user=APP, password="secret")) as app:
        app.execute("select ducto_add_credits('u', 10)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute("select * from ducto_check()")


def test_access_for_a_role_that_does_not_exist_is_refused(host: str) -> None:
    with pytest.raises(MigrationError, match="the role nobody_of_that_name does not exist"):
        migrate(host, grants={"nobody_of_that_name": "reader"})
    with open_connection(host) as connection:
        assert not is_installed(connection)


def test_a_granted_role_that_went_away_is_said(host: str, empty: str, login: Login) -> None:
    login(empty, APP)
    migrate(host, create_roles=False, grants={APP: "reader"})
    with open_connection(empty) as connection:
        connection.execute(f"drop owned by {APP}".encode())
        connection.execute(f"drop role {APP}".encode())
    assert any(f"the role {APP}, which was granted" in note for note in migrate(host).notes)


def test_with_createrole_the_installation_is_handed_to_a_role_that_cannot_log_in(
    host: str, empty: str, admin: Connection
) -> None:
    admin.execute(f"alter role {HOST} createrole".encode())
    report = migrate(host, role_prefix=PREFIX)
    assert not any("roles" in note or "owns" in note for note in report.notes)
    with open_connection(empty) as connection:
        assert owners(connection) == {f"{PREFIX}owner"}
        assert may(connection, f"{PREFIX}service") == (True, True, False)
        before = snapshot(connection)
        migrate(host)
        migrate(empty, evaluator="portable")
        assert snapshot(connection) == before


def test_roles_made_beforehand_are_used(host: str, empty: str, admin: Connection) -> None:
    for suffix in ("owner", "reader", "service", "admin"):
        admin.execute(f"create role {PREFIX}{suffix} nologin".encode())
    admin.execute(f"grant {PREFIX}owner to {HOST}".encode())
    report = migrate(host, role_prefix=PREFIX)
    assert not any("roles" in note or "owns" in note for note in report.notes)
    with open_connection(empty) as connection:
        assert owners(connection) == {f"{PREFIX}owner"}
        assert may(connection, f"{PREFIX}admin") == (True, True, True)


def test_a_schema_made_beforehand_is_all_an_installer_needs(
    empty: str, admin: Connection, login: Login
) -> None:
    dsn = login(empty, HOST)
    with pytest.raises(MigrationError, match=f"{HOST} may not create a schema in the database"):
        migrate(dsn)
    with open_connection(empty) as connection:
        connection.execute(f"create schema ducto authorization {HOST}".encode())
        with pytest.raises(MigrationError, match=f"{HOST}, which owns ducto-pg, may not create"):
            migrate(dsn, create_roles=False)
        connection.execute(f"grant create on schema public to {HOST}".encode())
        migrate(dsn, create_roles=False)
        assert owners(connection) == {HOST}


def test_a_schema_given_to_somebody_stays_theirs(
    empty: str, admin: Connection, login: Login
) -> None:
    login(empty, HOST)
    with open_connection(empty) as connection:
        connection.execute(f"create schema ducto authorization {HOST}".encode())
        migrate(connection)
        assert owners(connection) == {HOST}


@pytest.mark.parametrize("planted", ["view", "cast", "child"])
def test_a_schema_that_was_planted_runs_nothing_as_the_superuser_who_migrates(
    planted: str, host: str, empty: str
) -> None:
    with open_connection(host) as connection:
        connection.execute("create schema ducto")
        connection.execute(
            "create function ducto.trap() returns int language plpgsql as"
            " $$ begin raise 'run by %', current_user; end $$"
        )
        if planted == "view":
            connection.execute("create view ducto.migrations as select ducto.trap() as version")
        elif planted == "cast":
            connection.execute("create type ducto.number as enum ('1')")
            connection.execute("create function ducto.cast(ducto.number) returns int return 1")
            connection.execute(
                "create cast (ducto.number as int) with function ducto.cast as assignment"
            )
            connection.execute("create table ducto.migrations (version ducto.number)")
        else:
            connection.execute("create table ducto.migrations (version int)")
            connection.execute("create table ducto.child () inherits (ducto.migrations)")
        connection.execute("create view ducto.settings as select ducto.trap()::text as key")
    for run in (status, migrate, lambda dsn: migrate(dsn, dry_run=True)):
        with pytest.raises(MigrationError, match="somebody made it beforehand"):
            run(empty)


def test_who_is_not_the_owner_is_told_before_anything_is_tried(
    host: str, empty: str, login: Login, admin: Connection
) -> None:
    migrate(host, create_roles=False)
    stranger = login(empty, APP, "createrole")
    name = conninfo.conninfo_to_dict(empty)["dbname"]
    admin.execute(f"grant create on database {name} to {APP}".encode())
    sentence = f"^schema ducto belongs to {HOST}; migrate as {HOST} or a member of it$"
    for dry_run in (False, True):
        with pytest.raises(MigrationError, match=sentence):
            migrate(stranger, role_prefix=OTHER, dry_run=dry_run)
    assert admin.execute("select from pg_roles where rolname like %s", [f"{OTHER}%"]).rowcount == 0
    admin.execute(f"grant {HOST} to {APP}".encode())
    migrate(stranger)
    with open_connection(empty) as connection:
        assert owners(connection) == {HOST}


def test_a_member_that_does_not_inherit_migrates_as_the_owner(
    host: str, empty: str, login: Login, admin: Connection
) -> None:
    member = login(empty, APP, "noinherit")
    admin.execute(f"grant {HOST} to {APP}".encode())
    migrate(host, create_roles=False)
    with open_connection(empty) as connection:
        before = snapshot(connection)
        assert migrate(member, dry_run=True).applied == ()
        assert status(member).up_to_date
        assert migrate(member).applied == ()
        done = psql(member, build_script(transaction=False))
        assert (done.returncode, done.stderr) == (0, "")
        assert snapshot(connection) == before


@pytest.mark.needs(PLPYTHON)
def test_an_upgrade_by_a_member_of_the_owner_keeps_pl_python(
    empty: str, admin: Connection, login: Login, tmp_path: Path
) -> None:
    with open_connection(empty) as connection:
        assert migrate(connection, role_prefix=PREFIX).evaluator == "plpython"
        before = snapshot(connection)
        member = login(empty, APP)
        admin.execute(f"grant {PREFIX}owner to {APP}".encode())
        assert status(member).next_evaluator == "plpython"
        assert migrate(member).evaluator == "plpython"
        assert snapshot(connection) == before
        # A release that changes those functions needs a superuser, or a decision.
        changed = tree_with(
            tmp_path,
            "evaluators/plpython/price_plpython.sql",
            "VERSION_LIMIT = 16",
            "VERSION_LIMIT = 17",
        )
        with pytest.raises(MigrationError, match=f"functions in PL/Python, which {APP} may not"):
            migrate(member, manifest=changed)
        assert snapshot(connection) == before
        assert migrate(member, evaluator="portable", manifest=changed).evaluator == "portable"
        # From then on it is what was chosen, for a superuser too.
        assert migrate(connection, manifest=changed).evaluator == "portable"
        assert migrate(connection, evaluator="plpython").evaluator == "plpython"
        assert snapshot(connection) == before


def test_two_databases_of_one_server_need_not_share_roles(
    empty: str, another: str, login: Login, admin: Connection
) -> None:
    migrate(empty, role_prefix=PREFIX)
    migrate(another, role_prefix=OTHER)
    reader = login(empty, APP)
    admin.execute(f"grant {PREFIX}reader to {APP}".encode())
    with open_connection(reader) as connection:
        connection.execute("select ducto_get_balance('u')")
    with (
        open_connection(conninfo.make_conninfo(another, user=APP, password="secret")) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("select ducto_get_balance('u')")
    with open_connection(another) as connection:
        assert owners(connection) == {f"{OTHER}owner"}
        # Remembered: nobody has to say it again.
        migrate(connection)
        assert may(connection, f"{OTHER}admin") == (True, True, True)
        assert may(connection, f"{PREFIX}admin") == (False, False, False)
    assert status(another).role_prefix == OTHER


def test_another_prefix_moves_everything_to_other_roles(empty: str, admin: Connection) -> None:
    with open_connection(empty) as connection:
        migrate(connection, role_prefix=PREFIX)
        before = snapshot(connection)
        migrate(connection, role_prefix=OTHER)
        assert owners(connection) == {f"{OTHER}owner"}
        assert may(connection, f"{PREFIX}admin") == (False, False, False)
        assert may(connection, f"{OTHER}reader") == (True, False, False)
        migrate(connection, role_prefix=PREFIX)
        assert snapshot(connection) == before


@pytest.mark.parametrize("prefix", ["", "pg_x", "a b", "A_", "x" * 41, "x';drop", "1x"])
def test_a_prefix_that_no_role_could_have_is_refused(prefix: str, empty: str) -> None:
    with pytest.raises(MigrationError, match="cannot begin the names of roles"):
        migrate(empty, role_prefix=prefix)


def test_no_roles_creates_none_and_is_remembered(host: str, empty: str, admin: Connection) -> None:
    report = migrate(host, role_prefix=PREFIX, create_roles=False)
    assert not any("roles" in note for note in report.notes)
    migrate(empty)
    assert admin.execute("select from pg_roles where rolname like %s", [f"{PREFIX}%"]).rowcount == 0
    with open_connection(empty) as connection:
        assert owners(connection) == {HOST}
        migrate(connection, create_roles=True)
        assert may(connection, f"{PREFIX}service") == (True, True, False)


def test_a_superuser_never_owns_an_installation(empty: str) -> None:
    with pytest.raises(MigrationError, match="a superuser would own the installation"):
        migrate(empty, role_prefix=PREFIX, create_roles=False)
    with open_connection(empty) as connection:
        assert not is_installed(connection)


def test_defaults_that_a_host_has_set_beforehand_open_nothing(
    empty: str, admin: Connection, login: Login
) -> None:
    login(empty, APP)
    with open_connection(empty) as connection:
        connection.execute(f"create role {PREFIX}owner".encode())
        for role in ("current_user", f"{PREFIX}owner"):
            for kind in ("functions", "tables", "sequences", "types", "schemas"):
                connection.execute(
                    f"alter default privileges for role {role} grant all on {kind}"
                    f" to {APP} with grant option".encode()
                )
        migrate(connection, role_prefix=PREFIX)
        assert may(connection, APP) == (False, False, False)
        rows = connection.execute(
            """
            select c.relname from pg_class c
            where c.relnamespace = 'ducto'::regnamespace
                and strpos(c.relacl::text, %(r)s) > 0
            union all
            select p.proname from pg_proc p
            where has_function_privilege(%(r)s, p.oid, 'execute')
                and (p.pronamespace = 'ducto'::regnamespace or p.proname like 'ducto\\_%%')
            union all
            select t.typname from pg_type t left join pg_class c on c.oid = t.typrelid
            where t.typnamespace = 'ducto'::regnamespace
                and (t.typtype in ('d', 'e') or c.relkind = 'c')
                and has_type_privilege(%(r)s, t.oid, 'usage')
            union all
            select 'schema' where has_schema_privilege(%(r)s, 'ducto', 'usage, create')
            """,
            {"r": APP},
        ).fetchall()
        assert rows == []


def psql(dsn: str, script: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a script through psql, stopping at the first error."""
    command = [str(embedded_binaries() / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1"]
    return subprocess.run(
        [*command, *options, dsn], input=script, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("evaluator", ["plpython", "portable"])
def test_one_statement_leaves_a_surrounding_transaction_whole(
    evaluator: Any, empty: str, databases: Databases
) -> None:
    script = build_script(Choices(evaluator), transaction=False)
    assert not re.search(r"^(begin\b.*|commit);", script, re.MULTILINE)
    around = (
        "create table public.mine (at timestamptz default now());\n"
        "set local search_path = public;\n"
        f"{script}\n"
        "insert into mine default values;\n"
        "do $$ begin if current_setting('search_path') <> 'public'"
        " or current_setting('lock_timeout') <> '0' or current_user <> session_user"
        " then raise exception 'not whole'; end if; end $$;"
    )
    done = psql(empty, f"{around}\nselect 1/0;", "-1")
    assert "division by zero" in done.stderr
    with open_connection(empty) as connection:
        assert not is_installed(connection)
        assert scalar(connection, "select to_regclass('public.mine') is null") is True
        done = psql(empty, around, "-1")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        # The same where nothing surrounds it, and again.
        for _ in range(2):
            done = psql(empty, script)
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        dsn = databases.create(evaluator)
        with open_connection(dsn) as migrated:
            assert snapshot(connection) == snapshot(migrated)
        databases.drop(dsn)


def test_the_script_carries_the_choices(empty: str, login: Login) -> None:
    login(empty, APP)
    choices = Choices("portable", role_prefix=PREFIX, grants={APP: "reader"}, lock_timeout_ms=123)
    for transaction in (True, False):
        done = psql(empty, build_script(choices, transaction=transaction))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        with open_connection(empty) as connection:
            assert owners(connection) == {f"{PREFIX}owner"}
            assert may(connection, APP) == (True, False, False)
    assert "set local lock_timeout = '123ms'" in build_script(choices)


def test_a_function_made_by_somebody_else_is_named(host: str, empty: str) -> None:
    with open_connection(host) as connection:
        connection.execute("create function public.ducto_version() returns jsonb return '1'::jsonb")
    said = r"ducto_version[.]sql: must be owner of function ducto_version: somebody else made one"
    with pytest.raises(MigrationError, match=said):
        migrate(empty)


def test_status_names_what_is_planted_beside_the_api(empty: str) -> None:
    migrate(empty)
    with open_connection(empty) as connection:
        connection.execute("create function public.ducto_deduct(text, text) returns int return 1")
        (planted,) = (text for text in status(connection).warnings if "ducto_deduct" in text)
    assert "ducto_deduct(text,text) is not part of ducto-pg: it belongs to " in planted


def test_where_public_may_create_migrate_and_status_warn(empty: str) -> None:
    assert status(empty).warnings == ()
    with open_connection(empty) as connection:
        connection.execute("grant create on schema public to public")
        warning = migrate(connection).notes[-1]
        assert warning.startswith("PUBLIC may create objects in the schema public")
        assert status(connection).warnings == (warning,)
