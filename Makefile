# setup   makes .venv with everything, for CPU or GPU as the machine has
# demo    runs the four-stage pipeline on the embedded model: minutes on two cores
# test    runs the tests: about 10 minutes on two cores    test-long   those that take longer as well
# check   lint, types and house rules, in under a minute
# bench   measures ratios against named peers that need no outside data (benchmarks/README.md has the others)
# base-model   trains the embedded model from scratch
.PHONY: setup demo test test-long check bench base-model clean
PYTHON ?= python3
EXTRAS ?=
BIN := .venv/bin
# A worker for each core and one more, at most four. A file's tests stay together, since they share what they made; those that take
# longest come first (tests/conftest.py). One thread a process: threads of two workers on the same cores wait for each
# other in busy loops, which made the tests take 1.4 times as long.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder tests
STAMP := .venv/.installed

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt overrides.txt setup.sh
	PYTHON="$(PYTHON)" EXTRAS="$(EXTRAS)" sh setup.sh
	@touch $(STAMP)

demo: $(STAMP)
	$(BIN)/alignment run recipes/tiny-thinking.yaml

test: $(STAMP)
	$(PYTEST) -m "not long"

test-long: $(STAMP)
	$(PYTEST)

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --allow-untyped-decorators benchmarks/*.py
	$(BIN)/mypy --allow-untyped-decorators benchmarks/gpu/*.py
	$(BIN)/python -m pytest -q tests/house

bench: $(STAMP) runs/tiny-thinking/01-cold_start/manifest.json
	$(BIN)/python benchmarks/sft.py
	$(BIN)/python benchmarks/overhead.py sft
	$(BIN)/python benchmarks/overhead.py grpo runs/tiny-thinking/01-cold_start/output

runs/tiny-thinking/01-cold_start/manifest.json: $(STAMP)
	$(BIN)/alignment run recipes/tiny-thinking.yaml --stage cold_start

base-model: $(STAMP)
	TORCHDYNAMO_DISABLE=0 $(BIN)/python -m alignment.run.processes $(BIN)/python -m alignment.training.base_model.pretrain --output data/base

clean:
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache
