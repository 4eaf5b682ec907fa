"""Each pair of operations that can meet on one account: the second waits for the first, and then
decides on what the first left behind.

Every test runs at each pairing of READ COMMITTED and SERIALIZABLE, and ends with `ducto_check()`.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.concurrency.sessions import Call, Meeting, ask, call, close, deduct, grant, use
from tests.support.databases import Connection


@pytest.fixture
def user(db: Connection, user: str) -> str:
    """An account with ten credits."""
    ask(db, grant(user, 10))
    return user


def balance(db: Connection, user: str) -> dict[str, Any]:
    """The account as it is."""
    read: dict[str, Any] = ask(db, call("select ducto_get_balance(%s)", user))
    return read


def count(db: Connection, user: str, kind: str) -> int:
    """How many ledger entries of a type the account has."""
    return int(ask(db, call(
        "select count(*) from ducto.credit_transactions where account_id = %s and type = %s",
        user, kind,
    )))  # fmt: skip


def reserve(user: str, amount: int, key: str | None = None) -> Call:
    """Holds an amount for ten minutes."""
    return call("select ducto_reserve(%s, %s, p_idempotency_key => %s)", user, amount, key)


def hold(db: Connection, user: str, amount: int) -> str:
    """The id of a new hold."""
    return str(ask(db, reserve(user, amount))["reservation_id"])


def settle(hold_id: str, amount: int | None = None) -> Call:
    """Settles a hold finally."""
    return call("select ducto_settle(%s, p_amount => %s)", hold_id, amount)


def let_lapse(db: Connection, hold_id: str) -> None:
    """Move a hold's deadline into the past."""
    user = db.execute(
        "select account_id from ducto.credit_reservations where reservation_id = %s", [hold_id]
    ).fetchall()[0][0]
    close(db, user)
    db.execute(
        "update ducto.credit_reservations set expires_at = now() - interval '1 second'"
        " where reservation_id = %s",
        [hold_id],
    )
    db.execute(
        "update ducto.credit_accounts a set stale_at = r.expires_at"
        " from ducto.credit_reservations r"
        " where r.reservation_id = %s and r.account_id = a.account_id",
        [hold_id],
    )


EXPIRE_HOLDS = call("select ducto_expire_reservations()")
SWEEP = call("select coalesce(jsonb_agg(s), '[]') from ducto_sweep_expired_credits() s")


def test_of_two_charges_at_the_floor_the_second_is_denied(
    db: Connection, meeting: Meeting, user: str
) -> None:
    first, second = meeting.collide(deduct(user, 7), deduct(user, 7))
    assert first["balance_after"] == 3
    assert second.sqlstate == "DU002"
    assert balance(db, user)["balance"] == 3


def test_the_second_charge_happens_when_the_first_is_rolled_back(
    db: Connection, meeting: Meeting, user: str
) -> None:
    _, second = meeting.collide(deduct(user, 7), deduct(user, 7), commit=False)
    assert second["balance_after"] == 3
    assert count(db, user, "usage") == 1


def test_a_waiting_charge_is_decided_by_what_the_first_left(
    db: Connection, meeting: Meeting, user: str
) -> None:
    first, second = meeting.collide(use(user, 4), use(user, 6))
    assert (first["balance_after"], second["balance_after"]) == (6, 0)
    assert count(db, user, "usage") == 2


def test_a_charge_of_nothing_keeps_the_chain(meeting: Meeting, user: str) -> None:
    _, second = meeting.collide(deduct(user, 4), deduct(user, 0))
    assert second["balance_after"] == 6


def test_a_charge_is_denied_by_a_hold_taken_meanwhile(
    db: Connection, meeting: Meeting, user: str
) -> None:
    _, second = meeting.collide(reserve(user, 8), deduct(user, 3))
    assert second.sqlstate == "DU002"
    assert balance(db, user)["available"] == 2


def test_a_hold_is_denied_by_a_charge_made_meanwhile(
    db: Connection, meeting: Meeting, user: str
) -> None:
    _, second = meeting.collide(deduct(user, 3), reserve(user, 8))
    assert second.sqlstate == "DU002"
    assert balance(db, user)["held"] == 0


def test_of_two_holds_only_what_is_there_is_held(
    db: Connection, meeting: Meeting, user: str
) -> None:
    _, second = meeting.collide(reserve(user, 8), reserve(user, 3))
    assert second.sqlstate == "DU002"
    assert balance(db, user)["held"] == 8


def test_a_hold_settled_twice_is_charged_once(db: Connection, meeting: Meeting, user: str) -> None:
    hold_id = hold(db, user, 5)
    first, second = meeting.collide(settle(hold_id, 4), settle(hold_id, 4))
    assert (first["replayed"], second["replayed"]) == (False, True)
    assert first["transaction_id"] == second["transaction_id"]
    assert balance(db, user) | {"balance": 6, "held": 0, "available": 6} == balance(db, user)


