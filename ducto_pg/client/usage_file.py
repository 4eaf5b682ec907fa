"""Usage files: CSV or JSON lines, one row a line, read strictly and without losing a line.

Every line is a row, a blank line or the heading. What is wrong with a row ends with its line: a
quotation that is not closed swallows nothing. A row's identity is its content and the how-manieth
time this content appears, so that deleting, correcting or appending lines leaves the other rows who
they were.

Refused rows are kept in a rejects file, which says where they come from: it can be corrected and
read like the file itself.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b, sha256
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from ducto_pg import exact_json

__all__ = [
    "REJECTS_HEADING",
    "Origin",
    "Reject",
    "Row",
    "UnusableFileError",
    "UsageFile",
    "csv_line",
    "form_of",
    "source_of",
    "split_csv",
]

CHUNK = 1 << 18
LINE_LENGTH_MAX = 262_144
CUT = " …(cut)"
REJECTS_HEADING = ("line", "reason", "row", "id")
# A field in quotes, or one without any; then a comma or the end.
QUOTED = re.compile(r'"([^"]*(?:""[^"]*)*)"(?=,|\Z)')
PLAIN = re.compile(r'([^",]*)(?=,|\Z)')


class UnusableFileError(ValueError):
    """The file as a whole cannot be imported; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: where it stands, its text, its values by column, and which row it is.

    `history` is what a rejects file remembers: who the row was in its file, and who it is now.
    """

    line: int
    text: str
    values: Mapping[str, Any]
    id: str
    history: str


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was not charged, and why."""

    line: int
    reason: str
    text: str
    history: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where rows come from: what their keys are made of, and how their lines are read.

    `path` is the file they were refused from, itself a rejects file perhaps.
    """

    source: str
    name: str
    form: str
    path: str | None = None
    heading: str = ""

    def line(self) -> str:
        """The first line of a rejects file of this origin."""
        facts = {name: getattr(self, name) for name in self.__slots__}
        return csv_line([*REJECTS_HEADING, exact_json.dumps({"import": facts})])

    @classmethod
    def of_rejects(cls, text: str) -> Origin | None:
        """The origin that a rejects file names in its first line; None for any other file."""
        try:
            cells = split_csv(text)
            if tuple(cells[:4]) != REJECTS_HEADING or len(cells) != 5:
                return None
            return cls(**exact_json.parse(cells[4])["import"])
        except (ValueError, TypeError, KeyError):
            return None


def form_of(path: Path) -> str:
    """`csv` or `jsonl`, by the file's name; CSV when the name says nothing."""
    return "jsonl" if path.suffix.lower() in (".jsonl", ".ndjson", ".json") else "csv"


def source_of(*parts: str) -> str:
    """The digest that keys of one source share."""
    return sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()[:32]


def csv_line(cells: Iterable[str]) -> str:
    """Cells as one line of CSV."""
    return ",".join(
        '"' + cell.replace('"', '""') + '"' if any(c in cell for c in '",\r') else cell
        for cell in (cell.replace("\n", " ") for cell in cells)
    )


def split_csv(text: str) -> list[str]:
    """The cells of one line; quotes must be where CSV has them, or it is a ValueError."""
    if '"' not in text:
        return text.split(",")
    cells: list[str] = []
    at = 0
    while True:
        quoted = text.startswith('"', at)
        found = (QUOTED if quoted else PLAIN).match(text, at)
        if found is None:
            raise ValueError(_what_is_wrong(text, at, len(cells) + 1))
        cells.append(found[1].replace('""', '"') if quoted else found[1])
        at = found.end() + 1
        if at > len(text):
            return cells


def _what_is_wrong(text: str, at: int, number: int) -> str:
    if not text.startswith('"', at):
        return f"a quote inside field {number}, which does not begin with one"
    if re.compile(r'"[^"]*(?:""[^"]*)*\Z').match(text, at):
        return f"the quote that field {number} begins with is not closed on its line"
    return f"text behind the closing quote of field {number}"


