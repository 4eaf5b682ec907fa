"""Says where a value is not of a type of `sql/results.yaml`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ducto_pg.install.result_shapes import FURTHER, Part, Shapes, Type

# How the values of a scalar are read from JSON.
VALUES: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "time": (str,),
    "date": (str,),
    "uuid": (str,),
    "number": (int, Decimal, float),
    "boolean": (bool,),
    "object": (dict,),
}


def problem(shapes: Shapes, kind: Type, value: Any, path: str = "result") -> str | None:
    """Where and how a value is not of a type; None when it is."""
    problems = [_part_problem(shapes, part, value, path) for part in kind]
    if None in problems:
        return None
    # Of several shapes, the one that the value was meant to be says most.
    return max((found or "" for found in problems), key=len)


def _part_problem(shapes: Shapes, part: Part, value: Any, path: str) -> str | None:
    if value is None and part.nullable:
        return None
    if not part.array:
        return _one_problem(shapes, part, value, path)
    if not isinstance(value, list):
        return f"{path} is no array"
    each = (
        _one_problem(shapes, part, item, f"{path}[{place}]") for place, item in enumerate(value)
    )
    return next((found for found in each if found), None)


def _one_problem(shapes: Shapes, part: Part, value: Any, path: str) -> str | None:
    if part.literal:
        return None if value == part.name else f"{path} is {value!r}"
    if part.name == "json":
        return None
    if part.name in VALUES:
        fits = isinstance(value, VALUES[part.name])
        fits = fits and isinstance(value, bool) == (part.name == "boolean")
        return None if fits else f"{path} is no {part.name}: {value!r}"
    if shapes.is_alias(part.name):
        return problem(shapes, shapes.alias(part.name), value, path)
    return _shape_problem(shapes, part.name, value, path)


def _shape_problem(shapes: Shapes, name: str, value: Any, path: str) -> str | None:
    if not isinstance(value, dict):
        return f"{path} is no {name}: {value!r}"
    keys = {key.name: key for key in shapes.keys(name)}
    further = keys.pop(FURTHER, None)
    missing = {key.name for key in keys.values() if not key.optional} - set(value)
    unknown = set(value) - set(keys) if further is None else set()
    if missing or unknown:
        return f"{path} is no {name}: missing {sorted(missing)}, unknown {sorted(unknown)}"
    each = (
        problem(shapes, key.type, value[key.name], f"{path}.{key.name}")
        for key in keys.values()
        if key.name in value
    )
    return next((found for found in each if found), None)
