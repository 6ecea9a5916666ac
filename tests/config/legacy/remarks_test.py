"""What is said about a v1 file is said in the words of that file."""

import pytest

from amlc.config import load_experiment
from amlc.config.legacy.remarks import in_words_of_v1
from amlc.errors import AmlcError
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
