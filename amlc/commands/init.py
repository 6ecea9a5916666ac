"""`amlc init`: a first experiment, of an example, a script, a search space or NNI's config."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from amlc.commands.migrate import migrate
from amlc.config import load_experiment
from amlc.config.legacy import is_legacy
from amlc.config.load import load_document
from amlc.config.schema import schema_text
from amlc.errors import ConfigError, Severity, UsageError
from amlc.files import read_bounded
from amlc.model import Document
from amlc.plural import plural
from amlc.starting.project import MODELINE, companions
from amlc.starting.script import Script, read_script
from amlc.starting.space import proposed

EXPERIMENT: Final = "experiment.yml"
_MOST_BYTES: Final = 2_000_000  # of a trial script
_EXAMPLE_SPACE: Final = """\
searchSpace:
  lr: {_type: loguniform, _value: [0.0001, 0.1]}
  batch_size: {_type: choice, _value: [16, 32, 64]}
"""
_TRIAL: Final = """\
import math

import nni

params = nni.get_next_parameter()
quality = 0.0
for epoch in range(5):
    # Train here. This stand-in for a training likes a learning rate near 0.01.
    quality += (1 - quality) / (1 + abs(math.log10(params["lr"]) + 2)) / params["batch_size"] ** 0.25
    nni.report_intermediate_result(quality)
nni.report_final_result(quality)
"""  # noqa: E501 - the user's own file has no such limit
_LOCAL: Final = "trainingService:\n  platform: local\n"
_AZURE: Final = """\
maxTrialDuration: 6h  # the most that one trial may cost
trainingService:
  platform: aml
  # Each ${NAME} comes from the environment.
  subscriptionId: ${AZURE_SUBSCRIPTION_ID}
  resourceGroup: ${AZURE_RESOURCE_GROUP}
  workspaceName: ${AZURE_WORKSPACE}
  computeTarget: ${AZURE_COMPUTE}
  dockerImage: msranni/nni
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a new experiment is to be, None where nothing was said.

    trials, concurrency: at least 1. platform: local or aml.
    """

    name: str | None = None
    maximize: bool | None = None
    trials: int | None = None
    concurrency: int = 2
    platform: str = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What was written: the experiment first. kept: what was there already, and stays as it was.

    remarks: what to look at, a line each.
    """

    file: Path
    written: tuple[str, ...]
    kept: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Draft:
    """The text of an experiment, and of what it needs beside it, by name; remarks as in `Begun`."""

    text: str
    others: Mapping[str, str]
    remarks: tuple[str, ...] = ()


def init(folder: Path, source: Path | None = None, wishes: Wishes | None = None) -> Begun:
    """Write a first experiment into `folder`, with the files that stand beside one.

    source: a trial script, a search space, or an experiment of NNI's. Nothing that is there is
    replaced. Raises UsageError where the experiment is there already, or the source says nothing,
    ConfigError for a source that is wrong.
    """
    draft = _draft(folder, source, wishes or Wishes())
    texts = {EXPERIMENT: MODELINE + draft.text, **draft.others}
    for name in texts:
        _refuse_what_is_there(folder / name)
    beside = companions(EXPERIMENT, schema_text())
    kept = tuple(name for name in beside if _is_there(folder / name))
    texts |= {name: text for name, text in beside.items() if name not in kept}
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:  # whoever wrote it meanwhile keeps it
            file.write(text)
    return Begun(file=folder / EXPERIMENT, written=tuple(texts), kept=kept, remarks=draft.remarks)


def scripts(folder: Path) -> list[str]:
    """Return the names of the scripts in a folder that ask for parameters."""
    found = sorted(path for path in folder.glob("*.py") if path.is_file())
    return [path.name for path in found if b"get_next_parameter" in path.read_bytes()[:_MOST_BYTES]]


def _is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _refuse_what_is_there(path: Path) -> None:
    if _is_there(path):
        raise UsageError(f"{path} is there already, and nothing was written. Name another folder.")


def _draft(folder: Path, source: Path | None, wishes: Wishes) -> _Draft:
    if source is None:
        tuner = "classArgs: {optimize_mode: maximize, tpe_args: {n_startup_jobs: 4}}"
        head = _Head("first", "python3 trial.py", ".", tuner, trials=10)
        return _Draft(_experiment(head, _EXAMPLE_SPACE, wishes), {"trial.py": _TRIAL})
    if source.suffix == ".py":
        return _of_script(folder, source, wishes)
    document = load_document(source)
    if any(problem.severity is Severity.ERROR for problem in document.remarks):
        raise ConfigError(document.remarks)
    if _is_space(document):
        return _of_space(folder, source, wishes)
    return _of_config(folder, source, document)


# --- of a script ----------------------------------------------------------------------------------


