"""How fast calls are sent and how often they are repeated, told by a clock that only the test moves."""

import re
import warnings
from copy import copy
from types import SimpleNamespace

import pytest
import requests

from amlc.targets.aml import throttle


class Clock:
    """Time that passes while somebody sleeps."""

    def __init__(self):
        self.now = 1_000.0
        self.slept = []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(throttle, "time", clock)
    return clock


def pauses(speed, clock, count=3):
    """Return how long each of so many creations waits."""
    before = len(clock.slept)
    for _ in range(count):
        speed.enter(creates=True)
    return pytest.approx(clock.slept[before:])


def test_creations_keep_a_distance_and_the_first_one_does_not_wait(clock):
    assert pauses(throttle.Pace(), clock) == [1 / 200, 1 / 200]


def test_calls_that_create_nothing_do_not_wait(clock):
    speed = throttle.Pace()
    speed.enter(creates=True)
    for _ in range(3):
        speed.enter(creates=False)
    assert clock.slept == []


def test_time_that_passed_counts(clock):
    speed = throttle.Pace()
    speed.enter(creates=True)
    clock.now += 1
    speed.enter(creates=True)
    assert clock.slept == []


@pytest.mark.parametrize(
    ("refusals", "per_second"), [(0, 200), (1, 100), (2, 50), (6, 3.125), (10, 200 / 1024), (11, 0.1), (30, 0.1)]
)
def test_each_refusal_halves_the_speed_down_to_one_in_ten_seconds(clock, refusals, per_second):
    speed = throttle.Pace()
    for _ in range(refusals):
        speed.throttled(None, sent=clock.now)
    assert pauses(speed, clock) == [1 / per_second] * 2


@pytest.mark.parametrize(("successes", "per_second"), [(1, 101), (50, 150), (100, 200), (500, 200)])
def test_each_success_adds_one_a_second_up_to_where_it_began(clock, successes, per_second):
    speed = throttle.Pace()
    speed.throttled(None, sent=clock.now)
    for _ in range(successes):
        speed.accepted()
    assert pauses(speed, clock) == [1 / per_second] * 2


def test_calls_that_were_under_way_when_the_speed_was_halved_do_not_halve_it_again(clock):
    speed = throttle.Pace()
    for sent in (clock.now - 0.2, clock.now - 0.1, clock.now - 0.1):
        speed.throttled(None, sent=sent)
    assert pauses(speed, clock) == [1 / 100] * 2
    clock.now += 1
    speed.throttled(None, sent=clock.now - 0.5)
    speed.throttled(None, sent=clock.now - 0.4)
    assert pauses(speed, clock, 1) == []
    assert pauses(speed, clock) == [1 / 50] * 3


@pytest.mark.parametrize(("successes", "per_second"), [(1, 0.105), (2, 0.11025), (20, 0.1 * 1.05**20)])
def test_a_slow_speed_grows_by_a_twentieth_so_that_many_find_what_they_share(clock, successes, per_second):
    speed = throttle.Pace()
    for _ in range(11):
        speed.throttled(None, sent=clock.now)
    for _ in range(successes):
        speed.accepted()
    assert pauses(speed, clock) == [1 / per_second] * 2


@pytest.mark.parametrize("creates", [True, False])
@pytest.mark.parametrize(("retry_after_s", "paused_s"), [(5.0, 5.0), (120.0, 120.0), (3_600.0, 120.0)])
def test_nothing_is_sent_before_a_retry_after_is_over(clock, creates, retry_after_s, paused_s):
    speed = throttle.Pace()
    speed.throttled(retry_after_s, sent=clock.now)
    speed.enter(creates=creates)
    assert clock.slept == [pytest.approx(paused_s)]


@pytest.mark.parametrize("retry_after_s", [None, 0.0])
def test_a_refusal_without_a_time_pauses_nothing(clock, retry_after_s):
    speed = throttle.Pace()
    speed.throttled(retry_after_s, sent=clock.now)
    speed.enter(creates=False)
    assert clock.slept == []


def test_a_shorter_retry_after_does_not_end_a_longer_one(clock):
    speed = throttle.Pace()
    speed.throttled(30.0, sent=clock.now)
    speed.throttled(1.0, sent=clock.now)
    speed.enter(creates=False)
    assert clock.slept == [pytest.approx(30.0)]


def test_creations_after_a_pause_keep_their_distance(clock):
    speed = throttle.Pace()
    speed.throttled(5.0, sent=clock.now)
    assert pauses(speed, clock, 2) == [5.0, 1 / 100]


@pytest.mark.parametrize("creates", [True, False])
def test_who_waits_for_a_turn_heeds_a_refusal_that_comes_meanwhile(clock, creates):
    speed = throttle.Pace()
    speed.throttled(2.0, sent=clock.now)
    refusals = [5.0, 4.0]

    def sleep(seconds):
        clock.slept.append(seconds)
        clock.now += seconds
        if refusals:
            speed.throttled(refusals.pop(0), sent=clock.now)

    clock.sleep = sleep
    speed.enter(creates=creates)
    assert clock.slept == [2.0, 5.0, 4.0]


