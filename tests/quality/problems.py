"""Problems to measure tuners by: functions to minimise, in families of which the bench has nothing in common with others.

Constants are chosen on `TUNING` alone, and those about failures on `FAILING`. What `BENCH` shows, nobody has looked at while choosing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from amlc.catalogue import NESTED, NUMERIC, find
from amlc.model import Choice, Document, Parameters, Space
from amlc.space.parse import parse_space
from amlc.tuners.shared.brackets import ADDED
from tests.quality.tables import BLOBS, BREAST_CANCER, DIABETES, DIGITS, WINE


@dataclass(frozen=True)
class Problem:
    """A function to minimise; None is a trial that fails. noise: the standard deviation of what the tuner sees more."""

    name: str
    space: Mapping[str, Any]
    value: Callable[[Parameters], float | None]
    noise: float = 0.0

    def parsed(self) -> Space:
        return parse_space(Document(Path("space.json"), self.space, {}, {}), (), tuner="Random")[0]

    def suits(self, tuner: str) -> bool:
        """Tell whether the tuner of this name can search the space."""
        known = find(tuner, "tuner")
        return known is None or set(_types(self.parsed(), self.space)) <= known.types


def bare(parameters: Parameters) -> Parameters:
    """Return the parameters of the problem's own space, without what Hyperband and BOHB add to them."""
    return {name: value for name, value in parameters.items() if name not in ADDED}


def _types(space: Space, spec: Mapping[str, Any]) -> Iterator[str]:
    for dimension in space:
        if not isinstance(dimension, Choice):
            yield spec[dimension.name]["_type"]
        elif dimension.branches:
            yield NESTED
        else:
            numbers = all(isinstance(option, (int, float)) for option in dimension.options)
            yield NUMERIC if numbers else "choice"


def uniform(low: float, high: float) -> dict[str, Any]:
    return {"_type": "uniform", "_value": [low, high]}


def log(low: float, high: float) -> dict[str, Any]:
    return {"_type": "loguniform", "_value": [low, high]}


def whole(low: int, high: int) -> dict[str, Any]:
    return {"_type": "randint", "_value": [low, high]}


def grid(low: float, high: float, width: float) -> dict[str, Any]:
    return {"_type": "quniform", "_value": [low, high, width]}


def choice(*options: Any) -> dict[str, Any]:
    return {"_type": "choice", "_value": list(options)}


def cube(count: int, low: float, high: float) -> dict[str, Any]:
    return {f"x{i}": uniform(low, high) for i in range(count)}


# --- functions of the literature ------------------------------------------------------------------------------------


def branin(p: Parameters) -> float:
    x, y = p["x"], p["y"]
    wave = 10 * (1 - 1 / (8 * math.pi)) * math.cos(x)
    return (y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6) ** 2 + wave + 10


_WEIGHTS = (1.0, 1.2, 3.0, 3.2)
_SCALES = ((10, 3, 17, 3.5, 1.7, 8), (0.05, 10, 17, 0.1, 8, 14), (3, 3.5, 1.7, 10, 17, 8), (17, 8, 0.05, 10, 0.1, 14))
_MIDDLES = (
    (0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886),
    (0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991),
    (0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.665),
    (0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381),
)
_SCALES_3 = ((3, 10, 30), (0.1, 10, 35), (3, 10, 30), (0.1, 10, 35))
_MIDDLES_3 = ((0.3689, 0.117, 0.2673), (0.4699, 0.4387, 0.747), (0.1091, 0.8732, 0.5547), (0.0381, 0.5743, 0.8828))


def _hartmann(x: list[float], all_scales: Any, all_middles: Any) -> float:
    return -sum(
        weight * math.exp(-sum(a * (xi - m) ** 2 for a, xi, m in zip(scales, x, middles, strict=True)))
        for weight, scales, middles in zip(_WEIGHTS, all_scales, all_middles, strict=True)
    )


def hartmann_6(p: Parameters) -> float:
    return _hartmann(list(p.values()), _SCALES, _MIDDLES)


def hartmann_3(p: Parameters) -> float:
    return _hartmann(list(p.values()), _SCALES_3, _MIDDLES_3)


def levy(p: Parameters) -> float:
    w = [1 + (x - 1) / 4 for x in p.values()]
    inner = sum((a - 1) ** 2 * (1 + 10 * math.sin(math.pi * a + 1) ** 2) for a in w[:-1])
    last = (w[-1] - 1) ** 2 * (1 + math.sin(2 * math.pi * w[-1]) ** 2)
    return math.sin(math.pi * w[0]) ** 2 + inner + last


