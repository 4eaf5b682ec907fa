"""What every command shares: groups, finding the database, connecting, the common options."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import click

from ducto_pg.cli.failures import CliError

if TYPE_CHECKING:
    import psycopg

__all__ = [
    "CliError",
    "Group",
    "LazyGroup",
    "connect",
    "dsn_option",
    "json_option",
    "read_env_file",
    "resolve_dsn",
    "standard_input",
]

F = TypeVar("F", bound=Callable[..., Any])

NO_DSN_HINT = (
    "For a Supabase project SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY will do, but not to install:"
    " that takes its DSN, or run what `ducto migrate --sql` prints in its SQL editor."
)
CONNECT_SECONDS = 10
NO_DSN = (
    "no database given: pass --dsn postgresql://user@host/db, or set DATABASE_URL in the "
    "environment or in a .env file here"
)


class Group(click.Group):
    """A group whose help shows each command's summary whole."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One entry each, wrapped where it is long."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, c.get_short_help_str(limit=1000)) for name, c in commands if c]
            )

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order they are declared, which is the order one needs them in."""
        return list(self.commands)


class LazyGroup(Group):
    """A group whose commands are imported when they are run."""

    def __init__(self, *args: Any, lazy: dict[str, tuple[str, str]] | None = None, **kw: Any):
        super().__init__(*args, **kw)
        self.lazy = lazy or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order they are declared, which is the order one needs them in."""
        return [*self.lazy, *super().list_commands(ctx)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line each, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in self.lazy.items()])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self.lazy[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command


def resolve_dsn(given: str | None = None) -> str:
    """The DSN: as given, else DATABASE_URL, else DATABASE_URL in `.env` of this directory."""
    if given is not None:
        if not given.strip():
            raise click.UsageError("the DSN given with --dsn is empty")
        return given
    dsn = os.environ.get("DATABASE_URL") or read_env_file().get("DATABASE_URL")
    if not dsn or not dsn.strip():
        raise CliError(NO_DSN, NO_DSN_HINT, name="no_database")
    return dsn


def read_env_file(path: Path = Path(".env")) -> dict[str, str]:
    """The NAME=value lines of an env file; nothing if there is none."""
    if not path.is_file():
        return {}
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise CliError(f"{path}: not text in UTF-8") from None
    values: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            values[name.strip()] = _unquoted(value.strip())
    return values


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value.partition(" #")[0].rstrip()


def connect(dsn: str | None = None, **options: Any) -> psycopg.Connection[Any]:
    """An autocommit connection to the database the user means; one sentence if it fails."""
    text = resolve_dsn(dsn)
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        parameters = conninfo_to_dict(text)
    except (psycopg.ProgrammingError, ValueError):
        # The text is not repeated: it may hold a password.
        raise CliError(
            "the DSN is not a connection string; it looks like postgresql://user@host/db",
            name="no_database",
        ) from None
    defaults = {"connect_timeout": CONNECT_SECONDS, "fallback_application_name": "ducto"}
    settings: dict[str, Any] = {**defaults, **parameters, "client_encoding": "utf8", **options}
    try:
        # Nothing prepared: a transaction pooler may give each statement another server session.
        return psycopg.connect(autocommit=True, prepare_threshold=None, **settings)
    except (psycopg.Error, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CliError(f"the database does not answer: {reason}", name="unavailable") from error


def standard_input() -> BinaryIO:
    """The bytes of standard input, which whoever started us may have closed."""
    if sys.stdin is None:
        raise CliError("standard input is closed")
    return sys.stdin.buffer


def dsn_option(command: F) -> F:
    """`--dsn`, on every command that talks to a database; the value may be None."""
    return click.option(
        "--dsn", metavar="DSN", help="The database; default: DATABASE_URL, also from .env."
    )(command)


def json_option(command: F) -> F:
    """`--json`: the parameter is called `as_json`; errors are JSON then, too."""

    def remember(ctx: click.Context, param: click.Parameter, value: bool) -> bool:
        told = ctx.find_root().obj
        if value and isinstance(told, dict):
            told["as_json"] = True
        return value

    return click.option(
        "--json", "as_json", is_flag=True, is_eager=True, callback=remember, help="Print JSON."
    )(command)
