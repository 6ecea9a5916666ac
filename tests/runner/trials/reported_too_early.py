"""Reports before it asked for its parameters."""

import nni

nni.report_intermediate_result(1)
