"""What a camera and a mirror may change about an episode without changing what the right command is.

Photometric changes are drawn once for a window of frames, because a camera keeps its exposure from frame to
frame; noise is drawn anew for each. All point-wise changes (exposure, contrast, white balance, gamma) become
one look-up table, so a window costs one pass over its bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.uint8]  # (T, H, W, 3)
Commands = npt.NDArray[np.float32]  # (T, 4)

MIRRORED = np.array([1.0, -1.0, 1.0, -1.0], dtype=np.float32)
"""Signs of forward, left, up and yaw_rate in a world seen in a mirror that swaps left and right."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far each change may go. All zero: nothing is changed."""

    mirror: float = 0.5  # probability
    exposure: float = 0.35  # natural log of the gain: uniform in plus or minus this
    contrast: float = 0.25  # the same, around the middle grey
    white_balance: float = 0.1  # the same, a channel: small, so that red stays red
    brightness: float = 18.0  # offset in grey levels: uniform in plus or minus this
    gamma: float = 0.3  # natural log of the exponent: uniform in plus or minus this
    noise: float = 6.0  # largest standard deviation of the pixel noise, in grey levels
    blur: float = 0.15  # probability of a 3 x 3 blur
    cutout: float = 0.2  # probability of a patch of plain colour, fixed in the image like dirt on the lens
    cutout_size: int = 14  # largest side of that patch in pixels


def mirror(images: Images, commands: Commands) -> tuple[Images, Commands]:
    """The window as a mirror shows it: fresh images, and commands with left and yaw_rate reversed."""
    flipped = np.empty_like(images)
    for frame, place in zip(images, flipped, strict=True):
        cv2.flip(frame, 1, dst=place)  # fifteen times faster than copying a view with a negative stride
    return flipped, commands * MIRRORED


def tone_table(augmentation: Augmentation, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A drawn change of tone as a table (1, 256, 3): what each value of each channel becomes."""
    a = augmentation
    level = np.arange(256, dtype=np.float64)[:, None] / 255.0
    level = level ** np.exp(rng.uniform(-a.gamma, a.gamma))
    gain = np.exp(rng.uniform(-a.exposure, a.exposure) + rng.uniform(-a.white_balance, a.white_balance, 3))
    contrast = np.exp(rng.uniform(-a.contrast, a.contrast))
    value = ((level * gain - 0.5) * contrast + 0.5) * 255.0 + rng.uniform(-a.brightness, a.brightness)
    return np.clip(np.round(value), 0, 255).astype(np.uint8)[None]


def photometric(images: Images, augmentation: Augmentation, rng: np.random.Generator) -> Images:
    """A window seen by another camera, in another light: a fresh (T, H, W, 3) uint8 array."""
    frames, height, width, _ = images.shape
    column = np.ascontiguousarray(images).reshape(frames * height, width, 3)
    changed = np.empty_like(column)
    cv2.LUT(column, tone_table(augmentation, rng), dst=changed)
    result: Images = changed.reshape(images.shape)
    if rng.random() < augmentation.blur:
        for frame in result:
            cv2.blur(frame, (3, 3), dst=frame)
    if rng.random() < augmentation.cutout:
        _cut_out(result, augmentation.cutout_size, rng)
    if augmentation.noise > 0.0:
        _add_noise(result, rng.uniform(0.0, augmentation.noise), rng)
    return result


def _cut_out(images: Images, largest: int, rng: np.random.Generator) -> None:
    height, width = np.minimum(rng.integers(2, largest + 1, 2), images.shape[1:3])
    top = rng.integers(0, images.shape[1] - height + 1)
    left = rng.integers(0, images.shape[2] - width + 1)
    grey = rng.integers(0, 256)  # never a colour: the target's is what the policy looks for
    images[:, top : top + height, left : left + width] = grey


def _add_noise(images: Images, deviation: float, rng: np.random.Generator) -> None:
    """Add pixel noise in place, cut from one drawn field, for each frame elsewhere: drawing is the cost."""
    frame = images[0]
    shifts = frame.size // 4
    field = np.round(rng.standard_normal(frame.size + shifts, dtype=np.float32) * deviation).astype(np.int16)
    for image, start in zip(images, rng.integers(0, shifts, len(images)), strict=True):
        noise = field[start : start + frame.size].reshape(frame.shape)
        cv2.add(image, noise, dst=image, dtype=cv2.CV_8U)
