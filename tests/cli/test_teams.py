"""Teams from the command line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ducto_pg.client.manager import CreditManager
from tests.cli.conftest import Run, as_json


@pytest.fixture(autouse=True)
def acme(priced: CreditManager, run: Run) -> Iterator[CreditManager]:
    """A team of 100 credits, in which olga is the owner."""
    run("teams", "create", "Acme Inc.", "--id", "acme", "--balance", "100", "--owner", "olga")
    yield priced
    assert priced.check() == []


def test_a_team_lives_from_the_command_line(run: Run) -> None:
    assert run("teams", "add", "acme", "ann", "--cap", "10").stdout == (
        "ann is member of acme, with a monthly cap of 10, 0 of it used.\n"
    )
    charge = as_json(
        run(
            "teams", "deduct", "acme", "ann", "-m", "model=gpt-4", "-m", "input_tokens=100",
            "--key", "k", "--json",
        )
    )  # fmt: skip
    assert (charge["cost"], charge["team_id"], charge["user_id"]) == (3, "acme", "ann")
    (ann, olga) = as_json(run("teams", "members", "acme", "--json"))
    assert (ann["used"], ann["spent"], ann["charges"], olga["role"]) == (3, 3, 1, "owner")
    assert "ann   member   10  monthly" in run("teams", "members", "acme").stdout
    changed = run("teams", "update", "acme", "ann", "--role", "admin", "--no-cap")
    assert changed.stdout == "ann is admin of acme, without a cap.\n"
    assert run("teams", "credit", "acme", "20", "--type", "purchase").stdout == (
        "Added 20 credits for acme; the balance is 117.\n"
    )
    assert "balance    117\n" in run("teams", "get", "acme").stdout
    assert as_json(run("teams", "get", "acme", "--json"))["member_count"] == 2
    (team,) = as_json(run("teams", "list", "--user", "ann", "--json"))
    assert (team["team_id"], team["role"]) == ("acme", "admin")
    assert "Acme Inc." in run("teams", "list").stdout
    assert run("teams", "remove", "acme", "ann").stdout == "ann is no member of acme any more.\n"
    assert run("teams", "list", "--user", "ann").stdout == "ann is in no team.\n"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ("get nobody", 1, "There is no team nobody."),
        ("deduct acme eve -m model=gpt-4", 1, "eve is not a member of the team acme."),
        ("deduct acme olga", 2, "give the usage"),
        ("remove acme olga", 1, "olga is the last owner of the team acme"),
        ("add acme eve --per daily", 2, "give --cap with --per"),
        ("add acme eve --role boss", 2, "'boss' is not one of"),
        ("add acme acme", 1, "acme is a team, not a user."),
        ("update acme olga", 2, "give --role"),
        ("update acme olga --cap 5 --no-cap", 2, "not both"),
        ("create X --id acme", 1, "There is a team acme already."),
        ("members acme --since 2026-02-01 --until 2026-01-01", 1, "ends before it starts"),
        ("list --limit 0", 2, "is not in the range"),
    ],
)
def test_what_is_refused_says_why(run: Run, arguments: str, status: int, said: str) -> None:
    refused = run("teams", *arguments.split())
    assert refused.exit_code == status
    assert said in refused.stderr


def test_the_hint_of_a_denial_names_the_command(run: Run) -> None:
    run("teams", "add", "acme", "ann", "--cap", "1")
    denied = run("teams", "deduct", "acme", "ann", "-m", "model=gpt-4", "-m", "input_tokens=100")
    assert denied.exit_code == 1
    assert "The monthly spend cap of ann in the team acme is reached: 0 of 1 used" in denied.stderr
    assert "`ducto teams update`" in denied.stderr
