"""The installed NNI 3.0 as an oracle: its assessor classes."""

from __future__ import annotations

import logging
import warnings
from types import SimpleNamespace

import pytest


@pytest.fixture(scope="session")
def nni_assessors() -> SimpleNamespace:
    """Return NNI's own classes the module of its curve models, and their parameters before any fit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import nni.assessor
        from nni.algorithms.hpo.curvefitting_assessor import CurvefittingAssessor, curvefunctions, model_factory
        from nni.algorithms.hpo.medianstop_assessor import MedianstopAssessor
    for name in ("nni", "medianstop_Assessor", "curvefitting_Assessor"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    return SimpleNamespace(
        Medianstop=MedianstopAssessor,
        Curvefitting=CurvefittingAssessor,
        factory=model_factory,
        start={name: list(values) for name, values in curvefunctions.model_para.items()},
        bad=nni.assessor.AssessResult.Bad,
    )