def rosenbrock(p: Parameters) -> float:
    x = list(p.values())
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in pairwise(x))


def ackley(p: Parameters) -> float:
    x = [value - 3 - i / 4 for i, value in enumerate(p.values())]  # in its usual place the middle is best
    square = sum(a * a for a in x) / len(x)
    wave = sum(math.cos(2 * math.pi * a) for a in x) / len(x)
    return 20 + math.e - 20 * math.exp(-0.2 * math.sqrt(square)) - math.exp(wave)


def styblinski(p: Parameters) -> float:
    return sum(x**4 - 16 * x * x + 5 * x for x in p.values()) / (2 * len(p))


def griewank(p: Parameters) -> float:
    x = [value - 40 - 20 * i for i, value in enumerate(p.values())]
    return 1 + sum(a * a for a in x) / 4000 - math.prod(math.cos(a / math.sqrt(i + 1)) for i, a in enumerate(x))


# --- imagined trainings: a family to choose constants on ------------------------------------------------------------


def training(p: Parameters) -> float:
    """Return the loss of an imagined training, 0 at best; the best of the other optimizer is 0.05."""
    optimizer, rate = p["optimizer"], math.log10(p["optimizer"]["lr"])
    if optimizer["_name"] == "adam":
        loss = 0.15 * (rate + 3) ** 2 + 2 * (optimizer["beta"] - 0.9) ** 2
    else:
        loss = 0.05 + 0.1 * (rate + 1.5) ** 2 + 0.5 * (optimizer["momentum"] - 0.9) ** 2
    loss += 0.01 * (p["layers"] - 5) ** 2 + 0.05 * abs(math.log2(p["width"]) - 7 + 0.3 * (p["layers"] - 5))
    return loss + 2 * (p["dropout"] - 0.2) ** 2 + 0.02 * (math.log10(p["decay"]) + 4) ** 2


TRAINING = {
    "optimizer": choice(
        {"_name": "sgd", "lr": log(1e-4, 1), "momentum": uniform(0, 1)},
        {"_name": "adam", "lr": log(1e-5, 1e-1), "beta": grid(0.5, 0.99, 0.01)},
    ),
    "layers": whole(1, 9),
    "width": choice(16, 32, 64, 128, 256),
    "dropout": grid(0, 0.5, 0.05),
    "decay": log(1e-6, 1e-1),
}


def shelves(p: Parameters) -> float:
    """Return how far eight whole numbers are from 3, 5, 7 …, where the neighbours pull at one another."""
    x = [value - 3 - 2 * (i % 4) for i, value in enumerate(p.values())]
    return sum(abs(a) for a in x) + 0.5 * sum(abs(a - b) for a, b in pairwise(x))


def machine(p: Parameters) -> float:
    """Return a loss that depends on which of five kernels goes with which of four layouts."""
    fit = ((0, 3, 2, 4), (2, 1, 4, 3), (3, 2, 0.5, 2), (4, 4, 3, 1), (1, 3, 3, 2))
    pair = fit["abcde".index(p["kernel"])]["wxyz".index(p["layout"])]
    tiles = abs(math.log2(p["tile"] / 16)) + abs(p["unroll"] - 4 - 2 * (p["kernel"] == "a"))
    return pair + 0.3 * tiles + (math.log10(p["chunk"]) - 2.3) ** 2


MACHINE = {
    "kernel": choice(*"abcde"),
    "layout": choice(*"wxyz"),
    "tile": choice(4, 8, 16, 32, 64),
    "unroll": whole(1, 12),
    "chunk": log(1, 1e4),
}


def tree(p: Parameters) -> float:
    """Return a loss behind two choices one within the other; the good leaf is found by its branch's own parameters."""
    net, loss = p["net"], 0.3 * (math.log10(p["lr"]) + 2.5) ** 2
    if net["_name"] == "linear":
        return loss + 1.0 + (net["bias"] - 0.2) ** 2
    if net["_name"] == "wide":
        return loss + 0.4 + abs(net["units"] - 40) / 20
    deep = 0.15 * abs(net["depth"] - 6)
    act = net["act"]
    slope = abs(act["slope"] - 0.1) if act["_name"] == "leaky" else 0.3
    return loss + deep + slope


def stairs(p: Parameters) -> float:
    """Return the height of the step below: nothing changes within a step, and far from the middle nothing at all."""
    distance = math.dist([p["x"], p["y"], p["z"], p["v"]], [0.2, 0.7, 0.4, 0.85])
    return min(math.floor(distance * 12) / 12, 0.75)


def leaking(p: Parameters) -> float | None:
    """Return Branin's value; beyond a line, a third of the plane, trials fail."""
    return None if p["x"] + p["y"] > 14 else branin(p)


