"""Every kind of tuner, with every way to run an experiment, as single trials, packed and replicated: the same end.

As many rows as `maxTrialNumber`, each trial run once, and no command that says "done" before it is.
"""

from __future__ import annotations

import csv
import io
import random
import re
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COUNT = 12
SPACE = {
    "x": {"_type": "quniform", "_value": [0, 3, 1]},
    "c": {"_type": "choice", "_value": ["a", "b", "c"]},
}
# The result is (x - 1)², from what NNI's parameter file says.
TRIAL = """
x=$(sed 's/.*"x": *\\([-+.0-9e]*\\).*/\\1/' "$NNI_SYS_DIR/parameter.cfg")
final "$(awk "BEGIN { print ($x - 1) ^ 2 }")"
exit 0
"""
OWN = """
import random
from nni.tuner import Tuner

class Mine(Tuner):
    def update_search_space(self, space):
        self.space = space

    def generate_parameters(self, number, **kwargs):
        return {"x": float(random.randrange(1000)), "c": random.choice("abc")}

    def receive_trial_result(self, number, parameters, value, **kwargs):
        pass
"""
TUNERS = {
    "Random": {"name": "Random"},
    "GridSearch": {"name": "GridSearch"},
    "TPE": {"name": "TPE", "classArgs": {"tpe_args": {"n_startup_jobs": 3}}},
    "Hyperband": {"name": "Hyperband", "classArgs": {"optimize_mode": "minimize", "R": 4, "eta": 2}},
    "PBT": {"name": "PBT", "classArgs": {"optimize_mode": "minimize", "population_size": 4}},
    "own": {"className": "mine.Mine", "codeDirectory": "tuner"},
}
SHAPES = {"single": {}, "packed": {"trialsPerJob": 5}, "replicates": {"replicates": 3}}


def docs_loop() -> str:
    """Return the loop of docs/tuners.md, as it is printed there."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "tuners.md").read_text(encoding="utf-8"), re.DOTALL)
    (loop,) = [block for block in blocks if block.startswith("while ")]
    return loop.replace("FILE", "experiment.yml")


def step_by_step(project) -> None:
    project.amlc("compile", "experiment.yml")
    is_whole = len(project.trials) == COUNT
    before = project.amlc("plan").stdout.decode()
    assert is_whole or "to be proposed by the tuner" in before
    assert "nothing to submit" not in before
    project.amlc("collect", code=4)
    err = project.amlc("submit").stderr
    assert f"{COUNT} of {COUNT} trials done\n" in err
    *odd, last = project.amlc("submit").stderr.splitlines()
    assert last == f"0 submitted, {COUNT} of {COUNT} trials done"
    assert not [line for line in odd if "[" in line and "[W-pack]" not in line]


def run(project) -> None:
    assert f"{COUNT} of {COUNT} trials done\n" in project.amlc("run", "experiment.yml").stderr


def killed(project) -> None:
    count = random.Random(str(project.root)).randrange(1, COUNT)
    with project.start("run", "experiment.yml") as process:
        deadline = time.monotonic() + 60
        while process.poll() is None and len(project.starts) < count:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
    if len(project.trials) < COUNT:
        assert "not proposed yet: amlc submit goes on. " in project.amlc("collect", code=4).stderr
    assert f"{COUNT} of {COUNT} trials done\n" in project.amlc("submit").stderr


def rounds(project) -> None:
    command = Path(project.environ["PATH"].split(":")[0]) / "amlc"
    assert command.exists()
    done = subprocess.run(
        ["sh", "-c", docs_loop()], cwd=project.root, env=project.environ, capture_output=True, text=True, timeout=240,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for line in done.stderr.splitlines():
        if " trials done" in line and "not proposed yet" not in line and "pending" not in line:
            assert f"{COUNT} of {COUNT} trials done" in line


WAYS = {"compile, submit, collect": step_by_step, "run": run, "run, killed, submit": killed, "rounds in a loop": rounds}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("tuner", TUNERS)
def test_every_way_ends_with_every_trial(make_project, tuner, way, shape):
    project = make_project()
    if tuner == "own":
        (project.root / "tuner").mkdir()
        (project.root / "tuner" / "mine.py").write_text(OWN)
    abreast = 4 if way == "rounds in a loop" else 2  # each round costs three processes
    keys = {"tuner": TUNERS[tuner], "maxTrialNumber": COUNT, "trialConcurrency": abreast, "amlc": SHAPES[shape]}
    project.write(TRIAL, searchSpace=SPACE, **keys)
    if (tuner, shape) == ("PBT", "replicates"):
        assert (
            "replicates would overwrite each other's PBT checkpoints"
            in project.amlc("validate", "experiment.yml", code=1).stderr
        )
        return
    WAYS[way](project)
    out = project.amlc("collect")
    rows = list(csv.DictReader(io.StringIO(out.stdout.decode())))
    assert sorted(int(row["sequence"]) for row in rows) == list(range(COUNT))
    assert {row["status"] for row in rows} == {"succeeded"}
    assert len({row["trial"] for row in rows}) == COUNT
    assert all(float(row["metric.default"]) == (float(row["param.x"]) - 1) ** 2 for row in rows)
    if way == "run, killed, submit":  # what the kill took away was not finished, or its job was lost
        assert set(project.starts) == {row["trial"] for row in rows}
    else:
        assert Counter(project.starts) == Counter(row["trial"] for row in rows)
    if shape == "replicates":
        sets = [(row["param.x"], row["param.c"]) for row in rows]
        assert sets[0::3] == sets[1::3] == sets[2::3]
    assert project.amlc("plan").stdout.decode() == (f"probe: {COUNT} of {COUNT} trials done\nnothing to submit\n")
    *odd, last = project.amlc("submit").stderr.splitlines()
    assert last == f"0 submitted, {COUNT} of {COUNT} trials done"
    assert not [line for line in odd if "[" in line and "[W-pack]" not in line]
