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
    level: float = 1.0  # share of it all that darkness leaves


@dataclass(frozen=True, slots=True)
class Lamp:
    """A point light."""

    position_enu: Vector3  # m
    color: Vector3  # RGB: what it gives to the ground right below, 1 is daylight
    reach: float  # m at which a hundredth of it is left
    height: float  # m above the ground below


@dataclass(frozen=True, slots=True)
class Panorama:
    """A photograph on the horizon."""

    file: str
    crop: tuple[float, float, float, float] | None  # left, top, right, bottom as shares of it
    width: float  # rad that one repeat spans, about
    turn: float  # rad, where the first begins


@dataclass(frozen=True, slots=True)
class Sky:
    """What stands behind everything."""

    zenith_color: Vector3  # RGB, 0 to 1
    horizon_color: Vector3  # RGB, 0 to 1
    cloud_cover: float  # 0 to 1
    seed: int  # of the clouds
    glow: float = 0.0  # 0 to 1: of the sky around the sun
    panorama: Panorama | None = None

    @property
    def backdrop(self) -> bool:
        """Whether more stands there than a plain sky with clouds."""
        return self.glow > 0.0 or self.panorama is not None


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
    lamps: tuple[Lamp, ...] = ()
    shining: int | None = None  # the body of what shines by itself

    @property
    def dark(self) -> bool:
        """Whether daylight is not all the light that there is."""
        return self.light.level < 1.0 or bool(self.lamps)

    def ground_height(self, x: float, y: float) -> float:
        """Height (m, ENU) of the ground at a place."""
        return 0.0 if self.slopes is None else self.slopes(x, y)
