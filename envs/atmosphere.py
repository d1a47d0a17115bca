"""Sky and fog, drawn from the depth buffer after the renderer: TinyRenderer has one light and knows neither.

A picture of 96 x 64 pixels has a budget of 0.06 ms here, so colours come from small tables that are made
once a scene, four channels of a pixel travel as one 32-bit word, the intermediate arrays are kept, and whole
numbers have 32 bits, in which processors convert and add several at once, until a table is asked. Where there
is Numba, the camera's pictures go through `compiled_atmosphere.py` instead, which draws the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from navstack.contract import Vector3
from navstack.envs.worlds.scene import Fog, Sky

Float = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Wholes = npt.NDArray[np.int32]
Words = npt.NDArray[np.uint32]  # pixels, RGBA in memory order
Axes = tuple[Vector3, Vector3, Vector3]  # a camera's right, up and forward directions in ENU

FOG_CEILING = 40.0  # m: the height of the layer of fog that the sky is seen through
FOG_REACH = 400.0  # m: how far that layer reaches at the horizon
BACKGROUND = 1.0 - 1e-6  # the depth buffer from which on nothing stands there

_FOG_STEPS = 4096  # of the table of fog over distance
RISES = 256  # of the sky's table, over the sine of the elevation
_COVERS = 32  # of the sky's table, over how much cloud there is
TILE = 256  # pixels of the square of clouds that repeats
CLOUD_SCALE = 40.0  # pixels of the square for one height of the clouds above the camera
WHOLE_SQUARES = 16.0 * TILE  # pixels: further than any ray goes, and a whole number of squares
CLOUD_CURVE = 0.2  # sine of elevation added so that clouds do not shrink without end at the horizon


@dataclass(frozen=True, slots=True)
class Optics:
    """A pinhole camera's rays, and how its depth buffer reads in steps of the table of fog."""

    shape: tuple[int, int]  # rows, columns
    rays: Doubles  # (3, H * W) unit: right, up, forward
    far_steps: Float  # (H, W): over fixed + span * depth they are the steps
    farthest: float  # m, of the table's last entry but one
    fixed: np.float32
    span: np.float32

    @classmethod
    def of(cls, width: int, height: int, horizontal_fov: float, near: float, far: float) -> Self:
        """Those of a camera with square pixels."""
        rays, length = pixel_rays(width, height, horizontal_fov)
        # The distance along the ray is length * far * near / (far - (far - near) * depth). Here it is counted
        # in steps of the table of fog, with the background a little nearer than its last entry.
        steps = length * ((_FOG_STEPS - 2) / far / length.max() * far * near)
        return cls(
            (height, width), np.ascontiguousarray(rays.reshape(-1, 3).T),
            steps.astype(np.float32), far * float(length.max()), np.float32(far), np.float32(near - far),
        )  # fmt: skip

    def directions(self, axes: Axes, part: slice, out: Float) -> None:
        """East, north and up of the unit rays of these pixels, to `out` (3, pixels)."""
        np.matmul(np.array(axes, dtype=np.float32).T, self.rays[:, part], out=out)


