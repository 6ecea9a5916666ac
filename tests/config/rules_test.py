"""What no schema can say, rule by rule; how it is said is in tests/invalid."""

import pytest

from amlc.config.rules import check_constraints, check_endless, check_rules, gpu_indices
from amlc.model import Choice, Integer, Real

BASE = "trialCommand: c\ntrainingService: {platform: aml}\n"
X = Real("x", 0.0, 1.0)
Q = Real("q", 0.0, 1.0, q=0.1)
NORMAL = Real("n", 0.0, 1.0, normal=True, q=0.1)
N = Integer("i", 0, 9)
C = Choice("c", (1, 2))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", []),
        ("experimentName: 'my ünï: 1'", []),
        ("experimentName: a/b", ["E-name /experimentName"]),
        ("experimentName: 'a\\b'", ["E-name /experimentName"]),
        ('experimentName: "a\\tb"', ["E-name /experimentName"]),
        ('experimentName: "a\\x7fb"', ["E-name /experimentName"]),
        ("experimentName: .", ["E-name /experimentName"]),
        ("experimentName: ..", ["E-name /experimentName"]),
        ("experimentName: ...", []),
        (f"experimentName: {'x' * 200}", []),
        (f"experimentName: {'x' * 201}", ["E-name /experimentName"]),
        ("trialCodeDirectory: .", []),
        ("trialCodeDirectory: nowhere", ["E-folder /trialCodeDirectory"]),
        ("trialCodeDirectory: experiment.yml", ["E-folder /trialCodeDirectory"]),
        ("amlc: {templates: nowhere}", ["E-folder /amlc/templates"]),
        ("tuner: {codeDirectory: nowhere}", ["E-folder /tuner/codeDirectory"]),
        ("assessor: {codeDirectory: nowhere}", ["E-folder /assessor/codeDirectory"]),
        ("maxTrialDuration: 1h", []),
        ("maxTrialDuration: 0", ["E-duration /maxTrialDuration"]),
        ("maxExperimentDuration: 0s", ["E-duration /maxExperimentDuration"]),
        ("maxExperimentDuration: 1e999s", ["E-duration /maxExperimentDuration"]),
        ("debug: false", []),
        ("debug: true", ["W-no-effect /debug"]),
        ("logLevel: info", []),
        ("log_level: debug", ["W-no-effect /log_level"]),
        ("nniManagerIp: 1.2.3.4", ["W-no-effect /nniManagerIp"]),
        ("experimentWorkingDirectory: x", ["W-no-effect /experimentWorkingDirectory"]),
        ("tunerGpuIndices: 0", ["W-no-effect /tunerGpuIndices"]),
        ("tunerGpuIndices: '0,1,0'", ["W-no-effect /tunerGpuIndices", "E-duplicate-item /tunerGpuIndices"]),
        ("amlc: {seed: 1}\ntuner: {classArgs: {seed: 1}}", []),
        ("amlc: {seed: 1}\ntuner: {classArgs: {seed: 2}}", ["W-twice /amlc/seed"]),
        ("amlc: {seed: 0}\ntuner: {classArgs: {seed: 2}}", ["W-twice /amlc/seed"]),
        ("tuner: {classArgs: {seed: 2}}", []),
        ("amlc: {failedValue: 1.5}", []),
        ("amlc: {failedValue: worst}", []),
        ("amlc: {failedValue: .inf}", ["E-range /amlc/failedValue"]),
        ("amlc: {failedValue: .nan}", ["E-range /amlc/failedValue"]),
        (f"amlc: {{failedValue: 1{'0' * 320}}}", ["E-range /amlc/failedValue"]),
        ("amlc: {environment: 'azureml:e:1'}", []),
        ("amlc: {environment: '${{x}}'}", ["E-expression /amlc/environment"]),
        ("amlc: {environment: '$[[x]]'}", ["E-expression /amlc/environment"]),
        ("amlc: {environment: '${x} $[x] $ {{x}}'}", []),
    ],
)
def test_each_rule_finds_what_breaks_it(read, say, text, said):
    assert say(check_rules(read(f"{BASE}{text}\n"))) == said


def test_an_experiment_needs_a_command(read, say):
    assert say(check_rules(read("trainingService: {platform: aml}"))) == ["E-required"]
    broken = read("trialCommand: 1").without(("trialCommand",))
    assert say(check_rules(broken)) == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, None), (0, (0,)), (3, (3,)), ("2", (2,)), ("0, 1,3", (0, 1, 3)), ([2, 0], (2, 0)), ([], ())],
)
def test_gpu_indices_have_three_forms(value, expected):
    assert gpu_indices(value) == expected


BLOB = "sharedStorage: {storageType: AzureBlob, storageAccountName: a, containerName: c%s}\n"


