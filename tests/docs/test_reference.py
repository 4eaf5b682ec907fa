"""The pages that describe the API say what the catalog and the error catalogue say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from ducto_pg.install.manifest import load_errors, sql_root
from ducto_pg.pricing.schema import pricing_schema
from tests.conftest import MakeDb
from tests.docs import reference
from tests.docs.pages import read
from tests.support.databases import Connection, open_connection
from tests.support.ledger import Ledger
from tests.support.pricing import publish

CONFIG = {
    "models": {"gpt-4o": "input_tokens * 0.0025"},
    "fixed": {"report": 5},
    "plans": [{"id": "pro", "free_allowance": 2, "features": ["export"]}],
}
USAGE = {"model": "gpt-4o", "input_tokens": 400}


@pytest.fixture(scope="module")
def page() -> dict[str, str]:
    """The sections of docs/sql-api.md."""
    return reference.sections()


@pytest.fixture
def catalog(db: Connection) -> dict[str, reference.Routine]:
    """The functions of the API."""
    return reference.routines(db)


def test_every_function_is_described_and_nothing_else(
    page: dict[str, str], catalog: dict[str, reference.Routine]
) -> None:
    assert sorted(page) == sorted(catalog)


def test_signatures_are_the_catalogs(catalog: dict[str, reference.Routine]) -> None:
    assert read(reference.API_PAGE) == reference.with_signatures(catalog)


def test_every_argument_is_described(
    page: dict[str, str], catalog: dict[str, reference.Routine]
) -> None:
    for name, routine in catalog.items():
        described = re.findall(r"^\| `(p_\w+)` \|", page[name], re.M)
        assert described == list(routine.parameters), name


def test_errors_and_callers_are_those_of_the_comments(
    page: dict[str, str], catalog: dict[str, reference.Routine]
) -> None:
    for name, routine in catalog.items():
        assert reference.documented_codes(page[name]) == routine.codes, name
        assert re.findall(r"^- \*\*Callers\*\*: (.*)$", page[name], re.M) == [routine.callers], name


def test_results_have_the_keys_that_are_described(page: dict[str, str], db: Connection) -> None:
    found = dict(results(db))
    objects = {
        name
        for name, routine in reference.routines(db).items()
        if routine.result == "jsonb"
        and name not in ("ducto_pricing_export", "ducto_deduct_batch", "ducto_add_credits_batch")
    }
    assert set(found) == objects
    for name, result in found.items():
        assert described_keys(page[name]) == set(result), name


def described_keys(section: str) -> set[str]:
    """The keys in the item `Result` of a section, and those of a charge where it refers to them."""
    found = re.search(r"^- \*\*Result\*\*: (.*?)(?=^- )", section, re.M | re.S)
    assert found
    text = re.sub(
        r"\([^()]*\)", "", found[1].replace("[of a charge](#the-result-of-a-charge)", "@")
    )
    keys = set(re.findall(r"`(\w+)`", text))
    return keys | charge_keys() if "@" in text else keys


def charge_keys() -> set[str]:
    """The keys in the table of a charge's result."""
    _, _, rest = read(reference.API_PAGE).partition("### The result of a charge\n")
    return set(re.findall(r"^\| `(\w+)` \|", rest.partition("\n## ")[0], re.M))


