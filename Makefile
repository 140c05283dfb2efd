# `make demo` shows flatwatt on simulated meters, `make test` proves it. Both set up .venv first, once.
#
#   PYTHON=python3.12 make test     another interpreter (3.11 to 3.13)
#   DEMO="--keep" make demo         options of `flatwatt demo`
#   DATA=../shared/data             where `make evaluate` finds the real recordings

BIN := .venv/bin
DEMO ?=
DATA ?= ../shared/data
PYTHON ?=
export PYTHON
export PATH := $(PATH):/usr/sbin:/sbin
export OPENBLAS_NUM_THREADS := 1

.DEFAULT_GOAL := help
.PHONY: help demo test check format docs bench evaluate faults delivery fuzz clean

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s%s\n", $$1, $$2 }' Makefile

demo: ## everything on one machine, in fast motion; options in DEMO="..."
	@.ci/setup demo
	@$(BIN)/flatwatt demo $(DEMO)

test: check ## every test, after the lint and the types
	@$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

check: ## lint, format and types only
	@.ci/setup dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: ## let the tools put style right
	@.ci/setup dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: ## the generated pages of docs/
	@.ci/setup dev
	@$(BIN)/python docs/generate.py

bench: ## measure flatwatt beside its peers, in about 20 minutes; writes docs/performance.md
	@.ci/setup dev
	@bench/peers/install .bench
	@$(BIN)/python -m bench

evaluate: ## inject farms into the real recordings of DATA, about 20 minutes; writes docs/detection.md
	@.ci/setup dev
	@$(BIN)/python -m bench.evaluate $(DATA)

faults: ## every fault of the campaign, on real processes; writes docs/reliability.md
	@.ci/setup dev
	@$(BIN)/python -m tests.faults

delivery: ## a thousand kills, a week without a network, days of random faults, in two hours; writes docs/delivery.md
	@.ci/setup dev
	@$(BIN)/python -m bench.delivery

fuzz: ## a million wrong inputs, in two minutes
	@.ci/setup dev
	@$(BIN)/python -m tests.fuzz

clean: ## remove the virtual environment, caches and builds
	@rm -rf .venv build dist ./*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
