"""The report goes to a file, with the verdict beside it."""

import io

import pytest

from amlc.commands.report import report
from amlc.errors import UsageError


class Terminal(io.BytesIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("quiet", "said"), [(False, ["probe: 0 of 4 trials done"]), (True, [])])
def test_the_page_is_data_and_the_verdict_is_not(story, quiet, said):
    out = io.BytesIO()
    assert report(target=None, folders=story.folders, out=out, err=story.err, quiet=quiet) == 0
    assert out.getvalue().startswith(b"<!DOCTYPE html>")
    assert [line.partition(":")[0] + ":" + line.split(":")[1] for line in story.lines()[1]] == said


def test_a_terminal_cannot_show_it(story):
    with pytest.raises(UsageError, match="write it to a file: amlc report > report"):
        report(target=None, folders=story.folders, out=Terminal(), err=story.err, quiet=False)
