"""`amlc.target: sweep`: one sweep job, whose children run the trials as jobs of their own would."""

from __future__ import annotations

import csv
import io
import re
import shutil
import signal
import time

import pytest

from tests.azure.faults import Fault, KillAt, garbage

SCRIPT = """
x=$(sed 's/.*"x": *\\([-+.0-9e]*\\).*/\\1/' "$NNI_SYS_DIR/parameter.cfg")
echo "x is $x, in trial $NNI_TRIAL_SEQ_ID of $(ls "$NNI_SYS_DIR/.." | wc -l)"
final "$x"
"""
PRINTING = """
cat "$NNI_SYS_DIR/parameter.cfg"
echo "in trial $NNI_TRIAL_SEQ_ID of $(ls "$NNI_SYS_DIR/.." | wc -l)"
final "$(wc -c < "$NNI_SYS_DIR/parameter.cfg")"
"""
ENDED = ("succeeded", "failed", "canceled", "early_stopped")


@pytest.fixture
def make_sweep(make_project):
    """Make a project whose trials run as a sweep."""

    def make(azure, name="project", *, amlc=None, **keys):
        given = {"values": range(4), "script": SCRIPT, "trialConcurrency": 2, **keys}
        return make_project(azure, name).write(amlc={"target": "sweep", **(amlc or {})}, **given)

    return make


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def by_number(project, column, *, command="collect", code=0):
    found = rows(
        project.amlc(
            command, *(["--format", "csv"] if command == "status" else []), code=code
        ).stdout
    )
    return {int(row["sequence"]): row[column] for row in found}


def jobs(azure):
    """The jobs that somebody put: no children."""
    return [job for job in azure.jobs if "parentJobName" not in job.properties]


def wait_for(is_so):
    deadline = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_sweep_runs_every_trial_once_and_says_what_jobs_would(
    make_azure, make_sweep, make_project
):
    azure = make_azure()
    keys = {
        "values": ["a b", True, None],
        "maxTrialDuration": "1h",
        "script": PRINTING,
        "trialConcurrency": 2,
    }
    project = make_sweep(azure, amlc={"replicates": 2}, **keys)
    done = project.amlc("plan")
    assert done.stdout == (
        "probe: 0 of 6 trials done: 6 pending\n6 to submit in 1 sweep (new):\n"
        "  sweep.yml  attempt 1, one sweep of 6 trials\n"
        "at most 18 node-hours, if each trial takes maxTrialDuration and is run again as often as amlc.retries, 2, "
        "allows; 6 if none is\n"
    )
    assert "6 submitted, 6 of 6 trials done" in project.amlc("submit").stderr
    assert azure.job_puts == 1
    (name,) = project.names
    assert azure.sweeps.most_at_once == {name: 2}
    assert len(azure.sweeps.children(name)) == 6
    found = rows(project.collect())
    assert {row["status"] for row in found} == {"succeeded"}
    assert {row["job"] for row in found} == {name}
    assert project.amlc("plan").stdout == "probe: 6 of 6 trials done\nnothing to submit\n"
    assert "in trial 3 of 1\n" in project.amlc("logs", "3").stdout
    assert project.amlc("compile", "experiment.yml", "--check").returncode == 0
    other = make_project(make_azure(), "jobs").write(amlc={"replicates": 2}, **keys)
    other.amlc("submit")
    assert len(other.azure.jobs) == 6
    own = ("job", "url", "started", "ended", "duration", "seconds")
    theirs = rows(other.collect())
    assert found[0].keys() == theirs[0].keys()
    for one, another in zip(found, theirs, strict=True):
        same = [key for key in one if not any(word in key for word in own)]
        assert {key: one[key] for key in same} == {key: another[key] for key in same}


