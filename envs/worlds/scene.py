"""One exact world, built: the bodies in PyBullet and what the camera needs to picture them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from navstack.contract import Vector3
from navstack.envs.worlds.terrain import Slopes


@dataclass(frozen=True, slots=True)
class Light:
    """The renderer's one light, the sun."""

    direction_enu: Vector3  # towards the light
    color: Vector3  # RGB, 0 to 1
    ambient: float  # share of the light that comes from everywhere
    diffuse: float
    specular: float


@dataclass(frozen=True, slots=True)
class Sky:
    """What stands behind everything."""

    zenith_color: Vector3  # RGB, 0 to 1
    horizon_color: Vector3  # RGB, 0 to 1
    cloud_cover: float  # 0 to 1
    seed: int  # of the clouds


@dataclass(frozen=True, slots=True)
class Fog:
    """Exponential fog."""

    color: Vector3  # RGB, 0 to 1
    density: float  # per metre; 0 for none


@dataclass(frozen=True, slots=True)
class Scene:
    """Bodies and atmosphere of one exact world."""

    ground: int
    statics: tuple[int, ...]
    targets: tuple[int, ...]
    obstacles: npt.NDArray[np.float64]  # (N, 4) bounding cylinders: x, y, radius, height above the ground, m
    light: Light
    sky: Sky
    fog: Fog
    wind_enu: Vector3  # m/s
    props: tuple[int, ...] = ()
    slopes: Slopes | None = None  # None where the ground is flat, at height 0

    def ground_height(self, x: float, y: float) -> float:
        """Height (m, ENU) of the ground at a place."""
        return 0.0 if self.slopes is None else self.slopes(x, y)
