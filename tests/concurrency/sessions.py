"""Two sessions that meet: the first keeps its transaction open until the second waits for it.

Under SERIALIZABLE a session retries what fails to serialise, as an application must; any other
error is the answer, by its SQLSTATE, and a deadlock is never one.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import errors
from psycopg.types.json import Jsonb

from tests.support.databases import Connection

READ_COMMITTED = "read committed"
REPEATABLE_READ = "repeatable read"
SERIALIZABLE = "serializable"
SECONDS = 30
ATTEMPTS = 500


@dataclass(frozen=True)
class Call:
    """A statement that returns one value, usually the call of an API function."""

    query: LiteralString
    parameters: tuple[object, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What a call returned: its value, or the SQLSTATE it was refused with."""

    value: Any
    sqlstate: str | None = None
    retries: int = 0

    def __getitem__(self, key: str) -> Any:
        assert self.sqlstate is None, f"refused with {self.sqlstate}: {self.value}"
        return self.value[key]


def call(query: LiteralString, *parameters: object) -> Call:
    """A call; dictionaries and lists become JSON."""
    return Call(query, tuple(Jsonb(p) if isinstance(p, dict | list) else p for p in parameters))


def deduct(user: str, amount: object, key: str | None = None) -> Call:
    """Charges an amount."""
    return call("select ducto_deduct_amount(%s, %s, %s)", user, amount, key)


def use(user: str, tokens: int, key: str | None = None, model: str = "plain") -> Call:
    """Charges usage that costs one credit per token."""
    return call(
        "select ducto_deduct(%s, %s, %s)", user, {"model": model, "input_tokens": tokens}, key
    )


def close(db: Connection, user: str) -> None:
    """Settle an account, so that its next charge looks at everything: as every other operation
    does, and as must be before a test writes its rows."""
    db.execute("select ducto.save_account(ducto.lock_account(%s))", [user])


def grant(user: str, amount: object, key: str | None = None) -> Call:
    """Grants credits that never expire."""
    return call(
        "select ducto_add_credits(%s, %s, 'purchase', p_idempotency_key => %s)", user, amount, key
    )


def ask(connection: Connection, request: Call) -> Any:
    """The value of a call in a transaction of its own."""
    row = connection.execute(request.query, request.parameters).fetchone()
    return None if row is None else row[0]


def answer(connection: Connection, request: Call) -> Answer:
    """As `ask`, a refusal being an answer too; a deadlock is a failure, whoever asks."""
    try:
        return Answer(ask(connection, request))
    except (errors.SerializationFailure, errors.DeadlockDetected):
        raise
    except psycopg.Error as error:
        return Answer(str(error), error.sqlstate)


def begin(connection: Connection, level: str) -> None:
    """Open a transaction."""
    connection.execute(f"begin isolation level {level}".encode())


def transact(connection: Connection, level: str, request: Call) -> Answer:
    """The answer to a call in a transaction of its own, retried until it serialises."""
    for retries in range(ATTEMPTS):
        begin(connection, level)
        try:
            given = answer(connection, request)
            connection.execute("rollback" if given.sqlstate else "commit")
            return Answer(given.value, given.sqlstate, retries)
        except errors.SerializationFailure:
            assert level != READ_COMMITTED, "READ COMMITTED may not fail to serialise"
            connection.execute("rollback")
    raise AssertionError(f"{request} did not serialise in {ATTEMPTS} attempts")


class Meeting:
    """Two sessions on one database, and a third that watches them."""

    def __init__(self, sessions: list[Connection], levels: tuple[str, str]) -> None:
        self.levels = levels
        self._sessions = sessions[0], sessions[1]
        self._watcher = sessions[2]
        self._pool = ThreadPoolExecutor(1)

    def close(self) -> None:
        """End what a failed test left open; the connections belong to others."""
        self._sessions[0].execute("rollback")
        self._pool.shutdown()
        self._sessions[1].execute("rollback")

    def collide(
        self, first: Call, second: Call, *, then: Call | None = None, commit: bool = True
    ) -> tuple[Answer, Answer]:
        """Both answers, the second session having waited for the first one's end.

        With `then`, the first session calls that too once the second waits, and its answer counts.
        """
        given, future = self._open(first, second)
        self._until_waiting(future)
        if then is not None:
            given = answer(self._sessions[0], then)
        return given, self._end(future, commit)

    def pass_by(self, first: Call, second: Call, *, commit: bool = True) -> tuple[Answer, Answer]:
        """Both answers, the second session having ended while the first was still open."""
        given, future = self._open(first, second)
        future.result(SECONDS)
        return given, self._end(future, commit)

    def meet(self, first: Call, second: Call, *, commit: bool = True) -> tuple[Answer, Answer]:
        """Both answers, whether the second waits or not."""
        given, future = self._open(first, second)
        while not (future.done() or self._waiting()):
            time.sleep(0.002)
        return given, self._end(future, commit)

    def overtake(self, first: Call, second: Call) -> tuple[Answer, Answer]:
        """Both answers, the second transaction having begun before the first call was made.

        Under SERIALIZABLE it then looks at what was there before the first call.
        """
        one, two = self._sessions
        begin(two, self.levels[1])
        two.execute("select count(*) from ducto.credit_accounts")
        given = transact(one, self.levels[0], first)
        try:
            late = answer(two, second)
            two.execute("rollback" if late.sqlstate else "commit")
        except errors.SerializationFailure:
            two.execute("rollback")
            late = transact(two, self.levels[1], second)
        return given, late

    def _open(self, first: Call, second: Call) -> tuple[Answer, Future[Answer]]:
        one, two = self._sessions
        begin(one, self.levels[0])
        given = answer(one, first)
        return given, self._pool.submit(transact, two, self.levels[1], second)

    def _end(self, future: Future[Answer], commit: bool) -> Answer:
        self._sessions[0].execute("commit" if commit else "rollback")
        return future.result(SECONDS)

    def _until_waiting(self, future: Future[Answer]) -> None:
        deadline = time.monotonic() + SECONDS
        while not self._waiting():
            if future.done():
                raise AssertionError(f"the second session did not wait: {future.result()}")
            assert time.monotonic() < deadline, "the second session neither waits nor ends"
            time.sleep(0.002)

    def _waiting(self) -> bool:
        pid = self._sessions[1].info.backend_pid
        return bool(ask(self._watcher, call("select pg_blocking_pids(%s) <> '{}'", pid)))


def together(connections: list[Connection], level: str, requests: list[Call]) -> list[Answer]:
    """The answers of as many sessions, all let go at once."""
    with ThreadPoolExecutor(len(connections)) as pool:
        return list(pool.map(lambda c, r: transact(c, level, r), connections, requests))
