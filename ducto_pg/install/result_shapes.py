"""What the functions of the API return, as `sql/results.yaml` says it: read, and asked about.

A type is a union of `Part`s. `Shapes.problem(type, value)` says where a value is not of a type,
which is how the tests hold the file against real results; `ducto types` writes the same types out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

import yaml

from ducto_pg.install.manifest import sql_root

PART = re.compile(r"(?P<literal>'[^']*')|(?P<name>\w+)")
INCLUDED = "..."
FURTHER = "*"
SCALARS: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "time": (str,),
    "date": (str,),
    "uuid": (str,),
    "number": (int, Decimal, float),
    "boolean": (bool,),
    "object": (dict,),
}


@dataclass(frozen=True)
class Part:
    """One alternative of a type: a scalar, a literal or a shape, possibly an array of it."""

    name: str
    literal: bool = False
    array: bool = False
    nullable: bool = False


Type = tuple[Part, ...]


@dataclass(frozen=True)
class Key:
    """A key of a shape; `*` stands for all further ones."""

    name: str
    type: Type
    optional: bool = False


def parse_type(text: str) -> Type:
    """The alternatives of a type as the file writes it."""
    return tuple(_parse_part(part.strip()) for part in str(text).split("|"))


def _parse_part(text: str) -> Part:
    found = PART.match(text)
    rest = text[found.end() :] if found else text
    if found is None or rest not in ("", "?", "[]", "[]?"):
        raise ValueError(f"{text!r} is not a type")
    literal = found["literal"] is not None
    name = found[0].strip("'")
    return Part(name, literal, "[]" in rest, rest.endswith("?"))


@dataclass(frozen=True)
class Shapes:
    """The file."""

    shapes: Mapping[str, Any]
    results: Mapping[str, Type]
    nullable: Mapping[str, frozenset[str]]

    def is_alias(self, name: str) -> bool:
        """Whether a shape is another name for a type rather than an object."""
        return isinstance(self.shapes[name], str)

    def alias(self, name: str) -> Type:
        """What it stands for."""
        return parse_type(self.shapes[name])

    def keys(self, name: str) -> list[Key]:
        """The keys of a shape, those of the shape it includes first."""
        return list(self._keys(name))

    def _keys(self, name: str) -> Iterator[Key]:
        for key, text in self.shapes[name].items():
            if key == INCLUDED:
                yield from self._keys(text)
            else:
                yield Key(key.removesuffix("?"), parse_type(text), key.endswith("?"))

    def problem(self, kind: Type, value: Any, path: str = "result") -> str | None:
        """Where and how a value is not of a type; None when it is."""
        problems = [self._part_problem(part, value, path) for part in kind]
        if None in problems:
            return None
        # Of several shapes, the one that the value was meant to be says most.
        return max((problem or "" for problem in problems), key=len)

    def _part_problem(self, part: Part, value: Any, path: str) -> str | None:
        if value is None and part.nullable:
            return None
        if not part.array:
            return self._one_problem(part, value, path)
        if not isinstance(value, list):
            return f"{path} is no array"
        each = (
            self._one_problem(part, item, f"{path}[{place}]") for place, item in enumerate(value)
        )
        return next((problem for problem in each if problem), None)

    def _one_problem(self, part: Part, value: Any, path: str) -> str | None:
        if part.literal:
            return None if value == part.name else f"{path} is {value!r}"
        if part.name == "json":
            return None
        if part.name in SCALARS:
            fits = isinstance(value, SCALARS[part.name])
            fits = fits and isinstance(value, bool) == (part.name == "boolean")
            return None if fits else f"{path} is no {part.name}: {value!r}"
        if self.is_alias(part.name):
            return self.problem(self.alias(part.name), value, path)
        return self._shape_problem(part.name, value, path)

    def _shape_problem(self, name: str, value: Any, path: str) -> str | None:
        if not isinstance(value, dict):
            return f"{path} is no {name}: {value!r}"
        keys = {key.name: key for key in self.keys(name)}
        further = keys.pop(FURTHER, None)
        missing = {key.name for key in keys.values() if not key.optional} - set(value)
        unknown = set(value) - set(keys) if further is None else set()
        if missing or unknown:
            return f"{path} is no {name}: missing {sorted(missing)}, unknown {sorted(unknown)}"
        for key in keys.values():
            if key.name in value:
                problem = self.problem(key.type, value[key.name], f"{path}.{key.name}")
                if problem:
                    return problem
        return None

    @cached_property
    def used(self) -> list[str]:
        """The shapes that results are made of, by name."""
        found: set[str] = set()
        ahead = [part.name for kind in self.results.values() for part in kind if not part.literal]
        while ahead:
            name = ahead.pop()
            if name in found or name in SCALARS or name == "json":
                continue
            found.add(name)
            kinds = [self.alias(name)] if self.is_alias(name) else [k.type for k in self.keys(name)]
            ahead += [part.name for kind in kinds for part in kind if not part.literal]
        return sorted(found)


def load_shapes() -> Shapes:
    """Read `sql/results.yaml`."""
    text = (sql_root() / "results.yaml").read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    return Shapes(
        content["shapes"],
        {name: parse_type(kind) for name, kind in content["results"].items()},
        {name: frozenset(columns) for name, columns in content["nullable"].items()},
    )
