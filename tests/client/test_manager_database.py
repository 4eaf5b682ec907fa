"""The manager against a database, with both evaluators, in the caller's own transaction."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ducto_pg.client.manager import CreditManager
from ducto_pg.client.store import PostgresStore
from ducto_pg.errors import (
    ConfigError,
    IdempotencyConflictError,
    InsufficientCreditsError,
    InvalidArgumentError,
    InvalidExpressionError,
    PermissionDeniedError,
    PricingNotLoadedError,
    UnknownModelError,
    VersionNotFoundError,
)
from tests.support.databases import Connection

CONFIG: dict[str, Any] = {
    "models": {"gpt-4": "input_tokens * 0.03 + output_tokens * 0.06"},
    "tools": {"_default": "tool_calls * 0.5"},
    "fixed": {"report": 75},
    "scale": 6,
}
USAGE = {"model": "gpt-4", "input_tokens": 500, "output_tokens": 200, "tool_calls": ["a", "b"]}
D = Decimal


@pytest.fixture
def manager(both: Connection) -> CreditManager:
    manager = CreditManager(PostgresStore(both))
    manager.publish_pricing(CONFIG, label="test")
    manager.add_credits("ann", 100, tx_type="purchase")
    return manager


def test_a_charge_tells_everything(manager: CreditManager) -> None:
    charge = manager.deduct("ann", USAGE, idempotency_key="k", metadata={"chat": 42})
    assert charge.ok
    assert charge.breakdown is not None
    assert (charge.breakdown.model, charge.breakdown.tools) == (D(27), D(1))
    assert (charge.cost, charge.amount, charge.allowance_consumed) == (D(28), D(28), D(0))
    assert (charge.balance_after, charge.pricing_version) == (D(72), 1)
    (entry, _) = manager.list_transactions("ann")
    assert entry.transaction_id == charge.transaction_id
    assert (entry.amount, entry.balance_after, entry.model) == (D(-28), D(72), "gpt-4")
    assert entry.metadata == {"chat": 42}
    assert entry.created_at.tzinfo is not None


def test_a_key_charges_once_and_conflicts_with_other_arguments(manager: CreditManager) -> None:
    first = manager.deduct("ann", USAGE, idempotency_key="k")
    again = manager.deduct("ann", USAGE, idempotency_key="k")
    assert (again.transaction_id, again.replayed) == (first.transaction_id, True)
    with pytest.raises(IdempotencyConflictError):
        manager.deduct("ann", {**USAGE, "input_tokens": 1}, idempotency_key="k")


def test_fixed_jobs_and_amounts(manager: CreditManager) -> None:
    assert manager.deduct_fixed("ann", "report").cost == 75
    assert manager.deduct_amount("ann", "0.000000000001").balance_after == D("24.999999999999")


def test_a_denial_leaves_the_transaction_usable_and_is_recorded(
    manager: CreditManager, both: Connection
) -> None:
    both.execute("create table notes (id integer)")
    with both.transaction():
        with pytest.raises(InsufficientCreditsError) as caught:
            manager.deduct_amount("ann", 1000)
        both.execute("insert into notes values (1)")
    assert caught.value.detail["required"] == 1000
    assert both.execute("select count(*) from notes").fetchone() == (1,)
    events = both.execute("select type from ducto.credit_events").fetchall()
    assert ("credits.deduct_failed",) in events


def test_a_charge_is_undone_with_its_transaction(manager: CreditManager, both: Connection) -> None:
    with pytest.raises(ZeroDivisionError), both.transaction():
        manager.deduct_amount("ann", 10)
        raise ZeroDivisionError
    assert manager.get_balance("ann").balance == 100


@pytest.mark.parametrize(
    ("metrics", "error"),
    [
        ({"model": "none"}, UnknownModelError),
        ({"model": "gpt-4", "input_token": 1}, InvalidArgumentError),
        ({"model": "gpt-4", "input_tokens": -1}, InvalidArgumentError),
        ({"model": "gpt-4", "input_tokens": "1"}, InvalidArgumentError),
        ([1], InvalidArgumentError),
    ],
)
def test_a_usage_that_has_no_price_is_an_error(
    manager: CreditManager, metrics: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        manager.deduct("ann", metrics)
    assert manager.get_balance("ann").balance == 100


def test_grants_lots_and_balances(manager: CreditManager) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    grant = manager.add_credits("ann", "5.5", tx_type="promo", expires_at=until, priority=1)
    assert (grant.amount, grant.balance_after, grant.expires_at) == (D("5.5"), D("105.5"), until)
    lots = manager.list_lots("ann")
    assert [(lot.kind, lot.remaining) for lot in lots] == [("promo", D("5.5")), ("purchase", 100)]
    manager.deduct_amount("ann", 6)
    balance = manager.get_balance("ann")
    assert (balance.balance, balance.lifetime_granted, balance.lifetime_spent) == (
        D("99.5"), D("105.5"), D(6),
    )  # fmt: skip
    taken = manager.add_credits("ann", -9)
    assert taken.balance_after == D("90.5")


def test_versions_are_published_listed_activated_compared_and_exported(
    manager: CreditManager,
) -> None:
    second = manager.publish_pricing({**CONFIG, "fixed": {"report": 80}})
    assert (second.version, second.active) == (2, True)
    assert [(v.version, v.active, v.label) for v in manager.list_pricing()] == [
        (2, True, None),
        (1, False, "test"),
    ]
    assert manager.activate_pricing(1).active
    assert manager.get_pricing().version == 1
    assert manager.export_pricing(1) == CONFIG
    (change,) = manager.diff_pricing(1, 2)
    assert (change["path"], change["old_value"], change["new_value"]) == ("fixed.report", 75, 80)
    with pytest.raises(VersionNotFoundError):
        manager.activate_pricing(9)


def test_a_usage_is_priced_by_the_active_pricing_a_version_or_a_config(
    manager: CreditManager,
) -> None:
    manager.publish_pricing({"models": {"gpt-4": 2}})
    assert manager.calculate({"model": "gpt-4"}).total == 2
    assert manager.calculate(USAGE, version=1).total == 28
    inline = manager.calculate(USAGE, config={**CONFIG, "tools": {"_default": "tool_calls * 1.25"}})
    assert inline.breakdown is not None
    assert (inline.total, inline.breakdown.tools) == (D("29.5"), D("2.5"))
    assert len(manager.list_pricing()) == 2


def test_a_config_with_errors_names_them_all(manager: CreditManager) -> None:
    bad = {"models": {"a": "input_token", "b": "1 +"}}
    verdict = manager.validate_pricing(bad)
    assert not verdict.valid
    assert [error["path"] for error in verdict.errors] == ["models.a", "models.b"]
    with pytest.raises(InvalidExpressionError, match=r"models\.a") as caught:
        manager.publish_pricing(bad)
    assert len(caught.value.detail["errors"]) == 2
    with pytest.raises(ConfigError):
        manager.publish_pricing({"modles": {}})
    assert manager.validate_pricing(CONFIG).valid


def test_without_a_pricing_only_amounts_can_be_charged(both: Connection) -> None:
    manager = CreditManager(PostgresStore(both))
    with pytest.raises(PricingNotLoadedError):
        manager.get_pricing()
    manager.add_credits("ann", 5)
    with pytest.raises(PricingNotLoadedError):
        manager.deduct("ann", {"model": "gpt-4"})
    assert manager.deduct_amount("ann", 2).balance_after == 3


def test_a_batch_charges_in_order_and_spoils_nothing(manager: CreditManager) -> None:
    charges: list[dict[str, Any]] = [
        {"user_id": "ann", "metrics": USAGE, "idempotency_key": "a"},
        {"user_id": "bob", "amount": 1, "idempotency_key": "b"},
        {"user_id": "ann", "metrics": {"model": "none"}},
        {"user_id": "ann", "job_name": "report", "idempotency_key": "c"},
        {"user_id": "ann", "amount": D("0.5"), "metadata": {"n": D("0.1")}},
    ]
    results = manager.deduct_batch(charges)
    assert [(r.status, r.code) for r in results] == [
        ("ok", None),
        ("denied", "DU002"),
        ("error", "DU004"),
        ("denied", "DU002"),
        ("ok", None),
    ]
    assert manager.get_balance("ann").balance == D("71.5")
    again = manager.deduct_batch(charges[:2])
    assert [(r.status, r.replayed) for r in again] == [("ok", True), ("denied", False)]


def test_the_version_tells_what_is_installed(manager: CreditManager) -> None:
    version = manager.version()
    assert version["pricing_version"] == 1
    assert version["evaluator"] in ("plpython", "portable")


def test_a_reader_may_look_but_not_charge(both: Connection) -> None:
    both.execute("set role ducto_reader")
    manager = CreditManager(PostgresStore(both))
    assert manager.get_balance("ann").balance == 0
    with pytest.raises(PermissionDeniedError):
        manager.deduct_amount("ann", 1)


def test_usage_is_reported_after_it_happened(manager: CreditManager) -> None:
    before = datetime.now(UTC) - timedelta(hours=30)
    naive = before.replace(tzinfo=None)
    assert manager.deduct("ann", USAGE, occurred_at=naive).ok
    manager.add_credits("ann", 100)
    assert manager.deduct_fixed("ann", "report", occurred_at=before).cost == 75
    assert manager.deduct_batch([{"user_id": "ann", "amount": 1, "occurred_at": naive}])[0].ok
    with pytest.raises(InvalidArgumentError, match="not in the future"):
        manager.deduct_amount("ann", 1, occurred_at=datetime.now(UTC) + timedelta(hours=1))
    window = (before - timedelta(minutes=1), before + timedelta(minutes=1))
    assert manager.aggregate_stats(*window).charges == 3
