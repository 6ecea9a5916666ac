"""Find a sweep's children, and which of its trials each of them runs.

A child is looked at as the job of that trial alone. MLflow has them all for a call a thousand;
which trial one runs, its runner says in a tag as it begins. Where none did, the service's own note
of its parameters does. Where the service draws the parameters (`latents`), what is told of a child
goes by its own name: which trial that is, the ledger says.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from amlc.backends import Fetched
from amlc.backends.ends import Known, ended
from amlc.model import End, Observation, Outcome, Status, Trial
from amlc.names import SWEEP_INDEX
from amlc.targets.aml import latents, runs
from amlc.targets.aml.client import Client
from amlc.targets.aml.latents import Drawn
from amlc.targets.aml.views import Cause, View, trials_of

PATIENCE: Final = 5
PATIENCE_S: Final = 60.0
"""How many looks, and for how long, MLflow may lack children of a sweep that ended, before it is
taken to have had no more."""

_GONE: Final = "the sweep ended without it"
_STATUSES: Final = {"FINISHED": "Completed", "FAILED": "Failed", "KILLED": "Canceled"}


@dataclass(frozen=True, slots=True)
class Child:
    """A job that runs one trial of a sweep; as a view it is that of this trial alone."""

    trial: Trial
    run: runs.Run
    view: View


@dataclass(frozen=True, slots=True)
class Swept:
    """How a sweep stands: whether it is over, and what is known of its trials."""

    seen: Observation
    fetched: Fetched
    is_over: bool


class Sweeps:
    """The sweeps that are followed, and their children. get_job: gives a job by its name, or None.

    standing: how each of them stands that is not over.
    """

    def __init__(
        self,
        client: Client,
        get_job: Callable[[str], View | None],
        read: Callable[[str], Trial | None] = lambda job: None,
    ) -> None:
        """read: gives the trial that a job's runner wrote down, or None."""
        self.standing: dict[str, Swept] = {}
        self._client = client
        self._get_job = get_job
        self._drawn = Drawn(read)
        self._experiments: dict[str, str] = {}
        self._parents: dict[str, str] = {}  # the sweep of each child
        self._looks: dict[str, int] = {}  # at an ended sweep of which MLflow lacks children

    def keep(self, jobs: Collection[str]) -> set[str]:
        """Forget all other sweeps; return `jobs` and the children of those."""
        self._parents = {child: sweep for child, sweep in self._parents.items() if sweep in jobs}
        self.standing = {job: swept for job, swept in self.standing.items() if job in jobs}
        return {*jobs, *self._parents}

    def are_children(self, jobs: Iterable[str]) -> set[str]:
        """Return those of the jobs that are children of sweeps."""
        return self._parents.keys() & set(jobs)

    def take_in(
        self,
        sweep: View,
        children: Sequence[Child],
        told: Mapping[str, tuple[Observation, Fetched]],
        why: Cause | None,
    ) -> Swept:
        """Remember how a sweep stands, and return it; the arguments are those of `standing`."""
        swept = standing(sweep, children, told, why, is_patient=True)
        if sweep.status.ended and not swept.is_over and not self._is_patient(sweep):
            swept = standing(sweep, children, told, why, is_patient=False)
        url = sweep.url(self._client.tenant)
        swept = replace(swept, seen=replace(swept.seen, url=url))
        self.standing.pop(sweep.name, None)
        if not swept.is_over:
            self.standing[sweep.name] = swept
        return swept

    def _is_patient(self, sweep: View) -> bool:
        """Tell whether MLflow may yet have news of the children of a sweep that ended."""
        looks = self._looks[sweep.name] = self._looks.get(sweep.name, 0) + 1
        if looks > PATIENCE:
            return False
        run = runs.get(self._client, sweep.name)
        return run is None or run.ended is None or time.time() - run.ended < PATIENCE_S

    def of(self, sweep: View, known: Collection[str] = ()) -> list[Child]:
        """Return the children of a sweep that run a trial of it, the best one of each trial.

        known: those of which is known already how they ended.
        """
        if latents.is_drawn(sweep):
            told = sorted(self._runs(sweep), key=lambda one: latents.order(one[0]))
            found = [
                self._child(sweep, trial, run, is_known=run.job in known)
                for run, tags in told
                if (trial := self._drawn.trial(sweep, run, tags)) is not None
            ]
            self._parents |= {child.view.name: sweep.name for child in found}
            return found
        trials = trials_of(sweep)
        places = {trial.id: place for place, trial in enumerate(trials)}
        best: dict[int, tuple[runs.Run, Mapping[str, str]]] = {}
        for run, tags in self._runs(sweep):
            place = _place(run, tags, places)
            if place is not None and (place not in best or _order(run) > _order(best[place][0])):
                best[place] = run, tags
        found = [
            self._child(sweep, trials[place], run, is_known=run.job in known)
            for place, (run, _) in sorted(best.items())
        ]
        self._parents |= {child.view.name: sweep.name for child in found}
        return found

    def _runs(self, sweep: View) -> Iterator[tuple[runs.Run, Mapping[str, str]]]:
        name = sweep.experiment
        if name not in self._experiments:
            self._experiments[name] = runs.experiment_id(self._client, name) or ""
            if not self._experiments[name]:  # nothing ran in it yet
                del self._experiments[name]
                return
        yield from runs.children(self._client, self._experiments[name], sweep.name)

    def _child(self, sweep: View, trial: Trial, run: runs.Run, *, is_known: bool) -> Child:
        inner: Mapping[str, Any] = sweep.properties.get("trial") or {}
        limit = (sweep.properties.get("limits") or {}).get("trialTimeout")
        properties = {
            "experimentName": sweep.experiment,
            "environmentVariables": {"AMLC_TRIAL_0": json.dumps(trial.as_dict())},
            "limits": {"timeout": limit},
            "distribution": inner.get("distribution"),
            "resources": inner.get("resources"),
        }
        view = View(run.job, properties)
        is_certain = run.is_well and run.reports is not None and not view.is_distributed
        found = None
        # A trial can end its run by itself.
        if run.ended is not None and not (is_certain or is_known):
            found = self._get_job(run.job)
        status = _STATUSES.get(run.status, "Running" if run.started else "Queued")
        if found is not None:
            status = found.raw_status
            properties["services"] = found.properties.get("services")
        return Child(trial, run, replace(view, properties={**properties, "status": status}))


