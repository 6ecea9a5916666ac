"""The loop that submits and follows, against a machine whose every answer is scripted."""

from dataclasses import dataclass, field, replace
from itertools import groupby

import pytest

from amlc import backlog
from amlc.attempts import by_trial, fold
from amlc.backends import Fetched, Submitted
from amlc.drive import Guides, Limits, drive
from amlc.errors import BackendError, TransientError
from amlc.events import Event
from amlc.ledger import open_ledger
from amlc.model import Metric, Observation, Outcome, Status
from amlc.observe import Recorder, observe_once
from amlc.reconcile import Policy

LOST = {"status": Status.FAILED, "infrastructure": True}
GONE = "gone"


class Killed(BaseException):
    """Stands for kill -9: nothing that comes after it happens."""


class Clock:
    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


@dataclass
class Job:
    created: float
    length: float
    end: object
    creations: int = 1
    canceled: bool = False


@dataclass
class Machine:
    """A back end in memory. It outlives the sessions that talk to it, and it is strict about what they may ask.

    ends: by job name, the fields of its last Observation, or GONE for a job that is forgotten. length: seconds a job
    takes. reports: what a job has reported after so many seconds. at_call: raise at the n-th call, by `fault`: what and whether before or after the call had its effect.
    """

    clock: Clock
    ledger: object
    room: int
    ends: dict = field(default_factory=dict)
    length: float = 10.0
    refused: frozenset = frozenset()
    foreign: dict = field(default_factory=dict)
    jobs: dict = field(default_factory=dict)
    slots: int | None = None
    at_call: int = 0
    fault: type = Killed
    calls: int = 0
    most: int = 0
    on_poll: object = None
    on_create: object = None
    on_cancel: object = None
    reports: object = None
    finals: dict = field(default_factory=dict)  # by job; 1.5 where nothing is said
    fetched: list = field(default_factory=list)

    def submit(self, batch):
        with open_ledger(self.ledger) as ledger:
            attempts = fold(ledger.events())
        for submission in batch:
            assert attempts[submission.job].submitted is None, "an intent is on disk before the call"
        for submission in batch:
            self._call()
            if submission.job in self.refused:
                yield Submitted(submission.job, refused="no such compute")
                continue
            if submission.job in self.jobs:
                self.jobs[submission.job].creations += 1
            else:
                self.jobs[submission.job] = Job(self.clock(), self.length, self.ends.get(submission.job, {}))
            if self.on_create:
                self.on_create(submission.job)
            working = [name for name in self.jobs if not self._seen(name).status.ended]
            self.most = max(self.most, len(working))
            assert len(working) <= self.room
            self._call()
            yield Submitted(submission.job, url=f"https://{submission.job}")

    def adopt(self, jobs):
        found = self.poll(jobs, timeout_s=0)
        for job, sha256 in jobs.items():
            assert sha256 is not None, job
        return [Submitted(seen.job, url=seen.url, refused=self.foreign.get(seen.job)) for seen in found]

    def poll(self, jobs, *, timeout_s):
        self._call()
        if timeout_s:
            running = [
                job.created + job.length for job in self.jobs.values() if job.created + job.length > self.clock.now
            ]
            self.clock.now = min([self.clock.now + timeout_s, *running])
        if self.on_poll:
            self.on_poll(self)
        found = [self._seen(name) for name in jobs if name in self.jobs]
        self._call()
        return [seen for seen in found if self.jobs[seen.job].end != GONE or not seen.status.ended]

    def cancel(self, jobs):
        if self.on_cancel:
            self.on_cancel(jobs)
        for name in jobs:
            if name in self.jobs and not self._seen(name).status.ended:
                self.jobs[name].canceled = True

    def fetch(self, job):
        self._call()
        self.fetched.append(job)
        trial = job.split("-")[1]
        values = self.reports(self.clock() - self.jobs[job].created) if self.reports else ()
        curve = [Metric(trial=trial, kind="intermediate", sequence=i, value=v, at=1.0) for i, v in enumerate(values)]
        metrics = [
            *curve,
            Metric(trial=trial, kind="final", sequence=0, value=self.finals.get(job, 1.5), at=self.clock()),
        ]
        seen = self._seen(job)
        is_known = seen.status in (Status.SUCCEEDED, Status.FAILED) and self.jobs[job].end != GONE
        if seen.infrastructure or not is_known:
            return Fetched(metrics, [])
        code = 0 if seen.status is Status.SUCCEEDED else 3
        return Fetched(metrics, [Outcome(trial=trial, exit_code=code, started=1.0, ended=2.0)])

    def log(self, job, *, follow):
        raise NotImplementedError

    def _call(self):
        self.calls += 1
        if self.calls == self.at_call:
            raise self.fault(f"at call {self.calls}")

    def _seen(self, name):
        job = self.jobs[name]
        url = f"https://{name}"
        if job.canceled:
            return Observation(job=name, status=Status.CANCELED, url=url, started=job.created, ended=job.created + 1)
        if self.clock() < job.created + job.length:
            return Observation(job=name, status=Status.RUNNING, started=job.created, url=url)
        done = Observation(
            job=name, status=Status.SUCCEEDED, started=job.created, ended=job.created + job.length, url=url
        )
        return done if job.end == GONE else replace(done, **job.end)


