SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
.NOTPARALLEL:

# The interpreter that the virtual environment is made with, and what `make up` passes on to `lockwire up`.
export PYTHON ?=
ARGS ?=

BIN := .venv/bin
STAMPS := .stamps
HOT := $(wildcard $(addprefix src/lockwire/,mqtt/*.py tls/*.py broker/*.py store/*.py access/*.py access/rights/*.py))

.PHONY: help up test test-pure peers bench lint docs build clean

help: ## Say what each target does.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

up: $(STAMPS)/compiled ## Install what is needed and start the broker; ARGS="--data DIR ..." goes to `lockwire up`.
	$(BIN)/lockwire up $(ARGS)

test: $(STAMPS)/dev peers $(STAMPS)/compiled ## Install everything and run all tests, compiled and interpreted.
	scripts/run-tests

test-pure: $(STAMPS)/dev peers ## Run all tests with the interpreted source only.
	LOCKWIRE_PURE=1 $(BIN)/python -m pytest

peers: $(STAMPS)/run ## Install the programs that tests talk to, where root and apt allow it; say which are missing.
	@scripts/peers

bench: $(STAMPS)/dev peers $(STAMPS)/compiled ## Measure beside Mosquitto and write bench/RESULTS.md; ARGS="..." goes to the benchmark.
	$(BIN)/python -m bench $(ARGS)

lint: $(STAMPS)/dev ## Check style, types and the direction of imports.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

docs: $(STAMPS)/dev ## Make the pages that come from the source.
	LOCKWIRE_PURE=1 $(BIN)/python -m lockwire.config > $(STAMPS)/configuration.md
	mv $(STAMPS)/configuration.md docs/configuration.md
	LOCKWIRE_PURE=1 $(BIN)/python -m tests.conformance.report

build: $(STAMPS)/dev ## Make the source archive and the wheel for this machine, in dist/.
	$(BIN)/python -m build --no-isolation

clean: ## Remove everything that make has made; a data folder stays.
	rm -rf .venv $(STAMPS) build dist tests/e2e/node/node_modules src/lockwire.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src -name '*.so' -delete
	find src tests bench -name __pycache__ -prune -exec rm -rf {} +

$(STAMPS)/run: pyproject.toml setup.py
	scripts/install run
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/dev: pyproject.toml setup.py
	scripts/install dev
	@mkdir -p $(STAMPS) && touch $@ $(STAMPS)/run

$(STAMPS)/compiled: $(HOT) setup.py | $(STAMPS)/run
	scripts/compile
