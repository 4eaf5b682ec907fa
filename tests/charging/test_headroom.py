"""Headroom: charges within it give the same ledger as the pipeline, and end where they must.

The clock is the real one here: a session with a clock of its own never takes the first statement.
"""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal as D
from typing import Any

import psycopg
import pytest

from tests.conftest import Connect
from tests.support.databases import Connection
from tests.support.waiting import until_blocked

PRICING = """{
    "models": {
        "sum": "input_tokens * 0.001 + output_tokens / 1000 * 0.003",
        "steps": "tier(input_tokens, 100, 0.1, 0.2)"
    },
    "fixed": {"report": 0.75},
    "plans": [
        {"id": "some", "free_allowance": 5},
        {
            "id": "cheap",
            "rate_overrides": {"sum": "input_tokens * 0.0005"},
            "per_operation": {"chat": {"required_feature": "chat"}}
        }
    ],
    "low_balance_thresholds": [20, 5]
}"""


@pytest.fixture
def priced(both: Connection) -> Connection:
    """A database with a pricing, on the real clock."""
    both.execute("select ducto_pricing_set(%s)", [PRICING])
    return both


def one(connection: Connection, query: str, *values: Any) -> Any:
    """The first value of a query."""
    row = connection.execute(query.encode(), values).fetchone()
    return None if row is None else row[0]


def account(connection: Connection, user_id: str) -> dict[str, Any]:
    """The row of an account."""
    found: dict[str, Any] = one(
        connection, "select to_jsonb(a) from ducto.credit_accounts a where account_id = %s", user_id
    )
    return found


def headroom(connection: Connection, user_id: str) -> D | None:
    """What may still be charged before something is decided; None: closed."""
    row = account(connection, user_id)
    return None if row["headroom_until"] == "-infinity" else D(str(row["headroom"]))


def close(connection: Connection, user_id: str) -> None:
    """Settle the account, so that its next charge goes through the pipeline."""
    connection.execute("select ducto.save_account(ducto.lock_account(%s))", [user_id])


def use(connection: Connection, user_id: str, tokens: int, key: str | None = None) -> Any:
    """Charge a usage of the model `sum`: a thousandth a token."""
    return one(
        connection,
        "select ducto_deduct(%s, jsonb_build_object('model', 'sum', 'input_tokens', %s::int), %s)",
        user_id,
        tokens,
        key,
    )


def entries(connection: Connection, user_id: str) -> list[Any]:
    """The ledger of an account, without what differs by nature, and with what it does not store."""
    return connection.execute(
        """
        select jsonb_set_lax(to_jsonb(t), '{warnings}', jsonb_path_query_array(
                coalesce(t.warnings, '[]'), '$[*].used'))
            - '{id,account_id,actor_id,created_at,xid,lot_id,allocations,breakdown,reference_id,
                reservation_id,idempotency_key}'::text[]
            || jsonb_build_object(
                'breakdown', ducto.entry_breakdown(row(t.*)::ducto.entry),
                'allocations', (
                    select jsonb_agg(a.item -> 'amount' order by a.place)
                    from jsonb_array_elements(ducto.entry_allocations(row(t.*)::ducto.entry))
                        with ordinality a (item, place)
                )
            )
        from ducto.credit_transactions t where t.account_id = %s order by t.id
        """,
        [user_id],
    ).fetchall()


def holds(connection: Connection, user_id: str) -> list[Any]:
    """The holds of an account, and what settled each, without what differs by nature."""
    return connection.execute(
        """
        select to_jsonb(r) - '{account_id,actor_id,reservation_id,created_at,expires_at,closed_at,
                transaction_id,idempotency_key,fingerprint}'::text[], t.amount, t.available_after
        from ducto.credit_reservations r
        left join ducto.credit_transactions t
            on t.account_id = r.account_id and t.id = r.transaction_id
            and t.reservation_id = r.reservation_id
        where r.account_id = %s order by r.created_at
        """,
        [user_id],
    ).fetchall()


