"""Write how an experiment stands as Markdown, which GitHub, Azure DevOps and GitLab show."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from amlc.commands.collect import Best
from amlc.commands.summary import Summary
from amlc.console import Console
from amlc.display.results import doubts
from amlc.report.tables import finite


def show(summary: Summary, console: Console) -> None:
    """Write it to stdout."""
    console.write("\n".join(_lines(summary)))


def _lines(summary: Summary) -> Iterator[str]:
    standing = summary.standing
    yield f"### {_text(summary.experiment)}: {standing.verdict}"
    yield ""
    yield "| status | trials |"
    yield "|---|---:|"
    for status, count in standing.verdict.statuses.items():
        if count:
            yield f"| {status.value} | {count} |"
    yield ""
    yield f"Revision `{summary.revision[:6]}`."
    if standing.cost is not None:
        yield f"Cost: {_text(str(standing.cost))}."
    if summary.best is not None:
        yield from _best(summary.best)
    causes = standing.causes.found
    if causes:
        yield from ("", "| why trials failed | how many | such as |", "|---|---:|---|")
    for cause in causes:
        named = ", ".join(map(str, cause.numbers))
        yield f"| {_text(cause.why)} | {cause.count} | {named} |"
    yield ""


def _best(best: Best) -> Iterator[str]:
    numbers = ", ".join(str(row.trial.sequence) for row in best.rows)
    trials = "Trial" if len(best.rows) == 1 else "Trials"
    yield ""
    yield f"{trials} {numbers} did best, by {best.mode}: {best.score:g}"
    yield ""
    text = json.dumps(finite(best.rows[0].trial.parameters), ensure_ascii=False, indent=2)
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text)), 0)
    yield from (f"{fence}json", text, fence)
    for line in doubts(best):
        yield from ("", _text(line))


def _text(text: str) -> str:
    """Return a text in which nothing is markup: what a trial said may be anything."""
    return re.sub(r"([\\`*_{}\[\]<>()#|~&])", r"\\\1", " ".join(text.split()))
