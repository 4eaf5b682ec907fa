"""The machine that runs a compiled pricing expression, exactly.

Guarantees: + - and * never round; / is rounded once, half away from zero, at 24 decimal places;
no result beyond 10^26 and none with more than 1,000 digits behind the point leaves an operation;
nothing here reads or changes the decimal context of the calling program. A program has no loops
(every jump goes forward), so the time it takes is bounded by its length.

It runs twice at most. The first run uses a context that is just wide enough for every allowed
result and traps everything else, so the common case pays for no checks. If anything traps, the
second run repeats the program in a context wide enough for all exact results and checks each
against the limits, which tells the few results that the first context merely found unusual
from those that are out of bounds.
"""

# ruff: noqa: B905, RUF007 - the replacements need Python 3.10, and a server may have 3.9

from __future__ import annotations

import operator
from decimal import (
    ROUND_05UP,
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_UP,
    Clamped,
    Context,
    Decimal,
    DivisionByZero,
    FloatOperation,
    InvalidOperation,
    Overflow,
    Rounded,
)

from ducto_pg.plpython.names import FRACTION_DIGITS_LIMIT, MAGNITUDE_LIMIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

CONST, LOAD, ADD, SUB, MUL, DIV, TRUNCDIV, MOD, POW, NEG, NOT = range(1, 12)
LT, LE, EQ, NE, GE, GT = range(12, 18)
JUMP, JUMP_IF_FALSE, JUMP_IF_FALSE_KEEP, JUMP_IF_TRUE_KEEP = range(18, 22)
CEIL, FLOOR, ROUND, MIN, MAX, CLAMP, PERCENTILE, GRADUATED, IN = range(22, 31)
DUP, POP, SWAP, ROT3 = range(31, 35)

JUMPS = frozenset((JUMP, JUMP_IF_FALSE, JUMP_IF_FALSE_KEEP, JUMP_IF_TRUE_KEEP))

SCALE = 35
"""Never stored: LOAD, CONST, MUL joined into one step when a program is loaded."""

ZERO = Decimal(0)
ONE = Decimal(1)

REASONS = {
    "division_by_zero": "division by zero",
    "overflow": "a result is beyond 10^26",
    "too_many_digits": "a result has more than 1000 digits behind the point",
    "thresholds_not_ascending": "the thresholds of graduated() do not ascend",
    "invalid_percentile": "the first argument of percentile() is not between 0 and 100",
    "invalid_digits": "the second argument of round() is not a whole number from -26 to 40",
}

_TRAPS: list[Any] = [Clamped, Rounded, Overflow, InvalidOperation, DivisionByZero, FloatOperation]
# Results of up to 26 digits before the point and 1,000 behind it pass through this context
# unrounded as long as they have 1,001 digits in all; anything else traps.
_TIGHT = Context(
    prec=FRACTION_DIGITS_LIMIT + 1,
    rounding=ROUND_HALF_UP,
    Emin=0,
    Emax=25,
    capitals=1,
    clamp=0,
    flags=[],
    traps=_TRAPS,
)
# Wide enough for the 16th power of any allowed operand.
_WIDE = Context(
    prec=40_000,
    rounding=ROUND_HALF_UP,
    Emin=-100_000,
    Emax=100_000,
    capitals=1,
    clamp=0,
    flags=[],
    traps=_TRAPS,
)
# Where rounding is the point. ROUND_05UP keeps a sticky last digit, so that a quotient cut at 80
# digits and then rounded at 24 places is the exact quotient rounded once.
_QUOTIENT = _WIDE.copy()
_QUOTIENT.prec = 80
_QUOTIENT.rounding = ROUND_05UP
_ROUNDING = _WIDE.copy()
for _context in (_QUOTIENT, _ROUNDING):
    _context.traps[Rounded] = False
    _context.traps[Clamped] = False

_QUOTIENT_PLACES = Decimal("1E-24")
_HUNDREDTH = Decimal("0.01")
_HUNDRED = Decimal(100)


