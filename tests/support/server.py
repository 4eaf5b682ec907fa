"""The server the tests run on, found by a ladder: the first rung that holds is used.

1. `DUCTO_TEST_DSN`: a server of yours, as a superuser; databases are created and dropped in it.
2. `local`: server programs of this machine with PL/Python: a throwaway cluster, also for root.
3. `docker`: an image built from `Dockerfile` beside this file, through testcontainers.
4. `wheel`: the PostgreSQL that the extra `embedded` ships. It has no PL/Python, so what needs it is
   left out; everything else runs on a machine with nothing but Python.

`DUCTO_TEST_SERVER=local|docker|wheel` asks for one of them, `DUCTO_TEST_RELEASE=16` for a release.
Run as a program it prints which rung it is, and with `--install` first installs the packages that
rung 2 lacks, on Debian and Ubuntu, where it may and no other rung was asked for.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import conninfo

from ducto_pg.install.embedded import Cluster, EmbeddedError, embedded_binaries, server_version
from ducto_pg.install.script import Evaluator
from tests.support.debian import SERVERS

MINIMUM_RELEASE = 15
PACKAGES = ("postgresql-{release}", "postgresql-plpython3-{release}")
BIN_DIRECTORIES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)
CONTAINER_RELEASE = 16
CONTAINER_SECONDS = 120
# What some tests need and not every server has.
PLPYTHON = "plpython3u"
PLPGSQL_CHECK = "plpgsql_check"
PG_CRON = "pg_cron"
EXTENSIONS = (PLPYTHON, PLPGSQL_CHECK, PG_CRON)
# The packages of those that come in one of their own.
PACKAGE_OF = {
    PLPGSQL_CHECK: "postgresql-{release}-plpgsql-check",
    PG_CRON: "postgresql-{release}-cron",
}
NOTHING = (
    "no PostgreSQL to test on: install the packages postgresql and postgresql-plpython3 "
    "(PostgreSQL 15 or newer), or start Docker, or pip install 'ducto-pg[embedded]', or set "
    "DUCTO_TEST_DSN"
)


class NoServer(Exception):
    """No rung holds; the message is one sentence."""


@dataclass(frozen=True)
class Server:
    """A running server; ``dsn`` is a superuser's, to its maintenance database."""

    dsn: str
    rung: str
    version: str
    cluster: Cluster | None = None
    extensions: frozenset[str] = frozenset()

    @property
    def evaluator(self) -> Evaluator:
        """What a first installation by a superuser takes here."""
        return "plpython" if PLPYTHON in self.extensions else "portable"

    def database(self, name: str) -> str:
        """The DSN of another database of this server."""
        return conninfo.make_conninfo(self.dsn, dbname=name)


@dataclass(frozen=True)
class Rung:
    """One way to get a server; ``run`` keeps it up until the generator is closed."""

    description: str
    run: Callable[[], Iterator[Server]]
    extensions: frozenset[str] = frozenset()


def find_rung() -> Rung:
    """The first rung that holds, without starting anything."""
    dsn = os.environ.get("DUCTO_TEST_DSN")
    if dsn:
        return _given(dsn)
    release = wanted_release()
    ways = {"local": _local, "docker": _docker, "wheel": _wheel}
    wanted = wanted_rung()
    if wanted is not None:
        rung = ways[wanted](release)
        if rung is None:
            which = f" with PostgreSQL {release}" if release else ""
            raise NoServer(f"DUCTO_TEST_SERVER={wanted}, but there is none here{which}")
        return rung
    for way in ways.values():
        rung = way(release)
        if rung is not None:
            return rung
    raise NoServer(NOTHING)


def wanted_rung() -> str | None:
    """The rung that DUCTO_TEST_SERVER asks for."""
    wanted = os.environ.get("DUCTO_TEST_SERVER") or None
    if wanted not in (None, "local", "docker", "wheel"):
        raise NoServer(f"DUCTO_TEST_SERVER={wanted}: use local, docker or wheel")
    return wanted


