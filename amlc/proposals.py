"""Ask the tuner while the experiment runs.

For further jobs, and which of the running ones it gives up.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import islice

from amlc.advising import GivenUp
from amlc.attempts import Attempt, by_trial
from amlc.backlog import More
from amlc.events import EventKind, exhausted
from amlc.experience import Experience
from amlc.ledger import Ledger
from amlc.manifest import Entry, Manifest
from amlc.model import Experiment
from amlc.plan import given_up, packed, upcoming
from amlc.write import extender


def following(
    experiment: Experiment, manifest: Manifest, experience: Experience, *, abreast: int
) -> More:
    """Return what compiles the jobs that the tuner proposes next into the folder of `manifest`.

    abreast: how many trials of one packed job run side by side at the most.
    """
    extend = extender(experiment, manifest)
    width = min(experiment.trials_per_job, abreast)

    def more(attempts: Mapping[str, Attempt], room: int) -> Sequence[Entry]:
        jobs = room // width
        past = experience.past(attempts)
        known = [trial for group in past.grouped() for trial in group]
        trials = upcoming(experiment, known, past.records, room=jobs * experiment.trials_per_job)
        return extend(islice(packed(experiment, trials), jobs))

    return more


def advised(experiment: Experiment, experience: Experience) -> GivenUp:
    """Return what names the jobs that the tuner gives up.

    A packed job cannot end one of its trials.
    """

    def jobs(attempts: Mapping[str, Attempt]) -> Collection[str]:
        past = experience.past(attempts)
        places = given_up(experiment, past.records) or ()
        if not places or experiment.trials_per_job > 1:
            return ()
        last = by_trial(attempts.values())
        trials = []
        for group in past.grouped():
            trials += [trial for trial in group if last[trial.id].number > 0]  # the tuner's own
        trials.sort(key=lambda trial: trial.sequence)
        return [last[trials[place].id].job for place in places if place < len(trials)]

    return jobs


def note_exhausted(manifest: Manifest, ledger: Ledger, *, at: float) -> None:
    """Record that the tuner, asked with nothing at work, had nothing more to propose.

    The record counts for as long as neither the trials nor the search change.
    """
    header = manifest.header
    if header.max_trials is not None and manifest.trials >= header.max_trials:
        return  # it was not asked for more
    fact = exhausted(at=at, search=header.search, trials=manifest.trials)
    if all(event.data != fact.data for event in ledger.events(kind=EventKind.EXHAUSTED)):
        ledger.append([fact])
