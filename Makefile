# Two commands for a machine that has only Python (3.11 to 3.13) and make:
#   make report   a virtual environment, locked dependencies, the report of a sample network; its last line is the first page
#   make test     the same with the development dependencies, then everything that CI runs
# Both can be repeated: what is up to date is not done again.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PYTEST := $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

REPORT ?= reports/galaxies

.PHONY: report pictures test check tests slow lock clean help

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "reportgen needs Python 3.11, 3.12 or 3.13; name one with: make PYTHON=python3.12"; exit 1; }
	@echo "creating the virtual environment $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.lock pyproject.toml | $(BIN)/python
	@echo "installing locked dependencies (TensorFlow is large: this takes minutes the first time)"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	@echo "installing locked development dependencies"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

report: $(VENV)/.installed ## the report of a sample network
	@$(BIN)/reportgen build sample_models/galaxies.keras -i sample_models/galaxies \
	  --classes sample_models/galaxies_classes.txt -o $(REPORT)

pictures: report $(VENV)/.installed-dev ## the pictures of the documentation (needs Chromium; builds a report of VGG16: minutes)
	$(BIN)/python docs/pictures.py $(REPORT) --gallery reports/gallery

test: check ## everything that CI runs
	$(PYTEST)

check: $(VENV)/.installed-dev ## format, lint, types, imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

tests: $(VENV)/.installed-dev ## the fast tests
	$(PYTEST) -m "not slow"

slow: $(VENV)/.installed-dev ## whole searches and builds, real networks and photographs, browsers, a fresh installation
	$(PYTEST) -m slow

lock: ## resolve the dependencies anew (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  pyproject.toml requirements-build.in -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  pyproject.toml requirements-build.in --group dev -c requirements.lock -o requirements-dev.lock

clean: ## remove the virtual environment, the sample report and the pictures of pages
	rm -rf $(VENV) reports build/pages
