"""Find the GPUs that there are, and share them among the trials."""

import re

from .slots import Slot
from .streams import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from .job import Job

NVIDIA_SMI_TIMEOUT_S = 30


class Gpus:
    """The slots of a job whose trials need `per_trial` GPUs each.

    room: for how many trials each GPU has room.
    """

    def __init__(self, room: "Mapping[str, int]", per_trial: int) -> None:
        self._room = room
        self._load = dict.fromkeys(room, 0)
        self._per_trial = per_trial

    def take(self) -> "Slot | None":
        """Return a Slot with the least loaded GPUs, or None as long as there are not enough."""
        free = [name for name, room in self._room.items() if self._load[name] < room]
        chosen = sorted(free, key=self._load.__getitem__)[: self._per_trial]
        if len(chosen) < self._per_trial:
            return None
        for name in chosen:
            self._load[name] += 1
        return Slot(",".join(chosen), chosen)

    def give_back(self, slot: Slot) -> None:
        """Take back the GPUs of a trial that ended."""
        for name in slot.gpus:
            self._load[name] -= 1


def share_gpus(job: "Job", wanted: int, visible: "str | None") -> "Gpus | None":
    """Return the GPUs for trials that want so many each, at least one.

    If there is no GPU, that is said, and None returned.
    visible: the value of CUDA_VISIBLE_DEVICES. Raises LookupError if no trial can ever have its
    GPUs.
    """
    room = job.gpu_shares
    if room is None:
        room = dict.fromkeys(visible_gpus(visible), job.trials_per_gpu)
        if not room:
            say(
                f"no GPU found ({wanted} per trial wanted): "
                "trials run one at a time, CUDA_VISIBLE_DEVICES stays"
            )
            return None
    if len(room) < wanted:
        offered = "this machine offers" if job.gpu_shares is None else "AMLC_GPU_SHARES offers"
        gpus = "GPU" if wanted == 1 else "GPUs"
        raise LookupError(f"a trial needs {wanted} {gpus}, {offered} {len(room)}")
    return Gpus(room, wanted)


def visible_gpus(visible: "str | None") -> "list[str]":
    """Return the GPUs that a value of CUDA_VISIBLE_DEVICES names; without one, the machine's."""
    if visible is None:
        return _list_gpus()
    names: list[str] = []
    for name in (part.strip() for part in visible.split(",")):
        if name in ("", "-1", "none", "void", "NoDevFiles"):
            break  # CUDA too stops at the first entry that is not a device
        if name not in names:
            names.append(name)
    return names


def _list_gpus() -> "list[str]":
    """Return the indices that `nvidia-smi -L` lists; none if it is missing or fails."""
    import subprocess

    try:
        done = subprocess.run(
            ["nvidia-smi", "-L"],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=NVIDIA_SMI_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [name.decode() for name in re.findall(rb"(?m)^GPU (\d+):", done.stdout)]
