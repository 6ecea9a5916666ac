"""What amlc takes, beside the floor of the machine and beside other tools: `python -m tests.bench`, or `make bench`."""
