"""Rebuild the ledger, and a build folder that is gone, from the jobs of the workspace."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from amlc import files
from amlc.attempts import Attempt, fold
from amlc.backends import Fetched
from amlc.drawing import allotted, told_by_trial
from amlc.errors import BackendError, UsageError
from amlc.events import Event, drawn, intent, observed, submitted
from amlc.files import lock
from amlc.folders import Folders
from amlc.ledger import Ledger, open_ledger
from amlc.manifest import (
    FILE_NAME,
    Manifest,
    entry_line,
    head_lines,
    tail_lines,
    with_drawn,
)
from amlc.names import aml_name, slug
from amlc.plural import plural
from amlc.targets.aml import WORKSPACE_KEYS, Workspace, latents, workspace_of
from amlc.targets.aml.artifacts import Artifacts
from amlc.targets.aml.client import Client
from amlc.targets.aml.jobs import list_jobs
from amlc.targets.aml.observe import Observer
from amlc.targets.aml.rebuild import Found, entry, experiment_of, found, header_of, in_order
from amlc.targets.aml.views import EXPERIMENT, View

_CONFIGS = (Path("config.json"), Path(".azureml", "config.json"))
_KEYS = tuple(WORKSPACE_KEYS.values())


def restore(
    manifest: Manifest | None, name: str | None, where: Mapping[str, str | None], folders: Folders
) -> str:
    """Do what `refresh` of `amlc.targets.Rebuild` promises. where: see `_workspace`."""
    workspace = workspace_of(manifest.header) if manifest else None
    client = Client(workspace or _workspace(where))
    jobs = _jobs(client, manifest.header.experiment if manifest else name, manifest)
    experiment = manifest.header.experiment if manifest else _name(jobs)
    folders.prepare_state()
    with lock(folders.lock(experiment)), open_ledger(folders.ledger(experiment)) as ledger:
        count = _record(ledger, client, jobs)
        attempts = fold(ledger.events())
        jobs = [_with_drawn(job, attempts) for job in jobs]
        if manifest is None:
            _rebuild(folders, jobs, client.workspace)
        else:
            for job in jobs:
                if job.draws:
                    with_drawn(manifest, job.id, job.trials)
    return f"{experiment}: {plural(len(jobs), 'job')} in the workspace, {count} of them new here"


def _with_drawn(job: Found, attempts: Mapping[str, Attempt]) -> Found:
    """Return a job with the trials that the service drew for it, as they are recorded."""
    return replace(job, trials=attempts[job.view.name].trials) if job.draws else job


def _workspace(where: Mapping[str, str | None]) -> Workspace:
    """Return the workspace of the options, or of the studio's `config.json`. Raises UsageError.

    where: subscription_id, resource_group and workspace_name, or config, that file.
    """
    subscription, group, name = (where.get(key) for key in _KEYS)
    if subscription and group and name:
        return Workspace(subscription_id=subscription, resource_group=group, name=name)
    config = where.get("config")
    for file in (Path(config),) if config else _CONFIGS:
        try:
            values = json.loads(file.read_text(encoding="utf-8-sig"))
            subscription, group, name = (str(values[key]) for key in _KEYS)
            return Workspace(subscription_id=subscription, resource_group=group, name=name)
        except FileNotFoundError:
            continue
        except (ValueError, KeyError, TypeError) as err:
            raise UsageError(
                f"{file}: not the config.json of a workspace: {err}. Download it in the studio."
            ) from err
    raise UsageError(
        "nothing compiled here names a workspace, so say which: --subscription-id, "
        "--resource-group and --workspace-name, or its config.json in this folder."
    )


def _jobs(client: Client, experiment: str | None, manifest: Manifest | None) -> list[Found]:
    current = manifest.header.revision if manifest else ""
    wanted = aml_name(experiment) if experiment else None
    views = [view for view in list_jobs(client) if wanted in (None, _tag(view))]
    jobs = [job for job in (found(view, current=current) for view in views) if job is not None]
    if not jobs and manifest is None:  # one that is compiled may not have been submitted yet
        where = f"workspace '{client.workspace.name}'"
        what = f"experiment '{experiment}'" if experiment else "any experiment of amlc's"
        raise BackendError(
            f"{where} has no jobs of {what}. Check the name, and that the workspace is the right "
            "one."
        )
    return in_order(jobs)


def _tag(view: View) -> str | None:
    return view.tags.get(EXPERIMENT)


def _name(jobs: Sequence[Found]) -> str:
    names = sorted({experiment_of(job.view) for job in jobs})
    if len(names) > 1:
        raise UsageError(
            f"the workspace holds {len(names)} experiments: name one of them ({', '.join(names)})."
        )
    return names[0]


def _record(ledger: Ledger, client: Client, jobs: Sequence[Found]) -> int:
    """Append the attempts that the ledger lacks; return how many."""
    known = fold(ledger.events())
    new = [job for job in jobs if job.view.name not in known]
    observer = Observer(client, Artifacts(client), experiment="", parallel=16)
    for job, seen in zip(new, observer.tell([job.view for job in new]), strict=True):
        losses = _losses(fold(ledger.events()).values(), job) if job.number > 1 else 0
        fetched = observer.known(seen.job) or Fetched((), ())
        begun = [_intent(job, losses), submitted(seen.job, at=job.created, url=seen.url)]
        attempt = fold(begun)[seen.job]
        if seen.drawn:
            names = experiment_of(job.view), latents.namespace_of(job.view)
            made = allotted(attempt, seen.drawn, names, taken=ledger.trials())
            begun.append(drawn(seen.job, made, at=job.created))
            attempt = fold(begun)[seen.job]
        end = observed(
            told_by_trial(attempt, seen) if job.draws else seen,
            at=seen.ended or job.created,
            outcomes=attempt.own(fetched.outcomes),
        )
        ledger.append([*begun, end], attempt.own(fetched.metrics), job=seen.job)
    return len(new)


def _losses(attempts: Iterable[Attempt], job: Found) -> int:
    return sum(
        a.id == job.id and a.number < job.number and a.latest.infrastructure for a in attempts
    )


def _intent(job: Found, losses: int) -> Event:
    return intent(
        job.view.name,
        at=job.created,
        identity=job.id,
        attempt=job.number,
        trials=job.trials,
        revision=job.revision,
        backend="aml",
        losses=losses,
        sweep=job.view.is_sweep,
        draws=job.draws,
    )


def _rebuild(folders: Folders, jobs: Sequence[Found], workspace: Workspace) -> None:
    """Write the build folder: each job's last attempt as the workspace has it, manifest last."""
    header = header_of(max(jobs, key=lambda job: job.created), workspace)
    folder = folders.build / slug(header.experiment)
    (folder / "jobs").mkdir(parents=True, exist_ok=True)
    whole: dict[str, Found] = {}  # by job; a later attempt may have what was left of a pack only
    swept = {trial.id for job in jobs if job.view.is_sweep for trial in job.trials}
    for job in jobs:
        key = job.view.name if job.view.is_sweep else job.id
        if not job.view.is_sweep and any(trial.id in swept for trial in job.trials):
            continue  # it ran again by itself
        if len(job.trials) >= len(whole[key].trials if key in whole else ()):
            whole[key] = job
    entries = [entry(job) for job in sorted(whole.values(), key=lambda job: job.sequence)]
    for each, content in entries:
        (folder / each.file).parent.mkdir(parents=True, exist_ok=True)
        files.write_if_changed(folder / each.file, content)
    lines = [entry_line(each, first=number == 0) for number, (each, _) in enumerate(entries)]
    tail = tail_lines(jobs=len(entries), trials=sum(len(each.trials) for each, _ in entries))
    files.replace(folder / FILE_NAME, "".join([head_lines(header), *lines, tail]).encode())