WAYS = {
    "exponents": {"text": lambda value: f"{value:E}", "key": str.upper},
    "floats": {"text": lambda value: f"{value}.0", "tells_parameters": False},
    "no variables": {
        "sets_variables": False,
        "name": lambda sweep, number: f"run-{number}-of-{sweep}",
    },
    "inherited tags": {"inherits_tags": True, "text": lambda value: f"{float(value):.3E}"},
}


@pytest.mark.parametrize("way", WAYS)
def test_how_the_service_tells_the_number_is_no_matter(make_azure, make_sweep, way):
    azure = make_azure()
    for knob, value in WAYS[way].items():
        setattr(azure.sweeps, knob, value)
    project = make_sweep(azure, values=range(12), trialConcurrency=6)
    project.amlc("submit")
    assert by_number(project, "metric.default") == {number: str(number) for number in range(12)}
    assert azure.job_puts == 1


def test_what_failed_runs_again_as_a_job_of_its_own(make_azure, make_sweep):
    azure = make_azure()
    project = make_sweep(
        azure,
        values=range(3),
        script='[ "$AGAIN" ] || { x=1; grep -q 1 "$NNI_SYS_DIR/parameter.cfg" && exit 3; }; final 7',
    )
    project.amlc("submit", code=1)
    assert by_number(project, "status", code=4) == {0: "succeeded", 1: "failed", 2: "succeeded"}
    assert by_number(project, "error", code=4)[1] == "exit code 3"
    assert azure.job_puts == 1
    project.amlc("submit", code=1)
    assert azure.job_puts == 1
    assert (
        "  sweep.yml  attempt 2, its trial 1 as a job of its own\n"
        in project.amlc("plan", "--retry", "failed").stdout
    )
    azure.cluster.environment["AGAIN"] = "1"
    assert "3 of 3 trials done" in project.amlc("submit", "--retry", "failed").stderr
    again = jobs(azure)[-1]
    (_, trial, _) = (entry for entry in next(project.manifest.entries()).trials)
    assert re.fullmatch(rf"probe-{trial.id}-[0-9a-f]{{6}}-2", again.name)
    assert again.properties["jobType"] == "Command"
    assert again.properties["displayName"] == "probe #1"
    assert "search_space" not in again.properties["command"]
    assert by_number(project, "attempt") == {0: "1", 1: "2", 2: "1"}
    assert project.amlc("compile", "experiment.yml", "--check").returncode == 0
    azure.cluster.environment.clear()
    project.amlc("retry", "1", code=1)
    assert jobs(azure)[-1].name == again.name.removesuffix("2") + "3"
    assert project.amlc("compile", "experiment.yml", "--check").returncode == 0


def test_a_wider_space_sweeps_what_is_missing_and_back_to_jobs_is_no_matter(make_azure, make_sweep):
    azure = make_azure()
    project = make_sweep(azure, values=range(2))
    project.amlc("submit")
    project.write(values=range(5), trialConcurrency=2, script=SCRIPT, amlc={"target": "sweep"})
    assert (
        "3 to submit in 1 sweep (new):\n  sweep-00002.yml  attempt 1, one sweep of 3 trials\n"
        in project.amlc("plan").stdout
    )
    project.amlc("submit")
    assert azure.job_puts == 2
    assert [len(azure.sweeps.children(name)) for name in project.names] == [2, 3]
    project.write(values=range(6), trialConcurrency=2, script=SCRIPT, amlc={})
    assert [entry.file[:5] for entry in project.manifest.entries()] == ["jobs/"] * 6
    project.amlc("submit")
    assert azure.job_puts == 3
    assert by_number(project, "metric.default") == {number: str(number) for number in range(6)}
    project.write(values=range(7), trialConcurrency=2, script=SCRIPT, amlc={"target": "sweep"})
    project.amlc("submit", "--retry", "changed")
    assert azure.job_puts == 4
    assert by_number(project, "metric.default") == {number: str(number) for number in range(7)}


