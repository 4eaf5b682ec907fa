"""The parts of the documentation that are derived: signatures, and the page of errors.

`python -m tests.docs.reference DSN` writes them again, from a migrated database and from
`sql/errors.yaml`; the tests compare them with what is there.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import Any

import psycopg

from ducto_pg.install.manifest import CatalogueError, load_errors
from tests.docs.pages import ROOT, read
from tests.support.error_classes import class_name

API_PAGE = "docs/sql-api.md"
ERRORS_PAGE = "docs/errors.md"
SECTION = re.compile(r"^### (ducto_\w+)\n(.*?)(?=^###? |\Z)", re.M | re.S)
SIGNATURE = re.compile(r"^```text\n(.*?)^```$", re.M | re.S)
CODE = re.compile(r"DU\d{3}")
WIDTH = 96

ROUTINES = """
    select p.proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid),
        coalesce(p.proargnames[:p.pronargs], '{}'), obj_description(p.oid, 'pg_proc')
    from pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.proname like 'ducto\\_%'
    order by p.proname
"""


@dataclass(frozen=True)
class Routine:
    """A function of the API, as the catalog has it."""

    name: str
    arguments: str
    result: str
    parameters: tuple[str, ...]
    comment: str

    @property
    def signature(self) -> str:
        """The signature, one argument to a line where it does not fit on one."""
        arguments = [_plain(argument) for argument in _split(self.arguments)]
        result = _plain(self.result)
        if result.startswith("table("):
            columns = _split(result.removeprefix("table(").removesuffix(")"))
            result = "table (" + ", ".join(columns) + ")"
            if len(result) > WIDTH - 12:
                result = "table (\n    " + ",\n    ".join(columns) + "\n)"
        line = f"{self.name}({', '.join(arguments)})"
        if len(f"{line} returns {result.splitlines()[0]}") <= WIDTH:
            return f"{line} returns {result}\n"
        if len(line) <= WIDTH and not result.startswith("jsonb"):
            return f"{line}\nreturns {result}\n"
        return f"{self.name}(\n    " + ",\n    ".join(arguments) + f"\n) returns {result}\n"

    @property
    def codes(self) -> set[str]:
        """The errors and denials that its comment names."""
        parts = re.findall(r"(?:Errors(?: raised)?|denials): (.*?)\.(?= |$)", self.comment)
        return set(CODE.findall(" ".join(parts)))

    @property
    def callers(self) -> str:
        """Who may call it, as its comment says, which other tests hold against the grants."""
        found = re.search(r"Callers: ([a-z, ]+)\.", self.comment)
        assert found, f"the comment of {self.name} does not say who may call it"
        return found[1]


def routines(connection: psycopg.Connection[Any]) -> dict[str, Routine]:
    """The API of a database."""
    with connection.cursor(row_factory=psycopg.rows.tuple_row) as cursor:
        rows = cursor.execute(ROUTINES).fetchall()
    return {
        name: Routine(name, arguments, result, tuple(parameters), comment or "")
        for name, arguments, result, parameters, comment in rows
    }


def sections() -> dict[str, str]:
    """The sections of the page of the API, by function."""
    return dict(SECTION.findall(read(API_PAGE)))


def _split(text: str) -> list[str]:
    """At the commas that are not inside brackets or quotes."""
    return [part for part in re.split(r", (?=p_|\w+ \w)", text) if part]


def _plain(text: str) -> str:
    text = re.sub(r"::[a-z ]+", "", text)
    text = text.replace(" DEFAULT ", " default ").replace("NULL", "null").replace("TABLE", "table")
    return text.replace("timestamp with time zone", "timestamptz")


def errors_page() -> str:
    """The page of errors: a table, and the facts of each error."""
    head, _, _ = read(ERRORS_PAGE).partition("## The catalogue\n")
    raised = {entry.code: _raised_by(entry.code) for entry in load_errors()}
    rows = [
        f"| [`{entry.code}`](#{entry.code.lower()}-{entry.name}) | `{entry.name}` |"
        f" {entry.http_status} | `{class_name(entry.name)}` |"
        for entry in load_errors()
    ]
    table = "| code | error | HTTP | Python |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    parts = [_error(entry, raised[entry.code]) for entry in load_errors()]
    return f"{head}## The catalogue\n\n{table}\n" + "\n".join(parts)


def _error(entry: CatalogueError, raised_by: list[str]) -> str:
    facts = ", ".join(f"`{key}`" for key in entry.detail) or "none"
    where = ", ".join(f"[`{name}`](sql-api.md#{name})" for name in raised_by)
    return (
        f"### {entry.code} {entry.name}\n\n"
        f"{_whole(entry.message)}\n\n"
        f"- What to do: {_whole(entry.hint)}\n"
        f"- Facts: {facts}\n" + (f"- Comes from: {where}\n" if where else "")
    )


def _whole(text: str) -> str:
    """A sentence with the parts in brackets that it has only where their facts are known."""
    return text.replace("[", "").replace("]", "")


def _raised_by(code: str) -> list[str]:
    return [name for name, text in sections().items() if code in CODE.findall(_facts(text))]


def _facts(section: str) -> str:
    found = re.search(r"^- \*\*Errors\*\*: (.*?)(?=^- |^$)", section, re.M | re.S)
    return found[1] if found else ""


def documented_codes(section: str) -> set[str]:
    """The errors a section of the page of the API names."""
    return set(CODE.findall(_facts(section)))


def with_signatures(found: dict[str, Routine]) -> str:
    """The page of the API with the signatures of a catalog."""

    def renew(section: re.Match[str]) -> str:
        name, text = section[1], section[2]
        if name not in found:
            return section[0]
        block = f"```text\n{found[name].signature}```"
        return f"### {name}\n" + SIGNATURE.sub(lambda _: block, text, count=1)

    return SECTION.sub(renew, read(API_PAGE))


def main(dsn: str) -> None:
    """Write both pages."""
    with psycopg.connect(dsn) as connection:
        (ROOT / API_PAGE).write_text(with_signatures(routines(connection)), encoding="utf-8")
    (ROOT / ERRORS_PAGE).write_text(errors_page(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
