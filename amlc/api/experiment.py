"""An experiment in Python: what the command line does, as values instead of text."""

from __future__ import annotations

import html
import os
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from amlc import refusals
from amlc.api.nni import NniNames
from amlc.api.notebook import progress
from amlc.api.results import Results, Row
from amlc.api.settings import ExperimentConfig
from amlc.collect.tables import history_table
from amlc.collect.verdict import Tally
from amlc.commands.cancel import cancel
from amlc.commands.collect import fetch_history
from amlc.commands.compile import certain, compile_, difference
from amlc.commands.import_ import Imported, import_
from amlc.commands.logs import log
from amlc.commands.observe import up_to_date
from amlc.commands.options import Options
from amlc.commands.plan import Plan, plan
from amlc.commands.refresh import refresh
from amlc.commands.report import report
from amlc.commands.run import run
from amlc.commands.status import Chosen, Standing, status
from amlc.commands.steps import Run, Step, Warned
from amlc.config import experiment_of
from amlc.config.load import load_document
from amlc.config.values import document_of
from amlc.drive import Progress, Watch
from amlc.errors import ConfigError, Problem, UsageError
from amlc.folders import Folders
from amlc.manifest import Manifest, read_manifest
from amlc.model import Document, Trial
from amlc.model import Experiment as Compilable
from amlc.targets import PARALLEL

_NAME = "experiment.yml"


@dataclass(frozen=True, slots=True)
class Build:
    """What a compile did.

    jobs: the job files, in order. changes: how many files of the build folder changed.
    revision: 64 hex digits, of code, command, environment and inputs.
    """

    folder: Path
    revision: str
    trials: int
    jobs: tuple[Path, ...]
    changes: int


@dataclass(frozen=True, slots=True)
class Report:
    """A report: one page of HTML that needs no network."""

    page: bytes

    def save(self, path: str | Path) -> None:
        """Write the page into a file."""
        Path(path).write_bytes(self.page)

    def _repr_html_(self) -> str:
        """Show the page in a notebook, in a frame of its own."""
        page = html.escape(self.page.decode())
        return f'<iframe srcdoc="{page}" style="width: 100%; height: 40em; border: 0"></iframe>'


