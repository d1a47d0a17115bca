"""What a task adds to a world besides targets: how it looks in its own frame, and what it takes up."""

from __future__ import annotations

import math

import numpy as np

from navstack.contract import Image
from navstack.envs.worlds.drawing import put_kind
from navstack.envs.worlds.gates import draw_gate, gate_cylinders
from navstack.envs.worlds.layout import Prop, TargetPlacement
from navstack.envs.worlds.meshes import Mesh, MeshBuilder
from navstack.envs.worlds.objects import Pen, Size
from navstack.envs.worlds.textures import make_texture

THIN = ("wall", "fence")  # kinds whose width is a long way from their depth
THIN_RADIUS = 0.5  # m, of the cylinders that cover those

GATE = "gate"  # no world's object: worlds/gates.py

Cylinder = tuple[float, float, float, float]


def prop_looks(prop: Prop, pixels: int, rng: np.random.Generator) -> tuple[Mesh, Image]:
    """The prop's mesh, standing on the origin with yaw 0, and its texture with that many pixels a side."""
    builder = MeshBuilder(1)
    pen, size = Pen(builder, 0.0, 0.0, 0.0, 0, 0), Size(prop.height, prop.width)
    if prop.kind == GATE:
        draw_gate(pen, size.height)
    else:
        put_kind(prop.kind, pen, size, rng)
    mesh = builder.merged()
    assert mesh is not None
    return mesh, make_texture(prop.texture, prop.color, 0.3, pixels, rng)  # type: ignore[arg-type]


def prop_cylinders(prop: Prop, x: float, y: float, yaw: float) -> list[Cylinder]:
    """Bounding vertical cylinders (x, y, radius, height, in m) of the prop when it stands there."""
    if prop.kind == GATE:
        return gate_cylinders(x, y, yaw, prop.height)
    if prop.kind not in THIN:
        return [(x, y, Size(prop.height, prop.width).radius, prop.height)]
    number = max(1, math.ceil(prop.width / THIN_RADIUS))
    along = (np.arange(number) + 0.5) / number * prop.width - 0.5 * prop.width
    c, s = math.cos(yaw), math.sin(yaw)
    return [(x + c * a, y + s * a, THIN_RADIUS, prop.height) for a in along.tolist()]


def standing_radius(prop: Prop) -> float:
    """How far (m) around its middle a prop stands on the ground; a gate's posts reach into it instead."""
    return 0.0 if prop.kind == GATE else 0.5 * prop.width


def target_cylinders(target: TargetPlacement, x: float, y: float, yaw: float) -> list[Cylinder]:
    """The same of a target."""
    return [(x, y, 0.6 * target.size, target.size)]