def results(connection: Connection) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each function that returns an object, called once."""
    ledger = Ledger(connection)
    version = publish(connection, CONFIG)["version"]
    calls: list[tuple[str, dict[str, Any]]] = [
        ("add_credits", {"user_id": "u", "amount": 100}),
        ("pricing_set", {"config": CONFIG}),
        ("pricing_get", {}),
        ("pricing_activate", {"version": version}),
        ("pricing_validate", {"config": CONFIG}),
        ("calculate", {"metrics": USAGE}),
        ("deduct", {"user_id": "u", "metrics": USAGE}),
        ("deduct_fixed", {"user_id": "u", "job_name": "report"}),
        ("deduct_amount", {"user_id": "u", "amount": 1}),
        ("quote", {"user_id": "u", "metrics": USAGE}),
        ("get_balance", {"user_id": "u"}),
        ("get_available", {"user_id": "u"}),
        ("set_user_plan", {"user_id": "u", "plan_key": "pro"}),
        ("get_user_plan", {"user_id": "u"}),
        ("check_feature", {"user_id": "u", "feature": "export"}),
        ("set_spend_cap", {"user_id": "u", "cap_type": "daily", "limit": 100}),
        ("check_spend_cap", {"user_id": "u"}),
        ("remove_spend_cap", {"user_id": "u", "cap_type": "daily"}),
        ("freeze_account", {"user_id": "u"}),
        ("unfreeze_account", {"user_id": "u"}),
        ("create_team", {"name": "Team", "team_id": "t", "initial_balance": 50, "owner_id": "o"}),
        ("get_team", {"team_id": "t"}),
        ("add_team_member", {"team_id": "t", "user_id": "u"}),
        ("update_team_member", {"team_id": "t", "user_id": "u", "spend_cap": 9}),
        ("add_team_credits", {"team_id": "t", "amount": 1}),
        ("deduct_team", {"team_id": "t", "user_id": "u", "metrics": USAGE}),
        ("remove_team_member", {"team_id": "t", "user_id": "u"}),
        ("expire_reservations", {}),
        ("version", {}),
        ("rollup_usage", {}),
        ("aggregate_stats", {"start": "2026-01-01", "end": "2026-02-01"}),
        ("my_balance", {}),
        ("my_plan", {}),
        ("my_feature", {"feature": "export"}),
        ("my_quote", {"metrics": USAGE}),
        ("create_consumer", {"consumer": "billing"}),
        ("retry_dead_events", {"consumer": "billing"}),
        ("remove_consumer", {"consumer": "billing"}),
        ("prune_events", {}),
    ]
    connection.execute("""set request.jwt.claims = '{"sub": "u"}'""")
    for name, arguments in calls:
        yield f"ducto_{name}", ledger.call(name, **arguments)
    yield from results_about_others(ledger)
    yield from results_about_events(ledger)


def results_about_events(ledger: Ledger) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The functions that need an event."""
    of_event = {
        "consumer": "mail",
        "cursor": ledger.rows("poll_events", consumer="mail", limit=1)[0]["cursor"],
    }
    yield "ducto_fail_event", ledger.call("fail_event", **of_event, error="no")
    yield "ducto_ack_events", ledger.call("ack_events", **of_event)
    yield "ducto_release_events", ledger.call("release_events", **of_event)


def results_about_others(ledger: Ledger) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The functions that need the id of an entry or a hold."""
    granted = ledger.grant("v", 10)
    charge = ledger.spend("v", 1)
    yield "ducto_explain", ledger.call("explain", transaction_id=charge["transaction_id"])
    yield "ducto_refund", ledger.refund(charge)
    yield (
        "ducto_revoke_grant",
        ledger.call("revoke_grant", transaction_id=granted["transaction_id"]),
    )
    hold = ledger.hold("u", 1)
    yield "ducto_reserve", hold
    yield "ducto_renew", ledger.call("renew", reservation_id=hold["reservation_id"])
    yield "ducto_settle", ledger.settle(hold)
    other = ledger.hold("u", 1)
    yield "ducto_release", ledger.call("release", reservation_id=other["reservation_id"])


def test_a_denial_has_the_keys_that_are_described(make_db: MakeDb) -> None:
    with open_connection(make_db()) as connection:
        denial = Ledger(connection).spend("nobody", 5, **{"raise": False})
    facts = next(entry.detail for entry in load_errors() if entry.code == "DU002")
    assert set(denial) == {"status", "code", "error", "message", "hint", *facts}


def test_the_page_of_errors_is_the_catalogue() -> None:
    assert read(reference.ERRORS_PAGE) == reference.errors_page()


def test_every_key_of_a_pricing_config_is_described() -> None:
    schema = pricing_schema()
    plan = schema["properties"]["plans"]["oneOf"][0]["items"]["properties"]
    _, _, text = read("docs/pricing.md").partition("## Top level\n")
    top, _, plans = text.partition("## Plans\n")
    assert keys_of_table(top) == set(schema["properties"])
    assert keys_of_table(plans) == set(plan)
    policy = plan["per_operation"]["additionalProperties"]["properties"]
    sentence = re.search(r"`per_operation` maps .*?\. ", plans, re.S)
    assert sentence and all(f"`{key}`" in sentence[0] for key in policy)


def keys_of_table(text: str) -> set[str]:
    """The names in the first column."""
    cells = re.findall(r"^\| (`[^|]*`) \|", text, re.M)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_every_event_is_described() -> None:
    routines = "".join(
        path.read_text(encoding="utf-8") for path in sorted(sql_root().glob("routines/**/*.sql"))
    )
    written = set(re.findall(r"'(credits\.\w+[a-z])'", routines))
    written |= {"credits.reservation_released", "credits.reservation_expired"}
    assert "'credits.reservation_' || p_status" in routines
    described = set(re.findall(r"`(credits\.\w+)`", read("docs/events.md")))
    assert described == written


def test_every_check_is_described(db: Connection) -> None:
    sources = db.execute(
        "select string_agg(p.prosrc, '') from pg_proc p"
        " where p.pronamespace = 'ducto'::regnamespace and p.proname like 'check\\_%'"
        " and pg_get_function_result(p.oid) like '%check_name%'"
    ).fetchone()
    assert sources
    named = set(re.findall(r"\bselect '(\w+)'", sources[0]))
    _, _, text = read("docs/operations.md").partition("## Checking the books\n")
    assert keys_of_table(text.partition("\n## ")[0]) == named
