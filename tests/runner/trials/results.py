"""A usual trial: parameters, scalar and dict intermediates, a dict as the final result."""

import nni
from nni.utils import merge_parameter

args = merge_parameter({"lr": 0.1, "layers": 2, "name": None}, nni.get_next_parameter())
assert nni.get_current_parameter("lr") == args["lr"]
assert nni.get_current_parameter() == {"lr": 1, "name": 'it\'s "#1" // \\" # a'}
assert (nni.get_experiment_id(), nni.get_trial_id(), nni.get_sequence_id()) == ("it's an ex", "0123456789abcdef", 7)
for epoch in range(3):
    nni.report_intermediate_result(args["lr"] / (epoch + 1))
nni.report_intermediate_result({"default": 0.5, "it's": 1, "\u00e9\u4e2d": [1, None, True, "x'"]})
nni.report_final_result({"default": 0.75, "acc": 1})
nni.report_final_result(float(args["layers"]))
