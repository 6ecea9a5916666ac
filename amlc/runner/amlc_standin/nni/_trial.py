"""The trial API of the stand-in: parameters in, metrics out."""

import json
import logging
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__version__ = "3.0+amlc"

METRIC_LIMIT = 1000000  # characters; NNI refuses longer ones

# NNI reads these once, when it is imported.
_PLATFORM = os.environ.get("NNI_PLATFORM")
_EXPERIMENT_ID = os.environ.get("NNI_EXP_ID") or "STANDALONE"
_TRIAL_JOB_ID = os.environ.get("NNI_TRIAL_JOB_ID")
_SEQUENCE_ID = int(os.environ.get("NNI_TRIAL_SEQ_ID", "0"))
_IS_STANDALONE = _PLATFORM is None or _PLATFORM == "unittest"

_logger = logging.getLogger("nni")


class _State:
    record: "dict[str, Any] | None" = None  # of the current parameters
    was_received = False
    intermediates = 0


def get_next_parameter() -> "dict[str, Any] | None":
    """Return the trial's parameters; None when asked again."""
    if _IS_STANDALONE:
        _State.record = _standalone_record()
    elif _State.was_received:
        _State.record = None
    else:
        _State.record = _read_record()
        _State.was_received = True
    return _State.record and _State.record["parameters"]


def get_next_parameters() -> "dict[str, Any] | None":
    """Return the same as get_next_parameter."""
    return get_next_parameter()


def get_current_parameter(tag: "str | None" = None) -> "Any":
    """Return the parameters last received, or the one named `tag`; None before the first."""
    if _State.record is None:
        return None
    parameters = _State.record["parameters"]
    return parameters if tag is None else parameters[tag]


def get_experiment_id() -> str:
    """Return the experiment's name."""
    return _EXPERIMENT_ID


def get_trial_id() -> str:
    """Return the trial's id."""
    return _TRIAL_JOB_ID or "STANDALONE"


def get_sequence_id() -> int:
    """Return the trial's sequence number."""
    return _SEQUENCE_ID


def report_intermediate_result(metric: "Any") -> None:
    """Report a result on the way: a number, or a dict whose `default` is the number to go by."""
    _report("PERIODICAL", _State.intermediates, metric)
    _State.intermediates += 1


def report_final_result(metric: "Any") -> None:
    """Report the result: a number, or a dict whose `default` is the number to go by."""
    _report("FINAL", 0, metric)


def _standalone_record() -> "dict[str, Any]":
    import warnings

    text = "no NNI runtime here: this trial runs standalone, without parameters"
    warnings.warn(text, RuntimeWarning, stacklevel=3)
    return {"parameter_id": None, "parameters": {}}


def _read_record() -> "dict[str, Any]":
    path = os.path.join(os.environ["NNI_SYS_DIR"], "parameter.cfg")
    with open(path, encoding="utf-8") as file:
        record = json.load(file)
    if not isinstance(record, dict) or "parameters" not in record:
        raise AssertionError(f"{path} holds no parameters")
    os.makedirs(os.environ["NNI_OUTPUT_DIR"], exist_ok=True)
    return record


def _report(kind: str, sequence: int, metric: "Any") -> None:
    record = _State.record
    if record is None and _PLATFORM is not None:
        raise AssertionError("a result was reported before nni.get_next_parameter() was called")
    if record is None or _IS_STANDALONE:
        _log(kind, sequence, metric)
        return
    message = {
        "parameter_id": record["parameter_id"],
        "trial_job_id": _TRIAL_JOB_ID,
        "type": kind,
        "sequence": sequence,
        "value": json.dumps(metric, default=_encode),
    }
    text = json.dumps(message)
    if len(text) >= METRIC_LIMIT:
        raise AssertionError(
            f"the metric has {len(text)} characters, NNI takes {METRIC_LIMIT - 1} at most"
        )
    print(f"NNISDK_MEb'{text}'", flush=True)  # noqa: T201 - the protocol


def _encode(value: "Any") -> "Any":
    from ._encode import encode  # few report more than numbers

    return encode(value)


def _log(kind: str, sequence: int, metric: "Any") -> None:
    if kind == "FINAL":
        _logger.info("Final result: %s", metric)
    else:
        _logger.info("Intermediate result: %s  (Index %s)", metric, sequence)


def _start_logging() -> None:
    """Show what is logged to `nni` on stdout, from INFO up, as NNI does on import."""
    _logger.setLevel(logging.INFO)
    if _PLATFORM == "unittest" or _logger.handlers:
        return
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        logging.Formatter("[%(asctime)s] \033[32m%(message)s\033[0m", "%Y-%m-%d %H:%M:%S")
    )
    _logger.addHandler(handler)


_start_logging()
