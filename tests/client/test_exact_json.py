"""JSON keeps every digit of every number, in both directions."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from ducto_pg import exact_json
from ducto_pg.client.results import BatchItem, Breakdown


@pytest.mark.parametrize(
    "text",
    ["0.1", "12345678901234567890.123456789012", "-0.000000000001", "100", "0", "7.5"],
)
def test_a_number_survives_the_round_trip(text: str) -> None:
    assert exact_json.dumps(exact_json.loads(text)) == text


def test_fractions_are_decimal_and_whole_numbers_int() -> None:
    parsed = exact_json.loads('{"a": 0.1, "b": 3, "c": 1e-7}')
    assert parsed == {"a": Decimal("0.1"), "b": 3, "c": Decimal("1E-7")}
    assert [type(v) for v in parsed.values()] == [Decimal, int, Decimal]


def test_exponents_and_trailing_zeros_are_written_out() -> None:
    values = [Decimal("1E-7"), Decimal("1E+3"), Decimal("11.000"), Decimal("-0"), Decimal("0E-12")]
    assert exact_json.dumps(values) == "[0.0000001,1000,11,0,0]"


def test_a_float_is_written_with_the_digits_it_shows() -> None:
    assert exact_json.dumps(0.1) == "0.1"


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}'])
def test_reading_refuses_what_is_not_a_number(text: str) -> None:
    with pytest.raises(ValueError, match="not a number that JSON allows"):
        exact_json.loads(text)


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity"), float("inf")])
def test_writing_refuses_what_is_not_a_number(value: object) -> None:
    with pytest.raises(ValueError, match="cannot be written as a number"):
        exact_json.dumps(value)


def test_everything_else_is_written_as_the_standard_library_does() -> None:
    value = {"a": [1, 'é"\\\n\u0000', None, True, {}], "b": {"c": []}}
    assert exact_json.dumps(value, indent=2) == json.dumps(value, indent=2)
    assert exact_json.loads(exact_json.dumps(value)) == value


def test_a_result_becomes_an_object_without_its_raw_answer() -> None:
    charge = BatchItem.parse({"status": "ok", "cost": Decimal("1.50"), "breakdown": {"total": 2}})
    written = exact_json.loads(exact_json.dumps(charge))
    assert written["cost"] == Decimal("1.5")
    assert written["breakdown"]["total"] == 2
    assert "raw" not in written


def test_times_are_written_in_iso_form() -> None:
    assert exact_json.dumps(datetime(2026, 1, 2, tzinfo=UTC)) == '"2026-01-02T00:00:00+00:00"'


def test_endless_nesting_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(ValueError, match="nested deeper"):
        exact_json.dumps(value)


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(TypeError, match="set cannot be written"):
        exact_json.dumps({"a": {1}})
    with pytest.raises(TypeError, match="key must be a string"):
        exact_json.dumps({1: "a"})


def test_a_breakdown_is_parsed_inside_its_charge() -> None:
    charge = BatchItem.parse({"status": "ok", "breakdown": {"model": Decimal("0.5"), "total": 1}})
    assert charge.breakdown == Breakdown(model=Decimal("0.5"), total=Decimal(1))
