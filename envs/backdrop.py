"""What stands behind everything besides a plain sky: the glow around a low sun, and photographs."""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from navstack.contract import Image
from navstack.envs.atmosphere import BACKGROUND, FOG_CEILING, FOG_REACH, Axes, Float
from navstack.envs.worlds.scene import Panorama, Scene
from navstack.envs.worlds.textures import image_part

GLOW_WIDTH = 0.16  # of 1 - cos of the angle from the sun: about 32 degrees


class Backdrop:
    """Draws behind everything, in the pictures of one pinhole camera.

    Args:
        rays: (H, W, 3) unit rays through the pixels' centres: right, up, forward.
    """

    def __init__(self, rays: npt.NDArray[np.float64]) -> None:
        self._shape = rays.shape[:2]
        self._rays = np.ascontiguousarray(rays.reshape(-1, 3), dtype=np.float32)
        # A photograph is kept as fine as the camera's middle sees it: finer would flicker.
        self._pixels_per_radian = 1.0 / float(
            rays[0, rays.shape[1] // 2, 0] - rays[0, rays.shape[1] // 2 - 1, 0]
        )

    def draw(self, rgba: npt.NDArray[np.uint8], depth: Float, axes: Axes, scene: Scene) -> None:
        """Draw, in place, over the sky: photographs, then the sun's glow.

        Args:
            rgba: (H, W, 4) uint8, the sky drawn.
            depth: (H, W) float32, the renderer's depth buffer.
            axes: the camera's right, up and forward directions in ENU.
            scene: for its sky, sun and fog.
        """
        empty = depth.reshape(-1) >= BACKGROUND
        if not empty.any():
            return
        direction = self._rays[empty] @ np.array(axes, dtype=np.float32)
        pixels = rgba.reshape(-1, 4)
        if scene.sky.panorama is not None:
            pixels[empty, :3] = _photograph(direction, self._pixels_per_radian, scene.sky.panorama, scene)
        if scene.sky.glow > 0.0:
            sun = np.array(scene.light.direction_enu, dtype=np.float32)
            amount = scene.sky.glow * np.exp((direction @ sun - 1.0) / np.float32(GLOW_WIDTH))
            amount *= _through(direction[:, 2], scene.fog.density)
            color = 255.0 * np.array(scene.light.color, dtype=np.float32)
            kept = pixels[empty, :3].astype(np.float32)
            pixels[empty, :3] = kept + (np.maximum(color, kept) - kept) * amount[:, None]


def _photograph(
    direction: Float, pixels_per_radian: float, panorama: Panorama, scene: Scene
) -> npt.NDArray[np.float32]:
    """(N, 3) colours of a photograph that stands on the horizon, through the fog before it."""
    picture, width = _panorama(panorama, pixels_per_radian)
    high, wide = picture.shape[:2]
    around = (np.arctan2(direction[:, 1], direction[:, 0]) - np.float32(panorama.turn)) / np.float32(width)
    share = np.abs(np.remainder(around, 2.0) - 1.0)  # mirrored from repeat to repeat
    columns = np.minimum((share * wide).astype(np.intp), wide - 1)
    up = np.arcsin(np.clip(direction[:, 2], 0.0, 1.0)) * np.float32(wide / width)  # square pixels
    rows = high - 1 - np.minimum(up.astype(np.intp), high - 1)
    colors = picture[rows, columns].astype(np.float32) * np.float32(scene.light.level)
    fog = 255.0 * np.array(scene.fog.color, dtype=np.float32)
    return np.asarray(fog + (colors - fog) * _through(direction[:, 2], scene.fog.density)[:, None])


def _through(rise: Float, density: float) -> Float:
    """What fog leaves of the sky, by the sine of the elevation."""
    away = np.minimum(FOG_CEILING / np.maximum(rise, np.float32(1e-6)), FOG_REACH)
    return np.asarray(np.exp(-density * away), dtype=np.float32)


@lru_cache(maxsize=4)
def _panorama(panorama: Panorama, pixels_per_radian: float) -> tuple[Image, float]:
    """A photograph, and the angle (rad) of a repeat, of which an even number goes around."""
    picture = image_part(panorama.file, panorama.crop)
    repeat = math.pi / max(1, round(math.pi / panorama.width))
    wide = max(2, round(repeat * pixels_per_radian))
    size = (wide, max(2, round(picture.shape[0] * wide / picture.shape[1])))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA)), repeat
