"""What is said about a v1 file is said in the words of that file."""

import pytest

from amlc.config import load_experiment
from amlc.config.legacy.remarks import corrected, in_words_of_v1
from amlc.errors import AmlcError, ConfigError, Severity
from amlc.model import Document


def test_other_files_are_spoken_of_in_today_s_words(tmp_path) -> None:
    today = Document(tmp_path / "e.yml", {}, {}, {})
    problem = today.problem((), "E-required", "the experiment needs 'trialCommand'.")
    assert in_words_of_v1(problem, today) is problem


def test_messages_speak_the_language_of_the_file(tmp_path) -> None:
    file = tmp_path / "v1.yml"
    file.write_text("trainingServicePlatform: aml\ntrial: {gpuNum: -1}\ntrialConcurrency: 1\n", encoding="utf-8")
    with pytest.raises(AmlcError) as found:
        load_experiment(file, environ={})
    text = str(found.value)
    assert "v1.yml:2:17 /trial/gpuNum: 'trial.gpuNum' must be at least 0, got -1. For example `gpuNum: 1`." in text
    assert "the experiment needs 'trial.command'. For example `command: python3 mnist.py`." in text
    assert "trainingService'" not in text


V1 = """
trialConcurrency: 1
trainingServicePlatform: local
searchSpacePath: space.json
tuner: {builtinTunerName: TPE}
trial: {command: "true", codeDir: .}
"""


@pytest.mark.parametrize(
    ("name", "misspelled"),
    [
        ("trainingServicePlatform", "trainingServicePlatfrm"),
        ("searchSpacePath", "searchSpacePat"),
        ("tuner:", "tunr:"),
        ("builtinTunerName", "builtInTunerName"),
        ("trial:", "trail:"),
        ("command", "comand"),
    ],
)
def test_one_misspelled_key_is_one_finding(tmp_path, name, misspelled) -> None:
    (tmp_path / "space.json").write_text('{"x": {"_type": "choice", "_value": [1, 2]}}')
    file = tmp_path / "v1.yml"
    file.write_text(V1.replace(name, misspelled), encoding="utf-8")
    with pytest.raises(ConfigError) as found:
        load_experiment(file, environ={})
    (problem,) = [problem for problem in found.value.problems if problem.severity is Severity.ERROR]
    assert (problem.code, problem.hint) == ("E-unknown-key", f"Did you mean '{name.removesuffix(':')}'?")


def test_what_is_near_no_key_stays_as_it_is() -> None:
    data = {"trial": {"comand": "x", "image": "y"}, "trails": 1, "zzzzzz": 2, "searchSpacePat": "s"}
    assert corrected(data) == {"trial": {"command": "x", "image": "y"}, "trails": 1, "zzzzzz": 2, "searchSpacePath": "s"}
