"""Every operation against every other on one account: whatever two sessions do at once comes to the
same as doing it one after the other, down to the last ledger entry and event.

The account has everything an operation can meet: a plan with an allowance, two grants, a charge, a
cap, an open hold, a hold past its deadline, and expired credits that nobody has booked yet.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.concurrency.conftest import LEVELS, NUMBERS
from tests.concurrency.sessions import (
    READ_COMMITTED,
    Answer,
    Call,
    Meeting,
    ask,
    call,
    deduct,
    grant,
    transact,
    use,
)
from tests.support.databases import Connection

pytestmark = pytest.mark.storm

SETTING = """
create function pg_temp.stage(p_user text) returns jsonb language plpgsql as $$
declare
    v_setting jsonb;
    v_lot bigint;
    v_hold uuid;
begin
    perform ducto_set_user_plan(p_user, 'small');
    v_setting := jsonb_build_object(
        'user', p_user,
        'grant', ducto_add_credits(p_user, 30, 'purchase') -> 'transaction_id',
        'charge', ducto_deduct(p_user, '{"model": "plain", "input_tokens": 24}')
            -> 'transaction_id',
        'hold', ducto_reserve(p_user, 10) -> 'reservation_id'
    );
    perform ducto_add_credits(p_user, 20, 'promo', p_priority => 50);
    perform ducto_set_spend_cap(p_user, 'daily', 500);
    v_lot := ducto_add_credits(p_user, 5) -> 'lot_id';
    v_hold := ducto_reserve(p_user, 3) ->> 'reservation_id';
    update ducto.credit_lots set expires_at = now() - interval '1 second'
    where account_id = p_user and lot_id = v_lot;
    update ducto.credit_reservations set expires_at = now() - interval '1 second'
    where account_id = p_user and reservation_id = v_hold;
    update ducto.credit_accounts set stale_at = now() - interval '2 seconds'
    where account_id = p_user;
    return v_setting;
