"""Where the files are that a job left: its artifacts, and its named outputs on datastores."""

import pytest

from amlc.errors import BackendError
from amlc.targets.aml import outputs as module
from amlc.targets.aml.artifacts import Artifacts
from amlc.targets.aml.outputs import Outputs
from tests.targets.aml.artifacts_test import Container
from tests.targets.aml.workspace import Client

BLOBS = {
    "artifacts": {"ExperimentRun/dcid.job/outputs/plot.txt": b"plot", "ExperimentRun/dcid.job/user_logs/x": b"log"},
    "blobs": {
        "azureml/job/model/weights": b"12345",
        "azureml/job/model/deep/er": b"",
        "azureml/job/model-2/no": b"other",
        "models/job/a": b"aa",
        "one.bin": b"one",
    },
    "mine": {"p/x": b"x"},
}


class Stored(Container):
    def download_blob(self, name, *, offset):
        rest = self.blobs[name][offset or 0 :]
        return type("Download", (), {"chunks": lambda: iter([rest[:2], rest[2:]])})


@pytest.fixture
def of(monkeypatch):
    """Return the outputs of a workspace whose job has these, with their datastores' containers."""

    def make(**given):
        job = {"name": "job", "properties": {"outputs": given}}
        client = Client(
            **{"GET /jobs/job": job if given is not None else None, "GET /datastores": {"value": [{"name": "blobs"}]}}
        )

        class Blobs(module.Blobs):
            def __init__(self, client, datastore):
                super().__init__(client, datastore)
                self._opened = Stored(BLOBS[datastore])

        monkeypatch.setattr(module, "Blobs", Blobs)
        artifacts = Artifacts(client)
        artifacts._opened = Stored(BLOBS["artifacts"])
        return Outputs(client, artifacts), client

    return make


PLOT = {"plot.txt": 4}


@pytest.mark.parametrize(
    ("given", "files"),
    [
        pytest.param({}, {}, id="none is named"),
        pytest.param({"default": {"uri": "azureml://datastores/x"}, "amlc_storage": {}}, {}, id="what is no output"),
        pytest.param({"model": None}, {"model/weights": 5, "model/deep/er": 0}, id="where the service puts it"),
        pytest.param({"model": {"uri": None}}, {"model/weights": 5, "model/deep/er": 0}, id="no uri"),
        pytest.param({"m": {"uri": "azureml://datastores/blobs/paths/models/${{name}}"}}, {"m/a": 2}, id="a place"),
        pytest.param(
            {"m": {"uri": "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/mine/paths/p/"}},
            {"m/x": 1},
            id="another datastore, by its long name",
        ),
        pytest.param({"m": {"uri": "azureml://datastores/blobs/paths/one.bin"}}, {"m/one.bin": 3}, id="one file"),
    ],
)
def test_files_are_found_by_the_names_of_outputs(of, given, files):
    outputs, _ = of(**given)
    assert outputs.sizes("job") == {**PLOT, **files}


def test_a_file_is_read_from_any_byte_on_and_the_job_looked_at_once(of):
    outputs, client = of(model=None)
    assert b"".join(outputs.read("job", "model/weights", start=0)) == b"12345"
    assert b"".join(outputs.read("job", "model/weights", start=3)) == b"45"
    assert b"".join(outputs.read("job", "plot.txt", start=1)) == b"lot"
    assert client.asked.count("GET /jobs/job") == 1


def test_a_place_that_is_none_is_said(of):
    outputs, _ = of(m={"uri": "https://elsewhere/x"})
    with pytest.raises(BackendError, match="output 'm' of 'job': it lies in https://elsewhere/x, which is no path"):
        outputs.sizes("job")


def test_a_job_that_is_gone_is_said(of):
    outputs, client = of()
    client.arm.answers["GET /jobs/job"] = None
    with pytest.raises(BackendError, match="job 'job': the workspace does not have it"):
        outputs.sizes("job")
