"""What people see: aligned columns, readable amounts, bars in proportion."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from ducto_pg.cli.output import amount, bars, cell, fields, print_json, table


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1234567.50"), "1,234,567.5"),
        (Decimal("-1234.000"), "-1,234"),
        (Decimal("1E-12"), "0.000000000001"),
        (Decimal("0E-12"), "0"),
        (1000, "1,000"),
        (None, "-"),
    ],
)
def test_an_amount_is_exact_and_readable(value: Decimal | int | None, text: str) -> None:
    assert amount(value) == text


def test_cells() -> None:
    assert cell(True) == "yes"
    assert cell({}) == "-"
    assert cell({"a": Decimal("0.10")}) == '{"a":0.1}'
    assert cell("two\nlines") == "two lines"
    assert cell(datetime(2026, 5, 1, 12, 30, tzinfo=UTC)) == "2026-05-01 12:30:00Z"
    assert len(cell("x" * 500)) == 60


def test_numbers_are_aligned_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    table(["model", "spent"], [["a", Decimal("1234.5")], ["longer", 2], ["b", None]])
    assert capsys.readouterr().out.splitlines() == [
        "model     spent",
        "a       1,234.5",
        "longer        2",
        "b             -",
    ]


def test_an_empty_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    table(["a"], [], empty="Nothing yet.")
    assert capsys.readouterr().out == "Nothing yet.\n"


def test_fields_stand_in_one_column(capsys: pytest.CaptureFixture[str]) -> None:
    fields([("a", 1), ("longer", None)])
    assert capsys.readouterr().out == "a       1\nlonger  -\n"


def test_bars_are_in_proportion_and_sorted(capsys: pytest.CaptureFixture[str]) -> None:
    bars([("small", Decimal(1)), ("big", Decimal(100)), ("none", Decimal(0))], width=10)
    assert capsys.readouterr().out.splitlines() == [
        "big    100  ██████████",
        "small    1  █",
        "none     0",
    ]


def test_json_has_every_digit(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"cost": Decimal("0.1000000000000000000000001")})
    assert capsys.readouterr().out == '{\n  "cost": 0.1000000000000000000000001\n}\n'
