"""When the back end asks, and what it says meanwhile; the clock is the test's."""

import threading
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest

from amlc.backends import Submitted
from amlc.errors import BackendError, TransientError
from amlc.model import Observation, Status
from amlc.targets.aml import backend as module
from amlc.targets.aml.observe import PATIENCE, Unread
from amlc.targets.aml.views import view
from tests.targets.aml.jobs_test import HEADER
from tests.targets.aml.throttle_test import Clock
from tests.targets.aml.workspace import Client, resource


@dataclass
class Listed:
    """A job in the list, of which is said what is `seen`."""

    seen: Observation

    @property
    def name(self):
        return self.seen.job


class Observer:
    """Says what the test has it say; a look takes `takes_s` seconds."""

    def __init__(self, clock):
        self.clock, self.takes_s = clock, 0.0
        self.looks = []
        self.says = [Observation(job="a", status=Status.WAITING)]
        self.unread = {}
        self.calls = 1
        self.can_glance, self.glances = False, []

    def keep(self, jobs):
        pass

    def history(self, job):
        return []

    def glance(self, jobs, also):
        self.glances.append((self.clock.now, set(also)))
        return self.news if self.can_glance else None

    def views(self, jobs, *, slim):
        return [Listed(seen) for seen in self.look(jobs) if seen.job in jobs]

    def tell_listed(self, views):
        return [job.seen for job in views]

    def look(self, jobs):
        self.looks.append(self.clock.now)
        self.clock.now += self.takes_s
        if isinstance(self.says, Exception):
            raise self.says
        return list(self.says)


