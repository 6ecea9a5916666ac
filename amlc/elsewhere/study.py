"""The trials of an Optuna study, from its SQLite storage."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amlc.elsewhere import Ended, read_only
from amlc.errors import UsageError
from amlc.model import Status

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


def read_study(path: Path, name: str) -> Iterator[Ended]:
    """Yield the trials of the only study there, or of the one called `name`, by number.

    A result of several objectives is a mapping. Raises UsageError when there are other studies, or
    when they are of a version that this Optuna does not read.
    """
    for trial in _trials(path, name):
        yield _ended(path, trial)


def _trials(path: Path, name: str) -> Sequence[FrozenTrial]:
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "study.db")  # Optuna would write into what it opens
        try:
            with closing(read_only(path)) as source, closing(sqlite3.connect(copy)) as target:
                source.backup(target)
            storage = optuna.storages.RDBStorage(f"sqlite:///{copy}")
            try:
                names = optuna.get_all_study_names(storage)
                study = optuna.load_study(study_name=_one(path, names, name), storage=storage)
                return study.get_trials()
            finally:
                storage.remove_session()
                storage.engine.dispose()
        except (
            RuntimeError,
            SQLAlchemyError,
            sqlite3.Error,
            ValueError,
            LookupError,
            TypeError,
        ) as err:
            reason = str(err).partition("\n")[0]
            raise UsageError(
                f"{path}: no study that this version of Optuna reads ({reason}). For one of an "
                "older version: optuna storage upgrade."
            ) from err


def _one(path: Path, names: Sequence[str], name: str) -> str:
    if len(names) == 1:
        return names[0]
    if name in names:
        return name
    found = ", ".join(names) or "none"
    raise UsageError(
        f"{path}: expected one study, or one with the experiment's name ({name}). There: {found}. "
        "Take one of them out: optuna.copy_study."
    )


def _ended(path: Path, trial: FrozenTrial) -> Ended:
    status = _status(trial)
    # Of a pruned trial Optuna takes the last intermediate value for its result.
    values = trial.values or () if status is Status.SUCCEEDED else ()
    final: tuple[Any, ...] = tuple(values)
    if len(values) > 1:
        final = ({str(number): value for number, value in enumerate(values)},)
    started, ended = trial.datetime_start, trial.datetime_complete
    return Ended(
        where=f"{path}: trial {trial.number}",
        parameters=trial.params,
        status=status,
        final=final,
        history=tuple(value for _, value in sorted(trial.intermediate_values.items())),
        started=started.timestamp() if started else None,
        ended=ended.timestamp() if ended else None,
    )


def _status(trial: FrozenTrial) -> Status:
    return {
        "COMPLETE": Status.SUCCEEDED,
        "PRUNED": Status.EARLY_STOPPED,
        "FAIL": Status.FAILED,
        "RUNNING": Status.RUNNING,
    }.get(trial.state.name, Status.WAITING)
