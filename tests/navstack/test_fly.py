"""One flight through the closed loop, its log, and how it is stopped."""

import json
import os
import signal
import struct
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from mcap.exceptions import McapError
from mcap.reader import make_reader
from mcap.stream_reader import StreamReader
from mcap_protobuf.decoder import DecoderFactory

from navstack.contract import Frame, VehicleState, VelocityCommand
from navstack.errors import InputError
from navstack.flight import fly
from navstack.flying import RealTime
from navstack.policy import OnnxPolicy
from navstack.recorder import FlightRecorder

POLICY = "fly-to-target"


def navstack(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "navstack", *arguments], capture_output=True, text=True, **options
    )


class Scripted:
    """A camera, vehicle and clock in one: frames captured at the given times, nothing moves."""

    def __init__(self, captures):
        self.captures, self.time, self.sent = list(captures), 0.0, []

    def now(self):
        return self.time

    def wait(self, deadline):
        if self.captures and self.captures[0][0] <= deadline:
            self.time, captured = self.captures.pop(0)
            return Frame(np.zeros((64, 96, 3), np.uint8), captured)
        self.time = deadline
        return None

    def state(self):
        return VehicleState(self.time, (0.0, 0.0, 2.0), (0.0,) * 3, (0.0, 0.0, 0.0, 1.0), (0.0,) * 3)

    def send(self, command):
        self.sent.append(command)


class Listening:
    """A policy that notes what it is told."""

    def __init__(self):
        self.card, self.told, self.resets = OnnxPolicy.load(POLICY).card, [], 0

    def reset(self):
        self.resets += 1

    def step(self, image, dt):
        self.told.append(dt)
        return VelocityCommand(1.0, 0.0, 0.0, 0.0)


def flown(captures, seconds):
    world, policy = Scripted(captures), Listening()
    summary = fly(policy, None, world, world, world, finished=lambda: world.time >= seconds)
    return policy, summary, world


def test_the_policy_is_told_the_time_between_the_frames_it_saw():
    policy, summary, _ = flown([(0.0, 0.0), (0.05, 0.05), (0.20, 0.19), (0.30, 0.30)], 0.4)
    assert policy.told == pytest.approx([0.05, 0.05, 0.14, 0.11])
    assert summary.frames == 4


def test_a_frame_out_of_order_or_seen_before_is_not_shown():
    policy, summary, _ = flown([(0.0, 0.0), (0.1, 0.1), (0.15, 0.1), (0.2, 0.05), (0.3, 0.3)], 0.4)
    assert policy.told == pytest.approx([0.05, 0.1, 0.2])
    assert summary.skipped_frames == 2


def test_after_a_second_without_frames_the_policy_starts_anew():
    policy, summary, world = flown([(0.0, 0.0), (1.5, 1.5), (1.6, 1.6)], 1.7)
    assert policy.resets == 2
    assert summary.policy_resets == 1
    assert policy.told == pytest.approx([0.05, 0.05, 0.1])
    assert len(world.sent) > 25  # between frames too, at least every 50 ms


def test_real_time_keeps_pace_and_counts_what_it_missed():
    clock = {"now": 100.0}
    world = Scripted([(0.05, 0.05), (0.10, 0.10), (0.15, 0.15)])
    paced = RealTime(
        world, clock=lambda: clock["now"], sleep=lambda s: clock.__setitem__("now", clock["now"] + s)
    )
    paced.wait(0.05)
    assert clock["now"] == pytest.approx(100.05)
    clock["now"] += 0.2  # the machine was busy
    paced.wait(0.10)
    assert paced.missed == 1


