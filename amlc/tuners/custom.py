"""Tuners and Advisors of the user's own, written against NNI and replayed from the history, so that they survive."""

from __future__ import annotations

import copy
import json
import warnings
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

from amlc.errors import AmlcError
from amlc.model import Algorithm, Parameters, Record, Space, Status
from amlc.space.nni import nni_space
from amlc.tuners import Tuner
from amlc.tuners.gridsearch import canonical
from amlc.user_code import Stage, UserCodeError, swapped

Allowed: TypeAlias = "Callable[[Parameters], bool]"

_MOST_REFUSED: Final = 1000
_KEPT: Final = 4
_kept: dict[str, _Replay] = {}
_warned: set[str] = set()


def tuner(algorithm: Algorithm, *, replicates: int = 1) -> Tuner:
    """Return the user's class as a tuner: `class_name` in `code_directory`, a Tuner or an Advisor of NNI.

    It is constructed once more in each process and told what happened, in the order of `asked`, `curve` and `told`:
    NNI's `update_search_space`, `import_data`, `generate_multiple_parameters` (always for one parameter set),
    `receive_trial_result` and `trial_end`; for an Advisor, the messages `handle_initialize`, `handle_import_data`,
    `handle_request_trial_jobs`, `handle_report_metric_data` (intermediate and final results) and `handle_trial_end`.
    Calls that brought no parameter set are not repeated. Results are given as they were reported; a trial that
    reported a final one before it failed or was stopped has one, as in NNI. A parameter set that the constraints
    exclude ends at once as a failed trial. The trials that an Advisor wants to end (`KillTrialJob`) are `given_up`'s.
    replicates: how many trials of a number each there are of a parameter set, for messages.
    Source: NNI 3.0, `runtime/msg_dispatcher.py`, which gives intermediate results to Assessors and Advisors only.

    It proposes the same in every process if all its random numbers come from `random` or numpy (seeded by `seed`); if
    not, it is warned of, and the results of the recorded parameter sets are told under the numbers they have.
    Raises UserCodeError with the trial and the class's own traceback when it fails.
    """

    def propose(
        space: Space,
        history: Sequence[Record],
        *,
        count: int,
        seed: int,
        args: Mapping[str, Any],
        allowed: Allowed,
    ) -> Iterator[Parameters]:
        what = _What.of(algorithm, space, seed, replicates)
        events = _events(history, _encoded(what))
        index = sum(not record.imported for record in history)
        for number in range(index, index + count):
            parameters = _next(what, events, number, allowed)
            if parameters is None:
                return
            yield parameters

    def given_up(
        space: Space, history: Sequence[Record], *, seed: int, args: Mapping[str, Any], allowed: Allowed
    ) -> Collection[int] | None:
        what = _What.of(algorithm, space, seed, replicates)
        replay = _brought_to(what, _events(history, _encoded(what)), sum(not one.imported for one in history), allowed)
        _keep(what, replay)
        return replay.given_up

    return Tuner(propose, lambda history, *, args: 0, given_up)


@dataclass(frozen=True, slots=True)
class _What:
    """What is replayed: an instance of a class in a search space."""

    algorithm: Algorithm
    space: dict[str, Any]
    seed: int
    replicates: int
    key: str

    @classmethod
    def of(cls, algorithm: Algorithm, space: Space, seed: int, replicates: int) -> _What:
        """Return it with the space as NNI writes it, and with a text that tells it from others."""
        written = nni_space(space)
        where = [algorithm.class_name, str(algorithm.code_directory)]
        key = json.dumps([where, algorithm.class_args, written, seed], default=repr)
        return cls(algorithm, written, seed, replicates, key)

    def trial(self, index: int) -> str:
        """Return how messages name the trial, or the trials, of a parameter set."""
        first = index * self.replicates
        return f"trial {first}" if self.replicates == 1 else f"trials {first} to {first + self.replicates - 1}"


# --- what happened ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Imported:
    digest: tuple[bytes, ...]
    rows: tuple[tuple[Parameters, float], ...] = field(compare=False)


