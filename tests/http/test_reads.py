"""What only reads answers GET, as caches and read replicas need it, if its arguments are plain.

An object would have to travel as text in an address: of these only the quote for a frontend does.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.conftest import Connect
from tests.support.postgrest import Project

CONFIG = {
    "models": {"gpt-4": "input_tokens * 0.03"},
    "plans": [{"id": "free", "default": True, "features": {"export": True}}],
}
STABLE = """
    select p.proname from pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.proname like 'ducto\\_%'
        and p.provolatile <> 'v'
        and (p.proname = 'ducto_my_quote' or not 'jsonb'::regtype = any (p.proargtypes))
    order by p.proname
"""
USAGE = json.dumps({"model": "gpt-4", "input_tokens": 1})
WINDOW = {"start": "2026-01-01", "end": "2026-02-01"}
# What each is asked; a function that is not here takes no arguments that matter.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "check_feature": {"user_id": "ann", "feature": "export"},
    "check_spend_cap": {"user_id": "ann", "amount": "1.5"},
    "my_feature": {"feature": "export"},
    "my_quote": {"metrics": USAGE},
    "pricing_diff": {"from": 1, "to": 1},
    "pricing_export": {"version": 1},
    "explain": {"transaction_id": 1},
    "list_usage_events": WINDOW,
    "aggregate_stats": WINDOW,
    "daily_spend": WINDOW,
    "spend_by_model": WINDOW,
    "spend_by_user": WINDOW,
    "spend_report": {**WINDOW, "group_by": "{model}"},
    "top_users": {**WINDOW, "limit": 5},
    "get_team": {"team_id": "research"},
    "list_team_members": {"team_id": "research"},
}
# Reads of an account take its id.
OF_A_USER = ("get_", "list_lots", "list_transactions", "list_spend_caps")


@pytest.fixture(scope="module")
def priced(project: Project) -> Project:
    """The project with pricing and an account."""
    project.serve("pricing_set", config=CONFIG)
    project.serve("add_credits", user_id="ann", amount=10)
    project.serve("create_team", name="Research", team_id="research")
    return project


def test_every_read_answers_get(priced: Project, connect: Connect) -> None:
    names = [name.removeprefix("ducto_") for (name,) in connect(priced.dsn).execute(STABLE)]
    assert len(names) > 25
    refused = []
    for name in names:
        arguments = ARGUMENTS.get(name, {"user_id": "ann"} if name.startswith(OF_A_USER) else {})
        sent = urlencode({f"p_{key}": value for key, value in arguments.items()})
        mine = name.startswith("my_")
        token = priced.user_token("ann") if mine else priced.service_key
        answer = priced.request("GET", f"/rpc/ducto_{name}?{sent}", token=token)
        if answer.status != 200:
            refused.append((name, answer.status, answer.text))
    assert refused == []
