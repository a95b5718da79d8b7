# make demo: train a small network in both modes and look at it.   make test: pass the tests.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# the oldest Paddle that is supported, as dygraph/paddle_check.py says; its environment is one of its own
OLDEST_PADDLE = 3.0.0
OLDEST_VENV ?= .venv-paddle-$(OLDEST_PADDLE)

.PHONY: setup demo test test-slow test-all parity parity-oldest lint format clean

setup:
	@$(PYTHON) scripts/setup_env.py $(VENV)

demo: setup
	@$(BIN)/python scripts/demo.py

test: setup
	$(BIN)/python -m pytest -n 2

test-slow: setup
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "slow and not repeats and not gpu"

test-all: test test-slow
	$(BIN)/python -m pytest -n 2 -m "repeats and not gpu"

parity: setup
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not gpu" tests/parity

parity-oldest:
	@$(PYTHON) scripts/setup_env.py $(OLDEST_VENV) --paddle $(OLDEST_PADDLE)
	$(OLDEST_VENV)/bin/python -m pytest -n 2 -m oldest tests/parity

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(OLDEST_VENV) demo build dist *.egg-info .pytest_cache .ruff_cache
