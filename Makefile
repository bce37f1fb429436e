.DEFAULT_GOAL := help
.PHONY: help demo test lint image train-demo setup clean
BIN := .venv/bin

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 18

demo: ## set up everything, benchmark the last demonstration checkpoint, print its compile rate
	@scripts/setup
	@scripts/setup-sandbox
	@scripts/demo

test: ## set up everything, run every test, say what was skipped and why (ARGS="-k word" picks)
	@scripts/setup --dev
	@scripts/setup-sandbox --all
	$(BIN)/python -m pytest -ra $(ARGS)

lint: ## ruff check, ruff format --check, mypy
	@scripts/setup --dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

image: ## build the sandbox's Docker image
	@scripts/setup
	$(BIN)/codebench doctor --build-image

train-demo: ## train the demonstration checkpoints again (under half an hour on two cores)
	@scripts/setup
	$(BIN)/python checkpoints/train.py

setup: ## make .venv and install codebench with its development tools
	@scripts/setup --dev

clean: ## remove .venv and caches; runs/ and results stay
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
