"""A first experiment is written, and nothing is replaced."""

import pytest

from amlc.commands.init import init
from amlc.config import load_experiment
from amlc.errors import UsageError


def test_the_first_experiment_is_a_valid_one(tmp_path):
    folder = tmp_path / "new" / "one"
    assert init(folder) == folder / "experiment.yml"
    experiment, problems = load_experiment(folder / "experiment.yml", environ={})
    assert (experiment.name, experiment.tuner.name, problems) == ("first", "TPE", ())
    compile((folder / "trial.py").read_text(), "trial.py", "exec")


@pytest.mark.parametrize(
    ("options", "said"),
    [((), "new/experiment.yml and trial.py are yours. Next: amlc run new/experiment.yml\n"), (("-q",), "")],
)
def test_what_comes_next_is_said_unless_quiet(project, options, said):
    assert project.amlc("init", "new", *options).stderr == said


@pytest.mark.parametrize("name", ["experiment.yml", "trial.py"])
@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_there_stays_as_it_is(tmp_path, name, kind):
    path = tmp_path / name
    path.write_text("mine") if kind == "file" else path.symlink_to("nowhere")
    with pytest.raises(UsageError, match=f"{name} is there already, and nothing was written"):
        init(tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == [name]
