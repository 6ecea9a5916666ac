"""What amlc does with 100,000 jobs on 10,000 nodes, and with 50 experiments at once: in virtual time.

    python -m tests.simulate [--keep FILE] [--share PART] [CASE ...]

The page (docs/scale.md) goes to standard output: tests/simulation/scale.md with its tables filled in. Each case is a process of its own, and another is its Azure.

Real: all of `amlc compile` and `amlc submit` above the network. That is manifest, ledger (in SQLite, on this disk),
reconcile, drive, backlog, outbox, observer, the Azure target with its pace, its retries and its pool of 16 threads,
azure-core, azure-storage-blob and requests down to `HTTPAdapter.send`, and so the processor's time and the memory.
Fake: what that adapter sends to (`simulation/service`: what is published of Azure's limits, and what is assumed there);
time (`simulation/clock`: every wait and every clock of the process, so that threads take turns); the sign-in; and the
process with Azure's own client (`targets/aml/maker`), which makes the code, the environment and the first job of a shape
of each experiment: here that job is one call, and the rest none.
So the network, TLS and all that Azure does beyond its published limits are not in the figures. A call takes the
processor `CALL_S` of virtual time, one at a time for each experiment, as each `amlc submit` is a process of its own. The
threads that take turns cost some of the processor's time that is reported.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1].resolve()
EPOCH = 1_800_000_000.0
CALL_S = 0.004
"""Of the processor for each call: what docs/benchmarks.md measures for a job."""
EXPERIMENT = """\
experimentName: {name}
searchSpace:
  lr: {{_type: loguniform, _value: [1e-4, 1e-1]}}
  layers: {{_type: randint, _value: [1, 9]}}
trialCommand: python3 train.py
trialCodeDirectory: code
trialConcurrency: {abreast}
maxTrialNumber: {trials}
maxTrialDuration: 2h
tuner: {{name: Random, classArgs: {{seed: {number}}}}}
amlc: {{trialsPerJob: {pack}}}
trainingService: {{platform: aml, dockerImage: msranni/nni, subscriptionId: {subscription}, resourceGroup: group,
  workspaceName: workspace, computeTarget: cluster}}
"""


@dataclass(frozen=True, kw_only=True)
class Case:
    """Experiments of so many trials each, `pack` of them to a job, on so many nodes in all.

    subscriptions: they share them evenly, each with a workspace and its part of the nodes. principals: who submits, in
    turn. trial_s, start_s: seconds of a trial, give or take a half, and of the start of a job.
    """

    experiments: int = 1
    trials: int
    pack: int = 1
    nodes: int
    subscriptions: int = 1
    principals: int = 1
    trial_s: float = 600
    start_s: float = 180
    seed: int = 1

    @property
    def title(self) -> str:
        parts = [f"{self.experiments} × {self.trials:,} trials"]  # noqa: RUF001
        if self.pack > 1:
            parts.append(f"{self.pack} to a job")
        if self.principals > 1:
            parts.append(f"{self.principals} identities")
        if self.subscriptions > 1:
            parts.append(f"{self.subscriptions} subscriptions")
        return ", ".join(parts)


CASES = {
    "one": Case(trials=100_000, nodes=10_000),
    "fifty": Case(experiments=50, trials=2_000, nodes=10_000),
    "packed": Case(experiments=50, trials=2_000, pack=10, nodes=10_000),
    "people": Case(experiments=50, trials=2_000, nodes=10_000, principals=50),
    "subscriptions": Case(experiments=50, trials=2_000, nodes=10_000, subscriptions=5),
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a case. All seconds but cpu_s and wall_s are virtual.

    submit_s: until each trial had a job; busy: the part of the nodes' time until then in which they had one.
    ran_well, recorded, unfinished: trials that a node ran to their end, those with a result in the ledgers, those given
    up after too many lost nodes. twice: trials that nodes ran to their end more than once.
    """

    submit_s: float
    makespan_s: float
    busy: float
    calls: Mapping[str, int]
    throttled: Mapping[str, int]
    jobs: int
    preempted: int
    ran_well: int
    recorded: int
    unfinished: int
    twice: int
    cpu_s: float
    wall_s: float
    megabytes: float
    idle_megabytes: float
    ledger_bytes: int
    notes: Sequence[str]


