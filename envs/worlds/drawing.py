"""Objects of a world file drawn: built-in kinds, meshes by path, and the light of those that shine."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from navstack.envs.worlds.obj import Material, read_materials, read_obj
from navstack.envs.worlds.objects import SHAPES, Pen, Size
from navstack.envs.worlds.scene import Lamp
from navstack.envs.worlds.spec import ObjectSpec
from navstack.envs.worlds.textures import draw_color
from navstack.errors import InputError

LAMP_HEAD = (0.5, -0.25)  # m from the foot of a lamp to its light: ahead, and up from its top


def draw(kind: ObjectSpec, pen: Pen, size: Size, rng: np.random.Generator) -> None:
    """Put one object of a kind."""
    if kind.file is None:
        put_kind(kind.kind, pen, size, rng)
        return
    try:
        parts = read_obj(Path(kind.file), kind.up)
    except (OSError, ValueError) as error:
        raise _gone(kind.file) from error
    spread = max(float(np.linalg.norm(part.mesh.vertices[:, :2], axis=1).max()) for part in parts)
    wide = size.width / max(2.0 * spread, 1e-6)
    for part in parts:
        tiled = pen if pen.parts is None else replace(pen, main=pen.parts[part.name])
        tiled.put(part.mesh, (wide, wide, size.height))


def materials_of(file: str) -> dict[str, Material]:
    """The own materials of a mesh, by name. Raises InputError when they are no longer there."""
    try:
        return read_materials(Path(file))
    except (OSError, ValueError) as error:
        raise _gone(file) from error


def _gone(file: str) -> InputError:
    return InputError(f"the mesh {file} can no longer be read; it could when its world was loaded")


def put_kind(kind: str, pen: Pen, size: Size, rng: np.random.Generator) -> None:
    """Put one object of a built-in kind."""
    SHAPES[kind](pen, size, rng)


def lamps_of(pen: Pen, kind: ObjectSpec, size: Size, rng: np.random.Generator) -> list[Lamp]:
    """The point light of an object that shines: below a lamp's head, on top of others; windows give none."""
    assert kind.lamp is not None
    if kind.kind == "building":
        return []
    color, brightness = draw_color(kind.lamp.colors, rng), float(rng.uniform(*kind.lamp.brightness))
    reach = float(rng.uniform(*kind.lamp.reach))
    ahead, up = LAMP_HEAD if kind.kind == "lamp" else (0.0, 0.1)
    place = (pen.x + ahead * math.cos(pen.yaw), pen.y + ahead * math.sin(pen.yaw), pen.z + size.height + up)
    red, green, blue = (brightness * share for share in color)
    return [Lamp(place, (red, green, blue), reach, size.height + up)]
