PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TEST_PROCESSES ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo test check audit bench-speed load soak pins

help: ## Say what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

setup: $(READY) ## Make the environment in .venv (needs Python >= 3.11 only)

$(READY): requirements/all.txt requirements/nodeps.txt requirements/uv.txt infra/setup.sh
	@sh infra/setup.sh $(PYTHON) $(VENV)

demo: $(READY) ## Run a whole cycle on a composite company and leave its pages up
	@$(BIN)/fairpatch demo $(ARGS)

test: $(READY) ## Run the tests (under 10 minutes on 2 cores)
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile -m "not soak" $(ARGS)

check: $(READY) ## Lint, types and walls
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: $(READY) ## Attack the release from outside: epsilon, games, subtraction, mutants (10 minutes)
	$(BIN)/python -m tests.audit $(ARGS)

bench-speed: $(READY) ## Collecting, signing and closing against plain ways of doing it (needs PostgreSQL's test package; 10 minutes)
	$(BIN)/python -m bench.speed $(ARGS)

load: $(READY) ## Load on the aggregation path: 2,000 responses closed and released under reads
	$(BIN)/python load/run.py $(ARGS)

soak: $(READY) ## The long runs of the tests; kills add up over runs to 300 per target
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist worksteal -m soak $(ARGS)
	@$(BIN)/python -m tests.e2e.soak

pins: $(READY) ## Renew the hash pins from pyproject.toml (reads the registry)
	cd requirements && for each in all run nodeps uv; do ./pin.sh $$each; done
