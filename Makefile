# Every target sets up what it needs in .venv, from python3 alone.
# ARGS is passed on: make serve ARGS="--port 5200", make test ARGS="-k images".

ARGS ?=
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help serve test test-production lint format bench bench-check lock clean

help: ## Say what there is
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 17

serve: ## Run a registry on http://localhost:5100
	@scripts/bootstrap runtime
	@exec $(BIN)/moorage serve $(ARGS)

test: ## Run the tests, with the real clients
	@scripts/bootstrap dev
	@scripts/test-tools
	@scripts/go-tools
	@echo "--- All tests, on SQLite and a folder"
	@$(BIN)/python -m pytest $(ARGS)
	@if [ -z "$(ARGS)" ]; then $(MAKE) --no-print-directory test-production; fi

test-production: ## Run what stands on a database and a store on PostgreSQL and S3 (part of test)
	@scripts/bootstrap dev
	@scripts/go-tools
	@echo "--- What stands on a database and a store, on PostgreSQL and S3"
	@$(BIN)/python -m pytest --stack production tests/aws tests/oci tests/access tests/registry tests/jobs tests/cli $(ARGS)

lint: ## Check style and types
	@scripts/bootstrap dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: ## Put style right where a tool can
	@scripts/bootstrap dev
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

bench: ## Measure Moorage beside other registries
	@scripts/bootstrap dev
	@scripts/test-tools wrk
	@scripts/go-tools requirements/peers.list
	@exec $(BIN)/python -m benchmarks $(ARGS)

bench-check: ## Fail where Moorage has lost against distribution
	@scripts/bootstrap dev
	@scripts/test-tools wrk valgrind
	@scripts/go-tools requirements/peers.list
	@$(BIN)/python -m benchmarks.check $(ARGS)
	@$(BIN)/python -m benchmarks.instructions --check

lock: ## Write requirements/ anew from pyproject.toml (ARGS=--upgrade moves to the latest)
	@scripts/bootstrap dev
	@scripts/lock $(ARGS)

clean: ## Remove what the other targets made (not a registry's data)
	rm -rf .venv build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
