"""supabase-js against the real server: as a frontend, as a service, and its numbers."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.support import js
from tests.support.postgrest import PASSWORD, Project

CONFIG = {"models": {"gpt-4": "input_tokens * 0.03"}}
HEAD = """
import { createClient } from '@supabase/supabase-js'
const { URL_, ANON, SERVICE, ANN, BOB, PASSWORD } = process.env
const quiet = { auth: { persistSession: false, autoRefreshToken: false } }
const anon = createClient(URL_, ANON, quiet)
const service = createClient(URL_, SERVICE, quiet)
const show = (value) => console.log(JSON.stringify(value))
const short = ({ data, error, status }) => ({ data, error, status })
async function signIn(email) {
  const client = createClient(URL_, ANON, quiet)
  const { error } = await client.auth.signInWithPassword({ email, password: PASSWORD })
  if (error) throw error
  return client
}
"""


@pytest.fixture(scope="module")
def priced(project: Project) -> Project:
    """The project with pricing."""
    project.serve("pricing_set", config=CONFIG)
    return project


@pytest.fixture
def people(priced: Project) -> tuple[str, str]:
    """Two users who can sign in; the first has 100 credits, the second 7."""
    ann, bob = f"ann-{uuid4()}", f"bob-{uuid4()}"
    priced.users = {"ann@example.com": ann, "bob@example.com": bob}
    priced.serve("add_credits", user_id=ann, amount=100)
    priced.serve("add_credits", user_id=bob, amount=7)
    return ann, bob


@pytest.fixture
def run(priced: Project, people: tuple[str, str], tmp_path: Path) -> Any:
    """Runs JavaScript behind HEAD; what it showed."""

    def run(source: str) -> list[Any]:
        printed = js.run(
            HEAD + source,
            tmp_path,
            URL_=priced.url,
            ANON=priced.anon_key,
            SERVICE=priced.service_key,
            ANN=people[0],
            BOB=people[1],
            PASSWORD=PASSWORD,
        )
        return [json.loads(line) for line in printed.splitlines()]

    return run


def test_each_signed_in_user_sees_the_own_account(run: Any, people: tuple[str, str]) -> None:
    ann, bob, refused = run("""
        const ann = await signIn('ann@example.com'), bob = await signIn('bob@example.com')
        show((await ann.rpc('ducto_my_balance')).data)
        show((await bob.rpc('ducto_my_balance', {}, { get: true })).data)
        show(short(await ann.rpc('ducto_get_balance', { p_user_id: BOB })))
    """)
    assert (ann["user_id"], ann["balance"]) == (people[0], 100)
    assert (bob["user_id"], bob["balance"]) == (people[1], 7)
    assert (refused["status"], refused["error"]["code"]) == (403, "42501")


def test_nobody_signed_in_gets_nothing(run: Any) -> None:
    own, others, token = run("""
        show(short(await anon.rpc('ducto_my_balance')))
        show(short(await anon.rpc('ducto_deduct_amount', { p_user_id: ANN, p_amount: 1 })))
        show(short(await createClient(URL_, 'no.such.key', quiet).rpc('ducto_my_balance')))
    """)
    assert (own["status"], own["error"]["code"]) == (401, "42501")
    assert (others["status"], others["error"]["code"]) == (401, "42501")
    assert token["status"] == 401


def test_each_self_service_call_works_by_get_too(run: Any) -> None:
    shown = run("""
        await service.rpc('ducto_deduct', { p_user_id: ANN,
          p_metrics: { model: 'gpt-4', input_tokens: 100 } })
        const ann = await signIn('ann@example.com')
        const usage = { model: 'gpt-4', input_tokens: 100 }
        for (const [name, args] of [
          ['ducto_my_balance', {}],
          ['ducto_my_plan', {}],
          ['ducto_my_feature', { p_feature: 'export' }],
          ['ducto_my_transactions', { p_limit: 5 }],
          ['ducto_my_usage', { p_start: '2020-01-01', p_end: '2100-01-01' }],
          ['ducto_my_quote', { p_metrics: usage }],
        ]) {
          const sent = 'p_metrics' in args ? { p_metrics: JSON.stringify(usage) } : args
          const posted = await ann.rpc(name, args)
          const got = await ann.rpc(name, sent, { get: true })
          show([name, posted, got].map((r) => r.data ? [r.status, r.data] : r.error ?? r))
        }
    """)
    assert len(shown) == 6
    for name, posted, got in shown:
        assert posted[0] == got[0] == 200, (name, posted, got)
        assert posted == got, name
    usage = shown[4][1][1]
    assert [(row["model"], row["spent"], row["input_tokens"]) for row in usage] == [
        ("gpt-4", 3, 100)
    ]


def test_rows_can_be_filtered_ordered_and_limited(run: Any) -> None:
    (rows, columns, single) = run("""
        for (const amount of [3, 1, 2])
          await service.rpc('ducto_deduct_amount', { p_user_id: ANN, p_amount: amount })
        const ann = await signIn('ann@example.com')
        const rows = () => ann.rpc('ducto_my_transactions', { p_limit: 100 })
        show((await rows().eq('type', 'usage').order('amount').limit(2)).data)
        show((await rows().select('type, amount').gte('amount', -1)
          .order('amount', { ascending: false })).data)
        show((await rows().eq('type', 'adjustment').single()).data)
    """)
    assert [row["amount"] for row in rows] == [-3, -2]
    assert columns == [
        {"type": "adjustment", "amount": 100},
        {"type": "usage", "amount": -1},
    ]
    assert single["balance_after"] == 100


def test_a_service_charges_and_reads_a_denial_either_way(run: Any, people: tuple[str, str]) -> None:
    charge, raised, returned = run("""
        const call = (amount, more) => service.rpc('ducto_deduct_amount',
          { p_user_id: BOB, p_amount: amount, ...more })
        show(short(await call(2, { p_idempotency_key: 'chat_42' })))
        show(short(await call(6)))
        show(short(await call(6, { p_raise: false })))
    """)
    assert charge["status"] == 200
    assert (charge["data"]["status"], charge["data"]["balance_after"]) == ("ok", 5)
    assert raised["status"] == 402
    assert set(raised["error"]) >= {"code", "message", "details", "hint"}
    assert raised["error"]["code"] == "DU002"
    assert json.loads(raised["error"]["details"])["available"] == 5
    assert (returned["status"], returned["data"]["status"]) == (200, "denied")
    assert (returned["data"]["code"], returned["data"]["available"]) == ("DU002", 5)


def test_calls_at_once_are_charged_once_per_key_and_never_below_the_floor(run: Any) -> None:
    same, each, balance = run("""
        const charge = (amount, key, more) => service.rpc('ducto_deduct_amount',
          { p_user_id: ANN, p_amount: amount, p_idempotency_key: key, ...more })
        const twenty = [...Array(20).keys()]
        show((await Promise.all(twenty.map(() => charge(10, 'once')))).map(short))
        show((await Promise.all(twenty.map((n) => charge(9, `key ${n}`)))).map(short))
        show((await service.rpc('ducto_get_balance', { p_user_id: ANN })).data)
    """)
    assert {answer["status"] for answer in same} == {200}
    assert len({answer["data"]["transaction_id"] for answer in same}) == 1
    assert sorted(answer["data"]["replayed"] for answer in same) == [False] + [True] * 19
    assert sorted(answer["status"] for answer in each) == [200] * 10 + [402] * 10
    assert (balance["balance"], balance["lifetime_spent"]) == (0, 100)


def test_numbers_are_exact_to_fifteen_digits_and_as_text_to_the_last(
    run: Any, priced: Project, people: tuple[str, str]
) -> None:
    exact = Decimal("12345678901234.123456789012")
    plain, doubled, text, fetched = run(
        r"""
        await service.rpc('ducto_add_credits', { p_user_id: BOB, p_amount: 0.1 })
        show((await service.rpc('ducto_get_balance', { p_user_id: BOB })).data.balance)
        await service.rpc('ducto_add_credits',
          { p_user_id: BOB, p_amount: '12345678901234.123456789012' })
        show((await service.rpc('ducto_get_balance', { p_user_id: BOB })).data.balance)
        const bob = await signIn('bob@example.com')
        show((await bob.rpc('ducto_my_transactions').select('amount::text').limit(1)).data)
        const long = /("(?:[^"\\]|\\.)*")|-?\d[\d.]{15,}/g
        const exactFetch = async (input, init) => {
          const response = await fetch(input, init)
          const text = (await response.text())
            .replace(long, (number, string) => string ?? `"${number}"`)
          return new Response(text || null, response)
        }
        const careful = createClient(URL_, SERVICE, { ...quiet, global: { fetch: exactFetch } })
        show((await careful.rpc('ducto_get_balance', { p_user_id: BOB })).data.balance)
    """
    )
    assert plain == 7.1
    assert Decimal(str(doubled)) != exact + Decimal("7.1")
    assert text == [{"amount": str(exact)}]
    assert Decimal(fetched) == exact + Decimal("7.1")
    assert priced.serve("get_balance", user_id=people[1])["balance"] == exact + Decimal("7.1")
