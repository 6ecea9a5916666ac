"""Jobs that ended lately: what MLflow says of them, and which are looked up all the same."""

import json

import pytest

from amlc.errors import BackendError, TransientError
from amlc.targets.aml.lately import Lately
from amlc.targets.aml.views import view
from tests.targets.aml.throttle_test import Clock
from tests.targets.aml.workspace import ONE, Client, resource

SEARCH = "POST /api/2.0/mlflow/runs/search"
BY_NAME = "GET /api/2.0/mlflow/experiments/get-by-name"
REPORTED = {ONE: {"final": [0.5], "step": 0, "names": ["default"], "integers": [], "whole": True}}


def run(job, at=2000, *, status="FINISHED", results=REPORTED, end=(0, 1.0)):
    """Return a run that ended at `at` (ms) and of which the runner said at the end: its exit code, and when (s)."""
    tags = {} if results is None else {"amlc.results": json.dumps(results)}
    if end is not None:
        tags["amlc.end"] = json.dumps({"exit_code": end[0], "at": end[1]})
    return {
        "info": {"run_id": job, "status": status, "start_time": 1, "end_time": at},
        "data": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
    }


def found(*runs, token=None):
    return {"runs": list(runs), **({"next_page_token": token} if token else {})}


def lately(search, **answers):
    """Return what knows the jobs a to f, of which d is distributed; looked up, they are still at work."""
    clock = Clock()
    jobs = {f"GET /jobs/{job}": resource(job) for job in "abcdef"}
    client = Client(**{BY_NAME: {"experiment": {"experiment_id": "7"}}, SEARCH: search, **jobs, **answers})
    made = Lately(client, parallel=1, clock=lambda: clock.now)
    for job in "abcdef":
        more = {"distribution": {"distributionType": "Mpi"}} if job == "d" else {}
        made.note(view(resource(job, status="NotStarted", **more)))
    return made, client, clock


def looked_up(client):
    return [call.rpartition("/")[2] for call in client.asked if "/jobs/" in call]


def test_a_job_whose_runner_says_it_ended_well_needs_no_call():
    made, client, _ = lately(found(run("b", 3000), run("a"), run("z", 1000), run("c", None)))
    seen = made.views(["a", "b", "c", "d"], ())
    assert sorted((job.name, job.raw_status) for job in seen) == [("a", "Completed"), ("b", "Completed")]
    assert client.asked == [BY_NAME, SEARCH]
    assert client.arm.asked[1][2]["order_by"] == ["end_time DESC"]
    assert made.runs.keys() == {"a", "b"}


@pytest.mark.parametrize(
    ("job", "ended"),
    [
        pytest.param("a", run("a", end=None), id="its runner does not say so, or is an older one"),
        pytest.param("a", run("a", end=(3, 1.0)), id="its runner says that it failed"),
        pytest.param("a", run("a", status="FAILED"), id="MLflow says that it failed"),
        pytest.param("a", run("a", status="KILLED"), id="MLflow says that it was killed"),
        pytest.param("a", run("a", end=(0, 2.5)), id="its trial ended the run while it ran"),
        pytest.param("a", run("a", results=None), id="its results are in its records, or it has none"),
        pytest.param("d", run("d"), id="of several processes one alone says so"),
        pytest.param("x", run("x"), id="nobody knows the job"),
    ],
)
def test_all_else_is_looked_up(job, ended):
    made, client, _ = lately(found(ended), **{"GET /jobs/x": resource("x")})
    (seen,) = made.views([job], ())
    assert (seen.name, seen.raw_status) == (job, "Running")
    assert looked_up(client) == [job]


def test_the_end_may_be_in_the_same_millisecond():
    made, client, _ = lately(found(run("a", 2000, end=(0, 2.0004))))
    made.views(["a"], ())
    assert looked_up(client) == []


TAGS = ["", "0", "[]", "null", "{}", '{"exit_code": 0}', '{"exit_code": 0, "at": null}', '{"exit_code": 0, "at": NaN}']


@pytest.mark.parametrize("tag", TAGS)
def test_a_tag_that_cannot_be_read_says_nothing(tag):
    ended = run("a", end=None)
    ended["data"]["tags"].append({"key": "amlc.end", "value": tag})
    made, client, _ = lately(found(ended))
    made.views(["a"], ())
    assert looked_up(client) == ["a"]


def test_a_job_without_trials_is_looked_up():
    made, client, _ = lately(found(run("a")))
    made.note(view(resource("a", environmentVariables={})))
    made.views(["a"], ())
    assert looked_up(client) == ["a"]


