"""What the installed catalog must look like: a lint in SQL, on both evaluators' installations.

Each test collects what breaks its rule and expects nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import LiteralString

import pytest

from ducto_pg.install.manifest import sql_root
from ducto_pg.install.migrate import migrate
from tests.conftest import MakeDb
from tests.support.databases import Connection, open_connection
from tests.support.server import PLPGSQL_CHECK, Server
from tests.support.supabase import supabase_roles

ROUTINES: LiteralString = """
    select p.*, n.nspname, l.lanname, p.oid::regprocedure::text as signature,
        n.nspname = 'public' as is_api
    from pg_proc p
    join pg_namespace n on n.oid = p.pronamespace
    join pg_language l on l.oid = p.prolang
    where n.nspname = 'ducto' or n.nspname = 'public' and starts_with(p.proname, 'ducto_')
"""
TABLES: LiteralString = """
    select c.*, c.oid::regclass::text as name
    from pg_class c
    where c.relnamespace = 'ducto'::regnamespace and c.relkind in ('r', 'p')
"""
# What the routines use of pg_cron, for a server that does not preload it.
PG_CRON: LiteralString = """
    create schema cron;
    create table cron.job (
        jobid bigint, schedule text, command text, database text, username text, active boolean,
        jobname text
    );
    create function cron.schedule(text, text, text) returns bigint language sql return 1;
    create function cron.unschedule(bigint) returns boolean language sql return true;
