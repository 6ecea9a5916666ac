"""Workspaces whose storage has no secrets: it goes by who is signed in."""

import csv
import io

import pytest

FAILS = "echo \"KeyError: 'lr'\" >&2\nexit 3"


@pytest.fixture
def by_identity(make_azure):
    azure = make_azure()
    azure.use_identity()
    return azure


def test_records_and_logs_are_read_by_who_is_signed_in(by_identity, make_project):
    project = make_project(by_identity).write(values=range(2), script=FAILS)
    project.amlc("submit", code=1)
    assert by_identity.count("POST", "listSecrets") == 0
    assert {attempt.latest.error for attempt in project.attempts()} == {"KeyError: 'lr'"}
    assert "KeyError: 'lr'" in project.amlc("logs", "#0").stdout
    assert "artifacts: 'https://" in project.amlc("doctor").stdout


def test_secrets_that_are_refused_are_no_reason_to_stop(make_azure, make_project):
    azure = make_azure()
    azure.deny("POST", "listSecrets")
    project = make_project(azure).write(values=range(1), script=FAILS)
    project.amlc("submit", code=1)
    assert {attempt.latest.error for attempt in project.attempts()} == {"KeyError: 'lr'"}


def test_who_may_not_read_the_storage_gets_everything_else(by_identity, make_project):
    by_identity.identity.az(has_storage=False)
    project = make_project(by_identity)
    script = 'grep -q "\\"x\\": 1" "$NNI_SYS_DIR/parameter.cfg" && exit 3\nfinal 0.5'
    project.write(values=range(3), script=script)
    assert "2 of 3 trials done: 1 failed" in project.amlc("submit", code=1).stderr
    rows = list(csv.DictReader(io.StringIO(project.collect(code=4))))
    assert [row["metric.default"] for row in rows] == ["0.5", "", "0.5"]
    assert "its records cannot be read" in rows[1]["error"]
    assert "status code 3" in rows[1]["error"]
    doctor = project.amlc("doctor", code=5).stdout
    assert "failed  artifacts: artifacts: no permission on the storage account" in doctor
    assert "Storage Blob Data Contributor" in doctor


def test_a_result_that_only_the_records_hold_is_read_when_they_can_be(by_identity, make_project):
    by_identity.identity.az(has_storage=False)
    long = "x" * 20_000  # more than the tags of the run hold
    project = make_project(by_identity).write(values=range(1), script=f"final '\\\"{long}\\\"'")
    failed = project.amlc("submit", code=5).stderr
    assert "no permission on the storage account" in failed
    assert "records cannot be read" in project.amlc("status", env={"COLUMNS": "200"}).stdout
    by_identity.identity.az(has_storage=True)
    (row,) = csv.DictReader(io.StringIO(project.collect()))
    assert row["metric.default"] == long
