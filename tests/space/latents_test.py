"""What a platform draws of a space becomes NNI's values: the same distribution, support and bits, here and in the runner."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.random import default_rng

from amlc.model import Document
from amlc.runner.amlc_runner_lib.latent import drawn_trial
from amlc.space.latents import BAYESIAN, RANDOM, finished, from_records, latents, normal_quantile, records
from amlc.space.parse import parse_space
from amlc.space.points import axes, deliver

COUNT = 10_000
NESTED = {
    "_type": "choice",
    "_value": [
        {"_name": "none"},
        {
            "_name": "conv",
            "lr": {"_type": "loguniform", "_value": [1e-3, 1]},
            "k": {"_type": "randint", "_value": [1, 4]},
        },
        {"_name": "dense", "lr": {"_type": "quniform", "_value": [0, 1, 0.3]}},
    ],
}  # fmt: skip
OF_TYPE = {
    "choice": ["a", 1, 1.5, True, None],
    "randint": [5, 9],
    "uniform": [-1, 1],
    "quniform": [0.1, 0.9, 0.25],
    "loguniform": [1e-5, 0.1],
    "qloguniform": [3, 100, 10],
    "normal": [3, 0.5],
    "qnormal": [0, 1, 0.25],
    "lognormal": [-2, 1.5],
    "qlognormal": [1, 1, 0.5],
}
SPACES = {**{kind: {"x": {"_type": kind, "_value": values}} for kind, values in OF_TYPE.items()}, "nested": {"x": NESTED}}
SPACES["nested"] |= {"same": SPACES["qnormal"]["x"]}
ACT = {"_type": "choice", "_value": [{"_name": "relu"}, {"_name": "elu", "a": {"_type": "randint", "_value": [1, 4]}}]}
DEEP = {"x": {"_type": "choice", "_value": [{"_name": "none", "lr": SPACES["uniform"]["x"]}, {"_name": "conv", "act": ACT, "lr": ACT}]}}
SAMPLINGS = (BAYESIAN, RANDOM)


def parsed(raw):
    space, problems = parse_space(Document(Path("space.json"), raw, {}, {}), (), tuner="Random")
    assert not problems
    return space


def platform_draws(rng, space, count):
    """What Azure ML documents that it draws for a parameter, as numbers or labels."""
    kind = space["type"]
    if kind == "choice":
        return [space["values"][place] for place in rng.integers(len(space["values"]), size=count)]
    if kind == "randint":
        return rng.integers(space["upper"], size=count).tolist()
    if kind in ("uniform", "loguniform"):
        draws = rng.uniform(space["min_value"], space["max_value"], count)
    else:
        draws = rng.normal(space["mu"], space["sigma"], count)
    return (np.exp(draws) if kind.startswith("log") else draws).tolist()


def written(value):
    """However .NET writes it, so that it is the same number."""
    return value if isinstance(value, str) else repr(value).upper()


def drawn(space, sampling, count, seed=1):
    rng, found = default_rng(seed), latents(space, sampling)
    columns = [[written(value) for value in platform_draws(rng, one.space, count)] for one in found]
    return found, [dict(zip((one.name for one in found), row, strict=True)) for row in zip(*columns, strict=True)]


def nni_draws(raw, count):
    """What the installed NNI's Random tuner generates, or what is compared with it bit for bit elsewhere."""
    utils = pytest.importorskip("nni.common.hpo_utils")
    suggest = pytest.importorskip("nni.algorithms.hpo.random_tuner").suggest
    space, rng = utils.format_search_space(raw), default_rng(2)
    return [utils.deformat_parameters(suggest(rng, space), space) for _ in range(count)]


def flat(parameters):
    found = parameters["x"]
    if not isinstance(found, dict):
        return found
    return tuple(
        (name, flat({"x": value}) if isinstance(value, dict) else round(value, 0) if isinstance(value, float) else value)
        for name, value in found.items()
    )


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("kind", SPACES)
def test_the_distribution_and_the_support_are_those_of_nnis_generator(kind, sampling):
    stats = pytest.importorskip("scipy.stats")
    space = parsed(SPACES[kind])
    found, texts = drawn(space, sampling, COUNT)
    ours = [flat(finished(found, text)) for text in texts]
    theirs = [flat(one) for one in nni_draws(SPACES[kind], COUNT)]
    if kind in ("uniform", "loguniform", "normal", "lognormal"):
        assert stats.ks_2samp(ours, theirs).pvalue > 1e-3
        if "normal" not in kind:
            low, high = OF_TYPE[kind]
            assert low <= min(ours) < max(ours) <= high
        return
    counts = Counter(map(repr, ours)), Counter(map(repr, theirs))
    if "normal" not in kind:
        assert counts[0].keys() == counts[1].keys()
    common = [value for value in counts[1] if counts[0][value] + counts[1][value] >= 40]
    table = [[*(count[value] for value in common), COUNT - sum(count[value] for value in common)] for count in counts]
    table = [column for column in zip(*table, strict=True) if any(column)]
    assert stats.chi2_contingency(table).pvalue > 1e-3


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("kind", [*SPACES, "deep"])
def test_the_runner_and_amlc_finish_a_draw_alike_also_from_its_record(kind, sampling):
    space = parsed(DEEP if kind == "deep" else SPACES[kind])
    found, texts = drawn(space, sampling, 300)
    known = json.loads(json.dumps(records(found)))
    told = {"namespace": "a", "first": 3, "axes": known}
    for number, text in enumerate(texts):
        environ = {f"AZUREML_SWEEP_{name}".upper().encode(): value.encode() for name, value in text.items()}
        trial = drawn_trial(told, "probe", {**environ, b"AZUREML_RUN_ID": b"s_%d" % number})
        ours = finished(from_records(known), text)
        assert json.dumps(ours) == json.dumps(trial["parameters"]) == json.dumps(finished(found, text))
        assert trial["sequence"] == 3 + number


