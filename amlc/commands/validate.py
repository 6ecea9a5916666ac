"""`amlc validate`: find what is wrong with experiment files, all of it at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from amlc import lint, refusals
from amlc.combinations import combinations_of
from amlc.config import load_experiment
from amlc.config.load import UnreadableError
from amlc.errors import ConfigError, Problem, Severity
from amlc.folders import Folders


@dataclass(frozen=True, slots=True)
class Checked:
    """An experiment file and what was found in it.

    valid: the experiment's name, None for a file with errors. count: its parameter sets and trials
    in words, where a finite space is tried out. given: what the file leaves open, by key or name.
    unreadable: it is not there, or no file that can be read.
    """

    file: Path
    valid: str | None
    problems: tuple[Problem, ...]
    count: str | None = None
    given: Mapping[str, str] = field(default_factory=dict)
    unreadable: bool = False

    @property
    def failed(self) -> bool:
        """Whether one of the problems is an error."""
        return any(problem.severity is Severity.ERROR for problem in self.problems)


def validate(
    files: Iterable[Path],
    *,
    backend: str | None,
    folders: Folders,
    untrusted: bool = False,
    given: Mapping[str, str] | None = None,
) -> Iterator[Checked]:
    """Check one file after the other.

    folders: whose folders are no trial code. untrusted: the files are a stranger's: nothing outside
    of each one's folder is read, and nothing of the environment. given: what they leave open.
    """
    for file in files:
        try:
            experiment, found = load_experiment(
                file, backend=backend, environ=os.environ, untrusted=untrusted, given=given
            )
            within = file.absolute().parent.resolve() if untrusted else None
            # What would stop a compile, found without writing anything.
            leave_out = [folders.state, folders.build]
            refused = refusals.problems(experiment, leave_out=leave_out, within=within)
            odd = () if refused else lint.warnings(experiment, leave_out=leave_out, within=within)
            valid = None if refused else experiment.name
            sets = None if refused else combinations_of(experiment)
            most = experiment.max_trials
            count = sets.text(replicates=experiment.replicates, most=most) if sets else None
            yield Checked(file, valid, (*found, *refused, *odd), count, experiment.given)
        except ConfigError as error:
            yield Checked(file, None, error.problems)
        except UnreadableError as error:
            yield Checked(file, None, (error.problem,), unreadable=True)
