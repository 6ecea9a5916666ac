"""What to submit, for any state that a ledger can be in."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amlc.attempts import Attempt, by_trial
from amlc.manifest import Entry
from amlc.model import End, Observation, Outcome, Status, Trial
from amlc.names import attempt_name, job_name
from amlc.reconcile import Policy, Reason, decide, failed, is_retried, reconcile

REVISION = "a1b2c3"
ENDS = ("failed", "unfinished", "canceled", "early_stopped", "missing", "changed")


def entry(number):
    identifier = f"{number:016x}"
    trials = (Trial(identifier, number, {"x": number}),)
    return Entry(identifier, job_name("probe", identifier, REVISION), f"jobs/{number}.yml", "", trials)


ENTRIES = tuple(entry(number) for number in range(6))


def attempt(of, number=1, status=Status.WAITING, *, losses=0, infrastructure=False, canceling=False, revision=REVISION):
    job = attempt_name(of.name, number)
    seen = Observation(job=job, status=status, infrastructure=infrastructure)
    return Attempt(id=of.id, number=number, trials=of.trials, revision=revision, backend="local", losses=losses,
                   latest=seen, canceling=canceling)  # fmt: skip


@st.composite
def histories(draw):
    """Draw the attempts by job name: of each entry none to three, all but the last of them ended."""
    made = {}
    for of in ENTRIES:
        losses = 0
        for number in range(1, draw(st.integers(0, 3)) + 1):
            lost = draw(st.booleans())
            status = Status.FAILED if lost else draw(st.sampled_from(Status))
            one = attempt(of, number, status, losses=losses, infrastructure=lost, canceling=draw(st.booleans()),
                          revision=draw(st.sampled_from([REVISION, "d4e5f6"])))  # fmt: skip
            made[one.job] = one
            losses += lost
    return made


@st.composite
def policies(draw, history):
    pairs = sorted((job, trial.id) for job, one in history.items() for trial in one.trials)
    retry = draw(st.frozensets(st.sampled_from(pairs))) if history else frozenset()
    ids = [of.id for of in ENTRIES]
    only = draw(st.none() | st.frozensets(st.sampled_from(ids)))
    return Policy(losses=draw(st.integers(0, 3)), retry=retry, only=only)


@st.composite
def situations(draw):
    history = draw(histories())
    return history, draw(policies(history))


def applied(history, action):
    job = attempt_name(action.entry.name, action.number)
    assert job not in history, "a job's name is used once"
    return history | {job: attempt(action.entry, action.number, losses=action.losses)}


@given(situations())
def test_after_its_actions_there_is_nothing_left_to_do(situation):
    history, policy = situation
    for action in list(reconcile(ENTRIES, by_trial(history.values()), policy)):
        history = applied(history, action)
    assert list(reconcile(ENTRIES, by_trial(history.values()), policy)) == []


@given(situations())
def test_stopping_after_any_action_and_starting_again_does_the_same_in_the_end(situation):
    history, policy = situation
    planned = list(reconcile(ENTRIES, by_trial(history.values()), policy))
    for done in range(len(planned)):
        partly = history
        for action in planned[:done]:
            partly = applied(partly, action)
        assert list(reconcile(ENTRIES, by_trial(partly.values()), policy)) == planned[done:]


@given(situations())
def test_a_job_at_work_is_left_alone_unless_the_user_named_it(situation):
    history, policy = situation
    working = {a.id for a in by_trial(history.values()).values() if a.working and (a.job, a.id) not in policy.retry}
    assert not working & {action.entry.id for action in reconcile(ENTRIES, by_trial(history.values()), policy)}


@given(situations())
def test_what_ended_is_submitted_again_only_when_lost_or_asked_for(situation):
    history, policy = situation
    last = by_trial(history.values())
    for action in reconcile(ENTRIES, last, policy):
        before = last.get(action.entry.id)
        assert (action.reason is Reason.NEW) == (before is None)
        assert (action.reason is Reason.RETRY) == (before is not None and (before.job, before.id) in policy.retry)
        if action.reason is Reason.LOST:
            assert before.status(before.id) is Status.UNFINISHED
            assert not before.canceling
            assert before.losses < policy.losses


@given(situations())
def test_only_restricts_to_the_named_jobs_and_changes_nothing_about_them(situation):
    history, policy = situation
    everything = list(reconcile(ENTRIES, by_trial(history.values()), replace(policy, only=None)))
    expected = [a for a in everything if policy.only is None or a.entry.id in policy.only]
    assert list(reconcile(ENTRIES, by_trial(history.values()), policy)) == expected


@given(st.integers(0, 5))
def test_a_job_that_is_lost_each_time_is_submitted_losses_times_more(losses):
    of, policy, history, submitted = ENTRIES[0], Policy(losses=losses), {}, 0
    while actions := list(reconcile([of], by_trial(history.values()), policy)):
        (action,) = actions
        submitted += 1
        history = applied(history, action)
        name, made = list(history.items())[-1]
        history[name] = replace(made, latest=replace(made.latest, status=Status.FAILED, infrastructure=True))
    assert submitted == losses + 1


def test_a_retried_job_that_fails_again_is_not_retried_for_ever():
    policy = Policy(retry={(ENTRIES[0].name, ENTRIES[0].id)})
    action = decide(ENTRIES[0], {ENTRIES[0].id: attempt(ENTRIES[0], 1, Status.FAILED)}, policy)
    assert (action.number, action.reason) == (2, Reason.RETRY)
    assert decide(ENTRIES[0], {ENTRIES[0].id: attempt(ENTRIES[0], 2, Status.FAILED)}, policy) is None


def test_reconcile_reads_the_desired_jobs_lazily():
    def endless():
        number = 0
        while True:
            yield entry(number)
            number += 1

    assert next(reconcile(endless(), {}, Policy())).number == 1


@pytest.mark.parametrize(
    ("status", "has_result", "revision", "selected_by"),
    [
        pytest.param(Status.SUCCEEDED, True, REVISION, set(), id="done"),
        pytest.param(Status.SUCCEEDED, False, REVISION, {"missing"}, id="done-without-result"),
        pytest.param(Status.SUCCEEDED, True, "d4e5f6", {"changed"}, id="done-at-another-revision"),
        pytest.param(Status.FAILED, False, REVISION, {"failed", "missing"}, id="failed"),
        pytest.param(Status.FAILED, True, REVISION, {"failed"}, id="failed-after-its-result"),
        pytest.param(Status.CANCELED, False, REVISION, {"canceled", "missing"}, id="canceled"),
        pytest.param(Status.EARLY_STOPPED, True, REVISION, {"early_stopped"}, id="stopped-early"),
        pytest.param(Status.UNKNOWN, False, REVISION, {"missing"}, id="unknown"),
        pytest.param(Status.RUNNING, False, REVISION, set(), id="running"),
        pytest.param(Status.WAITING, False, "d4e5f6", set(), id="waiting"),
    ],
)
def test_retry_selects(status, has_result, revision, selected_by):
    one = attempt(ENTRIES[0], 1, status, revision=revision)
    found = {
        word for word in ENDS if is_retried(ENTRIES[0].trials[0], one, [word], has_result=has_result, revision=REVISION)
    }
    assert found == selected_by


def outcome(trial, exit_code):
    return Outcome(trial=trial, exit_code=exit_code, started=1.0, ended=2.0)


PACK = Entry("p", "probe-p", "", "", tuple(Trial(f"{n:016x}", n, {}) for n in range(4)))


def packed(status=Status.FAILED, *, number=1, trials=PACK.trials, ends, **fields):
    """An attempt at a pack. ends: the Outcome's fields of those of its trials that have one."""
    one = attempt(PACK, number, status, **fields)
    outcomes = {trials[n].id: Outcome(trial=trials[n].id, started=1.0, ended=2.0, **end) for n, end in ends.items()}
    return replace(one, trials=trials, outcomes=outcomes)


