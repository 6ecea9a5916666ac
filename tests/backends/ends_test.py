"""How a job ended, by what its runner wrote down and by what its back end knows: in this order."""

import pytest

from amlc.backends.ends import LATE, Known, code_text, ended
from amlc.model import End, Observation, Outcome, Status

SEEN = Observation(job="job", status=Status.FAILED, started=1.0, ended=2.0, url="u")
S, F, E, C = Status.SUCCEEDED, Status.FAILED, Status.EARLY_STOPPED, Status.CANCELED


def outcome(code=0, end=End.EXITED, error=None, trial="a"):
    return Outcome(trial=trial, exit_code=code, started=None, ended=None, end=end, error=error)


def told(outcomes, trials="a", **known):
    seen = ended(SEEN, list(trials), outcomes, Known(**known))
    assert (seen.job, seen.started, seen.ended, seen.url) == ("job", 1.0, 2.0, "u")
    return seen.status, seen.exit_code, seen.error, seen.infrastructure


EVERYTHING = {"code": 137, "canceled": True, "late": True, "began": True, "gone": "gone", "said": "said"}


@pytest.mark.parametrize(
    ("own", "known", "expected"),
    [
        pytest.param(outcome(0), EVERYTHING, (S, 0, None, False), id="well, whatever the back end says"),
        pytest.param(outcome(3, error="KeyError"), EVERYTHING, (F, 3, "KeyError", False), id="failed by itself"),
        pytest.param(outcome(3), {"said": "said"}, (F, 3, "said", False), id="failed, in the back end's words"),
        pytest.param(outcome(3), {}, (F, 3, "exit code 3", False), id="failed, and nobody says why"),
        pytest.param(outcome(139), {}, (F, 139, "killed by signal 11", False), id="killed"),
        pytest.param(outcome(None, End.TIME_LIMIT), EVERYTHING, (E, None, LATE, False), id="at its time limit"),
        pytest.param(outcome(0, End.TIME_LIMIT), {}, (E, 0, LATE, False), id="at its time limit, in peace"),
        pytest.param(outcome(None, End.REFUSED, "no GPU"), {}, (F, None, "no GPU", False), id="refused"),
    ],
)
def test_what_a_trial_says_of_its_own_end_counts_first(own, known, expected):
    assert told([own], **known) == expected


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        pytest.param({"canceled": True, "code": 137, "late": True, "gone": "x"}, (C, 137, None, False), id="canceled"),
        pytest.param({"late": True, "code": 143, "gone": "gone"}, (E, 143, LATE, False), id="late"),
        pytest.param({"code": 0}, (S, 0, None, False), id="well"),
        pytest.param(
            {"code": 0, "gone": "gone", "began": True}, (S, 0, None, False), id="well, though the machine went"
        ),
        pytest.param({"gone": "gone", "code": 137, "began": True}, (F, 137, "gone", True), id="gone"),
        pytest.param({"code": 137}, (F, 137, "its runner was killed by signal 9", True), id="killed"),
        pytest.param(
            {"code": 129}, (F, 129, "its runner was killed by signal 1", True), id="killed by the first signal"
        ),
        pytest.param({"code": 128}, (F, 128, "exit code 128", False), id="no signal"),
        pytest.param(
            {"code": 1, "began": True},
            (F, 1, "its runner ended before it could record how each trial did", True),
            id="cut short",
        ),
        pytest.param({"code": 1}, (F, 1, "exit code 1", False), id="never began"),
        pytest.param({"code": 1, "said": "said"}, (F, 1, "said", False), id="never began, and why"),
        pytest.param({}, (F, None, None, False), id="nobody knows anything"),
    ],
)
@pytest.mark.parametrize("trials", ["a", ""], ids=["its trial is known", "its trials are not known"])
def test_without_a_word_of_the_trial_the_back_end_counts(trials, known, expected):
    assert told([], trials, **known) == expected


@pytest.mark.parametrize(
    ("own", "known", "expected"),
    [
        pytest.param(
            outcome(None, End.LOST, "disk full"),
            {"code": 0},
            (F, 0, "disk full", True),
            id="lost, though the runner was well",
        ),
        pytest.param(
            outcome(None, End.LOST),
            {},
            (F, None, "the machine could not run it, or not record its result", True),
            id="lost",
        ),
        pytest.param(
            outcome(None, End.TERMINATED),
            {"code": 143},
            (F, 143, "its runner was killed by signal 15", True),
            id="terminated",
        ),
        pytest.param(
            outcome(None, End.TERMINATED), {"canceled": True}, (C, None, None, False), id="terminated by a cancel"
        ),
        pytest.param(
            outcome(None, End.TERMINATED), {"code": 1, "gone": "gone"}, (F, 1, "gone", True), id="terminated by a loss"
        ),
        pytest.param(
            outcome(None, End.LOST, "disk full"), {"gone": "gone"}, (F, None, "disk full", True), id="lost first"
        ),
    ],
)
def test_a_trial_that_came_to_no_end_of_its_own_may_be_lost(own, known, expected):
    assert told([own], **known) == expected


@pytest.mark.parametrize(
    ("outcomes", "known", "expected"),
    [
        pytest.param([outcome(0), outcome(0, trial="b")], EVERYTHING, (S, 0, None, False), id="all well"),
        pytest.param(
            [outcome(0), outcome(3, trial="b", error="KeyError")], {}, (F, 1, "1 of 2 trials did not succeed: KeyError", False), id="one failed"
        ),
        pytest.param([outcome(1), outcome(None, End.TIME_LIMIT, trial="b")], {}, (F, 1, "2 of 2 trials did not succeed", False), id="none well"),
        pytest.param([outcome(0)], {"late": True}, (F, None, "its job's time limit cut it short", True), id="late"),
        pytest.param([outcome(0)], {"canceled": True}, (C, None, None, False), id="canceled"),
        pytest.param([outcome(0)], {"code": 0}, (S, 0, None, False), id="the end of one cannot be read"),
        pytest.param([outcome(0), outcome(None, End.LOST, "full", "b")], {"code": 0}, (F, 0, "full", True), id="one lost"),
        pytest.param([outcome(0)], {"code": 1, "began": True}, (F, 1, "its runner ended before it could record how each trial did", True), id="cut short"),
        pytest.param([outcome(0), outcome(0, trial="x")], {"code": 3}, (F, 3, "exit code 3", False), id="an end of a stranger"),
    ],
)  # fmt: skip
def test_a_pack_is_well_when_all_its_trials_are(outcomes, known, expected):
    assert told(outcomes, "ab", **known) == expected


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (None, None),
        (0, "exit code 0"),
        (1, "exit code 1"),
        (128, "exit code 128"),
        (129, "killed by signal 1"),
        (137, "killed by signal 9"),
    ],
)
def test_an_exit_code_has_words(code, text):
    assert code_text(code) == text
