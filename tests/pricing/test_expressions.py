"""The value of expressions: exact digits, errors, and what is evaluated at all."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Context, Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ducto_pg.plpython import machine
from ducto_pg.plpython.bundle import BUNDLES, bundle, module_source
from ducto_pg.plpython.language import ExpressionError, compile_expression
from ducto_pg.plpython.machine import EvaluationFailure, Program
from ducto_pg.plpython.names import STANDARD_METRICS
from ducto_pg.plpython.runtime import number_text
from tests.pricing import reference
from tests.pricing.corpus import case_name, load
from tests.pricing.generated import METRIC_TEXTS, expressions

CASES = load("expressions")


def compiled(expression: str) -> dict[str, Any]:
    return compile_expression(expression, STANDARD_METRICS)


def outcome(expression: str, metrics: Mapping[str, Decimal] | None = None) -> dict[str, str]:
    program = compiled(expression)
    ready = Program(program["code"], program["constants"], program["names"])
    try:
        return {"value": number_text(ready.run(metrics or {}))}
    except EvaluationFailure as failure:
        return {"error": failure.reason}


def referred(expression: str, metrics: Mapping[str, Any]) -> dict[str, str]:
    try:
        return {"value": reference.evaluate(expression, metrics)}
    except reference.Failure as failure:
        return {"error": str(failure)}


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_corpus(case: dict[str, Any]) -> None:
    expected = {name: case[name] for name in ("value", "error") if name in case}
    assert outcome(case["expression"], case.get("metrics")) == expected


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_corpus_agrees_with_an_independent_computation(case: dict[str, Any]) -> None:
    expected = {name: case[name] for name in ("value", "error") if name in case}
    assert referred(case["expression"], case.get("metrics", {})) == expected


def test_corpus_uses_every_operation() -> None:
    used = {code for case in CASES for code in compiled(case["expression"])["code"][::2]}
    assert used == set(range(1, 35))


def test_corpus_meets_every_error() -> None:
    assert {case["error"] for case in CASES if "error" in case} == set(machine.REASONS)


@pytest.mark.parametrize(
    ("expression", "digits"),
    [
        ("0.1 + 0.2", "0.3"),
        ("1 / 3", "0." + "3" * 24),
        ("2 / 3", "0." + "6" * 23 + "7"),
        ("-2 / 3", "-0." + "6" * 23 + "7"),
        ("5e-25 / 1", "0." + "0" * 23 + "1"),
        ("-5e-25 / 1", "-0." + "0" * 23 + "1"),
        ("49e-26 / 1", "0"),
        ("-7 // 2", "-3"),
        ("-7 % 3", "-1"),
        ("7 % -3", "1"),
        ("round(2.5)", "3"),
        ("round(-2.5)", "-3"),
        ("round(1.005, 2)", "1.01"),
        ("round(1250, -2)", "1300"),
        ("ceil(-1.5)", "-1"),
        ("floor(-1.5)", "-2"),
        ("-2 ** 2", "-4"),
        ("2 and 0 or 5", "5"),
        ("1 < 2 < 3", "1"),
        ("1 < 3 < 2", "0"),
        ("tier(9.9, 10, 1, 100, 0.5, 0.1)", "1"),
        ("tier(10, 10, 1, 100, 0.5, 0.1)", "0.5"),
        ("tier(100, 10, 1, 100, 0.5, 0.1)", "0.1"),
        ("tier(10.5, 10, 1, 100, 0.5, 0.1)", "0.5"),
        ("tier(101, 10, 1, 100, 0.5, 0.1)", "0.1"),
        ("tier(101, 10, 1, 100, 0.5)", "0.5"),
        ("graduated(150, 10, 1, 100, 0.5, 0.1)", "60"),
        ("graduated(-1, 10, 1, 0.5)", "0"),
        ("percentile(50, 4, 1, 3, 2)", "2.5"),
        ("percentile(90, 10, 20)", "19"),
        ("clamp(5, 1, 3)", "3"),
        ("clamp(2, 3, 1)", "3"),
        ("1e26", "1" + "0" * 26),
        ("99999999999999999999999999 * 1", "9" * 26),
        ("1e-40 * 1e-40", "0." + "0" * 79 + "1"),
    ],
)
def test_values_worked_out_by_hand(expression: str, digits: str) -> None:
    assert outcome(expression) == {"value": digits}


@pytest.mark.parametrize(
    "expression",
    [
        "0 and 1/0",
        "1 or 1/0",
        "1 if 1 else 1/0",
        "1/0 if 0 else 1",
        "if(1, 2, 1/0)",
        "if(0, 1/0, 2)",
        "1 < 0 < 1/0",
        "tier(5, 10, 1, 1/0, 2)",
        "tier(5, 10, 1, 20, 1/0)",
        "tier(15, 10, 1/0, 20, 2, 3)",
    ],
)
def test_what_is_not_taken_is_not_evaluated(expression: str) -> None:
    assert "value" in outcome(expression)


@pytest.mark.parametrize(
    "expression", ["1 in (1, 1/0)", "max(1, 1/0)", "graduated(1, 10, 1, 20, 1/0, 3)", "1/0 in (1,)"]
)
def test_plain_arguments_are_all_evaluated(expression: str) -> None:
    assert outcome(expression) == {"error": "division_by_zero"}


def test_metric_that_is_missing_counts_as_zero() -> None:
    assert outcome("input_tokens + 1") == {"value": "1"}


def test_extra_metric_names_are_known_when_given() -> None:
    program = compile_expression("image_count * 2", (*STANDARD_METRICS, "image_count"))
    assert program["names"] == ["image_count"]
    with pytest.raises(ExpressionError):
        compiled("image_count * 2")


def test_program_of_a_price() -> None:
    assert compiled("input_tokens * 0.03 + 1") == {
        "code": [2, 1, 1, 1, 5, 0, 1, 2, 3, 0],
        "constants": ["0.03", "1"],
        "names": ["input_tokens"],
    }


def test_constant_keeps_the_digits_of_its_text() -> None:
    program = compiled("0.50 + 1_000 + 5e-3 + .5 + 5. + 1.5E2")
    assert program["constants"] == ["0.50", "1000", "0.005", "0.5", "5", "150"]


def test_jumps_only_go_forward_and_no_further_than_the_end() -> None:
    for case in CASES:
        code = compiled(case["expression"])["code"]
        for number, (operation, target) in enumerate(zip(code[::2], code[1::2], strict=True), 1):
            if operation in machine.JUMPS:
                assert number < target <= len(code) // 2 + 1


@settings(max_examples=400, deadline=None)
@given(expressions(), st.dictionaries(st.sampled_from(STANDARD_METRICS[:3]), METRIC_TEXTS))
def test_generated_expressions_agree_with_the_reference(
    expression: str, texts: dict[str, str]
) -> None:
    metrics = {name: Decimal(text) for name, text in texts.items()}
    try:
        compiled(expression)
    except ExpressionError as error:
        assert "parts" in error.message or "deep" in error.message or "ascend" in error.message
        return
    assert outcome(expression, metrics) == referred(expression, texts)


def test_callers_decimal_context_neither_matters_nor_changes() -> None:
    with localcontext(Context(prec=2, Emax=3, Emin=-3)) as context:
        result = outcome("1/3 + 123456.789 * 2 + round(1.005, 2) + ceil(98765.4) - 5 % 3")
        assert not any(context.flags.values())
    assert result == {"value": "345678.921333333333333333333333"}


def test_runtime_alone_loads_no_parser() -> None:
    script = (
        bundle("runtime")
        + "\nimport sys"
        + "\nprint(sorted({'ast', 'typing', 'hashlib', 'inspect'} & set(sys.modules)))"
        + "\nprint(Program([1, 1, 1, 2, 3, 0], ['0.1', '0.2'], []).run({}))"
    )
    command = [sys.executable, "-I", "-S", "-"]
    run = subprocess.run(command, input=script, capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n0.3\n"


@pytest.mark.parametrize("name", ["runtime", "compiler"])
def test_bundle_runs_nested_in_a_function_body(name: str) -> None:
    body = textwrap.indent(bundle(name), "\t")
    namespace: dict[str, Any] = {}
    exec(f"def build():\n{body}\n\treturn locals()", namespace)
    built = namespace["build"]()
    program = built["Program"]([2, 1, 1, 1, 5, 0], ["0.5"], ["requests"])
    assert program.run({"requests": Decimal(3)}) == Decimal("1.5")
    if name == "compiler":
        assert built["compile_config"]({"models": {"m": "requests"}})["errors"] == []


def test_bundled_modules_share_no_top_level_name() -> None:
    defined = Counter[str]()
    for module in BUNDLES["compiler"]:
        for node in ast.parse(module_source(module)).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                defined[node.name] += 1
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names = [target.id for target in targets if isinstance(target, ast.Name)]
                defined.update(name for name in names if name != "TYPE_CHECKING")
    assert [name for name, times in defined.items() if times > 1] == []


def test_generated_expressions_use_the_whole_language() -> None:
    words = Counter[str]()

    @settings(max_examples=1000, deadline=None, database=None, derandomize=True)
    @given(expressions())
    def collect(expression: str) -> None:
        try:
            words.update(compiled(expression)["code"][::2])
        except ExpressionError:
            words.update(["refused"])

    collect()
    assert set(range(1, 35)) <= set(words)


def test_threads_compile_at_once() -> None:
    expression = "input_tokens * 2 + max(output_tokens, clamp(input_tokens, 1, 5))"
    wanted = compiled(expression)
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(compiled, [expression] * 400)) == [wanted] * 400
