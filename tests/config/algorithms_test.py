"""Tuners and assessors: which there are, what they take, and what goes together."""

from pathlib import Path

import pytest

from amlc.config.algorithms import adopt_advisor, assesses, canonical_name, check_algorithms, check_types, is_set
from amlc.model import Choice, Document, Integer, Real

BASE = "trainingService: {platform: local}\n"


def said_of(read, say, text):
    return say(check_algorithms(read(BASE + text)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["E-required"]),
        ("tuner: {name: _none_}", ["E-required"]),
        ("tuner: {}", ["E-required /tuner"]),
        ("tuner: {name: TPE}", []),
        ("tuner: {name: tpe}", []),
        ("tuner: {name: BatchTuner}", []),
        ("tuner: {name: TPF}", ["E-tuner-unknown /tuner/name"]),
        ("tuner: {name: PPO}", ["E-tuner-unsupported /tuner/name"]),
        ("tuner: {name: TPE, codeDirectory: .}", ["E-algorithm /tuner/codeDirectory"]),
        ("tuner: {className: my.Tuner, codeDirectory: .}", []),
        ("tuner: {className: my.Tuner}", ["E-required /tuner/className"]),
        ("tuner: {className: Tuner, codeDirectory: .}", ["E-algorithm /tuner/className"]),
        ("tuner: {className: .Tuner., codeDirectory: .}", ["E-algorithm /tuner/className"]),
        ("tuner: {name: TPE, className: my.Tuner, codeDirectory: .}", ["E-algorithm /tuner/className"]),
        ("tuner: {name: TPE}\nassessor: {name: _none_}", []),
        ("tuner: {name: TPE}\nassessor: {name: Medianstop}", []),
        ("tuner: {name: TPE}\nassessor: {name: Medianstpo}", ["E-assessor-unknown /assessor/name"]),
        ("tuner: {name: TPE}\nassessor: {name: Medianstop}\namlc: {trialsPerJob: 2}", ["E-assessor /assessor"]),
        ("tuner: {name: TPE}\nassessor: {name: Medianstop}\namlc: {trialsPerJob: 1}", []),
        ("tuner: {name: TPE}\namlc: {trialsPerJob: 2}", []),
        ("tuner: {name: ASHA}\namlc: {trialsPerJob: 2}", ["E-assessor /tuner"]),
        ("tuner: {name: ASHA}\nassessor: {name: Medianstop}", ["E-assessor /assessor"]),
        ("tuner: {name: PBT}\nassessor: {name: Medianstop}", ["E-assessor /assessor"]),
        ("tuner: {name: Hyperband}\nassessor: {name: Medianstop}", ["W-no-effect /assessor"]),
    ],
)
def test_algorithms_are_known_and_go_together(read, say, text, said):
    assert said_of(read, say, text) == said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("optimize_mode: maximize", []),
        ("optimize_mode: maximise", ["E-argument /tuner/classArgs/optimize_mode"]),
        ("optimize_mode: 1", ["E-argument /tuner/classArgs/optimize_mode"]),
        ("seed: 1", []),
        ("seed: '1'", ["E-argument /tuner/classArgs/seed"]),
        ("seed: true", ["E-argument /tuner/classArgs/seed"]),
        ("unheard: 1", ["E-argument /tuner/classArgs/unheard"]),
        ("tpe_args: {n_startup_jobs: 4}", []),
        ("tpe_args: {n_startup_jobs: -1}", ["E-argument /tuner/classArgs/tpe_args/n_startup_jobs"]),
        ("tpe_args: {gamma: 0}", ["E-argument /tuner/classArgs/tpe_args/gamma"]),
        ("tpe_args: {gamma: .inf}", ["E-argument /tuner/classArgs/tpe_args/gamma"]),
        ("tpe_args: {other: 1}", ["E-argument /tuner/classArgs/tpe_args/other"]),
        ("tpe_args: 1", ["E-argument /tuner/classArgs/tpe_args"]),
    ],
)
def test_each_argument_is_one_that_the_tuner_takes(read, say, arguments, said):
    assert said_of(read, say, f"tuner: {{name: TPE, classArgs: {{{arguments}}}}}") == said


@pytest.mark.parametrize(
    ("arguments", "ends_well"),
    [
        ("min_budget: 1, max_budget: 3", True),
        ("min_budget: 3, max_budget: 3", True),
        ("min_budget: 4, max_budget: 3", False),
        ("", True),
        ("max_budget: 3", True),
        ("min_budget: 99", False),
    ],
)
def test_the_least_budget_is_not_above_the_largest(read, say, arguments, ends_well):
    said = said_of(read, say, f"tuner: {{name: BOHB, classArgs: {{{arguments}}}}}")
    assert said == ([] if ends_well else ["E-argument /tuner/classArgs"])


