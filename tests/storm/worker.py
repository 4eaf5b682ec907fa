"""One process of the storm: random operations of every kind until its time is up.

It says `ready` and waits for a line with that time, so that all processes begin together. It
writes down, one JSON object per line, what the server has acknowledged, after the commit and not
before. An operation whose fate is unknown, because the server went away, is asked again under the
same key, as an application would. Whatever is neither an answer nor an expected refusal ends the
process with exit code 1.

    python -m tests.storm.worker '{"dsn": …, "number": 3, …}'
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, LiteralString, TextIO

import psycopg
from psycopg import errors
from psycopg.types.json import Jsonb, set_json_loads

from tests.storm.config import MODELS, PLANS, pricing

RECONNECT_SECONDS = 60
ATTEMPTS = 2000
# Refusals that a storm must bring about; any other error is a failure.
REFUSALS = {"DU001", "DU002", "DU009", "DU011", "DU012", "DU019"}


@dataclass(frozen=True)
class Settings:
    """What a worker is told by whoever starts it."""

    dsn: str
    number: int
    level: str
    accounts: list[str]
    output: str
    outage: bool = False


class Failure(Exception):
    """What the storm must never bring about."""


@dataclass
class Worker:
    """A session that does one random operation after the other."""

    settings: Settings
    log: TextIO
    random: random.Random = field(init=False)
    connection: psycopg.Connection[Any] = field(init=False)
    step: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.settings.number)
        self.connection = self.connect()

    def connect(self) -> psycopg.Connection[Any]:
        """A new session; where an outage is announced, once the server is back."""
        deadline = time.monotonic() + RECONNECT_SECONDS
        while True:
            try:
                connection = psycopg.connect(
                    self.settings.dsn, autocommit=True, options="-c statement_timeout=120s"
                )
                # Amounts are written down as they were sent, without a float in between.
                set_json_loads(lambda text: json.loads(text, parse_float=Decimal), connection)
                return connection
            except psycopg.OperationalError:
                if not self.settings.outage or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def rollback(self) -> None:
        """Leave the transaction, whatever has become of it."""
        try:
            self.connection.execute("rollback")
        except psycopg.OperationalError as error:
            self.reconnect(error)

    def reconnect(self, error: psycopg.OperationalError) -> None:
        """Go on after an announced outage; any other error is a failure."""
        if not (self.settings.outage and self.connection.closed):
            raise Failure(repr(error)) from error
        self.connection = self.connect()
        self.write(op="reconnect")

    def write(self, **record: object) -> None:
        """One line of what has happened, on disk before the next operation."""
        self.log.write(json.dumps(record, default=str) + "\n")
        self.log.flush()

    @property
    def key(self) -> str:
        """The idempotency key of this step."""
        return f"{self.settings.number}-{self.step}"

    @property
    def metadata(self) -> Jsonb:
        """Marks the ledger entries of this step as this worker's."""
        return Jsonb({"worker": self.settings.number, "step": self.step})

    @property
    def account(self) -> str:
        """One of the few accounts."""
        return self.random.choice(self.settings.accounts)

    def usage(self) -> Jsonb:
        """Usage of a few credits."""
        metrics: dict[str, object] = {
            "model": self.random.choice(MODELS),
            "input_tokens": self.random.randint(0, 12),
        }
        if self.random.random() < 0.3:
            metrics["tool_calls"] = self.random.randint(0, 3)
        return Jsonb(metrics)

    def run(self, until: float) -> None:
        """Until the time is up."""
        names, weights = [*OPERATIONS], [weight for weight, _ in OPERATIONS.values()]
        while time.time() < until:
            self.step += 1
            name = self.random.choices(names, weights)[0]
            for query, parameters in OPERATIONS[name][1](self):
                self.perform(name, query, parameters)

    def perform(self, name: str, query: LiteralString, parameters: tuple[object, ...]) -> None:
        """One operation, asked until there is an answer, and its answer written down."""
        retries = 0
        while True:
            try:
                value = self.ask(query, parameters)
                break
            except errors.SerializationFailure as error:
                self.rollback()
                retries += 1
                if self.settings.level != "serializable" or retries > ATTEMPTS:
                    raise Failure(f"{name} does not serialise: {error}") from error
                time.sleep(self.random.random() * min(0.002 * 2 ** min(retries, 6), 0.1))
            except psycopg.OperationalError as error:
                self.reconnect(error)
            except psycopg.Error as error:
                self.rollback()
                expected = (
                    error.sqlstate in REFUSALS
                    # Two settlements of one hold with different amounts are a conflict.
                    or (error.sqlstate == "DU007" and name.startswith("settle"))
                    # Credits of a moment may have expired when the account's row is free at last.
                    or (error.sqlstate == "DU017" and name == "grant_for_a_moment")
                )
                if not expected:
                    raise Failure(f"{name}{parameters}: {error.sqlstate} {error}") from error
                self.write(op=name, refused=error.sqlstate, retries=retries)
                return
        self.write(op=name, value=value, retries=retries)

    def ask(self, query: LiteralString, parameters: tuple[object, ...]) -> Any:
        """The answer of a statement, once its transaction has committed."""
        self.connection.execute(f"begin isolation level {self.settings.level}".encode())
        row = self.connection.execute(query, parameters).fetchone()
        self.connection.execute("commit")
        return None if row is None else row[0]

    def pick(self, query: LiteralString, *parameters: object) -> Any:
        """Something to work on, also of other workers: a charge, a grant, a hold; or None."""
        try:
            row = self.connection.execute(query, parameters).fetchone()
        except psycopg.OperationalError as error:
            self.reconnect(error)
            return self.pick(query, *parameters)
        return None if row is None else row[0]


