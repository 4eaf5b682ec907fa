"""Installing through a store, and the engine that a manager keeps for pricing offline."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import psycopg
import psycopg_pool
import pytest

from ducto_pg import (
    AsyncCreditManager,
    AsyncPostgresStore,
    ConfigError,
    CreditManager,
    MigrationError,
    PlanConfig,
    PostgresStore,
    PricingConfig,
    PricingEngine,
    SpendCap,
    UnavailableError,
)
from tests.client.test_manager import AsyncRecorder, Recorder
from tests.support.databases import Connection

CONFIG = {"models": {"m": "input_tokens * 2"}, "fixed": {"report": 75}}


def test_a_dsn_a_connection_and_a_pool_install(empty_dsn: str) -> None:
    for _ in range(2):
        with PostgresStore(empty_dsn) as store:
            CreditManager(store).setup()
            assert CreditManager(store).get_balance("ann").balance == 0
    with psycopg.connect(empty_dsn) as connection:
        CreditManager(PostgresStore(connection)).setup()
    with psycopg_pool.ConnectionPool(empty_dsn, min_size=1, max_size=1, open=True) as pool:
        CreditManager(PostgresStore(pool)).setup()


def test_an_engine_is_published_where_nothing_was(empty_dsn: str) -> None:
    engine = PricingEngine.from_dict(CONFIG)
    with PostgresStore(empty_dsn) as store:
        manager = CreditManager(store, engine)
        manager.setup()
        manager.add_credits("ann", 10)
        assert manager.deduct("ann", {"model": "m", "input_tokens": 2}).cost == 4
        CreditManager(store, PricingEngine.from_dict({"models": {"m": 9}})).setup()
        assert [version.version for version in manager.list_pricing()] == [1]
        assert manager.get_pricing().config == CONFIG


def test_an_asynchronous_dsn_and_pool_install(empty_dsn: str) -> None:
    async def work() -> None:
        async with AsyncPostgresStore(empty_dsn) as store:
            await AsyncCreditManager(store).setup()
        async with psycopg_pool.AsyncConnectionPool(empty_dsn, min_size=1, open=False) as pool:
            manager = AsyncCreditManager(AsyncPostgresStore(pool))
            await manager.setup()
            assert (await manager.get_balance("ann")).balance == 0
        async with await psycopg.AsyncConnection.connect(empty_dsn) as connection:
            with pytest.raises(MigrationError, match="ducto migrate"):
                await AsyncCreditManager(AsyncPostgresStore(connection)).setup()

    asyncio.run(work())


def test_a_store_that_cannot_install_says_how(empty_dsn: str) -> None:
    with pytest.raises(MigrationError, match=r"`ducto migrate` .* `ducto migrate --sql`"):
        CreditManager(Recorder({})).setup()
    with pytest.raises(MigrationError, match="ducto migrate"):
        asyncio.run(AsyncCreditManager(AsyncRecorder({})).setup())
    with pytest.raises(UnavailableError):
        CreditManager(PostgresStore("postgresql://127.0.0.1:1/none")).setup()


def test_the_engine_is_the_one_given_loaded_or_published(db_portable: Connection) -> None:
    store = PostgresStore(db_portable)
    given = PricingEngine.from_dict({"models": {"m": 1}})
    assert CreditManager(store, given).engine is given
    assert CreditManager(store).engine is None
    manager = CreditManager(store)
    manager.publish_pricing(CONFIG)
    assert manager.engine is not None
    assert manager.engine.get_fixed_cost("report") == 75
    CreditManager(store).publish_pricing_from_dict({"models": {"m": 5}}, "dearer")
    assert manager.engine.calculate({"model": "m", "input_tokens": 2}).total == 4
    assert manager.load_pricing_from_store().calculate({"model": "m"}).total == 5


def test_a_typed_config_is_published_as_the_format_has_it(db_portable: Connection) -> None:
    manager = CreditManager(PostgresStore(db_portable))
    config = PricingConfig(
        models={"m": "input_tokens * 2"},
        scale=6,
        plans=[PlanConfig(id="pro", free_allowance=Decimal("2.5"))],
    )
    assert manager.validate_pricing(config).valid
    version = manager.publish_pricing(config, label="typed")
    assert version.config == config.to_dict()
    assert manager.calculate({"model": "m", "input_tokens": 2}, config=config).total == 4
    assert [plan.free_allowance for plan in manager.list_plans()] == [Decimal("2.5")]


def test_a_config_that_is_wrong_costs_no_call() -> None:
    store = Recorder({})
    with pytest.raises(ConfigError) as caught:
        CreditManager(store).publish_pricing_from_dict({"models": {"m": "input_token"}})
    assert isinstance(caught.value, ValueError)
    assert caught.value.detail["errors"][0]["path"] == "models.m"
    assert store.calls == []


def test_a_cap_is_set_in_one_piece(db_portable: Connection) -> None:
    store = PostgresStore(db_portable)
    cap = SpendCap(user_id="ann", cap_type="daily", limit=Decimal(5), action="warn", model="m")
    for answer in (store.set_spend_cap(cap), CreditManager(store).set_spend_cap(cap)):
        assert (answer.cap_type, answer.action, answer.model) == ("daily", "warn", "m")
    assert len(CreditManager(store).list_spend_caps("ann")) == 1


def test_a_sweep_sums_what_lapsed() -> None:
    rows = [
        {"user_id": "ann", "expired": Decimal("1.5"), "lots": 2},
        {"user_id": "bob", "expired": Decimal(2), "lots": 1},
    ]
    swept = CreditManager(Recorder({"ducto_sweep_expired_credits": rows})).sweep_expired_credits()
    assert (swept.count, swept.amount) == (3, Decimal("3.5"))
    assert [account.user_id for account in swept.accounts] == ["ann", "bob"]
