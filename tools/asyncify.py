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

RULES: list[tuple[str, str]] = [
    (r"^    def (?!__init__)", "    async def "),
    (r"self\._store\.(call|rows)\(", r"await self._store.\1("),
    (r"self\.(reserve|settle|release|_prepared|_compiles_here)\(", r"await self.\1("),
    (r"@contextmanager", "@asynccontextmanager"),
    (r"import contextmanager", "import asynccontextmanager"),
    (r"\bIterator\b", "AsyncIterator"),
    (r"\bCreditManager\b", "AsyncCreditManager"),
    (r"\bPostgresStore\b", "AsyncPostgresStore"),
    (r"import Store\b", "import AsyncStore"),
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
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(TARGET), "-"]
    result = subprocess.run(
        command, input=HEADER + "\n" + body, capture_output=True, text=True, check=True, cwd=ROOT
    )
    return result.stdout


if __name__ == "__main__":
    TARGET.write_text(generate(SOURCE.read_text()))
    print(f"wrote {TARGET.relative_to(ROOT)}", file=sys.stderr)
