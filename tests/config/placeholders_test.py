"""`${NAME}` from the environment, and the account key from nowhere but a variable."""

import pytest

from amlc.config.placeholders import fill_placeholders, key_variable, open_names, unset

AML = "trainingService: {platform: aml, subscriptionId: s, resourceGroup: r, workspaceName: w, %s}\n"


def filled(read, text, *, needed=True, **environ):
    return fill_placeholders(read(text), environ, needed=needed)


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
    config = filled(read, AML % text, A="one", B="two", EMPTY="")
    assert (config.get("trainingService", "computeTarget"), say(config.problems)) == (value, said)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("amlc: {environment: '${A}'}", ("amlc", "environment")),
        ("sharedStorage: {containerName: '${A}'}", ("sharedStorage", "containerName")),
    ],
)
def test_they_count_where_azure_is_described(read, text, path):
    assert filled(read, text, A="one").get(*path) == "one"


@pytest.mark.parametrize("text", ["trialCommand: 'echo ${A}'", "amlc: {namespace: '${A}'}", "experimentName: '${A}'"])
def test_they_are_plain_text_elsewhere(read, text):
    config = filled(read, text, A="one")
    assert "${A}" in str(config.data)
    assert config.problems == ()


@pytest.mark.parametrize(
    ("text", "needed", "said"),
    [
        (AML % "computeTarget: '${NOPE}'", False, []),
        (AML % "computeTarget: '${NOPE}'", True, ["E-placeholder /trainingService/computeTarget"]),
        ("trainingService: {platform: local}\namlc: {environment: '${NOPE}'}", False, []),
        (
            "trainingService: {platform: local}\namlc: {environment: '${NOPE}'}",
            True,
            ["E-placeholder /amlc/environment"],
        ),
        (
            AML % "dockerImage: i" + "sharedStorage: {containerName: '${NOPE}'}",
            True,
            ["E-placeholder /sharedStorage/containerName"],
        ),
    ],
)
def test_what_is_not_needed_may_be_open(read, say, text, needed, said):
    config = filled(read, text, needed=needed)
    assert "${NOPE}" not in str(config.data)
    assert say(config.problems) == said


@pytest.mark.parametrize(
    ("placeholder", "advice"),
    [("${NOPE}", "use `export NOPE=…`, or run with --backend local"), ("${no pe}", "use `${NAME}` with NAME exported")],
)
def test_what_to_do_about_a_placeholder_is_said(read, placeholder, advice):
    (problem,) = filled(read, AML % f"computeTarget: '{placeholder}'").problems
    assert advice in problem.message


def test_there_may_be_another_way_out(read):
    path = ("trainingService", "computeTarget")
    problem = unset(read(AML % "computeTarget: '${A}${B}'"), path, ["A", "B"], "go elsewhere")
    ways = "Write the value in its place, use `export A=…`, or go elsewhere."
    assert (problem.code, problem.path, problem.message) == (
        "E-placeholder",
        "/trainingService/computeTarget",
        f"the placeholder '${{A}}' is not set. {ways}",
    )


@pytest.mark.parametrize(
    ("value", "names"),
    [("${A}-${B}-${C}", ["B", "C"]), ("${A}", []), ("plain", []), ("${}", [""]), (7, []), (None, []), (["${B}"], [])],
)
def test_what_the_environment_does_not_fill_is_open(value, names):
    assert open_names(value, {"A": "one", "B": ""}) == names


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
    config = filled(read, text, KEY="the secret itself")
    assert (config.get("sharedStorage", "storageAccountKey"), say(config.problems)) == (kept, said)
    assert "the secret itself" not in str(config)


def test_a_key_that_nobody_needs_is_dropped(read):
    text = AML % "dockerImage: i" + "sharedStorage: {storageAccountKey: '${my key}'}"
    config = filled(read, text, needed=False)
    assert (config.get("sharedStorage", "storageAccountKey"), config.problems) == (None, ())
