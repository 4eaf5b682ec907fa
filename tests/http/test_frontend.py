"""The frontend example in a real browser, against the real server; and its types."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner

from ducto_pg.cli.main import cli
from tests.support import js
from tests.support.postgrest import PASSWORD, Project

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "frontend"
SUPABASE_JS = "node_modules/@supabase/supabase-js/dist/umd/supabase.js"
CONFIG = {
    "models": {"gpt-4o": "input_tokens * 0.0025 + output_tokens * 0.01", "mini": "input_tokens"},
    "plans": [{"id": "pro", "name": "Pro", "free_allowance": 10, "features": ["export"]}],
}
DRIVER = """
import { chromium } from 'playwright-core'
const { URL_, CHROMIUM, PICTURE, PASSWORD } = process.env
const browser = await chromium.launch({ executablePath: CHROMIUM, args: [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
] })
const page = await browser.newPage({ viewport: { width: 800, height: 600 }, deviceScaleFactor: 2 })
const complaints = []
page.on('pageerror', (error) => complaints.push(String(error)))
page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()))
page.setDefaultTimeout(15000)
const shown = { complaints }
const text = (selector) => page.locator(selector).innerText()
const signIn = async (email, password) => {
  await page.fill('[name=email]', email)
  await page.fill('[name=password]', password)
  await page.click('#sign-in button')
}
const changed = ([selector, before]) =>
  document.querySelector(selector).innerText !== before
