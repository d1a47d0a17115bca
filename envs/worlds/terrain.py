"""Ground that is not flat: one height field, drawn and collided with as the same triangles.

The lines of its grid stand close around the flight and apart far away, so that a place costs the renderer
little more than a flat one. Between the lines the ground is the two triangles of each cell, for the picture,
for contacts and for `Terrain.height` alike.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from navstack.envs.worlds.layout import Corridor, Layout
from navstack.envs.worlds.meshes import Mesh
from navstack.envs.worlds.spec import TerrainSpec

Doubles = npt.NDArray[np.float64]

REACH = 120.0  # m from the middle to the edge of the ground
CELLS = 24  # across the part in which things stand
BEYOND = 4.0  # m that the close lines reach beyond it
OUTER = (0.07, 0.17, 0.3, 0.46, 0.7, 1.0)  # lines from there to the edge, as shares of the way
WAVES = 7
_AROUND = [(math.cos(a), math.sin(a)) for a in np.linspace(0.0, 2.0 * math.pi, 8, endpoint=False)]
BULGE = 0.4  # m that the ground may rise above the straight line between two points of a way SIGHT apart
SIGHT = 12.0  # m: a target this far away is still seen from the lowest start


@dataclass(frozen=True, slots=True)
class Terrain:
    """Heights over a grid of lines, which are not evenly apart."""

    xs: Doubles  # (N,) m, ENU
    ys: Doubles  # (N,) m, ENU
    heights: Doubles  # (N, N) m, by x, then by y
    steepest: float  # rise over run of the steepest triangle

    def height(self, x: float, y: float) -> float:
        """Height (m, ENU) of the ground at a place; beyond the edge that of the edge."""
        return float(self.at(np.array(x), np.array(y)))

    def at(self, x: Doubles, y: Doubles) -> Doubles:
        """Heights (m, ENU) of the ground at places, any shape."""
        i, u = _cell(self.xs, x)
        j, v = _cell(self.ys, y)
        low, right = self.heights[i, j], self.heights[i + 1, j]
        far, up = self.heights[i + 1, j + 1], self.heights[i, j + 1]
        below = low + u * (right - low) + v * (far - right)
        above = low + v * (up - low) + u * (far - up)
        return np.asarray(np.where(u >= v, below, above))

    def mesh(self, tile: float) -> Mesh:
        """The ground as triangles whose texture repeats every `tile` metres."""
        n = len(self.xs)
        x, y = np.meshgrid(self.xs, self.ys, indexing="ij")
        vertices = np.stack((x, y, self.heights), axis=-1).reshape(-1, 3)
        slope_x = np.gradient(self.heights, self.xs, axis=0)
        slope_y = np.gradient(self.heights, self.ys, axis=1)
        normals = np.stack((-slope_x, -slope_y, np.ones_like(slope_x)), axis=-1).reshape(-1, 3)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        first = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).ravel()
        cells = np.stack((first, first + n, first + n + 1, first, first + n + 1, first + 1), axis=1)
        uvs = (vertices[:, :2] - vertices[0, :2]) / tile
        return Mesh(vertices, normals, uvs, cells.reshape(-1, 3).astype(np.int32))


class Slopes:
    """`Terrain.height` for the physics loop: the same numbers in plain floats, some microseconds faster."""

    def __init__(self, terrain: Terrain) -> None:
        self._xs, self._ys = terrain.xs.tolist(), terrain.ys.tolist()
        self._heights = terrain.heights.tolist()
        self._last = len(self._xs) - 2
        self.terrain = terrain
        self.steepness = math.sqrt(1.0 + terrain.steepest**2)

    def __call__(self, x: float, y: float) -> float:
        """Height (m, ENU) of the ground at a place."""
        xs, ys = self._xs, self._ys
        i = min(self._last, max(0, bisect_right(xs, x) - 1))
        j = min(self._last, max(0, bisect_right(ys, y) - 1))
        u = min(1.0, max(0.0, (x - xs[i]) / (xs[i + 1] - xs[i])))
        v = min(1.0, max(0.0, (y - ys[j]) / (ys[j + 1] - ys[j])))
        left, right = self._heights[i], self._heights[i + 1]
        low, far = left[j], right[j + 1]
        if u >= v:
            return float(low + u * (right[j] - low) + v * (far - right[j]))
        return float(low + v * (left[j + 1] - low) + u * (far - left[j + 1]))

    def foot(self, x: float, y: float, radius: float) -> float:
        """Height (m, ENU) at which a thing of this radius stands: nothing of its edge hangs in the air."""
        around = [(x + radius * c, y + radius * s) for c, s in _AROUND]
        return min(self(x, y), *(self(*place) for place in around))


def draw_terrain(spec: TerrainSpec, layout: Layout, rng: np.random.Generator) -> Terrain:
    """One exact ground around a layout, its height 0 in the middle.

    The relief that was drawn gives way where the ground would be steeper than `spec.steepest`, or would hide
    a target from the way to it.
    """
    relief, scale = float(rng.uniform(*spec.relief)), float(rng.uniform(*spec.scale))
    lines = _lines(layout.radius)
    xs, ys = layout.center[0] + lines, layout.center[1] + lines
    x, y = np.meshgrid(lines, lines, indexing="ij")
    field = _dunes(x, y, scale, rng) if spec.pattern == "dunes" else _hills(x, y, scale, rng)
    near = np.abs(lines) <= layout.radius
    inside = field[np.ix_(near, near)]
    field = (field - np.median(inside)) * (relief / max(1e-9, float(np.ptp(inside))))
    unit = Terrain(xs, ys, field, _steepest(xs, ys, field))
    bulge = max((_bulge(unit, way) for way in layout.corridors), default=0.0)
    share = min(1.0, spec.steepest / max(1e-9, unit.steepest), BULGE / max(1e-9, bulge))
    middle = unit.height(*layout.center)
    return Terrain(xs, ys, share * (field - middle), share * unit.steepest)


def _lines(radius: float) -> Doubles:
    half = radius + BEYOND
    outer = half + (REACH - half) * np.array(OUTER) if half < REACH else np.empty(0)
    return np.concatenate((-outer[::-1], np.linspace(-half, half, CELLS + 1), outer))


def _hills(x: Doubles, y: Doubles, scale: float, rng: np.random.Generator) -> Doubles:
    """Waves of any direction, the long ones high."""
    field = np.zeros_like(x)
    for _ in range(WAVES):
        length = scale * 2.0 ** rng.uniform(-0.7, 0.7)
        turn, phase = rng.uniform(-math.pi, math.pi, size=2)
        along = x * math.cos(turn) + y * math.sin(turn)
        field += length * np.sin(2.0 * math.pi * along / length + phase)
    return field


def _dunes(x: Doubles, y: Doubles, scale: float, rng: np.random.Generator) -> Doubles:
    """Ridges across one wind: a long rise, a short fall, crests that wander and swell."""
    field, wind = np.zeros_like(x), rng.uniform(-math.pi, math.pi)
    for _ in range(3):
        length = scale * 2.0 ** rng.uniform(-0.5, 0.5)
        turn = wind + rng.uniform(-0.35, 0.35)
        along, across = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
        bend, swell = rng.uniform(-math.pi, math.pi, size=2)
        phase = 2.0 * math.pi * along / length + 0.9 * np.sin(0.7 * math.pi * across / length + bend)
        crest = np.sin(phase + 0.6 * np.sin(phase))
        field += length * crest * (1.0 + 0.5 * np.sin(0.5 * math.pi * across / length + swell))
    return field


def _cell(lines: Doubles, at: Doubles) -> tuple[npt.NDArray[np.intp], Doubles]:
    """Which cell, and how far along it, 0 to 1."""
    number = np.clip(np.searchsorted(lines, at, side="right") - 1, 0, len(lines) - 2)
    share = (at - lines[number]) / (lines[number + 1] - lines[number])
    return number, np.clip(share, 0.0, 1.0)


def _steepest(xs: Doubles, ys: Doubles, heights: Doubles) -> float:
    """Rise over run of the steepest triangle."""
    along_x = np.diff(heights, axis=0) / np.diff(xs)[:, None]
    along_y = np.diff(heights, axis=1) / np.diff(ys)[None, :]
    lower = np.hypot(along_x[:, :-1], along_y[1:, :])
    upper = np.hypot(along_x[:, 1:], along_y[:-1, :])
    return float(max(lower.max(), upper.max()))


def _bulge(terrain: Terrain, way: Corridor) -> float:
    """m that the ground rises above a straight line between two points of a way, SIGHT apart at most."""
    length = math.hypot(way.x1 - way.x0, way.y1 - way.y0)
    steps = max(2, math.ceil(length / 0.5))
    share = np.linspace(0.0, 1.0, steps + 1)
    heights = terrain.at(way.x0 + share * (way.x1 - way.x0), way.y0 + share * (way.y1 - way.y0))
    window = min(steps, round(SIGHT / 0.5))
    part = np.linspace(0.0, 1.0, window + 1)
    rises = [0.0]
    for first in range(steps - window + 1):
        low, high = heights[first], heights[first + window]
        rises.append(float((heights[first : first + window + 1] - low - part * (high - low)).max()))
    return max(rises)
