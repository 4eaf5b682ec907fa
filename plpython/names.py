"""Names and limits that the compiler, the validator and the run-time share.

Everything here is a bound or a closed list: what an expression may mention, how large a number
may become, and which known name a misspelt one was probably meant to be.
"""

# ruff: noqa: B905 - the replacement needs Python 3.10, and a server may have 3.9

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
SHOWN_LENGTH_LIMIT = 40

NEAREST_LENGTH_LIMIT = 64
NEAREST_DISTANCE_LIMIT = 5
NEAREST_COMPARED_LIMIT = 8

# fmt: off
KEYWORDS = frozenset({
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield",
})
# fmt: on
"""Words that Python reserves, whichever version runs this."""

_LOWER = dict(zip(range(ord("A"), ord("Z") + 1), "abcdefghijklmnopqrstuvwxyz"))


def shorten(text: str, length: int = SHOWN_LENGTH_LIMIT) -> str:
    """The text as it is shown: as it is, cut where it is longer than that."""
    return text if len(text) <= length else f"{text[: length - 3]}..."


def did_you_mean(suggestion: str | None) -> str:
    """What a message goes on with where a known name is near."""
    return "" if suggestion is None else f"; did you mean '{suggestion}'?"


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `name` is most likely a slip of, or None when none is close.

    Close means an edit distance (with swapped neighbours as one edit) of at most a third of the
    name's length and never more than 5, case of ASCII letters aside. The cost stays bounded: long
    names are not compared, and of the candidates only the few that share most letters are.
    """
    if len(name) > NEAREST_LENGTH_LIMIT:
        return None
    limit = min(max(1, (len(name) + 1) // 3), NEAREST_DISTANCE_LIMIT) + 1
    lowered = name.translate(_LOWER)
    letters = dict.fromkeys(map(ord, lowered))
    promising: list[tuple[int, int, str, str]] = []
    for place, candidate in enumerate(candidates):
        if abs(len(candidate) - len(name)) < limit:
            other = candidate.translate(_LOWER)
            # Each letter that only one of them has needs an edit of its own.
            apart = len(other.translate(letters))
            if apart < limit:
                apart = max(apart, len(lowered.translate(dict.fromkeys(map(ord, other)))))
            if apart < limit:
                promising.append((apart, place, candidate, other))
    best: str | None = None
    for _, _, candidate, other in sorted(promising)[:NEAREST_COMPARED_LIMIT]:
        distance = _edit_distance(lowered, other, limit)
        if distance < limit:
            best, limit = candidate, distance
    return best


def _edit_distance(left: str, right: str, limit: int) -> int:
    """Insertions, deletions, substitutions and swaps of neighbours that turn left into right.

    Exact below the limit; what is that far from the diagonal is not looked at.
    """
    before: list[int] = []
    previous = list(range(len(right) + 1))
    for row, a in enumerate(left, 1):
        current = [row] + [limit] * len(right)
        for column in range(max(1, row - limit + 1), min(len(right), row + limit - 1) + 1):
            b = right[column - 1]
            cost = min(
                previous[column] + 1,
                current[column - 1] + 1,
                previous[column - 1] + (a != b),
            )
            if row > 1 and column > 1 and a == right[column - 2] and left[row - 2] == b:
                cost = min(cost, before[column - 2] + 1)
            current[column] = cost
        before, previous = previous, current
    return previous[-1]
