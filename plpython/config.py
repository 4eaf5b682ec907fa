"""Validates a whole pricing config and compiles its expressions.

Guarantees: all errors are found at once, each with its path, the first hundred of them listed; an
unknown key is an error that names the nearest known one; every expression is proved to have a value
for usages from nothing at all to 10^9 of everything before the config can be published. What a
config contains is bounded, so the time it takes is too: PL/Python cannot be interrupted, but where
`CheckedConfig.pause` is called.

The same is written in PL/pgSQL (sql/evaluators/portable/compile_portable.sql), equal refusal for
refusal: what is changed here is changed there, and the tests compare them.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal

from ducto_pg.plpython.language import FUNCTIONS, LENGTH_LIMIT, ExpressionError, compile_expression
from ducto_pg.plpython.machine import EvaluationFailure, Program
from ducto_pg.plpython.names import (
    KEYWORDS,
    MAGNITUDE_LIMIT,
    METRIC_FRACTION_DIGITS,
    NAME_LENGTH_LIMIT,
    SECTIONS,
    STANDARD_METRICS,
    TEXT_METRICS,
    did_you_mean,
    nearest,
    shorten,
)
from ducto_pg.plpython.runtime import number_text, round_price

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

EXPRESSION_COUNT_LIMIT = 20_000
PLAN_COUNT_LIMIT = 1_000
EXTRA_METRIC_LIMIT = 200
THRESHOLD_COUNT_LIMIT = 32
LISTED_LIMIT = 100
FEATURE_DEPTH_LIMIT = 16
MONEY_FRACTION_DIGITS = 12
CONCURRENT_LIMIT = 2_147_483_647

PERIODS = ("daily", "weekly", "monthly", "yearly")
PERIOD_ANCHORS = ("calendar", "account")
BILLING_MODES = ("strict", "overdraft")
ROUNDINGS = ("half_up", "half_even", "ceiling")

TYPICAL_USAGE = {
    "input_tokens": 1000,
    "output_tokens": 500,
    "total_tokens": 1500,
    "reasoning_tokens": 100,
    "cached_tokens": 100,
    "cache_read_tokens": 100,
    "cache_write_tokens": 100,
    "cache_creation_tokens": 100,
    "cache_hits": 1,
    "cache_misses": 1,
    "tool_calls": 2,
    "search_calls": 1,
    "search_queries": 1,
    "search_results": 10,
    "web_search_calls": 1,
    "code_exec_calls": 1,
    "requests": 1,
}
TYPICAL_EXTRA = 10
SHOWN_METRICS = 8
HUGE_USAGE = 10**9

_METRIC_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


def compile_config(config: Any) -> dict[str, Any]:
    """Validate a config and compile its expressions.

    The result has `errors`, their `count` (more than are listed, perhaps), `warnings`, `code` and
    `programs`. Each error has `path`, `message` and `code`; one in an expression also has
    `expression` and, where known, `position` and `length`. `code` is the error to raise: DU005 when
    only expressions are wrong, otherwise DU006, None without errors. `programs` maps the text of
    each expression to its program.
    """
    checked = CheckedConfig(config)
    return {
        "errors": checked.errors,
        "count": checked.errors_found,
        "warnings": checked.warnings,
        "code": checked.code,
        "programs": {} if checked.code else checked.programs,
    }


def compile_config_json(text: str) -> str:
    """The same from JSON text to JSON text."""
    try:
        config = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    except (ValueError, ArithmeticError, RecursionError):
        config = None
    return json.dumps(compile_config(config))


class CheckedConfig:
    """A config, taken apart and checked.

    `rates` maps (plan key, section, key) to the text of an expression; what is in it, and the
    settings, may be used if `errors` is empty.
    """

    def __init__(self, config: Any) -> None:
        self.errors: list[dict[str, Any]] = []
        self.warnings: list[dict[str, Any]] = []
        self.programs: dict[str, dict[str, Any]] = {}
        self.rates: dict[tuple[str, str, str], str] = {}
        self.metric_names: tuple[str, ...] = STANDARD_METRICS
        self.min_balance = Decimal(0)
        self.scale = 12
        self.rounding = "half_up"
        self.plan_keys: list[str] = []
        self._plan_keys: set[str] = set()
        self._default_plan: str | None = None
        # DU005 while only expressions are wrong, DU006 once anything else is.
        self.code: str | None = None
        self.errors_found = self._warnings_found = self._names_seen = 0
        # What became of each expression text: its price for typical usage, or what is wrong.
        self._outcomes: dict[str, Decimal | dict[str, Any] | ExpressionError] = {}
        if isinstance(config, dict):
            self._check(config)
        else:
            self.error("", "a pricing config must be an object with the key 'models'")
        if self.errors_found > LISTED_LIMIT:
            self.errors.append(
                {
                    "path": "",
                    "message": f"{self.errors_found - LISTED_LIMIT} further errors are not listed",
                    "code": self.code,
                }
            )
        if self._warnings_found > LISTED_LIMIT:
            further = self._warnings_found - LISTED_LIMIT
            message = f"{further} further warnings are not listed"
            self.warnings.append({"path": "", "code": "more_warnings", "message": message})

    def pause(self) -> None:
        """Called ever so often, for a host that can stop the whole only here."""

    def error(self, path: str, message: str, name: str = "", known: Iterable[str] = ()) -> None:
        """Note an error, with what is known that the name may have been meant to be.

        Beyond the limit only their number is kept.
        """
        self.code = "DU006"
        if self._list_error():
            hint = did_you_mean(nearest(name, known)) if name else ""
            self.errors.append({"path": path, "message": f"{message}{hint}", "code": "DU006"})

    def _list_error(self) -> bool:
        self.errors_found += 1
        if self.errors_found % 1000 == 0:
            self.pause()
        return self.errors_found <= LISTED_LIMIT

    def _check(self, config: dict[str, Any]) -> None:
        self._check_keys("", config, _TOP_KEYS)
        count = _count_expressions(config)
        if count > EXPRESSION_COUNT_LIMIT:
            self.error(
                "", f"the config has {count} expressions, more than {EXPRESSION_COUNT_LIMIT}"
            )
            return
        if "metrics" in config:
            self._check_metrics(config["metrics"])
        if "models" not in config:
            self.error("models", "the key 'models' is missing")
        for name, check in _TOP_KEYS.items():
            if name in config and name not in SECTIONS and check is not None:
                check(self, name, config[name])
        for section in SECTIONS:
            if section in config:
                self._check_section(section, "", section, config[section])
        if config.get("models") == {}:
            self.error("models", "'models' must have at least one model")
        if "plans" in config:
            self._check_plans(config["plans"])

    def _check_keys(self, path: str, given: dict[str, Any], known: Iterable[str]) -> None:
        names = tuple(known)
        for name in given:
            if name not in names:
                self.error(join_path(path, str(name)), "unknown key", str(name), names)

    def _check_metrics(self, names: Any) -> None:
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            self.error("metrics", "'metrics' must be a list of names")
            return
        if len(names) > EXTRA_METRIC_LIMIT:
            self.error("metrics", f"more than {EXTRA_METRIC_LIMIT} metrics")
            return
        accepted = []
        for index, name in enumerate(names):
            path = f"metrics[{index}]"
            if not _METRIC_NAME.fullmatch(name):
                self.error(
                    path,
                    f"'{shorten(name)}' cannot be a metric: a name has up to 63 letters, digits"
                    " and underscores, and starts with a letter",
                )
            elif name in FUNCTIONS or name in TEXT_METRICS or name in KEYWORDS:
                self.error(path, f"'{name}' already has a meaning and cannot be a metric")
            else:
                accepted.append(name)
        self.metric_names = tuple(dict.fromkeys((*STANDARD_METRICS, *accepted)))

    def _check_section(self, path: str, plan_key: str, section: str, rates: Any) -> None:
        if not isinstance(rates, dict):
            self.error(path, f"'{path}' must be an object of expressions")
            return
        for key, given in rates.items():
            rate_path = join_path(path, str(key))
            if not self._check_name(rate_path, key):
                continue
            text = self._expression_text(rate_path, given)
            if text is None:
                continue
            self.rates[plan_key, section, key] = text
            self._check_expression(rate_path, plan_key, section, key, text)

    def _check_name(self, path: str, name: Any) -> bool:
        self._names_seen += 1
        if self._names_seen % 1000 == 0:
            self.pause()
        problem = name_problem(name)
        if problem:
            self.error(path, f"a name must {problem}")
        return not problem

    def _expression_text(self, path: str, given: Any) -> str | None:
        if isinstance(given, str):
            return given
        number = config_number(given)
        if number is None:
            self.error(path, "an expression must be a text or a number")
            return None
        exponent = exponent_of(number)
        if number.copy_abs() > MAGNITUDE_LIMIT or exponent < -METRIC_FRACTION_DIGITS:
            self.error(path, "the number is beyond 10^26, or has more than 40 fraction digits")
            return None
        return number_text(number)

    def _check_expression(
        self, path: str, plan_key: str, section: str, key: str, text: str
    ) -> None:
        where = {"section": section, "key": key}
        if plan_key:
            where["plan_key"] = plan_key
        outcome = self._compile(text)
        if isinstance(outcome, Decimal):
            self._check_price(path, where, outcome)
            return
        self.code = self.code or "DU005"
        if self._list_error():
            found = _refusal(outcome) if isinstance(outcome, ExpressionError) else outcome
            shown = {"expression": text[:LENGTH_LIMIT], **where, **found}
            self.errors.append({"path": path, "code": "DU005", **shown})

    def _check_price(self, path: str, where: dict[str, str], price: Decimal) -> None:
        """Warn about a price that typical usage makes nothing, or less; a discount may be less."""
        if price < 0 and where["section"] != "cache":
            kind, what = (
                "negative",
                f"the price is negative for typical usage ({number_text(price)})",
            )
        elif price == 0:
            kind, what = "zero", "the price is zero for typical usage (0)"
        elif price > 0 and round_price(price, self.scale, self.rounding) == 0:
            kind, what = (
                "zero",
                f"the price rounds to zero for typical usage ({number_text(price)})",
            )
        else:
            return
        self._warnings_found += 1
        if self._warnings_found <= LISTED_LIMIT:
            self.warnings.append({"path": path, "code": f"{kind}_price", "message": what, **where})

    def _compile(self, text: str) -> Decimal | dict[str, Any] | ExpressionError:
        """Compile and prove an expression, once for each text."""
        outcome = self._outcomes.get(text)
        if outcome is None:
            self.pause()
            try:
                program = compile_expression(text, self.metric_names)
            except ExpressionError as error:
                outcome = error.with_traceback(None)
            else:
                self.programs[text] = program
                outcome = prove(program)
            self._outcomes[text] = outcome
        return outcome

    def _check_plans(self, plans: Any) -> None:
        if isinstance(plans, dict):
            entries = [(join_path("plans", str(key)), key, plan) for key, plan in plans.items()]
        elif isinstance(plans, list):
            entries = [(f"plans[{index}]", None, plan) for index, plan in enumerate(plans)]
        else:
            self.error("plans", "'plans' must be a list of plans, or an object of plans by id")
            return
        if len(entries) > PLAN_COUNT_LIMIT:
            self.error("plans", f"more than {PLAN_COUNT_LIMIT} plans")
            return
        for path, key, plan in entries:
            if not isinstance(plan, dict):
                self.error(path, "a plan must be an object")
                continue
            self._check_plan(path, plan.get("id") if key is None else key, plan)

    def _check_plan(self, path: str, key: Any, plan: dict[str, Any]) -> None:
        self._check_keys(path, plan, _PLAN_KEYS)
        if "id" in plan and plan["id"] != key:
            self.error(f"{path}.id", "the id differs from the key that the plan is under")
        if key is None:
            self.error(f"{path}.id", "a plan needs an id")
        elif self._check_name(f"{path}.id", key):
            if key in self._plan_keys:
                self.error(f"{path}.id", f"two plans have the id '{key}'")
            self._plan_keys.add(key)
            self.plan_keys.append(key)
        for name, check in _PLAN_KEYS.items():
            if name in plan and check is not None:
                check(self, f"{path}.{name}", plan[name])
        if plan.get("default") is True:
            if self._default_plan is not None:
                self.error(f"{path}.default", f"{self._default_plan} is the default plan already")
            self._default_plan = path
        if "rate_overrides" in plan:
            owner = key if isinstance(key, str) else ""
            self._check_overrides(f"{path}.rate_overrides", owner, plan["rate_overrides"])

    def _check_overrides(self, path: str, plan_key: str, overrides: Any) -> None:
        """Either models with their expressions, or sections."""
        if isinstance(overrides, dict) and has_sections(overrides):
            for section, rates in overrides.items():
                self._check_section(f"{path}.{section}", plan_key, section, rates)
        else:
            self._check_section(path, plan_key, "models", overrides)

    def check_version(self, path: str, value: Any) -> None:
        """`version` of the format."""
        if config_number(value) not in (1, 2):
            self.error(path, "the version must be 1 or 2")

    def check_text(self, path: str, value: Any) -> None:
        """A free text."""
        if not isinstance(value, str) or len(value) > 10_000 or "\x00" in value:
            self.error(path, "must be a text of at most 10000 characters")

    def check_plan_name(self, path: str, value: Any) -> None:
        """A name to show, or the name of a feature."""
        self._check_name(path, value)

    def check_boolean(self, path: str, value: Any) -> None:
        """true or false."""
        if not isinstance(value, bool):
            self.error(path, "must be true or false")

    def check_money(self, path: str, value: Any) -> Decimal | None:
        """An amount of credits that a numeric(38,12) column holds without rounding."""
        number = config_number(value)
        if number is None:
            self.error(path, "must be a number")
            return None
        if number.copy_abs() >= MAGNITUDE_LIMIT:
            self.error(path, "must be less than 10^26")
            return None
        digits = number_text(number).partition(".")[2] if exponent_of(number) > -1000 else "long"
        if len(digits) > MONEY_FRACTION_DIGITS or digits == "long":
            self.error(path, f"must have at most {MONEY_FRACTION_DIGITS} fraction digits")
            return None
        return number

    def check_positive(self, path: str, value: Any) -> None:
        """An amount that is not negative."""
        number = self.check_money(path, value)
        if number is not None and number < 0:
            self.error(path, "must not be negative")

    def check_floor(self, path: str, value: Any) -> None:
        """An overdraft floor; null is no limit."""
        number = None if value is None else self.check_money(path, value)
        if number is not None and number > 0:
            self.error(path, "an overdraft floor must be zero or negative")

    def check_count(self, path: str, value: Any) -> None:
        """A number of holds; null is no limit."""
        if value is None:
            return
        number = config_number(value)
        if number is None or not 0 <= number <= CONCURRENT_LIMIT or number != int(number):
            self.error(path, f"must be a whole number from 0 to {CONCURRENT_LIMIT}")

    def check_min_balance(self, path: str, value: Any) -> None:
        """The floor of every balance."""
        self.min_balance = self.check_money(path, value) or Decimal(0)

    def check_scale(self, path: str, value: Any) -> None:
        """Fraction digits of a price."""
        number = config_number(value)
        if number is None or not 0 <= number <= 12 or number != int(number):
            self.error(path, "the scale must be a whole number from 0 to 12")
        else:
            self.scale = int(number)

    def check_rounding(self, path: str, value: Any) -> None:
        """How a price is rounded."""
        if self.check_choice(path, value, ROUNDINGS):
            self.rounding = value

    def check_choice(self, path: str, value: Any, choices: tuple[str, ...]) -> bool:
        """One of a few words."""
        if isinstance(value, str) and value in choices:
            return True
        name = value if isinstance(value, str) else ""
        self.error(path, f"must be one of {', '.join(choices)}", name, choices)
        return False

    def check_thresholds(self, path: str, value: Any) -> None:
        """Balances whose crossing is announced."""
        if not isinstance(value, list) or len(value) > THRESHOLD_COUNT_LIMIT:
            self.error(path, f"must be a list of at most {THRESHOLD_COUNT_LIMIT} balances")
            return
        for index, threshold in enumerate(value):
            self.check_money(f"{path}[{index}]", threshold)

    def check_features(self, path: str, value: Any) -> None:
        """An object, or a list of names."""
        if isinstance(value, list):
            for index, name in enumerate(value):
                self._check_name(f"{path}[{index}]", name)
        elif isinstance(value, dict):
            for name, content in value.items():
                feature_path = join_path(path, str(name))
                if self._check_name(feature_path, name) and too_deep(content):
                    self.error(feature_path, f"nested more than {FEATURE_DEPTH_LIMIT} deep")
        else:
            self.error(path, "must be an object, or a list of names")

    def check_operations(self, path: str, value: Any) -> None:
        """Policies by operation type."""
        if not isinstance(value, dict):
            self.error(path, "must be an object of policies by operation")
            return
        for operation, policy in value.items():
            policy_path = join_path(path, str(operation))
            if not self._check_name(policy_path, operation):
                continue
            if not isinstance(policy, dict):
                self.error(policy_path, "a policy must be an object")
                continue
            self._check_keys(policy_path, policy, _POLICY_KEYS)
            for name, check in _POLICY_KEYS.items():
                if name in policy:
                    check(self, f"{policy_path}.{name}", policy[name])


def _one_of(choices: tuple[str, ...]) -> Callable[[CheckedConfig, str, Any], object]:
    return lambda checked, path, value: checked.check_choice(path, value, choices)


# Known keys and their checks; None where the check needs more than the value.
_TOP_KEYS: dict[str, Callable[[CheckedConfig, str, Any], object] | None] = {
    "version": CheckedConfig.check_version,
    "description": CheckedConfig.check_text,
    "models": None,
    "tools": None,
    "search": None,
    "cache": None,
    "fixed": None,
    "min_balance": CheckedConfig.check_min_balance,
    "plans": None,
    "metrics": None,
    "scale": CheckedConfig.check_scale,
    "rounding": CheckedConfig.check_rounding,
    "low_balance_thresholds": CheckedConfig.check_thresholds,
    "signup_bonus": CheckedConfig.check_positive,
}
_POLICY_KEYS: dict[str, Callable[[CheckedConfig, str, Any], object]] = {
    "billing_mode": _one_of(BILLING_MODES),
    "overdraft_floor": CheckedConfig.check_floor,
    "max_concurrent": CheckedConfig.check_count,
    "required_feature": CheckedConfig.check_plan_name,
}
_PLAN_KEYS: dict[str, Callable[[CheckedConfig, str, Any], object] | None] = {
    "id": None,
    "name": CheckedConfig.check_plan_name,
    "free_allowance": CheckedConfig.check_positive,
    "rate_overrides": None,
    "features": CheckedConfig.check_features,
    "default_billing_mode": _one_of(BILLING_MODES),
    "overdraft_floor": CheckedConfig.check_floor,
    "max_concurrent": CheckedConfig.check_count,
    "per_operation": CheckedConfig.check_operations,
    "period": _one_of(PERIODS),
    "period_anchor": _one_of(PERIOD_ANCHORS),
    "rollover_max": CheckedConfig.check_positive,
    "default": CheckedConfig.check_boolean,
}


def prove(program: dict[str, Any]) -> Decimal | dict[str, Any]:
    """The price of typical usage, or the first usage, from none to huge, that has no price."""
    names = program["names"]
    ready = Program(program["code"], program["constants"], names)
    typical = {name: TYPICAL_USAGE.get(name, TYPICAL_EXTRA) for name in names}
    price = Decimal(0)
    for usage in (
        dict.fromkeys(names, 0),
        dict.fromkeys(names, 1),
        dict.fromkeys(names, HUGE_USAGE),
        typical,
    ):
        try:
            price = ready.run({name: Decimal(count) for name, count in usage.items()})
        except EvaluationFailure as failure:
            shown = ", ".join(f"{name} = {usage[name]}" for name in names[:SHOWN_METRICS])
            shown += ", ..." if len(names) > SHOWN_METRICS else ""
            return {
                "message": f"{failure} with {shown}" if usage else f"{failure}, whatever the usage",
                "reason": failure.reason,
                "metrics": usage,
            }
    return price


def has_sections(overrides: dict[str, Any]) -> bool:
    """Whether rate overrides are given by section, not as models with their expressions."""
    return all(
        section in SECTIONS and isinstance(rates, dict) for section, rates in overrides.items()
    )


def config_number(value: Any) -> Decimal | None:
    """A number of a config as a finite Decimal, None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        value = Decimal(repr(value))
    elif isinstance(value, int):
        value = Decimal(value)
    if isinstance(value, Decimal) and value.is_finite():
        return value
    return None


