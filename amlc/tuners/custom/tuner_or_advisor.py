"""NNI's two kinds of class, Tuner and Advisor, behind one Protocol; and NNI's channel between."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Protocol

from amlc.user_code import Stage, UserCodeError, swapped


@dataclass(frozen=True, slots=True)
class Proposal:
    """A parameter set as the class proposed it. message: what an Advisor sent."""

    id: Any
    parameters: Any
    message: str = ""


@dataclass(frozen=True, slots=True)
class _Sent:
    """What came from the class: parameter sets not asked for yet, and trials it wants to end."""

    proposals: deque[Proposal] = field(default_factory=deque)
    kills: set[str] = field(default_factory=set)


class Side(Protocol):
    """What NNI says to a Tuner or an Advisor.

    killed: the trial_job_ids that it wants to end; None for a Tuner.
    """

    @property
    def killed(self) -> Collection[str] | None: ...
    def take(self, rows: list[dict[str, Any]]) -> None: ...
    def ask(self) -> Proposal | None: ...
    def report(self, proposal: Proposal, step: int, value: str) -> None: ...
    def tell(self, proposal: Proposal, parameters: Any, event: str, value: str | None) -> None: ...


def trial_job_id(proposal: Proposal) -> str:
    """Return the name by which the class hears of the trial, and by which an Advisor ends it."""
    return f"trial-{proposal.id}"


def constructed(stage: Stage, space: Any) -> Side:
    """Return an instance of the user's class that knows the space, to be called on the open stage.

    What NNI would send over a web socket comes to the `Side` instead. Raises UserCodeError for a
    class of no kind, and for one that does not take NNI's arguments.
    """
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
        swapped(
            base,
            "dispatcher_env_vars",
            base.dispatcher_env_vars._replace(NNI_TUNER_COMMAND_CHANNEL="ws://amlc"),
        ),
    ):
        instance = stage.construct()
    if isinstance(instance, base.MsgDispatcherBase):
        return _Advisor(instance, space, sent)
    if not hasattr(instance, "generate_multiple_parameters"):
        raise UserCodeError(
            f"{stage.where} is neither a Tuner (nni.tuner.Tuner) nor an Advisor of NNI."
        )
    stage.need_keywords(instance, _calls(instance))
    return _Tuner(instance, space, sent)


def _calls(instance: Any) -> dict[str, tuple[int, tuple[str, ...]]]:
    """Return NNI's calls of a Tuner that have keyword arguments, as `Stage.need_keywords` wants."""
    from nni.tuner import Tuner

    asked, several = (1, ("st_callback",)), "generate_multiple_parameters"
    calls = {several: asked, "receive_trial_result": (3, ("customized", "trial_job_id"))}
    if getattr(type(instance), several) is getattr(Tuner, several):
        calls["generate_parameters"] = asked  # it hands on what it is called with
    return calls


def _receive(sent: _Sent, command: str, data: str) -> None:
    """Take what an Advisor sends; that no trial is left shows when none comes."""
    import nni

    if command == "NewTrialJob":
        message = nni.load(data)
        sent.proposals.append(Proposal(message["parameter_id"], message["parameters"], data))
    elif command == "Error":
        raise RuntimeError(data)
    elif command == "KillTrialJob":
        sent.kills.add(nni.load(data))


def _loaded(value: str) -> Any:
    """Return what NNI makes of a reported value: in mappings it finds arrays and other objects."""
    import nni

    # Without a mapping json does the same, and takes a hundredth of the time.
    return nni.load(value) if "{" in value else json.loads(value)


class _Tuner:
    """A Tuner. What it hands out through `st_callback` is proposed before it is asked again."""

    killed = None

    def __init__(self, instance: Any, space: Any, sent: _Sent) -> None:
        self._instance = instance
        self._sent = sent.proposals
        self._count = 0
        instance.update_search_space(space)

    def take(self, rows: list[dict[str, Any]]) -> None:
        self._instance.import_data(rows)

    def ask(self) -> Proposal | None:
        import nni

        if not self._sent:
            number = self._count
            self._count += 1
            try:
                found = self._instance.generate_multiple_parameters(
                    [number], st_callback=self._later
                )
            except nni.NoMoreTrialError:
                found = []
            self._sent.extend(Proposal(number, parameters) for parameters in found)
        return self._sent.popleft() if self._sent else None

    def _later(self, number: int, parameters: Any) -> None:
        self._sent.append(Proposal(number, parameters))

    def report(self, proposal: Proposal, step: int, value: str) -> None:
        """Say nothing, as NNI does: Tuners get no intermediate results."""

    def tell(self, proposal: Proposal, parameters: Any, event: str, value: str | None) -> None:
        if value is not None:
            trial, found = trial_job_id(proposal), _loaded(value)
            self._instance.receive_trial_result(
                proposal.id, parameters, found, customized=False, trial_job_id=trial
            )
        self._instance.trial_end(proposal.id, event == "SUCCEEDED")


class _Advisor:
    """An Advisor: it numbers its parameter sets itself, and may send them at any time."""

    def __init__(self, instance: Any, space: Any, sent: _Sent) -> None:
        self._instance = instance
        self._sent = sent.proposals
        self.killed = sent.kills
        # Nothing is ever resumed here; NNI 3.0's own answer fails for ids that are text, such as
        # Hyperband's.
        instance.is_created_in_previous_exp = lambda parameter_id: False
        instance.handle_initialize(space)

    def take(self, rows: list[dict[str, Any]]) -> None:
        self._instance.handle_import_data(rows)

    def ask(self) -> Proposal | None:
        if not self._sent:
            self._instance.handle_request_trial_jobs(1)
        return self._sent.popleft() if self._sent else None

    def report(self, proposal: Proposal, step: int, value: str) -> None:
        self._metric(proposal, "PERIODICAL", step, value)

    def tell(self, proposal: Proposal, parameters: Any, event: str, value: str | None) -> None:  # noqa: ARG002
        if value is not None:
            self._metric(proposal, "FINAL", 0, value)
        end = {
            "trial_job_id": trial_job_id(proposal),
            "event": event,
            "hyper_params": proposal.message,
        }
        self._instance.handle_trial_end(end)

    def _metric(self, proposal: Proposal, kind: str, sequence: int, value: str) -> None:
        report = {"parameter_id": proposal.id, "trial_job_id": trial_job_id(proposal), "type": kind}
        self._instance.handle_report_metric_data({**report, "sequence": sequence, "value": value})