LAST_HOLD = (
    "from ducto.credit_reservations r where r.account_id = %s and r.status = 'active'"
    " order by r.created_at desc limit 1"
)
HOLDS = (
    ("hold", "select ducto_reserve(%s, {n} / 64.0)"),
    (
        "hold of a usage",
        "select ducto_reserve(%s, p_metrics => jsonb_build_object('model', 'sum',"
        " 'input_tokens', {n}), p_idempotency_key => gen_random_uuid()::text,"
        " p_metadata => '{{\"a\": 1}}')",
    ),
    ("settle", f"select ducto_settle(r.reservation_id) {LAST_HOLD}"),
    (
        "settle another amount",
        f"select ducto_settle(r.reservation_id, null, {{n}} / 64.0) {LAST_HOLD}",
    ),
    (
        "settle a usage",
        "select ducto_settle(r.reservation_id, jsonb_build_object('model', 'sum',"
        f" 'input_tokens', {{n}})) {LAST_HOLD}",
    ),
    ("settle a part", f"select ducto_settle(r.reservation_id, null, 0.5, false) {LAST_HOLD}"),
)
OPERATIONS = (
    ("sum", "select ducto_deduct(%s, jsonb_build_object('model', 'sum', 'input_tokens', {n}))"),
    (
        "both",
        "select ducto_deduct(%s, jsonb_build_object('model', 'sum', 'input_tokens', {n},"
        " 'output_tokens', {n} * 3, 'operation', 'chat'), p_metadata => '{{\"a\": 1}}')",
    ),
    ("steps", "select ducto_deduct(%s, jsonb_build_object('model', 'steps', 'input_tokens', {n}))"),
    (
        "an operation",
        "select ducto_deduct(%s, jsonb_build_object('model', (array['sum', 'steps'])[1 + {n} %% 2],"
        " 'input_tokens', {n}, 'operation', (array['chat', 'draft'])[1 + {n} / 2 %% 2]))",
    ),
    (
        "dated",
        "select ducto_deduct(%s, jsonb_build_object('model', 'sum-2026', 'input_tokens', {n}))",
    ),
    ("fixed", "select ducto_deduct_fixed(%s, 'report')"),
    ("amount", "select ducto_deduct_amount(%s, {n} / 64.0)"),
    ("late", "select ducto_deduct_amount(%s, 0.01, p_occurred_at => '2026-01-01 00:00Z')"),
    ("grant", "select ducto_add_credits(%s, {n} / 32.0, 'purchase')"),
    ("take", "select ducto_add_credits(%s, -{n} / 256.0)"),
    ("promo", "select ducto_add_credits(%s, 1, 'promo', now() + interval '9 days')"),
    ("plan", "select ducto_set_user_plan(%s, (array['some', 'cheap', null])[1 + {n} %% 3])"),
    (
        "cap",
        "select ducto_set_spend_cap(%s, 'daily', {n} / 8.0, (array['deny', 'warn'])[1+{n}%%2])",
    ),
    ("uncap", "select ducto_remove_spend_cap(%s, 'daily')"),
    (
        "cap a model",
        "select ducto_set_spend_cap(%s, (array['daily', 'monthly'])[1 + {n} %% 2], 1 + {n} / 8.0,"
        " (array['deny', 'warn', 'notify'])[1 + {n} %% 3], (array['sum', 'steps'])[1 + {n} %% 2])",
    ),
    ("uncap a model", "select ducto_remove_spend_cap(%s, 'daily', 'sum')"),
    ("release", f"select ducto_release(r.reservation_id) {LAST_HOLD}"),
    (
        "refund",
        "select ducto_refund(max(id), 0.01) from ducto.credit_transactions"
        " where account_id = %s and type = 'usage' and amount < -0.02",
    ),
)


@pytest.mark.parametrize("seed", range(4))
def test_headroom_and_the_pipeline_write_the_same_ledger(priced: Connection, seed: int) -> None:
    dice = random.Random(seed)
    drawn = 0
    for user_id in ("fast", "slow"):
        priced.execute("select ducto_add_credits(%s, 50, 'purchase')", [user_id])
    for _ in range(150):
        kind, query = dice.choice(OPERATIONS[:8] * 4 + HOLDS * 3 + OPERATIONS)
        number = dice.randint(1, 500)
        close(priced, "slow")
        outcomes = []
        for user_id in ("fast", "slow"):
            try:
                answer = one(priced, query.format(n=number), user_id)
                outcomes.append(
                    (kind, answer and answer.get("cost"), answer and answer["status"])
                    if answer and "status" in answer
                    else kind
                )
            except psycopg.Error as error:
                outcomes.append(str(error.sqlstate))
        assert outcomes[0] == outcomes[1]
        drawn += D(str(account(priced, "fast")["drawn"])) > 0
    assert drawn > 10
    assert entries(priced, "fast") == entries(priced, "slow")
    assert holds(priced, "fast") == holds(priced, "slow")
    assert one(priced, "select ducto_get_balance('fast') - 'user_id'") == one(
        priced, "select ducto_get_balance('slow') - 'user_id'"
    )
    caps = [
        priced.execute("select * from ducto_list_spend_caps(%s)", [user_id]).fetchall()
        for user_id in ("fast", "slow")
    ]
    assert caps[0] == caps[1]
    assert priced.execute("select * from ducto_check()").fetchall() == []


