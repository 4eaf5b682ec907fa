"""`ducto report`: what it prints, and what a browser shows of its page, whoever chose the names."""

from __future__ import annotations

import csv
import io
import re
import shutil
import struct
import subprocess
import zlib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ducto_pg.cli.report import sparkline
from ducto_pg.cli.report_charts import columns, short
from ducto_pg.cli.report_data import OTHERS, SERIES_MAX, Series, stacked
from ducto_pg.client.manager import CreditManager
from tests.cli.conftest import Run, as_json
from tests.support.databases import open_connection

NOW = datetime.now(UTC)
HOSTILE = """<script>document.title='run'</script><b>"eve"&'"""
FORMULA = "=cmd|' /C calc'!A0"
SPOOF = "a\u202eb\x1b[31m"
UNTIL = ("--until", (NOW + timedelta(days=1)).isoformat())
# As root, and where there is no network.
BROWSER = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SCHEMES = {"light": "1", "dark": "0"}


@pytest.fixture
def used(priced: CreditManager, dsn: str) -> CreditManager:
    """Two months of usage: ann pays most, bob's plan pays for him, eve is nearly empty."""
    with open_connection(dsn) as connection:
        connection.execute("insert into ducto.settings values ('test_clock', 'on')")

        def at(days: int) -> None:
            moment = NOW - timedelta(days=days)
            connection.execute("select set_config('ducto.clock', %s, false)", [moment.isoformat()])

        def use(days: int, user: str, model: str, tokens: int) -> None:
            at(days)
            connection.execute(
                "select ducto_deduct(%s, jsonb_build_object('model', %s::text,"
                " 'input_tokens', %s::int, 'operation', 'chat'))",
                [user, model, tokens],
            )

        at(50)
        for user in ("ann", "bob", FORMULA, SPOOF):
            connection.execute("select ducto_add_credits(%s, 1000)", [user])
        connection.execute("select ducto_add_credits(%s, 31)", [HOSTILE])
        connection.execute("select ducto_set_user_plan('bob', 'pro')")
        use(45, "ann", "gpt-4", 1000)
        use(20, "ann", "gpt-4", 2000)
        use(20, FORMULA, "gpt-4", 100)
        use(12, "bob", "gpt-4", 400)
        use(3, HOSTILE, "gpt-4", 1000)
        use(3, SPOOF, "mini", 10_000_000)
    return priced


def lines(text: str) -> list[str]:
    return text.splitlines()


def test_the_terminal_shows_totals_days_models_users_and_who_runs_dry(
    used: CreditManager, run: Run
) -> None:
    shown = run("report").output
    found = lines(shown)
    assert found[1] == "96.5 credits spent (+222% on the time before), 10 paid by allowances"
    assert found[2] == "5 charges of 5 users"
    spark = found[found.index("By day") + 1]
    assert len(spark) == 31
    assert spark.count("█") == 1
    assert sum(mark != "·" for mark in spark) == 3
    assert re.search(r"^gpt-4 +95  █+$", shown, re.M)
    assert re.search(r"^ann +60  █{40}$", shown, re.M)
    assert re.search(r"^<script>.*  █+$", shown, re.M)
    risks = found[found.index("Balances at risk") + 2 :]
    assert [re.split(r"  +", line)[1:] for line in risks] == [["1", "0", "1", "1"]]


def test_no_usage_is_said_in_a_sentence(priced: CreditManager, run: Run) -> None:
    result = run("report", "--since", "7d")
    assert result.exit_code == 0
    assert "No usage in that time." in result.output
    assert "No usage in that time." in run("report", "--by", "user").output


