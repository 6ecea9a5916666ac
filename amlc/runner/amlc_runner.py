"""Run the trials of one job, record their metrics, and say how each of them ended.

Run as `python3 amlc_runner.py` in the job's working directory, which holds the trial code, this file and
`amlc_standin/`. Needs Python 3.6 or later, its standard library, and POSIX. It imports nothing of amlc and nothing
imports it.

In: environment variables. Each AMLC_ value is JSON in UTF-8.
  AMLC_EXPERIMENT         string, the experiment's name
  AMLC_COMMAND            string, the trial command, run by `/bin/sh -c`
  AMLC_TRIAL_0, _1, ...   object {"id": string, "sequence": integer, "parameters": object, "replicate": integer >= 0,
                          optional, default 0}; Linux bounds one variable, so a long text goes on in AMLC_TRIAL_0_1,
                          AMLC_TRIAL_0_2, ...
  AMLC_TRIAL_SECONDS      integer >= 1, optional: how long each trial may take, from its own start
  AMLC_GPUS_PER_TRIAL     integer, optional. Absent: CUDA_VISIBLE_DEVICES is left alone. 0: it is set to nothing.
                          n: each trial gets n of the GPUs in CUDA_VISIBLE_DEVICES or, without it, of `nvidia-smi -L`
  AMLC_TRIALS_PER_GPU     integer, optional, default 1: how many trials may share a GPU
  AMLC_GPU_SHARES         object {GPU's name or index: integer >= 1}, optional: these GPUs and no others, with room for
                          so many trials each, whatever CUDA_VISIBLE_DEVICES, nvidia-smi and AMLC_TRIALS_PER_GPU say
  AMLC_CONCURRENCY        integer >= 1, optional: at most so many trials side by side on the GPUs
  AMLC_OUTPUT_ROOT        string, optional: the directory for the trials' own output (shared storage)
  MLFLOW_TRACKING_URI, MLFLOW_TRACKING_TOKEN or AZUREML_RUN_TOKEN, MLFLOW_RUN_ID or AZUREML_RUN_ID
                          optional: parameters and metrics go to this MLflow run too, as far as it answers, and at the
                          end the tag amlc.results, which tells its metrics apart: an object {trial id: {"final": [value]
                          or [], "step": the final result's step or null, "names": its metrics, "integers": those of them
                          that are, "whole": whether MLflow holds all of its reports as they were}}, of trials that
                          reported; no tag when it would be too long

What a trial sees: NNI's variables (NNI_PLATFORM=aml, REUSE_MODE=true, NNI_SYS_DIR, NNI_OUTPUT_DIR, NNI_EXP_ID,
  NNI_TRIAL_JOB_ID, NNI_TRIAL_SEQ_ID, NNI_CODE_DIR), `amlc_standin` on PYTHONPATH, AMLC_REPLICATE (its number in decimal)
  and no other variable that begins with AMLC_, no MULTI_PHASE, no NNI_TRIAL_COMMAND_CHANNEL; everything else as the job
  has it. stdin is empty; stdout and stderr are pipes to the runner.
  It runs in a process group of its own, in the runner's session; what is left of it when the shell ends is ended too.
  A trial that is to end gets SIGTERM, and SIGKILL after 5 s, with its whole group.
  The only trial of a job runs in the job's directory. Several trials each run in a fresh copy of it, in which `outputs`
  is the job's own; they run side by side as far as the GPUs allow, and one after the other without GPUs.

Out: stdout carries the trials' stdout byte for byte, stderr their stderr, between lines that begin with `amlc: `.
  Metrics are told from stdout only: a line that NNI would not take is said and left out, and so are a sequence outside
  0 .. 2^63-1 and a value that is nested deeper than 100 or too long. In outputs/amlc/<id>/:
  parameter.cfg, .nni/    what NNI's trial library reads (this directory is NNI_SYS_DIR)
  nnioutput/              NNI_OUTPUT_DIR (with AMLC_OUTPUT_ROOT: <root>/<id>/nnioutput)
  metrics.jsonl           {"type": "intermediate" | "final", "sequence": n, "value": v, "at": epoch seconds} a line,
                          complete after each record
  result.json             {"trial", "end", "exit_code", "signal", "started", "ended", "intermediate", "final", "error"},
                          written in one step at the end of each trial, however it ends, and if it never began; what
                          an earlier life of the job left there is removed first.
                          exit_code is 128 + n for signal n, null when nothing ran or nobody saw its end. error is null
                          or a sentence.
                          end is one of
    exited                the shell ended by itself; exit_code says how. Unless that is 0, error is the last line that
                          the trial printed to stderr, or else the exit code or the signal in words
    time_limit            the runner ended it after AMLC_TRIAL_SECONDS
    terminated            the runner was told to end while it ran, or before it began
    lost                  the machine's fault: it could not be started, a metric could not be recorded, its process does
                          not die, the runner failed
    refused               it can never run like this: wrong input, fewer GPUs than it needs

Exit code: 143 after SIGTERM, SIGINT or SIGHUP, which end all trials; 2 when the input is wrong. With one trial that
trial's exit code, or 1 in place of 0 if it is not `exited`; with several, 0 if all are `exited` with 0 and 1 otherwise.
Never 0 when a result.json could not be written: whoever finds none takes the trial for unfinished.
"""

import os
import sys


def _without_foreign_folders(path, script, environ):
    """Return `path` without the folders of the user, whose queue.py or types.py must not pass for the library's."""
    library = os.path.dirname(os.path.abspath(os.__file__))
    foreign = {os.getcwd(), os.path.dirname(os.path.abspath(script))}
    foreign.update(os.path.abspath(entry) for entry in environ.get("PYTHONPATH", "").split(os.pathsep))
    return [entry for entry in path if entry.startswith(library) or os.path.abspath(entry) not in foreign]


if __name__ == "__main__":
    sys.path[:] = _without_foreign_folders(sys.path, __file__, os.environ)

# A trial may be over in milliseconds: what is slow to import (subprocess, urllib, ...) comes where it is needed.
import collections
import json
import re
import select
import signal
import time

MARKER = b"NNISDK_MEb'"
KEPT_OF_A_LINE = 1 << 20  # bytes, more than METRIC_LENGTH
READ_SIZE = 1 << 16  # what a pipe holds
DRAIN_LIMIT = 1 << 21  # bytes; a process that left the group may write for ever
ECHO_SIZE = 4096  # PIPE_BUF: after poll() says so, a write of this size does not block
ECHO_LIMIT = 1 << 20  # bytes kept for a reader that is behind
NOTES_PER_TRIAL = 10
METRIC_LENGTH = 1000000  # bytes; NNI refuses a metric that is not shorter. As recorded it is four times that at most
DEEPEST_METRIC = 100  # json itself gives up at a thousand or so, somewhere else in each version
LARGEST_SEQUENCE = (1 << 63) - 1  # what databases hold, MLflow's too
LONGEST_INTEGER = 4300  # digits; later versions of Python refuse to read more
KEPT_OF_STDERR = 1 << 16  # bytes; some progress bars go on after the error
LAST_WORDS_LENGTH = 300  # characters