@pytest.fixture
def backend(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(module, "Client", lambda workspace: Client())
    made = module.AmlBackend(HEADER, {}, parallel=1)
    made.observer = Observer(clock)
    made.clock = clock
    return made


def pauses(backend, count, timeout_s=100):
    """Return the seconds between so many looks."""
    for _ in range(count + 1):
        backend.poll(["a"], timeout_s=timeout_s)
    looks = backend.observer.looks
    return [round(after - before, 3) for before, after in pairwise(looks)]


def test_the_longer_nothing_changes_the_longer_it_waits(backend):
    found = pauses(backend, 12)
    assert found[:4] == [1.0, 1.5, 2.25, 3.375]
    assert found[-1] == 20.0


def test_news_make_it_look_again_soon(backend):
    pauses(backend, 5)
    backend.observer.says = [Observation(job="a", status=Status.RUNNING)]
    backend.poll(["a"], timeout_s=100)
    del backend.observer.looks[:-1]
    assert pauses(backend, 1)[0] == 1.0


def test_a_job_that_is_gone_is_news(backend):
    pauses(backend, 5)
    backend.observer.says = []
    (seen,) = backend.poll(["a"], timeout_s=100)
    assert (seen.status, seen.error) == (Status.CANCELED, "somebody deleted it in the workspace")
    del backend.observer.looks[:-1]
    assert pauses(backend, 1) == [1.0, 1.5]


def test_a_job_that_was_never_confirmed_was_not_deleted(backend):
    backend.observer.views = lambda jobs: []
    backend.observer.says = []
    assert list(backend.adopt({"a": None})) == []
    assert backend.poll(["a"], timeout_s=0) == []


def test_a_job_that_was_found_after_all_can_be_deleted(backend):
    backend.observer.views = lambda jobs: [view(resource("a"))]
    backend.observer.says = []
    assert [answer.job for answer in backend.adopt({"a": None})] == ["a"]
    assert [seen.status for seen in backend.poll(["a"], timeout_s=0)] == [Status.CANCELED]


def test_a_look_takes_a_tenth_of_the_time_at_the_most(backend):
    backend.observer.takes_s = 3.0
    assert pauses(backend, 2) == [33.0, 33.0]


def test_before_it_is_time_it_says_what_it_knows(backend):
    backend.poll(["a"], timeout_s=0)
    (seen,) = backend.poll(["a"], timeout_s=0.25)
    assert (seen.job, seen.status, len(backend.observer.looks)) == ("a", Status.WAITING, 1)
    assert backend.clock.slept == [0.25]


def test_a_job_that_it_does_not_know_is_looked_for_at_once(backend):
    backend.poll(["a"], timeout_s=0)
    backend.poll(["a", "b"], timeout_s=0.25)
    assert len(backend.observer.looks) == 2


def test_without_patience_it_looks_at_once(backend):
    backend.poll(["a"], timeout_s=0)
    backend.poll(["a"], timeout_s=0)
    assert (len(backend.observer.looks), backend.clock.slept) == (2, [])


def test_nothing_is_asked_for_no_jobs(backend):
    assert backend.poll([], timeout_s=10) == []
    assert (backend.observer.looks, backend.clock.slept) == ([], [])


def test_an_outage_is_said_until_it_is_over_and_asked_about_ever_more_rarely(backend):
    backend.observer.says = TransientError("down")
    for _ in range(8):
        with pytest.raises(TransientError):
            backend.poll(["a"], timeout_s=100)
    looks = backend.observer.looks
    assert [after - before for before, after in pairwise(looks)] == [
        2.0,
        4.0,
        8.0,
        16.0,
        20.0,
        20.0,
        20.0,
    ]
    with pytest.raises(TransientError, match="down"):
        backend.poll(["a"], timeout_s=0.25)
    assert len(looks) == 8
    backend.observer.says = [Observation(job="a", status=Status.RUNNING)]
    assert backend.poll(["a"], timeout_s=100) == backend.observer.says


def test_a_cancel_makes_it_look_again_soon(backend, monkeypatch):
    asked = []
    monkeypatch.setattr(module, "cancel_jobs", lambda client, jobs, *, parallel: asked.append(jobs))
    pauses(backend, 8)
    backend.cancel(["a"])
    before = backend.clock.now
    backend.poll(["a"], timeout_s=100)
    assert (asked, backend.observer.looks[-1] - before) == ([["a"]], 1.0)


def test_an_experiment_without_a_workspace_cannot_run():
    with pytest.raises(BackendError, match="mnist: it was compiled without a workspace"):
        module.AmlBackend(replace(HEADER, target={"aml": {}}), {}, parallel=1)


class Store:
    """A log that grows by a piece at each look."""

    def __init__(self, *pieces):
        self.pieces, self.text = list(pieces), b""

    def names(self, job, prefix):
        if prefix != "user_logs/":
            return {}
        self.text += self.pieces.pop(0) if self.pieces else b""
        return {"user_logs/std_log.txt": len(self.text)}

    def read(self, job, path, *, start=0):
        return self.text[start:]


def log(backend, monkeypatch, statuses, *pieces, follow):
    jobs = [resource("a", status=status) for status in statuses]
    backend.client = Client(**{"GET /jobs/a": jobs})
    backend._artifacts = Store(*pieces)
    return list(backend.log("a", follow=follow))


def test_a_log_is_followed_to_the_end_of_its_job(backend, monkeypatch):
    shown = log(backend, monkeypatch, ["Running", "Running", "Completed"], b"one\n", b"two\n", b"three", follow=True)
    assert shown == [b"one\n", b"two\n", b"three"]
    assert backend.clock.slept == [2.0, 2.0]


def test_a_log_that_is_not_followed_is_what_there_is(backend, monkeypatch):
    assert log(backend, monkeypatch, ["Running"], b"NNISDK_MEb'{}'\none\n", follow=False) == [b"one\n"]
    assert log(backend, monkeypatch, ["Running"], b"one\nNNISDK", follow=False) == [b"one\n", b"NNISDK"]


def test_a_job_that_is_gone_has_no_log(backend, monkeypatch):
    with pytest.raises(BackendError, match=r"job 'a': the workspace does not have it \(any more\)"):
        log(backend, monkeypatch, [], follow=True)


def unread(tries):
    return Unread(BackendError("artifacts of 'a': no permission"), tries)


def test_a_job_that_cannot_be_read_stops_nothing_while_others_are_at_work(backend):
    backend.observer.unread = {"a": unread(99)}
    backend.observer.says = [Observation(job=job, status=Status.UNKNOWN) for job in "ab"]
    assert len(backend.poll(["a", "b"], timeout_s=0)) == 2


@pytest.mark.parametrize(("tries", "stops"), [(1, False), (PATIENCE, False), (PATIENCE + 1, True)])
def test_when_nothing_else_is_at_work_it_is_tried_for_a_while(backend, tries, stops):
    backend.observer.unread = {"a": unread(tries)}
    backend.observer.says = [Observation(job="a", status=Status.UNKNOWN)]
    if stops:
        with pytest.raises(BackendError, match="no permission"):
            backend.poll(["a"], timeout_s=0)
    else:
        assert backend.poll(["a"], timeout_s=0) == backend.observer.says


def test_of_many_jobs_none_of_which_can_be_read_it_is_the_same(backend):
    names = dict.fromkeys(f"job-{n}" for n in range(300))
    backend.observer.calls, backend.observer.can_glance, backend.observer.news = 10, True, []
    backend.observer.says = [Observation(job=name, status=Status.UNKNOWN) for name in names]
    backend.poll(names, timeout_s=0)
    backend.observer.unread = {name: unread(PATIENCE + 1) for name in names}
    with pytest.raises(BackendError, match="no permission"):
        backend.poll(names, timeout_s=0)


def after_a_look(backend, *, calls, ended, of, after_s=10.0):
    """Return for how long nobody looks after a look of so many calls that found so many more jobs ended."""
    names = [f"job-{n}" for n in range(of)]
    backend.poll(["a"], timeout_s=0)
    backend.clock.now += after_s
    backend.observer.calls = calls
    backend.observer.says = [
        Observation(job=name, status=Status.SUCCEEDED if n < ended else Status.RUNNING) for n, name in enumerate(names)
    ]
    backend.poll(names, timeout_s=0)
    return round(backend._pause_s, 3)


@pytest.mark.parametrize(
    ("calls", "ended", "of", "pause_s"),
    [
        pytest.param(1, 1, 1000, 1.0, id="one page, and there is news"),
        pytest.param(2, 1, 1000, 1.0, id="two pages"),
        pytest.param(3, 30, 1000, 20.0, id="worth it when sixty more have ended"),
        pytest.param(3, 100, 1000, 6.0, id="which is soon"),
        pytest.param(3, 80, 100, 1.875, id="or most of those that are left"),
        pytest.param(3, 1, 1000, 20.0, id="or after a while"),
        pytest.param(170, 1, 5000, 170.0, id="which is longer where a look takes many calls"),
        pytest.param(170, 1700, 5000, 17.0, id="but not where many end"),
        pytest.param(170, 0, 5000, 17.0, id="and a call is worth a moment"),
    ],
)
def test_a_look_of_many_calls_waits_until_it_is_worth_them(backend, calls, ended, of, pause_s):
    assert after_a_look(backend, calls=calls, ended=ended, of=of) == pause_s


@pytest.fixture
def many(backend):
    """A back end that follows so many jobs that a look at all of them takes many calls."""
    names = dict.fromkeys(f"job-{n}" for n in range(3000))
    backend.observer.calls, backend.observer.can_glance, backend.observer.news = 100, True, []
    backend.observer.says = [Observation(job=name, status=Status.RUNNING) for name in names]
    assert backend.poll(names, timeout_s=100) == backend.observer.says
    return backend, names


def poll(backend, jobs):
    """Poll once; a look at all jobs that goes on beside that takes no time."""
    backend.poll(jobs, timeout_s=100)
    if backend._aside:
        backend._aside.views.exception(60)


def test_of_many_jobs_those_that_ended_lately_are_asked_for_between_two_looks(many):
    backend, names = many
    ended = Observation(job="job-7", status=Status.SUCCEEDED)
    backend.observer.news = [ended]
    seen = backend.poll(names, timeout_s=100)
    assert len(seen) == 3000
    assert [one for one in seen if one.status.ended] == [ended]
    assert len(backend.observer.looks) == 1
    rest = dict.fromkeys(name for name in names if name != "job-7")
    backend.observer.news = []
    while backend.clock.now < backend.observer.looks[0] + 1470:
        poll(backend, rest)
    assert len(backend.observer.looks) == 1
    times = [at for at, _ in backend.observer.glances]
    assert all(5 <= after - before <= 20 for before, after in pairwise(times))
    while backend.clock.now < backend.observer.looks[0] + 1530:
        poll(backend, rest)
    assert len(backend.observer.looks) == 2, "deleted jobs, and those that began, are seen at last"


def glanced(many, per_second, *, until_s):
    """Let so many jobs end a second, and others take their place; return when MLflow was asked, and the list read."""
    backend, _ = many
    begun = backend.clock.now
    ended, times = 0, []

    def glance(jobs, also):
        nonlocal ended
        before, ended = ended, int((backend.clock.now - begun) * per_second)
        times.append(backend.clock.now)
        return [Observation(job=f"job-{n}", status=Status.SUCCEEDED) for n in range(before, ended)]

    backend.observer.glance = glance
    while backend.clock.now < begun + until_s:
        backend.clock.now += 0.001  # what is due at a moment is not missed by a rounding
        live = dict.fromkeys(f"job-{n}" for n in range(ended, ended + 200))
        for job in live:
            backend._seen.setdefault(job, Observation(job=job, status=Status.WAITING))
        backend.observer.says = [Observation(job=job, status=Status.RUNNING) for job in live]
        poll(backend, live)
    return times, backend.observer.looks


@pytest.mark.parametrize(
    ("per_second", "pause_s"),
    [pytest.param(100, 1, id="many"), pytest.param(5, 5, id="some"), pytest.param(0.5, 20, id="hardly any")],
)
def test_what_ended_lately_is_asked_for_when_that_is_worth_a_call(many, per_second, pause_s):
    times, _ = glanced(many, per_second, until_s=300)
    pauses = [after - before for before, after in pairwise(times)]
    assert all(0.7 * pause_s <= pause <= 1.4 * pause_s for pause in pauses[-3:]), pauses


@pytest.mark.parametrize(("per_second", "pause_s"), [(100, 400), (5, 600), (1, 1500)])
def test_all_jobs_are_looked_at_when_that_is_worth_its_calls_and_at_last_in_any_case(many, per_second, pause_s):
    _, looks = glanced(many, per_second, until_s=1600)
    assert pause_s <= looks[1] - looks[0] <= pause_s + 25


def test_all_jobs_are_looked_at_beside_what_ended_lately(many, wait_until):
    """Job 0 ends while the list is read, of 1 the list says it first, 2 was deleted, and 3 is recorded meanwhile."""
    backend, _ = many
    news, go_on = Observation(job="job-1", status=Status.FAILED), threading.Event()
    listed = {"job-0": Status.RUNNING, "job-1": Status.FAILED, "job-3": Status.RUNNING, "job-4": Status.WAITING}
    backend.observer.says = [Observation(job=job, status=status) for job, status in listed.items()]
    look = backend.observer.look
    backend.observer.look = lambda jobs: go_on.wait(60) and look(jobs)
    backend._seen = {f"job-{n}": Observation(job=f"job-{n}", status=Status.RUNNING) for n in range(5)}
    jobs = dict.fromkeys(backend._seen)
    backend.clock.now += 1500
    backend.poll(jobs, timeout_s=100)
    backend.observer.news = [Observation(job="job-0", status=Status.SUCCEEDED)]
    backend.poll(jobs, timeout_s=100)
    del jobs["job-3"]
    go_on.set()
    wait_until(backend._aside.views.done)
    seen = {one.job: one.status for one in backend.poll(jobs, timeout_s=100)}
    assert seen == {"job-0": "succeeded", "job-1": "failed", "job-2": "canceled", "job-4": "waiting"}
    assert news in backend._seen.values()
    assert backend._aside is None


def test_an_outage_while_all_jobs_are_looked_at_is_told_and_it_is_tried_again(many, wait_until):
    backend, names = many
    says, backend.observer.says = backend.observer.says, TransientError("down")
    backend.clock.now += 1500
    backend.poll(names, timeout_s=100)
    wait_until(backend._aside.views.done)
    with pytest.raises(TransientError, match="down"):
        backend.poll(names, timeout_s=100)
    backend.observer.says = says
    backend.poll(names, timeout_s=100)
    wait_until(backend._aside.views.done)
    assert len(backend.poll(names, timeout_s=100)) == len(names)


def test_who_asks_what_trials_report_sees_sooner_which_began(many):
    backend, names = many
    assert list(backend.history([])) == []
    while backend.clock.now < backend.observer.looks[0] + 420:
        poll(backend, names)
    assert len(backend.observer.looks) == 2


def test_jobs_that_are_created_do_not_make_it_ask_sooner(many):
    backend, names = many
    due = backend._due
    backend.client.facts = {}
    backend._submitter = FakeSubmitter("new")
    assert [answer.job for answer in backend.submit([])] == ["new"]
    assert backend._due == due
    backend.poll([*names, "new"], timeout_s=100)
    assert (len(backend.observer.looks), len(backend.observer.glances)) == (1, 1)


class FakeSubmitter:
    """Creates jobs of these names."""

    def __init__(self, *names):
        self.names = names

    def submit(self, batch, *, parallel):
        return (Submitted(name) for name in self.names)


def test_what_was_canceled_is_looked_up_whatever_mlflow_says(many, monkeypatch):
    backend, names = many
    monkeypatch.setattr(module, "cancel_jobs", lambda client, jobs, parallel: None)
    backend.cancel(["job-1", "gone"])
    backend.poll(names, timeout_s=100)
    assert backend.observer.glances[-1][1] == {"job-1"}


def test_a_job_that_was_not_seen_yet_needs_a_whole_look(many):
    backend, names = many
    backend.poll([*names, "new"], timeout_s=100)
    assert (len(backend.observer.looks), backend.observer.glances) == (2, [])


def test_where_mlflow_cannot_be_asked_all_jobs_are_looked_at(many):
    backend, names = many
    backend.observer.can_glance = False
    backend.poll(names, timeout_s=100)
    assert len(backend.observer.looks) == 2
