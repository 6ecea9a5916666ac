"""Data in, models out: what a trial command names as inputs and outputs of its job."""

import csv
import io

import pytest

TRAIN = """cat "$1/numbers.txt"; echo "$3"
echo "weights of $x" > "$2/model.txt"
echo plot > outputs/plot.txt
final "$(cat "$1/numbers.txt")"
"""


def bound(path="data", **more):
    return {
        "trialCommand": 'sh trial.sh ${{inputs.data}} "${{outputs.model}}" ${{inputs.epochs}}',
        "amlc": {
            "job": {
                "inputs": {"data": {"type": "uri_folder", "path": path}, "epochs": 3},
                "outputs": {"model": {"type": "uri_folder"}},
            },
            **more,
        },
    }


@pytest.fixture
def project(make_azure, make_project):
    found = make_project(make_azure(), "it's a project")
    (found.root / "data").mkdir(parents=True)
    (found.root / "data" / "numbers.txt").write_text("0.75")
    return found


def results(project):
    return [row["metric.default"] for row in csv.DictReader(io.StringIO(project.collect()))]


def test_a_local_folder_is_uploaded_once_and_named_by_the_command(project):
    project.write(values=range(3), script=TRAIN, **bound())
    project.amlc("submit")
    assert results(project) == ["0.75"] * 3
    uploads = [blob for blob in project.azure.uploads if blob.endswith("numbers.txt")]
    assert len(uploads) == 1
    assert len(project.azure.jobs) == 3
    uris = {job.properties["inputs"]["data"]["uri"] for job in project.azure.jobs}
    assert len(uris) == 1
    assert all("3\n" in project.azure.log_of(job.name) for job in project.azure.jobs)


def test_the_same_file_runs_on_this_machine(project):
    project.write(values=range(2), script=TRAIN, **bound())
    project.amlc("run", "experiment.yml", "--backend", "local")
    assert results(project) == ["0.75"] * 2
    assert len(list(project.root.glob(".amlc/probe/runs/*/outputs/model/model.txt"))) == 2


def test_data_on_azure_has_a_stand_in_on_this_machine(project):
    project.write(values=range(1), script=TRAIN, **bound("azureml:mnist:1"))
    project.amlc("compile", "experiment.yml", "--backend", "local")
    done = project.amlc("submit", code=5)
    assert "Set the variable AMLC_INPUT_data to the place of a copy on this machine." in done.stderr
    project.amlc("submit", env={"AMLC_INPUT_data": "data"})
    assert results(project) == ["0.75"]


def test_outputs_are_fetched_and_the_job_of_the_best_is_named(project):
    project.write(values=range(2), script=TRAIN + 'echo "$x" > outputs/it', **bound())
    project.amlc("submit")
    project.azure.forget_calls()
    done = project.amlc("download", "--best", "found")
    assert done.stdout == "found\n"
    files = {path.relative_to(project.root / "found").as_posix() for path in (project.root / "found").rglob("*")}
    assert files >= {"model/model.txt", "plot.txt"}
    assert (project.root / "found" / "model" / "model.txt").read_text() == "weights of \n"
    job = project.amlc("best", "--job")
    assert job.stdout.strip() in {one.name for one in project.azure.jobs}
    assert "https://ml.azure.com/" in job.stderr
    (project.root / "found" / "plot.txt").unlink()
    project.amlc("download", "--best", "found")
    assert (project.root / "found" / "plot.txt").read_text() == "plot\n"


def test_outputs_are_fetched_where_storage_has_no_keys(make_azure, make_project):
    azure = make_azure()
    azure.use_identity()
    project = make_project(azure, "keyless")
    (project.root / "data").mkdir()
    (project.root / "data" / "numbers.txt").write_text("0.5")
    job = {**bound()["amlc"]["job"], "inputs": {"data": {"type": "uri_folder", "path": "azureml://datastores/workspaceblobstore/paths/d"}, "epochs": 1}}
    azure.storage.put(azure.datastores["workspaceblobstore"]["containerName"], "d/numbers.txt", b"0.5")
    project.write(values=range(1), script=TRAIN, **{**bound(), "amlc": {"job": job}})
    project.amlc("submit")
    assert results(project) == ["0.5"]
    project.amlc("download", "0", "found")
    assert (project.root / "found" / "model" / "model.txt").exists()
