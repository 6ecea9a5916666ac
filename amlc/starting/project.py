"""The files beside an experiment: for make, for CI, for git, and for editors."""

from __future__ import annotations

from typing import Final

SCHEMA: Final = "experiment.schema.json"
MODELINE: Final = f"# yaml-language-server: $schema={SCHEMA}\n"

_MAKEFILE: Final = """\
# amlc has to be on the PATH. `make run` goes on where it was cut short.
EXPERIMENT ?= {file}
RESULTS ?= results.csv

.PHONY: run validate plan status report schema clean

run: ## Run what was not run yet; the results go to results.csv
	amlc run $(EXPERIMENT) > $(RESULTS).tmp; code=$$?; \\
		if [ -s $(RESULTS).tmp ]; then mv $(RESULTS).tmp $(RESULTS); fi; \\
		rm -f $(RESULTS).tmp; exit $$code

validate: ## Say what is wrong with the experiment
	amlc validate $(EXPERIMENT)

plan: ## Say what would be run
	amlc compile $(EXPERIMENT)
	amlc plan $(EXPERIMENT)

status: ## Say how the trials stand
	amlc status $(EXPERIMENT)

report: ## Draw the results as one page
	amlc report $(EXPERIMENT) > report.html

schema: ## Renew what the editor knows, after an update of amlc
	amlc schema > {schema}

clean: ## Remove what was compiled; ledgers and results stay
	rm -rf build
"""
_WORKFLOW: Final = """\
# Says for each change what is wrong with the experiment, and what would be run. The repository's
# variable AMLC says what pip installs: a folder in here, a wheel's address, or git+https://…@TAG.
name: experiment
on:
  push: {{branches: [main]}}
  pull_request:
permissions:
  contents: read
jobs:
  check:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {{python-version: "3.12"}}
      - run: pip install "$AMLC"
        env:
          AMLC: ${{{{ vars.AMLC }}}}
      - run: amlc validate --backend local --format github {file}
      - run: amlc compile --backend local {file}
      - run: amlc plan {file}
"""
_GITIGNORE: Final = """\
# What happened, and what came out.
.amlc/
results.csv
report.html
__pycache__/
# The job files. Without this line they can be reviewed, and `amlc compile --check` says when they
# are out of date.
build/
"""
_AMLIGNORE: Final = f"""\
# No trial needs these, so a change to them is no new revision.
Makefile
.gitignore
.amlignore
.github/
{SCHEMA}
"""


def companions(file: str, schema: str) -> dict[str, str]:
    """Return the texts of the files beside an experiment `file`, by name.

    schema: the text for editors.
    """
    return {
        "Makefile": _MAKEFILE.format(file=file, schema=SCHEMA),
        ".github/workflows/experiment.yml": _WORKFLOW.format(file=file),
        ".gitignore": _GITIGNORE,
        ".amlignore": _AMLIGNORE,
        SCHEMA: schema,
    }
