"""One process of a consumer, to be killed at any moment.

It writes the id and account of each event to a file before it acknowledges it, as a handler has
done its work before the listener says so.

    python -m tests.events.worker DSN CONSUMER FILE
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psycopg


def main(dsn: str, consumer: str, path: str) -> None:
    """Poll until killed."""
    with psycopg.connect(dsn, autocommit=True) as connection, Path(path).open("a") as log:
        # A line that a killed process had begun ends here, without its full stop.
        log.write("\n")
        while True:
            events = connection.execute(
                "select cursor, event_id, user_id from ducto_poll_events(%s, 200,"
                " p_lease_seconds => 1)",
                [consumer],
            ).fetchall()
            for _, event_id, user_id in events:
                log.write(f"{event_id} {user_id} .\n")
            log.flush()
            if events:
                # Time to be killed in, when the work is done and nobody knows.
                time.sleep(0.01)
                connection.execute("select ducto_ack_events(%s, %s)", [consumer, events[-1][0]])
            else:
                time.sleep(0.02)


if __name__ == "__main__":
    main(*sys.argv[1:])
