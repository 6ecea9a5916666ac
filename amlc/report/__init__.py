"""Writing results out.

Tables as CSV, JSON and Parquet, and the picture of an experiment as one HTML page.
"""
