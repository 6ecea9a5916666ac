# amlc: experiments in, results out. `make help` lists the targets.
EXPERIMENT ?= examples/digits/experiment.yml
BACKEND ?= local
BUILD ?= build
RESULTS ?= results.csv
REPORT ?= report.html
MINUTES ?= 10
PYTHON ?= python3
PYTEST_ARGS ?= -n auto --dist worksteal

VENV := .venv
# Trials run with the same Python as amlc, so that `python3` in a trialCommand finds what .venv has.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
AMLC := amlc --build $(BUILD)
# Azure's client is large: it comes when it is needed.
AZURE := $(if $(filter aml,$(BACKEND)),$(VENV)/.azure)
# Incomplete results are results too; without any, those of the last time stay.
KEEP_RESULTS = if [ -s $(RESULTS).tmp ]; then mv $(RESULTS).tmp $(RESULTS); else rm -f $(RESULTS).tmp; fi; exit $$code

.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: help run compile submit collect report status test test-all test-lowest test-newest check golden fuzz bench
.PHONY: quality simulate faults docs lock clean

help: ## List the targets
	@echo 'Variables: EXPERIMENT=$(EXPERIMENT) BACKEND=$(BACKEND) BUILD=$(BUILD)'
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do \
		printf '  make %-11s %s\n' "$$name" "$$text"; done

run: $(VENV)/.run $(AZURE) ## Compile, submit, follow and collect EXPERIMENT; the results go to results.csv
	$(AMLC) run $(EXPERIMENT) --backend $(BACKEND) > $(RESULTS).tmp; code=$$?; $(KEEP_RESULTS)

# --- the environment -----------------------------------------------------------------------------------------------

# Versions and hashes are fixed in requirements/, so that a new machine gets what was tested; `make lock` renews them.
# What is there as source only, and amlc itself, is built by what run.txt has: nothing comes unlocked.
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check
LOCKED := $(PIP) --require-hashes --no-build-isolation --requirement

$(VENV)/.run: pyproject.toml requirements/run.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(LOCKED) requirements/run.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.azure: requirements/azure.txt $(VENV)/.run
	$(LOCKED) requirements/azure.txt
	touch $@

$(VENV)/.test: requirements/test.txt $(VENV)/.run
	$(LOCKED) requirements/test.txt
	touch $@

$(VENV)/.docs: requirements/docs.txt $(VENV)/.run
	$(LOCKED) requirements/docs.txt
	touch $@

# uv resolves for every Python at once, and fills the environments below in seconds.
$(VENV)/.lock: requirements/lock.txt
	$(PYTHON) -m venv --clear $(VENV)/lock
	$(VENV)/lock/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	touch $@

UV := $(VENV)/lock/bin/uv pip

$(VENV)/.lowest: pyproject.toml requirements/lowest.txt $(VENV)/.lock
	$(PYTHON) -m venv --clear --without-pip $(VENV)/lowest
	$(UV) install --quiet --python $(VENV)/lowest --require-hashes --build-constraints requirements/run.txt \
		--requirement requirements/lowest.txt
	$(UV) install --quiet --python $(VENV)/lowest --no-deps --no-build-isolation --editable .
	touch $@

# What `make bench` measures beside amlc, in an environment of its own: NNI wants an old setuptools.
$(VENV)/.peers: requirements/peers.txt $(VENV)/.lock
	$(PYTHON) -m venv --clear --without-pip $(VENV)/peers
	$(UV) install --quiet --python $(VENV)/peers --require-hashes --build-constraints requirements/run.txt \
		--requirement requirements/peers.txt
	touch $@

# --- the experiment ------------------------------------------------------------------------------------------------

