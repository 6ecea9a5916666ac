"""Metrics out of MLflow's answers: what is a trial's final result, and what it logged beside it."""

import json

import pytest

from amlc.errors import BackendError
from amlc.model import Trial
from amlc.targets.aml.runs import (
    Point,
    Report,
    Run,
    experiment_id,
    final_metrics,
    get,
    history,
    intermediate_metrics,
    search,
)
from tests.targets.aml.workspace import ONE, TWO, Client

MLFLOW = "/api/2.0/mlflow"
ALONE = [Trial(ONE, 0, {})]
PACKED = [*ALONE, Trial(TWO, 1, {})]


def raw(job="job", metrics=(), tags=None, **info):
    """Return a run as MLflow gives it; `metrics` as (key, value, step, milliseconds)."""
    return {
        "info": {"run_id": job, "status": "FINISHED", **info},
        "data": {
            "metrics": [{"key": k, "value": v, "step": s, "timestamp": t} for k, v, s, t in metrics],
            "tags": [{"key": key, "value": value} for key, value in (tags or {}).items()],
        },
    }


def read(*args, **kwargs):
    return get(Client(**{f"GET {MLFLOW}/runs/get": {"run": raw(*args, **kwargs)}}), "job")


def run_with(last, reports=None, ended=None):
    points = {name: Point(value, step, at) for name, (value, step, at) in last.items()}
    return Run("job", 1.0, ended, points, reports)


def test_a_run_is_read_in_seconds():
    run = read("job", [("loss", 0.5, 3, 2_500), ("n", 2, None, None)], start_time="1000", end_time=2_500)
    assert (run.job, run.started, run.ended) == ("job", 1.0, 2.5)
    assert run.last == {"loss": Point(0.5, 3, 2.5), "n": Point(2.0, 0, 0.0)}


@pytest.mark.parametrize("time", [None, 0, ""])
def test_a_run_that_did_not_begin_has_no_times(time):
    run = read("job", start_time=time, end_time=time)
    assert (run.started, run.ended, run.last, run.reports) == (None, None, {}, None)


def test_a_run_without_data_is_empty():
    client = Client(**{f"GET {MLFLOW}/runs/get": {"run": {"info": {"run_id": "job"}}}})
    assert get(client, "job") == Run("job", None, None, {}, None)


def test_the_tag_of_the_runner_tells_what_is_its_own():
    told = {ONE: {"final": [0.5], "step": 3, "names": ["default"], "integers": ["n"], "whole": False}}
    assert read(tags={"amlc.results": json.dumps(told)}).reports == {
        ONE: Report((0.5,), 3, frozenset({"default"}), frozenset({"n"}), whole=False)
    }
    assert read(tags={"amlc.results": "{}", "other": "x"}).reports == {}


@pytest.mark.parametrize("size", [1, 7, 40, 1000])
def test_what_the_runner_says_may_take_several_tags(size):
    told = {ONE: {"final": [0.5], "step": 3, "names": ["default"], "integers": [], "whole": True}}
    text = json.dumps(told)
    parts = [text[start : start + size] for start in range(0, len(text), size)]
    tags = {f"amlc.results.{number}" if number else "amlc.results": part for number, part in enumerate(parts)}
    assert read(tags=tags).reports == {ONE: Report((0.5,), 3, frozenset({"default"}), frozenset(), whole=True)}
    if len(parts) > 1:
        del tags[f"amlc.results.{len(parts) // 2}"]
        assert read(tags=tags).reports is None, "a part was lost"
    assert read(tags={"amlc.results": text, "amlc.results.1": text}).reports is None, "a part is that of an earlier run"


@pytest.mark.parametrize(
    "tag", ["", "no JSON", "[1]", "null", f'{{"{ONE}": {{}}}}', f'{{"{ONE}": []}}', f'{{"{ONE}": 1}}']
)
def test_a_tag_that_cannot_be_read_tells_nothing(tag):
    assert read(tags={"amlc.results": tag}).reports is None


