"""A pricing config, typed: what `PricingEngine.pricing_schema()` returns and publishing takes.

    config = PricingConfig(models={"gpt-4o": "input_tokens * 0.0025"}, fixed={"report": 75})

It holds what the format holds and checks nothing by itself: publishing, or an engine, does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any, Self, TypeAlias

from ducto_pg.errors import ConfigError

__all__ = ["PlanConfig", "PricingConfig"]

Expression: TypeAlias = str | int | Decimal
Rates: TypeAlias = Mapping[str, Expression]


@dataclass(frozen=True)
class _Section:
    """Read from and written to the format, where an absent key is None here."""

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> Self:
        """Read the format's own form; raises ConfigError for a key that it does not have."""
        names = {item.name for item in fields(cls)}
        if not isinstance(config, Mapping):
            raise ConfigError(f"A pricing, or a plan of it, must be an object, not {config!r:.60}.")
        unknown = sorted(str(name) for name in config if name not in names)
        if unknown:
            raise ConfigError(f"The pricing config is not valid: unknown key {unknown[0]!r}.")
        try:
            return cls(**config)
        except TypeError as error:
            raise ConfigError(f"The pricing config is not valid: {error}.") from None

    def to_dict(self) -> dict[str, Any]:
        """The format's own form, without what was left out."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class PlanConfig(_Section):
    """A plan of a pricing; credits are per `period`, and None stands for the format's default."""

    id: str
    name: str | None = None
    default: bool | None = None
    free_allowance: int | Decimal | None = None
    period: str | None = None
    period_anchor: str | None = None
    rollover_max: int | Decimal | None = None
    features: Mapping[str, Any] | Sequence[str] | None = None
    rate_overrides: Mapping[str, Any] | None = None
    default_billing_mode: str | None = None
    overdraft_floor: int | Decimal | None = None
    max_concurrent: int | None = None
    per_operation: Mapping[str, Mapping[str, Any]] | None = None


@dataclass(frozen=True, kw_only=True)
class PricingConfig(_Section):
    """A pricing: one expression per model, tool and job, in credits, and the plans."""

    models: Rates
    version: int | None = None
    description: str | None = None
    tools: Rates | None = None
    search: Rates | None = None
    cache: Rates | None = None
    fixed: Rates | None = None
    metrics: Sequence[str] | None = None
    scale: int | None = None
    rounding: str | None = None
    min_balance: int | Decimal | None = None
    low_balance_thresholds: Sequence[int | Decimal] | None = None
    signup_bonus: int | Decimal | None = None
    plans: Sequence[PlanConfig] = field(default=())

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> Self:
        """Read the format's own form; plans may be a list, or an object by their ids."""
        if not isinstance(config, Mapping):
            raise ConfigError("The pricing config must be an object.")
        plans = config.get("plans") or ()
        if isinstance(plans, Mapping):
            plans = [
                {"id": key, **plan} if isinstance(plan, Mapping) else plan
                for key, plan in plans.items()
            ]
        if isinstance(plans, str) or not isinstance(plans, Sequence):
            raise ConfigError("The plans of a pricing must be a list, or an object by their ids.")
        read = tuple(PlanConfig.from_dict(plan) for plan in plans)
        return super().from_dict({**config, "plans": read})

    def to_dict(self) -> dict[str, Any]:
        """The format's own form, without what was left out."""
        plain = super().to_dict()
        given: object = plain.pop("plans", None)
        if isinstance(given, str) or not isinstance(given, Sequence):
            raise ConfigError("The plans of a pricing must be a list of PlanConfig.")
        plans = [plan.to_dict() if isinstance(plan, PlanConfig) else plan for plan in given]
        return {**plain, "plans": plans} if plans else plain


def plain_config(config: PricingConfig | Mapping[str, Any]) -> Mapping[str, Any]:
    """The format's own form of a config, typed or not."""
    return config.to_dict() if isinstance(config, PricingConfig) else config