class Experiment(NniNames):
    """An experiment, in NNI's attribute style.

        experiment = amlc.Experiment("local")
        experiment.config.trial_command = "python3 train.py"
        experiment.config.search_space = {"lr": {"_type": "loguniform", "_value": [0.0001, 0.1]}}
        experiment.config.trial_concurrency = 2
        experiment.config.max_trial_number = 10
        experiment.config.tuner.name = "TPE"
        results = experiment.run()

    All that is known of what ran is in the state folder, where the command line finds it too;
    nothing is kept here but the config. Nothing prints and nothing ends the process: what is wrong
    is raised, with the problems that the command line prints. Several threads may use one
    experiment, as several processes may.
    """

    def __init__(
        self,
        config: str | Mapping[str, Any] | ExperimentConfig | None = None,
        *,
        folder: str | Path = ".",
        build: str | Path = "build",
        state: str | Path = ".amlc",
    ) -> None:
        """Make an experiment.

        config: the platform, or the keys of an experiment file, or a config. folder: relative paths
        in the config count from there. build, state: the folders of compiled experiments, and of
        ledgers and local runs.
        """
        if isinstance(config, ExperimentConfig):
            self.config = config
        elif isinstance(config, Mapping):
            self.config = ExperimentConfig(**config)
        elif config is None or isinstance(config, str):
            self.config = ExperimentConfig(config)
        else:
            raise UsageError(
                f"Experiment({config!r}): expected a platform, the keys of an experiment file or a "
                "config."
            )
        self.folders = Folders(Path(build).absolute(), Path(state).absolute())
        self._file = Path(folder).absolute() / _NAME
        self._read: tuple[Document, Mapping[str, Any]] | None = None
        self._compiled: Mapping[str, Any] | None = None  # the config of the last compile from here

    @classmethod
    def load(
        cls, file: str | Path, *, build: str | Path = "build", state: str | Path = ".amlc"
    ) -> Experiment:
        """Return the experiment of a file, right or wrong: ask it for its `problems`.

        Raises UsageError if the file cannot be read, ConfigError if its text is no YAML.
        """
        file = _path(file, "Experiment.load")
        document = load_document(file)
        found = cls(folder=file.parent, build=build, state=state)
        if isinstance(document.data, Mapping):
            found.config = ExperimentConfig.of(document.data)
        found._file = file.absolute()
        found._read = document, found.config.as_dict()
        return found

    # --- what it is ---

    @property
    def name(self) -> str:
        """Its `experimentName`, or the name of its file."""
        return self.config.experiment_name or self._file.stem

    @property
    def is_compiled(self) -> bool:
        """Whether there is a build of it."""
        return self.folders.is_compiled(self.name)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All that is wrong or odd, each with its place.

        The place is, of a file, line and column, and always the path of the key.
        """
        try:
            experiment, found = self._loaded()
        except ConfigError as error:
            return error.problems
        return (*found, *refusals.problems(experiment, leave_out=self._own_folders))

    @property
    def trials(self) -> Iterator[Trial]:
        """The trials that are certain as things stand.

        Of a tuner that learns, they are not those that results decide about.
        Made one after the other. Raises ConfigError.
        """
        experiment, _ = self._loaded()
        return certain(experiment, folders=self.folders)

    def to_yaml(self, path: str | Path | None = None) -> str:
        """Return the experiment as the text of an experiment file.

        With `path`, write it there too.
        """
        text: str = yaml.safe_dump(self.config.as_dict(), sort_keys=False, allow_unicode=True)
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    # --- what is done with it ---

    def compile(self, *, backend: str | None = None) -> Build:
        """Make the build folder hold exactly what the experiment says.

        backend: the target to compile for, None for the config's platform. Raises ConfigError with
        every problem.
        """
        experiment, _ = self._loaded(backend)
        done = compile_(experiment, backend=backend, folders=self.folders)
        self._compiled = self.config.as_dict()
        manifest = read_manifest(done.folder)
        files = tuple(done.folder / entry.file for entry in manifest.entries())
        return Build(done.folder, done.revision, done.trials, files, done.changes)

    def diff(self, *, backend: str | None = None) -> str:
        """Return what `compile` would change, as a unified diff; empty: nothing.

        It writes nothing. Raises ConfigError.
        """
        lines: list[str] = []

        def changed(path: Path, old: bytes | None, new: bytes | None) -> None:
            lines.extend(difference(path.relative_to(self.folders.build.parent), old, new))

        experiment, _ = self._loaded(backend)
        compile_(experiment, backend=backend, folders=self.folders, preview=changed)
        return "".join(lines)

    def plan(self, *, retry: str | Collection[str] = (), backend: str | None = None) -> Plan:
        """Compile, and return what `submit` would do. Raises ConfigError."""
        self.compile(backend=backend)
        options = Options(backend=backend, retry=_words(retry))
        return plan(self._manifest, options, folders=self.folders)

    def submit(
        self,
        *,
        retry: str | Collection[str] = (),
        max_failures: int | str | None = None,
        rounds: int | None = None,
        wait: bool = True,
        parallel: int = PARALLEL,
        backend: str | None = None,
        learn_from: str | Path | None = None,
        metric: str | None = None,
        watch: Watch | None = None,
    ) -> Run:
        """Compile, run to the end of the experiment what was not run yet; return what came of it.

        retry: statuses whose trials run again, such as "failed". max_failures: submit no more after
        so many, or "10%" of the trials. rounds: submit what is compiled so many times, the tuner
        asked in between; None: to the end. wait: for the end. parallel: calls to the service in
        flight. learn_from: results of earlier trials for the tuner, and metric, as for `import_`.
        watch: called with the counts as they change; in a notebook they show without it.
        Raises ConfigError before anything is submitted, LockedError if another submit is at work,
        BackendError.
        """
        experiment, _ = self._loaded(backend)
        most = None if max_failures is None else str(max_failures)
        options = Options(
            backend=backend,
            retry=_words(retry),
            max_failures=most,
            rounds=rounds,
            wait=wait,
            parallel=parallel,
        )
        source = None if learn_from is None else _path(learn_from, "learn_from=")
        self._compiled = self.config.as_dict()
        return run(
            experiment,
            options,
            folders=self.folders,
            learn_from=source,
            metric=metric,
            listener=_Listener(watch),
        )

    def import_(
        self, path: str | Path, *, metric: str | None = None, backend: str | None = None
    ) -> Imported:
        """Take over trials that ended elsewhere, and compile.

        They are trials of this experiment from then on.
        path: NNI's folder of an experiment, its export as JSON or CSV, an Optuna study in SQLite, a
        table of Weights & Biases, or a table or ledger of amlc's. metric: which column of a W&B
        table is the result.
        Raises UsageError when there is nothing to take.
        """
        path = _path(path, "import_")
        experiment, _ = self._loaded(backend)
        self._compiled = self.config.as_dict()
        return import_(experiment, path, folders=self.folders, metric=metric, backend=backend)

    def cancel(self, trials: Iterable[str | int] | None = None) -> int:
        """End these trials, by number or id; None: all that is at work.

        Returns how many jobs that concerns: of no trials, none.
        """
        if trials is not None and not (trials := list(trials)):
            return 0  # not everything, which is what a command line without names would mean
        named = None if trials is None else [str(trial) for trial in trials]
        return len(cancel(self._manifest, named, folders=self.folders).attempts)

    def refresh(self, *, backend: str | None = None, **where: str) -> str:
        """Take up all jobs that the target has of this experiment; mend a damaged ledger by them.

        Returns in one line what that was.
        where: `subscription`, `resource_group` and `workspace`, if nothing else says where that is.
        """
        return refresh(self.name, backend=backend, where=where, folders=self.folders)

    # --- what came of it ---

    def status(self) -> Standing:
        """Return how the trials stand, after a look at those that are at work."""
        return status(self._manifest, folders=self.folders, chosen=Chosen.ALL)

    def results(self) -> Results:
        """Return a row for each compiled trial, after a look at those that are at work."""
        manifest = self._manifest
        with up_to_date(manifest, self.folders) as found:
            tally = Tally(found)
            rows = list(tally.counted(found.rows()))
            return Results(rows, tally.verdict, manifest.header, self._history)

    def report(self) -> Report:
        """Return the results as a page."""
        return Report(report(self._manifest, folders=self.folders).page)

    def log(self, trial: str | int) -> str:
        """Return what a trial's last attempt printed so far. trial: its number or id."""
        pieces = log(self._manifest, str(trial), follow=False, folders=self.folders)
        return b"".join(pieces).decode(errors="replace")

    def __repr__(self) -> str:
        return f"<Experiment {self.name!r}>"

    # --- within ---

    @property
    def _own_folders(self) -> list[Path]:
        return [self.folders.state, self.folders.build]

    @property
    def _manifest(self) -> Manifest:
        """What is compiled, with a warning if the experiment says something else by now."""
        manifest = self.folders.compiled(self.name)
        changed = self._compiled is not None and self._compiled != self.config.as_dict()
        if changed or (self._read is not None and manifest.is_outdated):
            text = (
                f"{self.name}: changed since it was compiled, and this is about what is compiled."
            )
            warnings.warn(f"{text} Call compile() or submit().", RuntimeWarning, stacklevel=3)
        return manifest

    def _loaded(self, backend: str | None = None) -> tuple[Compilable, tuple[Problem, ...]]:
        return experiment_of(self._document(), backend=backend, environ=os.environ)

    def _document(self) -> Document:
        """Return the file as read, with known places, or the values, if they are others now."""
        values = self.config.as_dict()
        if self._read is not None and self._read[1] == values:
            return self._read[0]
        return document_of(values, self._file)

    def _history(self, trial: str) -> list[Row]:
        manifest = self._manifest
        fetch_history(manifest, self.folders)
        with up_to_date(manifest, self.folders) as found:
            rows = (row for row in found.rows() if row.trial.id == trial)
            with history_table(rows, found.ledger) as table:
                return [{name: row.get(name) for name in table.columns} for row in table.rows]


class _Listener:
    """Hands on what a run tells: warnings as Python's own, the counts to who watches."""

    def __init__(self, watch: Watch | None) -> None:
        self._watch = watch

    def tell(self, step: Step) -> None:
        if isinstance(step, Warned):
            warnings.warn(step.text, RuntimeWarning, stacklevel=5)

    def watching(
        self, experiment: str, *, most: int | None
    ) -> AbstractContextManager[Callable[[Progress], None]]:
        return progress(experiment, most=most, watch=self._watch)


def _path(given: Any, call: str) -> Path:
    """Return what a call was given as a path. Raises UsageError for what is none."""
    try:
        return Path(given)
    except TypeError as err:
        raise UsageError(f"{call}({given!r}): expected the path of a file or folder.") from err


def _words(given: str | Collection[str]) -> Collection[str]:
    return [given] if isinstance(given, str) else given
