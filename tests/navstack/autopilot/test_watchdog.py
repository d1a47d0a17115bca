"""The watchdog flies level and sinking when the loop is late, stopped or dead, and rests when it lives."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from navstack.autopilot import msp
from navstack.autopilot.watchdog import Watchdog, neutral

FRAME = msp.encode_channels(neutral(1290))
HOLDER = """
import socket, sys, time
from navstack.autopilot.watchdog import Watchdog
connection = socket.socket(fileno=int(sys.argv[1]))
watchdog = Watchdog(connection.fileno())
print(watchdog.pid, flush=True)
while True:
    watchdog.beat(1290, True)
    time.sleep(0.02)
"""


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    ours.settimeout(2.0)
    yield ours, theirs
    ours.close()
    theirs.close()


def heard(ours, seconds):
    """What arrives within so long."""
    end, data = time.monotonic() + seconds, b""
    ours.setblocking(False)
    while time.monotonic() < end:
        try:
            data += ours.recv(65536)
        except BlockingIOError:
            time.sleep(0.005)
    return data


def test_it_takes_over_a_fifth_of_a_second_after_the_last_beat_and_rests_when_beats_come_again(ends):
    ours, theirs = ends
    watchdog = Watchdog(theirs.fileno())
    try:
        for _ in range(50):
            watchdog.beat(1290, True)
            time.sleep(0.02)
        assert heard(ours, 0.02) == b""
        frames = heard(ours, 1.0)
        assert frames.count(FRAME) > 15
        assert frames == FRAME * frames.count(FRAME)
        for _ in range(20):
            watchdog.beat(1290, True)
            time.sleep(0.02)
        heard(ours, 0.02)
        for _ in range(10):
            watchdog.beat(1290, False)  # the vehicle is the pilot's
            time.sleep(0.02)
        assert heard(ours, 0.6) == b""
    finally:
        watchdog.close()
    assert not watchdog.alive


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
def test_it_outlives_the_loop(ends, blow):
    ours, theirs = ends
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(theirs.fileno())], pass_fds=(theirs.fileno(),),
        stdout=subprocess.PIPE, text=True,
    ) as loop:  # fmt: skip
        watchdog = int(loop.stdout.readline())
        time.sleep(1.0)
        heard(ours, 0.05)
        loop.send_signal(blow)
        try:
            assert heard(ours, 1.5).count(FRAME) > 15
        finally:
            loop.kill()
            theirs.close()
            ours.close()  # its connection is gone: it ends
    deadline = time.monotonic() + 5.0
    while time.monotonic() < deadline and alive(watchdog):
        time.sleep(0.05)
    assert not alive(watchdog)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
        return file.read().split(")")[1].split()[0] != "Z"