def test_json_holds_what_the_database_says(used: CreditManager, run: Run) -> None:
    found = as_json(run("report", "--json", "--top", "2"))
    assert found["stats"]["spent"] == Decimal("96.5")
    assert found["before"]["spent"] == 30
    assert [row["user_id"] for row in found["users"]] == ["ann", HOSTILE]
    assert len(found["daily"]) == 31
    assert {name: sum(values) for name, values in found["daily_by_model"].items()} == {
        "gpt-4": 95,
        "mini": Decimal("1.5"),
    }
    assert [risk["account"] for risk in found["at_risk"]] == [HOSTILE]
    rows = as_json(run("report", "--json", "--by", "model"))
    assert [(row["model"], row["spent"]) for row in rows] == [
        ("gpt-4", 95),
        ("mini", Decimal("1.5")),
    ]


def test_csv_has_every_digit_and_no_formula(used: CreditManager, run: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(run("report", "--csv").stdout)))
    assert len(rows) == 5
    by_user = {row["user_id"]: row for row in rows}
    assert by_user[HOSTILE]["spent"] == "30"
    assert by_user[f"'{FORMULA}"]["model"] == "gpt-4"
    assert by_user["bob"]["allowance_consumed"] == "10"
    assert by_user["ann"]["bucket"] == f"{NOW - timedelta(days=20):%Y-%m-%d}"
    (only,) = csv.DictReader(io.StringIO(run("report", "--csv", "--by", "operation").stdout))
    assert (only["operation"], only["user_id"], only["charges"]) == ("chat", "", "5")


def test_rows_by_anything(used: CreditManager, run: Run) -> None:
    shown = lines(run("report", "--by", "user", "--bucket", "month", "--since", "60d").output)
    headings = "month user spent allowances charges input tokens output tokens"
    assert " ".join(shown[0].split()) == headings
    assert sum(" ann " in line for line in shown) >= 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("--by", "planet"),
        ("--bucket", "hour"),
        ("--top", "0"),
        ("--since", "yesterday"),
        ("--since", "9999999d"),
        ("--json", "--csv"),
        ("--html", "-", "--by", "user"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(run: Run, arguments: tuple[str, ...]) -> None:
    assert run("report", *arguments).exit_code == 2


def test_a_window_that_ends_before_it_starts_is_refused(run: Run) -> None:
    result = run("report", "--since", "2026-05-01", "--until", "2026-04-01")
    assert result.exit_code == 1
    assert "ends before it starts" in result.output


# The page ------------------------------------------------------------------------------------


class Elements(HTMLParser):
    """The elements of a page, with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def count(self, tag: str, **having: str) -> int:
        return sum(
            name == tag and all(found.get(k) == v for k, v in having.items())
            for name, found in self.tags
        )


@pytest.fixture
def page(used: CreditManager, run: Run, tmp_path: Path) -> Path:
    place = tmp_path / "report.html"
    assert run("report", "--html", str(place)).exit_code == 0
    return place


@pytest.fixture(scope="module")
def browser() -> str:
    """A Chromium, which CI installs."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no browser: install Chromium (apt-get install chromium)")
    return found


