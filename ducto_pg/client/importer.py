"""Usage files: rows read one at a time, checked, charged in batches, and never charged twice.

Each row gets an idempotency key made of the source's name, the row's number and a hash of its
content, so an interrupted import can simply be run again. A row that cannot be charged is handed
back with its line number and the reason; it never stops the rows behind it.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from ducto_pg import exact_json
from ducto_pg.client.results import EXACT, Charge

__all__ = [
    "TEXT_METRICS",
    "Importer",
    "Mapper",
    "Reject",
    "Row",
    "Summary",
    "UnusableFile",
    "form_of",
    "read_rows",
]

TEXT_METRICS = frozenset({"model", "operation", "job_name"})
KEY_LENGTH_MAX = 255
SOURCE_LENGTH_MAX = 150
VALUE_MAX = Decimal(10) ** 26
FRACTION_DIGITS_MAX = 40
LINE_LENGTH_MAX = 262_144
DEPTH_MAX = 32
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,6})?", re.ASCII)


class UnusableFile(Exception):
    """The file as a whole cannot be imported; the message is one sentence."""


class Charger(Protocol):
    """The one call an import needs."""

    def deduct_batch(self, charges: Sequence[Mapping[str, Any]]) -> list[Charge]:
        """Charge many usages, one result for each, in their order."""


@dataclass(frozen=True, slots=True)
class Row:
    """One data row: `number` counts rows from 1, `line` is where it begins in the file."""

    number: int
    line: int
    text: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was not charged, and why."""

    line: int
    reason: str
    text: str


@dataclass(slots=True)
class Summary:
    """What an import did so far."""

    rows: int = 0
    charged: int = 0
    replayed: int = 0
    rejected: int = 0
    cost: Decimal = Decimal(0)
    allowance_consumed: Decimal = Decimal(0)
    amount: Decimal = Decimal(0)


class _Lines:
    """The file's lines as text, each with its number; a line that is not UTF-8 becomes None."""

    def __init__(self, stream: BinaryIO, advance: Callable[[int], None]) -> None:
        self._stream = stream
        self._advance = advance
        self.number = 0
        self.taken: list[str] = []
        self.damaged = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        data = self._stream.readline(LINE_LENGTH_MAX + 1)
        if not data:
            raise StopIteration
        self._advance(len(data))
        self.number += 1
        if len(data) > LINE_LENGTH_MAX:
            self.damaged = True
            # What stands in for the line opens no quotation that would swallow the next ones.
            shown, rest = data[:200].replace(b'"', b"'"), data
            while rest and not rest.endswith(b"\n"):
                rest = self._stream.readline(LINE_LENGTH_MAX)
                self._advance(len(rest))
            data = shown + b"\n"
        if self.number == 1:
            data = data.removeprefix(b"\xef\xbb\xbf")
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            self.damaged = True
            text = data.decode("utf-8", errors="replace")
        self.taken.append(text)
        return text


def read_rows(
    stream: BinaryIO, form: str, advance: Callable[[int], None] = lambda size: None
) -> Iterator[Row | Reject]:
    """Read `csv` or `jsonl`; `advance` is told the bytes consumed, for a progress bar."""
    lines = _Lines(stream, advance)
    return _read_csv(lines) if form == "csv" else _read_jsonl(lines)


def _read_csv(lines: _Lines) -> Iterator[Row | Reject]:
    reader = csv.reader(lines)
    heading: list[str] | None = None
    number = 0
    while True:
        lines.taken.clear()
        lines.damaged = False
        line = lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            number += 1
            yield Reject(line, f"not a CSV row: {error}", "".join(lines.taken).rstrip("\r\n"))
            reader = csv.reader(lines)
            continue
        text = "".join(lines.taken).rstrip("\r\n")
        if not cells:
            continue
        if heading is None:
            heading = _heading(cells, lines.damaged)
            continue
        number += 1
        if lines.damaged:
            yield Reject(line, "not text in UTF-8, or far too long", text[:1000])
        elif len(cells) != len(heading):
            reason = f"{len(cells)} fields where the heading has {len(heading)}"
            yield Reject(line, reason, text)
        else:
            yield Row(number, line, text, dict(zip(heading, cells, strict=True)))
    if heading is None:
        raise UnusableFile("the file is empty: a CSV file begins with a line of column names")


