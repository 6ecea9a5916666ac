"""Tuners and Advisors of the user's own, written against NNI.

They are replayed from the history, so that they survive.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from amlc.model import Algorithm, Parameters, Record, Space
from amlc.tuners import Tuner
from amlc.tuners.custom.events import Asked, Encoded, Event, happened
from amlc.tuners.custom.replay import OwnClass, Replay

Allowed: TypeAlias = "Callable[[Parameters], bool]"

_KEPT: Final = 4
_kept: dict[str, Replay] = {}
"""The latest replays, by the class and space that they are of: each is only continued, as far as it
may be."""


def tuner(algorithm: Algorithm, *, replicates: int = 1) -> Tuner:
    """Return the user's class as a tuner.

    It is `class_name` in `code_directory`, a Tuner or an Advisor of NNI. It is constructed once
    more in each process and told what happened, in the order of `asked`, `curve` and `told`: NNI's
    `update_search_space`, `import_data`, `generate_multiple_parameters` (always for one parameter
    set), `receive_trial_result` and `trial_end`; for an Advisor, the messages `handle_initialize`,
    `handle_import_data`, `handle_request_trial_jobs`, `handle_report_metric_data` (intermediate and
    final results) and `handle_trial_end`. Calls that brought no parameter set are not repeated; one
    that sits and waits while trials run is given up, and made again after the next result. Results
    are given as they were reported; a trial that reported a final one before it failed or was
    stopped has one, as in NNI. A parameter set that the constraints exclude ends at once as a
    failed trial. The trials that an Advisor wants to end (`KillTrialJob`) are `given_up`'s.
    replicates: how many trials of a number each there are of a parameter set, for messages.
    Source: NNI 3.0, `runtime/msg_dispatcher.py`, which gives intermediate results to Assessors and
    Advisors only.

    It proposes the same in every process if all its random numbers come from `random` or numpy
    (seeded by `seed`); if not, it is warned of, and the results of the recorded parameter sets are
    told under the numbers they have.
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
        what = OwnClass.of(algorithm, space, seed, replicates)
        events = happened(history, _encoded(what))
        index = sum(not record.imported for record in history)
        for number in range(index, index + count):
            parameters = _next(what, events, number, allowed)
            if parameters is None:
                return
            yield parameters

    def given_up(
        space: Space,
        history: Sequence[Record],
        *,
        seed: int,
        args: Mapping[str, Any],
        allowed: Allowed,
    ) -> Collection[int] | None:
        what = OwnClass.of(algorithm, space, seed, replicates)
        events = happened(history, _encoded(what))
        index = sum(not record.imported for record in history)
        replay = _brought_to(what, events, index, allowed)
        _keep(what, replay)
        return replay.given_up

    return Tuner(propose, lambda history, *, args: 0, given_up)


def _next(what: OwnClass, events: list[Event], index: int, allowed: Allowed) -> Parameters | None:
    """Return the proposal that follows `events`, and add it to them."""
    replay = _brought_to(what, events, index, allowed)
    if len(replay.log) == len(events) and not replay.finished:
        replay.ask(index, allowed)
    _keep(what, replay)  # only now: what failed half-way is not to be continued
    if len(replay.log) == len(events):
        return None
    asked = replay.log[len(events)]
    assert isinstance(asked, Asked)  # leads_to has seen to that
    events.append(asked)
    return asked.parameters


def _brought_to(what: OwnClass, events: Sequence[Event], index: int, allowed: Allowed) -> Replay:
    """Return an instance that went through `events`, and may have made the next proposals too."""
    replay = _kept.pop(what.key, None)
    if replay is None or not replay.leads_to(events, index, allowed):
        replay = Replay(what, {} if replay is None else replay.encoded)
    # The same objects compare faster the next time.
    replay.log[: len(events)] = events[: len(replay.log)]
    replay.continue_with(events[len(replay.log) :], allowed)
    return replay


def _keep(what: OwnClass, replay: Replay) -> None:
    while len(_kept) >= _KEPT:
        del _kept[next(iter(_kept))]
    _kept[what.key] = replay


def _encoded(what: OwnClass) -> Encoded:
    return _kept[what.key].encoded if what.key in _kept else {}
