"""A migrated database on a throwaway server, to try things in: `make db` and `make psql`.

It runs on the server programs the tests would use; where there are none with PL/Python, on the
embedded PostgreSQL, with the portable evaluator. What it prints can be given to a shell as it is.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from types import FrameType

from ducto_pg.install.embedded import PORT, Cluster, EmbeddedError
from ducto_pg.install.migrate import migrate
from tests.support.server import server_programs

DATABASE = "ducto"


def main() -> int:
    """Run until Ctrl-C, or until psql is left; the server is gone afterwards."""
    # A shell starts what runs in the background with SIGINT ignored, so it is not left to Python.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        bin_dir = server_programs()
        with Cluster(bin_dir) as cluster:
            _serve(cluster, psql="--psql" in sys.argv[1:])
    except EmbeddedError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


def _dsn(cluster: Cluster) -> str:
    """Without a character that means anything to a shell: a URI's `?` and `&` do."""
    socket = str(cluster.directory).replace("/", "%2F")
    return f"postgresql://postgres@{socket}:{PORT}/{DATABASE}"


def _serve(cluster: Cluster, *, psql: bool) -> None:
    import psycopg

    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute(f"create database {DATABASE}".encode())
    dsn = _dsn(cluster)
    report = migrate(dsn)
    if psql:
        # Ctrl-C belongs to psql, which cancels a query with it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        subprocess.run([str(cluster.bin_dir / "psql"), dsn])
        return
    print(dsn, flush=True)
    print(f"evaluator {report.evaluator}; Ctrl-C stops the server and deletes it", file=sys.stderr)
    signal.pause()


if __name__ == "__main__":
    sys.exit(main())
