# Entry point for development tasks. All targets are idempotent.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup run lint test test-python test-fresh test-reach test-long mutants packages release bench screenshots captures recording docs lock clean

VENV := .venv
BIN := $(VENV)/bin
DOCS := build/docs-env
PYTHON ?= python3
SCRIPTS := $(wildcard scripts/*.sh scripts/kubernetes/*.sh installer/*.sh installer/*/*.sh assets/*/*.sh .ci/run)

help: ## show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.stamp ## create .venv with Companion and its tools

$(VENV)/.stamp: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "companion needs Python 3.11 or newer: make setup PYTHON=python3.13" >&2; exit 1; }
	@echo "creating $(VENV)"
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || bash scripts/packages.sh venv
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock 2>&1 | { grep -v '^WARNING' >&2 || true; }; exit $${PIPESTATUS[0]}
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: setup ## show the whole product on this machine, with real parts
	@bash scripts/packages.sh run
	@exports=$$(bash scripts/engine.sh) && eval "$$exports" && $(BIN)/python scripts/demo.py

lint: setup ## check style, types, import directions and shell scripts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check -q .
	@$(BIN)/mypy
	@mkdir -p build; $(BIN)/lint-imports > build/imports.log 2>&1 || { cat build/imports.log; exit 1; }
	@$(BIN)/shellcheck -x $(SCRIPTS)

test: ## install what is missing and run all tests on both engines
	@PYTEST_ARGS='$(PYTEST_ARGS)' bash scripts/test.sh

test-python: setup ## test what needs no engine with another Python (VERSION=3.14, or its path)
	@$(BIN)/uv venv -q --allow-existing --python $(VERSION) build/python
	@$(BIN)/uv pip install -q --python build/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install -q --python build/python --no-deps --no-build-isolation -e .
	@build/python/bin/pytest -q --numprocesses=2 tests/laws tests/cases tests/openssh tests/behaviour $(PYTEST_ARGS)

test-fresh: ## run `make run` on fresh Debian machines, as root and as a user
	@CACHE='$(CACHE)' bash scripts/fresh.sh

test-reach: ## test engines on a second machine, and a cluster, made of namespaces (as root)
	@PYTEST_ARGS='--reach tests/reach $(PYTEST_ARGS)' bash scripts/test.sh
	@cat build/reach/*.md

test-long: ## run all tests with full counts, then drive product and packages on fresh machines
	@PYTEST_ARGS='--long $(PYTEST_ARGS)' bash scripts/test.sh
	@CACHE='$(CACHE)' bash scripts/fresh.sh drive
	@CACHE='$(CACHE)' bash scripts/fresh.sh packages

packages: setup ## build wheel, source distribution, .deb, .rpm and archive into dist/
	@bash installer/wheel.sh
	@bash installer/linux/build.sh

release: setup ## build and check everything that a release publishes; publish nothing
	@bash installer/release.sh

mutants: setup ## test the tests of the pure core by mutation (ALL=1: every mutant, ONLY=module)
	@nice $(BIN)/python scripts/mutants.py $(if $(ALL),--every 1) $(ONLY)

bench: ## measure each kind of change next to what the engine itself needs
	@bash scripts/test.sh bench

screenshots: setup ## take the pictures in docs/ again
	@bash scripts/packages.sh test
	@eval "$$(bash scripts/engine.sh)" && $(BIN)/python tests/desktop/pictures.py build/tray
	@cp build/tray/ready.png build/tray/attention.png docs/
	@$(BIN)/python scripts/top_picture.py
	@for scene in two waits refused updated; do cp build/tray/$$scene.png docs/tray-$$scene.png; done

captures: setup ## capture what commands print, for docs/commands.txt
	@$(BIN)/python scripts/captures.py

recording: ## record terminals in docs/ again (as root; makes and removes /home/ada; ONLY=page)
	@[ '$(ONLY)' = three-places ] || \
	  PYTEST_ARGS='--long --update tests/agents/test_five_minutes.py -k podman' bash scripts/test.sh
	@[ '$(ONLY)' = five-minutes ] || \
	  PYTEST_ARGS='--reach --update tests/reach/test_three_places.py' bash scripts/test.sh
	@$(BIN)/python scripts/animation.py

docs: $(DOCS)/.stamp ## build the documentation site into build/site
	@$(BIN)/python scripts/animation.py
	@$(BIN)/python scripts/reference.py
	@$(DOCS)/bin/python scripts/site.py

$(DOCS)/.stamp: docs/requirements.lock | setup
	@$(BIN)/python -m venv $(DOCS)
	@$(DOCS)/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r docs/requirements.lock 2>&1 | { grep -v '^WARNING' >&2 || true; }; exit $${PIPESTATUS[0]}
	@touch $@

lock: setup ## regenerate requirements.lock (UPGRADE=1: with the newest versions)
	@$(BIN)/uv pip compile -q $(if $(UPGRADE),--upgrade) --group dev --universal --python-version 3.11 \
	  --generate-hashes --no-header --no-annotate --no-emit-index-url -o requirements.lock pyproject.toml
	@$(BIN)/uv pip compile -q $(if $(UPGRADE),--upgrade) --group docs --universal --python-version 3.11 \
	  --generate-hashes --no-header --no-annotate --no-emit-index-url -o docs/requirements.lock
	@$(BIN)/uv pip compile -q --extra top --group bundle --universal --python-version 3.11 -c requirements.lock \
	  --generate-hashes --no-header --no-annotate --no-emit-index-url -o installer/bundle/requirements.lock pyproject.toml

clean: ## remove everything built here, except images
	@rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
