"""The ledger as tests speak to it: named calls, exact answers, a clock, and refusals that prove
that nothing was written.

All calls of a test run in one transaction that is rolled back, so tests share one database; a
refused call is undone by its savepoint, as in an application that handles the error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from ducto_pg.exact_json import dumps
from tests.support.databases import Connection, loads
from tests.support.pricing import publish

MODELS = {"gpt-4": "input_tokens * 0.03 + output_tokens * 0.06", "mini": "input_tokens * 0.001"}


class Json(str):
    """JSON text that is sent as it stands: `Json('null')`, `Json('[1]')`."""

    __slots__ = ()


def utc(year: int, month: int = 1, day: int = 1, hour: int = 0, minute: int = 0) -> datetime:
    """An instant in UTC."""
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


READ_AS = {"credit_accounts": "accounts_now", "credit_lots": "lots_now"}
HEADROOM = [
    *("draw_lot", "draw_free", "drawn", "headroom", "headroom_version", "headroom_plan"),
    "headroom_models",
    "headroom_except",
    *("headroom_until", "hold_floor"),
]


class Ledger:
    """One database's ledger, inside one transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    # --- calls -------------------------------------------------------------------------------

    def call(self, name: str, /, **arguments: Any) -> Any:
        """`call("deduct", user_id=...)` is `select ducto_deduct(p_user_id => ...)`."""
        row = self.connection.execute(*_statement(name, arguments)).fetchone()
        assert row is not None
        return row[0]

    def rows(self, name: str, /, **arguments: Any) -> list[dict[str, Any]]:
        """The same for functions that return a table."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(*_statement(name, arguments)).fetchall()

    def refused(self, code: str, name: str, /, **arguments: Any) -> dict[str, Any]:
        """The DETAIL of the error that the call raises; it must leave nothing behind."""
        before = self.snapshot()
        try:
            with self.connection.transaction():
                result = self.call(name, **arguments)
        except psycopg.Error as error:
            assert error.sqlstate == code, f"{error.sqlstate} instead of {code}: {error}"
            assert self.snapshot() == before
            detail = loads(error.diag.message_detail or "{}")
            assert isinstance(detail, dict)
            assert detail["code"] == code
            assert not re.search(r"\{\w+\}", str(error)), "a placeholder is not filled"
            return {**detail, "message": error.diag.message_primary}
        raise AssertionError(f"{name} was not refused but returned {result}")

    def publish(self, **config: Any) -> int:
        """Publish a pricing of these keys (models, if not given, are MODELS); its version."""
        version: int = publish(self.connection, {"models": MODELS, **config})["version"]
        return version

    def grant(self, user_id: str, amount: Decimal | int | str, **arguments: Any) -> dict[str, Any]:
        """ducto_add_credits."""
        return self._object("add_credits", user_id=user_id, amount=Decimal(amount), **arguments)

    def spend(self, user_id: str, amount: Decimal | int | str, **arguments: Any) -> dict[str, Any]:
        """ducto_deduct_amount."""
        return self._object("deduct_amount", user_id=user_id, amount=Decimal(amount), **arguments)

    def use(self, user_id: str, metrics: Mapping[str, Any], **arguments: Any) -> dict[str, Any]:
        """ducto_deduct."""
        return self._object("deduct", user_id=user_id, metrics=metrics, **arguments)

    def hold(self, user_id: str, amount: Decimal | int | str, **arguments: Any) -> dict[str, Any]:
        """ducto_reserve of an amount."""
        return self._object("reserve", user_id=user_id, amount=Decimal(amount), **arguments)

    def settle(self, hold: Mapping[str, Any], **arguments: Any) -> dict[str, Any]:
        """ducto_settle."""
        return self._object("settle", reservation_id=hold["reservation_id"], **arguments)

    def refund(self, charge: Mapping[str, Any], **arguments: Any) -> dict[str, Any]:
        """ducto_refund."""
        return self._object("refund", transaction_id=charge["transaction_id"], **arguments)

    def _object(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        result = self.call(name, **arguments)
        assert isinstance(result, dict)
        return result

    # --- reads -------------------------------------------------------------------------------

    def balance(self, user_id: str) -> dict[str, Any]:
        """ducto_get_balance."""
        return self._object("get_balance", user_id=user_id)

    def amounts(self, user_id: str) -> tuple[Any, Any, Any, Any]:
        """balance, allowance_remaining, held and debt of ducto_get_balance."""
        found = self.balance(user_id)
        assert found["available"] == (
            found["balance"] + found["allowance_remaining"] - found["held"]
        )
        return found["balance"], found["allowance_remaining"], found["held"], found["debt"]

    def entries(self, user_id: str, **arguments: Any) -> list[dict[str, Any]]:
        """ducto_list_transactions, the oldest first."""
        return self.rows("list_transactions", user_id=user_id, **arguments)[::-1]

    def lots(self, user_id: str, **having: Any) -> list[dict[str, Any]]:
        """ducto_list_lots, those that have these values, the oldest first."""
        found = [
            lot
            for lot in self.rows("list_lots", user_id=user_id)
            if all(lot[key] == value for key, value in having.items())
        ]
        return sorted(found, key=lambda lot: int(lot["lot_id"]))

    def events(self, user_id: str) -> list[tuple[str, dict[str, Any]]]:
        """The events of an account that no ledger entry tells, without their prefix."""
        found = self.connection.execute(
            "select type, data from ducto.credit_events where account_id = %s order by id",
            [user_id],
        ).fetchall()
        return [(kind.removeprefix("credits."), data) for kind, data in found]

    def event_types(self, user_id: str) -> list[str]:
        """Their types."""
        return [kind for kind, _ in self.events(user_id)]

    def value(self, query: str, *parameters: Any) -> Any:
        """The one value of a query."""
        row = self.connection.execute(query.encode(), parameters).fetchone()
        assert row is not None
        return row[0]

    # --- the world around it -----------------------------------------------------------------

    def at(self, instant: datetime | str) -> None:
        """Set the clock, as the owner of the database allows it."""
        self.connection.execute(
            "insert into ducto.settings values ('test_clock', 'on') on conflict do nothing"
        )
        self.connection.execute("select set_config('ducto.clock', %s, false)", [str(instant)])

    def setting(self, key: str, value: str) -> None:
        """An installation setting, written by the owner."""
        self.connection.execute(
            "insert into ducto.settings values (%s, %s)"
            " on conflict (key) do update set value = excluded.value",
            [key, value],
        )

    def violations(self) -> list[dict[str, Any]]:
        """ducto_check."""
        return self.rows("check")

    def snapshot(self) -> dict[str, str]:
        """A digest of every table, to see whether anything was written.

        Accounts and lots as readings see them: a headroom may be closed, and then is settled.
        """
        tables = self.connection.execute(
            "select c.relname from pg_class c where c.relnamespace = 'ducto'::regnamespace"
            " and c.relkind = 'r' order by c.relname"
        ).fetchall()
        digest = sql.SQL(
            "select {}, md5(string_agg(d.t::text, ',' order by d.t::text))"
            " from (select to_jsonb(t) - {}::text[] as t from ducto.{} t) d"
        )
        query = sql.SQL(" union all ").join(
            digest.format(
                sql.Literal(name),
                sql.Literal(HEADROOM if name == "credit_accounts" else []),
                sql.Identifier(READ_AS.get(name, name)),
            )
            for (name,) in tables
        )
        return dict(self.connection.execute(query).fetchall())


def _statement(name: str, arguments: Mapping[str, Any]) -> tuple[sql.Composed, list[Any]]:
    parts = [
        sql.SQL("{} => {}").format(
            sql.Identifier(f"p_{key}"),
            sql.SQL("%s::jsonb") if isinstance(value, dict | list | Json) else sql.Placeholder(),
        )
        for key, value in arguments.items()
    ]
    statement = sql.SQL("select * from public.{}({})").format(
        sql.Identifier(f"ducto_{name}"), sql.SQL(", ").join(parts)
    )
    return statement, [_sent(value) for value in arguments.values()]


def _sent(value: Any) -> Any:
    if isinstance(value, Json):
        return str(value)
    if isinstance(value, dict | list):
        return dumps(value)
    return value


def same(left: Any, right: Any) -> bool:
    """Whether two answers are the same to the last digit, whatever the order of their keys."""
    return json.dumps(left, sort_keys=True, default=str) == json.dumps(
        right, sort_keys=True, default=str
    )
