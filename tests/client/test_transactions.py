"""The charge and the application's own rows are one: committed together, or gone together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from ducto_pg import (
    AsyncCreditManager,
    AsyncPostgresStore,
    CreditManager,
    InsufficientCreditsError,
    PostgresStore,
)
from tests.conftest import MakeDb


@pytest.fixture
def dsn(make_db: MakeDb) -> Iterator[str]:
    dsn = make_db("portable")
    with psycopg.connect(dsn) as connection:
        connection.execute("create table notes (id int)")
        CreditManager(PostgresStore(connection)).add_credits("ann", 10)
    yield dsn


def state(dsn: str) -> tuple[Decimal, int]:
    """What ann has, and how many notes there are."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute("select count(*) from notes").fetchone()
        assert row is not None
        return CreditManager(PostgresStore(connection)).get_balance("ann").balance, row[0]


@pytest.mark.parametrize("fails", [False, True])
def test_in_a_session_of_sqlalchemy(dsn: str, fails: bool) -> None:
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(dsn))

    def work() -> None:
        with Session(engine) as session, session.begin():
            raw: Any = session.connection().connection.driver_connection
            manager = CreditManager(PostgresStore(raw))
            manager.deduct_amount("ann", 4)
            with pytest.raises(InsufficientCreditsError):
                manager.deduct_amount("ann", 40)
            session.execute(text("insert into notes values (1)"))
            if fails:
                raise ZeroDivisionError

    if fails:
        with pytest.raises(ZeroDivisionError):
            work()
    else:
        work()
    engine.dispose()
    assert state(dsn) == ((Decimal(10), 0) if fails else (Decimal(6), 1))


@pytest.mark.parametrize("fails", [False, True])
def test_in_an_asynchronous_session_of_sqlalchemy(dsn: str, fails: bool) -> None:
    async def work() -> None:
        async def connect() -> psycopg.AsyncConnection[Any]:
            return await psycopg.AsyncConnection.connect(dsn)

        engine = create_async_engine("postgresql+psycopg://", async_creator=connect)
        try:
            async with AsyncSession(engine) as session, session.begin():
                raw: Any = await (await session.connection()).get_raw_connection()
                manager = AsyncCreditManager(AsyncPostgresStore(raw.driver_connection))
                await manager.deduct_amount("ann", 4)
                await session.execute(text("insert into notes values (1)"))
                if fails:
                    raise ZeroDivisionError
        finally:
            await engine.dispose()

    if fails:
        with pytest.raises(ZeroDivisionError):
            asyncio.run(work())
    else:
        asyncio.run(work())
    assert state(dsn) == ((Decimal(10), 0) if fails else (Decimal(6), 1))


def test_a_billed_call_that_is_cancelled_gives_its_hold_back(dsn: str) -> None:
    async def work() -> None:
        async with AsyncPostgresStore(dsn) as store:
            manager = AsyncCreditManager(store)

            async def call() -> None:
                async with manager.billed("ann", 8) as bill:
                    assert (await manager.get_balance("ann")).held == 8
                    bill.settle(amount=3)
                    await asyncio.sleep(60)

            with pytest.raises(TimeoutError):
                await asyncio.wait_for(call(), 0.5)
            balance = await manager.get_balance("ann")
            assert (balance.held, balance.balance) == (Decimal(0), Decimal(10))

    asyncio.run(work())


def test_a_settlement_whose_answer_was_lost_is_sent_again(dsn: str) -> None:
    with PostgresStore(dsn) as store:
        manager = CreditManager(store)
        with manager.billed("ann", 8) as bill:
            bill.settle(amount=3)
        again = manager.settle(bill.reservation_id, amount=3)
        assert again.replayed
        assert manager.get_balance("ann").balance == 7
