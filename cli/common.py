"""What every command shares: finding the database, connecting, and errors in one sentence.

A command that cannot do its work prints one sentence on stderr and exits with 1, never with a
traceback; a command line that makes no sense exits with 2.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    import psycopg

F = TypeVar("F", bound=Callable[..., Any])

CONNECT_SECONDS = 10
NO_DSN = (
    "no database given: pass a DSN (postgresql://user@host/db), or set DATABASE_URL in the "
    "environment or in a .env file here"
)


class CliError(click.ClickException):
    """One sentence for the person at the terminal; the exit code is 1."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def show(self, file: Any = None) -> None:
        """The sentence, and below it what to do next."""
        click.echo(f"Error: {self.message}", file=file, err=file is None)
        if self.hint:
            click.echo(f"Hint: {self.hint}", file=file, err=file is None)


class LazyGroup(click.Group):
    """A group whose commands are imported when they are run, and whose errors are sentences."""

    def __init__(self, *args: Any, lazy: dict[str, tuple[str, str]] | None = None, **kw: Any):
        super().__init__(*args, **kw)
        self.lazy = lazy or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order they are declared, which is the order one needs them in."""
        return [*self.lazy, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self.lazy[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line each, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in self.lazy.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; whatever it could foresee going wrong ends in one sentence."""
        with sentences():
            return super().invoke(ctx)


@contextmanager
def sentences() -> Iterator[None]:
    """Turn the failures of databases, files and the engine itself into a CliError."""
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise CliError(f"{where}{error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise CliError(f"the input is not UTF-8 text: {error.reason}") from error
    except Exception as error:
        explained = _explain(error)
        if explained is None:
            raise
        raise explained from error


def _explain(error: Exception) -> CliError | None:
    import psycopg

    from ducto_pg.errors import DuctoError, translate

    if isinstance(error, psycopg.Error):
        error = translate(error)
    if isinstance(error, DuctoError):
        code = f" [{error.code}]" if error.code else ""
        return CliError(f"{error.message}{code}", error.hint)
    return None


def resolve_dsn(argument: str | None = None) -> str:
    """The DSN: as given, else DATABASE_URL, else DATABASE_URL in `.env` of this directory."""
    dsn = argument or os.environ.get("DATABASE_URL") or read_env_file().get("DATABASE_URL")
    if not dsn:
        raise CliError(NO_DSN)
    return dsn


def read_env_file(path: Path = Path(".env")) -> dict[str, str]:
    """The NAME=value lines of an env file; nothing if there is none."""
    if not path.is_file():
        return {}
    values: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
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
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    text = resolve_dsn(dsn)
    try:
        parameters = conninfo_to_dict(text)
    except psycopg.ProgrammingError as error:
        # The text is not repeated: it may hold a password.
        raise CliError(
            "the DSN is not a connection string; it looks like postgresql://user@host/db"
        ) from error
    defaults = {"connect_timeout": CONNECT_SECONDS, "fallback_application_name": "ducto"}
    settings: dict[str, Any] = {**defaults, **parameters, **options}
    try:
        # Nothing prepared: a transaction pooler may give each statement another server session.
        return psycopg.connect(autocommit=True, prepare_threshold=None, **settings)
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        raise CliError(f"the database does not answer: {reason}") from error


def dsn_option(command: F) -> F:
    """`--dsn` for a command whose arguments are something else; the value may be None."""
    return click.option(
        "--dsn", metavar="DSN", help="The database; default: DATABASE_URL, also from .env."
    )(command)


def json_option(command: F) -> F:
    """`--json`: the parameter is called `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)
