"""`ducto pricing` against a database, on both evaluators: publish, list, activate, compare."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from ducto_pg import exact_json
from tests.cli.conftest import Manage, Run, as_json, program

FIRST = "models:\n  gpt-4: input_tokens * 0.03\n"
SECOND = "models:\n  gpt-4: input_tokens * 0.04\n  claude: 1\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    (tmp_path / "first.yaml").write_text(FIRST)
    (tmp_path / "second.yaml").write_text(SECOND)
    return str(tmp_path / "first.yaml"), str(tmp_path / "second.yaml")


def test_publishing_prices_charges_on_both_evaluators(
    target: str, run: Run, manage: Manage, files: tuple[str, str]
) -> None:
    result = run("pricing", "set", files[0], "--label", "spring", dsn=target)
    assert result.exit_code == 0
    assert result.stdout == "Published pricing version 1 (spring), now active: 1 model.\n"
    manager = manage(target)
    manager.add_credits("ann", 10)
    charge = manager.deduct("ann", {"model": "gpt-4", "input_tokens": 100})
    assert (charge.cost, charge.pricing_version) == (Decimal(3), 1)


def test_a_config_on_stdin(run: Run) -> None:
    published = as_json(run("pricing", "set", "-", "--json", input=FIRST))
    assert (published["version"], published["active"], published["label"]) == (1, True, None)


def test_versions_are_listed_newest_first_with_the_active_one_marked(
    run: Run, files: tuple[str, str]
) -> None:
    assert run("pricing", "list").stdout == "No pricing has been published yet.\n"
    run("pricing", "set", files[0], "--label", "one")
    run("pricing", "set", files[1], "--label", "two")
    assert run("pricing", "activate", "1").stdout == "Pricing version 1 is active.\n"
    lines = run("pricing", "list").stdout.splitlines()
    assert [line[:10].split() for line in lines[1:]] == [["2"], ["*", "1"]]
    versions = as_json(run("pricing", "list", "--json"))
    assert [(v["version"], v["active"], v["label"]) for v in versions] == [
        (2, False, "two"),
        (1, True, "one"),
    ]
    assert lines[1].split()[1] == versions[0]["id"][:8]


def test_what_is_exported_can_be_published_again(run: Run, files: tuple[str, str]) -> None:
    run("pricing", "set", files[1])
    exported = run("pricing", "export", "1")
    assert exported.exit_code == 0
    assert exact_json.loads(exported.stdout) == {
        "models": {"gpt-4": "input_tokens * 0.04", "claude": 1}
    }
    assert run("pricing", "set", "-", input=exported.stdout).exit_code == 0
    assert run("pricing", "diff", "1", "2").stdout == ""


def test_the_difference_of_two_versions_and_of_a_file(run: Run, files: tuple[str, str]) -> None:
    run("pricing", "set", files[0])
    run("pricing", "set", files[1])
    for sides in (["1", "2"], ["1", files[1]], [files[0], "2"]):
        result = run("pricing", "diff", *sides, "--exit-code")
        assert result.exit_code == 1
        changed = [line for line in result.stdout.splitlines()[2:] if line[:1] in "+-"]
        assert changed == [
            '-    "gpt-4": "input_tokens * 0.03"',
            '+    "claude": 1,',
            '+    "gpt-4": "input_tokens * 0.04"',
        ]


def test_get_shows_the_active_config(run: Run, files: tuple[str, str]) -> None:
    run("pricing", "set", files[0], "--label", "spring")
    shown = run("pricing", "get").stdout
    assert "label       spring" in shown
    assert '"gpt-4": "input_tokens * 0.03"' in shown
    assert as_json(run("pricing", "get", "--json"))["config"]["models"].keys() == {"gpt-4"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["get"], "Error: No pricing has been published yet. [DU003]"),
        (["activate", "7"], "Error: There is no pricing version 7. [DU020]"),
        (["export", "7"], "Error: There is no pricing version 7. [DU020]"),
        (["diff", "7", "8"], "Error: There is no pricing version 7. [DU020]"),
    ],
)
def test_what_is_not_there_is_one_sentence(run: Run, arguments: list[str], sentence: str) -> None:
    result = run("pricing", *arguments)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[0] == sentence


def test_nothing_is_published_when_there_is_an_error(target: str, run: Run) -> None:
    bad = run("pricing", "set", "-", input='{"models": {"m": "input_token"}}', dsn=target)
    assert bad.exit_code == 1
    assert "did you mean 'input_tokens'?" in bad.stderr
    assert as_json(run("pricing", "list", "--json", dsn=target)) == []


def test_a_warning_does_not_stop_publishing(run: Run) -> None:
    result = run("pricing", "set", "-", input='{"models": {"m": 0}}')
    assert result.exit_code == 0
    assert "Warning: models.m: the price is zero" in result.stderr


def test_a_database_without_ducto_says_so(empty_dsn: str, tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"models": {"m": 1}}))
    for command in (["pricing", "set", str(path)], ["credits", "balance", "ann"]):
        done = program(empty_dsn, *command)
        assert done.returncode == 1
        assert "This database has no ducto-pg, or an older one" in done.stderr
        assert "ducto migrate" in done.stderr
        assert "Traceback" not in done.stderr


def test_no_dsn_at_all_is_one_sentence(tmp_path: Path) -> None:
    done = program(None, "pricing", "list", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: no database given")


def test_a_pricing_of_every_litellm_model_is_published_in_seconds(
    target: str, run: Run, manage: Manage
) -> None:
    prices = Path("/work/shared/data/litellm_model_prices.json")
    if not prices.exists():
        pytest.skip(f"{prices} is not here: publishing all its models is not tested")
    config = run("pricing", "import-litellm", str(prices)).stdout
    result = run("pricing", "set", "-", input=config, dsn=target)
    assert result.exit_code == 0
    assert "4,455 models" in result.stdout
    manager = manage(target)
    usage = {"model": "gpt-4", "input_tokens": 1000, "output_tokens": 10}
    assert manager.calculate(usage).total == Decimal("0.0306")
