"""What submitting costs, and that each trial gets exactly one job whatever goes wrong, and when."""

import csv
import io
import json
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import yaml

from tests.azure.client_process import ROOT, TIMEOUT_S
from tests.azure.faults import Fault, KillAt, expired_token, garbage, throttle


def metrics(job):
    return {"default": [0.5, 1.5]}


def assert_complete(project, azure):
    """Each trial has exactly one job, which ended well, and its result."""
    assert azure.statuses() == dict.fromkeys(azure.statuses(), "Completed")
    assert sorted(azure.statuses()) == sorted(project.names)
    found = list(csv.DictReader(io.StringIO(project.collect())))
    assert [row["metric.default"] for row in found] == ["1.5"] * len(project.names)
    assert {row["attempt"] for row in found} == {"1"}


def test_n_jobs_cost_n_puts_and_a_constant_and_a_second_submit_creates_nothing(make_azure, make_project):
    azure = make_azure(mode="instant", metrics=metrics)
    project = make_project(azure).write(values=range(120))
    project.amlc("submit")
    assert azure.job_puts == 120
    others = [call for call in azure.calls if not re.search(r"/jobs", call.path)]
    assert len(others) <= 12, others
    assert azure.list_pages <= 4  # two pages a look
    assert len(azure.identity.az_calls) == 1
    assert_complete(project, azure)
    uploads = len(azure.uploads)
    assert uploads > 0
    azure.forget_calls()
    project.amlc("submit")
    assert azure.calls == []
    project.write(values=range(121)).amlc("submit")
    assert azure.job_puts == 1
    assert azure.count("PUT") == 1
    assert len(azure.uploads) == uploads
    project.write(values=range(122), script="final 2").amlc("submit")
    assert azure.job_puts == 2
    assert azure.count("PUT", "/codes/") == 1
    assert azure.count("PUT", "/environments/") == 0


def test_every_job_is_sent_as_the_client_sends_the_first(make_azure, make_project):
    azure = make_azure(mode="instant", metrics=metrics)
    project = make_project(azure).write(values=["a", "é", 3], amlc={"job": {"properties": {"mine": "1"}}})
    project.amlc("submit", "--no-wait", "--parallel", "1")
    first, *others = azure.jobs
    for entry, job in zip(project.manifest.entries(), azure.jobs, strict=True):
        values = yaml.safe_load((project.manifest.folder / entry.file).read_text())
        assert job.properties["environmentVariables"] == values["environment_variables"]
        assert job.properties["displayName"] == values["display_name"]
        assert job.properties["properties"]["mine"] == "1"
        assert job.tags["amlc.trial"] == entry.id
        assert job.tags["amlc.digest"] == entry.sha256[:16]
    own = ("environmentVariables", "displayName", "tags")
    for job in others:
        assert job.properties.keys() == first.properties.keys()
        assert {name for name in job.properties if job.properties[name] != first.properties[name]} <= {*own, "services"}
        assert job.tags.keys() == first.tags.keys()
        assert job.properties["environmentVariables"].keys() == first.properties["environmentVariables"].keys()
    assert len({attempt.latest.url.replace(attempt.job, "") for attempt in project.attempts()}) == 1


