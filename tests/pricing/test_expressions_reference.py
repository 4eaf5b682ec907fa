"""The language reference holds: its examples, its configs and its lists."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from ducto_pg.plpython import language, machine
from ducto_pg.plpython.config import compile_config
from ducto_pg.plpython.language import compile_expression
from ducto_pg.plpython.machine import Program
from ducto_pg.plpython.names import STANDARD_METRICS
from ducto_pg.plpython.runtime import number_text
from ducto_pg.pricing.config_file import parse_config

PAGE = (Path(__file__).parents[2] / "docs" / "expressions.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^\| `([^`]+)` \| (-?[0-9.]+) \|$", PAGE, re.MULTILINE)


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_page_has_examples() -> None:
    assert len(EXAMPLES) > 35


@pytest.mark.parametrize(("expression", "digits"), EXAMPLES)
def test_example(expression: str, digits: str) -> None:
    program = compile_expression(expression, STANDARD_METRICS)
    ready = Program(program["code"], program["constants"], program["names"])
    assert number_text(ready.run({})) == digits


@pytest.mark.parametrize("block", blocks("yaml"))
def test_config(block: str) -> None:
    assert compile_config(parse_config(block))["errors"] == []


@pytest.mark.parametrize("block", blocks("python"))
def test_python_prints_what_its_comments_say(block: str) -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(block, {})
    assert printed.getvalue().splitlines() == re.findall(r"print\(.*\)  # (.*)$", block, re.M)


def test_page_names_every_metric_function_and_reason() -> None:
    for name in (*STANDARD_METRICS, *machine.REASONS):
        assert f"`{name}`" in PAGE
    for name in language.FUNCTIONS:
        assert f"`{name}(" in PAGE
