"""The portable machine: what its verifier refuses, and what it computes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ducto_pg.exact_json import dumps, loads
from ducto_pg.plpython import machine
from tests.support.databases import Connection, Databases, open_connection

TEXT = "input_tokens * 0.03 + 1"
GOOD: dict[str, Any] = {
    "code": [2, 1, 1, 1, 5, 0, 1, 2, 3, 0],
    "constants": ["0.03", "1"],
    "names": ["input_tokens"],
    "sha256": hashlib.sha256(TEXT.encode()).hexdigest(),
}
SHAPE = "a program is an object with the lists code, constants and names"
LENGTH = "code must be 1 to 2000 pairs of an opcode and its argument"
MANY = "a program has at most 2000 constants and 2000 names"


@pytest.fixture(scope="module")
def db(databases: Databases) -> Iterator[Connection]:
    """One database for all of these tests: they only read."""
    dsn = databases.create("portable")
    with open_connection(dsn) as connection:
        yield connection
    databases.drop(dsn)


def verdict(db: Connection, program: Any, text: str = TEXT) -> str | None:
    row = db.execute(
        "select ducto.verify_program(%s, %s::jsonb, '{input_tokens,output_tokens}')",
        [text, dumps(program)],
    ).fetchone()
    assert row is not None
    problem: str | None = row[0]
    return problem


def code_verdict(db: Connection, *code: int) -> str | None:
    return verdict(db, {**GOOD, "code": list(code)})


def test_program_of_the_compiler_is_accepted(db: Connection) -> None:
    assert verdict(db, GOOD) is None


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ([1, 1, 35, 0], "instruction 2 has the unknown opcode 35"),
        ([0, 0], "instruction 1 has the unknown opcode 0"),
        ([1, 3], "instruction 1 names constant 3 of 2"),
        ([1, 0], "instruction 1 names constant 0 of 2"),
        ([2, 2], "instruction 1 names metric 2 of 1"),
        ([2, 0], "instruction 1 names metric 0 of 1"),
        ([3, 0], "instruction 1 finds the stack empty"),
        ([1, 1, 3, 0], "instruction 2 finds the stack empty"),
        ([1, 1, 25, 2], "instruction 2 finds the stack empty"),
        ([1, 1, 30, 1], "instruction 2 finds the stack empty"),
        ([1, 1, 1, 1, 34, 0], "instruction 3 finds the stack empty"),
        ([32, 0, 1, 1], "instruction 1 finds the stack empty"),
        ([1, 1, 18, 2], "instruction 2 does not jump forward"),
        ([1, 1, 18, 1], "instruction 2 does not jump forward"),
        ([1, 1, 19, 2, 1, 1], "instruction 2 does not jump forward"),
        ([1, 1, 18, 4], "instruction 2 jumps out of the program"),
        ([1, 1, 20, 9, 1, 1], "instruction 2 jumps out of the program"),
        ([1, 1, 18, 4, 1, 1], "instruction 3 cannot be reached"),
        ([1, 1, 19, 4, 1, 1, 1, 1], "instruction 4 is reached with two depths of the stack"),
        (
            [1, 1, 1, 1, 19, 5, 18, 6, 1, 1, 3, 0],
            "instruction 6 is reached with two depths of the stack",
        ),
        (
            [1, 1, 1, 1, 1, 1, 19, 7, 19, 7, 1, 1, 3, 0],
            "instruction 7 is reached with two depths of the stack",
        ),
        ([1, 1, 1, 1], "the program does not end with exactly one value"),
        ([1, 1, 32, 0], "the program does not end with exactly one value"),
        ([1, 1, 20, 3], "the program does not end with exactly one value"),
        ([1, 1, 9, 17], "instruction 2 has the bad argument 17"),
        ([1, 1, 25, 0], "instruction 2 has the bad argument 0"),
        ([1, 1, 28, 1], "instruction 2 has the bad argument 1"),
        ([1, 1, 1, 1, 1, 1, 29, 3], "instruction 4 has the bad argument 3"),
        ([1, 1, 1, 1, 3, 1], "instruction 3 has the bad argument 1"),
        ([1, 1] * 258 + [3, 0] * 257, "instruction 258 finds more than 256 values on the stack"),
        ([], LENGTH),
        ([1, 1, 10], LENGTH),
        ([1, 1] + [10, 0] * 2000, LENGTH),
        ([1, -1], "bad number in code: -1"),
        ([1, 10**40], f"bad number in code: {10**40}"),
        ([1, Decimal("1.5")], "bad number in code: 1.5"),
        (["1", 1], "bad number in code: 1"),
        ([None, 1], "bad number in code: null"),
    ],
)
def test_code_that_is_refused(db: Connection, code: list[Any], problem: str) -> None:
    assert verdict(db, {**GOOD, "code": code}) == problem


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"names": ["model"]}, "unknown metric 'model'"),
        ({"names": ["image_count"]}, "unknown metric 'image_count'"),
        ({"names": [5]}, "unknown metric '5'"),
        (
            {"names": "input_tokens"},
            SHAPE,
        ),
        ({"names": None}, SHAPE),
        ({"names": ["input_tokens"] * 2001}, MANY),
        ({"constants": ["0.03", "x"]}, "bad constant 'x'"),
        ({"constants": ["0.03", "NaN"]}, "bad constant 'NaN'"),
        ({"constants": ["0.03", "Infinity"]}, "bad constant 'Infinity'"),
        ({"constants": ["0.03", "1e999999"]}, "bad constant '1e999999'"),
        ({"constants": ["0.03", 1]}, "bad constant '1'"),
        ({"constants": ["0.03", f"1{'0' * 25}1"]}, f"bad constant '1{'0' * 25}1'"),
        ({"constants": ["0.03", "0." + "0" * 40 + "1"]}, f"bad constant '0.{'0' * 40}1'"),
        ({"constants": ["0.03"] * 2001}, MANY),
        ({"code": {"1": 1}}, SHAPE),
        ({"sha256": "00"}, "the program belongs to another expression"),
        ({"sha256": None}, "the program belongs to another expression"),
        ({"sha256": hashlib.sha256(b"1").hexdigest()}, "the program belongs to another expression"),
    ],
)
def test_program_that_is_refused(db: Connection, change: dict[str, Any], problem: str) -> None:
    assert verdict(db, {**GOOD, **change}) == problem


@pytest.mark.parametrize("program", [None, 5, "x", [], {}])
def test_what_is_no_program_is_refused(db: Connection, program: Any) -> None:
    assert verdict(db, program) == SHAPE


def test_program_of_another_text_is_refused(db: Connection) -> None:
    assert verdict(db, GOOD, TEXT + " ") == "the program belongs to another expression"


def test_both_ways_of_a_branch_may_end_the_program(db: Connection) -> None:
    # input_tokens ? 0.03 : 1
    assert code_verdict(db, 2, 1, 19, 5, 1, 1, 18, 6, 1, 2) is None


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
    run_block, publish_block = blocks("sql")
    assert db.execute(run_block.encode()).fetchall() == [(Decimal("4.00"), None)]
    with db.transaction(force_rollback=True):
        row = db.execute(publish_block.encode()).fetchone()
        assert row is not None
        assert row[0]["config"] == {"models": {"gpt-4": TEXT}}


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