class Bench:
    """A compiled experiment, a machine, and sessions of drive."""

    def __init__(self, project, jobs, room):
        project.write(values=range(jobs)).compile()
        self.project = project
        self.manifest = project.manifest
        self.entries = list(self.manifest.entries())
        self.names = [entry.name for entry in self.entries]
        self.clock = Clock()
        self.room = room
        self.path = project.folders.ledger("probe")
        self.machine = Machine(self.clock, self.path, room)

    def drive(self, *, policy=None, watch=lambda progress: None, given_up=None, **limits):
        with open_ledger(self.path) as ledger:
            recorder = Recorder(ledger, self.machine, self.clock)
            limits = Limits(concurrency=self.room, **limits)
            guides = Guides(given_up=given_up)
            return drive(self.manifest, recorder, limits, policy=lambda: policy or Policy(), guides=guides, watch=watch)

    def attempts(self):
        with open_ledger(self.path) as ledger:
            return fold(ledger.events())

    def kinds(self):
        with open_ledger(self.path) as ledger:
            return [event.kind for event in ledger.events()]

    def append(self, *events):
        with open_ledger(self.path) as ledger:
            ledger.append(events)

    def assert_complete(self):
        """Every trial has one job, made by one call, that is recorded with its result."""
        assert sorted(self.machine.jobs) == sorted(self.names)
        assert {job.creations for job in self.machine.jobs.values()} == {1}
        attempts = self.attempts()
        assert sorted(attempts) == sorted(self.names)
        assert {attempt.latest.status for attempt in attempts.values()} == {Status.SUCCEEDED}
        assert {attempt.latest.url for attempt in attempts.values()} == {f"https://{name}" for name in self.names}
        with open_ledger(self.path) as ledger:
            assert sorted(job for job, _ in ledger.metrics("final")) == sorted(self.names)


@pytest.fixture
def bench(project):
    def make(jobs=4, room=2):
        return Bench(project, jobs, room)

    return make


def test_every_job_runs_once_in_order_within_the_concurrency(bench):
    b = bench(jobs=7, room=3)
    progress, stopped = b.drive()
    assert stopped is None
    assert (progress.submitted, progress.ended, progress.failed, progress.running) == (7, 7, 0, 0)
    assert list(b.machine.jobs) == b.names
    assert b.machine.most == 3
    b.assert_complete()


def test_a_second_run_does_nothing(bench):
    b = bench()
    b.drive()
    before = b.machine.calls
    progress, _ = b.drive()
    assert progress.submitted == 0
    assert b.machine.calls <= before + 2  # one empty question
    b.assert_complete()


@pytest.mark.parametrize("fault", [Killed, BackendError])
def test_a_fault_at_any_call_then_another_run_makes_each_job_once(bench, fault):
    """Before and after each creation, in each poll and fetch: for all of them, one after the other."""
    b = bench(jobs=3, room=2)
    for at_call in range(1, 200):
        b.machine = Machine(b.clock, b.path, b.room, at_call=at_call, fault=fault)
        b.path.unlink(missing_ok=True)
        try:
            b.drive()
        except fault:
            b.drive()
            b.assert_complete()
        else:
            assert at_call > 15
            return
    raise AssertionError("it never got through")


def test_a_back_end_that_does_not_answer_for_a_while_is_waited_for(bench):
    b = bench(jobs=2, room=2)
    polls, outages = [], []

    def down(machine):
        polls.append(machine)
        if 3 <= len(polls) < 8:
            raise TransientError("down")

    b.machine.on_poll = down
    b.drive(watch=lambda progress: outages.append(progress.outage))
    assert outages.count("down") == 5
    assert outages[-1] is None
    b.assert_complete()


