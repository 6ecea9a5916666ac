"""Run COUNT trials that each start `true`, CONCURRENCY at a time, with one of the tools that a user might pick instead.

python peer.py NAME COUNT CONCURRENCY, with an interpreter that has the tool; in a folder that may be written to.
"""

from __future__ import annotations

import subprocess
import sys
import time


def hydra(count: int, concurrency: int) -> None:
    """Hydra's multirun; its own launcher runs one trial after the other, joblib's runs them side by side."""
    import hydra

    launcher = ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={concurrency}"]
    sys.argv = ["peer.py", "--multirun", *launcher, f"+number=range(0,{count})"]
    hydra.main(version_base=None)(trial)()


def optuna(count: int, concurrency: int) -> None:
    """Optuna's study in SQLite, as many processes of joblib's as there are trials at a time."""
    import joblib
    import optuna

    storage = "sqlite:///optuna.db"
    optuna.create_study(study_name="bench", storage=storage)
    shares = [len(range(first, count, concurrency)) for first in range(concurrency)]
    joblib.Parallel(n_jobs=concurrency)(joblib.delayed(_optimize)(storage, share) for share in shares)


def _optimize(storage: str, count: int) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    optuna.load_study(study_name="bench", storage=storage).optimize(_objective, n_trials=count)


def _objective(trial_: object) -> float:
    x = trial_.suggest_float("x", 0, 1)  # type: ignore[attr-defined]
    trial(None)
    return x


def submitit(count: int, concurrency: int) -> None:
    """submitit's local executor, which starts a process for each trial at once, so that its user has to count."""
    import submitit

    executor = submitit.LocalExecutor("submitit")
    waiting: list[object] = []
    for _ in range(count):
        waiting.append(executor.submit(trial, None))
        while len(waiting) == concurrency:
            waiting = [job for job in waiting if not job.done()]
            time.sleep(0.005)
    for job in waiting:
        job.result()


def nni(count: int, concurrency: int) -> None:
    """NNI's local mode."""
    from nni.experiment import Experiment

    experiment = Experiment("local")
    config = experiment.config
    config.trial_command, config.trial_code_directory = "true", "."
    config.search_space = {"x": {"_type": "uniform", "_value": [0, 1]}}
    config.tuner.name = "Random"
    config.max_trial_number, config.trial_concurrency = count, concurrency
    try:
        assert experiment.run(_free_port())
    finally:
        experiment.stop()


def trial(_: object) -> None:
    subprocess.run(["true"], check=True)


def _free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


PEERS = {"hydra": hydra, "nni": nni, "optuna": optuna, "submitit": submitit}

if __name__ == "__main__":
    PEERS[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3]))
