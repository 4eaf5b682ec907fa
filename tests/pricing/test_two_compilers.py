"""The compiler in Python and the one in PL/pgSQL: the same programs, and the same refusals."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ducto_pg.exact_json import dumps, loads
from ducto_pg.plpython.config import CheckedConfig, compile_config_json
from ducto_pg.plpython.names import STANDARD_METRICS, nearest
from tests.pricing.broken import METRICS, config, expression
from tests.pricing.corpus import hostile_text, load
from tests.support.databases import Connection, Databases, open_connection
from tests.support.pricing import publish

NAMES = [*STANDARD_METRICS, *METRICS]
EXAMPLES = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
SEEDS = st.integers(0, 2**40)


@pytest.fixture(scope="module")
def db(databases: Databases) -> Iterator[Connection]:
    """A database without PL/Python; the tests only read, but for one that cleans up."""
    dsn = databases.create("portable")
    with open_connection(dsn) as connection:
        yield connection
    databases.drop(dsn)


@pytest.fixture(scope="module", params=["portable", "plpython"])
def compiler(request: pytest.FixtureRequest, databases: Databases) -> Iterator[Connection]:
    """A database with either compiler, the same for all tests that use it."""
    dsn = databases.create(request.param)
    with open_connection(dsn) as connection:
        yield connection
    databases.drop(dsn)


def in_python(text: str) -> Any:
    """The program of an expression, or what is said of it."""
    checked = CheckedConfig({"models": {"m": text}, "metrics": METRICS})
    if text in checked.programs:
        return checked.programs[text]
    (error,) = checked.errors
    about = ("path", "code", "expression", "section", "key")
    return {name: value for name, value in error.items() if name not in about}


def in_database(db: Connection, texts: Sequence[str]) -> list[Any]:
    """The same from the compiler in PL/pgSQL."""
    rows = db.execute(
        "select c.code, c.constants, c.names, ducto.refusal_detail(c.error, %s)"
        " from unnest(%s::text[]) with ordinality t(text, place)"
        " cross join lateral ducto.compile_expression(t.text, %s) c order by t.place",
        [NAMES, list(texts), NAMES],
    ).fetchall()
    return [
        {"code": code, "constants": constants, "names": names} if error is None else error
        for code, constants, names, error in rows
    ]


def agree_on(db: Connection, texts: Sequence[str]) -> None:
    for text, found in zip(texts, in_database(db, texts), strict=True):
        assert found == in_python(text), text


def test_the_corpus_has_one_program_or_one_refusal(db: Connection) -> None:
    agree_on(db, [case["expression"] for case in load("expressions")])
    agree_on(db, [hostile_text(case) for case in load("hostile") if not case.get("in_process")])


@pytest.mark.fuzz
@settings(EXAMPLES, max_examples=max(50, settings().max_examples // 4))
@given(SEEDS)
def test_generated_expressions(db: Connection, seed: int) -> None:
    random = Random(seed)
    agree_on(db, [expression(random) for _ in range(4)])


def agree_on_config(db: Connection, text: str) -> dict[str, Any]:
    row = db.execute(
        "select %s::jsonb::text, ducto.compile_portable(%s::jsonb)::text", [text, text]
    ).fetchone()
    assert row is not None
    # In the order in which jsonb keeps the members, as both see them in a database.
    wanted: dict[str, Any] = loads(compile_config_json(row[0]))
    assert loads(row[1]) == wanted, row[0]
    return wanted


@pytest.mark.fuzz
@settings(EXAMPLES, max_examples=max(50, settings().max_examples // 10))
@given(SEEDS)
def test_generated_configs(db: Connection, seed: int) -> None:
    agree_on_config(db, dumps(config(Random(seed))))


def test_what_is_generated_is_right_and_wrong_in_every_way() -> None:
    """About half of it is valid, and every kind of message is met."""
    random = Random(7)
    texts = [expression(random) for _ in range(2000)]
    valid = sum("code" in in_python(text) for text in texts)
    assert 600 < valid < 1400
    found = [compile_config_json(dumps(config(random))) for _ in range(600)]
    outcomes = [loads(text) for text in found]
    assert 150 < sum(outcome["code"] is None for outcome in outcomes) < 500
    said = {error["message"] for outcome in outcomes for error in outcome["errors"]}
    for message in MESSAGES:
        assert any(re.search(message, sentence) for sentence in said), message


MESSAGES = [
    "unknown key; did you mean",
    "must be one of .*; did you mean",
    "further errors are not listed",
    "unknown name '.*'; did you mean",
    "a name must have 1 to 200",
    "must be an object of expressions",
    "an expression must be a text",
    "the number is beyond",
    "already has a meaning",
    "a plan needs an id",
    "two plans have the id",
    "is the default plan already",
    "nested more than 16 deep",
    "a policy must be an object",
    "whatever the usage",
    " with input_tokens = ",
]


def quickest(db: Connection, query: str, *parameters: Any) -> float:
    """Seconds, the best of three because the machine may be doing other things."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        db.execute(query.encode(), list(parameters))
        times.append(time.perf_counter() - started)
    return min(times)


