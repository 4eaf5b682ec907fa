"""What is said when something fails: hints that name commands, secrets kept, one line."""

from __future__ import annotations

import os
import re
import time

import click
import psycopg
import pytest

from ducto_pg.cli.failures import COMMANDS_OF, CliError, Failure, describe, in_commands
from ducto_pg.cli.main import cli
from ducto_pg.errors import CLASSES, RefundExceedsChargeError
from ducto_pg.install.manifest import load_errors
from tests.cli.conftest import Run, program


@pytest.mark.parametrize("code", sorted(CLASSES))
def test_hints_name_commands_and_the_commands_exist(code: str) -> None:
    hint = describe(CLASSES[code]("?")).hint
    assert not re.search(r"ducto_[a-z]", hint), hint
    for command in re.findall(r"`ducto ([a-z -]+?)`", hint):
        find(command)


def test_every_function_has_a_command_that_exists() -> None:
    for command in COMMANDS_OF.values():
        find(command.removeprefix("ducto "))


def find(command: str) -> None:
    """The command of these words; options behind it do not matter."""
    found: click.Command = cli
    for word in command.split():
        if word.startswith("-") or word.isupper():
            return
        assert isinstance(found, click.Group), command
        inner = found.get_command(click.Context(found), word)
        assert inner is not None, command
        found = inner


def test_every_error_of_the_catalogue_has_a_class() -> None:
    assert {error.code for error in load_errors()} == set(CLASSES)


def test_functions_in_a_text_become_commands() -> None:
    assert in_commands("with ducto_add_credits, or `ducto_release`.") == (
        "with `ducto credits add`, or `ducto credits release`."
    )
    assert in_commands("the role ducto_reader") == "the role ducto_reader"


def test_a_refund_of_what_is_refunded_is_not_told_to_leave_the_amount_out() -> None:
    error = RefundExceedsChargeError(detail={"refundable": 0}, hint="Leave the amount out.")
    assert "given back already" in describe(error).hint
    error = RefundExceedsChargeError(detail={"refundable": 1}, hint="Leave the amount out.")
    assert describe(error).hint == "Leave the amount out."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("to postgresql://ann:s3cret@h/db failed", "to postgresql://ann:***@h/db failed"),
        ("user=ann password=s3cret host=h", "user=ann password=*** host=h"),
        ("password = 's3 cret' x", "password = *** x"),
        ("at x://y:z://u:s3cret@h and a@b", "at x://y:***@h and a@b"),
        ("two\n  lines\tand \x1b[1mmore", "two lines and \\x1b[1mmore"),
    ],
)
def test_a_sentence_is_one_line_without_secrets(
    text: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Failure(text).show(as_json=False)
    assert capsys.readouterr().err == f"Error: {shown}\n"


@pytest.mark.parametrize(
    "text",
    ["a://b:" * 20_000, "a://b:@" * 20_000, "a://b:" * 9_999 + "@" + "a://b:" * 9_999,
     "x" * 120_000, "password=" * 15_000, "password='" * 15_000, "x" * 60_000 + " a@" * 20_000],
    ids=["addresses", "ats", "half", "word", "settings", "quotes", "words"],
)  # fmt: skip
def test_a_long_text_is_searched_for_secrets_in_time_that_grows_with_it(text: str) -> None:
    started = time.process_time()
    Failure(text).show(as_json=False)
    # Where it grew with the square, these took minutes.
    assert time.process_time() - started < 3


def test_an_endless_sentence_ends(capsys: pytest.CaptureFixture[str]) -> None:
    Failure("x" * 10_000).show(as_json=False)
    assert len(capsys.readouterr().err) < 1000
    Failure("x" * 10_000 + " is no name").show(as_json=False)
    assert capsys.readouterr().err.endswith("x is no name\n")


def test_errors_of_any_kind_have_a_name_and_a_status() -> None:
    assert describe(click.UsageError("no")).status == 2
    assert describe(click.UsageError("no")).name == "usage"
    assert describe(CliError("no", name="x")).name == "x"
    assert describe(FileNotFoundError(2, "No such file", b"\xff")).message == "\\xff: No such file"
    assert describe(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "why")).message.endswith("why")
    assert describe(RuntimeError()).message == "unexpected RuntimeError: it says no more"


def test_a_role_without_rights_is_told_the_truth(run: Run, dsn: str) -> None:
    role = f"failures_admin_{os.getpid()}"
    as_admin = re.sub(r"user=\S+", f"user={role}", dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"create role {role} login".encode())
        try:
            connection.execute(f"grant ducto_admin to {role}".encode())
            done = program(as_admin, "status")
            assert "needs ducto_admin" not in done.stderr
            assert "member of the role" not in done.stderr
            if done.returncode:
                assert "owner of the installation" in done.stderr
            connection.execute(f"revoke ducto_admin from {role}".encode())
            for words, needed in (
                (["credits", "balance", "ann"], "ducto_reader"),
                (["credits", "add", "ann", "1"], "ducto_service"),
                (["pricing", "activate", "1"], "ducto_admin"),
            ):
                refused = program(as_admin, *words)
                assert refused.returncode == 1
                assert f"a member of the role {needed}" in refused.stderr
        finally:
            connection.execute(f"drop role {role}".encode())
