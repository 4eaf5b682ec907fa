"""Install ducto-pg into a database, or upgrade it.

Guarantees: one transaction, so that a failed or killed run leaves the database as it was; running
it again changes nothing; any number of runs at once take their turn; where a lock cannot be had at
once it is tried again later, so that charges never queue behind it for long; a migration that was
edited after it had been applied is refused; an error names the file and line.

    from ducto_pg.install.migrate import migrate, status

    report = migrate("postgresql://localhost/app")
    print(report.evaluator, report.applied)
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from ducto_pg import __version__
from ducto_pg.install import blocks
from ducto_pg.install.manifest import Manifest, MigrationError, line_of, load_manifest
from ducto_pg.install.script import (
    LOCK_TIMEOUT_MS,
    SETTINGS,
    Choices,
    Evaluator,
    Level,
    Section,
    build_sections,
    join_sections,
)

__all__ = [
    "Choices",
    "MigrationError",
    "MigrationReport",
    "Status",
    "build_script",
    "migrate",
    "status",
]

Connection = psycopg.Connection[Any]
NOTICE = "ducto: "
PINNED = "set local search_path = pg_catalog, pg_temp"
RETRIES = 10
# The first pause; each one is half as long again as the one before.
PAUSE_SECONDS = 0.5
PAUSE_MAX_SECONDS = 8.0
PUBLIC_MAY_CREATE = (
    "PUBLIC may create objects in the schema public, so that anybody who can log in can put a "
    "function of the same name beside one of ducto-pg's: revoke create on schema public from public"
)


class Blocked(MigrationError):
    """A lock could not be had in time."""


@dataclass(frozen=True)
class Status:
    """What is installed in a database, beside what this package would install.

    ``version`` and ``evaluator`` are None where nothing is installed. ``pending`` are migrations
    not applied yet, ``edited`` those whose file no longer is the one that was applied, ``unknown``
    those of a newer release. ``next_evaluator`` is what ``ducto migrate`` would choose. ``owner``
    is the role it runs as, ``warnings`` are sentences about what is unsafe in this database.
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
    owner: str | None = None
    role_prefix: str | None = None
    warnings: tuple[str, ...] = ()

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


def build_script(
    choices: Choices | None = None,
    *,
    transaction: bool = True,
    manifest: Manifest | None = None,
) -> str:
    """One SQL file that installs or upgrades, for psql or any other migrator.

    Without ``transaction`` it is a single statement, for tools that bring their own transaction.
    """
    sections = build_sections(manifest or load_manifest(), choices)
    return join_sections(sections, transaction=transaction)


def migrate(
    conninfo_or_connection: str | Connection,
    *,
    evaluator: Evaluator = "auto",
    role_prefix: str | None = None,
    create_roles: bool | None = None,
    grants: Mapping[str, Level] | None = None,
    revokes: tuple[str, ...] = (),
    lock_timeout_ms: int = LOCK_TIMEOUT_MS,
    retries: int = RETRIES,
    on_retry: Callable[[str], None] | None = None,
    dry_run: bool = False,
    manifest: Manifest | None = None,
) -> MigrationReport:
    """Install or upgrade, in one transaction; raises MigrationError, having changed nothing.

    On a connection that is in a transaction already, it becomes part of that transaction. A lock
    that cannot be had within ``lock_timeout_ms`` is tried again so many times, after longer and
    longer pauses; ``on_retry`` is told each time who is in the way. What the other arguments
    leave out stays as it was chosen before (``Choices``).
    """
    choices = Choices(
        evaluator, role_prefix, create_roles, dict(grants or {}), revokes, lock_timeout_ms
    )
    manifest = manifest or load_manifest()
    sections = build_sections(manifest, choices)
    with _connection(conninfo_or_connection) as connection:
        if dry_run:
            return _plan(connection, manifest, evaluator)
        for retry in range(retries + 1):
            try:
                return _apply(connection, manifest, sections)
            except Blocked as error:
                reason = _who_blocks(connection, str(error), lock_timeout_ms)
                if retry == retries:
                    raise MigrationError(
                        f"gave up after {retries + 1} attempts, having changed nothing: {reason}"
                    ) from error
                pause = min(PAUSE_SECONDS * 1.5**retry, PAUSE_MAX_SECONDS)
                pause *= random.uniform(0.75, 1.25)
                if on_retry is not None:
                    on_retry(f"{reason}; trying again in {pause:.1f} s")
                time.sleep(pause)
        raise MigrationError("the number of retries is 0 or more")


def status(conninfo_or_connection: str | Connection, *, manifest: Manifest | None = None) -> Status:
    """What is installed and what is pending; changes nothing."""
    with _connection(conninfo_or_connection) as connection:
        return _status(connection, manifest or load_manifest(), "auto")


