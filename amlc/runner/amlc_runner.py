"""Run the trials of one job, record their metrics, and say how each of them ended.

Run as `python3 amlc_runner.py` in the job's working directory, which holds the trial code, this
file, its parts in `amlc_runner_lib/`, and `amlc_standin/`. Needs Python 3.6 or later, its standard
library, and POSIX. It imports nothing of amlc and nothing imports it; it writes no bytecode.

In: environment variables. Each AMLC_ value is JSON in UTF-8.
  AMLC_EXPERIMENT         string, the experiment's name
  AMLC_COMMAND            string, the trial command, run by `/bin/sh -c`
  AMLC_INPUT_<name>, AMLC_OUTPUT_<name>
                          text as it is, not JSON: a value, or where data lies; put, quoted, into
                          the command in place of `${{inputs.<name>}}` and `${{outputs.<name>}}`. An
                          output is a directory, and of several trials each has one of its id in it
  AMLC_TRIAL_0, _1, ...   object {"id": string, "sequence": integer, "parameters": object,
                          "replicate": integer >= 0, optional, default 0, "bare": string, optional:
                          the parameter whose value the trial receives in place of the whole
                          object}; Linux bounds one variable, so a long text goes on in
                          AMLC_TRIAL_0_1, AMLC_TRIAL_0_2, ...
  AZUREML_SWEEP_amlc_trial or AMLC_SWEEP_INDEX
                          number, optional: which of these trials this job runs, from 0, all others
                          being run by other children of a sweep; the first of them that is a number
                          counts, however that is written, and in whatever case the name is
  AMLC_SPACE              object, optional, where there is no AMLC_TRIAL_0; a long text goes on in
                          AMLC_SPACE_1, ...: how the trial is made of what a sweep drew, as
                          {"namespace": string, "first": integer, the sequence of the sweep's first
                          trial, "axes": [{"name": the sweep's parameter, "key": its place: names
                          and, behind each nested choice, the option's index; and of a choice
                          "options", "labels" (without them, their indexes), "nested"; of an integer
                          "low" and "high", of a number "a", "b", "normal", "log" and "q", and of
                          both "how": "draw", "value" (after exp), "quantile", "number" (its whole
                          part) or "offset" (from low)}]}
  AZUREML_SWEEP_<name> or AMLC_LATENT_<name>
                          what the sweep drew as the parameter of that name, in whatever case the
                          name is; the first that can be read counts, however it is written
  AMLC_TRIAL_SECONDS      integer >= 1, optional: how long each trial may take, from its own start
  AMLC_GPUS_PER_TRIAL     integer, optional. Absent: CUDA_VISIBLE_DEVICES is left alone. 0: it is
                          set to nothing. n: each trial gets n of the GPUs in CUDA_VISIBLE_DEVICES
                          or, without it, of `nvidia-smi -L`
  AMLC_TRIALS_PER_GPU     integer, optional, default 1: how many trials may share a GPU
  AMLC_GPU_SHARES         object {GPU's name or index: integer >= 1}, optional: these GPUs and no
                          others, with room for so many trials each, whatever CUDA_VISIBLE_DEVICES,
                          nvidia-smi and AMLC_TRIALS_PER_GPU say
  AMLC_CONCURRENCY        integer >= 1, optional: at most so many trials side by side on the GPUs
  AMLC_WORKDIR            string, optional: the directory that every trial runs in, instead of the
                          job's or a copy of it; bytes that are not UTF-8 as the low surrogates that
                          Python has for them
  RANK and WORLD_SIZE, OMPI_COMM_WORLD_RANK and _SIZE, TF_CONFIG,
  AZUREML_CR_NODE_RANK and AZUREML_NODE_COUNT
                          optional: which of many processes, perhaps on several machines, this is
                          that run the same trials. The first of them records; the others run the
                          trials and record nothing, but that one of them did not end well
  AMLC_OUTPUT_ROOT        string, optional: the directory for the trials' own output (shared
                          storage)
  MLFLOW_TRACKING_URI, MLFLOW_TRACKING_TOKEN or AZUREML_RUN_TOKEN, MLFLOW_RUN_ID or AZUREML_RUN_ID
                          optional: parameters and metrics go to this MLflow run too, as far as it
                          answers, and at the end a text in the tags amlc.results, amlc.results.1,
                          ..., which tells its metrics apart: an object {trial id: {"final": [value]
                          or [], "step": the final result's step or null, "names": its metrics,
                          "integers": those of them that are, "whole": whether MLflow holds all of
                          its reports as they were}}, of trials that reported; no tag when none did,
                          and null where it would be too much.
                          In a sweep, at its beginning, the tag amlc.trial: the id of its trial;
                          and of one that the sweep drew, in amlc.drawn, amlc.drawn.1, ..., the text
                          of {"id", "sequence", "parameters"}.
                          With it, as the last of all that is sent, the tag amlc.end: an object
                          {"exit_code": the runner's, "at": epoch seconds}; no tag when it was told
                          to stop or could not write a result.json, or when no trial began. A run
                          that ended earlier than `at` was ended by a trial, not with its job. On
                          Azure ML the token is renewed before it ends, by what
                          MLFLOW_EXPERIMENT_NAME or _ID say. Of several trials each has a child
                          run beside that, with its parameters, metrics and end, for people alone

What a trial sees: NNI's variables (NNI_PLATFORM=aml, REUSE_MODE=true, NNI_SYS_DIR, NNI_OUTPUT_DIR,
  NNI_EXP_ID, NNI_TRIAL_JOB_ID, NNI_TRIAL_SEQ_ID, NNI_CODE_DIR), `amlc_standin` on PYTHONPATH,
  AMLC_REPLICATE (its number in decimal) and no other variable that begins with AMLC_, no
  MULTI_PHASE, no NNI_TRIAL_COMMAND_CHANNEL; everything else as the job has it. stdin is empty;
  stdout and stderr are pipes to the runner.
  It runs in a process group of its own, in the runner's session; what is left of it when the shell
  ends is ended too.
  A trial that is to end gets SIGTERM, and SIGKILL after 5 s, with its whole group.
  Without AMLC_WORKDIR the only trial of a job runs in the job's directory, and several trials each
  run in a fresh copy of it, in which `outputs` is the job's own. They run side by side as far as
  the GPUs allow, and one after the other without GPUs.

Out: stdout carries the trials' stdout byte for byte, stderr their stderr, between lines that begin
  with `amlc: `. Metrics are told from stdout only: a line that NNI would not take is said and left
  out, and so are a sequence outside 0 .. 2^63-1 and a value that is nested deeper than 100 or too
  long. In outputs/amlc/<id>/:
  parameter.cfg, .nni/    what NNI's trial library reads (this directory is NNI_SYS_DIR)
  nnioutput/              NNI_OUTPUT_DIR (with AMLC_OUTPUT_ROOT: <root>/<id>/nnioutput)
  metrics.jsonl           {"type": "intermediate" | "final", "sequence": n, "value": v, "at": epoch
                          seconds} a line, complete after each record
  log.txt                 of several trials of a job: what this one printed to stdout and stderr, as
                          it came, the first 64 MiB of it; shorter where it could not be written
  result.json             {"trial", "end", "exit_code", "signal", "started", "ended",
                          "intermediate", "final", "error"}, written in one step at the end of each
                          trial, however it ends, and if it never began; what an earlier life of the
                          job left there is removed first.
                          exit_code is 128 + n for signal n, null when nothing ran or nobody saw its
                          end. error is null or a sentence.
                          end is one of
    exited                the shell ended by itself; exit_code says how. Unless that is 0, error is
                          the last line that the trial printed to stderr, or else the exit code or
                          the signal in words
    time_limit            the runner ended it after AMLC_TRIAL_SECONDS
    terminated            the runner was told to end while it ran, or before it began
    lost                  the machine's fault: it could not be started, a metric could not be
                          recorded, its process does not die, the runner failed, or a part of it
                          could not be read
    refused               it can never run like this: wrong input, fewer GPUs than it needs
  rank-<rank>.json        the same, by another process than the first, for a trial that it did not
                          end well. Its parameter.cfg, .nni/, nnioutput/ and metrics lie in a folder
                          of its own, which is removed

Exit code: 143 after SIGTERM, SIGINT or SIGHUP, which end all trials; 2 when the input is wrong.
With one trial that trial's exit code, or 1 in place of 0 if it is not `exited`; with several, 0 if
all are `exited` with 0 and 1 otherwise. Never 0 when a result.json could not be written: whoever
finds none takes the trial for unfinished.
"""

