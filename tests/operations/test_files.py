"""How the SQL files are written: one routine each, named after it, short, and in one style."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pglast
import pytest
from pglast import ast, parser

from ducto_pg.install.manifest import EVALUATOR, line_of, sql_root

ROOT = sql_root()
LINES_MAX = 75
# What every charge runs through: each call of a helper would cost it two percent.
HOT = (
    "charge",
    "charge_in_full",
    "draw_together",
    "ducto_deduct",
    "ducto_reserve",
    "ducto_settle",
    "give_back",
    "hold",
    "open_headroom",
    "price_in_full",
    "price_plpython",
    "price_portable",
    "run_program",
)
HOT_LINES_MAX = 135
# The gates of the compiler: one loop each, over a state that no helper could change for it.
GATES = ("emit_program", "parse_expression", "scan_expression")
COLUMNS_MAX = 100
VOLATILITY = {"immutable", "stable", "volatile"}
# The areas whose routines run within a charge.
CHARGE_AREAS = ("accounts", "caps", "charging", "events", "expiry", "plans", "portable")

FILES = sorted(ROOT.glob("**/*.sql"))
ROUTINES = [
    path
    for path in FILES
    if path.is_relative_to(ROOT / "routines") or path.is_relative_to(ROOT / "evaluators")
]

CHARGE = [path for path in ROUTINES if path.parent.name in CHARGE_AREAS]


def name(path: Path) -> str:
    """The path as a test's name."""
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> list[tuple[Any, str]]:
    """The routines of a file, each with the text of its statement."""
    text = path.read_text(encoding="utf-8").replace(EVALUATOR, "evaluator")
    found = []
    for raw in pglast.parse_sql(text):
        if isinstance(raw.stmt, ast.CreateFunctionStmt):
            start = raw.stmt_location or 0
            end = start + (raw.stmt_len or len(text))
            found.append((raw.stmt, text[start:end]))
    return found


def option(statement: Any, key: str) -> Any:
    """An option of a routine, or None where it is left to its default."""
    for item in statement.options:
        if item.defname == key:
            return item.arg
    return None


@pytest.mark.parametrize("path", FILES, ids=name)
def test_lines_are_short_and_clean(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert text.isascii(), "a script is read under any encoding of its client"
    for number, line in enumerate(text.splitlines(), 1):
        assert len(line) <= COLUMNS_MAX, f"line {number} has {len(line)} columns"
        assert line == line.rstrip(), f"line {number} ends in blanks"
        assert "\t" not in line, f"line {number} has a tab"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_file_says_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("-- ") or "\ncomment on function " in text


@pytest.mark.parametrize("path", FILES, ids=name)
def test_keywords_are_lowercase(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace(EVALUATOR, "evaluator")
    bodies = [text] + [
        str(part.sval)
        for statement, _ in functions(path)
        for part in option(statement, "as") or ()
        if str(option(statement, "language").sval) != "plpython3u"
    ]
    for body in bodies:
        raw = body.encode()
        for token in parser.scan(body):
            word = raw[token.start : token.end + 1].decode()
            if token.kind != "NO_KEYWORD":
                line = line_of(body, len(raw[: token.start].decode()))
                assert word == word.lower(), f"{word} in line {line}"


@pytest.mark.parametrize("path", ROUTINES, ids=name)
def test_a_file_holds_one_routine_of_its_name(path: Path) -> None:
    (found,) = functions(path)
    statement = found[0]
    schema, routine = (part.sval for part in statement.funcname)
    assert statement.replace
    assert routine == path.stem
    assert schema == ("public" if routine.startswith("ducto_") else "ducto")


@pytest.mark.parametrize("path", ROUTINES, ids=name)
def test_a_routine_is_short(path: Path) -> None:
    for _, text in functions(path):
        lines = text.strip().count("\n") + 1
        assert lines <= (HOT_LINES_MAX if path.stem in HOT + GATES else LINES_MAX), f"{lines} lines"


@pytest.mark.parametrize("path", ROUTINES, ids=name)
def test_a_routine_states_how_it_runs(path: Path) -> None:
    for statement, _ in functions(path):
        assert option(statement, "language") is not None, "language"
        assert option(statement, "security") is not None, "security"
        volatility = option(statement, "volatility")
        assert volatility is not None, "volatility"
        assert volatility.sval in VOLATILITY
        settings = [item.arg.name for item in statement.options if item.defname == "set"]
        assert "search_path" in settings, "set search_path = pg_catalog, pg_temp"


@pytest.mark.parametrize("path", CHARGE, ids=name)
def test_a_charge_runs_without_subtransactions(path: Path) -> None:
    for statement, _ in functions(path):
        for part in option(statement, "as") or ():
            assert re.search(r"\bexception\s+when\b", part.sval) is None
