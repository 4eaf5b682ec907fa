"""The one door: everything public is imported from `ducto_pg`, and importing it is cheap."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import ducto_pg
from ducto_pg import errors


@pytest.mark.parametrize("name", ducto_pg.__all__)
def test_every_public_name_can_be_imported_and_says_what_it_is(name: str) -> None:
    value = getattr(ducto_pg, name)
    if name != "__version__":
        assert value.__doc__
        assert name in dir(ducto_pg)


@pytest.mark.parametrize("module", sorted(set(ducto_pg._HOMES.values())))
def test_what_a_module_exports_to_type_checkers_is_exported(module: str) -> None:
    source = Path(ducto_pg.__file__).read_text(encoding="utf-8")
    if f"from ducto_pg.{module} import *" in source:
        assert set(import_module(f"ducto_pg.{module}").__all__) <= set(ducto_pg.__all__)


def test_every_exception_is_a_ducto_error_and_ends_in_error() -> None:
    kinds = [value for value in vars(errors).values() if isinstance(value, type)]
    raised = [kind for kind in kinds if issubclass(kind, Exception)]
    assert len(raised) > 25
    for kind in [*raised, ducto_pg.MigrationError, ducto_pg.EmbeddedError]:
        assert issubclass(kind, ducto_pg.DuctoError)
        assert kind.__name__.endswith("Error")
        assert kind.__name__ in ducto_pg.__all__


def test_mistakes_of_the_caller_are_value_errors() -> None:
    for kind in (
        ducto_pg.ConfigError,
        ducto_pg.InvalidExpressionError,
        ducto_pg.InvalidArgumentError,
        ducto_pg.UnknownModelError,
        ducto_pg.UnknownFixedJobError,
    ):
        assert issubclass(kind, ValueError)


def test_importing_the_package_loads_nothing_else() -> None:
    program = "import sys, ducto_pg; print([m for m in sys.modules if m.startswith('psycopg')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
