"""Darkness and lamps, computed from depth and segmentation after the renderer, which knows one light only.

The picture is rendered by day and then multiplied, pixel by pixel, by the light that reaches the point that
is seen: what darkness leaves, and what each lamp gives at that distance. What shines by itself is told by the
segmentation and stays bright. Lamps cast no shadows and do not regard how a surface is turned.
"""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from navstack.contract import Vector3
from navstack.envs.atmosphere import Axes, Float
from navstack.envs.worlds.scene import Lamp, Light, Scene

SHINE = 1.7  # times its rendered colour: what shines by itself
BRIGHTEST = 1.35  # times daylight: the exposure of the camera ends there
FALLOFF = 3.0  # reaches: a lamp's light is its strength / (1 + (FALLOFF d / reach)^2)^2
HALO, HALO_IN_FOG = 0.35, 9.0  # m around a lamp, and m more for each 1/m of fog
HALO_BRIGHTNESS = 0.7
HIDDEN = 0.8  # m that something may stand before a lamp and be its own housing

Rgba = npt.NDArray[np.uint8]
Ids = npt.NDArray[np.int32]


class Lamplight:
    """Lights the pictures of one pinhole camera.

    Args:
        rays: (H, W, 3) through the pixels' centres, at depth 1: right, up, forward.
        near: m, of the depth buffer.
        far: m, of the depth buffer.
    """

    def __init__(self, rays: npt.NDArray[np.float64], near: float, far: float) -> None:
        self._shape = rays.shape[:2]
        self._rays = np.ascontiguousarray(rays.reshape(-1, 3), dtype=np.float32)
        self._square = np.einsum("ij,ij->i", self._rays, self._rays)[:, None]
        self._near, self._far = near, far
        self._focal = (self._shape[1] - 1) / float(rays[0, -1, 0] - rays[0, 0, 0])  # pixels

    def light(self, rgba: Rgba, depth: Float, ids: Ids, eye: Vector3, axes: Axes, scene: Scene) -> None:
        """Multiply a picture, in place, by the light that there is.

        Args:
            rgba: (H, W, 4) uint8, rendered by day.
            depth: (H, W) float32, the renderer's depth buffer.
            ids: (H, W) the renderer's segmentation.
            eye: the camera's place in m, ENU.
            axes: its right, up and forward directions in ENU.
            scene: for its light, its lamps and what shines.
        """
        night = (*_night(scene.light), 1.0)
        if not scene.lamps and scene.shining is None:
            cv2.multiply(rgba, np.array(night), dst=rgba, dtype=cv2.CV_8U)
            return
        share = np.empty((self._rays.shape[0], 4), dtype=np.float32)
        share[:] = night
        if scene.lamps:
            places, colors, inverse = _lamp_arrays(scene.lamps)
            seen = (places - np.array(eye)) @ np.array(axes).T
            distance = self._distances(depth).reshape(-1, 1)
            square = self._rays @ (-2.0 * seen.T).astype(np.float32)
            square += self._square * distance
            square *= distance
            square += (seen * seen).sum(axis=1).astype(np.float32)
            square *= inverse
            square += np.float32(1.0)
            np.multiply(square, square, out=square)
            np.divide(np.float32(1.0), square, out=square)
            share += square @ colors
        np.minimum(share, np.float32(BRIGHTEST), out=share)
        share = share.reshape(*self._shape, 4)
        if scene.shining is not None:
            share[ids == scene.shining] = (SHINE, SHINE, SHINE, 1.0)
        cv2.multiply(rgba, share, dst=rgba, dtype=cv2.CV_8U)

    def halos(self, rgba: Rgba, depth: Float, eye: Vector3, axes: Axes, scene: Scene) -> None:
        """Add, in place, the glow of the air around every lamp that is seen."""
        if not scene.lamps:
            return
        places, _, _ = _lamp_arrays(scene.lamps)
        seen = (places - np.array(eye)) @ np.array(axes).T
        radius = HALO + HALO_IN_FOG * scene.fog.density
        for lamp, (right, up, ahead) in zip(scene.lamps, seen.tolist(), strict=True):
            if ahead > 0.5:
                fading = math.exp(-scene.fog.density * ahead)
                self._halo(rgba, depth, (right / ahead, up / ahead, ahead), radius, lamp, fading)

    def _halo(self, rgba: Rgba, depth: Float, at: Vector3, radius: float, lamp: Lamp, fading: float) -> None:
        (height, width), (right, up, ahead) = self._shape, at
        column, row = 0.5 * width + self._focal * right, 0.5 * height - self._focal * up
        size = min(0.25 * width, max(1.2, self._focal * radius / ahead))  # pixels
        if not (0.0 <= column < width and 0.0 <= row < height):
            return
        hidden = (
            self._far * self._near / (self._far - (self._far - self._near) * depth[int(row), int(column)])
        )
        if hidden < ahead - HIDDEN:
            return
        reach = math.ceil(2.0 * size)
        top, left = max(0, int(row) - reach), max(0, int(column) - reach)
        part = rgba[top : int(row) + reach + 1, left : int(column) + reach + 1]
        y = (np.arange(top, top + part.shape[0]) + 0.5 - row) / size
        x = (np.arange(left, left + part.shape[1]) + 0.5 - column) / size
        fall = np.exp(-(y * y))[:, None] * np.exp(-(x * x))[None, :]
        strongest = max(lamp.color)
        color = np.array(lamp.color) * (255.0 * HALO_BRIGHTNESS * min(1.0, strongest) * fading / strongest)
        added = np.zeros((*fall.shape, 4), dtype=np.uint8)
        added[..., :3] = fall[..., None] * color
        cv2.add(part, added, dst=added)
        part[:] = added

    def _distances(self, depth: Float) -> Float:
        """(H, W) m along the camera's axis."""
        far, near = np.float32(self._far), np.float32(self._near)
        return np.asarray((far * near) / (far - (far - near) * depth), dtype=np.float32)


def _night(light: Light) -> Vector3:
    """What darkness leaves of daylight, a little bluer."""
    blue = 0.25 * (1.0 - light.level)
    return light.level * (1.0 - blue), light.level * (1.0 - 0.5 * blue), light.level * (1.0 + blue)


@lru_cache(maxsize=4)
def _lamp_arrays(lamps: tuple[Lamp, ...]) -> tuple[npt.NDArray[np.float64], Float, Float]:
    """Places (L, 3) m, ENU; strengths (L, 4) RGB and nothing; (L,) (FALLOFF / reach)^2."""
    places = np.array([lamp.position_enu for lamp in lamps])
    inverse = np.array([(FALLOFF / lamp.reach) ** 2 for lamp in lamps])
    below = (1.0 + np.array([lamp.height for lamp in lamps]) ** 2 * inverse) ** 2
    colors = np.zeros((len(lamps), 4))
    colors[:, :3] = np.array([lamp.color for lamp in lamps]) * below[:, None]
    return places, colors.astype(np.float32), inverse.astype(np.float32)