STOP_GRACE_S = 5.0  # Azure ML allows more, but not always
LEFTOVER_GRACE_S = 1.0
KILL_WAIT_S = 2.0
LONGEST_TRIAL_S = 10**9  # 30 years; integers beyond what a clock or poll() takes mean no more
TICK_S = 0.02
LONGEST_WAIT_S = 3600.0
SAY_WAIT_S = 1.0
ECHO_CLOSE_WHEN_STOPPED_S = 1.0
RESULT_WAIT_S = 1.0
NVIDIA_SMI_TIMEOUT_S = 30

TRACKING_TIMEOUT_S = 5
TRACKING_PAUSE_S = 1.0
TRACKING_LONGEST_PAUSE_S = 60.0
TRACKING_CLOSE_S = 9.0
TRACKING_CLOSE_WHEN_STOPPED_S = 2.0
TRACKING_QUEUE = 100000
BATCH_LIMITS = {"params": 100, "metrics": 250, "tags": 100}  # a request; MLflow's own, and Azure ML's for metrics
METRIC_NAMES = 50  # a run; Azure ML's limit
RESULTS_TAG = "amlc.results"
TAG_LENGTH = 1000  # Azure ML's limit
PARAM_LENGTH = 500
KEY_LENGTH = 250

IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)

EXITED, TIME_LIMIT, TERMINATED = "exited", "time_limit", "terminated"
LOST, REFUSED = "lost", "refused"

EXIT_INPUT = 2
EXIT_STOPPED = 143


class InputError(ValueError):
    """What the runner was given is wrong; the text is one line for the user."""


def say(text):
    """Write one line to stderr, whatever the locale; nobody listening is no reason to fail, nor to wait for long."""
    line = "amlc: {}".format(" ".join(str(text).split())).encode("utf-8", "backslashreplace")
    poller = select.poll()
    poller.register(2, select.POLLOUT)
    try:
        if poller.poll(SAY_WAIT_S * 1000):
            os.write(2, line[: ECHO_SIZE - 1] + b"\n")
    except OSError:
        pass


# --- What to run -----------------------------------------------------------------------------------------------------

Job = collections.namedtuple(
    "Job", "experiment command trials trial_seconds concurrency gpus_per_trial trials_per_gpu gpu_shares output_root"
)


class Trial:
    """One trial: what to run, which never changes, and what became of it, filled in as it happens."""

    def __init__(self, identifier, sequence, parameters, replicate):
        self.id = identifier
        self.sequence = sequence
        self.parameters = parameters
        self.replicate = replicate
        self.home = os.path.join(os.getcwd(), "outputs", "amlc", identifier)
        self.started = self.ended = self.exit_code = self.signal = None
        self.counts = {"intermediate": 0, "final": 0}
        self.loss = None  # why a metric of it could not be recorded
        self.end = self.error = None
        self.is_saved = False  # result.json is written

    @property
    def has_succeeded(self):
        return self.end == EXITED and self.exit_code == 0


def decode_json(name, raw, kind, wanted):
    """Return the JSON value of variable `name`; `wanted` names `kind` in the message."""
    try:
        value = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} is not JSON in UTF-8: {error}") from error
    if not isinstance(value, kind) or isinstance(value, bool):
        raise InputError("{} must be {}, found {}".format(name, wanted, raw[:80].decode("utf-8", "replace")))
    return value


def read_value(environ, name, kind, wanted):
    raw = environ.get(name.encode())
    if raw is None:
        raise InputError(f"the environment variable {name} is missing")
    return decode_json(name, raw, kind, wanted)


def read_count(environ, name, least, default):
    if name.encode() not in environ:
        return default
    count = read_value(environ, name, int, "an integer")
    if count < least:
        raise InputError(f"{name} must be at least {least}, found {count}")
    return count


def is_count(value, least):
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def read_trials(environ):
    """Return the trials in AMLC_TRIAL_0, AMLC_TRIAL_1, ..., each joined from its continuations."""
    texts, used = [], 0
    while f"AMLC_TRIAL_{len(texts)}".encode() in environ:
        name = f"AMLC_TRIAL_{len(texts)}".encode()
        parts = [environ[name]]
        while name + b"_%d" % len(parts) in environ:
            parts.append(environ[name + b"_%d" % len(parts)])
        used += len(parts)
        texts.append(b"".join(parts))
    if not texts:
        raise InputError("the environment variable AMLC_TRIAL_0 is missing")
    if used != sum(re.match(rb"AMLC_TRIAL_\d", name) is not None for name in environ):
        raise InputError("the AMLC_TRIAL_ variables are not numbered without a gap")
    trials = [_read_trial(f"AMLC_TRIAL_{i}", text) for i, text in enumerate(texts)]
    if len({trial.id for trial in trials}) != len(trials):
        raise InputError("two AMLC_TRIAL_ variables have the same id")
    return trials


def _read_trial(name, text):
    record = decode_json(name, text, dict, "an object")
    identifier, sequence = record.get("id"), record.get("sequence")
    if not isinstance(identifier, str) or not re.match(r"[0-9A-Za-z][0-9A-Za-z_-]{0,127}\Z", identifier):
        raise InputError(f"{name} needs an id of letters and digits, found {identifier!r:.80}")
    if not isinstance(sequence, int) or isinstance(sequence, bool):
        raise InputError(f"{name} needs an integer sequence, found {sequence!r:.80}")
    if not isinstance(record.get("parameters"), dict):
        raise InputError(f"{name} needs an object of parameters")
    replicate = record.get("replicate", 0)
    if not is_count(replicate, 0):
        raise InputError(f"{name} needs a replicate of at least 0, found {replicate!r:.80}")
    return Trial(identifier, sequence, record["parameters"], replicate)


def read_job(environ, trials):
    return Job(
        experiment=_as_bytes("AMLC_EXPERIMENT", read_value(environ, "AMLC_EXPERIMENT", str, "a string")),
        command=_as_bytes("AMLC_COMMAND", read_value(environ, "AMLC_COMMAND", str, "a string")),
        trials=trials,
        trial_seconds=read_count(environ, "AMLC_TRIAL_SECONDS", 1, None),
        concurrency=read_count(environ, "AMLC_CONCURRENCY", 1, None),
        gpus_per_trial=read_count(environ, "AMLC_GPUS_PER_TRIAL", 0, None),
        trials_per_gpu=read_count(environ, "AMLC_TRIALS_PER_GPU", 1, 1),
        gpu_shares=_read_gpu_shares(environ),
        output_root=_read_output_root(environ),
    )


