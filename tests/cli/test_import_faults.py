"""A file with every fault in it, interrupted, corrected and imported again, against our own count.

What is right, what is wrong and what a line should cost is decided here, line by line, when the
file is made; nothing of the importer is used for it.
"""

from __future__ import annotations

import csv
import io
import os
import random
import signal
import subprocess
import time
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ducto_pg import exact_json
from ducto_pg.client.manager import CreditManager
from ducto_pg.client.store import PostgresStore
from tests.cli.conftest import PRICING, PROGRAM, program
from tests.conftest import MakeDb

LINES = int(os.environ.get("DUCTO_IMPORT_LINES", "3000"))
USERS = ("ann", "bob", "cem, of Ankara", "dörte")
BAD_CELLS = (
    "many", "-5", "NaN", "Infinity", "1,000", "1_000", "٣", "0x10", "1e27", "9" * 27, "1e-41", "½",
    "1 2", "--1", "null", "TRUE", "1e", ".", "\x00", "1\x1b[31m",
)  # fmt: skip


@dataclass
class Line:
    """A line of the file: as it is now, as it should be, and what it should cost then."""

    now: bytes
    right: bytes
    user: str
    cost: Decimal

    @property
    def is_right(self) -> bool:
        return self.now == self.right


def cells(*values: str) -> str:
    """A line of CSV as the standard library writes it."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue()


def make_line(chance: random.Random) -> Line:
    """A line that is right, or wrong in one of all the ways a line can be."""
    user, tokens_in, tokens_out = chance.choice(USERS), chance.randint(0, 9), chance.randint(1, 4)
    right = cells(user, "gpt-4", str(tokens_in), str(tokens_out))
    cost = tokens_in * Decimal("0.03") + tokens_out * Decimal("0.06")
    now: str | bytes = right
    kind = chance.choice(["good"] * 12 + list(FAULTS))
    if kind != "good":
        now = FAULTS[kind](chance, user, str(tokens_in), str(tokens_out))
    data = now if isinstance(now, bytes) else now.encode()
    return Line(data, right.encode(), user, cost)


FAULTS: dict[str, Any] = {
    "cell": lambda c, u, i, o: cells(u, "gpt-4", c.choice(BAD_CELLS), o),
    "empty cell": lambda c, u, i, o: cells(u, "gpt-4", "", o),
    "no usage": lambda c, u, i, o: cells(u, "gpt-4", " ", ""),
    "no user": lambda c, u, i, o: cells(" ", "gpt-4", i, o),
    "long user": lambda c, u, i, o: cells("u" * 201, "gpt-4", i, o),
    "model": lambda c, u, i, o: cells(u, c.choice(["gpt-x", "", "\u202egpt-4"]), i, o),
    "few": lambda c, u, i, o: cells(u, "gpt-4", i),
    "many": lambda c, u, i, o: cells(u, "gpt-4", i, o, o),
    "open quote": lambda c, u, i, o: f'{cells(u)},gpt-4,{i},"{o}',
    "quote inside": lambda c, u, i, o: f'{cells(u)},gpt"-4,{i},{o}',
    "behind quote": lambda c, u, i, o: f'{cells(u)},"gpt-4"x,{i},{o}',
    "bytes": lambda c, u, i, o: b"\xff\xfe," + f"gpt-4,{i},{o}".encode(),
    "poor": lambda c, u, i, o: cells("poor", "gpt-4", str(int(i) + 1), o),
}  # fmt: skip
HEADING = b"who,model,In,Out"
OPTIONS = (
    "--user-column", "who", "--map", "model=model", "--map", "input_tokens=In",
    "--map", "output_tokens=Out", "--json",
)  # fmt: skip


def write(path: Path, lines: list[Line], ending: bytes) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + ending.join([HEADING, *(line.now for line in lines), b""]))


def start(dsn: str, *command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*PROGRAM, "usage", "import", *command],
        env={**os.environ, "DATABASE_URL": dsn},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def interrupt(dsn: str, chance: random.Random, *command: str) -> None:
    """Begin an import and end it somewhere, politely or not; its report must be true."""
    process = start(dsn, *command, "--batch-size", str(chance.choice([7, 50, 100])))
    time.sleep(chance.uniform(0.3, 1.2))
    ending = chance.choice([signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
    before = ledger(dsn)
    process.send_signal(ending)
    output, errors = process.communicate(timeout=60)
    assert b"Traceback" not in errors
    if output:
        report = exact_json.loads(output)
        assert report["rows"] == sum(report[k] for k in ("charged", "already_charged", "rejected"))
        assert sum(ledger(dsn).values()) >= report["cost"]
    assert sum(ledger(dsn).values()) >= sum(before.values())


def complete(dsn: str, *command: str) -> dict[str, Any]:
    done = program(dsn, "usage", "import", *command)
    assert done.returncode in (0, 3), done.stderr
    assert done.stderr == ""
    report: dict[str, Any] = exact_json.loads(done.stdout)
    assert report["complete"] is True
    assert report["rows"] == sum(report[k] for k in ("charged", "already_charged", "rejected"))
    assert report["lines"] == sum(report[k] for k in ("heading_lines", "blank_lines", "rows"))
    return report


def ledger(dsn: str) -> dict[str, Decimal]:
    """What was charged, by user, summed by the database."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "select account_id, sum(allowance_consumed - amount) from ducto.credit_transactions"
            " where type = 'usage' group by 1"
        ).fetchall()
    return dict(rows)


