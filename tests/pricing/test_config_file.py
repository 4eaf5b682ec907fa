"""Reading configs from text that may be hostile: exact numbers, bounded memory and time."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ducto_pg.pricing.config_file import SIZE_MAX, ConfigFileError, parse_config, read_config


def refusal(text: str | bytes, kind: Any = None) -> str:
    # Of this process: what else the machine does is not the parser's.
    start = time.process_time()
    with pytest.raises(ConfigFileError) as caught:
        parse_config(text, kind)
    assert time.process_time() - start < 10
    assert len(str(caught.value)) < 400
    return str(caught.value)


def test_json_and_yaml_of_one_config_give_the_same_value() -> None:
    expected = {
        "version": 2,
        "models": {"gpt-4.1": "input_tokens * 0.03", "4": Decimal("0.10")},
        "plans": [{"id": "pro", "default": True, "overdraft_floor": None, "features": []}],
    }
    as_json = """{"version": 2, "models": {"gpt-4.1": "input_tokens * 0.03", "4": 0.10},
        "plans": [{"id": "pro", "default": true, "overdraft_floor": null, "features": []}]}"""
    as_yaml = """
# Prices
version: 2
models:
  gpt-4.1: input_tokens * 0.03
  4: 0.10
plans:
  - id: pro
    default: true
    overdraft_floor: ~
    features: []
"""
    assert parse_config(as_json) == expected
    assert parse_config(as_yaml) == expected
    assert str(parse_config(as_yaml)["models"]["4"]) == "0.10"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-3", -3),
        ("0.1", Decimal("0.1")),
        (".5", Decimal("0.5")),
        ("1e3", Decimal("1e3")),
        ("12345678901234567890.123456789", Decimal("12345678901234567890.123456789")),
        ("010", "010"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("no", "no"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("", None),
        ("|\n  1 +\n  2\n", "1 +\n2\n"),
        (">\n  1 +\n  2\n", "1 + 2\n"),
    ],
)
def test_yaml_scalars(text: str, value: Any) -> None:
    parsed = parse_config(f"x: {text}")["x"]
    assert parsed == value
    assert type(parsed) is type(value)


def test_json_numbers_are_exact() -> None:
    parsed = parse_config('{"a": 0.1, "b": 5, "c": 1e2}')
    assert [type(parsed[key]) for key in "abc"] == [Decimal, int, Decimal]
    assert parsed["a"] == Decimal("0.1")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": 1, "a": 2}', "the key 'a' appears twice"),
        ('{"models": {"gpt-4": 1, "x": 2, "gpt-4": 3}}', "the key 'gpt-4' appears twice"),
        ('{"a": NaN}', "NaN is not a number"),
        ('{"a": -Infinity}', "-Infinity is not a number"),
        ('{"a": 1e999999}', "1e999999 is out of range"),
        ('{"a": 1e-999999}', "1e-999999 is out of range"),
        ('{"a": ' + "9" * 5000 + "}", "has more than 100 digits"),
        ('{"a": 1', "not valid JSON"),
        ('{"a": 1} x', "not valid JSON"),
        ('{"a": "\\ud800"}', "a character that is not allowed"),
        ('{"a": "\\u0000"}', "a character that is not allowed"),
        ('{"a\\u0000": 1}', "a character that is not allowed"),
        ("[" * 100_000, "nested deeper than 32"),
        ('{"a":' * 50 + "1" + "}" * 50, "nested deeper than 32"),
    ],
)
def test_hostile_json_is_refused(text: str, says: str) -> None:
    assert says in refusal(text, "json")


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (LAUGHS, "anchors are not allowed: &a (line 1"),
        ("a: *b", "aliases are not allowed"),
        ("a: &x 1", "anchors are not allowed"),
        ("a: &x {b: *x}", "anchors are not allowed"),
        ("<<: {a: 1}", "merge keys are not allowed"),
        ("a: !!python/object/apply:os.system ['id']", "tags are not allowed"),
        ("a: !!str 1", "tags are not allowed"),
        ("a: !x 1", "tags are not allowed"),
        ("!!map {a: 1}", "tags are not allowed"),
        ("a: ! 1", "tags are not allowed"),
        ("a: 1\na: 2", "the key 'a' appears twice in one object (line 2"),
        ("models:\n  x: 1\n  'x': 2", "the key 'x' appears twice in one object (line 3"),
        ("{a: 1, a: 2}", "the key 'a' appears twice"),
        ("a: 1\n--- \nb: 2", "more than one document"),
        ("? [1, 2]\n: 3", "a key must be a plain text"),
        ("? {a: 1}\n: 3", "a key must be a plain text"),
        ("a: .nan", ".nan is not a number"),
        ("a: -.INF", "-.INF is not a number"),
        ("a: 1e999999", "1e999999 is out of range (line 1"),
        ("a: " + "9" * 5000, "has more than 100 digits"),
        ("a: [", "not valid YAML"),
        ("a: 'x", "not valid YAML"),
        ("\tx: 1", "not valid YAML"),
        ("a: b: c", "not valid YAML"),
        ("%YAML 9.9\n---\na: 1", "not valid YAML"),
        ("a: \x00", "not valid YAML"),
        ("a: " + "[" * 100_000, "nested deeper than 32"),
        ("a: " + "{x: " * 40, "nested deeper than 32"),
        ("".join(f"{' ' * depth}a:\n" for depth in range(60)), "nested deeper than 32"),
        ("- " * 5000 + "1", "nested deeper than 32"),
        ("a: [" + "[]," * 600_000 + "]", "more than 500000 values"),
    ],
)
def test_hostile_yaml_is_refused(text: str, says: str) -> None:
    assert says in refusal(text, "yaml")


@pytest.mark.parametrize("kind", ["json", "yaml", None])
def test_size_is_bounded(kind: Any) -> None:
    assert refusal(" " * (SIZE_MAX + 1), kind) == "larger than 8 MB"
    assert refusal(b" " * (SIZE_MAX + 1), kind) == "larger than 8 MB"


def test_bytes_that_are_not_utf8_are_refused() -> None:
    assert refusal(b"a: \xff") == "not UTF-8 text (byte 4)"


def test_byte_order_mark_is_ignored() -> None:
    assert parse_config(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_file_name_decides_the_format(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    path.write_text("a: 1")
    with pytest.raises(ConfigFileError, match=r"prices\.json: not valid JSON"):
        read_config(path)
    for name, text in (("a.yaml", "a: 1"), ("a.YML", '{"a": 1}'), ("a", "a: 1")):
        (tmp_path / name).write_text(text)
        assert read_config(tmp_path / name) == {"a": 1}


def test_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigFileError, match="nothing: No such file or directory"):
        read_config(tmp_path / "nothing")
    with pytest.raises(ConfigFileError, match="Is a directory"):
        read_config(tmp_path)


def test_endless_file_is_read_no_further_than_the_limit() -> None:
    with pytest.raises(ConfigFileError, match="larger than 8 MB"):
        read_config("/dev/zero")
