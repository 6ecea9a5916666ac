"""The parts of the runner, a module each; `amlc_runner.py`, beside this folder, says what they do together.

main: the whole of it, down to the exit code. job: what the environment asks for. loop: runs the trials; process: one of
them, as long as it runs; fork: starts it where Python is old; workdir: what it finds; copies: where it runs, if there
are several. slots, gpus: which trials may run side by side. streams: output, the runner's own and what it passes on.
metric_log, metrics, last_words: what is told from a trial's output. results: how each trial ended. tracking, mlflow:
what a server is told of it. signals: that the runner has to stop.

A part that not every trial needs before it starts is imported where it is needed.
"""
