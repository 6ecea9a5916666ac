"""Trials as runs, in the words of the viewers that people know: one module for each of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeAlias

from amlc.errors import UsageError
from amlc.manifest import Header
from amlc.viewers.runs import Run, Sent

Send: TypeAlias = "Callable[[Iterable[Run]], Iterator[Sent]]"


def open_viewer(viewer: str, place: str, header: Header) -> Send:
    """Return what sends an experiment's runs to `viewer`, one of mlflow, wandb and tensorboard.

    place: a server's address for mlflow, else a folder. An address may hold a password: it is in no
    message, and never a folder's name. Raises UsageError.
    """
    if viewer == "mlflow":
        from amlc.viewers import mlflow
        from amlc.viewers.mlflow_server import Server

        server = Server(place, os.environ)
        return partial(mlflow.send, server=server, experiment=header.experiment)
    if "://" in place:
        raise UsageError(f"--to {viewer} takes a folder, not an address.")
    folder = Path(place)
    if viewer == "wandb":
        from amlc.viewers import wandb

        name, replicates = header.experiment, header.replicates
        return partial(wandb.send, folder=folder, experiment=name, replicates=replicates)
    from amlc.viewers import tensorboard

    return partial(tensorboard.send, folder=folder, experiment=header.experiment)
