"""Webhooks: events sent over HTTP, signed so that the receiver can tell where they are from.

The header `Ducto-Signature` is `t=TIME,v1=SIGNATURE`: the seconds since 1970, and the hexadecimal
HMAC-SHA256, keyed with the shared secret, of the time, a full stop and the body. Whoever receives
one checks it with `verify_signature`, or with the three lines that this takes in any language.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from typing import Any

from ducto_pg import exact_json
from ducto_pg.client.events import CreditEvent

__all__ = ["SIGNATURE_HEADER", "WebhookError", "WebhookSender", "sign", "verify_signature"]

SIGNATURE_HEADER = "Ducto-Signature"
TOLERANCE_SECONDS = 300
TIMEOUT_SECONDS = 10.0


class WebhookError(Exception):
    """The receiver did not take an event: it did not answer, or not with a status of 2xx."""


def event_json(event: CreditEvent) -> str:
    """An event as it is sent: what it says of itself, without the cursor."""
    return exact_json.dumps(
        {
            "event_id": event.event_id,
            "type": event.type,
            "user_id": event.user_id,
            "team_id": event.team_id,
            "occurred_at": event.occurred_at,
            "data": event.data,
        }
    )


def sign(secret: str, body: bytes, timestamp: int) -> str:
    """The value of the signature header."""
    return f"t={timestamp},v1={_digest(secret, body, str(timestamp))}"


def _digest(secret: str, body: bytes, timestamp: str) -> str:
    message = timestamp.encode() + b"." + body
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def verify_signature(
    secret: str | Sequence[str],
    body: bytes,
    header: str | None,
    *,
    tolerance_seconds: float = TOLERANCE_SECONDS,
) -> bool:
    """Whether a body was signed with the secret (or one of several), and not too long ago.

    Whatever else the header holds, or a request without one (None), is not signed.
    """
    if not isinstance(header, str) or not header.isascii():
        return False
    pairs = dict(part.split("=", 1) for part in header.split(",") if "=" in part)
    timestamp, signature = pairs.get("t", ""), pairs.get("v1", "")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 15):
        return False
    if abs(time.time() - int(timestamp)) > tolerance_seconds:
        return False
    secrets = [secret] if isinstance(secret, str) else secret
    return any(
        hmac.compare_digest(_digest(each, body, timestamp).encode(), signature.encode())
        for each in secrets
    )


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would send a signed event to somebody who was not configured."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class WebhookSender:
    """A handler that posts each event to a URL; what is not taken is tried again."""

    def __init__(
        self, url: str, secret: str | None = None, *, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("a webhook is an http:// or https:// URL")
        self._url = url
        self._secret = secret
        self._timeout = timeout_seconds
        self._opener = urllib.request.build_opener(_NoRedirects)

    def __call__(self, event: CreditEvent) -> None:
        """Send it; raises WebhookError unless the receiver says it has it."""
        body = event_json(event).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "ducto-pg",
            "Ducto-Event": event.type,
            "Ducto-Event-Id": str(event.event_id),
        }
        if self._secret is not None:
            headers[SIGNATURE_HEADER] = sign(self._secret, body, int(time.time()))
        request = urllib.request.Request(self._url, body, headers, method="POST")
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                status = response.status
        except urllib.error.HTTPError as error:
            error.close()
            status = error.code
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise WebhookError(f"the receiver does not answer: {reason}") from error
        if not 200 <= status < 300:
            raise WebhookError(f"the receiver answers with status {status}")
