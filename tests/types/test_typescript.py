"""`ducto types typescript`: the module it writes is what TypeScript and supabase-js expect."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from ducto_pg.cli.main import cli
from ducto_pg.cli.types import read_routines
from tests.support import js
from tests.support.databases import Connection

# What a program may write and what it may not: each line below @ts-expect-error is a mistake.
PROGRAM = """
import { createClient } from '@supabase/supabase-js'
import type { Database, DuctoBalance, DuctoCharge } from './database.types.js'

const supabase = createClient<Database>('http://localhost', 'key')

export async function frontend(): Promise<void> {
  const { data: balance } = await supabase.rpc('ducto_my_balance')
  if (balance) {
    const whole: DuctoBalance = balance
    const available: number = balance.available
    const plan: string | null = balance.plan_key
    // @ts-expect-error
    const wrong: string = balance.available
    // @ts-expect-error
    balance.no_such_key
    console.log(whole, available, plan, wrong)
  }
  const { data: again } = await supabase.rpc('ducto_my_balance', {}, { get: true })
  // @ts-expect-error
  await supabase.rpc('ducto_my_balance', { p_user_id: 'u' })
  console.log(again?.balance)
  const { data: rows } = await supabase
    .rpc('ducto_my_transactions', { p_limit: 5, p_before: null })
    .eq('type', 'usage')
    .order('created_at')
    .limit(3)
  for (const row of rows ?? []) {
    const amount: number = row.amount
    const model: string | null = row.model
    console.log(amount, model)
  }
  const { data: usage } = await supabase.rpc('ducto_my_usage', { p_start: '2026-01-01' })
  const days: string[] = (usage ?? []).map((row) => row.day)
  const { data: quote } = await supabase.rpc('ducto_my_quote', { p_metrics: { model: 'gpt-4' } })
  if (quote && !quote.affordable) console.log(quote.message, quote.breakdown.total, days)
}

export async function service(): Promise<DuctoCharge | null> {
  await supabase.rpc('ducto_add_credits', { p_user_id: 'u', p_amount: '0.1' })
  const { data: charge } = await supabase.rpc('ducto_deduct', {
    p_user_id: 'u',
    p_metrics: { model: 'gpt-4', input_tokens: 5 },
    p_raise: false,
  })
  // @ts-expect-error
  await supabase.rpc('ducto_deduct', { p_user_id: 'u' })
  // @ts-expect-error
  await supabase.rpc('ducto_deduct_amount', { p_user_id: 5, p_amount: 5 })
  // @ts-expect-error
  await supabase.rpc('ducto_no_such_function', {})
  await supabase.rpc('ducto_set_user_plan', { p_user_id: 'u', p_plan_key: null })
  if (charge?.status === 'denied') {
    const code: string = charge.code
    console.log(code, charge.hint)
    return null
  }
  return charge
}
"""
TSCONFIG = """
{
  "compilerOptions": {
    "strict": true, "noEmit": true, "target": "es2022", "module": "nodenext",
    "skipLibCheck": true, "exactOptionalPropertyTypes": true, "noUncheckedIndexedAccess": true,
    "types": [], "lib": ["es2022", "dom"]
  },
  "include": ["*.ts"]
}
"""


def written(dsn: str) -> str:
    """What the command prints."""
    result = CliRunner().invoke(cli, ["types", "typescript", "--dsn", dsn])
    assert result.exit_code == 0, result.output
    return result.output


def check(folder: Path) -> str:
    """What `tsc --strict` says of the folder; empty when it is content."""
    try:
        compiler = js.program("tsc")
    except js.NoTools as error:
        pytest.skip(str(error))
    (folder / "node_modules").symlink_to(js.MODULES)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "tsconfig.json").write_text(TSCONFIG)
    done = subprocess.run(
        [str(compiler), "-p", "."], cwd=folder, capture_output=True, text=True, timeout=120
    )
    return done.stdout + done.stderr


def test_supabase_js_takes_the_types(dsn: str, tmp_path: Path) -> None:
    (tmp_path / "database.types.ts").write_text(written(dsn))
    (tmp_path / "program.ts").write_text(PROGRAM)
    assert check(tmp_path) == ""


def test_a_mistake_is_one(dsn: str, tmp_path: Path) -> None:
    (tmp_path / "database.types.ts").write_text(written(dsn))
    (tmp_path / "program.ts").write_text(PROGRAM.replace("// @ts-expect-error", ""))
    assert check(tmp_path).count("error TS") == 6


def test_it_holds_every_function_with_every_argument(dsn: str, db: Connection) -> None:
    text = written(dsn)
    for routine in read_routines(db):
        part = text.partition(f"      {routine.name}: {{\n")[2].partition("\n      }\n")[0]
        assert part, routine.name
        assert all(f"          {name}" in part for name in routine.names)
        assert "Returns: Json" not in part, f"{routine.name} is not in sql/results.yaml"


def test_it_is_the_same_every_time(dsn: str) -> None:
    assert written(dsn) == written(dsn)


def test_what_is_planted_in_the_callers_path_is_not_looked_at(db: Connection) -> None:
    expected = read_routines(db)
    db.execute("create view public.pg_proc as select 1 / (random() < 2)::int as x")
    db.execute("set search_path = public, pg_catalog")
    db.execute("set quote_all_identifiers = on")
    assert read_routines(db) == expected
    assert db.execute("show search_path").fetchone() == ("public, pg_catalog",)


def test_where_nothing_is_installed_it_says_so(empty_dsn: str) -> None:
    result = CliRunner().invoke(cli, ["types", "typescript", "--dsn", empty_dsn])
    assert result.exit_code == 1
    assert "not installed" in result.output
    assert "ducto migrate" in result.output


def test_an_http_api_has_no_catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("SUPABASE_URL", "http://localhost")
    monkeypatch.setenv("SUPABASE_SERVICE_ROLE_KEY", "key")
    result = CliRunner().invoke(cli, ["types", "typescript"])
    assert result.exit_code == 1
    assert "read from the database's catalog" in result.output
