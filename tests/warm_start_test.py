"""Results from elsewhere reach the tuner: what collect wrote, what NNI exported, what another ledger holds."""

import json
from itertools import islice

import pytest

from amlc.errors import UsageError
from amlc.ledger import open_ledger
from amlc.model import Document
from amlc.space.parse import parse_space
from amlc.tuners import random
from amlc.warm_start import read_results_from, record_results

SPACE = {
    "lr": {"_type": "loguniform", "_value": [0.001, 1]},
    "units": {"_type": "randint", "_value": [2, 9]},
    "odd": {"_type": "choice", "_value": [1, True, 1.0, "one", None, "a,b", [1, 2], {"x": {"y": 0}}]},
    "layer": {
        "_type": "choice",
        "_value": [{"_name": "none"}, {"_name": "conv", "k": {"_type": "quniform", "_value": [0, 9, 2]}}],
    },
}
EVOLUTION = {"name": "Evolution", "classArgs": {"optimize_mode": "minimize", "population_size": 3}}


@pytest.fixture
def space(tmp_path):
    found, problems = parse_space(Document(tmp_path / "space.json", SPACE, {}, {}), (), tuner=None)
    assert not problems
    return found


@pytest.fixture
def some(space):
    every = random.propose(space, (), count=40, seed=3, args={}, allowed=lambda parameters: True)
    return list(islice(every, 40))


def test_results_csv_comes_back_as_it_was_collected(make_project, tmp_path):
    project = make_project().write("final 0.5\nexit 0", searchSpace=SPACE, tuner={"name": "Random"}, maxTrialNumber=25)
    (tmp_path / "results.csv").write_bytes(project.amlc("run", "experiment.yml").stdout)
    space, _ = parse_space(Document(tmp_path / "space.json", SPACE, {}, {}), (), tuner=None)
    found = read_results_from(tmp_path / "results.csv", space)
    submitted = [trial.parameters for entry in project.manifest.entries() for trial in entry.trials]
    assert [json.dumps(parameters) for parameters, _ in found.rows] == [json.dumps(one) for one in submitted]
    assert {value for _, value in found.rows} == {0.5}
    assert found.left_out == ""
    ledger = read_results_from(project.folders.ledger("probe").parent, space)
    assert ledger.rows == found.rows


def test_an_export_of_nni(some, space, tmp_path):
    rows = [
        {"parameter": one, "value": value, "id": "x"}
        for one, value in zip(some, [0.5, "0.5", "nan", {"default": 2}], strict=False)
    ]
    rows += [
        {"parameter": {"lr": 7}, "value": 1},
        {"nothing": 1},
        {"parameter": json.dumps(some[9]), "value": '{"default": 3}'},
    ]
    (tmp_path / "export.json").write_text(json.dumps(rows))
    found = read_results_from(tmp_path / "export.json", space)
    assert found.rows == ((some[0], 0.5), (some[1], 0.5), (some[3], 2.0), (some[9], 3.0))
    assert found.left_out == (
        f"2 without a number as result ({tmp_path}/export.json: item 2), "
        f"1 outside of the space ({tmp_path}/export.json: item 4: 'lr' is 7)"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "it is empty"),
        ("param.lr,metric.default\n0.5,1\n", r"no result can be used: 1 outside of the space \(.*results:2: 'units' is missing\)"),
        ("param.lr,metric.default\n0.5\n0.5,\n0.5,x\n", r"used: 3 without a number as result \(.*results:2\)"),
        ("metric.default,param.lr,param.units\n1\n", r"used: 1 outside of the space \(.*results:2: 'lr' is empty\)"),
        (
            "param.lr,param.momentum,metric.default\n0.5,0.9,1\n",
            r"1 outside of the space \(.*results:2: the space has no 'momentum'\)",
        ),
        (
            '[{"parameter": {"momentum": 1}, "value": 1}]',
            r"1 outside of the space \(.*results: item 0: the space has no 'momentum'\)",
        ),
        ('[{"value": "bad"}]', r"used: 1 without a number as result \(.*results: item 0\)"),
        ("param.lr,metric.default\n", "it has no results"),
        ("[{", "not JSON"),
        ("[]", "it has no results"),
        (b"\xff\xfe", "not text in UTF-8"),
        ("SQLite format 3\0 but not really", "results"),
    ],
)
def test_what_is_no_results_is_said(content, message, space, tmp_path):
    path = tmp_path / "results"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(Exception, match=message) as caught:
        read_results_from(path, space)
    assert str(path) in str(caught.value)


