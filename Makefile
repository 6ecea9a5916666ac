# amlc: experiments in, results out. `make help` lists the targets.
EXPERIMENT ?= examples/digits/experiment.yml
BACKEND ?= local
BUILD ?= build
RESULTS ?= results.csv
REPORT ?= report.html
PYTHON ?= python3
PYTEST_ARGS ?= -n 4

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
.PHONY: help run compile submit collect report status test check golden bench clean

help: ## List the targets
	@echo 'Variables: EXPERIMENT=$(EXPERIMENT) BACKEND=$(BACKEND) BUILD=$(BUILD)'
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do \
		printf '  make %-9s %s\n' "$$name" "$$text"; done

run: $(VENV)/.run $(AZURE) ## Compile, submit, follow and collect EXPERIMENT; the results go to results.csv
	$(AMLC) run $(EXPERIMENT) --backend $(BACKEND) > $(RESULTS).tmp; code=$$?; $(KEEP_RESULTS)

# --- the environment -----------------------------------------------------------------------------------------------

$(VENV)/.run: pyproject.toml
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(VENV)/bin/python -m pip install --quiet --editable '.[report]' --group example
	touch $@

$(VENV)/.azure: pyproject.toml $(VENV)/.run
	$(VENV)/bin/python -m pip install --quiet --editable '.[azure,report]'
	touch $@

$(VENV)/.test: pyproject.toml $(VENV)/.run
	$(VENV)/bin/python -m pip install --quiet --group test --group example
	touch $@

# The oldest clients of Azure that the extra allows, over everything else as it is; one walk is done with them too.
OLDEST := $(if $(filter true,$(CI)),$(VENV)/.azure-oldest)
$(VENV)/.azure-oldest: pyproject.toml $(VENV)/.test
	$(VENV)/bin/python -m venv --clear --without-pip $(VENV)/azure-oldest
	purelib='import sysconfig; print(sysconfig.get_path("purelib"))'; \
		$(VENV)/bin/python -c "$$purelib" > "$$($(VENV)/azure-oldest/bin/python -c "$$purelib")/newest.pth"
	$(VENV)/bin/python -m pip --python $(VENV)/azure-oldest/bin/python install --quiet --no-deps --ignore-installed \
		$$(sed -n 's/^azure = \[\(.*\)\]/\1/p' pyproject.toml | tr -d '",' | sed 's/>=/==/g')
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

submit: compile $(AZURE) ## Run what is compiled and was not run yet
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

test: $(VENV)/.test $(OLDEST) ## Run the tests
	$(VENV)/bin/python -m pytest $(PYTEST_ARGS)

check: $(VENV)/.test ## Check style and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

golden: $(VENV)/.test ## Write the golden files anew; review the difference before you commit it
	AMLC_GOLDEN=1 $(VENV)/bin/python -m pytest $(PYTEST_ARGS) -m golden

bench: $(VENV)/.test ## Measure speed beside the machine's own floor
	$(VENV)/bin/python tests/bench.py > .bench.tmp || { rm .bench.tmp; exit 1; }
	cat .bench.tmp && mv .bench.tmp docs/benchmarks.md
