"""Listening to events: handlers that are called with each event of the feed, at least once.

    EventListener(store, consumer="billing").on("credits.low_balance", send_mail).run()

A listener polls, calls the handlers of each event, and acknowledges it when they have returned. A
handler that raises is called again, later and later; after the last attempt the event becomes a
dead letter, and the listener goes on. Any number of processes may run listeners of one consumer:
each event goes to one of them.

`CreditEventEmitter` calls handlers in the process that charges, for what it charges itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import math
import re
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, TypeAlias, overload

from ducto_pg.client.arguments import refuse, text
from ducto_pg.client.results import Result
from ducto_pg.client.store import check_store
from ducto_pg.errors import InvalidArgumentError, UnavailableError

if TYPE_CHECKING:
    from types import FrameType

    import psycopg

    from ducto_pg.client.store import AsyncStore, Store

__all__ = ["AsyncEventListener", "CreditEvent", "CreditEventEmitter", "EventListener"]

logger = logging.getLogger("ducto_pg.events")

# An acknowledgement renews the lease, and what is not acknowledged comes again after a crash.
ACKNOWLEDGE_SECONDS = 1.0
# Beyond what all attempts of one event wait for: how long the last of them may run.
LEASE_SECONDS = 60
LEASE_SECONDS_MAX = 86400
RECONNECT_SECONDS = 5.0
# After a batch that was not full: a few events at a time would be as many polls, each a commit.
# What listeners take of a busy server is the events themselves and hardly the asking for them.
PAUSE_SECONDS = 0.25
BATCH_SIZE = 500
CHANNEL = "ducto_events"
ALL = "*"
ATTEMPTS_MAX = 1000
BATCH_MAX = 1000
LANES_MAX = 64
ERROR_LENGTH_MAX = 2000
YEAR = 366 * 86_400
TYPE = re.compile(r"credits\.[a-z_]{1,50}", re.ASCII)
STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditEvent(Result):
    """What happened, to whom, when; `event_id` is the same however often it is delivered."""

    event_id: int
    type: str
    user_id: str
    occurred_at: datetime
    team_id: str | None = None
    data: Mapping[str, Any]
    cursor: str = ""

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        """Read a row of the feed into this event; DatabaseError if it is none."""
        try:
            # They come by the thousand, and what a driver has read needs no converting.
            if type(answer["occurred_at"]) is datetime and type(answer["event_id"]) is int:
                return cls(
                    raw=answer, event_id=answer["event_id"], type=answer["type"],
                    user_id=answer["user_id"], occurred_at=answer["occurred_at"],
                    team_id=answer["team_id"], data=answer["data"], cursor=answer["cursor"],
                )  # fmt: skip
        except (KeyError, TypeError):
            pass
        return super(CreditEvent, cls).parse(answer)


Handler: TypeAlias = Callable[[CreditEvent], Any]
EmitHandler: TypeAlias = Callable[[str, Mapping[str, Any]], Any]


class LostLease(Exception):
    """The events of a batch were handed to somebody else, because it took too long."""


class _Registry:
    """Handlers by the type of event they are for; `*` is every type."""

    def __init__(self) -> None:
        self.handlers: dict[str, list[Any]] = {}

    def add(self, event_type: str, handler: Any) -> None:
        if not callable(handler):
            kind = type(handler).__name__
            raise refuse("handler", f"is called with each event, and {kind} cannot be")
        if event_type != ALL and not TYPE.fullmatch(text("event_type", event_type)):
            raise InvalidArgumentError(
                f"{event_type[:60]!r} is no type of event, such as `credits.low_balance`",
                detail={"argument": "event_type"},
            )
        self.handlers.setdefault(event_type, []).append(handler)

    def matching(self, event_type: str) -> list[Any]:
        return [*self.handlers.get(event_type, ()), *self.handlers.get(ALL, ())]

    def types(self) -> list[str] | None:
        """What to ask the database for; None is every type."""
        return None if ALL in self.handlers else sorted(self.handlers)


class _Listener:
    """What the two listeners share: everything but the waiting."""

    def __init__(
        self,
        store: Any,
        consumer: str,
        *,
        attempts: int = 5,
        backoff_seconds: float = 1.0,
        backoff_seconds_max: float = 30.0,
        poll_seconds: float = 1.0,
        batch_size: int = BATCH_SIZE,
        start: str = "start",
        lanes: int = 4,
        wake_dsn: str | None = None,
    ) -> None:
        check_store(store)
        self._store = store
        self.consumer = text("consumer", consumer)
        self._attempts = _count("attempts", attempts, ATTEMPTS_MAX)
        first = _seconds("backoff_seconds", backoff_seconds)
        most = _seconds("backoff_seconds_max", backoff_seconds_max)
        self._delays = [min(first * 2.0**number, most) for number in range(attempts - 1)]
        self._poll_seconds = _seconds("poll_seconds", poll_seconds)
        self._pause_seconds = min(poll_seconds, PAUSE_SECONDS)
        self._batch_size = _count("batch_size", batch_size, BATCH_MAX)
        self._wake_dsn = None if wake_dsn is None else text("wake_dsn", wake_dsn)
        _count("lanes", lanes, LANES_MAX)
        text("start", start)
        self._registry = _Registry()
        self._created = False
        self._creation = {"p_consumer": consumer, "p_from": start, "p_lanes": lanes}
        lease = min(math.ceil(sum(self._delays)) + LEASE_SECONDS, LEASE_SECONDS_MAX)
        self._request = {"p_consumer": consumer, "p_limit": batch_size, "p_lease_seconds": lease}
        _refuse_open_transaction(store)

    @overload
    def on(self, event_type: str, handler: Handler) -> Self: ...
    @overload
    def on(self, event_type: str) -> Callable[[Handler], Handler]: ...
    def on(self, event_type: str, handler: Handler | None = None) -> Any:
        """Have a handler called with each event of a type, or of every type with `*`.

        Returns the listener, or without a handler a decorator for one.
        """
        if handler is not None:
            self._registry.add(event_type, handler)
            return self

        def decorate(function: Handler) -> Handler:
            self._registry.add(event_type, function)
            return function

        return decorate

    def _polling(self) -> dict[str, Any]:
        if not self._registry.handlers:
            raise InvalidArgumentError(
                "a listener needs a handler: listener.on('credits.low_balance', …)"
            )
        types = self._registry.types()
        if types is None:
            return self._request
        # As the text of an array, which every transport can carry.
        return {**self._request, "p_types": "{" + ",".join(types) + "}"}

    def _gave_up(self, event: CreditEvent, error: Exception) -> dict[str, Any]:
        logger.error(
            "%s gives up on event %s (%s) after %s attempts",
            self.consumer, event.event_id, event.type, self._attempts, exc_info=error,
        )  # fmt: skip
        return {
            **self._at(event),
            "p_error": _told(error),
            "p_attempts": self._attempts,
        }

    def _at(self, event: CreditEvent) -> dict[str, Any]:
        return {"p_consumer": self.consumer, "p_cursor": event.cursor}

    def _failed(self, event: CreditEvent, attempt: int, error: Exception) -> float:
        """How long to wait for the next attempt."""
        delay = self._delays[attempt]
        logger.warning(
            "%s failed with event %s (%s), attempt %s, next in %.1f s: %s",
            self.consumer, event.event_id, event.type, attempt + 1, delay, error,
        )  # fmt: skip
        return delay


def _count(argument: str, value: Any, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise refuse(argument, f"must be a whole number from 1 to {most}")
    return value


def _seconds(argument: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= YEAR:
        raise refuse(argument, "must be a number of seconds, and at most a year")
    return float(value)


def _told(error: Exception) -> str:
    """What an error says, as a database can store it: else its event would come again for ever."""
    try:
        said = str(error)
    except Exception as second:
        said = f"it cannot be told ({type(second).__name__})"
    said = said[:ERROR_LENGTH_MAX].encode(errors="backslashreplace").decode()
    return f"{type(error).__name__}: {said}".replace("\0", "\\0")


def _refuse_open_transaction(store: Any) -> None:
    connection = getattr(store, "_source", None)
    if getattr(connection, "autocommit", None) is False:
        raise InvalidArgumentError(
            "a listener takes and acknowledges events in transactions of their own: give its store"
            " a DSN, a pool, or a connection with autocommit"
        )


class EventListener(_Listener):
    """Calls handlers with the events of a consumer until it is stopped.

    `attempts` and `backoff_seconds` (doubled each time) say how often a handler that raises is
    called. `start` is where a consumer that is new begins: "start", all there is, or "now". `lanes`
    is how many processes of it can work at once. With `wake_dsn` a connection of its own listens
    for the wake-up of rare events; without, they are found at the next poll.

    Handlers may be coroutine functions; each is awaited before the next event.
    """

    def __init__(self, store: Store, consumer: str = "default", **options: Any) -> None:
        super().__init__(store, consumer, **options)
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End `run` after the event that is being handled; from any thread or signal handler."""
        self._stopping.set()

    def run(self) -> None:
        """Handle events until `stop()`, SIGINT or SIGTERM; a second signal ends it at once."""
        with self._signals(), contextlib.ExitStack() as stack:
            stack.callback(self._stopping.clear)
            runner = stack.enter_context(asyncio.Runner())
            wait = self._waiter(stack)
            while not self._stopping.is_set():
                try:
                    handled = self._turn(runner)
                    if not handled:
                        wait(self._poll_seconds)
                    elif handled < self._batch_size:
                        self._stopping.wait(self._pause_seconds)
                except UnavailableError as error:
                    logger.warning("%s: %s; trying again", self.consumer, error)
                    self._stopping.wait(RECONNECT_SECONDS)

    def drain(self) -> int:
        """Handle what there is now, and return how many events that were."""
        total = 0
        with asyncio.Runner() as runner:
            while handled := self._turn(runner):
                total += handled
        return total

    def _turn(self, runner: asyncio.Runner) -> int:
        """One poll: how many events it brought."""
        request = self._polling()
        if not self._created:
            self._store.call("ducto_create_consumer", **self._creation)
            self._created = True
        rows = self._store.rows("ducto_poll_events", **request)
        events = [CreditEvent.parse(row) for row in rows]
        done: CreditEvent | None = None
        acknowledged = time.monotonic()
        try:
            for event in events:
                if done is not None and time.monotonic() - acknowledged > ACKNOWLEDGE_SECONDS:
                    self._acknowledge(done)
                    acknowledged = time.monotonic()
                if not self._handle(event, runner):
                    break
                done = event
                if self._stopping.is_set():
                    break
            if done is not None:
                self._acknowledge(done)
            if events and done is not events[-1]:
                self._store.call("ducto_release_events", **self._at(events[0]))
        except LostLease:
            logger.warning("%s took too long: somebody else goes on with its batch", self.consumer)
        return len(events)

    def _acknowledge(self, event: CreditEvent) -> None:
        answer = self._store.call("ducto_ack_events", **self._at(event))
        if not answer["acknowledged"]:
            raise LostLease

    def _handle(self, event: CreditEvent, runner: asyncio.Runner) -> bool:
        """Call the handlers of an event; false if stopped before they were done."""
        pending = self._registry.matching(event.type)
        for attempt in range(self._attempts):
            try:
                while pending:
                    outcome = pending[0](event)
                    if outcome is not None and inspect.isawaitable(outcome):
                        runner.run(_awaited(outcome))
                    del pending[0]
                return True
            except Exception as error:
                if attempt + 1 == self._attempts:
                    self._store.call("ducto_fail_event", **self._gave_up(event, error))
                    return True
                if self._stopping.wait(self._failed(event, attempt, error)):
                    return False
        return True

    def _waiter(self, stack: contextlib.ExitStack) -> Callable[[float], object]:
        if self._wake_dsn is None:
            return self._stopping.wait
        return stack.enter_context(contextlib.closing(_Wakeup(self._wake_dsn, self._stopping))).wait

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Stop gracefully on the first signal; only the main thread can be told of one."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in STOPPING_SIGNALS}

        def stop(number: int, frame: FrameType | None) -> None:
            signal.signal(number, before[signal.Signals(number)])
            self.stop()

        try:
            for number in STOPPING_SIGNALS:
                signal.signal(number, stop)
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


