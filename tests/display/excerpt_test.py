"""The line of a problem with a caret below, and never one that may hold a secret."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from amlc.config import load_experiment
from amlc.display.excerpt import excerpt
from amlc.errors import ConfigError, Position, Problem


def shown(tmp_path: Path, text: str, line: int, column: int, *, path: str = "", name: str = "a.yml", code: str = "E-x"):
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    problem = Problem(position=Position(file, line, column), code=code, message="it is wrong", path=path)
    return excerpt(problem)


@pytest.mark.parametrize(
    ("line", "column", "text", "before"),
    [
        ("lr: 3", 5, "lr: 3", 4),
        ("lr: 3", 1, "lr: 3", 0),
        ("lr: 3", 99, "lr: 3", 5),
        ("\tlr: 3", 6, "    lr: 3", 8),
        ("a\tlr: 3", 7, "a   lr: 3", 8),
        ("名前: 3", 5, "名前: 3", 6),
        ("e\u0301a: 3", 5, "e\u0301a: 3", 3),
        ("a\x1bb: 3", 4, "a\\x1bb: 3", 6),
    ],
)
def test_the_caret_stands_below_the_character(tmp_path, line, column, text, before):
    assert shown(tmp_path, f"first: 1\n{line}\nlast: 1\n", 2, column) == (text, " " * before)


@pytest.mark.parametrize("column", [1, 30, 100, 250, 290, 300])
def test_a_long_line_is_cut_around_the_column(tmp_path, column):
    line = "".join(chr(ord("a") + number % 26) for number in range(300))
    text, before = shown(tmp_path, line, 1, column)
    assert len(text) <= 78
    assert text[len(before)] == line[column - 1]
    assert text.startswith("…") == (column > 40)
    assert text.endswith("…") == (column < 260)


def test_a_long_line_of_wide_characters_is_cut_by_what_a_terminal_shows(tmp_path):
    text, before = shown(tmp_path, "x" + "界" * 200 + "!", 1, 101)
    assert len(text) <= 41
    assert 30 <= len(before) <= 42


SECRET = "hunter2-hunter2"
AML = f"""\
trialCommand: python3 trial.py
amlc:
  job:
    environment_variables: {{A: {SECRET},
      B: 3}}
    x: 1
sharedStorage:
  storageAccountKey: |
    first
    {SECRET}
  other: 5
tuner: {{name: TPE}}  # not {SECRET}
"""


@pytest.mark.parametrize("line", range(1, 13))
def test_no_line_that_may_hold_a_secret_is_shown(tmp_path, line):
    found = shown(tmp_path, AML, line, 1)
    assert (found is None) == (line in {4, 5, 8, 9, 10, 12})
    assert SECRET not in str(found)


@pytest.mark.parametrize(
    "text",
    [
        f"trialCommand: WANDB_API={SECRET} python3 x.py\n",
        f"storage_account_key: {SECRET}\n",
        f'"storageAccountK\\x65y": {SECRET}\n',
        f"a: https://me:{SECRET}@host/\n",
        f"x: 'sig={SECRET}'\n",
        f"password: [\n {SECRET},\n",
        f"passphrase: {{a: {SECRET}\n",
        f"token:\n  {SECRET}: [\n",
    ],
)
def test_what_only_looks_like_a_secret_is_not_shown_either(tmp_path, text):
    for line in range(1, text.count("\n") + 1):
        assert SECRET not in str(shown(tmp_path, text, line, 1))


def test_nothing_is_shown_of_what_is_no_plain_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "nowhere", "."):
        problem = Problem(position=Position(tmp_path / name, 1, 1), code="E-x", message="it is wrong")
        assert excerpt(problem) is None
    assert shown(tmp_path, "a: 1\n", 0, 0) is None
    assert shown(tmp_path, "a: 1\n", 9, 1) is None
    assert shown(tmp_path, "a: 1\n \n", 2, 1) is None
    assert shown(tmp_path, "a: 1\n" * 300_000, 2, 1) is None


def test_nothing_is_shown_of_a_link_that_untrusted_does_not_follow(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "private.yml").write_text("a: 1\n")
    link = tmp_path / "inner" / "experiment.yml"
    link.symlink_to("../private.yml")
    with pytest.raises(ConfigError) as refused:
        load_experiment(link, environ={}, untrusted=True)
    assert [excerpt(problem) for problem in refused.value.problems] == [None]


def test_a_file_that_changed_is_read_anew(tmp_path):
    assert shown(tmp_path, "a: 1\n", 1, 1) == ("a: 1", "")
    os.remove(tmp_path / "a.yml")
    assert shown(tmp_path, "b: 22\n", 1, 1) == ("b: 22", "")


INVALID = Path(__file__).parents[1] / "invalid"


@pytest.mark.parametrize("case", sorted(INVALID.glob("*.yml")), ids=lambda case: case.stem)
def test_every_recorded_problem_has_its_place_or_none(case, monkeypatch):
    monkeypatch.chdir(INVALID)
    try:
        _, problems = load_experiment(Path(case.name), environ={})
    except ConfigError as error:
        problems = error.problems
    for problem in problems:
        found = excerpt(problem)
        if found is not None:
            line, before = found
            assert line.isprintable()
            assert before.strip() == ""
            assert len(line) <= 78
            assert len(before) <= 80
