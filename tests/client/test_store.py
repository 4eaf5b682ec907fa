"""The store: the caller's transaction is the caller's, digits are exact, failures are sentences."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import psycopg_pool
import pytest
from psycopg import pq

from ducto_pg.client.store import AsyncPostgresStore, PostgresStore
from ducto_pg.errors import (
    DatabaseError,
    InvalidArgumentError,
    NotInstalledError,
    UnavailableError,
)
from tests.support.databases import Connection

LONG = Decimal("12345678901234567890.123456789012345678901234567890123456")
ECHO = """
create function public.test_echo(p_json jsonb default null, p_text text default null)
returns jsonb language sql as $$ select jsonb_build_object(
    'json', p_json, 'text', p_text, 'number', 0.1::numeric) $$;
create function public.test_rows(p_count integer) returns table (n integer, half numeric)
language sql as $$ select i, i / 2.0 from generate_series(1, p_count) i $$;
create function public.test_fail() returns void language plpgsql as $$
begin perform ducto.raise_error('DU017', '{"argument": "p_x", "message": "No."}'); end $$;
create function public.test_divide() returns integer language sql as $$ select 1 / 0 $$;
create function public.test_inner() returns integer language plpgsql as $$
begin return nowhere.missing(1); end $$;
create table public.test_notes (id integer);
"""


@pytest.fixture
def echo_dsn(db: Connection, dsn: str) -> str:
    db.execute(ECHO)
    return dsn


@pytest.fixture
def store(echo_dsn: str) -> Iterator[PostgresStore]:
    with PostgresStore(echo_dsn) as store:
        yield store


def test_numbers_arrive_with_all_their_digits(store: PostgresStore) -> None:
    answer = store.call("test_echo", p_json={"amount": LONG, "list": [Decimal("0.10"), 3]})
    assert answer["json"] == {"amount": LONG, "list": [Decimal("0.1"), 3]}
    assert answer["number"] == Decimal("0.1")
    assert type(answer["number"]) is Decimal


def test_a_table_comes_as_dicts(store: PostgresStore) -> None:
    assert store.rows("test_rows", p_count=2) == [
        {"n": 1, "half": Decimal("0.5")},
        {"n": 2, "half": Decimal(1)},
    ]


def test_text_is_never_part_of_the_statement(store: PostgresStore) -> None:
    text = "'); drop table test_notes; -- %s %(p_text)s"
    assert store.call("test_echo", p_text=text)["text"] == text


@pytest.mark.parametrize("name", ["a b", "a;b", 'a"', "A", "", "a" * 64, "é"])
def test_a_name_that_is_no_name_is_refused(store: PostgresStore, name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        store.call(name)
    with pytest.raises(ValueError, match="not a name"):
        store.call("test_echo", **{name: 1})


class Session:
    """Looks like a session of some ORM."""

    def connection(self) -> None:
        """Something else."""


@pytest.mark.parametrize("source", [None, 5, b"postgresql:", Session(), Session, "pool", "mine"])
def test_what_is_no_source_is_refused(source: Any, echo_dsn: str) -> None:
    async def work(source: Any) -> None:
        if source == "mine":
            async with await psycopg.AsyncConnection.connect(echo_dsn) as connection:
                PostgresStore(connection)  # type: ignore[arg-type]
        elif source == "pool":
            PostgresStore(psycopg_pool.AsyncConnectionPool(echo_dsn, open=False))  # type: ignore[arg-type]
        else:
            PostgresStore(source)

    with pytest.raises(InvalidArgumentError, match="source must be a DSN"):
        asyncio.run(work(source))
    if source == "mine":
        with psycopg.connect(echo_dsn) as own:
            source = own
    if source != "pool":
        with pytest.raises(InvalidArgumentError, match="psycopg AsyncConnection"):
            AsyncPostgresStore(source)


def test_a_float_is_refused_as_an_argument(store: PostgresStore) -> None:
    with pytest.raises(InvalidArgumentError, match="text is a float"):
        store.call("test_echo", p_text=0.1)


@pytest.mark.parametrize(
    "value",
    [{"a": object()}, {"a": float("nan")}, {1: 2}, {"a": "\0"}, {"\ud800": 1}, ["\udc00"]],
)
def test_what_json_cannot_hold_is_refused_by_name(store: PostgresStore, value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^json (cannot|contains)") as caught:
        store.call("test_echo", p_json=value)
    assert caught.value.detail == {"argument": "json"}


def test_a_text_with_escapes_in_it_is_just_text(store: PostgresStore) -> None:
    texts = ["\\u0000", "\\ud800", "\U0001f600", "\u00e9"]
    assert store.call("test_echo", p_json=texts)["json"] == texts


def test_an_error_of_the_catalogue_is_its_exception(store: PostgresStore) -> None:
    with pytest.raises(InvalidArgumentError, match=r"No\.") as caught:
        store.call("test_fail")
    assert caught.value.detail["argument"] == "p_x"
    assert isinstance(caught.value.__cause__, psycopg.Error)


def test_any_other_error_is_a_ducto_error_with_its_code(store: PostgresStore) -> None:
    with pytest.raises(DatabaseError, match="division by zero") as caught:
        store.call("test_divide")
    assert caught.value.code == "22012"
    assert isinstance(caught.value.__cause__, psycopg.errors.DivisionByZero)


def test_a_missing_function_says_so(store: PostgresStore) -> None:
    with pytest.raises(NotInstalledError, match=r"no ducto-pg, or an older one: .*ducto_nothing"):
        store.call("ducto_nothing", p_x=1)
    with pytest.raises(DatabaseError, match="nowhere"):
        store.call("test_inner")


def test_a_passed_connection_is_never_committed_nor_closed(echo_dsn: str) -> None:
    with psycopg.connect(echo_dsn) as connection:
        connection.execute("insert into test_notes values (1)")
        with PostgresStore(connection) as store:
            store.call("test_echo")
        assert connection.info.transaction_status == pq.TransactionStatus.INTRANS
        connection.rollback()
        count = connection.execute("select count(*) from test_notes").fetchone()
        assert count == (0,)


def test_a_passed_connection_keeps_its_settings(echo_dsn: str) -> None:
    with psycopg.connect(echo_dsn, row_factory=psycopg.rows.dict_row) as connection:
        PostgresStore(connection).call("test_echo")  # type: ignore[arg-type,unused-ignore]
        row: Any = connection.execute("select '0.1'::jsonb as value").fetchone()
        assert row == {"value": 0.1}
        assert type(row["value"]) is float


def test_a_pool_makes_each_call_its_own_transaction(echo_dsn: str) -> None:
    with psycopg_pool.ConnectionPool(echo_dsn, min_size=1, max_size=1, open=True) as pool:
        store = PostgresStore(pool)
        first = store.call("test_echo")
        with pytest.raises(InvalidArgumentError):
            store.call("test_fail")
        assert store.call("test_echo") == first


def test_a_lost_connection_is_one_sentence_and_the_next_call_opens_another(
    store: PostgresStore, db: Connection
) -> None:
    store.call("test_echo")
    db.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )
    with pytest.raises(UnavailableError) as caught:
        store.call("test_echo")
    assert "\n" not in str(caught.value)
    assert store.call("test_echo")["text"] is None


def test_a_server_that_does_not_answer_is_one_sentence() -> None:
    with pytest.raises(UnavailableError, match="Connection refused") as caught:
        PostgresStore("postgresql://127.0.0.1:1/none").call("ducto_version")
    assert "\n" not in str(caught.value)


def test_the_asynchronous_store_does_the_same(echo_dsn: str) -> None:
    async def work() -> None:
        async with AsyncPostgresStore(echo_dsn) as store:
            answers = await asyncio.gather(*(store.call("test_echo") for _ in range(5)))
            assert answers[0]["number"] == Decimal("0.1")
            assert len(await store.rows("test_rows", p_count=3)) == 3
            with pytest.raises(InvalidArgumentError):
                await store.call("test_fail")
        async with await psycopg.AsyncConnection.connect(echo_dsn) as connection:
            await AsyncPostgresStore(connection).call("test_echo")
            assert connection.info.transaction_status == pq.TransactionStatus.INTRANS
        async with psycopg_pool.AsyncConnectionPool(echo_dsn, min_size=1, open=False) as pool:
            await pool.open()
            assert (await AsyncPostgresStore(pool).call("test_echo"))["text"] is None
        with pytest.raises(UnavailableError):
            await AsyncPostgresStore("postgresql://127.0.0.1:1/none").call("ducto_version")

    asyncio.run(work())
