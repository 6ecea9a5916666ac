"""Send entries to an MLflow server, from a thread of its own and as far as the server answers."""

import collections
import json
import threading

from .run_token import RunToken
from .streams import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .job import Run

TIMEOUT_S = 5
PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
CLOSE_S = 9.0
CLOSE_WHEN_STOPPED_S = 2.0
QUEUE_LENGTH = 100000
# In a request; MLflow's own, and Azure ML's for metrics. Marks are tags that do not wait.
BATCH_LIMITS = {"marks": 100, "params": 100, "metrics": 250, "tags": 100}
ANSWER_SIZE = 1 << 16  # bytes


class Sender:
    """Send entries to an MLflow run, in its own thread; nothing here ever fails or delays a trial.

    When the server is slower than the trial the oldest entries are dropped: the last ones tell the
    result.
    """

    def __init__(self, run: "Run") -> None:
        self._run = run
        self.token = RunToken(run.token, run.token_url)
        self._queues: dict[str, collections.deque[Any]] = {
            kind: collections.deque(maxlen=QUEUE_LENGTH) for kind in BATCH_LIMITS
        }
        self._has_news = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._is_started = False
        self._is_off = False
        self._has_complained = False

    def add(self, kind: str, entry: "dict[str, Any]") -> None:
        """Send an entry soon. kind: one of BATCH_LIMITS."""
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

    def close(self, *, is_hurried: bool) -> None:
        """Send what is left, for at most CLOSE_S or, in a hurry, CLOSE_WHEN_STOPPED_S."""
        self._closing.set()
        self._has_news.set()
        if self._is_started:
            self._thread.join(CLOSE_WHEN_STOPPED_S if is_hurried else CLOSE_S)

    def _work(self) -> None:
        try:
            while not self._is_off:
                has_news = self._has_news.wait(self.token.left_s())
                self.token.keep()
                if not has_news:
                    continue
                # Before the look at _closing, or the news of that could get lost.
                self._has_news.clear()
                is_last = self._closing.wait(PAUSE_S)  # a moment for more of the same batch
                for kind, limit in BATCH_LIMITS.items():
                    if kind != "tags" or is_last:  # they tell of all that was sent before
                        self._send_queue(kind, limit)
                if is_last:
                    return
        except Exception as error:  # noqa: BLE001 - tracking never fails a trial, whatever is wrong with it
            self._complain(f"{type(error).__name__}; it is off from here on")
            self._is_off = True

    def _send_queue(self, kind: str, limit: int) -> None:
        # Apart, because MLflow refuses a whole batch for one bad entry.
        queue = self._queues[kind]
        while queue and not self._is_off:
            batch = [queue.popleft() for _ in range(min(limit, len(queue)))]
            self._send({"run_id": self._run.id, "tags" if kind == "marks" else kind: batch})

    def _send(self, batch: "dict[str, Any]") -> None:
        body = json.dumps(batch, allow_nan=False).encode()
        pause_s, is_renewed = PAUSE_S, False
        while True:
            problem = self._post(body)
            if not problem:
                return
            if problem == "HTTP 401" and not is_renewed and self.token.renew():
                is_renewed = True
                continue
            self._complain(problem)
            if problem in ("HTTP 401", "HTTP 403", "HTTP 404") or self._closing.is_set():
                self._is_off = True
                return
            if problem.startswith("HTTP 4") and problem not in ("HTTP 408", "HTTP 429"):
                return
            self._closing.wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _post(self, body: bytes) -> "str | None":
        """Return None, or what went wrong in words that cannot contain the token or the address."""
        import http.client
        import urllib.error
        import urllib.request

        request = urllib.request.Request(
            self._run.url, data=body, headers={"Content-Type": "application/json"}
        )
        if self.token.text:
            # Unredirected: a redirect must not carry the token to another host.
            request.add_unredirected_header("Authorization", "Bearer " + self.token.text)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                answer.read(ANSWER_SIZE)
        except urllib.error.HTTPError as error:
            error.close()
            return f"HTTP {error.code}"
        except (OSError, ValueError, http.client.HTTPException) as error:
            return type(getattr(error, "reason", error)).__name__
        return None

    def _complain(self, problem: str) -> None:
        if not self._has_complained:
            say(f"MLflow tracking: {problem}; the trial is not affected")
        self._has_complained = True
