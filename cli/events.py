"""`ducto events`: watch the feed, hand events to a command or a webhook, look after consumers."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import click

from ducto_pg.cli.arguments import DURATION, IDENTIFIER, NAME, WHOLE
from ducto_pg.cli.common import CliError, Group, dsn_option, json_option, read_env_file
from ducto_pg.cli.main import abandon_output
from ducto_pg.cli.output import cell, counted, echo, print_json, table
from ducto_pg.cli.stores import lasting_store, open_store

if TYPE_CHECKING:
    from ducto_pg.client.events import CreditEvent
    from ducto_pg.client.store import Store

SECRET_VARIABLE = "DUCTO_WEBHOOK_SECRET"
ALL = "all"
DEAD_MAX = 1000
TYPES = click.option(
    "--type", "types", multiple=True, metavar="TYPE", help="Only this type; may be repeated."
)
START = click.Choice(["start", "now"])


class CommandFailed(Exception):
    """The command did not take an event."""


@click.group(cls=Group)
def events() -> None:
    """Events: what happened to the accounts, for other systems to hear of."""


@events.command("tail")
@TYPES
@click.option("--from", "start", type=START, default="now", help="Where to begin; default now.")
@click.option("--once", is_flag=True, help="Print what there is, and end.")
@dsn_option
@json_option
def tail(types: tuple[str, ...], start: str, once: bool, dsn: str | None, as_json: bool) -> None:
    """Print events as they happen, until Ctrl-C."""
    from ducto_pg.client.events import EventListener
    from ducto_pg.client.webhooks import event_json

    consumer = f"tail-{uuid4().hex[:12]}"

    unwritable: list[OSError] = []

    def show(event: CreditEvent) -> None:
        try:
            echo(event_json(event) if as_json else _line(event))
        except OSError as error:
            listener.stop()
            unwritable.append(error)
            # What closes standard output at the end of the program would complain again.
            abandon_output()

    with lasting_store(dsn) as (store, wake_dsn), _logging():
        listener = EventListener(
            store, consumer, start=start, lanes=1, attempts=1, wake_dsn=wake_dsn
        )
        _listen(listener, types, show)
        try:
            listener.drain() if once else listener.run()
        finally:
            store.call("ducto_remove_consumer", p_consumer=consumer)
    # A reader that has seen enough is no error.
    if unwritable and not isinstance(unwritable[0], BrokenPipeError):
        raise unwritable[0]


def _line(event: CreditEvent) -> str:
    """An event on one line: when, what, who, and what is not empty of its data."""
    facts = [
        f"{name}={cell(value)}"
        for name, value in event.data.items()
        if value not in (None, "", {}, []) and name not in ("user_id", "message", "code")
    ]
    who = event.user_id if event.team_id is None else f"{event.user_id} ({event.team_id})"
    return "  ".join([cell(event.occurred_at), event.type, who, " ".join(facts)]).rstrip()


@events.command("listen")
@click.option(
    "--consumer", type=NAME, default="default", metavar="NAME", help="Whose place in the feed."
)
@TYPES
@click.option("--exec", "command", metavar="CMD", help="Run this for each event, JSON on stdin.")
@click.option("--webhook", metavar="URL", help="Post each event to this address, signed.")
@click.option("--timeout", type=DURATION, default="10s", help="For one attempt; default 10s.")
@click.option("--attempts", type=WHOLE(1, 20), default=5, help="Default 5.")
@click.option("--from", "start", type=START, default="start", help="Where a new consumer begins.")
@click.option("--lanes", type=WHOLE(1, 64), default=4, help="Of a new consumer: default 4.")
@click.option("--once", is_flag=True, help="Handle what there is, and end.")
@dsn_option
def listen(
    consumer: str,
    types: tuple[str, ...],
    command: str | None,
    webhook: str | None,
    timeout: timedelta,
    attempts: int,
    start: str,
    lanes: int,
    once: bool,
    dsn: str | None,
) -> None:
    """Hand each event to a command or a webhook, until Ctrl-C or SIGTERM.

    An event that is not taken is tried again, later and later; after the last attempt it is a dead
    letter (`ducto events dead`). Any number of these may run for one consumer. Webhooks are signed
    with the secret in the environment variable DUCTO_WEBHOOK_SECRET.
    """
    from ducto_pg.client.events import EventListener

    handler = _handler(command, webhook, timeout.total_seconds())
    with lasting_store(dsn) as (store, wake_dsn), _logging():
        listener = EventListener(
            store, consumer, attempts=attempts, start=start, lanes=lanes, wake_dsn=wake_dsn
        )
        _listen(listener, types, handler)
        listener.drain() if once else listener.run()


def _listen(listener: Any, types: tuple[str, ...], handler: Callable[[Any], None]) -> None:
    for event_type in types or ("*",):
        try:
            listener.on(event_type, handler)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="'--type'") from None


def _handler(command: str | None, webhook: str | None, seconds: float) -> Callable[[Any], None]:
    from ducto_pg.client.webhooks import WebhookSender

    if (command is None) == (webhook is None):
        raise click.UsageError("say what to do with the events: --exec CMD or --webhook URL")
    if command is not None:
        return _Command(command, seconds)
    secret = os.environ.get(SECRET_VARIABLE) or read_env_file().get(SECRET_VARIABLE)
    if not secret:
        raise CliError(
            f"a webhook is signed, and there is no secret: set {SECRET_VARIABLE}",
            hint="Any long random text, for instance of `openssl rand -hex 32`.",
        )
    try:
        return WebhookSender(str(webhook), secret, timeout_seconds=seconds)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'--webhook'") from None


class _Command:
    """Runs a command with an event on its standard input; its exit status says how it went."""

    def __init__(self, command: str, seconds: float) -> None:
        self.command, self.seconds = command, seconds

    def __call__(self, event: CreditEvent) -> None:
        from ducto_pg.client.webhooks import event_json

        # A session of its own: Ctrl-C lets it finish, and a timeout ends all it has started.
        process = subprocess.Popen(
            ["/bin/sh", "-c", self.command],
            stdin=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "DUCTO_EVENT": event.type, "DUCTO_EVENT_ID": str(event.event_id)},
        )
        try:
            process.communicate(f"{event_json(event)}\n".encode(), self.seconds)
        except subprocess.TimeoutExpired:
            raise CommandFailed(f"the command took longer than {self.seconds:g} s") from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.returncode != 0:
            raise CommandFailed(f"the command ended with status {process.returncode}")


@events.command("consumers")
@click.option("--remove", type=NAME, metavar="NAME", help="Forget a consumer and its dead letters.")
@dsn_option
@json_option
def consumers(remove: str | None, dsn: str | None, as_json: bool) -> None:
    """The consumers: who is working for them, and how far behind they are."""
    with open_store(dsn) as store:
        if remove is not None:
            answer = store.call("ducto_remove_consumer", p_consumer=remove)
            if not answer["removed"]:
                raise CliError(
                    f"there is no consumer {remove}",
                    hint="`ducto events consumers` lists them.",
                )
            if as_json:
                print_json(answer)
            else:
                echo(f"The consumer {remove} is removed.")
            return
        rows = store.rows("ducto_list_consumers")
    if as_json:
        print_json(rows)
        return
    names = ["consumer", "lanes", "leased", "behind", "dead_letters", "handed_at"]
    headings = [name.replace("_", " ") for name in names]
    table(headings, [[row[name] for name in names] for row in rows], empty="No consumers yet.")


@events.command("dead")
@click.option("--consumer", type=NAME, metavar="NAME", help="Only of this consumer.")
@click.option("--retry", metavar="ID", help="Deliver an event again; `all`: all of them.")
@click.option("--discard", metavar="ID", help="Forget an event; `all`: all of them.")
@dsn_option
@json_option
def dead(
    consumer: str | None, retry: str | None, discard: str | None, dsn: str | None, as_json: bool
) -> None:
    """The events that handlers refused for good, and what to do with them."""
    if retry is not None and discard is not None:
        raise click.UsageError("--retry and --discard exclude each other")
    with open_store(dsn) as store:
        rows = store.rows("ducto_list_dead_events", p_consumer=consumer, p_limit=DEAD_MAX)
        chosen = retry if retry is not None else discard
        if chosen is not None:
            changed = _change(store, rows, chosen, discard=discard is not None)
    if chosen is not None:
        if as_json:
            print_json({"events": changed})
        else:
            done = "forgotten" if discard is not None else "to be delivered again"
            echo(f"{counted(changed, 'event')} {done}.")
        return
    if as_json:
        print_json(rows)
        return
    names = ["consumer", "event_id", "type", "user_id", "attempts", "failed_at", "error"]
    shown = [
        [str(row[name]) if name == "event_id" else row[name] for name in names] for row in rows
    ]
    headings = ["consumer", "event", "type", "user", "attempts", "failed", "error"]
    table(headings, shown, empty="No dead letters.")


def _change(store: Store, rows: list[dict[str, Any]], chosen: str, *, discard: bool) -> int:
    event_id = None if chosen == ALL else IDENTIFIER(chosen)
    owners = sorted(
        {row["consumer"] for row in rows if event_id is None or row["event_id"] == event_id}
    )
    if event_id is not None and not owners:
        raise CliError(
            f"there is no dead letter {event_id}", hint="`ducto events dead` lists them."
        )
    changed = 0
    for owner in owners:
        answer = store.call(
            "ducto_retry_dead_events", p_consumer=owner, p_event_id=event_id, p_discard=discard
        )
        changed += int(answer["events"])
    return changed


class _Messages(logging.Handler):
    """What a listener has to say, on standard error, a line each."""

    def emit(self, record: logging.LogRecord) -> None:
        echo(record.getMessage(), err=True)


@contextmanager
def _logging() -> Iterator[None]:
    logger, handler = logging.getLogger("ducto_pg.events"), _Messages()
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagated
