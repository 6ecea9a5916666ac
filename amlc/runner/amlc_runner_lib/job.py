"""Read from the environment what the job is: command, trials, needs, and who is told of them."""

import json
import os

from .ranks import rank_of
from .sweep import swept

TYPE_CHECKING = False  # importing typing would cost more than reading this file
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_DIGITS, _LETTERS = "0123456789", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
LONGEST_ID = 128  # characters


class InputError(ValueError):
    """What the runner was given is wrong; the text is one line for the user."""


class Trial:
    """One trial: what to run, which never changes, and what became of it, filled in over time."""

    def __init__(
        self,
        identifier: str,
        sequence: int,
        parameters: "dict[str, Any]",
        replicate: int,
        rank: str = "",
        bare: "str | None" = None,
    ) -> None:
        self.id = identifier
        self.sequence = sequence
        self.parameters = parameters
        self.received: Any = parameters if bare is None else parameters[bare]
        self.replicate = replicate
        self.rank = rank  # of this process among those of the trial; "": the one that records it
        # Not from the root: the job's folder may be moved.
        self.records = os.path.join("outputs", "amlc", identifier)
        self.home = os.path.join(_private_folder(rank), identifier) if rank else self.records
        self.started: float | None = None  # epoch seconds
        self.ended: float | None = None
        self.exit_code: int | None = None
        self.signal: str | None = None
        self.counts = {"intermediate": 0, "final": 0}
        self.loss: str | None = None  # why a metric of it could not be recorded
        self.end: str | None = None  # one of `results`
        self.error: str | None = None
        self.is_saved = False  # result.json is written


class Job:
    """What the environment asks for; it never changes. None: a variable that is not there."""

    def __init__(
        self,
        *,
        experiment: bytes,
        command: bytes,
        trials: "list[Trial]",
        trial_seconds: "int | None",
        concurrency: "int | None",
        gpus_per_trial: "int | None",
        trials_per_gpu: int,
        gpu_shares: "dict[str, int] | None",
        output_root: "str | None",
        workdir: "str | None" = None,
        is_swept: bool = False,
        is_drawn: bool = False,
    ) -> None:
        self.experiment = experiment
        self.command = command
        self.trials = trials
        self.trial_seconds = trial_seconds
        self.concurrency = concurrency
        self.gpus_per_trial = gpus_per_trial
        self.trials_per_gpu = trials_per_gpu
        self.gpu_shares = gpu_shares
        self.output_root = output_root
        self.workdir = workdir
        self.is_swept = is_swept  # it is the child of a sweep, which runs its other trials
        self.is_drawn = is_drawn  # and the sweep drew its trial's parameters


class Run:
    """An MLflow run that is told of the trials: url, how to sign in there, and its id.

    url: where its server takes batches.
    token_url: where Azure ML gives the next token, None where that is not known.
    """

    def __init__(
        self, url: str, token: "str | None", run_id: str, token_url: "str | None" = None
    ) -> None:
        self.url = url
        self.token = token
        self.id = run_id
        self.token_url = token_url


def read_trials(environ: "Mapping[bytes, bytes]") -> "list[Trial]":
    """Return the trials in AMLC_TRIAL_0, AMLC_TRIAL_1, ..., joined from their continuations.

    Or the one that a sweep drew. Raises InputError.
    """
    if is_drawn(environ):
        return [_drawn_trial(environ)]
    texts: list[bytes] = []
    used = 0
    while f"AMLC_TRIAL_{len(texts)}".encode() in environ:
        name = f"AMLC_TRIAL_{len(texts)}".encode()
        parts = [environ[name]]
        while name + b"_%d" % len(parts) in environ:
            parts.append(environ[name + b"_%d" % len(parts)])
        used += len(parts)
        texts.append(b"".join(parts))
    if not texts:
        raise InputError("the environment variable AMLC_TRIAL_0 is missing")
    if used != sum(name.startswith(b"AMLC_TRIAL_") and name[11:12].isdigit() for name in environ):
        raise InputError("the AMLC_TRIAL_ variables are not numbered without a gap")
    try:
        index = swept(environ)
    except ValueError as error:
        raise InputError(str(error)) from error
    if index is not None and not 0 <= index < len(texts):
        raise InputError(f"the sweep asks for trial {index} of {len(texts)}")
    wanted = range(len(texts)) if index is None else [index]
    rank = rank_of(environ)
    trials = [_read_trial(f"AMLC_TRIAL_{i}", texts[i], rank) for i in wanted]
    if len({trial.id for trial in trials}) != len(trials):
        raise InputError("two AMLC_TRIAL_ variables have the same id")
    return trials