def _as_bytes(name, text):
    # Not os.fsencode: Python 3.6 in the C locale knows only ASCII.
    try:
        raw = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"{name} holds half of a surrogate pair") from error
    if b"\0" in raw:
        raise InputError(f"{name} holds a null character")
    return raw


def _read_gpu_shares(environ):
    if b"AMLC_GPU_SHARES" not in environ:
        return None
    shares = read_value(environ, "AMLC_GPU_SHARES", dict, "an object")
    for gpu, room in shares.items():
        if not re.match(r"[0-9A-Za-z][0-9A-Za-z_./:-]*\Z", gpu) or not is_count(room, 1):
            raise InputError(f"AMLC_GPU_SHARES must give GPUs integers of at least 1, found {gpu!r:.80}: {room!r:.80}")
    return shares


def _read_output_root(environ):
    if b"AMLC_OUTPUT_ROOT" not in environ:
        return None
    root = read_value(environ, "AMLC_OUTPUT_ROOT", str, "a string")
    return os.path.abspath(os.fsdecode(_as_bytes("AMLC_OUTPUT_ROOT", root)))


# --- What became of it -----------------------------------------------------------------------------------------------


def forget_earlier_life(trial):
    """Remove what says how the trial ended when the job ran before: a job may be killed and started again."""
    for name in ("result.json", "metrics.jsonl"):
        try:
            os.remove(os.path.join(trial.home, name))
        except OSError:
            pass  # it is not there; or else the new one cannot be written either, which the exit code tells


def close_trial(trial, end, error):
    """Settle how the trial ended, once, and write it down."""
    if trial.end is not None:
        return
    trial.end, trial.error = end, error and printable(error)
    try:
        write_result(trial)
    except OSError as problem:
        say(f"trial {trial.id}: cannot write its result.json: {problem}")


def write_result(trial):
    """Write the trial's result.json in one step."""
    record = {
        "trial": trial.id,
        "end": trial.end,
        "exit_code": trial.exit_code,
        "signal": trial.signal,
        "started": trial.started,
        "ended": trial.ended,
        "intermediate": trial.counts["intermediate"],
        "final": trial.counts["final"],
        "error": trial.error,
    }
    path = os.path.join(trial.home, "result.json")
    os.makedirs(trial.home, exist_ok=True)
    with open(path + ".part", "w") as file:
        file.write(json.dumps(record) + "\n")
    os.replace(path + ".part", path)
    trial.is_saved = True


def write_missing_results(trials):
    """Try for a moment to write what could not be written before; return whether all results are there."""
    last = time.monotonic() + RESULT_WAIT_S
    while True:
        for trial in trials:
            try:
                if not trial.is_saved:
                    write_result(trial)
            except OSError:
                pass
        if all(trial.is_saved for trial in trials) or time.monotonic() > last:
            return all(trial.is_saved for trial in trials)
        time.sleep(RESULT_WAIT_S / 10)


def exit_code_of(trials):
    codes = [0 if trial.has_succeeded else trial.exit_code or 1 for trial in trials]
    return codes[0] if len(codes) == 1 else int(any(codes))


# --- The last words of a trial ---------------------------------------------------------------------------------------

# CSI and OSC sequences (ECMA-48), and the short ones. Compiled where needed: most trials end well.
ESCAPE = r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]"
PROGRESS = r"\d ?%|\d ?/ ?\d|[\u2588\u2501]"


def printable(text):
    """Return `text` as one line without escape sequences, control characters and halves of surrogate pairs."""
    kept = (character for character in re.sub(ESCAPE, "", text) if character.isprintable() or character.isspace())
    return " ".join("".join(kept).split())


class LastWords:
    """Keep the end of a trial's stderr, in bounded memory, and find there what it died of."""

    def __init__(self):
        self._tail = bytearray()

    def feed(self, data):
        self._tail += data
        if len(self._tail) > 2 * KEPT_OF_STDERR:
            del self._tail[:-KEPT_OF_STDERR]

    def find(self):
        """Return the last line that says something, or "": progress bars, which are drawn over and over, do not."""
        *lines, unended = re.sub(r"\r+\n", "\n", self._tail.decode("utf-8", "replace")).split("\n")
        last_bar = ""
        for line, has_ended in [(unended, False)] + [(line, True) for line in reversed(lines)]:
            drawn = [words for words in map(printable, line.split("\r")) if words]
            if not drawn:
                continue
            if "\r" not in line or (has_ended and not re.search(PROGRESS, drawn[-1])):
                return drawn[-1][:LAST_WORDS_LENGTH]
            last_bar = last_bar or drawn[-1][:LAST_WORDS_LENGTH]
        return last_bar


def how_it_exited(trial, last_words):
    """Return the error of a trial that ended by itself, or None."""
    if trial.signal:
        return f"killed by {trial.signal}; its last words: {last_words}" if last_words else f"killed by {trial.signal}"
    if trial.exit_code:
        return last_words or f"exit code {trial.exit_code}"
    return None


# --- Metrics ---------------------------------------------------------------------------------------------------------


class Lines:
    """Cut a stream of bytes into metric payloads, by NNI's rule and in bounded memory.

    NNI's rule: `NNISDK_MEb'` anywhere in a line, then all up to the last character of the line, which is `'`.
    A carriage return ends a line too, as in NNI's expression, so a progress bar does not grow without end.
    """

    def __init__(self):
        self._rest = bytearray()

    def feed(self, data):
        """Return the payloads of the lines that `data` completes."""
        cut = max(data.rfind(b"\n"), data.rfind(b"\r"))
        if cut < 0:
            self._rest += data
            if len(self._rest) > 2 * KEPT_OF_A_LINE:
                self._shorten()
            return []
        whole = bytes(self._rest) + data[:cut]
        self._rest = bytearray(data[cut + 1 :])
        return _payloads(whole)

    def _shorten(self):
        # A metric can only be at the end; of one that is too long the beginning stays, so that it is refused.
        has_begun = MARKER in self._rest
        del self._rest[:-KEPT_OF_A_LINE]
        if has_begun and MARKER not in self._rest:
            self._rest[:0] = MARKER

    def close(self):
        """Return the payloads of a last line without an end."""
        whole, self._rest = bytes(self._rest), bytearray()
        return _payloads(whole)


