"""What a Supabase project brings along: its roles, its default privileges, its signed tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import conninfo, sql

from tests.support.server import Server

# Who PostgREST logs in as, to become the role that a token names: Supabase's `authenticator`, under
# a name and with a password of its own, because a cluster of Supabase's has one already.
LOGIN = "ducto_test_authenticator"
# Who writes the project's own tables and functions: Supabase's `postgres`, which is no superuser.
DEVELOPER = "ducto_test_developer"
ROLES = {
    "anon": "nologin noinherit",
    "authenticated": "nologin noinherit",
    "service_role": "nologin noinherit bypassrls",
    LOGIN: f"login noinherit password '{LOGIN}'",
    DEVELOPER: "nologin",
}
OPEN_BY_DEFAULT = ("tables", "functions", "sequences")


@contextmanager
def supabase_roles(server: Server) -> Iterator[None]:
    """The roles, in the whole cluster; those made here are gone afterwards, with their grants."""
    with psycopg.connect(server.dsn, autocommit=True) as admin:
        made = [name for name in ROLES if not _exists(admin, name)]
        for name in made:
            admin.execute(f"create role {name} {ROLES[name]}".encode())
        admin.execute(f"grant anon, authenticated, service_role to {LOGIN}, {DEVELOPER}".encode())
        try:
            yield
        finally:
            for name in made:
                _drop(server, admin, name)


def _exists(admin: psycopg.Connection[Any], role: str) -> bool:
    row = admin.execute("select from pg_roles where rolname = %s", [role]).fetchone()
    return row is not None


def _drop(server: Server, admin: psycopg.Connection[Any], role: str) -> None:
    databases = admin.execute(
        "select distinct d.datname from pg_shdepend s join pg_database d on d.oid = s.dbid"
        " where s.refclassid = 'pg_authid'::regclass and s.refobjid = %s::regrole",
        [role],
    ).fetchall()
    for (database,) in databases:
        with psycopg.connect(server.database(database)) as connection:
            connection.execute(f"drop owned by {role}".encode())
    admin.execute(f"drop role {role}".encode())


def open_everything(dsn: str) -> None:
    """The default privileges of a project: each new object of `public` is open to all its roles."""
    with psycopg.connect(dsn) as connection:
        _open_objects_of(connection, connection.info.user)
        connection.execute("grant usage on schema public to anon, authenticated, service_role")


def let_develop(dsn: str) -> None:
    """The developer may create objects in `public`, which are open in the same way."""
    with psycopg.connect(dsn) as connection:
        _open_objects_of(connection, DEVELOPER)
        connection.execute(f"grant usage, create on schema public to {DEVELOPER}".encode())


def _open_objects_of(connection: psycopg.Connection[Any], role: str) -> None:
    for kind in OPEN_BY_DEFAULT:
        connection.execute(
            sql.SQL(
                "alter default privileges for role {} in schema public grant all on {} to"
                " anon, authenticated, service_role"
            ).format(sql.Identifier(role), sql.SQL(kind))
        )


def authenticator_dsn(dsn: str) -> str:
    """The DSN that PostgREST logs in with."""
    return conninfo.make_conninfo(dsn, user=LOGIN, password=LOGIN)


def new_secret() -> str:
    """A secret to sign tokens with."""
    return secrets.token_hex(32)


def sign(claims: dict[str, Any], secret: str, algorithm: str = "HS256") -> str:
    """A JWT; the algorithm `none` leaves the signature empty."""
    head = _base64({"alg": algorithm, "typ": "JWT"})
    body = _base64(claims)
    digest = hmac.digest(secret.encode(), f"{head}.{body}".encode(), hashlib.sha256)
    signature = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return f"{head}.{body}.{signature if algorithm != 'none' else ''}"


def claims_of(role: str, user_id: str | None = None, **more: Any) -> dict[str, Any]:
    """The claims of a token that is good for an hour."""
    now = int(time.time())
    user = {} if user_id is None else {"sub": user_id}
    return {"role": role, **user, "iat": now, "exp": now + 3600, **more}


def _base64(value: dict[str, Any]) -> str:
    text = json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()
