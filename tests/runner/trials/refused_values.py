"""What cannot be reported or merged, and does not count."""

import argparse

import nni
from nni.utils import merge_parameter

nni.get_next_parameter()
for value in (b"bytes", range(3), {(1, 2): 3}, frozenset([1])):
    try:
        nni.report_intermediate_result(value)
    except TypeError:
        continue
    raise SystemExit(9)
try:
    nni.report_intermediate_result("x" * 1000000)
except AssertionError:
    nni.report_intermediate_result(1)
for base, override in (({"a": 1}, {"b": 1}), ({"a": 1}, {"a": 1.5}), (argparse.Namespace(a="x"), {"a": 1})):
    try:
        merge_parameter(base, override)
    except ValueError:
        continue
    raise SystemExit(9)
merged = merge_parameter(argparse.Namespace(a=1.0, b=None, c=1, d=True), {"a": 2, "b": "x", "c": True, "d": False})
nni.report_final_result(vars(merged))
assert merge_parameter({"a": 1}, None) == {"a": 1}
