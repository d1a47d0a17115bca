"""What lies below: flat or a terrain, with a path across it where the world draws one."""

from __future__ import annotations

import math

import numpy as np

from navstack.contract import Image
from navstack.envs.physics import pybullet
from navstack.envs.worlds.bodies import NO_COLLISION, textured_body
from navstack.envs.worlds.layout import Layout
from navstack.envs.worlds.meshes import Mesh
from navstack.envs.worlds.spec import Palette, Texture, WorldSpec
from navstack.envs.worlds.terrain import Terrain
from navstack.envs.worlds.textures import draw_color, image_texture, make_texture, tinted

GROUND_HALF = 120.0  # m
GROUND_PIXELS = 128
MIDDLE_GREY: Palette = [(0.5, 0.5, 0.5)]
PATH_ABOVE = 0.015  # m that a path lies above flat ground
PATH_ABOVE_SLOPES = 0.06  # m: its triangles are not those of the ground below
PATH_STEP = 1.5  # m between the places at which a path follows the slopes


def build_ground(
    client: int, spec: WorldSpec, layout: Layout, terrain: Terrain | None, rng: np.random.Generator
) -> tuple[int, ...]:
    """The ground's body and, where the world draws one, that of a path across it."""
    texture = spec.ground.textures[rng.integers(len(spec.ground.textures))]
    half = GROUND_HALF
    tile = float(rng.uniform(*texture.tile))
    picture = _picture(texture, rng)
    if terrain is None:
        plane = pybullet.createCollisionShape(pybullet.GEOM_PLANE, physicsClientId=client)
        mesh = _flat(layout.center, 0.0, 2.0 * half, 2.0 * half, 0.0, tile)
        bodies = [textured_body(client, mesh, picture, plane)]
    else:
        bodies = [textured_body(client, terrain.mesh(tile), picture)]
    path = spec.ground.path
    if path is not None and rng.random() < path.probability:
        texture = path.textures[rng.integers(len(path.textures))]
        aside, yaw = rng.uniform(-8.0, 8.0), rng.uniform(-math.pi, math.pi)
        middle = (layout.center[0] - aside * math.sin(yaw), layout.center[1] + aside * math.cos(yaw))
        width, tile = float(rng.uniform(*path.width)), float(rng.uniform(*texture.tile))
        if terrain is None:
            strip = _flat(middle, yaw, 1.6 * half, width, PATH_ABOVE, tile)
        else:
            strip = _draped(terrain, middle, yaw, 1.6 * half, width, tile)
        bodies.append(textured_body(client, strip, _picture(texture, rng), NO_COLLISION))
    return tuple(bodies)


def _picture(texture: Texture, rng: np.random.Generator) -> Image:
    if texture.file is not None:
        if texture.crop is None:
            picture = image_texture(texture.file, GROUND_PIXELS)
        else:  # a part of a photograph has edges that do not meet: mirrored, they do
            part = image_texture(texture.file, GROUND_PIXELS // 2, texture.crop)
            row = np.hstack((part, part[:, ::-1]))
            picture = np.vstack((row, row[::-1]))
        return picture if texture.colors is None else tinted(picture, draw_color(texture.colors, rng))
    assert texture.family is not None
    color = draw_color(texture.colors or MIDDLE_GREY, rng)
    return make_texture(texture.family, color, texture.contrast, GROUND_PIXELS, rng)


def _flat(
    center: tuple[float, float], yaw: float, length: float, width: float, height: float, tile: float
) -> Mesh:
    """A rectangle facing up whose texture repeats every `tile` metres."""
    unit = np.array(((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)))
    flat = unit * (length, width)
    turn = np.array(((math.cos(yaw), math.sin(yaw)), (-math.sin(yaw), math.cos(yaw))))
    vertices = np.column_stack((flat @ turn + center, np.full(4, height)))
    faces = np.array(((0, 1, 2), (0, 2, 3)), dtype=np.int32)
    return Mesh(vertices, np.tile((0.0, 0.0, 1.0), (4, 1)), (unit + 0.5) * (length, width) / tile, faces)


def _draped(
    terrain: Terrain, center: tuple[float, float], yaw: float, length: float, width: float, tile: float
) -> Mesh:
    """A strip that follows the slopes, closely in its middle part."""
    near = np.arange(0.0, 36.0, PATH_STEP)
    along = np.concatenate((near, np.geomspace(near[-1] + 3.0, 0.5 * length, 8)))
    along = np.concatenate((-along[:0:-1], along))
    across = np.linspace(-0.5 * width, 0.5 * width, 1 + max(2, math.ceil(width / PATH_STEP)))
    s, t = np.meshgrid(along, across, indexing="ij")
    x = center[0] + s * math.cos(yaw) - t * math.sin(yaw)
    y = center[1] + s * math.sin(yaw) + t * math.cos(yaw)
    vertices = np.stack((x, y, terrain.at(x, y) + PATH_ABOVE_SLOPES), axis=-1).reshape(-1, 3)
    uvs = np.stack((s - along[0], t - across[0]), axis=-1).reshape(-1, 2) / tile
    n = len(across)
    first = (np.arange(len(along) - 1)[:, None] * n + np.arange(n - 1)).ravel()
    cells = np.stack((first, first + n, first + n + 1, first, first + n + 1, first + 1), axis=1)
    faces = cells.reshape(-1, 3).astype(np.int32)
    return Mesh(vertices, np.tile((0.0, 0.0, 1.0), (len(vertices), 1)), uvs, faces)
