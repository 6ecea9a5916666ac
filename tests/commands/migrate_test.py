"""An experiment of NNI's v1 format, or with annotations, as of today."""

import pytest
import yaml

from amlc.commands.migrate import migrate
from amlc.config import load_experiment
from amlc.errors import ConfigError, UsageError
from amlc.plan import proposed

V1 = """\
# Mine.
authorName: me
experimentName: old
trialConcurrency: 2
maxTrialNum: 9
#choice: local, remote
trainingServicePlatform: local
searchSpacePath: space.json
useAnnotation: false
logDir: /tmp/logs
tuner: {builtinTunerName: Random, classArgs: {optimize_mode: maximize}}
trial:
  command: python3 mnist.py  # the script
  codeDir: .
  gpuNum: 0
"""
ANNOTATED = '''\
def main():
    """@nni.variable(nni.choice(0.1, 0.01), name=lr)"""
    lr = 0.5
    """@nni.report_final_result(lr)"""


"""@nni.get_next_parameter()"""
main()
'''


@pytest.fixture
def old(tmp_path):
    (tmp_path / "space.json").write_text('{"x": {"_type": "uniform", "_value": [0, 1]}}')

    def make(text=V1):
        file = tmp_path / "old.yml"
        file.write_text(text)
        return file

    return make


def outcomes(migrated):
    return {line.key: (line.outcome, line.new) for line in migrated.sheet}


@pytest.mark.parametrize(
    "line", ["amlc: {seed: 3}", "amlc: {constraints: [x > 0]}  # mine"]
)
def test_a_block_on_one_line_stays_on_one_line(old, line):
    assert f"\n{line}\n" in migrate(old(V1 + line + "\n")).text


def test_a_block_on_one_line_within_another_stays_so(old):
    nested = V1.replace("tuner: {builtinTunerName: Random, classArgs: {optimize_mode: maximize}}\n", "")
    nested += "tuner:\n  builtinTunerName: Random\n  classArgs: {optimize_mode: maximize}\n"
    assert "tuner:\n  name: Random\n  classArgs: {optimize_mode: maximize}\n" in migrate(old(nested)).text


def test_lines_end_as_they_did(old):
    file = old()
    file.write_bytes(V1.replace("\n", "\r\n").encode())
    migrate(file).write()
    assert file.read_bytes().count(b"\n") == file.read_bytes().count(b"\r\n") > 10


def test_an_old_file_is_written_in_the_keys_of_today_and_says_what_became_of_each(old):
    migrated = migrate(old())
    assert migrated.text.startswith("# Mine.\nexperimentName: old\n")
    assert "#choice: local, remote\ntrainingService:\n  platform: local\n" in migrated.text
    assert "trialCommand: python3 mnist.py  # the script\n" in migrated.text
    assert outcomes(migrated) == {
        "authorName": ("no effect", ""),
        "experimentName": ("kept", "experimentName"),
        "trialConcurrency": ("kept", "trialConcurrency"),
        "maxTrialNum": ("translated", "maxTrialNumber"),
        "trainingServicePlatform": ("translated", "trainingService.platform"),
        "searchSpacePath": ("translated", "searchSpaceFile"),
        "useAnnotation": ("kept", "useAnnotation"),
        "logDir": ("no effect", "experimentWorkingDirectory"),
        "tuner.builtinTunerName": ("translated", "tuner.name"),
        "tuner.classArgs": ("kept", "tuner.classArgs"),
        "trial.command": ("translated", "trialCommand"),
        "trial.codeDir": ("translated", "trialCodeDirectory"),
        "trial.gpuNum": ("translated", "trialGpuNumber"),
    }
    assert not migrated.comments_lost
    assert str(migrated.sheet[0]).endswith("old.yml:2:1: no effect: authorName (it says nothing about the trials)")


def test_a_migrated_file_compiles_to_the_same_trials(old):
    file = old()
    before, _ = load_experiment(file, environ={})
    migrate(file).write()
    after, found = load_experiment(file, environ={})
    assert "N-legacy" not in {problem.code for problem in found}
    assert list(proposed(before)) == list(proposed(after))
    assert before == after