def test_a_hold_settled_with_another_amount_meanwhile_is_a_conflict(
    db: Connection, meeting: Meeting, user: str
) -> None:
    hold_id = hold(db, user, 5)
    _, second = meeting.collide(settle(hold_id, 4), settle(hold_id, 5))
    assert second.sqlstate == "DU007"
    assert balance(db, user)["balance"] == 6


def test_a_hold_whose_settlement_is_rolled_back_is_settled_by_the_second(
    db: Connection, meeting: Meeting, user: str
) -> None:
    hold_id = hold(db, user, 5)
    _, second = meeting.collide(settle(hold_id, 4), settle(hold_id, 5), commit=False)
    assert (second["replayed"], second["amount"]) == (False, 5)
    assert balance(db, user)["balance"] == 5


def test_a_settlement_that_meets_the_expiry_of_its_hold_is_late(
    db: Connection, meeting: Meeting, user: str
) -> None:
    hold_id = hold(db, user, 5)
    let_lapse(db, hold_id)
    first, second = meeting.collide(EXPIRE_HOLDS, settle(hold_id, 4))
    assert first["expired"] == 1
    assert second.sqlstate == "DU011"
    assert balance(db, user)["balance"] == 10


def test_expiring_holds_passes_by_an_account_that_is_being_settled(
    db: Connection, meeting: Meeting, user: str
) -> None:
    db.execute("insert into ducto.settings values ('settle_grace_seconds', '60')")
    hold_id = hold(db, user, 5)
    let_lapse(db, hold_id)
    first, second = meeting.pass_by(settle(hold_id, 4), EXPIRE_HOLDS)
    db.execute("delete from ducto.settings where key = 'settle_grace_seconds'")
    assert (first["amount"], second["expired"]) == (4, 0)
    assert balance(db, user)["balance"] == 6


def test_a_hold_released_while_it_is_settled_stays_settled(
    db: Connection, meeting: Meeting, user: str
) -> None:
    hold_id = hold(db, user, 5)
    _, second = meeting.collide(settle(hold_id, 4), call("select ducto_release(%s)", hold_id))
    assert second.sqlstate == "DU011"
    assert balance(db, user)["balance"] == 6


def test_a_charge_sees_a_hold_renewed_meanwhile(
    db: Connection, meeting: Meeting, user: str
) -> None:
    hold_id = hold(db, user, 8)
    _, second = meeting.collide(call("select ducto_renew(%s, 3600)", hold_id), deduct(user, 3))
    assert second.sqlstate == "DU002"


def test_a_charge_refunded_twice_is_refunded_once(
    db: Connection, meeting: Meeting, user: str
) -> None:
    charge = ask(db, deduct(user, 6))["transaction_id"]
    refund = call("select ducto_refund(%s)", charge)
    first, second = meeting.collide(refund, refund)
    assert first["amount"] == 6
    assert second.sqlstate == "DU009"
    assert balance(db, user)["balance"] == 10


def test_two_partial_refunds_never_exceed_the_charge(
    db: Connection, meeting: Meeting, user: str
) -> None:
    charge = ask(db, deduct(user, 6))["transaction_id"]
    refund = call("select ducto_refund(%s, 4)", charge)
    _, second = meeting.collide(refund, refund)
    assert second.sqlstate == "DU009"
    assert balance(db, user)["balance"] == 8


def test_two_refunds_under_one_key_are_one(db: Connection, meeting: Meeting, user: str) -> None:
    charge = ask(db, deduct(user, 6))["transaction_id"]
    refund = call("select ducto_refund(%s, 3, p_idempotency_key => 'back')", charge)
    first, second = meeting.collide(refund, refund)
    assert first["transaction_id"] == second["transaction_id"]
    assert (first["replayed"], second["replayed"]) == (False, True)
    assert balance(db, user)["balance"] == 7


def test_a_key_used_twice_charges_once(db: Connection, meeting: Meeting, user: str) -> None:
    first, second = meeting.collide(deduct(user, 7, "k"), deduct(user, 7, "k"))
    assert (first["replayed"], second["replayed"]) == (False, True)
    assert first.value | {"replayed": True} == second.value
    assert balance(db, user)["balance"] == 3


def test_a_key_whose_first_use_is_rolled_back_is_free(
    db: Connection, meeting: Meeting, user: str
) -> None:
    _, second = meeting.collide(deduct(user, 7, "k"), deduct(user, 7, "k"), commit=False)
    assert (second["replayed"], second["balance_after"]) == (False, 3)
    assert count(db, user, "usage") == 1


def test_a_key_used_for_something_else_meanwhile_is_a_conflict(
    db: Connection, meeting: Meeting, user: str
) -> None:
    _, second = meeting.collide(deduct(user, 7, "k"), deduct(user, 2, "k"))
    assert second.sqlstate == "DU007"
    assert balance(db, user)["balance"] == 3


