"""The targets: everything that a platform means, one folder for each of them.

`amlc/targets/NAME/__init__.py` reads and checks what an experiment file says to the platform; it is
light, for every command that reads a file imports it. Behind it lies what runs the jobs, imported
when a back end is opened.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from amlc.errors import BackendError

if TYPE_CHECKING:  # the command line imports this module for the names alone
    from pathlib import Path

    from amlc.backends import Backend
    from amlc.config.spelling import Config
    from amlc.errors import Problem
    from amlc.folders import Folders
    from amlc.manifest import Header, Manifest
    from amlc.model import Settings


class Target(Protocol):
    """A platform: what its keys mean, and where its jobs run. A module of this shape is one.

    SCHEMA: what its `trainingService` may have, an object schema as in `$defs` of
    schema/experiment.schema.json; None for those that stand in that file. RUNS_ANY: whether it runs
    experiments of other platforms too, so that what they say to theirs needs no value once it was
    asked for by `--backend`.
    """

    @property
    def SCHEMA(self) -> Mapping[str, Any] | None: ...  # noqa: N802

    @property
    def RUNS_ANY(self) -> bool: ...  # noqa: N802

    def read(
        self, config: Config, environ: Mapping[str, str], *, needed: bool
    ) -> tuple[Config, tuple[Path, ...]]:
        """Return the config with the target's own keys filled in, and the files read for that.

        Every `${NAME}` that is left is filled in afterwards, or refused. needed: whether what
        cannot be filled is an error, rather than a key that is not set.
        """

    def check(self, config: Config, *, needed: bool) -> Iterator[Problem]:
        """Yield what is wrong with the target's keys beyond their schema.

        needed: whether it is to run the jobs.
        """

    def settings(self, config: Config) -> Settings:
        """Return what the experiment says to the target.

        Of a config with errors as much as there is.
        """

    def open_backend(self, header: Header, runs: Path, *, parallel: int) -> Backend:
        """Return what runs the jobs; see the function of that name below."""


@runtime_checkable
class Rebuild(Protocol):
    """A target that remembers every job, so that a ledger that was lost can be made again."""

    def refresh(
        self,
        manifest: Manifest | None,
        name: str | None,
        where: Mapping[str, str | None],
        folders: Folders,
    ) -> str:
        """Record what the target knows and the ledger does not; return in one line what that was.

        manifest: what is compiled; None: nothing is, and the build folder is made again too, where
        the target knows enough for that. name:
        the experiment's, if the user gave one. where: options of the command line that say where to
        look if nothing is compiled. Raises UsageError when they do not.
        """


@runtime_checkable
class RunFolders(Protocol):
    """A target whose jobs have folders below `.amlc/`, and may be at work unknown to the ledger."""

    def at_work(self, header: Header, runs: Path, jobs: Collection[str]) -> Collection[str]:
        """Return which of the jobs, folders of `runs`, are at work. header: of what is compiled."""


PARALLEL: Final = 16
"""How many calls to a remote back end may be in flight at once, if the user does not say."""

TARGETS: Final[Mapping[str, str]] = {"aml": "amlc.targets.aml", "local": "amlc.targets.local"}
"""The module of each target that amlc brings. Only the one that is asked for is imported."""

ENTRY_POINTS: Final = "amlc.targets"
"""The group of entry points by which other packages bring targets: the name, and a module like
those of `TARGETS`."""


def target(name: str) -> Target:
    """Return the target of that name.

    Raises BackendError when there is none, or it cannot be imported.
    """
    if not exists(name):
        raise BackendError(f"there is no back end {name!r}; there are {listed('and')}.")
    try:
        found: Target = import_module(TARGETS[name]) if name in TARGETS else _brought()[name].load()
    except (ImportError, AttributeError) as err:
        raise BackendError(f"the back end {name!r} cannot be imported: {err}.") from err
    return found


def exists(name: str) -> bool:
    """Return whether there is a target of that name."""
    return name in TARGETS or name in _brought()


def names() -> tuple[str, ...]:
    """Return the names of all targets: those that amlc brings, then the others."""
    return (*TARGETS, *(name for name in sorted(_brought()) if name not in TARGETS))


def listed(conjunction: str) -> str:
    """Return the names of all targets in words, such as `aml, local or slurm`."""
    *most, last = names()
    return f"{', '.join(most)} {conjunction} {last}"


def at_work(header: Header, runs: Path, jobs: Collection[str]) -> list[str]:
    """Return which of the jobs, folders of `runs`, are at work, whichever target runs them."""
    with_folders = (one for one in map(target, names()) if isinstance(one, RunFolders))
    return sorted(job for one in with_folders for job in one.at_work(header, runs, jobs))


def open_backend(header: Header, runs: Path, *, parallel: int = PARALLEL) -> Backend:
    """Return the back end that `header` names.

    runs: where one may keep files. parallel: how many calls a remote one may have in flight.
    Raises BackendError when there is none of that name, or what it needs is not installed.
    """
    return target(header.backend).open_backend(header, runs, parallel=parallel)


@cache
def _brought() -> Mapping[str, Any]:
    """Return the entry points of other packages by name.

    This reads the metadata of every installed package.
    """
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}
