"""One call of the command line: where it speaks, where its files are, and what it was given."""

from __future__ import annotations

import os
import shlex
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:  # `amlc --version` has to answer at once
    from collections.abc import Iterable, Iterator, Mapping

    from amlc.console import Console
    from amlc.display.formats import Case
    from amlc.display.running import Teller
    from amlc.errors import AmlcError, Problem
    from amlc.manifest import Manifest
    from amlc.model import Experiment


class Invocation:
    """What holds for every command, and what is known of this one.

    The object that click hands around.
    """

    def __init__(self) -> None:
        self.quiet = False
        self.command = ""
        self.given: str | None = None  # the experiment, as the user named it
        self.name = ""  # its own name, once that is known
        self.damaged = False  # a record could not be read, so that what is shown is not all
        self.on_end: str | None = None  # a command to be run then
        self.message = ""  # in a line, how it ended
        self.held: list[str] = []  # warnings, for the case that all does not go well
        self.format = "text"  # of what is found; in all others it is data, and told at the end
        self.found: list[Problem] = []
        self.cases: list[Case] = []  # what was looked at beside the experiment's file
        self.answer: dict[str, Any] = {}
        self.is_told = False  # the command itself has written what was found

    def place(self, build: Path, state: Path) -> None:
        """Take up where everything is."""
        from amlc.folders import Folders

        self.folders = Folders(build, state)

    @property
    def console(self) -> Console:
        """Where the command speaks."""
        from amlc.console import Console

        out = sys.stdout if self.format in ("text", "markdown") else sys.stderr
        return Console(out, sys.stderr, self.quiet)

    @property
    def teller(self) -> Teller:
        """What prints the steps of a command that takes its time."""
        from amlc.display.running import Teller

        return Teller(self.console, self.folders, self.note)

    def manifest(self, experiment: str | None) -> Manifest:
        """Return the compiled experiment of that file or name, and say if its file is newer."""
        manifest = self.folders.manifest(experiment)
        self.name = manifest.header.experiment
        proposes = manifest.header.search is not None and manifest.header.sweep != "latent"
        compiles_anyway = self.command == "submit" and proposes
        if manifest.source is not None and manifest.is_outdated and not compiles_anyway:
            file = os.path.relpath(manifest.source)
            text = f"{file} is newer than what was compiled of it, which is what this is about. "
            self.warn(f"warning: {text}Compile it again: {shlex.join(['amlc', 'compile', file])}.")
        return manifest

    def load(
        self, file: Path, backend: str | None, given: Mapping[str, str] | None = None
    ) -> Experiment:
        """Read an experiment file, and say what is odd in it.

        given: what it leaves open.
        """
        from amlc.config import load_experiment

        experiment, problems = load_experiment(
            file, backend=backend, environ=os.environ, given=given
        )
        self.name = experiment.name
        for problem in problems:
            self.note(problem)
        return experiment

    def note(self, problem: Problem) -> None:
        """Say what is odd in a file, or keep it for the report."""
        if self.format not in ("text", "markdown"):
            self.found.append(problem)
        elif not self.quiet:
            self._say((problem,))

    def complain(self, error: AmlcError) -> None:
        """Say what an error of the user's files is about, or keep it for the report."""
        from amlc.display.formats import nowhere
        from amlc.errors import ConfigError

        if isinstance(error, ConfigError):
            self.found += error.problems
        else:
            self.found.append(nowhere(self.about, error.code, error.message))

    def _say(self, problems: Iterable[Problem]) -> None:
        from amlc.display.problems import lines

        for problem in problems:
            for line in lines(problem, sys.stderr):
                say(line)

    @property
    def about(self) -> Path:
        """The experiment that the command is about, as the user named it."""
        return Path(self.given or ".")

    def report(self) -> None:
        """Write what was found in the format that was asked for, unless that is text."""
        if self.command and self.format not in ("text", "markdown"):
            sys.stdout.writelines(self.written(self.format))

    def written(self, format_: str) -> Iterator[str]:
        """Return what was found, as that format has it."""
        from amlc.display.formats import FORMATS, Case, Findings

        about = Case(group=self.command, name=str(self.about), problems=tuple(self.found))
        return FORMATS[format_](
            Findings(command=self.command, cases=(about, *self.cases), answer=self.answer)
        )

    def experiment(
        self, named: str | None, backend: str | None, given: Mapping[str, str] | None = None
    ) -> tuple[Experiment, str | None]:
        """Return the experiment of a file, or the file of a compiled one, and its back end.

        given: what it leaves open, else what it was compiled with. Raises UsageError when that file
        is not here.
        """
        from amlc.errors import UsageError

        if named is not None and Path(named).is_file():
            if not given:
                with suppress(UsageError):  # it need not be compiled
                    given = self.folders.manifest(named).header.given
            return self.load(Path(named), backend, given), backend
        manifest = self.manifest(named)
        if manifest.source is None:
            name = manifest.header.source or "the experiment's own file"
            raise UsageError(f"{name} is not here. Bring it along, or name it.")
        backend = backend or manifest.header.backend
        return self.load(manifest.source, backend, given or manifest.header.given), backend

    def warn(self, text: str) -> None:
        """Say a warning, or hold it back."""
        if self.quiet:
            self.held.append(text)
        else:
            say(text)

    def say_held(self) -> None:
        """Say the warnings that were held back."""
        for text in self.held:
            say(text)


def say(text: str) -> None:
    """Say a line on stderr, wherever that leads."""
    with suppress(OSError):
        click.echo(text, err=True)
