"""Data in, models out, downloads, the best job and the costs, in every shape in which an experiment runs."""

import csv
import io
import shutil

import pytest

TRAIN = """
x=$(sed 's/.*"x": *\\([-+.0-9e]*\\).*/\\1/' "$NNI_SYS_DIR/parameter.cfg")
cat "$1/numbers.txt"
if [ "${OMPI_COMM_WORLD_RANK:-0}" = 0 ]; then
  echo "$NNI_TRIAL_JOB_ID" > "$2/model.txt"
  echo "$NNI_TRIAL_JOB_ID" > outputs/plot.txt
  echo "$NNI_TRIAL_JOB_ID" > "$NNI_OUTPUT_DIR/own.txt"
fi
final "$(awk "BEGIN { print ($x - 1) ^ 2 + $(cat "$1/numbers.txt") }")"
"""
SPACE = {"x": {"_type": "choice", "_value": [0, 1, 3]}}
LEARNS = {"name": "TPE", "classArgs": {"tpe_args": {"n_startup_jobs": 1}, "seed": 1}}
MPI = {"distribution": {"type": "mpi", "process_count_per_instance": 2}, "resources": {"instance_count": 2}}


def follow(project):
    project.amlc("submit")


def retry(project):
    """The first attempts fail; those after a change of the code do not."""
    project.amlc("submit", code=1)
    assert {row["status"] for row in rows(project, code=4)} == {"failed"}
    (project.root / "code" / "broken").unlink()
    project.amlc("compile", "experiment.yml")
    project.amlc("submit", "--retry", "failed")


def refresh(project, wait_until):
    """Nobody follows, and another machine finds what there is."""
    project.amlc("submit", "--no-wait")
    wait_until(lambda: all(project.azure.statuses()[job] == "Completed" for job in project.names), 60)
    shutil.rmtree(project.root / ".amlc")
    project.amlc("refresh")


SHAPES = {
    "plain": {},
    "pack": {"amlc": {"trialsPerJob": 2}},
    "replicates": {"amlc": {"replicates": 2}, "maxTrialNumber": 4},
    "learns": {"tuner": LEARNS, "trialConcurrency": 1},
    "distributed": {"job": MPI},
    "retry": {"retried": True},
    "pack, retry": {"amlc": {"trialsPerJob": 2}, "retried": True},
    "no-wait, refresh": {"refreshed": True},
    "pack, refresh": {"amlc": {"trialsPerJob": 3}, "refreshed": True},
}


def rows(project, *options, code=0):
    return list(csv.DictReader(io.StringIO(project.amlc("collect", *options, code=code).stdout)))


@pytest.fixture(scope="module")
def azure(make_azure):
    return make_azure()


@pytest.mark.parametrize("shape", SHAPES)
def test_each_trial_has_its_data_and_gives_its_model(azure, make_project, wait_until, shape):
    keys = {"maxTrialNumber": 3, "amlc": {}, **SHAPES[shape]}
    job = {
        "inputs": {"data": {"type": "uri_folder", "path": "data"}},
        "outputs": {"model": {"type": "uri_folder"}},
        **keys.pop("job", {}),
    }
    retried, refreshed = keys.pop("retried", False), keys.pop("refreshed", False)
    project = make_project(azure)
    for folder in ("data", "code"):
        (project.root / folder).mkdir()
    (project.root / "data" / "numbers.txt").write_text("0.5")
    if retried:
        (project.root / "code" / "broken").touch()
    project.write(
        script='[ ! -e broken ] || { echo "ValueError: broken" >&2; exit 1; }\n' + TRAIN,
        searchSpace=SPACE,
        trialCommand="sh trial.sh ${{inputs.data}} ${{outputs.model}}",
        **{**keys, "amlc": {"retries": 0, **keys["amlc"], "job": job}},
        experimentName=shape.replace(", ", "-"),
    )
    if refreshed:
        refresh(project, wait_until)
    else:
        (retry if retried else follow)(project)

    found = rows(project, "--cost")
    assert len(found) == keys["maxTrialNumber"]
    assert {row["status"] for row in found} == {"succeeded"}
    assert all(float(row["metric.default"]) == (float(row["param.x"]) - 1) ** 2 + 0.5 for row in found)
    assert all(float(row["node_hours"]) > 0 for row in found)
    best = min(found, key=lambda row: float(row["metric.default"]))
    for row in found:
        folder = f"found-{row['sequence']}"
        done = project.amlc("download", row["sequence"], folder)
        assert (project.root / folder / "model" / "model.txt").read_text().strip() == row["trial"]
        assert (project.root / folder / "nnioutput" / "own.txt").read_text().strip() == row["trial"]
        is_packed = sum(other["job"] == row["job"] for other in found) > 1
        assert ("the trials of its job share" in done.stderr) is is_packed
        plot = (project.root / folder / "plot.txt").read_text().strip()
        assert plot == row["trial"] or is_packed
    same = {row["job"] for row in found if row["metric.default"] == best["metric.default"]}
    assert project.amlc("best", "--job").stdout.strip() in same
    assert project.amlc("download", "--best", "best").stdout == "best\n"
    assert (project.root / "best" / "model" / "model.txt").exists()