@dataclass(frozen=True, slots=True)
class _Asked:
    index: int
    digest: bytes
    parameters: Parameters = field(compare=False)


@dataclass(frozen=True, slots=True)
class _Reported:
    """An intermediate result, the `step`-th from 0, as JSON."""

    index: int
    step: int
    value: str


@dataclass(frozen=True, slots=True)
class _Told:
    """An end. value: the final result as JSON, None where none was reported."""

    index: int
    event: str
    value: str | None


_Event: TypeAlias = "_Imported | _Asked | _Reported | _Told"
_Placed: TypeAlias = "tuple[tuple[int, int, int, int], _Event]"
_Encoded: TypeAlias = "dict[int, tuple[Record, tuple[_Placed, ...]]]"

_EVENTS: Final[Mapping[Status, str]] = {
    Status.SUCCEEDED: "SUCCEEDED",
    Status.FAILED: "FAILED",
    Status.CANCELED: "USER_CANCELED",
    Status.EARLY_STOPPED: "EARLY_STOPPED",
    Status.UNFINISHED: "SYS_CANCELED",
}


def _events(history: Sequence[Record], encoded: _Encoded) -> list[_Event]:
    """Return what happened, in its order: the imported results, and then each proposal, report and end.

    encoded: spares the encoding of what it has of the same records; takes up the others.
    """
    rows = tuple(
        (record.parameters, record.value) for record in history if record.imported and record.value is not None
    )
    placed: list[_Placed] = []
    for index, record in enumerate(record for record in history if not record.imported):
        known = encoded.get(index)
        if known is None or known[0] is not record:
            known = encoded[index] = record, tuple(_of(index, record, known))
        placed += known[1]
    ordered = [event for _, event in sorted(placed, key=lambda one: one[0])]
    if not rows:
        return ordered
    return [_Imported(tuple(canonical({"parameter": p, "value": v}) for p, v in rows), rows), *ordered]


def _of(index: int, record: Record, known: tuple[Record, tuple[_Placed, ...]] | None) -> Iterator[_Placed]:
    """Yield what happened to one trial, each with its place: at the same number ends come behind all proposals."""
    if known is not None and known[0].parameters is record.parameters:
        asked = known[1][0][1]
    else:
        asked = _Asked(index, canonical(record.parameters), record.parameters)
    yield (record.asked, 0, index, 0), asked
    for step, (number, value) in enumerate(record.curve):
        yield (number, 1, index, step), _Reported(index, step, json.dumps(value))
    if record.status.ended:
        told = record.asked if record.told is None else record.told
        yield (told, 2, index, 0), _Told(index, _EVENTS[record.status], _final(record))


def _final(record: Record) -> str | None:
    if record.reported is not None:
        return json.dumps(record.reported)
    is_result = record.status is Status.SUCCEEDED and not record.guessed and record.value is not None
    return json.dumps(record.value) if is_result else None


# --- the replay ---------------------------------------------------------------------------------------------------


def _next(what: _What, events: list[_Event], index: int, allowed: Allowed) -> Parameters | None:
    """Return the proposal that follows `events`, and add it to them."""
    replay = _brought_to(what, events, index, allowed)
    if len(replay.log) == len(events) and not replay.finished:
        replay.ask(index, allowed)
    _keep(what, replay)  # only now: what failed half-way is not to be continued
    if len(replay.log) == len(events):
        return None
    asked = replay.log[len(events)]
    assert isinstance(asked, _Asked)  # leads_to has seen to that
    events.append(asked)
    return asked.parameters


def _brought_to(what: _What, events: Sequence[_Event], index: int, allowed: Allowed) -> _Replay:
    """Return an instance that went through `events`; it may have made the proposals that follow them already."""
    replay = _kept.pop(what.key, None)
    if replay is None or not replay.leads_to(events, index, allowed):
        replay = _Replay(what, {} if replay is None else replay.encoded)
    replay.log[: len(events)] = events[: len(replay.log)]  # the same objects compare faster the next time
    replay.continue_with(events[len(replay.log) :], allowed)
    return replay