"""
WRITES_HEADROOM = {
    "replay_drawn",
    "draw_headroom",
    "ducto_deduct",
    "draw_together",
    "ducto_reserve",
    "lock_account",
    "open_headroom",
    "ducto_settle",
}
MIRRORS = {
    "account": "credit_accounts",
    "entry": "credit_transactions",
    "reservation": "credit_reservations",
    "cap": "credit_spend_caps",
    "member": "credit_team_members",
}
STRANGER = "ducto_test_stranger"
GRANTEES = {"reader": "ducto_reader", "service": "ducto_service", "admin": "ducto_admin"}


def expect_none(connection: Connection, query: LiteralString, *parameters: object) -> None:
    """Fails with the rows of a query that should have none."""
    rows = connection.execute(query, parameters or None).fetchall()
    if rows:
        pytest.fail("\n".join(sorted(str(row) for row in rows)), pytrace=False)


@pytest.mark.needs(PLPGSQL_CHECK)
def test_plpgsql_check_finds_nothing(both: Connection) -> None:
    both.execute("create extension plpgsql_check")
    both.execute(PG_CRON)
    expect_none(
        both,
        f"""
        select r.signature, c.lineno, c.level, c.message, c.detail, c.query
        from ({ROUTINES}) r
        cross join lateral plpgsql_check_function_tb(
            r.oid,
            relid => coalesce(
                (select min(t.tgrelid) from pg_trigger t where t.tgfoid = r.oid), 0
            )::regclass,
            fatal_errors => false, other_warnings => true, performance_warnings => true,
            extra_warnings => true, security_warnings => true, compatibility_warnings => true
        ) c
        where r.lanname = 'plpgsql'
            -- The clock is volatile, because a charge that waited for a lock is dated after what it
            -- waited for; a read may look at it all the same.
            and (
                c.message <> 'routine is marked as STABLE, but expression is VOLATILE'
                or r.prosrc !~ 'ducto\\.now\\(\\)'
            )
            -- They look anew in an update that has waited, which stable ones would not.
            and (
                c.message <> 'routine is marked as VOLATILE, should be STABLE'
                or r.proname not in ('may_spend', 'check_hold_key')
            )
        """,
    )


def test_every_trigger_function_is_used_by_a_trigger(db: Connection) -> None:
    expect_none(
        db,
        f"""
        select r.signature from ({ROUTINES}) r
        where r.prorettype = 'trigger'::regtype
            and not exists (select from pg_trigger t where t.tgfoid = r.oid)
        """,
    )


def test_the_search_path_is_pinned(both: Connection) -> None:
    expect_none(
        both,
        f"""
        select r.signature, r.proconfig from ({ROUTINES}) r
        where r.proconfig is null or not 'search_path=pg_catalog, pg_temp' = any (r.proconfig)
        """,
    )


def test_no_routine_takes_an_advisory_lock(both: Connection) -> None:
    # Any login role can take the same one, and keep it.
    expect_none(both, f"select r.signature from ({ROUTINES}) r where r.prosrc ~ 'advisory'")


def test_no_body_depends_on_how_strings_are_read(both: Connection) -> None:
    # A body is parsed by the caller's standard_conforming_strings: a backslash may mean two things.
    expect_none(
        both,
        f"select r.signature from ({ROUTINES}) r"
        " where r.lanname <> 'plpython3u'"
        " and position(chr(92) in regexp_replace(r.prosrc, 'E''[^'']*''', '', 'g')) > 0",
    )


def test_every_api_routine_is_commented(both: Connection) -> None:
    expect_none(
        both,
        f"""
        select r.signature from ({ROUTINES}) r
        where r.is_api and coalesce(obj_description(r.oid, 'pg_proc'), '') = ''
        """,
    )


def test_no_body_is_bound_to_another_object(both: Connection) -> None:
    # A body that is not a string depends on what it mentions: tables could no longer be changed,
    # nor helpers replaced.
    expect_none(
        both,
        f"""
        select r.signature, pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid)
        from ({ROUTINES}) r
        join pg_depend d on d.classid = 'pg_proc'::regclass and d.objid = r.oid
        where d.refclassid in ('pg_class'::regclass, 'pg_proc'::regclass)
        """,
    )


def test_no_name_is_overloaded(both: Connection) -> None:
    expect_none(
        both,
        f"select r.nspname, r.proname from ({ROUTINES}) r group by 1, 2 having count(*) > 1",
    )


def test_parameters_begin_with_p(both: Connection) -> None:
    # Columns of a result (mode t) carry the names that clients read.
    expect_none(
        both,
        f"""
        select r.signature, a.name
        from ({ROUTINES}) r
        cross join lateral unnest(
            coalesce(r.proargnames, array_fill(''::text, array[r.pronargs::int])),
            coalesce(r.proargmodes, array_fill('i'::"char", array[r.pronargs::int]))
        ) as a (name, mode)
        where a.mode in ('i', 'b', 'v') and a.name not like 'p\\_%'
        """,
    )


def test_api_routines_run_as_their_owner_and_helpers_do_not(both: Connection) -> None:
    expect_none(
        both,
        f"""
        select r.signature from ({ROUTINES}) r
        -- pg_cron runs a job as the role that schedules it.
        where r.prosecdef <> (
            r.is_api and r.proname not in ('ducto_schedule_jobs', 'ducto_unschedule_jobs')
        )
        """,
    )


def test_everything_belongs_to_a_role_that_is_no_superuser(both: Connection) -> None:
    expect_none(
        both,
        f"""
        select r.signature, r.proowner::regrole from ({ROUTINES}) r
        where r.proowner <> 'ducto_owner'::regrole
        union all
        select c.relname, c.relowner::regrole from pg_class c
        where c.relnamespace = 'ducto'::regnamespace and c.relowner <> 'ducto_owner'::regrole
        union all
        select t.typname, t.typowner::regrole from pg_type t
        where t.typnamespace = 'ducto'::regnamespace and t.typowner <> 'ducto_owner'::regrole
        union all
        select r.rolname, r.oid::regrole from pg_roles r
        where r.rolname = any (array['ducto_owner', 'ducto_reader', 'ducto_service', 'ducto_admin'])
            and (r.rolsuper or r.rolcanlogin or r.rolbypassrls or r.rolcreaterole)
        """,
    )


def test_api_routines_return_jsonb_or_rows(db: Connection) -> None:
    expect_none(
        db,
        f"""
        select r.signature, r.prorettype::regtype from ({ROUTINES}) r
        where r.is_api and not r.proretset and r.prorettype <> 'jsonb'::regtype
        """,
    )


def test_no_routine_asks_who_is_calling(both: Connection) -> None:
    pattern = r"\m(current_user|session_user|current_role|pg_has_role|has_\w+_privilege)\M"
    # Scheduling is about the caller's own jobs.
    expect_none(
        both,
        f"""
        select r.signature from ({ROUTINES}) r
        where r.prosrc ~ %s and r.proname not in ('ducto_schedule_jobs', 'ducto_unschedule_jobs')
        """,
        pattern,
    )


def test_only_the_clock_reads_the_time(both: Connection) -> None:
    pattern = (
        r"(?<![\w.])(now\(\)|(clock|statement|transaction)_timestamp\(\)"
        r"|current_(date|time|timestamp)\M|localtime)"
    )
    expect_none(
        both,
        f"select r.signature from ({ROUTINES}) r where r.prosrc ~ %s "
        # What is within the headroom, or opens it, looks at ducto.clock itself or is called by what
        # has: a call costs two percent.
        " and r.proname not in ('now', 'ducto_deduct', 'charge_closed', 'draw_together',"
        " 'ducto_reserve', 'ducto_settle')",
        pattern,
    )


def test_every_table_has_a_primary_key_and_a_comment(db: Connection) -> None:
    expect_none(
        db,
        f"""
        select t.name from ({TABLES}) t
        where not exists (select from pg_index i where i.indrelid = t.oid and i.indisprimary)
            or coalesce(obj_description(t.oid, 'pg_class'), '') = ''
        """,
    )


def test_every_foreign_key_is_indexed(db: Connection) -> None:
    expect_none(
        db,
        """
        select c.conrelid::regclass, c.conname
        from pg_constraint c
        where c.contype = 'f'
            and c.connamespace = 'ducto'::regnamespace
            and not exists (
                select from pg_index i
                where i.indrelid = c.conrelid
                    and i.indpred is null
                    and (i.indkey::int2[])[0:cardinality(c.conkey) - 1] @> c.conkey
            )
        """,
    )


def test_no_index_mentions_what_a_charge_updates(db: Connection) -> None:
    # Such an update could not stay within its page.
    expect_none(
        db,
        "select i.indexname from pg_indexes i where i.schemaname = 'ducto'"
        " and i.tablename = 'credit_lots' and i.indexdef ~ '\\mremaining\\M'",
    )


def test_only_who_opens_or_draws_writes_the_headroom(both: Connection) -> None:
    # ducto.lock_account settles it, ducto.open_headroom opens it, these draw it.
    found = both.execute(
        f"""
        select array_agg(distinct r.proname::text)
        from ({ROUTINES}) r
        cross join regexp_matches(
            r.prosrc, 'update ducto[.]credit_accounts.*?(?:where|from [(])', 'g'
        ) m (statement)
        where m.statement[1]
            ~ '[[:<:]](headroom|headroom_(until|version|plan)|draw(n|_lot|_free)) ='
        """
    ).fetchone()
    assert found is not None
    assert set(found[0]) == WRITES_HEADROOM


@pytest.mark.parametrize("name", [*MIRRORS, "accounts_now"])
def test_a_composite_type_mirrors_its_table(db: Connection, name: str) -> None:
    """`select t.* into` a variable of the type assigns column by column, by place."""
    columns = (
        "select a.attname, format_type(a.atttypid, null) from pg_attribute a"
        " where a.attrelid = %s::regclass and a.attnum > 0 and not a.attisdropped"
        " order by a.attnum"
    )
    table = db.execute(columns, [f"ducto.{MIRRORS.get(name, 'credit_accounts')}"]).fetchall()
    assert db.execute(columns, [f"ducto.{name}"]).fetchall() == table


def test_no_routine_takes_or_returns_the_row_of_an_accounts_table(both: Connection) -> None:
    # A table may be spread over several nodes; its row type then is not theirs.
    expect_none(
        both,
        f"""
        select distinct r.signature, c.relname from ({ROUTINES}) r
        join pg_type t on t.oid = r.prorettype or t.oid = any (r.proargtypes)
            or t.oid = any (r.proallargtypes)
        join pg_class c on c.reltype = case when t.typelem <> 0 then (
            select e.oid from pg_type e where e.oid = t.typelem) else t.oid end
        where c.relkind in ('r', 'p', 'v')
            and exists (
                select from pg_attribute a where a.attrelid = c.oid and a.attname = 'account_id'
            )
        """,
    )


def test_no_sql_function_with_parameters_reads_an_accounts_table(both: Connection) -> None:
    # It would be inlined into statements on the tables of other accounts.
    expect_none(
        both,
        f"""
        select r.signature, c.relname from ({ROUTINES}) r
        join pg_class c on c.relnamespace = 'ducto'::regnamespace and c.relkind in ('r', 'v')
            -- What analytics reads is of all accounts.
            and not starts_with(c.relname, 'credit_usage_')
            and r.prosrc ~ ('[[:<:]]ducto[.]' || c.relname || '[[:>:]](?! *[(])')
        where r.lanname = 'sql' and r.pronargs > 0
            and exists (
                select from pg_attribute a where a.attrelid = c.oid and a.attname = 'account_id'
            )
        """,
    )


def test_money_is_exact_and_instants_know_their_zone(db: Connection) -> None:
    expect_none(
        db,
        """
        select c.table_name, c.column_name, c.data_type
        from information_schema.columns c
        join information_schema.tables t using (table_schema, table_name)
        where c.table_schema = 'ducto' and t.table_type = 'BASE TABLE'
            and c.table_name <> 'credit_linear_rates' and (
            c.data_type in ('real', 'double precision', 'money', 'timestamp without time zone',
                'character varying', 'character', 'json')
            or c.data_type = 'numeric' and c.column_name not like '%\\_tokens' and
                (c.numeric_precision, c.numeric_scale) is distinct from
                    -- Sums over accounts need more room than what they sum.
                    (case c.table_name when 'credit_usage_rollup' then 60 else 38 end, 12)
        )
        """,
    )


def test_row_level_security_is_on_everywhere(db: Connection) -> None:
    expect_none(db, f"select t.name from ({TABLES}) t where not t.relrowsecurity")


@pytest.fixture
def stranger(db: Connection) -> Iterator[str]:
    """A role that was given nothing."""
    db.execute(f"create role {STRANGER}".encode())
    yield STRANGER
    db.execute(f"drop role {STRANGER}".encode())


def test_public_may_do_nothing(db: Connection, stranger: str) -> None:
    rows = db.execute(
        f"""
        select r.signature from ({ROUTINES}) r
        where has_function_privilege(%(role)s, r.oid, 'execute')
        union all
        select c.relname
        from pg_class c
        where c.relnamespace = 'ducto'::regnamespace and c.relkind in ('r', 'p', 'v', 'S')
            and case c.relkind
                when 'S' then has_sequence_privilege(%(role)s, c.oid, 'usage, select, update')
                else has_table_privilege(%(role)s, c.oid,
                    'select, insert, update, delete, truncate, references, trigger')
                    or has_any_column_privilege(%(role)s, c.oid, 'select, insert, update')
            end
        union all
        select 'schema ducto' where has_schema_privilege(%(role)s, 'ducto', 'usage, create')
        """,
        {"role": stranger},
    ).fetchall()
    assert rows == []


def listed() -> dict[str, str]:
    """The list in access.sql: routine to the least role that may call it."""
    text = (sql_root() / "access.sql").read_text(encoding="utf-8")
    found = re.findall(r"^    \('(\w+)', '(public\.\w+)'\)[,;]$", text, re.MULTILINE)
    return {routine: role for role, routine in found}


def existing(connection: Connection) -> set[str]:
    """The routines of the API that are installed."""
    rows = connection.execute(f"select r.proname from ({ROUTINES}) r where r.is_api").fetchall()
    return {f"public.{name}" for (name,) in rows}


def expected_callers(role: str) -> set[str]:
    """Who may call a routine whose least role this is."""
    if role == "self":
        return set()
    order = list(GRANTEES)
    return {GRANTEES[name] for name in order[order.index(role) :]}


def test_the_access_list_names_what_exists_and_nothing_else(db: Connection) -> None:
    assert existing(db) ^ set(listed()) == set()


def test_each_role_may_call_what_the_list_says(both: Connection) -> None:
    rows = both.execute(
        f"""
        select r.nspname || '.' || r.proname, g.role
        from ({ROUTINES}) r
        cross join unnest(%s::text[]) as g (role)
        where has_function_privilege(g.role, r.oid, 'execute')
        """,
        [list(GRANTEES.values())],
    ).fetchall()
    wanted = {
        (routine, grantee)
        for routine, role in listed().items()
        if routine in existing(both)
        for grantee in expected_callers(role)
    }
    assert set(rows) == wanted


def test_each_comment_says_who_may_call(db: Connection) -> None:
    rows = db.execute(
        f"""
        select 'public.' || r.proname, obj_description(r.oid, 'pg_proc')
        from ({ROUTINES}) r where r.is_api
        """
    ).fetchall()
    wrong = []
    for routine, comment in rows:
        callers = re.search(r"Callers: ([a-z, ]+)\.", comment or "")
        said = {GRANTEES.get(word, word) for word in callers[1].split(", ")} if callers else set()
        role = listed().get(routine, "")
        wanted = {"authenticated"} if role == "self" else expected_callers(role)
        if said != wanted:
            wrong.append((routine, sorted(said), sorted(wanted)))
    assert wrong == []


def test_no_role_may_touch_a_table(db: Connection) -> None:
    rows = db.execute(
        f"""
        select t.name, g.role
        from ({TABLES}) t
        cross join unnest(%s::text[]) as g (role)
        where has_table_privilege(
            g.role, t.oid, 'select, insert, update, delete, truncate, references, trigger'
        )
        """,
        [list(GRANTEES.values())],
    ).fetchall()
    assert rows == []


def test_no_role_may_use_the_private_schema(db: Connection) -> None:
    for role in GRANTEES.values():
        row = db.execute(
            "select has_schema_privilege(%s, 'ducto', 'usage, create')", [role]
        ).fetchone()
        assert row == (False,)


def test_a_role_with_a_group_works_through_the_api(db: Connection, stranger: str) -> None:
    db.execute(f"grant ducto_service to {stranger}".encode())
    db.execute(f"set role {stranger}".encode())
    db.execute("select ducto_add_credits('u', 5)")
    row = db.execute("select ducto_get_balance('u') -> 'balance'").fetchone()
    db.execute("reset role")
    assert row == (5,)


@pytest.fixture
def supabase(cluster: Server, make_db: MakeDb) -> Iterator[Connection]:
    """A database on a cluster with Supabase's roles, migrated once more with them there."""
    roles = ("anon", "authenticated", "service_role")
    with supabase_roles(cluster), open_connection(make_db()) as connection:
        for role in roles:
            # What a hosted project does: every new object of a schema is everybody's.
            connection.execute(f"grant all on all functions in schema public to {role}".encode())
            connection.execute(f"grant all on all tables in schema ducto to {role}".encode())
        migrate(connection)
        yield connection
        connection.execute("reset role")