AML = "trainingService: {platform: aml}\n"
STORAGE = "sharedStorage: {storageType: AzureBlob}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (AML + "tuner: {name: PBT}", ["E-checkpoints /tuner"]),
        (AML + STORAGE + "tuner: {name: PBT}", []),
        (AML + "tuner: {name: PBT, classArgs: {all_checkpoint_dir: /mnt}}", []),
        (AML + "tuner: {name: Hyperband}", []),
        (AML + "tuner: {name: Hyperband, classArgs: {all_checkpoint_dir: true}}", ["E-checkpoints /tuner"]),
        (AML + "tuner: {name: BOHB, classArgs: {all_checkpoint_dir: true}}", ["E-checkpoints /tuner"]),
        (AML + "tuner: {name: TPE}\namlc: {replicates: 2}", []),
        (BASE + "tuner: {name: PBT}", []),
        (BASE + "tuner: {name: PBT}\namlc: {replicates: 2}", ["E-checkpoints /amlc/replicates"]),
        (BASE + "tuner: {name: PBT}\namlc: {replicates: 1}", []),
    ],
)
def test_checkpoints_have_a_place_that_all_trials_see(read, say, text, said):
    assert say(check_algorithms(read(text))) == said


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("advisor: {name: Hyperband}", "Hyperband", ["W-deprecated /advisor"]),
        ("advisor: {name: Hyperband}\ntuner: {name: _none_}", "Hyperband", ["W-deprecated /advisor"]),
        ("advisor: {name: Hyperband}\ntuner: {name: TPE}", "TPE", ["E-duplicate-key /advisor"]),
        ("tuner: {name: TPE}", "TPE", []),
    ],
)
def test_an_advisor_is_a_tuner(read, say, text, name, said):
    config = adopt_advisor(read(text))
    assert (canonical_name(config, "tuner"), say(config.problems), config.get("advisor")) == (name, said, None)


def test_what_is_wrong_with_an_advisor_stands_where_the_file_has_it(read, say):
    config = adopt_advisor(read("advisor: {Name: Hyperbnad}"))
    assert say(check_algorithms(config)) == ["E-tuner-unknown /advisor/Name"]


@pytest.mark.parametrize(
    ("text", "set_", "name", "counts"),
    [
        ("", False, None, False),
        ("assessor: {name: _none_}", False, None, False),
        ("assessor: {name: medianstop}", True, "Medianstop", True),
        ("assessor: {name: unheard}", True, None, True),
        ("assessor: {className: a.B}", True, None, True),
        ("assessor: {name: Medianstop}\ntuner: {name: Hyperband}", True, "Medianstop", False),
        ("assessor: {name: Medianstop}\ntuner: {name: TPE}", True, "Medianstop", True),
    ],
)
def test_an_assessor_counts_unless_the_tuner_decides_itself(read, text, set_, name, counts):
    config = read(BASE + text)
    assert (is_set(config, "assessor"), canonical_name(config, "assessor"), assesses(config)) == (set_, name, counts)


@pytest.mark.parametrize(
    ("tuner", "dimension", "refused"),
    [
        ("TPE", Real("x", 0, 1, normal=True, log=True, q=1.0), None),
        ("GP", Real("x", 0, 1), None),
        ("GP", Integer("x", 0, 1), None),
        ("GP", Choice("x", (1, 2.5)), None),
        ("GP", Choice("x", ("a", "b")), "choice"),
        ("GP", Choice("x", (True, False)), "choice"),
        ("GP", Choice("x", ("a",), ((),)), "nested"),
        ("GP", Real("x", 0, 1, normal=True), "a normal."),
        ("GP", Real("x", 1, 2, normal=True, log=True, q=1.0), "a qlognormal."),
        ("Unheard", Choice("x", ("a",)), None),
        ("PPO", Choice("x", ("a",)), None),
    ],
    ids=str,
)  # fmt: skip
def test_a_tuner_searches_only_what_it_can(read, tuner, dimension, refused):
    document = Document(Path("e.yml"), {}, {}, {})
    found = list(check_types(read(f"tuner: {{name: {tuner}}}"), (dimension,), document, ("searchSpace",)))
    assert [problem.code for problem in found] == ([] if refused is None else ["E-space-tuner"])
    assert all(refused in problem.message and problem.path == "/searchSpace/x/_type" for problem in found)


def test_a_parameter_that_the_tuner_adds_is_not_the_users(read):
    document = Document(Path("e.yml"), {}, {}, {})
    (problem,) = check_types(read("tuner: {name: Hyperband}"), (Real("TRIAL_BUDGET", 0, 1),), document, ())
    assert "itself gives each trial a parameter 'TRIAL_BUDGET'" in problem.message
