"""Print what a command tells while it is at work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from amlc.attempts import Attempt
from amlc.commands.steps import Canceling, First, Learnt, Run, Step, Warned
from amlc.console import Console
from amlc.display import building
from amlc.display.advice import about_end, about_failures, about_late, goes_on
from amlc.display.progress import watching
from amlc.drive import Watch
from amlc.errors import Problem
from amlc.folders import Folders
from amlc.plural import plural
from amlc.write import Build

_MOST_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Teller:
    """A listener that prints each step. note: says what is odd in a file, if not the console."""

    console: Console
    folders: Folders
    note: Callable[[Problem], None] | None = None

    def tell(self, step: Step) -> None:
        """Say what was done, or is about to be."""
        say = self.console.note  # what is told on the way is no data
        match step:
            case Warned():
                say = self.console.insist if step.matters else say
                say(f"warning: {step.text}")
            case Build():
                building.show(step, self.console)
            case Learnt():
                learnt = "learnt from" if step.is_new else "known already"
                left_out = f", left out: {step.left_out}" if step.left_out else ""
                say(f"{step.path}: {plural(step.results, 'result')} {learnt}{left_out}")
            case First():
                say(f"{_numbers(step.numbers)} of {step.trials} first: they cover the others")
            case Canceling():
                say(f"{step.experiment}: {_canceled(step.attempts, sorted(step.named))}")
            case Run():
                self._tell_run(step)
            case _:
                (self.note or say)(step)

    def watching(self, experiment: str, *, most: int | None) -> AbstractContextManager[Watch]:
        """Give what shows the progress."""
        return watching(experiment, self.console, most=most)

    def _tell_run(self, run: Run) -> None:
        say, end = self.console.note, run.verdict
        if run.stopped is not None:
            say(f"stopped: {run.stopped}")
        if run.canary is not None:
            self.console.insist(f"nothing more is submitted: {run.canary}")
        hint = goes_on(end, run.manifest, self.folders)
        say(f"{run.progress.submitted} submitted, {end}{hint}")
        if run.stopped is None and run.canary is None:
            for line in about_end(end, run.manifest.header):
                say(line)
        if end.late:
            say(f"warning: {about_late(end)}")
        if end.failed:
            say(about_failures(end, run.manifest.header, self.folders))


def _canceled(attempts: Sequence[Attempt], named: Sequence[int]) -> str:
    """Return in one line what is about to be canceled."""
    numbers = sorted(trial.sequence for attempt in attempts for trial in attempt.trials)
    if not numbers:
        what = "nothing is"
        if named:
            what = f"{_numbers(named)} {'is' if len(named) == 1 else 'are'} not"
        return f"{what} at work, so nothing is canceled"
    return f"canceling {plural(len(attempts), 'job')} with {_numbers(numbers)}"


def _numbers(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:_MOST_SHOWN]))
    more = ", …" if len(numbers) > _MOST_SHOWN else ""
    return f"trial{'s' if len(numbers) > 1 else ''} {shown}{more}"
