"""Charges of a team meet changes of its members: a cap or a removal holds for every charge behind
it, also for one that was already waiting while another opened the headroom again.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.concurrency.sessions import (
    READ_COMMITTED,
    SERIALIZABLE,
    Answer,
    Call,
    Meeting,
    ask,
    call,
    together,
)
from tests.support.databases import Connection


@pytest.fixture
def team(db: Connection, user: str) -> str:
    """A team of 1000 credits with ann, bob and an open headroom, of which ann has spent 3."""
    team_id = f"team of {user}"
    ask(db, call("select ducto_create_team('T', 1000, %s, 'olga')", team_id))
    for member in ("ann", "bob"):
        ask(db, call("select ducto_add_team_member(%s, %s)", team_id, member))
    ask(db, use(team_id, "bob", 1))
    ask(db, use(team_id, "ann", 3))
    assert headroom(db, team_id) > 0
    return team_id


def use(team_id: str, user_id: str, tokens: int, key: str | None = None) -> Call:
    """Charges usage that costs one credit per token to the team."""
    usage = {"model": "plain", "input_tokens": tokens}
    return call("select ducto_deduct_team(%s, %s, %s, %s)", team_id, user_id, usage, key)


def tool(team_id: str, user_id: str, cost: int) -> Call:
    """The same by a price that is no sum of products."""
    usage = {"job_name": "report", "model": "plain", "input_tokens": cost - 5}
    return call("select ducto_deduct_team(%s, %s, %s)", team_id, user_id, usage)


def cap(team_id: str, user_id: str, limit: int) -> Call:
    """Sets the cap of a member."""
    return call(
        "select ducto_update_team_member(%s, %s, p_spend_cap => %s)", team_id, user_id, limit
    )


def remove(team_id: str, user_id: str) -> Call:
    """Removes a member."""
    return call("select ducto_remove_team_member(%s, %s)", team_id, user_id)


def headroom(db: Connection, team_id: str) -> Any:
    """How open the team's headroom is."""
    return ask(
        db, call("select headroom from ducto.credit_accounts where account_id = %s", team_id)
    )


def members(db: Connection, team_id: str) -> dict[str, tuple[Any, Any]]:
    """What each member has used of a cap, and spent."""
    rows = db.execute(
        "select user_id, used, spent from ducto_list_team_members(%s)", [team_id]
    ).fetchall()
    return {user_id: (used, spent) for user_id, used, spent in rows}


@pytest.mark.parametrize("charge", [use, tool])
@pytest.mark.parametrize("reopened", [False, True])
def test_a_cap_that_was_set_holds_for_the_charge_that_waited(
    db: Connection, meeting: Meeting, team: str, reopened: bool, charge: Any
) -> None:
    then = use(team, "bob", 1) if reopened else None
    _, late = meeting.collide(cap(team, "ann", 10), charge(team, "ann", 8), then=then)
    assert late.sqlstate == "DU001"
    assert members(db, team)["ann"] == (3, 3)
    assert (headroom(db, team) > 0) == reopened


@pytest.mark.parametrize("charge", [use, tool])
@pytest.mark.parametrize("reopened", [False, True])
def test_who_was_removed_does_not_spend_also_having_waited(
    db: Connection, meeting: Meeting, team: str, reopened: bool, charge: Any
) -> None:
    then = use(team, "bob", 1) if reopened else None
    _, late = meeting.collide(remove(team, "ann"), charge(team, "ann", 6), then=then)
    assert late.sqlstate == "DU016"
    assert ask(db, call("select (ducto_get_team(%s) -> 'balance')::numeric", team)) == (
        995 if reopened else 996
    )


@pytest.mark.parametrize("charge", [use, tool])
def test_a_cap_waits_for_the_charge_under_way_and_counts_it(
    db: Connection, meeting: Meeting, team: str, charge: Any
) -> None:
    _, late = meeting.collide(charge(team, "ann", 6), cap(team, "ann", 9))
    assert (late["used"], late["remaining"]) == (9, 0)
    _, late = meeting.collide(charge(team, "bob", 6), cap(team, "bob", 6))
    assert late.sqlstate == "DU017"
    assert members(db, team) == {"ann": (9, 9), "bob": (None, 7), "olga": (None, 0)}


def test_a_removed_cap_and_a_new_member_hold_at_once(
    db: Connection, meeting: Meeting, team: str
) -> None:
    ask(db, cap(team, "ann", 3))
    lifted = call("select ducto_update_team_member(%s, 'ann', p_remove_cap => true)", team)
    assert meeting.collide(lifted, use(team, "ann", 8))[1]["cost"] == 8
    joined = call("select ducto_add_team_member(%s, 'eve')", team)
    assert meeting.collide(joined, use(team, "eve", 2))[1]["cost"] == 2
    assert members(db, team)["ann"] == (None, 11)


def test_the_last_owner_stays_whoever_goes_first(
    db: Connection, meeting: Meeting, team: str
) -> None:
    ask(db, call("select ducto_update_team_member(%s, 'bob', 'owner')", team))
    first, second = meeting.collide(remove(team, "olga"), remove(team, "bob"))
    assert (first.sqlstate, second.sqlstate) == (None, "DU017")


def test_a_team_is_created_once_under_its_key(db: Connection, meeting: Meeting, user: str) -> None:
    made = call("select ducto_create_team('T', 5, p_idempotency_key => %s)", user)
    first, second = meeting.collide(made, made)
    assert second.value == first.value | {"replayed": True}
    assert first["replayed"] is False


@pytest.mark.parametrize("level", [READ_COMMITTED, SERIALIZABLE])
def test_sixteen_members_charge_one_pool_each_to_their_cap(
    db: Connection, sessions: list[Connection], team: str, level: str
) -> None:
    """Eight without a cap, eight with one of 5; each charges 8 times 1 credit, under keys."""
    for n in range(16):
        limit = 5 if n % 2 else None
        ask(db, call("select ducto_add_team_member(%s, %s, 'member', %s)", team, f"m{n}", limit))
    answers: list[list[Answer]] = [
        together(sessions, level, [use(team, f"m{n}", 1, f"{n}-{turn}") for n in range(16)])
        for turn in range(8)
    ]
    found = members(db, team)
    for n in range(16):
        states = [turn[n].sqlstate for turn in answers]
        denied = ["DU001"] * 3 if n % 2 else []
        assert states == [None] * (8 - len(denied)) + denied
        assert found[f"m{n}"] == ((5, 5) if n % 2 else (None, 8))
    assert ask(db, call("select (ducto_get_team(%s) -> 'balance')::numeric", team)) == (
        996 - 8 * 8 - 8 * 5
    )
    again = together(sessions, level, [use(team, f"m{n}", 1, f"{n}-0") for n in range(16)])
    assert all(given["replayed"] for given in again)
    assert db.execute("select * from ducto_check()").fetchall() == []


@pytest.mark.parametrize("level", [READ_COMMITTED, SERIALIZABLE])
def test_sixteen_sessions_of_one_member_stop_at_the_cap(
    db: Connection, sessions: list[Connection], team: str, level: str
) -> None:
    ask(db, cap(team, "ann", 13))
    answers = together(sessions, level, [use(team, "ann", 1) for _ in range(16)])
    assert sorted(str(given.sqlstate) for given in answers) == ["DU001"] * 6 + ["None"] * 10
    assert members(db, team)["ann"] == (13, 13)
    assert db.execute("select * from ducto_check()").fetchall() == []
