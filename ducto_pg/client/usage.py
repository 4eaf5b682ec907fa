"""What an AI call used, typed: `UsageMetrics(model="gpt-4o", input_tokens=500)`.

Wherever a usage is taken, this or a dict with the same names will do. A metric that is zero or
empty is left out, so that both say the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any, TypeAlias

from ducto_pg.errors import InvalidArgumentError

__all__ = ["ToolCall", "UsageMetrics"]

Quantity: TypeAlias = int | Decimal


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool, priced by the tool's name; `count` such calls."""

    name: str
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageMetrics:
    """The usage of one AI call: names, and how much of each metric (whole numbers or Decimals).

    `tool_calls` lists the tools that were called, `extra` holds the metrics that the pricing adds
    to the standard ones. `model` and `operation` are names; everything else counts.
    """

    model: str | None = None
    operation: str | None = None
    input_tokens: Quantity = 0
    output_tokens: Quantity = 0
    total_tokens: Quantity = 0
    reasoning_tokens: Quantity = 0
    cached_tokens: Quantity = 0
    cache_read_tokens: Quantity = 0
    cache_write_tokens: Quantity = 0
    cache_creation_tokens: Quantity = 0
    cache_hits: Quantity = 0
    cache_misses: Quantity = 0
    tool_calls: Sequence[ToolCall | str] | Mapping[str, int] | int = ()
    search_calls: Quantity = 0
    search_queries: Quantity = 0
    search_results: Quantity = 0
    web_search_calls: Quantity = 0
    code_exec_calls: Quantity = 0
    requests: Quantity = 0
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The usage as the database takes it; InvalidArgumentError for a name given twice."""
        metrics = {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if item.name not in ("extra", "tool_calls") and getattr(self, item.name)
        }
        if self.tool_calls:
            metrics["tool_calls"] = _counted(self.tool_calls)
        if not isinstance(self.extra, Mapping):
            raise _refused("extra", "must be a dict of metrics")
        for name, value in self.extra.items():
            if name in _NAMES:
                raise _refused("extra", f"names {name}, which is a metric of its own: {name}=…")
            metrics[name] = value
        return metrics


_NAMES = frozenset(item.name for item in fields(UsageMetrics))


def _refused(name: str, sentence: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"metrics.{name} {sentence}.", detail={"argument": f"metrics.{name}"}
    )


def _counted(calls: Sequence[ToolCall | str] | Mapping[str, int] | int) -> dict[str, int] | int:
    """How often each tool was called."""
    if isinstance(calls, int):
        return calls
    if isinstance(calls, Mapping):
        return dict(calls)
    if isinstance(calls, str) or not isinstance(calls, Sequence):
        raise _refused("tool_calls", "must be a list of ToolCall, or a number of calls")
    counts: dict[str, int] = {}
    for call in calls:
        one: object = ToolCall(call) if isinstance(call, str) else call
        if not isinstance(one, ToolCall) or type(one.name) is not str:
            raise _refused("tool_calls", "must name each tool: ToolCall(name=…)")
        if type(one.count) is not int:
            raise _refused("tool_calls", "must count calls in whole numbers")
        counts[one.name] = counts.get(one.name, 0) + one.count
    return counts
