"""Films are whole or absent, play in browsers, and run in real time."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from navstack.contract import Image
from navstack.envs.evaluation.film import (
    FPS,
    HOLD,
    SIZE,
    Gauge,
    command_at,
    compose,
    flight_film,
    write_flight_film,
)
from navstack.envs.evaluation.record import FlightRecord
from navstack.errors import InputError
from navstack.films import write_mp4


def flight(count: int, interval: float = 0.05, commands: int | None = None) -> FlightRecord:
    """A recorded flight of `count` frames, each of one brightness that grows with time."""
    shades = np.linspace(20, 220, count).astype(np.uint8) if count else []
    times = tuple((np.arange(count) * interval).tolist())
    return FlightRecord(
        policy="p.onnx", env="FlyToTarget", world="winter", seed=3, outcome="success",
        detail="success after 9.0 s", seconds=max(1, count) * interval, start_distance=8.0,
        trajectory=np.zeros((count, 3), np.float32), target_enu=(8.0, 0.0, 0.5),
        obstacles=np.zeros((0, 4)), clearance=1.0, guard_events={"limits": 2},
        frames=tuple(np.full((64, 96, 3), shade, np.uint8) for shade in shades),
        chase=tuple(np.full((360, 640, 3), shade, np.uint8) for shade in shades), frame_times=times,
        commands=np.arange(4 * (commands or count), dtype=np.float32).reshape(-1, 4) / 100.0,
    )  # fmt: skip


def pictures(count: int, height: int = 48, width: int = 64) -> Iterator[Image]:
    rng = np.random.default_rng(0)
    for _ in range(count):
        yield rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def boxes(data: bytes) -> list[bytes]:
    """The types of an MP4's top-level boxes, in order."""
    found, at = [], 0
    while at < len(data):
        found.append(data[at + 4 : at + 8])
        at += int.from_bytes(data[at : at + 4], "big")
    return found


def test_a_film_is_h264_that_starts_before_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_mp4(path, pictures(12), 20)
    data = path.read_bytes()
    assert b"avc1" in data  # H.264
    kinds = boxes(data)
    assert kinds[0] == b"ftyp"
    assert kinds.index(b"moov") < kinds.index(b"mdat")
    film = cv2.VideoCapture(str(path))
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) == 12
    assert film.get(cv2.CAP_PROP_FPS) == pytest.approx(20)


@pytest.mark.parametrize(("height", "width"), [(47, 63), (48, 63), (47, 64)])
def test_odd_sizes_are_padded_to_even_ones(tmp_path: Path, height: int, width: int) -> None:
    path = tmp_path / "odd.mp4"
    write_mp4(path, pictures(3, height, width), 10)
    _, picture = cv2.VideoCapture(str(path)).read()
    assert picture.shape == (48, 64, 3)


def test_colours_survive(tmp_path: Path) -> None:
    path = tmp_path / "red.mp4"
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 220
    write_mp4(path, [red] * 5, 10)
    _, bgr = cv2.VideoCapture(str(path)).read()
    assert np.abs(bgr[32, 32].astype(int) - (0, 0, 220)).max() < 25


def test_a_film_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one picture"):
        write_mp4(tmp_path / "none.mp4", [], 20)
    with pytest.raises(InputError, match="none of the 1 flights"):
        write_flight_film(tmp_path / "none.mp4", [flight(0)])
    assert not list(tmp_path.iterdir())


def test_pictures_of_two_sizes_leave_no_file(tmp_path: Path) -> None:
    mixed = [*pictures(2), *pictures(1, 32, 32)]
    with pytest.raises(InputError, match=r"one size.*\(32, 32, 3\)"):
        write_mp4(tmp_path / "mixed.mp4", mixed, 20)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent"):
        write_mp4(tmp_path / "absent" / "a.mp4", pictures(2), 20)


def test_a_write_that_fails_leaves_the_earlier_film_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_mp4(path, pictures(2), 20)
    earlier = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(InputError, match="could not be written"):
            write_mp4(path, pictures(200, 240, 320), 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == earlier
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.mp4"]


def test_an_interrupted_film_leaves_no_rest(tmp_path: Path) -> None:
    def interrupted() -> Iterator[Image]:
        yield from pictures(3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_mp4(tmp_path / "a.mp4", interrupted(), 20)
    assert not list(tmp_path.iterdir())


def test_a_picture_holds_the_chase_view_and_the_frame_pixel_by_pixel() -> None:
    frame = next(pictures(1, 64, 96))
    chase = np.full((360, 640, 3), 77, np.uint8)
    picture = compose(chase, frame, ["title", "1.0 s"], [Gauge("forward", 1.0, 2.0, "m/s")])
    assert picture.shape == (SIZE[1], SIZE[0], 3)
    assert picture.dtype == np.uint8
    inset = picture[-18 - 64 * 3 : -18, -18 - 96 * 3 : -18]
    np.testing.assert_array_equal(inset[1::3, 1::3], frame)
    assert (picture[200, 480] == 77).all()


def test_gauges_grow_to_the_side_that_they_mean() -> None:
    blank, frame = np.zeros((360, 640, 3), np.uint8), np.zeros((64, 96, 3), np.uint8)

    def bar(gauge: Gauge) -> float:
        """The mean column of the bright bar."""
        picture = compose(blank, frame, [], [gauge]).astype(int)
        bright = (picture[..., 2] == 255) & (picture[..., 0] == 64)
        return float(np.nonzero(bright)[1].mean())

    middle = bar(Gauge("", 0.01, 1.0, ""))
    assert bar(Gauge("", 1.0, 1.0, "")) > middle + 20
    assert bar(Gauge("", -1.0, 1.0, "")) < middle - 20
    assert bar(Gauge("", 1.0, 1.0, "", leftward=True)) < middle - 20


@pytest.mark.parametrize("interval", [0.025, 0.05, 0.1])
def test_a_flight_is_shown_in_real_time(interval: float) -> None:
    record = flight(round(2.0 / interval) + 1, interval)
    shown = list(flight_film(record))
    assert len(shown) == pytest.approx(2.0 * FPS + 1 + HOLD * FPS, abs=1)
    shades = np.array([picture[200, 480, 0] for picture in shown], dtype=int)
    assert (np.diff(shades) >= 0).all()
    assert shades[FPS] == pytest.approx(120, abs=6)  # half of the way after half of the time


def test_the_command_shown_is_the_one_sent_then() -> None:
    assert command_at(flight(10), 4) == pytest.approx((0.16, 0.17, 0.18, 0.19))
    assert command_at(flight(10, commands=20), 4) == pytest.approx((0.32, 0.33, 0.34, 0.35))


def test_flights_follow_each_other_in_one_film(tmp_path: Path) -> None:
    path = tmp_path / "two.mp4"
    write_flight_film(path, [flight(10), flight(0), flight(20)])
    film = cv2.VideoCapture(str(path))
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) == 30 + 2 * HOLD * FPS
    assert film.get(cv2.CAP_PROP_FRAME_WIDTH) == SIZE[0]
