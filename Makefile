# Every target does its own set-up in .venv; nothing is installed anywhere else.
# Needs make and Python 3.11 or newer with its venv module (Debian: apt install make python3-venv).

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV_VERSION := 0.13.9 # resolves the locks; only `make lock` needs it
JOBS ?= 2            # test processes
ARGS ?=              # more words for the command: make demo ARGS="--days 30"
MINUTES ?= 10        # of `make torture`: each long test takes its share, and then the command as many again
TYPED_TESTS := $(wildcard tests/builders.py tests/fakes.py tests/conftest.py tests/house)

.PHONY: help
help: ## Say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(READY) ## Make .venv with the locked dependencies

# Made anew whenever the lock or the project changes, so that what is installed is what is locked.
$(READY): pyproject.toml requirements-dev.lock
	@for candidate in "$${PYTHON:-}" python3.11 python3; do \
	    if [ -n "$$candidate" ] && "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        python=$$candidate; break; \
	    fi; \
	done; \
	if [ -z "$${python:-}" ]; then \
	    echo "Python 3.11 or newer is needed, and neither python3.11 nor python3 is one (PYTHON=... names another)." >&2; exit 1; \
	fi; \
	if ! "$$python" -c 'import venv, ensurepip' 2>/dev/null; then \
	    echo "$$python has no venv module (Debian: apt install python3-venv)." >&2; exit 1; \
	fi; \
	echo "Setting up $(VENV) with the locked packages; the first time takes about a minute."; \
	"$$python" -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check \
	    --require-hashes --only-binary :all: --requirement requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check \
	    --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: demo
demo: $(READY) ## Play the sample referrals through the engine, on loopback and a fast clock
	$(BIN)/referral-engine demo $(ARGS)


.PHONY: run
run: $(READY) ## Start the daemon in the foreground, with its state in ./var
	exec $(BIN)/referral-engine run $(ARGS)

# What the tests need of the system; without it they say what they skip. Only root on Debian installs it.
.PHONY: system
system: ## Install strace, where it is missing and can be installed
	@if ! command -v strace >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "Installing strace for the tests of crashes and disk faults."; \
	    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends strace; } \
	        >/dev/null 2>&1 || echo "strace cannot be installed here; those tests are skipped." >&2; \
	fi

.PHONY: test
test: $(READY) system ## Run all tests but the long ones (under five minutes on two cores)
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal $(ARGS)

.PHONY: torture
torture: $(READY) system ## Run the long tests, then the torture command; make torture MINUTES=60 ARGS="--seed 7"
	TORTURE_MINUTES=$(MINUTES) HYPOTHESIS_PROFILE=torture $(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal \
	    -m torture -o faulthandler_timeout=14400
	$(BIN)/referral-engine torture --minutes $(MINUTES) $(ARGS)

.PHONY: check
check: lint types floors spelling house ## Look at everything without running the engine

.PHONY: lint
lint: $(READY) ## ... ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: $(READY) ## ... mypy --strict: the package, and what the tests share
	$(BIN)/mypy --strict referral_engine $(TYPED_TESTS)

.PHONY: floors
floors: $(READY) ## ... import-linter: who may import whom
	$(BIN)/lint-imports

.PHONY: spelling
spelling: $(READY) ## ... codespell
	$(BIN)/codespell

.PHONY: house
house: $(READY) ## ... the rules of the house, which are tests
	$(BIN)/python -m pytest --numprocesses 0 tests/house

.PHONY: bench
bench: $(READY) ## Measure
	@$(BIN)/python -m benchmarks $(ARGS)

.PHONY: format
format: $(READY) ## Let ruff lay out the code and fix what it can
	$(BIN)/ruff check --fix-only --exit-zero .
	$(BIN)/ruff format .

# Without the machine's pip and uv settings, so that every hash is the public release's.
.PHONY: lock
lock: ## Resolve the dependencies anew; make lock ARGS=--upgrade takes newer releases
	python3 -m venv --clear build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	unset PIP_FIND_LINKS UV_FIND_LINKS UV_INDEX UV_DEFAULT_INDEX UV_INDEX_URL UV_EXTRA_INDEX_URL; \
	compile() { build/lock/bin/uv pip compile pyproject.toml --quiet --no-config --system-certs \
	    --universal --python-version 3.11 --generate-hashes --strip-extras \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(ARGS) "$$@"; }; \
	compile --extra build --output-file requirements.lock; \
	compile --all-extras --constraint requirements.lock --output-file requirements-dev.lock

.PHONY: clean
clean: ## Remove what the other targets made, but not ./var
	rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
