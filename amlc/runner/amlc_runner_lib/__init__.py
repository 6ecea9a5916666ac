"""The parts of the runner, a module each.

`amlc_runner.py`, beside this folder, says what they do together.
main: the whole of it, down to the exit code. job: what the environment asks for. loop: runs the
trials; process: one of them, as long as it runs; fork: starts it where Python is old; workdir: what
it finds; copies: where it runs, if there are several; bindings: its command, with the job's inputs
and outputs. ranks: which process of a distributed trial this is. slots, gpus: which trials may run
side by side. streams: output, the runner's own and what it passes on. metric_log, metrics,
last_words: what is told from a trial's output. results: how each trial ended. tracking, mlflow,
run_token: what a server is told of it. signals: that the runner has to stop.

The folder that they lie in is the user's. So it is never on the runner's path, where a `queue.py`
would pass for the library's: `amlc_runner.py` imports the parts itself. It reads all of them before
it does anything else, since a trial may remove what it finds. No bytecode is written, since jobs
may share the folder, so each part costs its compilation, half a millisecond to two: one that not
every trial needs before it starts (mlflow, metrics, gpus, copies, bindings) is imported where it is
needed. Types stand in quotes, and only mypy imports `typing`.
"""
