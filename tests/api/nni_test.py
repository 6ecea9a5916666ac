"""NNI's quick start and its names."""

import textwrap

import pytest

import amlc
from amlc.api.nni import TrialJob, TrialResult

QUICK_START = """
    from pathlib import Path
    {}
    search_space = {{
        'features': {{'_type': 'choice', '_value': [128, 256, 512, 1024]}},
        'lr': {{'_type': 'loguniform', '_value': [0.0001, 0.1]}},
        'momentum': {{'_type': 'uniform', '_value': [0, 1]}},
    }}
    experiment = Experiment('local')
    experiment.config.trial_command = 'python model.py'
    experiment.config.trial_code_directory = '.'
    experiment.config.search_space = search_space
    experiment.config.tuner.name = 'TPE'
    experiment.config.tuner.class_args['optimize_mode'] = 'maximize'
    experiment.config.max_trial_number = 4
    experiment.config.trial_concurrency = 2
    experiment.run(8080)
    experiment.stop()
"""
MODEL = """
    import nni
    params = {'features': 512, 'lr': 0.001, 'momentum': 0}
    params.update(nni.get_next_parameter())
    for epoch in range(3):
        nni.report_intermediate_result(epoch * params['lr'])
    nni.report_final_result(params['momentum'])
"""


@pytest.fixture
def quick_start(tmp_path, monkeypatch):
    """What NNI's quick start for Python defines once it ran."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(textwrap.dedent(MODEL))
    defined = {}
    exec(textwrap.dedent(QUICK_START).format("from amlc import Experiment"), defined)
    return defined["experiment"]


def test_the_quick_start_runs_with_only_its_import_changed(quick_start):
    results = quick_start.results()
    assert results.complete
    assert len(results) == 4
    assert results.best()["metric.default"] == max(row["param.momentum"] for row in results)


def test_nnis_names_say_what_nni_says(quick_start):
    jobs = quick_start.list_trial_jobs()
    assert [job.sequenceId for job in jobs] == [0, 1, 2, 3]
    assert {job.status for job in jobs} == {"SUCCEEDED"}
    assert all(isinstance(job, TrialJob) and 0 < job.startTime <= job.endTime for job in jobs)
    assert quick_start.get_job_statistics() == [{"trialJobStatus": "SUCCEEDED", "trialJobNumber": 4}]
    first = jobs[0]
    assert quick_start.get_trial_job(first.trialJobId) == first
    exported = quick_start.export_data()
    assert exported[0] == TrialResult(first.hyperParameters, first.hyperParameters["momentum"], first.trialJobId)
    metrics = quick_start.get_job_metrics(first.trialJobId)
    assert [row["metric.default"] for row in metrics[first.trialJobId]] == [
        0,
        *(e * first.hyperParameters["lr"] for e in (1, 2)),
    ]
    assert set(quick_start.get_job_metrics()) == {job.trialJobId for job in jobs}
    assert quick_start.get_status() == "DONE"
    with pytest.raises(amlc.UsageError):
        quick_start.get_trial_job("nope")


def test_what_is_started_goes_on_and_is_stopped(tmp_path, monkeypatch, wait_until):
    monkeypatch.chdir(tmp_path)
    one = amlc.Experiment(
        {
            "searchSpace": {"x": {"_type": "choice", "_value": [1, 2]}},
            "trialCommand": "sleep 60",
            "trialConcurrency": 2,
            "tuner": {"name": "GridSearch"},
            "trainingService": {"platform": "local"},
        }
    )
    one.stop()  # there is nothing yet
    one.start(8080)
    wait_until(lambda: [job.status for job in one.list_trial_jobs()] == ["RUNNING", "RUNNING"])
    one.kill_trial_job(one.list_trial_jobs()[0].trialJobId)
    assert [job.status for job in one.list_trial_jobs()] == ["USER_CANCELED", "RUNNING"]
    assert one.get_status() == "RUNNING"
    one.stop()
    assert [job.status for job in one.list_trial_jobs()] == ["USER_CANCELED", "USER_CANCELED"]
    assert one.get_status() == "DONE"
