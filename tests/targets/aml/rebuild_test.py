"""What was compiled and what happened, rebuilt from what the service holds of its jobs."""

import hashlib
import json

import pytest

from amlc.model import Algorithm
from amlc.render.scalars import from_yaml
from amlc.targets.aml import Storage, Workspace, storage_of, workspace_of
from amlc.targets.aml.rebuild import entry, experiment_of, found, header_of, in_order
from amlc.targets.aml.views import view
from tests.targets.aml.workspace import ONE, SCOPE, TWO, resource

NAME = f"mnist-{ONE}-9e7a6c"
REVISION = "9e7a6c" + "0" * 58
WORKSPACE = Workspace(subscription_id="s", resource_group="g", name="w")
PLACE = {"aml": {"workspace": {"subscription_id": "s", "resource_group": "g", "name": "w"}}}


def job(name=NAME, *trials, **properties):
    return found(view(resource(name, *trials, **properties)))


def values_of(**properties):
    """Return the values of the job file that is rebuilt from a job with these properties."""
    return from_yaml(entry(job(**properties))[1])


@pytest.mark.parametrize(
    ("name", "number"),
    [(NAME, 1), (f"{NAME}-2", 2), (f"{NAME}-9", 9), (f"{NAME}-10", 10), (f"{NAME}-123", 123)],
)
def test_a_name_says_which_attempt_of_which_job_it_was(name, number):
    one = job(name)
    assert (one.id, one.base, one.number, one.revision) == (ONE, NAME, number, "9e7a6c")
    assert [trial.id for trial in one.trials] == [ONE]


@pytest.mark.parametrize(
    "name",
    [
        "placid_truck_0x1f",
        f"{ONE}-9e7a6c",
        f"-{ONE}-9e7a6c",
        f"mnist-{ONE[:-1]}-9e7a6c",
        f"mnist-{ONE.upper()}-9e7a6c",
        f"mnist-{ONE}-9e7a6",
        f"{NAME}-0",
        f"{NAME}-1",
        f"{NAME}-02",
        f"{NAME}-x",
    ],
)
def test_a_job_with_another_name_is_not_ours(name):
    assert job(name) is None


def test_a_job_without_trials_is_not_ours():
    assert job(environmentVariables={}) is None
    assert job(environmentVariables=None) is None


@pytest.mark.parametrize(
    ("said", "current", "expected"),
    [
        pytest.param(REVISION, "", REVISION, id="as the job says"),
        pytest.param(None, "", "9e7a6c", id="as its name says"),
        pytest.param(None, REVISION, REVISION, id="the compiled one that begins so"),
        pytest.param(None, "f" * 64, "9e7a6c", id="another one was compiled"),
        pytest.param(REVISION, "9e7a6c" + "f" * 58, REVISION, id="one that only begins so"),
    ],
)
def test_the_revision_is_the_whole_one_where_it_is_known(said, current, expected):
    properties = {"amlc.revision": said} if said else {}
    assert found(view(resource(NAME, properties=properties)), current=current).revision == expected


@pytest.mark.parametrize(
    ("created", "seconds"),
    [
        ("1970-01-01T00:01:00Z", 60.0),
        ("1970-01-01T00:01:00+00:00", 60.0),
        ("1970-01-01T01:01:00+01:00", 60.0),
        ("1970-01-01T00:01:00.5Z", 60.5),
        ("1970-01-01T00:01:00.25+00:00", 60.25),
        ("1970-01-01T00:01:00.2500009Z", 60.25),
        ("", 0.0),
        ("yesterday", 0.0),
    ],
)
def test_the_time_of_a_job_is_in_seconds(created, seconds):
    assert job(created=created).created == seconds


def test_jobs_are_in_the_order_in_which_they_were_submitted():
    second, first, packed = job(f"{NAME}-2"), job(), job(f"mnist-{TWO}-9e7a6c", TWO, ONE)
    later = job(f"mnist-{'a' * 16}-9e7a6c", created="2026-11-25T09:00:00Z")
    assert in_order([second, later, packed, first]) == [packed, first, later, second]
    assert [one.number for one in in_order([job(f"{NAME}-10"), job(f"{NAME}-9"), job()])] == [1, 9, 10]


