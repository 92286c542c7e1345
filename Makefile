# make demo | serve | test | check | bench: nothing else to learn.
PYTHON ?= python3
DATA   ?= demo
PORT   ?= 8000
BIN    := .venv/bin
UV     := $(BIN)/uv

.DEFAULT_GOAL := help
.PHONY: help install console demo serve test check bench lock clean

help:
	@echo "make demo    install into .venv and follow one order from request to catalog"
	@echo "make serve   open the console on the same data: http://127.0.0.1:$(PORT)"
	@echo "make test    install and run the tests"
	@echo "make check   ruff, mypy, import-linter, documentation"
	@echo "make bench   measure, against the peers where there are any"

install: .venv/installed console

# pip brings uv, by hash; uv brings the rest, by hash. No lock names an address.
$(UV): infra/bootstrap.lock
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r infra/bootstrap.lock
	@touch $@

.venv/installed: $(UV) requirements-dev.lock pyproject.toml
	@echo "installing into .venv (about half a minute on a fast line)"
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements-dev.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# Third-party browser code, by npm from a lock with integrity; runs again only when the lock changes.
console: .venv/installed
	@infra/console.sh

demo: install
	$(BIN)/overflight demo --data $(DATA)

serve: install
	$(BIN)/overflight serve --data $(DATA) --port $(PORT)

test: install .venv-validator/installed
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/check.py

# The peers have an environment of their own, so that neither side's versions bend the other's.
.venv-bench/installed: $(UV) infra/bench.lock
	$(UV) venv --quiet --clear --python $(BIN)/python .venv-bench
	$(UV) pip sync --quiet --python .venv-bench/bin/python --require-hashes infra/bench.lock
	@touch $@

# So has the validator of the STAC API.
.venv-validator/installed: $(UV) infra/validator.lock
	$(UV) venv --quiet --clear --python $(BIN)/python .venv-validator
	$(UV) pip sync --quiet --python .venv-validator/bin/python --require-hashes infra/validator.lock
	@touch $@

bench: install .venv-bench/installed
	$(BIN)/python -m tests.bench

lock: $(UV)
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	    pyproject.toml -o requirements.lock
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	    -c requirements.lock --group dev pyproject.toml -o requirements-dev.lock
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	    --group node -o infra/node.lock
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	    --group bench -o infra/bench.lock
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	    --group validator -o infra/validator.lock
	echo uv | $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	    --no-emit-index-url - -o infra/bootstrap.lock

clean:
	rm -rf .venv .venv-bench .venv-validator api/console/vendor build
