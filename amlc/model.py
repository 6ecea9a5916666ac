"""The types that flow through amlc: frozen values, from the parsed file to the observed attempt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeAlias

from amlc.errors import Position, Problem, Sentence, Severity
from amlc.light import Unread, light

Parameters: TypeAlias = Mapping[str, Any]
"""What one trial receives from `nni.get_next_parameter()`: JSON values by name, in the order of the
space."""

_compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode

JsonPath: TypeAlias = "tuple[str | int, ...]"


def relocated(path: JsonPath, places: Mapping[JsonPath, JsonPath]) -> JsonPath:
    """Return where a path stands, given where some paths and all that is below them stand."""
    for length in range(len(path), 0, -1):
        if path[:length] in places:
            return places[path[:length]] + path[length:]
    return path


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML or JSON file as read: plain values, and where each of them stands.

    keys, values: the position of each mapping key and of each value, by path from the root.
    remarks: the reader's own warnings, such as a value that YAML 1.1 and 1.2 read differently, and
    errors behind which the rest can be judged: a key that is no text.
    moved: where a path of `data` stands in the file, if elsewhere, or below what. filled: what came
    from elsewhere, as text: by the name of a `${NAME}`, or by the key of a `--set`. variables: of
    that what came by name. meant: paths of today that misspelled keys of an older format stand for.
    """

    file: Path
    data: Any
    keys: Mapping[JsonPath, Position]
    values: Mapping[JsonPath, Position]
    remarks: tuple[Problem, ...] = ()
    moved: Mapping[JsonPath, JsonPath] = field(default_factory=dict)
    filled: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    meant: frozenset[JsonPath] = frozenset()

    def original(self, path: JsonPath) -> JsonPath:
        """Return the path as the file has it."""
        return relocated(path, self.moved)

    def at(self, path: JsonPath, *, key: bool = False) -> Position:
        """Return where `path` stands: its value or, with `key`, its key.

        The nearest parent if it is absent.
        """
        path = self.original(path)
        table = self.keys if key else self.values
        while path not in table and path:
            path, table = path[:-1], self.values
        return table.get(path) or Position(self.file, 1, 1)

    def problem(
        self,
        path: JsonPath,
        code: str,
        message: str | Sentence,
        *,
        key: bool = False,
        severity: Severity = Severity.ERROR,
    ) -> Problem:
        """Return a problem with what stands at `path`: its value or, with `key`, its key."""
        here = self.original(path)
        pointer = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in here)
        where = self.at(path, key=key)
        return Problem.at(where, code, message, path=pointer, severity=severity)


# --- the search space -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Choice:
    """NNI's `choice`.

    With `branches` (one space for each option) it is nested, and the options are the `_name`s.
    """

    name: str
    options: tuple[Any, ...]
    branches: tuple[Space, ...] = ()


@dataclass(frozen=True, slots=True)
class Rows(Choice):
    """Parameters that vary together, `amlc.zip`: a choice of rows, named as its first parameter.

    Each option is a row, a mapping of the same parameters to their values. To a tuner it is one
    choice; a trial receives the parameters.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """Of its parameters."""
        return tuple(self.options[0])


@dataclass(frozen=True, slots=True)
class Integer:
    """NNI's `randint`: a whole number with low <= x < high."""

    name: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Real:
    """The other nine types.

    A uniform or normal draw, perhaps exponentiated (`log`), perhaps rounded to `q`. a, b: low and
    high in the scale of the delivered value, which may be equal; for `normal`, mu and sigma of the
    draw.
    """

    name: str
    a: float
    b: float
    normal: bool = False
    log: bool = False
    q: float | None = None

    @property
    def constant(self) -> bool:
        """Whether its bounds are equal, so that it has one value."""
        return self.a == self.b and not self.normal


Dimension: TypeAlias = "Choice | Integer | Real"
Space: TypeAlias = "tuple[Dimension, ...]"


def parameter_names(space: Space) -> tuple[str, ...]:
    """Return the names of a space's parameters in their order, without those inside a choice."""
    return tuple(
        name
        for dimension in space
        for name in (dimension.names if isinstance(dimension, Rows) else (dimension.name,))
    )


