"""A sweep whose trials the service draws: each child becomes a trial of its own parameters, once."""

from __future__ import annotations

import json
import shutil

import pytest

from amlc.plan import identity_of
from amlc.space.canonical import canonical_json
from amlc.space.latents import finished, from_records
from tests.azure.sweep_test import CURVE, KILLED, by_number, jobs, kill_at_every_call, rows, wait_for

SPACE = {
    "lr": {"_type": "loguniform", "_value": [1e-7, 1e-3]},
    "n/a": {"_type": "randint", "_value": [5, 900]},
    "opt": {"_type": "choice", "_value": [True, None, "a b", 1.0]},
    "net": {
        "_type": "choice",
        "_value": [
            {"_name": "mlp", "width": {"_type": "quniform", "_value": [16, 64, 16]}},
            {"_name": "cnn", "k": {"_type": "choice", "_value": [3, 5]}},
        ],
    },
    "z": {"_type": "qnormal", "_value": [0, 1, 0.5]},
}
SCRIPT = """
cat "$NNI_SYS_DIR/parameter.cfg"
echo
echo "in trial $NNI_TRIAL_SEQ_ID of $(ls "$NNI_SYS_DIR/.." | wc -l)"
final "$(wc -c < "$NNI_SYS_DIR/parameter.cfg")"
"""
TPE = {"name": "TPE", "classArgs": {"optimize_mode": "maximize"}}
RANDOM = {"name": "Random"}
NATIVE = {"sweep": {"sampling": "native"}}


@pytest.fixture
def make_latent(make_project):
    """Make a project whose trials the service draws."""

    def make(azure, name="project", *, amlc=None, **keys):
        given = {"searchSpace": SPACE, "tuner": TPE, "script": SCRIPT, "trialConcurrency": 2, "maxTrialNumber": 4, **keys}
        return make_project(azure, name).write(amlc={"target": "sweep", **(amlc or {})}, **given)

    return make


def test_each_child_is_a_trial_with_what_it_was_given(make_azure, make_latent):
    azure = make_azure()
    project = make_latent(azure)
    planned = project.amlc("plan").stdout
    assert planned.startswith(
        "probe: 0 of 4 trials done: 4 not proposed yet\n4 to submit in 1 sweep (new):\n"
        "  sweep.yml  attempt 1, one sweep of 4 trials\nat most 12 node-hours"
    )
    assert planned.endswith("; 4 if none is\n")
    assert "4 submitted, 4 of 4 trials done" in project.amlc("submit").stderr
    assert azure.job_puts == 1
    (sweep,) = jobs(azure)
    assert sweep.properties["samplingAlgorithm"]["samplingAlgorithmType"] == "Bayesian"
    assert sweep.properties["objective"] == {"goal": "maximize", "primaryMetric": "default"}
    assert azure.sweeps.most_at_once == {sweep.name: 2}
    found = rows(project.collect())
    assert [row["sequence"] for row in found] == ["0", "1", "2", "3"]
    assert {row["status"] for row in found} == {"succeeded"}
    assert {row["job"] for row in found} == {sweep.name}
    assert len({row["trial"] for row in found}) == 4
    for row in found:
        said = project.amlc("logs", row["trial"]).stdout
        given = json.loads(said.splitlines()[0])
        assert f"in trial {row['sequence']} of 1\n" in said
        assert float(row["metric.default"]) == len(said.splitlines()[0])
        assert float(row["param.lr"]) == given["parameters"]["lr"]
        assert given["parameters"]["net"]["_name"] == row["param.net._name"]
    assert project.amlc("plan").stdout == "probe: 4 of 4 trials done\nnothing to submit\n"
    assert project.amlc("compile", "experiment.yml", "--check").returncode == 0
    project.amlc("submit")
    assert azure.job_puts == 1
    assert set(by_number(project, "status", command="status").values()) == {"succeeded"}


