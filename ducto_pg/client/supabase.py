"""The stores for hosted Supabase, where only the HTTP API is reachable: calls over PostgREST.

`SupabaseStore(url, key)` takes a project's URL and its service role key, and needs the extra
`supabase` (the client `postgrest`). Each call is a transaction of its own. Numbers are exact: the
answer's text is parsed here, never by a parser that makes floats.

What may have happened is not simply sent again. A request that never reached the server is
repeated; so is one that found PostgREST's schema cache out of date, as it is for a moment after a
migration. One whose answer was lost is repeated only if it reads, or carries an idempotency key.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from ducto_pg import exact_json
from ducto_pg.client.answers import cap_parameters
from ducto_pg.client.arguments import text
from ducto_pg.client.results import SpendCap
from ducto_pg.client.store import checked_names, json_text
from ducto_pg.errors import (
    DatabaseError,
    DuctoError,
    InvalidArgumentError,
    NotInstalledError,
    PermissionDeniedError,
    UnavailableError,
    from_database,
)

if TYPE_CHECKING:
    import httpx
    from postgrest import AsyncPostgrestClient, SyncPostgrestClient

__all__ = ["AsyncSupabaseStore", "SupabaseStore"]

# Seconds before each repetition.
PAUSES = (0.1, 0.4, 1.0, 1.5)
# Calls that write nothing.
READS = re.compile(
    r"ducto_(get|list|check|quote|explain|calculate|reprice|version|aggregate|daily|spend|top)(_|$)"
    r"|ducto_pricing_(get|list|validate|export|diff)$"
)
# Their rows cannot be asked for a second time.
HAPPENS_ONCE = frozenset({"ducto_sweep_expired_credits"})
# PostgREST's own codes: no such function; no database or no schema cache; no valid token.
UNKNOWN_FUNCTION = "PGRST202"
NO_DATABASE = ("PGRST000", "PGRST001", "PGRST002", "PGRST003")
NO_TOKEN = ("PGRST300", "PGRST301", "PGRST302", "PGRST303")
GATEWAY_TROUBLE = frozenset({502, 503, 504, 520, 521, 522, 523, 524})
TOTAL = re.compile(r"/([0-9]+)$")


def _address(url: str) -> str:
    try:
        parts = urlsplit(text("url", url))
        usable = parts.scheme in ("http", "https") and parts.netloc and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise InvalidArgumentError(
            "url must be a project's address such as https://abc.supabase.co.",
            detail={"argument": "url"},
        )
    return url.rstrip("/") + ("" if parts.path.strip("/") else "/rest/v1")


def _headers(key: str) -> dict[str, str]:
    if not text("key", key) or not key.isascii() or not key.isprintable():
        raise InvalidArgumentError(
            "key must be the project's service role key.", detail={"argument": "key"}
        )
    return {
        "apikey": key,
        "Authorization": f"Bearer {key}",
        "Accept": "application/json",
        "Content-Type": "application/json",
    }


def _body(function: str, params: Mapping[str, Any]) -> bytes:
    checked_names(function, params)
    members = [f'"{name}":{json_text(name.removeprefix("p_"), params[name])}' for name in params]
    return ("{" + ",".join(members) + "}").encode()


def _problem(response: httpx.Response) -> DuctoError:
    """The exception for an answer that is no success."""
    try:
        error = exact_json.loads(response.content)
    except ValueError:
        error = None
    if not isinstance(error, Mapping):
        error = {"message": " ".join(response.text.split())[:200]}
    code = str(error.get("code") or "")
    message = str(error.get("message") or f"HTTP status {response.status_code}")
    if code == UNKNOWN_FUNCTION:
        return NotInstalledError(
            f"This project has no ducto-pg, or an older one: {message}.",
            hint="Run the file that `ducto migrate --sql` prints in the project's SQL editor.",
        )
    if code in NO_DATABASE or (not code and response.status_code in GATEWAY_TROUBLE):
        return UnavailableError(message)
    if code in NO_TOKEN or (not code and response.status_code in (401, 403)):
        return PermissionDeniedError(message, hint="Use the project's service role key.")
    return from_database(code, message, error.get("details"), error.get("hint"))


def _value(response: httpx.Response) -> Any:
    if not response.is_success:
        raise _problem(response)
    try:
        return exact_json.loads(response.content) if response.content else None
    except ValueError:
        raise UnavailableError("What answers at the project's address is no PostgREST.") from None


def _pause(attempt: int, error: Exception, function: str, params: Mapping[str, Any]) -> float:
    """How long to wait before the call is repeated; raises where it must not be."""
    import httpx

    if isinstance(error, NotInstalledError):
        again = True
    elif isinstance(error, httpx.TransportError):
        untouched = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
        again = untouched or bool(READS.match(function)) or "p_idempotency_key" in params
    else:
        again = isinstance(error, UnavailableError) and bool(READS.match(function))
    if again and attempt < len(PAUSES):
        return PAUSES[attempt]
    if isinstance(error, httpx.TransportError):
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UnavailableError(f"The project does not answer: {reason}.") from error
    raise error


def _is_complete(response: httpx.Response, rows: list[Any], function: str) -> bool:
    """Whether these are all rows: a project returns at most so many for one request."""
    total = TOTAL.search(response.headers.get("Content-Range", ""))
    if total is None or len(rows) >= int(total[1]):
        return True
    if function in HAPPENS_ONCE:
        raise DatabaseError(
            f"{function} did its work, but the project's row limit cut its {total[1]} rows off."
        )
    return False


def _missing(error: ImportError) -> DuctoError:
    return DuctoError(
        f"SupabaseStore needs {error.name}: pip install 'ducto-pg[supabase]' brings it."
    )


class SupabaseStore:
    """Calls over a Supabase project's HTTP API: `SupabaseStore(url, service_role_key)`.

    Raises UnavailableError when the project does not answer, PermissionDeniedError for a wrong
    key, NotInstalledError without ducto-pg. `close()`, or leaving a `with` block, closes it.
    """

    def __init__(self, url: str, key: str) -> None:
        try:
            from postgrest import SyncPostgrestClient
        except ImportError as error:
            raise _missing(error) from error
        self._headers = _headers(key)
        self._client: SyncPostgrestClient = SyncPostgrestClient(_address(url))

    def call(self, function: str, /, **params: Any) -> Any:
        """Call a function that returns one value."""
        return _value(self._post(function, params))

    def rows(self, function: str, /, **params: Any) -> list[dict[str, Any]]:
        """Call a function that returns a table; one dict a row, all of them."""
        found: list[dict[str, Any]] = []
        while True:
            response = self._post(function, params, offset=len(found), Prefer="count=exact")
            page = _value(response)
            found += page
            if not page or _is_complete(response, found, function):
                return found

    def set_spend_cap(self, cap: SpendCap) -> SpendCap:
        """Set a cap, as the manager's method does."""
        params = cap_parameters(cap.user_id, cap.cap_type, cap.limit, cap.action, cap.model)
        return SpendCap.parse(self.call("ducto_set_spend_cap", **params))

    def _post(
        self, function: str, params: Mapping[str, Any], *, offset: int = 0, **headers: str
    ) -> httpx.Response:
        body, attempt = _body(function, params), 0
        while True:
            try:
                response = self._client.session.post(
                    f"rpc/{function}",
                    params={"offset": offset} if offset else None,
                    content=body,
                    headers={**self._headers, **headers},
                )
                _value(response)
                return response
            except Exception as error:
                time.sleep(_pause(attempt, error, function, params))
                attempt += 1

    def close(self) -> None:
        """Close the connections to the project."""
        self._client.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class AsyncSupabaseStore:
    """`SupabaseStore` for asyncio."""

    def __init__(self, url: str, key: str) -> None:
        try:
            from postgrest import AsyncPostgrestClient
        except ImportError as error:
            raise _missing(error) from error
        self._headers = _headers(key)
        self._client: AsyncPostgrestClient = AsyncPostgrestClient(_address(url))

    async def call(self, function: str, /, **params: Any) -> Any:
        """Call a function that returns one value."""
        return _value(await self._post(function, params))

    async def rows(self, function: str, /, **params: Any) -> list[dict[str, Any]]:
        """Call a function that returns a table; one dict a row, all of them."""
        found: list[dict[str, Any]] = []
        while True:
            response = await self._post(function, params, offset=len(found), Prefer="count=exact")
            page = _value(response)
            found += page
            if not page or _is_complete(response, found, function):
                return found

    async def set_spend_cap(self, cap: SpendCap) -> SpendCap:
        """Set a cap, as the manager's method does."""
        params = cap_parameters(cap.user_id, cap.cap_type, cap.limit, cap.action, cap.model)
        return SpendCap.parse(await self.call("ducto_set_spend_cap", **params))

    async def _post(
        self, function: str, params: Mapping[str, Any], *, offset: int = 0, **headers: str
    ) -> httpx.Response:
        body, attempt = _body(function, params), 0
        while True:
            try:
                response = await self._client.session.post(
                    f"rpc/{function}",
                    params={"offset": offset} if offset else None,
                    content=body,
                    headers={**self._headers, **headers},
                )
                _value(response)
                return response
            except Exception as error:
                await asyncio.sleep(_pause(attempt, error, function, params))
                attempt += 1

    async def close(self) -> None:
        """Close the connections to the project."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()