@pytest.mark.parametrize(
    ("variables", "tags", "expected"),
    [
        pytest.param(
            {"AMLC_EXPERIMENT": '"my ünï, 1"'}, {"amlc.experiment": "my"}, "my ünï, 1", id="as it was written"
        ),
        pytest.param({}, {"amlc.experiment": "my"}, "my", id="its tag"),
        pytest.param({"AMLC_EXPERIMENT": "my"}, {"amlc.experiment": "tag"}, "tag", id="no JSON"),
        pytest.param({}, {}, "mnist", id="that of Azure ML"),
    ],
)
def test_an_experiment_has_the_name_that_the_user_wrote(variables, tags, expected):
    assert experiment_of(view(resource(environmentVariables=variables, tags=tags))) == expected


HEADER = {
    "concurrency": 3, "retries": 1, "max_seconds": 60, "optimize_mode": "maximize", "gpus_per_trial": 2,
    "trials_per_gpu": 4, "replicates": 5, "max_trials": 6, "search": "0" * 16, "source": "../../mnist.yml",
}  # fmt: skip


def header(told, **properties):
    text = told if isinstance(told, str) else json.dumps(told)
    return header_of(job(properties={"amlc.revision": REVISION, "amlc.header": text}, **properties), WORKSPACE)


def test_a_header_comes_back_as_the_job_carries_it():
    back = header(HEADER)
    assert {name: getattr(back, name) for name in HEADER} == HEADER
    assert (back.experiment, back.backend, back.revision) == ("mnist", "aml", REVISION)
    assert (workspace_of(back), storage_of(back), back.assessor) == (WORKSPACE, None, None)
    assert back.target == PLACE


def test_storage_and_assessor_come_back_as_they_were():
    storage = {"datastore": "d", "account_name": "a", "container_name": "c", "key_variable": "K"}
    back = header({"storage": storage, "assessor": {"name": "Medianstop", "class_args": {"start_step": 2}}})
    assert storage_of(back) == Storage(datastore="d", account_name="a", container_name="c", key_variable="K")
    assert back.assessor == Algorithm(name="Medianstop", class_args={"start_step": 2})


@pytest.mark.parametrize(
    "told",
    [
        "{}",
        "no JSON",
        "[1]",
        '"text"',
        "null",
        {"storage": {"unknown": 1}},
        {"storage": 1},
        {"assessor": {"unknown": 1}},
        {"retries": 9, "assessor": [1]},
        {"unknown": 1},
        {"workspace": {"name": "x"}, "backend": "local", "gpu_indices": [1]},
        {"target": {"aml": {"workspace": {"name": "x"}}, "local": {"gpu_indices": [1]}}},
    ],
    ids=str,
)
def test_what_a_header_does_not_say_has_its_default(told):
    back = header(told)
    assert (back.concurrency, back.retries, back.max_seconds, back.optimize_mode) == (1, 2, None, None)
    assert (back.gpus_per_trial, back.trials_per_gpu, back.replicates, back.max_trials) == (None, 1, 1, None)
    assert (back.backend, back.target) == ("aml", PLACE)
    assert (workspace_of(back), storage_of(back), back.assessor) == (WORKSPACE, None, None)


def test_a_job_made_by_hand_has_no_header():
    assert header_of(job(), WORKSPACE).retries == 2


def test_an_entry_names_the_file_that_would_have_been_compiled():
    each, content = entry(job(f"{NAME}-2", ONE, TWO))
    assert (each.id, each.name, each.file) == (ONE, NAME, f"jobs/00000-{ONE}.yml")
    assert each.sha256 == hashlib.sha256(content).hexdigest()
    assert [trial.id for trial in each.trials] == [ONE, TWO]
    assert content.startswith(b"# Rebuilt by amlc refresh from the workspace;")
    assert content.endswith(b"\n")


