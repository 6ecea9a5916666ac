"""What tuners learn from, made of the ledger: results as they were reported, and the curves of trials."""

from __future__ import annotations

import pytest

from amlc.attempts import fold
from amlc.checkpoints import LOAD, SAVE
from amlc.events import Event, brought, observed
from amlc.experience import Experience
from amlc.ledger import open_ledger
from amlc.model import Metric, Observation, Outcome, Record, Status, Trial


class Story:
    """A ledger that grows, told in few words; each job has the trials of its name: `ab` has `a` and `b`."""

    def __init__(self, ledger):
        self.ledger = ledger

    def asks(self, job, number=1, **parameters):
        name = f"{job}-{number}"
        trials = [{"id": one, "sequence": "abcdef".index(one), "parameters": {"x": one, **parameters}} for one in job]
        data = {"id": job, "attempt": number, "trials": trials, "revision": "r", "backend": "local", "losses": 0}
        return self.ledger.append([Event(kind="intent", at=0.0, job=name, data=data)])

    def reports(self, job, number=1, **values):
        return self.ledger.append([Event(kind="reported", at=0.0, job=f"{job}-{number}", data=values)])

    def ends(self, job, status=Status.SUCCEEDED, number=1, *, final=None, curve=(), **fields):
        name = f"{job}-{number}"
        metrics = [Metric(trial=job[0], kind="intermediate", sequence=i, value=v, at=0.0) for i, v in enumerate(curve)]
        metrics += [Metric(trial=t, kind="final", sequence=0, value=v, at=0.0) for t, v in (final or {}).items()]
        event = observed(Observation(job=name, status=status, **fields), at=0.0)
        return self.ledger.append([event], metrics, job=name)

    def records(self, replicates=1):
        return Experience(self.ledger, replicates=replicates).past(fold(self.ledger.events())).records


@pytest.fixture
def story(tmp_path):
    with open_ledger(tmp_path / "ledger.db") as ledger:
        yield Story(ledger)


@pytest.mark.parametrize(
    ("status", "reported", "value"),
    [
        pytest.param(Status.SUCCEEDED, 3, 3.0, id="number"),
        pytest.param(Status.SUCCEEDED, {"default": 0.5, "loss": [1, None]}, 0.5, id="mapping"),
        pytest.param(Status.SUCCEEDED, {"loss": 1}, None, id="no default"),
        pytest.param(Status.SUCCEEDED, "good", None, id="text"),
        pytest.param(Status.FAILED, {"default": 0.5}, None, id="reported, then failed"),
        pytest.param(Status.EARLY_STOPPED, 0.5, None, id="reported, then stopped"),
    ],
)
def test_a_result_is_kept_as_it_was_reported(story, status, reported, value):
    story.asks("a")
    told = story.ends("a", status, final={"a": reported})
    (record,) = story.records()
    assert (record.reported, record.value, record.told) == (reported, value, told)
    assert type(record.reported) is type(reported)


def test_a_trial_without_a_result_reported_none(story):
    story.asks("a")
    assert story.records()[0].reported is None
    story.ends("a")
    assert story.records()[0].reported is None


def test_curves_carry_the_numbers_of_the_events_that_made_them_known(story):
    story.asks("a")
    story.asks("b")
    first = story.reports("a", a=[0.1, {"default": 0.2}])
    second = story.reports("b", b=[None])
    third = story.reports("a", a=["x"])
    a, b = story.records()
    assert a.curve == ((first, 0.1), (first, {"default": 0.2}), (third, "x"))
    assert b.curve == ((second, None),)
    told = story.ends("a", final={"a": 1}, curve=[0.1, {"default": 0.2}, "x"])
    assert story.records()[0].curve == a.curve
    assert third < told


def test_the_trials_of_a_pack_have_curves_of_their_own(story):
    story.asks("ab")
    number = story.reports("ab", a=[1], b=[2, 3])
    assert [record.curve for record in story.records()] == [((number, 1),), ((number, 2), (number, 3))]
    later = story.reports("ab", b=[4])
    assert [record.curve for record in story.records()] == [((number, 1),), ((number, 2), (number, 3), (later, 4))]


def test_a_trial_that_was_stopped_has_what_it_had_reported_though_nobody_asked_before(story):
    story.asks("a")
    story.asks("b")
    told = story.ends("a", Status.EARLY_STOPPED, curve=[0.3, 0.4])
    story.ends("b", Status.SUCCEEDED, curve=[0.3, 0.4])
    a, b = story.records()
    assert (a.curve, b.curve) == (((told, 0.3), (told, 0.4)), ())


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        pytest.param({"infrastructure": True}, [1, 2, 30], id="lost: what was told stays told"),
        pytest.param({}, [10, 20, 30], id="failed and run again: it begins anew"),
    ],
)
def test_the_curve_of_a_trial_that_runs_again(story, end, expected):
    story.asks("a")
    story.reports("a", a=[1, 2])
    story.ends("a", Status.FAILED, **end)
    story.asks("a", 2)
    story.reports("a", 2, a=[10, 20, 30])
    (record,) = story.records()
    assert [value for _, value in record.curve] == expected
    assert record.status is Status.RUNNING


