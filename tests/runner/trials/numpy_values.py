"""Values as numpy gives them."""

import warnings

import nni
import numpy as np

warnings.simplefilter("ignore")
nni.get_next_parameters()
for value in (
    np.float32(0.1),
    np.float64(0.1),
    np.float16(0.1),
    np.int64(3),
    np.bool_(True),
    np.str_("x"),
    np.complex64(1 + 2j),
    {"default": np.float32(0.25), "n": np.int8(4)},
    np.array(3.5),
    np.array([1, 2]),
    np.array([[1.5, np.nan]]),
    np.zeros((3, 2), order="F"),
    np.zeros((2, 0)),
    np.array(["a", "bc"]),
    np.array([1 + 2j]),
):
    nni.report_intermediate_result(value)
nni.report_final_result(np.float64("inf"))
