"""Values that no caller means, where they once did harm: each is refused by its name, at once."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

import pytest

from ducto_pg import (
    AsyncCreditManager,
    AsyncPostgresStore,
    CreditManager,
    DuctoError,
    InvalidArgumentError,
    PostgresStore,
    PricingEngine,
    UsageMetrics,
    verify_signature,
)
from ducto_pg.client.arguments import given
from ducto_pg.client.store import json_text
from tests.conftest import MakeDb


class NoOffset(tzinfo):
    """A zone that knows nothing: Python takes such a time for one without a zone."""

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        return None

    dst = utcoffset

    def tzname(self, moment: datetime | None) -> str:
        return "nowhere"


class Failing(NoOffset):
    def utcoffset(self, moment: datetime | None) -> timedelta:
        raise RuntimeError("no such zone")


class Array:
    """As an array: neither true nor false."""

    def __bool__(self) -> bool:
        raise ValueError("the truth value of an array is ambiguous")


class Sabotaged(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError("no items today")


EAST, WEST = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1, 1, 1, tzinfo=EAST),
        datetime(9999, 12, 31, 23, 59, tzinfo=WEST),
        datetime(2026, 1, 1, tzinfo=Failing()),
    ],
)
def test_a_time_that_is_none_in_utc_is_refused(moment: datetime) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^expires_at "):
        given(p_expires_at=moment)


def test_a_time_whose_zone_knows_nothing_is_utc() -> None:
    moment = given(p_expires_at=datetime(2026, 1, 1, tzinfo=NoOffset()))["p_expires_at"]
    assert moment == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_usage_that_cannot_be_read_is_refused() -> None:
    usage = UsageMetrics(input_tokens=Array())  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="metrics cannot be read: ValueError"):
        given(p_metrics=usage)
    engine = PricingEngine.from_dict({"models": {"gpt-4": "input_tokens"}})
    with pytest.raises(InvalidArgumentError, match="metrics cannot be written"):
        engine.calculate(usage)
    with pytest.raises(InvalidArgumentError, match="metadata cannot be written as JSON"):
        json_text("metadata", Sabotaged(a=1))


def test_a_model_of_any_length_is_looked_up_at_once() -> None:
    engine = PricingEngine.from_dict({"models": {"gpt-4": "1", "gpt": "2", "_default": "3"}})
    started = time.process_time()
    assert not engine.has_model("x" * 2_000_000)
    assert engine.resolve_model("gpt-4" + "x" * 2_000_000) == "gpt-4"
    assert engine.resolve_model("gpt-") == "gpt"
    # It took three minutes for a million characters, and four times that for two.
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    "header",
    [None, "", "t=1,v1=\ud800", "t=\u0661,v1=x", "v1=é,t=1", 5],
    ids=["none", "empty", "surrogate", "digits", "accent", "number"],
)
def test_a_header_of_any_kind_is_no_signature(header: Any) -> None:
    assert not verify_signature("secret", b"{}", header)


@pytest.mark.parametrize("wrong", [None, 5, "postgresql://u:hunter2@h/d"])
def test_a_manager_wants_a_store(wrong: Any) -> None:
    for manager in (CreditManager, AsyncCreditManager):
        with pytest.raises(InvalidArgumentError, match="must be a store") as refused:
            manager(wrong)
        assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "dsn",
    ["postgres//u:hunter2@h/d", "\0", "\ud800", "x" * 1_000_000],
    ids=["uri", "nul", "surrogate", "long"],
)
def test_a_text_that_is_no_dsn_is_refused_without_being_repeated(dsn: str) -> None:
    for store in (PostgresStore, AsyncPostgresStore):
        with pytest.raises(InvalidArgumentError, match=r"^source ") as refused:
            store(dsn)
        assert "hunter2" not in str(refused.value)


def test_what_a_store_cannot_send_is_refused(make_db: MakeDb) -> None:
    with PostgresStore(make_db()) as store:
        for text in ("\0", "\ud800"):
            with pytest.raises(InvalidArgumentError, match=r"^user_id "):
                store.call("ducto_get_balance", p_user_id=text)
        with pytest.raises(DuctoError, match="a name is text"):
            store.call(5)  # type: ignore[arg-type]
        item = {"user_id": "ann", "amount": 1, "occurred_at": "0001-01-01T00:00:00+14:00"}
        (result,) = store.call("ducto_deduct_batch", p_charges=[item])
        assert (result["status"], result["code"]) == ("error", "DU017")
