"""Generated expressions and configs, right and wrong, for comparing two compilers.

Everything comes from one random number generator, so that a seed is a case. About half of the
expressions are valid, and a config is mostly right with a few things broken in it, so that single
mistakes are met as well as many at once.
"""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

METRICS = ["image_count", "x"]

# fmt: off
VALUES = [
    "1", "2.5", "0", "x", "input_tokens", "1_000", ".5", "5.", "1e-3", "0.30", "output_tokens",
]
PREFIXES = ["(", "-", "+", "not ", "(", "-("]
CALLS = [
    ("max(", 3), ("min(", 1), ("if(", 3), ("tier(", 3), ("tier(", 4), ("tier(", 5), ("round(", 1),
    ("round(", 2), ("ceil(", 1), ("floor(", 1), ("clamp(", 3), ("percentile(", 2),
    ("graduated(", 4), ("graduated(", 6), ("max(", 0), ("clamp(", 2), ("mx(", 2), ("x(", 1),
]
INFIX = [
    " + ", " - ", "*", " * ", " / ", "//", " % ", " < ", " <= ", "==", " != ", " >= ", ">", " and ",
    " or ", " < ", " + ",
]
SOUP = [
    "1", "0.5", "input_tokens", "(", ")", "[", "]", ",", "+", "-", "*", "/", "//", "%", "**", "<",
    "<=", "==", "=", "!=", "!", "and", "or", "not", "in", "not in", "if", "else", "max(", "if(",
    "tier(", "x", "\u0430", "'", '"', ":", ".", "lambda", "is", "None", "1e999999", "{", "#",
    "1__0", "017", "1.5.2", "\u00e9", "\t", "\n", "~", "\\", "$", "@", ";", "1j", "1\u00e9", "0x1f",
    "image_cuont", "output_tokenz", "INPUT_TOKENS", "mx(", "grduated(", "_y", "a" * 70,
    "9" * 41, "0." + "0" * 41 + "1", "99999999999999999999999999.5", "1e26", "2e26", "\U0001f600",
]
MISTAKES = [
    "foo", "input_tokns", "2 ** x", "2 ** 17", "2 ** -1", "1 in 2", "1 in ()", "(1, 2)", "[]",
    "graduated(x, 5, 1, 5, 2, 3)", "graduated(x, -1, 1, -2, 2, 3)", "1 in (1, 2) in (1,)", "max",
    "1 + not 2", "1 if 1 if 1 else 1 else 1", "if", "x.y", "x[0]", "f'x'", "__import__",
]
ANYTHING: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3, 5, 13, 2**31, Decimal("0.5"), Decimal("1e26"),
    Decimal("1e30"), Decimal("1.10"), Decimal("1e-13"), Decimal("1e-50"), "", "x", "half_up",
    "half-up", "ceilin", "strict", "monthly", "montly", "overdraft", [], {}, ["a"], {"a": 1},
    "a\nb", "y" * 201, "y" * 70, "it's", "{x}", "%s", [[]], "z" * 10_001,
]
NAMES = [
    "gpt-4", "gpt", "claude", "_default", "web", "\u00e9", "it's", "x%s", "job", "m1", "m2", "m3",
]
BAD_NAMES = ["", "a" * 205, "b\tc", "a" * 200]
PRICES = [
    "input_tokens * 0.03", "image_count * 2", "0 - input_tokens", "tier(input_tokens, 1, 2)", "0",
    "requests * 0.0001", "1 / input_tokens", "input_tokens ** 3", "1 / 0", "input_tokens +", "foo",
    "round(1, input_tokens)", "input_tokns", "-1", "0.5", "\u00e9", "mx(1)",
    "input_tokens*output_tokens*requests*cache_hits*search_calls*total_tokens*x*image_count*x",
]
# fmt: on
SECTIONS = ["models", "tools", "search", "cache", "fixed"]
SETTINGS: dict[str, list[Any]] = {
    "version": [1, 2],
    "description": ["text"],
    "min_balance": [0, -5, Decimal("0.5")],
    "scale": [0, 2, 12],
    "rounding": ["half_up", "half_even", "ceiling"],
    "low_balance_thresholds": [[1, 2], [], [1, "x"], [1] * 33],
    "signup_bonus": [0, 5],
    "metrics": [METRICS, [*METRICS, "input_tokens"], ["x", "max"], ["9x"], ["lambda"], ["é"], [1]],
}
PLAN: dict[str, list[Any]] = {
    "name": ["Pro"],
    "free_allowance": [0, 5],
    "features": [{"a": 1}, ["a", "b"], {"a": {"b": [1, {"c": 2}]}}, ["a", ""]],
    "default_billing_mode": ["strict", "overdraft"],
    "overdraft_floor": [None, -5],
    "max_concurrent": [None, 3],
    "period": ["daily", "monthly"],
    "period_anchor": ["account", "calendar"],
    "rollover_max": [0, 1],
    "default": [True, False],
}
POLICY: dict[str, list[Any]] = {
    "billing_mode": ["strict", "overdraft"],
    "overdraft_floor": [None, -1],
    "max_concurrent": [None, 1],
    "required_feature": ["a"],
}


