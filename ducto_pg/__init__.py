"""Usage credits inside PostgreSQL: install the schema, charge usage, read balances.

    from ducto_pg import CreditManager, PostgresStore

    manager = CreditManager(PostgresStore(connection))
    charge = manager.deduct("user_abc", {"model": "gpt-4", "input_tokens": 500})

Importing this package is cheap: each public name is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ducto_pg.client.async_manager import AsyncCreditManager
    from ducto_pg.client.manager import CreditManager
    from ducto_pg.client.store import AsyncPostgresStore, PostgresStore
    from ducto_pg.errors import DuctoError
    from ducto_pg.pricing.engine import PricingEngine

__all__ = [
    "AsyncCreditManager",
    "AsyncPostgresStore",
    "CreditManager",
    "DuctoError",
    "PostgresStore",
    "PricingEngine",
    "__version__",
]

_HOMES = {
    "AsyncCreditManager": "client.async_manager",
    "AsyncPostgresStore": "client.store",
    "CreditManager": "client.manager",
    "DuctoError": "errors",
    "PostgresStore": "client.store",
    "PricingEngine": "pricing.engine",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
