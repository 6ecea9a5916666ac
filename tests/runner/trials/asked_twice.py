"""Asks for parameters a second time, gets none, and may not report any more."""

import nni

PARAMETERS = {"lr": 1, "name": 'it\'s "#1" // \\" # a'}

assert nni.get_current_parameter() is None
assert nni.get_next_parameter() == PARAMETERS
nni.report_intermediate_result(1)
assert nni.get_next_parameter() is None
assert nni.get_current_parameter() is None
nni.report_final_result(2)
