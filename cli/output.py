"""What the commands print: aligned tables for people, exact JSON for programs.

Nothing here writes a number through a float. What is stored in the database may be anything, so a
character that could steer a terminal is escaped; styles are written only to a terminal that has
them (not to a pipe, not with NO_COLOR, not with TERM=dumb).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import click

from ducto_pg import exact_json

__all__ = [
    "amount",
    "bars",
    "cell",
    "counted",
    "echo",
    "fields",
    "print_json",
    "safe",
    "styled",
    "table",
    "write",
]

CELL_WIDTH_MAX = 60


def safe(text: str) -> str:
    """A text in which every character that is not shown as itself is escaped."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )


def styled(*, err: bool = False) -> bool:
    """Whether standard output (or error) is a terminal that shows styles."""
    stream = sys.stderr if err else sys.stdout
    if stream is None:
        return False
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(stream.isatty())


def echo(
    text: str = "",
    *,
    err: bool = False,
    nl: bool = True,
    bold: bool = False,
    colour: str | None = None,
) -> None:
    """Print a text, made safe for terminals."""
    shown = safe(text)
    if (bold or colour) and styled(err=err):
        shown = click.style(shown, bold=bold or None, fg=colour)
    stream = sys.stderr if err else sys.stdout
    if stream is None:  # whoever started us has closed it
        return
    stream.write(f"{shown}\n" if nl else shown)
    stream.flush()


def write(text: str) -> None:
    """Print a text as it is, for a file or another program; whether it arrived is known now."""
    if sys.stdout is not None:
        sys.stdout.write(text)
        sys.stdout.flush()


def counted(number: int, noun: str) -> str:
    """`1 model`, `1,200 models`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def amount(value: Decimal | int | None) -> str:
    """A number as people read it: thousands separated, no trailing zeros, no exponent."""
    if value is None:
        return "-"
    text = exact_json.plain(Decimal(value))
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    whole, point, fraction = digits.partition(".")
    return f"{sign}{int(whole):,}{point}{fraction}"


def cell(value: Any, width: int | None = CELL_WIDTH_MAX) -> str:
    """One table cell: `-` for nothing, one line, and never wider than is readable."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal | int):
        return amount(value)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S%z").replace("+0000", "Z")
    if isinstance(value, Mapping | list | tuple):
        value = exact_json.dumps(value) if value else "-"
    text = safe(" ".join(str(value).split()))
    return text if width is None or len(text) <= width else text[: width - 1] + "…"


def table(headings: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str = "") -> None:
    """Print rows under headings; a column of numbers is aligned to the right."""
    raw = [list(row) for row in rows]
    if not raw:
        echo(empty or "(nothing to show)")
        return
    numeric = [_is_numeric([row[i] for row in raw]) for i in range(len(headings))]
    text = [[cell(value) for value in row] for row in raw]
    widths = [max(len(h), *(len(row[i]) for row in text)) for i, h in enumerate(headings)]
    echo(_line(headings, widths, numeric), bold=True)
    for row in text:
        echo(_line(row, widths, numeric))


def _is_numeric(column: Sequence[Any]) -> bool:
    present = [value for value in column if value is not None]
    return bool(present) and all(
        isinstance(value, Decimal | int) and not isinstance(value, bool) for value in present
    )


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    parts = [
        text.rjust(width) if right else text.ljust(width)
        for text, width, right in zip(cells, widths, numeric, strict=True)
    ]
    return "  ".join(parts).rstrip()


def fields(pairs: Iterable[tuple[str, Any]]) -> None:
    """Print `name  value` lines, the values in one column."""
    items = [(safe(name), cell(value, None)) for name, value in pairs]
    width = max((len(name) for name, _ in items), default=0)
    for name, value in items:
        echo(f"{name.ljust(width)}  {value}")


def bars(rows: Iterable[tuple[str, Decimal]], *, width: int = 40) -> None:
    """Print a bar chart, the longest bar `width` characters, largest value first."""
    items = sorted(((safe(n), v) for n, v in rows), key=lambda item: (-item[1], item[0]))
    if not items:
        return
    largest = items[0][1]
    name_width = max(len(name) for name, _ in items)
    number_width = max(len(amount(value)) for _, value in items)
    for name, value in items:
        length = int(value * width / largest) if largest > 0 else 0
        bar = "█" * max(length, 1 if value > 0 else 0)
        echo(f"{name.ljust(name_width)}  {amount(value).rjust(number_width)}  {bar}".rstrip())


def print_json(value: Any) -> None:
    """Print a result as JSON, money with all of its digits."""
    echo(exact_json.dumps(value, indent=2))
