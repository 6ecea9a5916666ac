"""What became of jobs: by what the service says, and what their runs and runners left."""

import json

import pytest

from amlc.errors import BackendError, TransientError
from amlc.model import Outcome, Status
from amlc.targets.aml.artifacts import Records
from amlc.targets.aml.observe import PATIENCE, Observer, heeding_ranks
from amlc.targets.aml.views import view
from tests.targets.aml.runs_test import raw
from tests.targets.aml.views_test import EXITED, PREEMPTED, details
from tests.targets.aml.workspace import ONE, TWO, Client, resource

MLFLOW = "/api/2.0/mlflow"
JOB = f"mnist-{ONE}-9e7a6c"
LATE = "The job reached its maximum run duration."
RESULT = {"exit_code": 0, "started": 1.0, "ended": 2.0, "end": "exited", "error": None}


class Store:
    """What runners left, as (trial, file) -> text; counts how often somebody looks."""

    def __init__(self, **results):
        self.files = {
            f"outputs/amlc/{trial}/result.json": json.dumps({**RESULT, **end}) for trial, end in results.items()
        }
        self.looks = 0

    def names(self, job, prefix):
        self.looks += 1
        return {name: len(text) for name, text in self.files.items()}

    def read(self, job, path, *, start=0):
        return self.files[path].encode()


def run_of(**run):
    return {"run": raw(JOB, **{"start_time": 1_000, "end_time": 9_000, **run})}


def told(status, *trials, why=None, run=None, store=None):
    """Return what is said of a job that ended so; `run`: its MLflow run, `why`: code and message of its error."""
    answers = {
        f"GET {MLFLOW}/runs/get": run,
        f"GET /experiments/mnist/runs/{JOB}/details": details(*why) if why else None,
    }
    store = store or Store()
    observer = Observer(Client(**answers), store, experiment="mnist", parallel=1)
    (seen,) = observer.tell([view(resource(JOB, *trials, status=status, limits={"timeout": "PT10S"}))])
    return seen, observer, store


ENDINGS = [
    pytest.param("Completed", None, run_of(), {}, (Status.SUCCEEDED, False, None), id="well"),
    pytest.param(
        "Failed", ("UserError", EXITED.format(3)), run_of(), {}, (Status.FAILED, False, f"UserError: {EXITED.format(3)}"), id="failed"
    ),
    pytest.param("Failed", None, None, {}, (Status.FAILED, False, None), id="failed, and nobody knows why"),
    pytest.param("Failed", ("NodeLost", "Gone."), run_of(), {}, (Status.FAILED, True, "NodeLost: Gone."), id="lost"),
    pytest.param(
        "Failed", ("UserError", PREEMPTED), run_of(), {}, (Status.FAILED, True, None), id="preempted, and called the user's error"
    ),
    pytest.param(
        "Failed", ("UserError", EXITED.format(137)), run_of(), {}, (Status.FAILED, True, "its runner was killed by signal 9"), id="killed"
    ),
    pytest.param("Failed", ("JobTimeout", LATE), run_of(), {}, (Status.EARLY_STOPPED, False, None), id="late, failed"),
    pytest.param("Canceled", ("JobTimeout", LATE), run_of(), {}, (Status.EARLY_STOPPED, False, None), id="late, canceled"),
    pytest.param("Failed", ("ServiceError", LATE), run_of(), {}, (Status.FAILED, True, None), id="the service's fault, whatever it says"),
    pytest.param(
        "Failed", ("UserError", f"{EXITED.format(1)} socket.timeout: timed out"), run_of(), {}, (Status.FAILED, False, None), id="failed at a timeout of its own"
    ),
    pytest.param("Canceled", None, run_of(), {}, (Status.CANCELED, False, None), id="canceled"),
    pytest.param("Canceled", None, run_of(end_time=11_000), {}, (Status.EARLY_STOPPED, False, None), id="canceled when its time was up"),
    pytest.param("Canceled", ("JobTimeout", LATE), run_of(start_time=None), {}, (Status.CANCELED, False, None), id="canceled before"),
    pytest.param(
        "Failed",
        ("ImageError", "Pulling the image timed out."),
        run_of(start_time=None),
        {},
        (Status.FAILED, False, "ImageError: Pulling the image timed out."),
        id="never began, though something timed out",
    ),
    pytest.param(
        "Failed",
        ("ServiceError", "Pulling the image timed out."),
        run_of(start_time=None),
        {},
        (Status.FAILED, True, "ServiceError: Pulling the image timed out."),
        id="never began, through the service's fault",
    ),
    pytest.param("Failed", ("NodeLost", "Gone."), run_of(), {ONE: {}}, (Status.SUCCEEDED, False, None), id="well, by its own word"),
    pytest.param(
        "Failed",
        ("NodeLost", "Gone."),
        run_of(),
        {ONE: {"exit_code": 1, "error": "KeyError: lr"}},
        (Status.FAILED, False, "KeyError: lr"),
        id="failed, by its own word",
    ),
    pytest.param("Canceled", None, run_of(), {ONE: {}}, (Status.SUCCEEDED, False, None), id="well before it was canceled"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "why", "run", "ends", "expected"), ENDINGS)
