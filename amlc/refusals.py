"""Find all that stops an experiment from being compiled, without writing or running anything."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from amlc import class_source, constraints, initial
from amlc.combinations import MOST_JOBS, most_jobs
from amlc.config import locate
from amlc.errors import ConfigError, PlanError, Problem, RefusedError, Sentence, TemplateError
from amlc.model import Budget, Experiment, Trial
from amlc.parallel import in_chunks
from amlc.plan import Job, adaptive, check_budget, packed, plan, trial_id
from amlc.render.context import MOST_BYTES, mapper
from amlc.render.snapshot import local_inputs, refuse_links_out, snapshot
from amlc.space.draws import sample
from amlc.space.points import may_overflow
from amlc.space.size import most_bytes

_NO_REVISION = "0" * 64
_TRIAL_BYTES = 1_000  # its id, and what tuners add to its parameters
_DRAWS = 200


def problems(
    experiment: Experiment, *, leave_out: Sequence[Path], within: Path | None = None
) -> tuple[Problem, ...]:
    """Return what compile refuses in an experiment, each with its position.

    Nothing when it compiles. leave_out, within: as for `snapshot`. A class of the user's own is
    looked for, and not run: what that raises, compile alone finds.
    """
    found = _refusals(experiment, leave_out, within)
    return _located(experiment, found) if found else ()


@contextmanager
def located(experiment: Experiment, *, leave_out: Sequence[Path]) -> Iterator[None]:
    """Turn a refusal inside into the ConfigError that `problems` makes of it and all others."""
    try:
        yield
    except RefusedError as err:
        found = _refusals(experiment, leave_out)
        if not any((other.path, other.code) == (err.path, err.code) for other in found):
            found.append(err)
        raise ConfigError(_located(experiment, found)) from err


def _located(experiment: Experiment, found: Sequence[RefusedError]) -> tuple[Problem, ...]:
    assert experiment.document is not None  # it was loaded, not made by hand
    return locate(found, experiment.document)


def check_ahead(experiment: Experiment) -> None:
    """Raise the first refusal that is known before the trials are.

    Of what an adaptive tuner may propose, a sample.
    """
    for error in _ahead(experiment, _NO_REVISION):
        raise error


def _refusals(
    experiment: Experiment, leave_out: Sequence[Path], within: Path | None = None
) -> list[RefusedError]:
    found: list[RefusedError] = []
    revision = _NO_REVISION
    try:
        without = [*leave_out, *local_inputs(experiment)]
        limited = experiment.target.job.uploads
        if experiment.templates and within:
            refuse_links_out(experiment.templates, within)
        files = snapshot(experiment.code, leave_out=without, limited=limited, within=within).files
        if experiment.templates:
            from amlc.write import revision_of  # here: it brings jinja2, which few need

            revision, _ = revision_of(experiment, files)
    except RefusedError as err:
        found.append(err)
        if err.path == TemplateError.path:
            return found  # they are not rendered
    ahead = _ahead(experiment, revision, within)
    return found + (ahead or _planned(experiment, revision))


def _ahead(experiment: Experiment, revision: str, within: Path | None = None) -> list[RefusedError]:
    is_adaptive = adaptive(experiment)
    found = [*_missing_classes(experiment, within), *_too_many(experiment)]
    try:
        check_budget(experiment, experiment.max_trials or 1 if is_adaptive else 1)
    except PlanError as err:
        found.append(err)
    try:
        wrong = constraints.check(experiment, adaptive=is_adaptive)
        if experiment.constraints and not wrong:
            wrong = [*initial.refused(experiment)]
        found += wrong
        check = _job_check(experiment, revision)
        if is_adaptive and not found and (check or may_overflow(experiment.space)):
            _try(_sampled(experiment), check)
    except RefusedError as err:
        found.append(err)
    return found


def _too_many(experiment: Experiment) -> Iterator[RefusedError]:
    most = most_jobs(experiment)
    if most is None or not most.too_many:
        return
    said = Sentence(
        f"the experiment has {most.jobs:,} jobs, all of which are compiled before the first runs. "
        f"{MOST_JOBS:,} is the most.",
        hint="Set a smaller maxTrialNumber, or pack trials: amlc.trialsPerJob.",
        found=f"{most.jobs:,} jobs",
        expected=f"at most {MOST_JOBS:,}",
    )
    yield RefusedError(said, path=most.path, code="E-many")


def _missing_classes(experiment: Experiment, within: Path | None) -> Iterator[RefusedError]:
    for kind, one in (("tuner", experiment.tuner), ("assessor", experiment.assessor)):
        said = class_source.missing(one, within=within) if one is not None else None
        if said is not None:
            yield RefusedError(said, path=(kind, "className"), code="E-class")


def _planned(experiment: Experiment, revision: str) -> list[RefusedError]:
    """Go through the plan of an open loop as compile does, if there is something to check in it."""
    if adaptive(experiment):
        return []
    try:
        check = _job_check(experiment, revision)
        if (
            check
            or experiment.constraints
            or may_overflow(experiment.space)
            or _may_exceed_budget(experiment)
        ):
            _try(plan(experiment), check)
    except RefusedError as err:
        return [err]
    return []


def _try(jobs: Iterable[Job], check: Callable[[Job], object] | None) -> None:
    if check is None:
        for _ in jobs:
            pass
        return
    for _ in in_chunks(lambda chunk: [check(job) for job in chunk] and None, jobs):
        pass


def _may_exceed_budget(experiment: Experiment) -> bool:
    if experiment.budget == Budget():
        return False
    try:
        check_budget(experiment, experiment.max_trials or sys.maxsize)
    except PlanError:
        return True  # if the space has as many
    return False


def _job_check(experiment: Experiment, revision: str) -> Callable[[Job], object] | None:
    """Return what raises for a job that cannot be written, None when every one can be."""
    if experiment.templates is not None:
        from amlc.render.engine import renderer

        return renderer(experiment, revision=revision)
    if experiment.sampling is None and _most_bytes(experiment) <= MOST_BYTES:
        return None
    return mapper(experiment, revision=revision)


def _most_bytes(experiment: Experiment) -> int:
    """Return an upper bound of the bytes in a job's environment."""
    trial = _TRIAL_BYTES + most_bytes(experiment.space)
    return (
        trial * (_most_swept(experiment) if experiment.sweep else experiment.trials_per_job)
        + 6 * (len(experiment.command) + len(experiment.name))
        + _TRIAL_BYTES
    )


def _most_swept(experiment: Experiment) -> int:
    limits = experiment.target.job.sweeps
    return min(limits.trials if limits else 1, experiment.max_trials or sys.maxsize)


def _sampled(experiment: Experiment) -> Iterator[Job]:
    """Yield jobs of what an adaptive tuner may propose; of a sweep that draws them, that too."""
    if experiment.sampling is not None:
        yield from plan(experiment)
    count = max(_DRAWS, experiment.trials_per_job)
    draws = sample(experiment.space, seed=experiment.seed, count=count, flat=True)
    allowed = filter(constraints.Gate(experiment.constraints), draws)
    trials = (Trial(trial_id(experiment, p, 0), number, p) for number, p in enumerate(allowed))
    yield from packed(experiment, trials)