def _payloads(text):
    if MARKER not in text:
        return []
    found = []
    for line in text.replace(b"\r", b"\n").split(b"\n"):
        start = line.find(MARKER) + len(MARKER)
        if MARKER in line and len(line) > start and line.endswith(b"'"):
            found.append(line[start:-1])
    return found


def decode_metrics(payload):
    """Yield (type, sequence, value) for each metric of a payload, or a ValueError for one that cannot be read.

    Two processes of one trial may write into the same line; then each part is a metric of its own.
    """
    parts = [payload]
    if MARKER in payload:
        parts = [part[:-1] if part.endswith(b"'") else part for part in (payload + b"'").split(MARKER)]
    for part in parts:
        try:
            metric = _decode_metric(part)
        except (ValueError, RecursionError) as error:
            yield ValueError("{} in {}".format(error, part[:120].decode("utf-8", "replace")))
            continue
        if metric:
            yield metric


def _decode_metric(payload):
    if len(payload) >= METRIC_LENGTH:
        raise ValueError("too long")
    message = decode_bounded(payload.decode("utf-8"))
    if not isinstance(message, dict):
        raise ValueError("not an object")  # noqa: TRY004
    if message.get("type") == "REQUEST_PARAMETER":
        return None
    kind = {"PERIODICAL": "intermediate", "FINAL": "final"}.get(str(message.get("type")))
    sequence = message.get("sequence")
    if kind is None or "value" not in message or not is_count(sequence, 0) or sequence > LARGEST_SEQUENCE:
        raise ValueError("not a metric")
    value = message["value"]
    value = decode_bounded(value) if isinstance(value, str) else value
    if depth_of(value) > DEEPEST_METRIC:
        raise ValueError("too deep")
    return kind, sequence, value


def _read_integer(digits):
    if len(digits) > LONGEST_INTEGER:
        raise ValueError("a number too long")
    return int(digits)


decode_bounded = json.JSONDecoder(parse_int=_read_integer).decode


def depth_of(value):
    """Return how deep the lists and objects of a JSON value are nested."""
    depth, level = 0, [value]
    while True:
        level = [item for item in level if isinstance(item, (list, dict))]
        if not level:
            return depth
        depth += 1
        level = [child for item in level for child in (item.values() if isinstance(item, dict) else item)]


class MetricLog:
    """Record the metrics in a trial's stdout: metrics.jsonl first, MLflow if there is one."""

    def __init__(self, trial, tracker):
        self._trial = trial
        self._tracker = tracker
        self._lines = Lines()
        self._notes = 0
        self._size = 0  # bytes of whole lines
        self._path = os.path.join(trial.home, "metrics.jsonl")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(self._path, flags, 0o666)

    def feed(self, data):
        for payload in self._lines.feed(data):
            self._take(payload)

    def close(self):
        for payload in self._lines.close():
            self._take(payload)
        if self._size and not os.path.exists(self._path):
            self._lose("the trial removed metrics.jsonl")
        try:
            os.close(self._file)
        except OSError as error:  # network file systems tell it only now
            self._lose(error)

    def _take(self, payload):
        for metric in decode_metrics(payload):
            if isinstance(metric, ValueError):
                self._note(f"ignored a bad metric line: {metric}")
            else:
                self._record(*metric)

    def _record(self, kind, sequence, value):
        now = time.time()
        record = {"type": kind, "sequence": sequence, "value": value, "at": now}
        line = (json.dumps(record) + "\n").encode()
        try:
            write_all(self._file, line)
        except OSError as error:
            self._remove_what_is_not_whole()
            self._lose(error)
            return
        self._size += len(line)
        self._trial.counts[kind] += 1
        if self._tracker:
            self._tracker.log_metric(self._trial, kind, sequence, value, now)

    def _remove_what_is_not_whole(self):
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            pass

    def _lose(self, reason):
        text = f"a metric could not be recorded: {reason}"
        self._trial.loss = self._trial.loss or text
        self._note(text)

    def _note(self, text):
        self._notes += 1
        if self._notes <= NOTES_PER_TRIAL:
            last = " (more of these are not shown)" if self._notes == NOTES_PER_TRIAL else ""
            say(f"trial {self._trial.id}: {text}{last}")


def write_all(fd, data):
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


# --- MLflow ----------------------------------------------------------------------------------------------------------


def make_tracker(environ, *, is_prefixed):
    """Return the Tracker the environment asks for, or None."""
    uri = environ.get("MLFLOW_TRACKING_URI", "")
    run_id = environ.get("MLFLOW_RUN_ID") or environ.get("AZUREML_RUN_ID")
    token = environ.get("MLFLOW_TRACKING_TOKEN") or environ.get("AZUREML_RUN_TOKEN")
    if uri.startswith("azureml://"):
        uri = "https://" + uri[len("azureml://") :]
    if not run_id or not uri.startswith(("http://", "https://")):
        return None
    url = uri.split("?")[0].rstrip("/") + "/api/2.0/mlflow/runs/log-batch"
    return Tracker(url, token, run_id, is_prefixed=is_prefixed)


