"""How inputs and outputs get into a trial's command: so that the shell sees them as they are, wherever they stand."""

import os
import subprocess

import pytest

from amlc.runner.amlc_runner_lib.bindings import bound, named_in
from amlc.runner.amlc_runner_lib.job import InputError, read_job

NASTY = ["/plain/path", "/a b", "it's", 'say "hi"', "$HOME `id` \\ $(id)", "#no", "a\nb", "é", "*", "-n;exit 3", "\\'\""]
PLACES = [
    "show ${{inputs.x}}",
    'show "${{ inputs.x }}"',
    "show '${{inputs.x}}'",
    "show \"it's\" >/dev/null; show ${{inputs.x}}",
    "true it\\'s; show ${{inputs.x}}",
    "true # it's a remark\nshow ${{inputs.x}}",
    'echo "a#b \\" c" >/dev/null; show "${{inputs.x}}"',
]


def shell(command):
    program = b'show() { printf %s "$1"; }\n' + command
    return subprocess.run(["/bin/sh", "-c", program], capture_output=True, check=True).stdout


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("value", NASTY)
def test_a_value_arrives_as_it_is(place, value):
    filled = bound(place.encode(), {b"AMLC_INPUT_x": value.encode()}, "t1", is_alone=True)
    assert shell(filled) == value.encode()


def test_a_plain_path_is_written_plainly():
    command, environ = b"train --data ${{inputs.x}}/sub", {b"AMLC_INPUT_x": b"/mnt/x"}
    assert bound(command, environ, "t1", is_alone=True) == b"train --data /mnt/x/sub"


@pytest.mark.parametrize("command", [b"echo $HOME ${x} ${{parent.x}} ${{inputs}} ${{inputs. }} ${{ }}", b"${{inputs.x"])
def test_what_is_no_input_is_left_alone(command):
    assert list(named_in(command)) == []
    assert bound(command, {}, "t1", is_alone=True) == command


def test_an_output_is_found_from_everywhere_and_is_each_trials_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command, environ = b"${{outputs.m}}", {b"AMLC_OUTPUT_m": b"outputs/m"}
    assert bound(command, environ, "t1", is_alone=True) == os.fsencode(tmp_path / "outputs/m")
    assert bound(command, environ, "t1", is_alone=False) == os.fsencode(tmp_path / "outputs/m/t1")
    assert (tmp_path / "outputs/m/t1").is_dir()
    address = {b"AMLC_OUTPUT_m": b"azureml://datastores/d/paths/p"}
    assert bound(command, address, "t1", is_alone=False) == b"azureml://datastores/d/paths/p"


@pytest.mark.parametrize("environ", [{}, {b"AMLC_INPUT_x": b""}])
def test_an_input_that_is_not_there_is_said(environ):
    given = {b"AMLC_EXPERIMENT": b'"e"', b"AMLC_COMMAND": b'"train ${{inputs.x}}"', **environ}
    with pytest.raises(InputError, match=r"names \$\{\{inputs.x\}\}, and the variable AMLC_INPUT_x is not set"):
        read_job(given, [])
