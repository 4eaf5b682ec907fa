"""The cap of a member: windows, holds, refunds, and what its error says."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal as D
from typing import Any

import pytest

from tests.support.ledger import Ledger, utc
from tests.teams.test_teams import create, member, members, update, use, used


@pytest.fixture(autouse=True)
def crew(ledger: Ledger) -> None:
    """A team of 1000 credits with ann, capped at 10 a month, and bob, who is not."""
    ledger.at(utc(2026, 1, 14, 12))
    ledger.publish(models={"mini": "input_tokens"})
    create(ledger, "crew", 1000)
    member(ledger, "ann", spend_cap=10)
    member(ledger, "bob")


def denied(ledger: Ledger, cost: int, user_id: str = "ann") -> dict[str, Any]:
    return ledger.refused(
        "DU001",
        "deduct_team",
        team_id="crew",
        user_id=user_id,
        metrics={"model": "mini", "input_tokens": cost},
    )


def test_a_member_spends_up_to_the_cap_and_others_go_on(ledger: Ledger) -> None:
    use(ledger, "ann", 6)
    use(ledger, "bob", 100)
    use(ledger, "ann", 4)
    detail = denied(ledger, 1)
    assert detail == {
        "code": "DU001",
        "error": "cap_reached",
        "user_id": "ann",
        "team_id": "crew",
        "cap_type": "monthly",
        "model": None,
        "limit": 10,
        "used": 10,
        "remaining": 0,
        "required": 1,
        "action": "deny",
        "resets_at": "2026-02-01T00:00:00+00:00",
        "message": "The monthly spend cap of ann in the team crew is reached: 10 of 10 used, 1 more"
        " asked for; it resets at 2026-02-01T00:00:00+00:00.",
    }
    use(ledger, "bob", 100)
    assert used(ledger, "ann") == 10
    assert ledger.value("select spent from ducto.credit_team_members where user_id = 'bob'") == 0


def test_a_denial_is_recorded_with_the_team_and_the_user(ledger: Ledger) -> None:
    quietly: dict[str, Any] = {"raise": False}
    result = use(ledger, "ann", 11, **quietly)
    assert (result["status"], result["code"], result["team_id"]) == ("denied", "DU001", "crew")
    assert result["hint"].endswith("ducto_update_team_member.")
    row = ledger.value(
        "select array[account_id, actor_id, type] from ducto.credit_events order by id desc limit 1"
    )
    assert row == ["crew", "ann", "credits.cap_reached"]


@pytest.mark.parametrize(
    ("cap_type", "last", "next_"),
    [
        ("daily", utc(2026, 1, 14, 23, 59), utc(2026, 1, 15)),
        ("weekly", utc(2026, 1, 18, 23, 59), utc(2026, 1, 19)),
        ("monthly", utc(2026, 1, 31, 23, 59), utc(2026, 2)),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland", "America/Los_Angeles"])
def test_a_window_ends_in_utc_and_the_next_starts_at_zero(
    ledger: Ledger, zone: str, cap_type: str, last: datetime, next_: datetime
) -> None:
    ledger.connection.execute("select set_config('TimeZone', %s, true)", [zone])
    update(ledger, "ann", cap_type=cap_type)
    use(ledger, "ann", 7)
    ledger.at(last)
    denied(ledger, 4)
    ledger.at(next_)
    assert used(ledger, "ann") == 0
    use(ledger, "ann", 10)
    denied(ledger, 1)
    assert used(ledger, "ann") == 10


def test_a_cap_counts_what_the_window_has_seen_and_may_not_lie_below(ledger: Ledger) -> None:
    ledger.at(utc(2025, 12, 31))
    use(ledger, "bob", 500)
    ledger.at(utc(2026, 1, 14, 12))
    for _ in range(3):
        use(ledger, "bob", 10)
    hold = ledger.hold("bob", 5, team_id="crew")
    for cap in (34, 0):
        detail = ledger.refused(
            "DU017", "update_team_member", team_id="crew", user_id="bob", spend_cap=cap
        )
        assert (detail["used"], detail["limit"], detail["argument"]) == (35, cap, "p_spend_cap")
    assert update(ledger, "bob", spend_cap=35)["remaining"] == 0
    denied(ledger, 1, "bob")
    ledger.call("remove_team_member", team_id="crew", user_id="bob")
    ledger.refused("DU017", "add_team_member", team_id="crew", user_id="bob", spend_cap=34)
    assert member(ledger, "bob", spend_cap=40)["used"] == 35
    ledger.settle(hold, amount=2)
    assert used(ledger, "bob") == 32


def test_open_holds_take_room_until_they_end(ledger: Ledger) -> None:
    first = ledger.hold("ann", 6, team_id="crew", ttl_seconds=60)
    assert first["team_id"] == "crew"
    ledger.refused("DU001", "reserve", user_id="ann", amount=5, team_id="crew")
    second = ledger.hold("ann", 4, team_id="crew", ttl_seconds=600)
    denied(ledger, 1)
    assert used(ledger, "ann") == 10
    # What is settled is the bill, also above the cap.
    ledger.settle(second, amount=7)
    assert used(ledger, "ann") == 13
    ledger.at(utc(2026, 1, 14, 12, 2))
    assert used(ledger, "ann") == 7
    use(ledger, "ann", 3)
    assert ledger.call("release", reservation_id=first["reservation_id"])["state"] == "expired"
    denied(ledger, 1)


def test_a_released_hold_and_parts_of_a_settlement_free_their_room(ledger: Ledger) -> None:
    hold = ledger.hold("ann", 10, team_id="crew")
    ledger.settle(hold, amount=3, final=False)
    assert used(ledger, "ann") == 10
    ledger.call("release", reservation_id=hold["reservation_id"])
    assert used(ledger, "ann") == 3
    use(ledger, "ann", 7)


def test_a_refund_frees_the_window_of_its_charge(ledger: Ledger) -> None:
    old = use(ledger, "ann", 8)
    ledger.at(utc(2026, 2, 3))
    new = use(ledger, "ann", 10)
    ledger.refund(old)
    assert used(ledger, "ann") == 10
    ledger.refund(new, amount=D("2.5"))
    assert used(ledger, "ann") == D("7.5")
    denied(ledger, 3)
    use(ledger, "ann", 2)


def test_a_removed_cap_counts_nothing_and_a_new_one_knows_all(ledger: Ledger) -> None:
    charge = use(ledger, "ann", 10)
    update(ledger, "ann", remove_cap=True)
    for _ in range(3):
        use(ledger, "ann", 10)
    ledger.refund(charge, amount=1)
    found = members(ledger)["ann"]
    assert (found["used"], found["spent"]) == (None, 39)
    assert update(ledger, "ann", spend_cap=50, cap_type="daily")["used"] == 39


def test_usage_reported_late_counts_when_it_is_booked(ledger: Ledger) -> None:
    use(ledger, "ann", 4, occurred_at=utc(2025, 12, 5))
    assert used(ledger, "ann") == 4
    assert members(ledger)["ann"]["spent"] == 0
    assert members(ledger, start=utc(2025, 12, 5), end=utc(2025, 12, 6))["ann"]["spent"] == 4


def test_a_broken_counter_is_found(ledger: Ledger) -> None:
    use(ledger, "ann", 4)
    ledger.connection.execute("update ducto.credit_team_members set spent = 5, held = 1"
                              " where user_id = 'ann'")  # fmt: skip
    (found,) = ledger.violations()
    assert (found["check_name"], found["user_id"]) == ("member", "crew")
    assert found["detail"]["member"] == "ann"
    ledger.connection.execute("update ducto.credit_team_members set spent = 4, held = 0"
                              " where user_id = 'ann'")  # fmt: skip
