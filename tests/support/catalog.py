"""A database's catalog as plain values, so that two installations can be compared."""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg
from psycopg.rows import tuple_row

Rows = list[tuple[Any, ...]]

OURS: LiteralString = "(n.nspname = 'ducto' or n.nspname = 'public' and p.proname like 'ducto\\_%')"

QUERIES: dict[str, LiteralString] = {
    "columns": """
        select c.table_name, c.column_name, c.ordinal_position, c.data_type, c.column_default,
            c.is_nullable, c.is_identity, c.numeric_precision, c.numeric_scale
        from information_schema.columns c
        where c.table_schema = 'ducto'
    """,
    "relations": """
        select c.relname, c.relkind, c.relowner::regrole::text, c.relrowsecurity,
            array(select x::text from unnest(c.relacl) x order by 1),
            c.reloptions, obj_description(c.oid, 'pg_class')
        from pg_class c
        where c.relnamespace = 'ducto'::regnamespace
    """,
    "column comments": """
        select c.relname, d.objsubid, d.description
        from pg_description d
        join pg_class c on c.oid = d.objoid and d.classoid = 'pg_class'::regclass
        where c.relnamespace = 'ducto'::regnamespace and d.objsubid > 0
    """,
    "constraints": """
        select c.conrelid::regclass::text, c.conname, pg_get_constraintdef(c.oid)
        from pg_constraint c
        where c.connamespace = 'ducto'::regnamespace
    """,
    "indexes": """
        select i.tablename, i.indexname, i.indexdef from pg_indexes i where i.schemaname = 'ducto'
    """,
    "triggers": """
        select t.tgrelid::regclass::text, t.tgname, pg_get_triggerdef(t.oid), t.tgenabled
        from pg_trigger t
        join pg_class c on c.oid = t.tgrelid
        where c.relnamespace = 'ducto'::regnamespace and not t.tgisinternal
    """,
    "policies": """
        select p.tablename, p.policyname, p.roles::text, p.cmd, p.qual
        from pg_policies p where p.schemaname = 'ducto'
    """,
    "views": "select v.viewname, v.definition from pg_views v where v.schemaname = 'ducto'",
    "routines": f"""
        select p.oid::regprocedure::text, pg_get_functiondef(p.oid), p.proowner::regrole::text,
            array(select x::text from unnest(p.proacl) x order by 1),
            obj_description(p.oid, 'pg_proc')
        from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where {OURS}
    """,
    "schema": """
        select n.nspname, n.nspowner::regrole::text,
            array(select x::text from unnest(n.nspacl) x order by 1)
        from pg_namespace n where n.nspname = 'ducto'
    """,
    "migrations": "select m.version, m.name, m.sha256 from ducto.migrations m",
    "errors": "select e.* from ducto.error_catalogue e",
    "settings": "select s.key, s.value from ducto.settings s",
    "access": "select a.routine, a.role from ducto.api_access a",
    "grants": "select g.role_name, g.level from ducto.role_grants g",
}


def snapshot(connection: psycopg.Connection[Any]) -> dict[str, Rows]:
    """Everything an installation consists of; equal snapshots, equal installations."""
    found: dict[str, Rows] = {}
    with connection.cursor(row_factory=tuple_row) as cursor:
        for name, query in QUERIES.items():
            cursor.execute(query)
            found[name] = sorted(cursor.fetchall(), key=repr)
    return found


def is_installed(connection: psycopg.Connection[Any]) -> bool:
    """Whether a trace of an installation is there: the schema, or a routine of the API."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(
            "select exists (select from pg_namespace n where n.nspname = 'ducto')"
            " or exists (select from pg_proc p where p.proname like 'ducto\\_%')"
        )
        row = cursor.fetchone()
    assert row is not None
    return bool(row[0])
