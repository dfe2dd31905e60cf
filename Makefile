# The two commands a newcomer needs are `make demo` and `make test`.
# `make help` lists every other habit.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV ?= $(or $(shell command -v uv 2>/dev/null),$(BIN)/uv)
RUST := $(shell find rust -name '*.rs' -o -name Cargo.toml) Cargo.toml Cargo.lock
INSTALL := $(UV) pip install --quiet --python $(BIN)/python

.PHONY: help setup fmt lint test test-fast test-rust test-python test-faults bench bench-python bench-rust bench-profile bench-page demo docs fuzz requirements clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{ printf "%-14s %s\n", $$1, $$2 }'

# Complete once it is there: a set-up that failed half-way begins anew.
$(VENV)/.ready:
	@$(PYTHON) -c 'import sys; sys.exit("bridgex needs Python 3.11 or later, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@command -v cargo >/dev/null || { echo 'bridgex needs a Rust toolchain: see https://rustup.rs' >&2; exit 1; }
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@command -v uv >/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@touch $@

# One stamp per extra: repeating a command with nothing changed costs nothing.
$(VENV)/.demo: pyproject.toml requirements/demo.txt $(RUST) | $(VENV)/.ready
	@echo 'installing bridgex with its demo extra into $(VENV)' >&2
	@$(INSTALL) --constraints requirements/demo.txt --reinstall-package bridgex --editable '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml requirements/dev.txt $(RUST) | $(VENV)/.ready
	@echo 'installing bridgex with its dev extra into $(VENV)' >&2
	@$(INSTALL) --constraints requirements/dev.txt --reinstall-package bridgex --editable '.[dev]'
	@touch $@ $(VENV)/.demo

$(VENV)/.bench: pyproject.toml requirements/bench.txt $(RUST) | $(VENV)/.ready
	@echo 'installing bridgex with its bench extra into $(VENV)' >&2
	@$(INSTALL) --constraints requirements/bench.txt --reinstall-package bridgex --editable '.[bench]'
	@touch $@ $(VENV)/.dev $(VENV)/.demo

setup: $(VENV)/.dev  ## prepare .venv for work on bridgex

demo: $(VENV)/.demo  ## run the whole pipeline on a small real model
	@$(BIN)/bridgex demo $(DEMO)

fmt: $(VENV)/.dev  ## format and fix what can be fixed
	@cargo fmt --all
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

lint: $(VENV)/.dev  ## formatting, lints and types; changes nothing
	cargo fmt --all --check
	cargo clippy --quiet --workspace --all-targets --locked -- -D warnings
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest bridgex._native --mypy-config-file pyproject.toml

test: test-rust test-python  ## every test of the default run

test-rust:  ## the Rust tests
	cargo test --quiet --workspace --locked

test-python: $(VENV)/.dev  ## the Python tests
	$(BIN)/pytest

test-fast: $(VENV)/.dev  ## the tests that need no model
	$(BIN)/pytest --quiet tests/unit tests/properties tests/golden

test-faults: $(VENV)/.dev  ## the long tests: processes killed by the hundred, races
	$(BIN)/pytest --verbose --timeout 3600 -m long

BENCHES := target/benches
SELECT ?= test
PYTEST_BENCH = env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE $(BIN)/pytest benches/python --verbose \
  --timeout 1800 --benchmark-only --benchmark-columns=median,iqr,rounds --benchmark-sort=fullname

bench: bench-python bench-rust  ## measure speed against named rivals

# BRIDGEX_SIMD=avx2 measures with that instruction set, beside what was measured before; SELECT
# chooses benches as pytest's -k does.
bench-python: export BRIDGEX_BENCH ?= full
bench-python: export OMP_NUM_THREADS := 1
bench-python: $(VENV)/.bench
	@mkdir -p $(BENCHES)
	$(PYTEST_BENCH) -k '$(SELECT)' --benchmark-json=$(BENCHES)/$(or $(BRIDGEX_SIMD),best).json

bench-rust: export CARGO_PROFILE_BENCH_DEBUG := line-tables-only
bench-rust:
	cargo bench --quiet --locked --package bridgex-core --bench '*' -- --warm-up-time 1 --measurement-time 2

bench-profile: $(VENV)/.bench  ## find where the time goes (needs perf and binutils)
	@mkdir -p $(BENCHES)/profile
	@$(BIN)/python -m benches.python.hotspots > $(BENCHES)/profile.txt
	@mv $(BENCHES)/profile.txt $(BENCHES)/profile/dependence.json

bench-page: $(VENV)/.bench  ## make docs/benchmarks.md from what was measured
	@$(BIN)/python -m benches.python.report $(wildcard $(BENCHES)/*.json) \
	  --criterion target/criterion $(addprefix --profile ,$(wildcard $(BENCHES)/profile/*.json)) > $(BENCHES)/page.md
	@mv $(BENCHES)/page.md docs/benchmarks.md

# Needs a nightly toolchain and `cargo install cargo-fuzz`; `make test` calls the targets as well.
fuzz: export CARGO_TARGET_DIR := $(CURDIR)/target/fuzz
fuzz:  ## a minute of random input for each function of the core
	@for target in dependence spectrum overlap_counts top_k; do \
	  cargo +nightly fuzz run --fuzz-dir rust/fuzz $$target -- -max_total_time=60 -max_len=3000; done

docs: $(VENV)/.dev  ## make the pages that come from the program itself
	@$(BIN)/python -m bridgex.cli.reference > docs/reference/cli.md
	@$(BIN)/python -m bridgex.capture.page > docs/models.md

requirements: | $(VENV)/.ready  ## pin the current versions of everything that is installed
	@for extra in demo dev bench; do \
	  $(UV) pip compile --quiet --universal --python-version 3.11 --upgrade --no-emit-index-url \
	    --no-header --no-annotate --extra $$extra pyproject.toml --output-file requirements/$$extra.txt; done

clean:  ## remove everything that was built
	rm -rf target $(VENV) dist python/bridgex/_native*.so
	find . -name __pycache__ -prune -exec rm -rf {} +
