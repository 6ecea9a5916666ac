"""Which GPUs of this machine jobs may use, and who gets which."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Container, Mapping, Sequence


def usable_gpus(
    indices: Sequence[int] | None, *, use_active: bool, ours: Container[int] = ()
) -> tuple[int, ...] | None:
    """Return the indices of the GPUs that jobs may use.

    `indices` or all, less those in use unless `use_active`. ours: GPUs that our own jobs are at
    work on, which `nvidia-smi` shows as in use too. A machine without GPUs, or without
    `nvidia-smi`, gives None.
    """
    present = {int(row[0]): row[1] for row in _query("--query-gpu=index,uuid") if row[0].isdigit()}
    if not present:
        return None
    wanted = [index for index in present if indices is None or index in indices]
    if use_active:
        return tuple(wanted)
    busy = {row[0] for row in _query("--query-compute-apps=gpu_uuid")}
    return tuple(index for index in wanted if present[index] not in busy or index in ours)


def assign(load: Mapping[int, int], count: int) -> tuple[int, ...]:
    """Return `count` GPUs, the least loaded first, ties by index.

    load: how many trials each GPU has.
    """
    return tuple(sorted(sorted(load, key=lambda gpu: (load[gpu], gpu))[:count]))


def share(
    load: Mapping[int, int], *, width: int, per_trial: int, trials_per_gpu: int
) -> tuple[int, ...]:
    """Return the GPUs for `width` trials of `per_trial` each, as often as one takes a trial.

    They are for fewer trials where that would bring a GPU above `trials_per_gpu`, but always for
    one.
    """
    load, chosen = Counter(load), Counter[int]()
    while width > 0:
        next_ones = assign(load, per_trial)
        if chosen and any(load[gpu] >= trials_per_gpu for gpu in next_ones):
            break
        load.update(next_ones)
        chosen.update(next_ones)
        width -= 1
    return tuple(sorted(chosen.elements()))


def slots(gpus: int, *, per_trial: int, trials_per_gpu: int) -> int:
    """Return how many trials of `per_trial` GPUs fit on GPUs that take `trials_per_gpu` each."""
    return 0 if gpus < per_trial else gpus * trials_per_gpu // per_trial


def _query(question: str) -> list[list[str]]:
    command = ["nvidia-smi", question, "--format=csv,noheader"]
    try:
        text = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=30
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [
        [cell.strip() for cell in line.split(",")] for line in text.splitlines() if line.strip()
    ]