TUNING = (
    Problem("Branin", {"x": uniform(-5, 10), "y": uniform(0, 15)}, branin),
    Problem("Hartmann-6", cube(6, 0, 1), hartmann_6),
    Problem("Hartmann-6 with noise", cube(6, 0, 1), hartmann_6, noise=0.2),
    Problem("Griewank-20", cube(20, -600, 600), griewank),
    Problem("Styblinski-5", cube(5, -5, 5), styblinski),
    Problem("training, nested", TRAINING, training),
    Problem("shelves, integers", {f"n{i}": whole(0, 16) for i in range(8)}, shelves),
    Problem(
        "machine, mixed",
        MACHINE,
        machine,
    ),
    Problem(
        "tree, nested",
        {
            "lr": log(1e-5, 1),
            "net": choice(
                {"_name": "linear", "bias": uniform(-1, 1)},
                {"_name": "wide", "units": whole(1, 101)},
                {
                    "_name": "deep",
                    "depth": whole(1, 13),
                    "act": choice({"_name": "relu"}, {"_name": "leaky", "slope": uniform(0, 1)}),
                },
            ),
        },
        tree,
    ),
    Problem("stairs", {name: uniform(0, 1) for name in "xyzv"}, stairs),
    Problem("leaking Branin", {"x": uniform(-5, 10), "y": uniform(0, 15)}, leaking),
    Problem("diabetes, a real table", DIABETES.space, DIABETES.value),
    Problem("blobs, a real table", BLOBS.space, BLOBS.value),
)


# --- failures: what the process of labels in amlc/tuners/shared/feasibility.py was chosen on -------------------------


def exploding(p: Parameters) -> float | None:
    """Return the loss of the imagined training, which fails a little beyond its best learning rate."""
    optimizer, few = p["optimizer"], p["layers"] < 4
    most = (-2.6 if optimizer["_name"] == "adam" else -1.2) + 0.2 * few
    return None if math.log10(optimizer["lr"]) > most else training(p)


def crowded(p: Parameters) -> float | None:
    """Return the loss of the machine, which has room for so many tiles only."""
    return None if p["tile"] * p["unroll"] > 100 else machine(p)


def ball(p: Parameters) -> float | None:
    """Return Hartmann's value within a ball; what lies outside, nearly half of the cube, fails."""
    return None if sum((x - 0.5) ** 2 for x in p.values()) > 0.5 else hartmann_6(p)


def flaky(p: Parameters) -> float | None:
    """Return Styblinski's value; three trials of ten fail, and nobody can learn which."""
    return None if math.sin(1e5 * sum(p.values())) > 0.6 else styblinski(p)


def brink(p: Parameters) -> float | None:
    """Return a value that is best where two regions begin in which trials fail."""
    return None if p["x"] > 8 or p["z"] < -7 else 10 - p["x"] + 0.1 * (p["y"] - 3) ** 2 + 0.3 * (p["z"] + 8)


FAILING = (
    Problem("leaking Branin", {"x": uniform(-5, 10), "y": uniform(0, 15)}, leaking),
    Problem("exploding training", TRAINING, exploding),
    Problem("crowded machine", MACHINE, crowded),
    Problem("Hartmann-6 in a ball", cube(6, 0, 1), ball),
    Problem("flaky Styblinski-3", cube(3, -5, 5), flaky),
    Problem("brink", {name: uniform(-10, 10) for name in "xyz"}, brink),
)


# --- the bench ------------------------------------------------------------------------------------------------------


def schedule(p: Parameters) -> float:
    """Return the make-span of an imagined pipeline: whole numbers that must suit one another."""
    work = 40 / p["workers"] + 0.6 * p["workers"] + abs(p["batch"] - 6 * p["workers"]) / 8
    buffers = abs(p["buffers"] - 2 * p["stages"] - 1) + 0.5 * abs(p["stages"] - 5)
    return work + buffers + 0.2 * abs(p["retries"] - 3) + 2 * abs(p["share"] - 0.65)


SCHEDULE = {
    "workers": whole(1, 33),
    "batch": whole(1, 129),
    "stages": whole(1, 11),
    "buffers": whole(1, 25),
    "retries": whole(0, 10),
    "share": grid(0, 1, 0.05),
}


