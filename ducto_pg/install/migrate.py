"""Install ducto-pg into a database, or upgrade it.

Guarantees: one transaction, so that a failed or killed run leaves the database as it was; running
it again changes nothing; any number of runs at once take their turn on an advisory lock; a
migration that was edited after it had been applied is refused; an error names the file and line.

    from ducto_pg.install.migrate import migrate, status

    report = migrate("postgresql://localhost/app")
    print(report.evaluator, report.applied)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from ducto_pg import __version__
from ducto_pg.install.manifest import Manifest, MigrationError, line_of, load_manifest
from ducto_pg.install.script import (
    SETTINGS,
    Evaluator,
    Section,
    build_sections,
    join_sections,
)

__all__ = [
    "MigrationError",
    "MigrationReport",
    "Status",
    "build_script",
    "migrate",
    "status",
]

Connection = psycopg.Connection[Any]
NOTICE = "ducto: "


@dataclass(frozen=True)
class Status:
    """What is installed in a database, beside what this package would install.

    ``version`` and ``evaluator`` are None where nothing is installed. ``pending`` are migrations
    not applied yet, ``edited`` those whose file no longer is the one that was applied, ``unknown``
    those of a newer release. ``next_evaluator`` is what ``ducto migrate`` would choose.
    """

    version: str | None
    package_version: str
    evaluator: str | None
    next_evaluator: str
    applied: tuple[str, ...]
    pending: tuple[str, ...]
    edited: tuple[str, ...]
    unknown: tuple[str, ...]
    server_version: str

    @property
    def up_to_date(self) -> bool:
        """Whether the database holds this release, completely."""
        return self.version == self.package_version and not (
            self.pending or self.edited or self.unknown
        )


@dataclass(frozen=True)
class MigrationReport:
    """What a run did, or with ``dry_run`` would do.

    ``applied`` are the migrations run, ``notes`` sentences about what could not be had (PL/Python,
    roles) and what was dropped.
    """

    version: str
    evaluator: str
    applied: tuple[str, ...]
    routines: int
    notes: tuple[str, ...]
    dry_run: bool


def build_script(evaluator: Evaluator = "auto", *, manifest: Manifest | None = None) -> str:
    """One SQL file that installs or upgrades, for psql or any other migrator."""
    return join_sections(build_sections(manifest or load_manifest(), evaluator))


def migrate(
    conninfo_or_connection: str | Connection,
    *,
    evaluator: Evaluator = "auto",
    dry_run: bool = False,
    manifest: Manifest | None = None,
) -> MigrationReport:
    """Install or upgrade, in one transaction; raises MigrationError, having changed nothing.

    On a connection that is in a transaction already, it becomes part of that transaction.
    """
    manifest = manifest or load_manifest()
    sections = build_sections(manifest, evaluator)
    with _connection(conninfo_or_connection) as connection:
        if dry_run:
            return _plan(connection, manifest, evaluator)
        return _apply(connection, manifest, sections)


def status(conninfo_or_connection: str | Connection, *, manifest: Manifest | None = None) -> Status:
    """What is installed and what is pending; changes nothing."""
    with _connection(conninfo_or_connection) as connection:
        return _status(connection, manifest or load_manifest(), "auto")


@contextmanager
def _connection(conninfo_or_connection: str | Connection) -> Iterator[Connection]:
    if not isinstance(conninfo_or_connection, str):
        yield conninfo_or_connection
        return
    with psycopg.connect(conninfo_or_connection, autocommit=True) as connection:
        yield connection


def _plan(connection: Connection, manifest: Manifest, evaluator: Evaluator) -> MigrationReport:
    found = _status(connection, manifest, evaluator)
    if found.unknown:
        raise MigrationError(
            f"this database has migrations that ducto-pg {__version__} does not know: "
            f"{', '.join(found.unknown)}; upgrade ducto-pg here"
        )
    if found.edited:
        raise MigrationError(
            f"edited after it had been applied to this database: {', '.join(found.edited)}"
        )
    return MigrationReport(
        version=__version__,
        evaluator=found.next_evaluator,
        applied=found.pending,
        routines=_count_routines(manifest, found.next_evaluator),
        notes=(),
        dry_run=True,
    )


def _apply(
    connection: Connection, manifest: Manifest, sections: tuple[Section, ...]
) -> MigrationReport:
    notes: list[str] = []

    def collect(diagnostic: psycopg.errors.Diagnostic) -> None:
        text = diagnostic.message_primary or ""
        if text.startswith(NOTICE):
            notes.append(text.removeprefix(NOTICE))

    connection.add_notice_handler(collect)
    try:
        with _transaction(connection):
            for section in sections:
                _run(connection, section)
            applied, evaluator = _outcome(connection)
    finally:
        connection.remove_notice_handler(collect)
    return MigrationReport(
        version=__version__,
        evaluator=evaluator,
        applied=applied,
        routines=_count_routines(manifest, evaluator),
        notes=tuple(notes),
        dry_run=False,
    )


@contextmanager
def _transaction(connection: Connection) -> Iterator[None]:
    """A transaction, or a savepoint of the caller's one, that leaves no setting behind."""
    idle = connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    with connection.transaction():
        if idle:
            # Waiting for the lock must not pin a snapshot from before it was granted.
            connection.execute("set transaction isolation level read committed, read write")
            yield
            return
        before = [(name, _value(connection, name)) for name in SETTINGS]
        yield
        for name, value in before:
            connection.execute("select pg_catalog.set_config(%s, %s, true)", (name, value))


