# Switchhook. `make help` lists the targets.
#
# Every step leaves a stamp and does nothing while its inputs stay the same, so that a second `make`
# starts at once. The engine asks its own cache instead (docker/pjsip/recipe/cache.py).

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
export DEBIAN_FRONTEND := noninteractive

# The distribution's Python is optimised with profiles (1.4 times as fast as a plain build that may
# stand before it in PATH), and docker/packages installs what it needs beside itself.
PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
BUILD_BACKEND := hatchling editables

.PHONY: help demo test lint engine fuzz bench setup packages lock clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/\1\t\2/' | expand -t 10

demo: setup ## carry real calls through the product and show what happened
	@$(BIN)/switchhook demo

# Most tests wait for audio to be heard: three side by side keep two cores busy. A file stays in one
# process, with its gateway. In order of their names: the quick unit tests come last and fill the gaps.
test: lint ## all checks, then all tests
	@$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

lint: setup ## ruff, mypy and the layers' contracts
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fuzz: setup ## hostile input, a new seed each time: make fuzz FUZZ_ROUNDS=100 FUZZ_SEED=1
	@FUZZ_ROUNDS=$${FUZZ_ROUNDS:-100} FUZZ_SEED=$${FUZZ_SEED:-$$RANDOM} bash -c \
	    'echo "seed $$FUZZ_SEED, $$FUZZ_ROUNDS rounds"; $(BIN)/pytest tests/e2e/test_fuzz*.py'

bench: setup ## measure what docs/performance.md promises; ARGS="--only signalling --repeat 1"
	@$(BIN)/python -m bench $(ARGS)

engine: $(VENV)/.created ## build PJSIP with sip/native and install it into .venv
	@wheel=$$($(BIN)/python docker/pjsip/build.py); \
	if [[ "$$(cat $(VENV)/.engine 2>/dev/null || true)" != "$$wheel" ]]; then \
	    $(PIP) install --no-index --no-deps "$$wheel"; \
	    echo "$$wheel" > $(VENV)/.engine; \
	    echo "Installed $$(basename "$$wheel")"; \
	fi

setup: engine $(VENV)/.installed

packages:
	@docker/packages/install.sh build runtime peers

$(VENV)/.created: | packages
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "error: $(PYTHON) is older than 3.11; name another: make PYTHON=python3.11" >&2; exit 1; }
	@echo "Creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# Switchhook, editable: its code is imported from this tree. Its dependencies come at the versions of
# requirements.lock.
$(VENV)/.installed: requirements.lock pyproject.toml | $(VENV)/.created
	@echo "Installing Python packages"
	@$(PIP) install --constraint requirements.lock $(BUILD_BACKEND)
	@$(PIP) install --constraint requirements.lock --no-build-isolation --editable '.[dev]'
	@touch $@

lock: $(VENV)/.installed ## take the newest versions of all dependencies into requirements.lock
	@$(PIP) install --upgrade --upgrade-strategy eager $(BUILD_BACKEND)
	@$(PIP) install --upgrade --upgrade-strategy eager --no-build-isolation --editable '.[dev]'
	@sed -i '/^[^#]/d' requirements.lock
	@$(PIP) freeze --exclude-editable --exclude switchhook-pjsip >> requirements.lock

clean: ## remove what was made here (the engine's cache in ~/.cache/switchhook stays)
	@rm -rf $(VENV) build dist demo-output .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@rm -rf .import_linter_cache
	@find config gateway ivr sip tests bench docker -name __pycache__ -prune -exec rm -rf {} +
