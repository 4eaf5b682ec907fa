"""Pricing versions under load: publishing takes turns, exactly one version is active for every
reader, and each charge is priced by one version, the one its ledger row names."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import pytest

from ducto_pg.exact_json import dumps
from tests.concurrency.conftest import PRICING
from tests.concurrency.sessions import (
    READ_COMMITTED,
    SERIALIZABLE,
    Call,
    Meeting,
    ask,
    call,
    close,
    grant,
    together,
    transact,
    use,
)
from tests.conftest import MakeDb
from tests.support.databases import Connection, open_connection
from tests.support.pricing import publish

SECONDS = 1.0


def pricing_set(config: dict[str, Any]) -> Call:
    """Publishes a config."""
    return call("select ducto_pricing_set(%s::jsonb)", dumps(config))


def activate(version: int) -> Call:
    """Makes a version the active one."""
    return call("select ducto_pricing_activate(%s)", version)


def active(db: Connection) -> int:
    """The active version."""
    return int(ask(db, call("select version from ducto.credit_pricing_config where active")))


@pytest.fixture(autouse=True)
def latest(db: Connection) -> None:
    """The latest version is the active one, and the usual one."""
    publish(db, PRICING)


@pytest.fixture
def empty(make_db: MakeDb) -> Iterator[list[Connection]]:
    """Three sessions on a database in which nothing has been published."""
    dsn = make_db()
    with ExitStack() as stack:
        yield [stack.enter_context(open_connection(dsn)) for _ in range(3)]


def test_of_two_publications_the_second_gets_the_next_version(
    db: Connection, meeting: Meeting
) -> None:
    before = active(db)
    first, second = meeting.collide(pricing_set(PRICING), pricing_set(PRICING))
    assert (first["version"], second["version"]) == (before + 1, before + 2)
    assert (first["active"], second["active"], active(db)) == (True, True, before + 2)


def test_a_publication_that_is_rolled_back_leaves_no_gap(db: Connection, meeting: Meeting) -> None:
    before = active(db)
    _, second = meeting.collide(pricing_set(PRICING), pricing_set(PRICING), commit=False)
    assert second["version"] == active(db) == before + 1


def test_of_the_first_two_publications_ever_one_is_version_2(
    empty: list[Connection], levels: tuple[str, str]
) -> None:
    meeting = Meeting(empty, levels)
    first, second = meeting.collide(pricing_set(PRICING), pricing_set(PRICING))
    meeting.close()
    assert (first["version"], second["version"], active(empty[2])) == (1, 2, 2)


def test_an_activation_waits_for_a_publication(db: Connection, meeting: Meeting) -> None:
    before = active(db)
    first, second = meeting.collide(pricing_set(PRICING), activate(before))
    assert (first["version"], second["version"]) == (before + 1, before)
    assert active(db) == before


def test_a_publication_waits_for_an_activation(db: Connection, meeting: Meeting) -> None:
    before = active(db)
    latest = transact(db, READ_COMMITTED, pricing_set(PRICING))["version"]
    _, second = meeting.collide(activate(before), pricing_set(PRICING))
    assert second["version"] == active(db) == latest + 1


def test_a_charge_passes_by_an_activation_and_has_the_old_price(
    db: Connection, meeting: Meeting, user: str
) -> None:
    before = active(db)
    ask(db, grant(user, 100))
    dear = pricing_set({**PRICING, "models": {"plain": "input_tokens * 3"}})
    published, charged = meeting.pass_by(dear, use(user, 5))
    assert (charged["cost"], charged["pricing_version"]) == (5, before)
    after = transact(db, READ_COMMITTED, use(user, 5))
    assert (after["cost"], after["pricing_version"]) == (15, published["version"])


def test_an_activation_passes_by_an_open_charge(
    db: Connection, meeting: Meeting, user: str
) -> None:
    before = active(db)
    ask(db, grant(user, 100))
    dear = pricing_set({**PRICING, "models": {"plain": "input_tokens * 3"}})
    charged, published = meeting.pass_by(use(user, 5), dear)
    assert (charged["cost"], charged["pricing_version"]) == (5, before)
    assert active(db) == published["version"] == before + 1


def test_a_waiting_charge_has_the_price_of_when_it_is_charged(
    db: Connection, sessions: list[Connection], user: str
) -> None:
    """Where the headroom is closed, the price is looked up with the account locked, not when the
    call was made."""
    ask(db, grant(user, 100))
    close(db, user)
    dear = pricing_set({**PRICING, "models": {"plain": "input_tokens * 3"}})
    meeting = Meeting(sessions, (READ_COMMITTED, READ_COMMITTED))
    first, second = meeting.collide(use(user, 5), use(user, 5), then=dear)
    meeting.close()
    assert (second["cost"], second["pricing_version"]) == (15, first["version"])


@pytest.mark.parametrize("level", [READ_COMMITTED, SERIALIZABLE])
def test_sixteen_publications_get_consecutive_versions(
    db: Connection, sessions: list[Connection], level: str
) -> None:
    before = active(db)
    answers = together(sessions, level, [pricing_set(PRICING)] * 16)
    assert sorted(given["version"] for given in answers) == [*range(before + 1, before + 17)]
    assert active(db) == before + 16


@pytest.mark.parametrize("evaluator", ["plpython", "portable"])
@pytest.mark.parametrize("level", [READ_COMMITTED, SERIALIZABLE])
def test_activating_under_load_never_mixes_versions(
    make_db: MakeDb, evaluator: str, level: str
) -> None:
    """Price, plan and allowance all differ from version to version, so a mixture would show."""
    dsn = make_db(evaluator)
    factors = [1, 3, 7, 11]
    stop = threading.Event()
    with ExitStack() as stack:
        db = stack.enter_context(open_connection(dsn))
        for factor in factors:
            publish(db, {
                "version": 2,
                "models": {"plain": f"input_tokens * {factor}", "_default": f"{factor}"},
                "tools": {"_default": f"tool_calls * {factor}"},
                "plans": [{
                    "id": "vip", "name": "VIP",
                    "rate_overrides": {"plain": f"input_tokens * {factor} * 100"},
                }],
            })  # fmt: skip
        for user in ("anna", "bert"):
            ask(db, grant(user, 10**9))
        ask(db, call("select ducto_set_user_plan('bert', 'vip')"))

        def activating(session: Connection) -> int:
            number = 0
            while not stop.is_set():
                number += 1
                transact(session, READ_COMMITTED, activate(1 + number % len(factors)))
            return number

        def charging(session: Connection, user: str) -> dict[int, Decimal]:
            charged = {}
            while not stop.is_set():
                given = transact(session, level, call(
                    "select ducto_deduct(%s, %s)",
                    user, {"model": "plain", "input_tokens": 5, "tool_calls": 2},
                ))  # fmt: skip
                factor = factors[given["pricing_version"] - 1]
                assert given["cost"] == factor * (5 * (100 if user == "bert" else 1) + 2)
                charged[given["transaction_id"]] = given["cost"]
            return charged

        def reading(session: Connection) -> int:
            number = 0
            while not stop.is_set():
                number += 1
                count = "select count(*) from ducto.credit_pricing_config where active"
                assert ask(session, call(count)) == 1
                assert ask(session, call("select ducto_pricing_get()"))["active"] is True
                listed = "select count(*) filter (where active) from ducto_pricing_list()"
                assert ask(session, call(listed)) == 1
            return number

        sessions = [stack.enter_context(open_connection(dsn)) for _ in range(6)]
        with ThreadPoolExecutor(6) as pool:
            changes = pool.submit(activating, sessions[0])
            reads = pool.submit(reading, sessions[1])
            charges = [
                pool.submit(charging, session, user)
                for session, user in zip(
                    sessions[2:], ("anna", "bert", "anna", "bert"), strict=True
                )
            ]
            time.sleep(SECONDS)
            stop.set()
        charged = {key: value for future in charges for key, value in future.result().items()}
        assert changes.result() > 10 and reads.result() > 10 and len(charged) > 50
        stored = db.execute(
            "select id, allowance_consumed - amount, ducto_explain(id) -> 'recomputes'"
            " from ducto.credit_transactions where type = 'usage'"
        ).fetchall()
        assert {row[0]: row[1] for row in stored} == charged
        assert {row[2] for row in stored} == {True}
        versions = "select count(distinct pricing_version) from ducto.credit_transactions"
        assert ask(db, call(versions)) == len(factors)
        assert db.execute("select * from ducto_check()").fetchall() == []
