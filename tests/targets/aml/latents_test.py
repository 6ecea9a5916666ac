"""Which parameters a child of a sweep has that the service draws: by its runner's word, else by the service's."""

import json

import pytest

from amlc.errors import BackendError
from amlc.model import Trial
from amlc.targets.aml import latents
from amlc.targets.aml.runs import Run
from amlc.targets.aml.views import View

AXES = [
    {"name": "lr", "key": ["lr"], "how": "draw", "a": 0.001, "b": 0.1, "normal": False, "log": True, "q": None},
    {"name": "opt", "key": ["opt"], "options": ["adam", "sgd"], "labels": ["adam", "sgd"]},
]
SPACE = json.dumps({"namespace": "", "first": 10, "axes": AXES})
TOLD = {"id": "ab", "sequence": 3, "parameters": {"lr": 0.25, "opt": "adam"}}


def sweep(**variables):
    inner = {"environmentVariables": {"AMLC_SPACE": SPACE[:40], "AMLC_SPACE_1": SPACE[40:], **variables}}
    return View("s", {"jobType": "Sweep", "trial": inner, "limits": {"maxTotalTrials": 7}})


def run(job="s_3", *, ended=None):
    return Run(job, None, ended, {})


def trial(tags, *, job="s_3", ended=None, read=lambda job: None):
    return latents.Drawn(read).trial(sweep(), run(job, ended=ended), tags)


def test_a_sweep_says_what_it_draws():
    assert latents.is_drawn(sweep())
    assert not latents.is_drawn(View("j", {"environmentVariables": {"AMLC_SPACE": SPACE}}))
    assert (latents.first(sweep()), latents.most(sweep())) == (10, 7)
    assert latents.first(sweep(AMLC_SPACE_1="")) == 0
    assert latents.is_drawn(sweep().slim)
    assert latents.first(sweep().slim) == 10


@pytest.mark.parametrize("cut", [30, 1000])
def test_the_runners_word_counts_however_many_tags_it_takes(cut):
    text = json.dumps(TOLD)
    tags = {"amlc.drawn": text[:cut]} | ({"amlc.drawn.1": text[cut:]} if text[cut:] else {})
    assert trial({**tags, "hyperparameters": "{}"}) == Trial("ab", 13, TOLD["parameters"])


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id": 1, "parameters": {}}', '{"id": "ab", "parameters": 3}', "[" * 9999])
def test_what_no_runner_says_is_no_word(text):
    assert trial({"amlc.drawn": text}) is None


def test_of_one_that_ended_its_records_count_and_then_what_the_service_drew():
    noted = {"hyperparameters": json.dumps({"--lr": -5.0, "OPT": "sgd"})}
    assert trial(noted) is None, "its runner may yet say so"
    kept = Trial("cd", 0, {"lr": 0.5})
    assert trial(noted, ended=1.0, read={"s_3": kept}.get) == Trial("cd", 13, {"lr": 0.5})
    made = trial(noted, ended=1.0)
    assert made == Trial("s_3", 13, {"lr": pytest.approx(0.006737947), "opt": "sgd"})
    for text in ("{}", '{"lr": "x", "opt": "sgd"}', '{"lr": -5, "opt": "none"}', "null", "3"):
        assert trial({"hyperparameters": text}, ended=1.0) is None

    def unreadable(job):
        raise BackendError("no permission")

    assert trial(noted, ended=1.0, read=unreadable) == made


def test_what_is_not_there_is_not_read_for_ever():
    asked = []
    drawn = latents.Drawn(asked.append)
    for _ in range(20):
        assert drawn.trial(sweep(), run(ended=1.0), {}) is None
    assert asked == ["s_3"] * 5


def test_children_are_in_the_order_of_their_numbers_and_others_behind_them():
    jobs = [run(name) for name in ("s_10", "x", "s_9", "s_1234567")]
    assert [one.job for one in sorted(jobs, key=latents.order)] == ["s_9", "s_10", "s_1234567", "x"]
    assert latents.draw(Trial("ab", 13, {}), run("s_3")).sequence == 13
    assert latents.draw(Trial("ab", 10, {}), run("x")).sequence is None