def test_a_job_ends_as_its_trial_says_or_else_as_the_service_does(status, why, run, ends, expected):
    seen, _, _ = told(status, why=why, run=run, store=Store(**ends))
    assert (seen.status, seen.infrastructure) == expected[:2]
    assert expected[2] in (None, seen.error)
    assert seen.job == JOB
    assert seen.url.endswith("&tid=t")


def test_a_pack_that_is_late_is_finished_by_another_attempt():
    seen, observer, _ = told("Canceled", ONE, TWO, why=("JobTimeout", LATE), run=run_of(), store=Store(**{ONE: {}}))
    assert (seen.status, seen.infrastructure) == (Status.FAILED, True)
    assert [outcome.trial for outcome in observer.fetched(JOB).outcomes] == [ONE]


def test_a_job_has_the_times_of_its_run():
    seen, _, _ = told("Completed", run=run_of())
    assert (seen.started, seen.ended) == (1.0, 9.0)
    seen, _, _ = told("Failed")
    assert (seen.started, seen.ended) == (None, None)


class Broken(Store):
    """A store that cannot be read until it is mended."""

    def names(self, job, prefix):
        if self.error:
            raise self.error
        return super().names(job, prefix)


@pytest.mark.parametrize("error", [BackendError("no permission"), TransientError("503")], ids=["refused", "away"])
def test_a_job_whose_records_cannot_be_read_says_so_and_is_asked_for_again(error):
    store = Broken(**{ONE: {"exit_code": 1, "error": "KeyError: lr"}})
    store.error = error
    seen, observer, _ = told("Failed", why=("UserError", EXITED.format(1)), run=run_of(), store=store)
    assert seen.status is Status.UNKNOWN
    assert seen.error == f"Azure ML says 'Failed', but its records cannot be read: {error}"
    store.error = None
    (seen,) = observer.tell([view(resource(JOB, status="Failed"))])
    assert (seen.status, seen.error, observer.unread) == (Status.FAILED, "KeyError: lr", {})


@pytest.mark.parametrize(
    ("status", "run", "last"),
    [
        pytest.param("Failed", run_of(), (Status.FAILED, f"UserError: {EXITED.format(1)}; its records"), id="failed"),
        pytest.param("Canceled", run_of(), (Status.CANCELED, "its records cannot be read"), id="canceled"),
        pytest.param("Completed", None, (Status.UNKNOWN, "Azure ML says 'Completed', but its records"), id="well"),
    ],
)
def test_after_a_while_the_services_word_has_to_do_where_no_result_is_lost(status, run, last):
    store = Broken()
    store.error = BackendError("no permission")
    seen, observer, _ = told(status, why=("UserError", EXITED.format(1)), run=run, store=store)
    for _ in range(PATIENCE):
        assert seen.status is Status.UNKNOWN
        (seen,) = observer.tell([view(resource(JOB, status=status))])
    assert seen.status is last[0]
    assert seen.error.startswith(last[1])
    assert "no permission" in seen.error


