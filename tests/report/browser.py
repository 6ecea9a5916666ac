"""Drives a real Chromium by its own protocol, over a pipe: keys, clicks, sizes and pictures, and what it complains of."""

import base64
import fcntl
import itertools
import json
import os
import shutil
import subprocess
import threading
import time
from collections import deque
from contextlib import contextmanager

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE_S = 30
KEYS = {
    "Enter": (13, "\r"), "Tab": (9, ""), " ": (32, " "), "Escape": (27, ""),
    "ArrowLeft": (37, ""), "ArrowUp": (38, ""), "ArrowRight": (39, ""), "ArrowDown": (40, ""),
}  # fmt: skip


class Failure(Exception):
    """The browser said that a command of the protocol failed, or a script threw."""


class Browser:
    """One process of Chromium without a window; each `tab` is a page of its own."""

    def __init__(self, profile):
        found = next(filter(None, map(shutil.which, BROWSERS)), None)
        if found is None:
            pytest.skip("Chromium is missing: make test-all brings it")
        to_browser, self._in = os.pipe()
        self._out, from_browser = os.pipe()
        command = [
            found, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--mute-audio",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
            "--disable-dev-shm-usage", "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank",
        ]  # fmt: skip
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (to_browser, from_browser)]

        def as_it_wants_them():
            for end, number in zip(ends, (3, 4), strict=True):
                os.dup2(end, number)

        self._process = subprocess.Popen(
            command, close_fds=False, preexec_fn=as_it_wants_them,  # noqa: PLW1509 - it duplicates two descriptors
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for end in ends:
            os.close(end)
        os.close(to_browser)
        os.close(from_browser)
        self._numbers = itertools.count(1)
        self._answers, self._events = {}, deque()
        self._news = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()
        self.saved = profile.parent / "saved"
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.saved))

    def _listen(self):
        rest = b""
        while chunk := os.read(self._out, 1 << 20):  # until it ends
            *messages, rest = (rest + chunk).split(b"\0")
            with self._news:
                for message in map(json.loads, messages):
                    if "id" in message:
                        self._answers[message["id"]] = message
                    else:
                        self._events.append(message)
                self._news.notify_all()

    def call(self, method, session=None, **params):
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._in, data) :]
        with self._news:
            assert self._news.wait_for(lambda: number in self._answers, PATIENCE_S), f"no answer to {method}"
            answer = self._answers.pop(number)
        if "error" in answer:
            raise Failure(f"{method}: {answer['error']}")
        return answer["result"]

    def events(self, session, *methods):
        """Return what was told of a session so far."""
        with self._news:
            return [e for e in self._events if e.get("sessionId") == session and e["method"] in methods]

    @contextmanager
    def tab(self, width=1400, height=900, *, dark=False):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            tab.call(f"{domain}.enable")
        tab.size(width, height)
        tab.scheme("dark" if dark else "light")
        try:
            yield tab
        finally:
            self.call("Target.closeTarget", targetId=target)
            with self._news:
                self._events = deque(e for e in self._events if e.get("sessionId") != session)

    def close(self):
        try:
            self.call("Browser.close")
        finally:
            self._process.kill()
            self._process.wait()
            os.close(self._in)


class Tab:
    """One page."""

    def __init__(self, browser, session):
        self._browser, self._session = browser, session

    def call(self, method, **params):
        return self._browser.call(method, self._session, **params)

    def size(self, width, height=900):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def scheme(self, name):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def open(self, address):
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete'")

    def run(self, script):
        """Return the value of a JavaScript expression, a promise's too."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            details = found["exceptionDetails"]
            raise Failure(details.get("exception", {}).get("description") or details["text"])
        return found["result"].get("value")

    def wait(self, condition):
        """Wait until a JavaScript expression is true, however busy the machine is."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := self.run(condition)):
            assert time.monotonic() < deadline, f"still waiting for {condition}"
            time.sleep(0.02)
        return found

    def settle(self):
        """Wait for what the page put off: two frames."""
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 0))))")

    def middle(self, selector):
        """Scroll an element into view; return its middle in CSS pixels."""
        return self.run(f"""(() => {{
            const found = document.querySelector({json.dumps(selector)});
            if (!found) throw new Error("there is no " + {json.dumps(selector)});
            found.scrollIntoView({{block: "center"}});
            const box = found.getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2];
        }})()""")

    def click(self, selector):
        self.click_at(*self.middle(selector))

    def click_at(self, x, y):
        self.mouse("mouseMoved", x, y)
        self.mouse("mousePressed", x, y)
        self.mouse("mouseReleased", x, y)
        self.settle()

    def drag(self, start, end):
        self.mouse("mouseMoved", *start)
        self.mouse("mousePressed", *start)
        for part in (0.25, 0.5, 0.75, 1):
            self.mouse("mouseMoved", *(a + (b - a) * part for a, b in zip(start, end, strict=True)), buttons=1)
            self.settle()
        self.mouse("mouseReleased", *end)
        self.settle()

    def mouse(self, kind, x, y, *, buttons=0):
        button = "none" if kind == "mouseMoved" and not buttons else "left"
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, buttons=buttons, clickCount=1)

    def press(self, key, *, shift=False):
        code, text = KEYS[key] if key in KEYS else (ord(key), key)
        common = {"key": key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown", **common, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)
        self.settle()

    def write(self, selector, text):
        """Replace what stands in a field."""
        self.run(f"(() => {{ const f = document.querySelector({json.dumps(selector)}); f.focus(); f.select(); }})()")
        self.call("Input.insertText", text=text) if text else self.press_delete()
        self.settle()

    def press_delete(self):
        common = {"key": "Delete", "windowsVirtualKeyCode": 46}
        self.call("Input.dispatchKeyEvent", type="keyDown", **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def choose(self, selector, value):
        """Choose an option of a list by its value."""
        self.run(f"""(() => {{ const s = document.querySelector({json.dumps(selector)}); s.value = {json.dumps(value)};
            s.dispatchEvent(new Event("change", {{bubbles: true}})); return s.value; }})()""")
        self.settle()

    def picture(self, file, *, whole=True):
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        file.write_bytes(base64.b64decode(data))

    @property
    def complaints(self):
        """What was written to the console, thrown, or refused by the page's policy so far."""
        found = []
        for event in self._browser.events(
            self._session, "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"
        ):
            params = event["params"]
            if event["method"] == "Runtime.consoleAPICalled":
                found.append(" ".join(str(a.get("value", a.get("description"))) for a in params["args"]))
            elif event["method"] == "Runtime.exceptionThrown":
                found.append(str(params["exceptionDetails"].get("exception", params["exceptionDetails"])))
            else:
                found.append(params["entry"]["text"])
        return found

    @property
    def requests(self):
        """The addresses that the page asked for."""
        found = self._browser.events(self._session, "Network.requestWillBeSent")
        return [event["params"]["request"]["url"] for event in found]


@contextmanager
def browsing(profile):
    browser = Browser(profile)
    try:
        yield browser
    finally:
        browser.close()
