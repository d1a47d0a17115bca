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

from navstack.autopilot import connect
from navstack.autopilot.link import Authority, LinkConfig
from navstack.cli import run
from navstack.contract import Frame
from navstack.envs.sitl.camera import CameraServer
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