@contextmanager
def _connection(conninfo_or_connection: str | Connection) -> Iterator[Connection]:
    if not isinstance(conninfo_or_connection, str):
        yield conninfo_or_connection
        return
    options: dict[str, Any] = {"autocommit": True, "client_encoding": "utf8"}
    with psycopg.connect(conninfo_or_connection, **options) as connection:
        yield connection


def _plan(connection: Connection, manifest: Manifest, evaluator: Evaluator) -> MigrationReport:
    with _looking(connection) as cursor:
        cursor.execute(PINNED)
        _refuse_others(cursor)
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
        notes=found.warnings,
        dry_run=True,
    )


def _refuse_others(cursor: psycopg.Cursor[Any]) -> None:
    """Only the owner of what is installed, or a member of it, could do what the plan says."""
    owner = _become_owner(cursor)
    if owner is not None:
        raise MigrationError(
            f"schema ducto belongs to {owner}; migrate as {owner} or a member of it"
        )


def _become_owner(cursor: psycopg.Cursor[Any]) -> str | None:
    """Act as the owner until the transaction ends; its name where this role may not.

    Only a member that does not inherit has to become it.
    """
    cursor.execute(
        "select pg_get_userbyid(n.nspowner) from pg_namespace as n"
        " where n.nspname = 'ducto' and not pg_has_role(n.nspowner, 'usage')"
    )
    row = cursor.fetchone()
    if row is None:
        return None
    try:
        with cursor.connection.transaction():
            cursor.execute("select set_config('role', %s, true)", row)
    except psycopg.errors.InsufficientPrivilege:
        return str(row[0])
    return None


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
            warnings = _warnings(connection)
    finally:
        connection.remove_notice_handler(collect)
    return MigrationReport(
        version=__version__,
        evaluator=evaluator,
        applied=applied,
        routines=_count_routines(manifest, evaluator),
        notes=(*notes, *warnings),
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
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
        raise Blocked(section.title) from error
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
    if isinstance(error, psycopg.errors.DependentObjectsStillExist):
        message = (
            f"{message}: {diagnostic.message_detail}. Drop or change what depends on it, then "
            "migrate again"
        )
    if isinstance(error, psycopg.errors.InsufficientPrivilege) and "must be owner" in message:
        message = f"{message}: somebody else made one of that name; drop it, then migrate again"
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


@contextmanager
def _looking(connection: Connection) -> Iterator[psycopg.Cursor[Any]]:
    """A cursor that leaves nothing behind, no setting either."""
    with (
        connection.transaction(force_rollback=True),
        connection.cursor(row_factory=psycopg.rows.tuple_row) as cursor,
    ):
        yield cursor


def _who_blocks(connection: Connection, step: str, lock_timeout_ms: int) -> str:
    """The oldest sessions that hold what the step needed, as far as this role may see them."""
    with _looking(connection) as cursor:
        cursor.execute(PINNED)
        cursor.execute(BLOCKERS, (lock_timeout_ms,))
        sessions = [_session(*row) for row in cursor]
    who = "; ".join(sessions) if sessions else "a session that has gone meanwhile"
    return f"{step} needs a lock that another session holds: {who}"


BLOCKERS = """
    select l.pid, a.application_name, a.usename::text, a.state,
        extract(epoch from clock_timestamp() - a.xact_start)::float8,
        extract(epoch from clock_timestamp() - a.query_start)::float8
    from pg_catalog.pg_locks as l
    join pg_catalog.pg_database as d on d.oid = l.database and d.datname = current_database()
    join pg_catalog.pg_class as c on c.oid = l.relation
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'ducto'
    left join pg_catalog.pg_stat_activity as a on a.pid = l.pid
    where l.granted
        and l.pid <> pg_backend_pid()
        and (a.xact_start is null or a.xact_start < clock_timestamp() - %s * interval '1 ms')
    group by 1, 2, 3, 4, 5, 6, a.xact_start
    order by a.xact_start nulls last
    limit 3
"""


def _session(
    pid: int,
    application: str | None,
    user: str | None,
    state: str | None,
    transaction_seconds: float | None,
    query_seconds: float | None,
) -> str:
    facts = [application or "no application name"]
    facts += [f"role {user}"] if user else []
    facts += [state] if state else []
    if transaction_seconds is not None:
        facts.append(f"transaction open for {transaction_seconds:.0f} s")
    if query_seconds is not None:
        facts.append(f"last query begun {query_seconds:.0f} s ago")
    return f"pid {pid} ({', '.join(facts)})"


def _warnings(connection: Connection) -> tuple[str, ...]:
    with connection.cursor(row_factory=psycopg.rows.tuple_row) as cursor:
        cursor.execute(
            "select exists (select from pg_catalog.pg_namespace as n"
            " cross join lateral aclexplode(n.nspacl) as x"
            " where n.nspname = 'public' and x.grantee = 0 and x.privilege_type = 'CREATE')"
        )
        return (PUBLIC_MAY_CREATE,) if _first(cursor.fetchone()) else ()


def _planted(cursor: psycopg.Cursor[Any]) -> Iterator[str]:
    """What others have put beside the API; a run says the same itself."""
    cursor.execute(
        "select p.oid::regprocedure::text, pg_get_userbyid(p.proowner)"
        " from pg_proc as p join pg_namespace as n on n.nspname = 'ducto'"
        " where p.pronamespace = 'public'::regnamespace and starts_with(p.proname, 'ducto_')"
        " and p.proowner <> n.nspowner order by 1"
    )
    for name, owner in cursor:
        yield (
            f"{name} is not part of ducto-pg: it belongs to {owner}, and calls may reach it "
            "instead of the function of that name"
        )


def _count_routines(manifest: Manifest, evaluator: str) -> int:
    return len(manifest.signatures(plpython=evaluator == "plpython"))


def _status(connection: Connection, manifest: Manifest, evaluator: Evaluator) -> Status:
    with _looking(connection) as cursor:
        cursor.execute(PINNED)
        recorded, settings = _recorded(cursor)
        next_evaluator = _next_evaluator(cursor, manifest, evaluator, settings)
        cursor.execute(
            "select split_part(current_setting('server_version'), ' ', 1), (select"
            " pg_get_userbyid(n.nspowner) from pg_namespace as n where n.nspname = 'ducto')"
        )
        server_version, owner = cursor.fetchone() or ("", None)
        warnings = (*_warnings(connection), *_planted(cursor))
    found = _compared(manifest, recorded, settings, next_evaluator, server_version)
    return replace(found, owner=owner, warnings=warnings)


def status_of(answer: Mapping[str, Any], *, manifest: Manifest | None = None) -> Status:
    """What is installed where only the API can be reached, from what ducto_version tells."""
    recorded = {m["version"]: (m["name"], m["sha256"]) for m in answer["migrations"]}
    settings = {name: answer[name] for name in ("version", "evaluator")}
    server_version = str(answer["postgresql"]).split(" ")[0]
    manifest = manifest or load_manifest()
    return _compared(manifest, recorded, settings, settings["evaluator"], server_version)


def _compared(
    manifest: Manifest,
    recorded: Mapping[int, tuple[str, str]],
    settings: Mapping[str, str],
    next_evaluator: str,
    server_version: str,
) -> Status:
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
        role_prefix=settings.get("role_prefix"),
    )


