"""Make a trial of what a sweep drew: the rest of NNI's formula, bit for bit, and the trial's id."""

import hashlib
import json
import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# In lower case, since a service may fold the case of names. The first is the service's own way to
# tell a parameter; the second is filled in where the command names it.
PREFIXES = (b"azureml_sweep_", b"amlc_latent_")


def drawn_trial(
    space: "dict[str, Any]", experiment: str, environ: "Mapping[bytes, bytes]"
) -> "dict[str, Any]":
    """Return what AMLC_TRIAL_0 would say of the trial that this child of a sweep runs.

    Raises ValueError, with a text for the user, when the sweep does not say what it drew.
    """
    folded = {name.lower(): value for name, value in environ.items()}
    parameters: dict[str, Any] = {}
    point: dict[tuple[Any, ...], Any] = {}
    for axis in space["axes"]:
        key = tuple(axis["key"])
        if len(key) > 1 and point.get(key[:-2]) != key[-2]:
            continue  # in a branch that was not chosen
        point[key], value = _read(axis, folded)
        place = parameters
        for name in key[:-1]:
            if isinstance(name, str):
                place = place[name]
        place[key[-1]] = value
    identifier = _identifier(space["namespace"], experiment, parameters)
    sequence = space["first"] + _number_of_child(environ)
    return {"id": identifier, "sequence": sequence, "parameters": parameters}


def _read(axis: "dict[str, Any]", folded: "Mapping[bytes, bytes]") -> "tuple[Any, Any]":
    """Return where a sweep's draw lies on an axis, and the value there."""
    name = axis["name"].lower().encode()
    texts = [folded[prefix + name] for prefix in PREFIXES if prefix + name in folded]
    for raw in texts:
        try:
            text = raw.decode("utf-8").strip()
            return _option(axis, text) if "options" in axis else _number(axis, float(text))
        except (ValueError, OverflowError):
            continue
    shown = texts[0][:80].decode("utf-8", "replace") if texts else "nothing"
    drawn = axis["name"]
    raise ValueError(f"the sweep does not say what it drew as {drawn}, but {shown!r}")


def _option(axis: "dict[str, Any]", text: str) -> "tuple[int, Any]":
    options = axis["options"]
    labels = axis.get("labels") or [str(place) for place in range(len(options))]
    place = [_plain(label) for label in labels].index(_plain(text))
    return place, {"_name": options[place]} if axis.get("nested") else options[place]


def _plain(text: str) -> "float | str":
    """Return what stays of a label, whoever writes it: the number that it is, or lower case."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    return number if _is_finite(number) else text.lower()


def _is_finite(number: float) -> bool:
    return number - number == 0.0


def _number(axis: "dict[str, Any]", x: float) -> "tuple[Any, Any]":
    if not _is_finite(x):
        raise ValueError(x)
    how = axis["how"]
    if "low" in axis:
        offset = math.floor(x) - (axis["low"] if how == "number" else 0)
        offset = min(max(offset, 0), axis["high"] - axis["low"] - 1)
        return offset, axis["low"] + offset
    low, high = axis["a"], axis["b"]
    if low == high and not axis["normal"]:
        return 0, low
    if how == "quantile":
        x = low + high * _normal_quantile(x)
    if how != "value" and axis["log"]:
        x = math.exp(x)
    if axis["q"] is not None:
        x = round(x / axis["q"]) * axis["q"]  # half to even, and no decimal clean-up, as NNI does
    return x, x if axis["normal"] else min(max(x, low), high)


def _normal_quantile(u: float) -> float:
    """Return the number below which a standard normal draw lies with probability `u`."""
    # By bisection: Python 3.6 has no NormalDist.
    u = min(max(u, 2.0**-53), 1 - 2.0**-53)
    low, high = -9.0, 9.0
    while True:
        middle = (low + high) / 2
        if middle in (low, high):
            return middle
        if math.erfc(-middle / math.sqrt(2)) / 2 < u:
            low = middle
        else:
            high = middle


def _identifier(namespace: str, experiment: str, parameters: "dict[str, Any]") -> str:
    """Return the id that the first trial of these parameters has."""
    identity = {
        "experiment": experiment,
        "namespace": namespace,
        "occurrence": 0,
        "parameters": parameters,
    }
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _number_of_child(environ: "Mapping[bytes, bytes]") -> int:
    """Return which of its sweep's children this is, from 0, by the end of its name."""
    run = environ.get(b"AZUREML_RUN_ID") or environ.get(b"MLFLOW_RUN_ID") or b""
    number = run.rpartition(b"_")[2]
    return int(number) if number.isdigit() and len(number) < 7 else 0
