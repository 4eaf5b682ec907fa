"""What an operation reads and writes does not grow with the lots, the holds or the entries of its
account: it touches about as many buffers as on an account that has one of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.databases import Connection, Databases, open_connection
from tests.support.pricing import publish

MANY = 10_000
ENTRIES = 200_000
# What may come on top of half as much again: deeper indexes, a page that has to be extended.
SLACK = 25
FILL = """
    select ducto_add_credits(a, 1000000, p_priority => 1)
    from unnest('{small,lots,holds,ledger,drained}'::text[]) a;
    insert into ducto.credit_lots (
        account_id, kind, category, amount, remaining, effective_at, expires_at, created_at
    )
    select a, 'adjustment', 'paid', 1, 1, now(), now() + i * interval '1 hour', now()
    from generate_series(1, {many}) i, unnest('{lots,drained}'::text[]) a
    where i > 1;
    update ducto.credit_accounts set balance = balance + {many} - 1, granted = granted + {many} - 1,
        stale_at = now() + interval '1 hour'
    where account_id in ('lots', 'drained');
    insert into ducto.credit_reservations (
        account_id, actor_id, amount, held, expires_at, created_at
    )
    select 'holds', 'holds', 1, 1, now() + i * interval '1 minute', now()
    from generate_series(1, {many}) i
    where i > 5;
    update ducto.credit_accounts set held = {many} - 5, stale_at = now() + interval '1 minute'
    where account_id = 'holds';
    insert into ducto.credit_transactions (
        account_id, actor_id, type, amount, balance_after, lot_id, metrics, model,
        pricing_version, idempotency_key, created_at
    )
    select 'ledger', 'ledger', 'usage', -1, 1000000 - i, l.lot_id, '{"input_tokens": 1}', 'm', 1,
        'key ' || i, now()
    from generate_series(1, {entries}) i, ducto.credit_lots l
    where l.account_id = 'ledger';
"""
SETUP = """
    select jsonb_build_object(
        'user', a,
        'charge', ducto_deduct_amount(a, 1) -> 'transaction_id',
        'refunded', ducto_deduct_amount(a, 1) -> 'transaction_id',
        'hold', ducto_reserve(a, 1) -> 'reservation_id',
        'other', ducto_reserve(a, 1) -> 'reservation_id',
        'third', ducto_reserve(a, 1) -> 'reservation_id',
        'grant', ducto_add_credits(a, 1) -> 'transaction_id'
    )
    from (select %s::text as a) s