@pytest.mark.parametrize("opened", [True, False])
def test_a_grant_or_the_first_charge_opens_it_and_the_next_draws(
    priced: Connection, opened: bool
) -> None:
    priced.execute("select ducto_add_credits('ann', 100, 'purchase')")
    # Down to the threshold of 20, which a charge has to announce.
    assert headroom(priced, "ann") == D("79.999999999999")
    if not opened:
        close(priced, "ann")
        assert headroom(priced, "ann") is None
    use(priced, "ann", 1000)
    assert headroom(priced, "ann") == D("78.999999999999")
    use(priced, "ann", 2000)
    assert account(priced, "ann")["drawn"] == 3
    assert headroom(priced, "ann") == D("76.999999999999")
    assert one(priced, "select ducto_get_balance('ann')")["balance"] == 97
    assert one(priced, "select remaining from ducto_list_lots('ann')") == 97


@pytest.mark.parametrize(
    ("setting", "room"),
    [
        ("select ducto_set_spend_cap('ann', 'daily', 10)", D(9)),
        ("select ducto_set_spend_cap('ann', 'daily', 10, 'warn')", D(9)),
        ("select ducto_set_spend_cap('ann', 'daily', 0.5, 'warn')", None),
        ("select ducto_set_spend_cap('ann', 'daily', 0.5, 'notify')", D("78.999999999999")),
        ("select ducto_set_spend_cap('ann', 'daily', 10, 'deny', 'sum')", D(9)),
        ("select ducto_set_spend_cap('ann', 'daily', 10, 'deny', 'steps')", D("78.999999999999")),
        ("select ducto_reserve('ann', 90)", D(9)),
        ("select ducto_set_user_plan('ann', 'some')", D(4)),
    ],
)
def test_it_is_the_least_of_its_limits(priced: Connection, setting: str, room: D | None) -> None:
    priced.execute("select ducto_add_credits('ann', 100, 'purchase')")
    priced.execute(setting.encode())
    use(priced, "ann", 1000)
    assert headroom(priced, "ann") == room


def used(connection: Connection, user_id: str) -> dict[str | None, D]:
    """What each cap has used, by its model."""
    return dict(
        connection.execute(
            "select model, used from ducto_list_spend_caps(%s)", [user_id]
        ).fetchall()
    )


def test_with_a_cap_on_a_model_it_is_of_one_model(priced: Connection) -> None:
    priced.execute("select ducto_add_credits('ann', 1000, 'purchase')")
    priced.execute("select ducto_set_spend_cap('ann', 'daily', 100)")
    priced.execute("select ducto_set_spend_cap('ann', 'daily', 50, 'deny', 'sum')")
    deduct = "select ducto_deduct('ann', jsonb_build_object('model', %s::text, 'input_tokens', 9))"
    use(priced, "ann", 1000)
    use(priced, "ann", 2000)
    # What is drawn and not yet written counts against both caps all the same.
    assert account(priced, "ann")["drawn"] == 3
    assert headroom(priced, "ann") == 47
    assert used(priced, "ann") == {None: 3, "sum": 3}
    # Another model settles it, and opens a headroom of its own: only the other cap is in its way.
    one(priced, deduct, "steps")
    assert account(priced, "ann")["headroom_models"] == ["", "steps", "steps"]
    assert headroom(priced, "ann") == D("96.9")
    one(priced, deduct, "steps")
    assert D(str(account(priced, "ann")["drawn"])) == D("0.2")
    assert used(priced, "ann") == {None: D("3.2"), "sum": 3}
    # One that is priced as a capped model counts against its cap.
    one(priced, deduct, "sum-2026")
    assert account(priced, "ann")["headroom_models"] == ["", "sum-2026", "sum"]
    one(priced, deduct, "sum-2026")
    assert D(str(account(priced, "ann")["drawn"])) == D("0.018")
    assert used(priced, "ann") == {None: D("3.218"), "sum": D("3.018")}
    # Charges that name no model meet the cap on every charge alone.
    one(priced, "select ducto_deduct_amount('ann', 1)")
    one(priced, "select ducto_deduct_amount('ann', 1)")
    assert (account(priced, "ann")["drawn"], account(priced, "ann")["headroom_models"]) == (2, [""])
    assert used(priced, "ann") == {None: D("5.218"), "sum": D("3.018")}
    with pytest.raises(psycopg.Error, match="cap"):
        use(priced, "ann", 46_983)
    use(priced, "ann", 46_982)
    assert used(priced, "ann") == {None: D("52.2"), "sum": 50}
    assert priced.execute("select * from ducto_check()").fetchall() == []