# --- the experiment -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """A tuner or assessor.

    A built-in one by `name` (canonical spelling), or the user's own class. search_space: what a
    class that is a tuner is given, as the file has it, in a format of its own perhaps.
    """

    name: str | None = None
    class_name: str | None = None
    code_directory: Path | None = None
    class_args: Mapping[str, Any] = field(default_factory=dict)
    search_space: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeps:
    """What bounds the jobs of a platform whose trials are run by children, each by itself.

    trials, concurrency: the most of one. least_s: the shortest that one may take. without: what a
    job's file may have, and theirs not.
    """

    trials: int
    concurrency: int
    least_s: int
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPart:
    """What a target has in every job file of an experiment.

    compute: as AML spells it. image: what the jobs run in unless `amlc.environment` says, None
    where none counts. setup: shell text that is run before the trials. outputs: those of the job
    file. mount: where the trials see a storage that keeps what they write, None without one.
    gpus: of a node, None where that is not known. uploads: whether the code goes elsewhere, so that
    NNI's limits of a snapshot hold; if not, trials run in its own folder unless
    `amlc.workingDirectory` says otherwise. sweeps: what bounds those of the platform, None for one
    that has none.
    """

    compute: str = "local"
    image: str | None = None
    setup: str | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict)
    mount: str | None = None
    gpus: int | None = None
    uploads: bool = True
    sweeps: Sweeps | None = None


class Settings(Protocol):
    """What an experiment says to its target.

    A frozen value, of a type that each target has for itself.
    """

    @property
    def platform(self) -> str:
        """The target's name."""

    @property
    def job(self) -> JobPart:
        """Its part of the job files."""

    @property
    def head(self) -> Mapping[str, Any]:
        """Its part of the manifest's header, as JSON: what it takes to run the jobs. No secrets."""

    def common(self, here: str, /) -> str | None:
        """Return a folder that the trials of all jobs see, None without one.

        here: such a one on this machine.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """`amlc.budget`: upper bounds that compile checks before anything is paid for."""

    trials: int | None = None
    node_hours: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A validated experiment file; every default is filled in, every path is absolute.

    inputs: every file that decided the result, the experiment file first. *_seconds: whole seconds;
    None is unlimited. gpus_per_trial: None leaves CUDA_VISIBLE_DEVICES alone. document: what it was
    made of, for messages with a position; None only where nobody asks for one. given: what the file
    leaves open, `Document.filled`. variables: as a Document has them, and those of the service's
    keys, with "" for what the environment had not. abreast: how many trials of a packed job run
    side by side, None: as many as there is room for. job_start: how long a job takes to start, in
    seconds, where that decided how trials are packed. sweep: whether one job, whose children run
    the trials, takes the place of a job for each. sampling: how the platform draws the parameters
    of a sweep's trials by itself, `bayesian` or `random`; None: the tuner does. initial: run first,
    in this order; what one leaves open the tuner chooses. failed_value: what a trial without a
    result counts for: "worst", "ignore" or a number. include_intermediate_results: whether one that
    was stopped counts with its last result. working_directory: where trials run on this machine: in
    `trialCodeDirectory` itself, or in a `copy` of the snapshot. job: deep-merged into every job
    file. environment: `azureml:name:version`, or None for the image.
    """

    name: str
    namespace: str
    source: Path
    inputs: tuple[Path, ...]
    space: Space
    tuner: Algorithm
    assessor: Algorithm | None
    command: str
    code: Path
    concurrency: int
    gpus_per_trial: int | None
    max_trials: int | None
    max_seconds: int | None
    trial_seconds: int | None
    target: Settings
    seed: int
    trials_per_gpu: int = 1
    sweep: bool = False
    sampling: str | None = None
    trials_per_job: int = 1
    abreast: int | None = None
    job_start: int | None = None
    document: Document | None = field(default=None, compare=False, repr=False)
    given: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    # What follows is `amlc:` in the file, key by key: `config/normalise` finds each by its name.
    replicates: int = 1
    constraints: tuple[str, ...] = ()
    initial: tuple[Parameters, ...] = ()
    failed_value: str | float = "worst"
    include_intermediate_results: bool = False
    working_directory: str = "copy"
    environment: str | None = None
    job: Mapping[str, Any] = field(default_factory=dict)
    retries: int = 2
    budget: Budget = field(default_factory=Budget)
    prices: Mapping[str, float] = field(default_factory=dict)
    templates: Path | None = None

    @property
    def optimize_mode(self) -> str | None:
        """Which results are better, `maximize` or `minimize`, None if nothing says so.

        As in NNI's web page, the tuner's word counts first, then the assessor's.
        """
        for algorithm in (self.tuner, self.assessor):
            mode = algorithm.class_args.get("optimize_mode") if algorithm is not None else None
            if mode in ("maximize", "minimize"):
                return str(mode)
        return None


# --- trials, jobs and what became of them ---------------------------------------------------------