import os
import sys

TYPE_CHECKING = False  # importing typing would cost more than all that is imported here
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.machinery import ModuleSpec
    from types import ModuleType
else:
    ModuleSpec = type(sys.__spec__)  # without importlib, which costs as much as four of the parts

PARTS = "amlc_runner_lib"
# What comes of a part that is missing, unreadable, or cut off or zeros since a disk was full.
DAMAGE = (ImportError, OSError, SyntaxError, ValueError, MemoryError)


class Parts:
    """Import the runner's parts, and nothing else, from the folder of the user's that they lie in.

    They are all read at the start, since a trial may do away with its folder, and each is compiled
    when it is needed. No bytecode is written: the folder may be read-only, or shared by jobs that
    run now.
    """

    def __init__(self, folder: str) -> None:
        self._sources: dict[str, tuple[str, bytes]] = {}
        for file_name in os.listdir(folder):
            if file_name.endswith(".py"):
                path = os.path.join(folder, file_name)
                name = PARTS if file_name == "__init__.py" else f"{PARTS}.{file_name[:-3]}"
                with open(path, "rb") as file:
                    self._sources[name] = path, file.read()

    def find_spec(
        self, name: str, path: object = None, target: object = None
    ) -> "ModuleSpec | None":
        """Return where a part comes from; None for every other module."""
        if name not in self._sources:
            return None
        spec = ModuleSpec(name, self, origin=self._sources[name][0], is_package=name == PARTS)  # type: ignore[arg-type]
        spec.has_location = True
        return spec

    def create_module(self, spec: ModuleSpec) -> "ModuleType | None":
        """Return None: an ordinary module will do."""
        return None

    def exec_module(self, module: "ModuleType") -> None:
        """Run a part."""
        path, source = self._sources[module.__name__]
        exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - as every loader does


