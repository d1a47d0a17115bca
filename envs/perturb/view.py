"""The imperfections of one flight's camera, drawn at its start."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from navstack.contract import CameraSpec, Image, Quaternion, Vector3
from navstack.envs.perturb import Perturbation
from navstack.envs.perturb.camera import Apply, Shot
from navstack.envs.worlds.scene import Fog, Scene

FOG_GREY = (0.4, 0.8)  # of full scale, drawn for each flight


class PerturbedView:
    """What the camera is instead of what its card says, where it looks, and what becomes of its pictures.

    Args:
        drawn: perturbations, each with random numbers of its own; pictures go through them in this order.
        spec: the camera as its card states it.
    """

    def __init__(self, drawn: Sequence[tuple[Perturbation, np.random.Generator]], spec: CameraSpec) -> None:
        self.spec = spec
        self._tilt: Quaternion = (0.0, 0.0, 0.0, 1.0)
        self._fog: Fog | None = None
        self._pictures: list[Apply] = []
        for one, own in drawn:
            kind, level = one.kind, one.level
            if kind.image is not None:
                self._pictures.append(kind.image(level, own, (spec.height, spec.width)))
            elif kind.mount == "tilt":
                direction, half = own.uniform(-math.pi, math.pi), 0.5 * math.radians(level)
                sine = math.sin(half)
                self._tilt = (sine * math.cos(direction), sine * math.sin(direction), 0.0, math.cos(half))
            elif kind.mount == "fov":
                scale = 1.0 + level * own.choice((-1.0, 1.0))
                self.spec = replace(spec, horizontal_fov=spec.horizontal_fov * scale)
            elif kind.mount == "fog":
                grey = float(own.uniform(*FOG_GREY))
                self._fog = Fog((grey, grey, grey), level)
        self._focal = 0.5 * self.spec.width / math.tan(0.5 * self.spec.horizontal_fov)

    def scene(self, scene: Scene) -> Scene:
        """The world with the fog that has come up; thinner fog of its own gives way."""
        if self._fog is None or self._fog.density <= scene.fog.density:
            return scene
        red, green, blue = (share * scene.light.level for share in self._fog.color)
        return replace(scene, fog=replace(self._fog, color=(red, green, blue)))

    def orientation(self, body: Quaternion) -> Quaternion:
        """Where the tilted camera looks on a body with this orientation (FLU into ENU)."""
        ax, ay, az, aw = body
        bx, by, bz, bw = self._tilt
        return (
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        )

    def picture(self, image: Image, rates_flu: Vector3) -> Image:
        """What the sensor makes of (H, W, 3) uint8 RGB while the body turns at these rates (rad/s)."""
        shot = Shot(rates_flu, self._focal)
        for apply in self._pictures:
            image = apply(image, shot)
        return image