def identity(text: str) -> str:
    """What tells contents apart."""
    return blake2b(text.encode(errors="replace"), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class _Known:
    """The rows of a file that was read whole: how many of a content there are, counted on from the
    file it comes from; of a rejects file, who its rows are now, by who they were."""

    used: Counter[str]
    rows: Mapping[str, str] | None = None


@dataclass(slots=True)
class _Line:
    """A line without its end; `problem` says why it cannot be read at all."""

    text: str
    problem: str = ""


@dataclass(slots=True)
class UsageFile:
    """A file being read; `lines`, `blank` and `position` (in bytes) count what was read so far.

    `waiting` is called with True before each read, and with False behind it. Rows that have keys
    of their own need not be `counted` in the file that a rejects file comes from.
    """

    stream: BinaryIO
    form: str
    origin: Origin | None = None
    lines: int = 0
    blank: int = 0
    position: int = 0
    columns: list[str] = field(default_factory=list)
    heading: str = ""
    counted: bool = True
    waiting: Callable[[bool], None] = lambda waiting: None
    _source: Iterator[_Line] | None = None
    _known: _Known = field(default_factory=lambda: _Known(Counter()))

    def begin(self) -> None:
        """Read the heading; of a rejects file, where its rows come from."""
        source = self._source = self._read()
        first = next((line for line in source if not self._is_blank(line)), None)
        self.origin = Origin.of_rejects(first.text) if first else None
        if self.origin is not None:
            self.form, self.heading = self.origin.form, self.origin.heading
        elif self.form == "jsonl":
            self._source = chain([first] if first else [], source)
        elif first is None:
            raise UnusableFileError(
                "the file is empty: a CSV file begins with a line of column names"
            )
        elif first.problem:
            raise UnusableFileError(f"the first line is {first.problem}")
        else:
            self.heading = first.text
        if self.form == "csv":
            self.columns = _columns(self.heading)

    @property
    def heading_lines(self) -> int:
        """Of the lines, those that are the heading."""
        return 1 if self.form == "csv" or self.origin else 0

    def rows(self) -> Iterator[Row | Reject]:
        """Every row behind the heading."""
        assert self._source is not None
        return self._rejected_rows(self._source) if self.origin else self._rows(self._source)

    def _rows(self, source: Iterator[_Line]) -> Iterator[Row | Reject]:
        used = self._known.used
        for line in source:
            if self._is_blank(line):
                continue
            content = identity(line.text)
            used[content] += 1
            id = f"{used[content]}-{content}"
            yield self._row(line, id, id)

    def _is_blank(self, line: _Line) -> bool:
        if line.problem or (line.text and not line.text.isspace()):
            return False
        self.blank += 1
        return True

    def _row(self, line: _Line, id: str, history: str) -> Row | Reject:
        if line.problem:
            return Reject(self.lines, line.problem, line.text, history)
        try:
            values = self._values(line.text)
        except ValueError as error:
            return Reject(self.lines, str(error), line.text, history)
        return Row(self.lines, line.text, values, id, history)

    def _values(self, text: str) -> Mapping[str, Any]:
        if self.form == "csv":
            cells = split_csv(text)
            if len(cells) != len(self.columns):
                fields = "1 field" if len(cells) == 1 else f"{len(cells)} fields"
                raise ValueError(f"{fields} where the heading has {len(self.columns)}")
            return dict(zip(self.columns, cells, strict=True))
        try:
            values = exact_json.parse(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"not JSON: {error}") from None
        if not isinstance(values, dict):
            raise ValueError("not a JSON object")
        return values

    # Rejects files ---------------------------------------------------------------------------

    def _rejected_rows(self, source: Iterator[_Line]) -> Iterator[Row | Reject]:
        """The rows of a rejects file, each as it would be in the file it comes from."""
        entries: list[tuple[int, _Line, str]] = []
        for line in source:
            if not self._is_blank(line):
                entries.append((self.lines, *_entry(line)))
        ids = iter(self._ids([(line.text, was) for _, line, was in entries if not line.problem]))
        end = self.lines
        for number, line, history in entries:
            self.lines = number
            if line.problem:
                yield self._row(line, "", history)
            else:
                id, first = next(ids), _first(history)
                yield self._row(line, id, first if id == first else f"{first}>{id}")
        self.lines = end

    def _ids(self, entries: list[tuple[str, str]]) -> list[str]:
        """Who each row is, for its text and its history."""
        assert self.origin is not None
        if not self.counted or self.origin.path is None:
            # Nothing to count in: a corrected row stays who it was.
            ids = []
            for text, history in entries:
                last, content = _last(history), identity(text)
                is_it = _content(last) == content
                ids.append(last if is_it else _first(history) or f"1-{content}")
            return ids
        parent = _read_whole(self.origin.path, self.origin.form)
        ids = _numbered(entries, parent)
        used = Counter(parent.used)
        for id in ids:
            used[_content(id)] = max(used[_content(id)], _number(id))
        rows = {_first(history): id for (_, history), id in zip(entries, ids, strict=True)}
        self._known = _Known(used, rows)
        return ids

    # Lines -----------------------------------------------------------------------------------

    def _read(self) -> Iterator[_Line]:
        """The lines, whatever ends them; one that is no text, or far too long, says so."""
        for data in self._split():
            self.lines += 1
            if self.lines == 1:
                data = data.removeprefix(b"\xef\xbb\xbf")
            if len(data) > LINE_LENGTH_MAX:
                shown = data[:1000].decode(errors="replace") + CUT
                yield _Line(shown, f"longer than {LINE_LENGTH_MAX:,} bytes")
                continue
            try:
                yield _Line(data.decode())
            except UnicodeDecodeError as error:
                shown = data.decode(errors="replace")
                yield _Line(shown, f"not text in UTF-8 (byte {error.start + 1})")

    def _split(self) -> Iterator[bytes]:
        """Lines end with LF or CR LF, or with CR in a file that begins without any LF.

        Of a line that is too long only the beginning is kept.
        """
        ending = b""
        rest = b""
        while chunk := self._chunk():
            data = rest + chunk
            if not ending:
                ending = _ending(data)
                if not ending and len(data) <= LINE_LENGTH_MAX:
                    rest = data
                    continue
                ending = ending or b"\n"
            *lines, rest = data.split(ending)
            if len(rest) > 2 * LINE_LENGTH_MAX:
                rest = rest[: LINE_LENGTH_MAX + 1]
            for line in lines:
                self.position += len(line) + 1
                yield line.removesuffix(b"\r")
        if not ending and b"\r" in rest:
            *lines, rest = rest.split(b"\r")
            yield from lines
        if rest:
            self.position += len(rest)
            yield rest.removesuffix(b"\r")

    def _chunk(self) -> bytes:
        self.waiting(True)
        read = getattr(self.stream, "read1", self.stream.read)
        data: bytes = read(CHUNK)
        self.waiting(False)
        return data


def _ending(data: bytes) -> bytes:
    """What ends the lines, once that can be told."""
    if b"\n" in data:
        return b"\n"
    return b"\r" if b"\r" in data[:-1] else b""


def _columns(heading: str) -> list[str]:
    try:
        names = [cell.strip() for cell in split_csv(heading)]
    except ValueError as error:
        raise UnusableFileError(f"the first line is no CSV heading: {error}") from None
    twice = [name for name, times in Counter(names).items() if times > 1 and name]
    if twice:
        raise UnusableFileError(f"the column {min(twice)!r} appears twice in the heading")
    return names


def _first(history: str) -> str:
    """Who a row was when it was refused for the first time."""
    return history.partition(">")[0]


def _last(history: str) -> str:
    """Who it was when it was refused for the last time."""
    return history.rpartition(">")[2]


def _content(id: str) -> str:
    return id.partition("-")[2]


def _number(id: str) -> int:
    number = id.partition("-")[0]
    return int(number) if number.isascii() and number.isdigit() and len(number) < 19 else 0


def _read_whole(path: str, form: str) -> _Known:
    """What is known of the file that rows were refused from."""
    try:
        with Path(path).open("rb") as stream:
            file = UsageFile(stream, form)
            file.begin()
            for _ in file.rows():
                pass
    except OSError as error:
        raise UnusableFileError(
            f"these rows come from {path}, which tells a corrected row from an equal one and "
            f"cannot be read: {error.strerror}"
        ) from None
    return file._known


def _numbered(entries: list[tuple[str, str]], parent: _Known) -> list[str]:
    """A row whose text is unchanged is who it was; a corrected one is the next of its content.

    The next one is counted in the file the rows come from. Where the same correction was made there
    as well, it is that row: known by who it was in a rejects file, and in a usage file by its
    rejected line being gone.
    """
    texts = [(identity(text), _first(history), _last(history)) for text, history in entries]
    changed = [(content, first) for content, first, last in texts if _content(last) != content]
    next_of = Counter({content: parent.used[content] for content, _ in changed})
    if parent.rows is None:
        for content, first in changed:
            if not 0 < _number(first) <= parent.used[_content(first)]:
                next_of[content] = max(next_of[content] - 1, 0)
    ids = []
    for content, first, last in texts:
        there = (parent.rows or {}).get(first, "")
        if _content(last) == content:
            ids.append(last)
        elif _content(there) == content:
            ids.append(there)
        else:
            next_of[content] += 1
            ids.append(f"{next_of[content]}-{content}")
    return ids


def _entry(line: _Line) -> tuple[_Line, str]:
    """A line of a rejects file: the row it holds, and which row that was."""
    if line.problem:
        return line, ""
    try:
        cells = split_csv(line.text)
    except ValueError as error:
        return _Line(line.text, str(error)), ""
    if not 4 <= len(cells) <= 5:
        return _Line(line.text, f"{len(cells)} fields where a rejects file has 5"), ""
    text, id = cells[2], cells[3].strip()
    if text.endswith(CUT):
        return _Line(text, "too long for a rejects file: correct it in the file itself"), id
    if "\ufffd" in text:
        return _Line(text, "still has characters that were not text in UTF-8"), id
    return _Line(text), id
