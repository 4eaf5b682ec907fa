"""JSON in which no number ever passes through a binary float.

`loads` returns every fraction as `Decimal`, `dumps` writes every `Decimal` with all of its digits;
NaN and infinities are refused in both directions, because money has no such values. `parse` reads
what people wrote: there, a key that appears twice in one object is an error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from json.encoder import encode_basestring_ascii
from typing import Any
from uuid import UUID

__all__ = ["Encoded", "dumps", "loads", "parse", "plain"]

DEPTH_MAX = 200
# Numbers with more digits are written by nobody who counts something.
DIGITS_MAX = 1_000


class Encoded:
    """A value that is JSON already; `dumps` writes its text as it is."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number that JSON allows")


# One for all: what json.loads makes anew for each text costs as much as reading a short one.
_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant)


def loads(text: str | bytes | bytearray) -> Any:
    """Parse JSON, bytes as UTF-8; fractions become Decimal, whole numbers int."""
    if not isinstance(text, str):
        text = text.decode()
    # What decode() adds is to look for blanks around it: a fifth of the time for a short text.
    try:
        value, end = _DECODER.raw_decode(text)
    except json.JSONDecodeError:
        end = -1
    return value if end == len(text) else _DECODER.decode(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"the key {key!r} appears twice in one object")
            seen.add(key)
    return found


def _number(text: str) -> Decimal:
    value = Decimal(text)
    if len(text) > DIGITS_MAX or not -DIGITS_MAX < value.adjusted() < DIGITS_MAX:
        raise ValueError(f"the number {text[:20]}… has more than {DIGITS_MAX} digits")
    return value


def parse(text: str | bytes | bytearray) -> Any:
    """Parse JSON that a person or another program wrote; what is ambiguous is a ValueError."""
    return json.loads(
        text, parse_float=_number, parse_constant=_refuse_constant, object_pairs_hook=_object
    )


def plain(value: Decimal) -> str:
    """The digits of a decimal: no exponent, no trailing zeros after the point."""
    if not value.is_finite():
        raise ValueError(f"{value} cannot be written as a number")
    if not value:
        return "0"
    if not -DIGITS_MAX < value.adjusted() < DIGITS_MAX:
        raise ValueError(f"{value} has more than {DIGITS_MAX} digits")
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text


def dumps(value: Any, *, indent: int | None = None) -> str:
    """Write JSON; a Decimal keeps every digit, a dataclass becomes an object."""
    parts: list[str] = []
    _write(value, parts, indent, 0)
    return "".join(parts)


def _write(value: Any, parts: list[str], indent: int | None, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise ValueError(f"JSON nested deeper than {DEPTH_MAX} levels")
    if isinstance(value, Encoded):
        # First, because a file's charges are all of these.
        parts.append(value.text)
    elif isinstance(value, Mapping):
        _write_items(list(value.items()), parts, indent, depth)
    elif isinstance(value, list | tuple):
        _write_sequence(value, parts, indent, depth)
    elif is_dataclass(value) and not isinstance(value, type):
        pairs = [(f.name, getattr(value, f.name)) for f in fields(value) if f.name != "raw"]
        _write_items(pairs, parts, indent, depth)
    else:
        parts.append(_scalar(value))


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, float):
        return plain(Decimal(repr(value)))
    if isinstance(value, datetime | date):
        return encode_basestring_ascii(value.isoformat())
    if isinstance(value, UUID):
        return encode_basestring_ascii(str(value))
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _write_items(
    items: list[tuple[Any, Any]], parts: list[str], indent: int | None, depth: int
) -> None:
    if not items:
        parts.append("{}")
        return
    opening, between, closing = _layout("{", "}", indent, depth)
    parts.append(opening)
    for position, (key, item) in enumerate(items):
        if position:
            parts.append(between)
        if not isinstance(key, str):
            raise TypeError(f"a JSON key must be a string, not {type(key).__name__}")
        parts.append(encode_basestring_ascii(key))
        parts.append(": " if indent is not None else ":")
        _write(item, parts, indent, depth + 1)
    parts.append(closing)


def _write_sequence(
    values: list[Any] | tuple[Any, ...], parts: list[str], indent: int | None, depth: int
) -> None:
    if not values:
        parts.append("[]")
        return
    opening, between, closing = _layout("[", "]", indent, depth)
    parts.append(opening)
    for position, item in enumerate(values):
        if position:
            parts.append(between)
        _write(item, parts, indent, depth + 1)
    parts.append(closing)


def _layout(opening: str, closing: str, indent: int | None, depth: int) -> tuple[str, str, str]:
    if indent is None:
        return opening, ",", closing
    inner = "\n" + " " * (indent * (depth + 1))
    outer = "\n" + " " * (indent * depth)
    return opening + inner, "," + inner, outer + closing
