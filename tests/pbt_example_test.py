"""The example of population based training runs for real, and its checkpoints are loaded."""

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
import yaml

EXAMPLE = Path(__file__).parents[1] / "examples" / "digits-pbt"


@pytest.fixture
def example(project):
    """The example with a population of two, three generations, in the project's folder."""
    pytest.importorskip("sklearn")
    shutil.copy(EXAMPLE / "train.py", project.root)
    experiment = yaml.safe_load((EXAMPLE / "experiment.yml").read_text())
    experiment["maxTrialNumber"] = 6
    experiment["tuner"]["classArgs"] |= {"population_size": 2, "fraction": 0.5}
    (project.root / "experiment.yml").write_text(json.dumps(experiment))
    return project


def run(example):
    """Run it and return its rows; each trial imports scikit-learn, which may take long on a busy machine."""
    with example.start("run", "experiment.yml") as process:
        try:
            out, err = process.communicate(timeout=240)
        finally:
            process.kill()
    assert process.returncode == 0, err.decode()
    return list(csv.DictReader(io.StringIO(out.decode())))


def test_every_step_starts_from_the_weights_that_an_earlier_one_saved(example) -> None:
    found = run(example)
    assert [row["status"] for row in found] == ["succeeded"] * 6
    folder = example.root / ".amlc" / "digits_pbt" / "checkpoints"
    saves = [row["param.save_checkpoint_dir"] for row in found]
    assert saves == [f"{folder}/{individual}/{epoch}" for epoch in range(3) for individual in range(2)]
    assert all((Path(save) / "weights.npz").is_file() for save in saves)
    assert [row["metric.epochs"] for row in found] == ["2", "2", "4", "4", "6", "6"]
    assert [row["metric.start"] for row in found[:2]] == ["", ""]
    accuracy = {row["param.save_checkpoint_dir"]: row["metric.default"] for row in found}
    for epoch in (1, 2):
        before, now = found[2 * epoch - 2 : 2 * epoch], found[2 * epoch : 2 * epoch + 2]
        best = max(before, key=lambda row: float(row["metric.default"]))["param.save_checkpoint_dir"]
        for row in now:  # the better one goes on, and the worse one from a copy of it
            assert row["param.load_checkpoint_dir"] == best
            assert row["metric.start"] == accuracy[best]
    assert max(float(row["metric.default"]) for row in found[4:]) > 0.5

    assert run(example) == found, "what has been run is not run again"
