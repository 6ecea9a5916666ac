"""From the seeds' experiment to results.csv, with the emulator's jobs as real processes."""

import csv
import io
import json
import shutil
import time

import pytest

SEED = """
experimentName: example_mnist
searchSpaceFile: search_space.json
trialConcurrency: 2
maxExperimentDuration: 1h
maxTrialNumber: 10
useAnnotation: false
tuner:
  name: Random
  classArgs: {{optimize_mode: maximize}}
trialCommand: python3 mnist.py
trialCodeDirectory: .
trainingService:
  platform: aml
  {subscription}: ${{SUBSCRIPTION}}
  {group}: ${{RESOURCE_GROUP}}
  {workspace}: ${{WORKSPACE}}
  {compute}: cpu-cluster
  {image}: msranni/nni
  {most}: 1
"""
CAMEL = ("subscriptionId", "resourceGroup", "workspaceName", "computeTarget", "dockerImage", "maxTrialNumberPerGpu")
SNAKE = (
    "subscription_id", "resource_group", "workspace_name", "compute_target", "docker_image",
    "max_trial_number_per_gpu",
)  # fmt: skip
TRIAL = """
import nni
parameters = nni.get_next_parameter()
for step in range(3):
    nni.report_intermediate_result({"default": parameters["lr"] * step, "loss": 1 / (step + 1)})
nni.report_final_result({"default": parameters["lr"] * 10, "loss": 0.25})
"""


ENDS = """
import nni, sys
x = nni.get_next_parameter()["x"]
nni.report_intermediate_result({"default": 0.25, "early": 3})
nni.report_intermediate_result(0.5)
finals = [lambda: None, lambda: 1, lambda: {"default": 0.75, "loss": 2}, lambda: "good", lambda: {"a b/c@d": 0.5, "s": "t"},
          lambda: float("nan"), lambda: {"n" * 9_990: 0.5}]
if finals[x]() is not None:
    nni.report_final_result(finals[x]())
sys.exit(1 if x == 2 else 0)
"""


def rows(project, *options, code=0):
    return list(csv.DictReader(io.StringIO(project.amlc("collect", *options, code=code).stdout)))


@pytest.mark.parametrize(
    ("keys", "recipe"), [pytest.param(CAMEL, "proxy", id="camelCase"), pytest.param(SNAKE, "metadata", id="snake_case")]
)
def test_the_seeds_experiment_goes_from_submit_to_results(make_azure, make_project, keys, recipe):
    azure = make_azure()
    variables = {
        "SUBSCRIPTION": azure.subscription,
        "RESOURCE_GROUP": azure.resource_group,
        "WORKSPACE": azure.workspace,
    }
    project = make_project(azure, recipe=recipe, **variables)
    names = dict(zip(("subscription", "group", "workspace", "compute", "image", "most"), keys, strict=True))
    (project.root / "config.yml").write_text(SEED.format(**names))
    (project.root / "search_space.json").write_text('{"lr": {"_type": "uniform", "_value": [0.1, 1]}}')
    (project.root / "mnist.py").write_text(TRIAL)
    project.amlc("compile", "config.yml")
    assert "10 submitted, 10 of 10 trials done" in project.amlc("submit", "config.yml").stderr
    found = rows(project)
    assert [row["status"] for row in found] == ["succeeded"] * 10
    for row in found:
        assert float(row["metric.default"]) == pytest.approx(float(row["param.lr"]) * 10)
        assert float(row["metric.loss"]) == 0.25
        assert float(row["duration_s"]) > 0
    history = rows(project, "--history")
    assert len(history) == 30
    assert {row["step"] for row in history} == {"0", "1", "2"}
    azure.forget_calls()
    assert rows(project, "--history") == history  # kept in the ledger
    assert azure.calls == []
    assert len(azure.identity.az_calls) <= 3  # one token a command: submit, collect --history


def test_refresh_gives_the_same_results_from_the_workspace_alone(make_azure, make_project):
    azure = make_azure()
    project = make_project(azure).write(values=["1", "yes", "é"], script="final 0.5")
    project.amlc("submit")
    project.amlc("retry", "#1")
    results, best = project.collect(), project.amlc("best", code=None).stdout
    shutil.rmtree(project.root / ".amlc")
    assert project.amlc("refresh").stderr == "probe: 4 jobs in the workspace, 4 of them new here\n"
    assert project.collect() == results
    assert "0 of them new" in project.amlc("refresh").stderr
    for folder in (".amlc", "build"):
        shutil.rmtree(project.root / folder)
    workspace = {"subscription_id": azure.subscription, "resource_group": azure.resource_group}
    (project.root / "config.json").write_text(json.dumps({**workspace, "workspace_name": azure.workspace}))
    project.amlc("refresh")
    assert project.collect() == results
    assert project.amlc("best", code=None).stdout == best
    assert "0 submitted, 3 of 3" in project.amlc("submit").stderr
    project.amlc("retry", "#2")  # a rebuilt job file can be submitted
    assert [row["attempt"] for row in rows(project)] == ["1", "2", "2"]
    project.amlc("compile", "experiment.yml")
    assert "nothing to submit" in project.amlc("plan").stdout


