"""Waiting for another session: until it is blocked, or until something holds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg

SECONDS = 20


def until(condition: Callable[[], bool], what: str, *, seconds: float = SECONDS) -> None:
    """Poll until the condition holds; fails saying what was waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain until {what}"
        time.sleep(0.01)


def until_blocked(observer: psycopg.Connection[Any], *, sessions: int = 1) -> None:
    """Until so many sessions of the observer's database wait for a lock.

    The observer is a connection of its own, in autocommit.
    """

    def blocked() -> bool:
        row = observer.execute(
            "select count(*) from pg_stat_activity"
            " where datname = current_database() and wait_event_type = 'Lock'"
        ).fetchone()
        assert row is not None
        return bool(row[0] >= sessions)

    until(blocked, f"{sessions} session(s) wait for a lock")