def without_foreign_folders(
    path: "list[str]", script: str, environ: "Mapping[str, str]"
) -> "list[str]":
    """Return `path` without the folders of the user.

    Their queue.py or types.py must not pass for the library's.
    """
    library = os.path.dirname(os.path.abspath(os.__file__))
    foreign = {os.getcwd(), os.path.dirname(os.path.abspath(script))}
    foreign.update(
        os.path.abspath(entry) for entry in environ.get("PYTHONPATH", "").split(os.pathsep)
    )
    return [
        entry
        for entry in path
        if entry.startswith(library) or os.path.abspath(entry) not in foreign
    ]


def lose_trials(environ: "Mapping[bytes, bytes]", why: str) -> None:
    """Write for each trial that the machine lost it, as `results` would. Raises OSError."""
    import json

    nothing = {
        "exit_code": None,
        "signal": None,
        "started": None,
        "ended": None,
        "intermediate": 0,
        "final": 0,
    }
    for text in texts_of_this_job(environ):
        trial = json.loads(text.decode("utf-8"))["id"]
        path = os.path.join("outputs", "amlc", trial, "result.json")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".part", "w") as file:
            file.write(json.dumps(dict(nothing, trial=trial, end="lost", error=why)) + "\n")
        os.replace(path + ".part", path)


def texts_of_this_job(environ: "Mapping[bytes, bytes]") -> "list[bytes]":
    """Return the JSON of the trials that this job runs: of a sweep's one, or none if nobody says.

    As `amlc_runner_lib.sweep` has it, which may be the part that cannot be read.
    """
    texts = list(trial_texts(environ))
    names = (b"azureml_sweep_amlc_trial", b"amlc_sweep_index")
    folded = {name.lower(): value for name, value in environ.items()}
    found = [folded[name] for name in names if name in folded]
    for value in found:
        try:
            return texts[int(float(value)) :][:1]
        except (ValueError, OverflowError):
            continue
    return [] if found else texts


def trial_texts(environ: "Mapping[bytes, bytes]") -> "Iterator[bytes]":
    """Yield the JSON of each trial, joined from its continuations."""
    count = 0
    while b"AMLC_TRIAL_%d" % count in environ:
        name, text, part = b"AMLC_TRIAL_%d" % count, environ[b"AMLC_TRIAL_%d" % count], 1
        while name + b"_%d" % part in environ:
            text += environ[name + b"_%d" % part]
            part += 1
        yield text
        count += 1


if __name__ == "__main__":
    sys.path[:] = without_foreign_folders(sys.path, __file__, os.environ)
    try:
        parts = os.path.join(os.path.dirname(os.path.abspath(__file__)), PARTS)
        sys.meta_path.insert(0, Parts(parts))
        from amlc_runner_lib.main import main
    except DAMAGE as damage:
        lose_trials(os.environb, f"a part of the runner could not be read: {damage!r}")
        raise
    code = main()
    if sys.stderr:  # there is none where it was closed
        sys.stderr.flush()
    # Not sys.exit: to take the interpreter apart costs a tenth of all this, and nothing is left to
    # do.
    os._exit(code)
