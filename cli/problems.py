"""Shows what is wrong with a pricing config: the path, the sentence, a caret under the place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ducto_pg.cli.output import counted, echo

__all__ = ["error_lines", "print_warnings"]

WINDOW = 76
LISTED_WARNINGS_MAX = 20


def error_lines(errors: Iterable[Mapping[str, Any]]) -> list[str]:
    """Every error as lines for people, in the order of the config."""
    lines: list[str] = []
    for error in errors:
        lines.append(f"{error.get('path') or 'the config'}: {error['message']}")
        expression, position = error.get("expression"), error.get("position")
        if isinstance(expression, str) and position is not None:
            pointed = _pointed(expression, int(position), int(error.get("length") or 1))
            lines += [f"    {line}" for line in pointed]
    return lines


def _pointed(expression: str, position: int, length: int) -> tuple[str, str]:
    """The expression on one line, cut to what is readable, and carets below the place."""
    text = "".join(c if c.isprintable() else " " for c in expression)
    start = min(max(position - 1, 0), len(text))
    left = max(0, start - WINDOW // 2) if len(text) > WINDOW else 0
    shown = text[left : left + WINDOW]
    before, after = "…" if left else "", "…" if left + WINDOW < len(text) else ""
    width = max(1, min(length, len(shown) - (start - left)))
    return before + shown + after, " " * (len(before) + start - left) + "^" * width


def print_warnings(warnings: Iterable[Mapping[str, Any]]) -> None:
    """The warnings on stderr; of very many, the first ones and their number."""
    found = list(warnings)
    for warning in found[:LISTED_WARNINGS_MAX]:
        path = str(warning.get("path") or "the config")
        echo(f"Warning: {path}: {warning.get('message', warning.get('code'))}", err=True)
    if len(found) > LISTED_WARNINGS_MAX:
        more = len(found) - LISTED_WARNINGS_MAX
        echo(f"Warning: and {counted(more, 'more warning')}; --json lists all", err=True)
