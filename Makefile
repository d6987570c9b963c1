# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
# Compiled modules are kept, whatever the environment says: demo and tests start many processes.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-e2e test-slow check fmt docs bench dist clean

demo: $(READY)
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/demo.sh

test: $(READY)
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

# Only modules that have such tests are imported.
test-e2e: $(READY)
	$(BIN)/python -m pytest -m "e2e and not slow" --numprocesses auto --dist worksteal \
		$$(grep --recursive --files-with-matches --include='test_*.py' 'mark\.e2e' tests)

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers 2
	$(BIN)/python -m pytest -q tests/test_layout.py

fmt: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(READY)
	$(BIN)/python -m benchmarks.notebook --minutes 3
	$(BIN)/python -m benchmarks.decoding --minutes 20
	$(BIN)/python -m benchmarks.streaming
	$(BIN)/python -m benchmarks.scale
	$(BIN)/python -m benchmarks.workers
	$(BIN)/python -m benchmarks.audit
	$(BIN)/python -m benchmarks.audit_retraining
	$(BIN)/python -m benchmarks.learning_curve
	$(BIN)/python -m benchmarks.review_loop
	$(BIN)/python -m benchmarks.vectors
	$(BIN)/python -m benchmarks.throughput
	$(BIN)/python -m benchmarks.time_to_quality
	$(BIN)/python -m benchmarks.models
	$(BIN)/python -m benchmarks.eole
	$(BIN)/python -m benchmarks.tagger
	$(BIN)/python -m benchmarks.tagger_speed
	$(BIN)/python -m benchmarks.tagger_trials
	$(BIN)/python -m benchmarks.seeds
	$(BIN)/python -m benchmarks.onnx
	$(BIN)/python -m benchmarks.target_recall
	$(BIN)/python -m benchmarks.certify
	$(BIN)/python -m benchmarks.deid
	$(BIN)/python -m benchmarks.threads
	$(BIN)/python -m benchmarks.training_cores
	$(BIN)/python -m benchmarks.review_page

dist: $(READY)
	$(BIN)/mypy --python-version 3.13
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python -m build --wheel --outdir dist packaging/onnx

clean:
	rm -rf $(VENV) dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis

# torch comes first: once it is there, nothing that follows asks for another build of it.
# Python compiles the modules that it imports; pip would compile all, of which most are never used.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable ".[dev]"
	touch $(READY)
