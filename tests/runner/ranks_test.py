"""Which process of a distributed trial records it, and what the others leave: nothing, unless they fail."""

import json
from pathlib import Path

import pytest

from amlc.runner.amlc_runner_lib.ranks import is_awaited, rank_of
from tests.runner.harness import ID, PYTHON, JobFolder, metric_line


def tensorflow(kind, index, **cluster):
    hosts = {name: ["host"] * count for name, count in cluster.items()}
    return {"TF_CONFIG": json.dumps({"cluster": hosts, "task": {"type": kind, "index": index}})}


@pytest.mark.parametrize(
    ("environ", "rank"),
    [
        ({}, ""),
        ({"RANK": "0", "WORLD_SIZE": "2"}, ""),
        ({"RANK": "1", "WORLD_SIZE": "2"}, "1"),
        ({"RANK": "12", "WORLD_SIZE": "16", "OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "16"}, "12"),
        ({"RANK": "3"}, ""),
        ({"RANK": "3", "WORLD_SIZE": "1"}, ""),
        ({"RANK": "x", "WORLD_SIZE": "2"}, ""),
        ({"RANK": "-1", "WORLD_SIZE": "2"}, ""),
        ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"}, "1"),
        ({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"}, ""),
        ({"AZUREML_CR_NODE_RANK": "1", "AZUREML_NODE_COUNT": "2"}, "1"),
        ({"AZUREML_CR_NODE_RANK": "1", "AZUREML_NODE_COUNT": "1"}, ""),
        ({"RANK": "1", "WORLD_SIZE": "2", "AZUREML_CR_NODE_RANK": "0", "AZUREML_NODE_COUNT": "2"}, "1"),
        (tensorflow("worker", 0, worker=2), ""),
        (tensorflow("worker", 1, worker=2), "worker-1"),
        (tensorflow("worker", 0, worker=1, chief=1), "worker-0"),
        (tensorflow("chief", 0, worker=1, chief=1), ""),
        (tensorflow("master", 0, worker=1, master=1), ""),
        (tensorflow("ps", 0, worker=1, ps=1), "ps-0"),
        (tensorflow("worker", 0, worker=1), ""),
        (tensorflow("../x", 0, worker=2), ""),
        (tensorflow("worker", "0/..", worker=2), ""),
        ({"TF_CONFIG": "{"}, ""),
        ({"TF_CONFIG": "[]"}, ""),
        ({"TF_CONFIG": "[]", "RANK": "1", "WORLD_SIZE": "2"}, "1"),
    ],
    ids=str,
)
def test_the_first_of_many_records(environ, rank):
    assert rank_of({name.encode(): value.encode() for name, value in environ.items()}) == rank


def test_a_parameter_server_serves_until_it_is_ended():
    assert [is_awaited(rank) for rank in ("", "1", "worker-0", "ps-0")] == [True, True, True, False]


def ranked(rank, **env):
    return {"RANK": str(rank), "WORLD_SIZE": "2", **env}


@pytest.fixture
def job(tmp_path):
    return JobFolder(tmp_path / "job")


TRIAL = f"""
import os, sys
from pathlib import Path
rank = os.environ["RANK"]
home = Path(os.environ["NNI_SYS_DIR"])
assert (home / "parameter.cfg").exists() and Path(os.environ["NNI_OUTPUT_DIR"]).is_dir()
Path("home-" + rank).write_text(str(home))
print({metric_line(0.5)!r})
print({metric_line(1.5, kind="FINAL")!r})
sys.stdout.flush()
sys.exit(int(os.environ.get("CODE_" + rank, "0")))
"""


def test_another_rank_runs_the_trial_and_records_nothing(job):
    command = job.script(TRIAL)
    done = job.run(command, env=ranked(1))
    assert done.code == 0, done.err
    assert not (job.root / "outputs").exists()
    assert not Path((job.root / "home-1").read_text()).parent.exists()
    assert done.out.count(b"NNISDK") == 2
    assert job.run(command, env=ranked(0)).code == 0
    assert job.values() == [("intermediate", 0, 0.5), ("final", 0, 1.5)]
    assert sorted(path.name for path in job.home().iterdir() if path.is_file()) == [
        "metrics.jsonl",
        "parameter.cfg",
        "result.json",
    ]


def test_another_rank_that_fails_says_so_beside_the_first(job):
    command = job.script(TRIAL)
    assert job.run(command, env=ranked(0)).code == 0
    assert job.run(command, env=ranked(1, CODE_1="3")).code == 3
    assert job.result()["exit_code"] == 0
    (said,) = [json.loads(path.read_text()) for path in job.home().glob("rank-*.json")]
    assert (said["trial"], said["end"], said["exit_code"]) == (ID, "exited", 3)
    assert job.run(command, env=ranked(1)).code == 0
    assert not list(job.home().glob("rank-*.json")), "what an earlier life of the job left there is removed"


def test_a_parameter_server_that_is_ended_says_nothing(job):
    env = tensorflow("ps", 0, worker=1, ps=1)
    assert job.run(f"{PYTHON} -S -c 'raise SystemExit(1)'", env=env).code == 1
    assert not (job.root / "outputs").exists()


def test_wrong_input_is_said_by_each_rank_under_its_own_name(job):
    assert job.run("true", env=ranked(1, AMLC_TRIAL_SECONDS='"x"')).code == 2
    assert [path.name for path in job.home().iterdir()] == ["rank-1.json"]
