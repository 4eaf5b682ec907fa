"""Offline pricing: the database's own evaluator, without a database.

    engine = PricingEngine.from_dict(config)
    engine.calculate({"model": "gpt-4", "input_tokens": 500}).total

A price is the same Decimal, to the last digit, that the database would charge for the same config,
metrics and plan. Numbers may be int, Decimal or float; a float counts as the digits it is written
with. Errors are the typed exceptions of `ducto_pg.errors`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ducto_pg import errors
from ducto_pg.client.arguments import text
from ducto_pg.client.usage import UsageMetrics
from ducto_pg.exact_json import dumps
from ducto_pg.plpython.config import CheckedConfig
from ducto_pg.plpython.machine import Program
from ducto_pg.plpython.names import DEFAULT_KEY, METRICS_BYTES_LIMIT, nearest
from ducto_pg.plpython.runtime import Pricing, PricingFailure, match_model, number_text
from ducto_pg.pricing.typed import PricingConfig, plain_config

__all__ = ["CostBreakdown", "PricingEngine"]


@dataclass(frozen=True, slots=True)
class CostBreakdown:
    """What a usage costs. The parts are exact; `total` is rounded once and never negative."""

    model: Decimal
    tools: Decimal
    search: Decimal
    cache: Decimal
    fixed: Decimal
    total: Decimal
    model_name: str | None = None
    warnings: tuple[Mapping[str, Any], ...] = ()


class _Rates:
    """The rates of a checked config, made ready to run when first used."""

    def __init__(self, checked: CheckedConfig) -> None:
        self._texts = checked.rates
        self._programs = checked.programs
        self._ready: dict[str, Program] = {}
        self._sections: dict[tuple[str, str], list[str]] = {}
        for plan_key, section, key in checked.rates:
            self._sections.setdefault((plan_key, section), []).append(key)
        # A name may be far longer than any key, and each prefix of it is a copy.
        self._longest = {
            place: max(len(key) for key in keys) for place, keys in self._sections.items()
        }

    def find(self, plan_key: str, section: str, key: str) -> Program | None:
        """The rate of exactly this key."""
        text = self._texts.get((plan_key, section, key))
        if text is None:
            return None
        ready = self._ready.get(text)
        if ready is None:
            program = self._programs[text]
            ready = Program(program["code"], program["constants"], program["names"])
            self._ready[text] = ready
        return ready

    def longest_prefix(self, plan_key: str, section: str, name: str) -> tuple[str, Program] | None:
        """The rate with the longest key that `name` starts with, the default left out."""
        longest = self._longest.get((plan_key, section), 0)
        for length in range(min(len(name) - 1, longest), 0, -1):
            key = name[:length]
            program = None if key == DEFAULT_KEY else self.find(plan_key, section, key)
            if program is not None:
                return key, program
        return None

    def section(self, plan_key: str, section: str) -> Sequence[tuple[str, Program]]:
        """All rates of a section."""
        found = ((key, self.find(plan_key, section, key)) for key in self.keys(plan_key, section))
        return [(key, program) for key, program in found if program is not None]

    def keys(self, plan_key: str, section: str) -> Sequence[str]:
        """The keys of a section."""
        return self._sections.get((plan_key, section), [])


class PricingEngine:
    """Prices usages with one config. Make one with `from_dict`."""

    def __init__(self, checked: CheckedConfig, config: Mapping[str, Any]) -> None:
        self._config = config
        self._rates = _Rates(checked)
        self._plan_keys = tuple(checked.plan_keys)
        self._pricing = Pricing(self._rates, checked.metric_names, checked.scale, checked.rounding)
        self._min_balance = checked.min_balance
        self._warnings = tuple(checked.warnings)

    @classmethod
    def from_dict(cls, config: PricingConfig | Mapping[str, Any]) -> PricingEngine:
        """An engine for a config; raises ConfigError with every error if it is not valid."""
        plain: object = plain_config(config)
        if not isinstance(plain, Mapping):
            raise errors.ConfigError("The pricing config must be an object.")
        checked = CheckedConfig(dict(plain))
        if checked.errors:
            raise _invalid_config(checked.errors)
        return cls(checked, plain)

    @property
    def min_balance(self) -> Decimal:
        """The floor of a balance that the config sets."""
        return self._min_balance

    @property
    def warnings(self) -> tuple[Mapping[str, Any], ...]:
        """Prices that are zero or negative for typical usage."""
        return self._warnings

    def calculate(
        self, metrics: UsageMetrics | Mapping[str, Any], plan: str | None = None
    ) -> CostBreakdown:
        """The price of one usage in credits, for accounts of a plan if one is named.

        Raises UnknownModelError, EvaluationError, InvalidArgumentError, PlanNotFoundError.
        """
        plan_key = self._plan_key(plan)
        try:
            price = self._pricing.price(_prepared(metrics), plan_key)
        except PricingFailure as failure:
            raise _typed(failure) from None
        return CostBreakdown(
            model=_trimmed(price.model),
            tools=_trimmed(price.tools),
            search=_trimmed(price.search),
            cache=_trimmed(price.cache),
            fixed=_trimmed(price.fixed),
            total=_trimmed(price.total),
            model_name=price.model_name,
            warnings=tuple(price.warnings),
        )

    def calculate_batch(
        self, usages: Iterable[UsageMetrics | Mapping[str, Any]], plan: str | None = None
    ) -> list[CostBreakdown]:
        """The prices of several usages, in order; the first that has none raises."""
        if isinstance(usages, str | Mapping) or not isinstance(usages, Iterable):
            raise _refused("The usages must be a list.")
        return [self.calculate(metrics, plan) for metrics in usages]

    def get_fixed_cost(self, job_name: str, plan: str | None = None) -> Decimal | None:
        """The price of a job of the `fixed` section, in credits; None if there is no such job."""
        plan_key = self._plan_key(plan)
        try:
            return _trimmed(self._pricing.fixed_cost(text("job_name", job_name), plan_key))
        except PricingFailure as failure:
            if failure.code == errors.UnknownFixedJobError.code:
                return None
            raise _typed(failure) from None

    def has_model(self, model: str, plan: str | None = None) -> bool:
        """Whether exactly this model has a price of its own."""
        match = match_model(self._rates, self._plan_key(plan), text("model", model))
        return match is not None and match[1] == model

    def resolve_model(self, model: str, plan: str | None = None) -> str | None:
        """The key of `models` that prices this model: itself, the longest prefix, the default.

        None when nothing matches.
        """
        match = match_model(self._rates, self._plan_key(plan), text("model", model))
        return None if match is None else match[1]

    def pricing_schema(self) -> PricingConfig:
        """The config this engine prices by, typed."""
        return PricingConfig.from_dict(self._config)

    def _plan_key(self, plan: str | None) -> str:
        if plan is None or text("plan", plan) in self._plan_keys:
            return plan or ""
        raise errors.PlanNotFoundError(
            f"There is no plan {plan[:200]!r} in this pricing.",
            detail={"plan_key": plan, "nearest": nearest(plan, self._plan_keys)},
        )


def _invalid_config(found: list[dict[str, Any]]) -> errors.DuctoError:
    only_expressions = all(error["code"] == "DU005" for error in found)
    kind = errors.InvalidExpressionError if only_expressions else errors.ConfigError
    first = found[0]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    place = f"{first['path']}: " if first["path"] else ""
    return kind(f"{place}{first['message']}{more}", detail={"errors": found})


def _typed(failure: PricingFailure) -> errors.DuctoError:
    detail = dict(failure.detail)
    message = detail.pop("message", None)
    if message is None and failure.code == "DU004":
        message = f"The model {detail['model']!r} has no price, and there is no _default."
    elif message is None and failure.code == "DU018":
        message = f"The job {detail['job_name']!r} has no fixed price."
    kind = errors.CLASSES[failure.code]
    return kind(message, detail=detail)


def _trimmed(value: Decimal) -> Decimal:
    return Decimal(number_text(value))


def _prepared(usage: UsageMetrics | Mapping[str, Any]) -> dict[str, Any]:
    """The metrics as a database passes them: numbers as Decimal, bounded in size."""
    try:
        metrics = usage.to_dict() if isinstance(usage, UsageMetrics) else usage
        if not isinstance(metrics, Mapping):
            raise _refused("The metrics must be an object.")
        if not all(isinstance(name, str) for name in metrics):
            raise _refused("The names of metrics must be text.")
        prepared = {name: _exact(value) for name, value in metrics.items()}
        calls = prepared.get("tool_calls")
        size = len(dumps(calls)) if isinstance(calls, dict | list) else 0
    except errors.DuctoError:
        raise
    except Exception as error:  # what a caller passes may be of any class, with code of its own
        raise _refused(f"The metrics cannot be written as JSON: {error}.") from None
    if size > METRICS_BYTES_LIMIT:
        raise _refused("The metrics are larger than 64 kB.")
    return prepared


def _refused(sentence: str) -> errors.InvalidArgumentError:
    return errors.InvalidArgumentError(sentence, detail={"argument": "metrics"})


def _exact(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return Decimal(value)
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, Decimal):
        return value
    if isinstance(value, Mapping):
        return {name: _exact(count) for name, count in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(item) for item in value]
    return value
