"""The portable machine: what it computes, and the page about its programs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ducto_pg.exact_json import loads
from ducto_pg.plpython import machine
from tests.support.databases import Connection, Databases, open_connection

GOOD: dict[str, Any] = {
    "code": [2, 1, 1, 1, 5, 0, 1, 2, 3, 0],
    "constants": ["0.03", "1"],
    "names": ["input_tokens"],
}


@pytest.fixture(scope="module")
def db(databases: Databases) -> Iterator[Connection]:
    """One database for all of these tests: they only read."""
    dsn = databases.create("portable")
    with open_connection(dsn) as connection:
        yield connection
    databases.drop(dsn)


def run(db: Connection, code: list[int], *constants: str) -> tuple[str | None, str | None]:
    row = db.execute(
        "select value::text, error from ducto.run_program(%s::integer[], %s::numeric[],"
        " '{input_tokens}', '{\"input_tokens\": 7}')",
        [code, list(constants)],
    ).fetchone()
    assert row is not None
    return row[0], row[1]


@pytest.mark.parametrize(
    ("code", "constants", "value"),
    [
        ([1, 1], ["1.50"], "1.50"),
        ([2, 1], [], "7"),
        ([2, 1, 2, 1, 1, 1, 5, 0, 3, 0], ["2"], "21"),
        ([2, 1, 2, 1, 1, 1, 5, 0, 4, 0], ["2"], "-7"),
        ([2, 1, 1, 1, 5, 0, 1, 1, 5, 0], ["2"], "28"),
        ([1, 1, 1, 2, 3, 0], ["0.1", "0.2"], "0.3"),
        ([1, 1, 1, 2, 4, 0], ["0.1", "0.20"], "-0.10"),
        ([1, 1, 1, 2, 5, 0], ["0.10", "0.2"], "0.020"),
        ([1, 1, 1, 2, 6, 0], ["2", "3"], "0." + "6" * 23 + "7"),
        ([1, 1, 1, 2, 6, 0], ["-2", "3"], "-0." + "6" * 23 + "7"),
        ([1, 1, 1, 2, 6, 0], ["-0.0000000000000000000000005", "1"], "-0." + "0" * 23 + "1"),
        ([1, 1, 1, 2, 6, 0], ["0.00000000000000000000000049", "1"], "0." + "0" * 24),
        ([1, 1, 1, 2, 7, 0], ["-7", "2"], "-3"),
        ([1, 1, 1, 2, 8, 0], ["-7", "2"], "-1"),
        ([1, 1, 9, 3], ["-1.5"], "-3.375"),
        ([1, 1, 9, 0], ["0"], "1"),
        ([1, 1, 10, 0], ["1.5"], "-1.5"),
        ([1, 1, 11, 0], ["0.0"], "1"),
        ([1, 1, 22, 0], ["-1.5"], "-1"),
        ([1, 1, 23, 0], ["-1.5"], "-2"),
        ([1, 1, 1, 2, 24, 0], ["2.345", "2"], "2.35"),
        ([1, 1, 1, 2, 24, 0], ["-1250", "-2"], "-1300"),
        ([1, 1, 1, 2, 25, 2], ["1.0", "1"], "1.0"),
        ([1, 1, 1, 2, 26, 2], ["1", "1.0"], "1"),
        ([1, 1, 1, 2, 1, 3, 27, 0], ["2", "3", "1"], "3"),
        ([1, 1, 1, 2, 33, 0, 4, 0], ["1", "3"], "2"),
        ([1, 1, 1, 2, 1, 3, 34, 0, 4, 0, 4, 0], ["1", "20", "300"], "319"),
        ([1, 1, 31, 0, 5, 0], ["1.1"], "1.21"),
        ([1, 1, 1, 2, 32, 0], ["1", "2"], "1"),
    ],
)
def test_instructions(db: Connection, code: list[int], constants: list[str], value: str) -> None:
    assert run(db, code, *constants) == (value, None)


@pytest.mark.parametrize(
    ("code", "constants", "error"),
    [
        ([1, 1, 1, 2, 6, 0], ["1", "0"], "division_by_zero"),
        ([1, 1, 1, 2, 7, 0], ["1", "0"], "division_by_zero"),
        ([1, 1, 1, 2, 8, 0], ["1", "0.0"], "division_by_zero"),
        ([1, 1, 1, 2, 3, 0], ["1" + "0" * 26, "1"], "overflow"),
        ([1, 1, 1, 2, 5, 0, 1, 3, 5, 0], ["1" + "0" * 26, "2", "0"], "overflow"),
        ([2, 1, 1, 1, 5, 0, 1, 2, 5, 0], ["1" + "0" * 26, "0"], "overflow"),
        ([1, 1, 9, 16, 9, 16], ["0.0000001"], "too_many_digits"),
        ([1, 1, 1, 2, 24, 0], ["1", "0.5"], "invalid_digits"),
        ([1, 1, 1, 2, 24, 0], ["1", "41"], "invalid_digits"),
        ([1, 1, 1, 2, 28, 2], ["101", "1"], "invalid_percentile"),
        ([1, 1, 1, 2, 1, 3, 1, 2, 1, 3, 1, 3, 29, 6], ["1", "5", "2"], "thresholds_not_ascending"),
    ],
)
def test_evaluation_errors_are_returned_by_name(
    db: Connection, code: list[int], constants: list[str], error: str
) -> None:
    assert run(db, code, *constants) == (None, error)


# The page that documents the format

PAGE = Path(__file__).parents[2] / "docs" / "portable-programs.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_every_block_of_the_page_runs(db: Connection) -> None:
    (program,) = map(loads, blocks("json"))
    assert program == GOOD
    (python,) = blocks("python")
    exec(compile(python, str(PAGE), "exec"), {})
    compile_block, run_block = blocks("sql")
    assert db.execute(compile_block.encode()).fetchall() == [tuple(GOOD.values())]
    assert db.execute(run_block.encode()).fetchall() == [(Decimal("4.00"), None)]


def test_page_lists_every_instruction_and_error() -> None:
    page = PAGE.read_text(encoding="utf-8")
    names = [
        name
        for name, number in vars(machine).items()
        if name.isupper() and isinstance(number, int) and number in range(1, 35)
    ]
    assert len(names) == 34
    assert [name for name in names if not re.search(rf"\b{name}\b", page)] == []
    assert [reason for reason in machine.REASONS if f"`{reason}`" not in page] == []