WAYS = {
    "exponents": (TPE, {"text": lambda value: f"{value:.16E}" if isinstance(value, float) else str(value), "key": str.upper}),
    "floats": (RANDOM, {"text": lambda value: f"{value}.0" if isinstance(value, int) else str(value), "tells_parameters": False}),
    "no variables": (RANDOM, {"sets_variables": False, "name": lambda sweep, number: f"run-{number}-of-{sweep}"}),
    "labels": (TPE, {"text": lambda value: str(value).upper(), "inherits_tags": True}),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_how_the_service_tells_what_it_drew_is_no_matter(make_azure, make_latent, way):
    tuner, knobs = WAYS[way]
    azure = make_azure()
    for knob, value in knobs.items():
        setattr(azure.sweeps, knob, value)
    project = make_latent(azure, tuner=tuner, amlc=NATIVE, maxTrialNumber=6, trialConcurrency=6)
    project.amlc("submit")
    (sweep,) = jobs(azure)
    found = {row["trial"]: row for row in rows(project.collect())}
    assert len(found) == 6
    drawn = from_records(json.loads(sweep.properties["trial"]["environmentVariables"]["AMLC_SPACE"])["axes"])
    for child in azure.sweeps.children(sweep.name):
        point = {name: str(value) for name, value in child.properties["point"].items()}
        expected = identity_of("probe", "", canonical_json(finished(drawn, point)), 0)
        assert found.pop(expected)["status"] == "succeeded"
    assert not found


def test_equal_draws_are_two_trials_and_a_failed_one_runs_again_as_a_job(make_azure, make_latent):
    azure = make_azure()
    script = 'grep -q 1.5 "$NNI_SYS_DIR/parameter.cfg" && [ -z "$AGAIN" ] && exit 3; final 7'
    space = {"x": {"_type": "choice", "_value": [1.5, "b"]}}
    project = make_latent(azure, searchSpace=space, script=script, maxTrialNumber=6, trialConcurrency=3)
    project.amlc("submit", code=1)
    statuses, drawn = by_number(project, "status", code=4), by_number(project, "param.x", code=4)
    assert statuses == {number: "failed" if x == "1.5" else "succeeded" for number, x in drawn.items()}
    assert len(statuses) == 6
    assert set(drawn.values()) == {"1.5", "b"}
    first = next(number for number, status in statuses.items() if status == "failed")
    assert by_number(project, "error", code=4)[first] == "exit code 3"
    assert azure.job_puts == 1
    azure.cluster.environment["AGAIN"] = "1"
    assert f"its trial {first} as a job of its own" in project.amlc("plan", "--retry", "failed").stdout
    assert "6 of 6 trials done" in project.amlc("submit", "--retry", "failed").stderr
    again = jobs(azure)[1]
    assert again.properties["jobType"] == "Command"
    assert "search_space" not in again.properties["command"]
    assert "AMLC_SPACE" not in again.properties["environmentVariables"]
    assert set(by_number(project, "attempt").values()) == {"1", "2"}
    assert azure.job_puts == 1 + list(statuses.values()).count("failed")
    assert project.amlc("compile", "experiment.yml", "--check").returncode == 0
    project.amlc("retry", str(first))
    assert by_number(project, "attempt")[first] == "3"


def test_the_service_stops_what_is_worse_than_the_median(make_azure, make_latent):
    azure = make_azure()
    assessor = {"name": "Medianstop", "classArgs": {"optimize_mode": "maximize", "start_step": 2}}
    space = {"x": {"_type": "choice", "_value": [0, 1, 2, 3]}}
    keys = {"searchSpace": space, "script": CURVE, "trialConcurrency": 6, "maxTrialNumber": 6}
    project = make_latent(azure, tuner=RANDOM, assessor=assessor, amlc={**NATIVE, "seed": 4}, **keys)
    project.amlc("submit")
    (sweep,) = jobs(azure)
    assert sweep.properties["samplingAlgorithm"] == {"samplingAlgorithmType": "Random", "seed": 4, "rule": "random"}
    drawn = by_number(project, "param.x")
    assert list(drawn.values()) == ["1", "2", "0", "3", "3", "1"]
    assert by_number(project, "status") == {n: "early_stopped" if n == 2 else "succeeded" for n in range(6)}
    assert project.amlc("plan", "--retry", "failed").stdout.endswith("nothing to submit\n")


def test_a_running_sweep_tells_its_trials_as_they_come_and_a_further_one_has_the_rest(make_azure, make_latent, tmp_path):
    azure = make_azure()
    azure.cluster.environment["GATE"] = str(tmp_path / "gate")
    waiting = 'echo begun; while [ ! -e "$GATE" ]; do sleep 0.1; done; final 1'
    project = make_latent(azure, script=waiting, maxTrialNumber=5, trialConcurrency=2)
    project.amlc("submit", "--no-wait")
    (name,) = project.names

    def standing():
        return by_number(project, "status", command="status")

    wait_for(lambda: list(standing().values()) == ["running", "running"])
    assert "2 running, 3 not proposed yet\n3 to be drawn by the sweep that runs" in project.amlc("plan").stdout
    assert "begun" in project.amlc("logs", "1").stdout
    project.amlc("cancel", "1")
    wait_for(lambda: standing().get(1) == "canceled" and len(standing()) == 3)
    assert project.amlc("compile", "experiment.yml", "--check").returncode == 0
    project.amlc("cancel", "--all")
    azure.wait()
    wait_for(lambda: set(standing().values()) == {"canceled"})
    assert azure.statuses()[name] == "Canceled"
    assert set(by_number(project, "error", code=4).values()) == {""}
    advice = "amlc compile experiment.yml and then amlc submit go on"
    assert advice in project.amlc("submit", code=4).stderr
    assert advice in project.amlc("status").stdout
    known = by_number(project, "trial", code=4)
    (tmp_path / "gate").touch()
    project.amlc("compile", "experiment.yml")
    assert "  sweep-00005.yml  attempt 1, one sweep of 2 trials\n" in project.amlc("plan").stdout
    project.amlc("submit", "--retry", "canceled")
    found = by_number(project, "trial")
    assert {number: found[number] for number in known} == known
    assert sorted(found) == [0, 1, 2, 5, 6]
    assert len({job.name for job in jobs(azure)}) == azure.job_puts == 5


def test_what_the_service_lost_runs_again_by_itself(make_azure, make_latent, tmp_path):
    azure = make_azure()
    azure.cluster.environment["GATE"] = str(tmp_path / "gate")
    project = make_latent(
        azure, script='while [ ! -e "$GATE" ]; do sleep 0.1; done; final 1', maxTrialNumber=3, trialConcurrency=3
    )
    _, wait = project.start("submit")
    wait_for(lambda: len([job for job in azure.jobs if job.status == "Running"]) == 4)
    azure.preempt(azure.sweeps.children(project.names[0])[1].name)
    (tmp_path / "gate").touch()
    assert "3 of 3 trials done" in wait().stderr
    assert by_number(project, "attempt") == {0: "1", 1: "2", 2: "1"}
    assert azure.job_puts == 2
    assert project.amlc("plan").stdout.endswith("nothing to submit\n")


@KILLED
def test_kill_9_at_every_call_loses_no_child_and_doubles_none(make_azure, make_latent, after):
    kill_at_every_call(make_azure, lambda azure, name: make_latent(azure, name, maxTrialNumber=3), after=after)


def test_what_needs_known_trials_says_so_and_on_this_machine_they_are_compiled_anew(make_azure, make_latent):
    project = make_latent(make_azure(), maxTrialNumber=2)
    assert "Compile them for it: amlc compile experiment.yml --backend local." in project.amlc(
        "submit", "--backend", "local", code=2
    ).stderr
    assert "Compile them for it: amlc compile experiment.yml --backend local." in project.amlc(
        "plan", "--backend", "local", code=2
    ).stderr
    (project.root / "results.csv").write_text("param.lr,metric.default\n1e-5,1\n")
    assert "takes no results" in project.amlc("run", "experiment.yml", "--from", "results.csv", code=2).stderr
    assert "has yet to draw them" in project.amlc("submit", "--canary", code=2).stderr
    project.amlc("compile", "experiment.yml", "--backend", "local")
    project.amlc("submit")
    assert set(by_number(project, "status").values()) == {"succeeded"}
    assert project.azure.job_puts == 0


def test_refresh_finds_what_was_drawn_again(make_azure, make_latent):
    azure = make_azure()
    script = '[ "$AGAIN" ] || [ "$NNI_TRIAL_SEQ_ID" != 1 ] || exit 3; final 7'
    project = make_latent(azure, script=script, maxTrialNumber=3)
    project.amlc("submit", code=1)
    before = project.collect(code=4)
    shutil.rmtree(project.root / ".amlc")
    project.amlc("refresh")
    assert project.collect(code=4) == before
    shutil.rmtree(project.root / ".amlc")
    shutil.rmtree(project.root / "build")
    workspace = ("--subscription-id", azure.subscription, "--resource-group", azure.resource_group)
    project.amlc("refresh", "probe", *workspace, "--workspace-name", azure.workspace)
    assert project.collect(code=4) == before
    azure.cluster.environment["AGAIN"] = "1"
    project.amlc("submit", "--retry", "failed")
    after = by_number(project, "attempt")
    assert after == {0: "1", 1: "2", 2: "1"}
    shutil.rmtree(project.root / ".amlc")
    shutil.rmtree(project.root / "build")
    project.amlc("refresh", "probe", *workspace, "--workspace-name", azure.workspace)
    assert by_number(project, "attempt") == after
    assert project.amlc("plan").stdout.endswith("nothing to submit\n")
    assert azure.job_puts == 2


def test_the_rest_of_the_commands_take_drawn_trials_as_any(make_azure, make_latent):
    azure = make_azure()
    report = """printf "NNISDK_MEb'%s'\\n" '{"type":"PERIODICAL","sequence":0,"value":"0.25"}'; final 0.5"""
    model = "sh trial.sh; cp trial.sh ${{outputs.model}}"
    ours = {"job": {"outputs": {"model": {"type": "uri_folder"}}}}
    project = make_latent(azure, script=report, trialCommand=model, maxTrialNumber=2, amlc=ours)
    project.amlc("submit")
    history = rows(project.amlc("collect", "--history").stdout)
    assert [(row["sequence"], row["metric.default"]) for row in history] == [("0", "0.25"), ("1", "0.25")]
    assert project.amlc("reproduce", "1", "--backend", "local").returncode == 0
    assert "trial.sh" in project.amlc("code", "1").stdout
    project.amlc("gc")
    assert project.amlc("summary").stdout
    assert "2 of 2 trials done" in project.amlc("report").stderr
    assert project.amlc("best", "--job").stdout.strip() == project.names[0]
    project.amlc("download", "1", "found")
    assert [path.name for path in (project.root / "found").rglob("*.sh")] == ["trial.sh"]


def test_one_named_trial_is_canceled_and_not_the_sweep(make_azure, make_latent, tmp_path):
    azure = make_azure()
    azure.cluster.environment["GATE"] = str(tmp_path / "gate")
    script = '[ "$NNI_TRIAL_SEQ_ID" = 0 ] && while [ ! -e "$GATE" ]; do sleep 0.1; done; final 1'
    project = make_latent(azure, script=script, maxTrialNumber=2, trialConcurrency=1)
    project.amlc("submit", "--no-wait")
    wait_for(lambda: by_number(project, "status", command="status") == {0: "running"})
    project.amlc("cancel", "0")
    wait_for(lambda: by_number(project, "status", command="status") == {0: "canceled", 1: "succeeded"})
    assert azure.statuses()[project.names[0]] == "Completed"


def test_children_that_never_began_run_again_with_what_the_service_drew_for_them(make_azure, make_latent):
    azure = make_azure()
    project = make_latent(azure, maxTrialNumber=2)
    azure.hold("Preparing")
    _, wait = project.start("submit")
    wait_for(lambda: len(azure.jobs) == 1)
    (sweep,) = jobs(azure)
    azure.release(sweep.name)
    wait_for(lambda: [child.status for child in azure.sweeps.children(sweep.name)] == ["Preparing"] * 2)
    for child in azure.sweeps.children(sweep.name):
        azure.jobs.end(child, "Failed", ("UserError", "the image is broken"))
    azure.hold()
    assert "2 of 2 trials done" in wait().stderr
    assert by_number(project, "attempt") == {0: "2", 1: "2"}
    assert azure.job_puts == 3
    drawn = from_records(json.loads(sweep.properties["trial"]["environmentVariables"]["AMLC_SPACE"])["axes"])
    for number, child in enumerate(azure.sweeps.children(sweep.name)):
        point = {name: str(value) for name, value in child.properties["point"].items()}
        assert float(by_number(project, "param.lr")[number]) == finished(drawn, point)["lr"]
