"""Crashes after two intermediate results."""

import nni

nni.get_next_parameter()
nni.report_intermediate_result(0.1)
nni.report_intermediate_result(0.2)
raise RuntimeError("out of memory")