def is_drawn(environ: "Mapping[bytes, bytes]") -> bool:
    """Tell whether this is the child of a sweep that draws its trials' parameters."""
    return b"AMLC_SPACE" in environ and b"AMLC_TRIAL_0" not in environ


def _drawn_trial(environ: "Mapping[bytes, bytes]") -> Trial:
    from .latent import drawn_trial

    name, parts = b"AMLC_SPACE", [environ[b"AMLC_SPACE"]]
    while name + b"_%d" % len(parts) in environ:
        parts.append(environ[name + b"_%d" % len(parts)])
    space = _decode("AMLC_SPACE", b"".join(parts), dict, "an object")
    experiment = _read_value(environ, "AMLC_EXPERIMENT", str, "a string")
    try:
        record = drawn_trial(space, experiment, environ)
    except ValueError as error:
        raise InputError(str(error)) from error
    except (LookupError, TypeError, AttributeError) as error:
        raise InputError(f"AMLC_SPACE does not say what a sweep draws: {error!r}") from error
    return Trial(record["id"], record["sequence"], record["parameters"], 0, rank_of(environ))


def read_job(environ: "Mapping[bytes, bytes]", trials: "list[Trial]") -> Job:
    """Return the job that runs `trials`. Raises InputError."""
    return Job(
        experiment=_as_bytes(
            "AMLC_EXPERIMENT", _read_value(environ, "AMLC_EXPERIMENT", str, "a string")
        ),
        command=_read_command(environ),
        trials=trials,
        trial_seconds=_read_count(environ, "AMLC_TRIAL_SECONDS", 1),
        concurrency=_read_count(environ, "AMLC_CONCURRENCY", 1),
        gpus_per_trial=_read_count(environ, "AMLC_GPUS_PER_TRIAL", 0),
        trials_per_gpu=_read_count(environ, "AMLC_TRIALS_PER_GPU", 1) or 1,
        gpu_shares=_read_gpu_shares(environ),
        output_root=_read_path(environ, "AMLC_OUTPUT_ROOT"),
        workdir=_read_path(environ, "AMLC_WORKDIR"),
        is_swept=is_drawn(environ) or swept(environ) is not None,
        is_drawn=is_drawn(environ),
    )


def read_run(environ: "Mapping[str, str]") -> "Run | None":
    """Return the MLflow run that the environment names, or None."""
    uri = environ.get("MLFLOW_TRACKING_URI", "")
    run_id = environ.get("MLFLOW_RUN_ID") or environ.get("AZUREML_RUN_ID")
    token = environ.get("MLFLOW_TRACKING_TOKEN") or environ.get("AZUREML_RUN_TOKEN")
    if uri.startswith("azureml://"):
        uri = "https://" + uri[len("azureml://") :]
    if not run_id or not uri.startswith(("http://", "https://")):
        return None
    uri = uri.split("?")[0].rstrip("/")
    url = uri + "/api/2.0/mlflow/runs/log-batch"
    return Run(url, token, run_id, _token_url(uri, run_id, environ))


def _token_url(uri: str, run_id: str, environ: "Mapping[str, str]") -> "str | None":
    """Return where azureml-mlflow would fetch the run's next token.

    That is the run history of the same host.
    """
    host, is_azure, scope = uri.partition("/mlflow/v")
    _, _, scope = scope.partition("/")
    name = environ.get("MLFLOW_EXPERIMENT_NAME") or environ.get("AZUREML_ARM_PROJECT_NAME")
    identifier = environ.get("MLFLOW_EXPERIMENT_ID") or environ.get("AZUREML_EXPERIMENT_ID")
    if not is_azure or not scope.startswith("subscriptions/") or not (name or identifier):
        return None
    import urllib.parse

    if identifier:
        where = f"experimentids/{identifier}"
    else:
        where = "experiments/" + urllib.parse.quote(str(name), safe="")
    return f"{host}/history/v1.0/{scope}/{where}/runs/{run_id}/token"


