"""How trials stand, for people and as data."""

import json

import pytest

from amlc.commands.status import Chosen, status
from amlc.display.status import screen, show_table
from amlc.model import Status
from tests.commands.conftest import Story


def printed(story, format_="text", *, chosen=Chosen.FIRST):
    before = len(story.raw.getvalue())
    if format_ == "text":
        with screen(story.console(), again=False) as show:
            show(status(story.manifest, folders=story.folders, chosen=chosen), story.manifest, story.folders)
    else:
        show_table(story.manifest, story.console(), story.folders, format_, chosen)
    assert not story.raw.closed
    return story.raw.getvalue()[before:].decode()


@pytest.fixture
def shown(story, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")

    def run(format_="text", *, chosen=Chosen.FIRST):
        return printed(story, format_, chosen=chosen)

    return run


def test_each_trial_is_a_line_with_its_result_or_why_there_is_none(story, shown):
    story.end(0, final={"default": 0.123456789, "n": 3, "word": "x"}, started=10.0, ended=12.5)
    story.end(1, Status.FAILED, error="KeyError: lr")
    story.end(2, Status.FAILED, error="Gone.", infrastructure=True, started=100.0, ended=159.94)
    first, header, *rows = shown().splitlines()
    assert first.startswith("probe: 1 of 4 trials done")
    assert header.split() == ["#", "trial", "status", "try", "time", "result,", "or", "why", "there", "is", "none"]
    ids = [entry.id for entry in story.entries]
    assert rows[0].split() == ["0", ids[0], "succeeded", "1", "2.5", "s", "default=0.123457", "n=3", "word=x"]
    assert rows[1].split() == ["1", ids[1], "failed", "1", "KeyError:", "lr"]
    assert rows[2].split() == ["2", ids[2], "unfinished", "1", "59.9", "s", "Gone."]
    assert rows[3].split() == ["3", ids[3], "pending"]
    assert any("KeyError: lr" in line and "1" in line for line in rows[4:])


def test_what_a_trial_reports_is_one_line_and_in_the_form_of_tables(story, shown):
    story.end(0, final={"default": "a\nb\x1b[2J", "\r": 1})
    story.end(1, final={"default": None, "t": True, "m": {"b": 1}, "l": [1, "é\n"], "n": float("nan")})
    story.end(2, Status.FAILED, error="one\ntwo")
    rows = shown().splitlines()[2:6]
    assert [row.split()[0] for row in rows] == ["0", "1", "2", "3"]
    assert rows[0].rstrip().endswith(r" default=a\nb\x1b[2J \r=1")
    assert rows[1].rstrip().endswith(r' default=null t=true m={"b": 1} l=[1, "é\n"] n=nan')
    assert rows[2].rstrip().endswith(r" one\ntwo")


def test_what_a_trial_reported_stands_apart_from_why_it_ended(story, shown):
    story.end(0, Status.FAILED, final={"default": 5, "n": 3}, error="stopped at its time limit")
    assert shown().splitlines()[2].rstrip().endswith(" default=5 n=3; stopped at its time limit")


def test_times_are_read_at_a_glance(story, shown):
    for number, seconds in enumerate((59.9, 60.0, 3_723.4, 90_000.0)):
        story.end(number, final=1.0, started=1.0, ended=1.0 + seconds)
    text = shown()
    assert all(f" {time} " in text for time in ("59.9 s", "0:01:00", "1:02:03", "25:00:00"))


def test_a_long_remark_does_not_squeeze_the_other_columns(story, shown, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    story.end(0, Status.FAILED, error="x" * 500)
    (row,) = [line for line in shown().splitlines() if story.entries[0].id in line]
    assert row.endswith("…")
    assert "failed" in row


@pytest.mark.parametrize("everything", [False, True])
def test_at_most_forty_rows_are_shown_unless_all_are_wanted(make_project, everything):
    project = make_project("many").write(values=range(43)).compile()
    text = printed(Story(project), chosen=Chosen.ALL if everything else Chosen.FIRST)
    assert text.count("pending") - ("pending" in text.splitlines()[0]) == (43 if everything else 40)
    assert ("… and 3 more: amlc status --all" in text) is not everything


def test_of_the_failed_each_is_shown_and_nothing_else(story, shown):
    story.end(0, final=1.0)
    story.end(1, Status.FAILED, error="KeyError: lr")
    story.end(2, Status.FAILED, error="Gone.", infrastructure=True)
    lines = shown(chosen=Chosen.FAILED).splitlines()
    assert [line.split()[2] for line in lines[2:4]] == ["failed", "unfinished"]
    assert "more: amlc status --all" not in "".join(lines)
    rows = [json.loads(line) for line in shown("jsonl", chosen=Chosen.FAILED).splitlines()]
    assert [row["status"] for row in rows] == ["failed", "unfinished"]


def test_again_it_is_shown_only_when_something_changed(story, monkeypatch):
    with screen(story.console(), again=True) as show:
        for number in (0, 0, 1):
            if number:
                story.end(0, final=1.0)
            show(status(story.manifest, folders=story.folders), story.manifest, story.folders)
    assert story.raw.getvalue().decode().count("probe: ") == 2


def test_as_data_it_has_what_is_known_of_trials_without_their_values(story, shown):
    story.end(0, final=1.0)
    rows = [json.loads(line) for line in shown("jsonl").splitlines()]
    assert [row["status"] for row in rows] == ["succeeded", "pending", "pending", "pending"]
    assert not [name for row in rows for name in row if name.startswith(("param.", "metric."))]
    assert rows[0].keys() >= {"sequence", "trial", "job", "revision"}