def wanted_release() -> int | None:
    """The release of PostgreSQL that DUCTO_TEST_RELEASE asks for."""
    wanted = os.environ.get("DUCTO_TEST_RELEASE") or None
    if wanted is None:
        return None
    if not wanted.isdigit() or int(wanted) < MINIMUM_RELEASE:
        raise NoServer(f"DUCTO_TEST_RELEASE={wanted}: use {MINIMUM_RELEASE} or a later release")
    return int(wanted)


def _given(dsn: str) -> Rung:
    try:
        with psycopg.connect(dsn, connect_timeout=10) as connection:
            version = _version(connection)
            superuser = _one(
                connection, "select rolsuper from pg_roles where rolname = current_user"
            )
            extensions = frozenset(
                str(name)
                for (name,) in connection.execute(
                    "select name from pg_available_extensions where name = any (%s)",
                    [list(EXTENSIONS)],
                )
            )
    except psycopg.Error as error:
        raise NoServer(f"DUCTO_TEST_DSN does not answer: {str(error).strip()}") from error
    if not superuser:
        raise NoServer("DUCTO_TEST_DSN must be a superuser's")
    description = f"DUCTO_TEST_DSN, PostgreSQL {version}"

    def run() -> Iterator[Server]:
        yield Server(dsn, description, version, None, extensions)

    return Rung(description, run, extensions)


def _version(connection: psycopg.Connection[tuple[object, ...]]) -> str:
    # Distributions append their package's own version in brackets.
    return str(_one(connection, "select current_setting('server_version')")).split()[0]


def _one(connection: psycopg.Connection[tuple[object, ...]], query: str) -> object:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def local_programs(release: int | None = None) -> Path | None:
    """The newest local server programs that come with PL/Python, or those of a release."""
    candidates: list[tuple[int, Path]] = []
    on_path = shutil.which("pg_config")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += [folder for pattern in BIN_DIRECTORIES for folder in Path("/").glob(pattern[1:])]
    if release is not None:
        folders += SERVERS.glob("*/usr/lib/postgresql/*/bin")
    for folder in folders:
        if not (folder / "initdb").exists() or PLPYTHON not in extensions_of(folder):
            continue
        try:
            found = server_version(folder)[0]
        except EmbeddedError:
            continue
        if found >= MINIMUM_RELEASE and release in (None, found):
            candidates.append((found, folder))
    return max(candidates)[1] if candidates else None


def server_programs() -> Path:
    """The programs for further servers of a run: of the rung and release asked for, if possible."""
    release = wanted_release()
    local = None if wanted_rung() == "wheel" else local_programs(release)
    if local is not None:
        return local
    try:
        return embedded_binaries(release)
    except EmbeddedError:
        # A container may have a release that the wheel does not come with.
        return embedded_binaries()


def programs_not_older(server: Server) -> Path:
    """Programs that can read a dump of this server: its own, or the newest of this machine."""
    if server.cluster is not None:
        return server.cluster.bin_dir
    local = local_programs()
    found = [embedded_binaries(), *([] if local is None else [local])]
    return max(found, key=lambda folder: server_version(folder)[0])


def extensions_of(bin_dir: Path) -> frozenset[str]:
    """Which of EXTENSIONS the server's programs come with."""
    done = subprocess.run(
        [str(bin_dir / "pg_config"), "--sharedir"], capture_output=True, text=True
    )
    if done.returncode != 0:
        return frozenset()
    folder = Path(done.stdout.strip()) / "extension"
    return frozenset(name for name in EXTENSIONS if (folder / f"{name}.control").exists())


def _local(release: int | None) -> Rung | None:
    bin_dir = local_programs(release)
    return None if bin_dir is None else _throwaway(bin_dir, extensions_of(bin_dir))


def _wheel(release: int | None) -> Rung | None:
    try:
        return _throwaway(embedded_binaries(release), frozenset())
    except EmbeddedError:
        return None


def _throwaway(bin_dir: Path, extensions: frozenset[str]) -> Rung:
    version = server_version(bin_dir)[1]
    without = "" if PLPYTHON in extensions else ", without PL/Python"
    description = f"throwaway cluster from {bin_dir}, PostgreSQL {version}{without}"

    def run() -> Iterator[Server]:
        with Cluster(bin_dir) as cluster:
            yield Server(cluster.dsn(), description, version, cluster, extensions)

    return Rung(description, run, extensions)