def _keep(what: _What, replay: _Replay) -> None:
    while len(_kept) >= _KEPT:
        del _kept[next(iter(_kept))]
    _kept[what.key] = replay


def _encoded(what: _What) -> _Encoded:
    return _kept[what.key].encoded if what.key in _kept else {}


class _Replay:
    """One instance of the user's class, and what it went through: `log`.

    Kept from one call to the next, which changes nothing: what it would be asked or told in another order than in a
    new process is left to a new instance.
    """

    def __init__(self, what: _What, encoded: _Encoded) -> None:
        self.log: list[_Event] = []
        self.finished = False
        self.encoded = encoded
        self._what = what
        self._stage = Stage(what.algorithm, "tuner", seed=what.seed)
        self._issued: dict[int, tuple[_Proposal, Parameters]] = {}
        self._refused: list[Parameters] = []
        self._checked: Allowed | None = None
        with self._stage.open("starting"):
            self._side = _constructed(self._stage, copy.deepcopy(what.space))

    @property
    def given_up(self) -> Collection[int] | None:
        """The trials, by index, that an Advisor wants to end and that have not ended; None for a Tuner."""
        if self._side.killed is None:
            return None
        return [index for index, (one, _) in sorted(self._issued.items()) if _trial_job_id(one) in self._side.killed]

    def leads_to(self, events: Sequence[_Event], index: int, allowed: Allowed) -> bool:
        """Return whether a new instance, brought to the end of `events`, would be where this one is or will be."""
        common = min(len(self.log), len(events))
        if self.log[:common] != list(events[:common]) or not self._still_refused(allowed):
            return False
        if len(events) > len(self.log):
            return not self.finished
        ahead = self.log[len(events) :]
        return all(
            isinstance(one, _Asked) and one.index == index + number and allowed(one.parameters)
            for number, one in enumerate(ahead)
        )

    def _still_refused(self, allowed: Allowed) -> bool:
        if allowed is not self._checked and any(map(allowed, self._refused)):
            return False
        self._checked = allowed
        return True

    def continue_with(self, events: Sequence[_Event], allowed: Allowed) -> None:
        """Go through what happened, or happened before."""
        if events:
            with self._stage.kept_open():
                for event in events:
                    self._repeat(event, allowed)

    def _repeat(self, event: _Event, allowed: Allowed) -> None:
        match event:
            case _Imported():
                with self._stage.open("import_data"):
                    self._side.take(
                        [{"parameter": dict(parameters), "value": value} for parameters, value in event.rows]
                    )
            case _Asked():
                found = self._generate(event.index, lambda p: canonical(p) == event.digest or allowed(p))
                if found is None or canonical(found[1]) != event.digest:
                    self._warn(event.index)
                if found is not None:
                    self._issued[event.index] = found[0], event.parameters
            case _Reported() if event.index in self._issued:
                with self._stage.open(f"taking an intermediate result of {self._what.trial(event.index)}"):
                    self._side.report(self._issued[event.index][0], event.step, event.value)
            case _Told() if event.index in self._issued:
                proposal, parameters = self._issued.pop(event.index)
                self._tell(event.index, proposal, parameters, event.event, event.value)
        self.log.append(event)

    def ask(self, index: int, allowed: Allowed) -> None:
        """Add the next proposal to the log, or note that there is none: whoever was asked in vain is not continued."""
        found = self._generate(index, allowed)
        if found is None:
            self.finished = True
            return
        self._issued[index] = found
        self.log.append(_Asked(index, canonical(found[1]), found[1]))

    def _generate(self, index: int, allowed: Allowed) -> tuple[_Proposal, Parameters] | None:
        for _ in range(_MOST_REFUSED):
            with self._stage.open(f"proposing {self._what.trial(index)}"):
                proposal = self._side.ask()
                if proposal is None:
                    return None
            parameters = self._received(index, proposal)
            if not isinstance(parameters, dict):
                raise UserCodeError(
                    f"{self._stage.where}: it proposed {parameters!r:.60} as {self._what.trial(index)}, which is no "
                    "mapping by name."
                )
            if allowed(parameters):
                return proposal, parameters
            self._refused.append(parameters)
            self._tell(index, proposal, parameters, "FAILED", None)
        raise AmlcError(
            f"amlc.constraints: {_MOST_REFUSED} proposals in a row of {self._stage.where} were excluded. "
            "Loosen the constraint, or let the class know it."
        )

    def _received(self, index: int, proposal: _Proposal) -> Any:
        try:
            return _plain(proposal.parameters)
        except (TypeError, ValueError) as err:
            raise UserCodeError(
                f"{self._stage.where}: it proposed {_culprit(proposal.parameters)} in {self._what.trial(index)}, which "
                "is no JSON value. Propose finite numbers, strings, booleans, None, lists and mappings of them."
            ) from err

    def _tell(self, index: int, proposal: _Proposal, parameters: Parameters, event: str, value: str | None) -> None:
        with self._stage.open(f"taking the end of {self._what.trial(index)}"):
            own = _plain(proposal.parameters)
            same = isinstance(own, dict) and canonical(own) == canonical(parameters)
            self._side.tell(proposal, proposal.parameters if same else dict(parameters), event, value)

    def _warn(self, index: int) -> None:
        if self._what.key not in _warned:
            _warned.add(self._what.key)
            text = (
                f"{self._stage.where} does not propose the same again: {self._what.trial(index)} is not the one on "
                "record. It was changed, or draws unseeded random numbers. It goes on from what is on record."
            )
            warnings.warn(text, RuntimeWarning, stacklevel=2)


