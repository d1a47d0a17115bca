"""Sky and fog in machine code: what `atmosphere.py` draws, bit for bit, in a fraction of its time.

Colours come from the same tables. Loops are short ones over a row, each without branches and with at most one
look-up, because those become vector instructions; one loop that does it all takes six times as long.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from navstack.envs.atmosphere import (
    BACKGROUND,
    CLOUD_CURVE,
    CLOUD_SCALE,
    RISES,
    TILE,
    WHOLE_SQUARES,
    Axes,
    Float,
    Optics,
    Words,
    cloud_square,
    fog_tables,
    sky_table,
)
from navstack.envs.compiled import compiled
from navstack.envs.worlds.scene import Fog, Sky

_EMPTY, _ZERO, _RISE = np.float32(BACKGROUND), np.float32(0.0), np.float32(RISES - 1)
_CURVE, _SCALE, _SQUARES = np.float32(CLOUD_CURVE), np.float32(CLOUD_SCALE), np.float32(WHOLE_SQUARES)
_NO_STEP, _RISES, _WIDTH, _MASK = (np.int32(each) for each in (0, RISES, TILE, TILE - 1))
_Word = np.uint32  # Numba widens sums and products of 32 bits to 64 unless they are narrowed again
# Two channels of a pixel are computed at a time, each with a free byte above it.
_PAIR, _HALF, _CARRY = _Word(0x00FF00FF), _Word(0x00800080), _Word(0x01000100)
_BYTE, _THREE_BYTES, _OPAQUE = _Word(8), _Word(24), _Word(0xFF000000)
_NO_CLOUDS = np.zeros((1, 1), dtype=np.uint8)


class CompiledAtmosphere:
    """An `Atmosphere` whose clouds are not smooth."""

    def __init__(self, width: int, height: int, horizontal_fov: float, near: float, far: float) -> None:
        self._optics = optics = Optics.of(width, height, horizontal_fov, near, far)
        self._direction = np.zeros((3, height * width), dtype=np.float32)
        self._row = row = np.zeros(width, dtype=np.int32)
        self._scene: tuple[Sky, Fog] | None = None  # that the tables are of
        words, table = np.zeros((height, width), dtype=np.uint32), np.zeros(1, dtype=np.uint32)
        steps = optics.far_steps, optics.fixed, optics.span
        self._draw_fog = compiled(_fogged, (_faded,), (words, steps[0], *steps, table, row, True))
        self._draw_sky = compiled(
            _sky_drawn, (), (words, steps[0], self._direction, 0, 0, _NO_CLOUDS, table, True, row)
        )

    def draw(self, rgba: npt.NDArray[np.uint8], depth: Float, axes: Axes, sky: Sky, fog: Fog) -> None:
        """Draw fog over what stands there and sky where nothing does, in place; see `Atmosphere.draw`."""
        if self._scene is None or self._scene[0] is not sky or self._scene[1] is not fog:
            self._prepare(sky, fog)
        optics, words = self._optics, rgba.view(np.uint32)[..., 0]
        top, bottom = self._draw_fog(
            words, depth, optics.far_steps, optics.fixed, optics.span, self._fog_table, self._row, self._foggy
        )
        if top < bottom:
            part = slice(top * optics.shape[1], bottom * optics.shape[1])
            optics.directions(axes, part, self._direction[:, part])
            self._draw_sky(
                words, depth, self._direction, top, bottom, self._covers, self._sky_table, self._cloudy,
                self._row,
            )  # fmt: skip

    def _prepare(self, sky: Sky, fog: Fog) -> None:
        self._scene = sky, fog
        self._foggy, self._cloudy = fog.density > 0.0, sky.cloud_cover > 0.0
        self._fog_table, self._sky_table = _fog_table(fog, self._optics.farthest), sky_table(sky, fog)
        self._covers = _covers(sky.seed, sky.cloud_cover) if self._cloudy else _NO_CLOUDS


def _fogged(
    words: Any, depth: Any, far_steps: Any, fixed: Any, span: Any, table: Any, row: Any, foggy: bool
) -> tuple[int, int]:
    """Fog over every pixel. Returns the first row with sky and the one after the last.

    `table` has what fog adds and, in the fourth byte, the share that it leaves.
    """
    height, width = words.shape
    top, bottom, last = height, 0, np.int32(len(table) - 1)
    for number in range(height):
        pixels, deep, far = words[number], depth[number], far_steps[number]
        empties = 0
        for k in range(width):
            empties += deep[k] >= _EMPTY
        if empties:
            top, bottom = min(top, number), number + 1
        if foggy and empties < width:
            for k in range(width):
                row[k] = min(max(np.int32(far[k] / (deep[k] * span + fixed)), _NO_STEP), last)
            for k in range(width):
                row[k] = table[row[k]]
            for k in range(width):
                pixels[k] = _faded(pixels[k], _Word(row[k]))
    return top, bottom


def _faded(pixel: Any, entry: Any) -> Any:
    """Each channel times share / 255, to the nearest, and what is added to it, at most 255.

    x / 255 to the nearest is (y + y // 256) // 256 for y = x + 128.
    """
    share = _Word(entry >> _THREE_BYTES)
    even = _Word(_Word(_Word(pixel & _PAIR) * share) + _HALF)
    odd = _Word(_Word(_Word(_Word(pixel >> _BYTE) & _PAIR) * share) + _HALF)
    even = _Word(_Word(even + _Word(_Word(even >> _BYTE) & _PAIR)) >> _BYTE) & _PAIR
    odd = _Word(_Word(odd + _Word(_Word(odd >> _BYTE) & _PAIR)) >> _BYTE) & _PAIR
    even = _Word(even + _Word(entry & _PAIR))
    odd = _Word(odd + _Word(_Word(entry >> _BYTE) & _PAIR))
    full_even, full_odd = _Word(even & _CARRY), _Word(odd & _CARRY)
    even = _Word(even | _Word(full_even - _Word(full_even >> _BYTE)))
    odd = _Word(odd | _Word(full_odd - _Word(full_odd >> _BYTE)))
    return _Word(_Word(_Word(even & _PAIR) | _Word(_Word(odd & _PAIR) << _BYTE)) | _OPAQUE)


def _sky_drawn(
    words: Any, depth: Any, directions: Any, top: int, bottom: int, covers: Any, table: Any, cloudy: bool,
    row: Any,
) -> None:  # fmt: skip
    """Sky where nothing stands, in these rows; `directions` (3, pixels) are east, north, up."""
    width, last = words.shape[1], np.int32(len(table) - 1)
    clouds = covers.reshape(-1)
    for number in range(top, bottom):
        pixels, deep, part = words[number], depth[number], slice(number * width, (number + 1) * width)
        east, north, up = directions[0, part], directions[1, part], directions[2, part]
        row[:] = 0
        if cloudy:  # a flat layer of clouds: a ray meets it the further out the lower it points
            for k in range(width):
                stretch = _SCALE / (max(up[k], _ZERO) + _CURVE)
                column = np.int32(east[k] * stretch + _SQUARES) & _MASK
                row[k] = (np.int32(north[k] * stretch + _SQUARES) & _MASK) * _WIDTH + column
            for k in range(width):
                row[k] = clouds[row[k]]
        for k in range(width):
            row[k] = min(np.int32(row[k] * _RISES + np.int32(max(up[k], _ZERO) * _RISE)), last)
        for k in range(width):
            row[k] = table[row[k]]
        for k in range(width):
            pixels[k] = _Word(row[k]) if deep[k] >= _EMPTY else pixels[k]


@lru_cache(maxsize=4)
def _covers(seed: int, cover: float) -> npt.NDArray[np.uint8]:
    """(TILE, TILE) rows of the sky's table by amount of cloud."""
    return (cloud_square(seed, cover)[1] // RISES).astype(np.uint8)


@lru_cache(maxsize=16)
def _fog_table(fog: Fog, farthest: float) -> Words:
    """Pixels that fog adds, by distance in steps, each with the share of 255 that it leaves as the alpha."""
    share, color = fog_tables(fog, farthest)
    return (color & ~_OPAQUE) | (share << _THREE_BYTES)
