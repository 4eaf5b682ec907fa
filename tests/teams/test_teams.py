"""Teams: what they are, who is in them, who pays, and what is refused."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest

from tests.support.ledger import Ledger, utc

NOW = utc(2026, 1, 14, 12)


@pytest.fixture(autouse=True)
def prices(ledger: Ledger) -> None:
    ledger.at(NOW)
    ledger.publish(
        models={"mini": "input_tokens"},
        fixed={"report": 4},
        plans=[
            {"id": "free", "free_allowance": 50, "default": True},
            {"id": "crew", "free_allowance": 10},
        ],
        signup_bonus=7,
    )


@pytest.fixture
def crew(ledger: Ledger) -> str:
    """A team of 100 credits, owned by olga, with ann in it."""
    create(ledger, "crew", 100, owner_id="olga")
    member(ledger, "ann")
    return "crew"


def create(ledger: Ledger, team_id: str, balance: int = 0, **arguments: Any) -> dict[str, Any]:
    made: dict[str, Any] = ledger.call(
        "create_team",
        name=team_id.title(),
        initial_balance=balance,
        team_id=team_id,
        **arguments,
    )
    return made


def member(ledger: Ledger, user_id: str, team_id: str = "crew", **arguments: Any) -> dict[str, Any]:
    made: dict[str, Any] = ledger.call(
        "add_team_member", team_id=team_id, user_id=user_id, **arguments
    )
    return made


def update(ledger: Ledger, user_id: str, **arguments: Any) -> dict[str, Any]:
    made: dict[str, Any] = ledger.call(
        "update_team_member", team_id="crew", user_id=user_id, **arguments
    )
    return made


def use(
    ledger: Ledger, user_id: str, cost: int, team_id: str = "crew", **arguments: Any
) -> dict[str, Any]:
    made: dict[str, Any] = ledger.call(
        "deduct_team",
        team_id=team_id,
        user_id=user_id,
        metrics={"model": "mini", "input_tokens": cost},
        **arguments,
    )
    return made


def members(ledger: Ledger, team_id: str = "crew", **arguments: Any) -> dict[str, dict[str, Any]]:
    rows = ledger.rows("list_team_members", team_id=team_id, **arguments)
    return {row["user_id"]: row for row in rows}


def used(ledger: Ledger, user_id: str) -> Any:
    return members(ledger)[user_id]["used"]


# --- teams -----------------------------------------------------------------------------------


def test_a_team_is_created_with_its_balance_and_its_owner(ledger: Ledger) -> None:
    made = create(ledger, "crew", 100, owner_id="olga", metadata={"org": 7})
    assert made == {
        "team_id": "crew",
        "name": "Crew",
        "balance": 100,
        "allowance_remaining": 0,
        "held": 0,
        "available": 100,
        "debt": 0,
        "member_count": 1,
        "plan_key": None,
        "status": "active",
        "lifetime_granted": 100,
        "lifetime_spent": 0,
        "metadata": {"org": 7},
        "created_at": "2026-01-14T12:00:00+00:00",
        "replayed": False,
    }
    assert ledger.call("get_team", team_id="crew") == {
        key: value for key, value in made.items() if key != "replayed"
    }
    (entry,) = ledger.entries("crew")
    assert (entry["type"], entry["amount"], entry["team_id"]) == ("opening", 100, "crew")
    assert members(ledger)["olga"]["role"] == "owner"


def test_an_id_is_made_up_and_a_signup_bonus_is_for_users_only(ledger: Ledger) -> None:
    first = ledger.call("create_team", name="A")
    second = ledger.call("create_team", name="A")
    assert first["team_id"] != second["team_id"]
    assert first["team_id"].startswith("team_")
    assert (first["balance"], first["member_count"]) == (0, 0)
    assert ledger.entries(first["team_id"]) == []


@pytest.mark.parametrize("team_id", ["crew", None])
@pytest.mark.parametrize("balance", [0, 100])
def test_a_key_creates_one_team(ledger: Ledger, team_id: str | None, balance: int) -> None:
    call = {
        "name": "Crew",
        "initial_balance": balance,
        "team_id": team_id,
        "owner_id": "olga",
        "idempotency_key": "new",
    }
    first = ledger.call("create_team", **call)
    again = ledger.call("create_team", **call)
    assert again == first | {"replayed": True}
    for other in ({"name": "Other"}, {"initial_balance": 5}, {"owner_id": "ann"}):
        ledger.refused("DU007", "create_team", **(call | other))


def test_ids_of_users_and_teams_do_not_mix(ledger: Ledger, crew: str) -> None:
    ledger.grant("bob", 10)
    for team_id in ("bob", "ann", "crew", "olga", "", "x" * 201):
        detail = ledger.refused("DU017", "create_team", name="X", team_id=team_id)
        assert detail["argument"] == "p_team_id"
    ledger.refused("DU017", "create_team", name="X", owner_id="crew")
    ledger.refused("DU017", "create_team", name="X", team_id="y", owner_id="y")
    create(ledger, "other")
    ledger.refused("DU017", "add_team_member", team_id="crew", user_id="other")
    ledger.refused("DU017", "add_team_member", team_id="crew", user_id="crew")
    usage = {"model": "mini", "input_tokens": 1}
    for name, arguments in (
        ("deduct", {"metrics": usage}),
        ("deduct_amount", {"amount": 1}),
        ("deduct_fixed", {"job_name": "report"}),
        ("reserve", {"amount": 1}),
        ("quote", {"metrics": usage}),
    ):
        for _ in range(2):  # The headroom is closed at first, and open after a charge.
            detail = ledger.refused("DU017", name, user_id="crew", **arguments)
            assert detail["argument"] == "p_user_id"
            assert "crew is a team" in detail["message"]
            use(ledger, "ann", 1)
    ledger.spend("bob", 1)
    for team_id, user_id in (("bob", "ann"), ("bob", "bob"), ("nobody", "ann")):
        ledger.refused("DU015", "deduct_team", team_id=team_id, user_id=user_id, metrics=usage)
        ledger.refused("DU015", "reserve", team_id=team_id, user_id=user_id, amount=1)
    ledger.refused("DU016", "deduct_team", team_id="crew", user_id="crew", metrics=usage)
    assert ledger.value("select count(*) from ducto.credit_accounts where kind = 'user'") == 1


@pytest.mark.parametrize(
    ("code", "name", "arguments"),
    [
        ("DU017", "create_team", {"name": None}),
        ("DU017", "create_team", {"name": "  "}),
        ("DU017", "create_team", {"name": "x" * 201}),
        ("DU017", "create_team", {"name": "x", "initial_balance": None}),
        ("DU017", "create_team", {"name": "x", "initial_balance": -1}),
        ("DU017", "create_team", {"name": "x", "initial_balance": D("NaN")}),
        ("DU017", "create_team", {"name": "x", "owner_id": ""}),
        ("DU017", "create_team", {"name": "x", "idempotency_key": ""}),
        ("DU017", "create_team", {"name": "x", "metadata": [1]}),
        ("DU015", "get_team", {"team_id": "nobody"}),
        ("DU017", "get_team", {"team_id": None}),
        ("DU017", "list_teams", {"limit": 0}),
        ("DU015", "list_team_members", {"team_id": "nobody"}),
        ("DU017", "list_team_members", {"team_id": None}),
        ("DU017", "list_team_members", {"team_id": "crew", "limit": 1001}),
        (
            "DU017",
            "list_team_members",
            {"team_id": "crew", "start": utc(2026, 2), "end": utc(2026)},
        ),
        ("DU015", "add_team_member", {"team_id": "nobody", "user_id": "x"}),
        ("DU017", "add_team_member", {"team_id": None, "user_id": "x"}),
        ("DU017", "add_team_member", {"team_id": "crew", "user_id": None}),
        ("DU017", "add_team_member", {"team_id": "crew", "user_id": "x", "role": "boss"}),
        ("DU017", "add_team_member", {"team_id": "crew", "user_id": "x", "role": None}),
        ("DU017", "add_team_member", {"team_id": "crew", "user_id": "x", "spend_cap": -1}),
        ("DU017", "add_team_member", {"team_id": "crew", "user_id": "x", "cap_type": "yearly"}),
        ("DU017", "add_team_member", {"team_id": "crew", "user_id": "ann", "role": "admin"}),
        ("DU015", "update_team_member", {"team_id": "nobody", "user_id": "x", "role": "admin"}),
        ("DU016", "update_team_member", {"team_id": "crew", "user_id": "x", "role": "admin"}),
        ("DU017", "update_team_member", {"team_id": "crew", "user_id": "ann"}),
        ("DU017", "update_team_member", {"team_id": "crew", "user_id": "ann", "role": "boss"}),
        ("DU017", "update_team_member", {"team_id": "crew", "user_id": "ann", "cap_type": "daily"}),
        (
            "DU017",
            "update_team_member",
            {"team_id": "crew", "user_id": "ann", "spend_cap": 1, "remove_cap": True},
        ),
        ("DU017", "update_team_member", {"team_id": "crew", "user_id": "olga", "role": "admin"}),
        ("DU015", "remove_team_member", {"team_id": "nobody", "user_id": "ann"}),
        ("DU016", "remove_team_member", {"team_id": "crew", "user_id": "x"}),
        ("DU017", "remove_team_member", {"team_id": "crew", "user_id": None}),
        ("DU017", "remove_team_member", {"team_id": "crew", "user_id": "olga"}),
        ("DU015", "add_team_credits", {"team_id": "nobody", "amount": 1}),
        ("DU017", "add_team_credits", {"team_id": "crew", "amount": 0}),
        ("DU017", "add_team_credits", {"team_id": None, "amount": 1}),
        ("DU017", "deduct_team", {"team_id": None, "user_id": "ann", "metrics": {}}),
        ("DU017", "deduct_team", {"team_id": "crew", "user_id": None, "metrics": {}}),
        ("DU017", "deduct_team", {"team_id": "crew", "user_id": "", "metrics": {}}),
        ("DU017", "deduct_team", {"team_id": "crew", "user_id": "ann", "metrics": None}),
        ("DU017", "reserve", {"team_id": "", "user_id": "ann", "amount": 1}),
    ],
)
def test_bad_input_has_its_code_and_writes_nothing(
    ledger: Ledger, crew: str, code: str, name: str, arguments: dict[str, Any]
) -> None:
    detail = ledger.refused(code, name, **arguments)
    assert len(detail["message"]) > 15


def test_teams_are_listed_page_by_page_and_by_member(ledger: Ledger) -> None:
    for team_id in ("c", "a", "b"):
        create(ledger, team_id, 10, owner_id="olga" if team_id != "b" else None)
    member(ledger, "ann", "b", role="admin")
    first = ledger.rows("list_teams", limit=2)
    assert [row["team_id"] for row in first] == ["a", "b"]
    assert first[0] == {
        "team_id": "a",
        "name": "A",
        "balance": 10,
        "allowance_remaining": 0,
        "held": 0,
        "available": 10,
        "member_count": 1,
        "role": None,
        "plan_key": None,
        "status": "active",
        "created_at": NOW,
    }
    assert [row["team_id"] for row in ledger.rows("list_teams", after="b")] == ["c"]
    assert [(row["team_id"], row["role"]) for row in ledger.rows("list_teams", user_id="olga")] == [
        ("a", "owner"),
        ("c", "owner"),
    ]
    assert [row["role"] for row in ledger.rows("list_teams", user_id="ann")] == ["admin"]
    assert ledger.rows("list_teams", user_id="nobody") == []


# --- members ---------------------------------------------------------------------------------


def test_a_member_is_added_once_and_changed_by_name(ledger: Ledger, crew: str) -> None:
    made = member(ledger, "bob", role="admin", spend_cap=30)
    assert made == {
        "team_id": "crew",
        "user_id": "bob",
        "role": "admin",
        "spend_cap": 30,
        "cap_type": "monthly",
        "used": 0,
        "remaining": 30,
        "resets_at": "2026-02-01T00:00:00+00:00",
        "created_at": "2026-01-14T12:00:00+00:00",
    }
    assert member(ledger, "bob", role="admin", spend_cap=30) == made
    assert update(ledger, "bob", role="owner") == made | {"role": "owner"}
    assert update(ledger, "bob", cap_type="daily") == made | {
        "role": "owner",
        "cap_type": "daily",
        "resets_at": "2026-01-15T00:00:00+00:00",
    }
    no_cap = update(ledger, "bob", remove_cap=True)
    assert [no_cap[key] for key in ("spend_cap", "cap_type", "used", "resets_at")] == [None] * 4
    assert ledger.call("remove_team_member", team_id="crew", user_id="olga") == {
        "team_id": "crew",
        "user_id": "olga",
        "removed": True,
    }
    ledger.refused("DU017", "remove_team_member", team_id="crew", user_id="bob")
    assert [(row["user_id"], row["role"]) for row in members(ledger).values()] == [
        ("ann", "member"),
        ("bob", "owner"),
    ]


def test_only_members_spend(ledger: Ledger, crew: str) -> None:
    use(ledger, "ann", 1)
    usage = {"model": "mini", "input_tokens": 1}
    for raised in (True, False):
        detail = ledger.refused(
            "DU016",
            "deduct_team",
            team_id="crew",
            user_id="eve",
            metrics=usage,
            **{"raise": raised},
        )
        assert (detail["team_id"], detail["user_id"]) == ("crew", "eve")
    ledger.refused("DU016", "reserve", team_id="crew", user_id="eve", amount=1)
    ledger.refused("DU016", "quote", team_id="crew", user_id="eve", metrics=usage)
    ledger.call("freeze_account", user_id="crew")
    ledger.refused("DU016", "deduct_team", team_id="crew", user_id="eve", metrics=usage)
    ledger.refused("DU019", "deduct_team", team_id="crew", user_id="ann", metrics=usage)
    assert ledger.balance("crew")["balance"] == 99


def test_who_was_removed_does_not_spend_but_replays_and_settles(ledger: Ledger, crew: str) -> None:
    first = use(ledger, "ann", 3, idempotency_key="k")
    hold = ledger.hold("ann", 5, team_id="crew")
    ledger.call("remove_team_member", team_id="crew", user_id="ann")
    ledger.refused(
        "DU016",
        "deduct_team",
        team_id="crew",
        user_id="ann",
        metrics={"model": "mini", "input_tokens": 1},
    )
    assert use(ledger, "ann", 3, idempotency_key="k") == first | {"replayed": True}
    assert ledger.settle(hold, amount=4)["team_id"] == "crew"
    ledger.refund(first)
    assert ledger.balance("crew")["balance"] == 96


# --- charges ---------------------------------------------------------------------------------


def test_the_team_pays_and_the_user_is_the_actor(ledger: Ledger, crew: str) -> None:
    for nth in (1, 2, 3):  # In full, then twice within the headroom.
        charge = use(ledger, "ann", 10)
        assert charge == {
            "status": "ok",
            "transaction_id": charge["transaction_id"],
            "user_id": "ann",
            "team_id": "crew",
            "model": "mini",
            "cost": 10,
            "allowance_consumed": 0,
            "amount": 10,
            "balance_after": 100 - nth * 10,
            "available_after": 100 - nth * 10,
            "pricing_version": charge["pricing_version"],
            "breakdown": {
                "model": 10, "tools": 0, "search": 0, "cache": 0, "fixed": 0, "total": 10
            },
            "warnings": [],
            "replayed": False,
        }  # fmt: skip
        entry = ledger.entries("crew")[-1]
        assert (entry["user_id"], entry["team_id"], entry["amount"]) == ("ann", "crew", -10)
    assert ledger.value("select headroom from ducto.credit_accounts where account_id = 'crew'") > 0
    assert ledger.balance("ann")["balance"] == 0
    detail = ledger.refused(
        "DU002",
        "deduct_team",
        team_id="crew",
        user_id="ann",
        metrics={"model": "mini", "input_tokens": 71},
    )
    assert detail["user_id"] == "crew"


def test_a_key_is_the_teams_and_names_one_user(ledger: Ledger, crew: str) -> None:
    member(ledger, "bob")
    first = use(ledger, "ann", 5, idempotency_key="k")
    assert use(ledger, "ann", 5, idempotency_key="k") == first | {"replayed": True}
    for user_id in ("bob", "eve"):
        ledger.refused(
            "DU007",
            "deduct_team",
            team_id="crew",
            user_id=user_id,
            metrics={"model": "mini", "input_tokens": 5},
            idempotency_key="k",
        )
    assert ledger.balance("crew")["balance"] == 95


def test_a_user_in_several_teams_spends_of_each_apart(ledger: Ledger, crew: str) -> None:
    create(ledger, "other", 50)
    member(ledger, "ann", "other", spend_cap=20)
    use(ledger, "ann", 30)
    use(ledger, "ann", 20, "other")
    ledger.use("ann", {"model": "mini", "input_tokens": 2})
    assert [ledger.balance(payer)["balance"] for payer in ("crew", "other", "ann")] == [70, 30, 7]
    ledger.refused(
        "DU001",
        "deduct_team",
        team_id="other",
        user_id="ann",
        metrics={"model": "mini", "input_tokens": 1},
    )
    use(ledger, "ann", 1)
    assert members(ledger, "other")["ann"]["used"] == 20


def test_batch_items_may_name_a_team(ledger: Ledger, crew: str) -> None:
    member(ledger, "bob", spend_cap=5)
    usage = {"model": "mini", "input_tokens": 3}
    results = ledger.call(
        "deduct_batch",
        charges=[
            {"user_id": "ann", "team_id": "crew", "metrics": usage},
            {"user_id": "bob", "team_id": "crew", "amount": 4},
            {"user_id": "bob", "team_id": "crew", "metrics": usage},
            {"user_id": "eve", "team_id": "crew", "metrics": usage},
            {"user_id": "ann", "team_id": "nobody", "metrics": usage},
            {"user_id": "nobody", "metrics": usage},
            {"user_id": "crew", "metrics": usage},
            {"user_id": "ann", "team_id": "ann", "metrics": usage},
            {"user_id": "ann", "team_id": None, "metrics": usage},
            {"user_id": "ann", "team_id": "", "metrics": usage},
            {"user_id": "ann", "team_id": "crew", "job_name": "report"},
        ],
    )
    assert [(r["status"], r.get("code"), r.get("team_id")) for r in results] == [
        ("ok", None, "crew"),
        ("ok", None, "crew"),
        ("denied", "DU001", "crew"),
        ("error", "DU016", "crew"),
        ("error", "DU015", "nobody"),
        ("ok", None, None),
        ("error", "DU017", None),
        ("error", "DU015", "ann"),
        ("ok", None, None),
        ("error", "DU017", None),
        ("ok", None, "crew"),
    ]
    assert ledger.balance("crew")["balance"] == 100 - 3 - 4 - 4
    assert ledger.value("select count(*) from ducto.credit_accounts") == 3


# --- plans, caps and grants of a team --------------------------------------------------------


def test_a_team_has_the_plan_it_is_given_and_its_allowance(ledger: Ledger, crew: str) -> None:
    assert ledger.call("get_user_plan", user_id="crew")["plan_key"] is None
    ledger.call("set_user_plan", user_id="crew", plan_key="crew")
    team = ledger.call("get_team", team_id="crew")
    assert (team["plan_key"], team["allowance_remaining"], team["available"]) == ("crew", 10, 110)
    member(ledger, "bob", spend_cap=4)
    charge = use(ledger, "bob", 8)
    assert (charge["allowance_consumed"], charge["amount"]) == (8, 0)
    charge = use(ledger, "bob", 6)
    assert (charge["allowance_consumed"], charge["amount"]) == (2, 4)
    # Only what left the balance counts against the cap.
    assert used(ledger, "bob") == 4
    assert (members(ledger)["bob"]["spent"], members(ledger)["bob"]["allowance_consumed"]) == (
        4,
        10,
    )
    quote = ledger.call(
        "quote", user_id="bob", team_id="crew", metrics={"model": "mini", "input_tokens": 1}
    )
    assert (quote["affordable"], quote["code"]) == (False, "DU001")
    (cap,) = quote["caps"]
    assert (cap["user_id"], cap["team_id"], cap["used"], cap["exceeded"]) == (
        "bob",
        "crew",
        4,
        True,
    )
    ledger.refund(charge)
    assert ledger.amounts("crew") == (100, 2, 0, 0)
    assert used(ledger, "bob") == 0


def test_caps_lots_and_grants_of_a_team_go_by_its_id(ledger: Ledger, crew: str) -> None:
    granted = ledger.call(
        "add_team_credits",
        team_id="crew",
        amount=20,
        type="purchase",
        expires_at=utc(2026, 2),
        idempotency_key="g",
    )
    assert (granted["team_id"], granted["amount"], granted["balance_after"]) == ("crew", 20, 120)
    again = ledger.call(
        "add_team_credits", team_id="crew", amount=20, type="purchase", idempotency_key="g"
    )
    assert again == granted | {"replayed": True}
    ledger.call("set_spend_cap", user_id="crew", cap_type="daily", limit=25)
    use(ledger, "ann", 25)
    detail = ledger.refused(
        "DU001",
        "deduct_team",
        team_id="crew",
        user_id="ann",
        metrics={"model": "mini", "input_tokens": 1},
    )
    assert (detail["user_id"], detail["used"]) == ("crew", 25)
    assert [lot["remaining"] for lot in ledger.lots("crew")] == [95, 0]


# --- attribution -----------------------------------------------------------------------------


@pytest.mark.parametrize("rolled_up", [False, True])
def test_members_are_listed_with_what_each_spent(ledger: Ledger, rolled_up: bool) -> None:
    ledger.at(utc(2025, 12, 20))
    create(ledger, "crew", 100)
    member(ledger, "ann")
    member(ledger, "bob", spend_cap=50)
    use(ledger, "ann", 9)
    ledger.at(NOW)
    charge = use(ledger, "ann", 10)
    use(ledger, "ann", 2)
    use(ledger, "bob", 5)
    ledger.refund(charge, amount=4)
    if rolled_up:
        ledger.call("rollup_usage")
    found = members(ledger)
    assert [(m["spent"], m["charges"], m["used"]) for m in found.values()] == [
        (8, 2, None),
        (5, 1, 5),
    ]
    before = members(ledger, start=utc(2025, 12), end=utc(2026))
    assert [(m["spent"], m["charges"]) for m in before.values()] == [(9, 1), (0, 0)]
    assert list(members(ledger, limit=1)) == ["ann"]
    assert list(members(ledger, limit=1, after="ann")) == ["bob"]
    report = ledger.rows(
        "spend_report", group_by="{team,user}", start=utc(2025, 12), end=utc(2026, 2)
    )
    assert {(row["team_id"], row["user_id"]): row["spent"] for row in report} == {
        ("crew", "ann"): 17,
        ("crew", "bob"): 5,
    }
