"""The page's scripts by themselves, in a real browser: searching, numbers, axes, colours, copying."""

import json
import math
import random
import time
from pathlib import Path

import pytest

from amlc.report.columns import ABSENT, anything, numbers, words

WEB = Path(__file__).parents[2] / "amlc" / "report" / "web"


@pytest.fixture(scope="module")
def run(browser):
    """Return what an expression is worth where the page's functions and `frame` are known."""
    code = "\n".join((WEB / f"{name}.js").read_text(encoding="utf-8") for name in ("frame", "search", "scale", "fanova"))
    with browser.tab() as tab:
        yield lambda expression, part=None: tab.run(
            f"(() => {{ {code}\nconst frame = new Frame({json.dumps(part or PART)}, 0); return {expression}; }})()"
        )


def part_of(parameters, metrics=(), status=None):
    count = len(parameters[0]["values"]) if parameters else 0
    fixed = [numbers("#", range(count)), words("status", status or ["succeeded"] * count, most=20)]
    return {"count": count, "fixed": fixed, "metrics": list(metrics), "parameters": list(parameters)}


PART = part_of(
    [
        anything("lr", [0.001, 0.01, 0.1, 1.0], most=99),
        anything("optimizer", ["adam", "sgd", "adamw", 'two "words" | .. x'], most=99),
        anything("net.depth", [3, ABSENT, 5, 7], most=99),
    ],
    [anything("default", [0.5, 0.75, ABSENT, 0.25], most=99)],
    ["succeeded", "succeeded", "failed", "running"],
)


@pytest.mark.parametrize(
    ("search", "rows"),
    [
        ("", [0, 1, 2, 3]), ("adam", [0, 2]), ("adam failed", [2]), ("ADAM -failed", [0]), ("-adam", [1, 3]),
        ("#2", [2]), ("#0 #3", [0, 3]), ("#1..2", [1, 2]), ("#0,2..3", [0, 2, 3]), ("#2 adam", [2]), ("-#2", [0, 1, 3]),
        ("lr>0.01", [2, 3]), ("lr>=0.01", [1, 2, 3]), ("lr<0.01", [0]), ("lr<=0.01", [0, 1]), ("LR:0.01..0.1", [1, 2]),
        ("lr:..0.01", [0, 1]), ("lr:0.1..", [2, 3]), ("lr:1e-3..1e-2", [0, 1]), ("lr=0.1", [2]), ("lr=1", [3]),
        ("optimizer:adam", [0, 2]), ("optimizer=adam", [0]), ("optimizer=adam|sgd", [0, 1]), ("-optimizer=sgd", [0, 2, 3]),
        ("depth>3", [2, 3]), ("net.depth:3..5", [0, 2]), ("default:0.2..0.6", [0, 3]), ("status:run", [3]),
        ('"two "', [3]), ('"two \\"words\\""', [3]), ('optimizer:"two \\"w"', [3]), ('optimizer="two \\"words\\" | .. x"', [3]),
        ("nothing:here", []), ("lr>high", []), ("lr>", []), ('"', [0, 1, 2, 3]), ("<script>", []), ("lr:0.1..0.01", []),
        ("  adam   ", [0, 2]), ("#x", []), (":", [0, 1, 2, 3]), ("=", [0, 1, 2, 3]),
    ],
)  # fmt: skip
def test_a_search_finds(run, search, rows):
    assert run(f"frame.all.filter(searchTest(frame, {json.dumps(search)}))") == rows


@pytest.mark.parametrize(("value", "text"), [(0.1 + 0.2, "0.3"), (1e-05, "0.00001"), (7, "7"), (123456.789, "123457"), (1e300, "1e+300"), (1e-12, "1e-12"), (0, "0")])
def test_a_number_is_shown_short(run, value, text):
    assert run(f"shortNumber({value!r})") == text


def test_a_long_name_keeps_both_of_its_ends(run):
    assert run("['lr', 'encoder_layer_0', 'encoder_layer_1'].map((name) => shortName(name, 10))") == ["lr", "encod…er_0", "encod…er_1"]


