"""What an attacker tries over HTTP and as a signed-in user's role. None of it gets anything."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from ducto_pg.install.migrate import migrate
from tests.conftest import Connect
from tests.support import supabase
from tests.support.catalog import snapshot
from tests.support.databases import Connection
from tests.support.postgrest import Answer, Project

CONFIG = {"models": {"gpt-4": "input_tokens * 0.03"}}
SIGNATURES = """
    select p.proname, coalesce(p.proargnames[:p.pronargs], '{}'),
        array(select t::regtype::text from unnest(p.proargtypes::oid[]) with ordinality a (t, n)
            order by a.n)
    from pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.proname like 'ducto\\_%'
    order by p.proname
"""
# Something of each type that an argument has; a text argument gets the hostile ones.
VALUES: dict[str, Any] = {
    "numeric": 1,
    "integer": 1,
    "bigint": -1,
    "boolean": False,
    "jsonb": {"model": "gpt-4", "input_tokens": 1},
    "timestamp with time zone": "2026-01-01T00:00:00Z",
    "uuid": "00000000-0000-0000-0000-000000000000",
    "text[]": ["x"],
}
HOSTILE = [
    "'; drop table ducto.credit_accounts; --",
    "\\'); select pg_sleep(10); --",
    "$$ || (select rolpassword from pg_authid limit 1) || $$",
    '"; create role evil superuser; --',
    "%s %I %L {user_id} %1$s",
    "x' or 'a'='a",
]


@pytest.fixture(scope="module")
def priced(project: Project) -> Project:
    """The project with pricing, and an account worth stealing from."""
    project.serve("pricing_set", config=CONFIG)
    project.serve("add_credits", user_id="victim", amount=1000)
    return project


@pytest.fixture
def thief(priced: Project) -> str:
    """A user with an account of their own."""
    user_id = f"thief-{uuid4()}"
    priced.serve("add_credits", user_id=user_id, amount=1)
    return user_id


@pytest.fixture
def owner(priced: Project, connect: Connect) -> Connection:
    """A superuser's connection, to look at what happened."""
    return connect(priced.dsn)


def signatures(connection: Connection) -> list[tuple[str, list[str], list[str]]]:
    """The API: names, parameters, their types."""
    return connection.execute(SIGNATURES.encode()).fetchall()


def arguments(parameters: list[str], types: list[str], text: str) -> dict[str, Any]:
    """An argument for each parameter; those of type text are `text`."""
    return {
        parameter: text if kind == "text" else VALUES[kind]
        for parameter, kind in zip(parameters, types, strict=True)
    }


def refused(answer: Answer) -> bool:
    """Whether permission was denied, and nothing said besides."""
    return answer.status in (401, 403) and answer.body["code"] == "42501"


# --- tokens --------------------------------------------------------------------------------------


def forgeries(project: Project) -> dict[str, str]:
    """Tokens for the victim's account that nobody signed, or that are not good any more."""
    claims = supabase.claims_of("authenticated", "victim")
    service = supabase.claims_of("service_role")
    head, body, signature = project.user_token("thief").split(".")
    other = supabase.sign(claims, project.secret).split(".")[1]
    return {
        "another secret": supabase.sign(claims, supabase.new_secret()),
        "another secret, service": supabase.sign(service, supabase.new_secret()),
        "no signature": supabase.sign(claims, project.secret, algorithm="none"),
        "no signature, service": supabase.sign(service, project.secret, algorithm="none"),
        "the claims exchanged": f"{head}.{other}.{signature}",
        "the signature cut": f"{head}.{body}.{signature[:-6]}",
        "expired": project.token("authenticated", "victim", exp=int(time.time()) - 60),
        "not yet good": project.token("authenticated", "victim", nbf=int(time.time()) + 600),
        "no token at all": "victim",
    }


def test_a_token_that_is_not_good_opens_nothing(priced: Project) -> None:
    for name, token in forgeries(priced).items():
        for function in ("my_balance", "version"):
            answer = priced.rpc(function, token)
            assert answer.status == 401, (name, answer.text)
            assert "victim" not in answer.text


