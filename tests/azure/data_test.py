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
