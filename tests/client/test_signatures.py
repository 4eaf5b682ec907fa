"""Every call of the manager names a function and parameters that the database has, and all of them.

Each method is called with every argument it takes, over a store that only records; what it would
have sent is compared with the catalog.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from ducto_pg.client.manager import CreditManager
from tests.support.databases import Connection

HOLD = UUID("6f3c1a52-64c4-4f0f-9d0f-2a1f7b7f0c11")
VALUES: dict[str, Any] = {
    "amount": 1,
    "before": 5,
    "charges": [{"user_id": "ann"}],
    "grants": [{"user_id": "ann", "amount": 1}],
    "config": {"models": {"m": 1}},
    "dry_run": True,
    "end": datetime(2026, 2, 1, tzinfo=UTC),
    "expires_at": datetime(2026, 1, 1, tzinfo=UTC),
    "final": False,
    "group_by": ["user"],
    "from_version": 1,
    "limit": 5,
    "initial_balance": 5,
    "metadata": {},
    "metrics": {},
    "min_balance": 0,
    "occurred_at": datetime(2026, 1, 15, tzinfo=UTC),
    "period_anchor": datetime(2026, 1, 31, tzinfo=UTC),
    "priority": 7,
    "reservation_id": HOLD,
    "remove_cap": False,
    "spend_cap": 20,
    "start": datetime(2026, 1, 1, tzinfo=UTC),
    "to_version": 2,
    "transaction_id": 11,
    "ttl_seconds": 60,
    "version": 3,
    "write_off": True,
}
# They call other methods, or no function at all.
COMPOSED = ("billed", "engine", "setup")
COMPOSED_OF = {
    "load_pricing_from_store": "get_pricing",
    "publish_pricing_from_dict": "publish_pricing",
}
# Called by a user's own token, by the event listener, or by the database's scheduler.
NOT_OF_THE_MANAGER = (
    "ducto_my_",
    "ducto_poll_events",
    "ducto_ack_events",
    "ducto_fail_event",
    "ducto_release_events",
    "ducto_create_consumer",
    "ducto_list_consumers",
    "ducto_remove_consumer",
    "ducto_list_dead_events",
    "ducto_retry_dead_events",
    "ducto_prune_events",
    "ducto_list_jobs",
    "ducto_schedule_jobs",
    "ducto_unschedule_jobs",
)


class _Sent(Exception):
    pass


class Probe:
    """Records the one call a method makes."""

    def __init__(self) -> None:
        self.function = ""
        self.params: set[str] = set()

    def call(self, function: str, /, **params: Any) -> Any:
        if function == "ducto_version" and not params and self.function == "":
            self.function = function
            return {"evaluator": "plpython"}
        self.function, self.params = function, set(params)
        raise _Sent

    def rows(self, function: str, /, **params: Any) -> list[dict[str, Any]]:
        self.call(function, **params)
        return []


def _methods() -> list[str]:
    public = [name for name in vars(CreditManager) if not name.startswith("_")]
    return [name for name in public if name not in COMPOSED]


def _probe(name: str) -> Probe:
    """Call a method with a value for each of its parameters."""
    probe = Probe()
    method: Callable[..., Any] = getattr(CreditManager(probe), name)
    arguments = {p: VALUES.get(p, "x") for p in inspect.signature(method).parameters}
    with contextlib.suppress(_Sent):
        method(**arguments)
    return probe


def _catalog(connection: Connection) -> dict[str, tuple[set[str], set[str]]]:
    """Of each API function: its parameters, and those without a default."""
    rows = connection.execute(
        """
        select p.proname, p.proargnames[1:p.pronargs], p.pronargs - p.pronargdefaults
        from pg_catalog.pg_proc p
        where p.pronamespace = 'public'::regnamespace and p.proname like 'ducto\\_%'
        """
    ).fetchall()
    return {
        name: (set(arguments or []), set((arguments or [])[:required]))
        for name, arguments, required in rows
    }


@pytest.mark.parametrize("name", _methods())
def test_a_method_sends_what_its_function_takes(name: str, db: Connection) -> None:
    probe = _probe(name)
    catalog = _catalog(db)
    assert probe.function in catalog, f"the database has no {probe.function}"
    parameters, required = catalog[probe.function]
    assert probe.params <= parameters
    assert required <= probe.params
    assert parameters - probe.params <= {"p_raise"}, "parameters the client cannot give"


@pytest.mark.parametrize("name", _methods())
def test_a_method_says_which_function_it_calls(name: str) -> None:
    documentation = inspect.getdoc(getattr(CreditManager, name)) or ""
    assert _probe(name).function in documentation or f"`{COMPOSED_OF.get(name)}`" in documentation


def test_every_function_of_the_api_has_a_method(db: Connection) -> None:
    reached = {_probe(name).function for name in _methods()}
    missing = {name for name in _catalog(db) if not name.startswith(NOT_OF_THE_MANAGER)} - reached
    assert missing == set()