def test_claims_that_come_any_other_way_are_not_looked_at(priced: Project, thief: str) -> None:
    claims = json.dumps({"sub": "victim", "role": "service_role"})
    token = priced.user_token(thief)
    for header in ("request.jwt.claims", "X-User-Id", "Role", "X-Forwarded-User"):
        answer = priced.request(
            "POST", "/rpc/ducto_my_balance", token=token, body={}, headers={header: claims}
        )
        assert answer.body["user_id"] == thief
    nested = priced.token("authenticated", thief, user_metadata={"sub": "victim"})
    assert priced.rpc("my_balance", nested).body["user_id"] == thief


@pytest.mark.parametrize("role", ["postgres", "ducto_owner", "ducto_admin", supabase.LOGIN])
def test_a_token_cannot_name_a_role_that_the_api_may_not_become(priced: Project, role: str) -> None:
    answer = priced.rpc("get_balance", priced.token(role, "victim"), user_id="victim")
    assert answer.status in (400, 401, 403), answer.text
    assert "1000" not in answer.text


def test_anon_with_a_subject_and_a_user_without_one_get_nothing(priced: Project) -> None:
    assert refused(priced.rpc("my_balance", priced.token("anon", "victim")))
    answer = priced.rpc("my_balance", priced.token("authenticated"))
    assert (answer.status, answer.body["code"]) == (401, "DU023")


# --- another user's id ---------------------------------------------------------------------------


def test_self_service_has_no_argument_for_a_user(priced: Project, owner: Connection) -> None:
    carriers = [
        (name, parameter)
        for name, parameters, _ in signatures(owner)
        if name.startswith("ducto_my_")
        for parameter in parameters
        if "user" in parameter or "team" in parameter or "account" in parameter
    ]
    assert carriers == []


@pytest.mark.parametrize("argument", ["p_user_id", "user_id", "p_team_id", "sub"])
def test_an_argument_added_names_no_function(priced: Project, thief: str, argument: str) -> None:
    token = priced.user_token(thief)
    for name in ("ducto_my_balance", "ducto_my_transactions", "ducto_my_usage"):
        answer = priced.request("POST", f"/rpc/{name}", token=token, body={argument: "victim"})
        assert answer.status == 404, answer.text
    path = f"/rpc/ducto_my_transactions?{argument}=eq.victim"
    answer = priced.request("GET", path, token=token)
    assert answer.status >= 400 or answer.body == []


def test_ids_in_metrics_are_metrics(priced: Project, thief: str) -> None:
    token = priced.user_token(thief)
    for key in ("user_id", "p_user_id", "team_id", "account_id", "sub"):
        metrics = {"model": "gpt-4", "input_tokens": 1, key: "victim"}
        answer = priced.rpc("my_quote", token, metrics=metrics)
        assert answer.status == 422, answer.text
        assert "1000" not in answer.text


def test_paging_cannot_reach_into_another_ledger(
    priced: Project, thief: str, owner: Connection
) -> None:
    row = owner.execute("select max(id) from ducto.credit_transactions").fetchone()
    assert row
    rows = priced.rpc(
        "my_transactions", priced.user_token(thief), before=row[0] + 1, limit=1000
    ).body
    assert [(entry["type"], entry["amount"]) for entry in rows] == [("adjustment", 1)]


@pytest.mark.parametrize("caller", ["authenticated", "anon"])
def test_nothing_else_of_the_api_answers_a_frontend(
    priced: Project, thief: str, owner: Connection, caller: str
) -> None:
    token = priced.user_token(thief) if caller == "authenticated" else priced.anon_key
    before = owner.execute("select * from ducto.credit_transactions").fetchall()
    called = 0
    for name, parameters, types in signatures(owner):
        if caller == "authenticated" and name.startswith("ducto_my_"):
            continue
        body = arguments(parameters, types, "victim")
        answer = priced.request("POST", f"/rpc/{name}", token=token, body=body)
        assert refused(answer), (name, answer.status, answer.text)
        called += 1
    assert called > 30
    assert owner.execute("select * from ducto.credit_transactions").fetchall() == before


