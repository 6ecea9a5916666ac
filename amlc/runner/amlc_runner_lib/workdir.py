"""Lay out what a trial finds: its folder, its parameters, and its environment."""

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from .job import Job, Trial

_RUNNER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def prepare_home(trial: "Trial", output_root: "str | None") -> str:
    """Lay out the trial's directory as NNI's trial library expects it; return NNI_OUTPUT_DIR."""
    output = os.path.join(output_root, trial.id) if output_root else trial.home
    output = os.path.join(output, "nnioutput")
    os.makedirs(output, exist_ok=True)
    os.makedirs(os.path.join(trial.home, ".nni"), exist_ok=True)
    record = {
        "parameter_id": trial.sequence,
        "parameter_source": "algorithm",
        "parameters": trial.received,
        "parameter_index": 0,
    }
    # NNI 2.6 and later strip comments (# and //), sometimes from strings. JSON has these characters
    # in strings only.
    text = json.dumps(record).replace("#", "\\u0023").replace("/", "\\u002f")
    with open(os.path.join(trial.home, "parameter.cfg"), "w") as file:
        file.write(text)
    return os.path.abspath(output)


def is_moved(folder: str) -> bool:
    """Tell whether the current folder, or the runner, is no longer where it was.

    folder: where the current folder was. A trial knows both by their paths.
    """
    try:
        return not (os.path.samefile(folder, os.curdir) and os.path.isdir(_RUNNER))
    except OSError:
        return True


def trial_environment(
    environ: "Mapping[bytes, bytes]",
    job: "Job",
    trial: "Trial",
    *,
    output: str,
    folder: str,
    visible: "str | None",
) -> "dict[bytes, bytes]":
    """Return the trial's environment; bytes, because the user's names and values are.

    output: its NNI_OUTPUT_DIR. folder: where it runs. visible: its CUDA_VISIBLE_DEVICES, None to
    leave that alone.
    """
    dropped = (b"MULTI_PHASE", b"NNI_TRIAL_COMMAND_CHANNEL")
    env = {
        name: value
        for name, value in environ.items()
        if not name.startswith(b"AMLC_") and name not in dropped
    }
    env.update(
        {
            b"NNI_PLATFORM": b"aml",
            b"REUSE_MODE": b"true",
            b"NNI_SYS_DIR": os.fsencode(os.path.abspath(trial.home)),
            b"NNI_OUTPUT_DIR": os.fsencode(output),
            b"NNI_EXP_ID": job.experiment,
            b"NNI_TRIAL_JOB_ID": trial.id.encode(),
            b"NNI_TRIAL_SEQ_ID": str(trial.sequence).encode(),
            b"NNI_CODE_DIR": os.fsencode(folder),
            b"AMLC_REPLICATE": str(trial.replicate).encode(),
        }
    )
    if visible is not None:
        env[b"CUDA_VISIBLE_DEVICES"] = os.fsencode(visible)
    standin = os.path.join(_RUNNER, "amlc_standin")
    if os.path.isdir(standin):
        if os.pathsep in standin:  # which PYTHONPATH cannot hold
            standin = os.path.relpath(standin, folder)
        rest = env.get(b"PYTHONPATH")
        behind = os.fsencode(os.pathsep) + rest if rest else b""
        env[b"PYTHONPATH"] = os.fsencode(standin) + behind
    return env
