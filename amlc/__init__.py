"""amlc compiles NNI experiment files into Azure Machine Learning jobs, runs them and gathers the metrics."""

__version__ = "0.1.0"
