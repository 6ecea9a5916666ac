"""The report goes to a file, with the verdict beside it."""

import pytest

from amlc.commands.report import report
from amlc.display.results import show_report


@pytest.mark.parametrize(("quiet", "said"), [(False, ["probe: 0 of 4 trials done"]), (True, [])])
def test_the_page_is_data_and_the_verdict_is_not(story, quiet, said):
    assert report(story.manifest, folders=story.folders).page.startswith(b"<!DOCTYPE html>")
    show_report(story.manifest, story.console(quiet=quiet), story.folders)
    assert story.raw.getvalue().startswith(b"<!DOCTYPE html>")
    assert [line.partition(":")[0] + ":" + line.split(":")[1] for line in story.lines()[1]] == said
