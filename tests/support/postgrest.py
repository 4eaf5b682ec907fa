"""A real PostgREST on a database of its own, behind a gateway with the addresses of Supabase.

`supabase_project(databases)` makes the database as a hosted project would have it (roles, default
privileges that open everything), migrates it, and runs the server, until the block ends. Clients
are given `project.url` and a key: `/rest/v1` leads to PostgREST, `/auth/v1` signs users in.
"""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import psycopg

from ducto_pg.install.migrate import migrate
from tests.support import js, supabase
from tests.support.databases import Databases

START_SECONDS = 60
PASSWORD = "correct horse"
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
# Headers that speak of one connection only.
HOP = {"connection", "content-length", "date", "host", "transfer-encoding"}


@dataclass(frozen=True)
class Answer:
    """A response; money in ``body`` is Decimal."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:
        """The JSON in it; None for an empty response."""
        return json.loads(self.text, parse_float=Decimal) if self.text else None


@dataclass
class Project:
    """A running project: ``url`` and a key are what a client needs; ``dsn`` is a superuser's."""

    dsn: str
    secret: str
    rest_url: str = ""
    url: str = ""
    users: dict[str, str] = field(default_factory=dict)
    pages: dict[str, Path] = field(default_factory=dict)

    def token(self, role: str, user_id: str | None = None, **claims: Any) -> str:
        """A valid token."""
        return supabase.sign(supabase.claims_of(role, user_id, **claims), self.secret)

    def user_token(self, user_id: str) -> str:
        """The token of a signed-in user."""
        return self.token("authenticated", user_id)

    @property
    def anon_key(self) -> str:
        """The key that a frontend is shipped with."""
        return self.token("anon")

    @property
    def service_key(self) -> str:
        """The key of a server, which may do everything."""
        return self.token("service_role")

    def request(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """A request to PostgREST itself; `path` begins with a slash."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body, default=str).encode()
        request = urllib.request.Request(
            self.rest_url + path, data=data, method=method, headers=sent
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return _answer(response.status, response)
        except urllib.error.HTTPError as error:
            with closing(error):
                return _answer(error.code, error)

    def rpc(self, name: str, token: str | None = None, /, **arguments: Any) -> Answer:
        """`rpc("get_balance", token, user_id=...)` calls ducto_get_balance by POST."""
        sent = {f"p_{key}": value for key, value in arguments.items()}
        return self.request("POST", f"/rpc/ducto_{name}", token=token, body=sent)

    def serve(self, name: str, token: str | None = None, /, **arguments: Any) -> Any:
        """The same by the service role, which must succeed; its result."""
        answer = self.rpc(name, token or self.service_key, **arguments)
        assert answer.status == 200, answer.text
        return answer.body

    def add_routines(self, text: str, *names: str) -> None:
        """Run SQL as the developer, and wait until PostgREST knows the routines it makes."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(f"set role {supabase.DEVELOPER}".encode())
            connection.execute(text.encode())
            connection.execute("notify pgrst, 'reload schema'")
        for name in names:
            self._wait(lambda name=name: name in self._routines(), f"{name} is not served")

    def _routines(self) -> str:
        return self.request("GET", "/", token=self.service_key).text

    def _wait(self, holds: Any, problem: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not holds():
            if time.monotonic() > deadline:
                raise TimeoutError(problem)
            time.sleep(0.02)


def _answer(status: int, response: Any) -> Answer:
    return Answer(status, dict(response.headers.items()), response.read().decode())


def install(dsn: str) -> None:
    """A project's default privileges, and ducto-pg without PL/Python, which hosted ones forbid."""
    supabase.open_everything(dsn)
    supabase.let_develop(dsn)
    migrate(dsn, evaluator="portable")


@contextmanager
def supabase_project(
    databases: Databases, install: Callable[[str], None] = install
) -> Iterator[Project]:
    """A project with ducto-pg in it, running until the block ends."""
    program = js.postgrest_program()
    with supabase.supabase_roles(databases.server):
        dsn = databases.create_empty()
        try:
            install(dsn)
            with _postgrest(program, dsn) as project, _gateway(project):
                yield project
        finally:
            databases.drop(dsn)


@contextmanager
def _postgrest(program: Path, dsn: str) -> Iterator[Project]:
    project = Project(dsn, supabase.new_secret())
    port = _free_port()
    project.rest_url = f"http://127.0.0.1:{port}"
    settings = {
        "db-uri": supabase.authenticator_dsn(dsn),
        "db-schemas": "public",
        "db-anon-role": "anon",
        "db-pool": "8",
        "jwt-secret": project.secret,
        "server-host": "127.0.0.1",
        "server-port": str(port),
        "log-level": "error",
    }
    with tempfile.TemporaryDirectory(prefix="ducto-postgrest-") as folder:
        file, log = Path(folder, "postgrest.conf"), Path(folder, "log")
        file.write_text("".join(f"{key} = {json.dumps(text)}\n" for key, text in settings.items()))
        with log.open("wb") as output:
            process = subprocess.Popen([str(program), str(file)], stdout=output, stderr=output)
        try:
            _wait_until_up(project, process, log)
            yield project
        finally:
            process.terminate()
            process.wait(20)


def _wait_until_up(project: Project, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if project.rpc("version", project.service_key).status == 200:
                return
        except (urllib.error.URLError, ConnectionError):
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PostgREST does not answer: {log.read_text()[-2000:]}")
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _gateway(project: Project) -> Iterator[None]:
    handler = type("Handler", (Gateway,), {"project": project})
    # As many connections at once as a client may want to open.
    kind = type("Server", (ThreadingHTTPServer,), {"request_queue_size": 128})
    server = kind(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    project.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(20)


class Gateway(BaseHTTPRequestHandler):
    """Supabase's addresses: data under /rest/v1, signing in under /auth/v1, else the pages."""

    project: Project
    protocol_version = "HTTP/1.1"

    def handle_any(self) -> None:
        """Answer any method."""
        path = urlsplit(self.path).path
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        if path.startswith("/rest/v1"):
            self._forward(body)
        elif path == "/auth/v1/token":
            self._sign_in(json.loads(body))
        elif path == "/auth/v1/logout":
            self._send(204, b"")
        elif path in self.project.pages:
            page = self.project.pages[path]
            self._send(200, page.read_bytes(), TYPES[page.suffix])
        else:
            self._send(404, b'{"message": "not found"}')

    do_GET = do_HEAD = do_POST = do_PATCH = do_DELETE = do_OPTIONS = handle_any

    def log_message(self, format: str, *arguments: object) -> None:
        """Silence."""

    def _forward(self, body: bytes) -> None:
        key = self.headers.get("apikey")
        if key is None and self.command != "OPTIONS":
            self._send(401, b'{"message": "No API key found in request"}')
            return
        sent = {name: text for name, text in self.headers.items() if name.lower() not in HOP}
        # Without a user's token the key says who is calling.
        sent.setdefault("Authorization", f"Bearer {key}")
        target = urlsplit(self.project.rest_url)
        with closing(http.client.HTTPConnection(target.netloc, timeout=30)) as connection:
            connection.request(
                self.command, self.path.removeprefix("/rest/v1") or "/", body or None, sent
            )
            response = connection.getresponse()
            data = response.read()
            kept = {name: text for name, text in response.getheaders() if name.lower() not in HOP}
        self._send(response.status, data, **kept)

    def _sign_in(self, given: Mapping[str, str]) -> None:
        user_id = self.project.users.get(given.get("email", ""))
        if user_id is None or given.get("password") != PASSWORD:
            error = {"code": 400, "error_code": "invalid_credentials", "msg": "Invalid login"}
            self._send(400, json.dumps(error).encode())
            return
        claims = supabase.claims_of("authenticated", user_id, aud="authenticated")
        session = {
            "access_token": supabase.sign(claims, self.project.secret),
            "token_type": "bearer",
            "expires_in": 3600,
            "expires_at": claims["exp"],
            "refresh_token": "none",
            "user": {
                "id": user_id,
                "aud": "authenticated",
                "email": given["email"],
                "app_metadata": {},
                "user_metadata": {},
                "created_at": "2026-01-01T00:00:00Z",
            },
        }
        self._send(200, json.dumps(session).encode())

    def _send(
        self, status: int, data: bytes, content_type: str = "application/json", **headers: str
    ) -> None:
        self.send_response(status)
        for name, text in {"Content-Type": content_type, **headers}.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
