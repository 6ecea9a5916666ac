"""Trials of several processes: one of them records, any of them can fail."""

import csv
import io
import shutil
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "aml" / "distributed"
# Each rank reports its own number; the first one is the last to begin and the first to end.
RANKED = """
rank=${OMPI_COMM_WORLD_RANK:-${RANK:-$(echo "$TF_CONFIG" | sed 's/.*"index": \\([0-9]*\\).*/\\1/')}}
printf "NNISDK_MEb'%s'\\n" '{"type":"PERIODICAL","sequence":0,"value":"0.25"}'
final "$rank.5"
[ "$rank" = 0 ] || sleep 1
"""
KINDS = {
    "mpi": {"type": "mpi", "process_count_per_instance": 2},
    "pytorch": {"type": "pytorch", "process_count_per_instance": 2},
    "tensorflow": {"type": "tensorflow", "worker_count": 2},
}


def rows(project, code=0):
    return list(csv.DictReader(io.StringIO(project.collect(code=code))))


def distributed(kind, nodes=1):
    return {"job": {"distribution": KINDS[kind], "resources": {"instance_count": nodes}}, "retries": 0}


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_the_first_rank_records_the_trial(make_azure, make_project, kind, nodes):
    project = make_project(make_azure()).write(values=range(1), script=RANKED, amlc=distributed(kind, nodes))
    project.amlc("submit")
    assert [(row["status"], row["metric.default"]) for row in rows(project)] == [("succeeded", "0.5")]
    (job,) = project.azure.jobs
    logs = [name for name in job.artifacts if name.startswith("user_logs/")]
    assert len(logs) == (2 if kind == "tensorflow" else 2 * nodes)
    assert not [name for name in job.artifacts if "/rank-" in name]


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("bad", ["0", "1"])
def test_the_exit_code_of_any_rank_counts(make_azure, make_project, bad, nodes):
    script = RANKED + f"[ $rank != {bad} ] || {{ echo 'KeyError: lr' >&2; exit 3; }}"
    project = make_project(make_azure()).write(values=range(1), script=script, amlc=distributed("mpi", nodes))
    project.amlc("submit", code=1)
    (row,) = rows(project, code=4)
    assert (row["status"], row["error"]) == ("failed", "KeyError: lr")
    assert [attempt.latest.exit_code for attempt in project.attempts()] == [3]


def test_a_rank_that_is_killed_is_no_success(make_azure, make_project):
    script = RANKED + 'trap "" TERM\n[ $rank = 0 ] || kill -9 $(ps -o ppid= -p $$)\n'
    project = make_project(make_azure()).write(values=range(1), script=script, amlc=distributed("mpi"))
    project.amlc("submit", code=1)
    assert rows(project, code=4)[0]["status"] in ("failed", "unfinished")


def test_the_example_runs(make_azure, make_project):
    project = make_project(make_azure())
    shutil.copytree(EXAMPLE, project.root, dirs_exist_ok=True)
    azure = project.azure
    env = {
        "AZURE_SUBSCRIPTION_ID": azure.subscription,
        "AZURE_RESOURCE_GROUP": azure.resource_group,
        "AZURE_WORKSPACE": azure.workspace,
    }
    found = list(csv.DictReader(io.StringIO(project.amlc("run", "experiment.yml", env=env).stdout)))
    assert [row["status"] for row in found] == ["succeeded"] * 2
    assert float(found[1]["metric.default"]) < float(found[0]["metric.default"])
    logs = [name for job in azure.jobs for name in job.artifacts if name.startswith("user_logs/")]
    assert len(logs) == 4, "two processes a job"