CURVE = """
x=$(sed 's/.*"x": *\\([-+.0-9e]*\\).*/\\1/' "$NNI_SYS_DIR/parameter.cfg")
[ "$x" = 0 ] && sleep 1 || x=1
n=0
while [ $n -lt 5 ] || [ "$x" = 0 -a $n -lt 100 ]; do
    printf "NNISDK_MEb'%s'\\n" '{"type":"PERIODICAL","sequence":'$n',"value":"'"$x"'"}'
    n=$((n + 1))
    sleep 0.3
done
final "$x"
"""


def test_the_service_stops_what_is_worse_than_the_median(make_azure, make_sweep):
    azure = make_azure()
    assessor = {"name": "Medianstop", "classArgs": {"optimize_mode": "maximize", "start_step": 2}}
    project = make_sweep(
        azure, values=range(4), script=CURVE, trialConcurrency=4, assessor=assessor
    )
    project.amlc("submit")
    assert by_number(project, "status") == {
        0: "early_stopped",
        **dict.fromkeys((1, 2, 3), "succeeded"),
    }
    assert by_number(project, "error")[0] == "stopped by the sweep's early termination"
    assert project.amlc("plan", "--retry", "failed").stdout.endswith("nothing to submit\n")


WAITING = """
x=$(sed 's/.*"x": *\\([-+.0-9e]*\\).*/\\1/' "$NNI_SYS_DIR/parameter.cfg")
echo begun
while [ "$x" -gt 0 ] && [ ! -e "$GATE" ]; do sleep 0.1; done
final "$x"
"""


def test_each_trial_of_a_running_sweep_stands_for_itself(make_azure, make_sweep, tmp_path):
    azure = make_azure()
    azure.cluster.environment["GATE"] = str(tmp_path / "gate")
    project = make_sweep(azure, script=WAITING, values=range(5), trialConcurrency=2)
    project.amlc("submit", "--no-wait")
    (name,) = project.names

    def standing():
        return by_number(project, "status", command="status")

    wait_for(
        lambda: (
            sorted(standing().values()).count("running") == 2
            and standing()[0] in ("waiting", "succeeded")
        )
    )
    found = standing()
    assert sorted(found.values()) == sorted(
        [found[0], "running", "running", "waiting", "waiting"][:5]
    )
    assert project.amlc("compile", "experiment.yml", "--check").returncode == 0
    running = [number for number, status in found.items() if status == "running"]
    waiting = next(number for number, status in found.items() if status == "waiting")
    assert "has not begun it" in project.amlc("cancel", str(waiting), code=2).stderr
    assert "begun" in project.amlc("logs", str(running[0])).stdout
    project.amlc("cancel", str(running[0]))
    wait_for(lambda: standing()[running[0]] == "canceled")
    project.amlc("cancel", "--all")
    azure.wait()
    wait_for(lambda: set(standing().values()) <= set(ENDED))
    assert azure.statuses()[name] == "Canceled"
    assert {standing()[number] for number in running} == {"canceled"}
    assert project.amlc("plan").stdout.endswith("nothing to submit\n")
    (tmp_path / "gate").touch()
    project.amlc("submit", "--retry", "canceled")
    assert by_number(project, "metric.default") == {number: str(number) for number in range(5)}
    assert len({job.name for job in jobs(azure)}) == azure.job_puts


def test_what_the_service_lost_runs_again_by_itself(make_azure, make_sweep, tmp_path):
    azure = make_azure()
    azure.cluster.environment["GATE"] = str(tmp_path / "gate")
    project = make_sweep(azure, script=WAITING, values=range(3), trialConcurrency=3)
    _, wait = project.start("submit")
    wait_for(lambda: len([job for job in azure.jobs if job.status == "Running"]) == 3)
    child = next(
        job for job in azure.jobs if job.properties.get("point", {}).get("amlc_trial") == 1
    )
    azure.preempt(child.name)
    (tmp_path / "gate").touch()
    assert "3 of 3 trials done" in wait().stderr
    assert by_number(project, "attempt") == {0: "1", 1: "2", 2: "1"}
    assert azure.job_puts == 2


