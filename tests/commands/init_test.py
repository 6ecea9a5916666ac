"""A first experiment is written, and nothing is replaced."""

import io

import pytest

from amlc.commands.init import init
from amlc.config import load_experiment
from amlc.errors import UsageError


def test_the_first_experiment_is_a_valid_one(tmp_path):
    err = io.StringIO()
    folder = tmp_path / "new" / "one"
    assert init(folder=folder, err=err, quiet=False) == 0
    experiment, problems = load_experiment(folder / "experiment.yml", environ={})
    assert (experiment.name, experiment.tuner.name, problems) == ("first", "TPE", ())
    compile((folder / "trial.py").read_text(), "trial.py", "exec")
    assert err.getvalue().endswith(f"Next: amlc run {folder / 'experiment.yml'}\n")


def test_quietly_it_says_nothing(tmp_path):
    err = io.StringIO()
    init(folder=tmp_path, err=err, quiet=True)
    assert err.getvalue() == ""


@pytest.mark.parametrize("name", ["experiment.yml", "trial.py"])
@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_there_stays_as_it_is(tmp_path, name, kind):
    path = tmp_path / name
    path.write_text("mine") if kind == "file" else path.symlink_to("nowhere")
    with pytest.raises(UsageError, match=f"{name} is there already, and nothing was written"):
        init(folder=tmp_path, err=io.StringIO(), quiet=True)
    assert [one.name for one in tmp_path.iterdir()] == [name]