def expected(lines: list[Line]) -> dict[str, Decimal]:
    """What the lines that are right cost, by user."""
    sums: dict[str, Decimal] = {}
    for line in lines:
        if line.is_right:
            sums[line.user] = sums.get(line.user, Decimal(0)) + line.cost
    return sums


def rejected(path: Path) -> dict[int, dict[str, str]]:
    with Path(f"{path}.rejects.csv").open(newline="", encoding="utf-8") as file:
        return {int(row["line"]): row for row in csv.DictReader(file)}


def correct_rejects(path: Path, lines: list[Line], chosen: set[int]) -> None:
    """Correct the chosen lines in the rejects file, as a person or a spreadsheet would."""
    with path.open(newline="", encoding="utf-8") as file:
        heading, *rows = list(csv.reader(file))
    for row in rows:
        line = int(row[0])
        if line in chosen:
            row[2] = lines[line - 2].right.decode()
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\r\n").writerows([heading, *rows])


@pytest.mark.parametrize(("seed", "ending"), [(1, b"\n"), (2, b"\r\n")])
def test_every_fault_corrected_and_interrupted_sums_to_our_own_count(
    make_db: MakeDb, tmp_path: Path, seed: int, ending: bytes
) -> None:
    dsn = make_db()
    with PostgresStore(dsn) as store:
        manager = CreditManager(store)
        manager.publish_pricing_from_dict(PRICING)
        for user in USERS:
            manager.add_credits(user, 1_000_000)
    chance = random.Random(seed)
    lines = [make_line(chance) for _ in range(LINES)]
    wrong = {number for number, line in enumerate(lines, 2) if not line.is_right}
    assert LINES / 4 < len(wrong) < LINES
    path = tmp_path / "events.csv"
    rejects = Path(f"{path}.rejects.csv")
    write(path, lines, ending)

    for _ in range(3):
        interrupt(dsn, chance, str(path), *OPTIONS)
    report = complete(dsn, str(path), *OPTIONS)
    assert (report["lines"], report["rows"]) == (LINES + 1, LINES)
    assert set(rejected(path)) == wrong
    assert ledger(dsn) == expected(lines)

    # A third is corrected in the rejects file, which is imported, and once more.
    in_rejects = set(chance.sample(sorted(wrong), len(wrong) // 3))
    correct_rejects(rejects, lines, in_rejects)
    interrupt(dsn, chance, str(rejects), *OPTIONS)
    for charged in (None, 0):
        report = complete(dsn, str(rejects), *OPTIONS)
        assert report["rows"] == len(wrong)
        assert report["rejected"] == len(wrong) - len(in_rejects)
        assert charged is None or report["charged"] == charged
    # The file itself, as it was, adds nothing; nor does the same correction made there as well.
    corrected = [
        Line(line.right if number in in_rejects else line.now, line.right, line.user, line.cost)
        for number, line in enumerate(lines, 2)
    ]
    assert ledger(dsn) == expected(corrected)
    assert complete(dsn, str(path), *OPTIONS)["charged"] == 0
    write(path, corrected, ending)
    assert complete(dsn, str(path), *OPTIONS)["charged"] == 0

    # Of the rest, half is corrected in the file and half deleted; lines are added at the end.
    rest = sorted(wrong - in_rejects)
    deleted = set(chance.sample(rest, len(rest) // 2))
    final = [
        Line(line.right, line.right, line.user, line.cost)
        for number, line in enumerate(corrected, 2)
        if number not in deleted
    ]
    final += [make_line(chance) for _ in range(50)]
    write(path, final, ending)
    interrupt(dsn, chance, str(path), *OPTIONS)
    complete(dsn, str(path), *OPTIONS)
    assert ledger(dsn) == expected(final)
    assert complete(dsn, str(path), *OPTIONS, "--batch-size", "333")["charged"] == 0
    with PostgresStore(dsn) as store:
        assert CreditManager(store).check() == []
