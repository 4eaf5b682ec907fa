"""Usage files become charges: rows checked, charged in batches, and never charged twice.

A row's idempotency key is made of its source, its content and the how-manieth time this content
appears, so an interrupted, corrected or longer file can simply be imported again. A row that cannot
be charged is handed back with its line number and the reason; it never stops the rows behind it.

While the server works on one batch, the next is read and checked.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Context, Decimal
from json import JSONEncoder
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeAlias

from ducto_pg import exact_json
from ducto_pg.client.usage_file import Reject, Row
from ducto_pg.errors import DatabaseError, InvalidArgumentError

if TYPE_CHECKING:
    from ducto_pg.client.store import Store

__all__ = ["TEXT_METRICS", "Importer", "Mapper", "Summary", "instant"]

TEXT_METRICS = frozenset({"model", "operation", "job_name"})
KEY_LENGTH_MAX = 255
VALUE_MAX = Decimal(10) ** 26
WHOLE_MAX = 10**26
FRACTION_DIGITS_MAX = 40
DEPTH_MAX = 32
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,6})?", re.ASCII)
WHOLE = re.compile(r"[0-9]{1,18}", re.ASCII)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Sums keep every digit.
SUMS = Context(prec=200)
TIME_LENGTH_MAX = 100
# Seconds up to the year 5138; what is larger is milliseconds.
SECONDS_MAX = Decimal(10) ** 11


@dataclass(slots=True)
class Summary:
    """What an import did so far; each row counts once."""

    rows: int = 0
    charged: int = 0
    replayed: int = 0
    rejected: int = 0
    cost: Decimal = Decimal(0)
    allowance_consumed: Decimal = Decimal(0)
    amount: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapper:
    """How a row becomes a charge: which column is which metric, whose usage it is, and when.

    Without `columns`, an object `metrics` in the row is the usage, or else what is named like one
    of the `known` metrics.
    """

    source: str
    name: str
    columns: Mapping[str, str]
    constants: Mapping[str, Any] = field(default_factory=dict)
    known: frozenset[str] = frozenset()
    user: str | None = None
    user_column: str | None = None
    key_column: str | None = None
    time_column: str | None = None
    time_zone: tzinfo | None = None
    empty_as_zero: bool = False

    def charge(self, row: Row) -> dict[str, Any]:
        """The charge of a row; raises ValueError with the reason when it has none."""
        charge = {
            "user_id": self._user(row),
            "metrics": self._metrics(row.values),
            "idempotency_key": self._key(row),
            "metadata": {"import": self.name, "line": row.line},
        }
        if self.time_column is not None:
            charge["occurred_at"] = self._time(row.values.get(self.time_column)).isoformat()
        return charge

    def _metrics(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The row's own metrics, of the mapped columns or what is named like a metric."""
        if not self.columns and isinstance(values.get("metrics"), Mapping):
            found = {k: v for k, v in values["metrics"].items() if k not in self.constants}
        else:
            found = self._found(values)
        if not found and (self.columns or self.constants.keys() <= TEXT_METRICS):
            raise ValueError("no usage in the row")
        for name, value in found.items():
            # Whole numbers of a usual size are what nearly all of them are.
            if type(value) is not int or not -WHOLE_MAX < value < WHOLE_MAX:
                _check(value)
            if name not in self.known:
                _check(name)
        return {**found, **self.constants}

    def _found(self, values: Mapping[str, Any]) -> dict[str, Any]:
        columns = self.columns
        if not columns:
            named = self.known - self.constants.keys()
            columns = {name: name for name in values if name in named}
        found: dict[str, Any] = {}
        empty: list[str] = []
        for metric, column in columns.items():
            value = values.get(column)
            if value is None or (isinstance(value, str) and not value.strip()):
                if metric not in TEXT_METRICS:
                    empty.append(metric)
            else:
                found[metric] = _metric(metric, column, value)
        if empty:
            if found.keys() <= TEXT_METRICS and not found.keys() & {"job_name"}:
                raise ValueError("no usage in the row")
            if not self.empty_as_zero:
                raise ValueError(f"no value in {columns[empty[0]]}; --empty-as-zero takes it for 0")
            found.update(dict.fromkeys(empty, 0))
        return found

    def _user(self, row: Row) -> str:
        if self.user_column is None:
            return self.user or ""
        user = _identifier(row.values.get(self.user_column))
        if not user:
            raise ValueError(f"no user in {self.user_column}")
        return user

    def _key(self, row: Row) -> str:
        if self.key_column is None:
            return f"import:{self.source}:{row.id}"
        key = _identifier(row.values.get(self.key_column))
        if not key:
            raise ValueError(f"no idempotency key in {self.key_column}")
        if len(key) > KEY_LENGTH_MAX:
            raise ValueError(f"{self.key_column} has more than {KEY_LENGTH_MAX} characters")
        return key

    def _time(self, value: Any) -> datetime:
        column = self.time_column
        if value is None or (isinstance(value, str) and not value.strip()):
            raise ValueError(f"no time in {column}")
        try:
            moment = instant(value)
        except (ValueError, OverflowError):
            raise ValueError(f"{column} is not a time: {str(value)[:60]!r}") from None
        if moment.tzinfo is None:
            if self.time_zone is None:
                raise ValueError(f"the time in {column} has no zone; give --time-zone")
            moment = moment.replace(tzinfo=self.time_zone)
        try:
            return moment.astimezone(UTC)
        except OverflowError:
            raise ValueError(f"{column} is not a time: {str(value)[:60]!r}") from None


