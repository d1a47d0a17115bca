"""The simulated camera: PyBullet's TinyRenderer; darkness, sky and fog are drawn from depth afterwards."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from navstack.contract import CameraSpec, Image, Vector3
from navstack.envs.atmosphere import Atmosphere, Axes, pixel_rays
from navstack.envs.backdrop import Backdrop
from navstack.envs.compiled import COMPILED
from navstack.envs.compiled_atmosphere import CompiledAtmosphere
from navstack.envs.lamps import Lamplight
from navstack.envs.physics import pybullet
from navstack.envs.shadows import SUN_FAR, SUN_NEAR, SunView, shade
from navstack.envs.worlds.scene import Scene
from navstack.errors import InputError

NEAR = 0.05  # m
FAR = 250.0  # m: beyond the edge of every ground
CHASE_BACK, CHASE_ABOVE = 2.4, 0.9  # m from the drone to the chase camera
CHASE_PITCH, CHASE_FOV = math.radians(-10.0), math.radians(70.0)
CHASE_SCALE = 1.5  # pixels rendered for each one shown, along each side
SUN_AHEAD, SUN_RADIUS = 10.0, 20.0  # m: shadows are cast in a ball around a point ahead of the drone
SUN_PIXELS = 512

Quaternion = tuple[float, float, float, float]  # x, y, z, w
# (H, W, 4) RGBA, (H, W) depth buffer, (H, W) body of each pixel where something shines
Picture = tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32], npt.NDArray[np.int32]]

_COLOR_ORDERS = {"RGB": cv2.COLOR_RGBA2RGB, "BGR": cv2.COLOR_RGBA2BGR}


class Camera:
    """A forward-looking pinhole camera on one physics server.

    Raises InputError for an unknown colour order.
    """

    def __init__(self, client: int, spec: CameraSpec) -> None:
        if spec.color_order not in _COLOR_ORDERS:
            raise InputError(f"the camera's colour order is '{spec.color_order}'; it must be RGB or BGR")
        self.client, self.spec = client, spec
        self._conversion = _COLOR_ORDERS[spec.color_order]
        self._projection = projection_matrix(spec.horizontal_fov, spec.width, spec.height)
        drawn_by = CompiledAtmosphere if COMPILED else Atmosphere
        self._atmosphere = drawn_by(spec.width, spec.height, spec.horizontal_fov, NEAR, FAR)
        rays, length = pixel_rays(spec.width, spec.height, spec.horizontal_fov)
        self._lamplight = Lamplight(rays * length[..., None], NEAR, FAR)
        self._backdrop = Backdrop(rays)

    def render(self, position_enu: Vector3, orientation: Quaternion, scene: Scene) -> Image:
        """What the camera sees: (H, W, 3) uint8 in the camera's colour order, a fresh array.

        Args:
            position_enu: of the camera, in m.
            orientation: of the body that carries it, FLU into ENU.
            scene: the world, for its light, sky and fog.
        """
        axes = camera_axes(orientation, self.spec.pitch)
        rgba, depth, ids = self._picture(position_enu, axes, scene)
        if scene.dark:
            self._lamplight.light(rgba, depth, ids, position_enu, axes, scene)
        self._atmosphere.draw(rgba, depth, axes, scene.sky, scene.fog)
        if scene.sky.backdrop:
            self._backdrop.draw(rgba, depth, axes, scene)
        if scene.lamps:
            self._lamplight.halos(rgba, depth, position_enu, axes, scene)
        return np.asarray(cv2.cvtColor(rgba, self._conversion), dtype=np.uint8)

    def bare_image(self, position_enu: Vector3, orientation: Quaternion, scene: Scene) -> Picture:
        """The renderer's picture alone: the floor that the benchmark measures against."""
        return self._picture(position_enu, camera_axes(orientation, self.spec.pitch), scene)

    def _picture(self, position_enu: Vector3, axes: Axes, scene: Scene) -> Picture:
        return _render(
            self.client, self.spec.width, self.spec.height, view_matrix(position_enu, axes), self._projection,
            scene,
        )  # fmt: skip


