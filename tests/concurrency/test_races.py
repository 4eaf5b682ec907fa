"""Sixteen sessions at once on one account: a key charges once, a balance stops at its floor."""

from __future__ import annotations

import pytest

from tests.concurrency.sessions import (
    READ_COMMITTED,
    SERIALIZABLE,
    Answer,
    ask,
    call,
    deduct,
    grant,
    together,
    use,
)
from tests.support.databases import Connection


@pytest.fixture(params=[READ_COMMITTED, SERIALIZABLE])
def level(request: pytest.FixtureRequest) -> str:
    """The isolation level of every session."""
    level: str = request.param
    return level


def spent(answers: list[Answer]) -> list[Answer]:
    """The answers of the charges that happened."""
    return [given for given in answers if given.sqlstate is None]


def expect_ledger(db: Connection, user: str, balance: int, charges: int) -> None:
    """The ledger sums to the balance, has as many charges, and the books hold."""
    assert db.execute(
        "select sum(amount), count(*) filter (where type = 'usage'), min(balance_after),"
        " (ducto_get_balance(%s) -> 'balance')::numeric"
        " from ducto.credit_transactions where account_id = %s",
        [user, user],
    ).fetchone() == (balance, charges, balance, balance)
    assert db.execute("select * from ducto_check()").fetchall() == []


def test_sixteen_sessions_under_one_key_charge_once(
    db: Connection, sessions: list[Connection], user: str, level: str
) -> None:
    ask(db, grant(user, 100))
    answers = together(sessions, level, [use(user, 7, "chat_42")] * 16)
    first = [given for given in answers if not given["replayed"]]
    assert len(first) == 1
    assert [given.value for given in answers if given["replayed"]] == [
        first[0].value | {"replayed": True}
    ] * 15
    assert first[0]["balance_after"] == 93
    expect_ledger(db, user, 93, 1)


def test_sixteen_sessions_drain_an_account_to_its_floor(
    db: Connection, sessions: list[Connection], user: str, level: str
) -> None:
    """Of 16 times 5 charges of 3 credits, 33 fit into 100."""
    ask(db, grant(user, 100))
    answers = [
        given for _ in range(5) for given in together(sessions, level, [deduct(user, 3)] * 16)
    ]
    assert sorted(given["balance_after"] for given in spent(answers)) == [*range(1, 100, 3)]
    assert {given.sqlstate for given in answers if given.sqlstate} == {"DU002"}
    expect_ledger(db, user, 1, 33)


def test_sixteen_sessions_spend_a_cap_to_its_limit(
    db: Connection, sessions: list[Connection], user: str, level: str
) -> None:
    ask(db, grant(user, 100))
    ask(db, call("select ducto_set_spend_cap(%s, 'daily', 10)", user))
    answers = together(sessions, level, [use(user, 1, f"key-{n}") for n in range(16)])
    assert len(spent(answers)) == 10
    assert {given.sqlstate for given in answers if given.sqlstate} == {"DU001"}
    expect_ledger(db, user, 90, 10)


def test_sixteen_sessions_hold_no_more_than_there_is(
    db: Connection, sessions: list[Connection], user: str, level: str
) -> None:
    ask(db, grant(user, 100))
    answers = together(sessions, level, [call("select ducto_reserve(%s, 9)", user)] * 16)
    assert len(spent(answers)) == 11
    account = ask(db, call("select ducto_get_balance(%s)", user))
    assert (account["held"], account["available"]) == (99, 1)


def test_sixteen_sessions_refund_a_charge_once(
    db: Connection, sessions: list[Connection], user: str, level: str
) -> None:
    ask(db, grant(user, 100))
    charge = ask(db, deduct(user, 40))["transaction_id"]
    answers = together(sessions, level, [call("select ducto_refund(%s, 9)", charge)] * 16)
    assert len(spent(answers)) == 4
    assert {given.sqlstate for given in answers if given.sqlstate} == {"DU009"}
    assert ask(db, call("select ducto_get_balance(%s)", user))["balance"] == 96
    assert db.execute("select * from ducto_check()").fetchall() == []


def test_sixteen_sessions_touch_an_account_first(
    db: Connection, sessions: list[Connection], user: str, level: str
) -> None:
    together(sessions, level, [grant(user, 1)] * 16)
    expect = "select sum(amount), count(*) from ducto.credit_transactions where account_id = %s"
    assert db.execute(expect, [user]).fetchone() == (16, 16)
    assert db.execute("select * from ducto_check()").fetchall() == []


def test_sixteen_batches_over_the_same_accounts_never_deadlock(
    db: Connection, sessions: list[Connection], user: str, level: str
) -> None:
    """Each session names the accounts from another one on, half of them backwards."""
    users = [f"{user}-{letter}" for letter in "abcdefgh"]
    for name in users:
        ask(db, grant(name, 100))
    batches = []
    for n in range(16):
        names = (users[n % 8 :] + users[: n % 8])[:: 1 if n < 8 else -1]
        batches.append(call(
            "select ducto_deduct_batch(%s)", [{"user_id": name, "amount": 1} for name in names]
        ))  # fmt: skip
    for given in together(sessions, level, batches):
        assert [item["status"] for item in given.value] == ["ok"] * 8
    for name in users:
        expect_ledger(db, name, 84, 16)


def test_sixteen_batches_of_usage_over_the_same_accounts_never_deadlock(
    db: Connection, sessions: list[Connection], user: str, level: str
) -> None:
    """Some accounts are there, some come into being; half of the keys are everybody's, and one
    account cannot pay for all."""
    users = [f"{user}-{letter}" for letter in "abcdefgh"]
    for name in users[::2]:
        ask(db, grant(name, 100 if name != users[2] else 5))
        ask(db, use(name, 0))
    batches = []
    for n in range(16):
        names = (users[n % 8 :] + users[: n % 8])[:: 1 if n < 8 else -1]
        batches.append(call(
            "select ducto_deduct_batch(%s)",
            [
                {
                    "user_id": name,
                    "metrics": {"model": "plain", "input_tokens": 1},
                    "idempotency_key": key,
                }
                for name in names
                for key in ("everybody's", f"key-{n}")
            ],
        ))  # fmt: skip
    answers = [item for given in together(sessions, level, batches) for item in given.value]
    # Of the keys, everybody's is charged once.
    charged = {item["transaction_id"] for item in answers if item["status"] == "ok"}
    assert len(charged) == 3 * 17 + 5
    assert {item.get("code") for item in answers} == {None, "DU002"}
    for name in users[::2]:
        spent = 5 if name == users[2] else 17
        assert db.execute(
            "select -sum(amount), count(distinct idempotency_key) from ducto.credit_transactions"
            " where account_id = %s and amount < 0",
            [name],
        ).fetchone() == (spent, spent)
    assert db.execute("select * from ducto_check()").fetchall() == []
