"""Names and limits that the compiler, the validator and the run-time share.

Everything here is a bound or a closed list: what an expression may mention, how large a number
may become, and which known name a misspelt one was probably meant to be.
"""

from __future__ import annotations

from decimal import Decimal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

STANDARD_METRICS = (
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "reasoning_tokens",
    "cached_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_creation_tokens",
    "cache_hits",
    "cache_misses",
    "tool_calls",
    "search_calls",
    "search_queries",
    "search_results",
    "web_search_calls",
    "code_exec_calls",
    "requests",
)
"""Metric names that every expression may use; a config adds its own under `metrics`."""

TEXT_METRICS = ("model", "operation", "job_name")
"""Members of a usage that are names, not quantities."""

SECTIONS = ("models", "tools", "search", "cache", "fixed")
"""Sections of a config that hold expressions."""

DEFAULT_KEY = "_default"

MAGNITUDE_LIMIT = Decimal(10) ** 26
"""No literal, metric or intermediate result may be larger than this, either side of zero."""

FRACTION_DIGITS_LIMIT = 1000
"""No intermediate result may have more digits behind the point than this."""

METRIC_FRACTION_DIGITS = 40
METRIC_COUNT_LIMIT = 64
METRICS_BYTES_LIMIT = 65536
NAME_LENGTH_LIMIT = 200
NEAREST_LENGTH_LIMIT = 64


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `name` is most likely a slip of, or None when none is close.

    Close means an edit distance (with swapped neighbours as one edit) of at most a third of the
    name's length, case aside. Long names are not compared: the cost stays bounded.
    """
    if len(name) > NEAREST_LENGTH_LIMIT:
        return None
    lowered = name.lower()
    best: str | None = None
    best_distance = max(1, (len(name) + 1) // 3) + 1
    for candidate in candidates:
        if abs(len(candidate) - len(name)) >= best_distance:
            continue
        distance = _edit_distance(lowered, candidate.lower())
        if distance < best_distance:
            best, best_distance = candidate, distance
    return best


def _edit_distance(left: str, right: str) -> int:
    """Insertions, deletions, substitutions and swaps of neighbours that turn left into right."""
    before: list[int] = []
    previous = list(range(len(right) + 1))
    for row, a in enumerate(left, 1):
        current = [row]
        for column, b in enumerate(right, 1):
            cost = min(
                previous[column] + 1,
                current[column - 1] + 1,
                previous[column - 1] + (a != b),
            )
            swapped = row > 1 and column > 1 and a == right[column - 2] and left[row - 2] == b
            if swapped:
                cost = min(cost, before[column - 2] + 1)
            current.append(cost)
        before, previous = previous, current
    return previous[-1]
