# `make demo` and `make test` do all set-up themselves. `make help` lists the rest.
PY ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.kerege-ready
NATIVE := $(shell find src -name '*.pyx' -o -name '*.pxd' -o -path '*/lane/*.c' -o -path '*/lane/*.h')

.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

setup: $(STAMP) ## a virtual environment in this checkout, with every pinned dependency

$(STAMP): requirements/lock.txt pyproject.toml tools/setup.sh tools/native.py $(NATIVE)
	@PY="$(PY)" sh tools/setup.sh $(VENV)
	@touch $(STAMP)

demo: $(STAMP) ## the country in a box, with its pages in the browser until Ctrl-C
	$(BIN)/kerege demo

# The tests start hundreds of processes: each module is compiled once, also where the environment says that nothing compiled is to be kept.
# In which order the files begin says tests/conftest.py, not how many tests they have.
test: export PYTHONDONTWRITEBYTECODE =
test: $(STAMP) ## all tests (fast ones, journeys through real processes and a browser), in WORKERS (2) at once
	$(BIN)/python -m pytest -q -n $(or $(WORKERS),2) --dist loadgroup --no-loadscope-reorder

check: $(STAMP) ## ruff, mypy --strict, the import staircase
	$(BIN)/ruff check --no-cache src tests bench fuzz tools docs
	$(BIN)/ruff format --check src tests bench fuzz tools
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## let ruff mend what it can
	$(BIN)/ruff check --no-cache --fix src tests bench fuzz tools docs
	$(BIN)/ruff format src tests bench fuzz tools

evaluate: $(STAMP) ## codes and columns matched on real registers in ../shared/data (says "not there" when they are not)
	$(BIN)/python bench/evaluate.py

bench-exchange: $(STAMP) ## the exchange beside two nginx with mutual TLS, speed and CPU (OPTIONS="--rounds 1 --seconds 1" for a quick look)
	$(BIN)/python bench/exchange $(OPTIONS)

bench-data: $(STAMP) ## mapping, profiling, linkage, engines and search, speed beside peers (OPTIONS="--only mapping --quick")
	$(BIN)/python bench/data $(OPTIONS)

engines: $(STAMP) ## every engine held to the Python function over a million rows, cell by cell, within MINUTES (60) (OPTIONS=--quick)
	KEREGE_ENGINE_ROWS=5000 timeout 600 $(BIN)/python -m pytest -q -p no:cacheprovider tests/semantics/test_engines.py
	timeout $$((60 * $(or $(MINUTES),60))) $(BIN)/python -m bench.data.engines $(OPTIONS)
	KEREGE_EXAMPLES=20 $(BIN)/python -m pytest -q -p no:cacheprovider tests/semantics/test_two_engines.py

spark: $(STAMP) ## a virtual environment with Spark, and the mapping on a real cluster of two workers on this machine, within MINUTES (20)
	@PY="$(PY)" sh tools/spark.sh
	KEREGE_SPARK=1 timeout $$((60 * $(or $(MINUTES),20))) $(BIN)/python -m pytest -q -p no:cacheprovider tests/semantics/test_engines_spark.py

reconcile: $(STAMP) ## the doings of reconciling on PostgreSQL through the migrations, races on SQLite, weights learnt from registers: the long tests of that room
	KEREGE_RECONCILE=1 timeout 1200 $(BIN)/python -m pytest -q -p no:cacheprovider tests/reconcile

soak: $(STAMP) ## nodes killed at random moments under load for SECONDS (120), both logs held against each other; bodies of 1 GB; all seeds of the generated worlds
	KEREGE_BIG=1 $(BIN)/python -m pytest -q tests/node/test_faults_big_bodies.py
	KEREGE_EVERY_SEED=1 $(BIN)/python -m pytest -q tests/services
	KEREGE_SOAK_SECONDS=$(or $(SECONDS),120) $(BIN)/python -m pytest -q -s tests/box/test_kill.py

# Other people's tools, each in an environment of its own: CONTRIBUTING.md says which target brings which, and for what.
outside: $(STAMP) ## virtual environments of other people's X-Road libraries, for tests/outside
	@PY="$(PY)" sh tests/outside/setup.sh

outside-data: $(STAMP) outside-codes outside-mapping ## all of the data side but DataHub and Spark: oracles of contracts, FEBRL, and the two below
	@PY="$(PY)" sh tests/outside/setup_linkage.sh
	@PY="$(PY)" sh tests/outside/setup_contracts.sh

outside-api: $(STAMP) ## Schemathesis in an environment of its own, and what it asks of the hub's API (a minute)
	@PY="$(PY)" sh tests/outside/setup_schemathesis.sh
	@$(BIN)/python -m pytest -q tests/outside/api_schemathesis.py

outside-openrefine: $(STAMP) ## OpenRefine itself (apt-get install openrefine, or its folder in KEREGE_OPENREFINE) against our Reconciliation API
	@$(BIN)/python -m pytest -q tests/outside/reconcile_openrefine.py

outside-datahub: $(STAMP) ## DataHub in an environment of its own, for bench-data's part profiling
	@PY="$(PY)" sh bench/data/setup_datahub.sh

outside-mapping: $(STAMP) ## LinkML-Map and Spinta, for bench-data's mapping part and tests/outside/test_spinta.py
	@PY="$(PY)" sh tests/outside/setup_mapping.sh
	@PY="$(PY)" sh tests/outside/setup_spinta.sh

outside-codes: $(STAMP) ## skosify, sssom and pysdmx, for tests/outside/test_codes_tools.py
	@PY="$(PY)" sh tests/outside/setup_codes.sh

fuzz: $(STAMP) ## every parser of strangers' bytes fuzzed for SECONDS (60) each
	@PY="$(PY)" sh fuzz/run.sh $(or $(SECONDS),60)

lock: $(STAMP) ## renew requirements/lock.txt
	$(BIN)/pip install -q uv
	$(BIN)/uv pip compile requirements/dev.in -q --generate-hashes --no-annotate --no-header --python-version 3.11 --upgrade -o requirements/lock.txt

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis

.PHONY: help setup demo test check format evaluate bench-exchange bench-data engines spark reconcile soak fuzz lock clean
.PHONY: outside outside-data outside-mapping outside-codes outside-api outside-openrefine outside-datahub
