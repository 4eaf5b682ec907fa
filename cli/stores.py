"""Which store the commands work over: the database of a DSN, or a Supabase project's HTTP API.

`--dsn` goes first, then the environment, then `.env` here; in each of the two, DATABASE_URL goes
before SUPABASE_URL with SUPABASE_SERVICE_ROLE_KEY.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from ducto_pg.cli.common import connect, read_env_file, resolve_dsn

if TYPE_CHECKING:
    from ducto_pg.client.store import Store

__all__ = ["is_project", "open_store", "supabase_project"]


@contextmanager
def open_store(dsn: str | None) -> Iterator[Store]:
    """The store that the user means, closed at the end."""
    project = _project(dsn)
    if project is None:
        from ducto_pg.client.store import PostgresStore

        # Closed without a commit, which autocommit leaves nothing for, and which would wait for a
        # call that another thread has given up.
        with closing(connect(dsn)) as connection:
            yield PostgresStore(connection)
        return
    from ducto_pg.client.supabase import SupabaseStore

    with SupabaseStore(*project) as store:
        yield store


def is_project(dsn: str | None) -> bool:
    """Whether the user means a Supabase project, where only the HTTP API can be reached."""
    return _project(dsn) is not None


def _project(dsn: str | None) -> tuple[str, str] | None:
    return None if dsn is not None else supabase_project(os.environ, read_env_file())


@contextmanager
def lasting_store(dsn: str | None) -> Iterator[tuple[Store, str | None]]:
    """A store that connects again after a loss, and the DSN behind it, if there is one."""
    if dsn is None and supabase_project(os.environ, read_env_file()) is not None:
        with open_store(dsn) as store:
            yield store, None
        return
    from ducto_pg.client.store import PostgresStore

    # Whether the database answers is said in a sentence, before anything waits for it.
    connect(dsn).close()
    text = resolve_dsn(dsn)
    with PostgresStore(text) as store:
        yield store, text


def supabase_project(*places: Mapping[str, str]) -> tuple[str, str] | None:
    """URL and key of the project that the first place with any database names."""
    for place in places:
        if place.get("DATABASE_URL"):
            return None
        url, key = place.get("SUPABASE_URL"), place.get("SUPABASE_SERVICE_ROLE_KEY")
        if url and key:
            return url, key
    return None
