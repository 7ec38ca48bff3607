# The commands of this project. `make` alone lists them.
PYTHON ?= .venv/bin/python

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

install: ## make .venv with everything that a contributor needs
	python3 -m venv .venv
	.venv/bin/pip install -r requirements.txt -e '.[test,dev]'

app: ## open the dashboard
	$(PYTHON) -m streamlit run dashboard/app.py

test-fast: ## the tests to run often: no browser, no processes; about a minute on two cores
	$(PYTHON) -m pytest -q -n auto --dist worksteal -m "not browser and not process and not slow"

test: ## all tests
	$(PYTHON) -m pytest -q -n auto --dist worksteal

check: ## formatting, linting, types and import contracts, as CI has them
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy rnn_core dashboard
	PYTHONPATH=. $(dir $(PYTHON))lint-imports

mutation: ## look for wrong edits that no test notices (slow; needs the extra "mutation")
	$(dir $(PYTHON))mutmut run

coverage: ## the fast tests with branch coverage
	$(PYTHON) -m pytest -q -n auto --dist worksteal -m "not browser and not process and not slow" --cov --cov-report=term

# Each module by name: of a package alone pdoc shows what its __all__ hands on, and no module.
DOCUMENTED = $(shell find rnn_core dashboard/charts -name '*.py' ! -name '__main__.py' | sort | sed 's|/__init__.py||; s|\.py$$||; s|/|.|g')

docs: ## the API reference, from the docstrings, into build/api
	$(PYTHON) -W ignore::UserWarning -m pdoc -o build/api $(DOCUMENTED)

wheel: ## build the wheel and the source distribution into dist/
	$(PYTHON) -m build

.PHONY: help install app test-fast test check mutation coverage docs wheel
