"""The results as NNI's own export has them; the comparison with NNI itself is in compatibility/nni_experiment_test."""

import csv
import io
import json

import pytest

from amlc.nni_export import WRITERS

FIRST = {"parameter": {"x": 1, "layer": {"_name": "a"}}, "value": "0.5", "trialJobId": "54b028199966cc13"}
SECOND = {"parameter": {"x": 2, "layer": {"_name": "b"}}, "value": '{"default": 1, "é": [2]}', "trialJobId": "94ecda0f5abec573"}


def written(kind, rows):
    out = io.BytesIO()
    WRITERS[kind](iter(rows), out)
    return out.getvalue().decode()


@pytest.mark.parametrize("rows", [[], [FIRST], [FIRST, SECOND]])
def test_the_json_is_one_array_as_python_writes_it(rows):
    assert written("nni-json", rows) == json.dumps(rows)


def test_the_csv_has_a_column_for_each_parameter_and_each_result():
    rows = list(csv.DictReader(io.StringIO(written("nni-csv", [FIRST, {**SECOND, "intermediate": ["0.1", "2"]}]))))
    assert [row["reward"] for row in rows] == ["0.5", ""]
    assert [(row["x"], row["layer"], row["trialJobId"]) for row in rows] == [
        ("1", "{'_name': 'a'}", "54b028199966cc13"),
        ("2", "{'_name': 'b'}", "94ecda0f5abec573"),
    ]
    assert (rows[1]["default"], rows[1]["é"], rows[1]["intermediate"]) == ("1", "[2]", "[0.1,2]")


def test_only_what_succeeded_with_a_result_is_exported(project):
    script = "intermediate 0.5\n[ $NNI_TRIAL_SEQ_ID != 1 ] || { final 2; exit 3; }\n[ $NNI_TRIAL_SEQ_ID != 2 ] || exit 0"
    project.write(script, values=range(3))
    project.amlc("run", "experiment.yml", code=1)
    out = project.amlc("collect", "--as", "nni-json", "--history", code=4).stdout
    (one,) = json.loads(out)
    assert one == {
        "parameter": {"x": 0},
        "value": "1.5",
        "trialJobId": project.trials[0],
        "intermediate": ["0.5", "1.5"],
    }
    assert "NNI aggregates nothing" in project.amlc("collect", "--as", "nni-csv", "--aggregate", "mean", code=2).stderr