@pytest.mark.parametrize("kind", [kind for kind in SPACES if "normal" not in kind])
def test_a_draw_that_is_nnis_own_becomes_its_value_bit_for_bit(kind):
    space = parsed(SPACES[kind])
    found, texts = drawn(space, BAYESIAN, 500)
    for text in texts:
        point = {}
        for one in found:
            if one.axis.active(point):
                value = text[one.name]
                if one.labels:
                    point[one.axis.key] = one.labels.index(value)
                elif one.how == "number":
                    point[one.axis.key] = math.floor(float(value)) - one.axis.dimension.low
                else:
                    point[one.axis.key] = float(value)
        if kind == "nested":
            point = {key: x for key, x in point.items() if key[0] == "x"}
        expected = deliver(axes(space), point)
        got = finished(found, text)
        assert json.dumps({name: got[name] for name in expected}) == json.dumps(expected)


def names_of(*names):
    return [one.name for one in latents(parsed(dict.fromkeys(names, SPACES["uniform"]["x"])), RANDOM)]


def test_names_are_safe_and_stay_apart_in_any_case():
    assert names_of("lr", "LR", "a-b", "a.b", "1a", "é", "amlc_trial") == [
        "lr", "LR_2", "a_b", "a_b_2", "p_1a", "_", "amlc_trial_2",
    ]  # fmt: skip
    nested = [one.name for one in latents(parsed(DEEP), RANDOM)]
    assert nested == ["x", "x__lr", "x__act", "x__act__a", "x__lr_2", "x__lr__a"]


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        (["adam", "sgd"], ["adam", "sgd"]),
        ([16, 32.5, "x"], ["16", "32.5", "x"]),
        ([True, False, None], ["true", "false", "null"]),
        ([1, 1.0, "1"], ["0", "1", "2"]),
        (["a", "A"], ["0", "1"]),
        (["a b", "c"], ["0", "1"]),
        ([[1, 2], {"k": 1}], ["0", "1"]),
    ],
)
def test_options_go_by_their_own_text_where_that_is_plain_and_by_their_place_elsewhere(options, labels):
    (one,) = latents(parsed({"x": {"_type": "choice", "_value": options}}), RANDOM)
    assert one.space == {"type": "choice", "values": labels}
    for option, label in zip(options, labels, strict=True):
        for text in (label, label.upper()):
            assert json.dumps(finished([one], {"X": text})["x"]) == json.dumps(option)


def test_equal_bounds_are_a_choice_of_one_value():
    raw = {"n": {"_type": "randint", "_value": [4, 5]}, "x": {"_type": "uniform", "_value": [2, 2]}}
    found = latents(parsed(raw), BAYESIAN)
    assert [one.space for one in found] == [{"type": "choice", "values": ["0"]}] * 2
    assert finished(found, {"n": "0", "x": "0.0"}) == {"n": 4, "x": 2.0}


def test_the_ends_of_what_may_be_drawn_are_values_too():
    assert -9 < normal_quantile(0) < -8
    assert 8 < normal_quantile(1) < 9
    assert normal_quantile(0.5) == pytest.approx(0, abs=1e-15)
    assert abs(normal_quantile(0.975) - 1.959963984540054) < 1e-12
    (one,) = latents(parsed(SPACES["randint"]), BAYESIAN)
    assert [finished([one], {"x": text})["x"] for text in ("5", "8.999", "9", "9.0E+00")] == [5, 8, 8, 8]


@pytest.mark.parametrize("text", ["", "nan", "inf", "x", "${{search_space.x}}"])
def test_what_is_no_draw_is_refused(text):
    found = latents(parsed(SPACES["uniform"]), RANDOM)
    with pytest.raises(ValueError, match=r"."):
        finished(found, {"x": text})
    environ = {b"AZUREML_SWEEP_x": text.encode()}
    with pytest.raises(ValueError, match="does not say what it drew as x"):
        drawn_trial({"namespace": "", "first": 0, "axes": records(found)}, "probe", environ)
    environ[b"AMLC_LATENT_X"] = b"5E-01"
    assert drawn_trial({"namespace": "", "first": 0, "axes": records(found)}, "probe", environ)["parameters"] == {"x": 0.5}
