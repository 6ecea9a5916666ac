"""`amlc compile`: make the build folder hold exactly what the experiment file says."""

from __future__ import annotations

import difflib
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TextIO

from amlc.attempts import fold
from amlc.config import load_experiment
from amlc.experience import Experience
from amlc.files import lock
from amlc.folders import PATIENCE_S, Folders
from amlc.ledger import open_ledger, read_ledger
from amlc.manifest import read_manifest
from amlc.model import Experiment, Trial
from amlc.names import slug
from amlc.plan import adaptive
from amlc.proposals import note_exhausted
from amlc.refusals import check_ahead, located
from amlc.warm_start import outside
from amlc.write import OnChange, Summary, write


def compile_(
    *, file: Path, backend: str | None, folders: Folders, check: bool, diff: bool, quiet: bool, out: TextIO, err: TextIO
) -> int:
    """Compile `file`; with `check` or `diff` write nothing and return 3 if anything would change."""
    experiment, problems = load_experiment(file, backend=backend, environ=os.environ)
    for problem in () if quiet else problems:
        print(problem, file=err)
    if check or diff:
        show = _show(out, diff=diff)
        summary = compile_experiment(experiment, backend=backend, folders=folders, check=True, on_change=show)
    else:
        with _alone(folders, experiment):
            summary = compile_experiment(experiment, backend=backend, folders=folders)
    if not quiet:
        tell(experiment, summary, "would change" if check or diff else "files changed", err)
    return 3 if (check or diff) and summary.changes else 0


def compile_experiment(
    experiment: Experiment,
    *,
    backend: str | None,
    folders: Folders,
    room: int | None = None,
    check: bool = False,
    on_change: OnChange | None = None,
) -> Summary:
    """Compile what the experiment and its ledger determine. Of an adaptive one, the caller holds the lock.

    room: as for `plan`. Raises ConfigError with the position of all that stops it.
    """
    leave_out = [folders.state, folders.build]
    with located(experiment, leave_out=leave_out):
        check_ahead(experiment)
        return _compile(experiment, backend, folders, room=room, check=check, on_change=on_change)


def _compile(
    experiment: Experiment,
    backend: str | None,
    folders: Folders,
    *,
    room: int | None,
    check: bool,
    on_change: OnChange | None,
) -> Summary:
    path = folders.ledger(experiment.name)
    is_adaptive = adaptive(experiment)
    with open_ledger(path) if is_adaptive and not check else read_ledger(path) as ledger:
        past = Experience(ledger, replicates=experiment.replicates).past(fold(ledger.events()))
        is_at_work = bool(ledger.working())
    if is_adaptive:
        _warn_of_other_space(experiment, past.groups)
    with nullcontext() if check else lock(folders.build / slug(experiment.name) / ".lock"):
        summary = write(
            experiment,
            folders.build,
            backend=backend or experiment.target.platform,
            submitted=past.groups,
            records=past.records,
            room=room,
            depends=[path] if is_adaptive else [],
            leave_out=[folders.state],
            check=check,
            on_change=on_change,
        )
    known = sum(map(len, past.groups))
    if is_adaptive and not check and room is None and known == summary.trials and not is_at_work:
        with open_ledger(path) as ledger:
            note_exhausted(read_manifest(summary.folder), ledger, at=time.time())
    return summary


def _warn_of_other_space(experiment: Experiment, groups: Sequence[Sequence[Trial]]) -> None:
    if experiment.tuner.name is None:
        return  # a class of the user's own may propose what it likes
    trials = [trial for group in groups for trial in group]
    count = outside(experiment.space, trials)
    if count:
        text = (
            f"{count} of {len(trials)} trials on record are no points of the search space as it is now: they count "
            "towards maxTrialNumber and teach the tuner nothing. Raise maxTrialNumber, or give the experiment another "
            "experimentName."
        )
        warnings.warn(text, RuntimeWarning, stacklevel=2)


def tell(experiment: Experiment, summary: Summary, what: str, err: TextIO) -> None:
    """Print in one line what was compiled; what: `files changed` or `would change`."""
    changes = f"{summary.changes} {what}" if summary.changes else "nothing changed"
    counts = f"{_counted(summary.trials, 'trial')} in {_counted(summary.jobs, 'job')}"
    print(f"{experiment.name}: {counts}, revision {summary.revision[:6]}, {changes}: {summary.folder}/", file=err)


@contextmanager
def _alone(folders: Folders, experiment: Experiment) -> Iterator[None]:
    """Keep `amlc run` away, which adds to the build folder of an adaptive experiment while it is at work."""
    if not adaptive(experiment):
        yield
        return
    folders.prepare_state()
    with lock(folders.lock(experiment.name), patience_s=PATIENCE_S):
        yield


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
