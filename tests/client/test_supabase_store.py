"""The Supabase stores over a real PostgREST: the same manager, exact numbers, no blind retries."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from ducto_pg import (
    AsyncCreditManager,
    AsyncSupabaseStore,
    CreditManager,
    InsufficientCreditsError,
    InvalidArgumentError,
    NotInstalledError,
    PermissionDeniedError,
    SpendCap,
    SupabaseStore,
    TransactionNotFoundError,
    UnavailableError,
    UsageMetrics,
)
from ducto_pg.client import supabase
from tests.support.postgrest import Project
from tests.support.supabase import LOGIN

PRICING: dict[str, Any] = {
    "models": {"gpt-4": "input_tokens * 0.03 + output_tokens * 0.06"},
    "fixed": {"report": 75},
    "plans": [{"id": "pro", "free_allowance": 3, "features": ["export"]}],
}
LONG = Decimal("12345678901234567890.123456789012")


@pytest.fixture(scope="module")
def store(project: Project) -> Iterator[SupabaseStore]:
    with SupabaseStore(project.url, project.service_key) as store:
        CreditManager(store).publish_pricing(PRICING)
        yield store


@pytest.fixture
def manager(store: SupabaseStore) -> CreditManager:
    return CreditManager(store)


@pytest.fixture
def user() -> str:
    return f"user-{uuid4()}"


def test_the_manager_works_over_http(manager: CreditManager, user: str) -> None:
    manager.add_credits(user, 100, tx_type="purchase", idempotency_key="order")
    charge = manager.deduct(
        user, UsageMetrics(model="gpt-4", input_tokens=500), idempotency_key="k"
    )
    again = manager.deduct(user, {"model": "gpt-4", "input_tokens": 500}, idempotency_key="k")
    assert (charge.cost, again.replayed) == (Decimal(15), True)
    with manager.billed(user, 5) as bill:
        bill.settle(amount="2.5")
    assert bill.charge is not None
    assert manager.refund_credits(bill.charge.transaction_id or 0).amount == Decimal("2.5")
    assert manager.get_balance(user).balance == 85
    assert len(manager.list_transactions(user)) == 4
    assert manager.set_user_plan(user, "pro").plan_key == "pro"
    assert manager.check_feature(user, "export").has_feature
    manager.freeze_account(user)
    manager.unfreeze_account(user)
    assert manager.check() == []
    assert manager.engine is None
    assert manager.load_pricing_from_store().get_fixed_cost("report") == 75


def test_every_digit_arrives(manager: CreditManager, user: str) -> None:
    assert manager.add_credits(user, LONG).amount == LONG
    assert manager.get_balance(user).balance == LONG
    (entry,) = manager.list_transactions(user)
    assert entry.amount == LONG
    assert type(entry.amount) is Decimal


def test_a_denial_is_raised_and_recorded(manager: CreditManager, user: str) -> None:
    with pytest.raises(InsufficientCreditsError) as caught:
        manager.deduct_amount(user, 5)
    assert caught.value.detail["required"] == 5


def test_an_error_of_the_database_is_its_exception(manager: CreditManager) -> None:
    with pytest.raises(TransactionNotFoundError) as caught:
        manager.explain(10**15)
    assert caught.value.detail["transaction_id"] == 10**15
    with pytest.raises(InvalidArgumentError):
        manager.deduct_amount("ann", -1)


def test_a_cap_is_set_on_the_store_itself(store: SupabaseStore, user: str) -> None:
    cap = store.set_spend_cap(SpendCap(user_id=user, cap_type="daily", limit=Decimal(50)))
    assert (cap.cap_type, cap.limit) == ("daily", Decimal(50))


def test_a_wrong_key_is_refused(project: Project) -> None:
    for key in (project.anon_key, "not-a-key", project.service_key[:-4] + "AAAA"):
        with SupabaseStore(project.url, key) as store, pytest.raises(PermissionDeniedError):
            store.call("ducto_get_balance", p_user_id="ann")


@pytest.mark.parametrize("url", ["", "abc.supabase.co", "postgresql://host/db", "https://"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidArgumentError, match="address"):
        SupabaseStore(url, "key")


def test_a_missing_function_says_what_to_run(
    store: SupabaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supabase, "PAUSES", (0.01,))
    with pytest.raises(NotInstalledError) as caught:
        store.call("ducto_nothing", p_x=1)
    assert "ducto migrate --sql" in caught.value.hint


def test_a_function_made_just_now_is_waited_for(store: SupabaseStore, project: Project) -> None:
    with psycopg.connect(project.dsn, autocommit=True) as connection:
        connection.execute(
            "create function public.ducto_test_new() returns table (n int) language sql"
            " as $$ select * from generate_series(1, 3) $$;"
            "grant execute on function public.ducto_test_new() to service_role;"
            "notify pgrst, 'reload schema'"
        )
    try:
        assert store.rows("ducto_test_new") == [{"n": 1}, {"n": 2}, {"n": 3}]
    finally:
        with psycopg.connect(project.dsn, autocommit=True) as connection:
            connection.execute("drop function public.ducto_test_new()")


def test_nobody_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supabase, "PAUSES", (0.01,))
    with (
        SupabaseStore("http://127.0.0.1:1", "key") as store,
        pytest.raises(UnavailableError, match=r"^The project does not answer: .*\.$"),
    ):
        store.call("ducto_version")


class Scripted:
    """Answers with what it is told, or fails with it, one by one."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return httpx.Response(*outcome[:1], **outcome[1])


