"""Write ducto_pg/client/async_manager.py from ducto_pg/client/manager.py: one source, two worlds.

Run it after changing the manager (`python tools/asyncify.py`); a test fails while the two differ.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "ducto_pg" / "client" / "manager.py"
TARGET = ROOT / "ducto_pg" / "client" / "async_manager.py"

# Methods of the manager that it calls itself.
INTERNAL = "_charge|_report|get_pricing|list_pricing|publish_pricing|release|reserve_credits|settle"
RULES: list[tuple[str, str]] = [
    (r"^    def (?!__init__|engine)", "    async def "),
    (r"self\._store\.(call|rows)\(", r"await self._store.\1("),
    (rf"self\.({INTERNAL})\(", r"await self.\1("),
    (r"(self\._emitter\.emit\(.*\))$", r"await finished(\1)"),
    (r"        migrate_store\(", "        await migrate_async_store("),
    (r"@contextmanager", "@asynccontextmanager"),
    (r"import contextmanager", "import asynccontextmanager"),
    (r"\bIterator\b", "AsyncIterator"),
    (r"\bCreditManager\b", "AsyncCreditManager"),
    (r"\bPostgresStore\b", "AsyncPostgresStore"),
    (
        r"import Emitter, Store, check_store, migrate_store",
        "import AsyncStore, Emitter, check_store, finished, migrate_async_store",
    ),
    (r"store: Store\b", "store: AsyncStore"),
]
HEADER = '''"""The client for asyncio: `CreditManager` with every call awaited.

Generated from ducto_pg/client/manager.py by tools/asyncify.py; change that file and run it again.
"""
'''


def generate(source: str) -> str:
    """The asynchronous text of the manager."""
    body = source.split('"""', 2)[2].lstrip("\n")
    for pattern, replacement in RULES:
        body = re.sub(pattern, replacement, body, flags=re.MULTILINE)
    return _ruff("format", _ruff("check", HEADER + "\n" + body, "--fix", "--select", "I"))


def _ruff(verb: str, text: str, *options: str) -> str:
    command = [sys.executable, "-m", "ruff", verb, *options, "--stdin-filename", str(TARGET), "-"]
    return subprocess.run(
        command, input=text, capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout


if __name__ == "__main__":
    TARGET.write_text(generate(SOURCE.read_text()))
    print(f"wrote {TARGET.relative_to(ROOT)}", file=sys.stderr)
