"""How trials stand, as values."""

import os
import subprocess
import sys
from pathlib import Path

from amlc.commands.status import Chosen, standings, status, status_table
from amlc.model import Status


ROOT = str(Path(__file__).parents[2])
HOLD = """
import sys
from pathlib import Path
from amlc.files import lock
with lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_each_trial_is_a_row_with_what_became_of_it(story):
    story.end(0, final=1.0)
    story.end(1, Status.FAILED, error="KeyError: lr")
    standing = status(story.manifest, folders=story.folders)
    assert [row.status.value for row in standing.rows] == ["succeeded", "failed", "pending", "pending"]
    assert (standing.verdict.done, standing.verdict.failed) == (1, 1)
    assert [cause.why for cause in standing.causes.found] == ["KeyError: lr"]
    assert standing.reasons == {}


AML = {
    "platform": "aml", "subscriptionId": "s", "resourceGroup": "g", "workspaceName": "w", "computeTarget": "c", "dockerImage": "i",
}  # fmt: skip


def test_what_it_cost_is_said_where_it_costs(story):
    story.end(0, final=1.0, started=0.0, ended=3600.0)
    assert status(story.manifest, folders=story.folders).cost is None
    job = {"resources": {"instance_count": 2}}
    story.project.write(trainingService=AML, amlc={"prices": {"c": 3}, "job": job}).compile()
    story.end(1, final=1.0, started=0.0, ended=1800.0, backend="aml")
    assert str(status(story.manifest, folders=story.folders).cost) == "1.00 node-hours, 3.00 at amlc.prices"


def test_again_and_again_until_nothing_is_at_work(story, monkeypatch):
    story.end(0, Status.RUNNING)
    monkeypatch.setattr("amlc.commands.observe._observe", lambda *_: None)  # no job of these tells how it is
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == 2:
            story.end(0, final=1.0)

    found = standings(story.manifest, folders=story.folders, chosen=Chosen.FIRST, again=True, pause=pause)
    assert [standing.is_at_work for standing in found] == [True, True, False]
    assert len(pauses) == 2


def test_between_two_jobs_of_a_submit_it_goes_on(story):
    story.end(0, final=1.0)
    path = story.folders.lock(story.manifest.header.experiment)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": ROOT}
    )
    assert holder.stdout.readline() == b"held\n"
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == 2:
            holder.communicate()

    found = list(standings(story.manifest, folders=story.folders, chosen=Chosen.FIRST, again=True, pause=pause))
    assert [standing.is_at_work for standing in found] == [False] * 3


def test_as_data_it_says_why_a_trial_failed(story):
    story.end(0, Status.FAILED, error="KeyError: lr")
    with status_table(story.manifest, folders=story.folders) as table:
        assert [row.get("error") for row in table.rows] == ["KeyError: lr", None, None, None]


def test_as_a_table_it_has_no_values(story):
    story.end(0, final=1.0)
    with status_table(story.manifest, folders=story.folders) as table:
        assert not [name for name in table.columns if name.startswith(("param.", "metric."))]
        assert [row["status"] for row in table.rows] == ["succeeded", "pending", "pending", "pending"]
