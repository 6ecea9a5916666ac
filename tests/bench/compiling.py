"""What compiling takes beside writing the files that come out, and beside a loop that one would write by hand."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.bench import experiment
from tests.bench.measure import CPU, WALL, Cost, Effort, Measured, Row, Unmeasured, amlc, compared, here, in_turns

MEMORY = "/dev/shm"
FLOOR_NAME = "writing these files"
FIRST_NAME = "a first compile"


def rows(effort: Effort) -> Iterator[Measured]:
    for full, goal in ((20_000, {WALL: 3, CPU: 4}), (100_000, {WALL: 3, CPU: 4, "MB": 200})):
        count = effort.of(full)
        if not os.access(MEMORY, os.W_OK):
            yield Unmeasured(what=f"compile {count:,} trials in memory", reason=f"there is no {MEMORY}")
            continue
        with experiment.new_folder(MEMORY):
            experiment.write(count)
            yield _first(f"compile {count:,} trials in memory", effort.long, goal)
            yield from _again(count, effort.long)
    with experiment.new_folder():
        count = effort.of(20_000)
        experiment.write(count)
        yield _first(f"compile {count:,} trials on a disk", effort.long, {})
        yield _by_hand(count)


def _first(what: str, rounds: int, goal: Mapping[str, float]) -> Row:
    return compared(what, in_turns(_compiled, _written, rounds), FLOOR_NAME, goal=goal)


def _again(count: int, rounds: int) -> Iterator[Row]:
    for what, words in (
        (f"compile {count:,} trials again, unchanged", ("compile", "experiment.yml")),
        (f"`compile --check` of {count:,} trials", ("compile", "--check", "experiment.yml")),
    ):
        # The first compile comes first, so that what is looked at is there.
        pairs = [(amlc(*words), first) for first in (_compiled() for _ in range(rounds))]
        yield compared(what, pairs, FIRST_NAME, goal={WALL: 0.5, CPU: 0.5})


def _compiled() -> Cost:
    shutil.rmtree("build", ignore_errors=True)
    return amlc("compile", "experiment.yml")


def _written() -> Cost:
    """Write the same bytes under the same names, as one process would that does nothing else."""
    jobs = Path("build/bench/jobs")
    contents = {path.relative_to(jobs): path.read_bytes() for path in sorted(jobs.rglob("*.yml"))}
    shutil.rmtree("floor", ignore_errors=True)
    folders = {Path("floor", path).parent for path in contents}

    def write() -> None:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        for path, content in contents.items():
            with open(f"floor/{path}", "wb") as file:
                file.write(content)

    return here(write)


def _by_hand(count: int) -> Row:
    lines = Path("build/bench/manifest.json").read_text(encoding="utf-8").splitlines()
    trials = [json.loads(line.lstrip(","))["trials"][0] for line in lines if '"sha256"' in line]
    assert len(trials) == count
    return compared(
        f"compile {count:,} trials on a disk",
        [(here(lambda: _loop(trials)), _written())],
        FLOOR_NAME,
        tool="a loop of jinja2 and yaml.safe_load",
    )


def _loop(trials: list[dict[str, Any]]) -> None:
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