DONE, CRASHED = {"exit_code": 0}, {"exit_code": 3, "error": "KeyError: 'lr'"}
LATE = {"exit_code": 143, "end": End.TIME_LIMIT, "error": "stopped at its time limit"}
CUT = {"exit_code": None, "end": End.TERMINATED, "error": "terminated before it started"}
LOST = {"exit_code": 0, "end": End.LOST, "error": "a metric could not be recorded"}
NEVER = {"exit_code": None, "end": End.REFUSED, "error": "a trial needs 4 GPUs"}


@pytest.mark.parametrize(
    ("job", "infrastructure", "end", "expected", "error"),
    [
        pytest.param(Status.RUNNING, False, None, Status.RUNNING, None, id="running"),
        pytest.param(Status.SUCCEEDED, False, DONE, Status.SUCCEEDED, None, id="good"),
        pytest.param(Status.FAILED, False, DONE, Status.SUCCEEDED, None, id="good in a failed job"),
        pytest.param(Status.FAILED, True, DONE, Status.SUCCEEDED, None, id="good in a lost job"),
        pytest.param(Status.CANCELED, False, DONE, Status.SUCCEEDED, None, id="good in a canceled job"),
        pytest.param(Status.FAILED, False, CRASHED, Status.FAILED, "KeyError: 'lr'", id="crashed"),
        pytest.param(Status.FAILED, True, CRASHED, Status.FAILED, "KeyError: 'lr'", id="crashed in a lost job"),
        pytest.param(Status.FAILED, False, LATE, Status.EARLY_STOPPED, "stopped at its time limit", id="late"),
        pytest.param(Status.FAILED, False, CUT, Status.UNFINISHED, "why", id="cut short"),
        pytest.param(Status.CANCELED, False, CUT, Status.CANCELED, "why", id="canceled"),
        pytest.param(Status.EARLY_STOPPED, False, CUT, Status.EARLY_STOPPED, "why", id="given up"),
        pytest.param(Status.FAILED, False, LOST, Status.UNFINISHED, "a metric could not be recorded", id="lost"),
        pytest.param(Status.SUCCEEDED, False, LOST, Status.UNFINISHED, "a metric could not be recorded", id="lost at last"),
        pytest.param(Status.FAILED, False, NEVER, Status.FAILED, "a trial needs 4 GPUs", id="refused"),
        pytest.param(Status.FAILED, False, None, Status.UNFINISHED, "why", id="no word of it but of others"),
        pytest.param(Status.FAILED, True, None, Status.UNFINISHED, "why", id="no word of it in a lost job"),
        pytest.param(Status.UNKNOWN, False, None, Status.UNKNOWN, "why", id="unknown"),
    ],
)  # fmt: skip
def test_a_trial_of_a_pack_has_its_own_end(job, infrastructure, end, expected, error):
    ends = {1: DONE} | ({0: end} if end else {})
    one = packed(job, infrastructure=infrastructure, ends=ends)
    one = replace(one, latest=replace(one.latest, error="why" if error else None))
    assert (one.status(PACK.trials[0].id), one.error(PACK.trials[0].id)) == (expected, error)


