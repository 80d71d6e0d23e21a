# make demo    the whole road on simulated tomograms, in a few minutes
# make test    all checks and tests, as continuous integration runs them
# make help    the rest
#
# Needs Python 3.11 or newer with its venv module, and nothing else: `.venv` is made on first use, with the versions
# that constraints.txt pins.
#
# torch: on Linux, PyPI's own wheel is the CUDA build (several GB). For a small CPU build:
#     make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
# For a certain CUDA version, likewise .../whl/cu128 and so on. To change it later: make clean first.

PYTHON ?= python3
TORCH_INDEX ?=
DEMO ?= demo
VENV := .venv
BIN := $(VENV)/bin
INDEX := $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
# Two workers on two cores: more threads in each would fight for them.
TEST_ENV := OMP_NUM_THREADS=1
VENV_HINT := apt-get install python3-venv
# The page of the studio is checked by TypeScript, which is installed beside the environment and ships with nothing.
TYPESCRIPT := 5.9.3
TSC := $(VENV)/js/node_modules/.bin/tsc

.DEFAULT_GOAL := help
.PHONY: help demo test pytest test-slurm fuzz check check-page clean install

help:
	@echo "make demo    simulate, click, train, pick and judge; results in ./$(DEMO)"
	@echo "make test    lint, types and all tests"
	@echo "make test-slurm  the tests on a SLURM of this machine alone (root, Debian's slurm-wlm)"
	@echo "make fuzz    read random and damaged files of every format, and type random arguments, for some ten minutes"
	@echo "make check   lint and types only, of the studio's page too"
	@echo "make install the program alone, as $(BIN)/tomopicker"
	@echo "make clean   remove the environment, caches and ./$(DEMO)"
	@echo "Variables: PYTHON=python3.12  TORCH_INDEX=https://download.pytorch.org/whl/cpu  DEMO=folder"

demo: $(VENV)/.installed
	$(BIN)/tomopicker demo --output $(DEMO) --overwrite

install: $(VENV)/.installed
	@echo "Installed: $(BIN)/tomopicker"

check: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	@$(MAKE) --no-print-directory check-page

check-page: $(BIN)/python
	@if [ "$$($(TSC) --version 2>/dev/null)" != "Version $(TYPESCRIPT)" ] && ! { command -v npm >/dev/null && \
	    npm install --silent --no-audit --no-fund --prefix $(VENV)/js typescript@$(TYPESCRIPT); }; then \
	    echo "make: the types of the studio's page are not checked: npm, or its registry, is not there"; \
	else $(TSC) -p src/tomopicker/studio/static/jsconfig.json && echo "tsc: the studio's page has no faults"; fi

# Types are checked on one core: beside the tests, so that none waits for the other.
test: $(VENV)/.installed-dev
	@$(MAKE) --no-print-directory -j 2 check pytest

pytest: $(VENV)/.installed-dev
	$(TEST_ENV) $(BIN)/python -m pytest -n 2 --dist loadscope

# A SLURM of two nodes on this machine: for root on Debian with slurm-wlm; elsewhere it says why it is skipped.
test-slurm: $(VENV)/.installed-dev
	TOMOPICKER_TEST_SLURM=1 $(TEST_ENV) $(BIN)/python -m pytest -rs tests/slurm

fuzz: $(VENV)/.installed-dev
	$(TEST_ENV) $(BIN)/python -m pytest -n 2 -m hypothesis --hypothesis-profile=fuzz tests/io
	TOMOPICKER_FUZZ_SECONDS=600 $(TEST_ENV) $(BIN)/python -m pytest tests/cli/test_fuzz_arguments.py
	TOMOPICKER_FULL_DISK_MOMENTS=20 $(TEST_ENV) $(BIN)/python -m pytest -rs tests/cli/test_full_disk.py

clean:
	rm -rf $(VENV) $(DEMO) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: installing happens once, and again when what is to be installed changes.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(INDEX) -c constraints.txt -e ".[studio]"
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(INDEX) -c constraints.txt -e ".[dev]"
	@touch $@ $(VENV)/.installed

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || \
	    { echo "make: $(PYTHON) is not there; install Python 3.11 or newer (apt-get install python3 python3-venv)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "make: $$($(PYTHON) --version) is too old; give a Python 3.11 or newer, as in PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	    { echo "make: $(PYTHON) has no venv module; install it ($(VENV_HINT))" >&2; exit 1; }
	@# A half-made environment must not look like a whole one.
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "make: no environment; try: $(VENV_HINT)" >&2; exit 1; }
