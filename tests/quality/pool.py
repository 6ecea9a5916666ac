"""Measure many things on all cores; what was measured already is kept in a file, so that hours can be interrupted."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Hashable, Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T", bound=Hashable)


def measured(
    measure: Callable[[T], Any],
    tasks: Iterable[T],
    *,
    read: Callable[[dict[str, Any]], Any],
    keep: Path | None = None,
    processes: int | None = None,
) -> dict[T, Any]:
    """Return what `measure`, a function of a module, found for each task: a dataclass, or None.

    keep: a file of earlier results, which are taken, and new ones added; a line each. read: makes a dataclass of its
    values again.
    """
    name = f"{measure.__module__}.{measure.__qualname__}"
    wanted = list(dict.fromkeys(tasks))
    kept = _kept(keep)
    found = {task: kept[key] and read(kept[key]) for task in wanted if (key := f"{name} {task!r}") in kept}
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # each process has a core of its own
    left = [task for task in wanted if task not in found]
    with multiprocessing.get_context("spawn").Pool(processes or os.cpu_count()) as pool:
        for task, result in pool.imap_unordered(partial(_pair, measure), left):
            found[task] = result
            if keep is not None:
                values = None if result is None else asdict(result)
                with keep.open("a") as file:
                    file.write(json.dumps([f"{name} {task!r}", values]) + "\n")
    return {task: found[task] for task in wanted}


def _pair(measure: Callable[[T], Any], task: T) -> tuple[T, Any]:
    return task, measure(task)


def _kept(keep: Path | None) -> dict[str, dict[str, Any] | None]:
    if keep is None or not keep.exists():
        return {}
    return dict(json.loads(line) for line in keep.read_text().splitlines())