KEPT = Records((), [Outcome(trial=ONE, exit_code=0, started=1.0, ended=2.0)], began=True)
BAD = Records((), [Outcome(trial=ONE, exit_code=3, started=1.0, ended=2.0)], began=True)
NO_WORD = Records((), (), began=True)
MPI = {"distribution": {"distributionType": "Mpi"}}


@pytest.mark.parametrize(
    ("status", "more", "kept", "expected"),
    [
        pytest.param("Failed", MPI, KEPT, Records((), (), began=False), id="another process failed without a word"),
        pytest.param("Failed", {"resources": {"instanceCount": 2}}, KEPT, Records((), (), began=False), id="nodes"),
        pytest.param("Failed", {"resources": {"instanceCount": 1}}, KEPT, KEPT, id="one process"),
        pytest.param("Failed", {}, KEPT, KEPT, id="not distributed"),
        pytest.param("Completed", MPI, KEPT, KEPT, id="well"),
        pytest.param("Canceled", MPI, KEPT, KEPT, id="canceled"),
        pytest.param("Failed", MPI, BAD, BAD, id="the process said why"),
        pytest.param("Failed", MPI, NO_WORD, NO_WORD, id="no process said how it ended"),
        pytest.param("Failed", MPI, None, None, id="nothing was read"),
    ],
)
def test_the_first_rank_alone_does_not_say_that_a_failed_job_is_well(status, more, kept, expected):
    assert heeding_ranks(view(resource(JOB, status=status, **more)), kept) == expected


def test_one_job_that_cannot_be_read_hides_no_other():
    names = [f"mnist-{n:016x}-9e7a6c" for n in range(2)]
    answers = {
        f"GET {MLFLOW}/runs/get": run_of(),
        f"GET /experiments/mnist/runs/{names[0]}/details": BackendError("no permission"),
        f"GET /experiments/mnist/runs/{names[1]}/details": details("UserError", EXITED.format(1)),
    }
    observer = Observer(Client(**answers), Store(), experiment="mnist", parallel=1)
    seen = observer.tell([view(resource(name, status="Failed")) for name in names])
    assert [each.status for each in seen] == [Status.UNKNOWN, Status.FAILED]


TAG = {
    "amlc.results": json.dumps({ONE: {"final": [0.5], "step": 0, "names": ["default"], "integers": [], "whole": True}})
}


@pytest.mark.parametrize(
    ("status", "run", "looks"),
    [
        pytest.param("Completed", run_of(tags=TAG), 0, id="MLflow tells"),
        pytest.param("Completed", run_of(), 1, id="it does not"),
        pytest.param("Completed", None, 1, id="there is no run"),
        pytest.param("Failed", run_of(tags=TAG), 1, id="it failed"),
        pytest.param("Failed", run_of(start_time=None), 0, id="it never began"),
        pytest.param("Canceled", None, 0, id="canceled before it began"),
    ],
)
def test_the_records_are_read_only_where_mlflow_cannot_tell(status, run, looks):
    assert told(status, run=run)[2].looks == looks


def test_a_job_that_succeeded_has_its_results():
    _, observer, _ = told("Completed", run=run_of(tags=TAG, metrics=[("default", 0.5, 0, 1_000)]))
    fetched = observer.fetched(JOB)
    assert [(metric.trial, metric.value) for metric in fetched.metrics] == [(ONE, 0.5)]
    assert [(outcome.trial, outcome.exit_code) for outcome in fetched.outcomes] == [(ONE, 0)]


