"""`amlc compile`: make the build folder hold exactly what the experiment file says."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from amlc.config import load_experiment
from amlc.files import lock
from amlc.ledger import fold, read_ledger
from amlc.model import AmlTarget, Experiment, Trial
from amlc.places import Places
from amlc.plan import slug
from amlc.write import OnChange, write


def compile_(
    *, file: Path, backend: str | None, places: Places, check: bool, diff: bool, quiet: bool, out: TextIO, err: TextIO
) -> int:
    """Compile `file`; with `check` or `diff` write nothing and return 3 if anything would change."""
    experiment, problems = load_experiment(file, backend=backend, environ=os.environ)
    for problem in problems:
        print(problem, file=err)
    dry = check or diff
    with _locked(places, experiment, dry=dry):
        summary = write(
            experiment,
            places.build,
            backend=backend or ("aml" if isinstance(experiment.target, AmlTarget) else "local"),
            submitted=_submitted(places, experiment),
            leave_out=[places.state],
            check=dry,
            on_change=_show(out, diff=diff) if dry else None,
        )
    if not quiet:
        state = f"{summary.changes} would change" if dry else f"{summary.changes} files changed"
        print(
            f"{experiment.name}: {_counted(summary.trials, 'trial')} in {_counted(summary.jobs, 'job')}, revision "
            f"{summary.revision[:6]}, {state if summary.changes else 'nothing changed'}: {summary.folder}/",
            file=err,
        )
    return 3 if dry and summary.changes else 0


@contextmanager
def _locked(places: Places, experiment: Experiment, *, dry: bool) -> Iterator[None]:
    if dry:
        yield
        return
    with lock(places.build / slug(experiment.name) / ".lock"):
        yield


def _submitted(places: Places, experiment: Experiment) -> list[tuple[Trial, ...]]:
    with read_ledger(places.ledger(experiment.name)) as ledger:
        return [attempt.trials for attempt in fold(ledger.events()).values()]


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _show(out: TextIO, *, diff: bool) -> OnChange:
    def show(path: Path, old: bytes | None, new: bytes | None) -> None:
        if not diff:
            print("+" if old is None else "-" if new is None else "~", path, file=out)
            return
        before, after = ((content or b"").decode(errors="replace").splitlines(True) for content in (old, new))
        names = ("/dev/null" if old is None else f"a/{path}", "/dev/null" if new is None else f"b/{path}")
        out.writelines(
            line if line.endswith("\n") else line + "\n" for line in difflib.unified_diff(before, after, *names)
        )

    return show
