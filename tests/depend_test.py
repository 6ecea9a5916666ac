"""The rules for make; what make does by them is in make_test."""

import subprocess
from pathlib import Path

import pytest

from amlc.depend import cksum, rules
from amlc.render.snapshot import Snapshot
from tests.plan_test import experiment


@pytest.mark.parametrize("content", [b"", b"a", b"0.1\n", "\u00fc\u2713 '$x'".encode(), bytes(range(256)) * 3], ids=len)
def test_the_checksum_is_that_of_posix(content):
    done = subprocess.run(["cksum"], input=content, capture_output=True, check=True)
    assert done.stdout.decode().split() == cksum(content).split()


@pytest.mark.parametrize(
    ("variables", "counts"), [({}, 0), ({"LR": "hunter2"}, 1), ({"SHELL": "/bin/sh", "MAKEFLAGS": "k"}, 0)]
)
def test_of_a_variable_only_its_name_and_a_checksum_stand_there(tmp_path, variables, counts):
    one = experiment(variables=variables, source=tmp_path / "e.yml", inputs=(tmp_path / "e.yml",))
    text = rules(one, tmp_path / "manifest.json", "local", Snapshot((), ()), [Path("x")])
    assert text.count("ifneq") == text.count("endif") == counts
    assert "hunter2" not in text
    assert text.count("manifest.json: \\\n") == 1