def test_a_job_of_which_nothing_is_known_but_that_it_failed_failed():
    one = attempt(PACK, 1, Status.FAILED)
    assert {one.status(trial.id) for trial in PACK.trials} == {Status.FAILED}


def test_of_a_pack_that_was_cut_short_exactly_what_is_unfinished_runs_again():
    first = packed(ends={0: DONE, 1: CRASHED, 2: LATE})
    last = by_trial([first])
    action = decide(PACK, last, Policy())
    assert (action.trials, action.number, action.losses, action.reason) == (PACK.trials[3:], 2, 1, Reason.LOST)
    assert action.name == "probe-p-2"
    again = packed(number=2, trials=PACK.trials[3:], losses=1, ends={0: DONE})
    last = by_trial([first, again])
    assert [last[trial.id].number for trial in PACK.trials] == [1, 1, 1, 2]
    assert decide(PACK, last, Policy()) is None


def test_retry_of_a_pack_runs_the_failed_ones_only():
    first = packed(ends={0: DONE, 1: CRASHED, 2: LATE, 3: CRASHED})
    last = by_trial([first])
    names = {
        (first.job, trial.id)
        for trial in PACK.trials
        if is_retried(trial, first, ["failed"], has_result=False, revision=REVISION)
    }
    action = decide(PACK, last, Policy(retry=names))
    assert action.trials == (PACK.trials[1], PACK.trials[3])
    assert [trial.id for trial in failed(first)] == [PACK.trials[1].id, PACK.trials[3].id]


def test_while_a_part_of_a_pack_runs_again_the_rest_is_left_alone():
    first = packed(ends={0: DONE, 1: CRASHED})
    again = packed(Status.RUNNING, number=2, trials=PACK.trials[2:], losses=1, ends={})
    assert decide(PACK, by_trial([first, again]), Policy()) is None
    retried = decide(PACK, by_trial([first, again]), Policy(retry={(first.job, PACK.trials[1].id)}))
    assert (retried.trials, retried.number) == (PACK.trials[1:2], 3)


