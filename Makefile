# `make replicate` needs Python 3.11 or newer, make and the package index, and nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

.PHONY: help setup replicate targets test test-long check document benchmark clean

help:
	@echo "make replicate   set up, then run the whole pipeline on real images (tier smoke)"
	@echo "make targets     list every figure, table and claim with what it costs: results/smoke/targets.md"
	@echo "make test        set up, then run the tests"
	@echo "make test-long   run the tests that make test leaves out because they take many seconds each"
	@echo "make setup       make .venv with the pinned requirements"
	@echo "make check       formatting, lint and types"
	@echo "make document    write docs/configuration.md, the schemas, and what pages quote of kept metrics"
	@echo "make benchmark   measure the exact spectra, steps and Hessian-vector products, K-FAC; several minutes"
	@echo "make clean       remove results, figures and tables; the environment and downloads stay"

setup: $(INSTALLED)

$(INSTALLED): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than 3.11 or missing; name another: make setup PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -r requirements.txt
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --editable .
	@touch $@

replicate: $(INSTALLED)
	$(BIN)/snakemake --cores all

targets: $(INSTALLED)
	$(BIN)/secondorder targets

test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not long"

test-long: $(INSTALLED)
	$(BIN)/python -m pytest -m long

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/mypy
	$(BIN)/snakemake --lint

document: $(INSTALLED)
	$(BIN)/secondorder document

benchmark: $(INSTALLED)
	$(BIN)/python benchmarks/exact_hessian.py
	$(BIN)/python benchmarks/hessian_vector_products.py
	$(BIN)/python benchmarks/kronecker_step.py
	$(BIN)/python benchmarks/hessian_free_step.py

clean:
	rm -rf .snakemake logs $(filter-out results/data,$(wildcard results/*)) $(wildcard figures/*/) $(wildcard paper_tables/*/)