def _plain(value: Any) -> Any:
    """Return what a trial receives: JSON values instead of tuples and numpy's numbers."""
    return json.loads(json.dumps(value, default=_number, allow_nan=False))


def _culprit(parameters: Any) -> str:
    """Return in one line what JSON cannot carry: the first such parameter, or all of a proposal that is no mapping."""
    for name, value in parameters.items() if isinstance(parameters, Mapping) else ():
        try:
            _plain({name: value})
        except (TypeError, ValueError):
            return f"{name!r} = {_shown(value)}"
    return _shown(parameters)


def _shown(value: Any) -> str:
    return " ".join(repr(value).split())[:60]


def _number(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"parameters must be JSON values, and {value!r:.60} is a {type(value).__name__}")


# --- the two kinds of class ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Proposal:
    """A parameter set as the class proposed it. message: what an Advisor sent."""

    id: Any
    parameters: Any
    message: str = ""


@dataclass(frozen=True, slots=True)
class _Sent:
    """What came from the class: parameter sets that were not asked for yet, and the trials that it wants to end."""

    proposals: deque[_Proposal] = field(default_factory=deque)
    kills: set[str] = field(default_factory=set)


class _Side(Protocol):
    """What NNI says to a Tuner or an Advisor. killed: the trial_job_ids that it wants to end; None for a Tuner."""

    @property
    def killed(self) -> Collection[str] | None: ...
    def take(self, rows: list[dict[str, Any]]) -> None: ...
    def ask(self) -> _Proposal | None: ...
    def report(self, proposal: _Proposal, step: int, value: str) -> None: ...
    def tell(self, proposal: _Proposal, parameters: Any, event: str, value: str | None) -> None: ...


def _trial_job_id(proposal: _Proposal) -> str:
    return f"trial-{proposal.id}"


def _constructed(stage: Stage, space: dict[str, Any]) -> _Side:
    stage.need_nni()
    from nni.runtime import msg_dispatcher_base as base
    from nni.runtime.tuner_command_channel import TunerCommandChannel

    sent = _Sent()

    def connected(url: str) -> Any:
        channel = TunerCommandChannel(url)
        channel.connect = lambda: None
        channel._send = lambda command, data: _receive(sent, command.name, data)  # noqa: SLF001 - what all sending uses
        return channel

    with (
        swapped(base, "TunerCommandChannel", connected),
        swapped(base, "dispatcher_env_vars", base.dispatcher_env_vars._replace(NNI_TUNER_COMMAND_CHANNEL="ws://amlc")),
    ):
        instance = stage.construct()
    if isinstance(instance, base.MsgDispatcherBase):
        return _Advisor(instance, space, sent)
    if not hasattr(instance, "generate_multiple_parameters"):
        raise UserCodeError(f"{stage.where} is neither a Tuner (nni.tuner.Tuner) nor an Advisor of NNI.")
    return _Tuner(instance, space, sent)