@pytest.mark.parametrize("room", [1, 3])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_an_outage_while_jobs_are_created_is_waited_out_once_there_was_a_job(bench, monkeypatch, room, after):
    pauses, created = [], []
    monkeypatch.setattr("amlc.drive.time.sleep", pauses.append)
    b = bench(jobs=4, room=room)

    def down(job):
        created.append(job)
        if 2 <= len(created) < 6:
            if not after:
                del b.machine.jobs[job]
            raise TransientError("down")

    b.machine.on_create = down
    progress, stopped = b.drive()
    assert stopped is None
    assert progress.submitted == 4
    assert pauses[0] == 0
    b.assert_complete()


def test_an_outage_before_the_first_job_ends_the_run(bench):
    b = bench(jobs=2)

    def down(job):
        raise TransientError("down")

    b.machine.on_create = down
    with pytest.raises(TransientError):
        b.drive()
    b.machine.on_create = None
    b.drive()
    b.assert_complete()


def test_faults_in_every_session_still_make_each_job_once(bench):
    b = bench(jobs=6, room=3)
    sessions = 0
    while True:
        sessions += 1
        b.machine.at_call = b.machine.calls + 3 + sessions % 5
        try:
            b.drive()
            break
        except Killed:
            assert sessions < 100
    assert sessions > 5
    b.assert_complete()


def test_an_intent_that_never_arrived_is_void_and_made_under_the_same_name(bench):
    b = bench(jobs=1)
    b.machine.at_call = 3  # after the two calls of the question at the start, before the creation
    with pytest.raises(Killed):
        b.drive()
    assert b.kinds() == ["session", "intent"]
    assert not b.machine.jobs
    b.drive()
    assert b.kinds()[2:6] == ["session", "void", "intent", "submitted"]
    b.assert_complete()


@pytest.mark.parametrize("first", ["submit", "status"])
def test_an_intent_whose_name_is_somebody_elses_job_is_refused(bench, first):
    b = bench(jobs=2)
    b.machine.at_call = 4  # after the creation of the first
    with pytest.raises(Killed):
        b.drive()
    b.machine.foreign = {b.names[0]: "conflict"}
    b.machine.at_call = 0
    if first == "status":
        with open_ledger(b.path) as ledger:
            observe_once(Recorder(ledger, b.machine, b.clock), "local")
    else:
        assert b.drive()[0].failed == 1
    refused = b.attempts()[b.names[0]].latest
    assert (refused.status, refused.error, refused.infrastructure) == (Status.FAILED, "conflict", False)
    assert b.machine.jobs[b.names[0]].creations == 1
    b.drive()
    assert b.attempts()[b.names[1]].latest.status is Status.SUCCEEDED


CONFLICT = "conflict: the workspace has a job of that name"


def conflicting(bench, jobs=2):
    """A bench whose first job was refused, since another one has its name."""
    b = bench(jobs=jobs)
    b.machine.at_call = 4
    with pytest.raises(Killed):
        b.drive()
    b.machine.foreign = {b.names[0]: CONFLICT}
    b.machine.at_call = 0
    b.drive()
    assert b.attempts()[b.names[0]].latest.error == CONFLICT
    return b


def test_a_conflict_heals_at_the_next_look(bench):
    b = conflicting(bench)
    b.machine.foreign = {}
    b.drive()
    found = b.attempts()
    assert {attempt.number for attempt in found.values()} == {1}
    assert {attempt.latest.status for attempt in found.values()} == {Status.SUCCEEDED}
    assert b.machine.jobs[b.names[0]].creations == 2  # asked for again, under the same name
    assert b.drive()[0].submitted == 0


def test_a_conflict_that_is_to_be_retried_is_the_next_attempt(bench):
    b = conflicting(bench, jobs=1)
    retry = frozenset((a.job, trial.id) for a in b.attempts().values() for trial in a.trials)
    b.drive(policy=Policy(retry=retry))
    assert [attempt.number for attempt in b.attempts().values()] == [1, 2]
    b.drive()
    assert [attempt.number for attempt in b.attempts().values()] == [1, 2]
    assert b.attempts()[b.names[0]].latest.error == CONFLICT


