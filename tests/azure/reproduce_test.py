"""A row that is run again on Azure ML: a job of its own, with the code of then."""

import pytest


@pytest.mark.parametrize("keys", [{}, {"amlc": {"trialsPerJob": 2}}], ids=["single", "packed"])
def test_a_row_is_run_again_by_another_job_and_compared(make_azure, make_project, keys):
    azure = make_azure()
    project = make_project(azure).write(values=range(2), **keys)
    project.amlc("run", "experiment.yml")
    before, events = azure.statuses(), len(project.attempts())
    done = project.amlc("reproduce", "1", code=None)
    new = set(azure.statuses()) - set(before)
    assert len(new) == 1, done.stdout + done.stderr
    assert "succeeded then, succeeded again" in done.stdout
    assert done.stdout.splitlines()[1].split() == ["default", "1.5", "1.5", "same"]
    assert done.returncode == 0
    assert len(project.attempts()) == events
