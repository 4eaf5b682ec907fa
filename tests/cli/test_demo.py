"""`ducto demo`: it shows what it promises, charges nothing twice, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from ducto_pg.cli.sample import USERS, events
from ducto_pg.install.embedded import EmbeddedError, embedded_binaries
from ducto_pg.pricing.config_file import read_config
from ducto_pg.pricing.engine import PricingEngine
from tests.cli.conftest import PROGRAM, program

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def embedded() -> None:
    try:
        embedded_binaries()
    except EmbeddedError as error:
        pytest.skip(f"the demo is not tested: {error}")


def test_the_demo_shows_balances_spend_throughput_and_an_explained_charge() -> None:
    done = program(None, "demo", "--events", "300")
    assert done.returncode == 0, done.stderr
    for heading in ("Balances, in credits", "Spend by model", "Throughput", "The same events"):
        assert heading in done.stdout
    assert "300 synthetic usage events" in done.stdout
    assert re.search(r"Transaction \d+ explained", done.stdout)
    assert "charges a second" in done.stdout
    assert "100 sent again with their idempotency keys: 0 charged twice." in done.stdout
    engine = PricingEngine.from_dict(read_config(ROOT / "cli" / "demo_pricing.yaml"))
    plans = {user: plan for user, plan, _ in USERS}
    total = sum(
        (engine.calculate(e["metrics"], plans[e["user_id"]]).total for e in events(300)),
        Decimal(0),
    )
    assert f"300 charges, {total:,f} credits" in done.stdout


def test_nothing_is_left_behind() -> None:
    with subprocess.Popen(
        [*PROGRAM, "demo", "--events", "50", "--keep"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "Ctrl-C" in line:
                break
        found = re.search(r"^export DATABASE_URL='(.*)'$", said, re.MULTILINE)
        assert found, said
        with psycopg.connect(found.group(1)) as connection:
            row = connection.execute(
                "select public.ducto_version() ->> 'pricing_version'"
            ).fetchone()
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=30)[0]
    assert row == ("1",)
    assert process.returncode == 0
    assert "Gone." in rest
    folder = psycopg.conninfo.conninfo_to_dict(found.group(1))["host"]
    assert not Path(str(folder)).exists()


def test_the_sample_is_the_same_every_time() -> None:
    assert events(50) == events(50)
    assert events(20) == events(50)[:20]
    assert {e["user_id"] for e in events(500)} == {user for user, _, _ in USERS}
