"""`amlc refresh`: rebuild the ledger, and a build folder that is gone, from the workspace."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from amlc import files
from amlc.backends import missing_azure
from amlc.errors import BackendError, UsageError
from amlc.files import lock
from amlc.ledger import Attempt, Event, Ledger, fold, observed, open_ledger
from amlc.manifest import FILE_NAME, Manifest, entry_line, head_lines, tail_lines
from amlc.model import Workspace
from amlc.names import aml_name, slug
from amlc.places import Places

if TYPE_CHECKING:
    from amlc.backends.aml.client import Client
    from amlc.backends.aml.rebuild import Found
    from amlc.backends.aml.views import View

_CONFIGS = (Path("config.json"), Path(".azureml", "config.json"))
_KEYS = {"subscription_id": "subscription_id", "resource_group": "resource_group", "name": "workspace_name"}


def refresh(
    *,
    target: str | None,
    workspace: Mapping[str, str | None],
    config: Path | None,
    places: Places,
    err: TextIO,
    quiet: bool,
) -> int:
    """Record every job of the experiment that the workspace has and the ledger does not, with its results.

    workspace, config: where to look when nothing is compiled; see `_workspace`.
    """
    manifest = _compiled(places, target)
    space = manifest.header.workspace if manifest else None
    try:
        from amlc.backends.aml.client import Client

        client = Client(space or _workspace(workspace, config))
        jobs = _jobs(client, manifest.header.experiment if manifest else target, manifest)
        name = manifest.header.experiment if manifest else _name(jobs)
        places.prepare_state()
        with lock(places.lock(name)), open_ledger(places.ledger(name)) as ledger:
            count = _record(ledger, client, jobs)
            if manifest is None:
                _rebuild(places, jobs, client.workspace)
    except ModuleNotFoundError as error:
        raise missing_azure(error) from error
    if not quiet:
        print(f"{name}: {len(jobs)} jobs in the workspace, {count} of them new here", file=err)
    return 0


def _compiled(places: Places, target: str | None) -> Manifest | None:
    """Return the compiled experiment if there is one; a name that is not compiled may still be in the workspace."""
    if target is None and not any(places.build.glob(f"*/{FILE_NAME}")):
        return None
    try:
        return places.manifest(target)
    except UsageError:
        if target is None or Path(target).is_file():
            raise
        return None


def _workspace(given: Mapping[str, str | None], config: Path | None) -> Workspace:
    """Return the workspace of the options, or of a `config.json` as the studio hands out. Raises UsageError."""
    if all(given.values()):
        return Workspace(**{name: value for name, value in given.items() if value})
    for file in (config,) if config else _CONFIGS:
        try:
            values = json.loads(file.read_text(encoding="utf-8-sig"))
            return Workspace(**{name: str(values[key]) for name, key in _KEYS.items()})
        except FileNotFoundError:
            continue
        except (ValueError, KeyError, TypeError) as err:
            raise UsageError(f"{file}: not the config.json of a workspace: {err}. Download it in the studio.") from err
    raise UsageError(
        "nothing is compiled here, so say which workspace: --subscription-id, --resource-group and --workspace-name, "
        "or its config.json in this folder."
    )


def _jobs(client: Client, experiment: str | None, manifest: Manifest | None) -> list[Found]:
    from amlc.backends.aml.jobs import list_jobs
    from amlc.backends.aml.rebuild import found, in_order

    current = manifest.header.revision if manifest else ""
    wanted = aml_name(experiment) if experiment else None
    views = [view for view in list_jobs(client) if wanted in (None, _tag(view))]
    jobs = [job for job in (found(view, current=current) for view in views) if job is not None]
    if not jobs:
        where = f"workspace '{client.workspace.name}'"
        what = f"experiment '{experiment}'" if experiment else "any experiment of amlc's"
        raise BackendError(f"{where} has no jobs of {what}. Check the name, and that the workspace is the right one.")
    return in_order(jobs)


def _tag(view: View) -> str | None:
    from amlc.backends.aml.views import EXPERIMENT

    return view.tags.get(EXPERIMENT)


def _name(jobs: Sequence[Found]) -> str:
    from amlc.backends.aml.rebuild import experiment_of

    names = sorted({experiment_of(job.view) for job in jobs})
    if len(names) > 1:
        raise UsageError(f"the workspace holds {len(names)} experiments: name one of them ({', '.join(names)}).")
    return names[0]


def _record(ledger: Ledger, client: Client, jobs: Sequence[Found]) -> int:
    """Append the attempts that the ledger lacks; return how many."""
    from amlc.backends.aml.artifacts import Artifacts
    from amlc.backends.aml.observe import Observer

    known = fold(ledger.events())
    new = [job for job in jobs if job.view.name not in known]
    observer = Observer(client, Artifacts(client), experiment="", parallel=16)
    for job, seen in zip(new, observer.tell([job.view for job in new]), strict=True):
        losses = _losses(fold(ledger.events()).values(), job) if job.number > 1 else 0
        fetched = observer.ended[seen.job][1] if seen.job in observer.ended else None
        events = [
            _intent(job, losses),
            Event(kind="submitted", at=job.created, job=seen.job, data={"url": seen.url}),
            observed(seen, at=seen.ended or job.created, outcomes=fetched.outcomes if fetched else ()),
        ]
        ledger.append(events, fetched.metrics if fetched else (), job=seen.job)
    return len(new)


def _losses(attempts: Iterable[Attempt], job: Found) -> int:
    return sum(a.id == job.id and a.number < job.number and a.latest.infrastructure for a in attempts)


def _intent(job: Found, losses: int) -> Event:
    data = {
        "id": job.id,
        "attempt": job.number,
        "trials": [trial.as_dict() for trial in job.trials],
        "revision": job.revision,
        "backend": "aml",
        "losses": losses,
    }
    return Event(kind="intent", at=job.created, job=job.view.name, data=data)


def _rebuild(places: Places, jobs: Sequence[Found], workspace: Workspace) -> None:
    """Write the build folder: the last attempt of each job, as the workspace has it; the manifest comes last."""
    from amlc.backends.aml.rebuild import entry, header_of

    header = header_of(max(jobs, key=lambda job: job.created), workspace)
    folder = places.build / slug(header.experiment)
    (folder / "jobs").mkdir(parents=True, exist_ok=True)
    whole: dict[str, Found] = {}  # by job; a later attempt may have what was left of a pack only
    for job in jobs:
        if len(job.trials) >= len(whole[job.id].trials if job.id in whole else ()):
            whole[job.id] = job
    entries = [entry(job) for job in sorted(whole.values(), key=lambda job: job.trials[0].sequence)]
    for each, content in entries:
        (folder / each.file).parent.mkdir(parents=True, exist_ok=True)
        files.write_if_changed(folder / each.file, content)
    lines = [entry_line(each, first=number == 0) for number, (each, _) in enumerate(entries)]
    tail = tail_lines(jobs=len(entries), trials=sum(len(each.trials) for each, _ in entries))
    files.replace(folder / FILE_NAME, "".join([head_lines(header), *lines, tail]).encode())
