"""The verdict alone says whether results are complete."""

import pytest

from amlc.collect.results import Results
from amlc.collect.verdict import Tally, Verdict
from amlc.events import early_stop, observed
from amlc.model import End, Observation, Outcome, Status


@pytest.mark.parametrize(
    ("statuses", "complete", "text"),
    [
        pytest.param([Status.SUCCEEDED] * 3, True, "3 of 3 trials done", id="all"),
        pytest.param([Status.SUCCEEDED, Status.EARLY_STOPPED, Status.SUCCEEDED], True,
                     "3 of 3 trials done: 1 early_stopped", id="early-stop-is-good"),
        pytest.param([Status.SUCCEEDED, Status.FAILED], False, "1 of 3 trials done: 1 pending, 1 failed", id="failed"),
        pytest.param([], False, "0 of 3 trials done: 3 pending", id="none"),
        pytest.param([Status.UNKNOWN, Status.RUNNING, Status.CANCELED], False,
                     "0 of 3 trials done: 1 running, 1 canceled, 1 unknown", id="others"),
    ],
)  # fmt: skip
def test_the_verdict_counts_the_trials(story, statuses, complete, text):
    s = story(values=range(3))
    for number, status in enumerate(statuses):
        s.tell(number, status, 1)
    assert s.verdict().complete == complete
    assert str(s.verdict()) == text


def test_a_trial_that_ran_out_of_time_without_a_result_is_said(story):
    s = story(values=range(2)).tell(0, Status.SUCCEEDED, 1).tell(1, Status.EARLY_STOPPED)
    assert str(s.verdict()) == "2 of 2 trials done: 1 early_stopped, 1 without a final result"
    assert s.verdict().late == 1


def test_a_trial_that_ran_out_of_time_after_its_result_or_was_given_up_is_not_late(story):
    s = story(values=range(3)).tell(0, Status.EARLY_STOPPED, 1)
    s.tell(1, Status.WAITING)
    with s.project.ledger() as ledger:
        ledger.append([early_stop(s.entries[1].name, at=1.5)])
        ledger.append([observed(Observation(job=s.entries[1].name, status=Status.CANCELED), at=2.0)])
    s.tell(2, Status.WAITING)
    outcome = Outcome(trial=s.entries[2].trials[0].id, exit_code=None, started=1.0, ended=2.0, end=End.STOPPED)
    seen = Observation(job=s.entries[2].name, status=Status.EARLY_STOPPED)
    with s.project.ledger() as ledger:
        ledger.append([observed(seen, at=2.0, outcomes=[outcome])])
    assert str(s.verdict()) == "3 of 3 trials done: 3 early_stopped"
    assert s.verdict().late == 0


def test_the_verdict_says_how_many_ended_well_without_a_result(story):
    s = story(values=range(2)).tell(0, Status.SUCCEEDED, 1).tell(1, Status.SUCCEEDED)
    assert str(s.verdict()) == "2 of 2 trials done: 1 without a final result"


@pytest.mark.parametrize(
    ("to_propose", "complete", "text"),
    [
        pytest.param(0, True, "2 of 2 trials done", id="none"),
        pytest.param(3, False, "2 of 5 trials done: 3 not proposed yet", id="some"),
        pytest.param(None, False, "2 of 2 trials done: more not proposed yet", id="nobody knows"),
    ],
)
def test_trials_to_come_count(to_propose, complete, text):
    verdict = Verdict(2, {Status.SUCCEEDED: 2}, 0, to_propose)
    assert (verdict.complete, verdict.submitted, str(verdict)) == (complete, complete, text)


def test_results_that_are_no_number_are_said_with_what_was_reported(story):
    s = story(values=range(6)).tell(0, Status.SUCCEEDED, 1).tell(1, Status.SUCCEEDED, {"loss": 1, "acc": 2})
    s.tell(2, Status.SUCCEEDED, "x" * 60)
    with s.project.ledger() as ledger:
        results = Results(s.project.manifest, ledger)
        tally = Tally(results)
        assert len(list(tally.counted(results.rows()))) == 6
        done = tally.verdict.done
    kinds = f'loss, acc; "{"x" * 39}…'
    assert tally.without_number == (
        f"2 without a number as 'default' (they reported: {kinds}). Report a finite number, or a dict with 'default'."
    )
    assert (done, tally.cost) == (3, None)