@pytest.mark.parametrize(
    ("storage", "said"),
    [
        (BLOB % "", []),
        (BLOB % ", localMounted: nnimount", []),
        (BLOB % ", localMounted: nomount", ["E-storage /sharedStorage/localMounted"]),
        (BLOB % ", remoteMountPoint: '${{x}}'", ["E-expression /sharedStorage/remoteMountPoint"]),
        ("sharedStorage: {storageType: AzureBlob}", ["E-required /sharedStorage/storageType"] * 2),
        ("sharedStorage: {storageType: AzureBlob, containerName: c}", ["E-required /sharedStorage/storageType"]),
        ("sharedStorage: {storageType: NFS, nfsServer: s, exportedDirectory: /e}", []),
        ("sharedStorage: {storageType: NFS, nfsServer: s}", ["E-required /sharedStorage/storageType"]),
        ("sharedStorage: {storageType: other}", []),
        ("sharedStorage: text", []),
    ],
)
@pytest.mark.parametrize("platform", ["aml", "local"])
def test_storage_is_whole(read, say, storage, platform, said):
    config = read(f"trialCommand: c\ntrainingService: {{platform: {platform}}}\n{storage}\n")
    assert say(check_rules(config)) == said


def test_what_was_refused_is_not_missing_too(read, say):
    config = read(BASE + BLOB % "").without(("sharedStorage", "containerName"))
    assert say(check_rules(config)) == []


@pytest.mark.parametrize(
    ("tuner", "space", "text", "ends"),
    [
        ("Random", (X,), "", False),
        ("Random", (C, Q, N), "", True),
        ("Random", (X,), "maxTrialNumber: 1", True),
        ("Random", (X,), "maxExperimentDuration: 1h", True),
        ("GridSearch", (X,), "", False),
        ("GridSearch", (Q, N, C), "", True),
        ("GridSearch", (NORMAL,), "", False),
        ("GridSearch", (Choice("a", ("s",), ((C, X),)),), "", False),
        ("GridSearch", (Choice("a", ("s", "t"), ((C,), (Q,))),), "", True),
        ("GridSearch", (X,), "maxExperimentDuration: 1h", True),
        ("TPE", (C,), "", True),
        ("PBT", (C,), "", False),
        ("PBT", (C,), "maxTrialNumber: 1", True),
        ("Hyperband", (C,), "", False),
        ("TPE", (X,), "maxExperimentDuration: 1h", True),
        ("TPE", (X,), "maxTrialNumber: 1", True),
        ("Batch", (C,), "", True),
        (None, (X,), "", True),
        ("Unheard", (X,), "", True),
    ],
    ids=str,
)  # fmt: skip
def test_an_experiment_has_an_end(read, tuner, space, text, ends):
    found = list(check_endless(read(f"{BASE}{text}"), space, tuner))
    assert [problem.code for problem in found] == ([] if ends else ["W-endless"])


def test_what_goes_on_for_ever_is_named(read):
    (problem,) = check_endless(read(BASE), (C, Choice("a", ("s",), ((X,),))), "GridSearch")
    assert problem.message.startswith("'a/x' has endlessly many values")
    (problem,) = check_endless(read(BASE), (X,), "TPE")
    assert problem.message.endswith("Set 'maxTrialNumber' or 'maxExperimentDuration'.")


def test_a_bound_that_was_refused_counts(read):
    assert not list(check_endless(read(BASE).without(("maxTrialNumber",)), (X,), "Random"))


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("x * i <= 3.2", None),
        ("parameters.x > 0", None),
        ("x > 0 and not (i == 1)", None),
        ("[a for a in x]", "not an expression: expected"),
        ("x >", "not an expression"),
        ("x y", "not an expression: unexpected 'y'"),
        ("(" * 2_000 + "x" + ")" * 2_000, "not an expression"),
        ("X > 0", "no parameter 'X'. Did you mean 'x'?"),
        ("other > 0", "no parameter 'other'. Known: i, x."),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_constraint_is_an_expression_over_the_parameters(read, expression, says):
    config = read("amlc: {constraints: []}").with_value(("amlc", "constraints"), [expression])
    found = list(check_constraints(config, (X, N), "Random"))
    assert [problem.code for problem in found] == ([] if says is None else ["E-constraint"])
    assert all(says in problem.message for problem in found)


def test_one_constraint_that_cannot_be_read_hides_no_other(read, say):
    config = read("amlc: {constraints: [x >, x > 0, nope > 0]}")
    assert say(check_constraints(config, (X,), "Random")) == [
        f"E-constraint /amlc/constraints/{index}" for index in (0, 2)
    ]


def test_the_parameters_of_batch_are_those_of_its_rows(read):
    config = read("amlc: {constraints: [lr > 0, c > 0]}")
    rows = Choice("c", ({"lr": 1}, {"lr": 2, "n": 3}))
    (problem,) = check_constraints(config, (rows,), "Batch")
    assert "no parameter 'c'. Known: lr, n." in problem.message
    assert not list(check_constraints(read("amlc: {}"), (rows,), "Batch"))
    plain = read("amlc: {constraints: ['rows > 0', 'b > 0']}")
    (problem,) = check_constraints(plain, (Choice("rows", (1, 2)),), "Batch")
    assert "no parameter 'b'" in problem.message
