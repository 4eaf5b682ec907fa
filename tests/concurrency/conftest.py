"""Sessions that meet, at every pairing of the isolation levels a charge may run under."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from tests.concurrency.sessions import READ_COMMITTED, SERIALIZABLE, Meeting
from tests.support.databases import Connection, Databases, open_connection
from tests.support.pricing import publish

LEVELS = {
    "committed": (READ_COMMITTED, READ_COMMITTED),
    "serializable": (SERIALIZABLE, SERIALIZABLE),
    "committed-serializable": (READ_COMMITTED, SERIALIZABLE),
    "serializable-committed": (SERIALIZABLE, READ_COMMITTED),
}

NUMBERS = itertools.count(1)

PRICING: dict[str, Any] = {
    "version": 2,
    "models": {"plain": "input_tokens", "double": "input_tokens * 2"},
    "fixed": {"report": 5},
    "plans": [
        {"id": "small", "name": "Small", "free_allowance": 10},
        {"id": "large", "name": "Large", "free_allowance": 25},
    ],
}


@pytest.fixture(params=list(LEVELS.values()), ids=list(LEVELS))
def levels(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The isolation levels of the first and the second session."""
    pair: tuple[str, str] = request.param
    return pair


@pytest.fixture(scope="module")
def dsn(databases: Databases) -> Iterator[str]:
    """One database for all tests of a module: each has an account of its own."""
    dsn = databases.create()
    yield dsn
    databases.drop(dsn)


@pytest.fixture(scope="module")
def db(dsn: str) -> Iterator[Connection]:
    """A connection to it, with a pricing in which a token of `plain` costs one credit."""
    with open_connection(dsn) as connection:
        publish(connection, PRICING)
        yield connection


@pytest.fixture(scope="module")
def sessions(db: Connection, dsn: str) -> Iterator[list[Connection]]:
    """Sixteen sessions."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(open_connection(dsn, options="-c statement_timeout=60s"))
            for _ in range(16)
        ]


@pytest.fixture
def user() -> str:
    """An account that does not exist yet."""
    return f"user-{next(NUMBERS)}"


@pytest.fixture
def meeting(
    db: Connection, sessions: list[Connection], levels: tuple[str, str]
) -> Iterator[Meeting]:
    """Two sessions at the levels of this run; afterwards the books must hold."""
    with closing(Meeting(sessions, levels)) as meeting:
        yield meeting
    assert db.execute("select * from ducto_check()").fetchall() == []
