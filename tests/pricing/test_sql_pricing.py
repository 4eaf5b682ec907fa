"""Publishing, activating, reading, comparing and trying pricing through SQL, on both evaluators."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from ducto_pg.exact_json import dumps, loads
from tests.conftest import Connect
from tests.support.databases import Connection, Databases, open_connection
from tests.support.pricing import publish
from tests.support.waiting import until_blocked

CONFIG: dict[str, Any] = {
    "version": 2,
    "models": {
        "gpt-4": "input_tokens * 0.00003 + output_tokens * 0.00006",
        "claude-sonnet-4": "input_tokens * 0.000003",
        "_default": "(input_tokens + output_tokens) * 0.00001",
    },
    "tools": {"web_search": "tool_calls * 0.01", "_default": "tool_calls * 0.001"},
    "search": {"queries": "search_queries * 0.005"},
    "cache": {"read": "cache_read_tokens * 0.000001"},
    "fixed": {"report": 5},
    "min_balance": -2,
    "low_balance_thresholds": [5, 100, 20],
    "signup_bonus": Decimal("0.5"),
    "plans": [
        {
            "id": "pro",
            "name": "Pro",
            "free_allowance": 10,
            "rate_overrides": {"gpt-4": "input_tokens * 0.00001"},
            "features": ["export", "api"],
        },
        {
            "id": "team",
            "default": True,
            "period": "weekly",
            "period_anchor": "account",
            "rollover_max": Decimal("2.5"),
            "features": {"seats": 5, "sso": False},
            "default_billing_mode": "overdraft",
            "overdraft_floor": -10,
            "max_concurrent": 3,
            "per_operation": {"batch": {"max_concurrent": 1}},
            "rate_overrides": {
                "tools": {"web_search": "tool_calls"},
                "cache": {"write": "cache_hits"},
            },
        },
    ],
}
USAGE = {"model": "gpt-4", "input_tokens": 500, "output_tokens": 200}


def one(connection: Connection, query: str, *parameters: Any) -> Any:
    """The single value of a query; mappings are sent as JSON."""
    given = [dumps(p) if isinstance(p, dict) else p for p in parameters]
    row = connection.execute(query.encode(), given).fetchone()
    assert row is not None
    return row[0]


def error_of(connection: Connection, query: str, *parameters: Any) -> tuple[psycopg.Error, Any]:
    with pytest.raises(psycopg.Error) as raised:
        one(connection, query, *parameters)
    return raised.value, loads(raised.value.diag.message_detail or "null")


@pytest.fixture(scope="module", params=["plpython", "portable"])
def refusing(request: pytest.FixtureRequest, databases: Databases) -> Iterator[Connection]:
    """One database for the many configs that are refused, each leaving nothing."""
    dsn = databases.create(request.param)
    with open_connection(dsn) as connection:
        yield connection
    databases.drop(dsn)


# Publishing


def test_published_config_is_the_active_version(both: Connection) -> None:
    result = publish(both, CONFIG, "launch")
    assert set(result) == {
        "id", "version", "label", "active", "config", "created_at", "warnings"
    }  # fmt: skip
    assert (result["version"], result["label"], result["active"]) == (1, "launch", True)
    assert result["config"] == CONFIG
    assert result["warnings"] == []
    result.pop("warnings")
    assert one(both, "select ducto_pricing_get()") == result


def test_each_publication_is_a_new_version(both: Connection) -> None:
    versions = [publish(both, CONFIG)["version"] for _ in range(3)]
    assert versions == [1, 2, 3]
    assert one(both, "select ducto_pricing_get() -> 'version'") == 3


def test_list_is_newest_first_without_configs(both: Connection) -> None:
    publish(both, CONFIG, "first")
    publish(both, CONFIG)
    rows = both.execute("select version, label, active from ducto_pricing_list()").fetchall()
    assert rows == [(2, None, True), (1, "first", False)]


def test_get_before_anything_is_published(db: Connection) -> None:
    error, _ = error_of(db, "select ducto_pricing_get()")
    assert error.sqlstate == "DU003"


def test_version_holds_settings_and_plans(both: Connection) -> None:
    publish(both, CONFIG)
    assert both.execute(
        "select scale, rounding, min_balance, summed_sections, override_plans, default_plan_key,"
        " low_balance_thresholds, signup_bonus from ducto.credit_pricing_config"
    ).fetchall() == [
        (
            12, "half_up", Decimal(-2), ["cache", "search"], ["pro", "team"], "team",
            [100, 20, 5], Decimal("0.5"),
        )
    ]  # fmt: skip
    assert both.execute(
        "select plan_key, name, free_allowance, period, period_anchor, rollover_max, features,"
        " billing_mode, overdraft_floor, max_concurrent, per_operation, is_default, position"
        " from ducto.credit_plans order by position"
    ).fetchall() == [
        (
            "pro", "Pro", 10, "monthly", "calendar", 0, {"export": True, "api": True},
            "strict", None, None, {}, False, 1,
        ),
        (
            "team", "team", 0, "weekly", "account", Decimal("2.5"), {"seats": 5, "sso": False},
            "overdraft", -10, 3, {"batch": {"max_concurrent": 1}}, True, 2,
        ),
    ]  # fmt: skip


def test_plans_may_be_an_object_by_id(both: Connection) -> None:
    publish(both, {"models": {"m": 1}, "plans": {"a": {}, "b": {"free_allowance": 3}}})
    assert both.execute(
        "select plan_key, free_allowance from ducto.credit_plans order by plan_key"
    ).fetchall() == [("a", 0), ("b", 3)]


def test_number_is_the_expression_of_its_digits(both: Connection) -> None:
    publish(both, {"models": {"m": Decimal("0.30"), "n": 0, "o": Decimal("1E-7")}})
    assert both.execute(
        "select key, expression from ducto.credit_rates order by key"
    ).fetchall() == [("m", "0.3"), ("n", "0"), ("o", "0.0000001")]
    assert one(both, "select ducto_calculate('{\"model\": \"o\"}') ->> 'total'") == "0.0000001"


def test_warnings_about_prices_that_earn_nothing(both: Connection) -> None:
    result = publish(both, {"models": {"a": 1, "b": 0, "c": "input_tokens - 2000"}})
    found = {(w["code"], w["path"], w["message"]) for w in result["warnings"]}
    assert found == {
        ("zero_price", "models.b", "the price is zero for typical usage (0)"),
        ("negative_price", "models.c", "the price is negative for typical usage (-1000)"),
    }


@pytest.mark.parametrize(
    ("config", "code", "paths"),
    [
        ({"models": {"m": "1 +"}}, "DU005", ["models.m"]),
        ({"models": {"m": "1 / input_tokens"}}, "DU005", ["models.m"]),
        ({"models": {"m": "input_tokens ** 4"}}, "DU005", ["models.m"]),
        ({"models": {"m": "1 +"}, "tools": {"t": "x"}}, "DU005", ["models.m", "tools.t"]),
        ({"models": {"m": "1 +"}, "toolz": {}}, "DU006", ["toolz", "models.m"]),
        ({"models": {}}, "DU006", ["models"]),
        ({}, "DU006", ["models"]),
        ({"models": {"m": 1}, "scale": 13}, "DU006", ["scale"]),
        ({"models": {"m": 1}, "plans": [{"id": "a"}, {"id": "a"}]}, "DU006", ["plans[1].id"]),
    ],
)
def test_config_that_is_refused(
    refusing: Connection, config: dict[str, Any], code: str, paths: list[str]
) -> None:
    db = refusing
    error, detail = error_of(db, "select ducto_pricing_set(%s)", config)
    assert error.sqlstate == code
    assert [entry["path"] for entry in detail["errors"]] == paths
    first = detail["errors"][0]
    assert first["path"] + ": " + first["message"] in str(error)
    assert ("(and 1 more)" in str(error)) == (len(paths) == 2)
    assert one(db, "select count(*) from ducto.credit_pricing_config") == 0


@pytest.mark.parametrize("text", ["[]", "5", "null", '"x"', None])
def test_config_that_is_no_object_is_refused(refusing: Connection, text: str | None) -> None:
    error, _ = error_of(refusing, "select ducto_pricing_set(%s::jsonb)", text)
    assert error.sqlstate == "DU006"


def test_config_of_more_than_4_mb_is_refused_before_it_is_compiled(db: Connection) -> None:
    config = {"models": {"m": 1}, "description": "x" * (4 * 1024 * 1024)}
    error, _ = error_of(db, "select ducto_pricing_set(%s)", config)
    assert error.sqlstate == "DU006"
    assert "at most 4 MB" in str(error)


@pytest.mark.parametrize("label", ["", "x" * 201])
def test_label_has_1_to_200_characters(both: Connection, label: str) -> None:
    config = CONFIG
    error, _ = error_of(both, "select ducto_pricing_set(%s, %s)", config, label)
    assert error.sqlstate == "DU017"


def test_programs_of_a_client_are_an_unknown_key(both: Connection) -> None:
    error, detail = error_of(both, "select ducto_pricing_set(%s)", {**CONFIG, "_compiled": {}})
    assert error.sqlstate == "DU006"
    assert [(e["path"], e["message"]) for e in detail["errors"]] == [("_compiled", "unknown key")]


def test_config_that_is_nested_deep_is_refused(both: Connection) -> None:
    deep: Any = 1
    for _ in range(65):
        deep = [deep]
    error, _ = error_of(both, "select ducto_pricing_set(%s)", {**CONFIG, "description": deep})
    assert error.sqlstate == "DU006"
    assert "nested at most 64 deep" in str(error)


# Validating


def test_valid_config_is_valid_and_nothing_is_written(both: Connection) -> None:
    config = CONFIG
    assert one(both, "select ducto_pricing_validate(%s)", config) == {
        "valid": True, "errors": [], "warnings": []
    }  # fmt: skip
    assert one(both, "select count(*) from ducto.credit_pricing_config") == 0


def test_validation_lists_every_error(db: Connection) -> None:
    config = {"models": {"m": "1 +", "n": "inputtokens"}, "scale": -1}
    result = one(db, "select ducto_pricing_validate(%s)", config)
    assert result["valid"] is False
    assert {e["path"] for e in result["errors"]} == {"models.m", "models.n", "scale"}


def test_validation_works_in_a_read_only_transaction(both: Connection) -> None:
    config = CONFIG
    both.execute("set default_transaction_read_only = on")
    assert one(both, "select ducto_pricing_validate(%s) -> 'valid'", config) is True


# Activating, exporting, comparing


def test_earlier_version_can_be_active_again(both: Connection) -> None:
    publish(both, {"models": {"m": 1}})
    publish(both, {"models": {"m": 2}})
    assert one(both, "select ducto_calculate('{\"model\": \"m\"}') -> 'total'") == 2
    result = one(both, "select ducto_pricing_activate(1)")
    assert (result["version"], result["active"]) == (1, True)
    assert one(both, "select ducto_calculate('{\"model\": \"m\"}') -> 'total'") == 1
    assert one(both, "select ducto_pricing_activate(1)") == result
    assert one(both, "select count(*) from ducto.credit_pricing_config where active") == 1
    assert publish(both, {"models": {"m": 3}})["version"] == 3


@pytest.mark.parametrize("routine", ["activate", "export"])
def test_version_that_does_not_exist(db: Connection, routine: str) -> None:
    publish(db, {"models": {"m": 1}})
    for version in (0, -1, 2, 2147483647):
        error, detail = error_of(db, f"select ducto_pricing_{routine}(%s)", version)
        assert error.sqlstate == "DU020"
        assert detail["version"] == version


def test_export_is_the_config_as_published(both: Connection) -> None:
    publish(both, CONFIG)
    publish(both, {"models": {"m": 1}})
    assert one(both, "select ducto_pricing_export(1)") == CONFIG


def test_exported_config_can_be_published_again(db: Connection) -> None:
    publish(db, CONFIG)
    result = one(db, "select ducto_pricing_set(ducto_pricing_export(1))")
    assert (result["version"], result["config"]) == (2, CONFIG)


def test_diff_is_a_row_for_each_change(both: Connection) -> None:
    publish(both, CONFIG)
    changed = loads(dumps(CONFIG))
    changed["models"]["gpt-4"] = "input_tokens * 0.00002"
    changed["models"]["gpt-5"] = 1
    del changed["fixed"]["report"]
    changed["plans"].reverse()
    changed["plans"][1]["free_allowance"] = 20
    publish(both, changed)
    assert both.execute("select * from ducto_pricing_diff(1, 2)").fetchall() == [
        ("added", "fixed", None, {}),
        ("removed", "fixed.report", 5, None),
        ("changed", "models.gpt-4", CONFIG["models"]["gpt-4"], "input_tokens * 0.00002"),
        ("added", "models.gpt-5", None, 1),
        ("changed", "plans.pro.free_allowance", 10, 20),
    ]
    assert both.execute("select * from ducto_pricing_diff(1, 1)").fetchall() == []


def test_published_version_never_changes(both: Connection) -> None:
    publish(both, CONFIG)
    for statement in (
        "update ducto.credit_pricing_config set scale = 2",
        "update ducto.credit_rates set expression = '0'",
        "update ducto.credit_plans set free_allowance = 99",
        "delete from ducto.credit_pricing_config",
        "delete from ducto.credit_rates",
        "truncate ducto.credit_rates",
    ):
        with pytest.raises(psycopg.errors.RestrictViolation):
            both.execute(statement.encode())


# Calculating


def test_calculate_prices_without_charging(both: Connection) -> None:
    publish(both, CONFIG)
    usage = {
        **USAGE,
        "tool_calls": ["web_search", "crawl"],
        "search_queries": 2,
        "job_name": "report",
    }
    result = one(both, "select ducto_calculate(%s)", usage)
    parts = {
        "tools": Decimal("0.011"), "search": Decimal("0.01"), "cache": 0, "fixed": 5,
        "total": Decimal("5.048"),
    }  # fmt: skip
    assert result == {
        "model": "gpt-4", "cost": Decimal("5.048"), "warnings": [], "pricing_version": 1,
        "plan_key": None, "breakdown": {"model": Decimal("0.027"), **parts}, **parts,
    }  # fmt: skip
    assert one(both, "select count(*) from ducto.credit_transactions") == 0


def test_calculate_with_a_plan(both: Connection) -> None:
    publish(both, CONFIG)
    total = "select ducto_calculate(%s, p_plan_key => %s) -> 'total'"
    assert one(both, total, USAGE, "pro") == Decimal("0.005")
    assert one(both, total, USAGE, "team") == Decimal("0.027")
    assert one(both, total, USAGE, "") == Decimal("0.027")
    error, detail = error_of(both, total, USAGE, "prp")
    assert error.sqlstate == "DU014"
    assert detail["nearest"] == "pro"


def test_calculate_with_a_version(both: Connection) -> None:
    for price in (1, 2, 3):
        publish(both, {"models": {"m": price}})
    result = one(both, 'select ducto_calculate(\'{"model": "m"}\', p_version => 2)')
    assert (result["total"], result["pricing_version"]) == (2, 2)
    for version in (4, 0, -1):
        error, _ = error_of(both, "select ducto_calculate('{}', p_version => %s)", version)
        assert error.sqlstate == "DU020"


def test_calculate_with_a_config_publishes_nothing(both: Connection) -> None:
    publish(both, {"models": {"gpt-4": 7}})
    config = CONFIG
    result = one(both, "select ducto_calculate(%s, %s, p_plan_key => 'pro')", USAGE, config)
    assert (result["total"], result["pricing_version"]) == (Decimal("0.005"), None)
    assert one(both, "select ducto_calculate(%s) -> 'total'", USAGE) == 7
    for table in ("credit_pricing_config", "credit_rates", "credit_plans"):
        assert one(both, f"select count(*) from ducto.{table} where version < 0") == 0


def test_calculate_needs_no_published_pricing_for_a_config(both: Connection) -> None:
    error, _ = error_of(both, "select ducto_calculate(%s)", USAGE)
    assert error.sqlstate == "DU003"
    config = {"models": {"m": 1}}
    error, detail = error_of(both, "select ducto_calculate(%s, %s)", USAGE, config)
    assert "The model gpt-4 has no price in this pricing" in str(error)
    assert "version" not in detail
    assert one(both, "select ducto_calculate(%s, %s) -> 'total'", USAGE, CONFIG)


def test_calculate_takes_a_config_or_a_version(both: Connection) -> None:
    publish(both, CONFIG)
    error, _ = error_of(both, "select ducto_calculate(%s, %s, 1)", USAGE, CONFIG)
    assert error.sqlstate == "DU017"


def test_calculate_works_in_a_read_only_transaction(both: Connection) -> None:
    publish(both, CONFIG)
    both.execute("set default_transaction_read_only = on")
    assert one(both, "select ducto_calculate(%s) -> 'total'", USAGE) == Decimal("0.027")
    error, _ = error_of(both, "select ducto_calculate(%s, %s)", USAGE, CONFIG)
    assert error.sqlstate == "DU017"


@pytest.mark.parametrize(
    ("usage", "code", "said"),
    [
        ({"model": "gpt-4", "input_token": 1}, "DU017", "did you mean 'input_tokens'?"),
        ({"model": "gpt-4", "input_tokens": -1}, "DU017", "must not be negative"),
        ({"job_name": "repot"}, "DU018", "the nearest name is report"),
        ({"model": "gpt-4", "input_tokens": 10**26}, None, None),
    ],
)
def test_calculate_raises_what_the_evaluator_refuses(
    both: Connection, usage: dict[str, Any], code: str | None, said: str | None
) -> None:
    publish(both, CONFIG)
    if code is None or said is None:
        assert one(both, "select ducto_calculate(%s) ->> 'total'", usage) == "3" + "0" * 21
        return
    error, _ = error_of(both, "select ducto_calculate(%s)", usage)
    assert error.sqlstate == code
    assert said in str(error) or said in (error.diag.message_hint or "")


def test_model_without_a_price(both: Connection) -> None:
    publish(both, {"models": {"gpt-4": 1}})
    error, detail = error_of(both, 'select ducto_calculate(\'{"model": "claude"}\')')
    assert error.sqlstate == "DU004"
    assert (detail["model"], detail["version"]) == ("claude", 1)
    assert "The model claude has no price in pricing version 1" in str(error)


def test_evaluation_error_names_section_and_key(both: Connection) -> None:
    publish(both, {"models": {"gpt-4": "input_tokens * output_tokens * 0.001"}})
    usage = {"model": "gpt-4-turbo", "input_tokens": 10**20, "output_tokens": 10**20}
    error, detail = error_of(both, "select ducto_calculate(%s)", usage)
    assert error.sqlstate == "DU022"
    assert (detail["reason"], detail["section"], detail["key"]) == ("overflow", "models", "gpt-4")


# Sessions


def test_two_sessions_publishing_at_once_take_turns(both: Connection, connect: Connect) -> None:
    publish(both, {"models": {"m": 1}})
    second, results = connect(), []
    both.execute("begin")
    assert publish(both, {"models": {"m": 2}})["version"] == 2
    thread = threading.Thread(target=lambda: results.append(publish(second, {"models": {"m": 3}})))
    thread.start()
    until_blocked(connect())
    both.execute("commit")
    thread.join(20)
    assert [result["version"] for result in results] == [3]
    rows = both.execute("select version, active from ducto_pricing_list()").fetchall()
    assert rows == [(3, True), (2, False), (1, False)]


def test_publication_that_is_rolled_back_leaves_no_trace(both: Connection) -> None:
    publish(both, {"models": {"m": 1}})
    both.execute("begin")
    publish(both, {"models": {"m": 2}})
    price = "select ducto_calculate('{\"model\": \"m\"}') -> 'total'"
    assert one(both, price) == 2
    both.execute("rollback")
    assert one(both, price) == 1
    # Version 2 means something else now than what this session has just priced with.
    assert publish(both, {"models": {"m": 3}})["version"] == 2
    assert one(both, price) == 3


def test_savepoint_that_is_rolled_back_takes_its_version_along(both: Connection) -> None:
    price = "select ducto_calculate('{\"model\": \"m\"}') -> 'total'"
    both.execute("begin")
    both.execute("savepoint a")
    publish(both, {"models": {"m": 1}})
    assert one(both, price) == 1
    both.execute("rollback to savepoint a")
    publish(both, {"models": {"m": 2}})
    assert one(both, price) == 2
    both.execute("commit")
    assert one(both, price) == 2


def test_reader_never_sees_zero_or_two_active_versions(both: Connection, connect: Connect) -> None:
    for price in (1, 2):
        publish(both, {"models": {"m": price}})
    writers = [connect(), connect()]
    stop = threading.Event()
    failures: list[BaseException] = []

    def switch(connection: Connection, version: int) -> None:
        try:
            while not stop.is_set():
                one(connection, "select ducto_pricing_activate(%s)", version)
        except BaseException as failure:
            failures.append(failure)

    threads = [
        threading.Thread(target=switch, args=(writer, version))
        for version, writer in enumerate(writers, 1)
    ]
    for thread in threads:
        thread.start()
    try:
        seen = set()
        for _ in range(500):
            rows = both.execute("select version from ducto_pricing_list() where active").fetchall()
            assert len(rows) == 1
            result = one(both, 'select ducto_calculate(\'{"model": "m"}\')')
            # One version from beginning to end: each model costs its version's number.
            assert result["total"] == result["pricing_version"]
            seen.add(result["pricing_version"])
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)
    assert failures == []
    assert seen == {1, 2}


def test_session_that_has_priced_sees_what_others_publish(
    both: Connection, connect: Connect
) -> None:
    price = "select ducto_calculate('{\"model\": \"m\"}') -> 'total'"
    publish(both, {"models": {"m": 1}})
    assert one(both, price) == 1
    publish(connect(), {"models": {"m": 2}})
    assert one(both, price) == 2


def test_many_versions_in_one_session(both: Connection) -> None:
    """More than a session keeps."""
    for version in range(1, 41):
        publish(both, {"models": {"m": version}})
    for version in [*range(1, 41), 1, 40]:
        result = one(both, 'select ducto_calculate(\'{"model": "m"}\', p_version => %s)', version)
        assert result["total"] == version


# What if


def test_reprice_compares_stored_usage_with_a_candidate(both: Connection) -> None:
    publish(both, {"models": {"a": "input_tokens", "b": "input_tokens * 2"}, "fixed": {"job": 4}})
    both.execute("select ducto_add_credits('u', 1000)")
    for model, tokens in (("a", 10), ("a", 20), ("b", 30)):
        one(both, "select ducto_deduct('u', %s)", {"model": model, "input_tokens": tokens})
    one(both, "select ducto_deduct('u', %s)", {"job_name": "job"})
    both.execute("select ducto_deduct_amount('u', 7)")
    candidate = {"models": {"a": "input_tokens * 3"}, "fixed": {"job": 5}}
    rows = both.execute(
        "select model, charges, cost, new_cost, unpriced, first_error"
        " from ducto_reprice(%s, now() - interval '1 hour')",
        [dumps(candidate)],
    ).fetchall()
    refusal = "The model b has no price in this pricing; it has no _default."
    assert rows == [
        ("b", 1, 60, 0, 1, rows[0][5]),
        ("a", 2, 30, 90, 0, None),
        ("", 1, 4, 5, 0, None),
        (None, 4, 94, 95, 1, rows[3][5]),
    ]
    assert rows[0][5] == rows[3][5] == refusal
    assert one(both, "select count(*) from ducto.credit_pricing_config where version < 0") == 0


def test_reprice_takes_only_the_window(both: Connection) -> None:
    publish(both, {"models": {"a": 1}})
    both.execute("select ducto_add_credits('u', 1000)")
    one(both, "select ducto_deduct('u', %s)", {"model": "a"})
    candidate = dumps({"models": {"a": 2}})
    for start, end, charges in (
        ("2000-01-01Z", "2000-01-02Z", 0),
        ("2000-01-01Z", None, 1),
        ("2000-01-01Z", "infinity", 1),
    ):
        rows = both.execute(
            "select charges from ducto_reprice(%s, %s, %s) where model is null",
            [candidate, start, end],
        ).fetchall()
        assert rows == [(charges,)]
    error, _ = error_of(both, "select ducto_reprice(%s, now(), now())", candidate)
    assert error.sqlstate == "DU017"


# Size


def many(models: int, text: str = "input_tokens * 0.001") -> dict[str, Any]:
    return {"models": {f"provider/model-{n}": f"{text} + {n}" for n in range(models)}}


SLOW = " + ".join(["(1/3) * (1/7)"] * 24)


@pytest.mark.parametrize("routine", ["ducto_pricing_set", "ducto_pricing_validate"])
def test_compiling_can_be_interrupted(db: Connection, routine: str) -> None:
    db.execute("set statement_timeout = '200ms'")
    started = time.monotonic()
    with pytest.raises(psycopg.errors.QueryCanceled):
        one(db, f"select {routine}(%s)", many(5000, SLOW))
    assert time.monotonic() - started < 5
    db.execute("set statement_timeout = 0")
    assert publish(db, {"models": {"m": 1}})["version"] == 1


def scans(session: Connection) -> dict[str, int]:
    """How often the session has scanned the rates, by whatever way."""
    session.execute("select pg_stat_force_next_flush()")
    found: dict[str, int] = one(
        session,
        "select to_jsonb(s) from pg_stat_user_tables s where s.relname = 'credit_rates'",
    )
    return found


@pytest.mark.parametrize("host", ["plpython", "portable"])
def test_look_ups_do_not_grow_with_models_and_versions(
    db: Connection, connect: Connect, host: str
) -> None:
    """Rows read are counted, in a session that has priced when there was next to nothing."""
    usage = dumps({"model": "provider/model-7-2026-01-01", "input_tokens": 1000})
    price = f"select ducto.price_{host}(%s, null, %s::jsonb) -> 'cost'"
    publish(db, {"models": {"provider/model-7": 1}})
    for _ in range(10):
        assert one(db, price, 1, usage) == 1
    for _ in range(3):
        publish(db, many(2000))
    for session in (db, connect()):
        before = scans(session)
        assert one(session, price, 4, usage) == 8
        after = scans(session)
        assert after["seq_scan"] == before["seq_scan"]
        assert after["idx_scan"] - before["idx_scan"] <= 4
        assert after["idx_tup_fetch"] - before["idx_tup_fetch"] <= 4


def test_thousands_of_models_are_published_in_seconds(both: Connection) -> None:
    config = many(4000)
    started = time.monotonic()
    one(both, "select ducto_pricing_set(%s) -> 'version'", config)
    assert time.monotonic() - started < 20
    usage = {"model": "provider/model-3999", "input_tokens": 1000}
    assert one(both, "select ducto_calculate(%s) -> 'total'", usage) == 4000
