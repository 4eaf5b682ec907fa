"""Databases for tests: one migrated template per evaluator, and clones of it in milliseconds."""

from __future__ import annotations

import itertools
import json
import os
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import set_json_loads

from ducto_pg.install.migrate import migrate
from ducto_pg.install.script import Evaluator
from tests.support.server import Server

Connection = psycopg.Connection[Any]


def loads(text: str | bytes) -> Any:
    """JSON as the project reads it: exact decimals, never floats."""
    return json.loads(text, parse_float=Decimal)


def open_connection(dsn: str, **options: Any) -> Connection:
    """An autocommit connection that loads JSON exactly."""
    connection = psycopg.connect(dsn, autocommit=True, **options)
    set_json_loads(loads, connection)
    return connection


class Databases:
    """Creates databases on one server and drops every one of them at the end."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._prefix = f"ducto_test_{os.getpid()}"
        self._numbers = itertools.count(1)
        self._templates: dict[Evaluator, str] = {}
        self._existing: list[str] = []
        self._admin = psycopg.connect(server.dsn, autocommit=True)
        # Copying files takes a third of the time, where its checkpoints cost nothing.
        row = self._admin.execute("select current_setting('fsync')::boolean").fetchone()
        assert row is not None
        self._strategy = sql.SQL("wal_log" if row[0] else "file_copy")

    def create(self, evaluator: Evaluator | None = None) -> str:
        """The DSN of a fresh migrated database, with the evaluator the server is best at."""
        return self._create(self._template(evaluator or self.server.evaluator))

    def create_empty(self) -> str:
        """The DSN of a fresh database with nothing in it."""
        return self._create("template1")

    def drop(self, dsn: str) -> None:
        """Drop a database, whoever is connected to it."""
        name = str(psycopg.conninfo.conninfo_to_dict(dsn)["dbname"])
        self._existing.remove(name)
        self._admin.execute(
            sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
        )

    def close(self) -> None:
        """Drop what is left."""
        for name in [*self._existing]:
            self.drop(self.server.database(name))
        self._admin.close()

    def _template(self, evaluator: Evaluator) -> str:
        if evaluator not in self._templates:
            dsn = self._create("template1")
            report = migrate(dsn, evaluator=evaluator)
            assert report.evaluator == evaluator
            self._templates[evaluator] = self._existing[-1]
        return self._templates[evaluator]

    def _create(self, template: str) -> str:
        name = f"{self._prefix}_{next(self._numbers)}"
        self._admin.execute(
            sql.SQL("create database {} template {} strategy {}").format(
                sql.Identifier(name), sql.Identifier(template), self._strategy
            )
        )
        self._existing.append(name)
        return self.server.database(name)
