"""Reports: exact sums of any window, by anything, less refunds, at the time the usage happened."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from tests.support.ledger import Ledger, utc

START = utc(2026, 3, 2)
END = utc(2026, 4, 1)
KEYS = ("spent", "allowance_consumed", "cost", "refunded", "charges")


@pytest.fixture(autouse=True)
def pricing(ledger: Ledger) -> None:
    ledger.publish(
        models={"gpt-4": "input_tokens * 0.03 + output_tokens * 0.06", "mini": "input_tokens"}
    )
    ledger.at(START)


def rolled(ledger: Ledger, both: bool) -> None:
    """Reports must say the same with and without the rollup."""
    if both:
        result = ledger.call("rollup_usage")
        assert result["complete"] is True


@pytest.fixture(params=[False, True], ids=["tail", "rolled up"])
def roll(request: pytest.FixtureRequest) -> bool:
    found: bool = request.param
    return found


def use(ledger: Ledger, user: str, at: datetime, tokens: int, **more: Any) -> dict[str, Any]:
    """Usage that costs a credit per token."""
    ledger.at(at)
    return ledger.use(user, {"model": "mini", "input_tokens": tokens, **more})


def window(start: datetime = START, end: datetime = END) -> dict[str, datetime]:
    return {"start": start, "end": end}


def values(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[key] for key in KEYS)


def test_spend_by_user_orders_by_spend(ledger: Ledger, roll: bool) -> None:
    for user in ("ann", "bob", "cy"):
        ledger.grant(user, 100)
    use(ledger, "ann", utc(2026, 3, 3), 3)
    use(ledger, "bob", utc(2026, 3, 4), 5)
    use(ledger, "bob", utc(2026, 3, 9), 2, output_tokens=4, cache_read_tokens=1)
    rolled(ledger, roll)
    rows = ledger.rows("spend_by_user", **window())
    assert rows == [
        {
            "user_id": "bob",
            "spent": 7,
            "allowance_consumed": 0,
            "refunded": 0,
            "cost": 7,
            "charges": 2,
            "input_tokens": 7,
            "output_tokens": 4,
            "cache_read_tokens": 1,
            "cache_write_tokens": 0,
        },
        {
            "user_id": "ann",
            "spent": 3,
            "allowance_consumed": 0,
            "refunded": 0,
            "cost": 3,
            "charges": 1,
            "input_tokens": 3,
            "output_tokens": 0,
            "cache_read_tokens": 0,
            "cache_write_tokens": 0,
        },
    ]
    assert ledger.rows("top_users", limit=1, **window()) == rows[:1]


def test_a_window_begins_with_its_start_and_ends_before_its_end(ledger: Ledger, roll: bool) -> None:
    ledger.grant("ann", 100_000)
    moments = [
        utc(2026, 3, 5, 10, 29),
        utc(2026, 3, 5, 10, 30),
        utc(2026, 3, 5, 10, 31),
        utc(2026, 3, 20, 7, 59),
        utc(2026, 3, 20, 8, 0),
    ]
    for place, moment in enumerate(moments):
        use(ledger, "ann", moment, 10**place)
    rolled(ledger, roll)
    for first in range(5):
        for last in range(first, 5):
            found = ledger.rows("spend_by_user", start=moments[first], end=moments[last])
            spent = sum(10**place for place in range(first, last))
            assert sum(row["spent"] for row in found) == spent


def test_a_refund_counts_against_the_time_of_its_charge(ledger: Ledger, roll: bool) -> None:
    ledger.grant("ann", 100)
    charge = use(ledger, "ann", utc(2026, 3, 3, 9), 8, operation="chat")
    use(ledger, "ann", utc(2026, 3, 10), 1)
    rolled(ledger, roll)
    ledger.at(utc(2026, 3, 10))
    ledger.refund(charge, amount=D("2.5"))
    rolled(ledger, roll)
    by_day = {row["day"]: values(row) for row in ledger.rows("daily_spend", **window())}
    assert by_day[date(2026, 3, 3)] == (D("5.5"), 0, D("5.5"), D("2.5"), 1)
    assert by_day[date(2026, 3, 10)] == (1, 0, 1, 0, 1)
    rows = ledger.rows("spend_report", group_by="{operation}", **window())
    assert [(row["operation"], row["spent"]) for row in rows] == [("chat", D("5.5")), (None, 1)]
    # Half an hour around the charge, the refund in it.
    rows = ledger.rows("spend_by_user", start=utc(2026, 3, 3, 8, 45), end=utc(2026, 3, 3, 9, 15))
    assert [values(row) for row in rows] == [(D("5.5"), 0, D("5.5"), D("2.5"), 1)]


def test_what_the_allowance_paid_is_told_apart(ledger: Ledger, roll: bool) -> None:
    ledger.publish(models={"mini": "input_tokens"}, plans=[{"id": "free", "free_allowance": 5}])
    ledger.grant("ann", 100)
    ledger.call("set_user_plan", user_id="ann", plan_key="free")
    charge = use(ledger, "ann", utc(2026, 3, 3), 8)
    rolled(ledger, roll)
    (row,) = ledger.rows("spend_by_user", **window())
    assert values(row) == (3, 5, 8, 0, 1)
    ledger.refund(charge)
    rolled(ledger, roll)
    (row,) = ledger.rows("spend_by_user", **window())
    assert values(row) == (0, 0, 0, 8, 1)


def test_usage_counts_when_it_happened(ledger: Ledger, roll: bool) -> None:
    ledger.grant("ann", 100)
    use(ledger, "ann", utc(2026, 3, 12, 6), 1)
    rolled(ledger, roll)
    ledger.at(utc(2026, 3, 12, 7))
    ledger.use("ann", {"model": "mini", "input_tokens": 20}, occurred_at=utc(2026, 3, 4, 23, 30))
    rolled(ledger, roll)
    spent = {row["day"]: row["spent"] for row in ledger.rows("daily_spend", **window())}
    assert spent[date(2026, 3, 4)] == 20
    assert spent[date(2026, 3, 12)] == 1
    (row,) = ledger.rows(
        "spend_by_user", start=utc(2026, 3, 4, 23, 30), end=utc(2026, 3, 4, 23, 31)
    )
    assert row["spent"] == 20
    (event,) = ledger.rows("list_usage_events", start=START, end=utc(2026, 3, 5))
    assert (event["occurred_at"], event["created_at"]) == (
        utc(2026, 3, 4, 23, 30),
        utc(2026, 3, 12, 7),
    )


def test_days_without_spend_are_there_with_zero(ledger: Ledger, roll: bool) -> None:
    ledger.grant("ann", 100)
    use(ledger, "ann", utc(2026, 3, 4, 12), 7)
    rolled(ledger, roll)
    rows = ledger.rows("daily_spend", start=utc(2026, 3, 3, 12), end=utc(2026, 3, 6))
    assert [(row["day"].day, values(row)) for row in rows] == [
        (3, (0, 0, 0, 0, 0)),
        (4, (7, 0, 7, 0, 1)),
        (5, (0, 0, 0, 0, 0)),
    ]
    assert ledger.rows("daily_spend", start=START, end=START) == []


def test_days_are_those_of_utc(ledger: Ledger, roll: bool) -> None:
    ledger.grant("ann", 100)
    ledger.connection.execute("set timezone = 'Pacific/Kiritimati'")
    use(ledger, "ann", utc(2026, 3, 4, 23), 7)
    rolled(ledger, roll)
    spent = [row["day"].day for row in ledger.rows("daily_spend", **window()) if row["spent"]]
    assert spent == [4]
    (row,) = ledger.rows("spend_report", bucket="week", **window())
    assert row["bucket"] == date(2026, 3, 2)


def test_spend_by_model_has_a_row_for_usage_without_one(ledger: Ledger, roll: bool) -> None:
    ledger.grant("ann", 100)
    use(ledger, "ann", utc(2026, 3, 4), 7)
    ledger.use("ann", {"model": "gpt-4", "input_tokens": 100})
    ledger.spend("ann", 40)
    rolled(ledger, roll)
    rows = ledger.rows("spend_by_model", **window())
    assert [(row["model"], row["spent"]) for row in rows] == [(None, 40), ("mini", 7), ("gpt-4", 3)]


def test_a_report_by_anything(ledger: Ledger, roll: bool) -> None:
    ledger.grant("ann", 100)
    ledger.grant("bob", 100)
    for day, user, tokens, operation in (
        (3, "ann", 1, "chat"),
        (3, "bob", 2, "chat"),
        (12, "ann", 4, "search"),
        (31, "ann", 8, "chat"),
    ):
        use(ledger, user, utc(2026, 3, day, 5), tokens, operation=operation)
    rolled(ledger, roll)

    def report(*keys: str, group_by: str, bucket: str | None = None) -> list[Any]:
        rows = ledger.rows("spend_report", group_by=group_by, bucket=bucket, **window())
        return [tuple(row[key] for key in (*keys, "spent")) for row in rows]

    assert report(group_by="{}") == [(15,)]
    assert report("user_id", group_by="{user}") == [("ann", 13), ("bob", 2)]
    assert report("operation", group_by="{operation}") == [("chat", 11), ("search", 4)]
    assert report("user_id", "operation", group_by="{user,operation}") == [
        ("ann", "chat", 9),
        ("ann", "search", 4),
        ("bob", "chat", 2),
    ]
    assert report("bucket", group_by="{}", bucket="day") == [
        (date(2026, 3, 3), 3),
        (date(2026, 3, 12), 4),
        (date(2026, 3, 31), 8),
    ]
    assert report("bucket", group_by="{}", bucket="week") == [
        (date(2026, 3, 2), 3),
        (date(2026, 3, 9), 4),
        (date(2026, 3, 30), 8),
    ]
    assert report("bucket", "user_id", group_by="{user}", bucket="month") == [
        (date(2026, 3, 1), "ann", 13),
        (date(2026, 3, 1), "bob", 2),
    ]
    assert report("team_id", group_by="{team}") == [(None, 15)]
    assert ledger.rows("spend_report", start=END, end=END + timedelta(days=9)) == []


def team_usage(ledger: Ledger, at: datetime, cost: int) -> None:
    """What a team pays for ann."""
    ledger.at(at)
    ledger.call("add_team_member", team_id="crew", user_id="ann")
    ledger.call(
        "deduct_team",
        team_id="crew",
        user_id="ann",
        metrics={"model": "mini", "input_tokens": cost},
    )


def test_what_teams_paid_counts_for_the_user_and_for_the_team(
    ledger_connection: Any, roll: bool
) -> None:
    with ledger_connection.transaction(force_rollback=True):
        ledger = Ledger(ledger_connection)
        ledger.publish(models={"mini": "input_tokens"})
        ledger.at(START)
        ledger.grant("ann", 100)
        ledger.call("create_team", name="Crew", initial_balance=100, team_id="crew")
        use(ledger, "ann", utc(2026, 3, 5), 2)
        team_usage(ledger, utc(2026, 3, 7), 6)
        rolled(ledger, roll)
        (row,) = ledger.rows("spend_by_user", **window())
        assert (row["user_id"], row["spent"]) == ("ann", 8)
        rows = ledger.rows("spend_report", group_by="{team,user}", **window())
        assert [(row["team_id"], row["user_id"], row["spent"]) for row in rows] == [
            ("crew", "ann", 6),
            (None, "ann", 2),
        ]
        rows = ledger.rows("spend_report", group_by="{team}", **window())
        assert [(row["team_id"], row["spent"]) for row in rows] == [("crew", 6), (None, 2)]
        stats = ledger.call("aggregate_stats", **window())
        assert (stats["users"], stats["teams"], stats["spent"]) == (1, 1, 8)
        events = ledger.rows("list_usage_events", user_id="ann", **window())
        assert [(event["team_id"], event["amount"]) for event in events] == [
            ("crew", 6),
            (None, 2),
        ]


def test_aggregate_stats_says_how_far_behind_the_rollup_is(ledger: Ledger) -> None:
    ledger.grant("ann", 100)
    charge = use(ledger, "ann", utc(2026, 3, 5), 2)
    ledger.refund(charge, amount=D("0.5"))
    stats = ledger.call("aggregate_stats", **window())
    assert stats["rollup"] == {"rolled_up_at": None, "entries_behind": 2}
    ledger.at(utc(2026, 3, 6))
    assert ledger.call("rollup_usage") == {"entries": 2, "complete": True}
    assert ledger.call("rollup_usage") == {"entries": 0, "complete": True}
    after = ledger.call("aggregate_stats", **window())
    assert datetime.fromisoformat(after["rollup"]["rolled_up_at"]) == utc(2026, 3, 6)
    assert after["rollup"]["entries_behind"] == 0
    assert {**after, "rollup": None} == {**stats, "rollup": None}
    assert {key: after[key] for key in ("spent", "refunded", "cost", "charges", "users")} == {
        "spent": D("1.5"),
        "refunded": D("0.5"),
        "cost": D("1.5"),
        "charges": 1,
        "users": 1,
    }
    nothing = ledger.call("aggregate_stats", start=END, end=END)
    assert (nothing["spent"], nothing["charges"], nothing["users"]) == (0, 0, 0)


def test_usage_events_are_listed_page_by_page(ledger: Ledger, roll: bool) -> None:
    ledger.grant("ann", 100)
    ledger.grant("bob", 100)
    charges = []
    for hour in range(8):
        user = "ann" if hour % 2 else "bob"
        charges.append(use(ledger, user, utc(2026, 3, 5, hour // 2, 30), 1)["transaction_id"])
        if hour == 5:
            rolled(ledger, roll)
    found: list[int] = []
    while True:
        rows = ledger.rows(
            "list_usage_events", limit=3, before=found[-1] if found else None, **window()
        )
        if not rows:
            break
        assert len(rows) <= 3
        found += [row["transaction_id"] for row in rows]
    assert found == charges[::-1]
    rows = ledger.rows("list_usage_events", user_id="ann", before=charges[6], limit=2, **window())
    assert [row["transaction_id"] for row in rows] == [charges[5], charges[3]]
    (first,) = ledger.rows("list_usage_events", user_id="ann", limit=1, **window())
    assert (first["model"], first["cost"], first["metrics"]["input_tokens"]) == ("mini", 1, 1)


def test_names_as_long_as_they_can_be(ledger: Ledger, roll: bool) -> None:
    users = ["\U0001f600" * 199 + str(number) for number in range(2)]
    model = "\U0001f600" * 200
    ledger.publish(models={"_default": "input_tokens"})
    for user in users:
        ledger.grant(user, 100)
        ledger.at(utc(2026, 3, 5))
        ledger.use(user, {"model": model, "input_tokens": 1, "operation": model})
    rolled(ledger, roll)
    rows = ledger.rows("spend_report", group_by="{user,model,operation}", **window())
    assert [row["user_id"] for row in rows] == users
    assert {row["model"] for row in rows} == {model[:120]}


BAD_WINDOWS: list[tuple[Any, Any, str]] = [
    (END, START, "The window ends before it starts."),
    (None, END, "The start of the window must be a point in time."),
    (START, None, "The end of the window must be a point in time."),
    ("-infinity", END, "The start of the window must be a point in time."),
    (START, "infinity", "The end of the window must be a point in time."),
    ("4713-01-01 00:00:00+00 BC", "294276-12-31", "A window is at most 100 years long."),
]


@pytest.mark.parametrize(("start", "end", "sentence"), BAD_WINDOWS)
def test_a_window_that_is_none_is_refused(
    ledger: Ledger, start: Any, end: Any, sentence: str
) -> None:
    for name, more in (
        ("spend_by_user", {}),
        ("spend_by_model", {}),
        ("top_users", {"limit": 5}),
        ("daily_spend", {}),
        ("aggregate_stats", {}),
        ("list_usage_events", {}),
        ("spend_report", {}),
    ):
        refused = ledger.refused("DU017", name, start=start, end=end, **more)
        assert sentence in refused["message"]


def test_other_arguments_that_are_none_are_refused(ledger: Ledger) -> None:
    for limit in (None, 0, -1, 1001):
        assert (
            "1 to 1000" in ledger.refused("DU017", "top_users", limit=limit, **window())["message"]
        )
        ledger.refused("DU017", "list_usage_events", limit=limit, **window())
    for limit in (None, 0, 10_000_001):
        ledger.refused("DU017", "rollup_usage", limit=limit)
    ledger.refused("DU017", "list_usage_events", before=99999999, **window())
    grouping = ledger.refused("DU017", "spend_report", group_by="{user,planet}", **window())
    assert "not by planet" in grouping["message"]
    ledger.refused("DU017", "spend_report", group_by=None, **window())
    ledger.refused("DU017", "spend_report", group_by="{user,null}", **window())
    bucket = ledger.refused("DU017", "spend_report", bucket="hour", **window())
    assert "not hour" in bucket["message"]
    assert ledger.rows("spend_report", group_by="{user,user}", **window()) == []