def test_a_settlement_opens_it_under_the_pricing_of_now(priced: Connection) -> None:
    """The hold has pinned a version that prices its model as another one, which is capped."""
    priced.execute("select ducto_add_credits('ann', 1000, 'purchase')")
    priced.execute("select ducto_set_spend_cap('ann', 'daily', 50, 'deny', 'sum')")
    usage = '{"model": "sum-2026", "input_tokens": 1000}'
    hold = one(priced, "select ducto_reserve('ann', p_metrics => %s::jsonb)", usage)
    priced.execute(
        "select ducto_pricing_set(%s)",
        ['{"models": {"sum": "input_tokens * 0.001", "sum-2026": "input_tokens * 0.002"}}'],
    )
    one(priced, "select ducto_settle(%s::uuid, %s::jsonb)", hold["reservation_id"], usage)
    assert account(priced, "ann")["headroom_models"] == ["", "sum-2026", "sum-2026"]
    one(priced, "select ducto_deduct('ann', %s::jsonb)", usage)
    assert account(priced, "ann")["drawn"] == 2
    assert used(priced, "ann") == {"sum": 1}
    assert priced.execute("select * from ducto_check()").fetchall() == []


@pytest.mark.parametrize(
    "operation",
    [
        "select ducto_freeze_account('ann')",
        "select ducto_set_spend_cap('ann', 'daily', 10)",
        "select ducto_release((ducto_reserve('ann', 1) ->> 'reservation_id')::uuid)",
        "select ducto_set_user_plan('ann', 'some')",
        "select ducto_refund(max(id)) from ducto.credit_transactions where type = 'usage'",
    ],
)
def test_every_other_operation_settles_and_closes_it(priced: Connection, operation: str) -> None:
    priced.execute("select ducto_add_credits('ann', 100, 'purchase')")
    for _ in range(3):
        use(priced, "ann", 1000)
    priced.execute(operation.encode())
    row = account(priced, "ann")
    assert (row["drawn"], row["headroom"], row["headroom_until"]) == (0, 0, "-infinity")
    assert priced.execute("select * from ducto_check()").fetchall() == []


def test_a_new_version_is_charged_at_once(priced: Connection) -> None:
    priced.execute("select ducto_add_credits('ann', 100, 'purchase')")
    assert [use(priced, "ann", 1000)["cost"] for _ in range(2)] == [1, 1]
    priced.execute("select ducto_pricing_set(%s)", [PRICING.replace("0.001 ", "0.002 ")])
    assert [use(priced, "ann", 1000)["cost"] for _ in range(2)] == [2, 2]
    priced.execute("select ducto_pricing_activate(1)")
    assert [use(priced, "ann", 1000)["cost"] for _ in range(2)] == [1, 1]


@pytest.mark.parametrize("held", [False, True])
def test_a_threshold_of_a_new_pricing_is_announced(priced: Connection, held: bool) -> None:
    priced.execute("select ducto_add_credits('ann', 30, 'purchase')")
    use(priced, "ann", 1000)
    priced.execute("select ducto_pricing_set(%s)", [PRICING.replace("[20, 5]", "[40]")])
    if held:
        priced.execute("select ducto_reserve('ann', 2)")
    for _ in range(3):
        use(priced, "ann", 1000)
    told = priced.execute(
        "select data -> 'threshold', data -> 'balance' from ducto.credit_events"
        " where type = 'credits.low_balance'"
    ).fetchall()
    assert told == [(40, 28)]
    assert account(priced, "ann")["drawn"] == 2


def test_a_hold_may_pass_a_cap_that_only_tells(priced: Connection) -> None:
    priced.execute("select ducto_add_credits('ann', 100, 'purchase')")
    priced.execute("select ducto_set_spend_cap('ann', 'daily', 10, 'notify')")
    priced.execute("select ducto_reserve('ann', 15)")
    assert headroom(priced, "ann") == D("79.999999999999")
    assert priced.execute("select * from ducto_check()").fetchall() == []


