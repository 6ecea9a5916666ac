"""The language server that editors use, with the schema that `amlc schema` prints: both spellings are at home."""

import re

import pytest

from amlc.config.schema import schema_text
from tests.editors.server import Missing, running

both = pytest.mark.parametrize("spelled", ["camelCase", "snake_case", "mixed"])
HEAD = "# yaml-language-server: $schema=amlc.json\n"
GOOD = """\
experimentName: one
searchSpace:
  learningRate: {_type: loguniform, _value: [0.0001, 0.1]}
trialCommand: python3 train.py
trialConcurrency: 2
tuner:
  name: TPE
  classArgs: {optimize_mode: maximize, tpe_args: {n_startup_jobs: 4}}
assessor: {name: Medianstop, classArgs: {start_step: 5}}
trainingService:
  platform: aml
  subscriptionId: ${AZURE_SUBSCRIPTION_ID}
  resourceGroup: my-group
  workspaceName: my-workspace
  computeTarget: cluster
amlc:
  trialsPerJob: 1
  budget: {nodeHours: 5}
"""
KEYS = [key for key in dict.fromkeys(re.findall(r"[a-z]+[A-Z]\w+", GOOD)) if key != "learningRate"]


def written(text, spelled):
    """The text with its keys of several words spelled so."""
    for number, key in enumerate(KEYS):
        snake = re.sub("([A-Z])", r"_\1", key).lower()
        mixed = (snake.title(), key.lower(), f"_{key}")[number % 3]
        text = re.sub(rf"\b{key}\b", {"camelCase": key, "snake_case": snake, "mixed": mixed}[spelled], text)
    return text


@pytest.fixture(scope="module")
def server():
    try:
        with running() as server:
            yield server
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def edited(server, tmp_path):
    """Return a file's path, and what the server says when it is opened."""
    (tmp_path / "amlc.json").write_text(schema_text(), encoding="utf-8")
    numbers = iter(range(100))

    def edit(text, spelled="camelCase"):
        file = tmp_path / f"{next(numbers)}.yml"
        file.write_text(HEAD + written(text, spelled), encoding="utf-8")
        return file, server.diagnose(file)

    return edit


def line_of(file, words):
    """The number of the line that begins with the words, from 1."""
    lines = file.read_text(encoding="utf-8").splitlines()
    (found,) = [number for number, line in enumerate(lines, start=1) if line.startswith(words)]
    return found


@both
def test_what_is_right_is_not_underlined(edited, spelled):
    assert len(KEYS) == 12
    _, said = edited(GOOD, spelled)
    assert said == []


@both
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("resourceGroup:", "resourcesGroup:", "Property resourcesGroup is not allowed."),
        ("trialConcurrency: 2", "trialConcurrency: two", 'Incorrect type. Expected "integer".'),
        ("trialConcurrency: 2", "trialConcurrency: 0", "Value is below the minimum of 1."),
        ("trialConcurrency: 2\n", "", 'Missing property "trialConcurrency".'),
        ("loguniform", "loguniforn", 'Value is not accepted. Valid values: "choice", "randint"'),
        ("name: TPE", "name: TPEE", 'Value is not accepted. Valid values: "Random", "GridSearch"'),
        ("name: Medianstop", "name: Median", 'Value is not accepted. Valid values: "Medianstop", "Curvefitting", "ASHA".'),
        ("optimize_mode: maximize", "optimise_mode: maximize", "Property optimise_mode is not allowed."),
        ("optimize_mode: maximize", "optimize_mode: max", 'Valid values: "maximize", "minimize".'),
        ("n_startup_jobs: 4", "n_startup_jobs: -4", "Value is below the minimum of 0."),
        ("start_step: 5", "epoch_num: 5", "Property epoch_num is not allowed."),
        ("platform: aml", "platform: azure", 'Value is not accepted. Valid values: "aml", "local".'),
        ("platform: aml", "platform: local", "Property "),
        ("name: TPE", "className: mine.Tuner", 'Missing property "codeDirectory".'),
        ("nodeHours: 5", "nodeHours: 0", "Value is below the exclusive minimum of 0."),
    ],
)
def test_what_is_wrong_is_underlined_in_its_line(edited, spelled, old, new, message):
    assert GOOD.count(old) == 1
    _, said = edited(GOOD.replace(old, new), spelled)
    assert any(message in text for _, text in said), said
    if new and "Missing" not in message and message != "Property ":
        lines = written(GOOD.replace(old, new), spelled).splitlines()
        wrong = next(number for number, line in enumerate(lines, start=2) if written(new, spelled) in line)
        assert [line for line, _ in said] == [wrong]


@both
@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("trialCommand", "The shell command of one trial"),
        ("trialConcurrency", "How many trials may run at the same time"),
        ("  subscriptionId", "subscription"),
        ("  trialsPerJob", "How many trials one job runs"),
    ],
)
def test_a_key_is_explained(server, edited, spelled, key, words):
    file, _ = edited(GOOD, spelled)
    shown = server.hover(file, line_of(file, written(key, spelled) + ":"), len(key))
    assert words in shown, shown


def test_an_argument_of_the_tuner_is_explained(server, edited):
    file, _ = edited(GOOD.replace("n_startup_jobs: 4", "gamma: 0.5"))
    number = line_of(file, "  classArgs")
    column = file.read_text(encoding="utf-8").splitlines()[number - 1].index("gamma") + 2
    shown = server.hover(file, number, column)
    assert "Default: 0.25. Above 0. In amlc: 0.4 times this" in shown


@pytest.mark.parametrize(
    ("text", "offered", "not_offered"),
    [
        (GOOD + "|", {"maxTrialNumber", "max_trial_number", "sharedStorage", "shared_storage", "advisor"}, {"platform"}),
        (GOOD.replace("name: TPE", "name: |"), {"TPE", "Hyperband", "Optuna"}, {"Medianstop"}),
        (GOOD.replace("{name: Medianstop, classArgs: {start_step: 5}}", "\n  name: |"), {"Medianstop", "ASHA"}, {"TPE"}),
        (
            GOOD.replace("name: TPE\n  classArgs: {optimize_mode: maximize, tpe_args: {n_startup_jobs: 4}}",
                         "name: GP\n  classArgs:\n    |"),
            {"optimize_mode", "utility", "kappa"}, {"tpe_args", "population_size"},
        ),
        (GOOD.replace("subscriptionId: ${AZURE_SUBSCRIPTION_ID}", "|"), {"subscriptionId", "docker_image"}, {"gpuIndices"}),
        (GOOD.replace("platform: aml", "platform: |"), {"aml", "local"}, set()),
        (GOOD.replace("loguniform", "|"), {"choice", "qlognormal"}, set()),
        (GOOD.replace("  budget: {nodeHours: 5}", "  |"), {"budget", "replicates", "trials_per_job", "failedValue"}, set()),
    ],
    ids=["top", "tuner", "assessor", "arguments", "service", "platform", "type", "amlc"],
)  # fmt: skip
def test_what_may_stand_at_a_place_is_offered(server, edited, text, offered, not_offered):
    before, _, _ = text.partition("|")
    file, _ = edited(text.replace("|", ""))
    lines = (HEAD + before).split("\n")
    found = set(server.complete(file, len(lines), len(lines[-1]) + 1))
    assert offered <= found, found
    assert not not_offered & found
