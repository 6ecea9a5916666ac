"""Write the build folder of an experiment, or find out what would change in it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TypeAlias

from amlc import bindings, depend, files
from amlc.combinations import combinations_of
from amlc.cost import price
from amlc.experience import Past
from amlc.folders import Folders
from amlc.manifest import (
    FILE_NAME,
    Entry,
    Header,
    Manifest,
    add_entries,
    entry_line,
    head_lines,
    tail_lines,
)
from amlc.model import Algorithm, Experiment, Rows
from amlc.names import job_name, slug
from amlc.parallel import in_chunks
from amlc.plan import Job, adaptive, node_count, plan
from amlc.render.engine import renderer
from amlc.render.snapshot import (
    Snapshot,
    SnapshotFile,
    counted,
    digest,
    local_inputs,
    snapshot,
)
from amlc.revision import FILE_NAME as REVISION_FILE
from amlc.revision import Contents, contents_text, file_mark

_NO_PAST = Past()
_MOST_NAMED = 3

OnChange: TypeAlias = "Callable[[Path, bytes | None, bytes | None], None]"
"""Called with a path, its old content (None: new) and its new content (None: removed)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What a compile did, or with `preview` would do.

    revision: 64 hex digits. changes: how many files changed. is_open: whether the tuner is asked
    for more as it runs. made: how many trials the file makes at the most, where those on record
    count for none of them; None: they do, or there is no end.
    """

    experiment: str
    folder: Path
    revision: str
    trials: int
    jobs: int
    changes: int
    preview: bool = False
    is_open: bool = False
    made: int | None = None


def write(
    experiment: Experiment,
    folders: Folders,
    past: Past = _NO_PAST,
    *,
    backend: str,
    room: int | None = None,
    preview: OnChange | None = None,
) -> Build:
    """Make `build/<experiment>/` hold exactly what `experiment` says.

    With `preview`, only tell that what would change. past, room: as for `plan`. The manifest is
    written last and holds the digest of every job file, so that a build that was cut short is never
    taken for a whole one.
    """
    folder = folders.build / slug(experiment.name)
    limited = experiment.target.job.uploads
    without = [folders.state, folders.build, *local_inputs(experiment)]
    code = snapshot(experiment.code, leave_out=without, limited=limited)
    _tell_of_secrets(experiment, code)
    revision, contents = revision_of(experiment, code.files)
    tree = _Tree(folder, preview)
    with tempfile.TemporaryFile() as manifest:
        manifest.write(head_lines(_header(experiment, backend, revision, folder)).encode())
        tree.keep_only("code", {f"code/{file.name}" for file in code.files})
        for file in code.files:
            tree.copy(f"code/{file.name}", file)
        tree.put(REVISION_FILE, contents_text(contents).encode())
        jobs = planned(experiment, past, room=room)
        names, trials = _put_jobs(
            tree, manifest, in_chunks(_maker(experiment, revision, folder), jobs)
        )
        manifest.write(tail_lines(jobs=len(names), trials=trials).encode())
        tree.keep_only("jobs", names)
        for sweep in sorted({path.name for path in folder.glob("sweep*.yml")} - names):
            tree.remove(sweep)
        if preview is None:
            # What a tuner that learns proposes depends on the results too.
            depends = [folders.ledger(experiment.name)] if adaptive(experiment) else []
            text = depend.rules(experiment, tree.folder / FILE_NAME, backend, code, depends)
            files.write_if_changed(folder / "depend.mk", text.encode(errors="surrogateescape"))
        tree.finish(FILE_NAME, manifest)
    is_asked = adaptive(experiment) and experiment.sampling is None
    return Build(
        experiment=experiment.name,
        folder=folder,
        revision=revision,
        trials=trials,
        jobs=len(names),
        changes=tree.changes,
        preview=preview is not None,
        is_open=is_asked and (experiment.max_trials is None or trials < experiment.max_trials),
        made=None if adaptive(experiment) else experiment.max_trials,
    )


def planned(experiment: Experiment, past: Past, *, room: int | None = None) -> Iterator[Job]:
    """Yield the jobs that the experiment and its past determine; `room` as for `plan`."""
    is_drawn = experiment.sampling is not None
    groups = past.grouped(sweep=experiment.sweep, drawn=not is_drawn)
    drawings = past.drawings if is_drawn else ()
    return plan(experiment, groups, past.records, room=room, drawings=drawings)


def _put_jobs(
    tree: _Tree,
    manifest: IO[bytes],
    chunks: Iterable[tuple[Sequence[Job], Sequence[tuple[bytes, bytes]]]],
) -> tuple[set[str], int]:
    """Put the jobs' files into the tree and their lines into the manifest.

    Return the names, and how many trials.
    """
    names: set[str] = set()
    trials = 0
    for jobs, made in chunks:
        for job, (content, line) in zip(jobs, made, strict=True):
            manifest.write(b"," + line if names else line)
            tree.put(job.file, content)
            names.add(job.file)
            trials += len(job.trials)
    return names, trials


def revision_of(experiment: Experiment, code: Sequence[SnapshotFile]) -> tuple[str, Contents]:
    """Return the revision (64 hex digits) of an experiment with this code, and its contents."""
    environment = experiment.environment or experiment.target.job.image
    files_ = counted(code, without=experiment.inputs)
    identity: dict[str, object] = {
        "code": digest(files_),
        "command": experiment.command,
        "environment": environment,
    }
    inputs = bindings.data(experiment.job)
    if inputs:  # without any it is what it was before they counted
        identity["inputs"] = inputs
    revision = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    marks = {file.name: file_mark(content, executable=file.executable) for file, content in files_}
    contents = Contents(
        command=experiment.command, environment=environment, files=marks, inputs=inputs
    )
    return revision, contents


def _search(experiment: Experiment) -> str | None:
    """Return 16 hex digits of what decides about a learning tuner's proposals; None for others."""
    if not adaptive(experiment):
        return None
    tuner = experiment.tuner
    what = (
        # A space in no format of NNI's says nothing in `space`.
        experiment.space or tuner.search_space or (),
        tuner.name,
        tuner.class_name,
        dict(tuner.class_args),
        experiment.constraints,
    )
    ours: tuple[object, ...] = (
        experiment.initial,
        experiment.failed_value,
        experiment.include_intermediate_results,
    )
    if ours == ((), "worst", False):
        ours = ()  # with the defaults it is as it was before there were these
    text = repr((*what, experiment.seed, experiment.replicates, *ours))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _tell_of_secrets(experiment: Experiment, code: Snapshot) -> None:
    """Warn of what the jobs will not have; a trial that runs where the code lies has it."""
    if not code.secrets or experiment.working_directory == "trialCodeDirectory":
        return
    names = ", ".join(code.secrets[:_MOST_NAMED])
    more = len(code.secrets) - _MOST_NAMED
    named = f"{names} and {more} more" if more > 0 else names
    text = f"{experiment.code}: left out of the snapshot, since they look like secrets: {named}. "
    text += "If a trial needs one, say so in .amlignore: !NAME."
    warnings.warn(text, RuntimeWarning, stacklevel=2)