def test_an_override_of_the_plan_prices_within_it(priced: Connection) -> None:
    priced.execute("select ducto_add_credits('ann', 100, 'purchase')")
    priced.execute("select ducto_set_user_plan('ann', 'cheap')")
    assert [use(priced, "ann", 1000)["cost"] for _ in range(3)] == [D("0.5")] * 3
    assert account(priced, "ann")["drawn"] == D("1.5")


@pytest.mark.parametrize(
    "call",
    [
        'ducto_deduct(\'ann\', \'{"model": "sum", "input_tokens": 9, "operation": "chat"}\')',
        'ducto_deduct(\'ann\', \'{"model": "steps", "input_tokens": 9, "operation": "chat"}\')',
        'ducto_deduct_batch(\'[{"user_id": "ann", "metrics":'
        ' {"model": "sum", "input_tokens": 9, "operation": "chat"}}]\')',
        "ducto_reserve('ann', 1, p_operation_type => 'chat')",
    ],
)
@pytest.mark.parametrize("opened", [True, False])
def test_an_operation_that_lacks_its_feature_is_not_within_it(
    priced: Connection, call: str, opened: bool
) -> None:
    priced.execute("select ducto_add_credits('ann', 100, 'purchase')")
    priced.execute("select ducto_set_user_plan('ann', 'cheap')")
    for _ in range(2):
        use(priced, "ann", 1000)
    other = call.replace("chat", "draft")
    if "reserve" not in call:
        assert one(priced, f"select {other}") is not None
        assert account(priced, "ann")["drawn"] > 1
    if not opened:
        close(priced, "ann")
    before = one(priced, "select ducto_get_balance('ann')")
    if "batch" in call:
        assert [each["code"] for each in one(priced, f"select {call}")] == ["DU013"]
    else:
        with pytest.raises(psycopg.Error) as raised:
            priced.execute(f"select {call}".encode())
        assert raised.value.sqlstate == "DU013"
    assert one(priced, "select ducto_get_balance('ann')") == before
    assert priced.execute("select * from ducto_check()").fetchall() == []


def test_a_lapsed_lot_ends_it(priced: Connection) -> None:
    priced.execute(
        "select ducto_add_credits('ann', 100, 'promo', clock_timestamp() + interval '0.4 seconds')"
    )
    use(priced, "ann", 1000)
    use(priced, "ann", 1000)
    priced.execute("select pg_sleep(0.5)")
    with pytest.raises(psycopg.Error) as raised:
        use(priced, "ann", 1000)
    assert raised.value.sqlstate == "DU002"
    assert one(priced, "select ducto_get_balance('ann')")["balance"] == 0


def test_a_key_used_within_it_replays_and_draws_nothing(priced: Connection) -> None:
    priced.execute("select ducto_add_credits('ann', 100, 'purchase')")
    use(priced, "ann", 1000)
    first = use(priced, "ann", 1000, "key")
    assert use(priced, "ann", 1000, "key") == {**first, "replayed": True}
    with pytest.raises(psycopg.Error) as raised:
        use(priced, "ann", 2000, "key")
    assert raised.value.sqlstate == "DU007"
    assert account(priced, "ann")["drawn"] == 2


@pytest.mark.parametrize(
    "call",
    [
        "ducto_deduct('ann', '{\"model\": \"sum\", \"input_tokens\": 10}', 'k')",
        "ducto_deduct('ann', '{\"model\": \"steps\", \"input_tokens\": 9}', 'k')",
        'ducto_deduct_batch(\'[{"user_id": "ann", "metrics": {"model": "sum",'
        ' "input_tokens": 10}, "idempotency_key": "k"}]\') -> 0',
        "ducto_settle(r.reservation_id, null, 0.125)"
        " from (select reservation_id from ducto.credit_reservations) r",
    ],
)
def test_a_replay_is_the_first_answer_to_the_letter(priced: Connection, call: str) -> None:
    """Of a charge that the allowance pays: the amount is 0, not 0.00."""
    priced.execute("select ducto_add_credits('ann', 100, 'purchase')")
    priced.execute("select ducto_set_user_plan('ann', 'some')")
    use(priced, "ann", 1000)
    priced.execute("select ducto_reserve('ann', 1)")
    result, _, rest = call.partition(" from ")
    query = f"select ({result})::text" + (rest and f" from {rest}")
    first = one(priced, query)
    assert account(priced, "ann")["drawn"] > 0
    assert '"amount": 0,' in first
    assert one(priced, query) == first.replace('"replayed": false', '"replayed": true')


