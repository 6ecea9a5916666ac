"""On how many nodes the jobs run is in their files."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from amlc.collect.nodes import nodes


@pytest.fixture
def compiled(project):
    """Give the manifest with a back end, and a text as the first job's file."""
    manifest = project.write(values=range(2)).compile().manifest
    entry = next(manifest.entries())

    def made(backend, text):
        file = manifest.folder / entry.file
        file.unlink()
        if text is not None:
            file.write_text(text, encoding="utf-8")
        header = replace(manifest.header, backend=backend)
        return SimpleNamespace(header=header, folder=manifest.folder, entries=manifest.entries)

    return made


@pytest.mark.parametrize(
    ("backend", "text", "count"),
    [
        pytest.param("aml", "resources:\n  instance_count: 4\n", 4, id="said"),
        pytest.param("aml", "command: x\n", 1, id="not said"),
        pytest.param("aml", "resources:\n", 1, id="said with nothing"),
        pytest.param("aml", "resources:\n  instance_count: ${{parent.inputs.n}}\n", 1, id="no number"),
        pytest.param("aml", None, 1, id="its file is gone"),
        pytest.param("local", "resources:\n  instance_count: 4\n", 1, id="this machine is one"),
    ],
)
def test_nodes_are_those_of_the_first_job(compiled, backend, text, count):
    assert nodes(compiled(backend, text)) == count