def header_now(experiment: Experiment, folders: Folders, *, backend: str) -> Header:
    """Return the header that a manifest would have if the experiment were compiled now."""
    limited = experiment.target.job.uploads
    without = [folders.state, folders.build, *local_inputs(experiment)]
    code = snapshot(experiment.code, leave_out=without, limited=limited)
    revision, _ = revision_of(experiment, code.files)
    return _header(experiment, backend, revision, folders.build / slug(experiment.name))


def _header(experiment: Experiment, backend: str, revision: str, folder: Path) -> Header:
    is_counted = experiment.constraints or any(isinstance(one, Rows) for one in experiment.space)
    found = combinations_of(experiment) if is_counted else None
    is_paid = backend == experiment.target.platform  # and no other's machines
    return Header(
        experiment=experiment.name,
        backend=backend,
        revision=revision,
        concurrency=experiment.concurrency,
        retries=experiment.retries,
        max_seconds=experiment.max_seconds,
        optimize_mode=experiment.optimize_mode,
        gpus_per_trial=experiment.gpus_per_trial,
        trials_per_gpu=experiment.trials_per_gpu,
        target={experiment.target.platform: experiment.target.head},
        replicates=experiment.replicates,
        max_trials=experiment.max_trials,
        search=_search(experiment),
        source=os.path.relpath(experiment.source, folder.resolve()),
        code=None
        if experiment.working_directory == "copy"
        else os.path.relpath(experiment.code, folder.resolve()),
        price=price(experiment) if is_paid else None,
        trial_seconds=experiment.trial_seconds,
        nodes=nodes if is_paid and (nodes := node_count(experiment)) > 1 else None,
        budget_trials=experiment.budget.trials,
        budget_node_hours=experiment.budget.node_hours,
        combinations=found.total if found else None,
        excluded=found.excluded if found else None,
        given=experiment.given,
        trials_per_job=experiment.trials_per_job if experiment.trials_per_job > 1 else None,
        abreast=experiment.abreast,
        job_start=experiment.job_start,
        sweep=_form(experiment),
        namespace=experiment.namespace if experiment.sampling else None,
        # That of a sweep is the service's business.
        assessor=None if experiment.sweep else _assessor(experiment, folder),
    )


def _form(experiment: Experiment) -> str | None:
    """Return how a sweep's trials get their parameters, as the header says it."""
    if not experiment.sweep:
        return None
    return "index" if experiment.sampling is None else "latent"


def _assessor(experiment: Experiment, folder: Path) -> Algorithm | None:
    assessor = experiment.assessor
    if assessor is None or assessor.code_directory is None:
        return assessor
    return replace(
        assessor, code_directory=Path(os.path.relpath(assessor.code_directory, folder.resolve()))
    )


def _entry(experiment: Experiment, job: Job, content: bytes, revision: str) -> Entry:
    name = job_name(experiment.name, job.id, revision)
    digest_ = hashlib.sha256(content).hexdigest()
    return Entry(job.id, name, job.file, digest_, job.trials, job.sweep, draws=job.draws)