const ask = async (model, selector) => {
  const before = await text(selector)
  await page.fill('[name=model]', model)
  await page.click('#quote button')
  await page.waitForFunction(changed, [selector, before])
  return text(selector)
}
const visit = async (email) => {
  await signIn(email, PASSWORD)
  await page.locator('#account').waitFor()
  return {
    available: await text('#available'), balance: await text('#balance'),
    plan: await text('#plan'), allowance: await text('#allowance-text'),
    period: await text('#period'), usage: await text('#usage'),
  }
}
try {
  await page.goto(`${URL_}/index.html`)
  await page.locator('#sign-in').waitFor()
  shown.before = await page.locator('#account').isVisible()
  await signIn('ann@example.com', 'wrong')
  await page.locator('#problem').waitFor()
  shown.refused = await text('#problem')
  complaints.length = 0  // The browser itself logs a response of 400.
  shown.ann = await visit('ann@example.com')
  shown.cost = await ask('gpt-4o', '#cost')
  await page.screenshot({ path: PICTURE, fullPage: true })
  await page.fill('[name=input_tokens]', '90000000')
  shown.tooMuch = await ask('gpt-4o', '#cost')
  const before = complaints.length
  shown.unknown = await ask('no such model', '#problem')
  complaints.length = before
  await page.reload()
  await page.locator('#account').waitFor()
  shown.afterReload = await text('#available')
  await page.click('#sign-out')
  await page.locator('#sign-in').waitFor()
  shown.after = await page.locator('#account').isVisible()
  shown.bob = await visit('bob@example.com')
} finally {
  await browser.close()
}
console.log(JSON.stringify(shown))
"""


@pytest.fixture(scope="module")
def site(project: Project) -> Project:
    """The project with pricing, two users, and the example as its pages."""
    project.serve("pricing_set", config=CONFIG)
    ann, bob = f"ann-{uuid4()}", f"bob-{uuid4()}"
    project.users = {"ann@example.com": ann, "bob@example.com": bob}
    project.serve("add_credits", user_id=ann, amount=Decimal("250.5"))
    for model, tokens in (("gpt-4o", 2000), ("gpt-4o", 1000), ("mini", 4)):
        if model == "mini":
            project.serve("set_user_plan", user_id=ann, plan_key="pro")
        metrics = {"model": model, "input_tokens": tokens, "output_tokens": 100}
        project.serve("deduct", user_id=ann, metrics=metrics)
    project.serve("reserve", user_id=ann, amount=20)
    project.pages = {f"/{path.name}": path for path in EXAMPLE.iterdir() if path.is_file()}
    project.pages[f"/{SUPABASE_JS}"] = js.MODULES.parent / SUPABASE_JS
    return project


@pytest.fixture(scope="module")
def shown(site: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the page shows to the two users, one after the other, in Chromium."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no browser: install Chromium (apt-get install chromium)")
    folder = tmp_path_factory.mktemp("browser")
    config = folder / "config.js"
    config.write_text(f"window.SUPABASE = {json.dumps({'url': site.url, 'key': site.anon_key})}")
    site.pages["/config.js"] = config
    # DUCTO_SCREENSHOT=docs/examples/frontend/screenshot.png renews the picture in the docs.
    picture = os.environ.get("DUCTO_SCREENSHOT", str(folder / "page.png"))
    printed = js.run(
        DRIVER,
        folder,
        URL_=site.url,
        CHROMIUM=chromium,
        PICTURE=str(Path(picture).absolute()),
        PASSWORD=PASSWORD,
    )
    assert Path(picture).stat().st_size > 10_000
    found: dict[str, Any] = json.loads(printed)
    return found


def words(text: str) -> list[str]:
    """The lines and cells of what a browser shows."""
    return [part.strip() for part in text.replace("\t", "\n").splitlines() if part.strip()]


def test_a_visitor_sees_nothing_but_the_form(shown: dict[str, Any]) -> None:
    assert shown["before"] is False
    assert shown["after"] is False
    assert shown["refused"] == "Invalid login"


def test_the_page_shows_balance_plan_and_usage(shown: dict[str, Any]) -> None:
    ann = shown["ann"]
    # Before there was a plan 6 and 3.5 were charged, and 4 since.
    assert words(ann["balance"])[0::2] == [
        "Bought or granted",
        "Left of the allowance",
        "Set aside",
    ]
    assert (ann["available"], words(ann["balance"])[1::2]) == ("227", ["241", "6", "20"])
    assert (ann["plan"], ann["allowance"]) == ("Pro", "6 of 10 free credits left")
    assert ann["period"].startswith("New ones on ")
    rows = [line.split("\t")[1:] for line in ann["usage"].splitlines()]
    assert rows == [["gpt-4o", "2", "3,200", "0", "9.5"], ["mini", "1", "104", "4", "0"]]


def test_a_quote_says_the_price_or_why_not(shown: dict[str, Any]) -> None:
    assert shown["cost"] == "7.5 credits, 6 of them free"
    assert "has 227 credits available and needs 225005;" in shown["tooMuch"]
    assert shown["unknown"].startswith("The model no such model has no price")


def test_a_reload_keeps_the_user_and_another_one_sees_the_own_account(
    shown: dict[str, Any],
) -> None:
    assert shown["afterReload"] == "227"
    assert shown["bob"]["available"] == "0"
    assert shown["bob"]["plan"] == "No plan"
    assert shown["bob"]["usage"].strip() == ""


def test_the_browser_has_nothing_to_complain_about(shown: dict[str, Any]) -> None:
    assert shown["complaints"] == []


def test_the_types_fit_strictly(site: Project, tmp_path: Path) -> None:
    folder = tmp_path / "frontend"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules"))
    result = CliRunner().invoke(cli, ["types", "typescript", "--dsn", site.dsn])
    (folder / "database.types.ts").write_text(result.output)
    (folder / "node_modules").symlink_to(js.MODULES)
    done = subprocess.run(
        [str(js.program("tsc")), "-p", "."], cwd=folder, capture_output=True, text=True
    )
    assert done.stdout + done.stderr == ""


def test_the_example_asks_for_the_supabase_js_that_is_tested() -> None:
    wanted = json.loads((EXAMPLE / "package.json").read_text())["dependencies"]
    tested = json.loads((js.FOLDER / "package.json").read_text())["dependencies"]
    package = "@supabase/supabase-js"
    assert tested[package].split(".")[0] == wanted[package].lstrip("^")
