"""The trials of an Optuna study."""

import sqlite3
from contextlib import closing

import optuna
import pytest

from amlc.elsewhere import read
from amlc.elsewhere.study import read_study
from amlc.errors import UsageError

optuna.logging.set_verbosity(optuna.logging.ERROR)


def make(path, name="study", **options):
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    study = optuna.create_study(study_name=name, storage=storage, **options)
    yield study
    storage.remove_session()
    storage.engine.dispose()


def objective(trial):
    x = trial.suggest_float("x", 0, 1)
    option = trial.suggest_categorical("option", [1, "b", None])
    for step in (2, 1):
        trial.report(x * step, step)
    if trial.number == 1:
        raise optuna.TrialPruned
    if trial.number == 2:
        raise ValueError("no")
    assert option in (1, "b", None)
    return x


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "study.db"
    for study in make(path):
        study.optimize(objective, n_trials=4, catch=ValueError)
        study.ask()
    return path


def test_trials_of_each_state(file):
    found = list(read_study(file, "any"))
    assert [one.status.value for one in found] == ["succeeded", "early_stopped", "failed", "succeeded", "running"]
    first = found[0]
    assert set(first.parameters) == {"x", "option"}
    assert first.final == (first.parameters["x"],)
    assert first.history == (first.parameters["x"], 2 * first.parameters["x"])  # by step
    assert first.ended >= first.started > 1e9
    assert found[1].final == ()  # Optuna takes the last report for one
    assert len(found[1].history) == 2


def test_the_file_is_left_as_it_is(file, space):
    before = file.read_bytes()
    assert len(list(read(file, space))) == 5
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == ["study.db"]


def test_of_several_studies_that_of_the_experiment_is_taken(file):
    for study in make(file, "mine"):
        study.enqueue_trial({"x": 0.25, "option": "b"})
        study.optimize(objective, n_trials=1)
    (one,) = read_study(file, "mine")
    assert one.parameters == {"x": 0.25, "option": "b"}
    with pytest.raises(UsageError, match=r"expected one study, or one with the experiment's name \(x\)\. There: "):
        list(read_study(file, "x"))


def test_several_objectives_are_a_mapping(tmp_path):
    for study in make(tmp_path / "study.db", directions=["minimize", "maximize"]):
        study.optimize(lambda trial: (trial.suggest_float("x", 1, 1), 2), n_trials=1)
    (one,) = read_study(tmp_path / "study.db", "study")
    assert one.final == ({"0": 1.0, "1": 2.0},)


def test_a_study_of_another_version_is_said(file):
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE version_info SET schema_version = 3")
        connection.execute("UPDATE alembic_version SET version_num = 'v0.9.0.a'")
        connection.commit()
    with pytest.raises(UsageError, match="no study that this version of Optuna reads"):
        list(read_study(file, "study"))


