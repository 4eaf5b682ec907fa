"""Where a period begins and ends, whatever the session's time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.ledger import Ledger, utc

ZONES = ["UTC", "Pacific/Auckland", "America/Los_Angeles", "Asia/Kathmandu"]


def period(
    ledger: Ledger, kind: str, now: datetime, anchor: datetime | None = None
) -> tuple[datetime, datetime]:
    row = ledger.connection.execute(
        "select * from ducto.period(%s, %s, %s)", [kind, now, anchor]
    ).fetchone()
    assert row is not None
    return row[0].astimezone(UTC), row[1].astimezone(UTC)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    ("kind", "start", "end"),
    [
        ("daily", utc(2026, 3, 1), utc(2026, 3, 2)),
        ("weekly", utc(2026, 2, 23), utc(2026, 3, 2)),
        ("monthly", utc(2026, 3), utc(2026, 4)),
        ("yearly", utc(2026), utc(2027)),
    ],
)
def test_calendar_periods_are_utc_and_weeks_begin_on_monday(
    ledger: Ledger, zone: str, kind: str, start: datetime, end: datetime
) -> None:
    ledger.connection.execute("select set_config('TimeZone', %s, true)", [zone])
    for now in (utc(2026, 3, 1), utc(2026, 3, 1, 12), utc(2026, 3, 1, 23, 59)):
        assert period(ledger, kind, now) == (start, end)


def test_a_period_ends_where_the_next_begins(ledger: Ledger) -> None:
    for kind in ("daily", "weekly", "monthly", "yearly"):
        for anchor in (None, utc(2024, 2, 29, 17, 30)):
            start, end = period(ledger, kind, utc(2026, 5, 17), anchor)
            assert start <= utc(2026, 5, 17) < end
            assert period(ledger, kind, end, anchor)[0] == end
            assert period(ledger, kind, end - timedelta(microseconds=1), anchor) == (start, end)


@pytest.mark.parametrize("zone", ZONES)
def test_months_from_the_31st_do_not_drift(ledger: Ledger, zone: str) -> None:
    ledger.connection.execute("select set_config('TimeZone', %s, true)", [zone])
    anchor = utc(2026, 1, 31, 10)
    ends = []
    now = anchor
    for _ in range(14):
        _, now = period(ledger, "monthly", now, anchor)
        ends.append((now.month, now.day, now.hour))
    assert ends == [
        (2, 28, 10),
        (3, 31, 10),
        (4, 30, 10),
        (5, 31, 10),
        (6, 30, 10),
        (7, 31, 10),
        (8, 31, 10),
        (9, 30, 10),
        (10, 31, 10),
        (11, 30, 10),
        (12, 31, 10),
        (1, 31, 10),
        (2, 28, 10),
        (3, 31, 10),
    ]


def test_a_leap_years_february_keeps_its_29th(ledger: Ledger) -> None:
    assert period(ledger, "monthly", utc(2028, 3, 1), utc(2027, 12, 31)) == (
        utc(2028, 2, 29),
        utc(2028, 3, 31),
    )


def test_years_from_the_29th_of_february_do_not_drift(ledger: Ledger) -> None:
    anchor = utc(2024, 2, 29)
    assert period(ledger, "yearly", utc(2025, 6), anchor) == (utc(2025, 2, 28), utc(2026, 2, 28))
    assert period(ledger, "yearly", utc(2028, 3), anchor) == (utc(2028, 2, 29), utc(2029, 2, 28))


@pytest.mark.parametrize("zone", ZONES)
def test_anchored_days_and_weeks_have_one_length_across_clock_changes(
    ledger: Ledger, zone: str
) -> None:
    ledger.connection.execute("select set_config('TimeZone', %s, true)", [zone])
    anchor = utc(2026, 1, 1, 9, 30)
    for month in (3, 4, 9, 10, 11):
        start, end = period(ledger, "daily", utc(2026, month, 29), anchor)
        assert (start, end) == (utc(2026, month, 28, 9, 30), utc(2026, month, 29, 9, 30))
        start, end = period(ledger, "weekly", utc(2026, month, 29), anchor)
        assert end - start == timedelta(days=7)
        assert (start - anchor) % timedelta(days=7) == timedelta(0)


def test_an_anchor_in_the_future_counts_backwards(ledger: Ledger) -> None:
    assert period(ledger, "monthly", utc(2026, 1, 20), utc(2026, 6, 15)) == (
        utc(2026, 1, 15),
        utc(2026, 2, 15),
    )
    assert period(ledger, "daily", utc(2026, 1, 20, 11), utc(2026, 6, 15, 12)) == (
        utc(2026, 1, 19, 12),
        utc(2026, 1, 20, 12),
    )