def _docker_answers() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        done = subprocess.run([docker, "info"], capture_output=True, timeout=20)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _docker(release: int | None) -> Rung | None:
    if not _docker_answers():
        return None
    wanted = str(release or CONTAINER_RELEASE)
    description = f"Docker through testcontainers, PostgreSQL {wanted}"
    extensions = frozenset(EXTENSIONS)

    def run() -> Iterator[Server]:
        from testcontainers.core.container import DockerContainer
        from testcontainers.core.image import DockerImage

        folder = Path(__file__).parent
        tag = f"ducto-test-postgres:{wanted}"
        with DockerImage(
            path=str(folder), tag=tag, clean_up=False, buildargs={"RELEASE": wanted}
        ) as image:
            container = DockerContainer(str(image))
            container.with_env("POSTGRES_PASSWORD", "ducto").with_exposed_ports(5432)
            container.with_command("postgres -c fsync=off -c max_connections=250")
            with container:
                dsn = conninfo.make_conninfo(
                    host=container.get_container_host_ip(),
                    port=int(container.get_exposed_port(5432)),
                    user="postgres",
                    password="ducto",
                    dbname="postgres",
                )
                version = _wait_for(dsn)
                if version.split(".")[0] != wanted:
                    raise NoServer(f"the image {tag} holds PostgreSQL {version}, not {wanted}")
                # Only now is known which one it is, to the minor release.
                running = f"Docker through testcontainers, PostgreSQL {version}"
                yield Server(dsn, running, version, None, extensions)

    return Rung(description, run, extensions)


def _wait_for(dsn: str) -> str:
    """The version of a server that is coming up. The image restarts its server once, over TCP
    only the second one answers."""
    deadline = time.monotonic() + CONTAINER_SECONDS
    while True:
        try:
            with psycopg.connect(dsn, connect_timeout=5) as connection:
                return _version(connection)
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise NoServer(f"the container does not answer: {str(error).strip()}") from error
            time.sleep(0.2)


def install_packages() -> None:
    """Install the server packages that are missing, where this machine and its user allow it.

    Where it fails, the ladder's next rungs are left.
    """
    if os.environ.get("DUCTO_TEST_DSN") or wanted_rung() not in (None, "local"):
        return
    apt, prefix = shutil.which("apt-get"), _elevation()
    bin_dir = local_programs()
    there = frozenset() if bin_dir is None else extensions_of(bin_dir)
    missing = [package for name, package in PACKAGE_OF.items() if name not in there]
    if not missing:
        return
    if apt is None or prefix is None:
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        subprocess.run([*prefix, apt, "update", "-qq"], check=True, env=environment)
        release = server_version(bin_dir)[0] if bin_dir else _distribution_release()
        wanted = [*PACKAGES, *missing] if bin_dir is None else missing
        packages = [name.format(release=release) for name in wanted]
        print(f"installing {', '.join(packages)}", flush=True)
        command = [*prefix, apt, "install", "-y", "-qq", "--no-install-recommends", *packages]
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    except subprocess.CalledProcessError as error:
        print(f"apt-get failed ({error.returncode}); looking for another server", file=sys.stderr)


def _elevation() -> list[str] | None:
    """How to run something as root without being asked for a password; None if it cannot be."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if (
        sudo is not None
        and subprocess.run([sudo, "-n", "true"], capture_output=True).returncode == 0
    ):
        return [sudo, "-n"]
    return None


def _distribution_release() -> int:
    """The PostgreSQL release that the distribution's package `postgresql` stands for."""
    done = subprocess.run(["apt-cache", "depends", "postgresql"], capture_output=True, text=True)
    releases = [
        int(word.removeprefix("postgresql-"))
        for word in done.stdout.split()
        if word.removeprefix("postgresql-").isdigit()
    ]
    if not releases or max(releases) < MINIMUM_RELEASE:
        raise NoServer(NOTHING)
    return max(releases)


def main() -> int:
    """Print the rung; exit code 1 and one sentence where there is none."""
    try:
        if "--install" in sys.argv[1:]:
            install_packages()
        print(find_rung().description)
    except (NoServer, EmbeddedError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
