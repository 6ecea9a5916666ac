"""The ways a job can end, and what each of its trials is then: the same on every back end, alone and in a pack."""

HANG = 'touch "$GATE"\nwhile :; do sleep 60; done'
KILL_RUNNER = """
pid=$$
until tr '\\0' ' ' < "/proc/$pid/cmdline" | grep -q -e amlc_runner.py -e fork_server.py; do
    read -r line < "/proc/$pid/stat"
    set -- ${line##*) }
    pid=$2
done
kill -9 "$pid"
sleep 60
"""
# More of a metric than fits into a file of this size; everything else that the runner writes does.
SMALL_FILES = {"job": {"command": "ulimit -f 2; exec python3 amlc_runner.py"}}

SCRIPTS = {
    "succeeds": "",
    "fails": "echo 'KeyError: lr' >&2; exit 3",
    "exceeds its time": "sleep 60",
    "is lost": r"""final "\\\"$(head -c 3000 /dev/zero | tr '\0' x)\\\"" """,
    "loses its runner": KILL_RUNNER,
    "is preempted": HANG,
    "exceeds the job's time": HANG,
    "is canceled": HANG,
    "has no python": "",
    "is described wrongly": "",
}
"""What the second trial of a pack, or the only one of a job, does; the others end well."""

KEYS = {
    "exceeds its time": {"maxTrialDuration": "1s"},
    "is lost": {"amlc": SMALL_FILES},
    "exceeds the job's time": {"amlc": {"job": {"limits": {"timeout": 2}}}},
    "has no python": {"amlc": {"job": {"command": "no-such-python amlc_runner.py"}}},
    "is described wrongly": {"amlc": {"job": {"command": "exec env -u AMLC_COMMAND python3 amlc_runner.py"}}},
}
"""What the experiment says for it."""

S, F, E, U, C = "succeeded", "failed", "early_stopped", "unfinished", "canceled"
ALONE = {
    "succeeds": S, "fails": F, "exceeds its time": E, "is lost": U, "loses its runner": U, "is preempted": U,
    "exceeds the job's time": E, "is canceled": C, "has no python": F, "is described wrongly": F,
}  # fmt: skip
PACKED = {
    "succeeds": [S, S, S],
    "fails": [S, F, S],
    "exceeds its time": [S, E, S],
    "is lost": [S, U, S],
    "loses its runner": [S, U, U],
    "is preempted": [S, U, U],
    "exceeds the job's time": [S, U, U],
    "is canceled": [S, C, C],
    "has no python": [F, F, F],
    "is described wrongly": [F, F, F],
}
ERRORS = {"fails": "KeyError: lr", "exceeds its time": "time limit", "exceeds the job's time": "time limit"}
"""A part of what is said of that trial."""


def experiment(ending, *, packed):
    """Return (the script of all trials, the other keys of the experiment)."""
    keys = KEYS.get(ending, {})
    amlc = {"retries": 0, "trialsPerJob": 3 if packed else 1, **keys.get("amlc", {})}
    values = range(3) if packed else range(1, 2)
    own = f'case $(cat "$NNI_SYS_DIR/parameter.cfg") in *\'"x": 1\'*) {SCRIPTS[ending] or ":"}\n;; esac\nfinal 1.5'
    return own, {**keys, "values": values, "amlc": amlc}


def expected(ending, *, packed):
    return PACKED[ending] if packed else [ALONE[ending]]