Script = Callable[..., tuple[SupabaseStore, Scripted]]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    monkeypatch.setattr(supabase, "PAUSES", (0.0, 0.0))
    opened: list[SupabaseStore] = []

    def make(*outcomes: Any) -> tuple[SupabaseStore, Scripted]:
        store, scripted = SupabaseStore("https://x.example", "key"), Scripted(*outcomes)
        opened.append(store)
        store._client.session.close()
        transport = httpx.MockTransport(scripted)
        store._client.session = httpx.Client(base_url="https://x.example", transport=transport)
        return store, scripted

    yield make
    for store in opened:
        store.close()


OK = (200, {"text": '{"version": 1}'})
LOST = httpx.RemoteProtocolError("Server disconnected")
REFUSED = httpx.ConnectError("Connection refused")


def test_what_never_arrived_is_sent_again(script: Script) -> None:
    store, scripted = script(REFUSED, REFUSED, OK)
    assert store.call("ducto_pricing_set", p_config={}) == {"version": 1}
    assert len(scripted.requests) == 3


def test_a_publish_whose_answer_was_lost_is_not_sent_again(script: Script) -> None:
    store, scripted = script(LOST, OK)
    with pytest.raises(UnavailableError, match="Server disconnected"):
        store.call("ducto_pricing_set", p_config={})
    assert len(scripted.requests) == 1


@pytest.mark.parametrize(
    ("function", "params", "requests"),
    [
        ("ducto_get_balance", {"p_user_id": "a"}, 2),
        ("ducto_deduct_amount", {"p_amount": 1, "p_idempotency_key": "k"}, 2),
        ("ducto_deduct_amount", {"p_amount": 1}, 1),
        ("ducto_release", {}, 1),
    ],
)
def test_a_lost_answer_is_asked_for_again_only_where_that_is_safe(
    script: Script, function: str, params: dict[str, Any], requests: int
) -> None:
    store, scripted = script(LOST, OK)
    if requests == 1:
        with pytest.raises(UnavailableError):
            store.call(function, **params)
    else:
        store.call(function, **params)
    assert len(scripted.requests) == requests


def test_a_project_with_a_row_limit_gives_all_rows(
    store: SupabaseStore, project: Project, manager: CreditManager, user: str
) -> None:
    for number in range(7):
        manager.add_credits(user, number + 1)
    name = psycopg.conninfo.conninfo_to_dict(project.dsn)["dbname"]
    setting = f"alter role {LOGIN} in database \"{name}\" %s; notify pgrst, 'reload config'"

    def configure(change: str, seen: int) -> None:
        with psycopg.connect(project.dsn, autocommit=True) as connection:
            connection.execute((setting % change).encode())
        deadline = time.monotonic() + 20
        arguments = {"user_id": user, "limit": 10}
        while len(project.serve("list_transactions", **arguments)) != seen:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    configure("set pgrst.db_max_rows = '3'", 3)
    try:
        amounts = [entry.amount for entry in manager.list_transactions(user, limit=10)]
    finally:
        configure("reset pgrst.db_max_rows", 7)
    assert amounts == [7, 6, 5, 4, 3, 2, 1]


