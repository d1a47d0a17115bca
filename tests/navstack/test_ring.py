"""The ring that drops, the records in it, and the recorder's process behind it."""

import contextlib
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader

from navstack.contract import Frame, VehicleState, VelocityCommand
from navstack.errors import InputError
from navstack.flight import Tick
from navstack.log_format import CHANNELS, optional
from navstack.policy import OnnxPolicy
from navstack.recorder import FlightRecorder, Rotation
from navstack.ring import Ring, RingReader, RingWriter
from navstack.safety import Demand, GuardEvent
from navstack.telemetry import LinkFacts, Note, Record, pack, unpack
from navstack.watchers import Watchers

CARD = OnnxPolicy.load("fly-to-target").card
RNG = np.random.default_rng(0)
number = st.floats(allow_nan=False, allow_infinity=False, width=32)


def record(when, picture=True, **facts):
    image = RNG.integers(0, 256, (64, 96, 3), dtype=np.uint8)
    state = VehicleState(when, (1.0, 2.0, 3.0), (0.1, 0.2, 0.3), (0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.1), 1.5)
    frame = Frame(image, when - 0.02, repeated=False) if picture else None
    command = VelocityCommand(0.5, 0.0, 0.1, -0.2)
    return Record(Tick(when, frame, 0.05 if picture else None, command, command, state, ()), **facts)


@given(st.lists(st.one_of(st.just(None), st.binary(max_size=40)), max_size=60))
def test_a_reader_sees_what_was_written_in_order_and_counts_what_it_missed(steps):
    """None is a look by the reader; bytes are written."""
    ring = Ring.create(8, 32)
    writer, reader = RingWriter(ring), RingReader(ring)
    written, seen = [], []
    for step in steps:
        if step is None:
            seen += reader.take()
        elif writer.put([step[:3], step[3:]]):
            written.append(step)
        else:
            assert len(step) > 32
    seen += reader.take()
    ring.close()
    assert len(seen) + reader.dropped == len(written)
    positions = iter(written)
    assert all(any(found == there for there in positions) for found in seen)
    assert written[-1:] == seen[-1:]


def test_a_reader_with_an_index_tells_how_far_it_has_come():
    ring = Ring.create(8, 32)
    writer, first, second = RingWriter(ring), RingReader(ring, 0), RingReader(ring, 1)
    for _ in range(3):
        writer.put([b"x"])
    first.take()
    assert (ring.read(0), ring.read(1)) == (3, 0)
    for _ in range(20):
        writer.put([b"x"])
    second.take()
    assert (ring.read(0), ring.read(1), ring.written) == (3, 23, 23)
    ring.close()


def test_a_recorder_that_is_stopped_is_told_of_and_the_loop_goes_on(tmp_path):
    """The times are those of the records: nobody waits for them."""
    with Watchers(CARD) as watchers:
        watchers.record_to(tmp_path / "flight.mcap", Rotation())
        (recorder,) = watchers.processes.values()
        os.kill(recorder, signal.SIGSTOP)
        notes = []
        for index in range(60):
            notes += watchers(record(0.1 * index))
        assert [note.text for note in notes] == ["the recorder has read nothing for 2.0 s"]
        os.kill(recorder, signal.SIGCONT)
        deadline = time.monotonic() + 10.0
        while watchers.ring.read(0) < watchers.ring.written and time.monotonic() < deadline:
            time.sleep(0.02)
        notes = [note for index in range(60, 80) for note in watchers(record(0.1 * index))]
        assert [note.text for note in notes] == ["the recorder reads again"]
    assert not watchers.failures


def test_a_log_that_is_removed_in_flight_is_told_of(tmp_path):
    recorder = FlightRecorder(tmp_path / "flight.mcap", CARD)
    recorder.write(record(0.0))
    recorder.sync()
    recorder.path.unlink()
    with pytest.raises(InputError, match=r"flight\.mcap: the flight log was removed in flight"):
        recorder.sync()
    recorder.close()


def test_a_record_that_is_overwritten_while_it_is_read_is_not_believed():
    ring = Ring.create(4, 16)
    writer, reader = RingWriter(ring), RingReader(ring)
    writer.put([b"genuine"])
    ring.memory[ring.offset(1) + 20] ^= 0xFF
    assert reader.take() == []
    assert reader.dropped == 1
    ring.close()


def test_a_descriptor_that_is_no_ring_is_refused(tmp_path):
    with (tmp_path / "file").open("w+b") as file:
        file.write(b"x" * 100)
        file.flush()
        with pytest.raises(InputError, match="no ring"):
            Ring.open(file.fileno())


