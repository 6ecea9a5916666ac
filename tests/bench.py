"""Measure amlc beside the machine's own floor, and beside what a user would pick instead, in one run.

Prints a Markdown page. Run it on a quiet machine: `make bench` writes docs/benchmarks.md with it.
"""

from __future__ import annotations

import json
import math
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from amlc.attempts import fold
from amlc.config import load_experiment
from amlc.events import Event, observed
from amlc.experience import Experience
from amlc.folders import Folders
from amlc.ledger import open_ledger
from amlc.manifest import Entry, Manifest, read_manifest
from amlc.model import Metric, Observation, Status
from amlc.proposals import following

AMLC = [sys.executable, "-m", "amlc", "-q"]
ROOT = Path(__file__).parents[1].resolve()
ROUNDS = 5
SPACE = """\
searchSpace:
  lr: {_type: loguniform, _value: [1e-4, 1e-1]}
  momentum: {_type: uniform, _value: [0, 1]}
  optimizer: {_type: choice, _value: [sgd, adam]}
  layers: {_type: randint, _value: [1, 9]}
  dropout: {_type: quniform, _value: [0, 0.5, 0.1]}
"""
EXPERIMENT = """\
experimentName: bench
{space}trialCommand: {command}
trialCodeDirectory: code
trialConcurrency: {concurrency}
maxTrialNumber: {count}
tuner: {tuner}
trainingService: {{platform: local}}
"""
PLAIN_LOOP = """\
import pathlib, sys, time
from azure.ai.ml import MLClient, load_job
from azure.identity import AzureCliCredential
count, *where = sys.argv[1:]
client = MLClient(AzureCliCredential(), *where)
files = sorted(pathlib.Path("build/bench/jobs").rglob("*.yml"))[: int(count)]
start = time.perf_counter()
for file in files:
    job = load_job(file)
    job.name += "-loop"
    client.jobs.create_or_update(job)
print(time.perf_counter() - start)
"""
WHERE = """\
## Where the time goes

- **Start-up.** `--version` is the interpreter and `typing`: click is not imported for it. Of `validate` a quarter is
  click, a tenth each PyYAML and, where there is an ignore file, pathspec, and a quarter the frozen dataclasses of 40
  modules, which Python before 3.13 compiles method by method. The interpreter, click, PyYAML and pathspec alone take 6
  times a bare interpreter, which leaves one time to amlc's own checks.
- **Readers.** Each trial is a line of the manifest, three events and a result, each with its checksum: a quarter of the
  time SQLite finds them, a quarter goes to JSON and checksums, half to the values that are made of them. The limit is
  Python's for five records a trial. One row for each job that ended, written with its end, was tried: readers took a
  fifth less and still missed the goal, and the ledger was three quarters larger, so that it was left out.
"""


def main() -> None:
    os.environ.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # an installed amlc is compiled once, not at every start
    print("# Benchmarks\n")
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, {_processor()}, Python {platform.python_version()}, "
        f"{platform.system()} {platform.release()}. Medians of {ROUNDS} runs unless the row says otherwise; whole"
    )
    print(
        "commands, start-up included. Floors and alternatives were measured in the same run. `make bench` repeats it.\n"
    )
    print("| what | amlc | floor or alternative | goal | |")
    print("|---|---|---|---|---|")
    for measure in (
        start_up,
        compile_10_000,
        compile_100_000,
        dispatch,
        dispatch_packed,
        dispatch_on_gpus,
        collect_10_000,
        readers,
        curves_10_000,
        azure_1_000,
        learn_1_000,
        learn_10_000,
    ):
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            measure()
            os.chdir("/")
    print(f"\n{WHERE}", end="")
    sys.path.insert(0, str(ROOT))
    from tests.bench_azure import following_cost
    from tests.bench_loop import loop_cost

    print()
    loop_cost()
    print()
    following_cost()


