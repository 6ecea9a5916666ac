"""Proposes a range for each parameter of a script: something to start from, and to be looked at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from amlc.starting.script import Parameter

Range = Mapping[str, Any]

_BY_NAME: Final = (
    (r"lr|learning_?rate|step_?size", "loguniform", [0.0001, 0.1]),
    (r"decay|alpha|l1|l2|lambda|reg|epsilon|eps", "loguniform", [1e-6, 0.01]),
    (r"drop|dropout", "uniform", [0.0, 0.5]),
    (r"momentum|beta\d?|gamma", "uniform", [0.5, 0.99]),
    (r"batch", "choice", [16, 32, 64, 128]),
    (r"hidden|units|width|channels|neurons|dim|size", "choice", [32, 64, 128, 256]),
    (r"layers|depth|blocks|heads", "randint", [1, 5]),
    (r"epochs?|steps|iterations|rounds", "choice", [10]),
    (r"optimizer|optim|opt", "choice", ["sgd", "adam"]),
    (r"activation|act", "choice", ["relu", "tanh"]),
)
"""What people search, where a script says nothing but the name."""
_SCALES: Final = re.compile(
    r"(?<![a-z])(lr|rate|decay|alpha|l1|l2|lambda|reg|eps|epsilon)(?![a-z])"
)


def proposed(parameter: Parameter) -> tuple[Range, str]:
    """Return a range in NNI's format, and a remark of what it is made of."""
    if parameter.choices or parameter.kind is bool or parameter.default is not None:
        return _of_what_it_says(parameter)
    for pattern, kind, value in _BY_NAME:
        if re.search(rf"(^|_)({pattern})(_|$)", parameter.name.lower()):
            return _range(kind, value), "by its name"
    kind, value = ("randint", [1, 10]) if parameter.kind is int else ("uniform", [0, 1])
    return _range(kind, value), "no default: set the bounds"


def _of_what_it_says(parameter: Parameter) -> tuple[Range, str]:
    default = parameter.default
    if parameter.choices:
        return _range("choice", list(parameter.choices)), "its choices"
    if parameter.kind is bool or isinstance(default, bool):
        return _range("choice", [True, False]), "on or off"
    if isinstance(default, (int, float)):
        is_whole = parameter.kind is not float and isinstance(default, int)
        kind, value = (
            _around_whole(default) if is_whole else _around(parameter.name, float(default))
        )
        return _range(kind, value), f"default {default}"
    return _range("choice", [default]), "its default; add others"


def _range(kind: str, value: list[Any]) -> Range:
    return {"_type": kind, "_value": value}


def _around_whole(default: Any) -> tuple[str, list[Any]]:
    default = int(default)
    if default >= 4 and default & (default - 1) == 0:
        return "choice", [default // 2, default, default * 2]
    if default <= 1:
        return "choice", sorted({default, 1, 2})
    return "randint", [max(1, default // 2), default * 2 + 1]


def _around(name: str, default: float) -> tuple[str, list[Any]]:
    if default > 0 and (default < 0.1 or _SCALES.search(name.lower().replace("_", " "))):
        return "loguniform", [_rounded(default / 10), _rounded(default * 10)]
    if 0 <= default <= 1:
        return "uniform", [0.0, 1.0]
    return "uniform", sorted((_rounded(default / 2), _rounded(default * 2)))


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
