"""Accounts that come into being twice at once, and calls that touch several or one twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from psycopg import errors

from tests.concurrency.conftest import PRICING
from tests.concurrency.sessions import (
    READ_COMMITTED,
    REPEATABLE_READ,
    SERIALIZABLE,
    Meeting,
    answer,
    ask,
    begin,
    call,
    close,
    deduct,
    grant,
    transact,
    use,
)
from tests.support.databases import Connection
from tests.support.pricing import publish


@pytest.fixture
def bonus(db: Connection) -> Iterator[None]:
    """While it lasts, an account starts with a signup bonus of 20."""
    publish(db, {**PRICING, "signup_bonus": 20})
    yield
    publish(db, PRICING)


def entries(db: Connection, user: str) -> list[tuple[object, ...]]:
    """Type and amount of every ledger entry of an account, oldest first."""
    return db.execute(
        "select type, amount from ducto.credit_transactions where account_id = %s order by id",
        [user],
    ).fetchall()


def test_an_account_touched_first_twice_is_one(db: Connection, meeting: Meeting, user: str) -> None:
    _, second = meeting.collide(grant(user, 5), deduct(user, 3))
    assert second["balance_after"] == 2
    assert entries(db, user) == [("purchase", 5), ("usage", -3)]


def test_an_account_whose_first_touch_is_rolled_back_is_made_by_the_second(
    db: Connection, meeting: Meeting, user: str
) -> None:
    _, second = meeting.collide(grant(user, 5), grant(user, 7), commit=False)
    assert second["balance_after"] == 7
    assert entries(db, user) == [("purchase", 7)]


@pytest.mark.usefixtures("bonus")
def test_the_signup_bonus_is_granted_once(db: Connection, meeting: Meeting, user: str) -> None:
    first, second = meeting.collide(use(user, 5), use(user, 6))
    assert (first["balance_after"], second["balance_after"]) == (15, 9)
    assert entries(db, user) == [("signup_bonus", 20), ("usage", -5), ("usage", -6)]


@pytest.mark.usefixtures("bonus")
def test_the_signup_bonus_of_a_first_touch_that_is_rolled_back_is_granted_by_the_second(
    db: Connection, meeting: Meeting, user: str
) -> None:
    _, second = meeting.collide(use(user, 5), use(user, 6), commit=False)
    assert second["balance_after"] == 14
    assert entries(db, user) == [("signup_bonus", 20), ("usage", -6)]


def test_a_signup_bonus_granted_by_hand_twice_is_one(
    db: Connection, meeting: Meeting, user: str
) -> None:
    bonus = call("select ducto_add_credits(%s, 9, 'signup_bonus')", user)
    first, second = meeting.collide(bonus, bonus)
    assert (first["replayed"], second["replayed"]) == (False, True)
    assert entries(db, user) == [("signup_bonus", 9)]


def batch(*users: str) -> list[dict[str, object]]:
    """A charge of one credit to each user, in this order."""
    return [{"user_id": user, "amount": 1} for user in users]


def test_batches_over_the_same_accounts_in_opposite_orders_take_turns(
    db: Connection, meeting: Meeting, user: str
) -> None:
    users = [f"{user}-{name}" for name in ("anna", "bert", "cleo")]
    for name in users:
        ask(db, grant(name, 10))
    first, second = meeting.collide(
        call("select ducto_deduct_batch(%s)", batch(*users)),
        call("select ducto_deduct_batch(%s)", batch(*reversed(users))),
    )
    assert [item["balance_after"] for item in first.value] == [9, 9, 9]
    assert [item["balance_after"] for item in second.value] == [8, 8, 8]
    assert [item["user_id"] for item in second.value] == [*reversed(users)]


@pytest.mark.usefixtures("bonus")
def test_batches_that_create_the_same_accounts_in_opposite_orders_take_turns(
    meeting: Meeting, user: str
) -> None:
    first, second = meeting.collide(
        call("select ducto_deduct_batch(%s)", batch(f"{user}-anna", f"{user}-bert")),
        call("select ducto_deduct_batch(%s)", batch(f"{user}-bert", f"{user}-anna")),
    )
    assert [item["balance_after"] for item in first.value] == [19, 19]
    assert [item["balance_after"] for item in second.value] == [18, 18]


def test_a_batch_under_the_keys_of_another_replays_it(
    db: Connection, meeting: Meeting, user: str
) -> None:
    ask(db, grant(user, 10))
    charges = call("select ducto_deduct_batch(%s)", [
        {"user_id": user, "amount": 2, "idempotency_key": "one"},
        {"user_id": user, "amount": 3, "idempotency_key": "two"},
    ])  # fmt: skip
    first, second = meeting.collide(charges, charges)
    assert [item["replayed"] for item in first.value] == [False, False]
    assert second.value == [item | {"replayed": True} for item in first.value]
    assert entries(db, user) == [("purchase", 10), ("usage", -2), ("usage", -3)]


def usage(*charges: tuple[str, int, str]) -> list[dict[str, object]]:
    """Charges of usage, each of a user, of so many credits, under a key."""
    return [
        {
            "user_id": user,
            "metrics": {"model": "plain", "input_tokens": tokens},
            "idempotency_key": key,
        }
        for user, tokens, key in charges
    ]


@pytest.fixture
def opened(db: Connection, user: str) -> tuple[str, str]:
    """Two accounts of 10 credits whose headroom is open."""
    names = (f"{user}-anna", f"{user}-bert")
    for name in names:
        ask(db, grant(name, 10))
        ask(db, use(name, 0))
    return names


@pytest.mark.parametrize("commit", [True, False])
def test_a_batch_of_usage_waits_for_one_of_its_accounts_and_charges_what_it_finds_then(
    db: Connection, meeting: Meeting, opened: tuple[str, str], commit: bool
) -> None:
    anna, bert = opened
    charges = call("select ducto_deduct_batch(%s)", usage((bert, 1, "b"), (anna, 3, "a")))
    _, second = meeting.collide(use(anna, 2, "first"), charges, commit=commit)
    assert [(item["status"], item["balance_after"]) for item in second.value] == [
        ("ok", 9),
        ("ok", 5 if commit else 7),
    ]
    again = ask(db, charges)
    assert again == [item | {"replayed": True} for item in second.value]


def test_a_batch_of_usage_replays_what_was_charged_while_it_waited(
    meeting: Meeting, opened: tuple[str, str]
) -> None:
    anna, bert = opened
    charges = usage((bert, 1, "b"), (anna, 3, "same"), (anna, 4, "a"), (anna, 9, "too much"))
    first, second = meeting.collide(
        use(anna, 3, "same"), call("select ducto_deduct_batch(%s)", charges)
    )
    assert second.value[1] == first.value | {"replayed": True}
    assert [(item["status"], item.get("balance_after")) for item in second.value] == [
        ("ok", 9),
        ("ok", 7),
        ("ok", 3),
        ("denied", None),
    ]


def test_batches_of_usage_in_opposite_orders_take_turns(
    meeting: Meeting, opened: tuple[str, str]
) -> None:
    anna, bert = opened
    first, second = meeting.collide(
        call("select ducto_deduct_batch(%s)", usage((bert, 1, "b1"), (anna, 2, "a1"))),
        call("select ducto_deduct_batch(%s)", usage((anna, 3, "a2"), (bert, 4, "b2"))),
    )
    assert [item["balance_after"] for item in first.value] == [9, 8]
    assert [item["balance_after"] for item in second.value] == [5, 5]


def test_a_transaction_may_charge_an_account_again_while_others_wait_for_it(
    db: Connection, meeting: Meeting, user: str
) -> None:
    """The waiting session queues on a lock of its own, which the first must never want."""
    ask(db, grant(user, 10))
    first, second = meeting.collide(deduct(user, 1), deduct(user, 3), then=deduct(user, 2))
    assert (first["balance_after"], second["balance_after"]) == (7, 4)


def test_a_hold_is_taken_and_settled_in_one_transaction_while_others_wait(
    db: Connection, meeting: Meeting, user: str
) -> None:
    ask(db, grant(user, 10))
    reserve = call("select ducto_reserve(%s, 6, p_idempotency_key => 'hold')", user)
    settle = call(
        "select ducto_settle(reservation_id, p_amount => 5) from ducto.credit_reservations"
        " where account_id = %s",
        user,
    )
    first, second = meeting.collide(reserve, deduct(user, 5), then=settle)
    assert (first["balance_after"], second["balance_after"]) == (5, 0)


def test_a_charge_in_a_savepoint_that_is_rolled_back_lets_go_of_the_account(
    db: Connection, sessions: list[Connection], user: str
) -> None:
    one, two = sessions[:2]
    ask(db, grant(user, 10))
    one.execute("begin")
    one.execute("savepoint attempt")
    ask(one, deduct(user, 4))
    one.execute("rollback to savepoint attempt")
    assert transact(two, READ_COMMITTED, deduct(user, 3))["balance_after"] == 7
    assert ask(one, deduct(user, 2))["balance_after"] == 5
    one.execute("commit")
    assert db.execute("select * from ducto_check()").fetchall() == []


def test_every_operation_works_under_repeatable_read(db: Connection, user: str) -> None:
    ask(db, grant(user, 10))
    hold = ask(db, call("select ducto_reserve(%s, 1)", user))["reservation_id"]
    lapsed = ask(db, call("select ducto_reserve(%s, 1)", user))["reservation_id"]
    charge = ask(db, deduct(user, 1))["transaction_id"]
    lot = ask(db, grant(user, 1))["lot_id"]
    close(db, user)
    past = "now() - interval '1 second'"
    db.execute(f"update ducto.credit_lots set expires_at = {past} where lot_id = {lot}".encode())
    db.execute(
        f"update ducto.credit_reservations set expires_at = {past}"
        f" where reservation_id = '{lapsed}'".encode()
    )
    db.execute(
        "update ducto.credit_accounts set stale_at = '-infinity' where account_id = %s", [user]
    )
    for request in (
        deduct(user, 1),
        grant(user, 1),
        call("select ducto_reserve(%s, 1)", user),
        call("select ducto_settle(%s)", hold),
        call("select ducto_release(%s)", hold),
        call("select ducto_renew(%s)", hold),
        call("select ducto_refund(%s)", charge),
        call("select ducto_deduct_batch(%s)", batch(user)),
        call("select ducto_set_user_plan(%s, 'small')", user),
        call("select ducto_set_spend_cap(%s, 'daily', 5)", user),
        call("select ducto_remove_spend_cap(%s, 'daily')", user),
        call("select ducto_freeze_account(%s)", user),
        call("select count(*) from ducto_sweep_expired_credits()"),
        call("select ducto_expire_reservations()"),
    ):
        begin(db, REPEATABLE_READ)
        assert answer(db, request).sqlstate is None, request
        assert db.execute("select * from ducto_check()").fetchall() == []
        db.execute("rollback")
    ask(db, call("select ducto_expire_reservations()"))


@pytest.mark.parametrize("amount", [0, 1])
@pytest.mark.parametrize("level", [REPEATABLE_READ, SERIALIZABLE])
def test_a_charge_on_a_snapshot_that_is_too_old_fails_to_serialise(
    db: Connection, sessions: list[Connection], user: str, level: str, amount: int
) -> None:
    ask(db, grant(user, 10))
    begin(sessions[0], level)
    assert ask(sessions[0], call("select ducto_get_balance(%s)", user))["balance"] == 10
    ask(db, deduct(user, 1))
    with pytest.raises(errors.SerializationFailure):
        answer(sessions[0], deduct(user, amount))
    sessions[0].execute("rollback")
    retried = transact(sessions[0], level, deduct(user, amount))
    assert (retried["balance_after"], retried.retries) == (9 - amount, 0)
