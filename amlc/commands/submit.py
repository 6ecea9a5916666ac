"""`amlc submit`: run what is compiled and was not run yet, and go on where an earlier submit stopped."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TextIO

from amlc.assessing import Assessor
from amlc.assessors import ASSESSORS, custom
from amlc.backends import PARALLEL, Backend, open_backend
from amlc.collect import Results, Verdict, read_results, verdict
from amlc.commands.trials import chosen
from amlc.drive import Limits, More, Progress, Watch, drive
from amlc.errors import UsageError
from amlc.files import lock
from amlc.ledger import Ledger, open_ledger, read_ledger
from amlc.manifest import Manifest, read_manifest
from amlc.places import PATIENCE_S, Places
from amlc.reconcile import Policy, Reason, reconcile, retryable

RETRYABLE = ("failed", "canceled", "early_stopped", "missing", "changed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to submit. retry: statuses, see RETRYABLE. only: trials to retry and nothing else. wait: for the end."""

    backend: str | None = None
    retry: Collection[str] = ()
    only: Sequence[str] = ()
    max_failures: str | None = None
    wait: bool = True
    parallel: int = PARALLEL
    quiet: bool = False


def submit(*, target: str | None, options: Options, places: Places, err: TextIO) -> int:
    """Submit and follow to the end; return 0, or 1 if a trial of this run failed."""
    manifest = places.manifest(target)
    places.prepare_state()
    with lock(places.lock(manifest.header.experiment), patience_s=PATIENCE_S):
        return submit_locked(manifest, options=options, places=places, err=err)


def submit_locked(
    manifest: Manifest,
    *,
    options: Options,
    places: Places,
    err: TextIO,
    follow: Callable[[Manifest, Ledger], More] | None = None,
    most: int | None = None,
) -> int:
    """Do what `submit` does; the caller holds the experiment's lock.

    follow: gives what compiles the jobs that follow the compiled ones. most: how many there will be at most.
    """
    header = replace(manifest.header, backend=options.backend or manifest.header.backend)
    manifest = replace(manifest, header=header)
    with open_ledger(places.ledger(header.experiment)) as ledger:
        backend = open_backend(header, places.runs(header.experiment), parallel=options.parallel)
        results = read_results(manifest, ledger)
        with _watching(manifest, quiet=options.quiet, most=most, err=err) as watch:
            progress, stopped = drive(
                manifest,
                ledger,
                backend,
                policy=_policy(results, options),
                limits=_limits(manifest, backend, options),
                clock=time.time,
                watch=watch,
                more=follow(manifest, ledger) if follow else lambda attempts, room: (),
                assessor=_assessor(manifest),
            )
        end = verdict(read_results(read_manifest(manifest.folder), ledger))
    if not options.quiet:
        _report(progress, stopped, end, err)
    return int(progress.failed > 0)


def _assessor(manifest: Manifest) -> Assessor | None:
    algorithm = manifest.header.assessor
    if algorithm is None:
        return None
    if algorithm.name is not None:
        return Assessor(partial(ASSESSORS[algorithm.name], args=algorithm.class_args))
    folder = (manifest.folder / (algorithm.code_directory or "")).resolve()
    own = custom.assessor(replace(algorithm, code_directory=folder))
    return Assessor(partial(own, args=algorithm.class_args), shown=lambda value: value)


def plan(*, target: str | None, options: Options, places: Places, out: TextIO) -> int:
    """Print what submit would do, and do nothing."""
    manifest = places.manifest(target)
    with read_ledger(places.ledger(manifest.header.experiment)) as ledger:
        results = read_results(manifest, ledger)
    print(f"{manifest.header.experiment}: {verdict(results)}", file=out)
    for line in _revisions(results):
        print(line, file=out)
    actions = list(reconcile(manifest.entries(), results.attempts, _policy(results, options)))
    for reason in Reason:
        group = [action for action in actions if action.reason is reason]
        if group:
            print(f"{len(group)} to submit ({reason.value}):", file=out)
            for action in group[:20]:
                print(f"  {action.entry.file}  attempt {action.number}", file=out)
            if len(group) > 20:
                print(f"  … and {len(group) - 20} more", file=out)
    if not actions:
        print("nothing to submit", file=out)
    return 0


