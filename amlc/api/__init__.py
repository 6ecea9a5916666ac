"""amlc for Python programs and notebooks: see docs/api.md."""

from amlc.api.experiment import Build, Experiment, Report
from amlc.api.results import Results, Row
from amlc.api.settings import ExperimentConfig, Section

load = Experiment.load

__all__ = ["Build", "Experiment", "ExperimentConfig", "Report", "Results", "Row", "Section", "load"]