def test_what_is_adopted_counts_against_the_concurrency(bench):
    b = bench(jobs=5, room=2)
    b.drive(wait=False)
    assert len(b.machine.jobs) == 2
    b.drive()  # the machine would protest
    b.assert_complete()


def test_unconfirmed_jobs_count_against_the_concurrency(bench):
    b = bench(jobs=5, room=3)
    b.machine.at_call = 6  # after the creation of the second job
    with pytest.raises(Killed):
        b.drive()
    assert [a.submitted is None for a in b.attempts().values()] == [False, True, True]
    assert len(b.machine.jobs) == 2
    b.machine.at_call = 0
    b.drive()
    b.assert_complete()


def test_no_wait_submits_what_fits_and_returns(bench):
    b = bench(jobs=5, room=2)
    progress, stopped = b.drive(wait=False)
    assert (progress.submitted, progress.running, stopped) == (2, 2, None)
    assert b.drive(wait=False)[0].submitted == 0
    b.clock.now += 60
    with open_ledger(b.path) as ledger:
        observe_once(Recorder(ledger, b.machine, b.clock), "local")
    assert b.drive(wait=False)[0].submitted == 2


@pytest.mark.parametrize("wait", [True, False])
def test_many_go_in_pieces(bench, monkeypatch, wait):
    monkeypatch.setattr(backlog, "MOST", 2)
    b = bench(jobs=7, room=5)
    assert b.drive(wait=wait)[0].submitted == (7 if wait else 5)


@pytest.mark.parametrize("wait", [True, False])
def test_a_stop_is_heeded_between_the_pieces(bench, monkeypatch, wait):
    monkeypatch.setattr(backlog, "MOST", 2)
    b = bench(jobs=7, room=6)
    b.machine.on_create = lambda job: b.append(Event(kind="stop", at=b.clock()))
    progress, stopped = b.drive(wait=wait)
    assert (progress.submitted, stopped) == (2, "it was canceled")


# --- ends that are not plain -----------------------------------------------------------------------------------------


def test_a_job_lost_to_the_infrastructure_is_tried_again_under_the_next_name(bench):
    b = bench(jobs=3, room=2)
    name = b.names[1]
    b.machine.ends = {name: LOST}
    progress, _ = b.drive()
    assert progress.failed == 0
    assert sorted(b.machine.jobs) == sorted([*b.names, f"{name}-2"])
    again = b.attempts()[f"{name}-2"]
    assert (again.number, again.losses, again.latest.status) == (2, 1, Status.SUCCEEDED)


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_losses_are_retried_at_most_so_often_over_all_sessions(bench, retries):
    b = bench(jobs=1)
    b.machine.ends = {b.names[0]: LOST, **{f"{b.names[0]}-{n}": LOST for n in range(2, 9)}}
    for _ in range(2):
        progress, _ = b.drive(policy=Policy(losses=retries))
    assert len(b.machine.jobs) == retries + 1
    assert progress.submitted == 0
    assert [a.losses for a in b.attempts().values()] == list(range(retries + 1))


def test_a_lost_job_that_is_killed_before_its_next_attempt_gets_it_in_the_next_session(bench):
    b = bench(jobs=2, room=1)
    b.machine.ends = {b.names[0]: LOST}
    for at_call in range(1, 60):
        b.machine.jobs.clear()
        b.machine.calls, b.machine.at_call = 0, at_call
        b.path.unlink(missing_ok=True)
        try:
            b.drive()
        except Killed:
            b.drive()
        assert sorted(b.machine.jobs) == sorted([*b.names, f"{b.names[0]}-2"])
        assert {job.creations for job in b.machine.jobs.values()} == {1}


def test_a_job_that_the_back_end_does_not_have_any_more_counts_as_lost(bench):
    b = bench(jobs=2)
    b.machine.ends = {b.names[0]: GONE}
    b.drive()
    first = b.attempts()[b.names[0]].latest
    assert (first.status, first.infrastructure) == (Status.FAILED, True)
    assert first.error == "the back end does not have it"
    assert b.attempts()[f"{b.names[0]}-2"].latest.status is Status.SUCCEEDED


def test_an_unknown_status_is_never_taken_for_an_end(bench):
    b = bench(jobs=3, room=2)
    b.machine.ends = {b.names[0]: {"status": Status.UNKNOWN, "error": "Hibernating"}}

    def watch(progress):
        if progress.ended == 2 and b.clock.now > 1_000_200:
            raise Killed

    with pytest.raises(Killed):
        b.drive(watch=watch)
    assert b.attempts()[b.names[0]].latest.status is Status.UNKNOWN
    assert len(b.machine.jobs) == 3
    b.machine.jobs[b.names[0]].end = {}
    b.drive()
    b.assert_complete()