class Noted(throttle.Pace):
    """A pace that only notes what it is told."""

    def __init__(self):
        super().__init__()
        self.told = []

    def enter(self, *, creates):
        self.told.append(("enter", creates))

    def throttled(self, retry_after_s, *, sent):
        self.told.append(("throttled", retry_after_s))

    def accepted(self):
        self.told.append(("accepted",))


def sent(monkeypatch, method, status, **headers):
    """Return what the pace is told of a call that is answered so, and the transport."""
    answer = SimpleNamespace(status_code=status, headers=headers)
    monkeypatch.setattr(throttle.RequestsTransport, "send", lambda self, request, **options: answer)
    speed = Noted()
    transport = throttle.PacedTransport(speed)
    assert transport.send(SimpleNamespace(method=method, url="https://x/jobs/j", content=b"{}")) is answer
    return speed.told, transport


@pytest.mark.parametrize(
    ("method", "status", "headers", "told"),
    [
        ("PUT", 200, {}, [("enter", True), ("accepted",)]),
        ("PUT", 201, {}, [("enter", True), ("accepted",)]),
        ("PUT", 300, {}, [("enter", True)]),
        ("PUT", 400, {}, [("enter", True)]),
        ("GET", 200, {}, [("enter", False)]),
        ("POST", 200, {}, [("enter", False)]),
        ("PUT", 429, {}, [("enter", True), ("throttled", None)]),
        ("GET", 429, {"Retry-After": "7"}, [("enter", False), ("throttled", 7.0)]),
        ("GET", 429, {"Retry-After": "0.5"}, [("enter", False), ("throttled", 0.5)]),
        ("GET", 429, {"Retry-After": "Wed, 25 Nov 2026 08:00:00 GMT"}, [("enter", False), ("throttled", None)]),
        ("GET", 503, {"Retry-After": "7"}, [("enter", False)]),
    ],
)
@pytest.mark.filterwarnings("ignore:Azure asks for fewer calls")
def test_every_call_keeps_to_the_pace_and_tells_it_how_it_went(monkeypatch, method, status, headers, told):
    assert sent(monkeypatch, method, status, **headers)[0] == told


def test_what_was_created_last_is_remembered(monkeypatch):
    _, transport = sent(monkeypatch, "PUT", 200)
    assert transport.last_put == ("https://x/jobs/j", b"{}")
    transport.send(SimpleNamespace(method="GET", url="https://x/other", content=b""))
    assert transport.last_put == ("https://x/jobs/j", b"{}")
    transport.send(SimpleNamespace(method="PUT", url="https://x/older", body="{}"))
    assert transport.last_put == ("https://x/older", "{}")
    transport.send(SimpleNamespace(method="PUT", url="https://x/none"))
    assert transport.last_put == ("https://x/none", "")


class Credential:
    """Counts how often it had to forget its token."""

    forgotten = 0

    def forget(self):
        self.forgotten += 1


def answered(status, method="GET", **headers):
    request = SimpleNamespace(method=method)
    return SimpleNamespace(http_request=request, http_response=SimpleNamespace(status_code=status, headers=headers))


def again(status, *past, method="GET"):
    """Return whether a call that is answered with `status`, after calls with those of `past`, is repeated."""
    patience = throttle.Patience(Credential())
    settings = {**patience.configure_retries({}), "history": [answered(code) for code in past]}
    return patience.is_retry(settings, answered(status, method))


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE", "HEAD"])
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_repeated_whatever_the_call(status, method):
    assert again(status, method=method)


@pytest.mark.parametrize("status", [200, 201, 202, 400, 403, 404, 409, 501])
def test_what_is_final_is_not_repeated(status):
    assert not again(status)


def test_a_storm_of_refusals_is_waited_out():
    assert again(429, *[429] * 24)


@pytest.mark.parametrize(("failures", "repeated"), [(6, True), (7, False), (20, False)])
@pytest.mark.parametrize("status", [500, 503])
def test_a_service_that_fails_is_not_asked_for_ever(status, failures, repeated):
    assert again(status, *[status] * failures) is repeated
    assert again(status, *[429] * failures)
    assert again(429, *[status] * failures)


def test_calls_without_an_answer_do_not_count_as_failures():
    patience = throttle.Patience(Credential())
    lost = SimpleNamespace(http_response=None)
    settings = {**patience.configure_retries({}), "history": [lost] * 8 + [answered(401)]}
    assert patience.is_retry(settings, answered(500))
    assert not patience.is_retry(settings, answered(401))


def test_a_refused_token_is_fetched_anew_once():
    credential = Credential()
    patience = throttle.Patience(credential)
    settings = {**patience.configure_retries({}), "history": []}
    assert patience.is_retry(settings, answered(401))
    assert credential.forgotten == 1
    settings["history"] = [answered(401)]
    assert not patience.is_retry(settings, answered(401))
    settings["history"] = []
    assert not patience.is_retry(settings, answered(403))
    assert credential.forgotten == 2


