"""Reading flight logs back."""

import contextlib

import numpy as np
import pytest

from navstack.contract import Frame, VehicleState, VelocityCommand
from navstack.errors import InputError
from navstack.flight import Tick
from navstack.flight_log import read_flight_log
from navstack.recorder import FlightRecorder

STILL = VehicleState(0.0, (0.0, 0.0, 2.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0))


def write(path, card, times, end=True):
    """A log with a frame at each time, and one turn of the guard without a frame after each."""
    rng = np.random.default_rng(0)
    recorder, images, commands = FlightRecorder(path, card), [], []
    for time in times:
        images.append(rng.integers(0, 256, (8, 12, 3), dtype=np.uint8))
        commands.append(VelocityCommand(*rng.uniform(-1, 1, 4).tolist()))
        recorder(Tick(time, Frame(images[-1], time), 0.05, commands[-1], commands[-1], STILL, ()))
        recorder(Tick(time + 0.01, None, None, commands[-1], commands[-1], STILL, ()))
    if end:
        recorder.close()
    return np.array(images), np.array([c.as_array() for c in commands])


def test_frames_and_commands_come_back_as_they_were(tmp_path, make_card):
    path = tmp_path / "flight.mcap"
    images, commands = write(path, make_card(), [0.0, 0.05, 0.15, 0.2])
    log = read_flight_log(path, rate_hz=20.0)
    np.testing.assert_array_equal(log.image, images)
    np.testing.assert_array_equal(log.command, commands)
    np.testing.assert_allclose(log.dt, [0.05, 0.05, 0.1, 0.05], atol=1e-6)
    assert log.first.tolist() == [True, False, False, False]


def test_after_a_second_without_frames_the_policy_began_anew(tmp_path, make_card):
    path = tmp_path / "flight.mcap"
    write(path, make_card(), [0.0, 0.1, 1.3, 1.4])
    log = read_flight_log(path, rate_hz=10.0)
    assert log.first.tolist() == [True, False, True, False]
    np.testing.assert_allclose(log.dt, 0.1, atol=1e-6)


def test_a_log_that_was_cut_short_is_read_up_to_there(tmp_path, make_card):
    whole, cut = tmp_path / "whole.mcap", tmp_path / "cut.mcap"
    images, _ = write(whole, make_card(), np.arange(0.0, 4.0, 0.05).tolist())
    data = whole.read_bytes()
    cut.write_bytes(data[: len(data) * 2 // 3])
    log = read_flight_log(cut, rate_hz=20.0)
    assert 20 < len(log.dt) < len(images)
    assert len(log.command) == len(log.image)
    np.testing.assert_array_equal(log.image, images[: len(log.image)])


def test_other_files_are_refused_in_a_sentence(tmp_path, make_card):
    path = tmp_path / "letter.mcap"
    path.write_bytes(b"dear reader")
    with pytest.raises(InputError, match=r"letter\.mcap: not a flight log"):
        read_flight_log(path, 20.0)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="it ends too early"):
        read_flight_log(path, 20.0)
    with pytest.raises(InputError, match=r"cannot be read \(No such file"):
        read_flight_log(tmp_path / "none.mcap", 20.0)
    write(tmp_path / "empty.mcap", make_card(), [])
    with pytest.raises(InputError, match="no frame"):
        read_flight_log(tmp_path / "empty.mcap", 20.0)


def test_damage_in_the_middle_is_one_sentence_or_read_up_to_there(tmp_path, make_card):
    path = tmp_path / "flight.mcap"
    images, _ = write(path, make_card(), np.arange(0.0, 4.0, 0.05).tolist())
    whole = path.read_bytes()
    for at in range(0, len(whole), len(whole) // 60):
        path.write_bytes(whole[:at] + bytes(64) + whole[at + 64 :])
        with contextlib.suppress(InputError):  # and nothing else
            assert 0 < len(read_flight_log(path, rate_hz=20.0).image) <= len(images)
