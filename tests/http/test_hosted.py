"""A hosted project: its owner is no superuser, there is no PL/Python, and its roles are there."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import conninfo, sql

from ducto_pg.install.migrate import migrate
from tests.support import js
from tests.support.databases import Databases
from tests.support.postgrest import Project, supabase_project
from tests.support.supabase import open_everything

# What `postgres` is on Supabase; the names are the tests' own, because roles are the cluster's.
OWNER = "ducto_test_project"
PREFIX = "ducto_test_hosted_"
CONFIG = {"models": {"gpt-4": "input_tokens * 0.03"}}


def install(dsn: str) -> None:
    """As the owner of a hosted project would."""
    database = sql.Identifier(str(conninfo.conninfo_to_dict(dsn)["dbname"]))
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"create role {OWNER} login createrole password '{OWNER}'".encode())
        connection.execute(
            f"grant anon, authenticated, service_role to {OWNER} with admin option".encode()
        )
        connection.execute(
            sql.SQL("alter database {} owner to {}").format(database, sql.Identifier(OWNER))
        )
    owner = conninfo.make_conninfo(dsn, user=OWNER, password=OWNER)
    open_everything(owner)
    report = migrate(owner, role_prefix=PREFIX)
    assert report.evaluator == "portable"
    migrate(owner)


@pytest.fixture(scope="module")
def hosted(databases: Databases) -> Iterator[Project]:
    """The project; its roles are gone afterwards."""
    try:
        js.install()
    except js.NoTools as error:
        pytest.skip(str(error))
    try:
        with supabase_project(databases, install) as project:
            yield project
    finally:
        with psycopg.connect(databases.server.dsn, autocommit=True) as admin:
            made = admin.execute(
                "select rolname from pg_roles where rolname = %s or starts_with(rolname, %s)",
                [OWNER, PREFIX],
            ).fetchall()
            for (role,) in made:
                admin.execute(sql.SQL("drop owned by {}").format(sql.Identifier(role)))
            for (role,) in made:
                admin.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))


def test_pricing_is_published_and_usage_charged_over_http(hosted: Project) -> None:
    assert hosted.serve("pricing_validate", config=CONFIG)["valid"] is True
    assert hosted.serve("pricing_set", config=CONFIG)["version"] == 1
    wrong = hosted.rpc("pricing_set", hosted.service_key, config={"models": {"m": "1 +"}})
    assert (wrong.status, wrong.body["code"]) == (422, "DU005")
    hosted.serve("add_credits", user_id="ann", amount=10)
    usage = {"model": "gpt-4", "input_tokens": 100}
    assert hosted.serve("deduct", user_id="ann", metrics=usage)["balance_after"] == 7
    answer = hosted.rpc("deduct_amount", hosted.service_key, user_id="ann", amount=8)
    assert (answer.status, answer.body["code"]) == (402, "DU002")
    assert hosted.serve("check") == []


def test_a_user_sees_the_own_account_and_nothing_else(hosted: Project) -> None:
    hosted.serve("add_credits", user_id="bob", amount=3)
    token = hosted.user_token("bob")
    assert hosted.rpc("my_balance", token).body["balance"] == 3
    assert hosted.rpc("my_usage", token).body == []
    for key in (token, hosted.anon_key):
        answer = hosted.rpc("add_credits", key, user_id="bob", amount=1)
        assert answer.body["code"] == "42501"
    assert hosted.rpc("my_balance", hosted.anon_key).status == 401