def _place(run: runs.Run, tags: Mapping[str, str], places: Mapping[str, int]) -> int | None:
    """Return which of a sweep's trials a child runs, None while nobody says."""
    for trial in (tags.get(runs.TRIAL_TAG, ""), *(run.reports or ())):
        if trial in places:
            return places[trial]
    try:
        given = json.loads(tags.get(latents.PARAMETERS) or "{}").items()
        index = next(value for name, value in given if name.strip("-").lower() == SWEEP_INDEX)
        place = int(float(index))
    except (ValueError, TypeError, AttributeError, StopIteration, OverflowError, RecursionError):
        return None
    return place if 0 <= place < len(places) else None


def _order(run: runs.Run) -> tuple[bool, float]:
    return run.is_well, run.started or 0.0


def standing(
    sweep: View,
    children: Sequence[Child],
    told: Mapping[str, tuple[Observation, Fetched]],
    why: Cause | None,
    *,
    is_patient: bool,
) -> Swept:
    """Return how a sweep stands.

    told: what is known of the children that ended, by their names. why: the sweep failed.
    is_patient: whether to wait for children that MLflow may not have yet.
    """
    is_drawn = latents.is_drawn(sweep)
    trials = [key_of(child, sweep) for child in children] if is_drawn else _ids(sweep)
    count = latents.most(sweep) if is_drawn else len(trials)
    drawn = tuple(latents.draw(child.trial, child.run) for child in children if is_drawn)
    over = [child for child in children if child.view.name in told]
    outcomes = [
        replace(_outcome(child, told[child.view.name], sweep), trial=key_of(child, sweep))
        for child in over
    ]
    metrics = [
        replace(metric, trial=key_of(child, sweep))
        for child in over
        for metric in told[child.view.name][1].metrics
    ]
    started = [child.run.started for child in children if child.run.started is not None]
    fetched = Fetched(metrics, outcomes)
    is_known = len(outcomes) >= count or sweep.status is Status.CANCELED or not is_patient
    if sweep.status.ended and len(over) == len(children) and is_known:
        ends = [child.run.ended for child in over if child.run.ended is not None]
        seen = Observation(
            job=sweep.name,
            status=sweep.status,
            started=min(started, default=None),
            ended=max(ends, default=None),
            drawn=drawn,
        )
        return Swept(ended(seen, trials, outcomes, _known(sweep, why)), fetched, is_over=True)
    live = [child for child in children if child.view.name not in told]
    running = [key_of(child, sweep) for child in live if child.run.started is not None]
    status = sweep.status
    if status is Status.RUNNING or status.ended:
        status = Status.RUNNING if started else Status.WAITING
    seen = Observation(
        job=sweep.name,
        status=status,
        started=min(started, default=None),
        begun=tuple(running),
        over=len(outcomes),
        drawn=drawn,
    )
    return Swept(seen, fetched, is_over=False)


def _ids(sweep: View) -> list[str]:
    return [trial.id for trial in trials_of(sweep)]


def key_of(child: Child, sweep: View) -> str:
    """Return by what the trial of a child goes: its id, or where that is not certain its job."""
    return child.view.name if latents.is_drawn(sweep) else child.trial.id


def _known(sweep: View, why: Cause | None) -> Known:
    gone = _GONE if sweep.status is Status.SUCCEEDED else None
    if why is not None and why.infrastructure:
        gone = why.text
    return Known(
        canceled=sweep.status is Status.CANCELED, gone=gone, said=why.text if why else None
    )


def _outcome(child: Child, told: tuple[Observation, Fetched], sweep: View) -> Outcome:
    """Return how a child's trial ended: by its runner's word first, then as its job did."""
    seen, fetched = told
    outcome = next(iter(fetched.outcomes), None)
    if outcome is None or outcome.end in (End.TERMINATED, End.LOST):
        end, code = _end(seen, sweep), 0 if seen.status is Status.SUCCEEDED else seen.exit_code
        outcome = Outcome(
            trial=child.trial.id,
            exit_code=code,
            started=None,
            ended=None,
            end=end,
            error=_STOPPED if end is End.STOPPED else seen.error,
        )
    return replace(
        outcome,
        started=outcome.started or seen.started,
        ended=outcome.ended or seen.ended,
    )


_STOPPED: Final = "stopped by the sweep's early termination"


def _end(seen: Observation, sweep: View) -> End:
    if seen.infrastructure:
        return End.LOST
    if seen.status is Status.EARLY_STOPPED:
        return End.TIME_LIMIT
    if seen.status is not Status.CANCELED:
        return End.EXITED
    stops = sweep.properties.get("earlyTermination") is not None
    return End.STOPPED if stops and not sweep.is_canceling else End.CANCELED
