"""Imperfections: each does what it says, more so with its severity, and leaves everything else alone."""

from __future__ import annotations

import itertools
import math

import cv2
import numpy as np
import pytest

from navstack.contract import CameraSpec, Image
from navstack.envs.commands.perturbations import Perturbations
from navstack.envs.navigation import NavigationEnv
from navstack.envs.perturb import PERTURBATIONS, SEVERITIES, Perturbation, camera, parse_perturbations
from navstack.envs.perturb.camera import Shot, disc_kernel, streak_kernel
from navstack.envs.perturb.view import PerturbedView
from navstack.envs.simulator import PHYSICS_HZ
from navstack.errors import InputError

SHAPE = (64, 96)
FOCAL = 48.0 / math.tan(math.radians(40.0))
TURNING = Shot((0.0, 0.3, 1.5), FOCAL)
STILL = Shot((0.0, 0.0, 0.0), FOCAL)
HOVER = np.zeros(4, dtype=np.float32)
PICTURES = [name for name, kind in PERTURBATIONS.items() if kind.image is not None]


def scene() -> Image:
    """A smooth picture of many colours with a red square."""
    y, x = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]]
    picture = np.stack((60 + 100 * y / 64, 90 + 60 * np.sin(x / 9.0), 70 + x), axis=-1).astype(np.uint8)
    picture[30:40, 40:52] = (200, 30, 30)
    return picture


def grey(value: int) -> Image:
    return np.full((*SHAPE, 3), value, dtype=np.uint8)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_stays_a_picture_and_a_seed_gives_it_again(name: str) -> None:
    kind = PERTURBATIONS[name]
    assert kind.image is not None
    once, again = (kind.image(kind.levels[2], rng(5), SHAPE) for _ in range(2))
    for _ in range(3):
        image = scene()
        first, second = once(image, TURNING), again(scene(), TURNING)
        assert first.dtype == np.uint8
        assert first.shape == image.shape
        assert np.array_equal(first, second)
        assert np.array_equal(image, scene()), "the picture that came in is not written on"


@pytest.mark.parametrize("name", [name for name in PICTURES if name != "frozen_frames"])
def test_a_higher_severity_changes_more(name: str) -> None:
    kind = PERTURBATIONS[name]
    assert kind.image is not None
    changes = []
    for level in kind.levels:
        pictures = [kind.image(level, rng(seed), SHAPE)(scene(), TURNING) for seed in range(12)]
        changes.append(np.mean([np.abs(picture.astype(float) - scene()).mean() for picture in pictures]))
    assert changes[0] > 0.0
    assert changes == sorted(changes)


@pytest.mark.parametrize("deviation", [0.04, 0.12])
def test_read_out_noise_has_the_deviation_that_it_names(deviation: float) -> None:
    noisy = camera.gaussian_noise(deviation, rng(), SHAPE)(grey(128), STILL)
    assert noisy.std() == pytest.approx(255.0 * deviation, rel=0.03)
    assert noisy.mean() == pytest.approx(128.0, abs=1.0)


@pytest.mark.parametrize("photons", [60.0, 25.0])
def test_shot_noise_is_poissons(photons: float) -> None:
    noisy = camera.shot_noise(photons, rng(), SHAPE)(grey(80), STILL).astype(float)
    assert noisy.mean() == pytest.approx(80.0, rel=0.03)
    assert noisy.var() / noisy.mean() == pytest.approx(255.0 / photons, rel=0.05)


@pytest.mark.parametrize("radius", [0.8, 1.7, 3.2])
def test_a_disc_kernel_is_a_disc(radius: float) -> None:
    kernel = disc_kernel(radius).astype(float)
    offsets = np.arange(len(kernel)) - len(kernel) // 2
    assert kernel.sum() == pytest.approx(1.0)
    second = (kernel * offsets[None, :] ** 2).sum()
    # A disc's is radius^2 / 4, and gathering it into pixels adds 1/12 (Sheppard).
    assert second == pytest.approx(radius**2 / 4.0 + 1.0 / 12.0, rel=0.12)


