"""The trials of another experiment of amlc's."""

import pytest

from amlc.elsewhere.ledgers import read_trials
from amlc.events import imported
from amlc.model import Status


@pytest.fixture
def ended(project):
    """The trials of a ledger, of which one had been imported for a tuner."""
    project.write("intermediate 0.5\n[ $NNI_TRIAL_SEQ_ID != 1 ] || exit 3", values=range(2))
    project.amlc("run", "experiment.yml", code=1)
    with project.ledger() as ledger:
        ledger.append([imported([({"x": 9}, 0.25)], at=1)])
    return list(read_trials(project.folders.ledger("probe")))


def test_each_has_its_status_its_results_and_its_times(ended):
    learnt, good, bad = ended
    assert (learnt.parameters, learnt.final, learnt.status) == ({"x": 9}, (0.25,), Status.SUCCEEDED)
    assert (good.parameters, good.final, good.history) == ({"x": 0}, (1.5,), (0.5,))
    assert good.ended >= good.started > 1e9
    assert (bad.status, bad.final, bad.history, bad.error) == (Status.FAILED, (), (0.5,), "exit code 3")
