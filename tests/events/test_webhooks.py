"""Webhooks: what is sent, how it is signed, and what counts as taken."""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from ducto_pg import CreditEvent, exact_json, verify_signature
from ducto_pg.client.webhooks import WebhookError, WebhookSender, sign

EVENT = CreditEvent(
    event_id=7,
    type="credits.low_balance",
    user_id="ann",
    occurred_at=datetime(2026, 5, 1, 12, tzinfo=UTC),
    data={"threshold": Decimal("20.50"), "balance": 15},
    cursor="secret",
)


@dataclass
class Receiver:
    """A web server that remembers what it is sent."""

    statuses: list[int] = field(default_factory=list)
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    seconds: float = 0
    url: str = ""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that answers with its statuses in turn, then with 204."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.requests.append((dict(self.headers), body))
            time.sleep(receiver.seconds)
            self.send_response(receiver.statuses.pop(0) if receiver.statuses else 204)
            self.send_header("Location", receiver.url)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}/hook"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield receiver
        server.shutdown()
        thread.join()


def test_an_event_is_posted_as_json_and_signed(receiver: Receiver) -> None:
    WebhookSender(receiver.url, "s3cret")(EVENT)
    ((headers, body),) = receiver.requests
    assert exact_json.loads(body) == {
        "event_id": 7,
        "type": "credits.low_balance",
        "user_id": "ann",
        "team_id": None,
        "occurred_at": "2026-05-01T12:00:00+00:00",
        "data": {"threshold": Decimal("20.5"), "balance": 15},
    }
    assert headers["Content-Type"] == "application/json"
    assert (headers["Ducto-Event"], headers["Ducto-Event-Id"]) == ("credits.low_balance", "7")
    assert verify_signature("s3cret", body, headers["Ducto-Signature"])
    assert verify_signature(["other", "s3cret"], body, headers["Ducto-Signature"])


def test_the_signature_is_what_the_documentation_says() -> None:
    expected = hmac.new(b"s3cret", b"1700000000.body", hashlib.sha256).hexdigest()
    assert sign("s3cret", b"body", 1700000000) == f"t=1700000000,v1={expected}"


def test_what_was_changed_or_is_old_is_not_accepted() -> None:
    header = sign("s3cret", b"body", int(time.time()))
    assert verify_signature("s3cret", b"body", header)
    assert not verify_signature("other", b"body", header)
    assert not verify_signature("s3cret", b"body!", header)
    assert not verify_signature("s3cret", b"body", header.replace("t=", "t=1"))
    assert not verify_signature("s3cret", b"body", sign("s3cret", b"body", int(time.time()) - 301))
    assert verify_signature(
        "s3cret", b"body", sign("s3cret", b"body", int(time.time()) - 301), tolerance_seconds=400
    )
    for text in ("", "t=", "v1=", "t=x,v1=y", "t=²,v1=é", "nonsense", f"{header[:20]}"):
        assert not verify_signature("s3cret", b"body", text)


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 410, 500, 503])
def test_any_other_status_than_2xx_is_a_failure(receiver: Receiver, status: int) -> None:
    receiver.statuses.append(status)
    with pytest.raises(WebhookError, match=str(status)):
        WebhookSender(receiver.url)(EVENT)
    assert len(receiver.requests) == 1


def test_a_receiver_that_takes_too_long_has_not_taken_it(receiver: Receiver) -> None:
    receiver.seconds = 0.5
    with pytest.raises(WebhookError, match="does not answer"):
        WebhookSender(receiver.url, timeout_seconds=0.05)(EVENT)


def test_a_receiver_that_is_not_there_has_not_taken_it(receiver: Receiver) -> None:
    with pytest.raises(WebhookError, match="does not answer"):
        WebhookSender("http://127.0.0.1:1/")(EVENT)


@pytest.mark.parametrize("url", ["", "example.com", "file:///etc/passwd", "http://", "ftp://x/"])
def test_only_web_addresses_are_addresses(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        WebhookSender(url)
