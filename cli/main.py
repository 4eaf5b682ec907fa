"""The command `ducto`: which commands there are; each is loaded when it is run."""

from __future__ import annotations

import click

from ducto_pg import __version__
from ducto_pg.cli.common import LazyGroup

# Name: (where it is, what --help says about it), in the order they are listed.
COMMANDS = {
    "demo": ("ducto_pg.cli.demo:demo", "See usage being charged, on a PostgreSQL of its own."),
    "migrate": ("ducto_pg.cli.install:migrate", "Install ducto-pg into a database, or upgrade it."),
    "status": ("ducto_pg.cli.install:status", "Show what is installed and what is pending."),
    "pricing": ("ducto_pg.cli.pricing:pricing", "Publish, inspect, validate and compare pricing."),
    "credits": ("ducto_pg.cli.credits:credits", "Grant, charge and look up credits."),
    "usage": ("ducto_pg.cli.usage:usage", "Import usage events from a file."),
    "plans": ("ducto_pg.cli.plans:plans", "List plans, and put accounts on them."),
    "caps": ("ducto_pg.cli.caps:caps", "Limit what accounts spend in a day, week or month."),
    "check": ("ducto_pg.cli.operations:check", "Verify every invariant of the ledger."),
    "sweep": ("ducto_pg.cli.operations:sweep", "Book expired credits, close lapsed holds."),
}


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="ducto")
def cli() -> None:
    """Usage credits inside PostgreSQL.

    Commands that talk to a database take its DSN as an argument or as --dsn, from the environment
    variable DATABASE_URL, or from a .env file in the working directory.
    """


def main() -> None:
    """The console script."""
    cli(prog_name="ducto")


if __name__ == "__main__":
    main()
