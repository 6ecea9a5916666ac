"""What is said where an optional library is missing."""

import subprocess
import sys

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


def test_the_core_runs_without_what_optuna_needs_for_its_databases(project):
    project.write(tuner={"name": "TPE", "classArgs": {"tpe_args": {"n_startup_jobs": 1}}}, maxTrialNumber=3)
    hidden = "; ".join(f"sys.modules[{name!r}] = None" for name in ("sqlalchemy", "alembic", "mako"))
    script = f"import sys; {hidden}; sys.argv = ['amlc', 'run', 'experiment.yml']; import amlc.__main__"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=project.root, env=project.environ, capture_output=True, text=True, check=False
    )
    assert "3 of 3 trials done" in done.stderr, done.stderr
    assert done.stdout.count(",succeeded,") == 3