def metrics(job):
    return {"default": [0.5, 1.5]}


KILLED = pytest.mark.parametrize("after", [False, True], ids=["before", "after"])


@KILLED
def test_kill_9_at_every_call_loses_no_trial_and_doubles_none(make_azure, make_sweep, after):
    kill_at_every_call(make_azure, lambda azure, name: make_sweep(azure, name, values=range(3)), after=after)


def kill_at_every_call(make_azure, make_project, *, after):
    """Kill the submit of a sweep of three at its first call, at its second, ...: none is lost, none is doubled."""
    for k in range(1, 60):
        azure = make_azure(mode="instant", metrics=metrics)
        project = make_project(azure, f"kill-{k}")
        azure.hold("Queued")  # so that the client's pid is known before anything ends
        fault = KillAt(k, after=after)
        fault.pid, wait = project.start("submit")
        azure.spoil(fault)
        azure.hold()
        killed = wait().returncode
        if killed:
            assert killed == -signal.SIGKILL
            assert "3 of 3 trials done" in project.amlc("submit").stderr
        assert set(azure.statuses().values()) == {"Completed"}
        assert [job.name for job in jobs(azure)] == project.names
        assert len(azure.jobs) == 4
        assert by_number(project, "metric.default") == dict.fromkeys(range(3), "1.5")
        assert set(by_number(project, "attempt").values()) == {"1"}
        if not killed:
            assert k > 8
            return
    pytest.fail("the submit never came to its end")


def test_refresh_finds_a_sweep_again_with_what_came_of_it(make_azure, make_sweep):
    azure = make_azure()
    script = '[ "$AGAIN" ] || { grep -q 1 "$NNI_SYS_DIR/parameter.cfg" && exit 3; }; final 7'
    project = make_sweep(azure, values=range(3), script=script, maxTrialDuration="10m")
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
    assert by_number(project, "attempt") == {0: "1", 1: "2", 2: "1"}
    shutil.rmtree(project.root / ".amlc")
    shutil.rmtree(project.root / "build")
    project.amlc("refresh", "probe", *workspace, "--workspace-name", azure.workspace)
    assert by_number(project, "attempt") == {0: "1", 1: "2", 2: "1"}
    assert project.amlc("plan").stdout.endswith("nothing to submit\n")
    assert azure.job_puts == 2


def test_a_canary_is_a_small_sweep_and_a_sealed_plan_holds(make_azure, make_sweep):
    azure = make_azure()
    keys = {
        "script": SCRIPT,
        "trialCommand": "sh trial.sh; cp trial.sh ${{outputs.model}}",
        "searchSpace": {name: {"_type": "choice", "_value": [0, 1, 2]} for name in "xy"},
        "trialConcurrency": 3,
    }
    ours = {"target": "sweep", "job": {"outputs": {"model": {"type": "uri_folder"}}}}
    project = make_sweep(azure, amlc=ours, maxTrialNumber=6, **keys)
    project.amlc("submit", "--canary")
    assert azure.job_puts == 2
    first, second = jobs(azure)
    assert second.name == f"{first.name}-2"
    assert [len(azure.sweeps.children(job.name)) for job in (first, second)] == [3, 3]
    results = by_number(project, "metric.default")
    assert results == by_number(project, "param.x")
    assert project.amlc("plan").stdout.endswith("nothing to submit\n")
    project.amlc("download", "2", "found")
    assert [path.name for path in (project.root / "found").rglob("*.sh")] == ["trial.sh"]
    project.amlc("compile", "experiment.yml")
    assert project.amlc("plan").stdout.endswith("nothing to submit\n")
    project.write(amlc=ours, **keys)
    project.amlc("plan", "-o", "plan.json")
    project.amlc("submit", "--plan", "plan.json")
    assert azure.job_puts == 3
    assert len(by_number(project, "status")) == len(azure.jobs) - 3 == 9