def test_a_job_of_unknown_status_that_was_retried_and_ends_after_all_is_not_submitted_a_third_time(bench):
    b = bench(jobs=1, room=2)
    name = b.names[0]
    b.machine.ends = {name: {"status": Status.UNKNOWN}}
    b.drive(wait=False)
    b.clock.now += 20
    with open_ledger(b.path) as ledger:
        observe_once(Recorder(ledger, b.machine, b.clock), "local")
    assert b.attempts()[name].latest.status is Status.UNKNOWN

    def first_comes_back(machine):
        if f"{name}-2" in machine.jobs:
            machine.jobs[name].end = LOST

    b.machine.on_poll = first_comes_back
    progress, _ = b.drive(policy=Policy(retry={(name, b.entries[0].id)}))
    assert sorted(b.machine.jobs) == [name, f"{name}-2"]
    assert {job.creations for job in b.machine.jobs.values()} == {1}
    assert progress.submitted == 1
    assert by_trial(b.attempts().values())[b.entries[0].id].latest.status is Status.SUCCEEDED
    assert b.drive()[0].submitted == 0
    assert b.drive(policy=Policy(retry={(name, b.entries[0].id)}))[0].submitted == 0


def test_a_refused_submission_is_a_failure_that_is_not_repeated(bench):
    b = bench(jobs=3)
    b.machine.refused = frozenset({b.names[1]})
    progress, _ = b.drive()
    assert (progress.submitted, progress.failed) == (3, 1)
    refused = b.attempts()[b.names[1]].latest
    assert (refused.status, refused.error, refused.infrastructure) == (Status.FAILED, "no such compute", False)
    assert b.drive()[0].submitted == 0


def test_a_batch_that_is_refused_as_a_whole_does_not_end_the_run(bench):
    b = bench(jobs=5, room=2)
    b.machine.refused = frozenset(b.names[:2])
    progress, stopped = b.drive()
    assert (progress.submitted, progress.failed, stopped) == (5, 2, None)
    assert list(b.machine.jobs) == b.names[2:]


def test_results_of_failed_jobs_are_recorded_too(bench):
    b = bench(jobs=1)
    b.machine.ends = {b.names[0]: {"status": Status.FAILED, "exit_code": 3, "error": "exit code 3"}}
    b.drive()
    attempt = b.attempts()[b.names[0]]
    assert (attempt.latest.exit_code, attempt.latest.error) == (3, "exit code 3")
    with open_ledger(b.path) as ledger:
        assert [metric.value for _, metric in ledger.metrics("final")] == [1.5]


# --- limits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("most", "failed"), [(1, {0}), (2, {0, 1}), (3, {0, 1, 3})])
def test_after_so_many_failures_nothing_more_is_submitted(bench, most, failed):
    b = bench(jobs=8, room=1)
    b.machine.ends = {b.names[n]: {"status": Status.FAILED} for n in (0, 1, 3, 6)}
    progress, stopped = b.drive(max_failures=most)
    assert stopped == f"{most} failed"
    assert progress.failed == most
    assert {n for n in range(8) if b.names[n] in b.machine.jobs} == set(range(max(failed) + 1))


def test_jobs_at_work_when_submitting_stops_are_followed_to_their_end(bench):
    b = bench(jobs=6, room=3)
    b.machine.ends = {b.names[0]: {"status": Status.FAILED}}
    progress, stopped = b.drive(max_failures=1)
    assert (progress.ended, progress.running, stopped) == (3, 0, "1 failed")
    assert all(not attempt.working for attempt in b.attempts().values())


def test_max_seconds_bounds_the_work_of_all_sessions_without_the_pauses(bench):
    b = bench(jobs=20, room=1)
    progress, stopped = b.drive(max_seconds=25)
    assert stopped == "maxExperimentDuration (25 s) is over"
    assert progress.submitted == 3  # at 0, 10 and 20 seconds
    b.clock.now += 10_000
    progress, stopped = b.drive(max_seconds=25)
    assert (progress.submitted, stopped) == (0, "maxExperimentDuration (25 s) is over")
    b.clock.now += 10_000
    progress, stopped = b.drive(max_seconds=55)
    assert progress.submitted == 3  # 30 seconds were used up; at 30, 40 and 50 seconds


