"""The checks of an experiment on Azure ML, one line each."""

from dataclasses import replace

import pytest

from amlc.errors import BackendError
from amlc.targets.aml import Storage, doctor
from tests.targets.aml.jobs_test import HEADER
from tests.targets.aml.workspace import Client

JOB = {"environment": {"image": "msranni/nni:v3.0"}, "compute": "azureml:cpu", "experiment_name": "mnist"}
WELL = {
    "GET /computes/cpu": {"properties": {"provisioningState": "Succeeded"}},
    "GET /datastores/workspaceblobstore": {},
    "GET /api/2.0/mlflow/experiments/get-by-name": {"experiment": {"experiment_id": "7"}},
}
STORAGE = Storage(datastore="nni", account_name="account", container_name="c", key_variable="KEY")


class Workspace(Client):
    """A workspace in which a check may fail before anything else is asked."""

    def __init__(self, *, tenant="t", facts=None, **answers):
        super().__init__(**answers)
        self._tenant, self._facts = tenant, facts or {}

    def __getattribute__(self, name):
        if name in ("tenant", "facts"):
            found = object.__getattribute__(self, f"_{name}")
            if isinstance(found, Exception):
                raise found
            return found
        return object.__getattribute__(self, name)


def checks(monkeypatch, job=None, header=HEADER, environ=None, **answers):
    workspace = Workspace(**{**WELL, **answers})
    monkeypatch.setattr(doctor, "Client", lambda space: workspace)
    return {
        check.name: (check.is_well, check.text)
        for check in doctor.examine(header, {**JOB, **(job or {})}, environ or {})
    }


def test_all_is_well(monkeypatch):
    assert checks(monkeypatch) == {
        "signed in": (True, "tenant t"),
        "workspace": (True, "'w' in resource group 'g'"),
        "compute": (True, "'cpu'"),
        "environment": (True, "image 'msranni/nni:v3.0' (whether it can be pulled shows when a node does so)"),
        "datastore": (True, "'workspaceblobstore'"),
        "MLflow": (True, "experiment 'mnist' has runs"),
    }


@pytest.mark.parametrize(
    ("answers", "last"), [({"tenant": BackendError("no")}, "signed in"), ({"facts": BackendError("no")}, "workspace")]
)
def test_nothing_is_checked_that_needs_what_failed(monkeypatch, answers, last):
    found = checks(monkeypatch, **answers)
    assert list(found)[-1] == last
    assert found[last] == (False, "no")


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("compute", {"GET /computes/cpu": None}),
        ("datastore", {"GET /datastores/workspaceblobstore": None}),
        ("MLflow", {"GET /api/2.0/mlflow/experiments/get-by-name": BackendError("no")}),
    ],
)
def test_one_failure_hides_no_other_check(monkeypatch, name, answer):
    found = checks(monkeypatch, **answer)
    assert [check for check, (is_well, _) in found.items() if not is_well] == [name]
    assert len(found) == 6


@pytest.mark.parametrize(
    "image",
    [
        "msranni/nni", "msranni/nni:v3.0", "nni", "registry.example.com/team/image:1", "localhost:5000/a/b_c-d.e", "a@sha256:" + "0" * 64,
        "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu20.04:latest", "a:" + "x" * 128,
    ],
)  # fmt: skip
def test_an_image_reference_is_well(monkeypatch, image):
    assert checks(monkeypatch, {"environment": {"image": image}})["environment"][0]


@pytest.mark.parametrize(
    "image", ["msranni/NNI", "a b", "a:", "a:x:y", "https://a/b", "/a", "a/", "a@sha256:0", "a:" + "x" * 129]
)
def test_what_is_no_image_reference_is_said(monkeypatch, image):
    is_well, text = checks(monkeypatch, {"environment": {"image": image}})["environment"]
    assert (is_well, text.startswith(f"'{image}' is no image reference")) == (False, True)


@pytest.mark.parametrize(
    ("environment", "answers", "expected"),
    [
        pytest.param("azureml:e:1", {"GET /environments/e/versions/1": {}}, (True, "'azureml:e:1'"), id="there"),
        pytest.param("azureml:e:1", {}, (False, "environment 'azureml:e:1': not found"), id="not there"),
        pytest.param("azureml:e@latest", {}, (True, "'azureml:e@latest'"), id="the latest"),
        pytest.param("azureml://registries/a:b/e", {}, (True, "'azureml://registries/a:b/e'"), id="of a registry"),
        pytest.param(None, {}, (True, "as amlc.job says"), id="none"),
        pytest.param({"build": {"path": "."}}, {}, (True, "as amlc.job says"), id="built"),
    ],
)
def test_an_environment_is_looked_for_where_it_has_a_version(monkeypatch, environment, answers, expected):
    assert checks(monkeypatch, {"environment": environment}, **answers)["environment"] == expected


@pytest.mark.parametrize(
    ("answers", "environ", "expected"),
    [
        ({"GET /datastores/nni": {"name": "nni"}}, {}, (True, "'workspaceblobstore', and 'nni' is there")),
        ({}, {"KEY": "k"}, (True, "'workspaceblobstore', and 'nni' is made at submit")),
        ({}, {}, (False, "Export the account key")),
    ],
)
def test_the_shared_storage_is_there_or_can_be_made(monkeypatch, answers, environ, expected):
    is_well, text = checks(monkeypatch, header=replace(HEADER, storage=STORAGE), environ=environ, **answers)[
        "datastore"
    ]
    assert is_well is expected[0]
    assert expected[1] in text


def test_serverless_and_an_experiment_without_runs_are_well(monkeypatch):
    found = checks(
        monkeypatch, {"compute": None, "experiment_name": None}, **{"GET /api/2.0/mlflow/experiments/get-by-name": None}
    )
    assert found["compute"] == (True, "serverless")
    assert found["MLflow"] == (True, "experiment 'Default' has no runs yet")
    assert checks(monkeypatch, tenant=None)["signed in"] == (True, "tenant unknown")


def test_an_experiment_without_a_workspace_cannot_be_examined():
    with pytest.raises(BackendError, match="mnist: it was compiled without a workspace"):
        list(doctor.examine(replace(HEADER, workspace=None), JOB, {}))


def test_the_first_job_file_is_the_one_that_is_examined(tmp_path):
    assert doctor.first_job(tmp_path) == {}
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "00001-b.yml").write_text("compute: second")
    (tmp_path / "jobs" / "00000-a.yml").write_text("compute: first")
    assert doctor.first_job(tmp_path) == {"compute": "first"}
    (tmp_path / "jobs" / "00000-a.yml").write_text("[1]")
    assert doctor.first_job(tmp_path) == {}