def test_the_azure_ml_client_is_never_in_the_process_that_stays(make_azure, make_project):
    azure = make_azure(mode="instant", metrics=metrics)
    project = make_project(azure).write(values=range(3))
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('azure.ai.ml' in sys.modules, 'azure.core' in sys.modules))\n"
        "sys.argv = ['amlc', 'submit']\n"
        "from amlc.cli import entry_point\n"
        "entry_point()"
    )
    environ = {**project.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project.root, env=environ, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert (done.returncode, done.stdout) == (0, "False True\n"), done.stderr
    assert len(azure.identity.az_calls) == 1, "it signs in by the one token"
    assert_complete(project, azure)


def test_following_a_thousand_jobs_costs_list_pages_only(make_azure, make_project):
    azure = make_azure(mode="manual", metrics=metrics)
    project = make_project(azure).write(values=range(1000))
    project.amlc("submit", "--no-wait", "--parallel", "32")
    azure.forget_calls()
    project.amlc("status", "--format", "csv")
    assert azure.list_pages == 10
    assert {call.path.rsplit("/", 1)[1] for call in azure.calls} <= {"jobs", azure.workspace}
    azure.release()
    azure.mode = "instant"
    azure.release()
    azure.wait()
    azure.forget_calls()
    project.collect()
    assert len(azure.calls) - azure.list_pages <= 5 + 1
    assert_complete(project, azure)


def _reset(**rule):
    return Fault(reset=True, **rule)


FAULTS = {  # two and two are alike
    "429": throttle,
    "429-retry-after": lambda **rule: throttle(retry_after=1, **rule),
    "reset-before": _reset,
    "reset-after": lambda **rule: _reset(after=True, **rule),
    "500": lambda **rule: Fault(status=500, **rule),
    "garbage": lambda **rule: garbage(after=True, **rule),
    "slow": lambda **rule: Fault(delay_s=1, **rule),
    "expired": expired_token,
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_at_every_single_call_loses_no_trial_and_doubles_none(make_azure, make_project, kind):
    """Each kind at every second call: of two kinds that are alike, one takes the calls between those of the other."""
    for k in range(1 + list(FAULTS).index(kind) % 2, 40, 2):
        azure = make_azure(mode="instant", metrics=metrics)
        project = make_project(azure, f"{kind}-{k}").write()
        fault = azure.spoil(FAULTS[kind](at=k))
        done = project.amlc("submit", code=None)
        if done.returncode:
            assert done.returncode == 5, done.stderr
            assert len(done.stderr.strip().splitlines()) == 1, done.stderr
            assert "2 of 2 trials done" in project.amlc("submit").stderr
        assert_complete(project, azure)
        if not fault.spoiled:
            assert k > 8
            return
    pytest.fail("the submit never came to its end")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_kill_9_at_every_single_call_loses_no_trial_and_doubles_none(make_azure, make_project, after):
    for k in range(1, 40):
        azure = make_azure(mode="instant", metrics=metrics)
        project = make_project(azure, f"kill-{k}").write()
        azure.hold("Queued")  # so that the client's pid is known before anything ends
        azure.hold()
        fault = KillAt(k, after=after)
        pid, wait = project.start("submit")
        fault.pid = pid
        azure.spoil(fault)
        killed = wait().returncode
        if killed:
            assert killed == -signal.SIGKILL
            assert "2 of 2 trials done" in project.amlc("submit").stderr
        assert_complete(project, azure)
        if not killed:
            assert k > 8
            return
    pytest.fail("the submit never came to its end")


ASSESSORS = {
    "named": {"name": "Curvefitting", "classArgs": {"epoch_num": 20, "gap": 3}},
    "own": {"className": "mine.Judge", "codeDirectory": "code", "classArgs": {"words": "w" * 3000}},
}

JUDGE = """
from nni.assessor import Assessor
class Judge(Assessor):
    def __init__(self, words):
        assert len(words) == 3000
"""


@pytest.mark.parametrize("kind", ASSESSORS)
def test_what_is_large_keeps_to_the_limits_and_is_the_same_after_refresh(make_azure, make_project, kind):
    azure = make_azure(mode="instant", metrics=metrics)
    project = make_project(azure)
    (project.root / "code").mkdir()
    (project.root / "code" / "mine.py").write_text(JUDGE)
    space = {f"{'parameter' * 12}{number}": {"_type": "choice", "_value": [number]} for number in range(60)}
    project.write(searchSpace=space, assessor=ASSESSORS[kind], trialConcurrency=7, maxExperimentDuration="3h")
    before = project.manifest.header
    project.amlc("submit")
    assert_complete(project, azure)
    for folder in (".amlc", "build"):
        shutil.rmtree(project.root / folder)
    workspace = {"subscription_id": azure.subscription, "resource_group": azure.resource_group}
    (project.root / "config.json").write_text(json.dumps({**workspace, "workspace_name": azure.workspace}))
    project.amlc("refresh")
    assert project.manifest.header == (before if kind == "named" else replace(before, assessor=None))


def test_a_job_of_very_many_trials_keeps_to_the_limits(make_azure, make_project):
    azure = make_azure(mode="instant")
    project = make_project(azure).write(values=range(70), amlc={"trialsPerJob": 70})
    assert "70 submitted, 70 of 70 trials done" in project.amlc("submit").stderr


def test_a_storm_of_429_is_no_failed_trial(make_azure, make_project):
    azure = make_azure(mode="instant", metrics=metrics)
    project = make_project(azure).write(values=range(30))
    azure.spoil(throttle(method="PUT", path="/jobs/", first=40, retry_after=1))
    project.amlc("submit")
    assert_complete(project, azure)


def test_an_outage_while_jobs_run_is_waited_out_and_said_once(make_azure, make_project):
    azure = make_azure(mode="instant", metrics=metrics)
    project = make_project(azure).write()
    outage = azure.spoil(garbage(method="GET", path=r"/jobs\?", first=12))
    done = project.amlc("submit")
    assert outage.spoiled == 12
    said = [line for line in done.stderr.splitlines() if not line.startswith("#")]
    assert len(said) == 2, done.stderr
    assert "waiting until it answers" in said[0]
    assert_complete(project, azure)


def test_who_loses_the_permission_while_jobs_run_is_told_so(make_azure, make_project):
    azure = make_azure(mode="instant", metrics=metrics)
    project = make_project(azure).write()
    azure.deny("GET", r"/jobs$")
    failed = project.amlc("submit", code=5).stderr
    assert "no permission" in failed
    azure.denied.clear()
    assert "2 of 2 trials done" in project.amlc("submit").stderr
    assert_complete(project, azure)


@pytest.mark.parametrize("end", ["preempt", "lose_node", "fail_service"])
def test_what_the_service_lost_runs_again_under_the_next_name(make_azure, make_project, end):
    azure = make_azure(mode="manual", metrics=metrics)
    project = make_project(azure).write(values=range(1))
    project.amlc("submit", "--no-wait")
    getattr(azure, end)(project.names[0])
    project.amlc("status")
    assert project.attempts()[0].latest.infrastructure
    azure.mode = "instant"
    project.amlc("submit")
    assert list(azure.statuses().values()) == ["Failed", "Completed"]
    assert [attempt.number for attempt in project.attempts()] == [1, 2]
    assert project.attempts()[1].losses == 1


def test_a_timeout_in_the_users_own_words_is_a_failure(make_azure, make_project):
    azure = make_azure(mode="manual")
    project = make_project(azure).write(values=range(3), maxTrialDuration="1h")
    project.amlc("submit", "--no-wait")
    said = "Execution failed. User process exited with status code 1. Error: socket.timeout: timed out"
    for name in project.names:
        azure.finish(name, "Failed", ("UserError", said))
    assert "0 of 3 trials done: 3 failed" in project.amlc("submit", code=1).stderr
    assert {attempt.latest.exit_code for attempt in project.attempts()} == {1}
    azure.mode = "instant"
    assert "3 submitted, 3 of 3 trials done" in project.amlc("submit", "--retry", "failed").stderr


def test_a_job_that_azure_ends_at_its_limit_is_late_whatever_that_is_called(make_azure, make_project):
    azure = make_azure()
    azure.timeout_ending = ("Canceled", ("RunCanceled", "The run was canceled."))
    project = make_project(azure).write(values=range(1), script="sleep 60", amlc={"job": {"limits": {"timeout": 2}}})
    project.amlc("submit")
    assert [attempt.latest.status.value for attempt in project.attempts()] == ["early_stopped"]


def test_an_unknown_status_is_no_end(make_azure, make_project):
    azure = make_azure(mode="manual")
    project = make_project(azure).write(values=range(1))
    project.amlc("submit", "--no-wait")
    azure.finish(project.names[0], "NotResponding")
    assert "Azure ML says 'NotResponding'" in project.amlc("status", env={"COLUMNS": "200"}).stdout
    assert project.attempts()[0].working
    assert "0 submitted" in project.amlc("submit", "--no-wait").stderr


def test_status_says_why_a_job_waits(make_azure, make_project):
    azure = make_azure(mode="instant")
    azure.hold("Queued")
    project = make_project(azure).write(values=range(1))
    project.amlc("submit", "--no-wait")
    azure.say_why(project.names[0], "The cluster has reached its quota of cores.")
    assert "quota of cores" in project.amlc("status", env={"COLUMNS": "200"}).stdout


def test_cancel_ends_one_or_all_jobs(make_azure, make_project):
    azure = make_azure(mode="manual")
    project = make_project(azure).write(values=range(3))
    project.amlc("submit", "--no-wait")
    project.amlc("cancel", "#1")
    assert list(azure.statuses().values()).count("Canceled") == 1
    assert azure.statuses()[project.names[1]] == "Canceled"
    project.amlc("cancel", "--all")
    assert set(azure.statuses().values()) == {"Canceled"}
    assert {attempt.latest.status.value for attempt in project.attempts()} == {"canceled"}


def test_a_job_of_that_name_that_is_another_is_a_conflict_and_an_equal_one_is_adopted(make_azure, make_project):
    azure = make_azure(mode="instant", metrics=metrics)
    mine, theirs = (make_project(azure, name).write(values=range(1)) for name in ("mine", "theirs"))
    theirs.amlc("submit")
    assert "1 submitted, 1 of 1 trial done" in mine.amlc("submit").stderr
    assert len(azure.jobs) == 1
    other = make_project(azure, "other").write(values=range(1), maxTrialDuration="2h")
    assert other.names == mine.names
    other.amlc("submit", code=1)
    error = other.attempts()[0].latest.error
    assert error.startswith("conflict: the workspace has a job 'probe-")
    assert len(azure.jobs) == 1


@pytest.mark.parametrize("own", [True, False], ids=["equal", "different"])
def test_an_intent_without_an_answer_is_compared_before_it_is_adopted(make_azure, make_project, own):
    azure = make_azure(mode="instant", metrics=metrics)
    azure.hold("Queued")
    project = make_project(azure, "mine").write(values=range(1))
    fault = azure.spoil(KillAt(1, after=own, whole=True, method="PUT", path="/jobs/"))
    fault.pid, wait = project.start("submit")
    assert wait().returncode == -signal.SIGKILL
    if not own:
        other = make_project(azure, "other").write(values=range(1), maxTrialDuration="2h")
        assert other.names == project.names
        other.amlc("submit", "--no-wait")
    azure.hold()
    puts = azure.job_puts
    project.amlc("submit", code=int(not own))
    assert azure.job_puts == puts
    error = project.attempts()[0].latest.error
    if own:
        assert_complete(project, azure)
    else:
        assert error.startswith("conflict: the workspace has a job 'probe-")
        assert len(re.findall(r"\b[0-9a-f]{16}\b", error.partition("made of")[2])) == 2, error


TEMPLATE = """
{% extends "amlc/command-job.yml.j2" %}
{% block more %}
inputs: {v0: 7}
{{ super() }}
{% endblock %}
{% block code %}
code: {{ job.code | yaml }}
command: {{ (job.command + " && echo $" + "{" + "{" + PART + "}}") | yaml }}
{% endblock %}
"""


def broken(make_project, azure, part, **keys):
    """A project whose jobs have an expression that depends on the trial."""
    project = make_project(azure)
    (project.root / "templates").mkdir()
    (project.root / "templates" / "command-job.yml.j2").write_text(TEMPLATE.replace("PART", part))
    return project.write(amlc={"templates": "templates"}, **keys)


# The client finds the first, the service the second.
@pytest.mark.parametrize("name", ["inputs.v", "outputs.w"])
@pytest.mark.parametrize("bad", ["first", "last"])
def test_a_job_file_that_is_not_accepted_concerns_its_job_alone(make_azure, make_project, name, bad):
    azure = make_azure(mode="instant", metrics=metrics)
    wrong = "== 0" if bad == "first" else "== 2"
    part = f"('{name}1' if trials[0].parameters.x {wrong} else 'inputs.v0')"
    project = broken(make_project, azure, part, values=range(3), trialConcurrency=1)
    assert "3 submitted, 2 of 3 trials done: 1 failed" in project.amlc("submit", code=1).stderr
    (error,) = [attempt.latest.error for attempt in project.attempts() if attempt.latest.error]
    assert "does not accept the job file" in error
    assert f"{name}1" in error or "v1" in error, error
    assert len(azure.jobs) == 2
    assert "0 submitted" in project.amlc("submit", code=1).stderr


@pytest.mark.parametrize("name", ["inputs.v", "outputs.w"])
def test_job_files_of_which_none_is_accepted_are_one_line(make_azure, make_project, name):
    azure = make_azure(mode="instant", metrics=metrics)
    project = broken(make_project, azure, f"'{name}' + job.name[-1]", values=range(40))
    failed = project.amlc("submit", code=5).stderr
    assert "does not accept the job file" in failed
    assert len(failed.strip().splitlines()) == 1, failed
    assert len(azure.jobs) == 0
    assert all(attempt.submitted is None for attempt in project.attempts())


BAD = {
    "subscription": ({"subscriptionId": "00000000-0000-0000-0000-00000000dead"}, "subscription"),
    "workspace": ({"workspaceName": "emulated-wz"}, "workspace 'emulated-wz': not found"),
    "group": ({"resourceGroup": "nowhere"}, "resourceGroup"),
    "compute": ({"computeTarget": "nothing"}, "compute 'nothing': there is none of that name"),
    "failed-compute": ({"computeTarget": "broken-cluster"}, "is in state Failed"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_not_there_is_one_line_that_says_what_to_do(make_azure, make_project, case):
    azure = make_azure(mode="instant")
    service, text = BAD[case]
    project = make_project(azure).write(service=service)
    failed = project.amlc("submit", code=5).stderr
    assert text in failed
    assert len(failed.strip().splitlines()) == 1, failed
    assert azure.count("PUT") == azure.count("POST") == 0
    doctor = project.amlc("doctor", code=5).stdout
    assert "failed" in doctor
    assert text in doctor


@pytest.mark.parametrize(("mode", "text"), [("none", "az login"), ("expired", "az login"), ("broken", "az")])
def test_who_is_not_signed_in_is_told_so(make_azure, make_project, mode, text):
    azure = make_azure(mode="instant")
    project = make_project(azure).write()
    azure.identity.az(mode=mode)
    failed = project.amlc("submit", code=5).stderr
    assert text in failed
    assert len(failed.strip().splitlines()) == 1, failed
    assert len(azure.jobs) == 0


@pytest.mark.parametrize("path", [r"/workspaces/[^/]+$", r"/codes/", r"/environments/", r"/jobs/"])
def test_who_has_no_permission_is_told_so(make_azure, make_project, path):
    azure = make_azure(mode="instant")
    project = make_project(azure).write()
    azure.deny(".", path)
    failed = project.amlc("submit", code=5).stderr
    assert "no permission" in failed
    assert len(failed.strip().splitlines()) == 1, failed
    assert len(azure.jobs) == 0


def test_a_service_principal_signs_in_by_variables(make_azure, make_project):
    azure = make_azure(mode="instant", metrics=metrics)
    azure.identity.az(mode="none")
    secrets = {"AZURE_TENANT_ID": azure.tenant, "AZURE_CLIENT_ID": "app", "AZURE_CLIENT_SECRET": "good"}
    project = make_project(azure, **secrets).write()
    project.amlc("submit")
    assert_complete(project, azure)


def test_a_federated_token_signs_in(make_azure, make_project, tmp_path):
    azure = make_azure(mode="instant", metrics=metrics)
    azure.identity.az(mode="none")
    file = tmp_path / "token"
    variables = {"AZURE_TENANT_ID": azure.tenant, "AZURE_CLIENT_ID": "app", "AZURE_FEDERATED_TOKEN_FILE": str(file)}
    project = make_project(azure, **variables).write()
    file.write_text("stale")
    failed = project.amlc("submit", code=5).stderr
    assert "AADSTS70021" in failed
    assert len(failed.strip().splitlines()) == 1, failed
    file.write_text(azure.identity.federated_token)
    project.amlc("submit")
    assert_complete(project, azure)
    assert azure.count("POST", "/token") <= 3


def managed(azure, kind):
    """The variables of a machine with an identity of its own."""
    secret = azure.identity.managed_secret
    return {
        "virtual-machine": {"AZURE_POD_IDENTITY_AUTHORITY_HOST": azure.url},
        "app-service": {"IDENTITY_ENDPOINT": f"{azure.url}/msi/token", "IDENTITY_HEADER": secret},
        "azure-ml": {"MSI_ENDPOINT": f"{azure.url}/azureml/token", "MSI_SECRET": secret},
    }[kind]


@pytest.mark.parametrize("kind", ["virtual-machine", "app-service", "azure-ml"])
def test_a_managed_identity_signs_in(make_azure, make_project, kind):
    azure = make_azure(mode="instant", metrics=metrics)
    azure.identity.az(mode="none")
    project = make_project(azure, **managed(azure, kind)).write()
    failed = project.amlc("submit", code=5, env={"AZURE_CLIENT_ID": "unknown"}).stderr
    assert "Identity not found" in failed
    assert len(failed.strip().splitlines()) == 1, failed
    azure.identity.managed_calls.clear()
    project.amlc("submit", env={"AZURE_CLIENT_ID": "app"})
    assert_complete(project, azure)
    assert len(azure.identity.managed_calls) <= 4  # a probe, and one token a command
    project.amlc("status")
