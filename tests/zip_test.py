"""Parameters that vary together, in whole experiments: with each tuner, and all that a plan can have."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from itertools import islice

import pytest

from amlc.catalogue import TUNERS, names
from amlc.config import load_experiment
from amlc.errors import ConfigError
from amlc.initial import leading
from amlc.model import Algorithm, Choice, Integer, Real, Rows
from amlc.plan import plan
from amlc.report.settings import settings_of
from amlc.space.points import as_delivered, axes, deliver, locate
from amlc.tuners import built_in
from amlc.warm_start import fitting
from tests.plan_test import experiment
from tests.tuners.simulation import arguments, simulate

ROWS = Rows("a", ({"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2.5, "b": None}, {"a": 4, "b": [1]}))
PAIRS = [json.dumps([*row.values()]) for row in ROWS.options]
SEARCHING = [one.name for one in TUNERS if "choice" in one.types and one.name not in ("Batch", "Hyperband", "BOHB", "PBT")]


def pair(parameters):
    return json.dumps([parameters["a"], parameters["b"]])


# --- points ---------------------------------------------------------------------------------------


def test_each_row_is_a_point_and_nothing_between_is() -> None:
    space_axes = axes((ROWS, Integer("n", 0, 3)))
    for index, row in enumerate(ROWS.options):
        point = {("a",): index, ("n",): 2}
        parameters = deliver(space_axes, point)
        assert parameters == {**row, "n": 2}
        assert locate(space_axes, parameters) == point
    for other in ({"a": 1, "b": None, "n": 1}, {"a": 1, "n": 1}, {"n": 1}, {"a": 1, "b": "x", "n": 1, "c": 1}):
        assert locate(space_axes, other) is None
        assert as_delivered(space_axes, other) is None


def test_a_row_from_elsewhere_gets_the_types_of_the_space() -> None:
    space_axes = axes((Rows("a", ({"a": 1.0, "b": True}, {"a": 2.0, "b": 1})),))
    assert json.dumps(as_delivered(space_axes, {"b": True, "a": 1})) == '{"a": 1.0, "b": true}'
    assert as_delivered(space_axes, {"a": 1, "b": 1}) is None


# --- tuners ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SEARCHING)
def test_every_tuner_takes_the_rows_for_one_choice(name) -> None:
    """They find the best row, and give each trial one of them."""
    tuner, space = built_in(name), (Integer("n", 0, 5), ROWS)
    args = arguments(name)
    best = {"a": 2.5, "b": None}
    sign = -1 if args.get("optimize_mode") == "minimize" else 1
    records = simulate(
        tuner,
        space,
        lambda parameters: sign * float(pair(parameters) == pair(best)),
        trials=20,
        concurrency=3,
        args=args,
    )
    assert len(records) == 20
    assert {pair(record.parameters) for record in records} <= set(PAIRS)
    assert len({json.dumps(record.parameters) for record in records}) == 20
    assert all(list(record.parameters) == ["n", "a", "b"] for record in records)


@pytest.mark.parametrize("name", ["Hyperband", "BOHB", "PBT"])
def test_those_that_schedule_take_them_too(name) -> None:
    given = {"all_checkpoint_dir": "/c", "population_size": 4} if name == "PBT" else {}
    space = (Real("u", 0.0, 1.0), ROWS)
    records = simulate(
        built_in(name), space, lambda parameters: parameters["u"], trials=14, concurrency=4, args=arguments(name, **given)
    )
    assert len(records) == 14
    assert {pair(record.parameters) for record in records} <= set(PAIRS)


def test_the_tables_above_know_every_tuner() -> None:
    refused = {one.name for one in TUNERS if not one.refused and "choice" not in one.types}
    assert refused == {"Metis", "GP", "DNGO"}
    assert {*SEARCHING, "Hyperband", "BOHB", "PBT", "Batch", *refused} == set(names("tuner"))


# --- plans ----------------------------------------------------------------------------------------


def planned(one):
    return [trial for job in plan(one) for trial in job.trials]


@pytest.mark.parametrize("tuner", ["GridSearch", "Random"])
@pytest.mark.parametrize("replicates", [1, 2])
@pytest.mark.parametrize("size", [1, 5])
@pytest.mark.parametrize("constraints", [(), ("a < 4 and n != 1",)])
@pytest.mark.parametrize("initial", [(), ({"b": "y", "n": 0}, {"a": 4 - 1.5})])
def test_a_plan_has_each_row_with_all_the_rest(tuner, replicates, size, constraints, initial) -> None:
    others = (Integer("n", 0, 2), Real("q", 0.0, 1.0, q=0.5), Choice("net", ("p", "q"), ((Choice("w", (1, 2)),), ())))
    one = experiment(
        (others[0], ROWS, *others[1:]),
        tuner=tuner,
        replicates=replicates,
        trials_per_job=size,
        constraints=constraints,
        initial=initial,
    )
    trials = planned(one)
    sets = 4 * 2 * 3 * 3 if not constraints else 3 * 1 * 3 * 3
    assert len(trials) == sets * replicates
    assert len({trial.id for trial in trials}) == len(trials)
    assert len({json.dumps(trial.parameters, sort_keys=True) for trial in trials}) == sets
    assert {pair(trial.parameters) for trial in trials} == set(PAIRS if not constraints else PAIRS[:3])
    if initial:
        first, second = trials[0].parameters, trials[replicates].parameters
        assert (pair(first), first["n"]) == ('[1, "y"]', 0)
        assert pair(second) == "[2.5, null]"


def test_a_trial_has_the_id_of_its_parameters_whatever_varies_together() -> None:
    grid = (Choice("a", (1, 2)), Choice("b", ("x", "y")), Integer("n", 0, 2))
    free = {trial.id for trial in planned(experiment(grid))}
    rows = ({"a": 1, "b": "x"}, {"a": 2, "b": "y"})
    together = [trial.id for trial in planned(experiment((Rows("a", rows), grid[2])))]
    assert len(together) == 4
    assert set(together) < free
    wider = planned(experiment((Rows("a", (*rows, {"a": 3, "b": "z"})), grid[2])))
    assert [trial.id for trial in wider][:4] == together
    assert len(wider) == 6


def test_an_adaptive_tuner_begins_with_the_rows_that_it_is_given() -> None:
    one = experiment((Real("u", 0.0, 1.0), ROWS), tuner="TPE", max_trials=6, concurrency=6)
    one = replace(one, tuner=Algorithm(name="TPE", class_args=arguments("TPE")), initial=({"b": None}, {"a": 1, "u": 0.5}))
    trials = [trial.parameters for job in islice(plan(one), 6) for trial in job.trials]
    assert pair(trials[0]) == "[2.5, null]"
    assert (pair(trials[1]), trials[1]["u"]) == ('[1, "x"]', 0.5)  # of two rows with these values, the first
    assert {pair(one) for one in trials} <= set(PAIRS)
    assert leading(replace(one, initial=({"a": 1, "b": "y", "u": 0.25}, {"a": 1})), ()) == 1


# --- files ----------------------------------------------------------------------------------------

FILE = {
    "searchSpace": {
        "n": {"_type": "randint", "_value": [0, 3]},
        "a": {"_type": "choice", "_value": [1, 1, 2.5]},
        "b": {"_type": "choice", "_value": ["x", "y", "x"]},
    },
    "trialCommand": "true",
    "trialConcurrency": 1,
    "maxTrialNumber": 100,
    "tuner": {"name": "GridSearch"},
    "trainingService": {"platform": "local"},
    "amlc": {"zip": [["b", "a"]]},
}


def write(folder, **changes):
    file = folder / "experiment.yml"
    file.write_text(json.dumps({**FILE, **changes}))
    return file


def load(folder, **changes):
    return load_experiment(write(folder, **changes), environ={})


def test_equal_options_of_a_column_are_no_mistake(tmp_path) -> None:
    one, problems = load(tmp_path)
    assert problems == ()
    assert one.space[1] == Rows("a", ({"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2.5, "b": "x"}))


@pytest.mark.parametrize("name", ["Metis", "GP", "DNGO"])
def test_who_searches_numbers_alone_is_refused_where_the_group_stands(tmp_path, name) -> None:
    space = {name: {"_type": "choice", "_value": [1, 2]} for name in "ab"}
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, searchSpace=space, tuner={"name": name})
    [problem] = caught.value.problems
    assert (problem.code, problem.path) == ("E-space-tuner", "/amlc/zip")
    assert "cannot search 'a' and 'b' together" in problem.message


@pytest.mark.parametrize(
    ("initial", "path"),
    [
        ({"a": 2.5, "b": "y"}, "/amlc/initial/0/a"),
        ({"a": 3}, "/amlc/initial/0/a"),
        ({"b": "z", "a": 1}, "/amlc/initial/0/b"),
        ({"c": 1}, "/amlc/initial/0/c"),
    ],
)
def test_a_first_parameter_set_is_one_row(tmp_path, initial, path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, amlc={"zip": [["a", "b"]], "initial": [initial]})
    assert [(problem.code, problem.path) for problem in caught.value.problems] == [("E-initial", path)]


def test_constraints_and_warnings_know_the_parameters_of_a_row(tmp_path) -> None:
    one, problems = load(tmp_path, amlc={"zip": [["a", "b"]], "constraints": ["a < 2 or b != 'x'"]})
    assert problems == ()
    assert {pair(trial.parameters) for trial in planned(one)} == {'[1, "x"]', '[1, "y"]'}


def test_a_row_that_never_comes_is_said_at_its_first_option(project) -> None:
    project.write(**{**FILE, "amlc": {"zip": [["a", "b"]], "constraints": ["a < 2 or b != 'x'"]}})
    err = project.amlc("validate", "experiment.yml").stderr
    assert "/searchSpace/a/_value/2: warning: the constraints never allow this option" in err
    assert "is valid: 9 combinations, 3 excluded, 6 trials" in err


def test_a_table_of_results_is_read_by_rows(tmp_path) -> None:
    from amlc.elsewhere.tables import read_table

    space = (Integer("n", 0, 3), Rows("a", ({"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2.5, "b": None})))
    text = "sequence,trial,status,param.n,param.a,param.b,metric.default\n"
    text += "0,t0,succeeded,1,1,y,0.5\n1,t1,succeeded,2,2.5,,0.25\n2,t2,succeeded,2,2.5,y,0.25\n"
    found = list(fitting(read_table(tmp_path / "t.csv", text, axes(space)), space))
    assert [one.parameters for one in found] == [{"n": 1, "a": 1, "b": "y"}, {"n": 2, "a": 2.5, "b": None}, None]
    nni = "n,a,b,reward,trialJobId,intermediate\n1,1,y,0.5,abc,[]\n"
    [one] = fitting(read_table(tmp_path / "t.csv", nni, axes(space)), space)
    assert (one.parameters, one.final) == ({"n": 1, "a": 1, "b": "y"}, (0.5,))


def test_the_report_lists_a_group_as_one(tmp_path) -> None:
    one, _ = load(tmp_path)
    line = settings_of(one).space[1]
    assert (line.name, line.kind, line.values) == ("a, b", "zip", '[1, "x"], [1, "y"], [2.5, "x"]')


def test_from_the_file_to_the_results(project) -> None:
    """On this machine, packed, with the counts in plan; what a submit ran stays when the table grows."""
    space = {**FILE["searchSpace"], "n": {"_type": "choice", "_value": [0, 1]}}
    keys = {"amlc": {"zip": [["a", "b"]], "trialsPerJob": 4, "constraints": ["n == 0 or b == 'x'"]}, "searchSpace": space}
    project.write(**keys).compile()
    told = project.amlc("plan", "probe").stdout.decode()
    assert "6 combinations, 1 excluded, 5 trials\n5 to submit in 2 jobs (new)" in told
    plain = json.loads(project.amlc("plan", "probe", "--format", "json").stdout)["plan"]
    assert (plain["combinations"], plain["excluded"]) == (6, 1)
    assert "6 combinations, 1 excluded, 5 trials" in project.amlc("plan", "probe", "--format", "markdown").stdout.decode()
    rows = list(csv.DictReader(io.StringIO(project.amlc("run", "experiment.yml").stdout.decode())))
    assert sorted((row["param.n"], row["param.a"], row["param.b"]) for row in rows) == [
        ("0", "1", "x"), ("0", "1", "y"), ("0", "2.5", "x"), ("1", "1", "x"), ("1", "2.5", "x"),
    ]  # fmt: skip
    assert len(project.starts) == 5
    keys["searchSpace"] = {
        **space,
        "a": {"_type": "choice", "_value": [1, 1, 2.5, 7]},
        "b": {"_type": "choice", "_value": ["x", "y", "x", "x"]},
    }
    project.write(**keys)
    rows = list(csv.DictReader(io.StringIO(project.amlc("run", "experiment.yml").stdout.decode())))
    assert len(rows) == 7
    assert len(project.starts) == 7