# --- SQL in arguments ----------------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE)
def test_sql_in_a_text_argument_is_text(priced: Project, owner: Connection, text: str) -> None:
    before = snapshot(owner)
    for name, parameters, types in signatures(owner):
        if "text" not in types or name.startswith("ducto_my_"):
            continue
        body = arguments(parameters, types, text)
        answer = priced.request("POST", f"/rpc/{name}", token=priced.service_key, body=body)
        code = answer.body["code"] if answer.status >= 400 else None
        assert code is None or str(code).startswith("DU"), (name, answer.text)
    after = snapshot(owner)
    assert {part: after[part] == before[part] for part in before} == dict.fromkeys(before, True)
    evil = owner.execute("select from pg_roles where rolname = 'evil'").fetchall()
    assert evil == []


@pytest.mark.parametrize("text", HOSTILE)
def test_sql_in_claims_and_self_service_arguments_is_text(
    priced: Project, owner: Connection, text: str
) -> None:
    token = priced.user_token(text)
    assert priced.rpc("my_balance", token).body["user_id"] == text
    assert priced.rpc("my_feature", token, feature=text).body["has_feature"] is False
    assert priced.rpc("my_transactions", token).body == []
    answer = priced.rpc("my_quote", token, metrics={"model": text, "input_tokens": 1})
    assert answer.body["code"] == "DU004"
    assert priced.serve("get_balance", user_id="victim")["balance"] == 1000


# --- past the API --------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["Accept-Profile", "Content-Profile"])
def test_the_private_schema_is_not_served(priced: Project, thief: str, header: str) -> None:
    for token in (priced.user_token(thief), priced.service_key):
        for method in ("GET", "POST"):
            answer = priced.request(
                method,
                "/credit_accounts",
                token=token,
                body={} if method == "POST" else None,
                headers={header: "ducto"},
            )
            assert answer.status in (404, 406), answer.text
    assert priced.request("GET", "/credit_accounts", token=priced.service_key).status == 404


def test_the_list_of_functions_shows_a_caller_what_they_may_call(
    priced: Project, thief: str
) -> None:
    def listed(token: str) -> set[str]:
        paths = priced.request("GET", "/", token=token).body["paths"]
        return {path.removeprefix("/rpc/") for path in paths} - {"/"}

    assert listed(priced.anon_key) == set()
    own = listed(priced.user_token(thief))
    assert own and all(name.startswith("ducto_my_") for name in own)
    assert own < listed(priced.service_key) | own


def test_get_changes_nothing(priced: Project, thief: str) -> None:
    path = f"/rpc/ducto_add_credits?p_user_id={thief}&p_amount=5"
    assert priced.request("GET", path, token=priced.service_key).status == 405
    assert refused(priced.request("GET", path, token=priced.user_token(thief)))
    assert priced.serve("get_balance", user_id=thief)["balance"] == 1


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("set_config", {"setting_name": "request.jwt.claims", "new_value": "{}", "is_local": True}),
        ("current_setting", {"setting_name": "request.jwt.claims"}),
        ("pg_read_file", {"filename": "/etc/passwd"}),
        ("ducto.signed_in_user", {}),
        ("raise_error", {"p_code": "DU002"}),
    ],
)
def test_functions_of_other_schemas_are_not_served(
    priced: Project, thief: str, name: str, body: dict[str, Any]
) -> None:
    for token in (priced.user_token(thief), priced.service_key):
        answer = priced.request("POST", f"/rpc/{name}", token=token, body=body)
        assert (answer.status, answer.body["code"]) == (404, "PGRST202")


@pytest.fixture
def signed_in(priced: Project, owner: Connection, thief: str) -> Iterator[Connection]:
    """A connection that has become `authenticated` for the thief, as PostgREST would."""
    owner.execute("set role authenticated")
    owner.execute(
        "select set_config('request.jwt.claims', %s, false)", [json.dumps({"sub": thief})]
    )
    yield owner
    owner.execute("reset role")
    owner.execute("reset all")


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_no_table_view_or_sequence_opens_to_a_frontend(owner: Connection, role: str) -> None:
    relations = owner.execute(
        "select c.relname, c.relkind::text from pg_class c"
        " where c.relnamespace = 'ducto'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'S')"
    ).fetchall()
    assert len(relations) > 10
    owner.execute(f"set role {role}".encode())
    for name, kind in relations:
        attempts = [sql.SQL("select * from ducto.{}")]
        if kind in "rp":
            attempts += [
                sql.SQL("delete from ducto.{}"),
                sql.SQL("truncate ducto.{}"),
                sql.SQL("insert into ducto.{} default values"),
            ]
        if kind == "S":
            attempts.append(sql.SQL("select nextval('ducto.{}')"))
        for attempt in attempts:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                owner.execute(attempt.format(sql.Identifier(name)))
    owner.execute("reset role")


