"""What NNI's forms of values that JSON does not have stand for; the inverse of `_encode`."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def decode(found: "dict[str, Any]") -> "Any":
    """Return what a mapping stands for; to be used as `object_hook` of json.loads."""
    for key in found:
        if key in _KINDS:
            return _KINDS[key](found)
    return found


def _array(found: "dict[str, Any]") -> "Any":
    import importlib

    np = importlib.import_module("numpy")
    return np.array(
        found["__ndarray__"], dtype=found["dtype"], order="C" if found.get("Corder", True) else "F"
    )


def _path(found: "dict[str, Any]") -> "Any":
    import pathlib

    return pathlib.Path(found["__pathlib__"])


def _decimal(found: "dict[str, Any]") -> "Any":
    import decimal

    return decimal.Decimal(found["__decimal__"])


def _fraction(found: "dict[str, Any]") -> "Any":
    import fractions

    return fractions.Fraction(found["numerator"], found["denominator"])


def _time(found: "dict[str, Any]") -> "Any":
    import datetime as dt

    kind = next(key for key in found if key in _KINDS)
    given = {key: value for key, value in found.items() if key != kind}
    return getattr(dt, kind.strip("_"))(**given)


_KINDS = {
    "__ndarray__": _array,
    "__complex__": lambda found: complex(*found["__complex__"]),
    "__set__": lambda found: set(found["__set__"]),
    "__pathlib__": _path,
    "__decimal__": _decimal,
    "__fraction__": _fraction,
    "__datetime__": _time,
    "__date__": _time,
    "__time__": _time,
    "__timedelta__": _time,
}