class Tracker:
    """Send parameters and metrics to an MLflow run from a thread of its own; nothing here ever fails or delays a trial.

    When the server is slower than the trial the oldest entries are dropped: the last ones tell the result.
    """

    def __init__(self, url, token, run_id, *, is_prefixed):
        import threading

        self._url, self._token, self._run_id = url, token, run_id
        self._is_prefixed = is_prefixed
        self._queues = {kind: collections.deque(maxlen=TRACKING_QUEUE) for kind in BATCH_LIMITS}
        self._has_news = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._is_started = False
        self._next_step = {}
        self._metric_keys = set()
        self._results = {}
        self._is_off = False
        self._has_complained = False

    def log_parameters(self, trial):
        try:
            leaves = [
                (name, value if isinstance(value, str) else json.dumps(value))
                for name, value in flatten(trial.parameters)
            ]
        except RecursionError:
            return
        for name, text in leaves:
            self._add("params", {"key": self._key(trial, name), "value": text[:PARAM_LENGTH]})

    def log_metric(self, trial, kind, sequence, value, now):
        # MLflow shows the value with the highest step as the last one: that has to be the final result.
        step = self._next_step.get(trial.id, 0) if kind == "final" else sequence
        self._next_step[trial.id] = min(max(self._next_step.get(trial.id, 0), step + 1), LARGEST_SEQUENCE)
        nothing = {"final": [], "step": None, "names": [], "integers": [], "whole": True}
        result = self._results.setdefault(trial.id, nothing)
        reported = value if isinstance(value, dict) else {"default": value}
        names = []
        for name, number in numbers_in(value):
            key = self._key(trial, name)
            if key not in self._metric_keys and len(self._metric_keys) == METRIC_NAMES:
                continue
            self._metric_keys.add(key)
            self._add("metrics", {"key": key, "value": number, "timestamp": int(now * 1000), "step": step})
            names.append(key[len(trial.id) + 1 :] if self._is_prefixed else key)
            if not self._note_number(result, names[-1], reported[name]):
                result["whole"] = False
        if names != list(reported):
            result["whole"] = False
        if kind == "final":
            result["final"], result["step"] = [value], step

    def _note_number(self, result, name, number):
        """Note the name of a metric; return whether its numbers can be told from the floats that MLflow makes of them."""
        is_integer = isinstance(number, int)
        if name not in result["names"]:
            result["names"].append(name)
            if is_integer:
                result["integers"].append(name)
        return is_integer == (name in result["integers"]) and number == float(number)

    def close(self, timeout_s):
        """Send what is left, for at most `timeout_s`."""
        try:
            text = json.dumps(self._results, separators=(",", ":"))
        except RecursionError:
            text = ""
        if 0 < len(text) <= TAG_LENGTH:
            self._add("tags", {"key": RESULTS_TAG, "value": text})
        self._closing.set()
        self._has_news.set()
        if self._is_started:
            self._thread.join(timeout_s)

    def _key(self, trial, name):
        key = f"{trial.id}/{name}" if self._is_prefixed else name
        key = re.sub(r"[^A-Za-z0-9_./ -]", "_", key)
        # MLflow refuses names that are not plain relative paths.
        parts = key.split("/")
        if "" in parts or "." in parts or ".." in parts or key.startswith(".."):
            key = key.replace("/", "_").replace("..", "__") or "_"
        return key[:KEY_LENGTH] if key != "." else "_"

    def _add(self, kind, entry):
        if self._is_off:
            return
        self._queues[kind].append(entry)  # append and popleft are atomic
        self._has_news.set()
        if not self._is_started:
            try:
                self._thread.start()  # only now: the first trial does not wait for it
                self._is_started = True
            except RuntimeError:  # the container allows no more threads
                self._complain("no thread for it")
                self._is_off = True

    def _work(self):
        try:
            while not self._is_off:
                self._has_news.wait()
                self._has_news.clear()  # before the look at _closing, or the news of that could get lost
                is_last = self._closing.wait(TRACKING_PAUSE_S)  # a moment for more of the same batch
                for kind, limit in BATCH_LIMITS.items():
                    self._send_queue(kind, limit)
                if is_last:
                    return
        except Exception as error:  # noqa: BLE001 - tracking never fails a trial, whatever is wrong with it
            self._complain(f"{type(error).__name__}; it is off from here on")
            self._is_off = True

    def _send_queue(self, kind, limit):
        # Apart, because MLflow refuses a whole batch for one bad entry.
        queue = self._queues[kind]
        while queue and not self._is_off:
            batch = [queue.popleft() for _ in range(min(limit, len(queue)))]
            self._send({"run_id": self._run_id, kind: batch})

    def _send(self, batch):
        body = json.dumps(batch, allow_nan=False).encode()
        pause_s = TRACKING_PAUSE_S
        while True:
            problem = self._post(body)
            if not problem:
                return
            self._complain(problem)
            if problem in ("HTTP 401", "HTTP 403", "HTTP 404") or self._closing.is_set():
                self._is_off = True
                return
            if problem.startswith("HTTP 4") and problem not in ("HTTP 408", "HTTP 429"):
                return
            self._closing.wait(pause_s)
            pause_s = min(2 * pause_s, TRACKING_LONGEST_PAUSE_S)

    def _post(self, body):
        """Return None, or what went wrong in words that cannot contain the token or the address."""
        import http.client
        import urllib.error
        import urllib.request

        request = urllib.request.Request(self._url, data=body, headers={"Content-Type": "application/json"})
        if self._token:
            # Unredirected: a redirect must not carry the token to another host.
            request.add_unredirected_header("Authorization", "Bearer " + self._token)
        try:
            with urllib.request.urlopen(request, timeout=TRACKING_TIMEOUT_S) as answer:
                answer.read(READ_SIZE)
        except urllib.error.HTTPError as error:
            error.close()
            return f"HTTP {error.code}"
        except (OSError, ValueError, http.client.HTTPException) as error:
            return type(getattr(error, "reason", error)).__name__
        return None

    def _complain(self, problem):
        if not self._has_complained:
            say(f"MLflow tracking: {problem}; the trial is not affected")
        self._has_complained = True


def flatten(parameters, prefix=""):
    """Yield (dotted name, value) for the leaves of nested parameters."""
    for name, value in parameters.items():
        if isinstance(value, dict) and value:
            yield from flatten(value, prefix + name + ".")
        else:
            yield prefix + name, value


def numbers_in(value):
    """Yield (name, float) for what MLflow can hold of a metric: finite numbers."""
    for name, number in value.items() if isinstance(value, dict) else [("default", value)]:
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            continue
        try:
            number = float(number)
        except OverflowError:
            continue
        if number - number == 0.0:  # false for NaN and the infinities
            yield name, number


# --- GPUs ------------------------------------------------------------------------------------------------------------

# What a running trial holds: the value for CUDA_VISIBLE_DEVICES (None: leave it alone) and the GPUs to give back.
Slot = collections.namedtuple("Slot", "visible gpus")


class OneAtATime:
    """The slots of a job whose trials are not given GPUs: there is one."""

    def __init__(self, visible):
        self._slots = [Slot(visible, ())]

    def take(self):
        return self._slots.pop() if self._slots else None

    def give_back(self, slot):
        self._slots.append(slot)


class Gpus:
    """The slots of a job whose trials need `per_trial` GPUs each; `room` says for how many trials each GPU has room."""

    def __init__(self, room, per_trial):
        self._room = room
        self._load = dict.fromkeys(room, 0)
        self._per_trial = per_trial

    def take(self):
        """Return a Slot with the least loaded GPUs, or None as long as there are not enough."""
        free = [name for name, room in self._room.items() if self._load[name] < room]
        chosen = sorted(free, key=self._load.get)[: self._per_trial]
        if len(chosen) < self._per_trial:
            return None
        for name in chosen:
            self._load[name] += 1
        return Slot(",".join(chosen), chosen)

    def give_back(self, slot):
        for name in slot.gpus:
            self._load[name] -= 1


def make_slots(job, environ):
    """Return what trials have to wait for. Raises LookupError if no trial can ever have its GPUs."""
    wanted = job.gpus_per_trial
    if wanted is None:
        return OneAtATime(None)
    if wanted == 0:
        return OneAtATime("")
    room = job.gpu_shares
    if room is None:
        room = dict.fromkeys(visible_gpus(environ.get("CUDA_VISIBLE_DEVICES")), job.trials_per_gpu)
        if not room:
            say(f"no GPU found ({wanted} per trial wanted): trials run one at a time, CUDA_VISIBLE_DEVICES stays")
            return OneAtATime(None)
    if len(room) < wanted:
        offered = "this machine offers" if job.gpu_shares is None else "AMLC_GPU_SHARES offers"
        raise LookupError(f"a trial needs {wanted} GPUs, {offered} {len(room)}")
    return Gpus(room, wanted)


