"""Usage credits inside PostgreSQL: install the schema, charge usage, read balances.

Importing this package is cheap: the public names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ducto_pg.async_manager import AsyncCreditManager
    from ducto_pg.engine import PricingEngine
    from ducto_pg.errors import DuctoError
    from ducto_pg.manager import CreditManager
    from ducto_pg.store import AsyncPostgresStore, PostgresStore

__version__ = "0.1.0"

__all__ = [
    "AsyncCreditManager",
    "AsyncPostgresStore",
    "CreditManager",
    "DuctoError",
    "PostgresStore",
    "PricingEngine",
]

_HOMES = {
    "AsyncCreditManager": "async_manager",
    "AsyncPostgresStore": "store",
    "CreditManager": "manager",
    "DuctoError": "errors",
    "PostgresStore": "store",
    "PricingEngine": "engine",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
