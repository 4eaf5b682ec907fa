"""Publishing pricing in tests, on either evaluator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ducto_pg.exact_json import dumps
from tests.support.databases import Connection


def publish(
    connection: Connection, config: Mapping[str, Any], label: str | None = None
) -> dict[str, Any]:
    """Publish a config and return the new version, as `ducto_pricing_set` describes it."""
    row = connection.execute(
        "select ducto_pricing_set(p_config => %s::jsonb, p_label => %s)", [dumps(config), label]
    ).fetchone()
    assert row is not None
    version: dict[str, Any] = row[0]
    return version
