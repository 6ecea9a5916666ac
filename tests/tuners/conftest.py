"""The installed NNI 3.0 as an oracle: what its tuners deliver, trial by trial."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from amlc.model import Document, Space
from amlc.space.parse import parse_space


@pytest.fixture(scope="session")
def nni_trials() -> Callable[..., Iterator[Any]]:
    """Return a function that yields what a tuner of NNI delivers, until NNI says that there is no more."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import nni
        from nni.algorithms.hpo.batch_tuner import BatchTuner
        from nni.algorithms.hpo.gridsearch_tuner import GridSearchTuner
        from nni.algorithms.hpo.random_tuner import RandomTuner
        from nni.common.hpo_utils.formatting import ParameterSpec
    logging.getLogger("nni").setLevel(logging.CRITICAL)
    logging.getLogger("batch_tuner_AutoML").setLevel(logging.CRITICAL)
    # NNI itself ends with a KeyError for a choice inside a branch that was not chosen.
    ParameterSpec.is_activated_in = lambda self, point: not self.is_nested() or point.get(self.key[:-2]) == self.key[-2]
    tuners = {"Random": RandomTuner, "GridSearch": GridSearchTuner, "Batch": BatchTuner}

    def trials(name: str, space: Mapping[str, Any], **arguments: Any) -> Iterator[Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tuner = tuners[name](**arguments)
            tuner.update_search_space(space)
            number = 0
            while True:
                try:
                    parameters = tuner.generate_parameters(number)
                except nni.NoMoreTrialError:
                    return
                yield parameters
                number += 1

    return trials


@pytest.fixture(scope="session")
def parsed() -> Callable[..., Space]:
    """Return a function that parses a search space written as NNI's mapping."""

    def parse(space: Mapping[str, Any], tuner: str = "Random") -> Space:
        dimensions, _ = parse_space(Document(Path("space.json"), space, {}, {}), (), tuner=tuner)
        return dimensions

    return parse
