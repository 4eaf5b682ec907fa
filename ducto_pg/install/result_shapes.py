"""What the functions of the API return, as `sql/results.yaml` says it.

A type is one or more `Part`s, of which a value is one. `ducto types` writes the types out, and the
tests hold real results against them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import yaml

from ducto_pg.install.manifest import sql_root

PART = re.compile(r"(?P<literal>'[^']*')|(?P<name>\w+)")
INCLUDED = "..."
FURTHER = "*"
SCALARS = frozenset({"text", "time", "date", "uuid", "number", "boolean", "object", "json"})


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
    nullable_arguments: Mapping[str, frozenset[str]]

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

    @cached_property
    def used(self) -> list[str]:
        """The shapes that results are made of, by name."""
        found: set[str] = set()
        ahead = [part.name for kind in self.results.values() for part in kind if not part.literal]
        while ahead:
            name = ahead.pop()
            if name in found or name in SCALARS:
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
        *(
            {name: frozenset(names) for name, names in content[key].items()}
            for key in ("nullable", "nullable_arguments")
        ),
    )