def _recorded(
    cursor: psycopg.Cursor[Any],
) -> tuple[dict[int, tuple[str, str]], dict[str, str]]:
    """Migrations and settings of the database, read as its owner or through the API."""
    cursor.execute(
        "select exists (select from pg_class as c join pg_namespace as n on n.oid = c.relnamespace"
        " where n.nspname = 'ducto' and c.relname = 'settings')"
    )
    if not _first(cursor.fetchone()):
        return {}, {}
    cursor.execute(f"select exists ({blocks.FOREIGN})".encode())
    if _first(cursor.fetchone()):
        raise MigrationError(blocks.FOREIGN_REFUSAL)
    if _become_owner(cursor) is None:
        cursor.execute("select m.version, m.name, m.sha256 from ducto.migrations as m")
        recorded = {version: (name, sha256) for version, name, sha256 in cursor}
        cursor.execute("select s.key, s.value from ducto.settings as s")
        return recorded, dict(cursor.fetchall())
    cursor.execute("select public.ducto_version()")
    facts = _first(cursor.fetchone())
    facts = json.loads(facts) if isinstance(facts, str) else facts
    recorded = {
        int(entry["version"]): (entry["name"], entry["sha256"]) for entry in facts["migrations"]
    }
    return recorded, {key: facts[key] for key in ("version", "evaluator")}


def _next_evaluator(
    cursor: psycopg.Cursor[Any],
    manifest: Manifest,
    evaluator: Evaluator,
    settings: dict[str, str],
) -> str:
    """What the script's own choice would be, without trying to create the language."""
    installed = settings.get("evaluator")
    requested: str = installed or "plpython" if evaluator == "auto" else evaluator
    if requested == "portable" or not manifest.plpython:
        return "portable"
    if evaluator == "auto" and installed == "plpython":
        return "plpython"
    cursor.execute(
        "select exists (select from pg_catalog.pg_available_extensions"
        " where name = 'plpython3u') and (select rolsuper from pg_catalog.pg_roles"
        " where rolname = current_user)"
    )
    available = _first(cursor.fetchone())
    if evaluator == "plpython" and not available:
        raise MigrationError("PL/Python cannot be used in this database: use the portable one")
    return "plpython" if available else "portable"
