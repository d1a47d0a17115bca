"""`navstack fly` on an emulated autopilot, each a process of its own, in real time."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time

import pytest

from navstack.replay import read_log

pytestmark = pytest.mark.slow


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextlib.contextmanager
def vehicle(*options):
    """A vehicle to connect to: the options of `navstack fly` that do."""
    mavlink, camera = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_STREAM)
    command = [
        sys.executable, "-m", "navstack", "sitl", "--mavlink", f"udpout:127.0.0.1:{mavlink}",
        "--camera", f"http://127.0.0.1:{camera}", "--seed", "3", *options,
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _until_it_listens(camera)
            yield [
                "--autopilot", f"udpin:127.0.0.1:{mavlink}", "--camera", f"http://127.0.0.1:{camera}/camera",
                "--camera-fov", "80",
            ]  # fmt: skip
        finally:
            process.terminate()
            process.wait(20)


def _until_it_listens(port):
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        time.sleep(0.1)
    raise AssertionError("the vehicle does not come up")


def fly(*options):
    return [sys.executable, "-m", "navstack", "fly", "fly-to-target", *map(str, options)]


def test_it_flies_holds_lands_and_leaves_a_log(tmp_path):
    log, out = tmp_path / "flight.mcap", tmp_path / "flight.json"
    with vehicle() as where:
        options = (*where, "--engage", "self", "--seconds", "4", "--log", log, "--json", out)
        done = subprocess.run(fly(*options), capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "real_flights: 0" in done.stdout
    facts = json.loads(out.read_text())
    assert (facts["outcome"], facts["engagements"]) == ("landed", 1)
    assert len(read_log(log).turns) > 100


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_hands_over_to_hold_and_says_so(number, tmp_path):
    log = tmp_path / "flight.mcap"
    with (
        vehicle() as where,
        subprocess.Popen(
            fly(*where, "--engage", "self", "--log", log),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process,
    ):  # fmt: skip
        for line in process.stdout:
            if "policy and guard begin anew" in line:
                break
        process.send_signal(number)
        said, errors = process.communicate(timeout=60)
    assert f"stopped by {number.name}; handed over: the autopilot is in AUTO.LOITER" in said
    assert f"{number.name}: handing over to hold" in errors
    assert "Traceback" not in errors
    assert read_log(log).turns


def test_unsafe_failsafes_are_refused_with_the_firmwares_page(tmp_path):
    with vehicle("--unsafe") as where:
        done = subprocess.run(fly(*where, "--engage", "self"), capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "UNSAFE: COM_OBL_RC_ACT" in done.stdout
    assert len(done.stderr.strip().splitlines()) == 1
