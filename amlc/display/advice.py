"""Which command goes on from here: the ends of lines that say how things stand."""

from __future__ import annotations

from collections.abc import Iterator

from amlc.collect.verdict import Verdict
from amlc.folders import Folders
from amlc.manifest import Header, Manifest
from amlc.model import Status
from amlc.plural import plural


def goes_on(end: Verdict, manifest: Manifest, folders: Folders) -> str:
    """Return the end of a verdict's line: which command goes on, if one does."""
    if end.not_compiled:
        return f": compile once more, {folders.compiling(manifest.source)}"
    if end.submitted:
        return ""
    command = folders.advice("submit", manifest.header.experiment)
    if end.out_of_time:
        return f": {command} goes on once maxExperimentDuration is raised"
    if manifest.header.sweep == "latent" and not end.at_work:
        # A sweep that has ended draws no more; where none has begun, compiling changes nothing.
        return f": {folders.compiling(manifest.source)} and then {command} go on"
    if end.statuses.get(Status.PENDING) or manifest.source is not None:
        return f": {command} goes on"
    return f": {command} goes on where the experiment's file is"


def about_others(trials: int, made: int | None) -> Iterator[str]:
    """Yield the line that says why there are more trials than maxTrialNumber, if there are.

    made: as in `Build`.
    """
    if made is not None and trials > made:
        yield (
            f"maxTrialNumber, {made:,}, counts the trials that the file makes now; those on record "
            "that are none of these stay beside them"
        )


def about_end(end: Verdict, header: Header) -> Iterator[str]:
    """Yield the line that says why a run that nothing stopped has fewer trials than it might."""
    most = header.max_trials
    if header.search is None or most is None or end.out_of_time or end.not_compiled:
        return  # the tuner was not asked, or nobody knows
    if end.submitted and end.trials < most:
        why = "the tuner has nothing more to propose"
        yield f"{why}, so that maxTrialNumber, {most:,}, is not reached"


def about_late(end: Verdict) -> str:
    """Return the line that says what to do about trials that ran out of time."""
    one = end.late == 1
    text = f"{plural(end.late, 'trial')} reached maxTrialDuration without a final result"
    return f"{text}: raise it if {'that one needs' if one else 'they need'} longer"


def about_failures(end: Verdict, header: Header, folders: Folders) -> str:
    """Return the line that says what to do about trials that stand failed."""
    stand = [
        status.value for status in (Status.FAILED, Status.UNFINISHED) if end.statuses.get(status)
    ]
    name = header.experiment
    status, logs = folders.advice("status", name), folders.advice("logs", name, "TRIAL")
    again = folders.advice("submit", name, "--retry", ",".join(stand))
    them = "them" if end.failed > 1 else "it"
    return f"{status} says why, {logs} shows more; {again} runs {them} again"