def test_a_packed_job_gives_each_trial_its_own_end_and_values(make_azure, make_project):
    script = 'x=$(sed "s/.*\\"x\\": \\([0-9]*\\).*/\\1/" "$NNI_SYS_DIR/parameter.cfg")\nfinal "$x.5"\n[ "$x" != 2 ]'
    project = make_project(make_azure()).write(values=range(4), script=script, amlc={"trialsPerJob": 2, "retries": 0})
    project.amlc("submit", code=1)
    found = rows(project, code=4)
    assert [row["status"] for row in found] == ["succeeded", "succeeded", "failed", "succeeded"]
    assert [row["metric.default"] for row in found] == ["0.5", "1.5", "2.5", "3.5"]


def test_the_users_failure_is_not_retried_and_says_why_and_logs_show_it(make_azure, make_project):
    script = "echo oh dear\nfinal 0.5\necho \"KeyError: 'lr'\" >&2\nexit 3"
    project = make_project(make_azure()).write(values=range(1), script=script)
    project.amlc("submit", code=1)
    (attempt,) = project.attempts()
    assert attempt.latest.error == "KeyError: 'lr'"
    assert attempt.latest.exit_code == 3
    assert not attempt.latest.infrastructure
    lines = project.amlc("logs", "#0").stdout.splitlines()
    assert sorted(lines) == ["KeyError: 'lr'", "oh dear"]
    assert "KeyError: 'lr'" in project.amlc("status", env={"COLUMNS": "200"}).stdout
    assert project.azure.workspace in project.amlc("open", "#0").stdout


def test_a_failure_before_any_trial_is_said_in_azures_words(make_azure, make_project):
    project = make_project(make_azure()).write(values=range(1), amlc={"job": {"command": "exit 127"}})
    project.amlc("submit", code=1)
    (attempt,) = project.attempts()
    assert "UserError: Execution failed. User process exited with status code 127" in attempt.latest.error
    assert not attempt.latest.infrastructure


@pytest.mark.parametrize("together", [1, 3], ids=["a job each", "packed"])
def test_results_are_those_of_the_local_back_end(make_azure, make_project, together):
    found = {}
    for backend in ("aml", "local"):
        project = make_project(make_azure(), backend)
        keys = {"trialCommand": "python3 ends.py", "amlc": {"trialsPerJob": together}}
        project.write(values=range(7), **keys)
        (project.root / "code" / "ends.py").write_text(ENDS)
        project.amlc("compile", "experiment.yml", "--backend", backend)
        project.amlc("submit", code=1)
        for options in ((), ("--history",)):
            kept = [
                {name: text for name, text in row.items() if name not in ("at", "started", "ended", "duration_s")}
                for row in rows(project, *options, code=4)
            ]
            found.setdefault(options, []).append(kept)
    for aml, local in found.values():
        assert aml == local


def test_what_a_trial_logs_with_mlflow_stands_beside_its_result(make_azure, make_project):
    azure = make_azure()
    azure.hold("Finalizing")
    project = make_project(azure).write(values=range(1), script="final 0.5")
    project.amlc("submit", "--no-wait")
    (name,) = project.names
    azure.jobs.wait(lambda jobs: jobs[0].status == "Finalizing")
    azure.runs.get(name).metrics["own"] = [{"key": "own", "value": 0.25, "timestamp": 1, "step": 9}]
    azure.release()
    project.amlc("submit")
    (row,) = rows(project)
    assert (row["metric.default"], row["metric.own"]) == ("0.5", "0.25")


def test_a_log_is_followed_to_its_end(make_azure, make_project, tmp_path):
    azure = make_azure()
    gate = tmp_path / "gate"
    script = f'echo first\nwhile [ ! -e "{gate}" ]; do sleep 0.1; done\necho last\nfinal 0.5'
    project = make_project(azure).write(values=range(1), script=script)
    project.amlc("submit", "--no-wait")
    azure.hold("Queued")
    azure.jobs.wait(lambda jobs: all(job.status == "Running" for job in jobs))
    _, wait = project.start("logs", "#0", "-f")
    deadline = time.monotonic() + 30
    while b"first" not in (project.root / ".stdout").read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    gate.touch()
    done = wait()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("first\nlast\n")
    assert done.stdout.count("first") == 1


def test_the_log_of_a_trial_of_a_pack_is_its_own(make_azure, make_project):
    script = 'echo "number $NNI_TRIAL_SEQ_ID"; echo "error $NNI_TRIAL_SEQ_ID" >&2\nfinal 0.5'
    project = make_project(make_azure()).write(values=range(3), script=script, amlc={"trialsPerJob": 3})
    project.amlc("submit")
    for number in range(3):
        assert sorted(project.amlc("logs", str(number)).stdout.split("\n")) == ["", f"error {number}", f"number {number}"]
    whole = project.amlc("logs", "1", "--job").stdout
    assert [whole.count(f"number {number}") for number in range(3)] == [1, 1, 1]