def test_the_difference_is_that_of_the_file(old, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = migrate(old()).diff.splitlines()
    assert lines[:2] == ["--- a/old.yml", "+++ b/old.yml"]
    assert "-maxTrialNum: 9" in lines
    assert "+maxTrialNumber: 9" in lines
    assert " experimentName: old" in lines


@pytest.mark.parametrize(
    ("storage", "outcome"),
    [
        ("  storageAccountKey: c2VjcmV0\n", ("safer", "${AZURE_STORAGE_KEY}")),
        ("  storageAccountKey: ${OWN}\n", ("kept", "${OWN}")),
    ],
)
def test_a_secret_moves_into_the_environment(old, storage, outcome):
    migrated = migrate(old(f"{V1}sharedStorage:\n  storageType: AzureBlob\n{storage}"))
    assert outcomes(migrated)["sharedStorage.storageAccountKey"][0] == outcome[0]
    assert yaml.safe_load(migrated.text)["sharedStorage"]["storageAccountKey"] == outcome[1]
    assert "c2VjcmV0" not in migrated.text + "".join(map(str, migrated.sheet))


def test_the_passwords_of_machines_are_told_apart(old):
    remote = V1.replace("Platform: local", "Platform: remote")
    machines = "machineList:\n  - {ip: a, username: u, passwd: one}\n  - {ip: b, username: u, passwd: two}\n"
    found = yaml.safe_load(migrate(old(remote + machines)).text)["trainingService"]["machineList"]
    assert [machine["password"] for machine in found] == ["${PASSWORD_0}", "${PASSWORD_1}"]


@pytest.mark.parametrize(("line", "code"), [("multiPhase: true", "E-multi-phase"), ("maxTrials: 3", "E-unknown-key")])
def test_what_has_no_place_today_is_refused(old, line, code):
    with pytest.raises(ConfigError, match=code):
        migrate(old(f"{V1}{line}\n"))


@pytest.mark.parametrize(
    "text", ["trialCommand: x\n", "[1]\n", "useAnnotation: false\n", "trainingService: {platform: local}\n"]
)
def test_there_is_nothing_to_convert_in_a_file_of_today(old, text):
    with pytest.raises(UsageError, match="not in NNI's v1 format"):
        migrate(old(text))


TODAY = "trialCommand: python3 a.py\ntrial_code_directory: code\nuse_annotation: true # old\n"


@pytest.mark.parametrize(
    "text", [V1.replace("n: false", "n: true").replace("searchSpacePath: space.json\n", ""), TODAY]
)
def test_annotations_become_a_search_space(old, tmp_path, text):
    code = tmp_path / ("code" if text == TODAY else ".")
    code.mkdir(exist_ok=True)
    (code / "mnist.py").write_text(ANNOTATED)
    (code / ".hidden").mkdir()
    (code / ".hidden" / "other.py").write_text(ANNOTATED)
    (tmp_path / "search_space.json").write_text("{}")
    file = old(text)
    migrated = migrate(file)
    names = [path.relative_to(tmp_path).as_posix() for path in migrated.texts]
    assert names == ["old.yml", "old_search_space.json", "code/mnist.py" if text == TODAY else "mnist.py"]
    assert file.read_text() == text
    migrated.write()
    config = yaml.safe_load(file.read_text())
    assert config["searchSpaceFile"] == "old_search_space.json"
    assert not {"useAnnotation", "use_annotation"} & config.keys()
    assert yaml.safe_load((tmp_path / "old_search_space.json").read_text()) == {
        "lr": {"_type": "choice", "_value": [0.1, 0.01]}
    }
    assert ".get('lr', 0.5)" in (code / "mnist.py").read_text()
    assert (tmp_path / "search_space.json").read_text() == "{}"
    with pytest.raises(UsageError):
        migrate(file)


def test_annotations_that_are_not_there_are_said(old):
    with pytest.raises(ConfigError, match=r"old.yml:3:17 /use_annotation: no file in 'code' has an annotation"):
        migrate(old(TODAY))


def test_a_link_is_followed_and_a_script_stays_a_program(old, tmp_path):
    script, linked = tmp_path / "mnist.py", tmp_path / "link.yml"
    script.write_text(ANNOTATED)
    script.chmod(0o700)
    file = old(V1.replace("useAnnotation: false", "useAnnotation: true").replace("searchSpacePath: space.json\n", ""))
    linked.symlink_to(file.name)
    migrate(linked).write()
    assert linked.is_symlink()
    assert "maxTrialNumber: 9" in file.read_text()
    assert "nni.get_next_parameter()\n" in script.read_text()
    assert script.stat().st_mode & 0o777 == 0o700