end
$$
"""

STATE = """
select jsonb_build_object(
    'account', ducto_get_balance(%(user)s) - 'user_id',
    'entries', (
        select jsonb_agg(jsonb_build_array(
            t.type, t.amount, t.allowance_consumed, t.balance_after, t.available_after,
            split_part(t.idempotency_key, ':', 1)
        ) order by t.id)
        from ducto.credit_transactions t where t.account_id = %(user)s
    ),
    'lots', (
        select jsonb_agg(jsonb_build_array(l.kind, l.amount, l.remaining, l.forfeited, l.live)
            order by l.kind, l.amount, l.remaining)
        from ducto.credit_lots l where l.account_id = %(user)s
    ),
    'holds', (
        select jsonb_agg(jsonb_build_array(r.amount, r.held, r.charged, r.status)
            order by r.amount, r.status)
        from ducto.credit_reservations r where r.account_id = %(user)s
    ),
    'caps', (
        select jsonb_agg(jsonb_build_array(c.cap_type, c.amount_limit, c.spent))
        from ducto.credit_spend_caps c where c.account_id = %(user)s
    ),
    'events', (
        select jsonb_agg(e.type order by e.type)
        from ducto.credit_events e where e.account_id = %(user)s
    )
)
"""

Setting = dict[str, Any]

OPERATIONS: dict[str, Callable[[Setting], Call]] = {
    "charge": lambda s: use(s["user"], 15, "key"),
    "charge nothing": lambda s: use(s["user"], 0),
    "charge an amount": lambda s: deduct(s["user"], 7),
    "charge too much": lambda s: deduct(s["user"], 60),
    "charge a batch": lambda s: call(
        "select ducto_deduct_batch(%s)",
        [{"user_id": s["user"], "amount": 3}, {"user_id": s["user"], "amount": 500}],
    ),
    "grant": lambda s: grant(s["user"], 9, "key"),
    "take back": lambda s: call("select ducto_add_credits(%s, -6)", s["user"]),
    "refund": lambda s: call("select ducto_refund(%s)", s["charge"]),
    "refund a part": lambda s: call("select ducto_refund(%s, 5)", s["charge"]),
    "revoke": lambda s: call("select ducto_revoke_grant(%s)", s["grant"]),
    "reserve": lambda s: call("select ducto_reserve(%s, 12)", s["user"]),
    "settle": lambda s: call("select ducto_settle(%s, p_amount => 14)", s["hold"]),
    "settle a part": lambda s: call(
        "select ducto_settle(%s, p_amount => 4, p_final => false)", s["hold"]
    ),
    "release": lambda s: call("select ducto_release(%s)", s["hold"]),
    "renew": lambda s: call("select ducto_renew(%s)", s["hold"]),
    "change the plan": lambda s: call("select ducto_set_user_plan(%s, 'large')", s["user"]),
    "leave the plan": lambda s: call("select ducto_set_user_plan(%s, null)", s["user"]),
    "set a cap": lambda s: call("select ducto_set_spend_cap(%s, 'daily', 20)", s["user"]),
    "remove a cap": lambda s: call("select ducto_remove_spend_cap(%s, 'daily')", s["user"]),
    "freeze": lambda s: call("select ducto_freeze_account(%s)", s["user"]),
    "sweep": lambda s: call("select count(*) from ducto_sweep_expired_credits()"),
    "expire holds": lambda s: call("select ducto_expire_reservations()"),
}
# These pass by an account that is in use; the next sweep then finds it.
SWEEPS = ("sweep", "expire holds")


@pytest.fixture(scope="module")
def stage(db: Connection) -> Iterator[Callable[[], Setting]]:
    """Makes another account with everything on it; at the end the books of all must hold."""
    db.execute(SETTING.encode())

    def make() -> Setting:
        setting: Setting = ask(db, call("select pg_temp.stage(%s)", f"user-{next(NUMBERS)}"))
        return setting

    yield make
    assert db.execute("select * from ducto_check()").fetchall() == []


@pytest.fixture(scope="module")
def in_turn(
    db: Connection, stage: Callable[[], Setting]
) -> Callable[[str | None, str], tuple[Any, Any]]:
    """The second answer and the state after two operations one after the other."""
    known: dict[tuple[str | None, str], tuple[Any, Any]] = {}

    def run(first: str | None, second: str) -> tuple[Any, Any]:
        if (first, second) not in known:
            setting = stage()
            if first is not None:
                transact(db, READ_COMMITTED, OPERATIONS[first](setting))
            given = transact(db, READ_COMMITTED, OPERATIONS[second](setting))
            known[first, second] = essence(second, given), state(db, setting)
        return known[first, second]

    return run


@pytest.fixture
def meeting(sessions: list[Connection], levels: tuple[str, str]) -> Iterator[Meeting]:
    """Two sessions at the levels of this run."""
    with closing(Meeting(sessions, levels)) as meeting:
        yield meeting


def state(db: Connection, setting: Setting) -> Any:
    """Everything about an account but its ids and times, the books brought up to date."""
    ask(db, OPERATIONS["sweep"](setting))
    ask(db, OPERATIONS["expire holds"](setting))
    row = db.execute(STATE.encode(), {"user": setting["user"]}).fetchone()
    assert row is not None
    return row[0]


def essence(operation: str, given: Answer) -> Any:
    """What an answer says, without the ids and times that differ from run to run."""
    if operation in SWEEPS:
        return None
    if given.sqlstate is not None:
        return given.sqlstate
    items = given.value if isinstance(given.value, list) else [given.value]
    return [
        {key: item.get(key) for key in ("status", "code", "amount", "balance_after", "replayed")}
        for item in items
    ]


def rolled_back(meeting: Meeting, first: Call, second: Call) -> tuple[Answer, Answer]:
    """The second meets a first that comes to nothing."""
    return meeting.meet(first, second, commit=False)


# How the two meet, and whether the first one counts.
WAYS: dict[str, tuple[Callable[[Meeting, Call, Call], tuple[Answer, Answer]], bool]] = {
    "meets": (Meeting.meet, True),
    "began before": (Meeting.overtake, True),
    "meets what is rolled back": (rolled_back, False),
}
# A run of all tests looks at the telling ones, `make storm` at every way and pairing of levels.
TELLING = [("meets", "committed"), ("began before", "serializable")]
THOROUGH = [(way, name) for way in WAYS for name in LEVELS]
CHOSEN = THOROUGH if "DUCTO_STORM_SECONDS" in os.environ else TELLING


@pytest.mark.parametrize("first", OPERATIONS)
@pytest.mark.parametrize(
    ("way", "levels"),
    [(way, LEVELS[name]) for way, name in CHOSEN],
    ids=[f"{way}-{name}" for way, name in CHOSEN],
)
def test_two_operations_at_once_come_to_what_they_come_to_in_turn(
    db: Connection, meeting: Meeting, stage: Any, in_turn: Any, way: str, first: str
) -> None:
    meet, first_counts = WAYS[way]
    found = []
    for second, operation in OPERATIONS.items():
        setting = stage()
        _, given = meet(meeting, OPERATIONS[first](setting), operation(setting))
        outcome = essence(second, given), state(db, setting)
        expected = in_turn(first if first_counts else None, second)
        if outcome != expected:
            found.append(f"{first}, {second}:\n  {outcome}\n  {expected}")
    if found:
        pytest.fail("\n".join(found), pytrace=False)
