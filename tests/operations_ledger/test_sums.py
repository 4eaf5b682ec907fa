"""Amounts whose sums cannot be stored are refused by name, and nothing is written."""

from __future__ import annotations

from tests.support.ledger import Ledger

MOST = 9 * 10**25


def on_credit(ledger: Ledger) -> None:
    policy = {"default_billing_mode": "overdraft", "overdraft_floor": -MOST}
    ledger.publish(plans=[{"id": "p", "default": True, **policy}])


def test_grants(ledger: Ledger) -> None:
    ledger.grant("ann", MOST)
    ledger.refused("DU017", "add_credits", user_id="ann", amount=MOST)
    ledger.refused("DU017", "add_credits_batch", grants=[{"user_id": "ann", "amount": MOST}])
    assert ledger.balance("ann")["balance"] == MOST


def test_a_balance_and_an_allowance(ledger: Ledger) -> None:
    ledger.publish(plans=[{"id": "p", "default": True, "free_allowance": MOST}])
    ledger.refused("DU017", "add_credits", user_id="ann", amount=MOST)
    assert ledger.balance("ann")["available"] == MOST


def test_settlements_and_debts(ledger: Ledger) -> None:
    ledger.grant("ann", 10)
    first, second = ledger.hold("ann", 1), ledger.hold("ann", 1)
    ledger.settle(first, amount=MOST)
    for refusing in True, False:
        detail = ledger.refused(
            "DU017",
            "settle",
            reservation_id=second["reservation_id"],
            amount=MOST,
            **{"raise": refusing},
        )
        assert detail["argument"] == "p_amount"
    assert ledger.balance("ann")["debt"] == MOST - 9
    ledger.settle(second, amount=1)


def test_a_grant_revoked_of_one_in_debt(ledger: Ledger) -> None:
    on_credit(ledger)
    grant = ledger.grant("ann", MOST)
    ledger.spend("ann", MOST)
    ledger.grant("ann", -MOST)
    ledger.refused("DU017", "revoke_grant", transaction_id=grant["transaction_id"])


def test_charges_on_credit(ledger: Ledger) -> None:
    on_credit(ledger)
    ledger.spend("ann", MOST)
    ledger.grant("ann", MOST)
    ledger.refused("DU017", "deduct_amount", user_id="ann", amount=MOST)
    charges = [{"user_id": "ann", "amount": MOST}, {"user_id": "bob", "amount": 1}]
    first, second = ledger.call("deduct_batch", charges=charges)
    assert (first["status"], first["code"], second["status"]) == ("error", "DU017", "ok")


def test_holds(ledger: Ledger) -> None:
    on_credit(ledger)
    ledger.hold("ann", MOST)
    ledger.grant("ann", MOST)
    ledger.refused("DU017", "reserve", user_id="ann", amount=MOST)


def test_caps_and_refunds(ledger: Ledger) -> None:
    ledger.call("set_spend_cap", user_id="ann", cap_type="daily", limit=1, action="notify")
    ledger.grant("ann", MOST)
    charge = ledger.spend("ann", MOST)
    hold = ledger.hold("ann", 0)
    ledger.refused("DU017", "settle", reservation_id=hold["reservation_id"], amount=MOST)
    ledger.refund(charge)
    ledger.settle(hold, amount=MOST)
    assert ledger.balance("ann")["balance"] == 0
    ledger.refused("DU017", "add_credits", user_id="ann", amount=MOST)
