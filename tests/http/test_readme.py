"""The README's JavaScript runs behind what the README does before, against the real server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Connect
from tests.docs.pages import ShellPage, SqlPage, blocks
from tests.docs.test_pages_run import not_run, run_python
from tests.support import js
from tests.support.postgrest import Project

PAGE = "README.md"


def test_the_javascript_prints_what_it_says(
    project: Project,
    connect: Connect,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATABASE_URL", project.dsn)
    shell, on_psql = ShellPage(tmp_path, project.dsn), SqlPage(connect(project.dsn))
    namespace: dict[str, Any] = {}
    for block in blocks(PAGE):
        if block in not_run(PAGE):
            continue
        if block.language == "sh":
            shell.run(block)
        elif block.language == "sql":
            on_psql.run(block, None)
        elif block.language == "python":
            run_python(block, namespace, capsys)
        elif block.language == "js":
            break
    printed = js.run(
        block.text,
        tmp_path,
        SUPABASE_URL=project.url,
        SUPABASE_SERVICE_ROLE_KEY=project.service_key,
    )
    shown = re.findall(r"console\.log\(.*\) // (.*)$", block.text, re.M)
    assert shown and shown == printed.splitlines()