@pytest.mark.parametrize(
    ("finals", "value", "reported"),
    [
        pytest.param([1, 2], 1.5, 1.5, id="numbers"),
        pytest.param(
            [{"default": 1, "n": 4, "s": "x", "u": 1}, {"default": 2, "n": 8, "t": 1}], 1.5, {"default": 1.5, "n": 6.0}, id="mappings"
        ),
        pytest.param([{"default": 1}, 2], 1.5, 1.5, id="one of each"),
        pytest.param([{"default": 1, "n": 2}, {"n": 3}], 1.0, {"default": 1.0, "n": 2.0}, id="one without a number"),
        pytest.param([None, None], None, None, id="none"),
    ],
)  # fmt: skip
def test_replicates_have_the_mean_of_what_they_reported(story, finals, value, reported):
    trials = [{"id": one, "sequence": n, "parameters": {"x": 1}} for n, one in enumerate("ab")]
    for trial, final in zip(trials, finals, strict=True):
        data = {"id": trial["id"], "attempt": 1, "trials": [trial], "revision": "r", "backend": "local", "losses": 0}
        story.ledger.append([Event(kind="intent", at=0.0, job=f"{trial['id']}-1", data=data)])
        story.reports(trial["id"], **{trial["id"]: [0.1]})
        assert len(story.records(replicates=2)) == 1
        story.ends(trial["id"], final={trial["id"]: final} if final is not None else None)
    (record,) = story.records(replicates=2)
    assert (record.value, record.reported, record.curve) == (value, reported, ())


def test_one_that_is_kept_sees_what_a_new_one_sees(story):
    kept = Experience(story.ledger, replicates=1)
    steps = [
        lambda: story.asks("a"),
        lambda: story.reports("a", a=[1]),
        lambda: story.asks("b"),
        lambda: story.reports("a", a=[2]),
        lambda: story.ends("a", final={"a": 1}),
        lambda: story.ends("b", Status.FAILED, infrastructure=True),
        lambda: story.asks("b", 2),
    ]
    for step in steps:
        step()
        assert kept.past(fold(story.ledger.events())).records == story.records()


def test_outcomes_decide_before_the_job_does(story):
    """A trial of a pack that failed after it had reported keeps its report, and has no value."""
    story.asks("ab")
    outcome = [
        Outcome(trial="a", exit_code=3, started=1.0, ended=2.0),
        Outcome(trial="b", exit_code=0, started=1.0, ended=2.0),
    ]
    metrics = [Metric(trial=one, kind="final", sequence=0, value=1, at=0.0) for one in "ab"]
    event = observed(Observation(job="ab-1", status=Status.FAILED), at=0.0, outcomes=outcome)
    story.ledger.append([event], metrics, job="ab-1")
    assert [(r.status, r.value, r.reported) for r in story.records()] == [
        (Status.FAILED, None, 1),
        (Status.SUCCEEDED, 1.0, 1),
    ]


def test_what_was_imported_comes_first_and_is_no_trial(story):
    story.asks("a")
    story.ledger.append([Event(kind="import", at=0.0, data={"results": [{"parameters": {"x": 7}, "value": 0.5}]})])
    first, second = story.records()
    expected = Record(parameters={"x": 7}, status=Status.SUCCEEDED, value=0.5, told=0, imported=True)
    assert (first, second.imported) == (expected, False)


def test_what_is_left_of_a_pack_does_not_make_it_smaller(story):
    story.asks("ab")
    story.ends("ab", Status.FAILED, infrastructure=True)
    trial = {"id": "b", "sequence": 1, "parameters": {"x": "b"}}
    data = {"id": "ab", "attempt": 2, "trials": [trial], "revision": "r", "backend": "local", "losses": 1}
    story.ledger.append([Event(kind="intent", at=0.0, job="ab-2", data=data)])
    (group,) = Experience(story.ledger, replicates=1).past(fold(story.ledger.events())).groups
    assert [one.id for one in group] == ["a", "b"]
    assert [record.status for record in story.records()] == [Status.UNFINISHED, Status.RUNNING]


