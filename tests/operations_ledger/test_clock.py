"""The test clock moves only where the owner of the database has allowed it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.ledger import Ledger, utc


def clock(ledger: Ledger) -> datetime:
    found = ledger.value("select ducto.now()")
    assert isinstance(found, datetime)
    return found


def is_real(instant: datetime) -> bool:
    return abs(instant - datetime.now(UTC)) < timedelta(minutes=5)


def test_without_the_owners_setting_a_session_cannot_move_it(ledger: Ledger) -> None:
    ledger.connection.execute("select set_config('ducto.clock', '2001-01-01T00:00:00Z', true)")
    assert is_real(clock(ledger))
    granted = ledger.grant("ann", 1)
    assert granted["replayed"] is False
    assert is_real(ledger.entries("ann")[0]["created_at"])


def test_a_setting_other_than_on_allows_nothing(ledger: Ledger) -> None:
    ledger.setting("test_clock", "off")
    ledger.connection.execute("select set_config('ducto.clock', '2001-01-01T00:00:00Z', true)")
    assert is_real(clock(ledger))


def test_where_the_owner_allows_it_everything_is_dated_by_it(ledger: Ledger) -> None:
    ledger.at(utc(2001, 2, 3, 4))
    ledger.grant("ann", 5, expires_at=utc(2001, 3))
    ledger.hold("ann", 1)
    ledger.call("set_spend_cap", user_id="ann", cap_type="daily", limit=1)
    assert clock(ledger) == utc(2001, 2, 3, 4)
    assert ledger.entries("ann")[0]["created_at"] == utc(2001, 2, 3, 4)
    assert ledger.lots("ann")[0]["created_at"] == utc(2001, 2, 3, 4)
    assert ledger.rows("list_spend_caps", user_id="ann")[0]["resets_at"] == utc(2001, 2, 4)
    dated = ledger.value("select created_at from ducto.credit_events")
    assert dated == utc(2001, 2, 3, 4)


def test_an_allowed_clock_that_is_not_set_is_the_real_one(ledger: Ledger) -> None:
    ledger.setting("test_clock", "on")
    assert is_real(clock(ledger))
    ledger.connection.execute("select set_config('ducto.clock', '', true)")
    assert is_real(clock(ledger))


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/Los_Angeles"])
def test_an_instant_means_the_same_in_every_time_zone(ledger: Ledger, zone: str) -> None:
    ledger.connection.execute("select set_config('TimeZone', %s, true)", [zone])
    ledger.at("2026-01-31T23:00:00Z")
    assert clock(ledger) == utc(2026, 1, 31, 23)
