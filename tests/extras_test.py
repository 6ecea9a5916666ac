"""What is said where an optional library is missing."""

import pytest

from amlc.errors import AmlcError
from amlc.extras import missing, require


def test_the_error_names_the_library_and_what_installs_it():
    error = missing(ModuleNotFoundError(name="sklearn"), algorithm="SMAC", extra="tuners")
    assert str(error) == "SMAC needs 'sklearn', which is not installed: pip install cmaes hyperopt scikit-learn scipy."


def test_a_library_is_required_before_it_is_needed():
    require("json", algorithm="X", extra="tuners")
    with pytest.raises(AmlcError, match="X needs 'no_such_library', which is not installed"):
        require("no_such_library", algorithm="X", extra="tuners")
