"""`ducto usage import`: charge the usage events of a CSV or JSONL file, once, whatever happens.

Exit codes: 0 when every row is charged, now or by an earlier run; 3 when the import went through
but rows were rejected; 1 when it could not start or was cut short (run it again to go on).
"""

from __future__ import annotations

import os
import signal
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import tzinfo
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING, Any, BinaryIO

import click

from ducto_pg.cli.arguments import NAME, WHOLE, named_values
from ducto_pg.cli.common import CliError, Group, dsn_option, json_option, standard_input
from ducto_pg.cli.output import amount, fields, print_json
from ducto_pg.cli.progress import Progress, duration

if TYPE_CHECKING:
    from ducto_pg.client.importer import Importer, Summary
    from ducto_pg.client.store import Store
    from ducto_pg.client.usage_file import Origin, Reject, UsageFile

BATCH_MAX = 1000
EXIT_REJECTED = 3
AGAIN = "Run the same command again to go on; what is charged is not charged twice."


@click.group(cls=Group)
def usage() -> None:
    """Import usage events from a file."""


class Rejects:
    """The rejects file: known to be writable before the first charge, and gone when it is empty.

    What an earlier import left in it stays until this one refuses a row, or refuses none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self.origin: Origin | None = None
        self._file: IO[str] | None = None
        self._created = False

    def open(self, origin: Origin) -> None:
        """Make sure that rejects can be written, and nobody's file is overwritten."""
        from ducto_pg.client.usage_file import Origin

        self.origin = origin
        self._created = not self.path.exists()
        # A device or a pipe has no beginning to go back to.
        mode = "a+" if self._created or self.path.is_file() else "w"
        self._file = self.path.open(mode, encoding="utf-8", errors="replace", newline="")
        if not self._created and self._is_regular() and self.path.stat().st_size:
            self._file.seek(0)
            if Origin.of_rejects(self._file.readline().rstrip("\r\n")) is None:
                self._file.close()
                raise CliError(
                    f"{self.path} exists and holds no rejects of an import",
                    "Name another file with --rejects.",
                )

    def _is_regular(self) -> bool:
        assert self._file is not None
        return stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)

    def add(self, reject: Reject) -> None:
        """Write one refused row."""
        from ducto_pg.client.usage_file import csv_line

        assert self._file is not None and self.origin is not None
        if not self.count:
            if self._is_regular():
                self._file.seek(0)
                self._file.truncate()
            self._file.write(self.origin.line() + "\n")
        cells = [str(reject.line), " ".join(reject.reason.split()), reject.text, reject.history, ""]
        with self._named():
            self._file.write(csv_line(cells) + "\n")
        self.count += 1

    def close(self, *, complete: bool) -> None:
        """Close it; without a refused row there is none."""
        if self._file is None:
            return
        regular = self._is_regular()
        with self._named():
            self._file.close()
        if regular and not self.count and (complete or self._created):
            self.path.unlink(missing_ok=True)

    @contextmanager
    def _named(self) -> Iterator[None]:
        """What goes wrong with the file says which file it is."""
        try:
            yield
        except OSError as error:
            error.filename = error.filename or str(self.path)
            raise


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
@click.option("--user", type=NAME, metavar="USER", help="Whose usage all rows are.")
@click.option("--user-column", metavar="COLUMN", help="The column that says whose usage a row is.")
@click.option(
    "--time-column",
    metavar="COLUMN",
    help="When it was used: an ISO time, or seconds or milliseconds since 1970.",
)
@click.option("--time-zone", metavar="ZONE", help="Of times without one, such as Europe/Berlin.")
@click.option("--key-column", metavar="COLUMN", help="A column that identifies the event.")
@click.option(
    "--source",
    type=NAME,
    metavar="NAME",
    help="What rows are remembered under; default: the file's path and heading.",
)
@click.option("--empty-as-zero", is_flag=True, help="Take an empty number for 0.")
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), help="Default: by name.")
@click.option("--rejects", metavar="PATH", help="Refused rows; default: FILE.rejects.csv.")
@click.option(
    "--batch-size", type=WHOLE(1, BATCH_MAX), default=500, show_default=True,
    help="Rows a transaction.",
)  # fmt: skip
@dsn_option
@json_option
def import_(
    file: str,
    mapping: tuple[str, ...],
    constants: tuple[str, ...],
    time_zone: str | None,
    rejects: str | None,
    dsn: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Charge the usage events in FILE (CSV or JSONL, - for stdin), each once.

    Without --map, columns named like metrics are read (and in JSONL an object `metrics`). However
    often a file is imported, corrected or longer by then, a row of it is charged once; a corrected
    rejects file is imported like the file itself, with the same options.
    """
    order = Order(
        file=file,
        columns=_pairs(mapping),
        constants=named_values(constants, "--set"),
        zone=_zone(time_zone),
        **options,
    )
    order.check()
    refused = Rejects(Path(rejects) if rejects is not None else _beside(file))
    with _opened(file) as stream:
        _refuse_same_file(stream, refused.path, file)
        _import(order, stream, refused, dsn, as_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be imported, and how."""

    file: str
    columns: dict[str, str]
    constants: dict[str, Any]
    zone: tzinfo | None
    user: str | None
    user_column: str | None
    time_column: str | None
    key_column: str | None
    source: str | None
    empty_as_zero: bool
    form: str | None
    batch_size: int

    def check(self) -> None:
        """Refuse what makes no sense together."""
        if (self.user is None) == (self.user_column is None):
            raise click.UsageError("give --user or --user-column")
        if self.file == "-" and self.source is None and self.key_column is None:
            raise click.UsageError("standard input needs --source NAME or --key-column")
        if self.zone is not None and self.time_column is None:
            raise click.UsageError("--time-zone belongs to --time-column")
        both = sorted(self.columns.keys() & self.constants.keys())
        if both:
            raise click.UsageError(f"the metric {both[0]!r} is in --map and in --set")

    def named_columns(self) -> list[str]:
        """Every column that an option names."""
        named = [self.user_column, self.key_column, self.time_column]
        return [*self.columns.values(), *(name for name in named if name is not None)]

    def origin(self, reader: UsageFile) -> Origin:
        """Where the rows come from, for their keys: the file's path and heading, or --source."""
        from ducto_pg.client.usage_file import Origin, source_of

        name = "stdin" if self.file == "-" else Path(self.file).name
        path = None if self.file == "-" else str(Path(self.file).resolve())
        if self.source is not None:
            name, source = self.source, source_of("name", self.source)
        elif path is not None:
            source = source_of("path", path, reader.heading)
        else:
            source = ""
        if reader.origin is None:
            return Origin(source, name, reader.form, path, reader.heading)
        if self.source is not None and source != reader.origin.source:
            raise click.UsageError(
                f"these rows are of the source {reader.origin.name!r}, not of {self.source!r}"
            )
        # What is refused again is refused from this file: its rows are counted on from here.
        parent = None if reader.origin.path is None else path
        return replace(reader.origin, path=parent)


def _beside(file: str) -> Path:
    return Path("stdin.rejects.csv" if file == "-" else f"{file}.rejects.csv")


def _pairs(given: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in given:
        name, equals, column = (part.strip() for part in text.partition("="))
        if not (name and equals and column):
            raise click.UsageError(f"--map takes METRIC=COLUMN, not {text!r}")
        if name in pairs:
            raise click.UsageError(f"--map names {name} twice")
        pairs[name] = column
    return pairs


def _zone(name: str | None) -> tzinfo | None:
    if name is None:
        return None
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise click.UsageError(
            f"--time-zone {name!r} is not the name of a zone such as Europe/Berlin or UTC"
        ) from None


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield standard_input()
        return
    with Path(file).open("rb") as stream:
        yield stream


def _refuse_same_file(stream: BinaryIO, rejects: Path, file: str) -> None:
    if file != "-" and rejects.exists() and Path(file).samefile(rejects):
        raise click.UsageError("the rejects file cannot be the file that is imported")


def _metric_names(store: Store) -> frozenset[str]:
    """What the active pricing knows; there is nothing to import into without a pricing."""
    from ducto_pg.client.importer import TEXT_METRICS
    from ducto_pg.plpython.names import STANDARD_METRICS

    config = store.call("ducto_pricing_get")["config"]
    extra = [name for name in config.get("metrics") or [] if isinstance(name, str)]
    return frozenset([*STANDARD_METRICS, *TEXT_METRICS, *extra])


def _check_names(order: Order, known: frozenset[str]) -> None:
    from ducto_pg.plpython.names import nearest

    for name in (*order.columns, *order.constants):
        if name not in known:
            suggestion = nearest(name, sorted(known))
            hint = f"Did you mean {suggestion}?" if suggestion else ""
            raise CliError(f"the active pricing has no metric {name!r}", hint)


def _check_columns(order: Order, reader: UsageFile, known: frozenset[str]) -> None:
    """Columns that are named must exist; without --map, one must be named like a metric."""
    if reader.form != "csv":
        return
    have = set(reader.columns)
    shown = ", ".join(reader.columns[:20]) + (", …" if len(reader.columns) > 20 else "")
    for column in order.named_columns():
        if column not in have:
            raise CliError(f"the file has no column {column!r}", f"It has {shown}.")
    if not (order.columns or order.constants or known & have):
        raise CliError(
            f"none of the columns is named like a metric: {shown}",
            "Say which is which, such as --map input_tokens=ContextTokens.",
        )


def _import(
    order: Order, stream: BinaryIO, refused: Rejects, dsn: str | None, as_json: bool
) -> None:
    from ducto_pg.cli.stores import open_store
    from ducto_pg.client.importer import Importer, Mapper
    from ducto_pg.client.usage_file import UnusableFileError, UsageFile, form_of

    reader = UsageFile(
        stream, order.form or form_of(Path(order.file)), counted=order.key_column is None
    )
    try:
        reader.begin()
    except UnusableFileError as error:
        raise CliError(str(error), name="unusable_file") from None
    origin = order.origin(reader)
    with open_store(dsn) as store:
        known = _metric_names(store)
        _check_names(order, known)
        _check_columns(order, reader, known)
        mapper = Mapper(
            source=origin.source,
            name=origin.name,
            columns=order.columns,
            constants=order.constants,
            known=known,
            user=order.user,
            user_column=order.user_column,
            key_column=order.key_column,
            time_column=order.time_column,
            time_zone=order.zone,
            empty_as_zero=order.empty_as_zero,
        )
        refused.open(origin)
        progress = Progress("Importing", shown=not as_json)
        importer = Importer(
            store,
            mapper,
            refused.add,
            batch_size=order.batch_size,
            progress=lambda summary: _show(progress, reader, summary),
        )
        started = time.monotonic()
        with progress:
            cut_short = _run(importer, reader, refused)
    _report(importer.summary, reader, refused, time.monotonic() - started, as_json, cut_short)
    if cut_short is not None:
        raise cut_short
    if refused.count:
        click.get_current_context().exit(EXIT_REJECTED)


def _show(progress: Progress, reader: UsageFile, summary: Summary) -> None:
    seconds = time.monotonic() - progress.started
    rate = round(summary.rows / seconds) if seconds > 0 else 0
    text = f"{summary.rows:,} rows, {rate:,} a second, {amount(summary.cost)} credits"
    try:
        size = os.fstat(reader.stream.fileno()).st_size
    except (OSError, ValueError):
        size = 0
    progress.update(min(reader.position / size, 1) if size else None, text)


def _run(importer: Importer, reader: UsageFile, refused: Rejects) -> CliError | None:
    """Import; what cuts it short is returned, to be raised after the report."""
    cut_short: CliError | None = None
    try:
        cut_short = _charge_rows(importer, reader)
    except BaseException:
        refused.close(complete=False)
        raise
    try:
        refused.close(complete=cut_short is None)
    except OSError as error:
        return cut_short or CliError(f"rejects are missing, {error.filename}: {error.strerror}")
    return cut_short


def _charge_rows(importer: Importer, reader: UsageFile) -> CliError | None:
    from ducto_pg.client.usage_file import UnusableFileError
    from ducto_pg.errors import DuctoError, TransactionConflictError, UnavailableError

    try:
        with _interruptible(importer, reader) as interrupted:
            importer.run(reader.rows())
        if interrupted():
            return CliError("the import was interrupted", AGAIN, name="interrupted")
    except KeyboardInterrupt:
        return CliError("the import was interrupted", AGAIN, name="interrupted")
    except UnusableFileError as error:
        return CliError(str(error), name="unusable_file")
    except (UnavailableError, TransactionConflictError) as error:
        away = "the database went away" if error.name == "unavailable" else "another one was ahead"
        return CliError(
            f"the import was cut short, {away}: {error.message}",
            AGAIN,
            code=error.code,
            name=error.name,
        )
    except DuctoError as error:
        from ducto_pg.cli.failures import describe

        failure = describe(error)
        return CliError(
            f"the import was cut short: {failure.message}",
            failure.hint,
            code=failure.code,
            name=failure.name,
        )
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        return CliError(f"the import was cut short: {reason}", AGAIN)
    return None


@contextmanager
def _interruptible(importer: Importer, reader: UsageFile) -> Iterator[Any]:
    """Ctrl-C, or being asked to end, waits for the batch under way; the second time it does not.

    While the file is waited for there is nothing to be lost, and the wait ends at once.
    """
    asked: list[int] = []
    waiting = False

    def wait(now: bool) -> None:
        nonlocal waiting
        waiting = now
        if asked:
            raise KeyboardInterrupt

    def stop(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        importer.stop()
        if waiting or len(asked) > 1:
            raise KeyboardInterrupt

    reader.waiting = wait
    endings = (signal.SIGINT, signal.SIGTERM)
    in_main = threading.current_thread() is threading.main_thread()
    before = {e: signal.signal(e, stop) for e in endings} if in_main else {}
    try:
        yield lambda: bool(asked)
    finally:
        reader.waiting = lambda waiting: None
        for number, handler in before.items():
            signal.signal(number, handler)


def _report(
    summary: Summary,
    reader: UsageFile,
    refused: Rejects,
    seconds: float,
    as_json: bool,
    cut_short: CliError | None,
) -> None:
    where = str(refused.path) if refused.count else None
    if as_json:
        print_json(
            {
                "complete": cut_short is None,
                "lines": reader.lines,
                "heading_lines": reader.heading_lines,
                "blank_lines": reader.blank,
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
    rate = f" in {duration(seconds)}" if seconds >= 1 else ""
    if seconds > 0:
        rate += f", {amount(round(summary.rows / seconds))} a second"
    others = [
        (f"{reader.heading_lines} heading" if reader.heading_lines else ""),
        (f"{reader.blank:,} blank" if reader.blank else ""),
    ]
    lines = f"{reader.lines:,}"
    if any(others):
        lines += f", of them {' and '.join(text for text in others if text)}"
    fields(
        [
            ("lines", lines if cut_short is None else f"{reader.lines:,} read"),
            ("rows", f"{summary.rows:,}{rate}"),
            ("charged", summary.charged),
            ("already charged", summary.replayed),
            ("rejected", f"{summary.rejected:,}" + (f", see {where}" if where else "")),
            ("cost", summary.cost),
            ("from allowances", summary.allowance_consumed),
            ("from balances", summary.amount),
        ]
    )