LONG = "a" * 40
BIG: dict[str, dict[str, Any]] = {
    "unknown keys": {"models": {"m": 1}, **{f"unknown_key_{n}": 1 for n in range(20_000)}},
    "keys that are nearly known": {
        "models": {"m": 1}, **{f"low_balance_threshols{n}": 1 for n in range(20_000)}
    },
    "a name among many metrics": {
        "metrics": [f"{LONG}b{n:03d}" for n in range(200)], "models": {"m": f"{LONG}bxyz"}
    },
    "a key of ten thousand characters": {"models": {"m": 1}, "k" * 10_000: 1},
}  # fmt: skip


SECONDS_MAX = 0.25


@pytest.mark.parametrize("case", BIG)
def test_validation_is_quick_whatever_is_wrong(compiler: Connection, case: str) -> None:
    text = dumps(BIG[case])
    row = compiler.execute(
        "select %s::jsonb::text, ducto_pricing_validate(%s::jsonb)::text", [text, text]
    ).fetchone()
    assert row is not None
    wanted = loads(compile_config_json(row[0]))
    assert loads(row[1]) == {"valid": False, **{k: wanted[k] for k in ("errors", "warnings")}}
    assert len(row[1]) < 30_000
    assert quickest(compiler, "select ducto_pricing_validate(%s::jsonb)", text) < SECONDS_MAX


@pytest.mark.parametrize("case", BIG)
def test_validation_stops_at_a_timeout(compiler: Connection, case: str) -> None:
    models = {f"m{number}": f"foo + {number}" for number in range(10_000)}
    text = dumps({**BIG[case], "models": models})
    compiler.execute("select ducto_pricing_validate('{}')")
    times = []
    for _ in range(3):
        with (
            pytest.raises(psycopg.errors.QueryCanceled),
            compiler.transaction(force_rollback=True),
        ):
            compiler.execute("set local statement_timeout = 100")
            started = time.perf_counter()
            compiler.execute("select ducto_pricing_validate(%s::jsonb)", [text])
        times.append(time.perf_counter() - started)
    assert min(times) < 0.1 + SECONDS_MAX


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("ducto_deduct_fixed('u', 'jbo_00042', p_raise => false)", "DU018"),
        ("ducto_quote('u', '{\"job_name\": \"jbo_00042\"}')", "DU018"),
        ("ducto_set_user_plan('u', 'paln_00042')", "DU014"),
    ],
)
def test_a_misspelt_name_among_thousands_is_refused_quickly(
    compiler: Connection, call: str, code: str
) -> None:
    jobs = {f"job_{number:05d}": 1 for number in range(10_000)}
    plans: dict[str, Any] = {f"plan_{number:05d}": {} for number in range(1000)}
    with compiler.transaction(force_rollback=True):
        publish(compiler, {"models": {"m": 1}, "fixed": jobs, "plans": plans})
        compiler.execute("select ducto_add_credits('u', 5)")
        seconds, error = refused(compiler, call)
        assert error.sqlstate == code
        assert "_00042" in str(error.diag.message_hint)
        assert seconds < SECONDS_MAX


def test_four_thousand_models_are_published_in_seconds(compiler: Connection) -> None:
    models = {
        f"model-{number}": f"input_tokens * 0.{number:08d} + max(0, output_tokens - 1) * 0.5"
        for number in range(1, 4001)
    }
    with compiler.transaction(force_rollback=True):
        started = time.perf_counter()
        publish(compiler, {"models": models})
        assert time.perf_counter() - started < 10


def refused(db: Connection, call: str) -> tuple[float, psycopg.Error]:
    """The error of a call and the seconds it took, the best of three."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        with pytest.raises(psycopg.Error) as raised, db.transaction():
            db.execute(f"select {call}".encode())
        times.append(time.perf_counter() - started)
    return min(times), raised.value


@pytest.mark.parametrize(
    ("name", "known", "found"),
    [
        ("inputtokens", ["output_tokens", "input_tokens"], "input_tokens"),
        ("INPUT_TOKENS", ["input_tokens"], "input_tokens"),
        ("ab", ["ba", "abc"], "ba"),
        ("abc", ["abd", "acb"], "acb"),
        ("x", ["y"], "y"),
        ("xyz", ["abc"], None),
        ("", ["a"], "a"),
        ("a" * 65, ["a" * 64], None),
        ("a" * 64, ["a" * 63], "a" * 63),
        ("\u00e9t\u00e9", ["et\u00e9"], "et\u00e9"),
        ("jbo_00042", [f"job_{number:05d}" for number in range(1000)], "job_00042"),
    ],
)
def test_both_find_the_same_nearest_name(
    db: Connection, name: str, known: list[str], found: str | None
) -> None:
    assert nearest(name, known) == found
    assert db.execute("select ducto.nearest(%s, %s)", [name, known]).fetchone() == (found,)


@pytest.mark.fuzz
@EXAMPLES
@given(st.text("abAB_\u00e9", max_size=12), st.lists(st.text("abAB_c", max_size=12), max_size=30))
def test_generated_names(db: Connection, name: str, known: list[str]) -> None:
    row = db.execute("select ducto.nearest(%s, %s::text[])", [name, known]).fetchone()
    assert row == (nearest(name, known),)
