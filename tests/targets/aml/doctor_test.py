"""The checks of an experiment on Azure ML, one line each."""

from dataclasses import replace

import pytest

from amlc.errors import BackendError
from amlc.render.scalars import to_yaml
from amlc.targets.aml import Storage
from amlc.targets.aml.backend import AmlBackend
from amlc.targets.aml.doctor import examine
from amlc.targets.aml.explain import ForbiddenError
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


class Artifacts:
    """An artifact store that may refuse to be read or written."""

    def __init__(self, *, reading=None, writing=None):
        self.reading, self.writing = reading, writing

    def try_to_read(self):
        if self.reading:
            raise self.reading
        return "https://account"

    def try_to_write(self):
        if self.writing:
            raise self.writing


@pytest.mark.parametrize(
    ("store", "found"),
    [
        pytest.param({"reading": BackendError("no")}, (False, "no"), id="read"),
        pytest.param(
            {"writing": BackendError("no")}, ("warned", "'https://account' can be read, not written: no"), id="written"
        ),
    ],
)  # fmt: skip
def test_the_artifact_store_is_tried(checks, store, found):
    assert checks(artifacts=Artifacts(**store))["artifacts"] == found


@pytest.fixture
def checks(tmp_path):
    """Return a function that examines a build folder whose first job has these values beside those of JOB."""

    def run(job=None, storage=None, environ=None, artifacts=None, **answers):
        (tmp_path / "jobs").mkdir(exist_ok=True)
        (tmp_path / "jobs" / "00000-a.yml").write_text(to_yaml({**JOB, **(job or {})}))
        found = examine(Workspace(**{**WELL, **answers}), artifacts or Artifacts(), storage, tmp_path, environ or {})
        return {check.name: ("warned" if check.is_warned else check.is_well, check.text) for check in found}

    return run


def test_all_is_well(checks):
    assert checks() == {
        "signed in": (True, "tenant t"),
        "workspace": (True, "'w' in resource group 'g'"),
        "compute": (True, "'cpu'"),
        "environment": (True, "image 'msranni/nni:v3.0' (whether it can be pulled shows when a node does so)"),
        "datastore": (True, "'workspaceblobstore'"),
        "artifacts": (True, "'https://account' can be read and written"),
        "MLflow": (True, "experiment 'mnist' has runs"),
    }


@pytest.mark.parametrize(
    ("answers", "last"), [({"tenant": BackendError("no")}, "signed in"), ({"facts": BackendError("no")}, "workspace")]
)
def test_nothing_is_checked_that_needs_what_failed(checks, answers, last):
    found = checks(**answers)
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
def test_one_failure_hides_no_other_check(checks, name, answer):
    found = checks(**answer)
    assert [check for check, (is_well, _) in found.items() if not is_well] == [name]
    assert len(found) == 7


@pytest.mark.parametrize(
    "image",
    [
        "msranni/nni", "msranni/nni:v3.0", "nni", "registry.example.com/team/image:1", "localhost:5000/a/b_c-d.e", "a@sha256:" + "0" * 64,
        "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu20.04:latest", "a:" + "x" * 128,
    ],
)  # fmt: skip
def test_an_image_reference_is_well(checks, image):
    assert checks({"environment": {"image": image}})["environment"][0]


@pytest.mark.parametrize(
    "image", ["msranni/NNI", "a b", "a:", "a:x:y", "https://a/b", "/a", "a/", "a@sha256:0", "a:" + "x" * 129]
)
def test_what_is_no_image_reference_is_said(checks, image):
    is_well, text = checks({"environment": {"image": image}})["environment"]
    assert (is_well, text.startswith(f"'{image}' is no image reference")) == (False, True)


@pytest.mark.parametrize(
    ("environment", "answers", "expected"),
    [
        pytest.param("azureml:e:1", {"GET /environments/e/versions/1": {}}, (True, "'azureml:e:1'"), id="there"),
        pytest.param("azureml:e@latest", {"GET /environments/e": {}}, (True, "'azureml:e@latest'"), id="the latest"),
        pytest.param("azureml://registries/a:b/e", {}, (True, "'azureml://registries/a:b/e'"), id="of a registry"),
        pytest.param(None, {}, (True, "as amlc.job says"), id="none"),
        pytest.param({"build": {"path": "."}}, {}, (True, "as amlc.job says"), id="built"),
    ],
)
def test_an_environment_is_looked_for_where_it_has_a_name(checks, environment, answers, expected):
    assert checks({"environment": environment}, **answers)["environment"] == expected


@pytest.mark.parametrize(
    ("answers", "environ", "expected"),
    [
        ({"GET /datastores/nni": {"name": "nni"}}, {}, (True, "'workspaceblobstore', and 'nni' is there")),
        ({}, {"KEY": "k"}, (True, "'workspaceblobstore', and 'nni' is made at submit")),
        ({}, {}, (False, "Export the account key")),
    ],
)
def test_the_shared_storage_is_there_or_can_be_made(checks, answers, environ, expected):
    is_well, text = checks(storage=STORAGE, environ=environ, **answers)["datastore"]
    assert is_well is expected[0]
    assert expected[1] in text


def test_serverless_and_an_experiment_without_runs_are_well(checks):
    found = checks({"compute": None, "experiment_name": None}, **{"GET /api/2.0/mlflow/experiments/get-by-name": None})
    assert found["compute"] == (True, "serverless")
    assert found["MLflow"] == (True, "experiment 'Default' has no runs yet")
    assert checks(tenant=None)["signed in"] == (True, "tenant unknown")


@pytest.mark.parametrize("target", [{}, {"aml": {}}, {"local": {"gpu_indices": None, "use_active_gpu": False}}])
def test_an_experiment_without_a_workspace_cannot_be_examined(tmp_path, target):
    with pytest.raises(BackendError, match="mnist: it was compiled without a workspace"):
        list(AmlBackend(replace(HEADER, target=target), {}, parallel=1).examine(tmp_path))


def test_the_first_job_file_is_the_one_that_is_examined(tmp_path):
    def computes():
        workspace = Workspace(**WELL)
        list(examine(workspace, Artifacts(), None, tmp_path, {}))
        return [path for path in workspace.asked if "/computes/" in path]

    assert computes() == []
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "00001-b.yml").write_text("compute: azureml:second")
    (tmp_path / "jobs" / "00000-a.yml").write_text("compute: azureml:first")
    assert computes() == ["GET /computes/first"]
    (tmp_path / "jobs" / "00000-a.yml").write_text("[1]")
    assert computes() == []


@pytest.mark.parametrize(
    ("name", "job", "text"),
    [
        ("compute", {}, "compute 'cpu'"),
        ("environment", {"environment": "azureml:e:1"}, "environment 'e:1'"),
        ("environment", {"environment": "azureml:e@latest"}, "environment 'e@latest'"),
        ("datastore", {"inputs": {"x": {"path": "azureml://datastores/d/paths/x"}}}, "datastore 'd'"),
    ],
)
def test_what_is_missing_is_said_as_submit_says_it(checks, name, job, text):
    is_well, said = checks(job, **{"GET /computes/cpu": None})[name]
    assert not is_well
    assert said.startswith(f"{text}: there is none of that name")
    assert "az ml " in said


@pytest.mark.parametrize(
    ("name", "path"), [("compute", "/computes/cpu"), ("datastore", "/datastores/workspaceblobstore")]
)
def test_a_check_that_is_forbidden_is_a_warning(checks, name, path):
    found = checks(**{f"GET {path}": ForbiddenError("no permission.")})[name]
    assert found == ("warned", "no permission. It is not checked.")