Step = tuple[LiteralString, tuple[object, ...]]
Steps = Iterator[Step]

LATEST: LiteralString = (
    "select id from (select t.id from ducto.credit_transactions t where t.account_id = %s"
    " and t.type = any (%s) order by t.id desc limit 12) latest order by random() limit 1"
)
OPEN_HOLD: LiteralString = (
    "select reservation_id from ducto.credit_reservations where account_id = %s"
    " and status = 'active' order by random() limit 1"
)


def deduct(w: Worker) -> Steps:
    """A charge, denied with an error or with an answer."""
    yield (
        "select ducto_deduct(%s, %s, %s, %s, %s)",
        (w.account, w.usage(), w.key, w.metadata, w.random.random() < 0.5),
    )


def deduct_fixed(w: Worker) -> Steps:
    """A job."""
    yield (
        "select ducto_deduct_fixed(%s, 'report', %s, %s, false)",
        (w.account, w.key, w.metadata),
    )


def deduct_amount(w: Worker) -> Steps:
    """An amount with as many decimal places as there may be."""
    amount = f"{w.random.randint(0, 9)}.{w.random.randint(0, 10**12 - 1):012}"
    yield (
        "select ducto_deduct_amount(%s, %s::numeric, %s, %s, false)",
        (w.account, amount, w.key, w.metadata),
    )


def deduct_batch(w: Worker) -> Steps:
    """Charges of several accounts, in any order, some twice."""
    charges = [
        {
            "user_id": w.account,
            "metrics": w.usage().obj,
            "idempotency_key": f"{w.key}-{place}",
            "metadata": w.metadata.obj,
        }
        for place in range(w.random.randint(1, 8))
    ]
    yield "select ducto_deduct_batch(%s)", (Jsonb(charges),)


def deduct_beside_a_row(w: Worker) -> Steps:
    """A charge and a row of the application's, in one transaction."""
    yield (
        "with message as ("
        " insert into messages (key, account_id) values (%s, %s) on conflict do nothing)"
        " select ducto_deduct(%s, %s, %s, %s)",
        (w.key, account := w.account, account, w.usage(), w.key, w.metadata),
    )


def grant(w: Worker) -> Steps:
    """Credits that stay."""
    yield (
        "select ducto_add_credits(%s, %s, 'purchase', p_priority => %s, p_idempotency_key => %s,"
        " p_metadata => %s)",
        (w.account, w.random.randint(10, 80), w.random.choice([50, 100]), w.key, w.metadata),
    )


def grant_for_a_moment(w: Worker) -> Steps:
    """Credits that expire within the storm."""
    yield (
        "select ducto_add_credits(%s, %s, 'promo', clock_timestamp() + make_interval(secs => %s),"
        " p_idempotency_key => %s, p_metadata => %s)",
        (w.account, w.random.randint(1, 40), w.random.uniform(0.3, 2), w.key, w.metadata),
    )


def take_back(w: Worker) -> Steps:
    """A negative adjustment."""
    yield (
        "select ducto_add_credits(%s, %s, p_idempotency_key => %s, p_metadata => %s)",
        (w.account, -w.random.randint(1, 15), w.key, w.metadata),
    )


def refund(w: Worker) -> Steps:
    """A charge, or a part of it, whoever made it."""
    charge = w.pick(LATEST, w.account, ["usage"])
    amount = None if w.random.random() < 0.5 else w.random.randint(1, 4)
    if charge is not None:
        yield (
            "select ducto_refund(%s, %s, 'storm', %s, %s)",
            (charge, amount, w.key, w.metadata),
        )


def revoke(w: Worker) -> Steps:
    """A grant, spent or not."""
    granted = w.pick(LATEST, w.account, ["purchase", "promo"])
    if granted is not None:
        yield (
            "select ducto_revoke_grant(%s, %s, p_metadata => %s)",
            (granted, w.random.random() < 0.5, w.metadata),
        )


