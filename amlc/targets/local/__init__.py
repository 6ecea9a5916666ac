"""This machine.

`platform: local`, and `--backend local` for an experiment of any other platform.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from amlc.config.placeholders import open_names
from amlc.config.rules import check_indices, gpu_indices
from amlc.config.spelling import Config
from amlc.errors import Problem, Sentence
from amlc.model import JobPart

if TYPE_CHECKING:  # reading a file needs no back end
    from amlc.backends import Backend
    from amlc.folders import Folders
    from amlc.manifest import Header, Manifest

SCHEMA: Final = None
RUNS_ANY: Final = True
_SERVICE = "trainingService"
_STORAGE = "sharedStorage"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTarget:
    """`trainingService` with `platform: local`.

    `gpu_indices` None means every GPU of the machine. stands_in: whether the file names a platform
    that amlc does not have.
    """

    platform: ClassVar[str] = "local"
    gpu_indices: tuple[int, ...] | None = None
    use_active_gpu: bool = False
    stands_in: bool = False

    @property
    def job(self) -> JobPart:
        """Almost nothing: a job file of a local experiment is a valid AML one all the same."""
        return JobPart(uploads=self.stands_in)

    @property
    def head(self) -> Mapping[str, Any]:
        """Which GPUs to use."""
        indices = None if self.gpu_indices is None else list(self.gpu_indices)
        return {"gpu_indices": indices, "use_active_gpu": self.use_active_gpu}

    def common(self, here: str, /) -> str | None:
        """Return `here`: trials see this machine's own files."""
        return here


def read(
    config: Config, environ: Mapping[str, str], *, needed: bool
) -> tuple[Config, tuple[Path, ...]]:
    """Leave out what `sharedStorage`, which has no effect here, leaves open."""
    storage = config.get(_STORAGE)
    for name, value in storage.items() if isinstance(storage, Mapping) else ():
        if open_names(value, environ):
            config = config.without((_STORAGE, name))
    return config, ()


def check(config: Config, *, needed: bool) -> Iterator[Problem]:
    """Yield what is questionable about the GPUs, and what has no effect on this machine."""
    gpus, active = config.get("trialGpuNumber"), config.get(_SERVICE, "useActiveGpu")
    if gpus and active is None and not _stands_in(config):
        text = Sentence(
            "'useActiveGpu' is taken as false.",
            hint="Write it out: NNI demands it with 'trialGpuNumber'.",
        )
        yield config.note((_SERVICE,), "N-default", text)
    if config.get(_SERVICE, "gpuIndices") is not None and not gpus:
        text = Sentence(
            "'gpuIndices' has no effect without 'trialGpuNumber' above 0.",
            hint="Set it, or remove this key.",
        )
        yield config.warning((_SERVICE, "gpuIndices"), "W-no-effect", text)
    if config.get(_SERVICE, "reuseMode"):
        text = Sentence(
            "'reuseMode' has no effect: every job has an environment of its own.", hint="Remove it."
        )
        yield config.note((_SERVICE, "reuseMode"), "W-no-effect", text)
    yield from check_indices(config, (_SERVICE, "gpuIndices"))
    if isinstance(config.get(_STORAGE), Mapping):
        said = (
            "'sharedStorage' has no effect with platform local: "
            "trials see this machine's own files."
        )
        yield config.note((_STORAGE,), "W-no-effect", said)


def _stands_in(config: Config) -> bool:
    """Return whether the file names a platform that amlc does not have."""
    return any(problem.code in ("E-platform", "W-platform") for problem in config.problems)


def settings(config: Config) -> LocalTarget:
    """Return which GPUs the trials may use."""
    return LocalTarget(
        gpu_indices=gpu_indices(config.get(_SERVICE, "gpuIndices")),
        use_active_gpu=config.get(_SERVICE, "useActiveGpu") or False,
        stands_in=_stands_in(config),
    )


def open_backend(header: Header, runs: Path, *, parallel: int) -> Backend:
    """Return what runs jobs as processes, a folder below `runs` for each."""
    from amlc.targets.local.backend import LocalBackend

    return LocalBackend(runs, header, os.environ)


def at_work(header: Header, runs: Path, jobs: Collection[str]) -> Collection[str]:
    """Return which of the jobs run, as the lock of each one's folder tells."""
    seen = open_backend(header, runs, parallel=1).poll(jobs, timeout_s=0)
    return [one.job for one in seen if not one.status.ended]


def refresh(
    manifest: Manifest | None, name: str | None, where: Mapping[str, str | None], folders: Folders
) -> str:
    """Record every job of the experiment that only its run folder knows, with its results."""
    from amlc.targets.local.rebuild import rebuild

    return rebuild(manifest, name, folders)