def start_up(rounds: int = 20) -> None:
    """In seconds of the processor, the least of so many runs in turns: other work on the machine adds to them alone."""
    digits = str(ROOT / "examples/digits/experiment.yml")
    commands = {
        "bare": [sys.executable, "-c", "pass"],
        "--version": [sys.executable, "-m", "amlc", "--version"],
        "validate": [*AMLC, "validate", digits],
    }
    least = dict.fromkeys(commands, math.inf)
    for _ in range(rounds):
        for name, command in commands.items():
            least[name] = min(least[name], usage(command)[0])
    bare = least["bare"]
    for name, what, most in (
        ("--version", "`amlc --version`", 3),
        ("validate", "`amlc validate`, the digits example", 7),
    ):
        row(
            f"{what}, processor, the least of {rounds}",
            f"{least[name] * 1e3:.0f} ms",
            f"`python -c pass`: {bare * 1e3:.0f} ms",
            f"{most} times the floor",
            least[name] <= most * bare,
            f"{least[name] / bare:.1f} times",
        )


def compile_10_000() -> None:
    experiment(10_000, "python3 train.py")
    amlc, floor = [], []
    for _ in range(ROUNDS):  # in turns, because the disk is not equally fast all the time
        shutil.rmtree("build", ignore_errors=True)
        amlc.append(seconds(lambda: run([*AMLC, "compile", "experiment.yml"]), rounds=1))
        contents = [path.read_bytes() for path in sorted(Path("build/bench/jobs").rglob("*.yml"))]
        shutil.rmtree("floor", ignore_errors=True)
        Path("floor").mkdir()
        floor.append(seconds(lambda files=contents: write_files(files), rounds=1))
    ratio = statistics.median(a / f for a, f in zip(amlc, floor, strict=True))
    row(
        "compile 10,000 trials",
        f"{statistics.median(amlc):.2f} s",
        f"writing these files: {statistics.median(floor):.2f} s",
        "< 5 times the floor",
        ratio < 5,
        f"{ratio:.1f} times, the median of the pairs",
    )
    again = seconds(lambda: run([*AMLC, "compile", "experiment.yml"]))
    row("compile them again, unchanged", f"{again:.2f} s", "", "", None)
    rows = [
        json.loads(line.lstrip(","))
        for line in Path("build/bench/manifest.json").read_text().splitlines()
        if '"sha256"' in line
    ]
    plain = seconds(lambda: plain_loop([row["trials"][0] for row in rows]), rounds=1)
    row(
        "", "", f"a loop of jinja2 and yaml.safe_load over the same trials: {plain:.2f} s", "", None
    )


def compile_100_000() -> None:
    experiment(100_000, "python3 train.py")
    took = seconds(lambda: run([*AMLC, "compile", "experiment.yml"]), rounds=1)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    row(
        "compile 100,000 trials, one run",
        f"{took:.1f} s, {peak:.0f} MB",
        "",
        "< 200 MB",
        peak < 200,
    )


def dispatch(count: int = 200) -> None:
    experiment(count, "'true'")
    run([*AMLC, "compile", "experiment.yml"])
    amlc = seconds(lambda: run([*AMLC, "submit"]), rounds=1) / count
    floor = (
        seconds(
            lambda: run(["xargs", "-P2", "-n1", sys.executable, "-c", "pass"], text="x\n" * count),
            rounds=1,
        )
        / count
    )
    row(
        f"run {count} no-op trials at concurrency 2",
        f"{amlc * 1e3:.1f} ms each",
        f"`xargs -P2 python -c pass`: {floor * 1e3:.1f} ms",
        "< 50 ms each",
        amlc < 0.05,
    )
    other = submitit_each(40)
    if other is not None:
        row("", "", f"submitit's local executor: {other * 1e3:.0f} ms each", "", None)


def dispatch_packed(count: int = 1_000, size: int = 100) -> None:
    """What a trial of a packed job costs beside what it runs: the runner's work, its records, its copy of the code."""
    experiment(count, "'true'")
    with Path("experiment.yml").open("a") as file:
        file.write(f"amlc: {{trialsPerJob: {size}}}\n")
    run([*AMLC, "compile", "experiment.yml"])
    amlc = seconds(lambda: run([*AMLC, "submit"]), rounds=1) / count
    lines = "true\n" * count
    floor = (
        seconds(lambda: run(["xargs", "-P2", "-n1", "/bin/sh", "-c"], text=lines), rounds=1) / count
    )
    row(
        f"run {count:,} no-op trials, {size} to a job, two jobs at a time",
        f"{amlc * 1e3:.1f} ms each",
        f"`xargs -P2 sh -c true`: {floor * 1e3:.1f} ms",
        "< 10 ms more",
        amlc - floor < 0.01,
    )