class Owner:
    """An `amlc submit`: who it signs in as, and until when its processor is at work."""

    def __init__(self, principal: str) -> None:
        self.principal, self.until = principal, 0.0


def simulate(case: Case, folder: Path) -> Outcome:
    """Run a case in this process, which lives in virtual time from then on."""
    begun = time.perf_counter()
    compiled = [_compiled(case, number, folder) for number in range(case.experiments)]
    ours, theirs = multiprocessing.get_context("fork").Pipe()
    service = multiprocessing.get_context("fork").Process(target=_serve, args=(case, ours, theirs), daemon=True)
    service.start()
    theirs.close()

    from tests.simulation.clock import Clock, install

    clock = Clock(EPOCH)
    install(clock)
    random.seed(case.seed)
    run = _prepared(clock, lambda *call: (ours.send(call), ours.recv())[1])
    notes: list[str] = []
    warnings.showwarning = lambda message, *_, **__: notes.append(str(message))
    warnings.simplefilter("always", RuntimeWarning)
    idle, before_s = _megabytes("VmRSS"), time.process_time()
    threads = []
    for number, place in enumerate(compiled):
        clock.current.owner = Owner(f"principal-{number % case.principals}")
        threads.append(_started(run, place))
    for thread in threads:
        thread.join()
    cpu_s = time.process_time() - before_s
    ours.send(None)
    told: dict[str, Any] = ours.recv()
    done = [_recorded(place) for place in compiled]
    return Outcome(
        **told,
        recorded=sum(recorded for recorded, _, _ in done),
        unfinished=sum(unfinished for _, unfinished, _ in done),
        ledger_bytes=sum(size for _, _, size in done),
        cpu_s=cpu_s,
        wall_s=time.perf_counter() - begun,
        megabytes=_megabytes("VmHWM"),
        idle_megabytes=idle,
        notes=notes,
    )


def _serve(case: Case, ours: Any, theirs: Any) -> None:
    """Answer calls until there are no more, and then tell what there was."""
    from tests.simulation.service import Load, Service

    ours.close()
    nodes = case.nodes // case.subscriptions
    service = Service(Load(nodes=nodes, trial_s=case.trial_s, start_s=case.start_s, seed=case.seed))
    while (call := theirs.recv()) is not None:
        theirs.send(service.call(*call))
    assert service.begun is not None
    submit_s = service.created - service.begun
    theirs.send({
        "submit_s": submit_s,
        "makespan_s": service.last_end - service.begun,
        "busy": service.busy_s / (case.nodes * submit_s),
        "calls": dict(service.calls),
        "throttled": dict(service.throttled),
        "jobs": service.jobs,
        "preempted": service.preempted,
        "ran_well": len(service.runs),
        "twice": sum(count > 1 for count in service.runs.values()),
    })


def _compiled(case: Case, number: int, folder: Path) -> Path:
    place = folder / f"e{number}"
    (place / "code").mkdir(parents=True)
    (place / "code" / "train.py").write_text("print('hello')\n")
    text = EXPERIMENT.format(
        name=f"e{number}",
        number=number,
        abreast=case.nodes // case.experiments,
        trials=case.trials,
        pack=case.pack,
        subscription=f"subscription-{number % case.subscriptions}",
    )
    (place / "experiment.yml").write_text(text)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "amlc", "-q", "compile", "experiment.yml"], env=env, cwd=place, check=True)
    return place


def _started(run: Callable[[Path], None], place: Path) -> Any:
    import threading

    thread = threading.Thread(target=run, args=(place,))
    thread.start()
    return thread