def test_a_hold_taken_twice_under_one_key_is_one(
    db: Connection, meeting: Meeting, user: str
) -> None:
    first, second = meeting.collide(reserve(user, 5, "k"), reserve(user, 5, "k"))
    assert first["reservation_id"] == second["reservation_id"]
    assert (first["replayed"], second["replayed"]) == (False, True)
    assert balance(db, user)["held"] == 5


def test_a_grant_made_twice_under_one_key_is_one(
    db: Connection, meeting: Meeting, user: str
) -> None:
    first, second = meeting.collide(grant(user, 5, "k"), grant(user, 5, "k"))
    assert (first["replayed"], second["replayed"]) == (False, True)
    assert first.value | {"replayed": True} == second.value
    assert balance(db, user)["balance"] == 15


def test_a_charge_is_paid_by_a_grant_made_meanwhile(
    db: Connection, meeting: Meeting, user: str
) -> None:
    _, second = meeting.collide(grant(user, 5), deduct(user, 12))
    assert second["balance_after"] == 3


def test_a_charge_is_not_paid_by_a_grant_that_is_rolled_back(
    db: Connection, meeting: Meeting, user: str
) -> None:
    _, second = meeting.collide(grant(user, 5), deduct(user, 12), commit=False)
    assert second.sqlstate == "DU002"
    assert balance(db, user)["balance"] == 10


def test_a_grant_adds_to_what_a_charge_left(db: Connection, meeting: Meeting, user: str) -> None:
    _, second = meeting.collide(deduct(user, 7), grant(user, 5))
    assert second["balance_after"] == 8


def test_a_negative_adjustment_stops_at_what_a_charge_left(
    db: Connection, meeting: Meeting, user: str
) -> None:
    _, second = meeting.collide(deduct(user, 7), call("select ducto_add_credits(%s, -4)", user))
    assert second.sqlstate == "DU002"
    assert balance(db, user)["balance"] == 3


def test_a_grant_revoked_while_it_is_spent_leaves_the_debt(
    db: Connection, meeting: Meeting, user: str
) -> None:
    purchase = ask(db, grant(user, 5))["transaction_id"]
    revoke = call("select ducto_revoke_grant(%s)", purchase)
    first, second = meeting.collide(deduct(user, 12), revoke)
    assert (first["balance_after"], second["balance_after"]) == (3, -2)
    assert (second["taken"], second["debt_added"]) == (3, 2)


def test_a_grant_revoked_twice_is_revoked_once(db: Connection, meeting: Meeting, user: str) -> None:
    purchase = ask(db, grant(user, 5))["transaction_id"]
    revoke = call("select ducto_revoke_grant(%s)", purchase)
    first, second = meeting.collide(revoke, revoke)
    assert first["transaction_id"] == second["transaction_id"]
    assert (first["replayed"], second["replayed"]) == (False, True)
    assert balance(db, user)["balance"] == 10


def test_a_charge_uses_the_allowance_of_a_plan_set_meanwhile(
    db: Connection, meeting: Meeting, user: str
) -> None:
    _, second = meeting.collide(
        call("select ducto_set_user_plan(%s, 'small')", user), use(user, 12)
    )
    assert (second["allowance_consumed"], second["amount"]) == (10, 2)


def test_a_plan_set_during_a_charge_grants_no_more_than_the_difference(
    db: Connection, meeting: Meeting, user: str
) -> None:
    ask(db, call("select ducto_set_user_plan(%s, 'small')", user))
    first, _ = meeting.collide(use(user, 8), call("select ducto_set_user_plan(%s, 'large')", user))
    assert first["allowance_consumed"] == 8
    assert balance(db, user)["allowance_remaining"] == 17
    assert balance(db, user)["balance"] == 10


def test_two_plan_changes_at_once_mint_one_allowance(
    db: Connection, meeting: Meeting, user: str
) -> None:
    meeting.collide(
        call("select ducto_set_user_plan(%s, 'small')", user),
        call("select ducto_set_user_plan(%s, 'large')", user),
    )
    assert balance(db, user)["allowance_remaining"] == 25


def test_the_allowance_of_a_period_is_granted_once(
    db: Connection, meeting: Meeting, user: str
) -> None:
    # The plan is there, its allowance is not: the next touch grants it.
    close(db, user)
    db.execute("update ducto.credit_accounts set plan_key = 'small' where account_id = %s", [user])
    first, second = meeting.collide(use(user, 6), use(user, 6))
    assert (first["allowance_consumed"], second["allowance_consumed"]) == (6, 4)
    assert balance(db, user)["balance"] == 8