def test_each_trial_of_a_pack_has_a_child_run_that_people_can_look_at(make_azure, make_project):
    azure = make_azure()
    script = 'x=$(sed "s/.*\\"x\\": \\([0-9]*\\).*/\\1/" "$NNI_SYS_DIR/parameter.cfg")\nfinal "$x.5"\n[ "$x" != 1 ]'
    project = make_project(azure).write(values=range(3), script=script, amlc={"trialsPerJob": 3, "retries": 0})
    project.amlc("submit", code=1)
    (name,) = project.names
    found = [run for run in azure.runs._runs.values() if run.tags.get("mlflow.parentRunId") == name]
    assert [run.tags["amlc.child"] for run in found] == [row["trial"] for row in rows(project, code=4)]
    assert [run.params for run in found] == [{"x": "0"}, {"x": "1"}, {"x": "2"}]
    assert [run.last("default")["value"] for run in found] == [0.5, 1.5, 2.5]
    assert [run.status for run in found] == ["FINISHED", "FAILED", "FINISHED"]
    assert [row["metric.default"] for row in rows(project, code=4)] == ["0.5", "1.5", "2.5"]
    project.folders.ledger("probe").unlink()
    project.amlc("refresh")
    assert [row["metric.default"] for row in rows(project, code=4)] == ["0.5", "1.5", "2.5"]


def test_a_job_that_waits_has_no_log_yet_and_following_it_waits(make_azure, make_project):
    azure = make_azure()
    azure.hold("Queued")
    project = make_project(azure).write(values=range(1), script="echo hello\nfinal 0.5")
    project.amlc("submit", "--no-wait")
    assert project.amlc("logs", "#0").stdout == ""
    _, wait = project.start("logs", "#0", "-f")
    azure.release()
    assert wait().stdout.startswith("hello\n")


def test_what_is_not_a_number_comes_from_the_runners_records(make_azure, make_project):
    project = make_project(make_azure()).write(values=range(1), script="final '\\\"good\\\"'")
    project.amlc("submit")
    (row,) = rows(project)
    assert row["metric.default"] == "good"


def test_the_time_limit_is_an_early_stop(make_azure, make_project):
    project = make_project(make_azure()).write(values=range(1), script="sleep 60", maxTrialDuration="1s")
    project.amlc("submit")
    assert [row["status"] for row in rows(project)] == ["early_stopped"]


def test_a_run_that_outlives_its_token_reports_to_the_end(make_azure, make_project):
    azure = make_azure()
    azure.run_token_s = 4
    script = 'printf "NNISDK_MEb\'%s\'\\n" \'{"type":"PERIODICAL","sequence":0,"value":"0.25"}\'\nsleep 6\nfinal 0.5'
    project = make_project(azure).write(values=range(1), script=script)
    project.amlc("submit")
    (name,) = project.names
    assert azure.count("GET", f"/runs/{name}/token") == 1
    assert "amlc.results" in azure.job(name).tags
    assert [row["metric.default"] for row in rows(project)] == ["0.5"]


def test_shared_storage_is_mounted_and_its_key_goes_nowhere_else(make_azure, make_project, tmp_path):
    azure = make_azure()
    point = tmp_path / "mnt" / "data"
    storage = {
        "storageType": "AzureBlob",
        "storageAccountName": "theiraccount",
        "containerName": "their-container",
        "storageAccountKey": "${STORAGE_KEY}",
        "localMountPoint": str(tmp_path),
        "remoteMountPoint": str(point),
        "localMounted": "usermount",
    }
    project = make_project(azure)
    project.write(values=range(1), script='echo hello > "$NNI_OUTPUT_DIR/found"\nfinal 1', sharedStorage=storage)
    failed = project.amlc("submit", code=5)
    assert "$STORAGE_KEY is not set" in failed.stderr
    assert azure.job_puts == 0
    secret = "c2VjcmV0LWtleS0xMjM0NTY3ODkw"
    project.amlc("submit", env={"STORAGE_KEY": secret})
    (row,) = rows(project)
    written = list(azure.folder.rglob("found"))
    assert written
    assert f"nni/probe/trials/{row['trial']}/nnioutput/found" in str(written[0])
    for path in (project.root).rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path
    assert all(secret not in json.dumps(job.properties) for job in azure.jobs)


def test_a_job_gets_of_the_environment_what_its_file_says(make_azure, make_project):
    """As SECURITY.md says; the job file says what it gets, and nothing of amlc's own environment travels."""
    azure = make_azure()
    job = {"environment_variables": {"SAID": "in the file"}}
    project = make_project(azure).write(values=range(1), script="env\nfinal 1.5", amlc={"job": job})
    project.amlc("submit", env={"MY_TOKEN": "hunter2"})
    logged = project.amlc("logs", "0").stdout
    assert "SAID=in the file" in logged
    assert "hunter2" not in logged
    assert all("hunter2" not in repr(job.properties) for job in azure.jobs)
    written = [path for folder in (project.folders.build, project.folders.state) for path in folder.rglob("*")]
    assert [path for path in written if path.is_file() and b"hunter2" in path.read_bytes()] == []
