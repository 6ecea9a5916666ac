"""What to submit, for any state that a ledger can be in."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amlc.ledger import Attempt, latest
from amlc.manifest import Entry
from amlc.model import Observation, Outcome, Status, Trial
from amlc.names import job_name
from amlc.reconcile import Policy, Reason, decide, reconcile, retryable, succeeded

REVISION = "a1b2c3"
ENDS = ("failed", "canceled", "early_stopped", "missing", "changed")


def entry(number):
    identifier = f"{number:016x}"
    trials = (Trial(identifier, number, {"x": number}),)
    return Entry(identifier, job_name("probe", identifier, REVISION), f"jobs/{number}.yml", "", trials)


ENTRIES = tuple(entry(number) for number in range(6))


def attempt(of, number=1, status=Status.WAITING, *, losses=0, infrastructure=False, canceling=False, revision=REVISION):
    job = of.name if number == 1 else f"{of.name}-{number}"
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
    retry = draw(st.frozensets(st.sampled_from(sorted(history)))) if history else frozenset()
    ids = [of.id for of in ENTRIES]
    only = draw(st.none() | st.frozensets(st.sampled_from(ids)))
    return Policy(losses=draw(st.integers(0, 3)), retry=retry, only=only)


@st.composite
def situations(draw):
    history = draw(histories())
    return history, draw(policies(history))


def applied(history, action):
    job = action.entry.name if action.number == 1 else f"{action.entry.name}-{action.number}"
    assert job not in history, "a job's name is used once"
    return history | {job: attempt(action.entry, action.number, losses=action.losses)}


@given(situations())
def test_after_its_actions_there_is_nothing_left_to_do(situation):
    history, policy = situation
    for action in list(reconcile(ENTRIES, latest(history), policy)):
        history = applied(history, action)
    assert list(reconcile(ENTRIES, latest(history), policy)) == []


@given(situations())
def test_stopping_after_any_action_and_starting_again_does_the_same_in_the_end(situation):
    history, policy = situation
    planned = list(reconcile(ENTRIES, latest(history), policy))
    for done in range(len(planned)):
        partly = history
        for action in planned[:done]:
            partly = applied(partly, action)
        assert list(reconcile(ENTRIES, latest(partly), policy)) == planned[done:]


@given(situations())
def test_a_job_at_work_is_left_alone_unless_the_user_named_it(situation):
    history, policy = situation
    working = {a.id for a in latest(history).values() if a.working and a.job not in policy.retry}
    assert not working & {action.entry.id for action in reconcile(ENTRIES, latest(history), policy)}


@given(situations())
def test_what_ended_is_submitted_again_only_when_lost_or_asked_for(situation):
    history, policy = situation
    last = latest(history)
    for action in reconcile(ENTRIES, last, policy):
        before = last.get(action.entry.id)
        assert (action.reason is Reason.NEW) == (before is None)
        assert (action.reason is Reason.RETRY) == (before is not None and before.job in policy.retry)
        if action.reason is Reason.LOST:
            assert before.latest.infrastructure
            assert not before.canceling
            assert before.losses < policy.losses


@given(situations())
def test_only_restricts_to_the_named_jobs_and_changes_nothing_about_them(situation):
    history, policy = situation
    everything = list(reconcile(ENTRIES, latest(history), replace(policy, only=None)))
    expected = [a for a in everything if policy.only is None or a.entry.id in policy.only]
    assert list(reconcile(ENTRIES, latest(history), policy)) == expected


@given(st.integers(0, 5))
def test_a_job_that_is_lost_each_time_is_submitted_losses_times_more(losses):
    of, policy, history, submitted = ENTRIES[0], Policy(losses=losses), {}, 0
    while actions := list(reconcile([of], latest(history), policy)):
        (action,) = actions
        submitted += 1
        history = applied(history, action)
        name, made = list(history.items())[-1]
        history[name] = replace(made, latest=replace(made.latest, status=Status.FAILED, infrastructure=True))
    assert submitted == losses + 1


def test_a_retried_job_that_fails_again_is_not_retried_for_ever():
    policy = Policy(retry={ENTRIES[0].name})
    action = decide(ENTRIES[0], attempt(ENTRIES[0], 1, Status.FAILED), policy)
    assert (action.number, action.reason) == (2, Reason.RETRY)
    assert decide(ENTRIES[0], attempt(ENTRIES[0], 2, Status.FAILED), policy) is None


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
        word
        for word in ENDS
        if retryable(ENTRIES, {one.id: one}, [word], with_result={one.id} if has_result else set(), revision=REVISION)
    }
    assert found == selected_by


def outcome(trial, exit_code):
    return Outcome(trial=trial, exit_code=exit_code, started=1.0, ended=2.0)


def test_a_packed_job_is_selected_by_any_of_its_trials():
    trials = tuple(Trial(f"{n:016x}", n, {}) for n in range(3))
    packed = Entry("p", "probe-p", "", "", trials)
    one = replace(attempt(packed, 1, Status.FAILED), outcomes={
        trials[0].id: outcome(trials[0].id, 0),
        trials[1].id: outcome(trials[1].id, 3),
        trials[2].id: outcome(trials[2].id, 0),
    })  # fmt: skip
    assert [one.status(trial.id).value for trial in trials] == ["succeeded", "failed", "succeeded"]
    assert retryable([packed], {"p": one}, ["failed"], with_result=[], revision=REVISION) == {"probe-p"}
    assert not succeeded(one)


def test_an_early_stop_is_a_good_end():
    assert succeeded(attempt(ENTRIES[0], 1, Status.EARLY_STOPPED))
    assert not succeeded(attempt(ENTRIES[0], 1, Status.CANCELED))