def _receive(sent: _Sent, command: str, data: str) -> None:
    """Take what an Advisor sends; that no trial is left shows when none comes."""
    import nni

    if command == "NewTrialJob":
        message = nni.load(data)
        sent.proposals.append(_Proposal(message["parameter_id"], message["parameters"], data))
    elif command == "Error":
        raise RuntimeError(data)
    elif command == "KillTrialJob":
        sent.kills.add(nni.load(data))


def _loaded(value: str) -> Any:
    """Return what NNI makes of a reported value: in mappings it finds arrays and other objects."""
    import nni

    return nni.load(value) if "{" in value else json.loads(value)  # which is the same, and takes a hundredth


class _Tuner:
    """A Tuner. What it hands out later, through `st_callback`, is proposed before it is asked again."""

    killed = None

    def __init__(self, instance: Any, space: dict[str, Any], sent: _Sent) -> None:
        self._instance = instance
        self._sent = sent.proposals
        self._count = 0
        instance.update_search_space(space)

    def take(self, rows: list[dict[str, Any]]) -> None:
        self._instance.import_data(rows)

    def ask(self) -> _Proposal | None:
        import nni

        if not self._sent:
            number = self._count
            self._count += 1
            try:
                found = self._instance.generate_multiple_parameters([number], st_callback=self._later)
            except nni.NoMoreTrialError:
                found = []
            self._sent.extend(_Proposal(number, parameters) for parameters in found)
        return self._sent.popleft() if self._sent else None

    def _later(self, number: int, parameters: Any) -> None:
        self._sent.append(_Proposal(number, parameters))

    def report(self, proposal: _Proposal, step: int, value: str) -> None:
        """Say nothing, as NNI does: Tuners get no intermediate results."""

    def tell(self, proposal: _Proposal, parameters: Any, event: str, value: str | None) -> None:
        if value is not None:
            trial, found = _trial_job_id(proposal), _loaded(value)
            self._instance.receive_trial_result(proposal.id, parameters, found, customized=False, trial_job_id=trial)
        self._instance.trial_end(proposal.id, event == "SUCCEEDED")


class _Advisor:
    """An Advisor: it numbers its parameter sets itself, and may send them at any time."""

    def __init__(self, instance: Any, space: dict[str, Any], sent: _Sent) -> None:
        self._instance = instance
        self._sent = sent.proposals
        self.killed = sent.kills
        # Nothing is ever resumed here; NNI 3.0's own answer fails for ids that are text, such as Hyperband's.
        instance.is_created_in_previous_exp = lambda parameter_id: False
        instance.handle_initialize(space)

    def take(self, rows: list[dict[str, Any]]) -> None:
        self._instance.handle_import_data(rows)

    def ask(self) -> _Proposal | None:
        if not self._sent:
            self._instance.handle_request_trial_jobs(1)
        return self._sent.popleft() if self._sent else None

    def report(self, proposal: _Proposal, step: int, value: str) -> None:
        self._metric(proposal, "PERIODICAL", step, value)

    def tell(self, proposal: _Proposal, parameters: Any, event: str, value: str | None) -> None:  # noqa: ARG002
        if value is not None:
            self._metric(proposal, "FINAL", 0, value)
        end = {"trial_job_id": _trial_job_id(proposal), "event": event, "hyper_params": proposal.message}
        self._instance.handle_trial_end(end)

    def _metric(self, proposal: _Proposal, kind: str, sequence: int, value: str) -> None:
        report = {"parameter_id": proposal.id, "trial_job_id": _trial_job_id(proposal), "type": kind}
        self._instance.handle_report_metric_data({**report, "sequence": sequence, "value": value})