@pytest.mark.parametrize(("across", "down"), [(4.0, 0.0), (0.0, -3.0), (5.0, 2.0)])
def test_a_streak_is_as_long_and_leans_as_asked(across: float, down: float) -> None:
    kernel = streak_kernel(across, down).astype(float)
    offsets = np.arange(len(kernel)) - len(kernel) // 2
    assert kernel.sum() == pytest.approx(1.0)
    covariance = (kernel * offsets[None, :] * offsets[:, None]).sum()
    assert covariance == pytest.approx(across * down / 12.0, abs=0.1)
    assert (kernel * offsets[None, :] ** 2).sum() == pytest.approx(across**2 / 12.0, abs=0.35)


def test_a_body_at_rest_blurs_and_shears_nothing() -> None:
    for make in (camera.motion_blur, camera.rolling_shutter):
        assert np.array_equal(make(0.08, rng(), SHAPE)(scene(), STILL), scene())


def test_rows_that_are_read_later_have_moved_on() -> None:
    image = grey(0)
    image[:, 47:49] = 255
    leaning = camera.rolling_shutter(0.05, rng(), SHAPE)(image, Shot((0.0, 0.0, 1.5), FOCAL))
    columns = [float((row * np.arange(96)).sum() / row.sum()) for row in leaning[..., 0].astype(float)]
    # Turning left moves the picture to the right while it is read.
    assert columns[-1] - columns[0] == pytest.approx(FOCAL * 0.05 * 1.5 * 63 / 64, abs=0.6)


def test_a_turn_of_hue_keeps_value_and_saturation() -> None:
    before = cv2.cvtColor(scene(), cv2.COLOR_RGB2HSV).astype(int)
    shifted = camera.hue_shift(24.0, rng(), SHAPE)(scene(), STILL)
    after = cv2.cvtColor(shifted, cv2.COLOR_RGB2HSV).astype(int)
    assert np.abs(after[..., 1:] - before[..., 1:]).max() <= 3
    turned = (after[35, 45, 0] - before[35, 45, 0] + 90) % 180 - 90
    assert abs(turned) == 12  # OpenCV's units of two degrees


def test_dead_pixels_stay_where_they_are() -> None:
    apply = camera.dead_pixels(0.04, rng(), SHAPE)
    dark, bright = apply(grey(10), STILL), apply(grey(200), STILL)
    dead = (dark != 10).any(axis=-1)
    assert dead.mean() == pytest.approx(0.04, abs=0.01)
    assert np.array_equal(dead, (bright != 200).any(axis=-1))
    assert np.array_equal(dark[dead], bright[dead])


def test_a_frozen_camera_repeats_itself() -> None:
    apply = camera.frozen_frames(0.2, rng(), SHAPE)
    seen = [int(apply(grey(value), STILL)[0, 0, 0]) for value in range(200)]
    repeats = sum(a == b for a, b in itertools.pairwise(seen))
    assert 60 < repeats < 180
    assert seen == sorted(seen), "what comes after a freeze is the present again"


def view(text: str, seed: int = 0) -> PerturbedView:
    (one,) = parse_perturbations([text])
    return PerturbedView([(one, rng(seed))], CameraSpec())


@pytest.mark.parametrize("severity", SEVERITIES)
def test_a_tilted_mount_looks_that_far_away(severity: int) -> None:
    one = Perturbation("mount_tilt", severity)
    x, y, z, w = view(str(one)).orientation((0.0, 0.0, math.sin(0.4), math.cos(0.4)))
    assert x * x + y * y + z * z + w * w == pytest.approx(1.0)
    # The angle between the two orientations.
    between = abs(z * math.sin(0.4) + w * math.cos(0.4))
    assert 2.0 * math.degrees(math.acos(between)) == pytest.approx(one.level, abs=1e-6)


