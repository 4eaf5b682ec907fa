"""Who may do what with every object, read from the catalog: the tables of docs/privileges.md.

`make privileges` writes them; a test compares the page with a fresh and an upgraded installation.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import LiteralString

from ducto_pg.install.migrate import migrate
from tests.support.databases import Connection, Databases, open_connection
from tests.support.server import find_rung
from tests.support.supabase import supabase_roles

PAGE = Path(__file__).parents[2] / "docs" / "privileges.md"
BEGIN = "<!-- From here on: make privileges -->\n"
# PUBLIC first: what everybody may, each of them may.
ROLES = (
    "public",
    "anon",
    "authenticated",
    "ducto_reader",
    "ducto_service",
    "ducto_admin",
    "service_role",
)
ROUTINES: LiteralString = """
    select p.proname, p.prosecdef,
        array(
            select r.name from unnest(%s::text[]) with ordinality as r (name, position)
            where has_function_privilege(r.name, p.oid, 'execute')
            order by r.position
        )
    from pg_proc p
    where p.pronamespace = 'public'::regnamespace and starts_with(p.proname, 'ducto_')
    order by p.proname collate "C"
"""
HELPERS: LiteralString = """
    select p.proname || ': ' || r.name
    from pg_proc p
    cross join unnest(%s::text[]) as r (name)
    where p.pronamespace = 'ducto'::regnamespace
        and (has_function_privilege(r.name, p.oid, 'execute') or p.prosecdef)
"""
PRIVATE: LiteralString = """
    with role as (
        select name from unnest(%s::text[]) as r (name)
    ), object (kind, name, allowed) as (
        select 'schema', 'ducto', array(
            select r.name || ' ' || p.name
            from role r, unnest(array['usage', 'create']) as p (name)
            where has_schema_privilege(r.name, 'ducto', p.name)
        )
        union all
        select case c.relkind when 'v' then 'view' else 'table' end, 'ducto.' || c.relname, array(
            select r.name || ' ' || p.name
            from role r, unnest(array[
                'select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger'
            ]) as p (name)
            where has_table_privilege(r.name, c.oid, p.name)
                or p.name in ('select', 'insert', 'update', 'references')
                    and has_any_column_privilege(r.name, c.oid, p.name)
        )
        from pg_class c
        where c.relnamespace = 'ducto'::regnamespace and c.relkind in ('r', 'p', 'v')
        union all
        select 'sequence', 'ducto.' || c.relname, array(
            select r.name || ' ' || p.name
            from role r, unnest(array['select', 'update', 'usage']) as p (name)
            where has_sequence_privilege(r.name, c.oid, p.name)
        )
        from pg_class c
        where c.relnamespace = 'ducto'::regnamespace and c.relkind = 'S'
        union all
        select 'type', 'ducto.' || t.typname, array(
            select r.name || ' usage' from role r where has_type_privilege(r.name, t.oid, 'usage')
        )
        from pg_type t
        left join pg_class c on c.oid = t.typrelid
        where t.typnamespace = 'ducto'::regnamespace
            and (t.typtype in ('d', 'e') or c.relkind = 'c')
    )
    select o.kind, o.name, o.allowed
    from object o
    order by array_position(array['schema', 'table', 'view', 'sequence', 'type'], o.kind),
        o.name collate "C"
"""


def matrix(connection: Connection) -> str:
    """The tables, from the catalog of an installation beside Supabase's roles."""
    return "\n".join([*_routines(connection), "", *_private(connection)]) + "\n"


def _routines(connection: Connection) -> Iterator[str]:
    yield "| function | runs as | PUBLIC | " + " | ".join(ROLES[1:]) + " |"
    yield "|---" * (len(ROLES) + 2) + "|"
    for name, is_definer, callers in connection.execute(ROUTINES, [list(ROLES)]).fetchall():
        cells = ["owner" if is_definer else "caller"]
        cells += ["yes" if role in callers else "" for role in ROLES]
        yield f"| `{name}` | " + " | ".join(cells) + " |"


def _private(connection: Connection) -> Iterator[str]:
    yield "| object | kind | who else than the owner may do what |"
    yield "|---|---|---|"
    for kind, name, allowed in connection.execute(PRIVATE, [list(ROLES)]).fetchall():
        yield f"| `{name}` | {kind} | {', '.join(allowed) or 'nobody'} |"
    rows = connection.execute(HELPERS, [list(ROLES)]).fetchall()
    yield f"| `ducto.*` | helper functions | {', '.join(row[0] for row in rows) or 'nobody'} |"


@contextmanager
def installation() -> Iterator[Connection]:
    """A fresh installation on a server of its own, with Supabase's roles."""
    with closing(find_rung().run()) as servers:  # type: ignore[type-var]
        server = next(servers)
        with (
            closing(Databases(server)) as databases,
            supabase_roles(server),
            open_connection(databases.create_empty()) as connection,
        ):
            migrate(connection)
            yield connection


def main() -> int:
    """Write the page's tables."""
    head, marker, _ = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    assert marker, f"{PAGE} has no line {BEGIN.strip()}"
    with installation() as connection:
        PAGE.write_text(head + BEGIN + "\n" + matrix(connection), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
