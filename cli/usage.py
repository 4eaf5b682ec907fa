"""`ducto usage import`: charge the usage events of a CSV or JSONL file, once, whatever happens.

Exit codes: 0 when every row is charged, now or by an earlier run; 3 when the import went through
but rows were rejected; 1 when it could not start or was cut short (run it again to go on).
"""

from __future__ import annotations

import csv
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

import click

from ducto_pg.cli.arguments import open_manager
from ducto_pg.cli.arguments import usage as read_usage
from ducto_pg.cli.common import CliError, dsn_option, json_option
from ducto_pg.cli.output import amount, fields, print_json
from ducto_pg.client.importer import (
    TEXT_METRICS,
    Importer,
    Mapper,
    Reject,
    Row,
    Summary,
    UnusableFile,
    form_of,
    read_rows,
)
from ducto_pg.client.manager import CreditManager
from ducto_pg.errors import DatabaseError, DuctoError, InvalidArgumentError, UnavailableError
from ducto_pg.plpython.names import STANDARD_METRICS, nearest

BATCH_MAX = 1000
REJECTS_HEADING = ["line", "reason", "row"]
EXIT_REJECTED = 3


@click.group()
def usage() -> None:
    """Import usage events from a file."""


class Rejects:
    """The rejects file, made when the first row is refused."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self._file: IO[str] | None = None

    def add(self, reject: Reject) -> None:
        """Write one refused row."""
        if self._file is None:
            self._file = self.path.open("w", encoding="utf-8", errors="replace", newline="")
            csv.writer(self._file).writerow(REJECTS_HEADING)
        csv.writer(self._file).writerow([reject.line, reject.reason, reject.text])
        self.count += 1

    def close(self) -> None:
        """Close it; what an earlier run left is removed when this one refused nothing."""
        if self._file is not None:
            self._file.close()
        elif self._is_ours():
            self.path.unlink()

    def _is_ours(self) -> bool:
        if not self.path.is_file():
            return False
        with self.path.open(encoding="utf-8", errors="replace") as file:
            return file.readline().strip() == ",".join(REJECTS_HEADING)


@usage.command("import", short_help="Charge the events in FILE, each once.")
@click.argument("file", metavar="FILE")
@click.option(
    "--map",
    "mapping",
    multiple=True,
    metavar="METRIC=COLUMN",
    help="Which column holds a metric, such as input_tokens=ContextTokens; may be repeated.",
)
@click.option(
    "--set",
    "constants",
    multiple=True,
    metavar="METRIC=VALUE",
    help="A metric that is the same in every row, such as model=gpt-4o; may be repeated.",
)
@click.option("--user", metavar="USER", help="Whose usage all rows are.")
@click.option("--user-column", metavar="COLUMN", help="The column that says whose usage a row is.")
@click.option("--key-column", metavar="COLUMN", help="A column that identifies the event.")
@click.option(
    "--source", metavar="NAME", help="The name that rows are remembered under; default: the file's."
)
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), help="Default: by name.")
@click.option("--rejects", metavar="PATH", help="Refused rows; default: FILE.rejects.csv.")
@click.option(
    "--batch-size", type=click.IntRange(1, BATCH_MAX), default=200, show_default=True,
    help="Rows a transaction.",
)  # fmt: skip
@dsn_option
@json_option
def import_(
    file: str,
    mapping: tuple[str, ...],
    constants: tuple[str, ...],
    user: str | None,
    user_column: str | None,
    key_column: str | None,
    source: str | None,
    form: str | None,
    rejects: str | None,
    batch_size: int,
    dsn: str | None,
    as_json: bool,
) -> None:
    """Charge the usage events in FILE (CSV or JSONL, - for stdin).

    Without --map, columns named like metrics are read (and in JSONL an object `metrics`). A row is
    charged once, however often the file is imported; --source tells files apart that share a name.
    """
    if (user is None) == (user_column is None):
        raise click.UsageError("give --user or --user-column")
    name = source or ("stdin" if file == "-" else Path(file).name)
    refused = Rejects(Path(rejects) if rejects else _beside(file))
    if file != "-" and refused.path.exists() and Path(file).samefile(refused.path):
        raise click.UsageError("the rejects file cannot be the file that is imported")
    columns = _pairs(mapping, "--map")
    fixed = read_usage(None, constants) or {}
    with _opened(file) as stream, open_manager(dsn) as manager:
        known = _metric_names(manager)
        _check_names([*columns, *fixed], known)
        mapper = Mapper(
            source=name,
            columns=columns,
            constants=fixed,
            known=known,
            user=user,
            user_column=user_column,
            key_column=key_column,
        )
        started = time.monotonic()
        importer = Importer(
            manager,
            mapper,
            refused.add,
            batch_size=batch_size,
            isolate=(InvalidArgumentError, DatabaseError),
        )
        reader = _Reader(stream, form or form_of(Path(file)), importer)
        cut_short = _run(reader, refused, as_json)
    if importer.summary.rows or cut_short is None:
        _report(importer.summary, refused, time.monotonic() - started, as_json)
    if cut_short is not None:
        raise cut_short
    if refused.count:
        click.get_current_context().exit(EXIT_REJECTED)


def _beside(file: str) -> Path:
    return Path("stdin.rejects.csv" if file == "-" else f"{file}.rejects.csv")


def _pairs(given: Sequence[str], option: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in given:
        name, equals, column = (part.strip() for part in text.partition("="))
        if not (name and equals and column):
            raise click.UsageError(f"{option} takes METRIC=COLUMN, not {text!r}")
        if name in pairs:
            raise click.UsageError(f"{option} names {name} twice")
        pairs[name] = column
    return pairs


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    with Path(file).open("rb") as stream:
        yield stream


def _metric_names(manager: CreditManager) -> frozenset[str]:
    """What the active pricing knows; there is nothing to import into without a pricing."""
    config = manager.get_pricing().config or {}
    extra = [name for name in config.get("metrics") or [] if isinstance(name, str)]
    return frozenset([*STANDARD_METRICS, *TEXT_METRICS, *extra])


def _check_names(names: Sequence[str], known: frozenset[str]) -> None:
    for name in names:
        if name not in known:
            suggestion = nearest(name, sorted(known))
            hint = f"did you mean {suggestion}?" if suggestion else ""
            raise CliError(f"the active pricing has no metric {name!r}", hint)


class _Reader:
    """Reads the file into the importer, once its first row has the columns that are asked for."""

    def __init__(self, stream: BinaryIO, form: str, importer: Importer) -> None:
        self._stream = stream
        self._form = form
        self._importer = importer

    @property
    def size(self) -> int:
        """The file's length, 0 where it has none."""
        try:
            return os.fstat(self._stream.fileno()).st_size
        except (OSError, ValueError):
            return 0

    def run(self, advance: Callable[[int], None]) -> None:
        """Import everything."""
        self._importer.run(self._checked(read_rows(self._stream, self._form, advance)))

    def _checked(self, rows: Iterator[Row | Reject]) -> Iterator[Row | Reject]:
        first = True
        for row in rows:
            if first and isinstance(row, Row):
                first = False
                self._check(row.values)
            yield row

    def _check(self, values: Mapping[str, Any]) -> None:
        """Columns that are named must exist; without --map, one must be named like a metric."""
        mapper = self._importer.mapper
        if self._form != "csv":
            return
        for column in (*mapper.columns.values(), mapper.user_column, mapper.key_column):
            if column is not None and column not in values:
                raise CliError(f"the file has no column {column!r}", f"It has {', '.join(values)}.")
        if not (mapper.columns or mapper.known & values.keys() or mapper.constants):
            raise CliError(
                f"none of the columns is named like a metric: {', '.join(values)}",
                "Say which is which, such as --map input_tokens=ContextTokens.",
            )


