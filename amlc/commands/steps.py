"""What a command tells while it is at work, step by step, and whom it tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from amlc.attempts import Attempt
from amlc.collect.verdict import Verdict
from amlc.drive import Progress, Watch
from amlc.errors import Problem
from amlc.manifest import Manifest
from amlc.write import Build


@dataclass(frozen=True, slots=True)
class Warned:
    """Something that the user should know of. matters: even if they asked for quiet."""

    text: str
    matters: bool = False


@dataclass(frozen=True, slots=True)
class Learnt:
    """Results from elsewhere that the tuner learns from.

    is_new: they were not on record yet. left_out: how many are not used, and why; empty: all are.
    """

    path: Path
    results: int
    is_new: bool
    left_out: str


@dataclass(frozen=True, slots=True)
class First:
    """The numbers of the trials that are run before all others, and how many trials there are."""

    numbers: Sequence[int]
    trials: int


@dataclass(frozen=True, slots=True)
class Canceling:
    """The attempts, of the experiment of that name, whose end is about to be asked for.

    named: the numbers of the trials that were named, if not all are meant.
    """

    experiment: str
    attempts: Sequence[Attempt]
    named: Sequence[int] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What came of submitting what is compiled.

    manifest: as it is now. progress: the counts of this run. stopped: why it stopped early, or
    None. verdict: on the whole experiment. partial: whether it was asked to leave something to do.
    canary: why nothing followed those that came first, or None.
    """

    manifest: Manifest
    progress: Progress
    stopped: str | None
    verdict: Verdict
    partial: bool
    canary: str | None = None


Step: TypeAlias = "Problem | Warned | Learnt | Build | First | Canceling | Run"

Tell: TypeAlias = "Callable[[Step], None]"


class Listener(Protocol):
    """Who follows a command that takes its time."""

    def tell(self, step: Step) -> None:
        """Take note of a step that was done, or is about to be."""

    def watching(self, experiment: str, *, most: int | None) -> AbstractContextManager[Watch]:
        """Give what is told of the progress of a run.

        most: how many trials there are going to be, if that is known.
        """


class _Nobody:
    """Keeps it all to himself."""

    def tell(self, step: Step) -> None:
        pass

    @contextmanager
    def watching(self, experiment: str, *, most: int | None) -> Iterator[Watch]:  # noqa: ARG002 - the contract's
        yield _ignore


def _ignore(progress: Progress) -> None:
    pass


NOBODY: Final[Listener] = _Nobody()
"""Who listens if the caller names nobody."""