SAID = {"amlc.end": json.dumps({"exit_code": 0, "at": 8.0})}
BOTH = {"amlc.results": json.dumps({trial: json.loads(TAG["amlc.results"])[ONE] for trial in (ONE, TWO)})}
NOT_WHOLE = {
    "amlc.results": json.dumps({ONE: {"final": ["x"], "step": 0, "names": [], "integers": [], "whole": False}})
}
SHAPES = {
    "single": ((ONE,), {}),
    "packed": ((ONE, TWO), {}),
    "nodes": ((ONE,), {"resources": {"instanceCount": 2}}),
    "processes": ((ONE, TWO), MPI),
    "limited": ((ONE,), {"limits": {"timeout": "PT10S"}, "resources": {"instanceCount": 1}}),
}
DONE = {
    "well": ({**BOTH, **SAID}, {}, 0),
    "well, and not whole": ({**NOT_WHOLE, **SAID}, {}, 0),
    "in the last millisecond": ({**BOTH, "amlc.end": json.dumps({"exit_code": 0, "at": 9.0})}, {}, 0),
    "no report, or too much for a tag": (SAID, {}, 1),
    "an older runner": (BOTH, {}, 1),
    "no tag at all": ({}, {}, 1),
    "its trial ended the run": ({**BOTH, "amlc.end": json.dumps({"exit_code": 0, "at": 9.5})}, {}, 1),
    "MLflow calls it failed": ({**BOTH, **SAID}, {"status": "FAILED"}, 1),
    "longer than it is allowed to": ({**BOTH, **SAID}, {"end_time": 99_000}, 0),
}


@pytest.mark.parametrize(("tags", "info", "calls"), DONE.values(), ids=DONE)
@pytest.mark.parametrize(("trials", "properties"), SHAPES.values(), ids=SHAPES)
def test_what_mlflow_tells_first_is_what_the_list_would(trials, properties, tags, info, calls):
    run = run_of(metrics=[("default", 0.5, 0, 1_000), (f"{TWO}/loss", 2, 0, 1_000)], tags=tags, **info)
    answers = {
        f"GET {MLFLOW}/experiments/get-by-name": {"experiment": {"experiment_id": "7"}},
        f"POST {MLFLOW}/runs/search": {"runs": [run["run"]]},
        f"GET {MLFLOW}/runs/get": run,
        f"GET /jobs/{JOB}": resource(JOB, *trials, status="Completed", **properties),
    }
    listing, following = (
        Observer(Client(**answers), Store(**{ONE: {}}), experiment="mnist", parallel=1) for _ in range(2)
    )
    for observer in (listing, following):
        text = json.dumps({"type": "final", "sequence": 0, "value": "recorded", "at": 1.0})
        observer._artifacts.files[f"outputs/amlc/{ONE}/metrics.jsonl"] = text + "\n"
    (listed,) = listing.tell([view(answers[f"GET /jobs/{JOB}"])])
    following.note(view(resource(JOB, *trials, status="NotStarted", **properties)))
    assert following.glance([JOB], ()) == [listed]
    assert listed.status is Status.SUCCEEDED
    assert following.fetched(JOB) == listing.fetched(JOB)
    assert following._artifacts.looks == listing._artifacts.looks
    asked = following._client.asked.count(f"GET /jobs/{JOB}")
    assert asked == (1 if view(answers[f"GET /jobs/{JOB}"]).is_distributed else calls)


def test_all_trials_of_a_job_that_succeeded_did_so():
    _, observer, _ = told("Completed", ONE, TWO)
    assert [(outcome.trial, outcome.exit_code) for outcome in observer.fetched(JOB).outcomes] == [(ONE, 0), (TWO, 0)]


def test_a_job_that_failed_without_a_word_of_its_runner_has_no_results():
    _, observer, _ = told("Failed", run=run_of(start_time=None, metrics=[("default", 0.5, 0, 1_000)]))
    assert (list(observer.fetched(JOB).metrics), list(observer.fetched(JOB).outcomes)) == ([], [])


