"""Nobody's code but ours runs as the owner, whatever a session has put where ours looks for names.

An attacker who may only call creates temporary and public objects named like every name that any
routine mentions; each of them says who runs it. Every routine is called, as every role that may;
nothing of it may ever run as anybody but the attacker. What remains possible is no harm: the types
of arguments are resolved by the caller, before the call and as the caller.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql

from ducto_pg.install.migrate import Choices, build_script, migrate
from tests.conftest import Connect
from tests.operations.test_catalog import ROUTINES
from tests.support.databases import Connection
from tests.support.pricing import publish

ATTACKER = "ducto_test_attacker"
OTHERS = ("service_role", "authenticated")
VICTIM = "victim"
CONFIG = {
    "models": {"gpt-4": "input_tokens * 2 + tier(input_tokens, 10, 1, 100, 2)", "_default": "1"},
    "tools": {"_default": "tool_calls"},
    "fixed": {"job": "3"},
    "plans": [{"id": "pro", "free_allowance": 5, "features": {"export": True}, "default": True}],
}
# Arguments by name, where a plausible one takes a call further than one of its type does.
ARGUMENTS: dict[str, object] = {
    "p_user_id": VICTIM,
    "p_team_id": "crew",
    "p_metrics": '{"model": "gpt-4", "input_tokens": 20}',
    "p_config": '{"models": {"_default": "input_tokens"}}',
    "p_items": f'[{{"user_id": "{VICTIM}", "metrics": {{"model": "gpt-4"}}}}]',
    "p_charges": f'[{{"user_id": "{VICTIM}", "metrics": {{"model": "gpt-4"}}}}]',
    "p_grants": f'[{{"user_id": "{VICTIM}", "amount": 1}}]',
    "p_job": "job",
    "p_type": "promo",
    "p_plan": "pro",
    "p_plan_id": "pro",
    "p_plan_key": "pro",
    "p_feature": "export",
    "p_cap_type": "monthly",
    "p_action": "warn",
    "p_model": "gpt-4",
    "p_raise": False,
    "p_role": "member",
}
BY_TYPE: dict[str, object] = {
    "text": "x",
    "jsonb": "{}",
    "numeric": 1,
    "integer": 1,
    "bigint": 1,
    "smallint": 1,
    "boolean": True,
    "uuid": "00000000-0000-0000-0000-000000000000",
    "timestamp with time zone": "2099-01-01T00:00:00Z",
    "date": "2026-01-01",
    "interval": "1 day",
    "text[]": "{x}",
}
WITNESS = re.compile(r"WITNESS (\w+)")
# What the words of the routines may stand for, of whatever the server and we have of that name.
TYPES: LiteralString = """
    select distinct t.typname, format_type(t.oid, null)
    from pg_type t
    left join pg_class c on c.oid = t.typrelid
    where t.typnamespace in ('pg_catalog'::regnamespace, 'ducto'::regnamespace)
        and t.typname = any (%s)
        and (t.typtype in ('b', 'r', 'd', 'e') and t.typelem = 0 or c.relkind = 'c')
"""
RELATIONS: LiteralString = """
    select distinct c.relname
    from pg_class c
    where c.relnamespace in ('pg_catalog'::regnamespace, 'ducto'::regnamespace)
        and c.relkind in ('r', 'v', 'p', 'S')
        and c.relname = any (%s)
"""
FUNCTIONS: LiteralString = """
    select p.proname, pg_get_function_identity_arguments(p.oid),
        case when p.prorettype = 'trigger'::regtype then null
            else format_type(p.prorettype, null) end
    from pg_proc p
    where p.pronamespace in ('pg_catalog'::regnamespace, 'ducto'::regnamespace)
        and p.prokind = 'f' and not p.proretset
        and p.proname = any (%s)
"""
OPERATORS: LiteralString = """
    select o.oprname, nullif(o.oprleft, 0)::regtype::text, o.oprright::regtype::text,
        o.oprresult::regtype::text
    from pg_operator o
    where o.oprnamespace = 'pg_catalog'::regnamespace
        and o.oprleft = any (%(types)s::regtype[] || 0::oid)
        and o.oprright = any (%(types)s::regtype[])
