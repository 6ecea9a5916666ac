import nni
