# `make` lists the targets; every target does its own set-up.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.14 python3.13 python3.12 python3.11 python3; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export PYTHONPATH := $(CURDIR)/src

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

$(STAMP): requirements/all.lock pyproject.toml
	@bash requirements/bootstrap.sh "$(PYTHON)" $(VENV)
	@touch $@

.PHONY: venv
venv: $(STAMP) ## the Python environment, from the lock

.PHONY: run
run: venv ## a node with and without memqos, on the simulated kernel: no root, no virtual machine
	$(BIN)/memqos simulate

.PHONY: try
try: venv system ## the pods of examples/ on a real kernel in a virtual machine, managed by memqos
	$(BIN)/memqos lab try --pods examples/pods --policy examples/policy.yaml --out out/try

.PHONY: check
check: venv ## format, lint, types, layers, unit tests: no root, no network, a few minutes
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	MEMQOS_KERNEL_TESTS=0 NUMBA_DISABLE_JIT=1 $(BIN)/pytest -q $(wildcard tests/unit tests/contract tests/test_*.py)

.PHONY: system
system: ## the system packages of the laboratory (QEMU, busybox): installed when root, else the line to run
	@bash requirements/system.sh

.PHONY: test
test: venv system ## every test, in real kernels too (MEMQOS_KERNEL_TESTS=0 leaves those out, =1 forces them)
	$(MAKE) --no-print-directory fuzz
	$(BIN)/pytest -q

.PHONY: fuzz
fuzz: venv ## 10,000 generated control files and 10,000 generated manifests
	MEMQOS_KERNEL_TESTS=0 HYPOTHESIS_PROFILE=fuzz $(BIN)/pytest -q \
	  tests/unit/linux/test_cgroupfs.py tests/unit/linux/test_procfs.py tests/unit/cluster/test_manifest_fuzz.py

.PHONY: lock
lock: venv ## resolve the dependencies anew into requirements/all.lock
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --all-extras --group dev --upgrade -o requirements/all.lock pyproject.toml

.PHONY: bench
bench: venv ## every benchmark, as ratios within one run
	$(BIN)/python benchmarks/run.py

.PHONY: fidelity
fidelity: venv ## the simulated kernel beside recordings of real ones, counter by counter: docs/fidelity.md
	$(BIN)/memqos lab compare --all --kernel all --recorded docs/recordings.tar.xz --first docs/fidelity-first.json

.PHONY: simulated
simulated: venv ## what becomes of the managers' experiments on the simulated kernel: docs/simulated.md, about five minutes
	-$(BIN)/memqos lab run e6 e7 e8 e9 e10 e11 e12 e13 e14 e15 e16 --kernel all --simulated --repeats 3 \
	  --out out/simulated --docs docs/simulated.md

.PHONY: record
record: venv system ## one more run of all that is compared on real kernels, kept in docs/recordings.tar.xz: over an hour
	-$(BIN)/memqos lab compare --all --kernel all --out out/record
	$(BIN)/memqos lab keep out/record/run1 docs/recordings.tar.xz

.PHONY: docs
docs: venv ## write the generated pages of docs/ anew
	$(BIN)/python docs/generate.py
