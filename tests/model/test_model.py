"""Random sequences of every operation, the database beside the model, to the last digit.

After every step `ducto_check()` is empty, and balances, allowances, holds, debts, lots and caps are
what `tests/model/rules.py` says. `make fuzz` runs far more and longer sequences.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.model.rules import ZERO, Account, Cap, Charge, Hold, Lot, Plan, Pricing, Refused, period
from tests.support.databases import Connection
from tests.support.ledger import Ledger, utc

pytestmark = pytest.mark.fuzz

USERS = ["ann", "bob", "cid"]
AMOUNTS = st.one_of(
    st.integers(1, 60).map(Decimal),
    st.decimals("0.000000000001", "40", places=12),
)
MODELS = ["a", "b"]
RATES = [Decimal("0.01"), Decimal("0.005"), Decimal("0.000125"), Decimal("0.1")]
PRICINGS = st.fixed_dictionaries(
    {
        "rates": st.tuples(st.sampled_from(RATES), st.sampled_from(RATES)),
        "min_balance": st.sampled_from([0, 0, 5, -20]),
        "bonus": st.sampled_from([0, 0, 7]),
        "default": st.sampled_from([None, "basic", "roll"]),
        "allowances": st.tuples(*[st.sampled_from([0, 5, 20, Decimal("12.5")])] * 3),
        "periods": st.tuples(*[st.sampled_from(["daily", "weekly", "monthly", "yearly"])] * 3),
        "anchored": st.booleans(),
        "rollover": st.sampled_from([3, 50]),
        "override": st.sampled_from([None, Decimal("0.02")]),
        "concurrent": st.sampled_from([None, 1, 2]),
        "dropped": st.sampled_from([None, None, None, "post"]),
    }
)
STEPS = [
    timedelta(seconds=1),
    timedelta(seconds=59),
    timedelta(minutes=10),
    timedelta(hours=7),
    timedelta(days=1),
    timedelta(days=8),
    timedelta(days=31),
    timedelta(days=400),
]
WHOM = st.sampled_from(USERS)
PICK = st.integers(0, 10**6)


def exact(value: Any) -> Decimal:
    return Decimal(value)


class LedgerMachine(RuleBasedStateMachine):
    """One database in one transaction, and the model of it."""

    connection: Connection

    def __init__(self) -> None:
        super().__init__()
        self.transaction = self.connection.transaction(force_rollback=True)
        self.transaction.__enter__()
        self.ledger = Ledger(self.connection)
        self.now = utc(2026, 1, 30, 22)
        self.ledger.at(self.now)
        self.accounts: dict[str, Account] = {}
        self.versions: list[Pricing] = []
        self.pricing: Pricing
        self.keys = 0
        # What the model calls by object, by the database's ids.
        self.charge_ids: dict[tuple[str, int], int] = {}
        self.grant_ids: dict[tuple[str, int], int] = {}
        self.hold_ids: dict[tuple[str, int], str] = {}
        self.keyed: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
        self.check_next = True

    def teardown(self) -> None:
        self.transaction.__exit__(None, None, None)
        self.connection.execute("reset all")

    # --- helpers -----------------------------------------------------------------------------

    def account(self, user_id: str) -> Account:
        """A copy of the account to work on; on first touch it comes with its bonus."""
        if user_id in self.accounts:
            return copy.deepcopy(self.accounts[user_id])
        account = Account(self.now, self.now)
        if self.pricing.signup_bonus > 0:
            account.grant("signup_bonus", self.pricing.signup_bonus, self.now)
        return account

    def perform(
        self,
        user_id: str,
        name: str,
        arguments: dict[str, Any],
        act: Callable[[Account], Any],
        *,
        returned: bool = False,
        touched: bool = True,
    ) -> tuple[Account, Any, dict[str, Any]] | None:
        """Do it in both worlds; the account, what `act` gave, and the database's answer.

        None: refused in both, with the same code. `returned`: a denial is returned, not raised, and
        what time had changed stays written.
        """
        account = self.account(user_id)
        if touched:
            account.touch(self.pricing, self.now)
        try:
            outcome = act(account)
        except Refused as refused:
            if returned:
                answer = self.ledger.call(name, **arguments, **{"raise": False})
                assert (answer["status"], answer["code"]) == ("denied", refused.code)
                self.accounts[user_id] = account
            else:
                self.ledger.refused(refused.code, name, **arguments)
            return None
        answer = self.ledger.call(name, **arguments)
        self.accounts[user_id] = account
        if "idempotency_key" in arguments:
            self.keyed.append((name, arguments, answer))
        return account, outcome, answer

    def key(self, wanted: bool) -> dict[str, Any]:
        if not wanted:
            return {}
        self.keys += 1
        return {"idempotency_key": f"key-{self.keys}"}

    def match_charge(
        self, user_id: str, account: Account, charge: Charge, answer: dict[str, Any]
    ) -> None:
        assert exact(answer["cost"]) == charge.cost
        assert exact(answer["allowance_consumed"]) == charge.free
        assert exact(answer["amount"]) == charge.amount
        balance = account.balance(self.now)
        assert exact(answer["balance_after"]) == balance
        available = balance + account.allowance(self.now) - account.held(self.now)
        assert exact(answer["available_after"]) == available
        assert answer["replayed"] is False
        self.charge_ids[user_id, charge.number] = answer["transaction_id"]

    def pick(self, number: int, found: dict[tuple[str, int], Any]) -> tuple[str, int]:
        return sorted(found)[number % len(found)]

    # --- pricing and time --------------------------------------------------------------------

    @initialize(config=PRICINGS)
    def first_pricing(self, config: dict[str, Any]) -> None:
        self.publish(config)

    @rule(config=PRICINGS)
    def publish(self, config: dict[str, Any]) -> None:
        keys = [key for key in ("basic", "roll", "post") if key != config["dropped"]]
        plans = {
            key: Plan(
                key,
                Decimal(config["allowances"][number]),
                config["periods"][number],
                key == "roll" and config["anchored"],
                Decimal(config["rollover"] if key == "roll" else 0),
                Decimal(-30) if key == "post" else None,
                config["concurrent"] if key == "basic" else None,
                {"a": config["override"]} if key == "roll" and config["override"] else {},
            )
            for number, key in enumerate(keys)
        }
        rates = dict(zip(MODELS, config["rates"], strict=True))
        version = self.ledger.publish(
            models={model: f"input_tokens * {rate}" for model, rate in rates.items()},
            min_balance=config["min_balance"],
            signup_bonus=config["bonus"],
            plans=[describe(plan, plan.key == config["default"]) for plan in plans.values()],
        )
        self.pricing = Pricing(
            version,
            rates,
            Decimal(config["min_balance"]),
            Decimal(config["bonus"]),
            plans,
            config["default"],
        )
        self.versions.append(self.pricing)

    @rule(number=PICK)
    def activate(self, number: int) -> None:
        self.pricing = self.versions[number % len(self.versions)]
        self.ledger.call("pricing_activate", version=self.pricing.version)

    @rule(step=st.sampled_from(STEPS))
    def wait(self, step: timedelta) -> None:
        self.now += step
        self.ledger.at(self.now)

    @precondition(lambda self: self.instants())
    @rule(number=PICK, before=st.booleans())
    def wait_for_an_edge(self, number: int, before: bool) -> None:
        """To the very instant at which something ends, or just before it."""
        instants = self.instants()
        edge = instants[number % len(instants)] - timedelta(microseconds=1 if before else 0)
        if edge > self.now:
            self.now = edge
            self.ledger.at(self.now)

    def instants(self) -> list[datetime]:
        found = {period(kind, self.now)[1] for kind in ("daily", "weekly", "monthly")}
        for account in self.accounts.values():
            found |= {lot.expires_at for lot in account.lots if lot.expires_at}
            found |= {hold.deadline for hold in account.holds}
        return sorted(instant for instant in found if instant > self.now)

    # --- grants ------------------------------------------------------------------------------

    @rule(
        user_id=WHOM,
        kind=st.sampled_from(["purchase", "promo", "subscription", "adjustment"]),
        amount=AMOUNTS,
        days=st.sampled_from([None, None, 1, 10, 60]),
        priority=st.sampled_from([100, 100, 50, 150]),
        keyed=st.booleans(),
    )
    def grant(
        self,
        user_id: str,
        kind: str,
        amount: Decimal,
        days: int | None,
        priority: int,
        keyed: bool,
    ) -> None:
        expires_at = self.now + timedelta(days=days) if days else None
        done = self.perform(
            user_id,
            "add_credits",
            {
                "user_id": user_id,
                "amount": amount,
                "type": kind,
                "expires_at": expires_at,
                "priority": priority,
                **self.key(keyed),
            },
            lambda account: account.grant(
                kind, amount, self.now, expires_at=expires_at, priority=priority
            ),
        )
        assert done is not None
        account, lot, answer = done
        assert exact(answer["balance_after"]) == account.balance(self.now)
        self.grant_ids[user_id, lot.number] = answer["transaction_id"]

    @rule(user_id=WHOM, amount=AMOUNTS, keyed=st.booleans())
    def adjust_down(self, user_id: str, amount: Decimal, keyed: bool) -> None:
        done = self.perform(
            user_id,
            "add_credits",
            {"user_id": user_id, "amount": -amount, **self.key(keyed)},
            lambda account: account.take_back(amount, self.pricing, self.now),
        )
        if done is not None:
            assert exact(done[2]["balance_after"]) == done[0].balance(self.now)

    @precondition(lambda self: self.grant_ids)
    @rule(number=PICK, write_off=st.booleans())
    def revoke(self, number: int, write_off: bool) -> None:
        user_id, place = self.pick(number, self.grant_ids)
        before = self.accounts[user_id].lots[place].revoked
        done = self.perform(
            user_id,
            "revoke_grant",
            {"transaction_id": self.grant_ids[user_id, place], "write_off": write_off},
            lambda account: None if before else account.revoke(account.lots[place], write_off),
        )
        assert done is not None
        _, outcome, answer = done
        assert answer["replayed"] is before
        if outcome is not None:
            assert (exact(answer["taken"]), exact(answer["debt_added"])) == outcome

    # --- charges -----------------------------------------------------------------------------

    @rule(
        user_id=WHOM,
        model=st.sampled_from(MODELS),
        tokens=st.integers(0, 4000),
        keyed=st.booleans(),
        returned=st.booleans(),
    )
    def use(self, user_id: str, model: str, tokens: int, keyed: bool, returned: bool) -> None:
        metrics = {"model": model, "input_tokens": tokens}
        quoted = self.ledger.call("quote", user_id=user_id, metrics=metrics)

        def act(account: Account) -> Charge:
            plan = account.plan(self.pricing)
            cost = self.pricing.cost(plan.key if plan else None, model, tokens)
            account.decide(cost, model, self.pricing, self.now)
            return account.draw(cost, model, self.now)

        done = self.perform(
            user_id,
            "deduct",
            {"user_id": user_id, "metrics": metrics, **self.key(keyed)},
            act,
            returned=returned,
        )
        assert quoted["affordable"] is (done is not None)
        if done is not None:
            account, charge, answer = done
            self.match_charge(user_id, account, charge, answer)
            for name in ("cost", "allowance_consumed", "amount", "balance_after"):
                assert quoted[name] == answer[name]
            assert quoted["available_after"] == answer["available_after"]

    @rule(user_id=WHOM, amount=AMOUNTS, keyed=st.booleans(), returned=st.booleans())
    def spend(self, user_id: str, amount: Decimal, keyed: bool, returned: bool) -> None:
        def act(account: Account) -> Charge:
            account.decide(amount, None, self.pricing, self.now)
            return account.draw(amount, None, self.now)

        done = self.perform(
            user_id,
            "deduct_amount",
            {"user_id": user_id, "amount": amount, **self.key(keyed)},
            act,
            returned=returned,
        )
        if done is not None:
            self.match_charge(user_id, *done)

    @rule(
        items=st.lists(
            st.tuples(WHOM, st.one_of(AMOUNTS, st.integers(0, 3000).map(str))),
            min_size=1,
            max_size=6,
        )
    )
    def batch(self, items: list[tuple[str, Decimal | str]]) -> None:
        """An item is an amount, or a number of tokens of model a."""
        charges = [
            {"user_id": user_id, "amount": what}
            if isinstance(what, Decimal)
            else {"user_id": user_id, "metrics": {"model": "a", "input_tokens": int(what)}}
            for user_id, what in items
        ]
        answers = self.ledger.call("deduct_batch", charges=charges)
        assert len(answers) == len(items)
        for (user_id, what), answer in zip(items, answers, strict=True):
            account = self.account(user_id)
            account.touch(self.pricing, self.now)
            plan = account.plan(self.pricing)
            model = None if isinstance(what, Decimal) else "a"
            cost = (
                what
                if isinstance(what, Decimal)
                else self.pricing.cost(plan.key if plan else None, "a", int(what))
            )
            try:
                account.decide(cost, model, self.pricing, self.now)
            except Refused as refused:
                assert (answer["status"], answer["code"]) == ("denied", refused.code)
            else:
                charge = account.draw(cost, model, self.now)
                assert answer["status"] == "ok"
                self.match_charge(user_id, account, charge, answer)
            self.accounts[user_id] = account

    @precondition(lambda self: self.charge_ids)
    @rule(number=PICK, amount=st.one_of(st.none(), AMOUNTS), keyed=st.booleans())
    def refund(self, number: int, amount: Decimal | None, keyed: bool) -> None:
        user_id, place = self.pick(number, self.charge_ids)
        done = self.perform(
            user_id,
            "refund",
            {
                "transaction_id": self.charge_ids[user_id, place],
                "amount": amount,
                **self.key(keyed),
            },
            lambda account: account.refund(account.charges[place], amount, self.now),
        )
        if done is not None:
            account, outcome, answer = done
            assert (exact(answer["amount"]), exact(answer["allowance_restored"])) == outcome
            assert exact(answer["balance_after"]) == account.balance(self.now)

    @precondition(lambda self: self.keyed)
    @rule(number=PICK)
    def again(self, number: int) -> None:
        """Any earlier call with its key: the same answer, and nothing else."""
        name, arguments, answer = self.keyed[number % len(self.keyed)]
        replay = self.ledger.call(name, **arguments)
        if name in ("deduct", "deduct_amount", "reserve"):
            # They write down what time has changed before they find that they are a replay.
            self.accounts[arguments["user_id"]].touch(self.pricing, self.now)
        if name == "reserve":
            # A hold's replay tells how the hold is now.
            assert replay["reservation_id"] == answer["reservation_id"]
            assert replay["replayed"] is True
        else:
            assert replay == {**answer, "replayed": True}

    @precondition(lambda self: self.keyed)
    @rule(number=PICK, amount=AMOUNTS)
    def misuse_a_key(self, number: int, amount: Decimal) -> None:
        """Any earlier key for something else is a conflict."""
        name, arguments, _ = self.keyed[number % len(self.keyed)]
        if name in ("add_credits", "deduct", "deduct_amount", "refund"):
            user_id = arguments.get("user_id") or next(
                u for (u, p), i in self.charge_ids.items() if i == arguments["transaction_id"]
            )
            self.ledger.refused(
                "DU007",
                "add_credits",
                user_id=user_id,
                amount=amount,
                type="opening",
                idempotency_key=arguments["idempotency_key"],
            )

    # --- holds -------------------------------------------------------------------------------

    @rule(
        user_id=WHOM,
        amount=AMOUNTS,
        seconds=st.sampled_from([1, 60, 600, 604_800]),
        keyed=st.booleans(),
        returned=st.booleans(),
    )
    def hold(
        self, user_id: str, amount: Decimal, seconds: int, keyed: bool, returned: bool
    ) -> None:
        def act(account: Account) -> Hold:
            return account.take_hold(amount, None, seconds, self.pricing, self.now)

        done = self.perform(
            user_id,
            "reserve",
            {
                "user_id": user_id,
                "amount": amount,
                "ttl_seconds": seconds,
                **self.key(keyed),
            },
            act,
            returned=returned,
        )
        if done is not None:
            account, hold, answer = done
            balance = account.balance(self.now) + account.allowance(self.now)
            assert exact(answer["available"]) == balance - account.held(self.now)
            self.hold_ids[user_id, hold.number] = answer["reservation_id"]

    @precondition(lambda self: self.hold_ids)
    @rule(number=PICK, amount=AMOUNTS, final=st.booleans(), returned=st.booleans())
    def settle(self, number: int, amount: Decimal, final: bool, returned: bool) -> None:
        user_id, place = self.pick(number, self.hold_ids)
        hold = self.accounts[user_id].holds[place]
        if hold.status == "settled":
            return
        open_ = hold.status == "active" and hold.deadline > self.now
        done = self.perform(
            user_id,
            "settle",
            {
                "reservation_id": self.hold_ids[user_id, place],
                "amount": amount,
                "final": final,
            },
            lambda account: account.settle(account.holds[place], amount, final, self.now),
            returned=returned,
            touched=open_,
        )
        if done is not None:
            self.match_charge(user_id, *done)

    @precondition(lambda self: self.hold_ids)
    @rule(number=PICK, tokens=st.integers(0, 4000))
    def settle_usage(self, number: int, tokens: int) -> None:
        """At the price of the version and plan that the hold was taken under."""
        user_id, place = self.pick(number, self.hold_ids)
        hold = self.accounts[user_id].holds[place]
        if hold.status != "active" or hold.deadline <= self.now:
            return
        pinned = next(p for p in self.versions if p.version == hold.version)
        cost = pinned.cost(hold.plan_key, "a", tokens)

        def act(account: Account) -> Charge:
            charge = account.settle(account.holds[place], cost, True, self.now)
            charge.model = "a"
            return charge

        done = self.perform(
            user_id,
            "settle",
            {
                "reservation_id": self.hold_ids[user_id, place],
                "metrics": {"model": "a", "input_tokens": tokens},
            },
            act,
        )
        assert done is not None
        self.match_charge(user_id, *done)

    @precondition(lambda self: self.hold_ids)
    @rule(number=PICK)
    def settle_again(self, number: int) -> None:
        user_id, place = self.pick(number, self.hold_ids)
        hold = self.accounts[user_id].holds[place]
        if hold.status == "settled":
            replay = self.ledger.call("settle", reservation_id=self.hold_ids[user_id, place])
            assert replay["replayed"] is True
            assert exact(replay["cost"]) == hold.last_amount

    @precondition(lambda self: self.hold_ids)
    @rule(number=PICK)
    def release(self, number: int) -> None:
        user_id, place = self.pick(number, self.hold_ids)

        def act(account: Account) -> None:
            hold = account.holds[place]
            if hold.status == "settled":
                raise Refused("DU011")
            if hold.status == "active":
                hold.status = "expired" if hold.deadline <= self.now else "released"
                hold.held = ZERO

        done = self.perform(
            user_id,
            "release",
            {"reservation_id": self.hold_ids[user_id, place]},
            act,
            touched=False,
        )
        if done is not None:
            assert done[2]["state"] == done[0].holds[place].status

    @precondition(lambda self: self.hold_ids)
    @rule(number=PICK, seconds=st.sampled_from([1, 60, 86_400]))
    def renew(self, number: int, seconds: int) -> None:
        user_id, place = self.pick(number, self.hold_ids)

        def act(account: Account) -> None:
            hold = account.holds[place]
            if hold.status != "active" or hold.deadline <= self.now:
                raise Refused("DU011")
            hold.deadline = self.now + timedelta(seconds=seconds)

        self.perform(
            user_id,
            "renew",
            {"reservation_id": self.hold_ids[user_id, place], "ttl_seconds": seconds},
            act,
            touched=False,
        )

    @rule()
    def close_lapsed_holds(self) -> None:
        closed = 0
        for account in self.accounts.values():
            for hold in account.holds:
                if hold.status == "active" and hold.deadline <= self.now:
                    hold.status, hold.held = "expired", ZERO
                    closed += 1
        answer = self.ledger.call("expire_reservations")
        # The next hold of an account closes its lapsed ones too.
        assert answer["expired"] <= closed

    # --- sweeps, plans, caps, freezing -------------------------------------------------------

    @rule(dry_run=st.booleans())
    def sweep(self, dry_run: bool) -> None:
        expected = {}
        for user_id, account in self.accounts.items():
            lapsed = copy.deepcopy(account) if dry_run else account
            amount = lapsed.expire(self.now)
            if amount > 0:
                expected[user_id] = amount
        rows = self.ledger.rows("sweep_expired_credits", dry_run=dry_run)
        assert {row["user_id"]: row["expired"] for row in rows} == expected

    @rule(user_id=WHOM, key=st.sampled_from([None, "basic", "roll", "post"]))
    def change_plan(self, user_id: str, key: str | None) -> None:
        def act(account: Account) -> None:
            if key is not None and key not in self.pricing.plans:
                raise Refused("DU014")
            if account.plan_key != key:
                account.plan_since = self.now
            account.plan_key = key
            if key is not None and self.pricing.plans[key].anchored:
                account.anchor = account.anchor or self.now
            account.touch(self.pricing, self.now)

        done = self.perform(user_id, "set_user_plan", {"user_id": user_id, "plan_key": key}, act)
        if done is not None:
            remaining = exact(done[2]["allowance_remaining"])
            assert remaining == done[0].allowance(self.now)

    @rule(
        user_id=WHOM,
        cap_type=st.sampled_from(["daily", "weekly", "monthly"]),
        model=st.sampled_from([None, "a"]),
        limit=st.sampled_from([0, 10, 40, 200]),
        action=st.sampled_from(["deny", "warn", "notify"]),
    )
    def set_cap(
        self, user_id: str, cap_type: str, model: str | None, limit: int, action: str
    ) -> None:
        def act(account: Account) -> None:
            account.caps[cap_type, model] = Cap(Decimal(limit), action)

        self.perform(
            user_id,
            "set_spend_cap",
            {
                "user_id": user_id,
                "cap_type": cap_type,
                "limit": limit,
                "action": action,
                "model": model,
            },
            act,
            touched=False,
        )

    @rule(
        user_id=WHOM,
        cap_type=st.sampled_from(["daily", "weekly", "monthly"]),
        model=st.sampled_from([None, "a"]),
    )
    def remove_cap(self, user_id: str, cap_type: str, model: str | None) -> None:
        done = self.perform(
            user_id,
            "remove_spend_cap",
            {"user_id": user_id, "cap_type": cap_type, "model": model},
            lambda account: account.caps.pop((cap_type, model), None),
            touched=False,
        )
        assert done is not None
        assert done[2]["removed"] is (done[1] is not None)

    @rule(user_id=WHOM, frozen=st.booleans())
    def freeze(self, user_id: str, frozen: bool) -> None:
        def act(account: Account) -> None:
            account.frozen = frozen

        name = "freeze_account" if frozen else "unfreeze_account"
        self.perform(user_id, name, {"user_id": user_id}, act, touched=False)

    # --- after every step --------------------------------------------------------------------

    @invariant()
    def the_books_balance(self) -> None:
        assert self.ledger.violations() == []

    @invariant()
    def both_worlds_agree(self) -> None:
        if not self.versions:
            return
        for user_id in USERS:
            stored = self.accounts.get(user_id) or Account(self.now, self.now)
            account = copy.deepcopy(stored)
            account.touch(self.pricing, self.now)
            found = self.ledger.balance(user_id)
            assert exact(found["balance"]) == account.balance(self.now)
            assert exact(found["allowance_remaining"]) == account.allowance(self.now)
            assert exact(found["held"]) == account.held(self.now)
            assert exact(found["debt"]) == stored.debt
            assert exact(found["lifetime_granted"]) == stored.granted()
            assert exact(found["lifetime_spent"]) == stored.spent()
            assert self.lots(user_id) == [describe_lot(lot) for lot in stored.lots]
            caps = self.ledger.rows("list_spend_caps", user_id=user_id)
            assert {(row["cap_type"], row["model"]): row["used"] for row in caps} == {
                cap: stored.used(*cap, self.now) for cap in stored.caps
            }

    def lots(self, user_id: str) -> list[tuple[Any, ...]]:
        return [
            (lot["kind"], lot["category"], lot["amount"], lot["remaining"], lot["expires_at"])
            for lot in self.ledger.lots(user_id)
        ]


def describe_lot(lot: Lot) -> tuple[Any, ...]:
    return lot.kind, lot.category, lot.amount, lot.remaining, lot.expires_at


def describe(plan: Plan, default: bool) -> dict[str, Any]:
    """The plan as a pricing config has it."""
    config: dict[str, Any] = {
        "id": plan.key,
        "free_allowance": plan.allowance,
        "period": plan.kind,
        "period_anchor": "account" if plan.anchored else "calendar",
        "rollover_max": plan.rollover_max,
        "rate_overrides": {
            model: f"input_tokens * {rate}" for model, rate in plan.overrides.items()
        },
        "default": default,
    }
    if plan.overdraft_floor is not None:
        config |= {"default_billing_mode": "overdraft", "overdraft_floor": plan.overdraft_floor}
    if plan.max_concurrent is not None:
        config["max_concurrent"] = plan.max_concurrent
    return config


def test_the_database_does_what_the_rules_say(ledger_connection: Connection) -> None:
    class Machine(LedgerMachine):
        connection = ledger_connection

    run_state_machine_as_test(
        Machine,
        settings=settings(
            deadline=None,
            max_examples=max(40, settings().max_examples // 40),
            stateful_step_count=40,
            suppress_health_check=list(HealthCheck),
        ),
    )