def test_a_flight_leaves_a_log_that_mcap_and_its_schemas_read_back(tmp_path):
    log, out = tmp_path / "flight.mcap", tmp_path / "flight.json"
    done = navstack("fly", POLICY, "--world", "meadow", "--seed", "1", "--log", str(log), "--json", str(out))
    facts = json.loads(out.read_text())
    assert done.returncode == (0 if facts["outcome"] == "success" else 1), done.stderr
    topics = {}
    with log.open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])  # by the file's own descriptions
        card = next(m for m in reader.iter_metadata() if m.name == "policy card").metadata["json"]
        for schema, channel, _, message in reader.iter_decoded_messages():
            topics.setdefault(channel.topic, []).append((schema, message))
    assert json.loads(card)["task"] == "FlyToTarget"
    assert {"/camera", "/vehicle", "/sent", "/command", "/velocity"} <= set(topics)
    schema, first = topics["/camera"][0]
    assert (schema.name, schema.encoding) == ("foxglove.CompressedImage", "protobuf")
    picture = cv2.imdecode(np.frombuffer(first.data, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (64, 96, 3)
    assert len(topics["/camera"]) == facts["frames"]
    assert topics["/vehicle"][0][0].name == "foxglove.PoseInFrame"
    assert max(message.pose.position.z for _, message in topics["/vehicle"]) > 0.5
    sent = [message for _, message in topics["/sent"]]
    assert max(message.forward for message in sent) > 0.5
    assert np.all(np.diff([message.timestamp.ToNanoseconds() for message in sent]) > 0)
    assert not any(message.HasField("battery") for _, message in topics.get("/link", []))


@pytest.mark.slow
def test_rerun_shows_the_camera_the_pose_and_the_events_of_a_log(tmp_path):
    rerun = pytest.importorskip("rerun")
    log, out = tmp_path / "flight.mcap", tmp_path / "flight.rrd"
    navstack("fly", POLICY, "--world", "meadow", "--seed", "1", "--log", str(log))
    program = [sys.executable, "-m", rerun.__name__]
    done = subprocess.run([*program, "mcap", "convert", log, "-o", out], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shown = subprocess.run([*program, "rrd", "print", out], capture_output=True, text=True).stdout
    drawn = {"/camera": "EncodedImage", "/vehicle": "InstancePoses3D", "/events": "TextLog"}
    for entity, component in {**drawn, "/sent": "SentCommand"}.items():
        rows = [line for line in shown.splitlines() if f" - {entity} - " in line]
        assert any(component in line for line in rows), (entity, rows)


def test_a_killed_flight_loses_at_most_a_second(tmp_path):
    log = tmp_path / "flight.mcap"
    command = [sys.executable, "-m", "navstack", "fly", POLICY, "--real-time", "--log", str(log)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        started = time.monotonic()
        while (not log.exists() or log.stat().st_size < 200_000) and time.monotonic() - started < 40.0:
            time.sleep(0.05)
        time.sleep(2.0)
        process.kill()
    with log.open("rb") as file:
        sent = _readable(file)
    assert max(sent) * 1e-9 > 1.0
    assert len(sent) > 40


def _readable(file):
    """Times of the messages that stand before the break."""
    times = []
    try:
        for record in StreamReader(file).records:
            if type(record).__name__ == "Message":
                times.append(record.log_time)
    except (McapError, struct.error):  # the end is where the process was killed
        pass
    return times


def test_an_interrupt_stops_the_flight_and_ends_the_log(tmp_path):
    log = tmp_path / "flight.mcap"
    command = [sys.executable, "-m", "navstack", "fly", POLICY, "--real-time", "--log", str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        started = time.monotonic()
        while (not log.exists() or log.stat().st_size < 200_000) and time.monotonic() - started < 40.0:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in errors
    with log.open("rb") as file:
        assert make_reader(file).get_summary().statistics.message_count > 40


def test_a_disk_that_fills_up_in_flight_is_one_sentence_and_keeps_what_was_written(tmp_path):
    log = tmp_path / "flight.mcap"
    command = f"ulimit -f 300; exec {sys.executable} -m navstack fly {POLICY} --log {log}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert str(log) in done.stderr
    assert "File too large" in done.stderr
    with log.open("rb") as file:
        assert len(_readable(file)) > 40


def test_an_existing_log_is_left_alone(tmp_path):
    log = tmp_path / "flight.mcap"
    log.write_text("precious")
    with pytest.raises(InputError, match="exists"):
        FlightRecorder(log, Listening().card)
    assert log.read_text() == "precious"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--vehicle", "simm"), "did you mean 'sim'"),
        (("--world", "medow"), "did you mean 'meadow'"),
        (("--env", "Hover"), "not for Hover"),
        (("--rate", "0"), "rate_hz"),
    ],
)
def test_bad_input_is_one_sentence(arguments, sentence):
    done = navstack("fly", POLICY, *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