async def _awaited(outcome: Awaitable[Any]) -> Any:
    return await outcome


class _Wakeup:
    """A connection that hears of rare events; without it, or while it is lost, time passes."""

    def __init__(self, dsn: str, stopping: threading.Event) -> None:
        self._dsn = dsn
        self._stopping = stopping
        self._connection: psycopg.Connection[Any] | None = None

    def wait(self, seconds: float) -> None:
        """Until something happened, it is time, or the listener is to stop."""
        import psycopg

        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not self._stopping.is_set():
            try:
                if self._connection is None:
                    self._connection = psycopg.connect(self._dsn, autocommit=True)
                    self._connection.execute(f"listen {CHANNEL}".encode())
                for _ in self._connection.notifies(timeout=min(left, 0.5), stop_after=1):
                    return
            except psycopg.Error:
                self.close()
                self._stopping.wait(left)

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class AsyncEventListener(_Listener):
    """`EventListener` for asyncio; handlers that are no coroutine functions run in a thread."""

    def __init__(self, store: AsyncStore, consumer: str = "default", **options: Any) -> None:
        super().__init__(store, consumer, **options)
        self._stopping = asyncio.Event()
        # The same for whatever waits in a thread.
        self._halted = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def stop(self) -> None:
        """End `run` after the event that is being handled; from any thread."""
        self._halted.set()
        if self._loop is None:
            self._stopping.set()
        else:
            self._loop.call_soon_threadsafe(self._stopping.set)

    async def run(self) -> None:
        """Handle events until `stop()`, SIGINT or SIGTERM, or until the task is cancelled."""
        self._loop = asyncio.get_running_loop()
        with self._signals(self._loop), contextlib.ExitStack() as stack:
            stack.callback(self._reset)
            wait = self._waiter(stack)
            while not self._stopping.is_set():
                try:
                    handled = await self._turn()
                    if not handled:
                        await wait(self._poll_seconds)
                    elif handled < self._batch_size:
                        await self._wait(self._pause_seconds)
                except UnavailableError as error:
                    logger.warning("%s: %s; trying again", self.consumer, error)
                    await self._wait(RECONNECT_SECONDS)

    async def drain(self) -> int:
        """Handle what there is now, and return how many events that were."""
        total = 0
        while handled := await self._turn():
            total += handled
        return total

    async def _turn(self) -> int:
        request = self._polling()
        if not self._created:
            await self._store.call("ducto_create_consumer", **self._creation)
            self._created = True
        rows = await self._store.rows("ducto_poll_events", **request)
        events = [CreditEvent.parse(row) for row in rows]
        done: CreditEvent | None = None
        acknowledged = time.monotonic()
        try:
            for event in events:
                if done is not None and time.monotonic() - acknowledged > ACKNOWLEDGE_SECONDS:
                    await self._acknowledge(done)
                    acknowledged = time.monotonic()
                if not await self._handle(event):
                    break
                done = event
                if self._stopping.is_set():
                    break
            if done is not None:
                await self._acknowledge(done)
            if events and done is not events[-1]:
                await self._store.call("ducto_release_events", **self._at(events[0]))
        except LostLease:
            logger.warning("%s took too long: somebody else goes on with its batch", self.consumer)
        return len(events)

    async def _acknowledge(self, event: CreditEvent) -> None:
        answer = await self._store.call("ducto_ack_events", **self._at(event))
        if not answer["acknowledged"]:
            raise LostLease

    async def _handle(self, event: CreditEvent) -> bool:
        pending = self._registry.matching(event.type)
        for attempt in range(self._attempts):
            try:
                while pending:
                    await _called(pending[0], event)
                    del pending[0]
                return True
            except Exception as error:
                if attempt + 1 == self._attempts:
                    await self._store.call("ducto_fail_event", **self._gave_up(event, error))
                    return True
                if await self._wait(self._failed(event, attempt, error)):
                    return False
        return True

    def _reset(self) -> None:
        self._loop = None
        self._stopping.clear()
        self._halted.clear()

    def _waiter(self, stack: contextlib.ExitStack) -> Callable[[float], Awaitable[object]]:
        if self._wake_dsn is None:
            return self._wait
        wakeup = stack.enter_context(contextlib.closing(_Wakeup(self._wake_dsn, self._halted)))
        return lambda seconds: asyncio.to_thread(wakeup.wait, seconds)

    async def _wait(self, seconds: float) -> bool:
        """True as soon as the listener is to stop."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        return self._stopping.is_set()

    @contextlib.contextmanager
    def _signals(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        installed = []
        for number in STOPPING_SIGNALS:
            # Not in another thread than the main one, and not on Windows.
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, self.stop)
                installed.append(number)
        try:
            yield
        finally:
            for number in installed:
                loop.remove_signal_handler(number)


async def _called(handler: Handler, event: CreditEvent) -> None:
    if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
        getattr(handler, "__call__", None)  # noqa: B004
    ):
        await handler(event)
        return
    outcome = await asyncio.to_thread(handler, event)
    if inspect.isawaitable(outcome):
        await outcome


class CreditEventEmitter:
    """Calls handlers in this process, for what its manager does.

        emitter = CreditEventEmitter().on("credits.deducted", count)
        manager = CreditManager(store, emitter=emitter)

    It hears of a call before its transaction commits, and of nothing that others do; for anything
    that must not be missed or told too early there is `EventListener`. What a handler raises is
    logged: the charge has happened.
    """

    def __init__(self) -> None:
        self._registry = _Registry()
        self._tasks: set[asyncio.Task[None]] = set()

    @overload
    def on(self, event_type: str, handler: EmitHandler) -> Self: ...
    @overload
    def on(self, event_type: str) -> Callable[[EmitHandler], EmitHandler]: ...
    def on(self, event_type: str, handler: EmitHandler | None = None) -> Any:
        """Have a handler called with the type and the data of each event of a type, or of `*`."""
        if handler is not None:
            self._registry.add(event_type, handler)
            return self

        def decorate(function: EmitHandler) -> EmitHandler:
            self._registry.add(event_type, function)
            return function

        return decorate

    def emit(self, event_type: str, data: Mapping[str, Any]) -> Awaitable[None] | None:
        """Call the handlers; what they leave to be awaited is returned, where a loop is running."""
        left: list[Awaitable[Any]] = []
        for handler in self._registry.matching(event_type):
            try:
                outcome = handler(event_type, data)
            except Exception:
                logger.exception("a handler of %s failed", event_type)
                continue
            if inspect.isawaitable(outcome):
                left.append(outcome)
        if not left:
            return None
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            asyncio.run(_finish(event_type, left))
            return None
        task = loop.create_task(_finish(event_type, left))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _finish(event_type: str, outcomes: Sequence[Awaitable[Any]]) -> None:
    for outcome in outcomes:
        try:
            await outcome
        except Exception:
            logger.exception("a handler of %s failed", event_type)
