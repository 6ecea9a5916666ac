"""The Azure Machine Learning back end: the only place that imports the Azure libraries, and only when it runs."""
