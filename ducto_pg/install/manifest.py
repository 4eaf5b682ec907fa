"""What an installation consists of: every SQL file, read, parsed and put in order.

Guarantees: the same tree gives the same manifest; a file PostgreSQL's parser does not accept is
reported with its name and line before anything reaches a server; the signature of every routine
and the name of every view are known, so that whatever else the schema holds can be told apart.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pglast
import yaml
from pglast import ast
from pglast.enums import FunctionParameterMode

from ducto_pg.errors import DuctoError

BUNDLE = re.compile(r"\{\{bundle:([a-z_]+)\}\}")
EVALUATOR = "{{evaluator}}"
INPUT_MODES = frozenset(
    {
        FunctionParameterMode.FUNC_PARAM_IN,
        FunctionParameterMode.FUNC_PARAM_INOUT,
        FunctionParameterMode.FUNC_PARAM_VARIADIC,
        FunctionParameterMode.FUNC_PARAM_DEFAULT,
    }
)


class MigrationError(DuctoError):
    """The installation cannot go on; the message is one sentence a person can act on."""

    name = "migration_failed"


@dataclass(frozen=True)
class Guarded:
    """A statement that locks a table others use: run only where what it declares differs.

    ``text`` begins on the line it has in its file; ``table`` is None for a view.
    """

    name: str
    table: str | None
    text: str


@dataclass(frozen=True)
class SqlFile:
    """One file of the SQL tree; ``path`` is relative to the tree and begins with ``sql/``.

    ``text`` is what may run every time; ``guarded`` are its views and triggers, which may not;
    ``drops`` are the routines that it retires.
    """

    path: str
    text: str
    routines: tuple[str, ...] = ()
    views: tuple[str, ...] = ()
    guarded: tuple[Guarded, ...] = ()
    drops: tuple[str, ...] = ()


@dataclass(frozen=True)
class Migration:
    """A forward-only change of tables, applied once and never edited afterwards."""

    version: int
    name: str
    sha256: str
    file: SqlFile


@dataclass(frozen=True)
class CatalogueError:
    """One entry of the error catalogue."""

    code: str
    name: str
    http_status: int
    message: str
    hint: str
    detail: tuple[str, ...]


@dataclass(frozen=True)
class Manifest:
    """Everything an installation consists of, in the order it is applied."""

    migrations: tuple[Migration, ...]
    errors: tuple[CatalogueError, ...]
    retired: SqlFile | None
    routines: tuple[SqlFile, ...]
    views: tuple[SqlFile, ...]
    portable: tuple[SqlFile, ...]
    plpython: tuple[SqlFile, ...]
    price_usage: SqlFile | None
    access: SqlFile | None

    def signatures(self, *, plpython: bool) -> tuple[str, ...]:
        """The signature of every routine installed, for one evaluator."""
        files = [*self.routines, *self.portable]
        files += self.plpython if plpython else ()
        files += [self.price_usage] if self.price_usage else []
        return tuple(sorted(signature for file in files for signature in file.routines))

    def view_names(self) -> tuple[str, ...]:
        """The qualified name of every view installed."""
        return tuple(sorted(name for file in self.views for name in file.views))


def sql_root() -> Path:
    """The folder of the installed SQL tree."""
    import ducto_pg.sql

    return Path(next(iter(ducto_pg.sql.__path__)))


def load_manifest(root: Path | None = None) -> Manifest:
    """Read and parse the SQL tree; raises MigrationError naming file and line."""
    root = sql_root() if root is None else root
    return Manifest(
        migrations=tuple(_migrations(root)),
        errors=load_errors(root),
        retired=_retired(root),
        routines=_files(root, "routines"),
        views=_files(root, "views"),
        portable=_files(root, "evaluators/portable"),
        plpython=_files(root, "evaluators/plpython"),
        price_usage=_optional(root, "evaluators/price_usage.sql"),
        access=_optional(root, "access.sql"),
    )


def load_errors(root: Path | None = None) -> tuple[CatalogueError, ...]:
    """The error catalogue, ordered by code; codes and names are unique."""
    path = (sql_root() if root is None else root) / "errors.yaml"
    entries = tuple(
        CatalogueError(
            code=str(entry["code"]),
            name=str(entry["name"]),
            http_status=int(entry["http_status"]),
            message=str(entry["message"]),
            hint=str(entry["hint"]),
            detail=tuple(entry["detail"]),
        )
        for entry in yaml.safe_load(path.read_text(encoding="utf-8"))
    )
    for key in ("code", "name"):
        values = [getattr(entry, key) for entry in entries]
        if len(set(values)) != len(values):
            raise MigrationError(f"sql/errors.yaml names a {key} twice")
    return tuple(sorted(entries, key=lambda entry: entry.code))


def line_of(text: str, offset: int) -> int:
    """The 1-based line of a 0-based character offset."""
    return text.count("\n", 0, max(0, offset)) + 1


def _migrations(root: Path) -> Iterator[Migration]:
    seen: dict[int, str] = {}
    for file in _files(root, "migrations"):
        stem = file.path.rsplit("/", 1)[1].removesuffix(".sql")
        match = re.fullmatch(r"(\d{4})_([a-z0-9_]+)", stem)
        if match is None:
            raise MigrationError(f"{file.path} is not named NNNN_lower_case_name.sql")
        version = int(match[1])
        if version in seen:
            raise MigrationError(f"{file.path} and {seen[version]} have the same number")
        seen[version] = file.path
        digest = hashlib.sha256(file.text.encode()).hexdigest()
        yield Migration(version, match[2], digest, file)


def _files(root: Path, folder: str) -> tuple[SqlFile, ...]:
    # Sorted by their parts, not by the separator, so that the order is the same on every system.
    paths = sorted((root / folder).glob("**/*.sql"), key=lambda path: path.parts)
    return tuple(_read(root, path) for path in paths)


def _optional(root: Path, name: str) -> SqlFile | None:
    path = root / name
    return _read(root, path) if path.exists() else None


def _retired(root: Path) -> SqlFile | None:
    """The routines to drop, which are dropped by what knows who may depend on them."""
    file = _optional(root, "retired.sql")
    return file and replace(file, drops=tuple(_drops(file.path, _parse(file.path, file.text))))


def _drops(path: str, statements: Iterable[Any]) -> Iterator[str]:
    for raw in statements:
        dropped = getattr(raw.stmt, "objects", ())
        if not isinstance(raw.stmt, ast.DropStmt) or not all(
            isinstance(item, ast.ObjectWithArgs) and not item.args_unspecified for item in dropped
        ):
            raise MigrationError(
                f"{path} holds more than lines: drop function if exists name(types)"
            )
        for item in dropped:
            types = ", ".join(_type(node) for node in item.objargs or ())
            yield f"{_dotted(item.objname)}({types})"


def _read(root: Path, path: Path) -> SqlFile:
    name = "sql/" + path.relative_to(root).as_posix()
    text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    text = BUNDLE.sub(lambda match: _bundle(name, match[1]), text)
    raw = _parse(name, text)
    statements = [statement.stmt for statement in raw]
    routines, views = tuple(_routines(statements)), tuple(_views(statements))
    if name.startswith("sql/migrations/"):
        return SqlFile(name, text)
    if views:
        if len(views) > 1 or routines:
            raise MigrationError(f"{name} declares more than one view and its comment")
        return SqlFile(name, "", (), views, (Guarded(views[0], None, text),))
    plain, guarded = _without_triggers(text, raw)
    return SqlFile(name, plain, routines, views, guarded)


def _without_triggers(text: str, raw: list[Any]) -> tuple[str, tuple[Guarded, ...]]:
    """The text with blank lines where triggers were, so that each line keeps its number."""
    guarded = []
    for statement in raw:
        if not isinstance(statement.stmt, ast.CreateTrigStmt):
            continue
        # A statement's place begins behind the one before it, comments and all.
        start = statement.stmt_location or 0
        end = start + statement.stmt_len if statement.stmt_len else len(text)
        body = text[start:end]
        table: Any = statement.stmt.relation
        guarded.append(
            Guarded(
                str(statement.stmt.trigname),
                f"{table.schemaname}.{table.relname}",
                "\n" * text.count("\n", 0, start) + body,
            )
        )
        text = text[:start] + "".join(c if c == "\n" else " " for c in body) + text[end:]
    return text, tuple(guarded)


def _bundle(path: str, name: str) -> str:
    from ducto_pg.plpython.bundle import bundle

    try:
        return bundle(name)
    except (KeyError, ValueError) as error:
        raise MigrationError(f"{path} asks for an unknown Python bundle: {name}") from error


def _parse(path: str, text: str) -> list[Any]:
    # The wrapper's placeholder stands where an identifier does.
    try:
        return list(pglast.parse_sql(text.replace(EVALUATOR, "evaluator")))
    except pglast.parser.ParseError as error:
        message, *position = error.args
        line = line_of(text, position[0]) if position else 1
        raise MigrationError(f"{path}, line {line}: {message}") from error


def _routines(statements: Iterable[Any]) -> Iterator[str]:
    for statement in statements:
        if not isinstance(statement, ast.CreateFunctionStmt):
            continue
        name = _dotted(statement.funcname)
        types = (
            _type(parameter.argType)
            for parameter in statement.parameters or ()
            if parameter.mode in INPUT_MODES
        )
        yield f"{name}({', '.join(types)})"


def _type(node: Any) -> str:
    return _dotted(node.names) + "[]" * len(node.arrayBounds or ())


def _dotted(parts: Any) -> str:
    return ".".join(part.sval for part in parts)


def _views(statements: Iterable[Any]) -> Iterator[str]:
    for statement in statements:
        if isinstance(statement, ast.ViewStmt):
            view: Any = statement.view
            yield f"{view.schemaname}.{view.relname}"