def test_no_helper_opens_to_a_frontend(owner: Connection) -> None:
    found = owner.execute(
        "select p.oid::regprocedure::text from pg_proc p"
        " where p.pronamespace = 'ducto'::regnamespace and ("
        " has_function_privilege('anon', p.oid, 'execute')"
        " or has_function_privilege('authenticated', p.oid, 'execute')"
        " or has_function_privilege('service_role', p.oid, 'execute'))"
    ).fetchall()
    assert found == []


def test_shadows_on_the_search_path_are_not_looked_at(signed_in: Connection, thief: str) -> None:
    expected = signed_in.execute("select ducto_my_balance()").fetchone()
    signed_in.execute("reset role")
    signed_in.execute("create schema evil")
    try:
        signed_in.execute("grant all on schema evil to authenticated")
        signed_in.execute("set role authenticated")
        signed_in.execute(
            """
            create function evil.stolen() returns text language plpgsql as $$
            begin raise exception 'ran as %', current_user; end $$;
            create function evil.now() returns timestamptz language sql as
                'select evil.stolen()::timestamptz';
            create function evil.trim_scale(numeric) returns numeric language sql as
                'select evil.stolen()::numeric';
            """
        )
        signed_in.execute(
            """
            create function evil.same(text, text) returns boolean language sql as
                'select evil.stolen() is null';
            create operator evil.= (leftarg = text, rightarg = text, procedure = evil.same);
            create view evil.credit_accounts as select evil.stolen() as account_id;
            create domain evil.numeric as pg_catalog.numeric;
            set search_path = evil, pg_temp, pg_catalog, public;
            """
        )
        for call in ("ducto_my_balance()", "ducto_my_plan()", "ducto_my_feature('x')"):
            signed_in.execute(f"select public.{call}".encode())
        signed_in.execute("select * from public.ducto_my_transactions()")
        signed_in.execute("select * from public.ducto_my_usage()")
        assert signed_in.execute("select public.ducto_my_balance()").fetchone() == expected
        with pytest.raises(psycopg.Error, match="ran as authenticated"):
            signed_in.execute("select evil.now()")
    finally:
        signed_in.execute("reset all")
        signed_in.execute("reset role")
        signed_in.execute("drop schema evil cascade")


def test_what_was_dropped_and_created_anew_is_closed_by_the_next_migrate(
    priced: Project, owner: Connection, thief: str
) -> None:
    row = owner.execute("select pg_get_functiondef('public.ducto_add_credits'::regproc)").fetchone()
    assert row
    signature = owner.execute("select 'public.ducto_add_credits'::regproc::oid::regprocedure::text")
    (name,) = signature.fetchone() or ("",)
    owner.execute(f"drop function {name}".encode())
    owner.execute(row[0].encode())
    owner.execute(f"alter function {name} owner to ducto_owner".encode())
    opened = "select has_function_privilege('anon', 'public.ducto_add_credits'::regproc, 'execute')"
    assert owner.execute(opened.encode()).fetchone() == (True,)
    migrate(priced.dsn)
    assert owner.execute(opened.encode()).fetchone() == (False,)
    priced.add_routines("select 1", "ducto_add_credits")
    for token in (priced.anon_key, priced.user_token(thief), None):
        assert refused(priced.rpc("add_credits", token, user_id=thief, amount=1000))
    assert priced.rpc("my_balance", priced.user_token(thief)).body["balance"] == 1
    assert priced.serve("add_credits", user_id=thief, amount=1)["balance_after"] == 2
