"""What `amlc init` asks on a terminal, in a real one."""

import os
import pty

import pytest
import yaml

from amlc.cli import questions

SCRIPT = "import nni\nnni.report_final_result(nni.get_next_parameter()['lr'])\n"


def read(terminal, **at_end):
    """Read what stands on a terminal next; nobody is there any more when that fails."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        if at_end:
            return at_end["at_end"]
        raise


def talk(project, answers):
    """Run `amlc init` on a terminal and type the answers; return what stood on it."""
    ours, theirs = pty.openpty()
    with project.start("init", stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        for number, answer in enumerate(answers, start=1):
            while shown.count(b"]: ") < number:
                shown += read(ours)
            os.write(ours, answer.encode())
        while piece := read(ours, at_end=b""):
            shown += piece
        process.wait(60)
    os.close(ours)
    assert process.returncode == 0, shown
    return shown.decode()


def answered(project):
    return yaml.safe_load((project.root / "experiment.yml").read_text(encoding="utf-8"))


def test_answers_become_the_experiment(project):
    project.root.joinpath("mine.py").write_text(SCRIPT, encoding="utf-8")
    shown = talk(project, ["mine.py\n", "deep\n", "n\n", "12\n", "3\n", "aml\n"])
    assert "The trial script [mine.py]: " in shown
    config = answered(project)
    assert (config["experimentName"], config["maxTrialNumber"], config["trialConcurrency"]) == ("deep", 12, 3)
    assert config["tuner"]["classArgs"] == {"optimize_mode": "minimize"}
    assert config["trainingService"]["platform"] == "aml"
    assert list(config["searchSpace"]) == ["lr"]


def test_who_presses_enter_gets_the_example(project):
    talk(project, ["\n"] * 6)
    config = answered(project)
    assert (config["experimentName"], config["trialCommand"]) == ("first", "python3 trial.py")
    assert project.root.joinpath("trial.py").is_file()


@pytest.mark.parametrize("script", ["none.py", "an example"])
def test_a_script_that_is_not_there_is_asked_for_again(project, monkeypatch, script):
    said = iter([script, "an example"])
    monkeypatch.setattr(questions.click, "prompt", lambda text, default, **_: next(said, default) if "script" in text else default)
    monkeypatch.setattr(questions.click, "confirm", lambda *_, **__: True)
    source, _ = questions.ask(project.root)
    assert source is None
