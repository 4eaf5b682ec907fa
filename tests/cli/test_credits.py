"""`ducto credits`: grants, charges and look-ups as a person types them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ducto_pg.client.manager import CreditManager
from tests.cli.conftest import Run, as_json

USAGE = ("-m", "model=gpt-4", "-m", "input_tokens=100", "-m", "output_tokens=10")


def test_a_grant_is_added_once_for_its_key(run: Run, priced: CreditManager) -> None:
    command = ["credits", "add", "ann", "1000.5", "--type", "purchase", "--key", "order-1"]
    assert run(*command).stdout == "Added 1,000.5 credits for ann; the balance is 1,000.5.\n"
    again = run(*command).stdout
    assert again == "Already added 1,000.5 credits for ann; the balance is 1,000.5.\n"
    assert priced.get_balance("ann").balance == Decimal("1000.5")


def test_a_negative_adjustment_takes_credits(run: Run, priced: CreditManager) -> None:
    run("credits", "add", "ann", "10")
    result = run("credits", "add", "ann", "--", "-4")
    assert result.stdout == "Took 4 credits for ann; the balance is 6.\n"


def test_a_grant_can_lapse(run: Run, priced: CreditManager) -> None:
    run("credits", "add", "ann", "5", "--type", "promo", "--expires-in", "30d")
    run("credits", "add", "ann", "5", "--type", "promo", "--expires-at", "2099-12-31")
    lots = as_json(run("credits", "lots", "ann", "--json"))
    assert [lot["expires_at"] is not None for lot in lots] == [True, True]
    assert lots[1]["expires_at"].startswith("2099-12-31T00:00:00")
    both = run("credits", "add", "ann", "5", "--expires-in", "1d", "--expires-at", "2099-01-01")
    assert both.exit_code == 2


def test_a_usage_is_charged_and_shown(run: Run, priced: CreditManager) -> None:
    run("credits", "add", "ann", "100")
    result = run("credits", "deduct", "ann", *USAGE, "--key", "chat-1")
    assert result.exit_code == 0
    lines = dict(line.split(None, 1) for line in result.stdout.splitlines() if "  " in line)
    assert lines["cost"] == "3.6"
    again = as_json(run("credits", "deduct", "ann", *USAGE, "--key", "chat-1", "--json"))
    assert (again["replayed"], again["cost"]) == (True, Decimal("3.6"))
    assert priced.get_balance("ann").balance == Decimal("96.4")


def test_a_job_an_amount_and_a_json_usage(run: Run, priced: CreditManager) -> None:
    run("credits", "add", "ann", "1000")
    costs = [
        as_json(run("credits", "deduct", "ann", *arguments, "--json"))["cost"]
        for arguments in (
            ["--job", "report"],
            ["--amount", "0.000000000001"],
            ["--metrics", '{"model": "gpt-4", "input_tokens": 1}', "-m", "output_tokens=1"],
        )
    ]
    assert costs == [75, Decimal("0.000000000001"), Decimal("0.09")]


@pytest.mark.parametrize(
    "arguments",
    [[], ["--amount", "1", "--job", "report"], ["--amount", "lots"], ["-m", "model"]],
)
def test_a_command_line_that_makes_no_sense(run: Run, arguments: list[str]) -> None:
    assert run("credits", "deduct", "ann", *arguments).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--amount", "5"], "Error: ann has 0 credits available and needs 5; the balance"),
        (["--amount", "-5"], "[DU017]"),
        (["-m", "model=none"], "[DU004]"),
        (["-m", "model=gpt-4", "-m", "input_tokens=NaN"], "[DU017]"),
        (["-m", "model=gpt-4", "-m", "input_token=1"], "did you mean 'input_tokens'? [DU017]"),
        (["--job", "nothing"], "[DU018]"),
    ],
)
def test_a_charge_that_is_refused_is_one_sentence_and_a_hint(
    run: Run, priced: CreditManager, arguments: list[str], sentence: str
) -> None:
    result = run("credits", "deduct", "ann", *arguments)
    assert result.exit_code == 1
    error, hint = result.stderr.splitlines()
    assert error.startswith("Error: ")
    assert sentence in error
    assert hint.startswith("Hint: ")
    assert priced.list_transactions("ann") == []


def test_the_ledger_is_listed_newest_first_and_paged(run: Run, priced: CreditManager) -> None:
    run("credits", "add", "ann", "10", "--type", "purchase")
    for _ in range(3):
        run("credits", "deduct", "ann", "--amount", "1")
    entries = as_json(run("credits", "transactions", "ann", "--json"))
    assert [(e["type"], e["amount"], e["balance_after"]) for e in entries] == [
        ("usage", -1, 7),
        ("usage", -1, 8),
        ("usage", -1, 9),
        ("purchase", 10, 10),
    ]
    page = as_json(
        run("credits", "transactions", "ann", "--json", "--limit", "1", "--before",
            str(entries[1]["transaction_id"]))
    )  # fmt: skip
    assert page == [entries[2]]
    table = run("credits", "transactions", "ann", "--type", "purchase").stdout.splitlines()
    assert len(table) == 2
    assert run("credits", "transactions", "bob").stdout == "bob has no transactions.\n"


def test_a_balance_says_everything(run: Run, priced: CreditManager) -> None:
    run("credits", "add", "ann", "10")
    run("credits", "deduct", "ann", "--amount", "2.5")
    balance = as_json(run("credits", "balance", "ann", "--json"))
    expected = {
        "user_id": "ann", "balance": Decimal("7.5"), "allowance_remaining": 0, "held": 0,
        "available": Decimal("7.5"), "debt": 0, "plan_key": None, "lifetime_granted": 10,
        "lifetime_spent": Decimal("2.5"),
    }  # fmt: skip
    assert {key: balance[key] for key in expected} == expected
    assert "available       7.5" in run("credits", "balance", "ann").stdout


def test_a_frozen_account_does_not_charge(run: Run, priced: CreditManager) -> None:
    run("credits", "add", "ann", "10")
    assert run("credits", "freeze", "ann").stdout == "ann is frozen.\n"
    refused = run("credits", "deduct", "ann", "--amount", "1")
    assert "[DU019]" in refused.stderr
    assert run("credits", "unfreeze", "ann").stdout == "ann is active.\n"
    assert run("credits", "deduct", "ann", "--amount", "1").exit_code == 0
