"""What a summary is made of, however an experiment stands."""

from amlc.commands.summary import summary
from amlc.model import Status


def test_before_anything_ran_there_is_no_best(project):
    project.write().compile()
    found = summary(project.manifest, folders=project.folders)
    assert (found.experiment, found.best) == ("probe", None)
    assert found.standing.verdict.statuses[Status.PENDING] == 4
    assert found.revision == project.manifest.header.revision


def test_the_best_and_the_causes_of_failures_are_there(project):
    project.write(script='test "$NNI_TRIAL_SEQ_ID" != 2 || exit 3', maxTrialNumber=4).compile()
    project.amlc("submit", code=1)
    found = summary(project.manifest, folders=project.folders)
    assert found.best is not None
    assert found.best.score == 1.5
    assert [cause.numbers for cause in found.standing.causes.found] == [(2,)]