def test_a_trial_that_ends_its_run_by_itself_is_looked_up_ever_more_rarely():
    made, client, clock = lately(found(run("a", end=None)))
    times = []
    for _ in range(200):
        before = len(looked_up(client))
        made.views(["a"], ())
        times += [clock.now] * (len(looked_up(client)) - before)
        clock.now += 1
    assert [after - times[0] for after in times] == [0, 5, 15, 35, 75, 155]
    assert made.runs == {}


def test_what_mlflow_says_anew_is_looked_up_at_once():
    answers = [found(run("a", end=None)), found(run("a", end=(0, 3.0))), found(run("a", 4000, end=(0, 3.0)))]
    made, client, _ = lately(answers)
    made.views(["a"], ())
    made.views(["a"], ())
    assert looked_up(client) == ["a", "a"]
    (seen,) = made.views(["a"], ())
    assert (seen.raw_status, looked_up(client)) == ("Completed", ["a", "a"])


def test_what_the_workspace_does_not_have_is_left_to_the_list():
    made, client, clock = lately(found(run("gone")))
    assert made.views(["gone"], ()) == []
    clock.now += 1
    assert made.views(["gone"], ()) == []
    assert looked_up(client) == ["gone"]


def test_what_is_to_be_looked_up_is_whatever_mlflow_says_and_then_ever_more_rarely():
    made, client, clock = lately(found())
    assert [job.name for job in made.views(["a", "d"], ["a"])] == ["a"]
    assert made.views(["a", "d"], ["a"]) == []
    clock.now += 5
    assert [job.name for job in made.views(["a", "d"], ["a"])] == ["a"]
    client.arm.answers[SEARCH] = found(run("a", status="KILLED"))
    assert [job.name for job in made.views(["a", "d"], ["a"])] == ["a"]


def test_what_ended_is_told_until_it_is_recorded():
    made, _, _ = lately([found(run("a")), found(), found()])
    assert [job.name for job in made.views(["a"], ())] == ["a"]
    assert [job.name for job in made.views(["a"], ())] == ["a"]
    made.keep([])
    assert made.views([], ()) == []
    assert made.runs == {}


def test_only_runs_that_ended_since_are_read():
    pages = [found(run("a", 100_000), run("b", 90_000), token="more")]
    pages += [found(run("c", 101_000), run("a", 100_000), run("b", 90_000), token="next")]
    pages += [found(run("e", 85_001), run("f", 84_999), token="no")]
    made, client, _ = lately(pages)
    made.views("abcdef", ())
    assert {job.name for job in made.views("abcdef", ())} == {"a", "b", "c", "e"}
    assert client.asked.count(SEARCH) == 3
    sizes = [body["max_results"] for method, path, body in client.arm.asked if path.endswith("runs/search")]
    assert sizes == [1000, 100, 100]


def test_as_many_runs_are_asked_for_as_the_last_time_and_a_few_more():
    made, client, _ = lately(found(*(run(f"job-{n}") for n in range(400))))
    for _ in range(2):
        made.views(["a"], ())
    assert client.arm.asked[-1][2]["max_results"] == 500


@pytest.mark.parametrize(
    "search",
    [
        pytest.param(found(run("a", 1000), run("b", 2000)), id="ordered in another way"),
        pytest.param(found(run("a", None), run("b", 2000)), id="those at work first"),
        pytest.param(BackendError("MLflow: no permission"), id="forbidden"),
    ],
)
def test_where_mlflow_does_not_order_runs_nobody_asks_it_again(search):
    made, client, _ = lately(search)
    assert made.views(["a"], ()) is None
    assert made.views(["a"], ()) is None
    assert client.asked.count(SEARCH) == 1
    assert not made.works


def test_an_outage_is_no_reason_to_give_it_up():
    made, _, _ = lately([TransientError("MLflow: try again"), found()])
    with pytest.raises(TransientError):
        made.views(["a"], ())
    assert made.views(["a"], ()) == []


def test_what_could_not_be_looked_up_for_an_outage_is_afterwards():
    answers = {"GET /jobs/a": [TransientError("try again"), resource("a", status="Failed")]}
    made, _, _ = lately([found(run("b", 100_000), run("a", end=None)), found()], **answers)
    with pytest.raises(TransientError):
        made.views(["a", "b"], ())
    assert {job.raw_status for job in made.views(["a", "b"], ())} == {"Failed", "Completed"}


def test_before_anything_ran_in_the_experiment_there_is_nothing_to_ask():
    made, client, _ = lately(found())
    client.arm.answers[BY_NAME] = None
    assert made.views(["a"], ()) is None


def test_what_is_not_followed_any_more_is_forgotten():
    made, client, _ = lately(found(run("b"), run("a", end=None)))
    made.views(["a", "b"], ())
    made.keep(["c"])
    made.keep("ab")
    made.views(["a", "b"], ())
    assert looked_up(client) == ["a", "b", "a"]