SMI = """#!/bin/sh
case "$1" in
    --query-gpu=index,uuid) for i in 0 1 2 3; do echo "$i, GPU-$i"; done;;
    -L) for i in 0 1 2 3; do echo "GPU $i: fake (UUID: GPU-$i)"; done;;
esac
"""


def dispatch_on_gpus() -> None:
    """With four GPUs that are none: four times the trials should take four times as long, and no more."""
    Path("nvidia-smi").write_text(SMI)
    Path("nvidia-smi").chmod(0o755)
    environ = {**os.environ, "PATH": f"{Path.cwd()}:{os.environ['PATH']}"}
    each = {}
    for count in (200, 800):
        shutil.rmtree(".amlc", ignore_errors=True)
        experiment(count, "'true'", concurrency=4)
        file = Path("experiment.yml")
        service = "trialGpuNumber: 1\ntrainingService: {platform: local, useActiveGpu: true}"
        file.write_text(file.read_text().replace("trainingService: {platform: local}", service))
        run([*AMLC, "compile", "experiment.yml"])
        each[count] = seconds(lambda: run([*AMLC, "submit"], environ=environ), rounds=1) / count
    row(
        "run no-op trials on four GPUs, 200 and 800 of them",
        f"{each[200] * 1e3:.1f} and {each[800] * 1e3:.1f} ms each",
        "",
        "linear",
        each[800] < 1.3 * each[200],
        f"{each[800] / each[200]:.2f} times",
    )


def readers() -> None:
    """Peak memory and the processor's time of what reads everything, of so many trials that have all ended."""
    for count, most_s in ((10_000, 0.5), (100_000, 2)):
        experiment(count, "python3 train.py")
        run([*AMLC, "compile", "experiment.yml"])
        pretend_all_ran()
        found = {
            verb: usage([*AMLC, verb]) for verb in ("plan", "status", "collect", "best", "report")
        }
        shown = ", ".join(
            f"{verb} {took:.1f} s {megabytes:.0f} MB" for verb, (took, megabytes) in found.items()
        )
        longest = max(took for verb, (took, _) in found.items() if verb != "report")
        most = max(megabytes for _, megabytes in found.values())
        row(
            f"read {count:,} trials, processor, one run",
            shown,
            "",
            f"all but report < {most_s:g} s, all < 100 MB",
            longest < most_s and most < 100,
        )
        shutil.rmtree(".amlc")


def curves_10_000(steps: int = 60) -> None:
    experiment(10_000, "python3 train.py")
    run([*AMLC, "compile", "experiment.yml"])
    pretend_all_ran(steps=steps)
    took, megabytes = usage([*AMLC, "report"])
    row(
        f"report of 10,000 trials with curves of {steps} steps, one run",
        f"{took:.1f} s of the processor, {megabytes:.0f} MB",
        "",
        "< 3 s",
        took < 3,
    )


# A process counts as large as the one that started it, and this one has made a million rows: so a small one starts it.
MEASURED = """\
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
"""


