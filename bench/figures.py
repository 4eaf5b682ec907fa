"""What the benchmark finds out: figures beside their budgets, printed as they come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

RATIOS = frozenset({
    "of the floor", "of the plain charge", "of the empty case", "of the batch call",
    "of one lot", "times the floor's",
})  # fmt: skip
COUNTS = frozenset({"bytes", "locks"})


@dataclass(frozen=True)
class Budget:
    """A bound: what must be reached, or what must not be passed."""

    bound: float
    at_least: bool = True

    def holds(self, value: float) -> bool:
        """Whether a figure keeps it."""
        return value >= self.bound if self.at_least else value <= self.bound


@dataclass(frozen=True)
class Figure:
    """One result: the median of the rounds, with the lowest and the highest of them.

    ``backend`` is the processor time that one charge takes in the server, in microseconds: of what
    it is compared with, and its own; ``log`` the bytes of the server's log in the same way. None
    where they are not measured.
    """

    part: str
    name: str
    evaluator: str
    clients: int
    unit: str
    value: float
    low: float
    high: float
    budget: Budget | None
    backend: tuple[float, float] | None = None
    log: tuple[float, float] | None = None

    @property
    def mark(self) -> str:
        """ok or missed; empty for a figure without a budget."""
        if self.budget is None:
            return ""
        return "ok" if self.budget.holds(self.value) else "missed"

    def line(self) -> str:
        """The figure as a line of the report."""
        digits = 2 if self.unit in RATIOS else 0 if self.unit in COUNTS else 1
        scope = f"{self.clients} client{'s' if self.clients > 1 else ''}" if self.clients else ""
        value = f"{self.value:.{digits}f}"
        spread = f"{self.low:.{digits}f} to {self.high:.{digits}f}"
        backend = ""
        if self.backend is not None:
            backend = f"{self.backend[0]:5.0f} -> {self.backend[1]:5.0f} us"
        return (
            f"  {self.name:46} {self.evaluator:9} {scope:10} {value:>7}  {spread:15}"
            f" {self.bound():9} {self.mark:7}{backend}"
        ).rstrip()

    def bound(self) -> str:
        """The budget, as it is printed beside the figure."""
        if self.budget is None:
            return ""
        return f"{'>=' if self.budget.at_least else '<='} {self.budget.bound:g}"

    def record(self) -> dict[str, Any]:
        """The figure for a machine."""
        rounded = {key: round(getattr(self, key), 3) for key in ("value", "low", "high")}
        return {**asdict(self), **rounded, "mark": self.mark}


def figure(
    part: str,
    name: str,
    evaluator: str,
    unit: str,
    values: Sequence[float],
    budget: Budget | None,
    *,
    clients: int = 0,
    backend: tuple[float, float] | None = None,
    log: tuple[float, float] | None = None,
) -> Figure:
    """The figure that some rounds give."""
    return Figure(
        part, name, evaluator, clients, unit, median(values), min(values), max(values), budget,
        backend, log,
    )  # fmt: skip


def heading(title: str, unit: str) -> str:
    """What stands above the lines of a part."""
    return f"\n{title}: {unit}"
