"""How a trial ended, what is written of it, and the exit code that comes of it."""

import json
from types import SimpleNamespace

import pytest

from amlc.runner.amlc_runner_lib.job import Trial
from amlc.runner.amlc_runner_lib.last_words import LastWords, printable
from amlc.runner.amlc_runner_lib.loop import how_it_ended
from amlc.runner.amlc_runner_lib.results import close_trial, exit_code_of, forget_earlier_life, write_missing_results


@pytest.fixture
def trial(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Trial("a", 0, {}, 0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "outputs" / "amlc" / "a" / "result.json"


# --- The end ---------------------------------------------------------------------------------------------------------


def over(trial, *, status=0, asked=None, printed=b""):
    """A process that is over, of which the loop has told its trial."""
    words = LastWords()
    words.feed(printed)
    trial.exit_code = None if status is None else status if status >= 0 else 128 - status
    trial.signal = {-15: "SIGTERM", -9: "SIGKILL"}.get(status)
    return SimpleNamespace(trial=trial, status=status, asked=asked, last_words=words)


ENDS = {
    "well": ({}, None, ("exited", None)),
    "with words": ({"status": 3, "printed": b"why\n"}, None, ("exited", "why")),
    "without words": ({"status": 3}, None, ("exited", "exit code 3")),
    "by a signal": ({"status": -9}, None, ("exited", "killed by SIGKILL")),
    "by a signal, with words": ({"status": -9, "printed": b"w"}, None, ("exited", "killed by SIGKILL; its last words: w")),
    "at its limit": (
        {"status": -15, "asked": "time_limit"}, "SIGTERM", ("time_limit", "stopped at its time limit (maxTrialDuration)"),
    ),
    "told to": ({"asked": "terminated"}, "SIGHUP", ("terminated", "terminated: the runner got SIGHUP")),
    "by the runner's own signal": ({"status": -15}, "SIGTERM", ("terminated", "terminated: the runner got SIGTERM")),
    "by another signal than the runner": ({"status": -9}, "SIGTERM", ("exited", "killed by SIGKILL")),
    "well, while the runner is told to end": ({}, "SIGTERM", ("exited", None)),
    "not at all": ({"status": None}, "SIGTERM", ("lost", "its process does not die")),
}  # fmt: skip


@pytest.mark.parametrize(("process", "stopped_by", "expected"), ENDS.values(), ids=ENDS)
def test_end_of_a_trial(trial, process, stopped_by, expected):
    assert how_it_ended(over(trial, **process), stopped_by) == expected


@pytest.mark.parametrize(("process", "stopped_by", "expected"), ENDS.values(), ids=ENDS)
def test_loss_of_a_metric_counts_before_every_end(trial, process, stopped_by, expected):
    trial.loss = "a metric could not be recorded"
    assert how_it_ended(over(trial, **process), stopped_by) == ("lost", trial.loss)


# --- The record ------------------------------------------------------------------------------------------------------


def test_end_is_settled_once_and_written_whole(trial, path):
    close_trial(trial, "refused", "a\x1b[1m b\n c")
    close_trial(trial, "lost", "too late")
    assert json.loads(path.read_text()) == {
        "trial": "a",
        "end": "refused",
        "exit_code": None,
        "signal": None,
        "started": None,
        "ended": None,
        "intermediate": 0,
        "final": 0,
        "error": "a b c",
    }
    assert trial.is_saved
    assert [file.name for file in path.parent.iterdir()] == ["result.json"]


def test_result_that_cannot_be_written_is_tried_again(trial, path, capfd):
    path.with_name("result.json.part").mkdir(parents=True)
    close_trial(trial, "exited", None)
    assert "cannot write its result.json" in capfd.readouterr().err
    assert not write_missing_results([trial])
    path.with_name("result.json.part").rmdir()
    assert write_missing_results([trial])
    assert json.loads(path.read_text())["end"] == "exited"


def test_earlier_life_is_forgotten(trial, path):
    close_trial(trial, "exited", None)
    path.with_name("metrics.jsonl").touch()
    path.with_name("model").touch()
    forget_earlier_life(trial)
    assert [file.name for file in path.parent.iterdir()] == ["model"]


CODES = {
    "one well": ([("exited", 0)], 0),
    "one failed": ([("exited", 3)], 3),
    "one lost": ([("lost", None)], 1),
    "one lost that ended with 0": ([("lost", 0)], 1),
    "one at its limit": ([("time_limit", 143)], 143),
    "one that ended in order at its limit": ([("time_limit", 0)], 1),
    "several well": ([("exited", 0), ("exited", 0)], 0),
    "several, one failed": ([("exited", 0), ("exited", 3)], 1),
    "several, one refused": ([("refused", None), ("exited", 0)], 1),
}


@pytest.mark.parametrize(("ends", "expected"), CODES.values(), ids=CODES)
def test_exit_code_of_a_job(trial, ends, expected):
    trials = []
    for end, code in ends:
        one = Trial("a", 0, {}, 0)
        one.end, one.exit_code = end, code
        trials.append(one)
    assert exit_code_of(trials) == expected


# --- The last words, of which ends_test.py has more ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a  b\n", "a b"), ("\x1b[31mred\x1b[0m", "red"), ("\x1b]0;t\x07x", "x"), ("a\x00\ud800b", "ab"), ("", "")],
)
def test_printable_text_is_one_line(text, expected):
    assert printable(text) == expected


def test_last_words_are_found_at_the_end_of_very_much():
    words = LastWords()
    for _ in range(100):
        words.feed(b"noise\n" * 10000)
    words.feed(b"ValueError: lr\n\r 10%|# |\r 20%|## |")
    assert words.find() == "ValueError: lr"