@pytest.mark.parametrize(
    ("values", "texts", "whole"),
    [
        pytest.param([2, 1, 2], ["1", "2"], True, id="a short list of numbers"),
        pytest.param(["b", "a", ""], ["(empty)", "a", "b"], False, id="texts"),
        pytest.param([1, "1", True], ["1", "1", "true"], False, id="values that only their type tells apart"),
        pytest.param(["a", ABSENT], ["absent", "a"], False, id="absent in some trials"),
    ],
)
def test_names_are_evenly_spaced(run, values, texts, whole):
    part = part_of([anything("x", values, most=99)])
    axis = run("(({kind, low, high, ticks}) => ({kind, low, high, ticks}))(axisOf(frame.column('p:x'), frame.all))", part)
    assert (axis["kind"], sorted(text for _, text in axis["ticks"])) == ("name", sorted(texts))
    places = run("frame.all.map(axisOf(frame.column('p:x'), frame.all).place)", part)
    assert axis["low"] <= min(places) <= max(places) <= axis["high"]
    assert len(set(places)) == len({json.dumps(v) if v is not ABSENT else None for v in values})


def test_small_numbers_over_decades_are_drawn_as_exponents(run):
    part = part_of([anything("x", [10.0**-n for n in range(10)], most=99)])
    axis = run("axisOf(frame.column('p:x'), frame.all)", part)
    assert (axis["kind"], axis["log"], axis["ticks"][-1]) == ("number", True, [0, "1"])
    assert run("frame.all.map(axisOf(frame.column('p:x'), frame.all).place)", part)[:3] == [0, -1, -2]


def test_an_absent_number_has_a_place_below_the_others(run):
    part = part_of([anything("x", [0.1 * n for n in range(20)] + [ABSENT], most=99)])
    *places, absent = run("frame.all.map(axisOf(frame.column('p:x'), frame.all).place)", part)
    assert absent < min(places)
    assert run("axisOf(frame.column('p:x'), frame.all).ticks[0]", part) == [absent, "absent"]


@pytest.mark.parametrize(("low", "high", "ticks"), [(0.0, 7.0, 8), (0.0, 1.0, 6), (0.0, 0.3, 7), (0.0, 2.0, 5), (-3.0, 40.0, 5)])
def test_even_ticks_are_few_and_within(run, low, high, ticks):
    found = [at for at, _ in run(f"evenTicks({low}, {high})")]
    assert len(found) == ticks
    assert low <= min(found) <= max(found) <= high


@pytest.mark.parametrize(
    ("scores", "maximize", "expected"),
    [
        pytest.param([], "true", (-0.5, 0.5, False), id="none"),
        pytest.param([2.0], "true", (1.8, 2.2, False), id="one"),
        pytest.param([1, 2, 3], "true", (2, 3, False), id="three"),
        pytest.param([*range(1, 12)], "true", (2, 11, False), id="the worst tenth shares one colour"),
        pytest.param([*range(1, 12)], "false", (1, 10, False), id="the least is the best"),
        pytest.param([-1000, *range(1, 12)], "true", (2, 11, False), id="an outlier takes none of it"),
        pytest.param([1, 10, 1000], "false", (0, 1, True), id="losses over decades"),
        pytest.param([1, 10, 1000], "true", (10, 1000, False), id="what is maximized is no loss"),
    ],
)
def test_the_scale_reaches_from_the_best_to_nearly_the_worst(run, scores, maximize, expected):
    assert run(f"(({{low, high, log}}) => [low, high, log])(new Scale({scores}, {maximize}))") == pytest.approx(list(expected))


@pytest.mark.parametrize(
    ("score", "maximize", "colour"),
    [("NaN", True, "#9aa3ad"), (0, True, "#93a8bd"), (-9, True, "#93a8bd"), (1, True, "#d1495b"), (9, True, "#d1495b"),
     (0.5, True, "#2a9d8f"), (0, False, "#d1495b"), (1, False, "#93a8bd"), (0.125, True, "#719cbe")],
)  # fmt: skip
def test_a_colour_says_how_good_a_score_is(run, score, maximize, colour):
    scale = f"Object.assign(new Scale([0, 1], {json.dumps(maximize)}), {{low: 0, high: 1}})"
    assert run(f"{scale}.colour({score})") == colour


NESTED = {"lr": 1e-05, "n": 3, "f": 2.0, "net": {"_name": "a\"'\n", "on": True, "off": None}, "list": [1, {"b": False}]}


