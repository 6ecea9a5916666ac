"""What is not a plain number."""

import decimal
import fractions
import pathlib

import nni

nni.get_next_parameter()
for value in (
    float("nan"),
    float("inf"),
    {"default": float("-inf")},
    None,
    True,
    "text",
    [1, (2, 3)],
    {1: 2, None: 3, 1.5: 4},
    1 + 2j,
    {3, 1, 2},
    pathlib.Path("a/b"),
    decimal.Decimal("1.50"),
    fractions.Fraction(1, 3),
    10**30,
    1e-300,
):
    nni.report_intermediate_result(value)
nni.report_final_result(float("nan"))
