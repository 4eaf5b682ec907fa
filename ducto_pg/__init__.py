"""Usage credits inside PostgreSQL: install the schema, charge usage, read balances.

    from ducto_pg import CreditManager, PostgresStore

    manager = CreditManager(PostgresStore(connection))
    charge = manager.deduct("user_abc", {"model": "gpt-4", "input_tokens": 500})

Everything public is imported from here. Importing this package is cheap: each name is loaded when
it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ducto_pg.client.answers import Bill as Bill
    from ducto_pg.client.async_manager import *
    from ducto_pg.client.embedded import *
    from ducto_pg.client.events import *
    from ducto_pg.client.manager import *
    from ducto_pg.client.responses import *
    from ducto_pg.client.results import *
    from ducto_pg.client.store import *
    from ducto_pg.client.supabase import *
    from ducto_pg.client.usage import *
    from ducto_pg.client.webhooks import verify_signature as verify_signature
    from ducto_pg.errors import *
    from ducto_pg.install.embedded import EmbeddedError as EmbeddedError
    from ducto_pg.install.manifest import MigrationError as MigrationError
    from ducto_pg.pricing.engine import *
    from ducto_pg.pricing.typed import *

# Where each public name lives.
_HOMES = {
    "AccountFrozenError": "errors",
    "AsyncCreditManager": "client.async_manager",
    "AsyncEventListener": "client.events",
    "AsyncPostgresStore": "client.store",
    "AsyncStore": "client.store",
    "AsyncSupabaseStore": "client.supabase",
    "SupabaseStore": "client.supabase",
    "Balance": "client.results",
    "BatchItem": "client.results",
    "Breakdown": "client.results",
    "Calculation": "client.results",
    "CapCheck": "client.results",
    "CapReachedError": "errors",
    "Charge": "client.results",
    "ConcurrencyLimitError": "errors",
    "ConfigError": "errors",
    "CostBreakdown": "pricing.engine",
    "CreditEvent": "client.events",
    "CreditEventEmitter": "client.events",
    "CreditManager": "client.manager",
    "DatabaseError": "errors",
    "DuctoError": "errors",
    "EmbeddedStore": "client.embedded",
    "EmbeddedError": "install.embedded",
    "EvaluationError": "errors",
    "EventListener": "client.events",
    "ExpiredAccount": "client.results",
    "DailySpend": "client.results",
    "ModelSpend": "client.results",
    "ReportedSpend": "client.results",
    "Rollup": "client.results",
    "Spend": "client.results",
    "UsageEvent": "client.results",
    "UsageStats": "client.results",
    "UserSpend": "client.results",
    "Explanation": "client.results",
    "Feature": "client.results",
    "FeatureNotEntitledError": "errors",
    "Grant": "client.results",
    "Hold": "client.results",
    "IdempotencyConflictError": "errors",
    "InsufficientCreditsError": "errors",
    "InvalidArgumentError": "errors",
    "InvalidExpressionError": "errors",
    "Bill": "client.answers",
    "Emitter": "client.store",
    "SweepResult": "client.results",
    "ToolCall": "client.usage",
    "UsageMetrics": "client.usage",
    "PlanConfig": "pricing.typed",
    "PricingConfig": "pricing.typed",
    "Lot": "client.results",
    "MigrationError": "install.manifest",
    "NotATeamMemberError": "errors",
    "NotInstalledError": "errors",
    "NotRefundableError": "errors",
    "NotSignedInError": "errors",
    "PermissionDeniedError": "errors",
    "Plan": "client.results",
    "PlanNotFoundError": "errors",
    "PostgresStore": "client.store",
    "PricingEngine": "pricing.engine",
    "PricingNotLoadedError": "errors",
    "PricingVersion": "client.results",
    "Quote": "client.results",
    "Refund": "client.results",
    "RefundExceedsChargeError": "errors",
    "RepricedModel": "client.results",
    "ReservationExpiredError": "errors",
    "ReservationNotFoundError": "errors",
    "Result": "client.results",
    "Revocation": "client.results",
    "SchedulerMissingError": "errors",
    "SpendCap": "client.results",
    "Store": "client.store",
    "TeamNotFoundError": "errors",
    "Team": "client.results",
    "TeamMember": "client.results",
    "Transaction": "client.results",
    "TransactionConflictError": "errors",
    "TransactionNotFoundError": "errors",
    "UnavailableError": "errors",
    "UnknownFixedJobError": "errors",
    "UnknownModelError": "errors",
    "usage_from": "client.responses",
    "verify_signature": "client.webhooks",
    "UserPlan": "client.results",
    "Validation": "client.results",
    "VersionNotFoundError": "errors",
    "Violation": "client.results",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