def test_a_job_file_is_what_the_job_was_made_of():
    code, environment = f"{SCOPE}/codes/c/versions/1", f"{SCOPE}/environments/e/versions/1"
    given = {
        "displayName": "mnist #0",
        "description": "why",
        "codeId": code,
        "command": "python3 amlc_runner.py",
        "environmentId": f"azureml:{environment}",
        "computeId": f"{SCOPE}/computes/cpu",
        "limits": {"jobLimitsType": "Command", "timeout": "PT35M"},
        "resources": {"instanceCount": 2, "shmSize": "8g", "properties": {}, "dockerArgs": None, "locations": []},
        "queueSettings": {"jobTier": "Spot", "priority": 1},
        "tags": {"amlc.trial": ONE, "amlc.digest": "0", "amlc.results": "{", "amlc.results.1": "}", "amlc.end": "{}", "lr.1": "0.1"},
    }
    variables = resource()["properties"]["environmentVariables"]
    assert values_of(**given) == {
        "$schema": "https://azuremlschemas.azureedge.net/latest/commandJob.schema.json",
        "type": "command",
        "name": NAME,
        "display_name": "mnist #0",
        "experiment_name": "mnist",
        "description": "why",
        "code": f"azureml:{code}",
        "command": "python3 amlc_runner.py",
        "environment": f"azureml:{environment}",
        "compute": "azureml:cpu",
        "environment_variables": variables,
        "limits": {"timeout": 2100},
        "resources": {"instance_count": 2, "shm_size": "8g"},
        "queue_settings": {"job_tier": "spot", "priority": 1},
        "tags": {"amlc.trial": ONE, "lr.1": "0.1"},
    }


def test_what_a_job_has_not_is_not_in_its_file():
    bare = {"$schema", "type", "name", "experiment_name", "environment_variables"}
    assert values_of().keys() == bare
    assert values_of(inputs={}, outputs=None, limits=None, resources={}, distribution={}, tags={}).keys() == bare


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT1S", 1),
        ("PT90S", 90),
        ("PT2M", 120),
        ("PT1H", 3_600),
        ("P1D", 86_400),
        ("P1DT2H3M4S", 93_784),
        ("PT1.6S", 2),
        ("PT1H5S", 3_605),
    ],
)
def test_a_time_limit_comes_back_in_seconds(text, seconds):
    assert values_of(limits={"timeout": text})["limits"] == {"timeout": seconds}


@pytest.mark.parametrize("text", [None, "", "1h", "P1W", "PT1X", "xPT1S", "PT1Sx"])
def test_a_time_limit_that_cannot_be_read_is_left_out(text):
    assert "limits" not in values_of(limits={"timeout": text})


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("ReadOnlyMount", "ro_mount"),
        ("ReadWriteMount", "rw_mount"),
        ("Download", "download"),
        ("Upload", "upload"),
        ("Direct", "direct"),
        ("EvalMount", "eval_mount"),
        ("EvalDownload", "eval_download"),
    ],
)
def test_an_input_comes_back_with_its_mode(mode, expected):
    given = {"data": {"jobInputType": "uri_folder", "uri": "azureml:mnist:1", "mode": mode, "description": None}}
    assert values_of(inputs=given)["inputs"] == {
        "data": {"type": "uri_folder", "path": "azureml:mnist:1", "mode": expected}
    }


def test_inputs_and_outputs_come_back_as_a_job_file_has_them():
    inputs = {
        "n": {"jobInputType": "literal", "value": "3"},
        "gone": None,
        "bare": {"jobInputType": "uri_file", "uri": "u", "mode": "Unheard"},
    }
    outputs = {
        "default": {"jobOutputType": "uri_folder", "uri": "u", "mode": "ReadWriteMount"},
        "nni": {"jobOutputType": "uri_folder", "uri": "azureml://d", "mode": "ReadWriteMount"},
    }
    values = values_of(inputs=inputs, outputs=outputs)
    assert values["inputs"] == {"n": "3", "bare": {"type": "uri_file", "path": "u"}}
    assert values["outputs"] == {"nni": {"type": "uri_folder", "path": "azureml://d", "mode": "rw_mount"}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"distributionType": "PyTorch", "processCountPerInstance": 4}, {"type": "pytorch", "process_count_per_instance": 4}),
        ({"distributionType": "Mpi", "processCountPerInstance": None}, {"type": "mpi"}),
        ({"distributionType": "TensorFlow", "workerCount": 2}, {"type": "tensorflow", "worker_count": 2}),
        ({"processCountPerInstance": 4}, None),
    ],
)  # fmt: skip
def test_a_distribution_comes_back_as_a_job_file_spells_it(given, expected):
    assert values_of(distribution=given).get("distribution") == expected
