"""NNI's `dump`, `load` and `trace` for trial scripts: JSON, with NNI's forms of other values."""

import json

from ._decode import decode
from ._encode import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def dump(
    obj: "Any",
    fp: "Any" = None,
    *,
    use_trace: bool = True,
    pickle_size_limit: int = 4096,
    allow_nan: bool = True,
    **options: "Any",
) -> str:
    """Return the JSON text of a value, and write it to a file, if one is given by name or open.

    options: those of json.dumps. Raises TypeError for what has no form in JSON; NNI itself would
    pickle it.
    """
    text = json.dumps(obj, default=encode, allow_nan=allow_nan, **options)
    if fp is not None:
        if hasattr(fp, "write"):
            fp.write(text)
        else:
            with open(fp, "w", encoding="utf-8") as file:
                file.write(text)
    return text


def load(string: "str | None" = None, *, fp: "Any" = None, **options: "Any") -> "Any":
    """Return the value of a JSON text, or of a file by name or open."""
    if string is None and fp is None:
        raise AssertionError(
            "nni.load needs a string or a file: nni.load(text) or nni.load(fp=file)"
        )
    if string is not None and hasattr(string, "read"):
        raise TypeError("nni.load takes a text first, and a file by name: nni.load(fp=file)")
    if string is None:
        if hasattr(fp, "read"):
            string = fp.read()
        else:
            with open(fp, encoding="utf-8") as file:
                string = file.read()
    return json.loads(string, object_hook=decode)


def trace(cls_or_func: "Any" = None, *, kw_only: bool = True, inheritable: bool = False) -> "Any":
    """Make a class whose objects remember how they were made.

    That is in `trace_symbol`, `trace_args` and `trace_kwargs`. To be used with or without
    arguments. A function is returned as it is.
    """
    if cls_or_func is None:
        return lambda found: trace(found, kw_only=kw_only, inheritable=inheritable)
    return _traced(cls_or_func) if isinstance(cls_or_func, type) else cls_or_func


def _traced(base: type) -> type:
    import inspect

    def __init__(self: "Any", *args: "Any", **kwargs: "Any") -> None:  # noqa: N807 - it becomes that of the class
        names = [name for name in inspect.signature(base.__init__).parameters if name != "self"]  # type: ignore[misc]
        self.trace_symbol = base
        self.trace_args = []
        self.trace_kwargs = dict(zip(names, args), **kwargs)
        base.__init__(self, *args, **kwargs)  # type: ignore[misc]

    own = {"__init__": __init__, "__module__": base.__module__, "__doc__": base.__doc__}
    found = type(base.__name__, (base,), own)
    found.__qualname__ = base.__qualname__
    return found