@pytest.mark.parametrize("first", ["hold", "charge", "grant"])
@pytest.mark.parametrize("second", ["hold", "charge", "amount", "grant"])
def test_a_key_names_one_operation(priced: Connection, first: str, second: str) -> None:
    calls = {
        "hold": "select ducto_reserve('ann', 3, p_idempotency_key => 'k')",
        "charge": "select ducto_deduct('ann', '{\"model\": \"sum\"}', 'k')",
        "amount": "select ducto_deduct_amount('ann', 3, 'k')",
        "grant": "select ducto_add_credits('ann', 3, p_idempotency_key => 'k')",
    }
    priced.execute("select ducto_add_credits('ann', 100, 'purchase')")
    use(priced, "ann", 1000)
    answer = one(priced, calls[first])
    if first == second:
        assert one(priced, calls[second])["replayed"] is True
        return
    before = entries(priced, "ann")
    with pytest.raises(psycopg.Error) as raised:
        priced.execute(calls[second].encode())
    assert raised.value.sqlstate == "DU007"
    assert entries(priced, "ann") == before
    if first == "hold":
        settled = one(
            priced,
            "select ducto_settle(%s, p_idempotency_key => 'k')",
            answer["reservation_id"],
        )
        assert (settled["cost"], settled["replayed"]) == (3, False)