def _prepared(clock: Any, ask: Callable[..., Any]) -> Callable[[Path], None]:
    """Import amlc, put the service behind it, and return what submits a compiled experiment."""
    import requests
    from azure.core.credentials import AccessToken

    from amlc.commands.options import Options
    from amlc.commands.submit import submit
    from amlc.folders import Folders
    from amlc.manifest import read_manifest
    from amlc.render.scalars import from_yaml
    from amlc.targets.aml import client as clients
    from amlc.targets.aml.signin import OneToken
    from amlc.targets.aml.views import view

    def send(adapter: Any, request: Any, **_: Any) -> requests.Response:
        owner = clock.current.owner
        owner.until = max(clock.now, owner.until) + CALL_S
        clock.sleep(owner.until - clock.now)
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        status, headers, content, latency_s = ask(clock.now, owner.principal, request.method, request.url, body)
        clock.sleep(latency_s)
        response = requests.Response()
        response.status_code, response.url, response.request = status, request.url, request
        response.headers.update({"Content-Type": "application/json", "Content-Length": str(len(content)), **headers})
        response.raw = io.BytesIO(content)
        response._content, response._content_consumed = content, True
        return response

    class Source:
        def get_token(self, *scopes: str, **_: Any) -> AccessToken:
            return AccessToken("token", int(clock.now) + 3600)

    def make(client: Any, what: str, **given: Any) -> Any:
        if what != "job":
            return "azureml:environment:1" if what == "environment" else f"azureml:{client.scope}/codes/code/versions/1"
        sent = {"properties": _properties(client.scope, from_yaml(given["content"].encode()))}
        url = f"{client.arm.base}{client.scope}/jobs/{given['name']}?api-version=2025-01-01-preview"
        response = client.arm.send("PUT", url, body=sent)
        response.raise_for_status()
        return {"url": url, "sent": sent, "page": view(response.json()).url(None)}

    requests.adapters.HTTPAdapter.send = send
    clients.sign_in = lambda *_: OneToken(Source())
    clients.Client.make = make

    def run(place: Path) -> None:
        folders = Folders(place / "build", place / ".amlc")
        (build,) = (path for path in folders.build.iterdir() if path.is_dir())
        submit(read_manifest(build), Options(), folders=folders)

    return run


def _properties(scope: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Azure's own client sends for a job file."""
    return {
        "jobType": "Command",
        "command": values["command"],
        "codeId": str(values["code"]).removeprefix("azureml:"),
        "environmentId": f"{scope}/environments/environment/versions/1",
        "computeId": f"{scope}/computes/cluster",
        "experimentName": values["experiment_name"],
        "displayName": values.get("display_name"),
        "environmentVariables": values.get("environment_variables"),
        "tags": values.get("tags"),
        "properties": values.get("properties"),
        "limits": {"jobLimitsType": "Command", "timeout": f"PT{values['limits']['timeout']}S"},
        "resources": values.get("resources"),
    }


def _recorded(place: Path) -> tuple[int, int, int]:
    """Return how many trials have a result in an experiment's ledger, and how many are unfinished, and its bytes."""
    from amlc.attempts import by_trial, fold
    from amlc.ledger import read_ledger
    from amlc.model import Status

    (path,) = place.glob(".amlc/*/ledger.db")
    with read_ledger(path) as ledger:
        last = by_trial(fold(ledger.events()).values())
        finals = ledger.finals({attempt.job for attempt in last.values()})
        statuses = Counter(attempt.status(trial) for trial, attempt in last.items())
        with_result = sum((attempt.job, trial) in finals for trial, attempt in last.items())
    assert with_result == statuses[Status.SUCCEEDED]
    return with_result, statuses[Status.UNFINISHED], path.stat().st_size


def _megabytes(what: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what))


def outcome_of(case: Case) -> Outcome:
    """Return what comes of a case, simulated in a process of its own."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.simulate", "--alone", json.dumps(dataclasses.asdict(case)), folder]
        done = subprocess.run(command, env=env, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return Outcome(**json.loads(done.stdout))


KINDS = {"create": "PUT job", "job": "GET job", "list": "GET jobs", "search": "runs/search", "run": "runs/get"}
"""The kinds of calls that have a column of their own."""
READS = ("job", "list", "workspace", "compute")
"""Those that read from Azure's management, nearly all of them."""


