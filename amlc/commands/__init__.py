"""The verbs, one a file: keyword arguments in, exit code out."""