@pytest.mark.parametrize(
    ("ends", "status", "value"),
    [
        pytest.param([(Status.FAILED, None), (Status.SUCCEEDED, 2)], Status.SUCCEEDED, 2.0, id="one of them did well"),
        pytest.param(
            [(Status.SUCCEEDED, 1), (Status.CANCELED, 9)],
            Status.SUCCEEDED,
            1.0,
            id="what others reported does not count",
        ),
        pytest.param([(Status.CANCELED, None), (Status.FAILED, None)], Status.CANCELED, None, id="none of them did"),
        pytest.param(
            [(Status.SUCCEEDED, None), (Status.FAILED, None)], Status.SUCCEEDED, None, id="well, without a result"
        ),
    ],
)
def test_replicates_did_well_if_one_of_them_did(story, ends, status, value):
    for number, (one, (end, final)) in enumerate(zip("ab", ends, strict=True)):
        trial = {"id": one, "sequence": number, "parameters": {"x": 1}}
        data = {"id": one, "attempt": 1, "trials": [trial], "revision": "r", "backend": "local", "losses": 0}
        story.ledger.append([Event(kind="intent", at=0.0, job=f"{one}-1", data=data)])
        last = story.ends(one, end, final=None if final is None else {one: final})
    (record,) = story.records(replicates=2)
    assert (record.status, record.value, record.asked, record.told) == (status, value, 1, last)


def test_trials_of_which_nothing_is_new_are_not_read_again(story, monkeypatch):
    for job in "abc":
        story.asks(job)
        story.ends(job, final={job: 1})
    history, attempts = Experience(story.ledger, replicates=1), fold(story.ledger.events())
    first = history.past(attempts)
    monkeypatch.setattr(type(story.ledger), "metrics", lambda *args, **kwargs: pytest.fail("it reads again"))
    assert history.past(attempts) == first


def brings(story, name, value, **parameters):
    """Record a trial that ended elsewhere."""
    trial = Trial(name, "abcdef".index(name), {"x": name, **parameters})
    metrics = [Metric(trial=name, kind="final", sequence=0, value=value, at=0.0)]
    events = [brought(f"{name}-imported", at=0.0, trial=trial), observed(seen(name), at=0.0)]
    story.ledger.append(events, metrics, job=f"{name}-imported")


def seen(name):
    return Observation(job=f"{name}-imported", status=Status.SUCCEEDED)


def test_a_trial_from_elsewhere_was_proposed_by_nobody_here_and_comes_first(story):
    story.asks("a")
    story.ends("a", final={"a": 1})
    brings(story, "b", 2)
    records = story.records()
    assert [(one.parameters["x"], one.value, one.imported) for one in records] == [("b", 2, True), ("a", 1, False)]


def test_run_again_here_it_is_one_of_ours(story):
    brings(story, "b", 2)
    story.asks("b")
    story.ends("b", final={"b": 3})
    assert [(one.value, one.imported) for one in story.records()] == [(3, False)]


def test_checkpoints_were_moved_along_but_those_of_trials_from_elsewhere(story):
    old, new = (dict.fromkeys((LOAD, SAVE), f"{root}/.amlc/e/checkpoints/0/0") for root in ("/old", "/new"))
    brings(story, "a", 1, **old)
    story.asks("b", **old)
    story.ends("b")
    experience = Experience(story.ledger, replicates=1, checkpoints="/new/.amlc/e/checkpoints")
    past = experience.past(fold(story.ledger.events()))
    expected = [("a", {"x": "a", **old}), ("b", {"x": "b", **new})]
    assert [(trial.id, trial.parameters) for group in past.groups for trial in group] == expected
    assert [record.parameters for record in past.records] == [parameters for _, parameters in expected]


def test_replicates_are_from_elsewhere_if_all_of_them_are(story):
    brings(story, "a", 2)
    assert story.records(replicates=2)[0].imported


def test_the_trials_of_a_sweep_stay_together_as_long_as_it_is_one(story):
    def swept(trials, number):
        found = [{"id": one, "sequence": "abcdef".index(one), "parameters": {"x": one}} for one in trials]
        data = {"id": "s", "attempt": number, "trials": found, "revision": "r", "backend": "aml", "losses": 0, "sweep": True}
        story.ledger.append([Event(kind="intent", at=0.0, job=f"s-{number}", data=data)])

    swept("ce", 1)
    swept("bd", 2)
    story.asks("f")
    story.asks("c", number=2)
    past = Experience(story.ledger, replicates=1).past(fold(story.ledger.events()))
    assert [[one.id for one in group] for group in past.grouped(sweep=True)] == [["b", "c", "d", "e"], ["f"]]
    assert [[one.id for one in group] for group in past.grouped()] == [["b"], ["c"], ["d"], ["e"], ["f"]]
