"""The command `ducto`: which commands there are, and the fastest way to list them.

Nothing heavy is imported here: `ducto --help` is answered without the command-line library, and a
command's own module is loaded when it is run.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ducto_pg import __version__

if TYPE_CHECKING:
    from ducto_pg.cli.root import cli

__all__ = ["COMMANDS", "abandon_output", "cli", "help_text", "main"]

# Name: (where it is, what --help says about it), in the order they are listed.
COMMANDS = {
    "demo": ("ducto_pg.cli.demo:demo", "See usage being charged, on a PostgreSQL of its own."),
    "migrate": ("ducto_pg.cli.install:migrate", "Install ducto-pg into a database, or upgrade it."),
    "status": ("ducto_pg.cli.install:status", "Show what is installed and what is pending."),
    "pricing": ("ducto_pg.cli.pricing:pricing", "Publish, inspect, validate and compare pricing."),
    "credits": ("ducto_pg.cli.credits:credits", "Grant, charge and look up credits."),
    "usage": ("ducto_pg.cli.usage:usage", "Import usage events from a file."),
    "plans": ("ducto_pg.cli.plans:plans", "List plans, and put accounts on them."),
    "report": ("ducto_pg.cli.report:report", "Show who spent what, on which model, when."),
    "caps": ("ducto_pg.cli.caps:caps", "Limit what accounts spend in a day, week or month."),
    "teams": ("ducto_pg.cli.teams:teams", "Pools of credits that several users spend."),
    "events": ("ducto_pg.cli.events:events", "Watch events, hand them to a command or a webhook."),
    "jobs": ("ducto_pg.cli.jobs:jobs", "Expire, sum up and tidy, on schedules."),
    "check": ("ducto_pg.cli.operations:check", "Verify every invariant of the ledger."),
    "types": ("ducto_pg.cli.types:types", "Write the API as types of another language."),
    "sweep": ("ducto_pg.cli.operations:sweep", "Book expired credits, close lapsed holds."),
}

OPTIONS = {
    "--version": "Show the version and exit.",
    "--debug": "Show the traceback of an error; it may stand anywhere in the line.",
    "-h, --help": "Show this message and exit; each command has it too.",
}

ABOUT = """\
  Usage credits inside PostgreSQL.

  Every command that talks to a database takes it as --dsn DSN, from the environment variable
  DATABASE_URL, or from a .env file in the working directory. In place of a DSN, most also take
  SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY.
"""


def help_text() -> str:
    """What `ducto --help` prints."""
    parts = ["Usage: ducto [OPTIONS] COMMAND [ARGS]...\n", ABOUT]
    commands = {name: summary for name, (_, summary) in COMMANDS.items()}
    for title, entries in (("Options", OPTIONS), ("Commands", commands)):
        width = max(map(len, entries))
        lines = [f"  {name.ljust(width)}  {text}\n" for name, text in entries.items()]
        parts.append(f"{title}:\n{''.join(lines)}")
    return "\n".join(parts)


def main() -> None:
    """The console script."""
    arguments = sys.argv[1:]
    try:
        if arguments in ([], ["-h"], ["--help"]):
            _print(help_text())
        elif arguments == ["--version"]:
            _print(f"ducto, version {__version__}\n")
        else:
            from ducto_pg.cli.root import cli

            cli(prog_name="ducto")
    except KeyboardInterrupt:
        # Before the root of the commands was there to hear it, or while it told of another one.
        _end_without_a_word()
        from ducto_pg.cli.root import INTERRUPTED

        INTERRUPTED.show(as_json="--json" in arguments)
        sys.exit(1)
    finally:
        _end_without_a_word()


def _end_without_a_word() -> None:
    """From here on Ctrl-C ends the process, as it would any other; there is nothing to be told."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _print(text: str) -> None:
    try:
        print(text, end="", flush=True)
    except OSError as error:
        abandon_output()
        if not isinstance(error, BrokenPipeError):
            print(f"Error: {error.strerror}", file=sys.stderr)
        sys.exit(1)


def abandon_output() -> None:
    """Output that cannot be written is not tried once more when the process ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def __getattr__(name: str) -> Any:
    if name != "cli":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ducto_pg.cli.root import cli

    return cli


if __name__ == "__main__":
    main()