def usage(command: list[str]) -> tuple[float, float]:
    """Return how many seconds of the processor a command takes, and its peak memory in megabytes."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *command], check=True, stdout=subprocess.PIPE, text=True
    )
    status, seconds_of_it, megabytes = done.stdout.split()
    assert status == "0", command
    return float(seconds_of_it), float(megabytes)


def learn_1_000() -> None:
    learn(1_000, goal_s=0.05)


def learn_10_000() -> None:
    learn(10_000, goal_s=0.25)


def learn(count: int, *, goal_s: float, rounds: int = 20) -> None:
    """What `amlc run` does between a result and the job that it lets follow, but for the back end's own work."""
    experiment(count, "python3 train.py")
    run([*AMLC, "compile", "experiment.yml"])
    pretend_all_ran()
    experiment(count + rounds + 1, "python3 train.py", tuner="{name: TPE}", concurrency=1)
    run([*AMLC, "compile", "experiment.yml"])  # and with it the first of those that follow
    loaded, _ = load_experiment(Path("experiment.yml"), environ=os.environ)
    with open_ledger(Folders(Path("build"), Path(".amlc")).ledger("bench")) as ledger:
        attempts = fold(ledger.events())
        manifest = read_manifest(Path("build/bench"))
        entries = list(manifest.entries())[count:]
        more = following(
            loaded, manifest, Experience(ledger, replicates=loaded.replicates), abreast=1
        )
        times = []
        for _ in range(rounds + 1):
            (entry,) = entries
            before = ledger.append([])
            ledger.append(success(entry, manifest), [result(entry)], job=entry.name)
            fold(ledger.events(after=before), attempts)
            start = time.perf_counter()
            entries = more(attempts, 1)
            times.append(time.perf_counter() - start)
    took = statistics.median(times[1:])  # the first one reads all results
    row(
        f"the next trial of TPE behind {count:,} others, median of {rounds}",
        f"{took * 1e3:.0f} ms",
        f"the first one of a process: {times[0] * 1e3:.0f} ms",
        f"< {goal_s * 1e3:.0f} ms",
        took < goal_s,
    )


def collect_10_000() -> None:
    experiment(10_000, "python3 train.py")
    run([*AMLC, "compile", "experiment.yml"])
    pretend_all_ran()
    took = seconds(lambda: run([*AMLC, "collect"]))
    row("collect 10,000 trials", f"{took:.2f} s", "", "< 2 s", took < 2)


