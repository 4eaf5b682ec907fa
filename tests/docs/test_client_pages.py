"""The tables of docs/cli.md and docs/python.md list what there is: no more, no less, no other.

A command or method, an argument or option that is added, renamed or removed fails here until the
page says so.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click
import pytest

from ducto_pg import CreditManager
from ducto_pg.cli.main import cli
from tests.conftest import MakeDb
from tests.docs.pages import read
from tests.support.databases import open_connection

CLI_PAGE = "docs/cli.md"
PYTHON_PAGE = "docs/python.md"
COMMON = {"--dsn", "--json", "--help", "-h"}
OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")


def commands(
    command: click.Command = cli, context: click.Context | None = None
) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Every command that does something, by its full name."""
    context = context or click.Context(cli, info_name="ducto", **cli.context_settings)
    if not isinstance(command, click.Group):
        yield context.command_path, command, context
        return
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from commands(found, click.Context(found, parent=context, info_name=name))


def options(command: click.Command, context: click.Context) -> set[str]:
    """The names of the options a command takes."""
    return {
        name
        for parameter in command.get_params(context)
        if isinstance(parameter, click.Option)
        for name in (*parameter.opts, *parameter.secondary_opts)
    }


def rows(page: str, columns: int) -> dict[str, list[str]]:
    """The rows of the page's tables with so many columns: the cells behind the first, by it."""
    found: dict[str, list[str]] = {}
    for line in re.findall(r"^\| (.*?) ?\|$", read(page), re.M):
        first, *rest = (cell.strip() for cell in re.split(r"(?<!\\)\|", line))
        if len(rest) == columns - 1 and first.startswith("`"):
            assert first not in found, first
            found[first.strip("`").replace("\\|", "|")] = [
                cell.replace("\\|", "|") for cell in rest
            ]
    return found


@pytest.fixture(scope="module")
def described() -> dict[str, list[str]]:
    """The rows about commands, by the command with its arguments."""
    return {name: cells for name, cells in rows(CLI_PAGE, 3).items() if name.startswith("ducto ")}


def usage_of(name: str, command: click.Command, context: click.Context) -> str:
    """A command with its arguments as the page writes them; choices are written out."""
    parts = [name]
    for parameter in command.params:
        if not isinstance(parameter, click.Argument):
            continue
        kind = parameter.type
        text = parameter.human_readable_name.upper()
        text = "|".join(kind.choices) if isinstance(kind, click.Choice) else text
        parts.append(text if parameter.required else f"[{text}]")
    return " ".join(parts)


def test_every_command_is_described_with_its_arguments(described: dict[str, list[str]]) -> None:
    assert sorted(described) == sorted(usage_of(*found) for found in commands())


def test_every_command_is_described_with_its_options(described: dict[str, list[str]]) -> None:
    for name, command, context in commands():
        _, cell = described[usage_of(name, command, context)]
        named = set(OPTION.findall(" ".join(re.findall(r"`([^`]*)`", cell))))
        assert named == options(command, context) - COMMON, name


def test_every_choice_of_an_option_is_named(described: dict[str, list[str]]) -> None:
    for name, command, context in commands():
        _, cell = described[usage_of(name, command, context)]
        for parameter in command.params:
            if isinstance(parameter, click.Option) and isinstance(parameter.type, click.Choice):
                missing = [c for c in parameter.type.choices if not re.search(rf"\b{c}\b", cell)]
                assert not missing, (name, parameter.opts)


def test_the_page_says_which_commands_take_the_common_options() -> None:
    shared = rows(CLI_PAGE, 2)
    (database,), (as_json,) = shared["--dsn DSN"], shared["--json"]
    found = {name: (command, options(command, context)) for name, command, context in commands()}
    no_option = {name for name, (_, names) in found.items() if "--dsn" not in names}
    assert named_commands(database) == no_option
    for name, (command, _) in found.items():
        assert not {p.name for p in command.params if isinstance(p, click.Argument)} & {"dsn"}, name
    no_json = {name for name, (_, names) in found.items() if "--json" not in names}
    assert named_commands(as_json) == no_json


def named_commands(text: str) -> set[str]:
    return set(re.findall(r"`(ducto [a-z -]+)`", text))


def test_every_method_is_described_with_its_arguments_and_result() -> None:
    methods = {
        name: inspect.signature(method)
        for name, method in vars(CreditManager).items()
        if inspect.isfunction(method) and not name.startswith("_")
    }
    expected = {}
    for name, signature in methods.items():
        _, *parameters = signature.parameters.values()
        required = [p.name for p in parameters if p.default is p.empty]
        optional = [f"`{p.name}`" for p in parameters if p.default is not p.empty]
        result = str(signature.return_annotation).replace("Iterator[Bill]", "Bill")
        expected[f"{name}({', '.join(required)})"] = (", ".join(optional), f"`{result}`")
    table = rows(PYTHON_PAGE, 4)
    assert {name: (optional, result) for name, (_, optional, result) in table.items()} == expected


def test_programs_are_run_by_the_owner_only(make_db: MakeDb) -> None:
    page = read("docs/portable-programs.md")
    assert "as the owner of ducto-pg's functions (`ducto_owner`) or a superuser" in page
    allowed = """
        select r.rolname
        from pg_roles as r
        where has_schema_privilege(r.oid, 'ducto', 'usage')
            and has_function_privilege(
                r.oid, 'ducto.run_program(integer[], numeric[], text[], jsonb)', 'execute'
            )
            and not r.rolsuper
    """
    with open_connection(make_db("portable")) as connection:
        assert connection.execute(allowed.encode()).fetchall() == [("ducto_owner",)]