"""
OPERAND_TYPES = [
    "text",
    "jsonb",
    "numeric",
    "integer",
    "bigint",
    "timestamptz",
    "boolean",
    "text[]",
]


@dataclass
class Stage:
    """The attacker's session, and what was heard of the objects planted in it."""

    session: Connection
    heard: list[str] = field(default_factory=list)
    planted: int = 0

    def __post_init__(self) -> None:
        self.session.add_notice_handler(self._listen)

    def _listen(self, notice: psycopg.errors.Diagnostic) -> None:
        self.heard += WITNESS.findall(notice.message_primary or "")

    def try_to(self, statement: sql.Composed) -> bool:
        """Run a statement; whether it worked."""
        try:
            self.session.execute(statement)
        except psycopg.Error:
            return False
        return True

    def plant(self, schema: str, words: list[str]) -> None:
        """Put an object of each kind there under each name the words have in the catalogs."""
        where = sql.Identifier(schema)
        witness = sql.Identifier(schema, "witness")
        self.session.execute(
            sql.SQL(
                "create or replace function {}() returns pg_catalog.bool language plpgsql as"
                " $$ begin raise warning 'WITNESS %', current_user; return true; end $$"
            ).format(witness)
        )
        self.session.execute(sql.SQL("grant all on function {}() to public").format(witness))
        for name, base in self.session.execute(TYPES, [words]).fetchall():
            # Over text where the type itself is ours, which the attacker cannot name.
            for source in (base, "pg_catalog.text"):
                made = sql.SQL("create domain {} as {} check ({}())").format(
                    sql.Identifier(schema, name), sql.SQL(source), witness
                )
                if self.try_to(made):
                    self.planted += 1
                    break
        for (name,) in self.session.execute(RELATIONS, [words]).fetchall():
            view = sql.Identifier(schema, name)
            made = sql.SQL("create view {} as select {}() as account_id").format(view, witness)
            self.planted += self.try_to(made)
            self.try_to(sql.SQL("grant all on {} to public").format(view))
        for name, arguments, result in self.session.execute(FUNCTIONS, [words]).fetchall():
            self._plant_function(where, name, arguments, result, witness)
        self._plant_operators(where, schema, witness)

    def _plant_function(
        self,
        where: sql.Identifier,
        name: str,
        arguments: str,
        result: str | None,
        witness: sql.Identifier,
    ) -> None:
        body = sql.SQL("$$ begin perform {}(); return null; end $$").format(witness)
        self.planted += self.try_to(
            sql.SQL("create function {}.{}({}) returns {} language plpgsql as {}").format(
                where,
                sql.Identifier(name),
                sql.SQL(arguments),
                sql.SQL(result or "trigger"),
                body,
            )
        )

    def _plant_operators(self, where: sql.Identifier, schema: str, witness: sql.Identifier) -> None:
        found = self.session.execute(OPERATORS, {"types": OPERAND_TYPES}).fetchall()
        for number, (symbol, left, right, result) in enumerate(found):
            function = sql.Identifier(schema, f"operator_{number}")
            body = sql.SQL("$$ begin perform {}(); return null; end $$").format(witness)
            types = ", ".join(part for part in (left, right) if part)
            made = self.try_to(
                sql.SQL("create function {}({}) returns {} language plpgsql as {}").format(
                    function, sql.SQL(types), sql.SQL(result), body
                )
            )
            operands = f"leftarg = {left}, rightarg = {right}" if left else f"rightarg = {right}"
            self.planted += made and self.try_to(
                sql.SQL("create operator {}.{} ({}, function = {})").format(
                    where, sql.SQL(symbol), sql.SQL(operands), function
                )
            )


@pytest.fixture
def attacker(both: Connection) -> Iterator[str]:
    """A role that may do what every login role may, and create in `public`."""
    made = [ATTACKER]
    for role in OTHERS:
        if both.execute("select from pg_roles where rolname = %s", [role]).fetchone() is None:
            made.append(role)
    for role in made:
        both.execute(sql.SQL("create role {}").format(sql.Identifier(role)))
    both.execute(f"grant create on schema public to {ATTACKER}".encode())
    migrate(both)
    yield ATTACKER
    for role in made:
        drop_role(both, role)


def drop_role(connection: Connection, role: str) -> None:
    """Drop a role and what it has, while its ended session may still be dropping its own."""
    for left in reversed(range(20)):
        try:
            connection.execute(sql.SQL("drop owned by {} cascade").format(sql.Identifier(role)))
            connection.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))
            return
        except psycopg.errors.DeadlockDetected:
            if left == 0:
                raise
            time.sleep(0.2)


@pytest.fixture
def stage(attacker: str, connect: Connect, both: Connection) -> Stage:
    """The attacker's session, with everything planted and found to work."""
    session = connect()
    session.execute(f"set role {attacker}".encode())
    session.execute("set search_path = pg_temp, public, pg_catalog")
    stage = Stage(session)
    session.execute("create temporary table first_of_all (id pg_catalog.int4)")
    # What is installed, and what installs it.
    bodies = both.execute(f"select pg_get_functiondef(r.oid) from ({ROUTINES}) r").fetchall()
    texts = [build_script(), *(text for (text,) in bodies)]
    words = sorted({word for text in texts for word in re.findall(r"[a-z_][a-z0-9_]*", text)})
    for schema in ("pg_temp", "public"):
        session.execute("set search_path = pg_catalog, pg_temp")
        stage.plant(schema, words)
    session.execute("set search_path = pg_temp, public, pg_catalog")
    assert stage.planted > 500
    stage.heard.clear()
    return stage


