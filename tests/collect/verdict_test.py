"""The verdict alone says whether results are complete."""

import pytest

from amlc.collect.results import Results
from amlc.collect.verdict import Tally, Verdict
from amlc.model import Status


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
    kinds = f'loss, acc; "{"x" * 39}…'
    assert tally.without_number == (
        f"2 without a number as 'default' (they reported: {kinds}). Report a finite number, or a dict with 'default'."
    )
    assert (tally.verdict.done, tally.cost) == (3, None)
