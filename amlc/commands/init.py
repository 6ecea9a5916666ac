"""`amlc init`: a first experiment, to be changed into one's own."""

from __future__ import annotations

from pathlib import Path

from amlc.errors import UsageError

_EXPERIMENT = """\
experimentName: first
searchSpace:
  lr: {_type: loguniform, _value: [0.0001, 0.1]}
  batch_size: {_type: choice, _value: [16, 32, 64]}
trialCommand: python3 trial.py
trialCodeDirectory: .
trialConcurrency: 2
maxTrialNumber: 10
maxTrialDuration: 10m
tuner:
  name: TPE
  classArgs: {optimize_mode: maximize, tpe_args: {n_startup_jobs: 4}}
trainingService:
  platform: local
"""
_TRIAL = """\
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


def init(folder: Path) -> Path:
    """Write `experiment.yml` and `trial.py` into `folder`, and return the first.

    Nothing that is there is replaced.
    """
    files = {folder / "experiment.yml": _EXPERIMENT, folder / "trial.py": _TRIAL}
    for path in files:
        if path.exists() or path.is_symlink():
            raise UsageError(
                f"{path} is there already, and nothing was written. Name another folder."
            )
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    return folder / "experiment.yml"