class EvaluationFailure(Exception):
    """An expression has no value for these metrics; `reason` is a key of REASONS."""

    def __init__(self, reason: str) -> None:
        super().__init__(REASONS[reason])
        self.reason = reason


class Arithmetic:
    """One way of doing the operations: with a context, and with or without checking results."""

    __slots__ = ("basic", "check", "context")

    def __init__(self, context: Context, check: Callable[[Decimal], Decimal] | None) -> None:
        self.context = context
        self.check = check
        add: Callable[[Decimal, Decimal], Decimal] = context.add
        subtract: Callable[[Decimal, Decimal], Decimal] = context.subtract
        multiply: Callable[[Decimal, Decimal], Decimal] = context.multiply
        if check is not None:
            add, subtract, multiply = (
                _checked(operation, check) for operation in (add, subtract, multiply)
            )
        self.basic = (add, subtract, multiply)

    def finish(self, value: Decimal) -> Decimal:
        """Hand out the result of an operation made of several context operations."""
        return value if self.check is None else self.check(value)


def _checked(
    operation: Callable[[Decimal, Decimal], Decimal], check: Callable[[Decimal], Decimal]
) -> Callable[[Decimal, Decimal], Decimal]:
    return lambda left, right: check(operation(left, right))


def check_result(value: Decimal) -> Decimal:
    """Return the value, or fail if it is out of bounds: size first, then digits."""
    if not -MAGNITUDE_LIMIT <= value <= MAGNITUDE_LIMIT:
        raise EvaluationFailure("overflow")
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or -exponent > FRACTION_DIGITS_LIMIT:
        raise EvaluationFailure("too_many_digits")
    return value


_FAST = Arithmetic(_TIGHT, None)
_EXACT = Arithmetic(_WIDE, check_result)


def _divide(stack: list[Decimal], _argument: Any, arithmetic: Arithmetic) -> None:
    divisor = stack.pop()
    if not divisor:
        raise EvaluationFailure("division_by_zero")
    quotient = _ROUNDING.quantize(_QUOTIENT.divide(stack[-1], divisor), _QUOTIENT_PLACES)
    if quotient.adjusted() > 25:
        check_result(quotient)
    stack[-1] = quotient


def _divide_truncating(stack: list[Decimal], _argument: Any, arithmetic: Arithmetic) -> None:
    divisor = stack.pop()
    if not divisor:
        raise EvaluationFailure("division_by_zero")
    stack[-1] = arithmetic.finish(arithmetic.context.divide_int(stack[-1], divisor))


def _remainder(stack: list[Decimal], _argument: Any, arithmetic: Arithmetic) -> None:
    divisor = stack.pop()
    if not divisor:
        raise EvaluationFailure("division_by_zero")
    stack[-1] = arithmetic.finish(arithmetic.context.remainder(stack[-1], divisor))


def _power(stack: list[Decimal], exponent: int, arithmetic: Arithmetic) -> None:
    multiply = arithmetic.context.multiply
    square, result = stack[-1], ONE
    while exponent:
        if exponent & 1:
            result = multiply(result, square)
        exponent >>= 1
        if exponent:
            square = multiply(square, square)
    stack[-1] = arithmetic.finish(result)


def _negate(stack: list[Decimal], _argument: Any, _arithmetic: Arithmetic) -> None:
    stack[-1] = stack[-1].copy_negate()


def _not(stack: list[Decimal], _argument: Any, _arithmetic: Arithmetic) -> None:
    stack[-1] = ZERO if stack[-1] else ONE


def _comparison(holds: Callable[[Decimal, Decimal], bool]) -> Callable[..., None]:
    def compare(stack: list[Decimal], _argument: Any, _arithmetic: Arithmetic) -> None:
        right = stack.pop()
        stack[-1] = ONE if holds(stack[-1], right) else ZERO

    return compare


def _ceil(stack: list[Decimal], _argument: Any, _arithmetic: Arithmetic) -> None:
    stack[-1] = stack[-1].to_integral_value(ROUND_CEILING, _ROUNDING)


