"""`ducto pricing` without a database: every error at once, exact prices, exit codes for CI."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ducto_pg import exact_json
from ducto_pg.cli.main import cli

CONFIG = """
version: 2
scale: 6
models:
  gpt-4: input_tokens * 0.03 + output_tokens * 0.06
  claude: input_tokens * 0.000000000001
tools:
  _default: tool_calls * 0.5
plans:
  - id: pro
    rate_overrides: {gpt-4: input_tokens * 0.02}
"""


def run(*arguments: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(cli, ["pricing", *arguments], input=stdin, catch_exceptions=False)


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "pricing.yaml"
    path.write_text(CONFIG)
    return str(path)


def test_a_valid_file_is_valid(config: str) -> None:
    result = run("validate", config)
    assert (result.exit_code, result.stdout) == (0, f"{config} is valid.\n")


def test_every_error_is_shown_at_once_with_path_suggestion_and_caret(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(
        "modles: {}\n"
        "models:\n"
        "  a: input_token * 3\n"
        "  b: 2 + input_tokens.real\n"
        "  c: 5 / (input_tokens - input_tokens)\n"
    )
    result = run("validate", str(path))
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert "modles: unknown key; did you mean 'models'?" in lines
    at = lines.index("models.a: unknown name 'input_token'; did you mean 'input_tokens'?")
    assert lines[at + 1 : at + 3] == ["    input_token * 3", "    ^^^^^^^^^^^"]
    at = next(i for i, line in enumerate(lines) if line.startswith("models.b: "))
    assert lines[at + 1 : at + 3] == ["    2 + input_tokens.real", "                    ^"]
    assert any(line.startswith("models.c: division by zero") for line in lines)
    assert lines[-1] == f"Error: {path} is not valid: 4 errors"


def test_a_long_expression_is_cut_around_the_caret(tmp_path: Path) -> None:
    path = tmp_path / "long.json"
    text = "input_tokens * 1 + " * 20 + "oops + " + "output_tokens * 1 + " * 20 + "1"
    path.write_text(json.dumps({"models": {"m": text}}))
    lines = run("validate", str(path)).stderr.splitlines()
    assert all(len(line) <= 100 for line in lines if line.startswith("    "))
    shown, carets = lines[1], lines[2]
    assert shown[carets.index("^") : carets.rindex("^") + 1] == "oops"


def test_json_output_of_validate_is_for_programs(tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text('{"models": {"m": "1 +"}}')
    result = run("validate", str(path), "--json")
    report = json.loads(result.stdout)
    assert (result.exit_code, report["valid"]) == (1, False)
    assert report["errors"][0]["path"] == "models.m"


def test_warnings_do_not_fail_a_config_unless_asked_to(tmp_path: Path) -> None:
    path = tmp_path / "free.json"
    path.write_text('{"models": {"m": "input_tokens * 0"}}')
    relaxed, strict = run("validate", str(path)), run("validate", "--strict", str(path))
    assert (relaxed.exit_code, strict.exit_code) == (0, 1)
    assert "Warning: models.m: the price is zero" in relaxed.stderr


@pytest.mark.parametrize("text", [CONFIG, '{"models": {"m": 3}}'])
def test_a_config_is_read_from_stdin(text: str) -> None:
    result = run("validate", "-", stdin=text)
    assert (result.exit_code, result.stdout) == (0, "The config on stdin is valid.\n")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "Error: stdin: not valid JSON"),
        ("a: &x [1]\nb: *x\n", "Error: stdin: anchors are not allowed: &x"),
        ("models: {a: 1}\nmodels: {b: 1}\n", "Error: stdin: the key 'models' appears twice"),
        ("models: !!python/object:os.system x\n", "Error: stdin: tags are not allowed"),
        ('{"models": {"m": NaN}}', "Error: stdin: NaN is not a number"),
        ('{"models": {"m": 1e999999}}', "Error: stdin: the number 1e999999 is out of range"),
        ("[" * 100_000, "Error: stdin: nested deeper"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(text: str, sentence: str) -> None:
    result = run("validate", "-", stdin=text)
    assert result.exit_code == 1
    assert result.stderr.startswith(sentence)
    assert len(result.stderr.splitlines()) == 1


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.yaml"
    for command in (["validate"], ["test", "-m", "model=a"], ["set"]):
        result = run(command[0], str(path), *command[1:])
        assert result.exit_code == 1
        assert result.stderr == f"Error: {path}: No such file or directory\n"


def test_pricing_a_usage_prints_the_breakdown(config: str) -> None:
    result = run("test", config, "--metrics", '{"model": "gpt-4-turbo", "input_tokens": 100}',
                 "-m", "output_tokens=10", "-m", 'tool_calls=["x", "y"]')  # fmt: skip
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "priced as  gpt-4-turbo",
        "model      3.6",
        "tools      1",
        "search     0",
        "cache      0",
        "fixed      0",
        "total      4.6",
    ]


def test_a_plan_and_json_and_every_digit(config: str) -> None:
    result = run("test", config, "--plan", "pro", "-m", "model=gpt-4", "-m", "input_tokens=3")
    assert "total      0.06" in result.stdout
    exact = run("test", config, "--json", "-m", "model=claude", "-m", "input_tokens=1234567")
    answer = exact_json.loads(exact.stdout)
    assert answer["model"] == Decimal("0.000001234567")
    assert answer["total"] == Decimal("0.000001")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-m", "model=nope"], "Error: The model 'nope' has no price"),
        (["-m", "model=gpt-4", "-m", "input_token=1"], "Error: "),
        (["-m", "model=gpt-4", "-m", "input_tokens=-1"], "Error: "),
        (["--metrics", "{"], "Error: --metrics is not JSON"),
        (["--metrics", "[1]"], "Error: --metrics must be a JSON object"),
        (["--plan", "gold", "-m", "model=gpt-4"], "Error: There is no plan 'gold'"),
    ],
)
def test_a_usage_without_a_price_is_one_sentence(
    config: str, arguments: list[str], sentence: str
) -> None:
    result = run("test", config, *arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith(sentence)


def test_the_schema_is_json() -> None:
    schema = json.loads(run("schema").stdout)
    assert "models" in schema["properties"]


def test_plans_that_repeat_each_other_are_compared_in_time_that_grows_with_them(
    tmp_path: Path,
) -> None:
    files = []
    for version in (1, 2):
        plans = [
            {"id": f"v{version}-{i}", "free_allowance": i * version % 60,
             "rate_overrides": {f"m{k}": str(k * (i + version) % 60) for k in range(40)}}
            for i in range(300)
        ]  # fmt: skip
        files.append(tmp_path / f"{version}.json")
        files[-1].write_text(json.dumps({"models": {"a": "1"}, "plans": plans}))
    started = time.process_time()
    result = run("diff", *map(str, files), "--exit-code")
    # It took eleven seconds, and four times that for twice as many.
    assert time.process_time() - started < 5
    assert result.exit_code == 1
    assert result.stdout.count('+      "id": "v2-') == 300


def test_diff_of_two_files(config: str, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(CONFIG.replace("0.06", "0.07"))
    same = run("diff", config, config, "--exit-code")
    changed = run("diff", config, str(other), "--exit-code")
    assert (same.exit_code, same.stdout) == (0, "")
    assert changed.exit_code == 1
    assert '-    "gpt-4": "input_tokens * 0.03 + output_tokens * 0.06"' in changed.stdout
    assert '+    "gpt-4": "input_tokens * 0.03 + output_tokens * 0.07"' in changed.stdout


def test_the_exit_codes_are_those_of_the_process(config: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("models: {m: eval(1)}")
    command = [sys.executable, "-m", "ducto_pg.cli.main", "pricing", "validate"]
    good = subprocess.run([*command, config], capture_output=True, text=True)
    refused = subprocess.run([*command, str(bad)], capture_output=True, text=True)
    misused = subprocess.run([*command, "--nonsense"], capture_output=True, text=True)
    assert (good.returncode, refused.returncode, misused.returncode) == (0, 1, 2)
    assert "Traceback" not in refused.stderr + misused.stderr


PRICES = {
    "gpt-x": {"mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06,
              "output_cost_per_token_batches": 1e-06},
    "other": {"mode": "chat", "input_cost_per_token": 3e-06},
    "unpriced": {"mode": "chat"},
}  # fmt: skip


def test_litellm_prices_become_a_config_that_can_be_piped(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    path.write_text(json.dumps(PRICES))
    result = run("import-litellm", str(path), "--markup", "1.5", "--credits-per-usd", "1000")
    assert result.exit_code == 0
    assert run("validate", "-", stdin=result.stdout).exit_code == 0
    priced = run("test", "-", "-m", "model=gpt-x", "-m", "input_tokens=7", stdin=result.stdout)
    assert "total      0.0105" in priced.stdout
    assert "2 models converted." in result.stderr
    assert "the price of the service tier batches" in result.stderr


def test_what_litellm_prices_leave_out_is_reported_one_by_one(tmp_path: Path) -> None:
    path, report, output = tmp_path / "prices.json", tmp_path / "left.tsv", tmp_path / "out.json"
    path.write_text(json.dumps(PRICES))
    result = run(
        "import-litellm", str(path), "--report", str(report), "-o", str(output), "--only", "*"
    )
    assert (result.exit_code, result.stdout) == (0, "")
    assert report.read_text().splitlines()[1:] == [
        "gpt-x\toutput_cost_per_token_batches\tthe price of the service tier batches",
        "unpriced\t\tno price that can be expressed",
    ]
    assert set(json.loads(output.read_text())["models"]) == {"gpt-x", "other"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("{", "is not JSON"), ("[]", "it is not a JSON object"), ("{}", "no models with prices")],
)
def test_a_file_that_is_not_a_price_list(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "prices.json"
    path.write_text(text)
    result = run("import-litellm", str(path))
    assert result.exit_code == 1
    assert sentence in result.stderr


def test_an_amount_that_is_none_is_a_usage_error(tmp_path: Path) -> None:
    result = run("import-litellm", "x", "--markup", "a lot")
    assert result.exit_code == 2
    assert "'a lot' is not an amount" in result.stderr
