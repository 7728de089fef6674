# Sets up .venv with nothing but python3 (uv where it is there, pip where not), then runs the named job.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# containers often set it; without bytecode every stage compiles what it imports anew, for seconds
unexport PYTHONDONTWRITEBYTECODE

.PHONY: repro test lint ui bench lock report

repro: .venv/ready  ## run the pipeline: data, five stages, one MLflow run
	dvc repro
	pneumonia sync

# reordered by their number of tests, the longest file, which has one test, would run last and alone
test: .venv/ready lint  ## linters, types and all tests
	pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: .venv/ready
	ruff check .
	ruff format --check .
	pyright

ui: .venv/ready  ## compare runs in the browser
	pneumonia ui

report: BASE ?= main
report: .venv/ready  ## what this checkout changes against BASE=main: .cache/report/report.md
	python docs/make_report.py --base "$(BASE)" --pictures "$(PICTURES)"

bench: .venv/ready
	python benchmarks/bench_augment.py
	python benchmarks/bench_intervals.py
	python benchmarks/bench_decode.py
	python benchmarks/bench_startup.py

# packages are compiled as they are imported: to compile all of each takes far longer
.venv/ready: requirements.lock pyproject.toml
	@if command -v uv >/dev/null; then \
	  uv venv --quiet --allow-existing --python $(PYTHON) .venv && \
	  uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock && \
	  uv pip install --quiet --python $(BIN)/python --no-deps --editable .; \
	else \
	  $(PYTHON) -m venv .venv && \
	  $(BIN)/pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements.lock && \
	  $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .; \
	fi
	@touch $@

lock:  ## after a change of the dependencies in pyproject.toml; needs uv
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --quiet --output-file requirements.lock