def _floor(stack: list[Decimal], _argument: Any, _arithmetic: Arithmetic) -> None:
    stack[-1] = stack[-1].to_integral_value(ROUND_FLOOR, _ROUNDING)


def _round(stack: list[Decimal], _argument: Any, _arithmetic: Arithmetic) -> None:
    digits = stack.pop()
    if not -26 <= digits <= 40 or digits != digits.to_integral_value(ROUND_FLOOR, _ROUNDING):
        raise EvaluationFailure("invalid_digits")
    rounded = _ROUNDING.quantize(stack[-1], Decimal((0, (1,), -int(digits))))
    stack[-1] = rounded if digits >= 0 else _ROUNDING.quantize(rounded, ONE)


def _take(stack: list[Decimal], count: int) -> list[Decimal]:
    """Pop `count` values, in the order in which they were pushed."""
    values = stack[-count:]
    del stack[-count:]
    return values


def _min(stack: list[Decimal], count: int, _arithmetic: Arithmetic) -> None:
    stack.append(min(_take(stack, count)))


def _max(stack: list[Decimal], count: int, _arithmetic: Arithmetic) -> None:
    stack.append(max(_take(stack, count)))


def _clamp(stack: list[Decimal], _argument: Any, _arithmetic: Arithmetic) -> None:
    value, low, high = _take(stack, 3)
    stack.append(max(low, min(value, high)))


def _percentile(stack: list[Decimal], count: int, arithmetic: Arithmetic) -> None:
    """Linear interpolation between the sorted values around rank p/100 * (n - 1)."""
    percent, *values = _take(stack, count)
    if not 0 <= percent <= 100:
        raise EvaluationFailure("invalid_percentile")
    values.sort()
    rank = _WIDE.multiply(_WIDE.multiply(percent, _HUNDREDTH), Decimal(len(values) - 1))
    index = int(rank)
    fraction = _WIDE.subtract(rank, Decimal(index))
    result = values[index]
    if fraction:
        step = _WIDE.subtract(values[index + 1], result)
        result = check_result(_WIDE.add(result, _WIDE.multiply(step, fraction)))
    stack.append(result)


def _graduated(stack: list[Decimal], count: int, _arithmetic: Arithmetic) -> None:
    """Each band's part of the value times the band's rate, summed."""
    value, *bands, last_rate = _take(stack, count)
    thresholds, rates = bands[::2], bands[1::2]
    if any(left >= right for left, right in zip(thresholds, thresholds[1:])):
        raise EvaluationFailure("thresholds_not_ascending")
    total = lower = ZERO
    for upper, rate in zip((*thresholds, value), (*rates, last_rate)):
        part = _WIDE.subtract(min(value, upper), lower)
        if part > 0:
            total = _WIDE.add(total, _WIDE.multiply(part, rate))
        lower = max(lower, upper)
    stack.append(check_result(total))


def _in(stack: list[Decimal], count: int, _arithmetic: Arithmetic) -> None:
    members = _take(stack, count)
    stack[-1] = ONE if stack[-1] in members else ZERO


def _duplicate(stack: list[Decimal], _argument: Any, _arithmetic: Arithmetic) -> None:
    stack.append(stack[-1])


def _pop(stack: list[Decimal], _argument: Any, _arithmetic: Arithmetic) -> None:
    stack.pop()


def _swap(stack: list[Decimal], _argument: Any, _arithmetic: Arithmetic) -> None:
    stack[-1], stack[-2] = stack[-2], stack[-1]


def _rotate(stack: list[Decimal], _argument: Any, _arithmetic: Arithmetic) -> None:
    stack.insert(-2, stack.pop())


