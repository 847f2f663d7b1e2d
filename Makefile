# Two commands matter to a newcomer: `make demo` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
EXTRAS := worker,embedded,demo,s3,charts,dev

.DEFAULT_GOAL := help
.PHONY: help install demo up test test-thorough test-unit check format client cli-reference docs-reference examples docs screenshots dashboards guarantees benchmarks calibration sbom audit clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(VENV)/.installed ## create .venv and install everything, pinned

# torch goes first and alone: with the pinned version in place no other requirement can pull another build.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt pip setuptools wheel
	$(BIN)/python -m pip install --quiet --constraint constraints.txt "torch==2.13.0"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[$(EXTRAS)]"
	@touch $@

demo: install ## train a real model, let it drift, and see it judged
	$(BIN)/featuredrift demo

up: install ## serve on this machine, data under ./.featuredrift
	$(BIN)/featuredrift up

# Most tests wait for servers and workers; four at a time, each file whole, with servers of their own,
# in the order in which one process would run them.
PYTEST := $(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

test: install ## run the tests
	$(PYTEST) -m "not thorough"

# Inputs that are made up: `make test` tries some, this a few times as many.
MADE_UP := tests/unit/sources tests/unit/capture/test_batches.py tests/unit/core/test_core.py

test-thorough: install ## run the tests that `make test` leaves out: every fault at every point, whole tutorials
	$(PYTEST) -m thorough
	FEATUREDRIFT_TEST_DEPTH=4 $(PYTEST) $(MADE_UP)

test-unit: install ## run the fast tests
	$(BIN)/python -m pytest -x -q -n 2 --dist loadfile tests/unit

check: install ## lint, types, import rules, migrations and dashboards in step with the code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive app workers migrations tools
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m migrations.check
	$(BIN)/python -m deploy.grafana --check
	$(BIN)/python -m tools.client --check
	$(BIN)/python -m tools.cli_reference --check
	$(BIN)/python -m tools.guarantees --check
	$(BIN)/python -m tools.docs --check
	$(BIN)/python -m tools.examples --check
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

format: install ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

client: install ## write the synchronous Python client anew
	$(BIN)/python -m tools.client

cli-reference: install ## write docs/cli.md anew
	$(BIN)/python -m tools.cli_reference

docs-reference: install ## write docs/reference anew
	$(BIN)/python -m tools.docs

examples: install ## write docs/examples anew (runs the demo in ./.featuredrift where it was not run yet)
	$(BIN)/python -m tools.examples

docs: install ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

guarantees: install ## write the table of docs/guarantees.md from the last run of tests/crash
	$(BIN)/python -m tools.guarantees

screenshots: install ## take docs/images anew, of a service that runs for it (about a minute)
	$(BIN)/python -m tools.screenshots

dashboards: install ## write the Grafana dashboards anew
	$(BIN)/python -m deploy.grafana

benchmarks: install ## measure against the peers (about twenty minutes)
	$(BIN)/python -m benchmarks

calibration: install ## calibrate the verdicts on known truths (about 15 minutes)
	$(BIN)/python -m benchmarks.calibration --full --out docs/calibration.md

# The components of this environment, every one pinned; and what is known to be wrong with them, which
# asks the advisories of the Python package index: without them the target fails, because a package that nobody looked at is not sound.
sbom: install ## write the bill of materials (CycloneDX) into build/sbom.json
	@mkdir -p build
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file build/sbom.json $(BIN)/python

audit: install ## look for known vulnerabilities of the pinned packages (asks the package index for advisories)
	@mkdir -p build
	$(BIN)/pip-audit --local --skip-editable --strict --progress-spinner off --format json --output build/pip-audit.json

clean: ## remove the environment and caches, never the data
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