def test_two_sessions_and_the_last_credit(priced: Connection, connect: Connect) -> None:
    priced.execute("select ducto_add_credits('ann', 30, 'purchase')")
    use(priced, "ann", 1000)
    other = connect()
    with priced.transaction():
        use(priced, "ann", 8000)
        other.autocommit = True
        other.execute("set lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            use(other, "ann", 1000)
    other.execute("set lock_timeout = 0")
    assert headroom(priced, "ann") == D("0.999999999999")
    assert use(other, "ann", 1000)["balance_after"] == 20
    with pytest.raises(psycopg.Error) as raised:
        use(other, "ann", 20001)
    assert raised.value.sqlstate == "DU002"


def test_a_charge_within_it_takes_few_locks(priced: Connection) -> None:
    priced.execute("select ducto_add_credits('ann', 100, 'purchase')")
    for _ in range(8):
        use(priced, "ann", 1)
    with priced.transaction():
        use(priced, "ann", 1, "key")
        locks = one(
            priced,
            "select count(*) from pg_locks where pid = pg_backend_pid() and locktype = 'relation'"
            " and relation not in ('pg_locks'::regclass)",
        )
    assert locks <= 16


def test_a_row_of_a_plain_charge_is_narrow(priced: Connection) -> None:
    priced.execute("select ducto_add_credits('ann', 100, 'purchase')")
    for _ in range(2):
        use(priced, "ann", 100, "a key of an application")
        use(priced, "ann", 100)
    found = one(
        priced,
        "select max(pg_column_size(t)) from ducto.credit_transactions t where type = 'usage'",
    )
    assert found <= 240


def test_a_hold_and_its_settlement_stay_within_it(priced: Connection) -> None:
    priced.execute("select ducto_add_credits('ann', 100, 'purchase')")
    use(priced, "ann", 1000)
    assert headroom(priced, "ann") == D("78.999999999999")
    hold = one(priced, "select ducto_reserve('ann', 10, p_idempotency_key => 'k')")
    assert (hold["available"], account(priced, "ann")["held"]) == (89, 10)
    # As far as the threshold; what is available reaches further.
    assert headroom(priced, "ann") == D("78.999999999999")
    settled = one(priced, "select ducto_settle(%s, null, 4)", hold["reservation_id"])
    assert (settled["balance_after"], settled["available_after"]) == (95, 95)
    assert headroom(priced, "ann") == D("74.999999999999")
    row = account(priced, "ann")
    assert (row["drawn"], row["held"], row["balance"]) == (5, 0, 100)
    again = one(priced, "select ducto_settle(%s, null, 4)", hold["reservation_id"])
    assert again == {**settled, "replayed": True}
    assert one(priced, "select ducto_get_balance('ann')")["balance"] == 95
    assert priced.execute("select * from ducto_check()").fetchall() == []


def test_a_hold_is_of_what_all_lots_hold(priced: Connection) -> None:
    for _ in range(3):
        priced.execute("select ducto_add_credits('ann', 30, 'purchase')")
    use(priced, "ann", 1000)
    assert headroom(priced, "ann") == 29
    hold = one(priced, "select ducto_reserve('ann', 65)")
    assert (hold["available"], account(priced, "ann")["held"]) == (24, 65)
    assert headroom(priced, "ann") == 24
    with pytest.raises(psycopg.Error, match="needs 25"):
        one(priced, "select ducto_reserve('ann', 25)")
    one(priced, "select ducto_reserve('ann', 24)")
    assert account(priced, "ann")["drawn"] == 1
    assert headroom(priced, "ann") == 0
    settled = one(priced, "select ducto_settle(%s)", hold["reservation_id"])
    assert (settled["balance_after"], settled["available_after"]) == (24, 0)
    assert priced.execute("select * from ducto_check()").fetchall() == []


def test_what_is_held_together_can_be_stored(priced: Connection) -> None:
    plans = '"plans": [{"id": "debt", "default_billing_mode": "overdraft"},'
    priced.execute("select ducto_pricing_set(%s)", [PRICING.replace('"plans": [', plans)])
    priced.execute("select ducto_add_credits('ann', 9.5e25, 'purchase')")
    priced.execute("select ducto_set_user_plan('ann', 'debt')")
    use(priced, "ann", 1000)
    priced.execute("select ducto_reserve('ann', 9.9e25)")
    with pytest.raises(psycopg.Error) as raised:
        priced.execute("select ducto_reserve('ann', 5e24)")
    assert raised.value.sqlstate == "DU017"


def test_a_hold_ends_the_headroom_with_its_deadline(priced: Connection) -> None:
    priced.execute("select ducto_add_credits('ann', 100, 'purchase')")
    use(priced, "ann", 1000)
    one(priced, "select ducto_reserve('ann', 60, p_ttl_seconds => 1)")
    with pytest.raises(psycopg.Error) as raised:
        use(priced, "ann", 50_000)
    assert raised.value.sqlstate == "DU002"
    priced.execute("select pg_sleep(1.1)")
    assert use(priced, "ann", 50_000)["available_after"] == 49
    assert priced.execute("select * from ducto_check()").fetchall() == []


def test_two_sessions_settle_one_hold_once(priced: Connection, connect: Connect) -> None:
    priced.execute("select ducto_add_credits('ann', 100, 'purchase')")
    use(priced, "ann", 1000)
    hold = one(priced, "select ducto_reserve('ann', 10)")["reservation_id"]
    other = connect()
    other.autocommit = True
    with ThreadPoolExecutor(1) as pool:
        with priced.transaction():
            first = one(priced, "select ducto_settle(%s, null, 4)", hold)
            second = pool.submit(one, other, "select ducto_settle(%s, null, 4)", hold)
            until_blocked(connect())
        assert second.result() == {**first, "replayed": True}
    assert one(priced, "select ducto_get_balance('ann')")["balance"] == 95
    assert account(priced, "ann")["held"] == 0
    assert priced.execute("select * from ducto_check()").fetchall() == []


@pytest.mark.parametrize("opened", [True, False])
def test_a_settlement_above_its_hold_takes_what_is_available_above_the_floor(
    both: Connection, opened: bool
) -> None:
    """Nothing is, below the floor: not the rest of the allowance either, which charges may use."""
    both.execute(
        "select ducto_pricing_set(%s)",
        [
            '{"models": {"sum": "input_tokens * 0.001"}, "min_balance": 10,'
            ' "plans": [{"id": "free", "free_allowance": 5, "default": true}]}'
        ],
    )
    one(both, "select ducto_deduct_amount('ann', 0.5)")
    hold = one(both, "select ducto_reserve('ann', 1)")["reservation_id"]
    if not opened:
        close(both, "ann")
    settled = one(both, "select ducto_settle(%s::uuid, p_amount => 3)", hold)
    assert (settled["allowance_consumed"], settled["amount"]) == (1, 2)
    assert account(both, "ann")["debt"] == 2
    assert both.execute("select * from ducto_check()").fetchall() == []


def test_the_time_of_a_hold_runs_from_when_it_has_its_account(
    priced: Connection, connect: Connect
) -> None:
    priced.execute("select ducto_add_credits('ann', 100, 'purchase')")
    holder = connect()
    holder.autocommit = True
    with ThreadPoolExecutor(1) as pool:
        with priced.transaction():
            use(priced, "ann", 1000)
            waiting = pool.submit(one, holder, "select ducto_reserve('ann', 5, p_ttl_seconds => 1)")
            until_blocked(connect())
            freed_at = one(priced, "select clock_timestamp()::text")
        hold = waiting.result()
    assert one(
        priced,
        "select created_at >= %s::timestamptz and expires_at = created_at + interval '1 second'"
        " from ducto.credit_reservations where reservation_id = %s::uuid",
        freed_at,
        hold["reservation_id"],
    )
    assert priced.execute("select * from ducto_check()").fetchall() == []


@pytest.mark.parametrize(
    "fraction", ["5", "0" * 40, "0" * 41, "0" * 16000], ids=lambda digits: str(len(digits))
)
def test_a_price_within_it_is_of_usage_that_can_be_priced_again(
    priced: Connection, fraction: str
) -> None:
    """The evaluator takes 40 digits, zeros too: more could be charged, and never recomputed."""
    priced.execute("select ducto_add_credits('ann', 100, 'purchase')")
    hold = one(priced, "select ducto_reserve('ann', 1)")["reservation_id"]
    usage = f'{{"model": "sum", "input_tokens": 1000.{fraction}}}'
    calls = [
        "select ducto_deduct('ann', %(usage)s::jsonb)",
        "select ducto_reserve('ann', p_metrics => %(usage)s::jsonb)",
        "select ducto_settle(%(hold)s::uuid, %(usage)s::jsonb)",
    ]
    for call in calls:
        if len(fraction) <= 40:
            found = priced.execute(call, {"usage": usage, "hold": hold}).fetchone()
            assert found is not None and found[0]["status"] == "ok"
        else:
            with pytest.raises(psycopg.Error, match="more than 40 fraction digits") as refused:
                priced.execute(call, {"usage": usage, "hold": hold})
            assert refused.value.sqlstate == "DU017"
    (item,) = one(
        priced,
        "select ducto_deduct_batch(jsonb_build_array(jsonb_build_object("
        "'user_id', 'ann', 'metrics', %s::jsonb)))",
        usage,
    )
    assert item["status"] == ("ok" if len(fraction) <= 40 else "error")
    assert item.get("cost") == (D(f"1000.{fraction}") / 1000 if len(fraction) <= 40 else None)
    assert priced.execute("select * from ducto_check()").fetchall() == []


@pytest.mark.parametrize(
    ("expression", "cost", "exact"),
    [
        ("2.50", "2.5", "2.5"),
        ("input_tokens * 0.5", "50", "50"),
        ("input_tokens * 0.5 + output_tokens", "57", "57"),
        ("1 + input_tokens * 0.5 + output_tokens + cached_tokens * 3", "67", "67"),
        ("input_tokens + output_tokens + cached_tokens + requests * 0.25", "110.25", "110.25"),
        ("input_tokens * 0.0000000000004", "0.00000000004", "0.00000000004"),
        ("output_tokens * 0.0000000000004", "0.000000000003", "0.0000000000028"),
        (
            "cached_tokens + output_tokens * 0.0000000000004 + requests + reasoning_tokens * 2",
            "4.000000000003",
            "4.0000000000028",
        ),
    ],
)
def test_a_price_within_it_has_as_many_terms_as_it_has(
    both: Connection, expression: str, cost: str, exact: str
) -> None:
    """Three and four terms too, none reported or all, and rounded where they are too fine."""
    both.execute(
        "select ducto_pricing_set(jsonb_build_object('models', jsonb_build_object('m', %s::text)))",
        [expression],
    )
    both.execute("select ducto_add_credits('ann', 1000, 'purchase')")
    assert one(both, "select model #>> '{}' from ducto.credit_linear_rates") == "m"
    usage = (
        '{"model": "m", "input_tokens": 100, "output_tokens": 7, "cached_tokens": 3, "requests": 1}'
    )
    quote = one(both, "select ducto_quote('ann', %s::jsonb)", usage)
    charge = one(both, "select ducto_deduct('ann', %s::jsonb)", usage)
    assert headroom(both, "ann") == 1000 - D(cost)
    assert charge["cost"] == quote["cost"] == D(cost)
    assert charge["breakdown"] == quote["breakdown"]
    assert (charge["breakdown"]["model"], charge["breakdown"]["total"]) == (D(exact), D(cost))
    explained = one(both, "select ducto_explain(%s)", charge["transaction_id"])
    assert explained["breakdown"] == charge["breakdown"]
    hold = one(both, "select ducto_reserve('ann', p_metrics => %s::jsonb)", usage)
    settled = one(both, "select ducto_settle(%s::uuid, %s::jsonb)", hold["reservation_id"], usage)
    assert settled["breakdown"] == charge["breakdown"]
    nothing = one(both, "select ducto_deduct('ann', '{\"model\": \"m\"}')")
    assert nothing["cost"] == one(both, 'select ducto_calculate(\'{"model": "m"}\')')["cost"]
    assert both.execute("select * from ducto_check()").fetchall() == []