def test_waits_grow_are_bounded_and_never_the_same():
    patience = throttle.Patience(Credential())
    settings = patience.configure_retries({})
    assert {name: settings[name] for name in ("total", "connect", "read", "status")} == {
        "total": 25,
        "connect": 6,
        "read": 10,
        "status": 25,
    }

    def waits(tries):
        return [patience.get_backoff_time({**settings, "history": [None] * tries}) for _ in range(50)]

    assert all(0 <= wait <= 0.1 for wait in waits(1))
    assert all(0.4 <= wait <= 1.2 for wait in waits(2))
    assert all(30 <= wait <= 90 for wait in waits(20))
    assert len(set(waits(1))) > 1
    assert len(set(waits(20))) > 1


def said(monkeypatch, *waits):
    """Return what is said when calls have to wait: so many seconds after the one before, and for so long if known."""
    clock = Clock()
    monkeypatch.setattr(throttle, "time", clock)
    notice = throttle.Notice()
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for later_s, wait_s in waits:
            clock.now += later_s
            notice.note("asks for fewer calls (429)", wait_s=wait_s)
    return [str(each.message).partition(": ")[2].partition(" put off")[0] for each in found]


@pytest.mark.parametrize(
    ("waits", "expected"),
    [
        pytest.param([(0, 0)], [], id="one call"),
        pytest.param([(0, 0), (1, 0), (3.9, 0)], [], id="for a moment"),
        pytest.param([(0, 0), (5, 0)], ["2 calls in 5 s"], id="for a while"),
        pytest.param([(0, 30)], ["one call"], id="one that is told to wait for long"),
        pytest.param([(0, 0)] + [(1, 0)] * 64, ["6 calls in 5 s"], id="said once"),
        pytest.param([(0, 0)] + [(1, 0)] * 65, ["6 calls in 5 s", "66 calls in 65 s"], id="and then how many"),
        pytest.param([(0, 0), (5, 0), (241, 0)], ["2 calls in 5 s"], id="another time, for a moment"),
        pytest.param([(0, 0), (5, 0), (240, 0)], ["2 calls in 5 s", "3 calls in 245 s"], id="still the same"),
    ],
)
def test_waiting_is_one_line_and_then_a_count(monkeypatch, waits, expected):
    assert said(monkeypatch, *waits) == expected


@pytest.mark.parametrize(
    ("status", "headers", "text"),
    [
        (429, {"Retry-After": "7"}, "Azure asks for fewer calls (429): one call put off so far."),
        (200, {}, "Azure took 16 s for an answer: one call put off so far."),
    ],
)
def test_a_service_that_keeps_calls_waiting_is_said(monkeypatch, status, headers, text):
    clock = Clock()
    monkeypatch.setattr(throttle, "time", clock)
    transport = throttle.PacedTransport(throttle.Pace())
    answer = SimpleNamespace(status_code=status, headers=headers)

    def slow(self, request, **options):
        clock.now += 16 if status == 200 else 0
        return answer

    monkeypatch.setattr(throttle.RequestsTransport, "send", slow)
    with pytest.warns(RuntimeWarning, match=re.escape(text)):
        transport.send(SimpleNamespace(method="GET", url="https://x", content=b""))


HOSTS = ["https://management.azure.com/a", "https://management.azure.com/b?c=1", "http://inside.example/a", "https://x:8443"]


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"HTTPS_PROXY": "http://proxy:1"},
        {"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "inside.example,azure.com"},
        {"ALL_PROXY": "socks5://proxy:2", "http_proxy": "http://proxy:3"},
        {"REQUESTS_CA_BUNDLE": "/certificates.pem"},
    ],
    ids=["none", "proxy", "exceptions", "all", "certificates"],
)
def test_what_the_environment_says_of_a_host_is_what_requests_finds(monkeypatch, environ):
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    session, usual = throttle.PacedTransport(throttle.Pace()).session, requests.Session()
    for url in HOSTS * 2:
        for proxies in ({}, None, {"https": "http://given:4"}):
            for verify in (True, False, "/given.pem"):
                one, other = copy(proxies), copy(proxies)  # it writes into them
                found = session.merge_environment_settings(url, one, False, verify, None)
                assert found == usual.merge_environment_settings(url, other, False, verify, None)


def test_the_environment_is_looked_through_once_for_each_host(monkeypatch):
    looked = []
    usual = requests.Session.merge_environment_settings

    def noted(self, url, *rest):
        looked.append(url)
        return usual(self, url, *rest)

    monkeypatch.setattr(requests.Session, "merge_environment_settings", noted)
    session = throttle.PacedTransport(throttle.Pace()).session
    for url in HOSTS * 2:
        session.merge_environment_settings(url, {}, False, True, None)["proxies"]["mine"] = "http://alone"
    assert looked == [HOSTS[0], *HOSTS[2:]]
