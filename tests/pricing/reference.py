"""The expression language a second time, to check the first one against.

Shares no code and no method with the evaluator: its own recursive-descent parser, fractions instead
of decimals, a tree instead of a program. Slow, small, and for valid expressions only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

TOKEN = re.compile(
    r"\s*(?:([0-9][0-9_]*\.?[0-9_]*(?:[eE][-+]?[0-9_]+)?|\.[0-9_]+(?:[eE][-+]?[0-9_]+)?)"
    r"|([A-Za-z][A-Za-z0-9_]*)|(\*\*|//|[<>=!]=|[-+*/%<>()\[\],]))"
)
LIMIT = Fraction(10**26)
Tree = tuple[Any, ...]


class Failure(Exception):
    """The expression has no value; the reason is the message."""


@dataclass(frozen=True)
class Number:
    """A value and the number of fraction digits it is written with."""

    value: Fraction
    scale: int

    @property
    def text(self) -> str:
        """The digits, without trailing zeros."""
        units = self.value * 10**self.scale
        assert units.denominator == 1
        digits = str(abs(units.numerator)).rjust(self.scale + 1, "0")
        whole, fraction = digits[: len(digits) - self.scale], digits[len(digits) - self.scale :]
        fraction = fraction.rstrip("0") if self.scale else ""
        sign = "-" if units < 0 else ""
        return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def evaluate(expression: str, metrics: Mapping[str, Decimal | int | str]) -> str:
    """The digits of the expression's value, or Failure."""
    numbers = {name: literal(str(value)) for name, value in metrics.items()}
    return _run(Parser(expression).parse(), numbers).text


def literal(text: str) -> Number:
    """A number from its text."""
    mantissa, _, exponent = text.lower().replace("_", "").partition("e")
    whole, _, fraction = mantissa.partition(".")
    scale = len(fraction) - int(exponent or 0)
    return Number(Fraction(int(whole + fraction or "0"), 1) / Fraction(10) ** scale, max(scale, 0))


class Parser:
    """Text to tree: ("number", n), ("name", s), (operator, operands...)."""

    def __init__(self, text: str) -> None:
        self.tokens: list[str] = []
        position = 0
        while text[position:].strip():
            match = TOKEN.match(text, position)
            assert match, text[position:]
            self.tokens.append(match[1] or match[2] or match[3])
            position = match.end()
        self.tokens.append("")

    def parse(self) -> Tree:
        tree = self.ternary()
        assert self.tokens == [""], self.tokens
        return tree

    def accept(self, *tokens: str) -> str:
        if self.tokens[0] in tokens:
            return self.tokens.pop(0)
        return ""

    def ternary(self) -> Tree:
        yes = self.either()
        if not self.accept("if"):
            return yes
        condition = self.either()
        assert self.accept("else")
        return "if", condition, yes, self.ternary()

    def either(self) -> Tree:
        left = self.both()
        while self.accept("or"):
            left = "or", left, self.both()
        return left

    def both(self) -> Tree:
        left = self.negation()
        while self.accept("and"):
            left = "and", left, self.negation()
        return left

    def negation(self) -> Tree:
        return ("not", self.negation()) if self.accept("not") else self.comparison()

    def comparison(self) -> Tree:
        left = self.sum()
        links: list[tuple[str, Any]] = []
        while True:
            if self.tokens[:2] == ["not", "in"]:
                del self.tokens[:2]
                links.append(("not in", self.members()))
            elif self.accept("in"):
                links.append(("in", self.members()))
            elif operator := self.accept("<", "<=", "==", "!=", ">=", ">"):
                links.append((operator, self.sum()))
            else:
                return ("compare", left, links) if links else left

    def members(self) -> list[Tree]:
        closing = ")" if self.accept("(", "[") == "(" else "]"
        return self.list(closing)

    def list(self, closing: str) -> list[Tree]:
        values = []
        while not self.accept(closing):
            values.append(self.ternary())
            if not self.accept(","):
                assert self.accept(closing)
                break
        return values

    def sum(self) -> Tree:
        left = self.product()
        while operator := self.accept("+", "-"):
            left = operator, left, self.product()
        return left

    def product(self) -> Tree:
        left = self.sign()
        while operator := self.accept("*", "/", "//", "%"):
            left = operator, left, self.sign()
        return left

    def sign(self) -> Tree:
        if self.accept("-"):
            return "negative", self.sign()
        if self.accept("+"):
            return self.sign()
        base = self.atom()
        return ("**", base, int(self.tokens.pop(0).replace("_", ""))) if self.accept("**") else base

    def atom(self) -> Tree:
        token = self.tokens.pop(0)
        if token == "(":
            inner = self.ternary()
            assert self.accept(")")
            return inner
        if token[0] in ".0123456789":
            return "number", literal(token)
        if self.accept("("):
            return token, *self.list(")")
        return "name", token


def _checked(value: Fraction, scale: int) -> Number:
    if abs(value) > LIMIT:
        raise Failure("overflow")
    if scale > 1000:
        raise Failure("too_many_digits")
    return Number(value, scale)


def _truth(holds: bool) -> Number:
    return Number(Fraction(int(holds)), 0)


