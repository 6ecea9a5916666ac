"""Assessors of the user's own, written against NNI."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from amlc.assessors import Assess
from amlc.model import Algorithm
from amlc.user_code import Stage, UserCodeError

_KEPT: Final = 256


def assessor(algorithm: Algorithm, *, at_once: bool = False) -> Assess:
    """Return the user's class as an assessor: `class_name` in `code_directory`, an Assessor of NNI.

    For each answer an instance sees the trials one after another: of each completed one all results
    at once (`assess_trial`, whose answer does not matter) and its end (`trial_end`), then of the
    running trial the first result, the first two, and so on to the last, whose answer it is. Trials
    that failed or were stopped it does not see. Results may be whatever the trial reported, not
    only numbers. `random` and numpy are seeded.
    at_once: construct it now, so that one that cannot be used is known before any trial runs, and
    the first trials need not wait for NNI's import.

    Raises UserCodeError with the class's own traceback when it fails, or answers neither
    AssessResult nor bool. Source: NNI 3.0, `runtime/msg_dispatcher.py`.
    """
    judge = _Judge(algorithm)
    if at_once:
        judge.see(())

    def assess(
        curve: Sequence[Any], completed: Sequence[Sequence[Any]], *, args: Mapping[str, Any]
    ) -> bool:
        return judge.stops(curve, completed)

    return assess


class _Judge:
    """Answers from copies of one instance that saw the completed trials.

    What is kept only saves repeating that.
    """

    def __init__(self, algorithm: Algorithm) -> None:
        self._algorithm = algorithm
        self._completed: list[Sequence[Any]] = []
        self._base: _Instance | None = None
        self._running: dict[str, tuple[_Instance, bool]] = {}

    def stops(self, curve: Sequence[Any], completed: Sequence[Sequence[Any]]) -> bool:
        self.see(completed)
        known = self._running.get(_text(curve))
        if known is not None:
            return known[1]
        instance, start = self._running.pop(_text(curve[:-1]), (None, False))[0], len(curve) - 1
        if instance is None:
            instance, start = self._fresh(completed), 0
        stop = False
        for step in range(start + 1, len(curve) + 1):
            stop = instance.assess("running", curve[:step])
        while len(self._running) >= _KEPT:
            del self._running[next(iter(self._running))]
        self._running[_text(curve)] = instance, stop
        return stop

    def see(self, completed: Sequence[Sequence[Any]]) -> None:
        """Let the base see what completed since the last time.

        A new one, if that was not all of it.
        """
        curves: list[Sequence[Any]] = [tuple(curve) for curve in completed]
        if curves == self._completed and self._base is not None:
            return
        base, self._base = self._base, None
        if base is None or curves[: len(self._completed)] != self._completed:
            base, self._completed = _Instance(self._algorithm), []
        for number in range(len(self._completed), len(curves)):
            base.complete(number, curves[number])
        self._base, self._completed, self._running = base, curves, {}

    def _fresh(self, completed: Sequence[Sequence[Any]]) -> _Instance:
        """Return an instance that saw the completed trials.

        A copy, or one that went through it all again.
        """
        try:
            return copy.deepcopy(self._base) or _Instance(self._algorithm)
        except Exception:  # noqa: BLE001 - it holds something that cannot be copied, a lock for example
            instance = _Instance(self._algorithm)
            for number, curve in enumerate(completed):
                instance.complete(number, curve)
            return instance


class _Instance:
    """One instance of the user's class."""

    def __init__(self, algorithm: Algorithm) -> None:
        self._stage = Stage(algorithm, "assessor", seed=0)
        with self._stage.open("starting"):
            self._instance = self._stage.construct()
            if not hasattr(self._instance, "assess_trial"):
                raise UserCodeError(f"{self._stage.where} is no Assessor (nni.assessor.Assessor).")

    def complete(self, number: int, curve: Sequence[Any]) -> None:
        """Let it see a trial that succeeded; one without results it never heard of."""
        if curve:
            self.assess(f"completed-{number}", curve)
            with self._stage.open("trial_end"):
                self._instance.trial_end(f"completed-{number}", True)

    def assess(self, trial: str, curve: Sequence[Any]) -> bool:
        """Return whether it wants the trial stopped."""
        with self._stage.open("assess_trial"):
            from nni.assessor import AssessResult

            found = self._instance.assess_trial(trial, copy.deepcopy(list(curve)))
            if not isinstance(found, (bool, AssessResult)):
                text = "NNI takes an AssessResult, or True for a trial that goes on."
                raise UserCodeError(
                    f"{self._stage.where}: assess_trial returned {found!r:.60}. {text}"
                )
            return found in (False, AssessResult.Bad)


def _text(curve: Sequence[Any]) -> str:
    return json.dumps(list(curve), default=repr)
