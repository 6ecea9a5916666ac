"""Read the metrics that a trial reports in NNI's form."""

import json

from .job import is_count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Metric = tuple[str, int, Any]  # "intermediate" or "final", its sequence, its value

# Bytes; NNI refuses a metric that is not shorter. As recorded it is four times that at most.
METRIC_LENGTH = 1000000
DEEPEST_METRIC = 100  # json itself gives up at a thousand or so, somewhere else in each version
LARGEST_SEQUENCE = (1 << 63) - 1  # what databases hold, MLflow's too
LONGEST_INTEGER = 4300  # digits; later versions of Python refuse to read more


def decode_metric(payload: bytes) -> "Metric | None":
    """Return the metric of a payload, None for a request for parameters.

    Raises ValueError or RecursionError.
    """
    if len(payload) >= METRIC_LENGTH:
        raise ValueError("too long")
    message = _decode_bounded(payload.decode("utf-8"))
    if not isinstance(message, dict):
        raise ValueError("not an object")
    if message.get("type") == "REQUEST_PARAMETER":
        return None
    kind = {"PERIODICAL": "intermediate", "FINAL": "final"}.get(str(message.get("type")))
    sequence: Any = message.get("sequence")
    if (
        kind is None
        or "value" not in message
        or not is_count(sequence, 0)
        or sequence > LARGEST_SEQUENCE
    ):
        raise ValueError("not a metric")
    value = message["value"]
    value = _decode_bounded(value) if isinstance(value, str) else value
    if _depth_of(value) > DEEPEST_METRIC:
        raise ValueError("too deep")
    return kind, sequence, value


def _read_integer(digits: str) -> int:
    if len(digits) > LONGEST_INTEGER:
        raise ValueError("a number too long")
    return int(digits)


_decode_bounded = json.JSONDecoder(parse_int=_read_integer).decode


def _depth_of(value: object) -> int:
    """Return how deep the lists and objects of a JSON value are nested."""
    depth, level = 0, [value]
    while True:
        nested = [item for item in level if isinstance(item, (list, dict))]
        if not nested:
            return depth
        depth += 1
        level = [
            child
            for item in nested
            for child in (item.values() if isinstance(item, dict) else item)
        ]
