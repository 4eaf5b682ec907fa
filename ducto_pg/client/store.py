"""How the client reaches the database: one function call at a time, and no other SQL.

A connection that is passed in stays the caller's: nothing here commits it, rolls it back, closes
it or changes its settings, so a charge belongs to the transaction of the caller's own rows. With a
pool or a DSN each call is a transaction of its own.

`call` and `rows` are the whole seam: another transport (an HTTP API, a fake in a test) implements
these two and every client works over it.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, LiteralString, Protocol, Self, TypeAlias, cast

import psycopg
from psycopg import pq
from psycopg.abc import AdaptContext
from psycopg.adapt import Loader
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb
from psycopg.types.numeric import NumericLoader

from ducto_pg import exact_json
from ducto_pg.client.answers import cap_parameters
from ducto_pg.client.arguments import is_storable
from ducto_pg.client.results import SpendCap
from ducto_pg.errors import InvalidArgumentError, translate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    import psycopg_pool

__all__ = [
    "AsyncPostgresStore",
    "AsyncStore",
    "Emitter",
    "PostgresStore",
    "Store",
]

Source: TypeAlias = "str | psycopg.Connection[Any] | psycopg_pool.ConnectionPool[Any]"
AsyncSource: TypeAlias = (
    "str | psycopg.AsyncConnection[Any] | psycopg_pool.AsyncConnectionPool[Any]"
)

NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}", re.ASCII)
APPLICATION_NAME = "ducto-pg"
# Nothing prepared: behind a transaction pooler the next call may meet another server session.
OWN_CONNECTION: dict[str, Any] = {
    "autocommit": True,
    "client_encoding": "utf8",
    "fallback_application_name": APPLICATION_NAME,
    "prepare_threshold": None,
}


class Store(Protocol):
    """What a manager needs of a transport."""

    def call(self, function: str, /, **params: Any) -> Any:
        """Call a function that returns one value; JSON comes back parsed, fractions as Decimal."""

    def rows(self, function: str, /, **params: Any) -> list[dict[str, Any]]:
        """Call a function that returns a table."""


class AsyncStore(Protocol):
    """The same, awaited."""

    async def call(self, function: str, /, **params: Any) -> Any:
        """Call a function that returns one value; JSON comes back parsed, fractions as Decimal."""

    async def rows(self, function: str, /, **params: Any) -> list[dict[str, Any]]:
        """Call a function that returns a table."""


class Emitter(Protocol):
    """Who is told what a manager did: `emit("credits.deducted", answer)`."""

    def emit(self, event_type: str, data: Mapping[str, Any]) -> Any:
        """Take an event; with the asynchronous manager, what comes back may be awaitable."""


async def finished(outcome: Any) -> None:
    """Wait for an emitter that is asynchronous."""
    if inspect.isawaitable(outcome):
        await outcome


CANNOT_MIGRATE = (
    "this store cannot install: run `ducto migrate` with the database's DSN, or run the file that"
    " `ducto migrate --sql` prints"
)


def migrate_store(store: Store) -> None:
    """Install or upgrade through a store that knows how to."""
    from ducto_pg.install.manifest import MigrationError

    if not hasattr(store, "migrate"):
        raise MigrationError(CANNOT_MIGRATE)
    store.migrate()


async def migrate_async_store(store: AsyncStore) -> None:
    """The same, awaited."""
    from ducto_pg.install.manifest import MigrationError

    if not hasattr(store, "migrate"):
        raise MigrationError(CANNOT_MIGRATE)
    await store.migrate()


class _JsonLoader(Loader):
    """Reads json and jsonb without ever making a float, whatever the connection is set to."""

    def load(self, data: bytes | bytearray | memoryview) -> Any:
        return exact_json.loads(str(data, "utf-8"))


def check_store(store: object) -> None:
    """Refuse what is not a store: a DSN, say, that was meant to be in one."""
    if not (callable(getattr(store, "call", None)) and callable(getattr(store, "rows", None))):
        raise InvalidArgumentError(
            f"store must be a store such as PostgresStore(dsn), not {type(store).__name__}.",
            detail={"argument": "store"},
        )


def checked_names(function: str, params: Mapping[str, Any]) -> None:
    """Refuse what is no name; names are part of a call's text, values never are."""
    names: tuple[object, ...] = (function, *params)
    for name in names:
        if not isinstance(name, str):
            raise InvalidArgumentError(f"a name is text, not {type(name).__name__}")
        if not NAME.fullmatch(name):
            raise InvalidArgumentError(f"not a name of a function or parameter: {name!r:.80}")


