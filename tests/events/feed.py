"""Polling and acknowledging, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg.rows import dict_row

from tests.support.databases import Connection


@dataclass
class Consumer:
    """One process of a consumer of events."""

    connection: Connection
    name: str = "billing"

    def poll(self, limit: int = 100, **arguments: Any) -> list[dict[str, Any]]:
        """ducto_poll_events."""
        names = "".join(f", p_{name} => %({name})s" for name in arguments)
        statement = f"select * from ducto_poll_events(%(consumer)s, %(limit)s{names})"
        with self.connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute(statement.encode(), {"consumer": self.name, "limit": limit, **arguments})
            return cursor.fetchall()

    def ack(self, event: dict[str, Any]) -> bool:
        """ducto_ack_events; whether it still had the lease."""
        return bool(self._call("ducto_ack_events", event)["acknowledged"])

    def release(self, event: dict[str, Any]) -> bool:
        """ducto_release_events; whether anything was left."""
        return bool(self._call("ducto_release_events", event)["released"])

    def _call(self, function: str, event: dict[str, Any]) -> dict[str, Any]:
        row = self.connection.execute(
            f"select {function}(%s, %s)".encode(), [self.name, event["cursor"]]
        ).fetchone()
        assert row is not None
        answer: dict[str, Any] = row[0]
        return answer

    def take(self, limit: int = 100, **arguments: Any) -> list[dict[str, Any]]:
        """Everything there is, acknowledged."""
        taken: list[dict[str, Any]] = []
        while found := self.poll(limit, **arguments):
            taken += found
            self.ack(found[-1])
        return taken

    def ids(self, **arguments: Any) -> list[int]:
        """The ids of everything there is, acknowledged."""
        return [event["event_id"] for event in self.take(**arguments)]


def expire_leases(connection: Connection) -> None:
    """What the passing of time does to the batches that are being worked on."""
    connection.execute("update ducto.event_cursors set leased_until = '2000-01-01'")
    connection.execute("update ducto.event_dead_letters set leased_until = '2000-01-01'")
