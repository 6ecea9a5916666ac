"""How trials stand, as values."""

from amlc.commands.status import status, status_table
from amlc.model import Status


def test_each_trial_is_a_row_with_what_became_of_it(story):
    story.end(0, final=1.0)
    story.end(1, Status.FAILED, error="KeyError: lr")
    standing = status(story.manifest, folders=story.folders)
    assert [row.status.value for row in standing.rows] == ["succeeded", "failed", "pending", "pending"]
    assert (standing.verdict.done, standing.verdict.failed) == (1, 1)
    assert [cause.why for cause in standing.causes.found] == ["KeyError: lr"]
    assert standing.reasons == {}


def test_as_a_table_it_has_no_values(story):
    story.end(0, final=1.0)
    with status_table(story.manifest, folders=story.folders) as table:
        assert not [name for name in table.columns if name.startswith(("param.", "metric."))]
        assert [row["status"] for row in table.rows] == ["succeeded", "pending", "pending", "pending"]
