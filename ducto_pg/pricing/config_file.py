"""Reads a pricing config from JSON or YAML text that may be hostile.

Guarantees: numbers are exact (fractions become Decimal); a duplicate key is an error that names the
key; YAML anchors, aliases, tags and merge keys are refused, so a small document cannot become a
large one; size, depth and the range of numbers are bounded. What comes back consists of dict, list,
str, int, Decimal, bool and None only, and can be stored as jsonb. Whether it is a valid config is
not decided here (see `ducto_pg.plpython.config`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, Literal

import yaml

__all__ = ["ConfigFileError", "parse_config", "read_config", "read_stream"]

SIZE_MAX = 8 * 1024 * 1024
DEPTH_MAX = 32
NODES_MAX = 500_000
NUMBER_DIGITS_MAX = 100

Format = Literal["json", "yaml"]

_NUMBER = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_NOT_A_NUMBER = re.compile(r"[-+]?\.(?:inf|nan)", re.IGNORECASE)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class ConfigFileError(ValueError):
    """The text is not JSON or YAML that a config may be written in; says what and where."""


def read_config(path: str | Path) -> Any:
    """The config in a file; its name decides the format, or the first character if it does not."""
    path = Path(path)
    kinds: dict[str, Format] = {".json": "json", ".yaml": "yaml", ".yml": "yaml"}
    try:
        with path.open("rb") as file:
            return read_stream(file, kinds.get(path.suffix.lower()))
    except OSError as error:
        raise ConfigFileError(f"{path}: {error.strerror or error}") from None
    except ConfigFileError as error:
        raise ConfigFileError(f"{path}: {error}") from None


def read_stream(file: BinaryIO, kind: Format | None = None) -> Any:
    """The config in an open binary file; no more is read than a config may be long."""
    return parse_config(file.read(SIZE_MAX + 1), kind)


def parse_config(text: str | bytes, kind: Format | None = None) -> Any:
    """The config written in `text`; without a kind, text that starts with a brace is JSON."""
    if isinstance(text, bytes):
        try:
            text = text[: SIZE_MAX + 1].decode("utf-8-sig")
        except UnicodeDecodeError as error:
            if len(text) > SIZE_MAX:
                raise _too_large() from None
            raise ConfigFileError(f"not UTF-8 text (byte {error.start + 1})") from None
    text = text.removeprefix("\ufeff")
    if len(text) > SIZE_MAX or len(text.encode(errors="replace")) > SIZE_MAX:
        raise _too_large()
    if kind is None:
        kind = "json" if text.lstrip()[:1] in ("{", "[") else "yaml"
    value = _parse_json(text) if kind == "json" else _parse_yaml(text)
    _check_content(value)
    return value


def _too_large() -> ConfigFileError:
    return ConfigFileError(f"larger than {SIZE_MAX // 1024 // 1024} MB")


def _parse_json(text: str) -> Any:
    try:
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_number,
            parse_float=_number,
            parse_constant=_refuse_constant,
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ConfigFileError(f"not valid JSON: {error.msg} ({place})") from None
    except RecursionError:
        raise ConfigFileError(f"nested deeper than {DEPTH_MAX} levels") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ConfigFileError(f"the key {_shown(key)} appears twice in one object")
            seen.add(key)
    return result


def _refuse_constant(name: str) -> Any:
    raise ConfigFileError(f"{name} is not a number that a config may contain")


def _number(text: str) -> int | Decimal:
    """An exact number; out-of-range ones are refused before anything writes out their digits."""
    if len(text) > NUMBER_DIGITS_MAX:
        raise ConfigFileError(f"the number {text[:20]}... has more than {NUMBER_DIGITS_MAX} digits")
    exponent = re.split("[eE]", text)[1:]
    if exponent and abs(int(exponent[0])) > NUMBER_DIGITS_MAX:
        raise ConfigFileError(f"the number {text} is out of range")
    digits = text.lstrip("+-")
    return int(text) if digits.isdigit() else Decimal(text)


def _shown(key: str) -> str:
    return repr(key if len(key) <= 80 else f"{key[:77]}...")


def _parse_yaml(text: str) -> Any:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _YamlReader(yaml.parse(text, Loader=loader)).document()
    except yaml.MarkedYAMLError as error:
        place = _place(error.problem_mark or error.context_mark)
        raise ConfigFileError(f"not valid YAML: {error.problem or error.context}{place}") from None
    except yaml.YAMLError as error:
        problem = getattr(error, "reason", None) or "it cannot be read"
        raise ConfigFileError(f"not valid YAML: {problem}") from None
    except RecursionError:
        raise ConfigFileError(f"nested deeper than {DEPTH_MAX} levels") from None


def _place(mark: Any) -> str:
    return "" if mark is None else f" (line {mark.line + 1}, column {mark.column + 1})"


class _YamlReader:
    """Builds the value from the parser's events, refusing what makes YAML dangerous."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self.events = events
        self.nodes = 0

    def document(self) -> Any:
        documents = 0
        value = None
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._error("more than one document", event)
                value = self._value(next(self.events), 1)
        return value

    def _error(self, message: str, event: yaml.Event) -> ConfigFileError:
        return ConfigFileError(f"{message}{_place(event.start_mark)}")

    def _value(self, event: yaml.Event, depth: int) -> Any:
        self.nodes += 1
        if self.nodes > NODES_MAX:
            raise self._error(f"more than {NODES_MAX} values", event)
        if isinstance(event, yaml.AliasEvent):
            raise self._error("aliases are not allowed", event)
        assert isinstance(event, yaml.NodeEvent)
        if event.anchor is not None:
            raise self._error(f"anchors are not allowed: &{event.anchor[:40]}", event)
        if getattr(event, "tag", None) is not None:
            raise self._error("tags are not allowed", event)
        if depth > DEPTH_MAX:
            raise self._error(f"nested deeper than {DEPTH_MAX} levels", event)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(depth)
        assert isinstance(event, yaml.ScalarEvent)
        return self._scalar(event)

    def _mapping(self, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for event in self.events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                raise self._error("a key must be a plain text", event)
            # What a key looks like does not matter: model names such as 4.1 stay texts.
            self._value(event, depth)
            assert isinstance(event, yaml.ScalarEvent)
            key = event.value
            if key == "<<" and event.implicit[0]:
                raise self._error("merge keys are not allowed", event)
            if key in result:
                raise self._error(f"the key {_shown(key)} appears twice in one object", event)
            result[key] = self._value(next(self.events), depth + 1)
        return result

    def _sequence(self, depth: int) -> list[Any]:
        result: list[Any] = []
        for event in self.events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            result.append(self._value(event, depth + 1))
        return result

    def _scalar(self, event: yaml.ScalarEvent) -> str | int | Decimal | bool | None:
        text = event.value
        if not event.implicit[0]:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _NUMBER.fullmatch(text):
            try:
                return _number(text)
            except ConfigFileError as error:
                raise self._error(str(error), event) from None
        if _NOT_A_NUMBER.fullmatch(text):
            raise self._error(f"{text} is not a number that a config may contain", event)
        return text


def _check_content(value: Any) -> None:
    """Bound the depth, and refuse texts that no database can store."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEPTH_MAX + 1:
            raise ConfigFileError(f"nested deeper than {DEPTH_MAX} levels")
        following: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                following.extend(item)
                following.extend(item.values())
            elif isinstance(item, list):
                following.extend(item)
            elif isinstance(item, str) and _UNSTORABLE.search(item):
                raise ConfigFileError(
                    f"a text contains a character that is not allowed: {item[:40]!a}"
                )
        level = following
