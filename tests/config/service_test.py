"""Where trials run: each platform of NNI's, in each spelling, and keys that may stand inside or outside."""

import pytest

from amlc.config.service import check_service

NO = "E-platform /trainingService/platform"


@pytest.mark.parametrize(
    ("service", "platform", "said"),
    [
        ("{platform: local}", "local", []),
        ("{platform: aml}", "aml", []),
        ("{PlatForm: aml}", "aml", []),
        ("{platform: AML}", "aml", ["E-platform /trainingService/platform"]),
        ("{platform: Local}", "local", [NO]),
        *[
            (f"{{platform: {name}}}", "local", [NO])
            for name in (
                "remote",
                "openpai",
                "pai",
                "paiYarn",
                "kubeflow",
                "frameworkcontroller",
                "dlc",
                "adl",
                "dlts",
                "hybrid",
            )
        ],
        ("{platform: lokal}", "local", [NO]),
        ("{platform: 7}", "local", [NO]),
        ("{platform: [aml]}", "local", [NO]),
        ("[{platform: local}]", "local", ["E-platform /trainingService"]),
        ("{useActiveGpu: true}", None, ["E-required /trainingService"]),
        ("{platform: null}", None, ["E-required /trainingService"]),
        ("text", None, []),
    ],
)
def test_each_platform_is_known_or_refused(read, say, service, platform, said):
    config = read(f"trainingService: {service}")
    assert (config.get("trainingService", "platform"), say(config.problems)) == (platform, said)


def test_a_slip_of_the_platform_is_corrected_in_the_message(read):
    (problem,) = read("trainingService: {platform: lokal}").problems
    assert "Did you mean 'local'?" in problem.message
    (problem,) = read("trainingService: {platform: slurm}").problems
    assert "Set 'platform' to aml or local" in problem.message


@pytest.mark.parametrize("service", ["{platform: remote, machineList: [], x: 1}", "[{platform: remote}]"])
def test_a_foreign_platform_is_only_warned_of_where_trials_run_here(read, service):
    (problem,) = read(f"trainingService: {service}", backend="local").problems
    assert (problem.code, problem.severity.value) == ("W-platform", "warning")


@pytest.mark.parametrize(
    ("text", "command", "place"),
    [
        (
            "trainingService: {platform: kubeflow, ps: {command: a}, Worker: {command: b}}",
            "a",
            "/trainingService/ps/command",
        ),
        ("trainingService: {platform: kubeflow, worker: {replicas: 1}}", None, ""),
        (
            "trainingService: {platform: frameworkcontroller, taskRoles: [{name: x}, {command: c}]}",
            "c",
            "/trainingService/taskRoles/1/command",
        ),
        ("trialCommand: own\ntrainingService: {platform: kubeflow, worker: {command: b}}", "own", "/trialCommand"),
    ],
)
def test_the_command_of_a_role_is_that_of_the_trial_where_there_is_no_other(read, text, command, place):
    config = read(text, backend="local")
    assert config.get("trialCommand") == command
    if command is not None:
        assert config.problem(("trialCommand",), "E-x", "x").path == place


@pytest.mark.parametrize("key", ["trialCommand", "trialCodeDirectory", "trialGpuNumber", "nniManagerIp", "debug"])
def test_a_foreign_platform_has_the_keys_that_each_has(read, key):
    assert read(f"trainingService: {{platform: remote, {key}: 2}}").get(key) == 2


def test_a_foreign_platform_keeps_the_spelling_of_its_keys(read):
    config = read(
        "trainingService: {platform: remote, trial_command: c, TrialGpuNumber: 2, machineList: [], reuseMode: true}"
    )
    assert (config.get("trialCommand"), config.get("trialGpuNumber")) == ("c", 2)
    assert config.get("trainingService") == {"platform": "local"}
    assert config.original(("trialGpuNumber",)) == ("trainingService", "TrialGpuNumber")


@pytest.mark.parametrize("key", ["trialCommand", "trialCodeDirectory", "trialGpuNumber"])
@pytest.mark.parametrize("platform", ["aml", "local"])
def test_a_key_may_stand_inside(read, say, key, platform):
    config = read(f"trainingService: {{platform: {platform}, {key}: 2}}")
    assert (config.get(key), config.get("trainingService", key), config.problems) == (2, None, ())
    assert config.original((key,)) == ("trainingService", key)


@pytest.mark.parametrize(("outside", "said"), [("2", []), ("3", ["W-twice /trainingService/trialGpuNumber"])])
def test_of_two_the_inner_one_wins(read, say, outside, said):
    config = read(f"trialGpuNumber: {outside}\ntrainingService: {{platform: local, trialGpuNumber: 2}}")
    assert (config.get("trialGpuNumber"), say(config.problems)) == (2, said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("trainingService: {platform: local}", []),
        (
            "trainingService: {platform: local, maxTrialNumberPerGpu: 2}",
            ["W-no-effect /trainingService/maxTrialNumberPerGpu"],
        ),
        ("trainingService: {platform: local, maxTrialNumberPerGpu: 1}", []),
        ("trialGpuNumber: 0\ntrainingService: {platform: local, maxTrialNumberPerGpu: 2}", []),
        ("trainingService: {platform: aml, maxTrialNumberPerGpu: 2}", ["W-no-effect /trainingService/maxTrialNumberPerGpu"]),
        ("trialGpuNumber: 1\ntrainingService: {platform: aml, maxTrialNumberPerGpu: 2}", []),
    ],
)  # fmt: skip
def test_keys_without_effect_are_said(read, say, text, said):
    assert say(check_service(read(text))) == said
