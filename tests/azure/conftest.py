"""Emulators for tests; on a machine without Azurite or the client libraries these tests skip."""

import importlib.util
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that `tests.azure` is found however pytest is started

_NEEDED = ("trustme", "azure.ai.ml", "azure.identity", "mlflow")


def missing():
    """Return what this machine lacks, or None."""
    for name in _NEEDED:
        try:
            if importlib.util.find_spec(name) is None:
                return f"{name} is not installed"
        except ImportError:
            return f"{name} is not installed"
    from tests.azure.storage import MissingAzurite, find_azurite

    try:
        find_azurite()
    except MissingAzurite as error:
        return str(error)
    return None


@pytest.fixture(scope="session")
def _can_emulate():
    if reason := missing():
        pytest.skip(reason)


@pytest.fixture(scope="module")
def make_azure(_can_emulate, tmp_path_factory):
    """Start emulators; each ends with the module, and none may have made a mistake of its own."""
    from tests.azure.emulator import Emulator

    made = []

    def make(**knobs):
        made.append(Emulator(tmp_path_factory.mktemp("azure"), **knobs).__enter__())
        return made[-1]

    yield make
    for emulator in made:
        emulator.__exit__()
    assert [crash for emulator in made for crash in emulator.crashes] == []


@pytest.fixture
def azure(make_azure):
    """A fresh emulator that runs jobs as processes."""
    return make_azure()


@pytest.fixture
def make_project(tmp_path):
    """Make projects on an emulator's workspace."""
    from tests.azure.client_process import AzureProject

    return lambda azure, name="project", **options: AzureProject(tmp_path / name, azure, **options)