def pipeline(p: Parameters) -> float:
    """Return the loss of a pipeline of which each choice has parameters of its own."""
    scale, model = p["scale"], p["model"]
    loss = {"none": 0.4, "robust": 0.15}.get(scale["_name"], 0.0)
    if scale["_name"] == "power":
        loss += 0.3 * abs(scale["exponent"] - 0.7)
    if model["_name"] == "boosting":
        rate, trees = math.log10(model["rate"]), model["trees"]
        loss += 0.2 * (rate + math.log10(trees / 100) + 1) ** 2 + 0.03 * abs(model["depth"] - 5)
    elif model["_name"] == "kernel":
        loss += 0.1 + 0.1 * (math.log10(model["C"]) - 1) ** 2 + 0.15 * (math.log10(model["gamma"]) + 2) ** 2
        loss += 0.1 * (scale["_name"] == "none")
    else:
        loss += 0.35 + 0.05 * abs(math.log10(model["alpha"]) + 3)
    return loss


PIPELINE = {
    "scale": choice({"_name": "none"}, {"_name": "robust"}, {"_name": "power", "exponent": uniform(0, 2)}),
    "model": choice(
        {"_name": "boosting", "rate": log(1e-3, 1), "trees": whole(10, 501), "depth": whole(1, 13)},
        {"_name": "kernel", "C": log(1e-3, 1e4), "gamma": log(1e-6, 1)},
        {"_name": "linear", "alpha": log(1e-6, 1)},
    ),
}


def network(p: Parameters) -> float:
    """Return the loss of an imagined network of many kinds of parameters."""
    rate, batch = math.log10(p["lr"]), math.log2(p["batch"])
    loss = 0.2 * (rate + 2.5 - 0.3 * (batch - 5)) ** 2 + {"relu": 0.1, "gelu": 0.0, "tanh": 0.3, "elu": 0.15}[p["act"]]
    loss += {"cosine": 0.0, "step": 0.06, "none": 0.2}[p["decay"]] + 0.02 * abs(p["layers"] - 7)
    return loss + 0.8 * (p["dropout"] - 0.15) ** 2 + 0.1 * abs(p["shift"] - 1.2) + 0.03 * abs(p["heads"] - 8)


NETWORK = {
    "lr": log(1e-5, 1),
    "batch": choice(8, 16, 32, 64, 128, 256),
    "act": choice("relu", "gelu", "tanh", "elu"),
    "decay": choice("cosine", "step", "none"),
    "layers": whole(1, 25),
    "heads": whole(1, 17),
    "dropout": uniform(0, 0.9),
    "shift": {"_type": "normal", "_value": [0, 1]},
}


def terraces(p: Parameters) -> float:
    """Return what five numbers are worth in whole tenths, and the same for all that are not near."""
    x = [math.log10(p["rate"]) + 2, 2 * p["mix"] - 1.4, p["size"] / 50 - 1.2, 3 * p["drop"] - 0.6, p["gain"] - 1]
    return min(math.floor(2 * math.sqrt(sum(a * a for a in x)) * 5) / 10, 2.0)


TERRACES = {
    "rate": log(1e-5, 1),
    "mix": uniform(0, 1),
    "size": uniform(0, 200),
    "drop": uniform(0, 1),
    "gain": uniform(0, 4),
}


def memory(p: Parameters) -> float | None:
    """Return the loss of a training that runs out of memory or diverges; its best is near where that begins."""
    rate = math.log10(p["lr"])
    if p["width"] * p["batch"] > 400_000 or rate + p["momentum"] > 0:
        return None
    size = 0.25 * abs(math.log2(p["width"] / 700)) + 0.1 * abs(math.log2(p["batch"] / 128))
    return size + 0.5 * (rate + 1.4) ** 2 + 0.5 * (p["momentum"] - 0.8) ** 2


MEMORY = {"lr": log(1e-4, 1), "momentum": uniform(0, 1), "width": whole(16, 2049), "batch": whole(8, 513)}

BENCH = (
    Problem("Levy-4", cube(4, -10, 10), levy),
    Problem("Rosenbrock-5", cube(5, -2, 2), rosenbrock),
    Problem("Ackley-20", cube(20, -15, 15), ackley),
    Problem("Hartmann-3 with noise", cube(3, 0, 1), hartmann_3, noise=0.3),
    Problem("schedule, integers", SCHEDULE, schedule),
    Problem("pipeline, nested", PIPELINE, pipeline),
    Problem("network, mixed", NETWORK, network),
    Problem("terraces, plateaus", TERRACES, terraces),
    Problem("memory, failures", MEMORY, memory),
    Problem("digits, nested", DIGITS.space, DIGITS.value),
    Problem("wine", WINE.space, WINE.value),
    Problem("breast cancer, mixed", BREAST_CANCER.space, BREAST_CANCER.value),
)
FAMILIES = {"bench": BENCH, "tuning": TUNING, "failing": FAILING}
