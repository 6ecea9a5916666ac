"""Where an experiment's files are.

Its build folder, its state folder, and how a command's argument names it.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from amlc import files
from amlc.errors import UsageError
from amlc.names import MANIFEST, slug

if TYPE_CHECKING:  # to read one is more than to say where it is
    from amlc.manifest import Manifest

PATIENCE_S = 2.0  # how long to wait for a lock: a command that only looks holds it for a moment


@dataclass(frozen=True, slots=True)
class Folders:
    """The two folders that hold everything, one folder for each experiment in both."""

    build: Path = Path("build")
    state: Path = Path(".amlc")

    def ledger(self, experiment: str) -> Path:
        """Return the ledger's path."""
        return self.state / slug(experiment) / "ledger.db"

    def lock(self, experiment: str) -> Path:
        """Return the lock that one submit holds."""
        return self.state / slug(experiment) / "lock"

    def build_lock(self, experiment: str) -> Path:
        """Return the lock that one compile holds.

        It says who holds it, so that it lies beside the build folder, which is the same everywhere.
        """
        return self.build / f".{slug(experiment)}.lock"

    def runs(self, experiment: str) -> Path:
        """Return where the local back end keeps its run folders."""
        return self.state / slug(experiment) / "runs"

    def kept_code(self, experiment: str) -> Path:
        """Return where the trial code of each revision that was run is kept."""
        return self.state / slug(experiment) / "code"

    def again(self, experiment: str) -> Path:
        """Return where rows of the results are run again, each in a folder of its own."""
        return self.state / slug(experiment) / "again"

    def downloads(self, experiment: str) -> Path:
        """Return where the outputs of trials go that the user gives no place for."""
        return self.state / slug(experiment) / "downloads"

    def advice(self, verb: str, experiment: str | None, *more: str) -> str:
        """Return the command that a user would type here.

        It names the experiment where several are compiled.
        """
        options = (("--build", self.build, Path("build")), ("--state", self.state, Path(".amlc")))
        words = [
            "amlc",
            *(word for name, path, usual in options if path != usual for word in (name, str(path))),
            verb,
        ]
        if experiment is not None and self._are_several():
            words += (
                ["-e", experiment] if verb in ("logs", "cancel", "retry", "open") else [experiment]
            )
        return shlex.join([*words, *more])

    def compiling(self, file: Path | None) -> str:
        """Return the command that a user would type here to compile an experiment's file."""
        name = "FILE"
        if file is not None:
            name = os.path.relpath(file) if file.is_relative_to(Path.cwd()) else str(file)
        return self.advice("compile", None, name)

    def prepare_state(self) -> None:
        """Make the state folder, which git never takes along."""
        self.state.mkdir(parents=True, exist_ok=True)
        ignore = self.state / ".gitignore"
        if not files.is_there(ignore):
            files.replace(ignore, b"*\n")
            files.remove_leftovers(ignore)

    def manifest(self, target: str | None) -> Manifest:
        """Return the compiled experiment that `target` names.

        Its file, its name, or None for the only one. Raises UsageError when there is none, or more
        than one to choose from.
        """
        if target is None:
            return _read(self._only())
        path = Path(target)
        if path.is_file():
            return _read(self.build / slug(_experiment_name(path)))
        for name in (target, slug(target)):
            if files.is_there(self.build / name / MANIFEST):
                return _read(self.build / name)
        compiled = ", ".join(folder.name for folder in self.compiled_folders()) or "none"
        raise UsageError(
            f"{target}: neither a file nor a compiled experiment. Compiled in {self.build}/: "
            f"{compiled}."
        )

    def is_compiled(self, experiment: str) -> bool:
        """Return whether there is a build of the experiment of that very name."""
        return files.is_there(self.build / slug(experiment) / MANIFEST)

    def compiled(self, experiment: str) -> Manifest:
        """Return the compiled experiment of that very name.

        Raises UsageError when there is none.
        """
        folder = self.build / slug(experiment)
        if not self.is_compiled(experiment):
            raise UsageError(
                f"{folder}/: the experiment '{experiment}' is not compiled yet. Compile it first."
            )
        return _read(folder)

    def _only(self) -> Path:
        compiled = self.compiled_folders()
        if len(compiled) == 1:
            return compiled[0]
        if not compiled:
            raise UsageError(f"{self.build}/: nothing is compiled yet. Run: amlc compile FILE.")
        names = ", ".join(folder.name for folder in compiled)
        raise UsageError(
            f"{self.build}/ holds {len(compiled)} experiments: name one of them ({names})."
        )

    def compiled_folders(self) -> list[Path]:
        """Return the folder of each compiled experiment, by name.

        One that cannot be looked into counts as one.
        """
        return files.folders_with(MANIFEST, self.build)

    def _are_several(self) -> bool:
        try:
            return len(self.compiled_folders()) > 1
        except OSError:  # what is said with a name is right in any case
            return True


def _read(folder: Path) -> Manifest:
    from amlc.manifest import read_manifest

    return read_manifest(folder)


def _experiment_name(file: Path) -> str:
    from amlc.config.load import load_document  # slow to import, and rarely needed

    data = load_document(file).data
    for key, value in data.items() if isinstance(data, dict) else ():
        if str(key).lower().replace("_", "") == "experimentname" and isinstance(value, str):
            return value
    return file.stem
