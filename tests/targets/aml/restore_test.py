"""A ledger and a build folder made of nothing but the jobs of a workspace."""

import json

import pytest

from amlc.attempts import fold
from amlc.commands.refresh import refresh
from amlc.errors import BackendError, UsageError
from amlc.folders import Folders
from amlc.ledger import open_ledger
from amlc.targets.aml import Workspace as Place
from amlc.targets.aml import restore, workspace_of
from tests.targets.aml.runs_test import raw
from tests.targets.aml.workspace import ONE, TWO, Client, resource

SPACE = {"subscription_id": "s", "resource_group": "g", "workspace_name": "w"}
NOWHERE = dict.fromkeys(SPACE)
TAGS = {"amlc.experiment": "mnist"}


class Workspace(Client):
    """The jobs of a workspace, whose runs say how they ended."""

    def __init__(self, *jobs):
        final = {"final": [0.5], "step": None, "names": [], "integers": [], "whole": True}
        runs = {job["name"]: raw(job["name"], tags={"amlc.results": json.dumps({job["trial"]: final})}) for job in jobs}
        answers = {
            "GET /jobs": {"value": list(jobs)},
            "GET /api/2.0/mlflow/experiments/get-by-name": {"experiment": {"experiment_id": "7"}},
            "POST /api/2.0/mlflow/runs/search": {"runs": list(runs.values())},
            "GET /api/2.0/mlflow/runs/get": lambda asked: {"run": runs[asked["run_id"]]},
        }
        super().__init__(**answers)


def job(name, trial, status="Completed", *, experiment="mnist", **more):
    made = resource(name, trial, status=status, tags={"amlc.experiment": experiment}, **more)
    made["properties"]["environmentVariables"]["AMLC_EXPERIMENT"] = json.dumps(experiment)
    return {**made, "trial": trial}


@pytest.fixture
def refreshed(tmp_path, monkeypatch):
    folders = Folders(tmp_path / "build", tmp_path / ".amlc")
    monkeypatch.chdir(tmp_path)

    def run(*jobs, target=None, workspace=SPACE, config=None):
        def client(space):
            assert space == Place(subscription_id="s", resource_group="g", name="w")
            return Workspace(*jobs)

        monkeypatch.setattr(restore, "Client", client)
        where = {**workspace, "config": None if config is None else str(config)}
        return refresh(target, backend=None, where=where, folders=folders), folders

    return run


FIRST, SECOND, THIRD = f"mnist-{ONE}-9e7a6c", f"mnist-{ONE}-9e7a6c-2", f"mnist-{TWO}-9e7a6c"


def test_ledger_and_build_folder_come_back_from_the_jobs(refreshed):
    said, folders = refreshed(
        job(SECOND, ONE), job(FIRST, ONE, "Canceled"), job(THIRD, TWO), {**resource("foreign"), "trial": "x"}
    )
    assert said == "mnist: 3 jobs in the workspace, 3 of them new here"
    with open_ledger(folders.ledger("mnist")) as ledger:
        attempts = fold(ledger.events())
        finals = {metric.trial: metric.value for _, metric in ledger.metrics("final")}
    assert [(name, attempt.number, attempt.latest.status.value) for name, attempt in attempts.items()] == [
        (FIRST, 1, "canceled"),
        (THIRD, 1, "succeeded"),
        (SECOND, 2, "succeeded"),
    ]
    assert finals == {ONE: 0.5, TWO: 0.5}
    manifest = folders.manifest(None)
    assert [(entry.id, entry.name) for entry in manifest.entries()] == [(ONE, FIRST), (TWO, THIRD)]
    assert workspace_of(manifest.header) is not None
    assert (
        refreshed(job(SECOND, ONE), job(FIRST, ONE, "Canceled"))[0]
        == "mnist: 2 jobs in the workspace, 0 of them new here"
    )


def test_of_a_pack_the_attempt_with_all_of_its_trials_is_compiled(refreshed):
    whole = {**resource(FIRST, ONE, TWO, status="Failed", tags=TAGS), "trial": ONE}
    rest = {**resource(SECOND, TWO, status="Completed", tags=TAGS), "trial": TWO}
    _, folders = refreshed(whole, rest)
    (entry,) = folders.manifest(None).entries()
    assert [trial.id for trial in entry.trials] == [ONE, TWO]


def test_only_the_named_experiment_is_brought_back(refreshed):
    jobs = job(FIRST, ONE), job(f"other-{TWO}-9e7a6c", TWO, experiment="other")
    with pytest.raises(UsageError, match=r"the workspace holds 2 experiments: name one of them \(mnist, other\)"):
        refreshed(*jobs)
    said, folders = refreshed(*jobs, target="other")
    assert said.startswith("other: 1 job")
    assert folders.manifest(None).header.experiment == "other"


def test_a_workspace_without_such_jobs_is_said(refreshed):
    with pytest.raises(BackendError, match="workspace 'w' has no jobs of any experiment of amlc's"):
        refreshed()
    with pytest.raises(BackendError, match="workspace 'w' has no jobs of experiment 'other'"):
        refreshed(job(FIRST, ONE), target="other")


def test_a_compiled_experiment_may_have_no_jobs_yet(refreshed):
    refreshed(job(FIRST, ONE))
    said, _ = refreshed()
    assert said == "mnist: 0 jobs in the workspace, 0 of them new here"


@pytest.mark.parametrize("place", ["config.json", ".azureml/config.json"])
def test_where_to_look_stands_in_the_workspaces_file(refreshed, tmp_path, place):
    (tmp_path / ".azureml").mkdir()
    (tmp_path / place).write_text("\ufeff" + json.dumps(SPACE), encoding="utf-8")
    assert refreshed(job(FIRST, ONE), workspace=NOWHERE)[0].startswith("mnist: 1 job")
    assert refreshed(job(FIRST, ONE), workspace={**NOWHERE, "workspace_name": "w"}, config=tmp_path / place)[
        0
    ].startswith("mnist")


@pytest.mark.parametrize("content", ["{", "{}", "[]"])
def test_a_file_that_names_no_workspace_is_said(refreshed, tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UsageError, match=r"config\.json: not the config\.json of a workspace"):
        refreshed(workspace=NOWHERE)


def test_without_a_word_of_where_to_look_it_asks(refreshed, tmp_path):
    with pytest.raises(UsageError, match="nothing compiled here names a workspace, so say which"):
        refreshed(workspace=NOWHERE)
    with pytest.raises(UsageError, match="nothing compiled here names a workspace"):
        refreshed(workspace=NOWHERE, config=tmp_path / "nowhere.json")


def test_what_is_compiled_for_this_machine_names_no_workspace(project):
    project.write().compile()
    err = project.amlc("refresh", "--backend", "aml", code=2).stderr
    assert err.startswith("error: nothing compiled here names a workspace, so say which: --subscription-id")
