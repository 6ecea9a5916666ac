"""What comes from outside of the file: one scalar each, where the file leaves a place, and nowhere else."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amlc.config import load_experiment
from amlc.config.given import Values, filled, filled_space, unused
from amlc.config.given import settings as parsed
from amlc.config.load import parse_document
from amlc.config.tree import secret
from amlc.errors import ConfigError, UsageError

TEXT = """
searchSpace:
  lr: {_type: choice, _value: ["${LR}", "$${LR}", "a${LR}", "${not a name}", 1]}
  net: {_type: choice, _value: [{_name: "${NET}", k: {_type: randint, _value: [1, "${K}"]}}]}
trial_command: echo ${LR}
tuner: {name: TPE, class_args: {seed: "${SEED}", optimize_mode: minimize}}
amlc: {namespace: "${LR}"}
"""


@pytest.fixture
def document(tmp_path):
    return parse_document(TEXT, tmp_path / "experiment.yml")


def test_a_placeholder_is_a_whole_value_of_the_space_or_of_arguments(document) -> None:
    environ = {"LR": "1e-3", "NET": "yes", "K": "7", "SEED": "3", "OTHER": "1"}
    found, lacking = filled(document, Values({}, environ))
    assert lacking == frozenset()
    assert found.data["searchSpace"] == {
        "lr": {"_type": "choice", "_value": [1e-3, "${LR}", "a${LR}", "${not a name}", 1]},
        "net": {"_type": "choice", "_value": [{"_name": True, "k": {"_type": "randint", "_value": [1, 7]}}]},
    }
    assert found.data["tuner"]["class_args"] == {"seed": 3, "optimize_mode": "minimize"}
    assert found.data["trial_command"] == "echo ${LR}"
    assert found.data["amlc"] == {"namespace": "${LR}"}
    assert found.filled == {"LR": "1e-3", "NET": "yes", "K": "7", "SEED": "3"}
    assert found.remarks == document.remarks
    assert document.data["searchSpace"]["lr"]["_value"][0] == "${LR}"  # as it was read


def test_what_is_set_counts_before_the_environment(document) -> None:
    environ = {"LR": "1", "NET": "a", "K": "7", "SEED": "3"}
    found, _ = filled(document, Values({"LR": "2", "K": "'9'"}, environ))
    assert found.data["searchSpace"]["lr"]["_value"][0] == 2
    assert found.data["searchSpace"]["net"]["_value"][0]["k"]["_value"] == [1, "9"]
    assert found.filled["LR"] == "2"


@pytest.mark.parametrize("environ", [{}, {"LR": ""}, None])
def test_each_that_has_no_value_is_an_error_where_it_stands(document, environ) -> None:
    found, lacking = filled(document, Values({"NET": "a"}, environ))
    assert lacking == {("searchSpace",), ("tuner", "classArgs")}
    assert [(one.code, one.path) for one in found.remarks] == [
        ("E-placeholder", "/searchSpace/lr/_value/0"),
        ("E-placeholder", "/searchSpace/net/_value/0/k/_value/1"),
        ("E-placeholder", "/tuner/class_args/seed"),
    ]
    assert all(("--untrusted" in one.message) == (environ is None) for one in found.remarks)


@pytest.mark.parametrize("name", ["API_KEY", "TOKEN", "my_password", "GITHUB_TOKEN", "clientSecret"])
def test_a_secret_is_never_taken(tmp_path, name) -> None:
    text = json.dumps({"searchSpace": {"x": {"_type": "choice", "_value": ["${" + name + "}"]}}})
    document = parse_document(text, tmp_path / "experiment.yml")
    for values in (Values({}, {name: "hush"}), Values({name: "hush"}, {})):
        found, lacking = filled(document, values)
        assert lacking
        assert "hush" not in repr(found)
        assert "the name of a secret" in found.remarks[-1].message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1), ("-0.5", -0.5), ("1e-5", 1e-5), ("true", True), ("no", False), ("null", None), ("~", None),
        ("text", "text"), ("'1'", "1"), ('"null"', "null"), ("''", ""), ("'", "'"), ("'a\"", "'a\""), (" 1", " 1"),
        ("[1, 2]", "[1, 2]"), ("{a: 1}", "{a: 1}"), ("a: b", "a: b"), ("- x", "- x"), ("a #b", "a #b"), ("*x", "*x"),
        ("!!python/object:x", "!!python/object:x"), ("1\nmaxTrialNumber: 9", "1\nmaxTrialNumber: 9"), ("${LR}", "${LR}"),
        ("0x1F", 31), ("é✓", "é✓"),
    ],
    ids=repr,
)  # fmt: skip
def test_a_value_is_one_scalar(document, text, value) -> None:
    given = {"LR": text, "NET": "a", "K": "2", "SEED": "1"}
    found, lacking = filled(document, Values(given, {}))
    assert not lacking
    taken = found.data["searchSpace"]["lr"]["_value"][0]
    assert (type(taken), taken) == (type(value), value)
    others = {**found.data, "searchSpace": None}
    plain, _ = filled(document, Values({**given, "LR": "1"}, {}))
    assert others == {**plain.data, "searchSpace": None}


@given(st.text())
@settings(max_examples=200)
def test_no_text_makes_structure(text) -> None:
    from pathlib import Path

    document = parse_document('{"searchSpace": {"x": {"_type": "choice", "_value": ["${X}"]}}}', Path("e.yml"))
    found, lacking = filled(document, Values({"X": text, "maxTrialNumber": text}, {}))
    [value] = found.data["searchSpace"]["x"]["_value"]
    assert isinstance(value, (str, int, float, bool, type(None)))
    assert isinstance(found.data.get("maxTrialNumber"), (str, int, float, bool, type(None)))
    assert found.data.keys() <= {"searchSpace", "maxTrialNumber"}
    assert bool(lacking) == any(problem.code == "E-placeholder" for problem in found.remarks)


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("trialCommand", ("trial_command",)),
        ("TRIAL_command", ("trial_command",)),
        ("maxTrialNumber", ("maxTrialNumber",)),
        ("tuner.classArgs.seed", ("tuner", "class_args", "seed")),
        ("tuner.classArgs.Seed", ("tuner", "class_args", "Seed")),
        ("searchSpace.lr._value.4", ("searchSpace", "lr", "_value", 4)),
        ("/searchSpace/lr/_value/4", ("searchSpace", "lr", "_value", 4)),
        ("/searchSpace/a.b~1c~0d/_type", ("searchSpace", "a.b/c~d", "_type")),
        ("amlc.budget.trials", ("amlc", "budget", "trials")),
        ("trainingService.platform", ("trainingService", "platform")),
    ],
)
def test_a_key_is_found_as_the_file_spells_it(document, key, path) -> None:
    found, _ = filled(document, Values({key: "5"}, {}))
    value = found.data
    for part in path:
        value = value[part]
    assert value == 5
    assert found.filled == {key: "5"}
    assert str(found.at(path)) == f"--set {key}"
    assert unused(found, {key: "5"}, found.filled) == []


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("searchSpace.lr._value.5", "no item of a list of 5"),
        ("searchSpace.lr._value.-1", "no item"),
        ("searchSpace.lr._value.01", "no item"),
        ("searchSpace.lr._value.x", "no item"),
        ("trialCommand.x", "no 'x' in a single value"),
        ("sharedStorage.storageAccountKey", "a secret on a command line"),
    ],
)
def test_a_key_that_leads_nowhere_is_an_error(document, key, said) -> None:
    found, _ = filled(document, Values({key: "5"}, {}))
    assert found.data == filled(document, Values({}, {}))[0].data
    assert [(problem.code, str(problem.position)) for problem in found.remarks[:1]] == [("E-set", f"--set {key}")]
    assert said in found.remarks[0].message
    assert "5" not in found.filled.values()


def test_a_name_that_nothing_uses_is_an_error(document) -> None:
    [problem] = unused(document, {"LR": "1", "LRR": "2"}, {"LR": "1"})
    assert str(problem).startswith("--set LRR: the file has neither a key 'LRR' nor '${LRR}'")


@pytest.mark.parametrize("words", [["a"], ["=1"], [""], ["a=1", "a=2"]])
def test_a_command_line_has_key_and_value(words) -> None:
    with pytest.raises(UsageError, match="--set"):
        parsed(words)
    assert parsed(["a=b=c", "x="]) == {"a": "b=c", "x": ""}


def test_a_space_of_its_own_file_is_filled_too(tmp_path) -> None:
    (tmp_path / "space.json").write_text('{"lr": {"_type": "uniform", "_value": [0, "${HIGH}"]}}')
    file = tmp_path / "experiment.yml"
    file.write_text(
        "searchSpaceFile: space.json\ntrialCommand: x\ntrialConcurrency: 1\nmaxTrialNumber: 2\n"
        "tuner: {name: Random}\ntrainingService: {platform: local}\n"
    )
    one, problems = load_experiment(file, environ={"HIGH": "0.5"})
    assert (one.space[0].b, one.given, problems) == (0.5, {"HIGH": "0.5"}, ())
    one, _ = load_experiment(file, environ={}, given={"HIGH": "2", "experimentName": "other"})
    assert (one.space[0].b, one.name, one.given) == (2.0, "other", {"experimentName": "other", "HIGH": "2"})
    with pytest.raises(ConfigError) as caught:
        load_experiment(file, environ={})
    [problem] = caught.value.problems
    assert (problem.position.file.name, problem.path) == ("space.json", "/lr/_value/1")
    found, is_whole = filled_space(parse_document('["${X}"]', file), Values({}, {"X": "1"}))
    assert (found.data, is_whole) == ([1], True)


def test_a_file_of_nni_1_takes_its_own_keys(tmp_path) -> None:
    file = tmp_path / "old.yml"
    file.write_text(
        json.dumps(
            {
                "authorName": "me", "experimentName": "old", "trialConcurrency": 1, "maxTrialNum": 3,
                "trainingServicePlatform": "local", "searchSpace": {"x": {"_type": "uniform", "_value": [0, "${HIGH}"]}},
                "tuner": {"builtinTunerName": "TPE", "classArgs": {"optimize_mode": "${MODE}"}},
                "trial": {"command": "true", "codeDir": ".", "gpuNum": 0},
            }
        )
    )  # fmt: skip
    (tmp_path / "space.json").write_text('{"x": {"_type": "uniform", "_value": [0, "${HIGH}"]}}')
    given = {"maxTrialNum": "7", "trial.command": "date"}
    text = file.read_text().replace('"searchSpace": {"x": {"_type": "uniform", "_value": [0, "${HIGH}"]}}', '"searchSpacePath": "space.json"')
    file.write_text(text)
    one, _ = load_experiment(file, environ={"HIGH": "3", "MODE": "maximize"}, given=given)
    assert (one.max_trials, one.command, one.space[0].b) == (7, "date", 3.0)
    assert one.tuner.class_args["optimize_mode"] == "maximize"


def test_a_personal_access_token_has_a_name_that_says_so() -> None:
    assert secret(("GITHUB_PAT",))
    assert secret(("pat",))
    assert not secret(("COMPAT",))
