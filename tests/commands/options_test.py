"""What the options of a submit allow, given how the trials stand."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from amlc.collect.results import Results
from amlc.commands.options import Options, expected, limits, policy
from amlc.errors import UsageError
from amlc.model import Status


def allowed(story, **options):
    with story.project.ledger() as ledger:
        return policy(Results(story.manifest, ledger), Options(**options))


def test_only_what_is_asked_for_is_retried(story):
    jobs = [story.end(0, Status.FAILED), story.end(1, final=1.0), story.end(2)]
    ids = [entry.trials[0].id for entry in story.entries]
    assert allowed(story).retry == frozenset()
    assert allowed(story, retry=["failed"]).retry == {(jobs[0], ids[0])}
    assert allowed(story, retry=["missing"]).retry == {(jobs[0], ids[0]), (jobs[2], ids[2])}


def test_trials_that_are_named_run_again_whatever_became_of_them(story):
    job = story.end(1, final=1.0)
    ids = [entry.trials[0].id for entry in story.entries]
    found = allowed(story, only=["1", "3"])
    assert found.only == {ids[1], ids[3]}
    assert (job, ids[1]) in found.retry


@pytest.mark.parametrize(
    ("slots", "gpus", "has_gpus", "concurrency", "abreast"),
    [(None, None, False, 2, 1), (1, None, True, 1, 1), (8, 1, True, 2, 2), (8, 1, False, 2, 1)],
)
def test_the_back_end_bounds_what_runs_side_by_side(story, slots, gpus, has_gpus, concurrency, abreast):
    manifest = replace(story.manifest, header=replace(story.manifest.header, gpus_per_trial=gpus))
    bounds = limits(manifest, SimpleNamespace(slots=slots, has_gpus=has_gpus), Options())
    assert (bounds.concurrency, bounds.abreast) == (concurrency, abreast)


@pytest.mark.parametrize(("text", "most"), [(None, None), ("3", 3), ("50%", 2), ("1%", 1)])
def test_failures_are_a_number_or_a_part_of_all_trials(story, text, most):
    backend = SimpleNamespace(slots=None, has_gpus=False)
    assert limits(story.manifest, backend, Options(max_failures=text)).max_failures == most


@pytest.mark.parametrize("text", ["many", "0", "-1", "²", "10 %"])
def test_anything_else_is_refused(story, text):
    with pytest.raises(UsageError, match="expected a number of trials"):
        limits(story.manifest, SimpleNamespace(slots=None, has_gpus=False), Options(max_failures=text))


def test_how_many_trials_are_expected(story):
    header = story.manifest.header
    assert expected(story.manifest) == 4
    assert expected(replace(story.manifest, header=replace(header, search="ab", max_trials=9))) == 9
    assert expected(replace(story.manifest, header=replace(header, search="ab"))) is None


def test_no_fewer_trials_are_expected_than_there_are_when_maxtrialnumber_is_lowered(story):
    header = replace(story.manifest.header, search="ab", max_trials=2)
    assert expected(replace(story.manifest, header=header)) == 4
