"""What a signed-in user sees: the own account and no other, and nothing without claims."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.support.ledger import Json, Ledger, utc

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("my_balance", {}),
    ("my_plan", {}),
    ("my_feature", {"feature": "export"}),
    ("my_transactions", {}),
    ("my_usage", {}),
    ("my_quote", {"metrics": {"model": "mini", "input_tokens": 1}}),
]
PLANS = [{"id": "pro", "free_allowance": 3, "features": {"export": True, "seats": 2}}]


def sign_in(ledger: Ledger, claims: object) -> None:
    """Put claims where PostgREST puts those of a verified token."""
    text = claims if isinstance(claims, str) else json.dumps(claims)
    ledger.value("select set_config('request.jwt.claims', %s, true)", text)


@pytest.mark.parametrize(("name", "arguments"), CALLS)
@pytest.mark.parametrize(
    "claims",
    [
        "",
        "{}",
        "null",
        "[]",
        '"ann"',
        "no json",
        r'{"sub": "\u0000"}',
        '{"sub": 1e999999}',
        '{"sub": null}',
        '{"sub": ""}',
        '{"user_id": "ann"}',
        json.dumps({"sub": "a" * 201}),
    ],
)
def test_without_a_user_in_the_claims_nobody_is_signed_in(
    ledger: Ledger, name: str, arguments: dict[str, Any], claims: str
) -> None:
    ledger.publish(plans=PLANS)
    ledger.grant("ann", 5)
    sign_in(ledger, claims)
    ledger.refused("DU023", name, **arguments)


def test_without_a_request_nobody_is_signed_in(ledger: Ledger) -> None:
    ledger.refused("DU023", "my_balance")


@pytest.mark.parametrize(("name", "arguments"), CALLS)
def test_a_team_is_nobody_to_sign_in_as(
    ledger: Ledger, name: str, arguments: dict[str, Any]
) -> None:
    ledger.publish()
    ledger.call("create_team", name="Acme", team_id="acme")
    sign_in(ledger, {"sub": "acme"})
    ledger.refused("DU023", name, **arguments)


def test_the_user_sees_what_the_server_sees_of_them(ledger: Ledger) -> None:
    ledger.publish(plans=PLANS)
    for user in ("ann", "bob"):
        ledger.grant(user, 5)
        ledger.call("set_user_plan", user_id=user, plan_key="pro")
    ledger.spend("bob", 1)
    sign_in(ledger, {"sub": "ann", "role": "authenticated"})
    assert ledger.call("my_balance") == ledger.balance("ann")
    assert ledger.call("my_plan") == ledger.call("get_user_plan", user_id="ann")
    feature = ledger.call("my_feature", feature="seats")
    assert (feature["user_id"], feature["has_feature"], feature["value"]) == ("ann", True, 2)


def test_a_quote_is_the_servers_without_its_lots(ledger: Ledger) -> None:
    ledger.publish()
    ledger.grant("ann", 5)
    usage = {"model": "gpt-4", "input_tokens": 100}
    sign_in(ledger, {"sub": "ann"})
    quote = ledger.call("my_quote", metrics=usage)
    asked = ledger.call("quote", user_id="ann", metrics=usage)
    assert quote == {k: v for k, v in asked.items() if k not in ("team_id", "allocations")}
    assert (quote["cost"], quote["affordable"]) == (3, True)
    ledger.refused("DU004", "my_quote", metrics={"model": "unknown"})
    ledger.refused("DU017", "my_quote", metrics=None)
    # A GET request brings the argument as text.
    assert ledger.call("my_quote", metrics=Json(json.dumps(json.dumps(usage)))) == quote
    for text in ('"gpt-4"', '""', '"[1]"', '"\\"{}\\""', '"1e999999"', '"{\\"\\\\u0000\\": 1}"'):
        ledger.refused("DU017", "my_quote", metrics=Json(text))


@pytest.mark.parametrize("feature", [None, "", "f" * 201])
def test_a_feature_has_a_name(ledger: Ledger, feature: str | None) -> None:
    sign_in(ledger, {"sub": "ann"})
    ledger.refused("DU017", "my_feature", feature=feature)


def test_the_ledger_of_a_user_pages_and_keeps_the_servers_notes(ledger: Ledger) -> None:
    ledger.publish()
    ledger.grant("bob", 5)
    ledger.grant("ann", 50, metadata={"invoice": "secret"})
    charges = [
        ledger.use("ann", {"model": "mini", "input_tokens": 1000, "operation": "chat"})
        for _ in range(3)
    ]
    sign_in(ledger, {"sub": "ann"})
    rows = ledger.rows("my_transactions")
    assert [row["type"] for row in rows] == ["usage", "usage", "usage", "adjustment"]
    assert rows[0] == {
        "transaction_id": charges[2]["transaction_id"],
        "type": "usage",
        "amount": -1,
        "allowance_consumed": 0,
        "balance_after": 47,
        "model": "mini",
        "operation": "chat",
        "reference_id": None,
        "created_at": rows[0]["created_at"],
        "occurred_at": rows[0]["created_at"],
    }
    page = ledger.rows("my_transactions", limit=2, before=rows[0]["transaction_id"])
    assert page == rows[1:3]
    ledger.refused("DU017", "my_transactions", limit=1001)
    ledger.refused("DU017", "my_transactions", limit=None)


def test_usage_is_summed_per_day_and_model(ledger: Ledger) -> None:
    ledger.publish(plans=[{"id": "pro", "free_allowance": 1, "default": True}])
    ledger.at(utc(2026, 3, 1))
    for user in ("ann", "bob"):
        ledger.grant(user, 100)
    ledger.at(utc(2026, 3, 9, 23, 59))
    ledger.use("ann", {"model": "mini", "input_tokens": 3000, "output_tokens": 7})
    ledger.use("bob", {"model": "mini", "input_tokens": 9000})
    ledger.at(utc(2026, 3, 10, 0, 1))
    ledger.use("ann", {"model": "mini", "input_tokens": 500, "cache_read_tokens": 3})
    charge = ledger.use("ann", {"model": "gpt-4", "input_tokens": 100})
    ledger.spend("ann", Decimal("0.25"))
    ledger.at(utc(2026, 3, 11))
    ledger.refund(charge, amount=1)
    sign_in(ledger, {"sub": "ann"})
    newest, oldest = date(2026, 3, 10), date(2026, 3, 9)
    expected = [
        (newest, "gpt-4", 2, 0, 1, 2, 1, 100, 0, 0, 0),
        (newest, "mini", Decimal("0.5"), 0, 0, Decimal("0.5"), 1, 500, 0, 3, 0),
        (newest, None, Decimal("0.25"), 0, 0, Decimal("0.25"), 1, 0, 0, 0, 0),
        (oldest, "mini", 2, 1, 0, 3, 1, 3000, 7, 0, 0),
    ]

    def found(**window: Any) -> list[tuple[Any, ...]]:
        rows = [tuple(row.values()) for row in ledger.rows("my_usage", **window)]
        return sorted(rows, key=lambda row: (-row[0].toordinal(), str(row[1])))

    expected.sort(key=lambda row: (-row[0].toordinal(), str(row[1])))
    assert found() == expected
    # Each day is whole, wherever in it the window begins and ends.
    assert found(start=utc(2026, 3, 10, 12), end=utc(2026, 3, 11)) == expected[:3]
    assert found(start=utc(2026, 3, 9, 23), end=utc(2026, 3, 10)) == expected[3:]
    assert found(start=utc(2026, 3, 9, 1), end=utc(2026, 3, 10, 0, 0)) == expected[3:]
    assert found(end=utc(2026, 3, 9, 1)) == expected[3:]
    assert found(start=utc(2026, 3, 11)) == []
    ledger.at(utc(2026, 4, 8, 12))
    assert found() == expected[:3]


def test_usage_is_the_same_rolled_up_or_not(ledger: Ledger) -> None:
    ledger.publish()
    ledger.grant("ann", 100)
    usage = {"model": "mini", "input_tokens": 1000}
    charge = ledger.use("ann", usage)
    sign_in(ledger, {"sub": "ann"})
    before = ledger.rows("my_usage")
    ledger.call("rollup_usage")
    assert ledger.value("select count(*) from ducto.credit_usage_rollup") > 0
    assert ledger.rows("my_usage") == before
    ledger.use("ann", usage)
    ledger.refund(charge)
    (row,) = ledger.rows("my_usage")
    assert (row["spent"], row["refunded"], row["charges"], row["input_tokens"]) == (1, 1, 2, 2000)
    ledger.call("rollup_usage")
    assert ledger.rows("my_usage") == [row]


def test_usage_does_not_depend_on_the_sessions_time_zone(ledger: Ledger) -> None:
    ledger.at(utc(2026, 3, 10, 0, 30))
    ledger.grant("ann", 5)
    ledger.spend("ann", 1)
    sign_in(ledger, {"sub": "ann"})
    for zone in ("America/Los_Angeles", "Asia/Tokyo"):
        ledger.value("select set_config('TimeZone', %s, true)", zone)
        assert [row["day"] for row in ledger.rows("my_usage")] == [date(2026, 3, 10)]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-02-02", "2026-02-01"),
        (None, "4713-01-01 BC"),
        (None, "-infinity"),
        (None, "infinity"),
        ("infinity", None),
    ],
)
def test_a_window_begins_before_it_ends(ledger: Ledger, start: str | None, end: str | None) -> None:
    sign_in(ledger, {"sub": "ann"})
    ledger.refused("DU017", "my_usage", start=start, end=end)
