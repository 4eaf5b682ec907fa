"""Shows what is wrong with a pricing config: the path, the sentence, a caret under the place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import click

__all__ = ["print_errors", "print_warnings"]

WINDOW = 76
LISTED_WARNINGS_MAX = 20


def print_errors(errors: Iterable[Mapping[str, Any]]) -> None:
    """Every error on stderr, in the order of the config."""
    for error in errors:
        path = str(error.get("path") or "the config")
        click.echo(f"{click.style(path, bold=True)}: {error['message']}", err=True)
        expression, position = error.get("expression"), error.get("position")
        if isinstance(expression, str) and position is not None:
            length = error.get("length")
            for line in _pointed(expression, int(position), int(length or 1)):
                click.echo(f"    {line}", err=True)


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
        click.echo(f"Warning: {path}: {warning.get('message', warning.get('code'))}", err=True)
    if len(found) > LISTED_WARNINGS_MAX:
        more = len(found) - LISTED_WARNINGS_MAX
        click.echo(f"Warning: and {more} more like these; --json lists all", err=True)
