"""Every code block of the README and the pages about the database runs, as it is printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeDb
from tests.docs.pages import ShellPage, SqlPage, blocks, pages
from tests.support.databases import Connection, open_connection

EVALUATORS = ["plpython", "portable"]


@pytest.mark.parametrize("evaluator", EVALUATORS)
@pytest.mark.parametrize("page", ["docs/tutorial.md", "docs/sql-api.md", "docs/pricing.md"])
def test_the_page_runs(page: str, evaluator: str, make_db: MakeDb, tmp_path: Path) -> None:
    dsn = make_db(evaluator)
    found = blocks(page)
    with open_connection(dsn) as connection:
        sql = SqlPage(connection)
        shell = ShellPage(tmp_path, dsn)
        for index, block in enumerate(found):
            following = found[index + 1] if index + 1 < len(found) else None
            if block.language == "sql":
                sql.run(block, following)
            elif block.language == "sh":
                shell.run(block)
