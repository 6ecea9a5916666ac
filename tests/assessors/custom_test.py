"""Assessors of the user's own run as they are, and answer the same after a restart."""

from __future__ import annotations

import random
import sys
import textwrap

import pytest

from amlc.assessors import custom, medianstop
from amlc.model import Algorithm
from amlc.user_code import UserCodeError

CLASSES = """
    import random, threading
    from nni.assessor import Assessor, AssessResult
    from nni.algorithms.hpo.medianstop_assessor import MedianstopAssessor

    class Median(MedianstopAssessor):
        pass

    class Patience(Assessor):
        "Bad after so many results in a row that are no better."
        def __init__(self, patience=2):
            self.patience, self.worse, self.best = patience, {}, {}
        def assess_trial(self, trial_job_id, trial_history):
            last, best = trial_history[-1], self.best.get(trial_job_id, float("-inf"))
            self.worse[trial_job_id] = 0 if last > best else self.worse[trial_job_id] + 1
            self.best[trial_job_id] = max(last, best)
            return AssessResult.Bad if self.worse[trial_job_id] >= self.patience else AssessResult.Good

    class Locked(Patience):
        "Cannot be copied."
        def __init__(self):
            super().__init__()
            self.lock = threading.Lock()

    class Dice(Assessor):
        def assess_trial(self, trial_job_id, trial_history):
            return random.random() < 0.7

    class Recording(Assessor):
        calls = []
        def assess_trial(self, *what):
            self.calls.append(what)
            return True
        def trial_end(self, *what):
            self.calls.append(what)

    class Fails(Assessor):
        def assess_trial(self, trial_job_id, trial_history):
            raise ValueError("it broke")

    class Answers(Assessor):
        def assess_trial(self, trial_job_id, trial_history):
            return "good"

    class Other:
        pass
"""


@pytest.fixture
def assessor(nni_assessors, tmp_path):
    (tmp_path / "mine.py").write_text(textwrap.dedent(CLASSES))

    def make(name, **class_args):
        assess = custom.assessor(Algorithm(class_name=f"mine.{name}", code_directory=tmp_path, class_args=class_args))
        return lambda curve, completed=(): assess(curve, completed, args={})

    return make


def walks(count: int) -> list[list[float]]:
    rng = random.Random(4)
    return [[round(rng.random(), 1) for _ in range(rng.randint(1, 9))] for _ in range(count)]


@pytest.mark.parametrize("name", ["Median", "Patience", "Locked", "Dice"])
def test_a_new_instance_answers_as_the_kept_one(assessor, name):
    kept, completed, answers = assessor(name), [], []
    for curve in walks(12):
        for step in range(1, len(curve) + 1):
            answer = kept(curve[:step], completed)
            assert kept(curve[:step], completed) is answer
            assert assessor(name)(curve[:step], completed) is answer
            answers.append(answer)
        if not any(answers[-len(curve) :]):
            completed.append(curve)
    assert len(set(answers)) == 2


def test_trials_that_run_at_once_do_not_disturb_each_other(assessor):
    patience = assessor("Patience", patience=2)
    falling, rising = [0.5, 0.4, 0.3], [0.1, 0.2, 0.3]
    found = [(patience(falling[:step]), patience(rising[:step])) for step in (1, 2, 3)]
    assert found == [(False, False), (False, False), (True, False)]


def test_a_class_of_nnis_decides_as_nnis_does(assessor):
    median, completed = assessor("Median", start_step=2), []
    for curve in walks(15):
        for step in range(1, len(curve) + 1):
            expected = medianstop.assess(curve[:step], completed, args={"optimize_mode": "maximize", "start_step": 2})
            assert median(curve[:step], completed) is expected
        completed.append(curve)


def test_an_assessor_sees_each_completed_trial_once_and_then_this_one_step_by_step(assessor):
    recording = assessor("Recording")
    first, second = {"default": 0.1, "loss": 2}, {"default": 0.2, "loss": 1}
    recording([first, second], [[1.0, 2.0], [], [3.0]])
    calls = sys.modules["mine"].Recording.calls
    assert calls == [
        ("completed-0", [1.0, 2.0]),
        ("completed-0", True),
        ("completed-2", [3.0]),
        ("completed-2", True),
        ("running", [first]),
        ("running", [first, second]),
    ]
    recording([first, second, first], [[1.0, 2.0], [], [3.0]])
    assert calls[6:] == [("running", [first, second, first])]


def test_the_random_numbers_of_the_process_are_left_alone(assessor):
    random.seed(1)
    before = random.getstate()
    assessor("Dice")([0.1, 0.2], [[0.3]])
    assert random.getstate() == before


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("Fails", {}, r"assess_trial failed\.\nTraceback[\s\S]*mine\.py[\s\S]*ValueError: it broke$"),
        ("Answers", {}, r"assess_trial returned 'good'\. NNI takes an AssessResult"),
        ("Other", {}, r"is no Assessor"),
        ("Patiense", {}, r"has no class 'Patiense'\. Did you mean 'Patience'\?"),
        ("Patience", {"patients": 2}, r"classArgs do not fit: .*'patients'\. It takes \(patience=2\)"),
    ],
)
def test_what_goes_wrong_is_said(assessor, name, arguments, message):
    with pytest.raises(UserCodeError, match=rf"^assessor mine\.{name} .*{message}"):
        assessor(name, **arguments)([0.1])