def chase_view(
    client: int, position_enu: Vector3, yaw: float, scene: Scene, width: int = 640, height: int = 360
) -> Image:
    """The drone and where it is flying to, from behind and above: (height, width, 3) uint8 RGB.

    With shadows, and rendered larger than asked for, because the renderer does not smooth edges: hundreds of
    times the cost of the policy's picture, so do not take one where nobody looks.
    """
    east, north, up = position_enu
    c, s = math.cos(yaw), math.sin(yaw)
    eye = (east - CHASE_BACK * c, north - CHASE_BACK * s, up + CHASE_ABOVE)
    axes = camera_axes((0.0, 0.0, math.sin(yaw / 2.0), math.cos(yaw / 2.0)), CHASE_PITCH)
    wide, high = round(CHASE_SCALE * width), round(CHASE_SCALE * height)
    rgba, depth, ids = _render(
        client, wide, high, view_matrix(eye, axes), projection_matrix(CHASE_FOV, wide, high), scene
    )
    east, north = east + SUN_AHEAD * c, north + SUN_AHEAD * s
    middle = (east, north, scene.ground_height(east, north))
    _cast_shadows(client, rgba, depth, eye, axes, SunView(middle, SUN_RADIUS, scene.light), scene)
    rays, length = pixel_rays(wide, high, CHASE_FOV)
    lamplight = Lamplight(rays * length[..., None], NEAR, FAR)
    if scene.dark:
        lamplight.light(rgba, depth, ids, eye, axes, scene)
    _chase_atmosphere(wide, high).draw(rgba, depth, axes, scene.sky, scene.fog)
    if scene.sky.backdrop:
        Backdrop(rays).draw(rgba, depth, axes, scene)
    lamplight.halos(rgba, depth, eye, axes, scene)
    image = cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB)
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _cast_shadows(
    client: int,
    rgba: npt.NDArray[np.uint8],
    depth: npt.NDArray[np.float32],
    eye: Vector3,
    axes: Axes,
    sun: SunView,
    scene: Scene,
) -> None:
    """Darken in place what the sun does not see; at half the picture's resolution."""
    projection = projection_matrix(sun.fov, SUN_PIXELS, SUN_PIXELS, SUN_NEAR, SUN_FAR)
    _, sun_depth, _ = _render(
        client, SUN_PIXELS, SUN_PIXELS, view_matrix(sun.eye, sun.axes), projection, scene
    )
    height, width = depth.shape
    rays = _chase_rays(width, height)
    distance = (FAR * NEAR) / (FAR - (FAR - NEAR) * depth[::2, ::2])
    points = np.tensordot(np.array(axes, dtype=np.float32).T, rays, axes=1) * distance
    shade(rgba, points, sun.lit_share(points, eye, sun_depth), scene.light)


@lru_cache(maxsize=4)
def _chase_rays(width: int, height: int) -> npt.NDArray[np.float32]:
    """(3, H / 2, W / 2) rays at depth 1 through every second pixel: right, up, forward."""
    rays, length = pixel_rays(width, height, CHASE_FOV)
    return np.ascontiguousarray((rays * length[..., None])[::2, ::2].transpose(2, 0, 1), dtype=np.float32)


@lru_cache(maxsize=4)
def _chase_atmosphere(width: int, height: int) -> Atmosphere:
    return Atmosphere(width, height, CHASE_FOV, NEAR, FAR, smooth=True)


def _render(
    client: int, width: int, height: int, view: list[float], projection: list[float], scene: Scene
) -> Picture:
    light = scene.light
    flags = pybullet.ER_NO_SEGMENTATION_MASK if scene.shining is None else 0
    picture: tuple[Any, ...] = pybullet.getCameraImage(
        width, height, view, projection,
        lightDirection=light.direction_enu, lightColor=light.color, shadow=0,
        lightAmbientCoeff=light.ambient, lightDiffuseCoeff=light.diffuse, lightSpecularCoeff=light.specular,
        renderer=pybullet.ER_TINY_RENDERER, flags=flags, physicsClientId=client,
    )  # fmt: skip
    return picture[2], picture[3], picture[4]


def camera_axes(orientation: Quaternion, pitch: float) -> Axes:
    """Right, up and forward of a camera that looks along the body's x axis, pitched up by `pitch` rad."""
    x, y, z, w = orientation
    forward = (1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y))
    right = (-2.0 * (x * y - w * z), -(1.0 - 2.0 * (x * x + z * z)), -2.0 * (y * z + w * x))
    up = (2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y))
    if pitch == 0.0:
        return right, up, forward
    c, s = math.cos(pitch), math.sin(pitch)
    (fx, fy, fz), (ux, uy, uz) = forward, up
    return (
        right,
        (c * ux - s * fx, c * uy - s * fy, c * uz - s * fz),
        (c * fx + s * ux, c * fy + s * uy, c * fz + s * uz),
    )


def view_matrix(eye: Vector3, axes: Axes) -> list[float]:
    """OpenGL's view matrix, column by column."""
    (rx, ry, rz), (ux, uy, uz), (fx, fy, fz) = axes
    x, y, z = eye
    return [
        rx, ux, -fx, 0.0, ry, uy, -fy, 0.0, rz, uz, -fz, 0.0,
        -(rx * x + ry * y + rz * z), -(ux * x + uy * y + uz * z), fx * x + fy * y + fz * z, 1.0,
    ]  # fmt: skip


def projection_matrix(
    horizontal_fov: float, width: int, height: int, near: float = NEAR, far: float = FAR
) -> list[float]:
    """OpenGL's projection matrix for square pixels, column by column.

    TinyRenderer looks through the lower left corner of each pixel; half a pixel's shift makes it the centre,
    so that a mirrored world gives the mirrored picture.
    """
    scale = 1.0 / math.tan(0.5 * horizontal_fov)
    depth = -(far + near) / (far - near)
    return [
        scale, 0.0, 0.0, 0.0, 0.0, scale * width / height, 0.0, 0.0,
        1.0 / width, 1.0 / height, depth, -1.0, 0.0, 0.0, -2.0 * far * near / (far - near), 0.0,
    ]  # fmt: skip
