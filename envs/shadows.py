"""Shadows of the sun for pictures that people look at.

TinyRenderer's own shadows look at the world's origin through the camera's lens, streak on flat ground and
cost more than this: one more picture, taken from the sun, tells which points it sees.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from navstack.contract import Vector3
from navstack.envs.atmosphere import Axes, Float
from navstack.envs.worlds.scene import Light

SUN_DISTANCE = 300.0  # m from the middle of what is lit: far enough for rays that are all but parallel
SUN_NEAR, SUN_FAR = 200.0, 400.0  # m
BIAS = 0.12  # m that a point may lie behind what the sun sees before it counts as shaded
SOFTNESS = 0.9  # pixels of the sun's picture over which a shadow's edge is spread


class SunView:
    """The sun's narrow view of a ball of the world, as a camera's place, axes and field of view."""

    def __init__(self, middle: Vector3, radius: float, light: Light) -> None:
        sx, sy, sz = light.direction_enu
        length = math.sqrt(sx * sx + sy * sy + sz * sz)
        towards = np.array((sx, sy, sz)) / length
        aside = np.array((-towards[1], towards[0], 0.0))
        # A sun straight above has no side of its own.
        aside = np.array((1.0, 0.0, 0.0)) if np.linalg.norm(aside) < 1e-6 else aside / np.linalg.norm(aside)
        eye = np.array(middle) + SUN_DISTANCE * towards
        self.eye: Vector3 = tuple(eye.tolist())
        rows = np.stack((aside, np.cross(towards, aside), -towards))
        right, up, forward = rows.tolist()
        self.axes: Axes = tuple(right), tuple(up), tuple(forward)
        self.fov = 2.0 * math.atan(radius / SUN_DISTANCE)
        self._rows, self._eye = rows.astype(np.float32), eye

    def lit_share(self, points: Float, offset: Vector3, depth: Float) -> Float:
        """How much of the sun each point gets, 0 to 1.

        Args:
            points: (3, H, W) float32 ENU relative to `offset`, in m.
            offset: ENU, in m.
            depth: (N, N) float32 depth buffer of the sun's picture.

        Returns:
            (H, W) float32; points outside the sun's picture are lit.
        """
        size = depth.shape[0]
        distance = (SUN_FAR * SUN_NEAR) / (SUN_FAR - (SUN_FAR - SUN_NEAR) * depth)
        shift = self._rows @ (np.array(offset) - self._eye).astype(np.float32)
        local = (self._rows @ points.reshape(3, -1)).reshape(points.shape) + shift[:, None, None]
        away = local[2]
        scale = np.float32(0.5 * size / math.tan(0.5 * self.fov)) / away
        column = local[0] * scale + np.float32(0.5 * size - 0.5)
        row = np.float32(0.5 * size - 0.5) - local[1] * scale
        share = np.zeros_like(away)
        taps = [(x, y) for x in (-SOFTNESS, SOFTNESS) for y in (-SOFTNESS, SOFTNESS)]
        for x, y in taps:
            seen = cv2.remap(
                distance, column + np.float32(x), row + np.float32(y), cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_CONSTANT, borderValue=2.0 * SUN_FAR,
            )  # fmt: skip
            share += np.clip((seen + np.float32(BIAS) - away) * np.float32(8.0) + np.float32(1.0), 0.0, 1.0)
        return share / np.float32(len(taps))


def shade(rgba: npt.NDArray[np.uint8], points: Float, lit: Float, light: Light) -> None:
    """Darken a picture, in place, where the sun does not reach.

    Args:
        rgba: (s * H, s * W, 4) uint8, rendered without shadows.
        points: (3, H, W) float32 ENU of what is seen, in m.
        lit: (H, W) share of the sun, 0 to 1.
        light: the light the picture was rendered with.
    """
    normal = np.cross(_slope(points, 1), _slope(points, 2), axis=0)  # towards the camera
    normal /= np.maximum(np.linalg.norm(normal, axis=0), np.float32(1e-9))
    sun = np.array(light.direction_enu, dtype=np.float32) / np.float32(math.hypot(*light.direction_enu))
    direct = np.float32(light.diffuse) * np.maximum(np.tensordot(sun, normal, axes=1), np.float32(0.0))
    ambient = np.float32(max(light.ambient, 1e-3))
    factor = (ambient + lit * direct) / (ambient + direct)
    words = np.rint(factor * np.float32(255.0)).astype(np.uint8)
    height, width = rgba.shape[:2]
    large = cv2.resize(words, (width, height), interpolation=cv2.INTER_NEAREST)
    pixels = cv2.merge([large, large, large, np.full_like(large, 255)])
    cv2.multiply(rgba, pixels, dst=rgba, scale=1.0 / 255.0)


def _slope(points: Float, axis: int) -> Float:
    """Differences between neighbours along an axis, the last one repeated."""
    step = np.diff(points, axis=axis)
    last = step[:, -1:, :] if axis == 1 else step[:, :, -1:]
    return np.concatenate((step, last), axis=axis)
