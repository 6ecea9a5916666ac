"""What amlc says when something is not as it should be, and what it does not do then."""

import pytest

from tests.azure.faults import Fault, throttle


def metrics(job):
    return {"default": [1.5]}


@pytest.fixture
def azure(make_azure):
    return make_azure(mode="instant", metrics=metrics)


def test_a_service_that_asks_for_patience_is_said_in_one_line(azure, make_project):
    project = make_project(azure).write(values=range(4))
    azure.spoil(throttle(method="PUT", path="/jobs/", first=1, retry_after=6))
    said = project.amlc("submit").stderr.splitlines()
    assert len([line for line in said if "Azure asks for fewer calls (429)" in line]) == 1
    assert "4 of 4 trials done" in said[-1]


def test_jobs_that_somebody_deleted_are_canceled_and_not_paid_for_again(make_azure, make_project):
    azure = make_azure(mode="manual")
    project = make_project(azure).write(values=range(2))
    project.amlc("submit", "--no-wait")
    azure.delete(*project.names)
    azure.mode = "instant"
    azure.metrics = metrics
    assert "0 submitted" in project.amlc("submit", code=None).stderr
    assert [attempt.latest.status.value for attempt in project.attempts()] == ["canceled"] * 2
    assert {attempt.latest.error for attempt in project.attempts()} == {"somebody deleted it in the workspace"}
    assert len(azure.jobs) == 0
    assert "2 submitted, 2 of 2 trials done" in project.amlc("submit", "--retry", "canceled").stderr


JOBS = {
    "environment": ({"environment": "azureml:gone@latest"}, "environment 'gone@latest': there is none of that name"),
    "version": ({"environment": "azureml:gone:1"}, "environment 'gone:1': there is none of that name"),
    "datastore": (
        {"job": {"inputs": {"data": {"type": "uri_folder", "path": "azureml://datastores/gone/paths/x"}}}},
        "datastore 'gone': there is none of that name in workspace 'emulated-ws'.",
    ),
}


@pytest.mark.parametrize("case", JOBS)
def test_what_the_workspace_lacks_is_the_same_sentence_everywhere(azure, make_project, case):
    keys, text = JOBS[case]
    project = make_project(azure).write(amlc=keys)
    failed = project.amlc("submit", code=5).stderr
    assert len(failed.strip().splitlines()) == 1, failed
    doctor = project.amlc("doctor", code=5).stdout
    (line,) = [line for line in doctor.splitlines() if line.startswith("failed")]
    sentence = line.split(": ", 1)[1]
    assert sentence.startswith(text)
    assert sentence in failed
    assert azure.job_puts == 0


def test_who_may_not_read_computes_can_submit(azure, make_project):
    azure.deny("GET", "/computes/")
    project = make_project(azure).write()
    done = project.amlc("submit").stderr
    assert "no permission" in done
    assert "2 of 2 trials done" in done
    assert "warned  compute: compute 'cpu-cluster': no permission" in project.amlc("doctor").stdout


@pytest.mark.parametrize(
    ("env", "text"),
    [
        pytest.param({"AZUREML_CURRENT_CLOUD": "Mars"}, "AZUREML_CURRENT_CLOUD", id="no such cloud"),
        pytest.param({"AZURE_AUTHORITY_HOST": "http://login"}, "sign-in", id="a bad authority"),
        pytest.param(
            {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_CLIENT_CERTIFICATE_PATH": "/nowhere"},
            "/nowhere",
            id="no certificate",
        ),
        pytest.param(
            {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_FEDERATED_TOKEN_FILE": "/nowhere"},
            "/nowhere",
            id="no token file",
        ),
    ],
)
def test_what_is_not_azures_own_error_is_one_line_too(azure, make_project, env, text):
    project = make_project(azure).write()
    failed = project.amlc("submit", code=5, env=env).stderr
    assert text in failed
    assert len(failed.strip().splitlines()) == 1, failed


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"<html>sorry</html>"], ids=["a list", "a text", "no JSON"])
def test_an_answer_of_another_form_is_one_line(azure, make_project, body):
    project = make_project(azure).write()
    azure.spoil(Fault(method="GET", path=r"/workspaces/[^/]+\?", body=body))
    failed = project.amlc("submit", code=5).stderr
    assert "cannot be read" in failed
    assert len(failed.strip().splitlines()) == 1, failed