def _heading(cells: list[str], damaged: bool) -> list[str]:
    names = [cell.strip() for cell in cells]
    twice = {name for name in names if names.count(name) > 1}
    if damaged:
        raise UnusableFile("the first line is not text in UTF-8")
    if twice:
        raise UnusableFile(f"the column {sorted(twice)[0]!r} appears twice in the heading")
    return names


def _read_jsonl(lines: _Lines) -> Iterator[Row | Reject]:
    number = 0
    for text in lines:
        stripped = text.strip()
        if stripped:
            number += 1
            yield _json_row(number, lines.number, stripped, lines.damaged)
        lines.taken.clear()
        lines.damaged = False


def _json_row(number: int, line: int, text: str, damaged: bool) -> Row | Reject:
    if damaged:
        return Reject(line, "not text in UTF-8, or far too long", text[:1000])
    try:
        values = exact_json.loads(text)
    except (ValueError, RecursionError) as error:
        return Reject(line, f"not JSON: {error}", text)
    if not isinstance(values, dict):
        return Reject(line, "not a JSON object", text)
    return Row(number, line, text, values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapper:
    """How a row becomes a charge: which column is which metric, whose usage it is.

    Without `columns`, an object `metrics` in the row is the usage, or else what is named like one
    of the `known` metrics.
    """

    source: str
    columns: Mapping[str, str]
    constants: Mapping[str, Any] = field(default_factory=dict)
    known: frozenset[str] = frozenset()
    user: str | None = None
    user_column: str | None = None
    key_column: str | None = None

    def charge(self, row: Row) -> dict[str, Any]:
        """The charge of a row; raises ValueError with the reason when it has none."""
        found = self._found(row.values)
        if not found and (self.columns or self.constants.keys() <= TEXT_METRICS):
            raise ValueError("no usage in the row")
        metrics = {**self.constants, **found}
        _check(metrics)
        return {
            "user_id": self._user(row),
            "metrics": metrics,
            "idempotency_key": self._key(row),
            "metadata": {"import": self.source, "row": row.number},
        }

    def _found(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The row's own metrics: of the mapped columns, or what is named like a metric."""
        if not self.columns and isinstance(values.get("metrics"), Mapping):
            return dict(values["metrics"])
        columns = self.columns or {name: name for name in values if name in self.known}
        read = {metric: _metric(metric, column, values) for metric, column in columns.items()}
        return {metric: value for metric, value in read.items() if value is not None}

    def _user(self, row: Row) -> str:
        if self.user_column is None:
            return self.user or ""
        user = row.values.get(self.user_column)
        if isinstance(user, int) and not isinstance(user, bool):
            user = str(user)
        if not isinstance(user, str) or not user.strip():
            raise ValueError(f"no user in {self.user_column}")
        _check(user)
        return user.strip()

    def _key(self, row: Row) -> str:
        if self.key_column is not None:
            key = row.values.get(self.key_column)
            if isinstance(key, int) and not isinstance(key, bool):
                key = str(key)
            if not isinstance(key, str) or not 1 <= len(key) <= KEY_LENGTH_MAX:
                raise ValueError(f"no idempotency key in {self.key_column}")
            _check(key)
            return key
        source = self.source
        if len(source) > SOURCE_LENGTH_MAX:
            source = hashlib.sha256(source.encode()).hexdigest()
        content = hashlib.sha256(row.text.encode()).hexdigest()[:32]
        return f"import:{source}:{row.number}:{content}"


def _metric(metric: str, column: str, values: Mapping[str, Any]) -> Any:
    if column not in values:
        return None
    value = values[column]
    if not isinstance(value, str) or metric in TEXT_METRICS:
        return value if value != "" else None
    text = value.strip()
    if not text:
        return None
    if metric == "tool_calls" and text[0] in "[{":
        try:
            return exact_json.loads(text)
        except (ValueError, RecursionError):
            raise ValueError(f"{column} is not JSON: {text[:60]}") from None
    if not NUMBER.fullmatch(text):
        raise ValueError(f"{column} is not a number: {text[:60]!r}")
    return Decimal(text)


def _check(value: Any, depth: int = 0) -> None:
    """Refuse what no database could store; what a usage may contain the database decides."""
    if depth > DEPTH_MAX:
        raise ValueError(f"values nested deeper than {DEPTH_MAX} levels")
    if isinstance(value, str):
        if "\x00" in value:
            raise ValueError("a text with a null character")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("a text that is not valid Unicode") from None
    elif isinstance(value, Decimal | int) and not isinstance(value, bool):
        _check_number(Decimal(value))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _check(key, depth + 1)
            _check(item, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            _check(item, depth + 1)


def _check_number(number: Decimal) -> None:
    if not number.is_finite():
        raise ValueError(f"{number} is not a finite number")
    exponent = number.as_tuple().exponent
    if abs(number) > VALUE_MAX or not isinstance(exponent, int) or -exponent > FRACTION_DIGITS_MAX:
        raise ValueError(f"a number beyond 10^26 or {FRACTION_DIGITS_MAX} decimal places")


class Importer:
    """Feeds rows to the database in batches and counts what came of them."""

    def __init__(
        self,
        charger: Charger,
        mapper: Mapper,
        reject: Callable[[Reject], None],
        *,
        batch_size: int = 200,
        isolate: tuple[type[Exception], ...] = (),
    ) -> None:
        """`isolate`: errors of a whole batch that are narrowed down to the row that causes them."""
        self._charger = charger
        self.mapper = mapper
        self._reject = reject
        self._batch_size = batch_size
        self._isolate = isolate
        self.summary = Summary()

    def run(self, rows: Iterable[Row | Reject]) -> Summary:
        """Charge every row; raises only what concerns the import as a whole."""
        batch: list[tuple[Row, dict[str, Any]]] = []
        for row in rows:
            if isinstance(row, Reject):
                self._refuse(row)
                continue
            try:
                batch.append((row, self.mapper.charge(row)))
            except ValueError as error:
                self._refuse(Reject(row.line, str(error), row.text))
                continue
            if len(batch) >= self._batch_size:
                self._charge(batch)
                batch = []
        if batch:
            self._charge(batch)
        return self.summary

    def _refuse(self, reject: Reject) -> None:
        self.summary.rows += 1
        self.summary.rejected += 1
        self._reject(reject)

    def _charge(self, batch: list[tuple[Row, dict[str, Any]]]) -> None:
        try:
            results = self._charger.deduct_batch([charge for _, charge in batch])
        except self._isolate as error:
            if len(batch) == 1:
                row = batch[0][0]
                self._refuse(Reject(row.line, _sentence(error), row.text))
                return
            middle = len(batch) // 2
            self._charge(batch[:middle])
            self._charge(batch[middle:])
            return
        for (row, _), result in zip(batch, results, strict=True):
            if result.ok:
                self._count(result)
            else:
                reason = result.message or result.error or result.status
                code = f"{result.code}: " if result.code else ""
                self._refuse(Reject(row.line, code + reason, row.text))

    def _count(self, result: Charge) -> None:
        summary = self.summary
        summary.rows += 1
        if result.replayed:
            summary.replayed += 1
            return
        summary.charged += 1
        summary.cost = EXACT.add(summary.cost, result.cost)
        allowance = EXACT.add(summary.allowance_consumed, result.allowance_consumed)
        summary.allowance_consumed = allowance
        summary.amount = EXACT.add(summary.amount, result.amount)


def _sentence(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


def form_of(path: Path) -> str:
    """`csv` or `jsonl`, by the file's name; CSV when the name says nothing."""
    return "jsonl" if path.suffix.lower() in (".jsonl", ".ndjson", ".json") else "csv"