def _run(reader: _Reader, refused: Rejects, as_json: bool) -> CliError | None:
    """Import with a progress bar; what cuts it short is returned, to be raised after the report."""
    again = "Run the same command again to go on; what is charged is not charged twice."
    try:
        if as_json:
            reader.run(lambda size: None)
        else:
            with click.progressbar(length=reader.size, label="Importing", file=sys.stderr) as bar:
                reader.run(bar.update)
    except UnusableFile as error:
        return CliError(str(error))
    except UnavailableError as error:
        return CliError(f"the import was cut short, the database went away: {error}", again)
    except DuctoError as error:
        return CliError(f"the import was cut short: {error}", again)
    except KeyboardInterrupt:
        return CliError("the import was interrupted", again)
    finally:
        refused.close()
    return None


def _report(summary: Summary, refused: Rejects, seconds: float, as_json: bool) -> None:
    where = str(refused.path) if refused.count else None
    if as_json:
        print_json(
            {
                "rows": summary.rows,
                "charged": summary.charged,
                "already_charged": summary.replayed,
                "rejected": summary.rejected,
                "cost": summary.cost,
                "allowance_consumed": summary.allowance_consumed,
                "amount": summary.amount,
                "rejects_file": where,
            }
        )
        return
    rate = f" ({amount(round(summary.rows / seconds))} rows a second)" if seconds > 0 else ""
    fields(
        [
            ("rows", f"{summary.rows:,}{rate}"),
            ("charged", summary.charged),
            ("already charged", summary.replayed),
            ("rejected", f"{summary.rejected:,}" + (f", see {where}" if where else "")),
            ("cost", summary.cost),
            ("from allowances", summary.allowance_consumed),
            ("from balances", summary.amount),
        ]
    )
