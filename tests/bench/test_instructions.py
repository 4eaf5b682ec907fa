"""Counting instructions: what callgrind writes is read, and a charge costs more than the floor."""

from __future__ import annotations

import shutil

import pytest

from bench.instructions import calls, measure, totals
from bench.lab import lab
from tests.bench.test_bench import needs_programs

COUNTS = """version: 1
creator: callgrind-3.19.0
pid: 4711
cmd:  postgres
events: Ir Dr I1mr
fn=(12) main
1 5 2 0
totals: 1200 300 12
"""


def test_what_callgrind_writes_is_read() -> None:
    assert totals(COUNTS) == {"Ir": 1200, "Dr": 300, "I1mr": 12}
    assert totals(COUNTS[: COUNTS.index("totals")]) is None


@needs_programs
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="needs valgrind")
def test_calls_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    few = ("the floor", "plain charge")
    monkeypatch.setattr(
        "bench.instructions.calls", lambda held: {each: calls(held)[each] for each in few}
    )
    monkeypatch.setattr("bench.instructions.ACCOUNTS", 50)
    monkeypatch.setattr("bench.lab.ONCE_PER_SECOND", 50)
    with lab(0, 0, (1,), 50, ("portable",)) as opened:
        found = {each.name: each for each in measure(opened, 8)}
    floor, charge = (found[each] for each in few)
    assert 20_000 < floor.instructions < charge.instructions < 2_000_000
    assert 0 < floor.misses < charge.misses
