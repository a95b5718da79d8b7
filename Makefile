# make demo: train a small network in both modes and look at it.   make test: pass the tests.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: setup demo test test-slow test-all parity lint format clean

setup:
	@$(PYTHON) scripts/setup_env.py $(VENV)

demo: setup
	@$(BIN)/python scripts/demo.py

test: setup
	$(BIN)/python -m pytest -n 2

test-slow: setup
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "slow and not gpu"

test-all: test test-slow

parity: setup
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not gpu" tests/parity

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) demo build dist *.egg-info .pytest_cache .ruff_cache