@pytest.mark.parametrize(
    ("raw_status", "status", "error"),
    [
        ("Queued", Status.WAITING, None),
        ("Running", Status.RUNNING, None),
        ("NotResponding", Status.UNKNOWN, "Azure ML says 'NotResponding'"),
        ("", Status.UNKNOWN, "Azure ML says 'nothing'"),
    ],
)
def test_a_job_that_has_not_ended_is_not_looked_into(raw_status, status, error):
    client = Client()
    observer = Observer(client, Store(), experiment="mnist", parallel=1)
    (seen,) = observer.tell([view(resource(JOB, status=raw_status))])
    assert (seen.status, seen.error, seen.url[-6:]) == (status, error, "&tid=t")
    assert (client.asked, observer.ended) == ([], {})


def test_what_a_job_ended_with_is_asked_once():
    _, observer, _ = told("Failed", why=("NodeLost", "Gone."), run=run_of())
    asked = list(observer._client.asked)
    observer.tell([view(resource(JOB, status="Failed"))])
    assert observer._client.asked == asked


@pytest.mark.parametrize("count", [2, 3])
def test_many_jobs_that_ended_are_found_by_one_search(count):
    names = [f"mnist-{n:016x}-9e7a6c" for n in range(count)]
    answers = {
        f"GET {MLFLOW}/experiments/get-by-name": {"experiment": {"experiment_id": "7"}},
        f"POST {MLFLOW}/runs/search": {"runs": [raw(name, tags=TAG) for name in names]},
        f"GET {MLFLOW}/runs/get": {"run": raw(names[0], tags=TAG)},
    }
    client = Client(**answers)
    observer = Observer(client, Store(), experiment="mnist", parallel=1)
    observer.tell([view(resource(name, status="Completed")) for name in names])
    single = f"GET {MLFLOW}/runs/get"
    assert client.asked.count(single) == (0 if count > 2 else count)
    assert client.asked.count(f"POST {MLFLOW}/runs/search") == (1 if count > 2 else 0)


def test_a_run_that_the_search_does_not_have_yet_is_asked_for_by_name():
    names = [f"mnist-{n:016x}-9e7a6c" for n in range(3)]
    answers = {
        f"GET {MLFLOW}/experiments/get-by-name": {"experiment": {"experiment_id": "7"}},
        f"POST {MLFLOW}/runs/search": {"runs": [raw(names[0], tags=TAG), raw(names[1])]},
    }
    client = Client(**answers)
    Observer(client, Store(), experiment="mnist", parallel=1).tell(
        [view(resource(name, status="Completed")) for name in names]
    )
    asked = [params for method, path, params in client.api.asked if path == f"{MLFLOW}/runs/get"]
    assert {params["run_id"] for params in asked} == set(names[1:])


def listing(*jobs):
    return {"GET /jobs": {"value": [resource(name, tags={"amlc.experiment": "mnist"}) for name in jobs]}}


def test_jobs_are_listed_once_and_those_that_the_list_lacks_are_asked_for():
    client = Client(**listing("a", "b", "x"), **{"GET /jobs/c": resource("c")})
    observer = Observer(client, Store(), experiment="mnist", parallel=1)
    assert [job.name for job in observer.views(["a", "b", "c", "d"])] == ["a", "b", "c"]
    assert sorted(client.asked) == ["GET /jobs", "GET /jobs/c", "GET /jobs/d"]
    assert client.arm.asked[0][2]["properties"] == "amlc.experiment=mnist"
    observer.views(["a", "b"])
    assert client.arm.asked[-1][2]["properties"] == "amlc.experiment=mnist"


def long_list(pages, of=30):
    """Return the answers of a workspace whose list has so many pages, the newest job first: 'job-0' is the oldest."""
    names = [f"job-{n}" for n in reversed(range(pages * of))]
    jobs = {name: resource(name, tags={"amlc.experiment": "mnist"}) for name in names}
    answers = [
        {"value": [jobs[name] for name in names[at : at + of]], "next": at + of < len(names)}
        for at in range(0, len(names), of)
    ]
    return {"GET /jobs": answers, **{f"GET /jobs/{name}": job for name, job in jobs.items()}}