def test_on_supabase_only_the_service_role_gets_more_than_self_service(
    supabase: Connection,
) -> None:
    rows = supabase.execute(
        f"""
        select g.role, 'public.' || r.proname
        from ({ROUTINES}) r
        cross join unnest(array['anon', 'authenticated', 'service_role']) as g (role)
        where has_function_privilege(g.role, r.oid, 'execute')
        """
    ).fetchall()
    assert set(rows) == {
        ("authenticated" if role == "self" else "service_role", routine)
        for routine, role in listed().items()
        if routine in existing(supabase)
    }
    tables = supabase.execute(
        f"""
        select t.name from ({TABLES}) t
        cross join unnest(array['anon', 'authenticated', 'service_role']) as g (role)
        where has_table_privilege(g.role, t.oid, 'select, insert, update, delete')
        """
    ).fetchall()
    assert tables == []


def test_signed_in_users_would_see_their_own_rows_only(supabase: Connection) -> None:
    for user in ("alice", "bob"):
        supabase.execute("select ducto_add_credits(%s, 5)", [user])
    # Nothing is open to them; the policies hold even where somebody opens it.
    supabase.execute("grant usage on schema ducto to authenticated")
    supabase.execute("grant select on all tables in schema ducto to authenticated")
    supabase.execute("set role authenticated")
    supabase.execute("""set request.jwt.claims = '{"sub": "alice"}'""")
    for table in ("credit_accounts", "credit_lots", "accounts_now", "lots_now"):
        rows = supabase.execute(f"select account_id from ducto.{table}".encode()).fetchall()
        assert rows == [("alice",)]
    supabase.execute("set request.jwt.claims = ''")
    assert supabase.execute("select * from ducto.credit_lots").fetchall() == []
    supabase.execute("reset role")
