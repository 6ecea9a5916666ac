"""Whatever was submitted, lost and proposed before: ids and numbers are unique, and no trial is one too many."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amlc.catalogue import filled, find
from amlc.model import Algorithm, Choice, Experiment, Real, Record, Status, Trial
from amlc.plan import Job, packed, plan, proposed, trial_id, upcoming
from amlc.space.canonical import in_sets
from amlc.targets.local import LocalTarget

# Two values, so that equal sets come often; and an endless space.
SPACES = {"two values": (Choice("x", (1, 1.0)),), "endless": (Real("x", 0.0, 1.0),)}
# BOHB and Hyperband repeat parameter sets by design, with other budgets and, over their cycles, with the same.
TUNERS = {
    "Hyperband": {"optimize_mode": "minimize", "R": 4, "eta": 2},
    "Evolution": {"optimize_mode": "minimize", "population_size": 3},
    "TPE": {"tpe_args": {"n_startup_jobs": 3}},
}


def experiment(space: str, tuner: str, **changes) -> Experiment:
    base = Experiment(
        name="exp",
        namespace="",
        source=Path("/exp.yml"),
        inputs=(),
        space=SPACES[space],
        tuner=Algorithm(name=tuner, class_args=filled(find(tuner, "tuner").arguments, TUNERS.get(tuner, {}))),
        assessor=None,
        command="true",
        code=Path("/code"),
        concurrency=1,
        gpus_per_trial=None,
        max_trials=None,
        max_seconds=None,
        trial_seconds=None,
        target=LocalTarget(),
        seed=0,
    )
    return replace(base, **changes)


@st.composite
def experiments(draw) -> Experiment:
    return experiment(
        draw(st.sampled_from(sorted(SPACES))),
        draw(st.sampled_from(sorted(TUNERS))),
        concurrency=draw(st.integers(1, 4)),
        max_trials=draw(st.integers(1, 14)),
        trials_per_job=draw(st.integers(1, 4)),
        replicates=draw(st.integers(1, 4)),
    )


class Story:
    """What happens to an experiment: jobs are compiled, some of them submitted, some of those forgotten."""

    def __init__(self, one: Experiment) -> None:
        self.one = one
        self.jobs: list[Job] = []
        self.results: dict[str, float] = {}

    @property
    def known(self) -> list[Trial]:
        return [trial for job in self.jobs for trial in job.trials]

    @property
    def history(self) -> list[Record]:
        """As `Experience` has it: replicates are one record, which has ended when all of its known trials have."""
        ordered = sorted(self.known, key=lambda trial: trial.sequence)
        found = in_sets(ordered, self.one.replicates, lambda trial: trial.parameters)
        sets = sorted(found, key=lambda trials: trials[0].sequence)
        return [
            Record(parameters=trials[0].parameters, status=Status.SUCCEEDED, value=0.5, asked=n, told=n)
            if all(trial.id in self.results for trial in trials)
            else Record(parameters=trials[0].parameters, asked=n)
            for n, trials in enumerate(sets)
        ]

    def compiled(self, room: int | None) -> list[Job]:
        return list(plan(self.one, [job.trials for job in self.jobs], self.history, room=room))

    def follow(self, room: int) -> list[Job]:
        trials = upcoming(self.one, self.known, self.history, room=room * self.one.trials_per_job)
        return list(islice(packed(self.one, trials), room))

    def check(self, jobs: list[Job]) -> None:
        trials = [trial for job in jobs for trial in job.trials]
        assert len({trial.id for trial in trials}) == len(trials), "an id is one trial's"
        assert len({trial.sequence for trial in trials}) == len(trials), "a number is one trial's"
        assert len({job.id for job in jobs}) == len(jobs), "a job's id is one job's"
        assert len(trials) <= max(self.one.max_trials, len(self.known)), "no trial is one too many"
        for trial in trials:
            ids = {trial_id(self.one, trial.parameters, occurrence) for occurrence in range(60)}
            assert trial.id in ids, "an id is made of the parameters and a count"


@settings(max_examples=150)
@given(experiments(), st.data())
def test_ids_and_numbers_are_unique_and_the_count_is_exact(one, data) -> None:
    story = Story(one)
    for _ in range(data.draw(st.integers(1, 6), "steps")):
        if data.draw(st.booleans(), "compiles"):
            jobs = story.compiled(data.draw(st.sampled_from([None, 0, 1, 3]), "room"))
        else:
            jobs = [*story.jobs, *story.follow(data.draw(st.integers(1, 3), "room"))]
        story.check(jobs)
        before = {job.id for job in story.jobs}
        fresh = [job for job in jobs if job.id not in before]
        # A kill, or a service that lost some of a batch: any part of the fresh ones was submitted.
        story.jobs += [job for job in fresh if data.draw(st.booleans(), "submitted")]
        for trial in story.known:
            if trial.id not in story.results and data.draw(st.booleans(), "ended"):
                story.results[trial.id] = 0.5
    for _ in range(60):  # to the end, without further accidents
        story.results |= dict.fromkeys((trial.id for trial in story.known), 0.5)
        fresh = story.follow(2)
        story.check([*story.jobs, *fresh])
        if not fresh:
            break
        story.jobs += fresh
    if one.space == SPACES["endless"]:
        assert len(story.known) == one.max_trials


@settings(max_examples=60)
@given(experiments(), st.integers(0, 14), st.data())
def test_a_kill_changes_no_id(one, count, data) -> None:
    """What was not submitted before a kill is proposed again under the ids that it had."""
    jobs = Story(one).follow(count)
    story = Story(one)
    story.jobs = jobs[: data.draw(st.integers(0, len(jobs)))]
    again = {trial.sequence: trial for job in story.follow(count) for trial in job.trials}
    lost = {trial.sequence: trial for job in jobs[len(story.jobs) :] for trial in job.trials}
    for sequence in again.keys() & lost.keys():
        if again[sequence].parameters == lost[sequence].parameters:
            assert again[sequence].id == lost[sequence].id


@pytest.mark.parametrize("name", ["TPE", "Evolution", "ASHA", "Anneal"])
@given(st.data())
def test_after_an_edit_of_the_space_each_of_its_sets_is_run_once(name, data) -> None:
    options = st.lists(st.integers(0, 4), min_size=1, unique=True)
    one = experiment(
        "two values",
        name,
        replicates=data.draw(st.integers(1, 3), "replicates"),
        trials_per_job=data.draw(st.integers(1, 3), "trials per job"),
        max_trials=99,
    )
    story = Story(one)
    for _ in range(3):
        values = tuple(data.draw(options, "values"))
        story.one = replace(one, space=(Choice("x", values),))
        for _ in range(data.draw(st.integers(0, 6), "rounds")):
            story.jobs += story.follow(2)
            story.results |= dict.fromkeys((trial.id for trial in story.known), 0.5)
    while fresh := story.follow(2):
        story.check([*story.jobs, *fresh])
        story.jobs += fresh
        story.results |= dict.fromkeys((trial.id for trial in story.known), 0.5)
    runs = Counter(trial.parameters["x"] for trial in story.known)
    assert {runs[value] for value in values} == {one.replicates}
    # Of a set that the space has no longer, nothing more is bought.
    assert max(runs.values()) <= one.replicates


@pytest.mark.parametrize("missing", [{1, 2}, {0, 2}, {0, 1}, {1}, {2}], ids=str)
def test_missing_replicates_get_the_ids_that_their_set_lacks(missing) -> None:
    one = experiment("endless", "TPE", replicates=3, max_trials=3)
    whole = [trial for job in Story(one).follow(3) for trial in job.trials]
    known = [trial for trial in whole if trial.sequence not in missing]
    record = Record(parameters=whole[0].parameters, asked=0)
    found = list(upcoming(one, known, [record], room=3))
    assert sorted(trial.sequence for trial in found) == sorted(missing)
    assert {trial.id for trial in found} == {trial.id for trial in whole if trial.sequence in missing}


@given(st.integers(1, 4), st.integers(1, 30) | st.just(10**30), st.sampled_from(["GridSearch", "Random"]))
def test_an_open_loop_numbers_without_a_gap(replicates, count, tuner) -> None:
    space = (Choice("x", (1, 1.0, True, "1")), Choice("y", (1, 2, 3)))
    one = replace(experiment("endless", tuner), space=space, replicates=replicates, max_trials=count)
    trials = list(proposed(one))
    assert [trial.sequence for trial in trials] == list(range(min(count, 12 * replicates)))
    assert len({trial.id for trial in trials}) == len(trials)
