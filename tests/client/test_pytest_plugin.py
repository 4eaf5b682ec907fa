"""The pytest plugin: an application's own tests get a real, migrated database each."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.databases import Databases

pytest_plugins = ["pytester"]

APPLICATION_TESTS = """
import psycopg
import pytest
from ducto_pg import InsufficientCreditsError

seen = set()

@pytest.mark.parametrize("number", range(3))
def test_each_test_has_a_database_of_its_own(ducto, ducto_database, number):
    assert ducto.get_balance("ann").balance == 0
    ducto.add_credits("ann", 10)
    assert ducto.deduct_amount("ann", 4).balance_after == 6
    with pytest.raises(InsufficientCreditsError):
        ducto.deduct_amount("ann", 7)
    with psycopg.connect(ducto_database) as connection:
        seen.add(connection.execute("select current_database()").fetchone()[0])
    assert len(seen) == number + 1

def test_without_the_fixtures_nothing_starts():
    pass
"""


def test_the_fixtures_work_on_a_given_server(
    pytester: pytest.Pytester, databases: Databases
) -> None:
    pytester.makepyfile(APPLICATION_TESTS)
    done = pytester.runpytest_subprocess("--ducto-dsn", databases.server.dsn)
    done.assert_outcomes(passed=4)
    with psycopg.connect(databases.server.dsn) as connection:
        left = connection.execute(
            "select datname from pg_database where datname ~ '^ducto_test_[0-9a-f]{12}_'"
        ).fetchall()
    assert left == []


def test_the_fixtures_bring_their_own_server(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DUCTO_TEST_DSN", raising=False)
    pytester.makepyfile(APPLICATION_TESTS)
    pytester.runpytest_subprocess().assert_outcomes(passed=4)


def test_the_plugin_says_what_its_fixtures_are(pytester: pytest.Pytester) -> None:
    done = pytester.runpytest_subprocess("--fixtures")
    done.stdout.fnmatch_lines(["ducto -- *", "    A CreditManager on the test's own database."])