def _policy(results: Results, options: Options) -> Policy:
    with_result = {trial.id for trial, attempt, _ in results.trials() if results.result(trial, attempt)}
    statuses = (*RETRYABLE, "succeeded") if options.only else options.retry
    jobs = retryable(
        results.manifest.entries(),
        results.attempts,
        statuses,
        with_result=with_result,
        revision=results.manifest.header.revision,
    )
    only = None
    if options.only:
        trials = {trial.id for trial, _ in chosen(results, options.only)}
        only = frozenset(e.id for e in results.manifest.entries() if trials & {trial.id for trial in e.trials})
    return Policy(losses=results.manifest.header.retries, retry=jobs, only=only)


def _limits(manifest: Manifest, backend: Backend, options: Options) -> Limits:
    concurrency = manifest.header.concurrency
    if backend.slots is not None:
        concurrency = min(concurrency, backend.slots)
    return Limits(
        concurrency=concurrency,
        max_seconds=manifest.header.max_seconds,
        max_failures=_max_failures(options.max_failures, manifest.jobs),
        wait=options.wait,
    )


def _max_failures(text: str | None, jobs: int) -> int | None:
    if text is None:
        return None
    number = text.removesuffix("%")
    if not number.isdecimal() or not int(number):
        raise UsageError(f"--max-failures {text}: expected a number of jobs such as 3, or a part such as 10%.")
    return max(1, int(number) * jobs // 100) if text.endswith("%") else int(number)


def _revisions(results: Results) -> list[str]:
    """Return a line for each revision that trials were done at, when it is not the compiled one."""
    current = results.manifest.header.revision
    done = Counter(a.revision[:6] for _, a, status in results.trials() if a and status.ended and a.revision != current)
    return [
        f"{count} done at revision {old}, current {current[:6]} (--retry changed runs them again)"
        for old, count in done.items()
    ]


@contextmanager
def _watching(manifest: Manifest, *, quiet: bool, most: int | None, err: TextIO) -> Iterator[Watch]:
    """Give what shows the progress: a bar on a terminal; elsewhere, and with `quiet`, only that nothing is heard."""
    if quiet or not err.isatty():
        yield _outages(lambda text: print(text, file=err))
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = ("{task.description}", "{task.fields[running]} running, {task.fields[failed]} failed")
    name, counts = map(TextColumn, columns)
    with Bar(name, BarColumn(), MofNCompleteColumn(), counts, TimeElapsedColumn(), console=Console(file=err)) as bar:
        task = bar.add_task(manifest.header.experiment, total=None, running=0, failed=0)
        warn = _outages(lambda text: bar.console.print(text, markup=False, highlight=False, soft_wrap=True))

        done_before: int | None = None

        def show(progress: Progress) -> None:
            nonlocal done_before
            done_before = manifest.jobs - progress.total if done_before is None else done_before
            total = max(progress.total, most - done_before) if most else progress.total
            warn(progress)
            bar.update(task, total=total, completed=progress.ended, running=progress.running, failed=progress.failed)

        yield show


def _outages(say: Callable[[str], None]) -> Watch:
    """Return what says once for each outage that the back end does not answer."""
    told = False

    def watch(progress: Progress) -> None:
        nonlocal told
        if progress.outage is not None and not told:
            say(f"{progress.outage} The jobs run on meanwhile; waiting until it answers.")
        told = progress.outage is not None

    return watch


def _report(progress: Progress, stopped: str | None, end: Verdict, err: TextIO) -> None:
    if stopped is not None:
        print(f"stopped: {stopped}", file=err)
    print(f"{progress.submitted} submitted, {end}", file=err)
    if progress.failed:
        print("amlc status says which, amlc logs TRIAL why; amlc submit --retry failed runs them again", file=err)
