"""The page and the log of a trial, and why there is none."""

import pytest

from amlc.commands.logs import log, page
from amlc.errors import UsageError


def opened(story, trial="0"):
    return page(story.manifest, trial, folders=story.folders)


def test_the_page_is_that_of_the_last_attempt(story):
    story.end(0, url="https://ml.azure.com/first", infrastructure=True)
    story.end(0, attempt=2, url="https://ml.azure.com/second")
    assert opened(story) == "https://ml.azure.com/second"


def test_a_trial_without_a_page_is_said(story):
    with pytest.raises(UsageError, match=f"trial {story.entries[0].id}: it was not submitted yet, so it has no page"):
        opened(story)
    story.end(0)
    with pytest.raises(UsageError, match="the back end 'local' has no pages"):
        opened(story)


def test_a_trial_that_was_not_submitted_has_no_log(story):
    with pytest.raises(UsageError, match="it was not submitted yet, so there is no log"):
        list(log(story.manifest, "0", follow=False, folders=story.folders))


def test_a_log_is_that_of_the_last_attempt(story):
    story.end(0, infrastructure=True)
    job = story.end(0, attempt=2)
    folder = story.folders.runs("probe") / job
    (folder / "user_logs").mkdir(parents=True)
    (folder / "user_logs" / "std_log.txt").write_bytes(b"hello\n")
    assert b"".join(log(story.manifest, "0", follow=False, folders=story.folders)) == b"hello\n"
