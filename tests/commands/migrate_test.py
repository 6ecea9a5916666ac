"""An experiment of NNI's v1 format in the keys of today."""

import io

import pytest
import yaml

from amlc.commands.migrate import migrate
from amlc.errors import UsageError

V1 = """\
authorName: me
experimentName: old
trialConcurrency: 2
maxTrialNum: 9
trainingServicePlatform: local
searchSpacePath: space.json
useAnnotation: false
tuner: {builtinTunerName: TPE, classArgs: {optimize_mode: maximize}}
trial: {command: python3 mnist.py, codeDir: ., gpuNum: 0}
"""


def migrated(tmp_path, text, *, quiet=False):
    file, out, err = tmp_path / "old.yml", io.StringIO(), io.StringIO()
    file.write_text(text)
    assert migrate(file=file, out=out, err=err, quiet=quiet) == 0
    return yaml.safe_load(out.getvalue()), err.getvalue()


def test_an_old_file_is_printed_in_the_keys_of_today(tmp_path):
    config, said = migrated(tmp_path, V1)
    assert config["tuner"] == {"name": "TPE", "classArgs": {"optimize_mode": "maximize"}}
    assert (config["maxTrialNumber"], config["trialCommand"], config["searchSpaceFile"]) == (
        9,
        "python3 mnist.py",
        "space.json",
    )
    assert all("has no successor and is left out" in line for line in said.splitlines())


def test_quietly_it_only_prints_the_file(tmp_path):
    assert migrated(tmp_path, V1, quiet=True)[1] == ""


@pytest.mark.parametrize("text", ["trialCommand: x\n", "[1]\n"])
def test_there_is_nothing_to_convert_in_a_file_of_today(tmp_path, text):
    with pytest.raises(UsageError, match="not in NNI's v1 format"):
        migrated(tmp_path, text)