def expression(random: Random) -> str:
    """The text of an expression, or of something like one."""
    kind = random.random()
    if kind < 0.2:
        space = random.choice(["", " "])
        return space.join(random.choice(SOUP) for _ in range(random.randint(0, 12)))
    text = _term(random, random.choice([1, 2, 3, 4, 6]))
    if kind < 0.35:
        place = random.randrange(len(text) + 1)
        text = text[:place] + random.choice(SOUP) + text[place + random.randint(0, 2) :]
    elif kind < 0.4:
        text = random.choice([f"{text} + " * 40, "(" * 33 + text + ")" * 33, "-" * 33 + text])
    return text


def _term(random: Random, depth: int) -> str:
    kind = random.random()
    if depth <= 0 or kind < 0.1:
        return random.choice(MISTAKES) if random.random() < 0.03 else random.choice(VALUES)

    def part() -> str:
        return _term(random, depth - random.randint(1, 2))

    if kind < 0.55:
        return random.choice(INFIX).join(part() for _ in range(random.randint(2, 4)))
    if kind < 0.7:
        opened = random.choice(PREFIXES)
        return opened + part() + ")" * opened.count("(")
    if kind < 0.75:
        return f"{part()} {random.choice(['in', 'not in'])} ({part()}, {part()})"
    if kind < 0.8:
        return f"({part()}) ** {random.randint(0, 16)}"
    if kind < 0.87:
        return f"({part()} if {part()} else {part()})"
    name, count = random.choice(CALLS)
    return name + ", ".join(part() for _ in range(count)) + ")"


def config(random: Random) -> Any:
    """A pricing config, or something like one."""
    wrong = random.choice([0, 0, 0.01, 0.03, 0.2])
    if random.random() < wrong / 10:
        return random.choice(ANYTHING)
    made = _settings(random, SETTINGS, wrong)
    made["metrics"] = METRICS if random.random() > wrong else made.get("metrics", [])
    for section in SECTIONS:
        if (section == "models" and random.random() > wrong) or random.random() < 0.4:
            made[_name(random, section, wrong)] = _rates(random, wrong)
    if random.random() < 0.7:
        plans = [_plan(random, wrong) for _ in range(random.randint(0, 4))]
        made["plans"] = plans if random.random() < 0.5 else dict(zip(NAMES, plans, strict=False))
        if random.random() < wrong / 3:
            made["plans"] = random.choice(ANYTHING)
    if random.random() < wrong / 5:
        made |= {_misspelt(random, key) + str(number): 1 for number, key in enumerate([*PLAN] * 12)}
    return made


def _settings(random: Random, known: dict[str, list[Any]], wrong: float) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, values in known.items():
        if random.random() < 0.5:
            broken = random.random() < wrong
            made[_name(random, name, wrong)] = random.choice(ANYTHING if broken else values[:2])
            if random.random() < wrong:
                made[name] = random.choice(values)
    return made


def _rates(random: Random, wrong: float) -> Any:
    if random.random() < wrong / 3:
        return random.choice(ANYTHING)
    names = BAD_NAMES if random.random() < wrong else NAMES
    return {random.choice(names): _price(random, wrong) for _ in range(random.randint(1, 4))}


def _price(random: Random, wrong: float) -> Any:
    if random.random() < wrong:
        return random.choice([expression(random), random.choice(ANYTHING)])
    if random.random() < 0.3:
        return random.choice([random.randint(0, 9), Decimal(random.randint(-5, 500)) / 1000])
    return random.choice(PRICES[:6] if random.random() > wrong else PRICES)


def _plan(random: Random, wrong: float) -> Any:
    if random.random() < wrong / 3:
        return random.choice(ANYTHING)
    made = _settings(random, PLAN, wrong)
    if random.random() > 0.1 + wrong:
        made["id"] = random.choice(NAMES)
    if random.random() < 0.4:
        made["rate_overrides"] = random.choice(
            [_rates(random, wrong), {random.choice(SECTIONS): _rates(random, wrong)}]
        )
    if random.random() < 0.3:
        made["per_operation"] = {
            random.choice(NAMES if random.random() > wrong else BAD_NAMES): (
                _settings(random, POLICY, wrong) if random.random() > wrong / 3 else 1
            )
        }
    if random.random() < wrong:
        made["features"] = {"deep": _nested(random.randint(14, 18)), **dict.fromkeys(BAD_NAMES, 1)}
    return made


def _nested(depth: int) -> Any:
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"a": 0, "z": value}
    return value


def _name(random: Random, name: str, wrong: float) -> str:
    return _misspelt(random, name) if random.random() < wrong / 2 else name


def _misspelt(random: Random, name: str) -> str:
    place = random.randrange(len(name))
    return random.choice(
        [
            name[:place] + name[place + 1 :],
            name[:place] + random.choice("abcXYZ_\u00e9") + name[place:],
            name[:place] + random.choice("xyz") + name[place + 1 :],
            name[:place] + name[place : place + 2][::-1] + name[place + 2 :],
            name.upper(),
        ]
    )
