"""The embedded store: a real database with nothing to set up, thrown away or kept."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ducto_pg import CreditManager, EmbeddedError, EmbeddedStore, UnavailableError
from ducto_pg.install.embedded import _require_open


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the server's user may enter, whoever runs the tests."""
    parent = Path(tempfile.mkdtemp(prefix="ducto-kept-"))
    parent.chmod(0o755)
    yield parent / "data"
    shutil.rmtree(parent, ignore_errors=True)


def test_a_throwaway_store_has_the_real_behaviour() -> None:
    with EmbeddedStore() as store:
        manager = CreditManager(store)
        manager.publish_pricing({"models": {"m": "input_tokens * 2"}})
        manager.add_credits("ann", 10)
        assert manager.deduct("ann", {"model": "m", "input_tokens": 3}).cost == 6
        with psycopg.connect(store.dsn) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
        dsn = store.dsn
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(dsn)


def test_a_folder_keeps_its_data(folder: Path) -> None:
    with EmbeddedStore(folder) as store:
        CreditManager(store).add_credits("ann", 10)
        with pytest.raises(EmbeddedError, match="did not start"):
            EmbeddedStore(folder)
    with EmbeddedStore(os.fspath(folder)) as store:
        assert CreditManager(store).get_balance("ann").balance == 10


def test_a_closed_store_is_closed() -> None:
    store = EmbeddedStore()
    store.close()
    store.close()
    with pytest.raises(UnavailableError):
        store.call("ducto_version")


def test_a_folder_that_the_server_cannot_enter_is_named(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    with pytest.raises(EmbeddedError, match=r"who may not enter .*private: keep the data in"):
        _require_open(private / "data", "postgres")
