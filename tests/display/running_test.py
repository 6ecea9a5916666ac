"""What is said of each step of a command that takes its time."""

from dataclasses import replace
from pathlib import Path

import pytest

from amlc.attempts import fold
from amlc.collect.verdict import Verdict
from amlc.commands.steps import Canceling, Learnt, Run, Warned
from amlc.display.running import Teller
from amlc.drive import Progress
from amlc.errors import Position, Problem, Severity
from amlc.events import intent
from amlc.folders import Folders
from amlc.model import Status, Trial
from amlc.write import Build

ODD = Problem(position=Position(Path("a.yml"), 3, 7), code="W-x", message="it is odd", severity=Severity.WARNING)
BUILD = Build(experiment="e", folder=Path("b"), revision="f" * 64, trials=1, jobs=1, changes=1)


def attempts(*packs):
    """Jobs at work, each with trials of these numbers."""
    events = []
    for pack in packs:
        trials = [Trial(f"t{number}", number, {}) for number in pack]
        events.append(
            intent(f"j{pack}", at=1, identity="j", attempt=1, trials=trials, revision="r", backend="local", losses=0)
        )
    return list(fold(events).values())


@pytest.mark.parametrize(
    ("step", "line"),
    [
        (Warned("mind"), "warning: mind"),
        (ODD, "a.yml:3:7: warning: it is odd [W-x]"),
        (Learnt(Path("r.csv"), 2, is_new=True, left_out=""), "r.csv: 2 results learnt from"),
        (Learnt(Path("r.csv"), 2, is_new=False, left_out="1 bad"), "r.csv: 2 results known already, left out: 1 bad"),
        (BUILD, "e: 1 trial in 1 job, revision ffffff, 1 file changed: b/"),
        (Canceling("e", attempts()), "e: nothing is at work, so nothing is canceled"),
        (Canceling("e", attempts(), [4]), "e: trial 4 is not at work, so nothing is canceled"),
        (Canceling("e", attempts(), [4, 1]), "e: trials 1, 4 are not at work, so nothing is canceled"),
        (Canceling("e", attempts([3, 1], [2])), "e: canceling 2 jobs with trials 1, 2, 3"),
        (Canceling("e", attempts(range(12))), "e: canceling 1 job with trials 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …"),
    ],
    ids=str,
)
def test_a_step_is_a_line_unless_quiet(story, step, line):
    story.teller(quiet=True).tell(step)
    assert story.lines() == ([], [])
    story.teller().tell(step)
    assert story.lines() == ([], [line])


def test_a_warning_that_matters_is_said_even_quietly(story):
    story.teller(quiet=True).tell(Warned("mind", matters=True))
    assert story.lines()[1] == ["warning: mind"]


def test_a_run_is_told_with_what_goes_on_from_there(story, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    teller = Teller(story.console(), Folders())
    end = Verdict(4, {Status.SUCCEEDED: 1, Status.FAILED: 1, Status.PENDING: 2}, 0)
    run = Run(manifest=story.manifest, progress=Progress(submitted=2), stopped="1 failed", verdict=end, partial=True)
    teller.tell(run)
    assert story.lines()[1] == [
        "stopped: 1 failed",
        "2 submitted, 1 of 4 trials done: 1 failed, 2 pending: amlc submit goes on",
        "amlc status says why, amlc logs TRIAL shows more; amlc submit --retry failed runs it again",
    ]
    late = Verdict(4, {Status.EARLY_STOPPED: 4}, 4, late=4)
    teller.tell(replace(run, stopped=None, verdict=late))
    assert story.lines()[1][3:] == [
        "2 submitted, 4 of 4 trials done: 4 early_stopped, 4 without a final result",
        "warning: 4 trials reached maxTrialDuration without a final result: raise it if they need longer",
    ]


def test_a_run_that_ends_before_maxtrialnumber_says_why(story):
    end = Verdict(4, {Status.SUCCEEDED: 4}, 0)
    header = replace(story.manifest.header, search="a digest", max_trials=10)
    run = Run(
        manifest=replace(story.manifest, header=header),
        progress=Progress(submitted=2),
        stopped=None,
        verdict=end,
        partial=False,
    )
    story.teller().tell(run)
    assert story.lines()[1] == [
        "2 submitted, 4 of 4 trials done",
        "the tuner has nothing more to propose, so that maxTrialNumber, 10, is not reached",
    ]
    story.teller().tell(replace(run, verdict=replace(end, out_of_time=True)))
    story.teller().tell(replace(run, verdict=replace(end, not_compiled=1)))
    assert not any("nothing more to propose" in line for line in story.lines()[1][2:])
    before = len(story.lines()[1])
    story.teller().tell(replace(run, stopped="maxExperimentDuration (1 s) is over"))
    assert story.lines()[1][before:] == ["stopped: maxExperimentDuration (1 s) is over", "2 submitted, 4 of 4 trials done"]


def test_a_run_in_which_all_is_well_is_told_in_a_line(story):
    end = Verdict(4, {Status.SUCCEEDED: 4}, 0)
    run = Run(manifest=story.manifest, progress=Progress(submitted=2), stopped=None, verdict=end, partial=False)
    story.teller().tell(run)
    assert story.lines()[1] == ["2 submitted, 4 of 4 trials done"]
