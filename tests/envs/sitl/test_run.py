"""`navstack sitl` as a process: its camera, its autopilot, and the shipped policy flying it from outside."""

import re
import socket
import subprocess
import sys
import time
import urllib.request

import cv2
import numpy as np
import pytest
from pymavlink.dialects.v20 import ardupilotmega as dialect

from navstack.autopilot import connect
from navstack.autopilot.link import Authority, Firmware, LinkConfig
from navstack.autopilot.mavlink.codec import Codec
from navstack.cli import run
from navstack.contract import Frame
from navstack.envs.commands.sitl import Sitl
from navstack.envs.navigation import NavigationEnv
from navstack.envs.sitl import EmulatedAutopilot, SitlBody
from navstack.envs.sitl.camera import CameraServer
from navstack.envs.sitl.run import _Session
from navstack.errors import InputError
from navstack.flight import fly
from navstack.policy import OnnxPolicy
from navstack.safety import guard_for


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class WallClock:
    def now(self):
        return time.monotonic()


def test_the_camera_streams_the_newest_frame_with_the_time_of_its_capture():
    server = CameraServer("127.0.0.1", 0)
    try:
        image = np.zeros((64, 96, 3), np.uint8)
        image[:, :48] = (200, 30, 20)
        server.show(np.zeros_like(image), 1.0)
        server.show(image, 1234.5)
        with urllib.request.urlopen(server.url, timeout=5) as stream:
            head = [stream.readline().decode().strip() for _ in range(5)]
            assert "X-Timestamp: 1234.500000" in head
            size = int(next(line for line in head if line.startswith("Content-Length")).split(":")[1])
            picture = cv2.imdecode(np.frombuffer(stream.read(size), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        assert np.abs(picture[32, 20].astype(int) - (200, 30, 20)).max() < 6
    finally:
        server.close()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--camera", "8080"), "http://127.0.0.1:8080"),
        (("--mavlink", "udpot:127.0.0.1:1"), "did you mean 'udpout'"),
        (("--mavlink", "udpout:127.0.0.1"), "host and port"),
        (("--set", "COM_OF_LOST_T=1"), "did you mean 'COM_OF_LOSS_T'"),
        (("--speed", "0"), "--speed"),
    ],
)
def test_bad_input_is_one_sentence(arguments, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        run(["sitl", *arguments])


class SlowCompanion:
    """A transport on which a setpoint comes a few looks after every frame."""

    datagrams = True

    def __init__(self):
        self.codec, self.looks = Codec(1, 191), 0

    def frame(self):
        self.looks = 4

    def read(self):
        self.looks -= 1
        if self.looks:
            return []
        setpoint = dialect.MAVLink_set_position_target_local_ned_message(
            0, 1, 1, dialect.MAV_FRAME_LOCAL_NED, 0x05C7, *(0.0,) * 11
        )
        return [self.codec.encode(setpoint)]

    def write(self, data):
        return True


@pytest.mark.parametrize("lock_step", [True, False])
def test_in_lock_step_time_stands_still_between_a_frame_and_its_setpoint(lock_step, monkeypatch):
    environment = NavigationEnv("FlyToTarget", "meadow", purpose="evaluate")
    companion, frames, answers = SlowCompanion(), [], []
    autopilot = EmulatedAutopilot(SitlBody(environment, 0), Firmware.PX4, [companion])
    step, take = autopilot.step, autopilot.take_setpoint

    def stepped():
        found = step()
        if found:
            frames.append(autopilot.body.now())
            companion.frame()
        return found

    def taken(message):
        answers.append(autopilot.body.now())
        take(message)

    monkeypatch.setattr(autopilot, "step", stepped)
    monkeypatch.setattr(autopilot, "take_setpoint", taken)
    _Session(Sitl(speed=100.0, seconds=1.0, lock_step=lock_step), autopilot, None).fly()
    environment.close()
    waits = [answer - frame for frame, answer in zip(frames, answers, strict=False)][1:]
    assert len(waits) > 15  # the first setpoint is what makes it a companion that flies
    assert all(wait == 0.0 for wait in waits) if lock_step else min(waits) > 0.0


class StreamCamera:
    """OpenCV's reader of the stream, as a frame source: the newest of what arrived."""

    def __init__(self, url):
        self.capture = cv2.VideoCapture(url)
        assert self.capture.isOpened()

    def wait(self, deadline):
        done, image = self.capture.read()
        return Frame(image[..., ::-1].copy(), time.monotonic()) if done else None


@pytest.mark.slow
@pytest.mark.parametrize("autopilot", ["px4", "arducopter"])
def test_the_shipped_policy_flies_to_the_target_over_udp_and_http(autopilot):
    link_port, camera_port = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_STREAM)
    url = f"http://127.0.0.1:{camera_port}"
    command = [
        sys.executable, "-m", "navstack", "sitl", "--world", "park", "--seed", "1", "--pilot", "--once",
        "--autopilot", autopilot, "--mavlink", f"udpout:127.0.0.1:{link_port}", "--camera", url,
        "--seconds", "90",
    ]  # fmt: skip
    link = connect(f"udpin:127.0.0.1:{link_port}", WallClock(), LinkConfig())
    events = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            until(lambda: process.poll() is not None or ready(link, events), 30.0)
            link.engage()
            camera = StreamCamera(f"{url}/camera")

            def finished():
                events.extend(link.poll())
                return process.poll() is not None or link.status().authority is Authority.ENDED

            policy = OnnxPolicy.load("fly-to-target")

            def offered():
                events.extend(link.poll())
                return link.status().authority is Authority.HELD

            until(offered, 30.0)
            summary = fly(policy, guard_for(policy.card), camera, link, WallClock(), finished=finished)
            out, _ = process.communicate(timeout=30)
        finally:
            process.kill()
            link.close()
    assert process.returncode == 0, (out, events)
    assert "success" in out
    assert summary.frames > 50


def ready(link, events):
    events.extend(link.poll())
    findings = link.preflight()
    return findings is not None and all(finding.ok for finding in findings)


def until(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)