@pytest.mark.parametrize(
    ("wanted", "pages", "single"),
    [
        pytest.param(range(270, 300), 1, 0, id="the newest"),
        pytest.param(range(240, 300), 2, 0, id="the two newest pages"),
        pytest.param(range(300), 10, 0, id="all"),
        pytest.param([0], 1, 1, id="the oldest"),
        pytest.param([0, *range(270, 300)], 2, 1, id="the newest, and the oldest"),
        pytest.param(range(0, 300, 30), 10, 0, id="one of each page"),
        pytest.param(range(3), 3, 3, id="the oldest three"),
        pytest.param(range(20), 10, 0, id="the oldest twenty"),
    ],
)
def test_the_list_is_read_no_further_than_it_is_of_use(wanted, pages, single):
    client = Client(**long_list(10))
    observer = Observer(client, Store(), experiment="mnist", parallel=1)
    names = {f"job-{n}" for n in wanted}
    assert {job.name for job in observer.views(names)} == names
    assert client.asked.count("GET /jobs") == pages
    assert len(client.asked) == pages + single


def test_jobs_made_by_hand_are_listed_without_the_property_from_then_on():
    client = Client(**{"GET /jobs": {"value": []}, "GET /jobs/a": resource("a")})
    observer = Observer(client, Store(), experiment="mnist", parallel=1)
    observer.views(["a"])
    observer.views(["a"])
    lists = [params for _, path, params in client.arm.asked if path == "/jobs"]
    assert [("properties" in params) for params in lists] == [True, False]


def why_waiting(status="Queued", compute="", **answers):
    job = resource("a", status=status, computeId=f"x/computes/{compute}" if compute else None)
    return Observer(Client(**{"GET /jobs/a": job, **answers}), Store(), experiment="m", parallel=1).reasons(
        ["a", "gone"]
    )


DETAILS = "GET /experiments/mnist/runs/a/details"


@pytest.mark.parametrize(
    ("status", "compute", "answers", "reason"),
    [
        pytest.param("Queued", "", {}, None, id="nobody says"),
        pytest.param("Queued", "", {DETAILS: {"queueingInfo": {"message": "No nodes."}}}, "No nodes.", id="the queue"),
        pytest.param(
            "Queued", "", {DETAILS: {"warnings": [{"message": "One."}, {"message": "Two."}]}}, "One. Two.", id="warnings"
        ),
        pytest.param("Preparing", "", {}, "Preparing", id="its status"),
        pytest.param("Starting", "", {}, "Starting", id="its status, starting"),
        pytest.param("Provisioning", "", {}, "Provisioning", id="its status, provisioning"),
        pytest.param("Preparing", "", {DETAILS: {"queueingInfo": {"message": "No nodes."}}}, "No nodes.", id="the queue first"),
        pytest.param(
            "Queued",
            "cpu",
            {"GET /computes/cpu": {"properties": {"provisioningErrors": [{"code": "Quota", "message": "No cores."}]}}},
            "Quota: No cores.",
            id="its compute target",
        ),
        pytest.param("Queued", "cpu", {"GET /computes/cpu": None}, None, id="a compute target that is gone"),
    ],
)  # fmt: skip
def test_a_waiting_job_says_why_it_waits(status, compute, answers, reason):
    assert why_waiting(status, compute, **answers) == ({"a": reason} if reason else {})


def test_a_compute_target_that_one_may_not_see_is_no_reason_to_stop():
    assert why_waiting(compute="cpu", **{"GET /computes/cpu": BackendError("no permission")}) == {}


def test_a_job_that_is_not_there_has_nothing():
    observer = Observer(Client(), Store(), experiment="mnist", parallel=1)
    assert list(observer.fetched("gone").metrics) == []
    assert list(observer.history("gone")) == []


