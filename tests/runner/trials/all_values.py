"""Every kind of value, as an intermediate and as a final result, alone and in a mapping with `default`."""

import nni
import numpy as np

nni.get_next_parameter()
VALUES = [
    *(0, -1, 2**62, 0.5, -0.0, 1e-320, float("nan"), float("inf"), float("-inf"), True, False, None),
    *("", "text", "it's", "\u00e9\u4e2d", [], [1, [2, {"a": None}]], {}, {"loss": 1}, (1, 2)),
    *(np.int8(1), np.int64(-3), np.uint64(2**63), np.float16(0.5), np.float32(0.1), np.float64(0.1), np.bool_(True)),
    *(np.array([1, 2]), np.array([[1.5, np.nan]]), np.array(5), np.array(["a", "b"]), np.array([], dtype=np.float32)),
    *(np.array([True]), np.asfortranarray([[1, 2], [3, 4]]), np.str_("s"), [np.float32(0.1), {"x": np.array([1])}]),
]
for value in VALUES:
    nni.report_intermediate_result(value)
    nni.report_intermediate_result({"default": value, "other": 1})
    nni.report_final_result(value)
for value in (b"bytes", [b"bytes"], {b"k": 1}, {"default": b""}):  # of other objects NNI reports a pickle
    try:
        nni.report_intermediate_result(value)
        nni.report_intermediate_result("taken")
    except TypeError as error:
        nni.report_intermediate_result(type(error).__name__)
