"""Ends without a final result."""

import nni

nni.get_next_parameter()
nni.report_intermediate_result(0.1)
