# Every target sets up what it needs on a machine that has only Python >= 3.11.
# The two to start with: `make demo` and `make test`.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check -qq

# What is written in TypeScript; only this needs Node, 20.19 or newer.
WEB := adapters/im_web

LOWEST := .venv-lowest
# The tests of what another version of a package would break.
LEANING := tests/core/test_config.py tests/core/test_framing*.py tests/core/test_machines*.py \
	tests/server/test_asgi.py tests/server/test_http.py tests/server/test_migrations.py \
	tests/server/test_store.py tests/security/test_tokens*.py tests/cli/test_commands.py

# With loadfile, xdist hangs when it replaces a worker that crashed, so none is replaced.
# The order of names balances well: what has few tests, and comes last otherwise, takes longest.
PYTEST := -m pytest -n auto --dist loadfile --no-loadscope-reorder --max-worker-restart=0

.DEFAULT_GOAL := help
.PHONY: help demo install test test-all test-web lowest simulate autobahn bench test-bench fuzz lint audit web docs vectors clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## watch messages survive a server that is killed (ARGS="--messages 500")
	@$(BIN)/im demo $(ARGS)

install: $(VENV)/.dev ## .venv with everything that development needs

test: $(VENV)/.dev ## the tests that need no services and no browser, four minutes on two cores
	$(BIN)/python $(PYTEST) -m "not slow and not peers" $(ARGS)

test-all: $(VENV)/.dev ## all tests, also those that build wheels or take minutes
	$(BIN)/python $(PYTEST) $(ARGS)

test-web: $(WEB)/node_modules/.done ## the browser client: types, format, the built files, Vitest
	cd $(WEB) && npm run -s lint && npm run -s build -- --check && npm test -- $(ARGS)

lowest: $(LOWEST)/.done ## what leans on other packages, with the oldest that pyproject.toml allows
	$(LOWEST)/bin/python $(PYTEST) -m "not slow" $(LEANING) $(ARGS)

simulate: $(VENV)/.dev ## a thousand seeds of SimWorld with all faults (ARGS="--seeds 50")
	$(BIN)/im simulate --seeds 1000 --clients 5 --minutes 10 --jobs 2 $(ARGS)

autobahn: $(VENV)/.dev ## all 517 Autobahn cases, server and clients, and a table (half an hour)
	$(BIN)/python -m tests.autobahn $(ARGS)

bench: $(VENV)/.bench ## us and our peers, in turns; writes benchmarks/results (ARGS="--quick")
	$(BIN)/python -m benchmarks $(ARGS)

test-bench: $(VENV)/.bench ## the tests of the benchmarks that need the peers: packages, nats-server, mosquitto
	$(BIN)/python $(PYTEST) -m peers $(ARGS)

fuzz: $(VENV)/.dev ## coverage-guided fuzzing, a minute each (ARGS="--target frames --minutes 10")
	$(BIN)/python -m tests.fuzz $(ARGS)

lint: $(VENV)/.dev ## ruff, mypy --strict, purity of the core, generated docs up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/core/test_purity.py
	$(BIN)/python docs/draw_machines.py --check
	$(BIN)/python docs/draw_reference.py --check
	$(BIN)/python docs/draw_protocol.py --check
	$(BIN)/python docs/draw_performance.py --check

audit: $(VENV)/.dev ## known weaknesses and licences of what we need
	$(BIN)/python -m tests.supply.audit

web: $(WEB)/node_modules/.done ## build the page, the lab and the library that are in the wheel
	cd $(WEB) && npm run -s generate && npm run -s build

docs: $(VENV)/.dev ## draw what is generated from the code
	$(BIN)/python docs/draw_machines.py
	$(BIN)/python docs/draw_reference.py
	$(BIN)/python docs/draw_protocol.py
	$(BIN)/python docs/draw_performance.py

vectors: $(VENV)/.dev ## record anew what the engine in TypeScript has to do too, some minutes
	$(BIN)/im protocol --vectors docs/vectors
	$(BIN)/python -m im_proto.testing.wire_vectors > docs/vectors/wire.jsonl

clean: ## remove .venv and caches
	rm -rf $(VENV) $(LOWEST) $(WEB)/node_modules .fuzz .mypy_cache .ruff_cache .pytest_cache .hypothesis dist

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "im-proto needs Python 3.11 or newer; make PYTHON=python3.x")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(PIP) install -e ".[server,cli]"
	@touch $@

$(VENV)/.bench: pyproject.toml | $(BIN)/python
	$(PIP) install -e ".[dev,bench]"
	@touch $@ $(VENV)/.dev $(VENV)/.demo

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(PIP) install -e ".[dev]"
	@touch $@ $(VENV)/.demo

$(WEB)/node_modules/.done: $(WEB)/package.json $(WEB)/package-lock.json
	cd $(WEB) && npm ci --silent
	@touch $@

$(LOWEST)/.done: pyproject.toml $(VENV)/.dev
	$(BIN)/uv venv -q --clear --python $(BIN)/python $(LOWEST)
	VIRTUAL_ENV=$(LOWEST) $(BIN)/uv pip install -q --resolution lowest-direct -e ".[dev]"
	@touch $@
