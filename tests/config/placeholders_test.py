"""`${NAME}` from the environment, the workspace from its file, and the account key from nowhere but a variable."""

import json

import pytest

from amlc.config.placeholders import check_required, fill_placeholders, key_variable

SPACE = {"subscription_id": "S", "resource_group": "R", "workspace_name": "W"}
AML = "trainingService: {platform: aml, subscriptionId: s, resourceGroup: r, workspaceName: w, %s}\n"


def filled(read, text, *, backend=None, **environ):
    return fill_placeholders(read(text), environ, backend=backend)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("${KEY}", "KEY"), (" ${_k1} ", "_k1"), ("${KEY}x", None), ("x${KEY}", None), ("${A}${B}", None), ("${1K}", None),
        ("${my key}", None), ("${}", None), ("KEY", None), (7, None), (None, None),
    ],
)  # fmt: skip
def test_a_whole_placeholder_names_a_variable(value, name):
    assert key_variable(value) == name


@pytest.mark.parametrize(
    ("text", "value", "said"),
    [
        ("computeTarget: '${A}'", "one", []),
        ("computeTarget: 'x-${A}-${B}'", "x-one-two", []),
        ("computeTarget: 'x'", "x", []),
        ("computeTarget: '${NOPE}'", None, ["E-placeholder /trainingService/computeTarget"]),
        ("computeTarget: '${A}${NOPE}'", None, ["E-placeholder /trainingService/computeTarget"]),
        ("computeTarget: '${EMPTY}'", None, ["E-placeholder /trainingService/computeTarget"]),
        ("computeTarget: '${}'", None, ["E-placeholder /trainingService/computeTarget"]),
    ],
)
def test_placeholders_come_from_the_environment(read, say, text, value, said):
    config, _ = filled(read, AML % text, A="one", B="two", EMPTY="")
    assert (config.get("trainingService", "computeTarget"), say(config.problems)) == (value, said)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("amlc: {environment: '${A}'}", ("amlc", "environment")),
        ("sharedStorage: {containerName: '${A}'}", ("sharedStorage", "containerName")),
    ],
)
def test_they_count_where_azure_is_described(read, text, path):
    assert filled(read, text, A="one")[0].get(*path) == "one"


@pytest.mark.parametrize("text", ["trialCommand: 'echo ${A}'", "amlc: {namespace: '${A}'}", "experimentName: '${A}'"])
def test_they_are_plain_text_elsewhere(read, text):
    config, _ = filled(read, text, A="one")
    assert "${A}" in str(config.data)
    assert config.problems == ()


@pytest.mark.parametrize(
    ("text", "backend", "said"),
    [
        (AML % "computeTarget: '${NOPE}'", "local", []),
        ("trainingService: {platform: local}\nsharedStorage: {containerName: '${NOPE}'}", None, []),
        (
            "trainingService: {platform: local}\namlc: {environment: '${NOPE}'}",
            None,
            ["E-placeholder /amlc/environment"],
        ),
        (
            AML % "x: 1" + "sharedStorage: {containerName: '${NOPE}'}",
            None,
            ["E-placeholder /sharedStorage/containerName"],
        ),
    ],
)
def test_what_this_machine_does_not_need_may_be_open(read, say, text, backend, said):
    problems = filled(read, text, backend=backend)[0].problems
    assert [each for each in say(problems) if "unknown" not in each] == said


@pytest.mark.parametrize(
    ("placeholder", "advice"),
    [("${NOPE}", "use `export NOPE=…`, or run with --backend local"), ("${no pe}", "use `${NAME}` with NAME exported")],
)
def test_what_to_do_about_a_placeholder_is_said(read, placeholder, advice):
    (problem,) = filled(read, AML % f"computeTarget: '{placeholder}'")[0].problems
    assert advice in problem.message


@pytest.mark.parametrize(
    ("key", "kept", "said"),
    [
        ("'${KEY}'", "${KEY}", []),
        ("secret", None, ["W-secret /sharedStorage/storageAccountKey"]),
        ("'x${KEY}'", None, ["E-placeholder /sharedStorage/storageAccountKey"]),
        ("'${my key}'", None, ["E-placeholder /sharedStorage/storageAccountKey"]),
    ],
)
def test_the_account_key_stays_in_its_variable(read, say, key, kept, said):
    text = AML % "dockerImage: i" + f"sharedStorage: {{storageAccountKey: {key}}}"
    config, _ = filled(read, text, KEY="the secret itself")
    assert (config.get("sharedStorage", "storageAccountKey"), say(config.problems)) == (kept, said)
    assert "the secret itself" not in str(config)


def test_a_key_that_nobody_needs_is_dropped(read):
    config, _ = filled(read, "trainingService: {platform: local}\nsharedStorage: {storageAccountKey: '${my key}'}")
    assert (config.get("sharedStorage", "storageAccountKey"), config.problems) == (None, ())


def workspace_of(config):
    return tuple(config.get("trainingService", name) for name in ("subscriptionId", "resourceGroup", "workspaceName"))


@pytest.mark.parametrize("place", ["config.json", ".azureml/config.json", "../.azureml/config.json"])
def test_the_workspace_comes_from_its_file(read, tmp_path, place):
    file = tmp_path / place
    file.parent.mkdir(exist_ok=True)
    file.write_text("\ufeff" + json.dumps(SPACE), encoding="utf-8")
    try:
        config, found = filled(read, "trainingService: {platform: aml}")
        assert workspace_of(config) == ("S", "R", "W")
        assert found.resolve() == file.resolve()
    finally:
        file.unlink()


@pytest.mark.parametrize(
    "content",
    ["{", "[]", "{}", json.dumps({**SPACE, "workspace_name": ""}), json.dumps({**SPACE, "resource_group": 1})],
)
def test_a_file_that_names_no_workspace_is_passed_over(read, tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    (tmp_path / ".azureml").mkdir()
    (tmp_path / ".azureml" / "config.json").write_text(json.dumps(SPACE))
    config, found = filled(read, "trainingService: {platform: aml}")
    assert (workspace_of(config), found.parent.name) == (("S", "R", "W"), ".azureml")


def test_what_the_experiment_says_wins_over_the_file(read, tmp_path, say):
    (tmp_path / "config.json").write_text(json.dumps(SPACE))
    text = "trainingService: {platform: aml, subscriptionId: s, resourceGroup: '${NOPE}', workspaceName: '${A}'}"
    config, found = filled(read, text, A="w")
    assert workspace_of(config) == ("s", "R", "w")
    assert say(config.problems) == ["N-workspace /trainingService/resourceGroup"]
    assert found.name == "config.json"
    assert filled(read, AML % "dockerImage: i")[1] is None
    assert filled(read, "trainingService: {platform: local}")[1] is None


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        (AML % "computeTarget: c, dockerImage: i", []),
        (AML % "computeTarget: c", ["dockerImage"]),
        (AML % "dockerImage: i", ["computeTarget"]),
        (
            "trainingService: {platform: aml}",
            ["subscriptionId", "resourceGroup", "workspaceName", "computeTarget", "dockerImage"],
        ),
        ("trainingService: {platform: local}", []),
    ],
)
def test_azure_needs_a_place_and_an_image(read, text, missing):
    problems = check_required(read(text)).problems
    assert [problem.message.split("'")[1] for problem in problems] == missing
    assert all(
        ("'config.json'" in problem.message) == (not problem.message.split("'")[1].startswith(("c", "d")))
        for problem in problems
    )


def test_what_was_refused_is_not_missing_too(read):
    config = read(AML % "computeTarget: c").without(("trainingService", "dockerImage"))
    assert check_required(config).problems == ()
