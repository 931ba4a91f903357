# Every command of this repository. `make help` lists them; `make demo` and `make test` need nothing but Python 3.11 or later.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test check format generate pictures bench lock clean setup

VENV := .venv
RUN := $(VENV)/bin/python
export PYTHON

# Nothing here may reach a real cloud or cluster, whatever the shell that called is logged in to.
unexport $(filter AWS_% SECUREBASE_% KUBECONFIG KUBERNETES_%,$(.VARIABLES))
export AWS_CONFIG_FILE := /dev/null
export AWS_SHARED_CREDENTIALS_FILE := /dev/null
export AWS_EC2_METADATA_DISABLED := true
comma := ,
export NO_PROXY := 127.0.0.1,localhost$(addprefix $(comma),$(or $(NO_PROXY),$(no_proxy)))
export no_proxy := $(NO_PROXY)

# Where packages come from (PIP_INDEX_URL, PIP_CERT, PIP_NO_INDEX, PIP_FIND_LINKS) is the machine's business. Where and what pip installs is not.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONWARNINGS VIRTUAL_ENV PIP_TARGET PIP_PREFIX PIP_ROOT PIP_SRC PIP_PYTHON PIP_PLATFORM PIP_ABI \
  PIP_PYTHON_VERSION PIP_IMPLEMENTATION PIP_NO_DEPS PIP_CONSTRAINT PIP_BUILD_CONSTRAINT PIP_REQUIREMENT PIP_EDITABLE PIP_REQUIRE_HASHES PIP_UPGRADE \
  PIP_PRE PIP_DRY_RUN PIP_REPORT PIP_IGNORE_INSTALLED PIP_FORCE_REINSTALL PIP_NO_BINARY PIP_ONLY_BINARY PIP_NO_BUILD_ISOLATION PIP_QUIET PIP_VERBOSE
export PIP_USER := 0
export PIP_REQUIRE_VIRTUALENV := 0
export PYTHONNOUSERSITE := 1

help: ## this list
	@echo "SecureBase Operator. Targets:"
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/make \1|\2/p' Makefile | awk -F'|' '{printf "  %-14s %s\n", $$1, $$2}'
	@echo "The first run sets everything up. PYTHON=/path/to/python3.11 chooses the interpreter."

demo: setup ## apply a CdnDistribution in a real API server, watch it become AWS objects, drift and be repaired
	@hack/setup emulator controlplane
	@$(RUN) -m lab.demo $(ARGS)

test: setup ## every test tier; TESTS=tests/unit and ARGS="-k name" narrow it
	@hack/setup emulator
	@hack/test $(or $(TESTS),tests) $(ARGS)

check: setup ## ruff, mypy --strict, import contracts, generated files current
	@$(RUN) -m hack.check

format: setup ## let ruff format and mend what it can
	@$(VENV)/bin/ruff check --quiet --fix . || true
	@$(VENV)/bin/ruff format .

generate: setup ## write crds/, the chart's copy of them and manifests/ anew
	@$(RUN) -m securebase.api.schema --write crds
	@$(RUN) -m hack.render --write

pictures: setup ## draw docs/pictures anew: the dashboards of examples/ with made-up data
	@hack/setup emulator
	@$(RUN) -m hack.pictures $(ARGS)

bench: setup ## measure; each run writes bench/results/<bench>.json
	@hack/setup emulator controlplane
	@$(RUN) -m bench $(ARGS)

lock: ## resolve the dependencies anew into requirements/ and lab/wheels/; needs uv; ARGS=--upgrade for the newest
	@hack/lock $(ARGS)

clean: ## remove the virtual environments and all caches of this directory
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "kept: $${XDG_CACHE_HOME:-$$HOME/.cache}/securebase, the binaries built once for all checkouts; remove it to build them again"

setup:
	@hack/setup venv