@pytest.mark.parametrize("second", [deduct, use])
def test_a_charge_sees_the_key_of_a_hold_taken_while_it_waited(
    db: Connection, meeting: Meeting, user: str, second: Any
) -> None:
    # The first leaves the headroom open, so that the second, which waits for it, could draw.
    ask(db, deduct(user, 1))
    _, given = meeting.collide(
        call(
            "select ducto_reserve(%s, 1, p_idempotency_key => 'k') || ducto_deduct_amount(%s, 1)",
            user,
            user,
        ),
        second(user, 1, "k"),
    )
    assert given.sqlstate == "DU007"
    assert count(db, user, "usage") == 2


def lapsed_lot(db: Connection, user: str, amount: int) -> None:
    """Grant credits that have expired since, but are not yet booked."""
    lot = ask(db, grant(user, amount))["lot_id"]
    close(db, user)
    db.execute(
        "update ducto.credit_lots set expires_at = now() - interval '1 second' where lot_id = %s",
        [lot],
    )
    db.execute(
        "update ducto.credit_accounts set stale_at = now() - interval '2 seconds'"
        " where account_id = %s",
        [user],
    )


def test_a_charge_waits_for_the_sweep_of_its_account(
    db: Connection, meeting: Meeting, user: str
) -> None:
    lapsed_lot(db, user, 5)
    first, second = meeting.collide(SWEEP, deduct(user, 4))
    assert first.value == [{"user_id": user, "expired": 5, "lots": 1}]
    assert second["balance_after"] == 6
    assert count(db, user, "expiry") == 1


def test_a_charge_books_what_a_sweep_that_is_rolled_back_had_booked(
    db: Connection, meeting: Meeting, user: str
) -> None:
    lapsed_lot(db, user, 5)
    _, second = meeting.collide(SWEEP, deduct(user, 4), commit=False)
    assert second["balance_after"] == 6
    assert count(db, user, "expiry") == 1


def test_a_sweep_passes_by_an_account_that_is_being_charged(
    db: Connection, meeting: Meeting, user: str
) -> None:
    lapsed_lot(db, user, 5)
    first, second = meeting.pass_by(deduct(user, 4), SWEEP)
    assert first["balance_after"] == 6
    assert second.value == []
    assert count(db, user, "expiry") == 1


def test_two_sweeps_at_once_book_an_expiry_once(
    db: Connection, meeting: Meeting, user: str
) -> None:
    lapsed_lot(db, user, 5)
    first, second = meeting.pass_by(SWEEP, SWEEP)
    assert (len(first.value), second.value) == (1, [])
    assert count(db, user, "expiry") == 1
    assert balance(db, user)["balance"] == 10


def test_the_last_credit_of_a_cap_is_spent_once(
    db: Connection, meeting: Meeting, user: str
) -> None:
    ask(db, call("select ducto_set_spend_cap(%s, 'daily', 5)", user))
    ask(db, deduct(user, 4))
    _, second = meeting.collide(deduct(user, 1), deduct(user, 1))
    assert second.sqlstate == "DU001"
    cap = ask(db, call("select ducto_check_spend_cap(%s) -> 'caps' -> 0", user))
    assert (cap["used"], cap["remaining"]) == (5, 0)


def test_the_last_credit_of_a_cap_is_free_again_after_a_rollback(
    db: Connection, meeting: Meeting, user: str
) -> None:
    ask(db, call("select ducto_set_spend_cap(%s, 'daily', 5)", user))
    _, second = meeting.collide(deduct(user, 5), deduct(user, 5), commit=False)
    assert second["balance_after"] == 5


def test_a_charge_meets_a_cap_set_meanwhile(db: Connection, meeting: Meeting, user: str) -> None:
    _, second = meeting.collide(
        call("select ducto_set_spend_cap(%s, 'daily', 2)", user), deduct(user, 3)
    )
    assert second.sqlstate == "DU001"


def test_a_charge_no_longer_meets_a_cap_removed_meanwhile(
    db: Connection, meeting: Meeting, user: str
) -> None:
    ask(db, call("select ducto_set_spend_cap(%s, 'daily', 2)", user))
    _, second = meeting.collide(
        call("select ducto_remove_spend_cap(%s, 'daily')", user), deduct(user, 3)
    )
    assert second["balance_after"] == 7


def test_a_cap_set_during_a_charge_counts_it(db: Connection, meeting: Meeting, user: str) -> None:
    _, second = meeting.collide(
        deduct(user, 3), call("select ducto_set_spend_cap(%s, 'daily', 5)", user)
    )
    assert (second["used"], second["remaining"]) == (3, 2)


def test_a_charge_is_denied_by_a_freeze_made_meanwhile(
    db: Connection, meeting: Meeting, user: str
) -> None:
    _, second = meeting.collide(call("select ducto_freeze_account(%s)", user), deduct(user, 3))
    assert second.sqlstate == "DU019"
    assert balance(db, user)["balance"] == 10
