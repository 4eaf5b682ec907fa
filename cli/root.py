"""The root of all commands, and the last line of defence: no exception leaves it as a traceback."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import click

from ducto_pg import __version__
from ducto_pg.cli.common import LazyGroup
from ducto_pg.cli.failures import Failure, describe
from ducto_pg.cli.main import COMMANDS, abandon_output, help_text
from ducto_pg.cli.output import echo

__all__ = ["cli"]

INTERRUPTED = Failure("interrupted", name="interrupted")


class RootGroup(LazyGroup):
    """Runs a command line; whatever goes wrong is one sentence and an exit status."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run and exit, as click's own `main` does."""
        arguments = list(sys.argv[1:] if args is None else args)
        options = arguments[: arguments.index("--")] if "--" in arguments else arguments
        debug = "--debug" in options
        if debug:
            arguments.remove("--debug")
        told: dict[str, bool] = {}
        failure: Failure | None = None
        status: Any = 0
        try:
            _prepare_streams()
            _refuse_undecodable(arguments)
            status = super().main(
                arguments, prog_name, complete_var, standalone_mode=False, obj=told, **extra
            )
        except BrokenPipeError:
            abandon_output()
            sys.exit(1)
        except (click.Abort, KeyboardInterrupt):
            failure = INTERRUPTED
        except Exception as error:
            if debug:
                import traceback

                echo(traceback.format_exc(), err=True, nl=False)
            failure = describe(error)
        if failure is not None:
            # A command line that cannot be read may still say how it wants to be answered.
            with suppress(OSError):
                failure.show(as_json=told.get("as_json", "--json" in options))
            # What a full disk refused would on exit end the process with another status.
            abandon_output()
            sys.exit(failure.status)
        sys.exit(status if isinstance(status, int) else 0)

    def get_help(self, ctx: click.Context) -> str:
        """The same as without the library."""
        return help_text().rstrip("\n")


def _prepare_streams() -> None:
    """Output that a terminal's encoding cannot show is escaped, not refused after the deed."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _refuse_undecodable(arguments: Sequence[str]) -> None:
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise click.UsageError(f"an argument is not UTF-8 text: {argument!a}") from None


@click.group(
    cls=RootGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="ducto")
def cli() -> None:
    """Usage credits inside PostgreSQL."""