def open_page(browser: str, page: Path, *options: str) -> str:
    done = subprocess.run(
        [browser, *BROWSER, f"--user-data-dir={page.parent / 'profile'}", *options, page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_browser_shows_the_page_and_runs_nothing_of_it(browser: str, page: Path) -> None:
    shown = Elements(open_page(browser, page, "--dump-dom"))
    assert shown.count("script") == 0
    assert shown.count("b") == shown.text.count("gpt-4 105") + 1 + 1 + 3
    assert HOSTILE in shown.text
    title = re.search(r"Credits, \d+ \w+", shown.text)
    assert title, "the hostile script set another title"
    for heading in (
        "Daily spend by model",
        "Top users",
        "Models",
        "Allowance against paid",
        "Balances at risk",
    ):
        assert heading in shown.text
    assert "Allowances paid 9%." in shown.text
    assert shown.count("svg", role="img", **{"class": "chart"}) == 2
    # A column a day in each chart, and their parts.
    assert shown.count("g", **{"class": "day"}) == 62
    assert shown.count("rect", **{"class": "f0"}) == 3
    assert shown.count("rect", **{"class": "free"}) == 1


def test_the_page_loads_nothing_and_describes_itself(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    elements = Elements(text)
    assert not re.search(r"https?:|//|@import|url\(", text.replace("</", ""))
    for tag, found in elements.tags:
        assert tag not in ("script", "link", "img", "iframe", "object", "base", "form")
        assert not {name for name in found if name.startswith("on") or name in ("src", "href")}
    assert elements.count("meta", **{"http-equiv": "Content-Security-Policy"}) == 1
    assert elements.count("meta", content="light dark") == 1
    charts = [found for tag, found in elements.tags if found.get("class") == "chart"]
    ids = {found.get("id") for _, found in elements.tags}
    for chart in charts:
        assert set((chart["aria-labelledby"] or "").split()) <= ids
    # Each chart stands beside its table.
    assert elements.count("details") == len(charts) == 2
    assert SPOOF not in text
    assert "a\\u202eb\\x1b[31m" in text


@pytest.mark.parametrize(
    ("scheme", "ground"), [("light", (0xF6, 0xF7, 0xF9)), ("dark", (0x0E, 0x11, 0x16))]
)
def test_the_page_is_light_or_dark_as_the_reader_has_it(
    browser: str, page: Path, scheme: str, ground: tuple[int, int, int]
) -> None:
    picture = page.parent / "page.png"
    open_page(
        browser,
        page,
        f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}",
        "--window-size=1200,1600",
        f"--screenshot={picture}",
    )
    assert corner(picture) == ground
    assert picture.stat().st_size > 20_000, "the page is empty"


def corner(picture: Path) -> tuple[int, ...]:
    """The colour of the first pixel of a PNG, which no filter changes."""
    data = picture.read_bytes()
    width, height, depth, kind = struct.unpack(">IIBB", data[16:26])
    assert (depth, kind) in ((8, 2), (8, 6)), (width, height, depth, kind)
    place, packed = 8, b""
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        if data[place + 4 : place + 8] == b"IDAT":
            packed += data[place + 8 : place + 8 + length]
        place += length + 12
    return tuple(zlib.decompress(packed)[1:4])


def test_an_empty_time_makes_a_page_too(priced: CreditManager, run: Run) -> None:
    shown = Elements(run("report", "--html", "-").stdout)
    for sentence in (
        "Nothing left a balance in this time.",
        "Nobody used anything in this time.",
        "There was nothing to pay in this time.",
    ):
        assert sentence in shown.text


# Its parts -----------------------------------------------------------------------------------


def test_small_values_are_seen_in_a_sparkline() -> None:
    assert sparkline([Decimal(0), Decimal("0.001"), Decimal(4), Decimal(8)]) == "·▁▄█"
    assert sparkline([Decimal(0)]) == "·"
    assert sparkline([]) == ""


def test_the_models_that_cost_least_share_a_series() -> None:
    day = date(2026, 5, 1)
    cells: dict[tuple[date, str | None], Decimal] = {
        (day, f"model {number}"): Decimal(number) for number in range(1, 9)
    }
    series = stacked([day], cells)
    assert len(series) == SERIES_MAX
    assert [each.name for each in series] == [*(f"model {n}" for n in (8, 7, 6, 5, 4)), OTHERS]
    assert series[-1].values == (Decimal(6),)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0", "0"),
        ("0.00012345", "0.000123"),
        ("3.14159", "3.14"),
        ("1234.5", "1,235"),
        ("12345678.9", "12.3 m"),
        ("98765432101234.5", "98.8 T"),
        ("-5.5", "-5.5"),
        ("99999999999999999999999999.999999999999", "100,000,000,000,000 T"),
    ],
)
def test_numbers_are_short(value: str, shown: str) -> None:
    assert short(Decimal(value)) == shown


def test_a_chart_of_the_largest_amounts_is_drawn() -> None:
    largest = Decimal(10) ** 30
    drawn = columns("k", "t", "d", [date(2026, 5, 1)], [(Series("m", (largest,)), "f0")])
    assert 'class="f0"' in drawn
