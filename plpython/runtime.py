"""Prices one usage: metrics in, breakdown out. The part that runs on every charge.

Guarantees: the price is exact until its single rounding; metrics that are unknown, negative, not
numbers or too large are refused by name; a failure is a PricingFailure with a code of the error
catalogue, never another exception. Light imports: this is loaded at a session's first charge.

Rates come from a RateSource, so that dictionaries and look-ups in the database serve the same
code. A Pricing keeps what it has looked up, bounded, so a warm charge looks nothing up.
"""

from __future__ import annotations

import json
from decimal import (
    ROUND_CEILING,
    ROUND_HALF_EVEN,
    ROUND_HALF_UP,
    Clamped,
    Context,
    Decimal,
    InvalidOperation,
    Overflow,
    Rounded,
)

from ducto_pg.plpython.machine import EvaluationFailure, Program
from ducto_pg.plpython.names import (
    DEFAULT_KEY,
    MAGNITUDE_LIMIT,
    METRIC_COUNT_LIMIT,
    METRIC_FRACTION_DIGITS,
    METRICS_BYTES_LIMIT,
    NAME_LENGTH_LIMIT,
    TEXT_METRICS,
    did_you_mean,
    nearest,
    shorten,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, Protocol

    class RateSource(Protocol):
        """Where rates are looked up. A plan key of '' means the base prices."""

        def find(self, plan_key: str, section: str, key: str) -> Program | None:
            """The rate of exactly this key."""

        def longest_prefix(
            self, plan_key: str, section: str, name: str
        ) -> tuple[str, Program] | None:
            """The rate with the longest key that `name` starts with, DEFAULT_KEY left out."""

        def section(self, plan_key: str, section: str) -> Sequence[tuple[str, Program]]:
            """All rates of a section."""

        def keys(self, plan_key: str, section: str) -> Iterable[str]:
            """The keys of a section."""


CACHE_ENTRIES = 4096
"""A Pricing forgets all models and tools it has looked up when it holds this many."""

_ROUNDINGS = {
    "half_up": ROUND_HALF_UP,
    "half_even": ROUND_HALF_EVEN,
    "ceiling": ROUND_CEILING,
}
_NIL = Decimal(0)
_QUANTA = tuple(Decimal((0, (1,), -scale)) for scale in range(13))

# Accepts, and returns unchanged, every number of up to 41 digits that a metric may be; traps on
# all others, a few of which turn out to be allowed when looked at closely.
_METRIC = Context(
    prec=METRIC_FRACTION_DIGITS + 1,
    Emin=0,
    Emax=25,
    capitals=1,
    clamp=0,
    flags=[],
    traps=[Clamped, Rounded, Overflow, InvalidOperation],
)
_SUM = Context(prec=20_000, Emin=-50_000, Emax=50_000, capitals=1, clamp=0, flags=[], traps=[])


class PricingFailure(Exception):
    """This usage has no price. `code` and `detail` are those of the error catalogue."""

    def __init__(self, code: str, detail: dict[str, Any]) -> None:
        super().__init__(detail.get("message", code))
        self.code = code
        self.detail = detail


class Price:
    """What a usage costs; the parts are exact, `total` is rounded and never negative."""

    # Most parts of most prices stay zero: defaults of the class cost nothing.
    model = tools = search = cache = fixed = total = _NIL

    def __init__(self, model_name: str | None) -> None:
        self.model_name = model_name
        self.warnings: list[dict[str, Any]] = []

    def to_json(self) -> str:
        """The result of ducto.price_usage for a success."""
        total = number_text(self.total)
        model = total if self.model == self.total else number_text(self.model)
        name = "null" if self.model_name is None else _quote(self.model_name)
        warnings = json.dumps(self.warnings) if self.warnings else "[]"
        return (
            f'{{"cost":{total},"model":{name},"breakdown":{{"model":{model}'
            f',"tools":{number_text(self.tools) if self.tools else 0}'
            f',"search":{number_text(self.search) if self.search else 0}'
            f',"cache":{number_text(self.cache) if self.cache else 0}'
            f',"fixed":{number_text(self.fixed) if self.fixed else 0}'
            f',"total":{total}}},"warnings":{warnings}}}'
        )


def round_price(price: Decimal, scale: int, rounding: str) -> Decimal:
    """A price at the scale of its pricing."""
    return price.quantize(_QUANTA[scale], _ROUNDINGS[rounding], _SUM)


def number_text(value: Decimal) -> str:
    """A number as JSON: positional, without trailing zeros."""
    if not value:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not a number that JSON allows")


_quote = json.encoder.encode_basestring_ascii
_DECODER: Any = json.JSONDecoder(
    parse_float=Decimal, parse_int=Decimal, parse_constant=_refuse_constant
)


class _Usage:
    """Validated metrics: the numbers, and the names that select rates."""

    model_name: str | None = None
    job_name: str | None = None
    calls: Mapping[str, int] = {}
    unnamed_calls = _NIL

    def __init__(self) -> None:
        self.numbers: dict[str, Decimal] = {}


class Pricing:
    """One pricing version: prices usages with the rates of a source."""

    def __init__(
        self,
        source: RateSource,
        metric_names: Iterable[str],
        scale: int = 12,
        rounding: str = "half_up",
    ) -> None:
        self.source = source
        self._known = frozenset(metric_names) - {"tool_calls"}
        self._scale = scale
        self._rounding = rounding
        self._models: dict[tuple[str, str | None], Program] = {}
        self._named: dict[tuple[str, str, str], Program | None] = {}
        self._summed: dict[str, tuple[list[tuple[str, Program]], list[tuple[str, Program]]]] = {}

    def price_json(self, metrics_text: str, plan_key: str = "") -> str:
        """Price the usage written in `metrics_text`: the result of ducto.price_usage."""
        try:
            if len(metrics_text) * 4 > METRICS_BYTES_LIMIT:
                _check_bytes(metrics_text)
            return self.price(_decode(metrics_text), plan_key).to_json()
        except PricingFailure as failure:
            return json.dumps({"code": failure.code, "detail": failure.detail})

    def price(self, metrics: Mapping[str, Any], plan_key: str = "") -> Price:
        """Price a usage whose numbers are Decimals."""
        usage = self._read(metrics)
        numbers = usage.numbers
        job_only = usage.job_name is not None and usage.model_name is None
        # A job costs its price: the default is for usage that names nothing.
        model = None if job_only else self._models.get((plan_key, usage.model_name))
        if model is None and not job_only:
            model = self._model(usage, plan_key)
        job = None
        if usage.job_name is not None:
            job = self._lookup(plan_key, "fixed", usage.job_name)
            if job is None:
                raise self._unknown_job(usage.job_name, plan_key)
        price = Price(usage.model_name)
        if model is not None:
            try:
                price.model = model.run(numbers)
            except EvaluationFailure as failure:
                match = match_model(self.source, plan_key, usage.model_name or DEFAULT_KEY)
                key = DEFAULT_KEY if match is None else match[1]
                raise self._failed(failure, "models", key) from None
        total = price.model
        if usage.calls or usage.unnamed_calls:
            price.tools = self._price_tools(usage, plan_key, price.warnings)
            total = _SUM.add(total, price.tools)
        search, cache = self._summed.get(plan_key) or self._summed_sections(plan_key)
        if search:
            price.search = self._sum_section("search", search, numbers)
            total = _SUM.add(total, price.search)
        if cache:
            price.cache = self._sum_section("cache", cache, numbers)
            total = _SUM.add(total, price.cache)
        if job is not None:
            price.fixed = self._run(job, numbers, "fixed", usage.job_name or "")
            total = _SUM.add(total, price.fixed)
        price.total = self._round(total)
        return price

    def fixed_cost(self, job_name: str, plan_key: str = "") -> Decimal:
        """The unrounded price of a job."""
        job = self._lookup(plan_key, "fixed", job_name)
        if job is None:
            raise self._unknown_job(job_name, plan_key)
        return self._run(job, {}, "fixed", job_name)

    def _round(self, total: Decimal) -> Decimal:
        if total <= 0:
            return _NIL
        rounded = round_price(total, self._scale, self._rounding)
        if rounded >= MAGNITUDE_LIMIT:
            raise self._failed(EvaluationFailure("overflow"), "total", "total")
        return rounded

    def _read(self, metrics: Mapping[str, Any]) -> _Usage:
        if not isinstance(metrics, dict):
            raise _invalid("metrics", "the metrics must be a JSON object")
        if len(metrics) > METRIC_COUNT_LIMIT:
            raise _invalid("metrics", f"more than {METRIC_COUNT_LIMIT} metrics")
        usage = _Usage()
        numbers = usage.numbers
        known = self._known
        plus = _METRIC.plus
        for name, value in metrics.items():
            if name in known:
                if type(value) is Decimal and value.is_finite() and not value.is_signed():
                    try:
                        numbers[name] = plus(value)
                    except ArithmeticError:
                        numbers[name] = metric_number(name, value)
                else:
                    numbers[name] = metric_number(name, value)
            elif name == "model":
                usage.model_name = _metric_text(name, value)
            elif name == "tool_calls":
                _read_calls(value, usage)
            elif name == "job_name":
                usage.job_name = _metric_text(name, value)
            elif name == "operation":
                _metric_text(name, value)
            else:
                raise self._unknown_metric(name)
        return usage

    def _unknown_metric(self, name: str) -> PricingFailure:
        suggestion = nearest(name, (*sorted(self._known), "tool_calls", *TEXT_METRICS))
        shown = shorten(name, NAME_LENGTH_LIMIT)
        failure = _invalid(shown, f"unknown metric '{shown}'{did_you_mean(suggestion)}")
        if suggestion is not None:
            failure.detail["nearest"] = suggestion
        return failure

    def _unknown_job(self, job_name: str, plan_key: str) -> PricingFailure:
        known = {*self.source.keys("", "fixed")}
        known.update(self.source.keys(plan_key, "fixed") if plan_key else ())
        return PricingFailure(
            "DU018", {"job_name": job_name, "nearest": nearest(job_name, sorted(known))}
        )

    def _failed(self, failure: EvaluationFailure, section: str, key: str) -> PricingFailure:
        message = f"Pricing this usage failed in {section}.{key}: {failure}."
        return PricingFailure(
            "DU022",
            {"reason": failure.reason, "section": section, "key": key, "message": message},
        )

    def _run(
        self, program: Program, numbers: dict[str, Decimal], section: str, key: str
    ) -> Decimal:
        try:
            return program.run(numbers)
        except EvaluationFailure as failure:
            raise self._failed(failure, section, key) from None

    def _model(self, usage: _Usage, plan_key: str) -> Program | None:
        if usage.model_name is None:
            program = self._lookup(plan_key, "models", DEFAULT_KEY)
            if program is None and not _needs_no_model(usage):
                raise PricingFailure("DU004", {"model": None, "message": _NO_MODEL})
        else:
            match = match_model(self.source, plan_key, usage.model_name)
            if match is None:
                raise PricingFailure("DU004", {"model": usage.model_name})
            program = match[2]
        if program is not None:
            if len(self._models) >= CACHE_ENTRIES:
                self._models.clear()
            self._models[plan_key, usage.model_name] = program
        return program

    def _lookup(self, plan_key: str, section: str, key: str) -> Program | None:
        """The rate of exactly this key, the plan's before the base's."""
        cached = plan_key, section, key
        if cached in self._named:
            return self._named[cached]
        program = self.source.find(plan_key, section, key) if plan_key else None
        if program is None:
            program = self.source.find("", section, key)
        if len(self._named) >= CACHE_ENTRIES:
            self._named.clear()
        self._named[cached] = program
        return program

    def _summed_sections(
        self, plan_key: str
    ) -> tuple[list[tuple[str, Program]], list[tuple[str, Program]]]:
        """The rates of search and of cache, which every usage is priced with."""
        if len(self._summed) >= CACHE_ENTRIES:
            self._summed.clear()
        sections = self._section(plan_key, "search"), self._section(plan_key, "cache")
        self._summed[plan_key] = sections
        return sections

    def _section(self, plan_key: str, section: str) -> list[tuple[str, Program]]:
        """All rates of a section in the order of their keys, the plan's replacing the base's."""
        merged = dict(self.source.section("", section))
        if plan_key:
            merged.update(self.source.section(plan_key, section))
        return sorted(merged.items())

    def _sum_section(
        self, section: str, rates: list[tuple[str, Program]], numbers: dict[str, Decimal]
    ) -> Decimal:
        total = _NIL
        for key, program in rates:
            total = _SUM.add(total, self._run(program, numbers, section, key))
        return total

    def _price_tools(self, usage: _Usage, plan_key: str, warnings: list[dict[str, Any]]) -> Decimal:
        """Tools with a rate of their own one by one, all others together with the default."""
        total, others = _NIL, usage.unnamed_calls
        default = self._lookup(plan_key, "tools", DEFAULT_KEY)
        unpriced: list[str | None] = [None] if others else []
        for name, count in sorted(usage.calls.items()):
            program = None if name == DEFAULT_KEY else self._lookup(plan_key, "tools", name)
            if program is None:
                others = _SUM.add(others, Decimal(count))
                unpriced.append(name)
            else:
                numbers = {**usage.numbers, "tool_calls": Decimal(count)}
                total = _SUM.add(total, self._run(program, numbers, "tools", name))
        if default is None:
            warnings.extend({"code": "unpriced_tool", "tool": name} for name in unpriced)
        elif others:
            numbers = {**usage.numbers, "tool_calls": others}
            total = _SUM.add(total, self._run(default, numbers, "tools", DEFAULT_KEY))
        return total


_NO_MODEL = "The usage names no model, and the pricing has no _default."
_WITHOUT_MODEL = ("search", "cache", "web_search_calls", "code_exec_calls", "tool_calls")


def match_model(
    source: RateSource, plan_key: str, model_name: str
) -> tuple[str, str, Program] | None:
    """Which rate prices a model: (plan key, key, program), the plan's rates before the base's.

    In each: the exact name, else the longest key that is a prefix of it, else the default.
    """
    for owner in (plan_key, "") if plan_key else ("",):
        program = source.find(owner, "models", model_name)
        if program is not None:
            return owner, model_name, program
        match = source.longest_prefix(owner, "models", model_name)
        if match is not None:
            return owner, match[0], match[1]
        program = source.find(owner, "models", DEFAULT_KEY)
        if program is not None:
            return owner, DEFAULT_KEY, program
    return None


def _needs_no_model(usage: _Usage) -> bool:
    """Whether all that was used is tools, search and caches, which models do not price."""
    return not any(
        value and not name.startswith(_WITHOUT_MODEL) for name, value in usage.numbers.items()
    )


def _invalid(argument: str, message: str) -> PricingFailure:
    sentence = message if message.endswith("?") else f"{message}."
    return PricingFailure("DU017", {"argument": "metrics", "metric": argument, "message": sentence})


def _decode(metrics_text: str) -> Any:
    """The metrics, quickest where the text begins and ends with its value, as jsonb's does."""
    try:
        try:
            metrics, end = _DECODER.scan_once(metrics_text, 0)
        except StopIteration:
            end = -1
        return metrics if end == len(metrics_text) else _DECODER.decode(metrics_text)
    except (ValueError, ArithmeticError, RecursionError):
        raise _invalid("metrics", "the metrics are not valid JSON") from None


def _check_bytes(metrics_text: str) -> None:
    size = len(metrics_text.encode())
    if size > METRICS_BYTES_LIMIT:
        raise _invalid("metrics", f"the metrics have {size} bytes, more than 64 kB")


def metric_number(name: str, value: Any) -> Decimal:
    """A metric's value as a plain decimal, or a refusal that says what is wrong with it."""
    if type(value) is int:
        value = Decimal(value)
    if not isinstance(value, Decimal):
        raise _invalid(name, f"the metric '{name}' must be a number")
    if not value.is_finite():
        raise _invalid(name, f"the metric '{name}' must be finite")
    if value < 0:
        raise _invalid(name, f"the metric '{name}' must not be negative")
    if value > MAGNITUDE_LIMIT:
        raise _invalid(name, f"the metric '{name}' is beyond 10^26")
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -METRIC_FRACTION_DIGITS:
        raise _invalid(
            name, f"the metric '{name}' has more than {METRIC_FRACTION_DIGITS} fraction digits"
        )
    if isinstance(exponent, int) and exponent > 0:
        # Positional, as a database writes it: its scale then counts from zero in every host.
        return Decimal(format(value, "f")) if value else _NIL
    return value.copy_abs()


def _metric_text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= NAME_LENGTH_LIMIT:
        raise _invalid(name, f"'{name}' must be a text of 1 to {NAME_LENGTH_LIMIT} characters")
    return value


def _read_calls(value: Any, usage: _Usage) -> None:
    """Tool calls: a number, an object of counts, or a list of names or of objects with a name."""
    calls: dict[str, int] = {}
    if isinstance(value, list):
        for call in value:
            name = _metric_text("tool_calls", call.get("name") if isinstance(call, dict) else call)
            calls[name] = calls.get(name, 0) + 1
        total = Decimal(len(value))
    elif isinstance(value, dict):
        total = _NIL
        for name, given in value.items():
            count = metric_number("tool_calls", given)
            if count != count.to_integral_value():
                raise _invalid("tool_calls", "counts of tool calls must be whole numbers")
            total = metric_number("tool_calls", _SUM.add(total, count))
            if count:
                calls[_metric_text("tool_calls", name)] = int(count)
    else:
        total = usage.unnamed_calls = metric_number("tool_calls", value)
    usage.calls = calls
    usage.numbers["tool_calls"] = total
