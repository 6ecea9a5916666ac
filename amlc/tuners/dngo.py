"""DNGO: Bayesian linear regression on the last hidden layers of neural networks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final

from amlc.extras import require
from amlc.model import Parameters, Record, Space
from amlc.space.points import Axis
from amlc.tuners.shared.memory import axes
from amlc.tuners.shared.model_based import Evidence, Suggestion, arrival, gather, stepwise
from amlc.tuners.shared.unit_cube import from_unit, matrix, rounded

if TYPE_CHECKING:
    from numpy.random import Generator

    from amlc.tuners.shared.unit_cube import Matrix

    Network = tuple[tuple[Matrix, Matrix], ...]

_MOST: Final = 500
"""How many results the regression sees at most: the best and the latest. The networks learn from no
more all together, which bounds what their training costs."""

_NETWORKS: Final = 5

_HIDDEN: Final = (50, 50, 50)
"""The widths of the hidden layers, those of the paper and of pybnn, which NNI uses."""

BY_VALUE: Final = True


def propose(
    space: Space,
    history: Sequence[Record],
    *,
    count: int,
    seed: int,
    args: Mapping[str, Any],
    allowed: Callable[[Parameters], bool],
) -> Iterator[Parameters]:
    """Yield `trials_per_update` draws of Random's sequence, then the best of other draws.

    Each is the best of `sample_size` others. The best one has the largest expected improvement.
    Five networks that begin with other weights, so that they differ where little is known, are
    trained anew once there are a tenth more results, `trials_per_update` more at the latest, with
    `num_epochs_per_training` passes over them. Behind more than 100 results they are fewer. The
    regression on their last hidden layers knows every result. Running trials count as what it
    expects of them, valueless ones nothing. Of more than 500 results the model sees the best and
    the latest.

    Unlike NNI's: the improvement is over the best result (NNI compares with 0.95, and looks for the
    least one if `optimize_mode` is "minimize"); there are several networks (NNI: one, trained at
    every `trials_per_update` results alone), for which the regression does not wait; parameters are
    scaled to the unit interval; the networks learn by L-BFGS, which on so few results is better and
    faster than Adam.
    Source: NNI 3.0, `algorithms/hpo/dngo_tuner.py`; Snoek et al. 2015, arXiv 1502.05700.
    """
    require("sklearn", algorithm="DNGO", extra="tuners")
    update = int(args["trials_per_update"])
    maximize = args["optimize_mode"] == "maximize"
    told = sorted((record for record in history if record.value is not None), key=arrival)
    trained_on = gather(
        axes(space), told[: _trained(len(told), update)], maximize=maximize, most=_MOST
    )
    return stepwise(
        space,
        history,
        count=count,
        seed=seed,
        allowed=allowed,
        startup=update,
        maximize=maximize,
        most=_MOST,
        suggest=partial(
            _suggest,
            trained_on=trained_on,
            sample_size=int(args["sample_size"]),
            epochs=int(args["num_epochs_per_training"]),
            seed=seed,
        ),
    )


def ahead(history: Sequence[Record], *, args: Mapping[str, Any]) -> int:
    """Return how many of the first draws are left."""
    return max(int(args["trials_per_update"]) - len(history), 0)


def _trained(results: int, update: int) -> int:
    """Return behind how many of so many results the networks were trained the last time."""
    at, then = 0, update
    while then <= results:
        at, then = then, then + max(min(then // 10, update), 1)
    return at


def _suggest(
    space_axes: Sequence[Axis],
    evidence: Evidence,
    rng: Generator,
    *,
    trained_on: Evidence,
    sample_size: int,
    epochs: int,
    seed: int,
) -> Iterator[Suggestion]:
    import numpy as np
    from scipy.special import ndtr

    if not trained_on.points:
        return
    basis, known, running = (
        matrix(space_axes, points)
        for points in (trained_on.points, evidence.points, evidence.running)
    )
    values = np.array(evidence.values)
    sample = rounded(space_axes, rng.random((sample_size, len(space_axes))))
    outcomes = np.array(trained_on.values)
    networks = tuple(
        _network(basis.tobytes(), outcomes.tobytes(), len(space_axes), epochs, seed + number)
        for number in range(max(min(_MOST // len(basis), _NETWORKS), 1))
    )
    targets = _standard(values)
    mean, sigma = _regress(networks, known, targets, running, sample)
    z = (targets.min() - mean) / sigma
    gain = sigma * (z * ndtr(z) + np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi))
    for row in sample[np.argsort(-gain, kind="stable")]:
        yield Suggestion(from_unit(space_axes, row.tolist()))


@lru_cache(maxsize=4 * _NETWORKS)
def _network(known: bytes, values: bytes, width: int, epochs: int, seed: int) -> Network:
    """Return weights and biases of hidden layers, trained to tell `values` from `known`."""
    import numpy as np
    from sklearn.neural_network import MLPRegressor

    network = MLPRegressor(
        hidden_layer_sizes=_HIDDEN,
        activation="tanh",
        solver="lbfgs",
        max_iter=epochs,
        random_state=seed % 2**32,
    )
    with warnings.catch_warnings():
        # How long it is trained is the user's choice, whether it converged or not.
        warnings.simplefilter("ignore")
        network.fit(
            2 * np.frombuffer(known).reshape(-1, width) - 1, _standard(np.frombuffer(values))
        )
    return tuple(zip(network.coefs_[:-1], network.intercepts_[:-1], strict=True))


def _standard(values: Matrix) -> Matrix:
    standard: Matrix = (values - values.mean()) / (values.std() or 1.0)
    return standard


def _regress(
    networks: Sequence[Network], known: Matrix, values: Matrix, running: Matrix, sample: Matrix
) -> tuple[Matrix, Matrix]:
    """Return mean and standard deviation for each row of `sample`."""
    import numpy as np
    from sklearn.linear_model import BayesianRidge

    def features(units: Matrix) -> Matrix:
        hidden = []
        for network in networks:
            signal: Matrix = 2 * units - 1
            for weights, biases in network:
                signal = np.tanh(signal @ weights + biases)
            hidden.append(signal)
        return np.hstack(hidden)

    model = BayesianRidge().fit(features(known), values)
    if len(running):
        expected = model.predict(features(running))
        model = BayesianRidge().fit(
            features(np.vstack([known, running])), np.concatenate([values, expected])
        )
    mean, sigma = model.predict(features(sample), return_std=True)
    return mean, np.maximum(sigma, 1e-9)