def _of_script(folder: Path, source: Path, wishes: Wishes) -> _Draft:
    script = _read(source)
    if not script.asks:
        raise UsageError(
            f"{source}: never asks for parameters. Let it call nni.get_next_parameter(), and "
            "report with nni.report_final_result()."
        )
    if not script.parameters:
        raise UsageError(
            f"{source}: no parameter of it can be seen. Read them as params['lr'], or write a "
            "search space by hand: amlc init without --from has an example."
        )
    head = _Head(
        _name(source.stem),
        f"python3 {shlex.quote(source.name)}",
        _relative(source.absolute().parent, folder),
        f"classArgs: {{optimize_mode: {'minimize' if script.minimizes else 'maximize'}}}",
        trials=20,
    )
    space = "".join(_lines_of_space(script, source.name))
    count = plural(len(script.parameters), "parameter")
    remarks = [f"{count} of {source.name}: look at the ranges"]
    if script.left_out:
        names = ", ".join(script.left_out)
        remarks.append(f"options that look like no hyperparameters were left out: {names}")
    return _Draft(_experiment(head, space, wishes), {}, tuple(remarks))


def _read(source: Path) -> Script:
    try:
        return read_script(read_bounded(source, _MOST_BYTES).decode("utf-8-sig"))
    except SyntaxError as err:
        place = f"{source}:{err.lineno or 1}:{err.offset or 1}"
        raise UsageError(f"{place}: not Python: {err.msg}. Correct it first.") from err
    except ValueError as err:
        raise UsageError(f"{source}: not Python: {err}. Name a trial script.") from err


def _lines_of_space(script: Script, name: str) -> Iterator[str]:
    yield f"# What {name} reads. The ranges are guesses: put in your own.\nsearchSpace:\n"
    for parameter in script.parameters:
        values, remark = proposed(parameter)
        yield f"  {_flow(parameter.name)}: {_flow(values)}  # line {parameter.line}: {remark}\n"


# --- of a search space ----------------------------------------------------------------------------


def _is_space(document: Document) -> bool:
    data = document.data
    return (
        isinstance(data, Mapping)
        and bool(data)
        and all(isinstance(value, Mapping) and "_type" in value for value in data.values())
    )


def _of_space(folder: Path, source: Path, wishes: Wishes) -> _Draft:
    found = scripts(folder)
    script = found[0] if len(found) == 1 else "trial.py"
    tuner = "classArgs: {optimize_mode: maximize}"
    head = _Head(
        _name(folder.absolute().name), f"python3 {shlex.quote(script)}", ".", tuner, trials=20
    )
    space = f"searchSpaceFile: {_flow(_relative(source, folder))}\n"
    remarks = () if len(found) == 1 else (f"trialCommand is a guess: python3 {script}",)
    return _Draft(_experiment(head, space, wishes), {}, remarks)


# --- of an experiment -----------------------------------------------------------------------------


def _of_config(folder: Path, source: Path, document: Document) -> _Draft:
    """Return a config of NNI's as of today; its paths count from where it lies."""
    if folder.resolve() != source.absolute().parent.resolve():
        raise UsageError(
            f"the paths in {source} count from its folder, so the experiment has to lie there: "
            f"amlc init {shlex.quote(str(source.parent))} --from {shlex.quote(str(source))}."
        )
    load_experiment(source, backend="local", environ=os.environ)  # or what is wrong with it
    if is_legacy(document):
        migrated = migrate(source)
        return _Draft(migrated.text, {}, tuple(map(str, migrated.sheet)))
    text = source.read_text(encoding="utf-8-sig")
    if text.lstrip().startswith("{"):
        text = yaml.safe_dump(json.loads(json.dumps(document.data)), sort_keys=False, width=100)
    return _Draft(text, {})


# --- its text -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Head:
    """What an experiment says beside its space; tuner: the line of its arguments."""

    name: str
    command: str
    code: str
    tuner: str
    trials: int


def _experiment(head: _Head, space: str, wishes: Wishes) -> str:
    tuner = head.tuner
    if wishes.maximize is not None:
        mode = "maximize" if wishes.maximize else "minimize"
        tuner = re.sub("(?<=optimize_mode: )[a-z]+", mode, tuner)
    return (
        f"experimentName: {_flow(wishes.name or head.name)}\n{space}"
        f"trialCommand: {_flow(head.command)}\n"
        f"trialCodeDirectory: {_flow(head.code)}\n"
        f"trialConcurrency: {wishes.concurrency}\n"
        f"maxTrialNumber: {wishes.trials or head.trials}\n"
        f"tuner:\n  name: TPE\n  {tuner}\n"
        f"{_AZURE if wishes.platform == 'aml' else _LOCAL}"
    )


def _name(text: str) -> str:
    """Return a name for an experiment."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_-") or "first"


def _flow(value: Any) -> str:
    """Return a value as YAML in one line, whatever it is made of."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1_000_000)
    return text.removesuffix("\n").removesuffix("\n...")


def _relative(path: Path, folder: Path) -> str:
    return os.path.relpath(path, folder)
