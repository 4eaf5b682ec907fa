"""The sample application runs, and does with credits what it says."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from uuid import UUID

import psycopg

from tests.client.sample_app import Chat, stream
from tests.conftest import MakeDb

ANN = UUID("6f3c1a52-64c4-4f0f-9d0f-2a1f7b7f0c11")
RESPONSE = {"model": "gpt-4o", "usage": {"prompt_tokens": 40, "completion_tokens": 10}}


def test_the_sample_application(make_db: MakeDb) -> None:
    dsn = make_db("portable")
    with psycopg.connect(dsn, autocommit=True) as connection:
        chat = Chat(connection)
        assert chat.set_up().has_model("gpt-4o")
        assert chat.join(ANN).available == Decimal("5.5")
        assert chat.say(ANN, "hello", 400).cost == 3
        assert chat.say(ANN, "more", 400).status == 429
        assert chat.say(UUID(int=0), "poor", 400).status == 402
        stored = connection.execute("select count(*) from messages").fetchone()
        assert stored == (1,)
        assert asyncio.run(stream(dsn, ANN, RESPONSE)) == Decimal("0.2")
        refund = chat.undo(ANN)
        assert refund.amount + refund.allowance_restored == Decimal("0.2")
        assert chat.clean_up().count == 0
        assert chat.credits.check() == []