def table(outcomes: Mapping[Case, Outcome]) -> str:
    """Return what came of the cases, a row each."""
    heads = ("case", "jobs", "first jobs created after", "nodes at work until then", "the last job ends")
    rows = [
        (
            case.title,
            f"{outcome.jobs:,}",
            _hours(outcome.submit_s),
            f"{outcome.busy:.0%}",
            _hours(outcome.makespan_s),
            held_up_by(outcome),
        )
        for case, outcome in outcomes.items()
    ]
    return _markdown((*heads, "held up by"), rows)


def held_up_by(outcome: Outcome) -> str:
    """Return what kept jobs from being created sooner: a limit of calls, or nothing but nodes that were at work."""
    worst = max(outcome.throttled, key=outcome.throttled.__getitem__, default=None)
    if worst is None or outcome.busy > 0.95:
        return "the nodes"
    return f"429 to {KINDS[worst]}"


def calls_table(outcomes: Mapping[Case, Outcome]) -> str:
    """Return the calls of the cases by kind, and those that were throttled."""
    rows = []
    for case, outcome in outcomes.items():
        others = sum(count for kind, count in outcome.calls.items() if kind not in KINDS)
        counts = [f"{outcome.calls.get(kind, 0):,}" for kind in KINDS]
        throttled = sum(outcome.throttled.values())
        each = f"{sum(outcome.calls.values()) / outcome.jobs:.2f}"
        reads = sum(outcome.calls.get(kind, 0) for kind in READS) / outcome.makespan_s
        rows.append((case.title, *counts, f"{others:,}", f"{throttled:,}", each, f"{reads:.1f}"))
    return _markdown(("case", *KINDS.values(), "others", "of all throttled", "a job", "reads of management a second"), rows)


def own_table(outcomes: Mapping[Case, Outcome]) -> str:
    """Return what the cases cost the machine that submits."""
    rows = []
    for case, outcome in outcomes.items():
        each = (outcome.megabytes - outcome.idle_megabytes) / case.experiments
        rows.append((
            case.title,
            f"{1000 * outcome.cpu_s / outcome.jobs:.1f} ms",
            f"{outcome.idle_megabytes + each:.0f} MB",
            f"{outcome.ledger_bytes / case.experiments / 1e6:.1f} MB",
            f"{outcome.ledger_bytes / outcome.jobs:.0f}",
            f"{outcome.recorded:,} of {case.trials * case.experiments:,}",
            f"{outcome.twice}",
            f"{outcome.preempted:,}",
            f"{outcome.unfinished:,}",
        ))
    heads = ("case", "processor a job", "memory of one submit", "its ledger", "bytes a job", "trials recorded")
    return _markdown((*heads, "run twice", "jobs lost with a node", "given up"), rows)


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def page(outcomes: Mapping[Case, Outcome]) -> str:
    """Return docs/scale.md."""
    text = Path(__file__).with_name("simulation").joinpath("scale.md").read_text()
    for name, made in (("TABLE", table), ("CALLS", calls_table), ("OWN", own_table)):
        text = text.replace(f"<!-- {name} -->", made(outcomes))
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(CASES)}; all, if none is named")
    parser.add_argument("--keep", type=Path, help="where outcomes are kept: a case that is there is not run again")
    parser.add_argument("--share", type=float, default=1.0, help="of the trials of each case")
    parser.add_argument("--alone", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.alone:
        outcome = simulate(Case(**json.loads(given.alone[0])), Path(given.alone[1]))
        print(json.dumps(dataclasses.asdict(outcome)))
        return
    kept = json.loads(given.keep.read_text()) if given.keep and given.keep.exists() else {}
    outcomes = {}
    for name in given.cases or CASES:
        case = dataclasses.replace(CASES[name], trials=int(given.share * CASES[name].trials))
        key = json.dumps(dataclasses.asdict(case))
        if key not in kept:
            print(f"{case.title} ...", file=sys.stderr, flush=True)
            kept[key] = dataclasses.asdict(outcome_of(case))
            if given.keep:
                given.keep.write_text(json.dumps(kept, indent=1))
        outcomes[case] = Outcome(**kept[key])
    print(page(outcomes), end="")


if __name__ == "__main__":
    main()