def instant(value: Any) -> datetime:
    """A time as files have it: an ISO form, or seconds or milliseconds since 1970 (then in UTC)."""
    text = str(value).strip() if isinstance(value, str | int | Decimal) else ""
    if isinstance(value, bool) or not 0 < len(text) <= TIME_LENGTH_MAX:
        raise ValueError("not a time")
    if re.fullmatch(r"[0-9]{9,17}(\.[0-9]{1,12})?", text, re.ASCII):
        since = Decimal(text)
        seconds = since if since < SECONDS_MAX else since / 1000
        return EPOCH + timedelta(microseconds=int(seconds * 1_000_000))
    # 2026-05-01 12:00:00 +02:00, and the day of a year: what the standard library leaves out.
    text = re.sub(r"\s+(?=([+-][0-9:]{2,8}|[zZ])\Z)", "", text)
    ordinal = re.match(r"([0-9]{4})-?([0-9]{3})(?=\Z|[T ])", text, re.ASCII)
    if ordinal:
        day = datetime.strptime(f"{ordinal[1]} {ordinal[2]}", "%Y %j")
        if day.year != int(ordinal[1]):
            raise ValueError("a year has 365 days, or 366")
        text = day.date().isoformat() + text[ordinal.end() :]
    return datetime.fromisoformat(text.removesuffix("z") + "Z" if text.endswith("z") else text)


