"""Jobs that amlc did not make, or not alone: by hand from the compiled files, and by two machines at once."""

import csv
import io

import pytest

from tests.azure.emulator_test import run_sdk
from tests.azure.faults import Fault, KillAt

CREATE = """
    import glob
    from azure.ai.ml import load_job
    for file in sorted(glob.glob("build/probe/jobs/*.yml")):
        client.jobs.create_or_update(load_job(file))
"""


@pytest.fixture
def by_hand(make_azure, make_project):
    """A project whose jobs were all made by hand, and ran to their ends."""

    def make(**keys):
        project = make_project(make_azure()).write(values=range(2), **keys)
        run_sdk(project.azure, project.root, CREATE, "proxy")
        project.azure.wait()
        return project

    return make


def assert_done(project):
    rows = list(csv.DictReader(io.StringIO(project.collect())))
    assert [(row["status"], row["metric.default"], row["attempt"]) for row in rows] == [("succeeded", "1.5", "1")] * 2


@pytest.mark.parametrize("together", [1, 2], ids=["a job each", "packed"])
def test_jobs_that_were_made_by_hand_are_adopted(by_hand, together):
    project = by_hand(amlc={"trialsPerJob": together})
    count = len(project.azure.jobs)
    assert "2 of 2 trials done" in project.amlc("submit").stderr
    assert len(project.azure.jobs) == count
    assert all("amlc.digest" not in job.tags for job in project.azure.jobs)
    assert_done(project)
    assert "0 submitted" in project.amlc("submit").stderr


def test_an_intent_is_answered_by_a_job_made_by_hand(make_azure, make_project):
    azure = make_azure()
    project = make_project(azure).write(values=range(2))
    fault = azure.spoil(KillAt(1, after=False, whole=True, method="PUT", path="/jobs/"))
    fault.pid, wait = project.start("submit")
    assert wait().returncode < 0
    run_sdk(azure, project.root, CREATE, "proxy")
    azure.wait()
    azure.forget_calls()
    project.amlc("submit")
    assert azure.job_puts == 0
    assert_done(project)


def test_a_conflict_heals_at_the_next_look(make_azure, make_project):
    azure = make_azure(mode="instant", metrics=lambda job: {"default": [1.5]})
    mine, theirs = (make_project(azure, name).write(values=range(2), **keys) for name, keys in (
        ("mine", {}), ("theirs", {"maxTrialDuration": "2h"})))  # fmt: skip
    theirs.amlc("submit")
    assert "2 failed" in mine.amlc("submit", code=1).stderr
    assert "2 failed" in mine.amlc("submit", code=1).stderr
    azure.delete(*theirs.names)
    assert "2 submitted, 2 of 2 trials done" in mine.amlc("submit").stderr
    assert_done(mine)


@pytest.mark.parametrize("path", ["/codes/", "/environments/"])
def test_what_another_machine_registers_at_the_same_moment_is_found(make_azure, make_project, path):
    azure = make_azure(mode="instant", metrics=lambda job: {"default": [1.5]})
    project = make_project(azure).write(values=range(2))
    race = Fault(method="PUT", path=path, first=1, after=True, status=409, code="Conflict")
    azure.spoil(race)
    project.amlc("submit")
    assert race.spoiled == 1
    assert_done(project)