def test_the_time_of_a_session_that_was_killed_counts_nearly_all(bench):
    b = bench(jobs=20, room=1)
    b.machine.length = 1000

    def watch(progress):
        if b.clock.now >= 1_000_500:
            raise Killed

    with pytest.raises(Killed):
        b.drive(watch=watch)
    b.machine.jobs[b.names[0]].length = 1
    b.clock.now += 10_000
    b.machine.length = 10
    progress, _ = b.drive(max_seconds=560)
    assert 6 <= progress.submitted <= 10  # 500 seconds are used up, of which the last 31 may be forgotten


def test_a_stop_from_another_process_ends_the_submitting(bench):
    b = bench(jobs=9, room=2)

    def stop(machine):
        if len(machine.jobs) == 4 and b.kinds().count("stop") == 0:
            b.append(Event(kind="stop", at=b.clock()))

    b.machine.on_poll = stop
    progress, stopped = b.drive()
    assert stopped == "it was canceled"
    assert progress.submitted == 4
    b.machine.on_poll = None
    progress, stopped = b.drive()  # an old stop does not hold for ever
    assert stopped is None
    b.assert_complete()


def test_a_canceled_job_that_was_lost_is_not_tried_again(bench):
    b = bench(jobs=1)
    b.machine.ends = {b.names[0]: LOST}
    b.machine.on_poll = lambda machine: machine.jobs and b.append(Event(kind="cancel", at=1, job=b.names[0]))
    b.drive()
    assert list(b.machine.jobs) == b.names


@pytest.mark.parametrize("kind", ["cancel", "stop"])
def test_a_cancel_between_the_intent_and_the_call_still_cancels(bench, kind):
    b = bench(jobs=4, room=2)
    b.machine.on_create = lambda job: b.append(Event(kind=kind, at=1, job=job if kind == "cancel" else ""))
    _, stopped = b.drive()
    assert stopped == (None if kind == "cancel" else "it was canceled")
    assert list(b.machine.jobs) == (b.names if kind == "cancel" else b.names[:2])
    assert {attempt.latest.status for attempt in b.attempts().values()} == {Status.CANCELED}


def test_jobs_on_another_back_end_are_left_alone(bench):
    b = bench(jobs=4, room=2)
    b.drive(wait=False)
    b.manifest = replace(b.manifest, header=replace(b.manifest.header, backend="aml"))
    there = b.machine
    b.machine = Machine(b.clock, b.path, b.room)
    progress, _ = b.drive()
    assert (progress.submitted, progress.failed) == (2, 0)
    assert list(there.jobs) == b.names[:2]
    assert list(b.machine.jobs) == b.names[2:]
    assert [a.working for a in b.attempts().values()] == [True, True, False, False]


def test_only_submits_the_named_jobs(bench):
    b = bench(jobs=5)
    b.drive(policy=Policy(only={b.entries[3].id, b.entries[1].id}))
    assert list(b.machine.jobs) == [b.names[1], b.names[3]]


def test_ends_that_another_process_recorded_are_taken_up(bench):
    b = bench(jobs=4, room=1)

    def record(machine):
        for name in list(machine.jobs):
            if b.attempts()[name].working:
                b.append(Event(kind="observed", at=b.clock(), job=name, data={"status": "canceled"}))
                machine.jobs[name].canceled = True

    b.machine.on_poll = record
    progress, _ = b.drive()
    assert progress.ended == 4
    assert {attempt.latest.status for attempt in b.attempts().values()} == {Status.CANCELED}


def test_the_best_named_with_a_trial_is_that_of_those_told_up_to_then(bench):
    b = bench(jobs=5, room=5)  # so that they end at one time
    b.manifest = replace(b.manifest, header=replace(b.manifest.header, optimize_mode="maximize"))
    b.machine.finals = dict(zip(b.names, [1.0, 3.0, 2.0, 5.0, 4.0], strict=True))
    told = []
    b.drive(watch=lambda progress: told.extend((one.score, one.best.score) for one in progress.news))
    assert len(told) == 5
    assert [best for _, best in told] == [max(score for score, _ in told[: n + 1]) for n in range(5)]


