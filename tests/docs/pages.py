"""The pages of the documentation, their code blocks, and how the blocks run.

SQL blocks run in order on one connection, as a person would type them into psql: `\\gset` keeps a
result's columns, `:'name'` puts one in. A `json` block right after SQL is what its last result
holds at least (the page may leave keys out); a `text` block is what psql prints of an error.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.support.databases import Connection, loads

ROOT = Path(__file__).parents[2]
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\S*)\n(?P<text>.*?)^(?P=indent)```$", re.M | re.S
)
GSET = re.compile(r"\s*\\gset *$", re.M)
VARIABLE = re.compile(r":'(\w+)'")


@dataclass(frozen=True)
class Block:
    """A fenced block; ``line`` is the first one of its text."""

    page: str
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        """For messages."""
        return f"{self.page}, line {self.line}"


def pages() -> list[str]:
    """Every page a user reads, as a path from the top of the tree."""
    found = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
    return [str(path.relative_to(ROOT)) for path in [*found, *sorted(ROOT.glob("docs/*.md"))]]


def read(page: str) -> str:
    """The text of a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = read(page)
    assert text.count("```") % 2 == 0, f"{page} has a block that does not end"
    return [
        Block(page, text[: match.start("text")].count("\n") + 1, match["language"], match["text"])
        for match in FENCE.finditer(text)
    ]


class SqlPage:
    """Runs the SQL of one page on a connection; psql's variables live as long as the page."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.variables: dict[str, str] = {}
        self.columns: list[str] = []
        self.rows: list[tuple[Any, ...]] = []

    def run(self, block: Block, following: Block | None) -> None:
        """Run a block; what the page shows as its outcome is its outcome."""
        shown = following.text if following and following.language in ("json", "text") else None
        if following and following.language == "text":
            self._expect_error(block, following.text)
            return
        for part, keep in _parts(block.text):
            self._execute(part, block)
            if keep:
                (row,) = self.rows
                self.variables.update(zip(self.columns, map(str, row), strict=True))
        if shown is not None:
            found = self.result()
            assert contains(found, loads(shown)), f"{block.place}: {found} is not {shown}"

    def result(self) -> Any:
        """The value of the last result, or its rows."""
        if self.columns and len(self.columns) == 1 and len(self.rows) == 1:
            return self.rows[0][0]
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def _execute(self, text: str, block: Block) -> None:
        text = VARIABLE.sub(lambda name: "'" + self.variables[name[1]] + "'", text)
        self.columns, self.rows = [], []
        with self.connection.cursor() as cursor:
            try:
                cursor.execute(text.encode())
            except psycopg.Error as error:
                error.add_note(block.place)
                raise
            more: bool | None = True
            while more:
                if cursor.description is not None:
                    self.columns = [column.name for column in cursor.description]
                    self.rows = cursor.fetchall()
                more = cursor.nextset()

    def _expect_error(self, block: Block, shown: str) -> None:
        try:
            self.run(block, None)
        except psycopg.Error as error:
            self.connection.execute("rollback")
            printed = [
                f"ERROR:  {error.diag.message_primary}",
                f"DETAIL:  {error.diag.message_detail}",
                f"HINT:  {error.diag.message_hint}",
            ]
            for line in shown.splitlines():
                assert line in printed, f"{block.place}: psql prints {printed}"
        else:
            raise AssertionError(f"{block.place} does not fail")


def _parts(text: str) -> list[tuple[str, bool]]:
    r"""The text cut behind each \gset, and whether the part ends with one."""
    *kept, rest = GSET.split(text)
    return [*((part, True) for part in kept), *([(rest, False)] if rest.strip() else [])]


def contains(found: Any, shown: Any) -> bool:
    """Whether a result holds what is shown of it: objects may have more keys, nothing else may."""
    if isinstance(shown, Mapping) and isinstance(found, Mapping):
        return all(key in found and contains(found[key], shown[key]) for key in shown)
    if isinstance(shown, list) and isinstance(found, list):
        return len(found) == len(shown) and all(map(contains, found, shown))
    return bool(found == shown) and isinstance(found, bool) == isinstance(shown, bool)


class ShellPage:
    """Runs the shell blocks of one page in a folder of its own, with this very `ducto`."""

    def __init__(self, folder: Path, dsn: str) -> None:
        self.folder = folder
        binaries = folder / ".bin"
        binaries.mkdir()
        script = binaries / "ducto"
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ducto_pg.cli.main "$@"\n')
        script.chmod(0o755)
        self.environment = {
            **os.environ,
            "DATABASE_URL": dsn,
            "PATH": f"{binaries}:{os.environ['PATH']}",
        }

    def run(self, block: Block) -> str:
        """Run a block; what it prints."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.text],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{block.place}: {done.stdout}{done.stderr}"
        return done.stdout
