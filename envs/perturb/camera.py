"""Imperfect cameras: what noise, lens, sensor and compression do to a picture.

Each function takes a level and the flight's random numbers, draws what stays the same for a whole flight
(which pixels are dead, where the lens is dirty, which way a colour is shifted), and returns what is done to
every picture: (H, W, 3) uint8 RGB in and out. The kinds, and the levels of shot noise and JPEG, are those of
ImageNet-C (Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019); the other levels are set for a picture of 96 pixels, in which a target may be
four pixels wide.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from navstack.contract import Image, Vector3

Float = npt.NDArray[np.float32]
SUPERSAMPLING = 8  # of a blur kernel's pixels, along each side
RAIN_SPEED = 9.0  # m/s, of drops of 2 to 4 mm (Gunn and Kinzer 1949)
RAIN_COLOR = (200.0, 205.0, 210.0)
FREEZE_FRAMES = 6.0  # mean length of a freeze
DIRT_COLOR = (70.0, 62.0, 50.0)


class Shot(NamedTuple):
    """How the picture was taken."""

    rates_flu: Vector3  # rad/s, of the body that carries the camera
    focal: float  # pixels


Apply = Callable[[Image, Shot], Image]
Make = Callable[[float, np.random.Generator, tuple[int, int]], Apply]


def gaussian_noise(deviation: float, rng: np.random.Generator, shape: tuple[int, int]) -> Apply:
    """Noise of the read-out: `deviation` of full scale."""

    def apply(image: Image, shot: Shot) -> Image:
        noise = rng.standard_normal(image.shape, dtype=np.float32)
        return _bytes(image + np.float32(255.0 * deviation) * noise)

    return apply


def shot_noise(photons: float, rng: np.random.Generator, shape: tuple[int, int]) -> Apply:
    """Noise of few photons: `photons` make a white pixel."""

    def apply(image: Image, shot: Shot) -> Image:
        return _bytes(rng.poisson(image * (photons / 255.0)) * (255.0 / photons))

    return apply


def defocus_blur(radius: float, rng: np.random.Generator, shape: tuple[int, int]) -> Apply:
    """A lens out of focus: a disc of `radius` pixels."""
    kernel = disc_kernel(radius)
    return lambda image, shot: _image(cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE))


def motion_blur(exposure: float, rng: np.random.Generator, shape: tuple[int, int]) -> Apply:
    """Pitch and yaw during `exposure` seconds, as one straight streak; roll and translation are left out."""

    def apply(image: Image, shot: Shot) -> Image:
        _, pitch, yaw = shot.rates_flu
        across, down = shot.focal * exposure * yaw, -shot.focal * exposure * pitch
        if math.hypot(across, down) < 0.5:
            return image
        kernel = streak_kernel(across, down)
        return _image(cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE))

    return apply


def rolling_shutter(readout: float, rng: np.random.Generator, shape: tuple[int, int]) -> Apply:
    """Rows read one after the other in `readout` seconds while the body yaws: the picture leans.

    To first order, from the yaw rate alone: a picture of each row would need as many renderings.
    """
    height, width = shape

    def apply(image: Image, shot: Shot) -> Image:
        shift = shot.focal * readout * shot.rates_flu[2]  # pixels, of the last row against the first
        if abs(shift) < 0.5:
            return image
        lean = np.array([[1.0, shift / height, -0.5 * shift], [0.0, 1.0, 0.0]])
        return _image(cv2.warpAffine(image, lean, (width, height), borderMode=cv2.BORDER_REPLICATE))

    return apply


def brightness(stops: float, rng: np.random.Generator, shape: tuple[int, int]) -> Apply:
    """Exposed too long or, in half of the flights, too short: by the factor 2^stops."""
    gain = np.float32(2.0 ** (stops * rng.choice((-1.0, 1.0))))
    return lambda image, shot: _bytes(image * gain)


def contrast(share: float, rng: np.random.Generator, shape: tuple[int, int]) -> Apply:
    """Only this share of the contrast is left."""

    def apply(image: Image, shot: Shot) -> Image:
        mean = image.mean(axis=(0, 1), dtype=np.float32)
        return _bytes((image - mean) * np.float32(share) + mean)

    return apply


def saturation(share: float, rng: np.random.Generator, shape: tuple[int, int]) -> Apply:
    """Only this share of the colour is left."""

    def apply(image: Image, shot: Shot) -> Image:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
        return _bytes((image - grey) * np.float32(share) + grey)

    return apply


def hue_shift(degrees: float, rng: np.random.Generator, shape: tuple[int, int]) -> Apply:
    """All colours turned by so many degrees of hue, one way or the other for a whole flight."""
    turn = round(0.5 * degrees * rng.choice((-1.0, 1.0)))  # OpenCV counts hue from 0 to 179

    def apply(image: Image, shot: Shot) -> Image:
        hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(np.int16) + turn) % 180
        return _image(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))

    return apply


def jpeg(quality: float, rng: np.random.Generator, shape: tuple[int, int]) -> Apply:
    """Compressed with this quality, of 100."""

    def apply(image: Image, shot: Shot) -> Image:
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, round(quality)))
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert decoded is not None
        return _image(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB))

    return apply


def rain(drops: float, rng: np.random.Generator, shape: tuple[int, int]) -> Apply:
    """Streaks of `drops` drops a picture, 0.5 to 6 m away, exposed for 1/60 s; the wind slants them."""
    height, width = shape
    slant = rng.uniform(-0.25, 0.25)

    def apply(image: Image, shot: Shot) -> Image:
        streaks = np.zeros((height, width), np.float32)
        for _ in range(rng.poisson(drops)):
            distance = rng.uniform(0.5, 6.0)
            length = shot.focal * RAIN_SPEED / 60.0 / distance
            x, y = rng.uniform(0.0, width), rng.uniform(-length, height)
            ends = (
                (round(16 * x), round(16 * y)),
                (round(16 * (x + slant * length)), round(16 * (y + length))),
            )
            cv2.line(streaks, *ends, min(0.6, 0.9 / distance), 1, cv2.LINE_AA, 4)
        return _mixed(image, streaks, RAIN_COLOR)

    return apply


def lens_dirt(share: float, rng: np.random.Generator, shape: tuple[int, int]) -> Apply:
    """Blurred spots on the lens over about this share of the picture, the same for a whole flight."""
    height, width = shape
    fine = rng.standard_normal((height, width)).astype(np.float32)
    spots = cv2.GaussianBlur(fine, (0, 0), 0.05 * width, borderType=cv2.BORDER_REFLECT)
    spots = np.clip((spots - np.quantile(spots, 1.0 - share)) / max(float(spots.std()), 1e-9) + 0.5, 0.0, 1.0)
    cover = (0.85 * spots).astype(np.float32)
    return lambda image, shot: _mixed(image, cover, DIRT_COLOR)


def dead_pixels(share: float, rng: np.random.Generator, shape: tuple[int, int]) -> Apply:
    """This share of the pixels always black, or a colour channel of theirs always full."""
    dead = rng.random(shape) < share
    stuck = np.where(rng.random((*shape, 3)) < 0.25, 255, 0).astype(np.uint8)

    def apply(image: Image, shot: Shot) -> Image:
        return np.where(dead[..., None], stuck, image)

    return apply


def frozen_frames(probability: float, rng: np.random.Generator, shape: tuple[int, int]) -> Apply:
    """The camera hangs: at each picture with this probability, and then repeats it for 6 more in the mean."""
    held: list[Image] = []
    left = 0

    def apply(image: Image, shot: Shot) -> Image:
        nonlocal left
        if held and left > 0:
            left -= 1
            return held[0].copy()
        held[:] = [image.copy()]
        if rng.random() < probability:
            left = int(rng.geometric(1.0 / FREEZE_FRAMES))
        return image

    return apply


def disc_kernel(radius: float) -> Float:
    """A disc of this radius in pixels, its edge smooth; the entries sum to 1."""
    reach = math.ceil(radius)
    offsets = (np.arange((2 * reach + 1) * SUPERSAMPLING) + 0.5) / SUPERSAMPLING - reach - 0.5
    inside = np.hypot(offsets[:, None], offsets[None, :]) <= radius
    side = 2 * reach + 1
    kernel = inside.reshape(side, SUPERSAMPLING, side, SUPERSAMPLING).mean(axis=(1, 3)).astype(np.float32)
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)


def streak_kernel(across: float, down: float) -> Float:
    """A straight line of this extent in pixels through the middle; the entries sum to 1."""
    reach = math.ceil(0.5 * max(abs(across), abs(down))) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    for part in np.linspace(-0.5, 0.5, 8 * reach + 1):
        x, y = reach + part * across, reach + part * down
        left, top = math.floor(x), math.floor(y)
        fx, fy = x - left, y - top
        kernel[top : top + 2, left : left + 2] += np.outer((1.0 - fy, fy), (1.0 - fx, fx))
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)


def _mixed(image: Image, cover: Float, color: tuple[float, float, float]) -> Image:
    """The image with a colour over it, opaque where `cover` (H, W) is 1."""
    return _bytes(image + cover[..., None] * (np.array(color, np.float32) - image))


def _bytes(values: npt.ArrayLike) -> Image:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _image(values: object) -> Image:
    return np.asarray(values, dtype=np.uint8)