def test_progress_counts_what_the_run_has_to_do(bench):
    b = bench(jobs=6, room=2)
    b.drive(policy=Policy(only={b.entries[0].id}))
    seen = []
    b.drive(watch=lambda p: seen.append((p.total, p.submitted, p.ended, p.running)))
    assert {total for total, *_ in seen} == {6}
    assert seen[0][1:] == (2, 0, 2)
    assert seen[-1][1:] == (5, 5, 0)
    assert all(submitted - ended == running for _, submitted, ended, running in seen)


def test_a_long_run_asks_the_back_end_a_bounded_number_of_times(bench):
    b = bench(jobs=60, room=2)
    b.drive()
    # two calls a creation, two a poll, one a fetch: linear in the jobs, whatever their number
    assert b.machine.calls < 60 * (2 + 1 + 2 * 12) + 10


# --- a tuner that follows running trials ----------------------------------------------------------------------------


def seconds(age):
    """Report each full second, and at the end all ten."""
    return list(range(min(int(age), 10)))


def told(b):
    """Return what each job's trial was reported to have said, in the order of the ledger, until its end."""
    found = {name: [] for name in b.names}
    with open_ledger(b.path) as ledger:
        for event in ledger.events():
            if event.kind == "reported":
                assert "end" not in found[event.job]
                found[event.job] += [value for values in event.data.values() for value in values]
            elif event.kind == "observed" and Status(event.data["status"]).ended:
                found[event.job].append("end")
    return found


def test_nobody_asks_for_the_reports_of_running_trials_unless_a_tuner_wants_them(bench):
    b = bench(jobs=4, room=2)
    b.machine.reports = seconds
    b.drive()
    assert sorted(b.machine.fetched) == sorted(b.names)
    assert "reported" not in b.kinds()


def test_a_tuner_that_follows_is_asked_after_each_report_and_has_all_before_the_end(bench):
    b = bench(jobs=3, room=2)
    b.machine.reports = seconds
    asked = []

    def given_up(attempts):
        asked.append({name: [v for curve in one.curves.values() for _, v in curve] for name, one in attempts.items()})
        return ()

    b.drive(given_up=given_up)
    assert told(b) == {name: [*range(10), "end"] for name in b.names}
    first = [values for values, _ in groupby(one[b.names[0]] for one in asked)]
    assert first[:4] == [list(range(count)) for count in range(1, 5)]
    b.assert_complete()


def bad(name):
    """Give the trial of a job up once it reported 3, as a class does that is told the same again."""
    return lambda attempts: [
        job for job, one in attempts.items() if job == name and any((v == 3) for c in one.curves.values() for _, v in c)
    ]


def test_what_the_tuner_gives_up_is_recorded_and_then_ended(bench):
    b = bench(jobs=4, room=2)
    b.machine.reports = seconds
    canceled = []

    def on_cancel(jobs):
        canceled.extend(jobs)
        assert all(b.attempts()[job].stopping for job in jobs), "on record before the call"

    b.machine.on_cancel = on_cancel
    b.drive(given_up=bad(b.names[1]))
    assert canceled == [b.names[1]]
    statuses = {name: one.latest.status for name, one in b.attempts().items()}
    assert statuses == dict.fromkeys(b.names, Status.SUCCEEDED) | {b.names[1]: Status.EARLY_STOPPED}


def test_a_trial_that_is_given_up_after_its_end_is_left_alone(bench):
    b = bench(jobs=2, room=1)
    b.machine.reports = lambda age: [3] if age >= 10 else []
    b.drive(given_up=bad(b.names[0]))
    assert "early_stop" not in b.kinds()
    b.assert_complete()


@pytest.mark.parametrize("fault", [Killed, TransientError])
def test_killed_at_any_call_no_report_is_lost_or_told_twice(bench, fault):
    b = bench(jobs=3, room=2)
    b.machine.reports = seconds
    b.machine.fault = fault
    b.machine.on_cancel = lambda jobs: b.machine._call() if jobs else None
    call = 0
    for _ in range(200):
        call += 3
        b.machine.calls, b.machine.at_call = 0, call
        try:
            b.drive(given_up=bad(b.names[1]))
        except (Killed, TransientError):
            continue
        break
    found = told(b)
    for name in (b.names[0], b.names[2]):
        assert found[name] == [*range(10), "end"]
    assert found[b.names[1]][:4] == [0, 1, 2, 3]
    assert found[b.names[1]][-1] == "end"
    assert b.kinds().count("early_stop") == 1
    assert b.attempts()[b.names[1]].latest.status is Status.EARLY_STOPPED
    assert {job.creations for job in b.machine.jobs.values()} == {1}