def test_rows_beyond_the_projects_limit_are_fetched_too(script: Script) -> None:
    page = [{"n": 1}, {"n": 2}]
    store, scripted = script(
        (206, {"json": page, "headers": {"Content-Range": "0-1/3"}}),
        (206, {"json": [{"n": 3}], "headers": {"Content-Range": "2-2/3"}}),
    )
    assert [row["n"] for row in store.rows("ducto_list_plans")] == [1, 2, 3]
    assert scripted.requests[1].url.params["offset"] == "2"
    store, scripted = script((206, {"json": page, "headers": {"Content-Range": "0-1/3"}}))
    with pytest.raises(Exception, match="did its work"):
        store.rows("ducto_sweep_expired_credits")


def test_rows_are_counted_without_calling_twice(store: SupabaseStore, project: Project) -> None:
    project.add_routines(
        """
        create table public.test_calls (id int generated always as identity);
        create function public.ducto_test_calls() returns table (n bigint)
        language plpgsql volatile security definer as $$
        begin
            insert into public.test_calls default values;
            return query select count(*) from public.test_calls;
        end $$;
        grant execute on function public.ducto_test_calls() to service_role;
        """,
        "ducto_test_calls",
    )
    try:
        assert [store.rows("ducto_test_calls") for _ in range(2)] == [[{"n": 1}], [{"n": 2}]]
    finally:
        with psycopg.connect(project.dsn, autocommit=True) as connection:
            connection.execute("drop function public.ducto_test_calls()")
            connection.execute("drop table public.test_calls")


def test_a_page_that_is_no_json_is_one_sentence(script: Script) -> None:
    store, _ = script(*[(200, {"text": "<html>sign in to the wifi</html>"})] * 3)
    with pytest.raises(UnavailableError, match="no PostgREST"):
        store.call("ducto_get_balance", p_user_id="a")


def test_a_gateway_without_json_is_one_sentence(script: Script) -> None:
    store, _ = script(*[(503, {"text": "<html>\n  oh no"})] * 3)
    with pytest.raises(UnavailableError, match="oh no"):
        store.call("ducto_get_balance", p_user_id="a")


def test_the_asynchronous_store_does_the_same(project: Project, store: SupabaseStore) -> None:
    async def work() -> None:
        async with AsyncSupabaseStore(project.url, project.service_key) as store:
            manager = AsyncCreditManager(store)
            user = f"user-{uuid4()}"
            await manager.add_credits(user, LONG)
            async with manager.billed(user, 5) as bill:
                bill.settle(amount=1)
            balance = (await manager.get_balance(user)).balance
            assert balance == Decimal("12345678901234567889.123456789012")
            assert len(await manager.list_transactions(user)) == 2
            charges = await asyncio.gather(*(manager.deduct_amount(user, 1) for _ in range(40)))
            assert len({charge.transaction_id for charge in charges}) == 40
            with pytest.raises(InvalidArgumentError):
                await manager.deduct_amount("ann", -1)

    asyncio.run(work())


def test_the_command_line_works_over_a_project(
    project: Project, store: SupabaseStore, tmp_path: Path, user: str
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    (tmp_path / ".env").write_text(
        f"SUPABASE_URL={project.url}\nSUPABASE_SERVICE_ROLE_KEY={project.service_key}\n"
    )

    def ducto(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "ducto_pg.cli.main", *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    ducto("credits", "add", user, "20")
    ducto("credits", "deduct", user, "-m", "model=gpt-4", "-m", "input_tokens=100")
    assert "17" in ducto("credits", "balance", user)
    assert "pro" in ducto("plans", "list")
    (tmp_path / "usage.csv").write_text("model,input_tokens,id\ngpt-4,100,a\ngpt-4,200,b\n")
    ducto("usage", "import", "usage.csv", "--user", user, "--key-column", "id")
    assert "8" in ducto("credits", "balance", user)
    (tmp_path / "prices.yaml").write_text("models: {gpt-4: input_tokens * 0.03}\n")
    ducto("pricing", "set", "prices.yaml")
    ducto("pricing", "list")
    assert "up to date" not in ducto("status")
    assert "owner" not in ducto("status")
    assert json.loads(ducto("status", "--json"))["up_to_date"]
    assert "Every invariant holds" in ducto("check")
    ducto("sweep")
