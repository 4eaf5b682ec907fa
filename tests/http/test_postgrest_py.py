"""The Python client of PostgREST, which Supabase's is made of, against the real server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import pytest
from postgrest import APIError, SyncPostgrestClient

from tests.support.postgrest import Project

CONFIG = {"models": {"gpt-4": "input_tokens * 0.03"}}
Client = Callable[..., SyncPostgrestClient]


@pytest.fixture(scope="module")
def priced(project: Project) -> Project:
    """The project with pricing."""
    project.serve("pricing_set", config=CONFIG)
    return project


@pytest.fixture
def client(priced: Project) -> Iterator[Client]:
    """Opens clients: `client(token)`; without one it is nobody's."""
    with ExitStack() as opened:

        def open_client(token: str | None = None) -> SyncPostgrestClient:
            key = priced.anon_key
            headers = {"apikey": key, "Authorization": f"Bearer {token or key}"}
            return opened.enter_context(
                SyncPostgrestClient(f"{priced.url}/rest/v1", headers=headers)
            )

        yield open_client


@pytest.fixture
def user(priced: Project) -> str:
    """A user with 100 credits and two charges."""
    user_id = f"user-{uuid4()}"
    priced.serve("add_credits", user_id=user_id, amount=100)
    for tokens in (100, 200):
        metrics = {"model": "gpt-4", "input_tokens": tokens}
        priced.serve("deduct", user_id=user_id, metrics=metrics)
    return user_id


def data(request: Any) -> Any:
    """What a request brings."""
    return request.execute().data


def test_a_signed_in_user_reads_the_own_account(priced: Project, client: Client, user: str) -> None:
    mine = client(priced.user_token(user))
    balance = data(mine.rpc("ducto_my_balance", {}))
    assert (balance["user_id"], balance["balance"]) == (user, 91)
    assert data(mine.rpc("ducto_my_balance", {}, get=True)) == balance
    rows = mine.rpc("ducto_my_transactions", {"p_limit": "10"}).eq("type", "usage")
    found = data(rows.order("transaction_id").limit(1))
    assert [row["amount"] for row in found] == [-3]


def test_another_user_reads_another_account(priced: Project, client: Client, user: str) -> None:
    other = client(priced.user_token(f"other-{user}"))
    assert data(other.rpc("ducto_my_balance", {}))["balance"] == 0
    assert data(other.rpc("ducto_my_transactions", {})) == []
    with pytest.raises(APIError) as refused:
        other.rpc("ducto_get_balance", {"p_user_id": user}).execute()
    assert refused.value.code == "42501"


def test_nobody_reads_nothing(client: Client) -> None:
    with pytest.raises(APIError) as refused:
        client().rpc("ducto_my_balance", {}).execute()
    assert refused.value.code == "42501"


def test_a_service_catches_errors_by_their_code(priced: Project, client: Client, user: str) -> None:
    service = client(priced.service_key)
    arguments: Any = {"p_user_id": user, "p_amount": 92}
    with pytest.raises(APIError) as refused:
        service.rpc("ducto_deduct_amount", arguments).execute()
    error = refused.value
    assert error.code == "DU002"
    assert error.message == (
        f"{user} has 91 credits available and needs 92; the balance may not fall below 0."
    )
    assert error.hint and error.hint.startswith("Add credits")
    assert json.loads(str(error.details))["required"] == 92
    denial = data(service.rpc("ducto_deduct_amount", arguments | {"p_raise": False}))
    assert (denial["status"], denial["code"]) == ("denied", "DU002")
