# Every target does its own set-up. PYTHON may name another interpreter (3.11 or newer).
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo test check bench soak lock format clean

demo: $(STAMP)
	$(BIN)/farvault demo

test: $(STAMP)
	$(BIN)/pytest -n 2 --dist worksteal -m "not soak"

check: $(STAMP)
	$(BIN)/ruff format --check src tests bench
	$(BIN)/ruff check src tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest tests/tidy

bench: $(STAMP)
	$(BIN)/python -m bench $(BENCH)
	$(BIN)/python -m bench.big_pool --extents 400000

soak: $(STAMP)
	$(BIN)/pytest -m soak
	$(BIN)/pytest --hypothesis-profile=explore -m "not soak" tests/unit tests/model

format: $(STAMP)
	$(BIN)/ruff format src tests bench
	$(BIN)/ruff check --fix src tests bench

# Resolve the newest allowed versions anew. The lock holds hashes and names no registry.
lock:
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/pip install -q uv
	$(VENV)-lock/bin/uv pip compile -q pyproject.toml --group dev --generate-hashes --universal \
	  --python-version 3.11 --no-emit-index-url --no-header -o requirements/dev.lock
	rm -rf $(VENV)-lock

$(STAMP): requirements/dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --require-hashes -r requirements/dev.lock
	$(BIN)/pip install -q --no-deps --no-build-isolation -e .
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist
