"""`ducto types typescript`: the API of a database as types for supabase-js.

Arguments and columns are read from the database's catalog; what functions that return an object
return is in `sql/results.yaml`, which tests hold against real results.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ducto_pg import __version__
from ducto_pg.cli.common import CliError, LazyGroup, connect, dsn_option, resolve_dsn
from ducto_pg.cli.output import write
from ducto_pg.install.result_shapes import FURTHER, Key, Part, Shapes, Type, load_shapes

if TYPE_CHECKING:
    import psycopg

ROUTINES = """
    select
        p.proname as name,
        p.proretset as rows,
        coalesce(p.proargnames, '{}') as names,
        array(
            select a.type::regtype::text
            from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) with ordinality
                as a (type, place)
            order by a.place
        ) as types,
        p.pronargs as arguments,
        p.pronargdefaults as defaults,
        -- Of each argument with a default, whether that is null.
        array(
            select pg_get_function_arg_default(p.oid, a.place) ilike 'null%'
            from generate_series(p.pronargs - p.pronargdefaults + 1, p.pronargs) as a (place)
            order by a.place
        ) as null_defaults
    from pg_proc as p
    where p.pronamespace = 'public'::regnamespace
        and p.proname like 'ducto\\_%'
        and p.prokind = 'f'
    order by p.proname
"""
ARGUMENTS = {
    "text": "string",
    "uuid": "string",
    "date": "string",
    "timestamp with time zone": "string",
    "boolean": "boolean",
    "integer": "number",
    "bigint": "number",
    # As text too, because JavaScript's numbers hold fifteen digits.
    "numeric": "number | string",
    "jsonb": "Json",
    "text[]": "string[]",
}
COLUMNS = {**ARGUMENTS, "numeric": "number"}
SCALARS = {
    "text": "string",
    "time": "string",
    "date": "string",
    "uuid": "string",
    "number": "number",
    "boolean": "boolean",
    "json": "Json",
    "object": "{ [key: string]: Json | undefined }",
}
HEAD = """\
// The API of ducto-pg {version}. Written by `ducto types typescript`; changes here are lost.

export type Json =
  | string
  | number
  | boolean
  | null
  | {{ [key: string]: Json | undefined }}
  | Json[]
"""
NO_CATALOG = (
    "Types are read from the database's catalog, which a Supabase project does not serve over "
    "HTTP: its connection string is needed."
)
EMPTY = "{ [_ in never]: never }"


@dataclass(frozen=True)
class Routine:
    """A function of the API as the catalog has it."""

    name: str
    rows: bool
    names: list[str]
    types: list[str]
    arguments: int
    defaults: int
    null_defaults: list[bool]


@click.group(
    cls=LazyGroup,
    lazy={"typescript": ("ducto_pg.cli.types:typescript", "Types of the API for supabase-js.")},
)
def types() -> None:
    """Types of the API for other languages."""


@click.command()
@dsn_option
def typescript(dsn: str | None) -> None:
    """Print a `Database` type of the API, as `supabase gen types` would.

    Write it to a file and give it to supabase-js: createClient<Database>(url, key). Results are
    typed key by key. The catalog is read, so this needs the database's DSN.
    """
    try:
        dsn = resolve_dsn(dsn)
    except CliError as error:
        raise CliError(error.message, NO_CATALOG, name="no_database") from None
    with connect(dsn) as connection:
        write(render(read_routines(connection), load_shapes()))


def read_routines(connection: psycopg.Connection[Any]) -> list[Routine]:
    """The API of a database."""
    from psycopg.rows import class_row

    with (
        connection.transaction(),
        connection.cursor(row_factory=class_row(Routine)) as cursor,
    ):
        # What somebody put in a schema of the caller's path is not looked at.
        cursor.execute("set local search_path = pg_catalog, pg_temp")
        cursor.execute("set local quote_all_identifiers = off")
        found = cursor.execute(ROUTINES).fetchall()
    if not found:
        raise CliError("ducto-pg is not installed in this database", "Install it: ducto migrate")
    return found


def render(routines: Sequence[Routine], shapes: Shapes) -> str:
    """The module."""
    parts = [HEAD.format(version=__version__), *map(shapes_renderer(shapes), shapes.used)]
    functions = "".join(_function(routine, shapes) for routine in routines)
    parts.append(
        "export type Database = {\n"
        "  public: {\n"
        f"    Tables: {EMPTY}\n"
        f"    Views: {EMPTY}\n"
        f"    Functions: {{\n{functions}    }}\n"
        f"    Enums: {EMPTY}\n"
        f"    CompositeTypes: {EMPTY}\n"
        "  }\n"
        "}\n"
    )
    return "\n".join(parts)


def shapes_renderer(shapes: Shapes) -> Any:
    """Renders a shape as a type of its own."""

    def render_shape(name: str) -> str:
        if shapes.is_alias(name):
            return f"export type {_name(name)} = {_type(shapes.alias(name))}\n"
        lines = "".join(f"  {_key(key)}\n" for key in shapes.keys(name))
        return f"export type {_name(name)} = {{\n{lines}}}\n"

    return render_shape


def _key(key: Key) -> str:
    if key.name == FURTHER:
        # Further keys include the named ones in TypeScript, of which some may be missing.
        return f"[key: string]: {_type(key.type)} | undefined"
    return f"{key.name}{'?' if key.optional else ''}: {_type(key.type)}"


def _type(kind: Type) -> str:
    parts = [_part(part) for part in kind]
    if any(part.nullable for part in kind):
        parts.append("null")
    return " | ".join(parts)


def _part(part: Part) -> str:
    if part.literal:
        return f'"{part.name}"'
    text = SCALARS.get(part.name) or _name(part.name)
    return f"{text}[]" if part.array else text


def _name(shape: str) -> str:
    """`cap_check` is exported as `DuctoCapCheck`."""
    return "Ducto" + "".join(word.capitalize() for word in shape.split("_"))


def _function(routine: Routine, shapes: Shapes) -> str:
    return (
        f"      {routine.name}: {{\n"
        f"        Args: {_arguments(routine, shapes)}\n"
        f"        Returns: {_returns(routine, shapes)}\n"
        "      }\n"
    )


def _arguments(routine: Routine, shapes: Shapes) -> str:
    if not routine.arguments:
        # Unlike `never` it takes the `{}` that one writes before options.
        return "Record<PropertyKey, never>"
    lines = "".join(f"          {line}\n" for line in _argument_lines(routine, shapes))
    return f"{{\n{lines}        }}"


def _argument_lines(routine: Routine, shapes: Shapes) -> Iterator[str]:
    nullable = shapes.nullable_arguments.get(routine.name, frozenset())
    needed = routine.arguments - routine.defaults
    for place in range(routine.arguments):
        name, kind = routine.names[place], ARGUMENTS[routine.types[place]]
        if place < needed:
            null = " | null" if name in nullable else ""
            yield f"{name}: {kind}{null}"
        else:
            null = " | null" if routine.null_defaults[place - needed] and kind != "Json" else ""
            yield f"{name}?: {kind}{null}"


def _returns(routine: Routine, shapes: Shapes) -> str:
    if not routine.rows:
        kind = shapes.results.get(routine.name)
        return _type(kind) if kind else "Json"
    nullable = shapes.nullable.get(routine.name, frozenset())
    lines = [
        f"          {name}: {COLUMNS[kind]}{' | null' if name in nullable else ''}\n"
        for name, kind in zip(
            routine.names[routine.arguments :], routine.types[routine.arguments :], strict=True
        )
    ]
    return f"{{\n{''.join(lines)}        }}[]"