def _value(connection: Connection, setting: str) -> Any:
    row = connection.execute("select pg_catalog.current_setting(%s)", (setting,)).fetchone()
    return _first(row)


def _first(row: Any) -> Any:
    """The only column of a row, whatever row factory the caller's connection has."""
    return next(iter(row.values())) if isinstance(row, dict) else row[0]


def _run(connection: Connection, section: Section) -> None:
    try:
        # Without parameters the text is sent as it is, however many statements it holds.
        with psycopg.ClientCursor(connection) as cursor:
            cursor.execute(section.text.encode(connection.info.encoding))
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        raise MigrationError(_explain(section, error)) from error


def _explain(section: Section, error: psycopg.Error) -> str:
    """The server's message, led by the file and line it is about where they can be told."""
    diagnostic = error.diag
    message = diagnostic.message_primary or str(error).strip()
    if diagnostic.message_hint and diagnostic.sqlstate == "P0001":
        message = f"{message}. {diagnostic.message_hint}"
    if isinstance(error, psycopg.errors.InvalidFunctionDefinition):
        message = f"{message}; drop the old signature in sql/retired.sql"
    place = _place(section, diagnostic)
    if place is None and diagnostic.sqlstate != "P0001":
        place = section.title
        if diagnostic.context:
            message = f"{message} ({diagnostic.context.splitlines()[0]})"
    return f"{place}: {message}" if place else message


def _place(section: Section, diagnostic: psycopg.errors.Diagnostic) -> str | None:
    """File and line of an error in a file sent as it is, or executed inside a block."""
    for source in section.sources:
        if source.text == section.text and diagnostic.statement_position:
            line = line_of(source.text, int(diagnostic.statement_position) - 1)
            return f"{source.path}, line {line}"
        if source.text == diagnostic.internal_query and diagnostic.internal_position:
            line = line_of(source.text, int(diagnostic.internal_position) - 1)
            return f"{source.path}, line {line}"
    return None


def _outcome(connection: Connection) -> tuple[tuple[str, ...], str]:
    with connection.cursor(row_factory=psycopg.rows.tuple_row) as cursor:
        cursor.execute(
            "select to_char(m.version, 'FM0000') || '_' || m.name from ducto.migrations as m"
            " where m.applied_at = now() order by m.version"
        )
        applied = tuple(row[0] for row in cursor)
        cursor.execute("select s.value from ducto.settings as s where s.key = 'evaluator'")
        row = cursor.fetchone()
    return applied, row[0] if row else "portable"


def _count_routines(manifest: Manifest, evaluator: str) -> int:
    return len(manifest.signatures(plpython=evaluator == "plpython"))


def _status(connection: Connection, manifest: Manifest, evaluator: Evaluator) -> Status:
    with connection.transaction(), connection.cursor(row_factory=psycopg.rows.tuple_row) as cursor:
        cursor.execute("select to_regclass('ducto.migrations') is not null")
        installed = _first(cursor.fetchone())
        recorded: dict[int, tuple[str, str]] = {}
        settings: dict[str, str] = {}
        if installed:
            cursor.execute("select m.version, m.name, m.sha256 from ducto.migrations as m")
            recorded = {version: (name, sha256) for version, name, sha256 in cursor}
            cursor.execute("select s.key, s.value from ducto.settings as s")
            settings = dict(cursor.fetchall())
        next_evaluator = _next_evaluator(cursor, manifest, evaluator, settings)
        cursor.execute("select split_part(current_setting('server_version'), ' ', 1)")
        server_version = _first(cursor.fetchone())
    known = {migration.version: migration for migration in manifest.migrations}
    return Status(
        version=settings.get("version"),
        package_version=__version__,
        evaluator=settings.get("evaluator"),
        next_evaluator=next_evaluator,
        applied=tuple(f"{number:04}_{recorded[number][0]}" for number in sorted(recorded)),
        pending=tuple(
            f"{number:04}_{known[number].name}" for number in known if number not in recorded
        ),
        edited=tuple(
            known[number].file.path
            for number in known
            if number in recorded and recorded[number][1] != known[number].sha256
        ),
        unknown=tuple(
            f"{number:04}_{recorded[number][0]}" for number in sorted(recorded.keys() - known)
        ),
        server_version=server_version,
    )


def _next_evaluator(
    cursor: psycopg.Cursor[Any],
    manifest: Manifest,
    evaluator: Evaluator,
    settings: dict[str, str],
) -> str:
    """What the script's own choice would be, without trying to create the language."""
    requested: str = evaluator
    if requested == "auto":
        requested = settings.get("evaluator_requested", "auto")
    if requested == "portable" or not manifest.plpython:
        return "portable"
    cursor.execute(
        "select exists (select from pg_catalog.pg_available_extensions"
        " where name = 'plpython3u') and (select rolsuper from pg_catalog.pg_roles"
        " where rolname = current_user)"
    )
    available = _first(cursor.fetchone())
    if requested == "plpython" and not available:
        raise MigrationError("PL/Python cannot be used in this database: use the portable one")
    return "plpython" if available else "portable"