def extender(experiment: Experiment, manifest: Manifest) -> Callable[[Iterable[Job]], list[Entry]]:
    """Return what adds jobs to the build folder of `manifest`.

    Their files first, then the manifest that has them.
    """
    render = renderer(experiment, revision=manifest.header.revision, folder=manifest.folder)
    tree = _Tree(manifest.folder, None)

    def extend(jobs: Iterable[Job]) -> list[Entry]:
        nonlocal manifest
        entries = []
        for job in jobs:
            content = render(job)
            entry = _entry(experiment, job, content, manifest.header.revision)
            tree.put(entry.file, content)
            entries.append(entry)
        manifest = add_entries(manifest, entries) if entries else manifest
        return entries

    return extend


def _maker(
    experiment: Experiment, revision: str, folder: Path
) -> Callable[[Sequence[Job]], list[tuple[bytes, bytes]]]:
    """Return what makes the content of each job's file, and its line of the manifest."""
    render = renderer(experiment, revision=revision, folder=folder)

    def made(job: Job) -> tuple[bytes, bytes]:
        records = job.records()
        content = render(job, records)
        entry = _entry(experiment, job, content, revision)
        return content, entry_line(entry, first=True, records=records).encode()

    return lambda jobs: [made(job) for job in jobs]


class _Tree:
    """The files of one build folder.

    What is put into it, what changed, and what no longer belongs there.
    """

    def __init__(self, folder: Path, preview: OnChange | None) -> None:
        self.folder = folder
        self.preview = preview
        self.changes = 0
        self._present: dict[str, frozenset[str]] = {}

    def put(self, name: str, content: bytes) -> None:
        """Make the file hold `content`.

        A new one may be left in part by a crash: the manifest has its digest.
        """
        folder, _, own_name = name.rpartition("/")
        if own_name not in self._names(folder):
            old = None
            if self.preview is None:
                files.create(f"{self.folder}/{name}", content)
        else:
            path = self.folder / name
            old = files.read_or_none(path)
            if old == content:
                return
            if self.preview is None:
                files.replace(path, content)
        self._changed(name, old, content)

    def copy(self, name: str, file: SnapshotFile) -> None:
        path = self.folder / name
        mode = 0o755 if file.executable else 0o644
        if self.preview is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            if files.copy_if_changed(file.source, path, mode=mode):
                self.changes += 1
            return
        old, new = files.read_or_none(path), file.source.read_bytes()
        if old != new or files.is_program(path) != file.executable:
            self._changed(name, old, new)

    def keep_only(self, top: str, wanted: AbstractSet[str]) -> None:
        """Remove every file below the folder `top` whose name is not `wanted`."""
        walk = os.walk(self.folder / top, topdown=False, onerror=_unless_gone)
        for root, folders, names in walk:
            prefix = Path(root).relative_to(self.folder).as_posix()
            links = {name for name in folders if os.path.islink(os.path.join(root, name))}
            for name in (*names, *links):
                if name in links or f"{prefix}/{name}" not in wanted:
                    self.remove(f"{prefix}/{name}")
            if self.preview is None and not os.listdir(root):
                os.rmdir(root)

    def finish(self, name: str, stream: IO[bytes]) -> None:
        """Put the last file, whose presence says that all others are whole.

        Its time is new for make.
        """
        for left in self.folder.glob(".*.tmp"):  # by a compile that was killed
            self.remove(left.name)
        path = self.folder / name
        stream.seek(0)
        if not _same(path, stream):
            stream.seek(0)
            if self.changes or self.preview is None:  # it repeats what changed elsewhere
                self.changes += 1
            else:
                self._changed(name, files.read_or_none(path), stream.read())
        if self.preview is None:
            stream.seek(0)
            with files.replacing(path) as temporary, temporary.open("wb") as target:
                shutil.copyfileobj(stream, target)

    def _names(self, folder: str) -> frozenset[str]:
        """Return the names that `folder` had before the first `put` into it, which makes it."""
        if folder not in self._present:
            path = self.folder / folder
            if self.preview is None:
                path.mkdir(parents=True, exist_ok=True)
            self._present[folder] = frozenset(os.listdir(path) if path.is_dir() else ())
        return self._present[folder]

    def remove(self, name: str) -> None:
        """Remove a file."""
        path = self.folder / name
        old = files.read_or_none(path)
        if self.preview is None:
            path.unlink()
        self._changed(name, old, None)

    def _changed(self, name: str, old: bytes | None, new: bytes | None) -> None:
        self.changes += 1
        if self.preview is not None:
            self.preview(self.folder / name, old, new)


def _unless_gone(err: OSError) -> None:
    """Stop where a folder cannot be listed: what is stale in it would stay."""
    if not isinstance(err, (FileNotFoundError, NotADirectoryError)):
        raise err


def _same(path: Path, stream: IO[bytes]) -> bool:
    try:
        with path.open("rb") as old:
            while chunk := stream.read(1 << 16):
                if old.read(len(chunk)) != chunk:
                    return False
            return not old.read(1)
    except FileNotFoundError:
        return False