def test_a_path_that_does_not_name_pg_temp_would_be_found_out(
    stage: Stage, both: Connection
) -> None:
    # What the rest of this file relies on: the planted objects speak up when they are used.
    both.execute(
        "create function public.careless(p pg_catalog.text) returns pg_catalog.bool"
        " language plpgsql security definer set search_path = ''"
        " as $$ begin return p::text is not null; end $$"
    )
    both.execute("alter function public.careless(text) owner to ducto_owner")
    stage.session.execute("select public.careless(null::pg_catalog.text || 'x')")
    stage.session.execute("select public.careless('x')")
    assert "ducto_owner" in stage.heard


def callable_by(both: Connection, group: str) -> list[tuple[str, list[str], list[str], int]]:
    """Name, names and types of the arguments, and how many have no default, of what it may call."""
    return both.execute(
        f"""
        select r.proname,
            (coalesce(r.proargnames, '{{}}'))[:r.pronargs],
            array(select format_type(a.type, null)
                from unnest(r.proargtypes) with ordinality as a (type, position)
                order by a.position),
            r.pronargs - r.pronargdefaults
        from ({ROUTINES}) r
        where r.is_api and has_function_privilege(%s, r.oid, 'execute')
        order by r.proname !~ 'pricing_set|add_credits|create_team|reserve', r.proname
        """,
        [group],
    ).fetchall()


def value_of(name: str, kind: str, known: dict[str, Any]) -> object:
    """A plausible argument."""
    return known.get(name, ARGUMENTS.get(name, BY_TYPE[kind]))


@pytest.mark.parametrize(
    "group", ["ducto_reader", "ducto_service", "ducto_admin", "service_role", "authenticated"]
)
def test_nothing_planted_runs_as_another_than_the_attacker(
    group: str, stage: Stage, both: Connection
) -> None:
    publish(both, CONFIG)
    both.execute("select ducto_add_credits(%s, 100)", [VICTIM])
    row = both.execute(
        'select (ducto_deduct(%s, \'{"model": "gpt-4", "input_tokens": 7}\')'
        " ->> 'transaction_id')::bigint, ducto_reserve(%s, 1) ->> 'reservation_id'",
        [VICTIM, VICTIM],
    ).fetchone()
    assert row is not None
    known = {"p_transaction_id": row[0], "p_reservation_id": row[1]}
    both.execute(f"grant {group} to {ATTACKER}".encode())
    stage.session.execute(f"""set request.jwt.claims = '{{"sub": "{VICTIM}"}}'""".encode())
    succeeded, calls = set(), callable_by(both, group)
    for function, names, types, required in calls:
        for count in sorted({required, len(names)}):
            arguments = [
                sql.SQL("{} => {}").format(
                    sql.Identifier(name), sql.Literal(value_of(name, kind, known))
                )
                for name, kind in zip(names[:count], types[:count], strict=True)
            ]
            call = sql.SQL("select public.{}({})").format(
                sql.Identifier(function), sql.SQL(", ").join(arguments)
            )
            if stage.try_to(call):
                succeeded.add(function)
    both.execute(f"revoke {group} from {ATTACKER}".encode())
    assert set(stage.heard) <= {ATTACKER}
    failed = {function for function, *_ in calls} - succeeded
    assert len(failed) <= len(calls) // 4, f"no call of these worked: {sorted(failed)}"


def test_migrating_in_a_session_full_of_planted_objects_runs_none(
    stage: Stage, both: Connection
) -> None:
    stage.session.execute("reset role")
    migrate(stage.session, evaluator="portable")
    assert stage.heard == []


def test_the_script_as_one_statement_runs_none_either(stage: Stage) -> None:
    # A better match than the server's own, which takes any array.
    stage.session.execute(
        "create function public.unnest(pg_catalog.text[]) returns setof pg_catalog.text"
        " language plpgsql as $$ begin perform public.witness();"
        " return query select * from pg_catalog.unnest($1); end $$"
    )
    stage.session.execute("select unnest(array['x'::pg_catalog.text])")
    assert stage.heard != []
    stage.heard.clear()
    stage.session.execute("reset role")
    script = build_script(Choices(evaluator="portable"), transaction=False)
    with psycopg.ClientCursor(stage.session) as cursor:
        cursor.execute(script.encode())
    assert stage.heard == []


def test_what_is_planted_in_public_runs_neither_in_a_first_installation(
    stage: Stage, both: Connection
) -> None:
    stage.session.execute("reset role")
    stage.session.execute("drop schema ducto cascade")
    migrate(stage.session, evaluator="portable")
    assert stage.heard == []