def _rounded(value: Fraction, digits: int) -> Fraction:
    scaled = abs(value) * Fraction(10) ** digits
    units = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return Fraction(units if value >= 0 else -units) / Fraction(10) ** digits


def _quotient(left: Number, right: Number, operator: str) -> Number:
    if right.value == 0:
        raise Failure("division_by_zero")
    exact = left.value / right.value
    if operator == "/":
        return _checked(_rounded(exact, 24), 24)
    whole = Fraction(abs(exact.numerator) // exact.denominator) * (1 if exact >= 0 else -1)
    if operator == "//":
        return _checked(whole, 0)
    return _checked(left.value - whole * right.value, max(left.scale, right.scale))


def _arithmetic(operator: str, left: Number, right: Number) -> Number:
    if operator == "+":
        return _checked(left.value + right.value, max(left.scale, right.scale))
    if operator == "-":
        return _checked(left.value - right.value, max(left.scale, right.scale))
    if operator == "*":
        return _checked(left.value * right.value, left.scale + right.scale)
    return _quotient(left, right, operator)


def _compare(first: Number, links: list[tuple[str, Any]], metrics: dict[str, Number]) -> Number:
    left = first
    for operator, operand in links:
        if operator in ("in", "not in"):
            found = left.value in [_run(member, metrics).value for member in operand]
            holds = found == (operator == "in")
        else:
            right = _run(operand, metrics)
            a, b = left.value, right.value
            holds = {
                "<": a < b,
                "<=": a <= b,
                "==": a == b,
                "!=": a != b,
                ">=": a >= b,
                ">": a > b,
            }[operator]
            left = right
        if not holds:
            return _truth(False)
    return _truth(True)


def _run(tree: Tree, metrics: dict[str, Number]) -> Number:
    kind, *parts = tree
    if kind == "number":
        number: Number = parts[0]
        return number
    if kind == "name":
        return metrics.get(parts[0], Number(Fraction(0), 0))
    if kind == "compare":
        return _compare(_run(parts[0], metrics), parts[1], metrics)
    if kind == "**":
        base = _run(parts[0], metrics)
        return _checked(base.value ** parts[1], base.scale * parts[1])
    if kind == "if":
        return _run(parts[1] if _run(parts[0], metrics).value else parts[2], metrics)
    if kind in ("and", "or"):
        left = _run(parts[0], metrics)
        return left if bool(left.value) == (kind == "or") else _run(parts[1], metrics)
    if kind == "tier":
        return _tier(parts, metrics)
    values = [_run(part, metrics) for part in parts]
    if kind == "negative":
        return Number(-values[0].value, values[0].scale)
    if kind == "not":
        return _truth(not values[0].value)
    if kind in FUNCTIONS:
        return FUNCTIONS[kind](values)
    return _arithmetic(kind, values[0], values[1])


def _tier(parts: list[Tree], metrics: dict[str, Number]) -> Number:
    value = _run(parts[0], metrics)
    bands = parts[1:]
    for index in range(0, len(bands) - 1, 2):
        if value.value < _run(bands[index], metrics).value:
            return _run(bands[index + 1], metrics)
    return _run(bands[-1], metrics)


def _round(values: list[Number]) -> Number:
    digits = values[1].value if len(values) > 1 else Fraction(0)
    if digits.denominator != 1 or not -26 <= digits <= 40:
        raise Failure("invalid_digits")
    return _checked(_rounded(values[0].value, int(digits)), max(int(digits), 0))


def _percentile(values: list[Number]) -> Number:
    percent = values[0]
    if not 0 <= percent.value <= 100:
        raise Failure("invalid_percentile")
    ordered = sorted(values[1:], key=lambda number: number.value)
    rank = percent.value * (len(ordered) - 1) / 100
    index = rank.numerator // rank.denominator
    low, share = ordered[index], rank - index
    if not share:
        return low
    high = ordered[index + 1]
    scale = max(low.scale, high.scale) + percent.scale + 2
    return _checked(low.value + (high.value - low.value) * share, scale)


def _graduated(values: list[Number]) -> Number:
    value, bands, last = values[0], values[1:-1], values[-1]
    thresholds = bands[::2]
    for left, right in pairwise(thresholds):
        if left.value >= right.value:
            raise Failure("thresholds_not_ascending")
    total, scale, lower = Fraction(0), 0, Number(Fraction(0), 0)
    for upper, rate in [*zip(thresholds, bands[1::2], strict=True), (None, last)]:
        end = value if upper is None or value.value <= upper.value else upper
        if end.value > lower.value:
            total += (end.value - lower.value) * rate.value
            scale = max(scale, max(end.scale, lower.scale) + rate.scale)
        if upper is not None and upper.value > lower.value:
            lower = upper
    return _checked(total, scale)


FUNCTIONS: dict[str, Callable[[list[Number]], Number]] = {
    "ceil": lambda values: Number(Fraction(-(-values[0].value // 1)), 0),
    "floor": lambda values: Number(Fraction(values[0].value // 1), 0),
    "round": _round,
    "min": lambda values: min(values, key=lambda number: number.value),
    "max": lambda values: max(values, key=lambda number: number.value),
    "clamp": lambda values: max(
        values[1], min(values[0], values[2], key=lambda n: n.value), key=lambda n: n.value
    ),
    "percentile": _percentile,
    "graduated": _graduated,
}
