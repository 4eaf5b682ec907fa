"""How far something has come: one line on standard error, only where someone can watch it."""

from __future__ import annotations

import sys
import time
from typing import Self

from ducto_pg.cli.output import echo, styled

__all__ = ["Progress", "duration"]

SECONDS_BETWEEN = 0.1


class Progress:
    """`update` with the part that is done (0 to 1, or None) and what to say of it."""

    def __init__(self, label: str, *, shown: bool = True) -> None:
        self._label = label
        self._shown = shown and styled(err=True)
        self.started = time.monotonic()
        self._last = 0.0
        self._width = 0

    def update(self, done: float | None, text: str) -> None:
        """Draw the line anew, at most ten times a second."""
        now = time.monotonic()
        if not self._shown or now - self._last < SECONDS_BETWEEN:
            return
        self._last = now
        seconds = now - self.started
        parts = [self._label, text]
        if done:
            parts.insert(1, f"{done:.0%}")
            if done < 1:
                parts.append(f"{duration(seconds * (1 - done) / done)} left")
        line = ", ".join(parts)
        echo(f"{line.ljust(self._width)}", err=True, nl=False)
        sys.stderr.write("\r")
        sys.stderr.flush()
        self._width = len(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._width:
            sys.stderr.write(" " * self._width + "\r")
            sys.stderr.flush()


def duration(seconds: float) -> str:
    """`8 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
