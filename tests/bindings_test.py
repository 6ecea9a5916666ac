"""The inputs and outputs of a job, and which of them are files of this machine."""

import pytest

from amlc.bindings import bound, data, is_local, literal, local_paths, variable, with_paths


def test_a_command_names_each_once_and_in_order():
    command = "a ${{inputs.b}} ${{ outputs.c_1 }} '${{inputs.b}}' ${{parent.d}} ${{inputs.}} ${inputs.e} ${{outputs.b}}"
    assert bound(command) == (("inputs", "b"), ("outputs", "c_1"), ("outputs", "b"))
    assert [variable(*each) for each in bound(command)] == ["AMLC_INPUT_b", "AMLC_OUTPUT_c_1", "AMLC_OUTPUT_b"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (0, "0"),
        (True, "True"),
        ("a b", "a b"),
        (None, None),
        ({"type": "integer", "value": 3}, "3"),
        ({"type": "integer", "default": 4}, "4"),
        ({"type": "uri_file", "path": "x"}, None),
        ({}, None),
    ],
)
def test_a_value_is_told_from_data(value, text):
    assert literal(value) == text


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("data", True),
        ("./a b/c", True),
        ("/abs", True),
        ("~/x", True),
        ("azureml:d:1", False),
        ("azureml://datastores/d/paths/p", False),
        ("https://host/x", False),
        ("wasbs://c@a/x", False),
        ("a/${{name}}", False),
        ("", False),
    ],
)
def test_a_path_is_local_or_elsewhere(path, expected):
    assert is_local(path) is expected


def test_all_paths_of_a_job_are_found_and_changed():
    job = {
        "inputs": {"a": {"path": "x"}, "b": {"path": "azureml:b:1"}, "c": 3, "d": {"path": "y"}},
        "environment": {"conda_file": "env.yml", "build": {"path": "image", "dockerfile_path": "Dockerfile"}},
        "outputs": {"o": {"path": "z"}},
    }
    assert [path for _, path in local_paths(job)] == ["x", "y", "env.yml", "image"]
    changed = with_paths(job, str.upper)
    assert [path for _, path in local_paths(changed)] == ["X", "Y", "ENV.YML", "IMAGE"]
    assert changed["environment"]["build"]["dockerfile_path"] == "Dockerfile"
    assert job["inputs"]["a"]["path"] == "x"
    assert list(local_paths({"inputs": [1], "environment": "azureml:e:1"})) == []


def test_an_input_is_its_place_and_type_or_its_value():
    inputs = {
        "b": {"type": "uri_file", "path": "azureml:d:1", "mode": "download"},
        "a": {"path": "data"},
        "n": 3,
        "v": {"type": "integer", "value": 3},
        "gone": None,
    }
    found = data({"inputs": inputs})
    assert found == {"a": "data (uri_folder)", "b": "azureml:d:1 (uri_file)", "n": "3", "v": "3"}
    assert list(found) == sorted(found)


@pytest.mark.parametrize("job", [{}, {"inputs": None}, {"inputs": {}}, {"inputs": "a typo"}])
def test_a_job_may_have_no_inputs(job):
    assert data(job) == {}
