"""A config in the middle of its way: read from text, its keys canonical, nothing checked yet."""

import pytest

from amlc.config.load import load_document
from amlc.config.schema import load_schema
from amlc.config.service import read_service
from amlc.config.spelling import read_keys


@pytest.fixture
def read(tmp_path):
    """Return a function that makes the config of a text; `service`: with the keys of its training service too."""

    def make(text, *, service=True, backend=None):
        file = tmp_path / "experiment.yml"
        file.write_text(text, encoding="utf-8")
        schema = load_schema()
        config = read_keys(load_document(file), schema)
        return read_service(config, backend=backend) if service else config

    return make


@pytest.fixture
def say():
    """Return a function that gives problems as `E-code /path`."""
    return lambda problems: [f"{problem.code} {problem.path}".rstrip() for problem in problems]
