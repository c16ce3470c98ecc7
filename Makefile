# `make demo` and `make test` include all setup; see scripts/setup.sh.
SHELL := /bin/bash
BIN := .venv/bin
export PYTHON
# Tests start Python many times: keep its compiled files.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo docs test test-lowest lint types format setup screen clean

help:
	@echo "make demo         predict and score synthetic nuclei (ARGS=--train: train first); if there"
	@echo "                  is a display, open the result in napari"
	@echo "make test         run the tests (select some with ARGS='-k name')"
	@echo "make test-lowest  run the plugin's quick tests with the lowest supported napari"
	@echo "make lint         check style with ruff"
	@echo "make types        check types with mypy --strict"
	@echo "make docs         build the documentation in build/docs; a broken link or an undocumented"
	@echo "                  public name is an error"
	@echo "make format       format the code and fix style issues with ruff"
	@echo "make clean        remove virtual environments, caches and built files"

demo: setup
	@scripts/demo.sh $(ARGS)

# Two processes with one thread each: more threads only slow down networks this small.
# A crashed process ends the run, because its replacement may wait forever.
test: setup screen
	@OMP_NUM_THREADS=1 scripts/with_screen.sh $(BIN)/python -m pytest -n 2 --dist worksteal \
		--max-worker-restart=0 $(ARGS)

# Old napari and its libraries emit deprecation warnings that we cannot fix.
test-lowest: screen
	@scripts/setup.sh lowest
	@scripts/with_screen.sh .venv-lowest/bin/python -m pytest -o filterwarnings=default \
		tests/test_manifest.py tests/test_samples.py tests/gui/app/test_preferences.py $(ARGS)

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/python scripts/check_english.py

types: setup
	@$(BIN)/mypy

# Warnings are errors. Neither the build nor the finished site loads anything from the network.
docs: setup
	@scripts/setup.sh docs
	@$(BIN)/python -m sphinx -b dirhtml -W --keep-going -E -q docs build/docs
	@echo "Built build/docs/index.html"

format: setup
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

setup:
	@scripts/setup.sh

screen:
	@scripts/system_libraries.sh

clean:
	rm -rf .venv .venv-lowest build dist docs/_generated .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
