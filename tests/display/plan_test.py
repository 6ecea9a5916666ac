"""What submit would do, and why, before anything is paid for."""

import json

import pytest

from amlc.commands.options import Options
from amlc.commands.plan import plan
from amlc.commands.against import Against
from amlc.display.plan import markdown, show, show_against
from amlc.events import Event
from amlc.model import Status
from tests.commands.conftest import Story


def planned(story, **options):
    found = plan(story.manifest, Options(**options), folders=story.folders)
    show(found, story.console(), story.folders)
    return story.lines()[0]


def test_before_the_first_submit_everything_is_due(story):
    lines = planned(story)
    assert lines[0].startswith("probe: 0 of 4 trials done")
    assert lines[1] == "4 to submit (new):"
    assert lines[2] == f"  {story.entries[0].file}  attempt 1"
    assert len(lines) == 6


def test_what_is_done_is_not_due(story):
    for number in range(4):
        story.end(number, final=1.0)
    assert planned(story) == ["probe: 4 of 4 trials done", "nothing to submit"]


def test_what_is_at_work_is_not_due(story):
    for number in range(4):
        story.intent(number)
    assert planned(story)[-1] == "nothing to submit"


@pytest.mark.parametrize(
    ("status", "fields", "retry", "due"),
    [
        (Status.FAILED, {}, (), None),
        (Status.FAILED, {}, (Status.FAILED,), "1 to submit (failed):"),
        (Status.FAILED, {"infrastructure": True}, (), "1 to submit (lost):"),
        (Status.CANCELED, {}, (), None),
        (Status.CANCELED, {}, (Status.CANCELED,), "1 to submit (canceled):"),
        (Status.EARLY_STOPPED, {}, (Status.FAILED,), None),
    ],
    ids=str,
)
def test_each_reason_has_its_trials(story, status, fields, retry, due):
    story.end(0, status, error="it broke", **fields)
    for number in (1, 2, 3):
        story.end(number, final=1.0)
    lines = planned(story, retry=frozenset(retry))
    wanted = [line for line in lines if "to submit (" in line]
    assert len(wanted) == (due is not None), lines
    if due:
        assert f"  {story.entries[0].file}  attempt 2" in lines


def test_what_was_done_at_another_revision_is_counted(story):
    story.end(0, final=1.0, revision="b" * 64)
    story.end(1, final=1.0, revision="b" * 64)
    story.intent(2, revision="c" * 64)
    (line,) = [line for line in planned(story) if "ended at revision" in line]
    current = story.project.manifest.header.revision[:6]
    assert line == f"2 ended at revision bbbbbb, current {current} (--retry changed runs them again)"


def test_that_trials_on_record_stand_beside_those_that_the_file_makes_is_said(story):
    story.end(0, final=1.0)
    story.end(1, final=1.0)
    with pytest.warns(RuntimeWarning, match="outside of the search space"):
        story.project.write(values=range(3, 6), maxTrialNumber=3).compile()
    lines = planned(story)
    assert lines[0].startswith("probe: 2 of 5 trials done")
    assert lines[1].startswith("maxTrialNumber, 3, counts the trials that the file makes now; those on record that")
    assert lines[2] == "3 to submit (new):"


def test_what_became_different_since_then_is_named_where_it_is_known(story):
    contents = json.loads((story.project.manifest.folder / "revision.json").read_text())
    contents["files"] = {name: "0" * 64 if name == "trial.sh" else digest for name, digest in contents["files"].items()}
    with story.project.ledger() as ledger:
        ledger.append([Event(kind="revision", at=1.0, data={"revision": "b" * 64, "contents": contents})])
    story.end(0, final=1.0, revision="b" * 64)
    (line,) = [line for line in planned(story) if "ended at revision" in line]
    assert ": changed: trial.sh (--retry" in line


def test_at_most_twenty_jobs_of_a_reason_are_listed(make_project):
    story = Story(make_project().write(values=range(23)).compile())
    lines = planned(story)
    assert lines[1] == "23 to submit (new):"
    assert lines[-1] == "  … and 3 more"
    assert len(lines) == 23


def test_of_a_pack_the_trials_are_counted(make_project):
    story = Story(make_project().write(amlc={"trialsPerJob": 2}).compile())
    assert planned(story)[1] == "4 to submit in 2 jobs (new):"


def difference(**changes):
    values = {
        "revision": "main", "commit": "ab" * 20, "added": {4: {"x": "a|b", "y": 1}}, "removed": {}, "kept": 3, "with_results": 2,
        "changes": ["changed: trial.sh"], "more_hours": 1.5, "is_partial": False, **changes,
    }  # fmt: skip
    return Against(**values)


def test_an_edit_is_said_in_a_line_and_its_trials_below(story):
    show_against(difference(), "probe", story.console())
    assert story.lines()[0] == [
        "probe against main (abababa): +1 trial, \u22120, 2 keep their results, 1 more stays",
        "the code is another: changed: trial.sh",
        "at most 1.5 node-hours more than before",
        '+ 4  {"x": "a|b", "y": 1}',
    ]


def test_markdown_has_tables_and_nothing_of_the_users_breaks_them(story):
    story.end(0, final=1.0)
    found = plan(story.manifest, Options(), folders=story.folders)
    lines = list(markdown(found, difference(), "a|b"))
    assert lines[:2] == ["<!-- written by amlc plan -->", "### a\\|b"]
    assert "| + | 4 | a\\|b | 1 |" in lines
    assert "| new | 3 |" in lines
    assert "| done | 1 |" in lines