def _statement(function: str, params: Mapping[str, Any], rows: bool) -> LiteralString:
    """The call, with named parameters; names are checked, values travel apart from it."""
    checked_names(function, params)
    arguments = ", ".join(f"{name} => %({name})s" for name in params)
    selected = "* from" if rows else ""
    # Built from names that were just checked: no value is ever part of the statement.
    return f"select {selected} public.{function}({arguments})"


def _values(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _adapted(name, value) for name, value in params.items()}


def _adapted(name: str, value: Any) -> Any:
    argument = name.removeprefix("p_")
    if isinstance(value, float):
        raise InvalidArgumentError(
            f"{argument} is a float; amounts are Decimal, int or text.",
            detail={"argument": argument},
        )
    if isinstance(value, str) and not is_storable(value):
        raise _unstorable(argument)
    if isinstance(value, Mapping | list | tuple):
        text = json_text(argument, value)
        return Jsonb(value, dumps=lambda _: text)
    return value


def json_text(argument: str, value: Any) -> str:
    """An argument written as JSON; what JSON or PostgreSQL cannot hold is refused by its name."""
    try:
        text = exact_json.dumps(value)
    except Exception as error:  # what a caller passes may be of any class, with code of its own
        raise InvalidArgumentError(
            f"{argument} cannot be written as JSON: {error}.", detail={"argument": argument}
        ) from None
    # Both are written as escapes, so only a text with one of them has to be looked at.
    if ("\\u0000" in text or "\\ud" in text) and not _storable(value):
        raise _unstorable(argument)
    return text


def _unstorable(argument: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{argument} contains a character that PostgreSQL cannot store.",
        detail={"argument": argument},
    )


def _storable(value: Any) -> bool:
    """Whether every text in a JSON value is one that PostgreSQL can store."""
    if isinstance(value, Mapping):
        return all(_storable(name) and _storable(member) for name, member in value.items())
    if isinstance(value, list | tuple):
        return all(_storable(member) for member in value)
    return not isinstance(value, str) or is_storable(value)


@contextmanager
def _errors_translated() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise translate(error) from error


def _register_loaders(context: AdaptContext) -> None:
    for name in ("json", "jsonb"):
        context.adapters.register_loader(name, _JsonLoader)
    context.adapters.register_loader("numeric", NumericLoader)


def _table(
    columns: Sequence[psycopg.Column] | None, rows: list[tuple[Any, ...]]
) -> list[dict[str, Any]]:
    names = [column.name for column in columns or ()]
    return [dict(zip(names, row, strict=True)) for row in rows]


def _check_source(source: object, *, asynchronous: bool) -> None:
    """Refuse what is neither a DSN nor a connection nor a pool, or of the other world."""
    if isinstance(source, str):
        _check_dsn(source)
    prefix = "Async" if asynchronous else ""
    kind = psycopg.AsyncConnection if asynchronous else psycopg.Connection
    # A pool is known by what it has, so that psycopg_pool need not be loaded.
    getconn = getattr(source, "getconn", None) if hasattr(source, "conninfo") else None
    is_pool = callable(getconn) and inspect.iscoroutinefunction(getconn) == asynchronous
    if not (isinstance(source, str | kind) or is_pool):
        raise InvalidArgumentError(
            f"source must be a DSN, a psycopg {prefix}Connection or a {prefix}ConnectionPool,"
            f" not {type(source).__name__}.",
            detail={"argument": "source"},
        )


def _check_dsn(dsn: str) -> None:
    if not is_storable(dsn):
        raise _unstorable("source")
    try:
        conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        # The text is not repeated: it may hold a password.
        raise InvalidArgumentError(
            "source is not a connection string; it looks like postgresql://user@host/db.",
            detail={"argument": "source"},
        ) from None


