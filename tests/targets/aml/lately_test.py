"""Jobs that ended lately: what MLflow says first, and how each is looked up for few calls."""

import pytest

from amlc.errors import BackendError, TransientError
from amlc.targets.aml.lately import Lately
from amlc.targets.aml.views import view
from tests.targets.aml.throttle_test import Clock
from tests.targets.aml.workspace import SCOPE, Client, resource

SEARCH = "POST /api/2.0/mlflow/runs/search"
BY_NAME = "GET /api/2.0/mlflow/experiments/get-by-name"


def runs(*ended, token=None):
    """Return a page of runs: (job, when it ended)."""
    found = [{"info": {"run_id": job, "start_time": 1, "end_time": at}, "data": {}} for job, at in ended]
    return {"runs": found, **({"next_page_token": token} if token else {})}


def lately(search, **answers):
    """Return what knows jobs a to f, of which a, b and c, and d, e and f stand on a page; 10 seconds have gone by."""
    clock = Clock()
    client = Client(**{BY_NAME: {"experiment": {"experiment_id": "7"}}, SEARCH: search, **answers})
    made = Lately(client, lambda: clock.now)
    for page in ("abc", "def"):
        made.note([view(resource(job)) for job in page], f"https://arm{SCOPE}/jobs?{page}")
    clock.now += 10
    return made, client, clock


def page(*jobs, status="Completed"):
    return {"value": [resource(job, status=status) for job in jobs]}


def test_a_page_tells_of_all_jobs_on_it_and_is_read_once():
    made, client, _ = lately(runs(("b", 3000), ("a", 2000), ("z", 1000), ("d", None)))
    client.arm.answers["GET /jobs?abc"] = page("a", "b", "c")
    found = made.views(["a", "b", "c", "d"], ())
    assert [job.name for job in found] == ["a", "b", "c"]
    assert client.asked == [BY_NAME, SEARCH, "GET /jobs?abc"]
    assert client.arm.asked[1][2]["order_by"] == ["end_time DESC"]
    assert made.taken(["a", "b"]).keys() == {"a", "b"}
    assert made.runs == {}


def test_what_the_page_has_no_more_is_asked_for_by_its_name():
    made, client, _ = lately(runs(("a", 2000)), **{"GET /jobs/a": resource("a", status="Failed")})
    client.arm.answers["GET /jobs?abc"] = BackendError("the link is too old")
    (job,) = made.views(["a"], ())
    assert job.raw_status == "Failed"
    assert "a" not in made.places


def test_calls_are_kept_for_the_pages_with_most_endings_and_the_rest_waits():
    names = [f"job-{n}" for n in range(40)]
    made, client, clock = lately(runs(*((job, 9000 - n) for n, job in enumerate([*names, "d", "e", "a"]))))
    client.arm.answers |= {f"GET /jobs/{job}": resource(job, status="Completed") for job in names}
    client.arm.answers |= {"GET /jobs?def": page("d", "e"), "GET /jobs?abc": page("a")}
    wanted = [*names, "a", "d", "e"]
    first = made.views(wanted, ())
    asked = [call for call in client.asked if "/jobs" in call]
    assert asked[:2] == ["GET /jobs?def", "GET /jobs?abc"]
    assert len(asked) == 7  # a call in two seconds, and six for a hundred endings
    made.taken(job.name for job in first)
    client.arm.answers[SEARCH] = runs()
    clock.now += 100
    second = made.views([job for job in wanted if job not in {one.name for one in first}], ())
    assert {job.name for job in [*first, *second]} == set(wanted)


def test_what_waits_long_comes_before_what_is_many():
    made, client, _ = lately(runs(("b", 100_000), ("c", 100_000), ("d", 40_000)))
    client.arm.answers |= {"GET /jobs?def": page("d"), "GET /jobs?abc": page("a", "b", "c")}
    made.views("abcd", ())
    assert [call for call in client.asked if "/jobs" in call] == ["GET /jobs?def", "GET /jobs?abc"]


def test_a_trial_that_ends_its_run_by_itself_is_not_asked_for_again_and_again():
    made, client, _ = lately(runs(("a", 2000)))
    client.arm.answers["GET /jobs?abc"] = page("a", status="Running")
    (job,) = made.views(["a"], ())
    assert not job.status.ended
    client.arm.answers[SEARCH] = runs()
    assert made.views(["a"], ()) == []


def test_what_is_to_be_looked_up_is_whatever_mlflow_says():
    made, client, _ = lately(runs())
    client.arm.answers["GET /jobs?abc"] = page("a")
    assert [job.name for job in made.views(["a", "d"], ["a"])] == ["a"]


def test_only_runs_that_ended_since_are_read():
    pages = [runs(("a", 100_000), token="next"), runs(("b", 90_000), ("c", None), token="more")]
    made, client, _ = lately([*pages, runs(("e", 99_000), ("a", 84_999), token="no")])
    client.arm.answers |= {"GET /jobs?abc": page("a", "b"), "GET /jobs?def": page("e")}
    made.views(["a", "b"], ())
    assert [job.name for job in made.views(["e"], ())] == ["e"]
    assert client.asked.count(SEARCH) == 3


@pytest.mark.parametrize(
    "search",
    [
        pytest.param(runs(("a", 1000), ("b", 2000)), id="ordered in another way"),
        pytest.param(runs(("a", None), ("b", 2000)), id="those at work first"),
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
    made, _, _ = lately([TransientError("MLflow: try again"), runs()])
    with pytest.raises(TransientError):
        made.views(["a"], ())
    assert made.views(["a"], ()) == []


def test_before_anything_ran_in_the_experiment_there_is_nothing_to_ask():
    made, client, _ = lately(runs())
    client.arm.answers[BY_NAME] = None
    assert made.views(["a"], ()) is None


def test_what_is_not_followed_any_more_is_forgotten():
    made, _, _ = lately(runs())
    made.keep(["a"])
    assert made.places.keys() == {"a"}