@settings(max_examples=50)
@given(
    numbers=st.tuples(*[number] * 14), late=st.booleans(), demand=st.sampled_from(Demand),
    repeated=st.sampled_from([None, False, True]), picture=st.booleans(), words=st.text(max_size=30),
    battery=st.none() | number,
)  # fmt: skip
def test_a_record_comes_back_as_it_was(numbers, late, demand, repeated, picture, words, battery):
    image = RNG.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    state = VehicleState(1.0, numbers[:3], numbers[3:6], numbers[6:10], numbers[10:13], battery)
    frame = Frame(image, numbers[13], repeated) if picture else None
    tick = Tick(
        2.0, frame, 0.05 if picture else None, VelocityCommand(*numbers[:4]), VelocityCommand(*numbers[4:8]),
        state, (GuardEvent(1.5, "limits", words),), demand, 0.001, late,
    )  # fmt: skip
    sent = Record(tick, LinkFacts(mode=words, battery=battery), (Note(1.0, "link", words, late),))
    found = unpack(b"".join(bytes(part) for part in pack(sent)))
    if picture:
        assert np.array_equal(found.tick.frame.image, image)
        assert (found.tick.frame.capture_time, found.tick.frame.repeated) == (numbers[13], repeated)
    bare = [
        {name: getattr(t, name) for name in Tick.__slots__ if name != "frame"} for t in (found.tick, tick)
    ]
    assert bare[0] == bare[1]
    assert (found.link, found.notes) == (sent.link, sent.notes)


@given(st.binary(max_size=400))
def test_bytes_that_are_no_record_are_refused(data):
    with contextlib.suppress(ValueError, TypeError, KeyError, IndexError):
        unpack(data)


def messages(path):
    with path.open("rb") as file:
        return [
            (channel.topic, CHANNELS[channel.topic].FromString(message.data))
            for _, channel, message in make_reader(file).iter_messages()
        ]


def test_the_recorder_writes_what_the_loop_said_and_ends_with_it(tmp_path):
    path = tmp_path / "flight.mcap"
    with Watchers(CARD) as watchers:
        watchers.record_to(path, Rotation())
        for index in range(60):
            notes = (Note(0.05 * index, "link", "engaged"),) if index == 30 else ()
            watchers(record(0.05 * index, notes=notes, link=LinkFacts(mode="GUIDED")))
    found = messages(path)
    assert watchers.failures == []
    assert sum(topic == "/camera" for topic, _ in found) == 60
    assert [m.message for topic, m in found if topic == "/events"] == ["engaged"]
    assert {m.mode for topic, m in found if topic == "/link"} == {"GUIDED"}


def test_a_log_that_cannot_be_written_is_one_sentence_before_the_flight(tmp_path):
    with (
        Watchers(CARD) as watchers,
        pytest.raises(InputError, match=r"recorder does not start.*cannot be written"),
    ):
        watchers.record_to(tmp_path / "nowhere" / "flight.mcap", Rotation())


def test_a_recorder_that_is_killed_or_stopped_never_delays_the_loop(tmp_path):
    path = tmp_path / "flight.mcap"
    with Watchers(CARD) as watchers:
        watchers.record_to(path, Rotation())
        pid = watchers.processes["recorder"]
        for index in range(40):
            watchers(record(0.05 * index))
        time.sleep(0.3)
        os.kill(pid, signal.SIGSTOP)
        began = time.perf_counter()
        for index in range(40, 440):  # more than the ring holds
            watchers(record(0.05 * index))
        assert (time.perf_counter() - began) / 400 < 0.01
        os.kill(pid, signal.SIGKILL)
        time.sleep(0.2)
        notes = [note for index in range(20) for note in watchers(record(22.0 + 0.05 * index))]
    assert [note.source for note in notes] == ["recorder"]
    assert "gone" in notes[0].text
    assert path.stat().st_size > 200_000


LOOP = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import test_ring as t
with t.Watchers(t.CARD) as watchers:
    watchers.record_to(Path(sys.argv[1]), t.Rotation())
    for index in range(1000):
        watchers(t.record(0.02 * index))
        if index == 100:
            print("under way", flush=True)
        time.sleep(0.005)
"""


def test_when_the_loop_is_killed_the_log_is_ended_with_its_last_turn(tmp_path):
    path = tmp_path / "flight.mcap"
    command = [sys.executable, "-c", LOOP, str(path), str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "under way\n"
        process.kill()
    deadline = time.monotonic() + 20.0
    while time.monotonic() < deadline:
        try:
            found = messages(path)
            break
        except Exception:  # not ended yet
            time.sleep(0.1)
    assert sum(topic == "/camera" for topic, _ in found) >= 101


def test_a_log_is_bounded_by_rotation_and_each_file_opens_alone(tmp_path):
    recorder = FlightRecorder(tmp_path / "flight.mcap", CARD, Rotation(300_000, 3))
    for index in range(600):
        recorder.write(record(0.05 * index))
    recorder.close()
    files = sorted(tmp_path.iterdir())
    assert len(files) == 3
    assert all(path.stat().st_size < 1_000_000 for path in files)
    assert all(messages(path) for path in files)


def test_a_state_that_is_no_number_is_logged_as_it_is(tmp_path):
    path, odd = tmp_path / "flight.mcap", record(1.0)
    state = VehicleState(1.0, (math.nan, 0.0, math.inf), (0.0,) * 3, (0.0, 0.0, 0.0, 1.0), (0.0,) * 3)
    tick = odd.tick
    recorder = FlightRecorder(path, CARD)
    recorder(Tick(1.0, tick.frame, 0.05, VelocityCommand(math.nan, 0, 0, 0), tick.sent, state, ()))
    recorder.close()
    found = dict(messages(path))
    position = found["/vehicle"].pose.position
    assert math.isnan(position.x)
    assert (position.y, position.z) == (0.0, math.inf)
    assert math.isnan(found["/command"].forward)
    assert optional(found["/velocity"], "height") is None
