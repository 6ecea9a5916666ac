"""An experiment of NNI's v1 format in the keys of today."""

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


def migrated(tmp_path, text):
    file = tmp_path / "old.yml"
    file.write_text(text)
    found = migrate(file)
    return yaml.safe_load(found.text), found.dropped


def test_an_old_file_is_printed_in_the_keys_of_today(tmp_path):
    config, dropped = migrated(tmp_path, V1)
    assert config["tuner"] == {"name": "TPE", "classArgs": {"optimize_mode": "maximize"}}
    assert (config["maxTrialNumber"], config["trialCommand"], config["searchSpaceFile"]) == (
        9,
        "python3 mnist.py",
        "space.json",
    )
    assert dropped == ["authorName"]


@pytest.mark.parametrize(
    ("options", "said"), [((), "old.yml: 'authorName' has no successor and is left out.\n"), (("-q",), "")]
)
def test_what_has_no_successor_is_said_unless_quiet(project, options, said):
    (project.root / "old.yml").write_text(V1)
    done = project.amlc("migrate", "old.yml", *options)
    assert done.stderr == said
    assert yaml.safe_load(done.stdout)["maxTrialNumber"] == 9


@pytest.mark.parametrize("text", ["trialCommand: x\n", "[1]\n"])
def test_there_is_nothing_to_convert_in_a_file_of_today(tmp_path, text):
    with pytest.raises(UsageError, match="not in NNI's v1 format"):
        migrated(tmp_path, text)