@pytest.mark.parametrize(
    ("final", "value"),
    [
        pytest.param(0.5, 0.5, id="a number"),
        pytest.param({"default": 1, "text": "x"}, {"default": 1, "text": "x"}, id="a mapping"),
        pytest.param(None, None, id="null"),
        pytest.param("NaN", "NaN", id="what MLflow cannot hold"),
    ],
)
def test_a_final_result_is_as_it_was_reported(final, value):
    reports = {ONE: Report((final,), 2, frozenset({"default", "text"}))}
    (metric,) = final_metrics(run_with({"default": (9.0, 2, 7.0)}, reports), ALONE)
    assert (metric.trial, metric.kind, metric.sequence, metric.value, metric.at) == (ONE, "final", 0, value, 7.0)


@pytest.mark.parametrize(
    ("final", "value"),
    [
        pytest.param((0.5,), {"lr": 0.1, "default": 0.5}, id="beside a number"),
        pytest.param(({"default": 1},), {"lr": 0.1, "default": 1}, id="beside a mapping"),
        pytest.param(({"lr": 3},), {"lr": 3}, id="what was reported counts"),
        pytest.param((), {"lr": 0.1}, id="alone"),
    ],
)
def test_what_a_trial_logs_by_itself_stands_beside_its_result(final, value):
    reports = {ONE: Report(final, 2, frozenset({"default"}))}
    (metric,) = final_metrics(run_with({"default": (9.0, 2, 7.0), "lr": (0.1, 0, 8.0)}, reports), ALONE)
    assert (metric.value, metric.at) == (value, 8.0)


@pytest.mark.parametrize("reports", [None, {}, {ONE: Report((), None, frozenset({"loss"}))}])
def test_a_trial_that_reported_no_result_has_none(reports):
    assert (
        list(final_metrics(run_with({"loss": (1.0, 0, 1.0)} if reports and reports.get(ONE) else {}, reports), ALONE))
        == []
    )


@pytest.mark.parametrize(("ended", "at"), [(5.0, 5.0), (None, 0.0)])
def test_a_result_without_numbers_has_the_time_of_the_run(ended, at):
    (metric,) = final_metrics(run_with({}, {ONE: Report(("text",))}, ended), ALONE)
    assert (metric.value, metric.at) == ("text", at)


def test_the_trials_of_a_pack_have_metrics_of_their_own():
    last = {
        f"{ONE}/default": (1.0, 0, 1.0),
        f"{ONE}/lr": (0.1, 0, 2.0),
        f"{TWO}/default": (2.0, 0, 3.0),
        "stray": (4.0, 0, 9.0),
    }
    reports = {ONE: Report((1,), 0, frozenset({"default"}))}
    first, second = final_metrics(run_with(last, reports), PACKED)
    assert (first.trial, first.value, first.at) == (ONE, {"lr": 0.1, "default": 1}, 2.0)
    assert (second.trial, second.value, second.at) == (TWO, {"default": 2.0}, 3.0)


def test_a_trial_of_a_pack_that_reported_nothing_hides_no_other():
    (metric,) = final_metrics(run_with({f"{TWO}/default": (2.0, 0, 3.0)}), PACKED)
    assert metric.trial == TWO


def test_a_trial_alone_has_every_metric_of_its_run():
    (metric,) = final_metrics(run_with({f"{TWO}/x": (1.0, 0, 1.0)}), ALONE)
    assert metric.value == {f"{TWO}/x": 1.0}


def steps(histories, reports=None, trials=ALONE):
    points = {name: [Point(float(value), step, at) for value, step, at in some] for name, some in histories.items()}
    found = list(intermediate_metrics(run_with({}, reports), points, trials))
    assert {metric.kind for metric in found} <= {"intermediate"}
    return [(metric.trial, metric.sequence, metric.value, metric.at) for metric in found]


def test_intermediate_results_are_those_of_each_step():
    found = steps({"default": [(0.5, 1, 2.0), (0.4, 0, 1.0)]})
    assert found == [(ONE, 0, 0.4, 1.0), (ONE, 1, 0.5, 2.0)]
    found = steps({"default": [(0.4, 0, 1.0)], "loss": [(7, 0, 3.0), (8, 1, 4.0)]})
    assert found == [(ONE, 0, {"default": 0.4, "loss": 7.0}, 3.0), (ONE, 1, {"loss": 8.0}, 4.0)]


