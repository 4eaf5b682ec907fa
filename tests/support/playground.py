"""A migrated database on a throwaway server, to try things in: `make db` and `make psql`.

It runs on the server programs the tests would use; where there are none with PL/Python, on the
embedded PostgreSQL, with the portable evaluator.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import suppress

from ducto_pg.install.embedded import Cluster, EmbeddedError, embedded_binaries
from ducto_pg.install.migrate import migrate
from tests.support.server import local_programs

DATABASE = "ducto"


def main() -> int:
    """Run until Ctrl-C, or until psql is left; the server is gone afterwards."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        bin_dir = local_programs() or embedded_binaries()
        with Cluster(bin_dir) as cluster, suppress(KeyboardInterrupt):
            _serve(cluster, psql="--psql" in sys.argv[1:])
    except EmbeddedError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _serve(cluster: Cluster, *, psql: bool) -> None:
    import psycopg

    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute(f"create database {DATABASE}".encode())
    dsn = cluster.dsn(DATABASE)
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