@light(frozen=True, slots=True)
class Trial(Unread):
    """One parameter set, to be run once.

    `id`: 16 hex digits; `sequence`: its place in the experiment, from 0.
    """

    id: str
    sequence: int
    parameters: Parameters
    UNREAD: ClassVar[str] = "parameters"

    def as_dict(self) -> dict[str, Any]:
        """Return it as manifests, ledgers and job files hold it."""
        return {"id": self.id, "sequence": self.sequence, "parameters": self.parameters}

    def as_json(self) -> str:
        """Return `as_dict` as compact JSON; an id has no character that JSON would escape."""
        parameters = _compact(self.parameters)
        return f'{{"id":"{self.id}","sequence":{self.sequence},"parameters":{parameters}}}'

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Trial:
        """Return the trial that `as_dict` made `value` of. Raises KeyError."""
        return cls(value["id"], value["sequence"], value["parameters"])

    @classmethod
    def unread(cls, identifier: str, sequence: str, text: str) -> Trial | None:
        """Return the trial of which a match of `ONE_TRIAL` has these parts.

        None: it is of several trials, which the pattern cannot tell from one.
        """
        if _NEXT in text:
            return None
        new = cls.__new__(cls)
        new.id, new.sequence, new.text = identifier, int(sequence), text  # type: ignore[misc]
        return new

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle in a third of the time that a frozen dataclass with slots takes.

        There may be a million.
        """
        return Trial, (self.id, self.sequence, self.parameters)


ONE_TRIAL = r'\{"id":"([^"\\]*)","sequence":([0-9]{1,18}),"parameters":(\{.*\})\}'
"""What `as_dict` of one trial is as JSON without spaces; and of several, with commas between."""
_NEXT = '}},{"id":"'


class Status(str, Enum):
    """What is known of a trial.

    `unfinished`: its job ended before it did, through no fault of the trial's.
    """

    PENDING = "pending"
    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EARLY_STOPPED = "early_stopped"
    UNFINISHED = "unfinished"
    UNKNOWN = "unknown"

    __hash__ = str.__hash__  # an enum's own takes five times as long, and every trial is counted

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen by itself; `unknown` is never taken for an end."""
        return self in _ENDED

    @property
    def counts(self) -> bool:
        """Whether the final result of a trial that stands so counts.

        For the tuner, for the best, and in the mean of replicates alike: what failed, or was ended,
        after it had reported may have reported anything.
        """
        return self is Status.SUCCEEDED


_ENDED = frozenset(
    {Status.SUCCEEDED, Status.FAILED, Status.CANCELED, Status.EARLY_STOPPED, Status.UNFINISHED}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One parameter set that was proposed, and what is known of it: what a tuner learns from.

    value: its result, a finite number, None while there is none; an ended record without one
    failed, reported NaN, or reported nothing. asked, told: what came first, as numbers that grow;
    told is None until it ended. imported: it comes from elsewhere, and no tuner proposed it here.
    reported: the result as the trial reported it, a mapping perhaps. curve: its intermediate
    results as reported, each with a number like `told`. guessed: `value` is no result
    of its own, but what a trial without one counts for; None while there is no result to compare
    with.
    """

    parameters: Parameters
    status: Status = Status.RUNNING
    value: float | None = None
    asked: int = 0
    told: int | None = None
    imported: bool = False
    reported: Any = None
    curve: tuple[tuple[int, Any], ...] = ()
    guessed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A sweep whose platform draws its trials' parameters: its job's id, and what is known of it.

    draws: the numbers of all trials that it is to have. trials: those that are known by now.
    is_over: no more will be.
    """

    id: str
    draws: range
    trials: tuple[Trial, ...] = ()
    is_over: bool = False

    @property
    def count(self) -> int:
        """How many trials it has, or is to have."""
        return len(self.trials) if self.is_over else max(len(self.draws), len(self.trials))


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What the platform drew for one child of a sweep.

    child: the name of its job, by which reports and outcomes of its trial go. sequence: the number
    of its trial, None where that is not known.
    """

    child: str
    parameters: Parameters
    sequence: int | None = None


class MetricKind(str, Enum):
    """Which of NNI's two calls a trial reported by."""

    INTERMEDIATE = "intermediate"
    FINAL = "final"


@light(frozen=True, slots=True, kw_only=True)
class Metric:
    """One report of a trial.

    `value` is what the script reported: a number, a mapping, or any other JSON value. sequence:
    from 0 within its kind. at: seconds since the epoch.
    """

    trial: str
    kind: MetricKind
    sequence: int
    value: Any
    at: float


@light(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a back end says of one job now. Times are seconds since the epoch.

    infrastructure: it ended through no fault of the user's (the machine went away), so that it may
    be tried again. begun: those trials of a running pack that began, where that is known; of
    a sweep those that run. over: how many of the trials of a running job of several ended, where
    that is known. drawn: of a sweep whose platform draws the parameters, those of all children by
    now; in its place of a trial's id stands the child's name.
    """

    job: str
    status: Status
    started: float | None = None
    ended: float | None = None
    exit_code: int | None = None
    error: str | None = None
    url: str | None = None
    infrastructure: bool = False
    begun: tuple[str, ...] | None = None
    over: int | None = None
    drawn: tuple[Draw, ...] = ()


class End(str, Enum):
    """What ended a trial."""

    EXITED = "exited"  # itself; its exit code says how
    TIME_LIMIT = "time_limit"  # the runner did, at maxTrialDuration
    TERMINATED = "terminated"  # the runner was told to end while it ran, or before it began
    STOPPED = "stopped"  # the sweep that it belongs to gave it up
    CANCELED = "canceled"  # somebody did, it alone of its sweep
    LOST = "lost"  # the machine: it could not be started, or a result could not be recorded
    REFUSED = (
        "refused"  # it can never run as it is described: wrong input, fewer GPUs than it needs
    )


@light(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one trial of a job ended, as its runner wrote it down.

    exit_code: None if nothing ran. error: one line for people, such as the last one that the trial
    printed to stderr.
    """

    trial: str
    exit_code: int | None
    started: float | None
    ended: float | None
    end: End = End.EXITED
    error: str | None = None
