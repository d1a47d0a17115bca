"""The bodies of one exact world that may be moved, hidden and shown while the flight goes on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from navstack.envs.physics import pybullet
from navstack.envs.vehicle import Quadrotor
from navstack.envs.worlds.layout import Layout
from navstack.envs.worlds.props import Cylinder, prop_cylinders, standing_radius, target_cylinders
from navstack.envs.worlds.scene import Scene

AWAY = -1000.0  # m: a hidden body is below the ground, out of reach and beyond what the camera draws


@dataclass(frozen=True, slots=True)
class Movable:
    """A body that scenery may move: one of the layout's targets or props."""

    body: int
    origin: tuple[float, float, float]  # x, y (m, ENU) and yaw (rad) that its mesh was built at
    foot: float  # m, ENU: the ground's height there that its mesh was built for
    radius: float  # m, around its middle, that stands on the ground
    cylinders: Callable[[float, float, float], list[Cylinder]]  # that bound it at x, y, yaw
    row: int  # of its first cylinder among the scene's obstacles


class Stage:
    """Moves bodies kinematically, up to `FASTEST`; what was hidden may appear anywhere away from the vehicle.

    Away means 1.5 m: contacts are looked up only where something was near at the last tenth of a second.
    Bodies stand on the ground, whatever its height. `tops` are the heights (m, ENU) of the scene's obstacles.
    """

    FASTEST = 4.0  # m/s

    def __init__(
        self, client: int, scene: Scene, tops: npt.NDArray[np.float64], layout: Layout, vehicle: Quadrotor
    ) -> None:
        self.client, self.vehicle = client, vehicle
        self._scene, self._tops = scene, tops
        movables: list[Movable] = []
        row = len(scene.obstacles)  # the last of the obstacles are the targets', then the props'
        for body, prop in reversed(list(zip(scene.props, layout.props, strict=True))):
            row -= len(prop_cylinders(prop, 0.0, 0.0, 0.0))
            bounds = partial(prop_cylinders, prop)
            movables.append(Movable(body, (0.0, 0.0, 0.0), 0.0, standing_radius(prop), bounds, row))
        for body, target in reversed(list(zip(scene.targets, layout.targets, strict=True))):
            row -= len(target_cylinders(target, 0.0, 0.0, 0.0))
            place, radius = (target.x, target.y, target.yaw), 0.35 * target.size
            foot = self._foot(target.x, target.y, radius)
            movables.append(Movable(body, place, foot, radius, partial(target_cylinders, target), row))
        movables.reverse()
        self.targets = tuple(movables[: len(layout.targets)])
        self.props = tuple(movables[len(layout.targets) :])

    def move(self, thing: Movable, x: float, y: float, yaw: float) -> None:
        """Put a body, shown, at this place (m, ENU) with this yaw (rad)."""
        ox, oy, oyaw = thing.origin
        turn = yaw - oyaw
        c, s = math.cos(turn), math.sin(turn)
        z = self._foot(x, y, thing.radius) - thing.foot
        self._put(thing, (x - c * ox + s * oy, y - s * ox - c * oy, z), turn)
        cylinders = thing.cylinders(x, y, yaw)
        rows = slice(thing.row, thing.row + len(cylinders))
        self._scene.obstacles[rows] = cylinders
        self._tops[rows] = [height + self._scene.ground_height(cx, cy) for cx, cy, _, height in cylinders]

    def hide(self, thing: Movable) -> None:
        """Take a body out of sight and out of reach until it is moved."""
        self._put(thing, (0.0, 0.0, AWAY), 0.0)
        rows = slice(thing.row, thing.row + len(thing.cylinders(*thing.origin)))
        self._tops[rows] = self._scene.obstacles[rows, 3] = AWAY

    def height(self) -> float:
        """The vehicle's height (m) above the ground below it."""
        x, y, z = self.vehicle.position
        return z - self._scene.ground_height(x, y)

    def _foot(self, x: float, y: float, radius: float) -> float:
        slopes = self._scene.slopes
        return 0.0 if slopes is None else slopes.foot(x, y, radius)

    def _put(self, thing: Movable, base: tuple[float, float, float], turn: float) -> None:
        pybullet.resetBasePositionAndOrientation(
            thing.body, base, (0.0, 0.0, math.sin(0.5 * turn), math.cos(0.5 * turn)),
            physicsClientId=self.client,
        )  # fmt: skip
