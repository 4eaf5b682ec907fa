"""Installing: everything or nothing, any number of times, at once, and by any of its ways."""

from __future__ import annotations

from ducto_pg.migrate import migrate
from tests.support.databases import Connection
from tests.support.server import Server


def test_the_server_is_the_one_the_run_claims(cluster: Server, db: Connection) -> None:
    row = db.execute("select current_setting('server_version')").fetchone()
    assert row is not None
    assert row[0].split()[0] == cluster.version
    assert cluster.version in cluster.rung


def test_running_again_changes_nothing(both: Connection) -> None:
    report = migrate(both)
    assert report.applied == ()
    assert report.notes == ()
