# make demo | test | check | bench | serve: nothing else to learn.
PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv
DATA ?= var

.DEFAULT_GOAL := help
.PHONY: help install console demo serve test check bench lock clean

help:
	@echo "make demo    install into .venv and follow one order from request to catalog"
	@echo "make serve   open the console on the same data: http://127.0.0.1:8000"
	@echo "make test    install and run the tests"
	@echo "make check   ruff, mypy, import-linter, documentation"
	@echo "make bench   measure, against the peers where there are any"

$(UV):
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r infra/bootstrap.lock

.venv/installed: $(UV) requirements.lock requirements-dev.lock pyproject.toml
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock requirements-dev.lock
	$(BIN)/python -m pip --version >/dev/null
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

lock: $(UV)
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url pyproject.toml -o requirements.lock
