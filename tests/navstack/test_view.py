"""The live page: what it shows, whom it answers, and that a real browser shows it."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.parse

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from navstack.contract import Frame, VehicleState, VelocityCommand
from navstack.errors import InputError
from navstack.flight import Tick
from navstack.policy import OnnxPolicy
from navstack.safety import Demand, GuardEvent
from navstack.telemetry import LinkFacts, Note, Record
from navstack.view.server import Looker, parse_address
from navstack.watchers import Watchers

CARD = OnnxPolicy.load("fly-to-target").card
TOKEN = "correct-horse"
FACTS = LinkFacts("held", "GUIDED", True, False, 0.81, 15.9, 0.4, 0.01, 0.012, True)
NOTES = (Note(0.0, "link", "engaged: <b>by</b> the pilot", warning=True),)


def record(when, **facts):
    y, x = np.mgrid[0:64, 0:96]
    image = np.stack((x * 2, y * 3, 128 + 0 * x), -1).astype(np.uint8)
    image[20:40, 40:60] = (200, 30, 30)
    state = VehicleState(when, (1.0, 2.0, 2.5), (0.5, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0), (0.0,) * 3)
    command = VelocityCommand(0.75, -0.125, 0.0, 0.25)
    sent = VelocityCommand(0.5, 0.0, 0.0, 0.25)
    events = (GuardEvent(when, "limits", "clamp"),) if when == 0.0 else ()
    frame = Frame(image, when)
    return Record(Tick(when, frame, 0.05, command, sent, state, events, Demand.FLY, 0.0005), **facts)


@pytest.fixture(scope="module")
def page():
    """A page with a token that has been told of a flight: the watchers and host:port."""
    with Watchers(CARD) as watchers:
        line = watchers.show_on("127.0.0.1:0", TOKEN, "fly-to-target")
        address = urllib.parse.urlsplit(line.split()[1])
        watchers(record(0.0, link=FACTS, notes=NOTES))
        for index in range(1, 30):
            watchers(record(0.05 * index))
        time.sleep(0.3)
        assert address.query == f"token={TOKEN}"
        yield watchers, address.netloc


def ask(netloc, path, method="GET", token=TOKEN, body=None, **headers):
    connection = http.client.HTTPConnection(netloc, timeout=10)
    if token is not None:
        headers["Cookie"] = f"navstack={token}"
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer, data


def test_the_state_is_what_the_loop_said(page):
    _, netloc = page
    answer, data = ask(netloc, "/state")
    state = json.loads(data)
    assert answer.status == 200
    assert state["sent"] == [0.5, 0.0, 0.0, 0.25]
    assert state["guard"] == {"limits": "clamp"}
    assert state["link"]["mode"] == "GUIDED"
    assert state["latency_ms"] == pytest.approx(0.5)
    assert any("engaged" in event["text"] for event in state["events"])
    assert ask(netloc, "/picture")[1].startswith(b"\x89PNG")


def test_attention_is_drawn_when_it_is_asked_for(page):
    _, netloc = page
    answer, first = ask(netloc, "/attention")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/png")
    assert first.startswith(b"\x89PNG")
    assert first != ask(netloc, "/picture")[1]


def test_attention_is_drawn_twice_a_second_at_most():
    looker, image = Looker("fly-to-target"), record(0.0).tick.frame.image
    first = looker.look(image, 0.0)
    assert looker.look(image[:, ::-1].copy(), 0.4) == first
    assert looker.look(image[:, ::-1].copy(), 0.5) != first


def test_a_page_that_knows_no_policy_says_so_in_place_of_attention():
    with Watchers(CARD) as watchers:
        netloc = urllib.parse.urlsplit(watchers.show_on("127.0.0.1:0", TOKEN).split()[1]).netloc
        watchers(record(0.0))
        time.sleep(0.3)
        answer, data = ask(netloc, "/attention")
    assert answer.status == 404
    assert b"not told which policy" in data


def test_without_the_token_nothing_is_shown_or_asked_for(page):
    watchers, netloc = page
    for token in (None, "", "correct-horsf", "é"):
        for path in ("/", "/state", "/picture", "/attention", "/page.js", "/?token=wrong"):
            assert ask(netloc, path, token=token and token.encode("utf-8").decode("latin-1"))[0].status == 403
    assert ask(netloc, "/hold", "POST", token=None, **{"X-Navstack": "hold"})[0].status == 403
    assert not watchers.hold_asked()


def test_the_token_moves_from_the_address_into_a_cookie(page):
    _, netloc = page
    answer, _ = ask(netloc, f"/?token={TOKEN}", token=None)
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    assert "HttpOnly; SameSite=Strict" in answer.headers["Set-Cookie"]
    answer, data = ask(netloc, "/")
    assert answer.status == 200
    assert b"no emergency stop" in data
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_hold_reaches_the_loop_once_and_only_from_the_page_itself(page):
    watchers, netloc = page
    assert ask(netloc, "/hold", "POST")[0].status == 403  # another site's form sets no header
    assert ask(netloc, "/hold", "GET", **{"X-Navstack": "hold"})[0].status == 404
    assert not watchers.hold_asked()
    assert ask(netloc, "/hold", "POST", **{"X-Navstack": "hold"})[0].status == 200
    assert watchers.hold_asked()
    assert not watchers.hold_asked()


@settings(max_examples=60)
@given(st.binary(max_size=300), st.sampled_from([b"", b"GET /", b"POST /hold HTTP/1.1\r\nContent-Length: "]))
def test_no_request_crashes_it_or_makes_it_hold(page, data, before):
    watchers, netloc = page
    host, port = netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(before + data + b"\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        while client.recv(4096):
            pass
    assert ask(netloc, "/state")[0].status == 200
    assert not watchers.hold_asked()


@pytest.mark.parametrize("address", ["", "8000", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000"])
def test_an_address_that_is_none_is_one_sentence(address):
    with pytest.raises(InputError, match="expected HOST:PORT"):
        parse_address(address)


def test_a_port_that_is_taken_is_said_before_the_flight(page):
    _, netloc = page
    with Watchers(CARD) as watchers, pytest.raises(InputError, match="cannot be served"):
        watchers.show_on(netloc, None)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's chromium")
def test_a_real_browser_shows_the_flight(tmp_path):
    """Chromium, headless: a screenshot, and the text of the page after its script ran."""
    chromium = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1100,800",
    ]  # fmt: skip
    picture = tmp_path / "page.png"
    with Watchers(CARD) as watchers:
        address = watchers.show_on("127.0.0.1:0", TOKEN).split()[1]
        watchers(record(0.0, link=FACTS, notes=NOTES))
        for index in range(1, 30):
            watchers(record(0.05 * index))
        shot = [*chromium, "--virtual-time-budget=2500", f"--screenshot={picture}", address]
        subprocess.run(shot, check=True, capture_output=True, timeout=120)
        dump = [*chromium, "--virtual-time-budget=2500", "--dump-dom", address]
        done = subprocess.run(dump, check=True, capture_output=True, text=True, timeout=120)
    assert picture.stat().st_size > 20_000
    if os.environ.get("NAVSTACK_PICTURES"):
        shutil.copy(picture, os.environ["NAVSTACK_PICTURES"])
    assert "real flights: 0" in done.stdout
    assert "authority: held" in done.stdout
    assert "limits: clamp" in done.stdout
    assert "engaged: &lt;b&gt;by&lt;/b&gt; the pilot" in done.stdout  # text, never markup
    assert "This is no emergency stop" in done.stdout