def test_a_field_of_view_is_off_by_the_share_named() -> None:
    ratios = {round(view("field_of_view:3", seed).spec.horizontal_fov / CameraSpec().horizontal_fov, 9)
              for seed in range(12)}  # fmt: skip
    assert ratios == {0.9, 1.1}


def flown(
    perturb: tuple[str, ...], frames: int = 6, seed: int = 3
) -> tuple[list[Image], list[tuple[float, ...]]]:
    """Pictures and positions of a turning flight."""
    environment = NavigationEnv(world="park", purpose="evaluate", perturb=perturb)
    observation, info = environment.reset(seed=seed)
    pictures, positions = [observation["image"]], [info["state"].position_enu]
    for _ in range(frames):
        observation, *_, info = environment.step(np.array((0.8, 0.0, 0.1, 0.9), dtype=np.float32))
        pictures.append(observation["image"])
        positions.append(info["state"].position_enu)
    environment.close()
    return pictures, positions


CAMERA = [name for name, kind in PERTURBATIONS.items() if kind.family == "camera"]


@pytest.mark.parametrize("name", CAMERA)
def test_a_cameras_imperfection_changes_the_picture_and_nothing_else(name: str) -> None:
    clean, way = flown(())
    pictures, same_way = flown((f"{name}:4",))
    again, _ = flown((f"{name}:4",))
    assert same_way == way
    assert any(not np.array_equal(a, b) for a, b in zip(clean, pictures, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(pictures, again, strict=True))


def test_imperfections_combine() -> None:
    both, _ = flown(("rain:5", "contrast:5"))
    alone, _ = flown(("contrast:5",))
    assert all(np.ptp(picture, axis=(0, 1)).max() < 40 for picture in both)
    assert not np.array_equal(both[-1], alone[-1])


@pytest.mark.parametrize("severity", SEVERITIES)
def test_late_frames_arrive_so_much_later_and_in_order(severity: int) -> None:
    level = PERTURBATIONS["late_frames"].levels[severity - 1]
    environment = NavigationEnv(purpose="evaluate", perturb=(f"late_frames:{severity}",), camera=False)
    environment.reset(seed=0)
    flight = environment.flight()
    ages, captures = [], []
    while len(ages) < 30:
        frame = flight.wait(flight.now() + 0.05)
        if frame is not None:
            ages.append(flight.now() - frame.capture_time)
            captures.append(frame.capture_time)
    environment.close()
    assert ages == pytest.approx([round(level * PHYSICS_HZ) / PHYSICS_HZ] * 30)
    assert np.diff(captures) == pytest.approx(np.full(29, 0.05))


@pytest.mark.parametrize(("name", "rate"), [("slow_camera:5", 5.0), ("fast_camera:5", 60.0)])
def test_a_camera_of_another_rate_takes_so_many_pictures(name: str, rate: float) -> None:
    environment = NavigationEnv(perturb=(name,), camera=False)
    environment.reset(seed=0)
    gaps = [float(environment.step(HOVER)[0]["dt"][0]) for _ in range(20)]
    environment.close()
    assert np.mean(gaps) == pytest.approx(1.0 / rate, rel=1e-5)


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (["rian:3"], "'rian' not found; did you mean 'rain'"),
        (["rain"], "'rain' has no severity; write rain:1 to rain:5"),
        (["rain:0"], "severity of 'rain' is 0; it must be 1, 2, 3, 4 or 5"),
        (["rain:6"], "severity of 'rain' is 6"),
        (["rain:2.5"], "has no severity"),
        (["rain:1", "rain:2"], "'rain' is asked for twice"),
        (["slow_camera:1", "fast_camera:1"], "both set the frame rate; choose one"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_in_a_sentence(texts: list[str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        parse_perturbations(texts)


def test_training_refuses_held_out_imperfections() -> None:
    with pytest.raises(InputError, match="'rain:1' is held out; purpose 'train' may use gaussian_noise"):
        NavigationEnv(perturb=("rain:1",))


def test_the_list_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert Perturbations()() == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in PERTURBATIONS)
