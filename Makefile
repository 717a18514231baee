# fhir-hub: `make run`, `make test`. Needs Python 3.11 or later with venv, and nothing else.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STORE  ?= sqlite:data/hub.sqlite
PORT   ?= 8000
MLLP_PORT ?= 2575

.DEFAULT_GOAL := help
.PHONY: help run test test-faults test-mongo lint bench bench-checks bench-scale bench-identity try-examples try-terminology try-tables definitions-check clean

help:
	@echo "make run                start the hub (FHIR on $(PORT), HL7v2 on $(MLLP_PORT))"
	@echo "make test               every check and test"
	@echo "make test-mongo         tests of stores, REST, messages, scenarios on MongoDB (a stand-in, or a real one)"
	@echo "make test-faults        kill, tear, fill, slow down and fuzz for SECONDS each (60)"
	@echo "make lint               format, lint and types only"
	@echo "make bench              drive a running hub and print targets beside what it reaches"
	@echo "make bench-checks       what validation costs, in CPU (part of make bench)"
	@echo "make bench-scale        the same searches over 10^4, 10^5 and 10^6 resources"
	@echo "make bench-identity     how often 100,000 made people are recognised, and taken for others"
	@echo "make try-examples       store R4's own examples (EXAMPLES=FILE.tar.xz) and compare"
	@echo "make try-terminology    ask the public terminology tests (TERMINOLOGY=FILE.tar.xz)"
	@echo "make try-tables         compare the HL7v2 maps with HL7's own tables (TABLES=FOLDER)"
	@echo "make definitions-check  compile the R4 definitions again and compare"

# A stamp is newer than what it was made from: installing again takes no time.
$(VENV)/installed: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
	  || { echo "python3-venv is needed: apt install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/installed-tests: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test]"
	@touch $@

run: $(VENV)/installed
	$(BIN)/fhir-hub serve --port $(PORT) --mllp-port $(MLLP_PORT) --store $(STORE) \
	  --load examples/institutions.json

lint: $(VENV)/installed-tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --strict fhir_hub

# what CI asks for besides: COVER="--cov --cov-report=term" (twice the time: each line is noted)
COVER ?=
# Some tests wait for what takes its time: one worker more than there are cores keeps these busy
WORKERS ?= $(shell $(PYTHON) -c "import os; print((os.cpu_count() or 1) + 1)")
# Each worker begins with half of the files, so what the tests of a file share is mostly made once.
# Python keeps what it compiles, whatever the shell says: a worker, and each hub that a test
# starts, would compile it all again
test: export PYTHONDONTWRITEBYTECODE :=
# Each write waits for a disk, and the files of tests are thrown away: in memory, where there is
# room, they take half of the time
test: export TMPDIR ?= $(shell df -Pk /dev/shm 2>/dev/null | awk 'NR > 1 && $$4 > 4e6 { print "/dev/shm" }')
test: $(VENV)/installed-tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	@echo "types and tests, side by side"
	@$(BIN)/mypy --strict fhir_hub & types=$$!; \
	  $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --durations=10 $(COVER); tests=$$?; \
	  wait $$types && exit $$tests

# a test that hangs is ended, and named
ON_MONGO = -n auto --durations=10 -o faulthandler_timeout=600 -o faulthandler_exit_on_timeout=true
# FHIR_HUB_TEST_MONGODB=mongodb://… names a real MongoDB; each worker makes and drops a database
test-mongo: $(VENV)/installed-tests
	FHIR_HUB_TEST_STORES=mongo,pymongo $(BIN)/python -m pytest $(ON_MONGO) -k mongo \
	  tests/store
	FHIR_HUB_TEST_STORES=mongo $(BIN)/python -m pytest $(ON_MONGO) -k mongo \
	  tests/rest tests/repository tests/hl7v2 tests/cli tests/whole
	FHIR_HUB_TEST_STORES=mongo $(BIN)/python -m pytest $(ON_MONGO) \
	  tests/scenarios tests/referral tests/documents tests/identity tests/subscriptions \
	  tests/hl7v2/deliver

# each test of faults tries for so long; the suite runs them all for a moment
SECONDS ?= 60
KILLS   ?= 20
test-faults: $(VENV)/installed-tests
	FHIR_HUB_FAULTS_S=$(SECONDS) FHIR_HUB_TEST_KILLS=$(KILLS) $(BIN)/python -m pytest \
	  tests/faults tests/whole/test_durability.py tests/whole/test_channels.py \
	  tests/store/test_sqlite_durable.py tests/store/test_journal_against_memory.py

# what to give the benchmarks: BENCH="--prefill 1000000 --runs 3 --keep"
BENCH ?=
# and the table of MongoDB beside SQLite: BESIDE="--store mongodb://db1/bench?replicaSet=rs0"
BESIDE ?=
bench: bench-checks
	$(BIN)/python -m bench $(BENCH)
	$(BIN)/python -m bench.beside $(BESIDE)

bench-checks: $(VENV)/installed-tests
	$(BIN)/python -m bench.checks

bench-scale: $(VENV)/installed-tests
	$(BIN)/python -m bench.scale $(BENCH)

bench-identity: $(VENV)/installed-tests
	$(BIN)/python -m bench.identity $(BENCH)

# where the official examples and the bundles to try are
EXAMPLES ?= r4-examples-json.tar.xz
BUNDLES  ?=
try-examples: $(VENV)/installed-tests
	$(BIN)/python tools/try_examples.py --examples $(EXAMPLES) $(if $(BUNDLES),--bundles $(BUNDLES))

# where the test cases of the FHIR terminology ecosystem are
TERMINOLOGY ?= terminology-tests.tar.xz
try-terminology: $(VENV)/installed-tests
	$(BIN)/python tools/try_terminology.py --tests $(TERMINOLOGY) --verbose

# where HL7's v2-to-FHIR tables are (the guide's CSV sheets)
TABLES ?= ig-maps
try-tables: $(VENV)/installed
	$(BIN)/python tools/try_tables.py --tables $(TABLES)

definitions-check: $(VENV)/installed
	$(BIN)/python tools/compile_definitions.py --check

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*