@pytest.mark.parametrize("losses", [0, 1, 2])
def test_what_is_unfinished_runs_again_so_often_and_then_stays_unfinished(losses):
    one = packed(losses=losses, ends={0: DONE, 1: DONE, 2: DONE})
    action = decide(PACK, by_trial([one]), Policy(losses=2))
    assert (action is None) == (losses == 2)
    assert one.status(PACK.trials[3].id) is Status.UNFINISHED


def test_what_was_canceled_is_not_cut_short():
    one = packed(Status.CANCELED, canceling=True, ends={0: DONE, 1: CUT})
    assert decide(PACK, by_trial([one]), Policy()) is None


def test_an_early_stop_is_a_good_end():
    assert not failed(attempt(ENTRIES[0], 1, Status.EARLY_STOPPED))
    assert failed(attempt(ENTRIES[0], 1, Status.CANCELED))


# --- sweeps -----------------------------------------------------------------------------------------------------------

SWEPT = tuple(Trial(f"{number:016x}", number, {"x": number}) for number in range(10, 14))
SWEEP = Entry("e" * 16, job_name("probe", "e" * 16, REVISION), "sweep.yml", "", SWEPT, sweep=True)


def told(actions):
    return [(action.name, [trial.sequence for trial in action.trials], action.reason) for action in actions]


def swept(trials, number=1, status=Status.RUNNING, **ends):
    seen = Observation(job=attempt_name(SWEEP.name, number), status=status)
    outcomes = {trial.id: Outcome(trial=trial.id, exit_code=code, started=1, ended=2, end=end)
                for trial in trials if (end := ends.get(f"n{trial.sequence}")) for code in [1]}  # fmt: skip
    return Attempt(id=SWEEP.id, number=number, trials=trials, revision=REVISION, backend="aml", losses=0, sweep=True,
                   latest=seen, outcomes=outcomes)  # fmt: skip


def test_a_sweep_runs_what_never_ran_and_nothing_else():
    assert told(reconcile([SWEEP], {}, Policy())) == [(SWEEP.name, [10, 11, 12, 13], Reason.NEW)]
    last = by_trial([swept(SWEPT[:2])])
    assert told(reconcile([SWEEP], last, Policy())) == [(f"{SWEEP.name}-2", [12, 13], Reason.NEW)]
    assert told(reconcile([SWEEP], by_trial([swept(SWEPT)]), Policy())) == []


def test_what_a_sweep_lost_or_is_asked_for_again_is_a_job_of_its_own_as_the_next_attempt():
    one = swept(SWEPT, status=Status.FAILED, n10=End.EXITED, n11=End.LOST, n12=End.STOPPED, n13=End.CANCELED)
    last = by_trial([one])
    names = [job_name("probe", trial.id, REVISION) for trial in SWEPT]
    assert told(reconcile([SWEEP], last, Policy())) == [(f"{names[1]}-2", [11], Reason.LOST)]
    assert told(reconcile([SWEEP], last, Policy(losses=0))) == []
    retry = frozenset((one.job, trial.id) for trial in SWEPT)
    found = list(reconcile([SWEEP], last, Policy(retry=retry)))
    assert [action.name for action in found] == [f"{name}-2" for name in names]
    assert {action.entry.file for action in found} == {"sweep.yml"}
    assert all(action.entry.alone and not action.entry.sweep for action in found)
    again = Attempt(id=SWEPT[1].id, number=2, trials=SWEPT[1:2], revision=REVISION, backend="aml", losses=1,
                    latest=Observation(job=f"{names[1]}-2", status=Status.FAILED, infrastructure=True))  # fmt: skip
    last = by_trial([one, again])
    assert told(reconcile([SWEEP], last, Policy())) == [(f"{names[1]}-3", [11], Reason.LOST)]


def test_where_there_are_no_sweeps_each_trial_is_a_job():
    names = [job_name("probe", trial.id, REVISION) for trial in SWEPT]
    assert told(reconcile([SWEEP], {}, Policy(sweeps=False))) == [
        (name, [trial.sequence], Reason.NEW) for name, trial in zip(names, SWEPT, strict=True)
    ]
