import nni

params = nni.get_next_parameter()
nni.report_final_result(params["lr"])
