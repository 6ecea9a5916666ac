"""Keys as NNI matches them, and where the file has them."""

import pytest

from amlc.config.spelling import fold, object_schema


@pytest.mark.parametrize(
    ("key", "folded"),
    [("trialCommand", "trialcommand"), ("trial_command", "trialcommand"), ("_TRIAL_", "trial"), ("a-b", "a-b")],
)
def test_case_and_underscores_do_not_count(key, folded):
    assert fold(key) == folded


def test_keys_are_canonical_and_the_files_own_spelling_is_kept(read):
    config = read("trial_command: c\nTUNER: {class_args: {Own_Key: 1}, Name: TPE}\ndebug: null")
    assert config.data == {"trialCommand": "c", "tuner": {"classArgs": {"Own_Key": 1}, "name": "TPE"}}
    assert config.original(("trialCommand",)) == ("trial_command",)
    assert config.original(("tuner", "classArgs", "Own_Key")) == ("TUNER", "class_args", "Own_Key")
    assert config.original(("unknown", 0)) == ("unknown", 0)


@pytest.mark.parametrize(
    ("text", "said", "words"),
    [
        ("a: 1", "E-unknown-key /a", "at the top level"),
        ("tuner: {a: 1}", "E-unknown-key /tuner/a", "in 'tuner'"),
        ("trial_comand: x", "E-unknown-key /trial_comand", "Did you mean 'trialCommand'?"),
        ("dockerImage: x", "E-unknown-key /dockerImage", "It belongs to 'trainingService' with platform aml."),
        ("gpuIndices: x", "E-unknown-key /gpuIndices", "It belongs to 'trainingService' with platform local."),
        ("trialsPerJob: 2", "E-unknown-key /trialsPerJob", "It belongs to 'amlc'."),
        ("tuner: {maxTrialNumber: 2}", "E-unknown-key /tuner/maxTrialNumber", "It belongs to the top level."),
        ("assessor: {storageType: x}", "E-unknown-key /assessor/storageType", "It belongs to 'sharedStorage'."),
        (
            "trialCommand: a\ntrial_command: b",
            "E-duplicate-key /trial_command",
            "the same key as 'trialCommand' at line 1, column 1",
        ),
    ],
)
def test_a_key_that_is_not_known_here_is_an_error(read, say, text, said, words):
    config = read(text, service=False)
    assert say(config.problems) == [said]
    assert words in config.problems[0].message


def test_of_two_spellings_the_first_counts(read):
    assert read("trialCommand: a\ntrial_command: b").get("trialCommand") == "a"


def test_a_value_is_set_and_removed_without_touching_the_rest(read):
    config = read("trialCommand: c\ntuner: {name: TPE, classArgs: {a: 1}}")
    assert config.with_value(("tuner", "name"), "GP").get("tuner") == {"classArgs": {"a": 1}, "name": "GP"}
    assert config.with_value(("assessor", "name"), "x").get("assessor", "name") is None
    without = config.without(("tuner", "name"))
    assert (without.get("tuner"), without.broken) == ({"classArgs": {"a": 1}}, {("tuner", "name")})
    assert config.without(("tuner",), broken=False).broken == frozenset()
    assert config.get("tuner", "name") == "TPE"


def test_a_value_below_one_that_is_no_mapping_is_not_there(read):
    config = read("tuner: text")
    assert config.get("tuner", "name") is None
    assert config.with_value(("tuner", "name"), "x").get("tuner") == "text"


def test_only_an_error_fails(read):
    config = read("trialCommand: c")
    assert not config.noted(config.warning((), "W", ""), config.note((), "N", "")).failed
    assert config.noted(config.problem((), "E", "")).failed


def test_the_schema_of_an_object_is_found_behind_its_reference():
    schema = {"$defs": {"a": {"properties": {}}, "b": {"type": "string"}}}
    assert object_schema({"$ref": "#/$defs/a"}, schema) == {"properties": {}}
    assert object_schema({"properties": {"x": {}}}, schema) == {"properties": {"x": {}}}
    assert object_schema({"$ref": "#/$defs/b"}, schema) is None
    assert object_schema({"type": "string"}, schema) is None


@pytest.mark.parametrize(
    ("path", "expected"),
    [(".", ""), ("code", "code"), ("./a/../code", "code"), ("/abs", None), ("~/code", None)],
)
def test_paths_count_from_the_files_folder(read, tmp_path, path, expected, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    found = read("trialCommand: c").resolve(path)
    assert str(found) == {"/abs": "/abs", "~/code": "/home/me/code"}.get(
        path, str((tmp_path / (expected or "")).resolve())
    )
