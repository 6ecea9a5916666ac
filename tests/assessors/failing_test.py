"""An assessor that fails names the trial that it was asked about."""

from __future__ import annotations

import pytest

from amlc.attempts import Attempt
from amlc.backends import Fetched
from amlc.early_stopping import Assessing, Assessor
from amlc.ledger import open_ledger
from amlc.model import Metric, Observation, Status, Trial
from amlc.observe import Recorder
from amlc.user_code import UserCodeError


class Machine:
    """A back end whose jobs have reported two intermediate results."""

    def fetch(self, job):
        curve = [Metric(trial=job, kind="intermediate", sequence=n, value=n, at=0.0) for n in range(2)]
        return Fetched(curve, [])

    def cancel(self, jobs):
        assert not jobs


def test_an_error_of_the_assessor_names_the_trial(tmp_path):
    def assess(curve, completed):
        if len(curve) == 2:
            raise UserCodeError("assessor mine.Fails (here): assess_trial failed.\nValueError")
        return False

    attempt = Attempt(
        id="j",
        number=1,
        trials=(Trial("a", 17, {}),),
        revision="r",
        backend="local",
        losses=0,
        latest=Observation(job="j-1", status=Status.RUNNING),
    )
    with open_ledger(tmp_path / "ledger.db") as ledger:
        assessing = Assessing(Recorder(ledger, Machine(), lambda: 0.0), Assessor(assess))
        with pytest.raises(UserCodeError, match=r"^trial 17: assessor mine\.Fails .here.: assess_trial failed\.\n"):
            assessing.stop({"j-1": attempt})
        assert not list(ledger.events())