def test_on_this_machine_the_trials_of_a_sweep_are_jobs(make_azure, make_sweep):
    project = make_sweep(make_azure(), values=range(2))
    project.amlc("submit", "--backend", "local")
    assert by_number(project, "metric.default") == {0: "0", 1: "1"}
    swept = by_number(project, "trial")
    project.amlc("compile", "experiment.yml", "--backend", "local")
    assert {entry.file[:5] for entry in project.manifest.entries()} == {"jobs/"}
    assert by_number(project, "trial") == swept
    assert project.azure.job_puts == 0


def test_what_ends_in_a_running_sweep_is_told_at_once(make_azure, make_sweep, tmp_path):
    azure = make_azure()
    azure.cluster.environment["GATE"] = str(tmp_path / "gate")
    project = make_sweep(azure, script=WAITING, values=range(3), trialConcurrency=3)
    _, wait = project.start("submit")
    said = project.root / ".stderr"
    wait_for(lambda: said.exists() and "succeeded" in said.read_text(encoding="utf-8"))
    assert said.read_text(encoding="utf-8").count("succeeded") == 1
    (tmp_path / "gate").touch()
    done = wait()
    assert done.stderr.count("succeeded") == 3, done.stderr
    assert "3 of 3 trials done" in done.stderr


def test_the_rest_of_the_commands_take_a_sweeps_trials_as_any(make_azure, make_sweep):
    azure = make_azure()
    project = make_sweep(azure, values=range(3))
    project.amlc("submit")
    assert project.amlc("reproduce", "1", "--backend", "local").returncode == 0
    assert "trial.sh" in project.amlc("code", "1").stdout
    project.amlc("gc")
    assert project.amlc("summary").stdout
    page = project.amlc("report").stdout
    assert page.lower().startswith("<!doctype html>")
    assert project.amlc("best", "--job").stdout.strip() == project.names[0]


def test_more_than_a_thousand_are_two_sweeps_that_are_followed_with_few_calls(make_azure, make_sweep):
    azure = make_azure(mode="instant", metrics=metrics)
    project = make_sweep(azure, values=range(1001), trialConcurrency=100)
    start = time.monotonic()
    project.amlc("submit")
    assert azure.job_puts == 2
    assert len(azure.jobs) == 1003
    first, second = jobs(azure)
    assert first.ended < second.created, "they take turns"
    assert azure.count("GET", r"/jobs/[^/]+$") < 20
    print(time.monotonic() - start, len(azure.calls), azure.count("POST", "runs/search"))
    assert set(by_number(project, "metric.default").values()) == {"1.5"}


def test_each_trial_of_a_sweep_may_be_several_processes(make_azure, make_sweep):
    azure = make_azure()
    mpi = {"distribution": {"type": "mpi", "process_count_per_instance": 2}}
    script = '[ "$OMPI_COMM_WORLD_RANK" = 1 ] && grep -q 1 "$NNI_SYS_DIR/parameter.cfg" && exit 3; final 1'
    project = make_sweep(azure, values=[0, 1, 2], amlc={"job": mpi}, script=script)
    project.amlc("submit", code=1)
    assert by_number(project, "status", code=4) == {0: "succeeded", 1: "failed", 2: "succeeded"}
    assert azure.job_puts == 1


def test_what_mlflow_does_not_answer_for_a_while_is_no_end_of_anything(make_azure, make_sweep):
    azure = make_azure()
    azure.spoil(Fault(status=503, path="runs/search", times=3))
    azure.spoil(garbage(path="runs/search", at=5))
    azure.spoil(Fault(reset=True, path="runs/search", at=7))
    project = make_sweep(azure, values=range(3))
    assert "3 of 3 trials done" in project.amlc("submit").stderr
    assert by_number(project, "metric.default") == {0: "0", 1: "1", 2: "2"}
    assert azure.job_puts == 1