def is_count(value: object, least: int) -> bool:
    """Tell whether a JSON value is an integer of at least `least`."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_name(text: str, marks: str) -> bool:
    """Tell whether `text` is letters and digits and, from the second character on, `marks`."""
    # Not by a regular expression: compiling one costs as much as reading a whole job.
    return (
        bool(text) and text[0] not in marks and not set(text).difference(_DIGITS, _LETTERS, marks)
    )


def _private_folder(rank: str) -> str:
    """Return where a process that does not record has what it needs: `outputs` is another's."""
    return os.path.join(os.environ.get("TMPDIR") or "/tmp", f"amlc-rank-{rank}-{os.getpid()}")  # noqa: S108


def _read_trial(name: str, text: bytes, rank: str) -> Trial:
    record = _decode(name, text, dict, "an object")
    identifier, sequence = record.get("id"), record.get("sequence")
    if (
        not isinstance(identifier, str)
        or len(identifier) > LONGEST_ID
        or not _is_name(identifier, "_-")
    ):
        raise InputError(f"{name} needs an id of letters and digits, found {identifier!r:.80}")
    if not isinstance(sequence, int) or isinstance(sequence, bool):
        raise InputError(f"{name} needs an integer sequence, found {sequence!r:.80}")
    if not isinstance(record.get("parameters"), dict):
        raise InputError(f"{name} needs an object of parameters")
    replicate = record.get("replicate", 0)
    if not is_count(replicate, 0):
        raise InputError(f"{name} needs a replicate of at least 0, found {replicate!r:.80}")
    bare = record.get("bare")
    if bare is not None and (not isinstance(bare, str) or bare not in record["parameters"]):
        raise InputError(f"{name} needs a bare that is one of its parameters, found {bare!r:.80}")
    return Trial(identifier, sequence, record["parameters"], replicate, rank, bare)


def _decode(name: str, raw: bytes, kind: type, wanted: str) -> "Any":
    """Return the JSON value of variable `name`; `wanted` names `kind` in the message."""
    try:
        value = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} is not JSON in UTF-8: {error}") from error
    if not isinstance(value, kind) or isinstance(value, bool):
        raise InputError(
            "{} must be {}, found {}".format(name, wanted, raw[:80].decode("utf-8", "replace"))
        )
    return value


def _read_value(environ: "Mapping[bytes, bytes]", name: str, kind: type, wanted: str) -> "Any":
    raw = environ.get(name.encode())
    if raw is None:
        raise InputError(f"the environment variable {name} is missing")
    return _decode(name, raw, kind, wanted)


def _read_count(environ: "Mapping[bytes, bytes]", name: str, least: int) -> "int | None":
    if name.encode() not in environ:
        return None
    count: int = _read_value(environ, name, int, "an integer")
    if count < least:
        raise InputError(f"{name} must be at least {least}, found {count}")
    return count


def _as_bytes(name: str, text: str, errors: str = "strict") -> bytes:
    # Not os.fsencode: Python 3.6 in the C locale knows only ASCII.
    try:
        raw = text.encode("utf-8", errors)
    except UnicodeEncodeError as error:
        raise InputError(f"{name} holds half of a surrogate pair") from error
    if b"\0" in raw:
        raise InputError(f"{name} holds a null character")
    return raw


def _read_command(environ: "Mapping[bytes, bytes]") -> bytes:
    command = _as_bytes("AMLC_COMMAND", _read_value(environ, "AMLC_COMMAND", str, "a string"))
    if b"${{" in command:
        from .bindings import named_in

        for text, name in named_in(command):
            if not environ.get(name):
                raise InputError(
                    f"the command names {text.decode()}, "
                    f"and the variable {name.decode()} is not set"
                )
    return command


def _read_gpu_shares(environ: "Mapping[bytes, bytes]") -> "dict[str, int] | None":
    if b"AMLC_GPU_SHARES" not in environ:
        return None
    shares: dict[str, int] = _read_value(environ, "AMLC_GPU_SHARES", dict, "an object")
    for gpu, room in shares.items():
        if not _is_name(gpu, "_./:-") or not is_count(room, 1):
            raise InputError(
                "AMLC_GPU_SHARES must give GPUs integers of at least 1, "
                f"found {gpu!r:.80}: {room!r:.80}"
            )
    return shares


def _read_path(environ: "Mapping[bytes, bytes]", name: str) -> "str | None":
    if name.encode() not in environ:
        return None
    text = _read_value(environ, name, str, "a string")
    return os.path.abspath(os.fsdecode(_as_bytes(name, text, "surrogateescape")))