def visible_gpus(visible):
    if visible is None:
        return list_gpus()
    names = []
    for name in (part.strip() for part in visible.split(",")):
        if name in ("", "-1", "none", "void", "NoDevFiles"):
            break  # CUDA too stops at the first entry that is not a device
        if name not in names:
            names.append(name)
    return names


def list_gpus():
    """Return the indices that `nvidia-smi -L` lists; none if it is missing or fails."""
    import subprocess

    try:
        done = subprocess.run(
            ["nvidia-smi", "-L"],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=NVIDIA_SMI_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [name.decode() for name in re.findall(rb"(?m)^GPU (\d+):", done.stdout)]


# --- The working directory and the environment of a trial ------------------------------------------------------------

# Azure ML's own folders, and what amlc put there.
NOT_COPIED = {"outputs", "user_logs", "system_logs", "azureml-logs", "azureml-setup", "amlc_runner.py", "amlc_standin"}


def copy_folder(source, target, skip=frozenset()):
    """Copy a tree. Relative links to outside it become absolute; pipes and sockets are left out."""
    import shutil

    os.makedirs(target, exist_ok=True)
    for entry in os.scandir(source):
        if entry.name in skip:
            continue
        copy = os.path.join(target, entry.name)
        if entry.is_symlink():
            os.symlink(_link_target(entry.path), copy)
        elif entry.is_dir():
            copy_folder(entry.path, copy)
        elif entry.is_file():
            shutil.copy2(entry.path, copy)


def _link_target(path):
    target = os.readlink(path)
    root = os.getcwd() + os.sep
    end = os.path.normpath(os.path.join(os.path.dirname(path), target))
    return target if os.path.isabs(target) or end.startswith(root) else end


def make_work_folder():
    """Return a fresh copy of the job's directory, whose `outputs` is the job's own."""
    import tempfile

    folder = tempfile.mkdtemp(prefix="amlc-")
    try:
        copy_folder(os.getcwd(), folder, NOT_COPIED)
        os.makedirs("outputs", exist_ok=True)
        os.symlink(os.path.abspath("outputs"), os.path.join(folder, "outputs"))
    except OSError:
        remove_folder(folder)
        raise
    return folder


def remove_folder(folder):
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def prepare_home(trial, output_root):
    """Lay out the trial's directory as NNI's trial library expects it; return NNI_OUTPUT_DIR."""
    output = os.path.join(output_root, trial.id) if output_root else trial.home
    output = os.path.join(output, "nnioutput")
    os.makedirs(output, exist_ok=True)
    os.makedirs(os.path.join(trial.home, ".nni"), exist_ok=True)
    record = {
        "parameter_id": trial.sequence,
        "parameter_source": "algorithm",
        "parameters": trial.parameters,
        "parameter_index": 0,
    }
    # NNI 2.6 and later strip comments (# and //), sometimes from strings. JSON has these characters in strings only.
    text = json.dumps(record).replace("#", "\\u0023").replace("/", "\\u002f")
    with open(os.path.join(trial.home, "parameter.cfg"), "w") as file:
        file.write(text)
    return output


def trial_environment(environ, job, trial, *, output, folder, visible):
    """Return the trial's environment; bytes, because the user's names and values are."""
    dropped = (b"MULTI_PHASE", b"NNI_TRIAL_COMMAND_CHANNEL")
    env = {name: value for name, value in environ.items() if not name.startswith(b"AMLC_") and name not in dropped}
    env.update(
        {
            b"NNI_PLATFORM": b"aml",
            b"REUSE_MODE": b"true",
            b"NNI_SYS_DIR": os.fsencode(trial.home),
            b"NNI_OUTPUT_DIR": os.fsencode(output),
            b"NNI_EXP_ID": job.experiment,
            b"NNI_TRIAL_JOB_ID": trial.id.encode(),
            b"NNI_TRIAL_SEQ_ID": str(trial.sequence).encode(),
            b"NNI_CODE_DIR": os.fsencode(folder),
            b"AMLC_REPLICATE": str(trial.replicate).encode(),
        }
    )
    if visible is not None:
        env[b"CUDA_VISIBLE_DEVICES"] = os.fsencode(visible)
    standin = os.path.join(os.path.dirname(os.path.abspath(__file__)), "amlc_standin")
    if os.path.isdir(standin):
        rest = env.get(b"PYTHONPATH")
        env[b"PYTHONPATH"] = os.fsencode(standin) + (os.fsencode(os.pathsep) + rest if rest else b"")
    return env


# --- Running ---------------------------------------------------------------------------------------------------------


class Signals:
    """Note that the runner was told to stop, and make poll() notice that, or a child's end."""

    def __init__(self):
        self.stopped_by = None
        self.wake, write_end = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(write_end, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number == signal.SIGTERM or signal.getsignal(number) != signal.SIG_IGN:  # nohup, or a shell's `&`
                signal.signal(number, self._stop)
        signal.set_wakeup_fd(write_end)

    def clear(self):
        try:
            while os.read(self.wake, 512):
                pass
        except BlockingIOError:
            pass

    def _stop(self, number, frame):
        self.stopped_by = self.stopped_by or signal.Signals(number).name


class Echo:
    """Copy the trials' stdout or stderr (`fd`) to the runner's own, without ever waiting for its reader.

    While the reader is behind, nothing more is read for it, so that the trials wait as they would for a reader of their
    own. Once the runner has to stop, they do not, and what does not fit is dropped: their last metrics matter more.
    A reader that is gone is no reason to fail.
    """

    def __init__(self, fd, signals):
        self.fd = fd
        self._signals = signals
        self._pending = bytearray()

    @property
    def is_behind(self):
        return bool(self._pending)

    @property
    def is_far_behind(self):
        return len(self._pending) >= ECHO_LIMIT

    @property
    def takes_more(self):
        return not self._pending or self._signals.stopped_by

    def write(self, data):
        while self.is_far_behind and self._signals.stopped_by:
            before = len(self._pending)
            self.flush(TICK_S)
            if len(self._pending) == before:
                return
        self._pending += data
        self.flush()

    def flush(self, wait_s=0.0):
        """Write as much as the reader takes without waiting, or what it takes first within `wait_s`."""
        poller = select.poll()
        poller.register(self.fd, select.POLLOUT)
        while self._pending and poller.poll(wait_s * 1000):
            wait_s = 0.0
            try:
                del self._pending[: os.write(self.fd, self._pending[:ECHO_SIZE])]
            except BlockingIOError:
                return
            except OSError:
                self._pending.clear()

    def close(self):
        """Write what is left, however long that takes; not for long if the runner has to stop."""
        last = time.monotonic() + ECHO_CLOSE_WHEN_STOPPED_S
        while self._pending and not (self._signals.stopped_by and time.monotonic() > last):
            self.flush(TICK_S)


class Stream:
    """The pipe from a trial's stdout or stderr: what comes is passed on to `echo`, and shown to `look`."""

    def __init__(self, echo, look):
        self.echo = echo
        self._look = look
        self.fd = None  # the reading end, while there may be more

    def open(self):
        """Return the writing end of a new pipe."""
        self.fd, write_end = os.pipe()
        os.set_blocking(self.fd, False)
        return write_end

    def pass_on(self):
        """Pass on one piece; return its size, 0 at the end."""
        try:
            data = os.read(self.fd, READ_SIZE)
        except BlockingIOError:
            return 1
        self.echo.write(data)
        self._look(data)
        return len(data)

    def drain(self):
        """Read what is there but do not wait for the end: a process outside the group may hold the pipe open."""
        left = DRAIN_LIMIT
        while self.fd is not None and left > 0 and self._has_more():
            size = self.pass_on()
            left -= size or left
        self.close()

    def close(self):
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    def _has_more(self):
        poller = select.poll()  # select() takes no descriptor beyond 1023
        poller.register(self.fd, select.POLLIN)
        return poller.poll(0)


class Process:
    """A running trial: its shell, the shell's process group, and the way to their end."""

    def __init__(self, trial, slot, folder, log, echoes):
        self.trial, self.slot, self.folder, self.log = trial, slot, folder, log
        self.last_words = LastWords()
        self.streams = [Stream(echoes[0], log.feed), Stream(echoes[1], self.last_words.feed)]
        self.pid = None  # of the shell
        self.status = None  # of the shell: exit code, or -n for signal n
        self.limit = None  # when its time is up
        self.deadline = None  # set once the group was asked to end
        self.asked = None  # why the shell was asked to end: TIME_LIMIT or TERMINATED
        self._is_killed = False

    def spawn(self, command, env, cwd, limit_s):
        write_ends = []
        try:
            for stream in self.streams:
                write_ends.append(stream.open())
            self.pid = spawn([b"/bin/sh", b"-c", command], env, cwd, stdout=write_ends[0], stderr=write_ends[1])
        except BaseException:
            for stream in self.streams:
                stream.close()
            raise
        finally:
            for fd in write_ends:
                os.close(fd)
        if limit_s is not None:
            self.limit = time.monotonic() + min(limit_s, LONGEST_TRIAL_S)

    def advance(self, now, stopped_by):
        """Do what is due; return whether it is all over."""
        self._look()
        is_shell_alive = self.status is None
        reason = self._reason_to_end(now, stopped_by)
        if is_shell_alive and not reason:
            return False
        if not is_shell_alive and not self._is_group_alive():
            return True
        if self.deadline is None:
            self._signal(signal.SIGTERM)
            self.asked = reason if is_shell_alive else None
            self.deadline = now + (STOP_GRACE_S if is_shell_alive else LEFTOVER_GRACE_S)
        elif now >= self.deadline:
            if self._is_killed:
                return True
            self._signal(signal.SIGKILL)
            self._is_killed = True
            self.deadline = now + KILL_WAIT_S
        return False

    def patience_s(self, now):
        """Return how long the runner may wait before it looks at this trial, if nothing is heard of it."""
        if self.deadline is not None:
            return TICK_S
        return LONGEST_WAIT_S if self.limit is None else max(0.0, min(self.limit - now, LONGEST_WAIT_S))

    def _reason_to_end(self, now, stopped_by):
        if self.asked:
            return self.asked
        if self.limit is not None and now >= self.limit:
            return TIME_LIMIT
        return TERMINATED if stopped_by else None

    def kill(self):
        """End it at once, for when the runner itself is broken."""
        self._signal(signal.SIGKILL)

    def _look(self):
        if self.status is not None:
            return
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self.status = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

    def _signal(self, number):
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            pass  # gone, or somebody else's by now (sudo)

    def _is_group_alive(self):
        try:
            while os.waitpid(-self.pid, os.WNOHANG)[0]:
                pass  # as process 1 of a container the runner inherits what is left
        except ChildProcessError:
            pass
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return True


def spawn(command, env, cwd, *, stdout, stderr):
    """Start a process in a group of its own, without stdin, and return its id.

    Not subprocess: importing it costs as much as everything else here before the trial runs.
    """
    stdin = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if hasattr(os, "posix_spawn"):  # 3.8
            return _posix_spawn(command, env, cwd, (stdin, stdout, stderr))
        return _fork(command, env, cwd, (stdin, stdout, stderr))
    finally:
        os.close(stdin)


def _posix_spawn(command, env, cwd, streams):
    here = os.getcwd()
    os.chdir(cwd)  # posix_spawn has no cwd, and no other thread of the runner uses a relative path
    try:
        return os.posix_spawn(  # novm: guarded by the caller
            command[0],
            command,
            env,
            file_actions=[(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(streams)],  # novm
            setpgroup=0,
            setsigdef=IGNORED_BY_PYTHON,
        )
    finally:
        os.chdir(here)


def _fork(command, env, cwd, streams):
    failure, failed = os.pipe()
    with open(failure, "rb") as report:
        try:
            pid = os.fork()
            if not pid:
                _become(command, env, cwd, streams, failed)
        finally:
            os.close(failed)
        number = int(report.read() or 0)  # the child's end is closed once the command runs
    if number:
        os.waitpid(pid, 0)
        raise OSError(number, os.strerror(number))
    return pid


def _become(command, env, cwd, streams, failed):
    try:
        os.setpgid(0, 0)  # the parent goes on only after this
        for number, fd in enumerate(streams):
            os.dup2(fd, number)
        for number in IGNORED_BY_PYTHON:
            signal.signal(number, signal.SIG_DFL)
        os.chdir(cwd)
        os.execve(command[0], command, env)
    except OSError as error:
        os.write(failed, b"%d" % error.errno)
    finally:
        os._exit(127)  # whatever it is, it must not go back into the loop


def start(job, trial, slot, tracker, echoes):
    """Start a trial and return its Process. Raises OSError if it cannot be started."""
    output = prepare_home(trial, job.output_root)
    folder = make_work_folder() if len(job.trials) > 1 else None
    cwd = folder or os.getcwd()
    log = None
    try:
        log = MetricLog(trial, tracker)
        process = Process(trial, slot, folder, log, echoes)
        env = trial_environment(os.environb, job, trial, output=output, folder=cwd, visible=slot.visible)
        started = time.time()
        process.spawn(job.command, env, cwd, job.trial_seconds)
    except BaseException:
        if log:
            log.close()
        if folder:
            remove_folder(folder)
        raise
    trial.started = started
    return process


class Runner:
    """The loop: start what fits, pass output on, see to the end of what is over."""

    def __init__(self, job, slots, signals, tracker):
        self._job, self._slots, self._signals, self._tracker = job, slots, signals, tracker
        self._echoes = [Echo(1, signals), Echo(2, signals)]
        self._waiting = collections.deque(job.trials)
        self._running = []

    def run(self):
        while self._running or (self._waiting and not self._signals.stopped_by):
            self._start_what_fits()
            self._pass_on(self._wait())
            # After the reading, which may swallow the news of a child's end, and before the next wait.
            for process in list(self._running):
                if process.advance(time.monotonic(), self._signals.stopped_by):
                    self._finish(process)

    def close(self):
        """Pass on what the readers of the output were too slow for."""
        for echo in self._echoes:
            echo.close()

    def kill_all(self):
        for process in self._running:
            process.kill()

    def _start_what_fits(self):
        while self._waiting and not self._signals.stopped_by and self._has_room():
            slot = self._slots.take()
            if slot is None:
                return
            self._start(self._waiting.popleft(), slot)

    def _has_room(self):
        # What an ended trial leaves unread is kept: with a reader that is stuck that must not grow trial by trial.
        is_bounded = self._job.concurrency is not None and len(self._running) >= self._job.concurrency
        return not is_bounded and not any(echo.is_far_behind for echo in self._echoes)

    def _start(self, trial, slot):
        try:
            process = start(self._job, trial, slot, self._tracker, self._echoes)
        except (OSError, RecursionError) as error:
            self._slots.give_back(slot)
            say(f"trial {trial.id} could not be started: {error}")
            close_trial(trial, LOST, f"could not be started: {error}")
            return
        self._running.append(process)
        if self._tracker:
            self._tracker.log_parameters(trial)

    def _wait(self):
        """Wait until there is something to do; return the descriptors that are ready."""
        behind = [echo for echo in self._echoes if echo.is_behind]
        if not self._running and not behind:
            return set()
        poller = select.poll()
        poller.register(self._signals.wake, select.POLLIN)
        for echo in behind:
            poller.register(echo.fd, select.POLLOUT)
        for stream in self._streams():
            if stream.echo.takes_more:
                poller.register(stream.fd, select.POLLIN)
        now = time.monotonic()
        patience_s = min([process.patience_s(now) for process in self._running] or [LONGEST_WAIT_S])
        return {fd for fd, _ in poller.poll(patience_s * 1000)}

    def _streams(self):
        return [stream for process in self._running for stream in process.streams if stream.fd is not None]

    def _pass_on(self, ready):
        if self._signals.wake in ready:
            self._signals.clear()
        for echo in self._echoes:
            if echo.fd in ready:
                echo.flush()
        # One piece of each, so that none that writes much keeps the others waiting.
        for stream in self._streams():
            if stream.fd in ready and not stream.pass_on():
                stream.close()

    def _finish(self, process):
        for stream in process.streams:
            stream.drain()
        process.log.close()
        trial, code = process.trial, process.status
        trial.ended = time.time()
        if code is not None:
            trial.exit_code = code if code >= 0 else 128 - code
            trial.signal = None if code >= 0 else signal_name(-code)
        close_trial(trial, *self._how_it_ended(process))
        self._running.remove(process)
        self._slots.give_back(process.slot)
        if process.folder:
            remove_folder(process.folder)

    def _how_it_ended(self, process):
        """Return the trial's end and its error."""
        if process.trial.loss:
            return LOST, process.trial.loss
        if process.status is None:
            return LOST, "its process does not die"
        if process.asked == TIME_LIMIT:
            return TIME_LIMIT, "stopped at its time limit (maxTrialDuration)"
        # Who ends the runner may send the same signal to everything there is.
        stopped_by = self._signals.stopped_by
        if process.asked == TERMINATED or (stopped_by and process.trial.signal == stopped_by):
            return TERMINATED, f"terminated: the runner got {stopped_by}"
        return EXITED, how_it_exited(process.trial, process.last_words.find())


def signal_name(number):
    try:
        return signal.Signals(number).name
    except ValueError:  # the real-time signals have no name here
        return f"signal {number}"


def run_job(job, signals):
    """Run all trials and return the exit code; each trial has its end afterwards."""
    try:
        slots = make_slots(job, os.environ)
    except LookupError as error:
        say(error)
        for trial in job.trials:
            close_trial(trial, REFUSED, str(error))
        return 1
    tracker = make_tracker(os.environ, is_prefixed=len(job.trials) > 1)
    runner = Runner(job, slots, signals, tracker)
    try:
        runner.run()
    except BaseException:
        runner.kill_all()
        raise
    for trial in job.trials:
        close_trial(trial, TERMINATED, "terminated before it started")
    if tracker:
        tracker.close(TRACKING_CLOSE_WHEN_STOPPED_S if signals.stopped_by else TRACKING_CLOSE_S)
    runner.close()
    return EXIT_STOPPED if signals.stopped_by else exit_code_of(job.trials)


def open_missing_streams():
    """See that 0, 1 and 2 are taken, so that no file of the runner's becomes somebody's stdout."""
    while True:
        fd = os.open(os.devnull, os.O_RDWR)
        if fd > 2:
            os.close(fd)
            return
        os.set_inheritable(fd, True)


def main():
    """Run the job that the environment describes and return the exit code."""
    open_missing_streams()
    signals = Signals()
    trials = []
    code = run_what_is_asked_for(signals, trials)
    return code if write_missing_results(trials) else code or 1


def run_what_is_asked_for(signals, trials):
    """Fill `trials`, run them and return the exit code; whatever happens, each of them has its end afterwards."""
    try:
        trials.extend(read_trials(os.environb))
        for trial in trials:
            forget_earlier_life(trial)
        return run_job(read_job(os.environb, trials), signals)
    except InputError as error:
        say(f"the job's input is wrong: {error}")
        for trial in trials:
            close_trial(trial, REFUSED, str(error))
        return EXIT_INPUT
    except BaseException as error:  # noqa: BLE001
        for trial in trials:
            close_trial(trial, LOST, f"the runner failed: {error!r}")
        import traceback

        traceback.print_exc()
        say(f"the runner failed: {error!r}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