# The compiler writes down what each manifest is made of, and under which name make finds it.
-include $(wildcard $(BUILD)/*/depend.mk)
MANIFEST := $(AMLC_MANIFEST.$(BACKEND).$(EXPERIMENT))
ifeq ($(MANIFEST),)
MANIFEST := $(BUILD)/.never-compiled
endif

compile: $(MANIFEST) ## Write the job files into BUILD, if an input changed

$(MANIFEST): $(VENV)/.run
	$(AMLC) compile $(EXPERIMENT) --backend $(BACKEND)

submit: compile $(AZURE) ## Run what was not run yet, to the end of the experiment
	$(AMLC) submit $(EXPERIMENT) --backend $(BACKEND)

# With -j too, what is asked for together happens in order.
collect: compile $(AZURE) $(filter submit,$(MAKECMDGOALS)) ## Write the results into results.csv
	$(AMLC) collect $(EXPERIMENT) > $(RESULTS).tmp; code=$$?; $(KEEP_RESULTS)

report: compile ## Draw the results as one HTML page, report.html
	$(AMLC) report $(EXPERIMENT) > $(REPORT)

status: compile ## Show how the trials stand
	$(AMLC) status $(EXPERIMENT)

clean: ## Remove what was compiled; ledgers and runs in .amlc/ stay
	find $(BUILD) -mindepth 1 -maxdepth 1 ! -name .gitignore -exec rm -rf {} +

# --- the project itself --------------------------------------------------------------------------------------------

test: $(VENV)/.test ## Run the tests; those that need a browser or Azurite skip where it is missing
	$(VENV)/bin/python -m pytest $(PYTEST_ARGS)

test-all: $(VENV)/.test ## Install what the tests use besides Python, and run all of them
	tests/install
	CI=true $(VENV)/bin/python -m pytest $(PYTEST_ARGS)

test-lowest: $(VENV)/.lowest ## Run the quick tests with the lowest versions that pyproject.toml allows
	PATH="$(CURDIR)/$(VENV)/lowest/bin:$$PATH" $(VENV)/lowest/bin/python -m pytest $(PYTEST_ARGS) -m 'not long'

test-newest: $(VENV)/.lock ## Run the quick tests with the newest versions that there are today
	$(PYTHON) -m venv --clear --without-pip $(VENV)/newest
	$(UV) install --quiet --python $(VENV)/newest --upgrade --requirement pyproject.toml --all-extras \
		--group build --group test --group example
	$(UV) install --quiet --python $(VENV)/newest --no-deps --no-build-isolation --editable .
	PATH="$(CURDIR)/$(VENV)/newest/bin:$$PATH" $(VENV)/newest/bin/python -m pytest $(PYTEST_ARGS) -m 'not long'

docs: $(VENV)/.docs ## Build the documentation as a site, site/index.html; a dead link is an error
	$(VENV)/bin/python -m sphinx -W --keep-going -q -b html docs site

check: $(VENV)/.test ## Check style and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

golden: $(VENV)/.test ## Write the golden files anew; review the difference before you commit it
	AMLC_GOLDEN=1 $(VENV)/bin/python -m pytest $(PYTEST_ARGS) -m golden

fuzz: $(VENV)/.test ## Read mutated files of all kinds for MINUTES; findings go to tests/fuzz/corpus
	$(VENV)/bin/python -m tests.fuzz --minutes $(MINUTES)

# An hour and a half, on a quiet machine; a peer that cannot be installed is a row that says so. Fails, when all is
# written, if a row is slower than the last time. Some rows: .venv/bin/python -m tests.bench dispatch readers
bench: $(VENV)/.test ## Measure speed beside the machine's own floor and other tools, into docs/benchmarks.md
	-$(MAKE) --no-print-directory $(VENV)/.peers
	$(VENV)/bin/python -m tests.bench --write

# Hours; what was measured already is in .quality.jsonl, to go on from. Delete it when a tuner changed.
quality: $(VENV)/.test ## Measure what the tuners find, beside Random, Optuna and NNI
	$(VENV)/bin/python tests/bench_quality.py --keep .quality.jsonl > .quality.tmp || { rm .quality.tmp; exit 1; }
	cat .quality.tmp && mv .quality.tmp docs/quality.md

# An hour on a quiet machine, of which outcomes are kept; less of it, for example: make simulate SIMULATE='--share 0.1'
SIMULATE ?=

simulate: $(VENV)/.test ## Simulate 100,000 jobs on 10,000 nodes by Azure's published limits; SIMULATE= says how much
	$(VENV)/bin/python -m tests.simulate --keep .simulated.json $(SIMULATE) > .simulate.tmp || { rm .simulate.tmp; exit 1; }
	cat .simulate.tmp && mv .simulate.tmp docs/scale.md

# Hours; less of it, for example: make faults FAULTS='--each 2 --short 5 --seed 7 --soak 500'
FAULTS ?=

faults: $(VENV)/.test ## Strike system calls of every process, soak, and write down what was lost; FAULTS= says how much
	$(VENV)/bin/python -m tests.faults.table $(FAULTS) > .faults.tmp; code=$$?; \
		if [ -s .faults.tmp ]; then cat .faults.tmp; mv .faults.tmp docs/reliability.md; else rm .faults.tmp; fi; exit $$code

# test.txt has everything but docs; what the others share with it has the same versions there. The documentation's
# generator needs Python 3.11.
LOCK_ARGS ?= --upgrade
RESOLVE := $(UV) compile --quiet --universal --python-version 3.10 --generate-hashes --annotation-style line
RESOLVE += --custom-compile-command 'make lock' $(LOCK_ARGS)
EVERYTHING := pyproject.toml --all-extras --group build --group example --group test
RUN := pyproject.toml --group build --group example --constraints requirements/test.txt

lock: $(VENV)/.lock ## Renew requirements/ to the newest versions; LOCK_ARGS= changes only what pyproject.toml asks for
	$(RESOLVE) $(EVERYTHING) --group check --output-file requirements/test.txt
	$(RESOLVE) $(RUN) --output-file requirements/run.txt
	$(RESOLVE) $(RUN) --extra azure --output-file requirements/azure.txt
	$(RESOLVE) $(EVERYTHING) --resolution lowest-direct --output-file requirements/lowest.txt
	$(subst 3.10,3.11,$(RESOLVE)) $(RUN) --group docs --output-file requirements/docs.txt
	$(RESOLVE) --group peers --output-file requirements/peers.txt
	$(RESOLVE) requirements/lock.in --output-file requirements/lock.txt