_OPERATIONS: dict[int, Callable[[list[Decimal], Any, Arithmetic], None]] = {
    DIV: _divide,
    TRUNCDIV: _divide_truncating,
    MOD: _remainder,
    POW: _power,
    NEG: _negate,
    NOT: _not,
    LT: _comparison(operator.lt),
    LE: _comparison(operator.le),
    EQ: _comparison(operator.eq),
    NE: _comparison(operator.ne),
    GE: _comparison(operator.ge),
    GT: _comparison(operator.gt),
    CEIL: _ceil,
    FLOOR: _floor,
    ROUND: _round,
    MIN: _min,
    MAX: _max,
    CLAMP: _clamp,
    PERCENTILE: _percentile,
    GRADUATED: _graduated,
    IN: _in,
    DUP: _duplicate,
    POP: _pop,
    SWAP: _swap,
    ROT3: _rotate,
}


class Program:
    """A compiled expression, its constants decoded and its jumps resolved, ready to run."""

    __slots__ = ("names", "steps")

    def __init__(
        self, code: Sequence[int], constants: Sequence[str | Decimal], names: Sequence[str]
    ) -> None:
        values = [Decimal(constant) for constant in constants]
        steps: list[tuple[int, Any]] = []
        for operation, argument in zip(code[::2], code[1::2]):
            operand: Any = argument
            if operation == CONST:
                operand = values[argument - 1]
            elif operation == LOAD:
                operand = names[argument - 1]
            elif operation in JUMPS:
                operand = argument - 1
            steps.append((operation, operand))
        self.names = tuple(names)
        self.steps = _join_products(steps)

    def run(self, metrics: Mapping[str, Decimal]) -> Decimal:
        """The expression's value; metrics that are missing count as zero."""
        try:
            return _execute(self.steps, metrics, _FAST)
        except ArithmeticError:
            return _execute(self.steps, metrics, _EXACT)


def _join_products(steps: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """Make `metric * constant` one step, the bulk of what pricing expressions do."""
    targets = {target for operation, target in steps if operation in JUMPS}
    joined: list[tuple[int, Any]] = []
    moved: dict[int, int] = {}
    position = 0
    while position < len(steps):
        moved[position] = len(joined)
        window = steps[position : position + 3]
        inner_target = position + 1 in targets or position + 2 in targets
        if [operation for operation, _ in window] == [LOAD, CONST, MUL] and not inner_target:
            joined.append((SCALE, (window[0][1], window[1][1])))
            position += 3
        else:
            joined.append(steps[position])
            position += 1
    moved[len(steps)] = len(joined)
    return [
        (operation, moved[argument]) if operation in JUMPS else (operation, argument)
        for operation, argument in joined
    ]


def _execute(  # noqa: C901 - one dispatch, kept in one place because each call would be paid for
    steps: list[tuple[int, Any]], metrics: Mapping[str, Decimal], arithmetic: Arithmetic
) -> Decimal:
    add, subtract, multiply = arithmetic.basic
    stack: list[Decimal] = []
    position = 0
    end = len(steps)
    while position < end:
        operation, argument = steps[position]
        position += 1
        if operation == SCALE:
            name, factor = argument
            stack.append(multiply(metrics.get(name, ZERO), factor))
        elif operation == LOAD:
            stack.append(metrics.get(argument, ZERO))
        elif operation == CONST:
            stack.append(argument)
        elif operation == ADD:
            right = stack.pop()
            stack[-1] = add(stack[-1], right)
        elif operation == MUL:
            right = stack.pop()
            stack[-1] = multiply(stack[-1], right)
        elif operation == SUB:
            right = stack.pop()
            stack[-1] = subtract(stack[-1], right)
        elif operation == JUMP:
            position = argument
        elif operation == JUMP_IF_FALSE:
            if not stack.pop():
                position = argument
        elif operation == JUMP_IF_FALSE_KEEP:
            if not stack[-1]:
                position = argument
            else:
                stack.pop()
        elif operation == JUMP_IF_TRUE_KEEP:
            if stack[-1]:
                position = argument
            else:
                stack.pop()
        else:
            _OPERATIONS[operation](stack, argument, arithmetic)
    return stack[-1]