class Atmosphere:
    """Draws sky and fog into the pictures of one pinhole camera with square pixels.

    `smooth` interpolates between the pixels of the clouds, which large pictures need.
    """

    def __init__(
        self, width: int, height: int, horizontal_fov: float, near: float, far: float, smooth: bool = False
    ) -> None:
        self._optics = Optics.of(width, height, horizontal_fov, near, far)
        self._smooth, self._shape = smooth, (height, width)
        self._step = np.empty(self._shape, dtype=np.float32)
        self._whole = np.empty((3, *self._shape), dtype=np.int32)
        self._index = np.empty(self._shape, dtype=np.intp)
        self._word = np.empty((2, *self._shape), dtype=np.uint32)
        self._direction = np.empty((3, height * width), dtype=np.float32)
        self._stretch = np.empty(height * width, dtype=np.float32)

    def draw(self, rgba: npt.NDArray[np.uint8], depth: Float, axes: Axes, sky: Sky, fog: Fog) -> None:
        """Draw fog over what stands there and sky where nothing does, in place.

        Args:
            rgba: (H, W, 4) uint8, C-contiguous.
            depth: (H, W) float32, the renderer's depth buffer.
            axes: the camera's right, up and forward directions in ENU.
            sky: what stands behind everything.
            fog: what lies between.
        """
        empty = depth >= BACKGROUND
        flags = empty.tobytes()
        solid = self._rows(flags, 0)
        if solid is not None and fog.density > 0.0:
            self._draw_fog(rgba[slice(*solid)], depth[slice(*solid)], solid, fog)
        if (rows := self._rows(flags, 1)) is not None:
            top, bottom = rows
            words = rgba.view(np.uint32)[..., 0]
            np.copyto(words[top:bottom], self._sky(top, bottom, axes, sky, fog), where=empty[top:bottom])

    def _rows(self, flags: bytes, value: int) -> tuple[int, int] | None:
        """The rows from the first to the one after the last in which a pixel's flag has this value."""
        first, width = flags.find(value), self._shape[1]
        return None if first < 0 else (first // width, flags.rfind(value) // width + 1)

    def _draw_fog(self, rgba: npt.NDArray[np.uint8], depth: Float, rows: tuple[int, int], fog: Fog) -> None:
        """Over these rows; all the others are sky, which is drawn over whatever is there."""
        part, optics = slice(*rows), self._optics
        step, whole, index = self._step[part], self._whole[0, part], self._index[part]
        kept, added = self._word[0, part], self._word[1, part]
        np.multiply(depth, optics.span, out=step)
        step += optics.fixed
        np.divide(optics.far_steps[part], step, out=step)
        np.copyto(whole, step, casting="unsafe")
        np.copyto(index, whole)
        share, color = fog_tables(fog, optics.farthest)
        share.take(index, out=kept, mode="clip")
        color.take(index, out=added, mode="clip")
        bytes_kept = kept.view(np.uint8).reshape(rgba.shape)
        cv2.multiply(rgba, bytes_kept, dst=rgba, scale=1.0 / 255.0)
        cv2.add(rgba, added.view(np.uint8).reshape(rgba.shape), dst=rgba)

    def _sky(self, top: int, bottom: int, axes: Axes, sky: Sky, fog: Fog) -> Words:
        """(bottom - top, W) the sky's colours in these rows, whatever stands before it."""
        width = self._shape[1]
        part = slice(top * width, bottom * width)
        shape = (bottom - top, width)
        direction = self._direction[:, part]
        self._optics.directions(axes, part, direction)
        east, north, up = direction
        np.maximum(up, 0.0, out=up)
        stretch = self._stretch[part]
        entry: Wholes = self._whole[0, top:bottom]
        np.multiply(up, np.float32(RISES - 1), out=stretch)
        np.copyto(entry, stretch.reshape(shape), casting="unsafe")
        if sky.cloud_cover > 0.0:
            # A flat layer of clouds: a ray meets it the further out the lower it points.
            np.add(up, np.float32(CLOUD_CURVE), out=stretch)
            np.divide(np.float32(CLOUD_SCALE), stretch, out=stretch)
            east *= stretch
            north *= stretch
            entry += self._clouds(east.reshape(shape), north.reshape(shape), top, bottom, sky)
        index: Indices = self._index[top:bottom]
        np.copyto(index, entry)
        words: Words = self._word[0, top:bottom]
        sky_table(sky, fog).take(index, out=words, mode="clip")
        return words

    def _clouds(self, east: Float, north: Float, top: int, bottom: int, sky: Sky) -> Wholes:
        """What cloud adds to the index into the sky's table, where rays meet the layer at these pixels."""
        square, offsets = cloud_square(sky.seed, sky.cloud_cover)
        if self._smooth:
            amount = cv2.remap(square, east, north, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
            return _cloud_offsets(np.asarray(amount, dtype=np.float32))
        places: Wholes = self._whole[1, top:bottom]
        columns: Wholes = self._whole[2, top:bottom]
        for values, out in ((north, places), (east, columns)):
            values += WHOLE_SQUARES  # positive, so that the cast rounds everything the same way
            np.copyto(out, values, casting="unsafe")
            out &= TILE - 1
        places *= TILE
        places += columns
        index: Indices = self._index[top:bottom]
        np.copyto(index, places)
        offsets.take(index, out=columns, mode="clip")
        return columns


def pixel_rays(width: int, height: int, horizontal_fov: float) -> tuple[Doubles, Doubles]:
    """(H, W, 3) unit rays through the pixels' centres (right, up, forward); (H, W) lengths at depth 1."""
    focal = 0.5 * width / math.tan(0.5 * horizontal_fov)  # pixels
    right = (np.arange(width) + 0.5 - 0.5 * width) / focal
    up = (0.5 * height - 0.5 - np.arange(height)) / focal
    rays = np.stack(np.broadcast_arrays(right[None, :], up[:, None], 1.0), axis=-1)
    length = np.sqrt((rays * rays).sum(axis=-1))
    return rays / length[..., None], length


@lru_cache(maxsize=16)
def fog_tables(fog: Fog, farthest: float) -> tuple[Words, Words]:
    """What fog leaves of a colour, and what it adds to it, by distance in steps: two tables of pixels."""
    distance = np.arange(_FOG_STEPS) * (farthest / (_FOG_STEPS - 2))
    clear = np.exp(-fog.density * distance)[:, None]
    kept = np.broadcast_to(clear, (_FOG_STEPS, 3))
    return _words(kept), _words((1.0 - clear) * np.array(fog.color))


@lru_cache(maxsize=16)
def sky_table(sky: Sky, fog: Fog) -> Words:
    """(_COVERS * RISES,) pixels: the sky's colour by amount of cloud, then by sine of elevation."""
    rise = np.linspace(0.0, 1.0, RISES)[:, None]
    zenith, horizon = np.array(sky.zenith_color), np.array(sky.horizon_color)
    clear = horizon + (zenith - horizon) * (1.0 - np.exp(-rise / 0.3)) / (1.0 - math.exp(-1.0 / 0.3))
    cloud = 0.3 * horizon + 0.7 * max(float(horizon.max()), 0.55)
    melting = np.clip(rise / 0.15, 0.0, 1.0)  # into the horizon
    cover = np.linspace(0.0, 1.0, _COVERS)[:, None, None] * melting
    colors = clear + (cloud - clear) * cover
    through = np.exp(-fog.density * np.minimum(FOG_CEILING / np.maximum(rise, 1e-6), FOG_REACH))
    return _words((np.array(fog.color) + (colors - np.array(fog.color)) * through).reshape(-1, 3))


@lru_cache(maxsize=4)
def cloud_square(seed: int, cover: float) -> tuple[Float, Wholes]:
    """(TILE, TILE) amount of cloud, 0 to 1, and the same as offsets in the sky's table; the edges meet."""
    rng = np.random.default_rng(seed)
    noise = np.zeros((TILE, TILE), dtype=np.float32)
    for cells, weight in ((4, 1.0), (8, 0.8), (16, 0.5), (32, 0.3)):
        # Three rows and columns more on each side let the cubic interpolation see across the edges.
        wrapped = np.pad(rng.random((cells, cells), dtype=np.float32), 3, mode="wrap")
        size = TILE // cells
        large = cv2.resize(wrapped, None, fx=size, fy=size, interpolation=cv2.INTER_CUBIC)
        noise += np.float32(weight) * large[3 * size : 3 * size + TILE, 3 * size : 3 * size + TILE]
    sample = noise[::4, ::4]  # as telling as the whole, and a flight starts sooner
    threshold, soft = np.quantile(sample, 1.0 - cover), 1.2 * sample.std()
    amount = np.clip((noise - np.float32(threshold)) / np.float32(soft), 0.0, 1.0)
    return amount, _cloud_offsets(amount)


def _cloud_offsets(amount: Float) -> Wholes:
    """The offset in the sky's table of each amount of cloud."""
    return np.rint(amount * np.float32(_COVERS - 1)).astype(np.int32) * RISES


def _words(colors: Doubles) -> Words:
    """(n,) pixels of (n, 3) colours from 0 to 1."""
    pixels = np.full((len(colors), 4), 255, dtype=np.uint8)
    pixels[:, :3] = np.rint(255.0 * np.clip(colors, 0.0, 1.0))
    return pixels.view(np.uint32)[:, 0]
