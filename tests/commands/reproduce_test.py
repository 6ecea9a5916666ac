"""A row that is run again: with what it was run with, whatever became of the experiment since."""

import os

import pytest

from amlc.commands.reproduce import reproduce
from amlc.config import load_experiment
from amlc.errors import UsageError

TELLS = 'echo "$NNI_TRIAL_SEQ_ID $AMLC_REPLICATE $(cat outputs/amlc/*/parameter.cfg 2>/dev/null)" >> "$PROBE/told"'
RANDOM = 'final "$(od -An -N2 -tu2 /dev/urandom | tr -d " ")"; exit 0'
TPE = {"tuner": {"name": "TPE", "classArgs": {"tpe_args": {"n_startup_jobs": 2}}}, "maxTrialNumber": 3}


def again(project, name, **given):
    experiment, _ = load_experiment(project.root / "experiment.yml", environ=os.environ)
    given = {"backend": None, **given}
    return reproduce(project.manifest, experiment, name, folders=project.folders, **given)


@pytest.fixture(autouse=True)
def _as_in_the_projects_folder(project, monkeypatch):
    """The trials are started by this process here."""
    project.amlc("--version")  # what forks for the others is to have none of these variables
    monkeypatch.chdir(project.root)
    for name in ("PATH", "PROBE", "STARTS"):
        monkeypatch.setenv(name, project.environ[name])


@pytest.mark.parametrize(
    ("keys", "trials"),
    [
        ({}, 4),
        (TPE, 3),
        ({"amlc": {"trialsPerJob": 2}}, 4),
        ({"amlc": {"replicates": 2}}, 8),
        ({"amlc": {"replicates": 2, "trialsPerJob": 2}, **TPE}, 3),
        ({"amlc": {"constraints": ["x > 0"]}}, 3),
        ({"amlc": {"budget": {"trials": 4}}}, 4),
        ({"trialCodeDirectory": ".", "trialCommand": "sh code/trial.sh"}, 4),
    ],
)
def test_it_is_the_same_trial_of_every_kind_of_experiment(project, keys, trials):
    project.write(TELLS, **keys).amlc("run", "experiment.yml")
    assert len(project.statuses()) == trials
    last = str(trials - 1)
    told = (project.root / "told").read_text().splitlines()
    before = project.events()
    done = again(project, last)
    assert done.agrees
    assert [(one.name, one.then, one.again) for one in done.metrics] == [("default", 1.5, 1.5)]
    assert done.changes == []
    assert done.again.trial.parameters == done.then.trial.parameters
    (new,) = (project.root / "told").read_text().splitlines()[len(told) :]
    assert new.split()[0] == last
    assert new.split()[:2] in [line.split()[:2] for line in told]
    assert project.events() == before  # of what happened there it is no part


def test_the_code_and_the_command_are_those_of_then(project):
    project.write("final 7; exit 0").amlc("run", "experiment.yml")
    project.write("exit 3", trialCommand="sh trial.sh --other").compile()
    done = again(project, "0")
    assert done.agrees
    assert [one.again for one in done.metrics] == [7]
    assert done.changes == []
    assert (done.folder / "code" / "trial.sh").read_text().count("final 7") == 1


def test_what_differs_is_said_and_by_how_much_it_may(project):
    project.write(RANDOM, values=range(1)).amlc("run", "experiment.yml")
    done = again(project, "0", tolerance=0)
    (one,) = done.metrics
    assert one.agrees == (one.then == one.again) == done.agrees
    assert again(project, "0", tolerance=1e9).agrees


def test_a_failure_again_is_the_same_end_and_a_success_another(project):
    project.write('[ -e "$PROBE/fixed" ] || exit 3').compile().amlc("submit", code=1)
    assert again(project, "1").agrees
    (project.root / "fixed").touch()
    done = again(project, "1")
    assert not done.agrees
    assert (done.then.status.value, done.again.status.value) == ("failed", "succeeded")


def test_each_time_has_a_folder_of_its_own_until_gc(project):
    project.write(values=range(1)).amlc("run", "experiment.yml")
    assert [again(project, "0").folder.name for _ in range(2)] == ["0-1", "0-2"]
    assert "2 reproductions" in project.amlc("gc").stderr
    assert list(project.folders.again("probe").iterdir()) == []


def test_what_did_not_end_is_not_compared(project):
    project.write().compile()
    with pytest.raises(UsageError, match="#0 was not run yet"):
        again(project, "0")
