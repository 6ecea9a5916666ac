"""However a trial ends, MLflow's word of it leads to the same as the list of jobs, and to few calls where it is well."""

import csv
import io
import os
import signal

import pytest

# How a trial ends its MLflow run by itself, as `with mlflow.start_run()` does.
END_RUN = """
python3 - <<'PY'
import json, os, time, urllib.request
url = os.environ["MLFLOW_TRACKING_URI"].replace("azureml://", "https://") + "/api/2.0/mlflow/runs/update"
body = {"run_id": os.environ["MLFLOW_RUN_ID"], "status": "FINISHED", "end_time": int(time.time() * 1000)}
head = {"Authorization": "Bearer " + os.environ["MLFLOW_TRACKING_TOKEN"], "Content-Type": "application/json"}
urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), head)).close()
PY
"""
# What a trial does, and its status, error and result then.
ENDS = [
    ("final 0.5", ("succeeded", "", "0.5")),
    ("true", ("succeeded", "no final result", "")),
    (r"""final '\"good\"'""", ("succeeded", "", "good")),
    (r'final "{\\\"default\\\": 0.5, \\\"n$(printf %010000d 0)\\\": 1}"', ("succeeded", "", "0.5")),
    ("final 0.5; echo 'KeyError: lr' >&2; exit 3", ("failed", "KeyError: lr", "0.5")),
    (f"final 0.5{END_RUN}", ("succeeded", "", "0.5")),
    (f"{END_RUN}sleep 3; final 0.5", ("succeeded", "", "0.5")),
    (f"final 0.5{END_RUN}sleep 3; exit 3", ("failed", "exit code 3", "0.5")),
]
CASES = "".join(f"{number})\n{script}\n;;\n" for number, (script, _) in enumerate(ENDS))
SCRIPT = f"""x=$(sed 's/.*"x": \\([0-9]*\\).*/\\1/' "$NNI_SYS_DIR/parameter.cfg")
case $((x % {len(ENDS)})) in
{CASES}esac
"""
MPI = {"distribution": {"type": "mpi", "process_count_per_instance": 2}}
SHAPES = {
    "single": (range(16), {}),
    "packed": (range(24), {"trialsPerJob": 2}),
    "replicated": (range(8), {"replicates": 2}),
    "distributed": (range(12), {"job": MPI}),
}


@pytest.fixture
def follow(make_azure, make_project, wait_until):
    """Compile and follow jobs of which MLflow tells, since the list of ten of them takes as many calls.

    The jobs begin when all that are created at first were listed once; the others are never listed.
    """

    def follow(values, *, restarts=False, forgets=(), amlc=(), script=SCRIPT):
        azure = make_azure(page_size=1)
        azure.runs.forgets = set(forgets)
        azure.hold("Queued")
        amlc = {"retries": 0, **dict(amlc)}
        keys = {"amlc": amlc, "trialConcurrency": 10 * amlc.get("trialsPerJob", 1)}
        project = make_project(azure).write(values=values, script=script, **keys)
        pid, wait = project.start("submit")
        wait_until(lambda: azure.list_pages > 9)
        assert len(azure.jobs) >= 10
        if restarts:
            os.kill(pid, signal.SIGKILL)
            wait()
            before = azure.list_pages
            _, wait = project.start("submit")
            wait_until(lambda: azure.list_pages > before + 9)
        azure.hold()
        done = wait()
        assert "Traceback" not in done.stderr, done.stderr
        return project

    return follow


def rows(project):
    found = csv.DictReader(io.StringIO(project.amlc("collect", code=None).stdout))
    return sorted(found, key=lambda row: int(row["sequence"]))


def told(project):
    return [(row["status"], row["error"], row["metric.default"]) for row in rows(project)]


def expected(values, *, each=1):
    return [ENDS[value % len(ENDS)][1] for value in values for _ in range(each)]


def looked_up(project):
    """Return, for each row, how often its job was asked for by its name."""
    return [project.azure.count("GET", f"/jobs/{row['job']}$") for row in rows(project)]


@pytest.mark.parametrize("shape", SHAPES)
def test_each_trial_has_its_own_end(follow, shape):
    values, keys = SHAPES[shape]
    project = follow(values, amlc=keys)
    assert told(project) == expected(values, each=2 if shape == "replicated" else 1)
    assert project.azure.job_puts == len(project.names)


def test_only_what_ended_well_and_is_told_whole_needs_no_call(follow):
    project = follow(range(16))
    calls = looked_up(project)
    # The first job of a shape is the client's, and of the last ones the list may tell.
    assert calls[8] == 0
    assert calls[12] > 0


def test_results_that_take_several_tags_need_no_call_either(follow):
    """Those of ten trials with all the digits that a number may have."""
    values = [0.1 + value / 7 for value in range(110)]
    script = """final "$(sed 's/.*"x": \\([0-9.]*\\)[,}].*/\\1/' "$NNI_SYS_DIR/parameter.cfg")\""""
    project = follow(values, amlc={"trialsPerJob": 10}, script=script)
    assert told(project) == [("succeeded", "", str(value)) for value in values]
    # The first job is the client's, and of the last ones the list may tell.
    row = rows(project)[80]
    assert {"amlc.results", "amlc.results.1"} <= project.azure.job(row["job"]).tags.keys()
    assert project.azure.count("GET", f"/jobs/{row['job']}$") == 0


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"restarts": True}, id="amlc is killed and started again"),
        pytest.param({"forgets": ["amlc.end"]}, id="jobs of an older runner"),
        pytest.param({"forgets": ["amlc.end", "amlc.results"]}, id="no tag at all"),
    ],
)
def test_it_is_the_same_after_all_that_may_have_been(follow, how):
    project = follow(range(16), **how)
    assert told(project) == expected(range(16))
    assert project.azure.job_puts == 16


def test_another_attempt_is_told_by_itself(follow):
    script = "final 0.5; case $AZUREML_RUN_ID in *-2) ;; *) exit 3 ;; esac"
    project = follow(range(12), amlc={"retries": 0}, script=script)
    assert {status for status, _, _ in told(project)} == {"failed"}
    project.amlc("submit", "--retry", "failed")
    assert told(project) == [("succeeded", "", "0.5")] * 12
