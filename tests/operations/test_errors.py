"""The exception classes say what the error catalogue says."""

from __future__ import annotations

import pickle
from decimal import Decimal

import pytest

from ducto_pg import errors
from ducto_pg.install.manifest import CatalogueError, load_errors
from tests.support.databases import Connection
from tests.support.error_classes import class_name, expected, source_file

CATALOGUE = load_errors()


def test_the_classes_are_those_the_generator_writes() -> None:
    assert source_file().read_text(encoding="utf-8") == expected()


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: str(entry.name))
def test_each_error_has_a_class(entry: CatalogueError) -> None:
    kind = getattr(errors, class_name(entry.name))
    assert issubclass(kind, errors.DuctoError)
    assert (kind.code, kind.name, kind.http_status) == (entry.code, entry.name, entry.http_status)
    assert kind.default_message == entry.message
    # What stands in brackets is said only where a nearest name is known.
    assert kind.default_hint == entry.hint.replace("[; the nearest name is {nearest}]", "")
    assert errors.CLASSES[entry.code] is kind


def test_the_database_holds_the_same_catalogue(db: Connection) -> None:
    rows = db.execute(
        "select code, name, http_status, message, hint from ducto.error_catalogue order by code"
    ).fetchall()
    assert rows == [(e.code, e.name, e.http_status, e.message, e.hint) for e in CATALOGUE]


def test_an_error_carries_sentence_facts_and_hint() -> None:
    error = errors.from_sqlstate(
        "DU002", "No credits.", '{"code":"DU002","available":0.10,"required":3}', "Top up."
    )
    assert isinstance(error, errors.InsufficientCreditsError)
    assert str(error) == error.message == "No credits."
    assert error.detail == {"available": Decimal("0.10"), "required": 3}
    assert isinstance(error.detail["available"], Decimal)
    assert (error.hint, error.http_status) == ("Top up.", 402)


def test_a_denial_returned_as_a_result_becomes_the_same_error() -> None:
    error = errors.from_denial(
        {"status": "denied", "code": "DU019", "error": "account_frozen", "user_id": "u"}
    )
    assert isinstance(error, errors.AccountFrozenError)
    assert error.detail == {"user_id": "u"}


def test_a_foreign_code_is_no_business_error() -> None:
    assert errors.from_sqlstate("23505", "duplicate key") is None
    assert errors.from_sqlstate(None) is None


def test_errors_survive_pickling() -> None:
    error = errors.CapReachedError("Reached.", detail={"limit": Decimal("1.5")}, hint="Wait.")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is errors.CapReachedError
    assert (copy.message, copy.detail, copy.hint) == (error.message, error.detail, error.hint)


def test_the_database_raises_what_the_classes_expect(db: Connection) -> None:
    import psycopg

    with pytest.raises(psycopg.Error) as raised:
        db.execute("""select ducto.raise_error('DU008', '{"transaction_id": 7}')""")
    error = errors.translate(raised.value)
    assert isinstance(error, errors.TransactionNotFoundError)
    assert error.message == "There is no transaction 7."
    assert error.detail == {"transaction_id": 7}
