"""What trial scripts use beside reporting; each answer is a report, as text."""

import datetime as dt
import decimal
import fractions
import io
import os
import pathlib

import nni
from nni.trial import get_trial_id
from nni.utils import MetricType, OptimizeMode, extract_scalar_history, extract_scalar_reward

nni.get_next_parameter()


def tell(value):
    nni.report_intermediate_result(repr(value))


tell((get_trial_id(), OptimizeMode("maximize").name, OptimizeMode.Minimize.value, MetricType.FINAL))
tell((extract_scalar_reward(1), extract_scalar_reward({"default": 0.5}), extract_scalar_reward({"a": True}, "a")))
tell(extract_scalar_history([1, {"default": 2}]))
for wrong in ("text", None, {"other": 1}, {"default": "1"}, [1]):
    try:
        tell(extract_scalar_reward(wrong))
    except RuntimeError as error:
        tell(type(error))
for error in (nni.NoMoreTrialError(), nni.NoMoreTrialError("over")):
    tell((str(error), error.errorinfo, isinstance(error, Exception)))

VALUES = [
    {"a": [1, 2.5, None, True, "x", float("inf")]},
    1 + 2j,
    {1, 2},
    pathlib.Path("/a/b"),
    decimal.Decimal("1.50"),
    fractions.Fraction(1, 3),
    dt.datetime(2020, 1, 2, 3, 4, 0, 6),  # noqa: DTZ001
    dt.date(2020, 1, 2),
    dt.time(3, 0, 5),
    dt.timedelta(days=1, microseconds=2),
    (1, (2, 3)),
]
for value in VALUES:
    text = nni.dump(value)
    tell((text, nni.load(text)))
    nni.report_intermediate_result({"default": value})
tell(nni.dump({"b": 1, "a": [1]}, indent=2, sort_keys=True))
nni.dump({"x": 1}, fp="dumped.json")
with open("dumped.json") as file:
    tell((nni.load(fp=file), nni.load(fp="dumped.json")))
os.remove("dumped.json")
buffer = io.StringIO()
nni.dump([1], fp=buffer)
tell(buffer.getvalue())
for wrong in (nni.load, lambda: nni.load(io.StringIO("1"))):
    try:
        tell(wrong())
    except (AssertionError, TypeError) as error:
        tell(type(error))


@nni.trace
class Net:
    """A net."""

    def __init__(self, width, depth=2):
        self.size = width * depth


@nni.trace(kw_only=True)
class Wide:
    def __init__(self, *, width):
        self.width = width


net, wide = Net(3, depth=4), Wide(width=5)
tell((net.size, dict(net.trace_kwargs), list(net.trace_args), net.trace_symbol.__name__, Net.__name__, Net.__doc__))
tell((wide.width, dict(wide.trace_kwargs), isinstance(wide, Wide)))
nni.report_final_result(1)