def test_the_final_result_is_no_intermediate_one():
    reports = {ONE: Report((0.5,), 1, frozenset({"default"}))}
    assert steps({"default": [(0.4, 0, 1.0), (0.5, 1, 2.0)]}, reports) == [(ONE, 0, 0.4, 1.0)]
    assert steps({"own": [(0.4, 1, 1.0)]}, reports) == [(ONE, 1, {"own": 0.4}, 1.0)]


def test_whole_numbers_come_back_as_such():
    reports = {ONE: Report((), None, frozenset({"default", "n"}), frozenset({"n"}))}
    ((_, _, value, _),) = steps({"n": [(3, 0, 1.0)], "default": [(2, 0, 1.0)]}, reports)
    assert [(name, type(each)) for name, each in value.items()] == [("n", int), ("default", float)]


def test_the_trials_of_a_pack_have_curves_of_their_own():
    found = steps({f"{ONE}/default": [(1, 0, 1.0)], f"{TWO}/loss": [(2, 0, 1.0)], "stray": [(3, 0, 1.0)]}, None, PACKED)
    assert found == [(ONE, 0, 1.0, 1.0), (TWO, 0, {"loss": 2.0}, 1.0)]


def test_an_experiment_is_found_by_its_name():
    name = f"GET {MLFLOW}/experiments/get-by-name"
    client = Client(**{name: {"experiment": {"experiment_id": 7}}})
    assert experiment_id(client, "mnist") == "7"
    assert client.api.asked == [("GET", f"{MLFLOW}/experiments/get-by-name", {"experiment_name": "mnist"})]
    assert experiment_id(Client(), "mnist") is None


def test_a_search_follows_its_pages():
    pages = [
        {"runs": [raw("a")], "next_page_token": "p"},
        {"runs": [raw("b")], "next_page_token": ""},
        {"runs": [raw("c")]},
    ]
    client = Client(**{f"POST {MLFLOW}/runs/search": pages})
    assert {name: run.job for name, run in search(client, "7", {"a", "b"}).items()} == {"a": "a", "b": "b"}
    first = {"experiment_ids": ["7"], "max_results": 1000}
    assert [body for _, _, body in client.api.asked][-1] == {**first, "page_token": "p"}


def test_a_search_ends_with_the_last_of_the_jobs():
    pages = [{"runs": [raw("c"), raw("b")], "next_page_token": "p"}, {"runs": [raw("a")]}]
    client = Client(**{f"POST {MLFLOW}/runs/search": pages})
    assert search(client, "7", {"b"}).keys() == {"b"}
    assert len(client.api.asked) == 1


def test_a_search_that_finds_nothing_is_empty():
    assert search(Client(**{f"POST {MLFLOW}/runs/search": {}}), "7", {"a"}) == {}


def test_every_value_of_a_metric_is_there_in_the_order_of_its_steps():
    points = [
        {"key": "k", "value": v, "step": s, "timestamp": t} for v, s, t in [(3, 1, 1_000), (2, 0, 2_000), (1, 0, 1_000)]
    ]
    pages = [{"metrics": points[:2], "next_page_token": "p"}, {"metrics": points[2:]}]
    client = Client(**{f"GET {MLFLOW}/metrics/get-history": pages})
    assert history(client, "job", "k") == [Point(1.0, 0, 1.0), Point(2.0, 0, 2.0), Point(3.0, 1, 1.0)]
    asked = {"run_id": "job", "metric_key": "k", "max_results": "25000"}
    assert [params for _, _, params in client.api.asked][-1] == {**asked, "page_token": "p"}


def test_a_run_or_metric_that_is_not_there_is_nothing():
    client = Client()
    assert get(client, "job") is None
    assert client.api.asked[0][2] == {"run_id": "job"}
    with pytest.raises(BackendError, match="MLflow: not found"):
        search(Client(), "7", {"a"})
    assert history(Client(), "job", "k") == []


def test_an_answer_of_another_shape_is_said():
    class Odd(Client):
        def call(self, *args, **kwargs):
            raise KeyError("runs")

    client = Odd()
    client.api = client
    with pytest.raises(BackendError, match="MLflow: an answer to runs/search without 'runs'"):
        search(client, "7", {"a"})
