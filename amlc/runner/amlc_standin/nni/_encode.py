"""What JSON cannot hold, in the form NNI gives it in a metric."""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def encode(value: "Any") -> "Any":
    """Return a JSON form of `value`; a `default` for json.dumps. Raises TypeError without one."""
    numpy = sys.modules.get("numpy")  # without it there cannot be one of its values
    if numpy is not None and isinstance(value, numpy.ndarray):
        return _encode_array(value)
    if isinstance(value, complex):
        return {"__complex__": [value.real, value.imag]}
    if isinstance(value, set):
        return {"__set__": _sorted_if_possible(value)}
    if hasattr(value, "__fspath__"):
        return {"__pathlib__": str(value)}
    if hasattr(value, "item"):
        return _encode_scalar(value)
    number = _encode_number(value) or _encode_time(value)
    if number is None:
        raise TypeError(
            f"cannot report a {type(value).__name__}: report a number, or a dict of numbers"
        )
    return number


def _encode_array(array: "Any") -> "dict[str, Any]":
    encoded = {"__ndarray__": array.tolist(), "dtype": str(array.dtype), "shape": list(array.shape)}
    if array.ndim > 1:
        encoded["Corder"] = array.flags["C_CONTIGUOUS"]
    return encoded


def _encode_scalar(value: "Any") -> "Any":
    item = value.item()
    # numpy.longdouble.item() is a longdouble again.
    return float(item) if type(item) is type(value) else item


def _sorted_if_possible(values: "set[Any]") -> "list[Any]":
    try:
        return sorted(values)
    except TypeError:
        return list(values)


def _encode_time(value: "Any") -> "dict[str, Any] | None":
    datetime = sys.modules.get("datetime")
    if datetime is None:
        return None
    names: tuple[str, ...] = ("days", "seconds", "microseconds")
    if isinstance(value, (datetime.date, datetime.time)):
        names = ("year", "month", "day", "hour", "minute", "second", "microsecond")
    elif not isinstance(value, datetime.timedelta):
        return None
    known = {name: getattr(value, name, 0) for name in names}
    return dict(
        {f"__{type(value).__name__}__": None},
        **{name: number for name, number in known.items() if number},
    )


def _encode_number(value: "Any") -> "dict[str, Any] | None":
    decimal, fractions = sys.modules.get("decimal"), sys.modules.get("fractions")
    if decimal is not None and isinstance(value, decimal.Decimal):
        return {"__decimal__": str(value)}
    if fractions is not None and isinstance(value, fractions.Fraction):
        return {
            "__fraction__": True,
            "numerator": value.numerator,
            "denominator": value.denominator,
        }
    return None
