"""Give each of several trials an MLflow run of its own, a child of the job's, to look at.

Nothing reads them but people: what is collected stands in the job's run and in the trials' files.
So whatever is wrong with them is said once, and costs them alone.
"""

import collections
import json
import threading
import time

from .streams import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from .job import Run, Trial

TIMEOUT_S = 5
PAUSE_S = 1.0
CLOSE_S = 5.0
CLOSE_WHEN_STOPPED_S = 1.0
BATCH = 100  # entries of a kind, as MLflow takes them
NAMES = 50  # a run; Azure ML's limit
QUEUE_LENGTH = 100000
ANSWER_SIZE = 1 << 20  # bytes


class Children:
    """Tell a server of each trial, from a thread of its own, as far as it answers."""

    def __init__(self, run: "Run", token: "Any") -> None:
        self._run = run
        self._token = token  # a RunToken, which somebody else renews
        self._base = run.url[: -len("log-batch")]
        self._news: collections.deque[Any] = collections.deque(maxlen=QUEUE_LENGTH)
        self._names: dict[str, set[str]] = {}
        self._ids: dict[str, str] = {}  # of the runs, by trial
        self._experiment: str | None = None
        self._has_news = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._is_started = False
        self._is_off = False

    def begin(self, trial: "Trial", parameters: "Iterable[dict[str, Any]]") -> None:
        """Open the run of a trial. parameters: as MLflow takes them, without the trial's id."""
        self._names[trial.id] = set()
        tags = [
            {"key": "mlflow.parentRunId", "value": self._run.id},
            {"key": "mlflow.runName", "value": f"#{trial.sequence}"},
            {"key": "amlc.child", "value": trial.id},
        ]
        record = {"run_name": f"#{trial.sequence}", "start_time": int(time.time() * 1000)}
        self._add(("begin", trial.id, dict(record, tags=tags)))
        for entry in parameters:
            self._add(("params", trial.id, entry))

    def report(self, trial: "Trial", entry: "dict[str, Any]") -> None:
        """Send a metric, as MLflow takes it, unless the run has as many names as it may."""
        names = self._names.setdefault(trial.id, set())
        if entry["key"] in names or len(names) < NAMES:
            names.add(entry["key"])
            self._add(("metrics", trial.id, entry))

    def end(self, trial: "Trial") -> None:
        """Close the run of a trial with how it ended."""
        status = "FINISHED" if trial.end == "exited" and trial.exit_code == 0 else "FAILED"
        if trial.end == "terminated":
            status = "KILLED"
        self._add(("end", trial.id, {"status": status, "end_time": int(time.time() * 1000)}))

    def close(self, *, is_hurried: bool) -> None:
        """Send what is left, for at most CLOSE_S or, in a hurry, CLOSE_WHEN_STOPPED_S."""
        self._closing.set()
        self._has_news.set()
        if self._is_started:
            self._thread.join(CLOSE_WHEN_STOPPED_S if is_hurried else CLOSE_S)

    def _add(self, news: "tuple[str, str, dict[str, Any]]") -> None:
        if self._is_off:
            return
        self._news.append(news)
        self._has_news.set()
        if not self._is_started:
            try:
                self._thread.start()
                self._is_started = True
            except RuntimeError:  # the container allows no more threads
                self._is_off = True

    def _work(self) -> None:
        try:
            while not self._is_off:
                self._has_news.wait()
                self._has_news.clear()
                is_last = self._closing.wait(PAUSE_S)  # a moment for more of the same batch
                while self._news and not self._is_off:
                    self._send(*self._next())
                if is_last:
                    return
        except Exception as error:  # noqa: BLE001 - tracking never fails a trial, whatever is wrong with it
            self._give_up(type(error).__name__)

    def _next(self) -> "tuple[str, str, list[Any]]":
        """Take the next piece of news, and those of its kind and trial behind it."""
        kind, trial, first = self._news.popleft()
        entries = [first]
        while self._news and len(entries) < BATCH and self._news[0][:2] == (kind, trial):
            entries.append(self._news.popleft()[2])
        return kind, trial, entries

    def _send(self, kind: str, trial: str, entries: "list[Any]") -> None:
        if kind == "begin":
            self._experiment = self._experiment or self._experiment_id()
            answer = self._ask("create", dict(entries[0], experiment_id=self._experiment))
            self._ids[trial] = answer["run"]["info"]["run_id"]
        elif kind == "end":
            self._ask("update", dict(entries[0], run_id=self._ids[trial]))
        else:
            self._ask("log-batch", {"run_id": self._ids[trial], kind: entries})

    def _experiment_id(self) -> str:
        found = self._ask("get?run_id=" + self._run.id, None)
        return str(found["run"]["info"]["experiment_id"])

    def _ask(self, call: str, body: "Any") -> "Any":
        """Return the answer to a call. Raises OSError, ValueError or what comes of a bad answer."""
        import urllib.request

        data = None if body is None else json.dumps(body, allow_nan=False).encode()
        request = urllib.request.Request(
            self._base + call, data=data, headers={"Content-Type": "application/json"}
        )
        if self._token.text:
            # Unredirected: a redirect must not carry the token to another host.
            request.add_unredirected_header("Authorization", "Bearer " + self._token.text)
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return json.loads(answer.read(ANSWER_SIZE).decode("utf-8") or "{}")

    def _give_up(self, problem: str) -> None:
        self._is_off = True
        self._news.clear()
        say(f"MLflow: no runs for single trials ({problem}); the trials are not affected")