"""
# The call before the one that is measured leaves the account as the measured one is to find it.
OPERATIONS = {
    "charge": 'ducto_deduct({user}, \'{{"model": "m", "input_tokens": 2}}\')',
    "charge of an amount": "ducto_deduct_amount({user}, 1)",
    "charge with a key": "ducto_deduct_amount({user}, 1, gen_random_uuid()::text)",
    "grant": "ducto_add_credits({user}, 1)",
    "charge in a batch": "ducto_deduct_batch(jsonb_build_array(jsonb_build_object("
    "'user_id', {user}, 'metrics', '{{\"model\": \"m\", \"input_tokens\": 2}}'::jsonb, "
    "'idempotency_key', gen_random_uuid())))",
    "charge in full": "ducto_deduct_amount({user}, 1)",
    "batch": "ducto_deduct_batch(jsonb_build_array(jsonb_build_object("
    "'user_id', {user}, 'amount', 1, 'idempotency_key', gen_random_uuid())))",
    "negative adjustment": "ducto_add_credits({user}, -1)",
    "hold": "ducto_reserve({user}, 1)",
    "settle": "ducto_settle({hold}::uuid, p_amount => 2)",
    "release": "ducto_release({other}::uuid)",
    "renew": "ducto_renew({third}::uuid)",
    "refund": "ducto_refund({charge}, 1)",
    "revoke": "ducto_revoke_grant({grant})",
    "explain": "ducto_explain({refunded})",
    "balance": "ducto_get_balance({user})",
    "available": "ducto_get_available({user})",
    "quote": 'ducto_quote({user}, \'{{"model": "m", "input_tokens": 2}}\')',
    "set a plan": "ducto_set_user_plan({user}, null)",
    "freeze": "ducto_unfreeze_account({user})",
    "list": "ducto_list_transactions({user}, 10)",
}


@pytest.fixture(scope="module")
def crowded(databases: Databases) -> Iterator[Connection]:
    """Accounts with many lots, many holds, a long ledger; none of it was ever analysed."""
    dsn = databases.create()
    with open_connection(dsn) as connection:
        publish(connection, {"models": {"m": "input_tokens"}})
        fill = FILL.replace("{many}", str(MANY)).replace("{entries}", str(ENTRIES))
        connection.execute(fill.encode())
        yield connection
    databases.drop(dsn)


def buffers(connection: Connection, call: str) -> int:
    """The buffers that a call touches, rolled back."""
    with connection.transaction(force_rollback=True):
        row = connection.execute(
            f"explain (analyze, buffers, format json) select {call}".encode()
        ).fetchone()
    assert row is not None
    plan = row[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def made(connection: Connection, user: str) -> dict[str, str]:
    """What there is to name, quoted as literals."""
    row = connection.execute(SETUP, [user]).fetchone()
    assert row is not None
    names: dict[str, Any] = row[0]
    return {key: "'" + str(value) + "'" for key, value in names.items()}


@pytest.mark.parametrize("crowd", ["lots", "holds", "ledger"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_touches_no_more_in_a_crowd(
    crowded: Connection, operation: str, crowd: str
) -> None:
    found = {}
    for user in "small", crowd:
        call = OPERATIONS[operation].format(**made(crowded, user))
        before = "ducto_freeze_account('nobody')"
        if operation.startswith("charge") and operation != "charge in full":
            before = f"ducto_deduct_amount('{user}', 1)"
        crowded.execute(f"select {before}".encode())
        # Twice, the first time to warm what the session caches.
        buffers(crowded, call)
        found[user] = buffers(crowded, call)
    assert found[crowd] <= 1.5 * found["small"] + SLACK


def test_a_drain_of_many_lots_is_linear(crowded: Connection) -> None:
    crowded.execute("select ducto_deduct_amount('drained', 1000000)")
    taken = {}
    for part in 500, 5000:
        taken[part] = buffers(crowded, f"ducto_deduct_amount('drained', {part})")
    # Ten times, and deeper indexes; a look at every lot for every lot would be a hundred.
    assert taken[5000] <= 20 * taken[500]
    crowded.execute("set statement_timeout = '1s'")
    try:
        row = crowded.execute(f"select ducto_deduct_amount('drained', {MANY - 1})").fetchone()
        assert row is not None
        crowded.execute("select ducto_refund(%s)", [row[0]["transaction_id"]])
    finally:
        crowded.execute("reset statement_timeout")


def test_a_batch_is_linear(crowded: Connection) -> None:
    """However few accounts and entries there were when its statements were planned."""
    crowded.execute(
        "select ducto_add_credits_batch(jsonb_agg(jsonb_build_object("
        "'user_id', 'many ' || i, 'amount', 10))) from generate_series(1, 1000) i"
    )
    charges = (
        "(select jsonb_agg(jsonb_build_object('user_id', 'many ' || i, 'idempotency_key',"
        " '{key} ' || i, 'metrics', jsonb_build_object('model', 'm', 'input_tokens', 1)))"
        " from generate_series(1, {count}) i)"
    )
    crowded.execute(f"select ducto_deduct_batch({charges.format(count=1000, key='a')})".encode())
    taken = {
        count: buffers(crowded, f"ducto_deduct_batch({charges.format(count=count, key=count)})")
        for count in (100, 1000)
    }
    assert taken[1000] <= 15 * taken[100]