def nested_part():
    parameters = []
    for path in (("lr",), ("n",), ("f",), ("net", "_name"), ("net", "on"), ("net", "off"), ("list",)):
        value = NESTED
        for name in path:
            value = value[name]
        parameters.append(anything(".".join(path), [value], most=99) | ({"path": path} if len(path) > 1 else {}))
    return part_of(parameters)


def test_copied_json_is_what_the_trial_received(run):
    text = run("parametersText(frame, 0, false)", nested_part())
    assert json.loads(text) == NESTED
    assert '"f": 2.0' in text


def test_copied_python_is_a_literal_of_the_same(run):
    text = run("parametersText(frame, 0, true)", nested_part())
    assert eval(text, {"__builtins__": {}}) == NESTED
    odd = part_of([anything("x", [float("nan")], most=99), anything("y", [float("-inf")], most=99)])
    assert run("parametersText(frame, 0, true)", odd) == '{\n  "x": float("nan"),\n  "y": float("-inf")\n}'


def test_a_value_that_is_cut_is_not_copied(run):
    assert run("parametersText(frame, 0, true)", part_of([anything("x", ["a" * 99], most=9)])) is None


def fanova_of(run, rows, names):
    """Return the shares by fANOVA as the page computes them, by parameter; rows: (parameters, result)."""
    part = part_of(
        [anything(name, [parameters.get(name, ABSENT) for parameters, _ in rows], most=99) for name in names],
        [anything("default", [result for _, result in rows], most=99)],
    )
    view = """(() => {
        const axes = new Map(frame.parameters.map((column) => [column, axisOf(column, frame.all)]));
        return { scored: frame.all, varying: frame.parameters, metric: frame.metrics[0], axis: (column) => axes.get(column) };
    })()"""
    found = run(f"fanova({view})", part)
    return None if found is None else dict(found["shares"])


def drawn_of(count, value):
    draws = random.Random(0)
    for _ in range(count):
        parameters = {"a": draws.random(), "b": 10 ** -draws.uniform(0, 5), "c": draws.choice(["x", "y", "z"]), "d": draws.choice([16, 32, 64])}
        yield parameters, value(parameters)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(lambda p: (p["a"] - 0.3) ** 2, id="one decides"),
        pytest.param(lambda p: p["a"] + 2 * (p["c"] == "x") - 0.3 * math.log10(p["b"]), id="three decide"),
        pytest.param(lambda p: (p["a"] - 0.5) * (p["d"] - 40), id="two decide together"),
    ],
)
def test_fanova_tells_what_that_of_optuna_tells(run, value):
    optuna = pytest.importorskip("optuna")
    pytest.importorskip("sklearn")
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    rows = list(drawn_of(100, value))
    # What is drawn on a log axis counts by its exponent here; Optuna's takes the number itself.
    distributions = {"a": FloatDistribution(0, 1), "b": FloatDistribution(-5, 0), "c": CategoricalDistribution(["x", "y", "z"]), "d": FloatDistribution(16, 64)}
    study = optuna.create_study()
    for parameters, result in rows:
        found = {**parameters, "b": math.log10(parameters["b"])}
        study.add_trial(optuna.trial.create_trial(params=found, distributions=distributions, value=result))
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    theirs = optuna.importance.get_param_importances(study, evaluator=evaluator)
    assert fanova_of(run, rows, list("abcd")) == pytest.approx(theirs, abs=0.12)


def test_fanova_finds_what_some_trials_lack_and_what_decides_nothing(run):
    rows = [({"net": net, **({"depth": depth} if net == "cnn" else {})}, float(depth if net == "cnn" else 9)) for depth in range(9) for net in ("cnn", "mlp")]
    shares = fanova_of(run, rows, ["net", "depth"])
    assert shares["net"] > shares["depth"] > 0.05
    assert sum(shares.values()) == pytest.approx(1)
    assert fanova_of(run, rows[:9], ["net", "depth"]) is None
    assert fanova_of(run, [(parameters, 1.0) for parameters, _ in rows], ["net", "depth"]) is None


def test_fanova_of_many_trials_and_parameters_is_there_in_a_moment(run):
    rows = [({f"p{n}": random.Random(n * 10_000 + row).random() for n in range(40)}, random.Random(row).random()) for row in range(2_000)]
    start = time.perf_counter()
    shares = fanova_of(run, rows, [f"p{n}" for n in range(40)])
    assert len(shares) == 20
    assert time.perf_counter() - start < 20  # one second on a machine that has nothing else to do