def test_a_folder_without_a_ledger(space, tmp_path):
    with pytest.raises(UsageError, match=r"there is no ledger\.db"):
        read_results_from(tmp_path, space)


def test_the_same_results_count_once(some, space, tmp_path):
    (tmp_path / "export.json").write_text(json.dumps([{"parameter": some[0], "value": 1}]))
    results = read_results_from(tmp_path / "export.json", space)
    with open_ledger(tmp_path / "ledger.db") as ledger:
        assert [record_results(ledger, results, at=0) for _ in range(2)] == [True, False]


def test_why_each_is_left_out_is_said(space, tmp_path):
    """A status other than `succeeded` is the reason, whatever stands beside it as the result."""
    statuses = ["failed", "early_stopped", "canceled", "unfinished", "running", "succeeded", "succeeded", "failed"]
    lines = [f"{status},0.5,4,1,none,{i}" for i, status in enumerate(statuses)]
    lines += ["succeeded,0.5,4,1,none,", "succeeded,7,4,1,none,1"]
    path = tmp_path / "results.csv"
    path.write_text("status,param.lr,param.units,param.odd,param.layer._name,metric.default\n" + "\n".join([*lines, ""]))
    found = read_results_from(path, space)
    assert [value for _, value in found.rows] == [5, 6]
    assert found.left_out == (
        f"2 failed ({path}:2), 1 stopped early ({path}:3), 1 canceled ({path}:4), 1 cut short ({path}:5), "
        f"1 had not ended ({path}:6), 1 without a number as result ({path}:10), "
        f"1 outside of the space ({path}:11: 'lr' is 7.0)"
    )


def test_a_run_learns_from_them_and_goes_on_without_being_told_again(make_project, tmp_path):
    one_axis = {"x": {"_type": "uniform", "_value": [0, 1]}}
    (tmp_path / "old.csv").write_text("param.x,metric.default\n0.25,0.5\n0.75,0.25\n9,1\n0.5,\n")
    project = make_project().write("final 1\nexit 0", searchSpace=one_axis, tuner=EVOLUTION, maxTrialNumber=6)
    out = project.amlc("run", "experiment.yml", "--from", str(tmp_path / "old.csv"))
    assert "old.csv: 2 results learnt from, left out: 1 without a number as result (" in out.stderr
    assert "old.csv:5), 1 outside of the space (" in out.stderr
    assert len(project.trials) == 6
    again = project.amlc("run", "experiment.yml")
    assert again.stdout == out.stdout
    refused = make_project("other").write(searchSpace=one_axis, tuner={"name": "Random"}, maxTrialNumber=6)
    assert "does not learn" in refused.amlc("run", "experiment.yml", "--from", str(tmp_path / "old.csv"), code=2).stderr


def test_what_the_tuner_wants_is_not_left_out(tmp_path):
    space, _ = parse_space(Document(tmp_path / "s", {"x": {"_type": "uniform", "_value": [0, 1]}}, {}, {}), (), tuner=None)
    path = tmp_path / "old.csv"
    path.write_text("param.x,param.save_checkpoint_dir,metric.default\n0.5,,1\n0.25,c/0/1,2\n")
    found = read_results_from(path, space, wants="save_checkpoint_dir")
    assert found.rows == (({"x": 0.25, "save_checkpoint_dir": "c/0/1"}, 2.0),)
    assert found.left_out == f"1 without save_checkpoint_dir ({path}:2)"


def test_a_table_of_wandb_and_its_metric(space, some, tmp_path):
    own = {**some[0], "odd": 1, "layer": {"_name": "none"}}
    cells = {**{name: value for name, value in own.items() if name != "layer"}, "layer._name": "none"}
    text = "Name,State,acc,loss," + ",".join(cells) + "\n"
    text += "".join(f"run,{state},0.5,1," + ",".join(map(str, cells.values())) + "\n" for state in ("finished", "failed"))
    (tmp_path / "runs.csv").write_text(text)
    found = read_results_from(tmp_path / "runs.csv", space, metric="acc")
    assert found.rows == ((own, 0.5),)
    assert found.left_out == f"1 failed ({tmp_path}/runs.csv:3)"
    with pytest.raises(UsageError, match="Name it: --metric COLUMN"):
        read_results_from(tmp_path / "runs.csv", space)
