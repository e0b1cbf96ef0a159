# Everything that is done with this repository. `make` lists the targets; docs/development.md explains them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# Variables of `make run` and `make down`.
EXAMPLE ?= examples/coral-six
CLUSTER ?=
YES ?=

# Which Python makes the virtual environment, and that environment.
PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
VENV := .venv
BIN := $(VENV)/bin

# Unit tests on every core; end-to-end tests share one control plane, and run one after another.
UNIT := $(BIN)/pytest tests --numprocesses auto --dist worksteal
E2E := $(BIN)/pytest e2e

# The environment is current when the stamp of these very files is there: no time stamps, which git does not keep.
INSTALLED := $(VENV)/installed-$(shell cat requirements-dev.txt pyproject.toml | sha256sum | cut -c1-12)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	echo
	echo "make run EXAMPLE=FOLDER   another folder of manifests (default: $(EXAMPLE))"
	echo "make run CLUSTER=FILE     on the cluster of that kubeconfig instead of a local one; YES=1: do not ask"

.PHONY: install
install: $(INSTALLED) ## the command alone, as .venv/bin/atoll: what `make run` and all others do first
	@echo "$(BIN)/atoll --help"

.PHONY: run
run: $(INSTALLED) ## a real control plane with simulated GPU nodes, the operator, and the example, until Ctrl-C
	@exec $(BIN)/atoll local run -f $(EXAMPLE) $(if $(CLUSTER),--cluster $(CLUSTER)) $(if $(YES),--yes)

.PHONY: down
down: $(INSTALLED) ## end what a killed `make run` left behind
	@exec $(BIN)/atoll local down

.PHONY: test
test: lint controlplane tools ## everything: lint, unit tests, end-to-end tests on a real control plane
	$(UNIT)
	$(E2E) --durations=20 --durations-min=20

.PHONY: check
check: lint ## lint and unit tests: fast, nothing is built or started but Envoy
	$(UNIT)

.PHONY: lint
lint: $(INSTALLED) ## format, ruff, mypy strict, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

.PHONY: e2e
e2e: controlplane tools ## end-to-end tests alone
	$(E2E)

.PHONY: controlplane
controlplane: $(INSTALLED) ## build the control plane (once per machine and set of pins)
	@$(BIN)/python -c 'from atoll.local.binaries import ensure_binaries; ensure_binaries()'

.PHONY: tools
tools: $(INSTALLED) ## build what only end-to-end tests need, such as helm (once for each set of pins)
	@$(BIN)/python -c 'from atoll.local.tools import ensure_tools; ensure_tools()'

.PHONY: format
format: $(INSTALLED) ## format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: crds
crds: $(INSTALLED) ## write crds/ and the reference pages: kinds, commands, metrics, the program; dashboards, rules, chart
	$(BIN)/python -m atoll.api.crd crds/
	for part in api cli handlers optimize.program; do $(BIN)/python -m atoll.$$part.reference docs/reference/; done
	$(BIN)/python -m atoll.report.monitoring charts/atoll docs
	$(BIN)/python -m atoll.local.chart charts/atoll docs

.PHONY: docs
docs: $(INSTALLED) ## the documentation site in build/site; links and anchors are checked
	@NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --quiet --strict
	echo "build/site/index.html"

.PHONY: golden
golden: crds ## rewrite all golden files; read the diff before you commit it
	ATOLL_GOLDEN=write $(BIN)/pytest tests

.PHONY: chart
chart: crds tools ## rewrite what the chart renders for e2e/chart/values; read the diff before you commit it
	ATOLL_GOLDEN=write $(BIN)/pytest e2e/test_chart.py

.PHONY: lock
lock: $(INSTALLED) ## write requirements*.txt from pyproject.toml; UPGRADE=1: to the newest versions
	$(BIN)/pip-compile --quiet $(if $(UPGRADE),--upgrade) --output-file requirements.txt pyproject.toml
	$(BIN)/pip-compile --quiet $(if $(UPGRADE),--upgrade) --constraint requirements.txt \
		--extra local --extra docs --extra dev --output-file requirements-dev.txt pyproject.toml

.PHONY: bench
bench: $(INSTALLED) ## all comparisons, half an hour; LONG=1: competitors get all their time, ONLY="RUN ...": a part
	@$(BIN)/python -m benchmarks.bench $(if $(LONG),--long) $(if $(ONLY),--only $(ONLY))

# What must be there before anything can be installed.
.PHONY: preflight
preflight: ## say what this machine lacks, and how to get it
	@missing=()
	command -v git >/dev/null || missing+=("git                               sudo apt-get install git")
	"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| missing+=("Python 3.11 or newer              sudo apt-get install python3  (or say which: make PYTHON=/path/to/python3.11)")
	"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null \
		|| missing+=("Python's modules venv, ensurepip  sudo apt-get install python3-venv")
	if (( $${#missing[@]} )); then
		echo "This machine lacks, with the mend on Debian 12:" >&2
		printf '  %s\n' "$${missing[@]}" >&2
		exit 1
	fi

# Preflight is order-only: it is always looked at, and never a reason to install again.
$(INSTALLED): | preflight
	@echo "Installing into $(VENV) (once for each change of the requirements) ..." >&2
	"$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement requirements-dev.txt \
		|| { echo "Packages could not be had: pip needs a package index; see the network, and pip's own configuration." >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	rm -f $(VENV)/installed-*
	touch $@