def reserve(w: Worker) -> Steps:
    """A hold of an amount or of estimated usage, some with a deadline within the storm."""
    amount = w.random.randint(1, 15) if w.random.random() < 0.5 else None
    yield (
        "select ducto_reserve(%s, %s, %s, p_ttl_seconds => %s, p_idempotency_key => %s,"
        " p_metadata => %s, p_raise => %s)",
        (
            w.account,
            amount,
            None if amount else w.usage(),
            w.random.choice([1, 2, 600]),
            w.key,
            w.metadata,
            w.random.random() < 0.5,
        ),
    )


def settle(w: Worker) -> Steps:
    """A hold, whoever took it: below it, above it, or with usage."""
    hold = w.pick(OPEN_HOLD, w.account)
    amount = w.random.randint(0, 20) if w.random.random() < 0.5 else None
    if hold is not None:
        yield (
            "select ducto_settle(%s, %s, %s, p_metadata => %s, p_raise => false)",
            (hold, None if amount is not None else w.usage(), amount, w.metadata),
        )


def settle_a_part(w: Worker) -> Steps:
    """A part of a hold, which stays open."""
    hold = w.pick(OPEN_HOLD, w.account)
    if hold is not None:
        yield (
            "select ducto_settle(%s, p_amount => %s, p_final => false, p_idempotency_key => %s,"
            " p_metadata => %s)",
            (hold, w.random.randint(0, 5), w.key, w.metadata),
        )


def release(w: Worker) -> Steps:
    """A hold, whoever took it."""
    hold = w.pick(OPEN_HOLD, w.account)
    if hold is not None:
        yield "select ducto_release(%s)", (hold,)


def renew(w: Worker) -> Steps:
    """A hold, whoever took it."""
    hold = w.pick(OPEN_HOLD, w.account)
    if hold is not None:
        yield "select ducto_renew(%s, %s)", (hold, w.random.choice([1, 60]))


def change_plan(w: Worker) -> Steps:
    """Another plan, or none."""
    yield "select ducto_set_user_plan(%s, %s)", (w.account, w.random.choice(PLANS))


def set_cap(w: Worker) -> Steps:
    """A cap, of all charges or of one model's."""
    yield (
        "select ducto_set_spend_cap(%s, %s, %s, %s, %s)",
        (
            w.account,
            w.random.choice(["daily", "weekly", "monthly"]),
            w.random.randint(50, 5000),
            w.random.choice(["deny", "warn", "notify"]),
            w.random.choice([None, MODELS[0]]),
        ),
    )


def remove_cap(w: Worker) -> Steps:
    """A cap, if it is there."""
    yield (
        "select ducto_remove_spend_cap(%s, %s, %s)",
        (
            w.account,
            w.random.choice(["daily", "weekly", "monthly"]),
            w.random.choice([None, MODELS[0]]),
        ),
    )


def sweep(w: Worker) -> Steps:
    """What has expired."""
    yield "select sum(expired) from ducto_sweep_expired_credits()", ()
    yield "select ducto_expire_reservations()", ()


def freeze(w: Worker) -> Steps:
    """An account, for a moment."""
    account = w.account
    yield "select ducto_freeze_account(%s)", (account,)
    yield "select ducto_unfreeze_account(%s)", (account,)


def activate(w: Worker) -> Steps:
    """Any version."""
    version = w.pick(
        "select version from ducto.credit_pricing_config where version > 0"
        " order by random() limit 1"
    )
    yield "select ducto_pricing_activate(%s)", (version,)


def publish_another(w: Worker) -> Steps:
    """A version with other prices and allowances."""
    config = pricing(w.random.randint(1, 5))
    yield "select ducto_pricing_set(%s)", (Jsonb(config),)


OPERATIONS: dict[str, tuple[int, Callable[[Worker], Steps]]] = {
    "deduct": (30, deduct),
    "deduct_fixed": (5, deduct_fixed),
    "deduct_amount": (10, deduct_amount),
    "deduct_batch": (4, deduct_batch),
    "deduct_beside_a_row": (6, deduct_beside_a_row),
    "grant": (9, grant),
    "grant_for_a_moment": (4, grant_for_a_moment),
    "take_back": (2, take_back),
    "refund": (6, refund),
    "revoke": (1, revoke),
    "reserve": (8, reserve),
    "settle": (5, settle),
    "settle_a_part": (3, settle_a_part),
    "release": (2, release),
    "renew": (2, renew),
    "change_plan": (2, change_plan),
    "set_cap": (1, set_cap),
    "remove_cap": (2, remove_cap),
    "sweep": (2, sweep),
    "freeze": (1, freeze),
    "activate": (1, activate),
    "publish": (1, publish_another),
}


def main() -> int:
    """Run one worker; exit code 1 says that something failed, its last line what."""
    settings = Settings(**json.loads(sys.argv[1]))
    with Path(settings.output).open("a") as log:
        worker = Worker(settings, log)
        try:
            print("ready", flush=True)
            worker.run(float(input()))
        except Exception as error:
            worker.write(failure=f"{type(error).__name__}: {error}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