def azure_1_000(count: int = 1_000, loop: int = 20) -> None:
    """Against the tests' control plane, 150 ms a call, in this process; the clients are processes of their own."""
    sys.path.insert(0, str(ROOT))
    from tests.azure.conftest import missing
    from tests.azure.emulator import Emulator

    if reason := missing():
        print(f"| submit 1,000 jobs to Azure ML | | not measured: {reason} | | |", flush=True)
        return
    with Emulator(Path.cwd().resolve(), mode="instant", latency_s=0.15, page_size=1000) as azure:
        experiment(count, "python3 train.py", concurrency=count)
        environ = {**azure.environ("proxy"), "PYTHONPATH": str(ROOT)}
        file = Path("experiment.yml")
        service = f"""{{platform: aml, dockerImage: msranni/nni, subscriptionId: {azure.subscription}, computeTarget: cpu-cluster,
  resourceGroup: {azure.resource_group}, workspaceName: {azure.workspace}}}"""
        file.write_text(file.read_text().replace("{platform: local}", service))
        run([*AMLC, "compile", "experiment.yml"])
        submit = [*AMLC, "submit", "--no-wait", "--parallel", "64"]
        whole = seconds(lambda: run(submit, environ=environ), rounds=1)
        times = [call.at for call in azure.find_calls("PUT", "/jobs/")]
        assert len(times) == count
        amlc = count / (times[-1] - times[0] + azure.latency_s)
        where = [azure.subscription, azure.resource_group, azure.workspace]
        command = [sys.executable, "-c", PLAIN_LOOP, str(loop), *where]
        done = subprocess.run(
            command, check=True, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        plain = loop / float(done.stdout.split()[-1])
    row(
        f"submit {count:,} jobs to Azure ML at 150 ms a call, one run",
        f"{amlc:.0f} jobs/s from the first creation to the last; {whole:.0f} s with start-up",
        f"`load_job` and `create_or_update` of {loop} of them on one thread: {plain:.1f} jobs/s",
        "100 jobs/s and 20 times the loop",
        amlc >= 100 and amlc >= 20 * plain,
        f"{amlc / plain:.0f} times",
    )


# --- the parts ------------------------------------------------------------------------------------------------------


def experiment(
    count: int, command: str, *, tuner: str = "{name: Random}", concurrency: int = 2
) -> None:
    Path("code").mkdir(exist_ok=True)
    Path("code/train.py").write_text("print('hello')\n")
    text = EXPERIMENT.format(
        space=SPACE, count=count, command=command, tuner=tuner, concurrency=concurrency
    )
    Path("experiment.yml").write_text(text)


def write_files(contents: list[bytes]) -> None:
    for number, content in enumerate(contents):
        with open(f"floor/{number:05d}.yml", "wb") as file:
            file.write(content)


def plain_loop(trials: list[dict]) -> None:
    """What one would write by hand: render, parse back, write."""
    import jinja2
    import yaml

    template = jinja2.Template(
        "type: command\nname: {{ t.id }}\ndisplay_name: {{ t.id|tojson }}\ncommand: python3 train.py\n"
        "environment: {image: msranni/nni}\nenvironment_variables:\n  PARAMETERS: {{ t.parameters|tojson|tojson }}\n"
        "tags:\n{% for k, v in t.parameters.items() %}  {{ k|tojson }}: {{ v|string|tojson }}\n{% endfor %}"
    )
    Path("plain").mkdir()
    for number, trial in enumerate(trials):
        text = template.render(t=trial)
        yaml.safe_load(text)
        Path(f"plain/{number:05d}.yml").write_text(text)


def submitit_each(count: int) -> float | None:
    try:
        import submitit
    except ImportError:
        return None
    executor = submitit.LocalExecutor("submitit")

    def go() -> None:
        waiting = []
        for _ in range(count):
            waiting.append(executor.submit(int))
            while len(waiting) == 2:
                waiting = [job for job in waiting if not job.done()]
                time.sleep(0.005)
        for job in waiting:
            job.wait()

    return seconds(go, rounds=1) / count


def pretend_all_ran(*, steps: int = 0) -> None:
    """Record a success of every job, in few commits. steps: of each one's curve."""
    manifest = read_manifest(Path("build/bench"))
    with open_ledger(Folders(Path("build"), Path(".amlc")).ledger("bench")) as ledger:
        entries = list(manifest.entries())
        for start in range(0, len(entries), 1_000):
            ledger.append_all(
                # With curves two events a job: of 10,000 that is as much as a reader checks as a whole, every curve too.
                (
                    entry.name,
                    success(entry, manifest)[:: 2 if steps else 1],
                    [*curve(entry, steps), result(entry)],
                )
                for entry in entries[start : start + 1_000]
            )


def curve(entry: Entry, steps: int) -> Iterator[Metric]:
    """Yield what a job reported on its way, of two metrics at each step."""
    (trial,) = entry.trials
    for step in range(steps):
        value = {"default": trial.parameters["momentum"] + 0.9**step, "loss": 1.5 * 0.95**step}
        yield Metric(
            trial=trial.id, kind="intermediate", sequence=step, value=value, at=1.0 + step / 97
        )


def success(entry: Entry, manifest: Manifest) -> list[Event]:
    """Return what the ledger has of a job that ran."""
    data = {
        "id": entry.id,
        "attempt": 1,
        "trials": [trial.as_dict() for trial in entry.trials],
        "revision": manifest.header.revision,
        "backend": "local",
        "losses": 0,
    }
    done = Observation(job=entry.name, status=Status.SUCCEEDED, started=1.0, ended=2.0, exit_code=0)
    return [
        Event(kind="intent", at=1.0, job=entry.name, data=data),
        Event(kind="submitted", at=1.0, job=entry.name, data={"url": None}),
        observed(done, at=2.0),
    ]


def result(entry: Entry) -> Metric:
    (trial,) = entry.trials
    loss = (trial.parameters["momentum"] - 0.9) ** 2 + trial.parameters["dropout"]
    return Metric(
        trial=trial.id, kind="final", sequence=0, value={"default": loss, "loss": 1.5}, at=2.0
    )


def run(command: list[str], text: str | None = None, environ: dict[str, str] | None = None) -> None:
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, input=text, text=True, env=environ
    )


def seconds(action: Callable[[], object], *, rounds: int = ROUNDS) -> float:
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        action()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def row(what: str, amlc: str, other: str, goal: str, met: bool | None, note: str = "") -> None:
    verdict = "" if met is None else "met" if met else "**missed**"
    print(
        f"| {what} | {amlc} | {other} | {goal} | {' '.join(filter(None, (verdict, note)))} |",
        flush=True,
    )


def _processor() -> str:
    for line in (
        Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ()
    ):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