def test_a_running_job_has_what_its_run_holds_as_intermediate_results():
    points = {"metrics": [{"key": "default", "value": 0.5, "step": 0, "timestamp": 1_000}]}
    run = run_of(metrics=[("default", 0.5, 0, 1_000)])
    answers = {
        f"GET /jobs/{JOB}": resource(JOB),
        f"GET {MLFLOW}/runs/get": run,
        f"GET {MLFLOW}/metrics/get-history": points,
    }
    store = Store()
    found = Observer(Client(**answers), store, experiment="mnist", parallel=1).history(JOB)
    assert [(metric.kind, metric.value) for metric in found] == [("intermediate", 0.5)]
    assert store.looks == 0


def test_a_running_job_has_the_results_that_its_runner_recorded():
    answers = {f"GET /jobs/{JOB}": resource(JOB), f"GET {MLFLOW}/runs/get": run_of(end_time=None)}
    observer = Observer(Client(**answers), Store(**{ONE: {}}), experiment="mnist", parallel=1)
    assert [outcome.trial for outcome in observer.fetched(JOB).outcomes] == [ONE]
    assert observer.ended == {}


RECORDS = json.dumps({"type": "intermediate", "sequence": 0, "value": "recorded", "at": 1.0}) + "\n"


def told_of(*, whole):
    return {
        "amlc.results": json.dumps(
            {ONE: {"final": [0.5], "step": 1, "names": ["default"], "integers": [], "whole": whole}}
        )
    }


@pytest.mark.parametrize(
    ("status", "run", "files", "values"),
    [
        pytest.param(
            "Completed", {"tags": told_of(whole=True)}, {"metrics.jsonl": RECORDS}, [0.25, 0.5], id="MLflow holds all"
        ),
        pytest.param(
            "Completed", {"tags": told_of(whole=False)}, {"metrics.jsonl": RECORDS}, ["recorded"], id="it does not"
        ),
        pytest.param(
            "Completed", {"tags": told_of(whole=False)}, {}, [0.25, 0.5], id="it does not, and there are no records"
        ),
        pytest.param("Failed", {}, {"metrics.jsonl": RECORDS}, ["recorded"], id="the runner did not get to say"),
        pytest.param("Running", {}, {"metrics.jsonl": RECORDS}, [0.25, 0.5], id="it runs"),
        pytest.param("Failed", None, {"metrics.jsonl": RECORDS}, ["recorded"], id="there is no run"),
        pytest.param("Failed", None, {}, [], id="there is nothing"),
        pytest.param("Running", None, {"metrics.jsonl": RECORDS}, [], id="there is no run yet"),
    ],
)
def test_every_report_comes_from_mlflow_or_from_the_records(status, run, files, values):
    points = [{"key": "default", "value": v, "step": s, "timestamp": 1_000} for s, v in enumerate([0.25, 0.5])]
    answers = {
        f"GET /jobs/{JOB}": resource(JOB, status=status),
        f"GET {MLFLOW}/runs/get": None if run is None else run_of(metrics=[("default", 0.5, 1, 1_000)], **run),
        f"GET {MLFLOW}/metrics/get-history": lambda asked: {"metrics": points},
    }
    store = Store()
    store.files = {f"outputs/amlc/{ONE}/{name}": text for name, text in files.items()}
    found = Observer(Client(**answers), store, experiment="mnist", parallel=1).history(JOB)
    assert [metric.value for metric in found] == values


def test_a_history_whose_records_cannot_be_read_is_what_mlflow_holds():
    points = {"metrics": [{"key": "default", "value": 0.5, "step": 0, "timestamp": 1_000}]}
    answers = {
        f"GET /jobs/{JOB}": resource(JOB, status="Failed"),
        f"GET {MLFLOW}/runs/get": run_of(metrics=[("default", 0.5, 0, 1_000)]),
        f"GET {MLFLOW}/metrics/get-history": points,
    }
    store = Broken()
    store.error = BackendError("no permission")
    observer = Observer(Client(**answers), store, experiment="mnist", parallel=1)
    with pytest.warns(RuntimeWarning, match="MLflow alone tells its history: no permission"):
        assert [metric.value for metric in observer.history(JOB)] == [0.5]
