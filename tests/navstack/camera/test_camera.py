"""Cameras: pictures from files, folders and streams, their times, and the view that the policy gets."""

import importlib.util
import math
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from navstack.camera import (
    Calibration,
    NewestFrame,
    Rectifier,
    lens_for,
    load_calibration,
    open_camera,
    open_source,
)
from navstack.contract import CameraSpec
from navstack.errors import InputError

_spec = importlib.util.spec_from_file_location("mjpeg", Path(__file__).with_name("mjpeg.py"))
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
MjpegServer = _module.MjpegServer

WANTED = CameraSpec()
RNG = np.random.default_rng(0)
PLAIN = Rectifier(Calibration.pinhole(96, 64, WANTED.horizontal_fov), WANTED)


def smooth(index=0, width=96, height=64):
    """A picture that JPEG and video keep: a gradient whose brightness tells its number."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack((x * 255 // width, y * 255 // height, np.full_like(x, 4 * index % 256)), -1).astype(
        np.uint8
    )


def frames(camera, seconds):
    found, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        frame = camera.wait(time.monotonic() + 0.02)
        if frame is not None:
            found.append(frame)
    return found


def test_a_camera_that_is_as_trained_passes_through_untouched():
    picture = RNG.integers(0, 256, (64, 96, 3), dtype=np.uint8)
    assert np.array_equal(PLAIN(picture[:, :, ::-1]), picture)


def test_a_wider_lens_is_cropped_to_the_cards_view():
    """A red pole 30 degrees to the left stands where a pinhole camera of 80 degrees has it."""
    wide = Calibration.pinhole(640, 480, math.radians(110.0))
    fx, _, cx, _ = wide.matrix
    bearing = math.radians(30.0)
    picture = np.zeros((480, 640, 3), np.uint8)
    column = cx - fx * math.tan(bearing)
    picture[:, round(column) - 8 : round(column) + 9, 2] = 255
    seen = Rectifier(wide, WANTED)(picture)
    f = 48.0 / math.tan(0.5 * WANTED.horizontal_fov)
    profile = seen[:, :, 0].mean(axis=0)
    found = float((profile * np.arange(96)).sum() / profile.sum())
    assert found == pytest.approx(47.5 - f * math.tan(bearing), abs=0.5)
    assert seen.shape == (64, 96, 3)


def test_distortion_is_taken_out():
    """Straight lines in the world, bent by the lens, are straight for the policy."""
    lens = Calibration(640, 480, (300.0, 300.0, 319.5, 239.5), (-0.2, 0.03, 0.0, 0.0, 0.0))
    picture = np.zeros((480, 640, 3), np.uint8)
    line = np.stack((np.full(400, -0.5), np.linspace(-0.6, 0.6, 400), np.ones(400)), -1)  # x, y, z ahead
    points, _ = cv2.projectPoints(
        line, np.zeros(3), np.zeros(3), lens.camera_matrix, np.array(lens.distortion)
    )
    bent = points[:, 0, 0]
    assert np.ptp(bent[200:]) > 8.0
    cv2.polylines(picture, [np.round(points).astype(np.int32)], False, (255, 255, 255), 9)
    seen = Rectifier(lens, WANTED)(picture)[:, :48, 0].astype(float)
    columns = (seen * np.arange(48)).sum(axis=1) / np.maximum(seen.sum(axis=1), 1.0)
    assert np.ptp(columns[seen.sum(axis=1) > 100.0]) < 0.7


@pytest.mark.parametrize(
    ("width", "height", "fov"), [(640, 480, 70.0), (640, 360, 82.0)], ids=["narrow", "not high enough"]
)
def test_a_camera_that_cannot_provide_the_view_is_refused(width, height, fov):
    with pytest.raises(InputError, match="lacks"):
        Rectifier(lens_for(width, height, None, math.radians(fov)), WANTED)


def test_a_lens_must_be_known_in_exactly_one_way(tmp_path):
    for calibration, fov in ((None, None), (tmp_path / "a.json", 1.4)):
        with pytest.raises(InputError, match="either"):
            lens_for(640, 480, calibration, fov)


def test_a_calibration_comes_back_and_a_damaged_one_is_refused(tmp_path):
    path = tmp_path / "camera.json"
    lens = Calibration(640, 480, (300.0, 300.0, 319.5, 239.5), (-0.2, 0.03, 0.0, 0.0, 0.0), 0.2, 15)
    lens.save(path)
    assert load_calibration(path) == lens
    with pytest.raises(InputError, match="calibration is for"):
        Rectifier(lens, WANTED)(np.zeros((100, 100, 3), np.uint8))
    for text in (
        "",
        "[]",
        "{}",
        path.read_text().replace("-0.2", "NaN"),
        path.read_text().replace("300.0", "-3"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match="calibration"):
            load_calibration(path)


@settings(max_examples=200)
@given(st.binary(max_size=200) | st.text(max_size=80).map(str.encode))
def test_no_bytes_crash_the_calibration_reader(data):
    path = Path("/tmp") / f"navstack-fuzz-{time.monotonic_ns()}.json"
    path.write_bytes(data)
    try:
        with pytest.raises(InputError):
            load_calibration(path)
    finally:
        path.unlink()


def test_a_folder_plays_in_the_order_of_its_numbers_at_its_rate(tmp_path):
    for index in (0, 1, 2, 10, 11):
        cv2.imwrite(str(tmp_path / f"frame{index}.png"), cv2.cvtColor(smooth(index), cv2.COLOR_RGB2BGR))
    camera = NewestFrame(open_source(str(tmp_path), 40.0), PLAIN)
    found = frames(camera, 0.5)
    assert [int(frame.image[0, 0, 2]) for frame in found] == [0, 4, 8, 40, 44]
    gaps = np.diff([frame.capture_time for frame in found])
    assert gaps.min() >= 0.025 - 1e-6
    assert "ended" in camera.ended
    assert "own" in camera.timing
    camera.close()


def test_a_video_file_plays(tmp_path):
    path = str(tmp_path / "flight.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), 50.0, (96, 64))
    for index in range(20):
        writer.write(cv2.cvtColor(smooth(3 * index), cv2.COLOR_RGB2BGR))
    writer.release()
    camera = NewestFrame(open_source(path), PLAIN)
    found = frames(camera, 0.8)
    camera.close()
    assert len(found) >= 15  # a machine that is busy skips some: the newest wins
    assert abs(int(found[-1].image[32, 48, 2]) - 4 * 3 * 19) < 12


def test_the_newest_picture_of_a_stream_wins_and_tells_when_it_was_taken():
    server = MjpegServer()
    camera = NewestFrame(open_source(server.url), PLAIN)
    time.sleep(0.1)
    for index in range(10):
        server.show(smooth(index))
        time.sleep(0.03)
    time.sleep(0.15)
    shown = time.monotonic()
    frame = camera.wait(shown + 1.0)
    assert abs(int(frame.image[32, 48, 2]) - 36) < 4
    assert 0.1 < shown - frame.capture_time < 0.6  # it was taken then, not now
    assert camera.skipped >= 5
    assert camera.wait(time.monotonic() + 0.05) is None
    server.close()
    camera.close()


@pytest.mark.parametrize(("stamp", "clock_error"), [(False, 0.0), (True, 3600.0)])
def test_without_a_time_to_believe_it_is_arrival_less_the_declared_latency(stamp, clock_error):
    server = MjpegServer(stamp=stamp, clock_error=clock_error)
    camera = NewestFrame(open_source(server.url), PLAIN, latency=0.04)
    time.sleep(0.1)
    server.show(smooth())
    frame = camera.wait(time.monotonic() + 1.0)
    assert 0.04 <= time.monotonic() - frame.capture_time < 0.3
    assert "declared latency of 40 ms" in camera.timing
    server.close()
    camera.close()


def test_a_camera_that_is_gone_is_silence_that_keeps_the_pace():
    server = MjpegServer()
    camera = NewestFrame(open_source(server.url), PLAIN)
    time.sleep(0.1)
    server.show(smooth())
    assert camera.wait(time.monotonic() + 1.0) is not None
    server.close()
    began = time.monotonic()
    assert all(camera.wait(time.monotonic() + 0.05) is None for _ in range(60))
    assert time.monotonic() - began >= 2.9
    assert "does not answer" in camera.ended
    camera.close()


def test_frames_that_repeat_at_full_resolution_say_so(tmp_path):
    still, other = smooth(1, 384, 256), smooth(1, 384, 256)
    other[100, 100, 0] ^= 1  # one bit, that no small picture shows
    for index, picture in enumerate((still, still, other)):
        cv2.imwrite(str(tmp_path / f"{index}.png"), picture)
    wide = Rectifier(Calibration.pinhole(384, 256, WANTED.horizontal_fov), WANTED)
    camera = NewestFrame(open_source(str(tmp_path), 20.0), wide)
    assert [frame.repeated for frame in frames(camera, 0.4)] == [False, True, False]
    camera.close()


@settings(max_examples=60)
@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"--frame\r\nContent-Length: 40\r\n\r\n", b"\r\n\r\nX-Timestamp: a"]),
)
def test_no_bytes_of_a_server_crash_or_stop_the_reader(data, before):
    server = MjpegServer(raw=before + data)
    source = open_source(server.url)
    while source.read() is not None:
        pass
    source.close()
    server.close()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nowhere.mp4", "neither a device"),
        ("ftp://127.0.0.1/x", "no kind of stream"),
        ("http://127.0.0.1:9/", "no answer"),
        ("/dev/video99", "cannot be opened"),
        (__file__, "not a video"),
    ],
)
def test_a_camera_that_is_none_is_one_sentence(name, sentence):
    with pytest.raises(InputError, match=sentence):
        open_source(name)


def test_a_large_jpeg_is_decoded_smaller_and_shows_the_same():
    server = MjpegServer()
    done = threading.Event()

    def feed():
        while not done.wait(0.02):
            server.show(smooth(7, 640, 480))

    threading.Thread(target=feed, daemon=True).start()
    fov = math.radians(82.0)
    camera = open_camera(server.url, 20.0, WANTED, None, fov)
    frame = camera.wait(time.monotonic() + 2.0)
    assert camera.source.reduction == 4
    full = Rectifier(Calibration.pinhole(640, 480, fov), WANTED)(smooth(7, 640, 480)[:, :, ::-1])
    assert np.abs(frame.image.astype(int) - full).max() <= 6
    assert any(camera.wait(time.monotonic() + 1.0).repeated for _ in range(3))
    done.set()
    server.close()
    camera.close()