def _identifier(value: Any) -> str:
    """The text of an id; numbers are their digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        return ""
    _check(value)
    return value.strip()


def _metric(metric: str, column: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = value.strip()
    if metric in TEXT_METRICS:
        return text
    if WHOLE.fullmatch(text):
        return int(text)
    if metric == "tool_calls" and text[0] in "[{":
        try:
            return exact_json.parse(text)
        except (ValueError, RecursionError):
            raise ValueError(f"{column} is not JSON: {text[:60]}") from None
    if not NUMBER.fullmatch(text):
        raise ValueError(f"{column} is not a number: {text[:60]!r}")
    return Decimal(text)


def _check(value: Any, depth: int = 0) -> None:
    """Refuse what no database could store; what a usage may contain the database decides."""
    kind = type(value)
    if kind is int:
        if not -WHOLE_MAX < value < WHOLE_MAX:
            raise ValueError("a number beyond 10^26")
    elif kind is str:
        if value.isascii():
            if "\x00" in value:
                raise ValueError("a text with a null character")
            return
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("a text that is not valid Unicode") from None
        if "\x00" in value:
            raise ValueError("a text with a null character")
    elif kind is Decimal:
        _check_number(value)
    elif kind is dict or kind is list:
        if depth >= DEPTH_MAX:
            raise ValueError(f"values nested deeper than {DEPTH_MAX} levels")
        if kind is dict:
            for key in value:
                _check(key)
            value = value.values()
        for item in value:
            _check(item, depth + 1)


def _check_number(number: Decimal) -> None:
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int):
        raise ValueError(f"{number} is not a finite number")
    if abs(number) > VALUE_MAX or -exponent > FRACTION_DIGITS_MAX:
        raise ValueError(f"a number beyond 10^26 or {FRACTION_DIGITS_MAX} decimal places")


PLAIN_JSON = JSONEncoder(separators=(",", ":"), allow_nan=False)
Answer: TypeAlias = Mapping[str, Any]
Batch: TypeAlias = list[tuple[Row, exact_json.Encoded]]
# What came of a row: the server's answer, or why it did not even get there.
Outcomes: TypeAlias = list[tuple[Row, Answer | str]]


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """A batch at the server: what came of its rows so far, and the rows refused before it."""

    future: Future[None]
    outcomes: Outcomes
    refused: list[Reject]


def concerns_one_row(error: Exception) -> bool:
    """Whether an error of a batch is about what one of its rows holds, not about the server."""
    if isinstance(error, InvalidArgumentError):
        return True
    # Data that cannot be what it should be, and what is beyond a limit of the server.
    return isinstance(error, DatabaseError) and error.code[:2] in ("22", "54")


class Importer:
    """Feeds rows to the database in batches and counts what came of them."""

    def __init__(
        self,
        store: Store,
        mapper: Mapper,
        reject: Callable[[Reject], None],
        *,
        batch_size: int = 200,
        isolate: Callable[[Exception], bool] = concerns_one_row,
        progress: Callable[[Summary], None] = lambda summary: None,
    ) -> None:
        """`isolate` tells errors of a batch that are narrowed down to the row that causes them."""
        self._store = store
        self._mapper = mapper
        self._reject = reject
        self._batch_size = batch_size
        self._isolate = isolate
        self._progress = progress
        self._stopped = False
        self.summary = Summary()

    def stop(self) -> None:
        """End soon: the batch that is under way is still counted, and no further one is begun."""
        self._stopped = True

    def run(self, rows: Iterable[Row | Reject]) -> Summary:
        """Charge every row; raises only what concerns the import as a whole.

        Whatever is raised, what was charged is in the summary, the batch under way included.
        """
        under_way: _UnderWay | None = None
        with _quick_turns():
            try:
                for batch, refused in self._batches(rows):
                    done, under_way = under_way, None
                    self._wait(done)
                    if not self._stopped:
                        outcomes: Outcomes = []
                        future = _beside(self._charge, batch, outcomes)
                        under_way = _UnderWay(future, outcomes, refused)
                    self._count(done)
            finally:
                self._wait(under_way)
                self._count(under_way)
        return self.summary

    def _batches(self, rows: Iterable[Row | Reject]) -> Iterator[tuple[Batch, list[Reject]]]:
        """Charges in batches, each with the rows that were refused on the way to it."""
        batch: Batch = []
        refused: list[Reject] = []
        for row in rows:
            if self._stopped:
                return
            if isinstance(row, Row):
                try:
                    charge = _encoded(self._mapper.charge(row))
                    batch.append((row, exact_json.Encoded(charge)))
                except ValueError as error:
                    refused.append(Reject(row.line, str(error), row.text, row.history))
            else:
                refused.append(row)
            if len(batch) >= self._batch_size or len(refused) >= self._batch_size:
                yield batch, refused
                batch, refused = [], []
        yield batch, refused

    def _charge(self, batch: Batch, outcomes: Outcomes) -> None:
        """Runs beside the reading; each outcome is there as soon as it is certain."""
        if not batch:
            return
        try:
            charges = [charge for _, charge in batch]
            answers: list[Answer] = self._store.call("ducto_deduct_batch", p_charges=charges)
        except Exception as error:
            if not self._isolate(error):
                raise
            if len(batch) == 1:
                outcomes.append((batch[0][0], str(error)))
                return
            middle = len(batch) // 2
            self._charge(batch[:middle], outcomes)
            self._charge(batch[middle:], outcomes)
            return
        outcomes += zip((row for row, _ in batch), answers, strict=True)

    def _wait(self, batch: _UnderWay | None) -> None:
        """Until a batch is done; where it fails, or nobody wants to wait, it is counted so far."""
        if batch is None:
            return
        try:
            batch.future.result()
        except BaseException:
            self._count(batch)
            raise

    def _count(self, batch: _UnderWay | None) -> None:
        """Count what came of a batch, as far as it came; rejects in the order of the file."""
        if batch is None:
            return
        refused = list(batch.refused)
        for row, outcome in batch.outcomes:
            reason = outcome if isinstance(outcome, str) else _reason(outcome)
            if reason is not None:
                refused.append(Reject(row.line, reason, row.text, row.history))
            elif not isinstance(outcome, str):
                self._count_charge(outcome)
        for reject in sorted(refused, key=lambda reject: reject.line):
            self._reject(reject)
            self.summary.rows += 1
            self.summary.rejected += 1
        self._progress(self.summary)

    def _count_charge(self, answer: Answer) -> None:
        summary = self.summary
        summary.rows += 1
        if answer.get("replayed"):
            summary.replayed += 1
            return
        summary.charged += 1
        summary.cost = SUMS.add(summary.cost, answer["cost"])
        allowance = SUMS.add(summary.allowance_consumed, answer["allowance_consumed"])
        summary.allowance_consumed = allowance
        summary.amount = SUMS.add(summary.amount, answer["amount"])


def _encoded(charge: Mapping[str, Any]) -> str:
    """A charge as JSON; one without fractions, as nearly all are, by the standard library.

    There is no float in it: numbers were read as int and Decimal, and Decimal is left to our own.
    """
    try:
        return PLAIN_JSON.encode(charge)
    except TypeError:
        return exact_json.dumps(charge)


def _reason(answer: Answer) -> str | None:
    """Why a charge was refused; None when it was not."""
    if answer.get("status") == "ok":
        return None
    reason = answer.get("message") or answer.get("error") or answer.get("status")
    return f"{answer['code']}: {reason}" if answer.get("code") else str(reason)


def _beside(work: Callable[[Batch, Outcomes], None], *given: Any) -> Future[None]:
    """Do something in a thread that the end of the program does not wait for."""
    future: Future[None] = Future()

    def run() -> None:
        try:
            work(*given)
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(None)

    Thread(target=run, daemon=True).start()
    return future


@contextmanager
def _quick_turns() -> Iterator[None]:
    """The thread that hears from the server is not kept waiting by the one that reads."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