def _is_usable(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> bool:
    if connection.closed:
        return False
    return connection.info.transaction_status != pq.TransactionStatus.UNKNOWN


class PostgresStore:
    """Calls over psycopg: `PostgresStore(dsn)`, `PostgresStore(connection)`, `PostgresStore(pool)`.

    Given a DSN it opens one connection when it is first needed and again after it was lost;
    `close()`, or leaving a `with` block, closes it.
    """

    def __init__(self, source: Source) -> None:
        _check_source(source, asynchronous=False)
        self._source = source
        self._own: psycopg.Connection[Any] | None = None
        self._opening = threading.Lock()

    def call(self, function: str, /, **params: Any) -> Any:
        """Call a function that returns one value."""
        _, rows = self._run(function, params, rows=False)
        return rows[0][0]

    def rows(self, function: str, /, **params: Any) -> list[dict[str, Any]]:
        """Call a function that returns a table; one dict a row."""
        columns, rows = self._run(function, params, rows=True)
        return _table(columns, rows)

    def _run(
        self, function: str, params: Mapping[str, Any], *, rows: bool
    ) -> tuple[Sequence[psycopg.Column] | None, list[tuple[Any, ...]]]:
        statement, values = _statement(function, params, rows), _values(params)
        try:
            with (
                self._connection() as connection,
                connection.cursor(row_factory=tuple_row) as cursor,
            ):
                _register_loaders(cursor)
                cursor.execute(statement, values)
                return cursor.description, cursor.fetchall()
        except psycopg.Error as error:
            raise translate(error) from error

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Any]]:
        if isinstance(self._source, psycopg.Connection):
            yield self._source
        elif isinstance(self._source, str):
            yield self._opened(self._source)
        else:
            with self._source.connection() as connection:
                yield connection

    def _opened(self, dsn: str) -> psycopg.Connection[Any]:
        with self._opening:
            if self._own is None or not _is_usable(self._own):
                self._own = psycopg.connect(dsn, **OWN_CONNECTION)
            return self._own

    def set_spend_cap(self, cap: SpendCap) -> SpendCap:
        """Set a cap, as the manager's method does."""
        params = cap_parameters(cap.user_id, cap.cap_type, cap.limit, cap.action, cap.model)
        return SpendCap.parse(self.call("ducto_set_spend_cap", **params))

    def migrate(self) -> None:
        """Install ducto-pg into the database, or upgrade it; MigrationError if that fails."""
        from ducto_pg.install.migrate import migrate

        with _errors_translated(), self._connection() as connection:
            migrate(connection)

    def close(self) -> None:
        """Close the connection this store opened; one that was passed in stays open."""
        if self._own is not None:
            self._own.close()
            self._own = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class AsyncPostgresStore:
    """`PostgresStore` for asyncio: a DSN, an AsyncConnection or an AsyncConnectionPool."""

    def __init__(self, source: AsyncSource) -> None:
        _check_source(source, asynchronous=True)
        self._source = source
        self._own: psycopg.AsyncConnection[Any] | None = None
        self._opening = asyncio.Lock()

    async def call(self, function: str, /, **params: Any) -> Any:
        """Call a function that returns one value."""
        _, rows = await self._run(function, params, rows=False)
        return rows[0][0]

    async def rows(self, function: str, /, **params: Any) -> list[dict[str, Any]]:
        """Call a function that returns a table; one dict a row."""
        columns, rows = await self._run(function, params, rows=True)
        return _table(columns, rows)

    async def _run(
        self, function: str, params: Mapping[str, Any], *, rows: bool
    ) -> tuple[Sequence[psycopg.Column] | None, list[tuple[Any, ...]]]:
        statement, values = _statement(function, params, rows), _values(params)
        try:
            async with (
                self._connection() as connection,
                connection.cursor(row_factory=tuple_row) as cursor,
            ):
                _register_loaders(cursor)
                await cursor.execute(statement, values)
                return cursor.description, await cursor.fetchall()
        except psycopg.Error as error:
            raise translate(error) from error

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        if isinstance(self._source, psycopg.AsyncConnection):
            yield self._source
        elif isinstance(self._source, str):
            yield await self._opened(self._source)
        else:
            async with self._source.connection() as connection:
                yield connection

    async def _opened(self, dsn: str) -> psycopg.AsyncConnection[Any]:
        async with self._opening:
            if self._own is None or not _is_usable(self._own):
                self._own = await psycopg.AsyncConnection.connect(dsn, **OWN_CONNECTION)
            return self._own

    async def set_spend_cap(self, cap: SpendCap) -> SpendCap:
        """Set a cap, as the manager's method does."""
        params = cap_parameters(cap.user_id, cap.cap_type, cap.limit, cap.action, cap.model)
        return SpendCap.parse(await self.call("ducto_set_spend_cap", **params))

    async def migrate(self) -> None:
        """Install ducto-pg into the database of a DSN or pool, or upgrade it, in a thread."""
        from ducto_pg.install.manifest import MigrationError
        from ducto_pg.install.migrate import migrate

        dsn = self._source if isinstance(self._source, str) else None
        if dsn is None and not isinstance(self._source, psycopg.AsyncConnection):
            dsn = cast(Any, self._source).conninfo
        if dsn is None:
            raise MigrationError(CANNOT_MIGRATE)
        with _errors_translated():
            await asyncio.to_thread(migrate, dsn)

    async def close(self) -> None:
        """Close the connection this store opened; one that was passed in stays open."""
        if self._own is not None:
            await self._own.close()
            self._own = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()
