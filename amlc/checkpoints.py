"""Checkpoints, from which trials of PBT, Hyperband and BOHB go on: the folders that have them.

`<folder>/<individual or configuration>/<generation or budget>`; trials get them as parameters.
"""

from __future__ import annotations

import posixpath
from typing import Final

from amlc.model import Experiment, Parameters

LOAD: Final = "load_checkpoint_dir"
SAVE: Final = "save_checkpoint_dir"

_STATE = "/.amlc/"  # in the path of the default folder


def folder_of(experiment: Experiment) -> str | None:
    """Return the folder of all checkpoints to come; None where amlc's tuners ask for none."""
    tuner = experiment.tuner
    return None if tuner.name is None else tuner.class_args.get("all_checkpoint_dir")


def folder_then(parameters: Parameters) -> str | None:
    """Return the folder of all checkpoints when a trial was proposed; None if it has none."""
    saved = parameters.get(SAVE)
    if not isinstance(saved, str) or not isinstance(parameters.get(LOAD), str):
        return None
    return posixpath.dirname(posixpath.dirname(saved))


def moved(parameters: Parameters, folder: str) -> Parameters:
    """Return a trial's parameters with its checkpoints in another folder of all.

    One that it loads from elsewhere stays there.
    """
    then = folder_then(parameters)
    return {
        name: f"{folder}{value[len(then) :]}"
        if then and name in (LOAD, SAVE) and value.startswith(f"{then}/")
        else value
        for name, value in parameters.items()
    }


def here(parameters: Parameters, folder: str | None) -> Parameters:
    """Return a trial's parameters with its checkpoints where they lie now.

    folder: see `folder_of`. The default one stands beside the experiment's file and is moved with
    it, to another machine perhaps; one that the user named is where it was.
    """
    then = folder_then(parameters)
    if folder is None or then is None or then == folder:
        return parameters
    own = folder.rpartition(_STATE)
    return moved(parameters, folder) if own[1:] == then.rpartition(_STATE)[1:] else parameters