def exponent_of(number: Decimal) -> int:
    """The power of ten of a finite number's last digit."""
    return int(number.as_tuple().exponent)


def too_deep(value: Any, depth: int = 1) -> bool:
    """Whether a JSON value nests deeper than a feature may."""
    if depth > FEATURE_DEPTH_LIMIT:
        return True
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, list) and any(too_deep(item, depth + 1) for item in value)


def name_problem(name: Any) -> str:
    """What keeps a value from being a model's, plan's or tool's name; '' if nothing does."""
    if not isinstance(name, str):
        return "be a text"
    if not 0 < len(name) <= NAME_LENGTH_LIMIT:
        return f"have 1 to {NAME_LENGTH_LIMIT} characters"
    if _UNPRINTABLE.search(name):
        return "not contain control characters"
    return ""


def join_path(path: str, key: str) -> str:
    """The path of a member of what is at `path`; a key longer than a name may be is cut."""
    shown = shorten(key, NAME_LENGTH_LIMIT)
    return f"{path}.{shown}" if path else shown


def _count_expressions(config: dict[str, Any]) -> int:
    """How many expressions the sections of the config and of its plans hold, valid or not."""
    plans = config.get("plans")
    entries = list(plans.values()) if isinstance(plans, dict) else plans
    owners = [config]
    for plan in entries if isinstance(entries, list) else ():
        overrides = plan.get("rate_overrides") if isinstance(plan, dict) else None
        if isinstance(overrides, dict):
            owners.append(overrides if has_sections(overrides) else {"models": overrides})
    sections = (owner.get(section) for owner in owners for section in SECTIONS)
    return sum(len(rates) for rates in sections if isinstance(rates, dict))


def _refusal(error: ExpressionError) -> dict[str, Any]:
    """What a listed error says of a refused expression."""
    name = None if error.name is None else shorten(error.name)
    found = {
        "message": error.message,
        "position": error.position,
        "length": None if error.position is None else error.length,
        "name": name,
        "suggestion": error.suggestion,
    }
    return {key: value for key, value in found.items() if value is not None}
