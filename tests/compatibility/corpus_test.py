"""Experiment files of all platforms, dialects and versions, each with the verdict of NNI 3.0 beside amlc's.

corpus/verdicts.md has both; AMLC_GOLDEN=1 writes it anew. Where the two differ, `NNI_IS_WRONG` or `STRICTER` says why.
"""

import os
import warnings
from pathlib import Path

import pytest
import yaml
from nni.experiment.config import ExperimentConfig, convert, experiment_config, utils
from nni.tools.package_utils.tuner_factory import create_builtin_class_instance

from amlc.config import load_experiment
from amlc.errors import ConfigError, Severity

CORPUS = Path(__file__).parent / "corpus"
VERDICTS = CORPUS / "verdicts.md"
FILES = sorted(CORPUS.glob("*.yml"))
HEAD = """\
# NNI 3.0's verdict, and amlc's

Each file is read by the installed NNI as `nnictl create` does it, up to the first parameter set of its tuner; and by
amlc with `--backend local`, which needs nothing of a platform that amlc does not have. The last column says why the two
differ, where they do.

| file | NNI 3.0 | amlc | the difference |
|---|---|---|---|
"""
ELSEWHERE = "amlc: a platform that NNI 3.0 has not; `--backend local` needs nothing of it"
DIFFERENCES = {
    "v1.5-local-typo": "NNI is wrong: it logs that the key was not converted, and runs without the limit",
    "v1.6-dlts": ELSEWHERE,
    "v1.6-paiYarn": ELSEWHERE,
    "v1.6-remote": "NNI is wrong: its converter leaves `passphrase` a name that its own config does not have",
    "v1.7-aml": "NNI is wrong: it loses `computeTarget`, which 1.7 had in `trial`",
    "v2-adl": ELSEWHERE,
    "v2-aml-active-gpu": "NNI is wrong: its documentation has the key, and its code refuses it",
    "v2-aml-no-compute": "amlc: `--backend local` needs no cluster; without it the file is refused",
    "v2-aml-nomount": "NNI is wrong: it takes what its manager refuses as soon as a trial starts",
    "v2-local-concurrency-true": "NNI is wrong: `true` is no number, and counts as 1",
    "v2-local-gpu-unset": "amlc: `useActiveGpu` counts as false, and a note says so",
    "v2-local-mixed-spelling": "NNI is wrong: it folds every key but `platform`",
    "v2-local-per-gpu-alone": "amlc: the key has no effect then, and a warning says so",
    "v2-local-space-bogus": "NNI is wrong: an unknown `_type` is drawn like uniform",
    "v2-local-space-reversed": "NNI is wrong: the grid of reversed bounds goes backwards, and every other tuner fails",
    "v2-local-two-spellings": "NNI is wrong: of two values for one key it takes the last, and says nothing",
    "v2.0-adl": ELSEWHERE,
    "v2.0-hybrid": ELSEWHERE,
}


def theirs(file):
    """Return what NNI 3.0 says: "" if it takes the file, else its error."""
    try:
        text = yaml.safe_load(file.read_text(encoding="utf-8"))
        if text.get("trainingServicePlatform"):
            text = convert.to_v2(text)
        utils.set_base_path(file.parent)
        try:
            config = ExperimentConfig(**text)
        finally:
            utils.unset_base_path()
        told = config.json()
        if config.use_annotation:
            return "annotations are not supported since v3.0"
        start(told["tuner"], told.get("searchSpace"))
    except Exception as err:  # noqa: BLE001 - whatever it is, it is NNI's verdict
        words = " ".join(str(err).split()).replace(str(CORPUS), "…")
        return f"{type(err).__name__}: {words}"[:100].rstrip(": ")
    return ""


def start(tuner, space):
    """Start a built-in tuner as NNI's dispatcher does, and ask it once; Hyperband needs the manager to speak to."""
    name = tuner.get("name")
    if name is not None and name != "Hyperband":
        one = create_builtin_class_instance(name, tuner.get("classArgs"), "tuners")
        one.update_search_space(space)
        one.generate_parameters(0)


def ours(file):
    """Return the codes of the errors that amlc finds, and of all else."""
    try:
        _, found = load_experiment(file, backend="local", environ={"AZURE_STORAGE_KEY": "k"})
    except ConfigError as err:
        found = err.problems
    errors = sorted({problem.code for problem in found if problem.severity is Severity.ERROR})
    return errors, sorted({problem.code for problem in found} - set(errors))


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """Both verdicts on each file."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.chdir(tmp_path_factory.mktemp("where"))
        patch.setattr(experiment_config.utils, "get_ipv4_address", lambda: "10.0.0.9")  # which asks the network
        return {file.stem: (theirs(file), *ours(file)) for file in FILES}


def page(verdicts):
    rows = []
    for name, (nni, errors, others) in verdicts.items():
        own = f"refuses it: {', '.join(errors)}" if errors else f"takes it{': ' if others else ''}{', '.join(others)}"
        cells = (f"`{name}`", f"refuses it: {nni}" if nni else "takes it", own, DIFFERENCES.get(name, ""))
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n")
    return HEAD + "".join(rows)


def test_the_corpus_is_large():
    assert len(FILES) >= 60


@pytest.mark.golden
def test_the_verdicts_are_those_recorded(verdicts):
    if os.environ.get("AMLC_GOLDEN") == "1":
        VERDICTS.write_text(page(verdicts), encoding="utf-8")
    assert VERDICTS.read_text(encoding="utf-8") == page(verdicts)


def test_where_the_verdicts_differ_there_is_a_reason(verdicts):
    differ = {name for name, (nni, errors, _) in verdicts.items() if bool(nni) != bool(errors)}
    assert differ == DIFFERENCES.keys()
