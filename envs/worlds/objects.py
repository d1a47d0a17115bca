"""What each kind of object looks like: parts of a unit of the builder, placed and scaled."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from navstack.envs.worlds.meshes import Mesh, MeshBuilder, ball, box, cone, cylinder, lathe


@dataclass(frozen=True, slots=True)
class Size:
    """What was drawn for one object."""

    height: float  # m
    width: float  # m

    @property
    def radius(self) -> float:
        """Radius of the bounding vertical cylinder, in m; width is the longest horizontal side."""
        return 0.5 * self.width * 1.1


@dataclass(frozen=True, slots=True)
class Pen:
    """Draws parts of one object at its place, in its materials."""

    builder: MeshBuilder
    x: float  # m, ENU
    y: float
    yaw: float  # rad
    main: int  # atlas tile
    accent: int  # atlas tile
    z: float = 0.0  # m, ENU, of its foot
    shining: MeshBuilder | None = None  # where accents go that are lit
    parts: dict[str, int] | None = None  # atlas tiles of a mesh's own materials

    def put(
        self, mesh: Mesh, size: tuple[float, float, float], at: tuple[float, float, float] = (0.0, 0.0, 0.0),
        accent: bool = False, turn: float = 0.0,
    ) -> None:  # fmt: skip
        """Place a part: its size and its offset in m, in the object's own frame."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        place = (self.x + c * at[0] - s * at[1], self.y + s * at[0] + c * at[1], self.z + at[2])
        builder = self.shining if accent and self.shining is not None else self.builder
        builder.add(mesh, size, self.yaw + turn, place, self.accent if accent else self.main)


Shape = Callable[[Pen, Size, np.random.Generator], None]


def _tree(pen: Pen, size: Size, rng: np.random.Generator) -> None:
    h, w = size.height, size.width
    trunk = rng.uniform(0.06, 0.11) * min(w, h)
    pen.put(cylinder(6), (trunk, trunk, 0.55 * h))
    squash = rng.uniform(0.75, 1.0)
    pen.put(ball(8, 4), (w, w, squash * 0.68 * h), (0.0, 0.0, h - squash * 0.68 * h), accent=True)


def _conifer(pen: Pen, size: Size, rng: np.random.Generator) -> None:
    h, w = size.height, size.width
    pen.put(cylinder(5), (0.08 * h, 0.08 * h, 0.2 * h))
    pen.put(cone(8), (w, w, 0.6 * h), (0.0, 0.0, 0.12 * h), accent=True)
    pen.put(cone(8), (0.68 * w, 0.68 * w, 0.55 * h), (0.0, 0.0, 0.45 * h), accent=True)


def _bush(pen: Pen, size: Size, rng: np.random.Generator) -> None:
    pen.put(ball(8, 4), (size.width, size.width, size.height))


def _rock(pen: Pen, size: Size, rng: np.random.Generator) -> None:
    pen.put(
        ball(6, 3),
        (size.width, rng.uniform(0.6, 1.0) * size.width, 1.3 * size.height),
        (0, 0, -0.3 * size.height),
    )


def _pole(pen: Pen, size: Size, rng: np.random.Generator) -> None:
    pen.put(cylinder(6), (size.width, size.width, size.height))


def _lamp(pen: Pen, size: Size, rng: np.random.Generator) -> None:
    h = size.height
    pen.put(cylinder(6), (0.12, 0.12, h))
    pen.put(box(), (0.7, 0.14, 0.1), (0.3, 0.0, h - 0.1))
    pen.put(box(), (0.4, 0.2, 0.08), (0.5, 0.0, h - 0.18), accent=True)


def _house(pen: Pen, size: Size, rng: np.random.Generator) -> None:
    h, w = size.height, size.width / math.sqrt(2.0)
    depth = rng.uniform(0.6, 0.95) * w
    pen.put(box(), (w, depth, 0.62 * h))
    pen.put(_ROOF, (1.1 * w, 1.12 * depth, 0.38 * h), (0.0, 0.0, 0.62 * h), accent=True)


def _building(pen: Pen, size: Size, rng: np.random.Generator) -> None:
    h, w = size.height, size.width / math.sqrt(2.0)
    depth = rng.uniform(0.6, 1.0) * w
    pen.put(box(), (w, depth, h))
    floors = max(1, int(h // 3.2))
    for floor in range(floors):
        pen.put(box(), (1.01 * w, 1.01 * depth, 1.2), (0.0, 0.0, 1.1 + 3.2 * floor), accent=True)


def _wall(pen: Pen, size: Size, rng: np.random.Generator) -> None:
    pen.put(box(), (size.width, 0.25, size.height))


def _crate(pen: Pen, size: Size, rng: np.random.Generator) -> None:
    side = size.width / math.sqrt(2.0)
    pen.put(box(), (side, rng.uniform(0.6, 1.0) * side, size.height))


def _shelf(pen: Pen, size: Size, rng: np.random.Generator) -> None:
    w, h, depth = 0.92 * size.width, size.height, 0.9
    for x in (-0.5, 0.0, 0.5):
        pen.put(box(), (0.1, depth, h), (x * (w - 0.1), 0.0, 0.0))
    levels = max(2, int(h // 1.3))
    for level in range(levels):
        z = 0.1 + level * h / levels
        pen.put(box(), (w, depth, 0.08), (0.0, 0.0, z))
        for x in (-0.25, 0.25):
            if rng.random() < 0.75:
                size_x, size_z = rng.uniform(0.2, 0.42) * w, rng.uniform(0.4, 0.8) * h / levels
                pen.put(box(), (size_x, 0.8 * depth, size_z), (x * w, 0.0, z + 0.08), accent=True)


def _fence(pen: Pen, size: Size, rng: np.random.Generator) -> None:
    w, h = size.width, size.height
    for x in np.linspace(-0.5, 0.5, max(2, int(w // 1.5) + 1)):
        pen.put(box(), (0.1, 0.1, h), (float(x) * (w - 0.1), 0.0, 0.0))
    for z in (0.35, 0.8):
        pen.put(box(), (w, 0.05, 0.12), (0.0, 0.0, z * h))


def _hay_bale(pen: Pen, size: Size, rng: np.random.Generator) -> None:
    pen.put(_LYING, (size.height, size.width * 0.8, size.height))


def _car(pen: Pen, size: Size, rng: np.random.Generator) -> None:
    w, h = size.width / 1.1, size.height
    pen.put(box(), (w, 0.42 * w, 0.45 * h), (0.0, 0.0, 0.18 * h))
    pen.put(box(), (0.52 * w, 0.38 * w, 0.37 * h), (-0.04 * w, 0.0, 0.63 * h), accent=True)
    for x in (-0.3, 0.3):
        pen.put(box(), (0.16 * w, 0.43 * w, 0.3 * h), (x * w, 0.0, 0.0), accent=True)


def _bench(pen: Pen, size: Size, rng: np.random.Generator) -> None:
    w, h = size.width, size.height
    pen.put(box(), (w, 0.45, 0.07), (0.0, 0.0, 0.5 * h))
    pen.put(box(), (w, 0.06, 0.4 * h), (0.0, 0.2, 0.6 * h))
    for x in (-0.4, 0.4):
        pen.put(box(), (0.08, 0.4, 0.5 * h), (x * w, 0.0, 0.0), accent=True)


def _barrel(pen: Pen, size: Size, rng: np.random.Generator) -> None:
    pen.put(_BARREL, (size.width, size.width, size.height))


def _cone(pen: Pen, size: Size, rng: np.random.Generator) -> None:
    w, h = size.width, size.height
    pen.put(box(), (w / 1.41, w / 1.41, 0.06 * h))
    pen.put(
        lathe(((0.5, 0.0), (0.08, 1.0), (0.0, 1.0)), 10), (0.62 * w, 0.62 * w, 0.94 * h), (0.0, 0.0, 0.06 * h)
    )


def _box(pen: Pen, size: Size, rng: np.random.Generator) -> None:
    side = size.width / math.sqrt(2.0)
    pen.put(box(), (side, side, size.height))


def _ball(pen: Pen, size: Size, rng: np.random.Generator) -> None:
    pen.put(ball(12, 8), (size.height, size.height, size.height))


def _chair(pen: Pen, size: Size, rng: np.random.Generator) -> None:
    w, h = size.width / math.sqrt(2.0), size.height
    # An armchair: from any side it stays several pixels wide where a frame of sticks would vanish.
    pen.put(box(), (w, w, 0.2 * h), (0.0, 0.0, 0.26 * h))
    pen.put(box(), (0.24 * w, w, 0.54 * h), (-0.38 * w, 0.0, 0.46 * h))
    for y in (-0.44, 0.44):
        pen.put(box(), (w, 0.12 * w, 0.16 * h), (0.0, y * w, 0.46 * h))
    for x in (-0.38, 0.38):
        for y in (-0.38, 0.38):
            pen.put(box(), (0.2 * w, 0.2 * w, 0.26 * h), (x * w, y * w, 0.0))


def _desk(pen: Pen, size: Size, rng: np.random.Generator) -> None:
    w, h = 0.85 * size.width, size.height
    depth = 0.5 * w
    pen.put(box(), (w, depth, 0.06), (0.0, 0.0, 0.62 * h))
    for x in (-0.46, 0.46):
        pen.put(box(), (0.06, 0.9 * depth, 0.62 * h), (x * w, 0.0, 0.0), accent=True)
    for x in (-0.22, 0.22)[: int(rng.integers(1, 3))]:
        pen.put(box(), (0.3 * w, 0.05, 0.28 * h), (x * w, 0.2 * depth, 0.72 * h), accent=True)


def _umbrella(pen: Pen, size: Size, rng: np.random.Generator) -> None:
    h, w = size.height, size.width
    pen.put(cylinder(5), (0.06, 0.06, 0.9 * h))
    pen.put(cone(8), (w, w, 0.28 * h), (0.0, 0.0, 0.72 * h), accent=True)


def _cactus(pen: Pen, size: Size, rng: np.random.Generator) -> None:
    h, w = size.height, size.width
    pen.put(cylinder(7), (0.3 * w, 0.3 * w, h))
    for side in (-1.0, 1.0):
        if rng.random() < 0.7:
            foot, arm = rng.uniform(0.3, 0.5) * h, rng.uniform(0.25, 0.4) * h
            pen.put(box(), (0.24 * w, 0.18 * w, 0.18 * w), (0.2 * side * w, 0.0, foot))
            pen.put(cylinder(6), (0.2 * w, 0.2 * w, arm), (0.36 * side * w, 0.0, foot))


def _palm(pen: Pen, size: Size, rng: np.random.Generator) -> None:
    h, w = size.height, size.width
    pen.put(cylinder(6), (0.05 * h, 0.05 * h, 0.88 * h))
    for k, turn in enumerate(np.linspace(0.0, math.pi, 4, endpoint=False)):
        pen.put(_FROND, (w, 0.16 * w, 0.18 * h), (0.0, 0.0, (0.8 - 0.02 * k) * h), True, float(turn))


def _frond() -> Mesh:
    """Two leaves that hang from the middle of the unit box's top, seen from both sides."""
    leaf = [(0.0, -0.5, 1.0), (0.0, 0.5, 1.0), (0.5, 0.3, 0.0), (0.5, -0.3, 0.0)]
    quads = [leaf, [(-x, -y, z) for x, y, z in leaf]]
    vertices = np.array([corner for quad in quads for corner in (*quad, *quad)])
    normals = np.tile((0.0, 0.0, 1.0), (len(vertices), 1))
    both = np.array([(0, 2, 1), (0, 3, 2), (4, 5, 6), (4, 6, 7)], dtype=np.int32)
    uvs = np.tile([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)], (4, 1))
    return Mesh(vertices, normals, uvs, np.concatenate((both, both + 8)))


def _roof() -> Mesh:
    """A gable over the unit square, height 1."""
    a, b, c, d = (-0.5, -0.5, 0.0), (0.5, -0.5, 0.0), (0.5, 0.5, 0.0), (-0.5, 0.5, 0.0)
    e, f = (-0.5, 0.0, 1.0), (0.5, 0.0, 1.0)
    vertices = np.array([a, b, f, e, c, d, e, f, b, c, f, d, a, e])
    slope = np.array((0.0, -1.0, 0.5)) / math.sqrt(1.25)
    normals = np.array(
        [slope] * 4 + [slope * (1, -1, 1)] * 4 + [(1.0, 0.0, 0.0)] * 3 + [(-1.0, 0.0, 0.0)] * 3
    )
    uvs = np.array(
        [(0, 1), (1, 1), (1, 0), (0, 0), (0, 1), (1, 1), (1, 0), (0, 0)] + [(0, 1), (1, 1), (0.5, 0)] * 2
    )
    faces = np.array([(0, 1, 2), (0, 2, 3), (4, 5, 6), (4, 6, 7), (8, 9, 10), (11, 12, 13)], dtype=np.int32)
    return Mesh(vertices, normals, uvs.astype(np.float64), faces)


def _lying() -> Mesh:
    """A cylinder on its side along y."""
    mesh = lathe(((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)), 10)

    def tip(v: np.ndarray) -> np.ndarray:
        return v[:, [0, 2, 1]] * (1.0, -1.0, 1.0)

    return Mesh(tip(mesh.vertices) + (0.0, 0.5, 0.5), tip(mesh.normals), mesh.uvs, mesh.faces)


_ROOF, _LYING, _FROND = _roof(), _lying(), _frond()
_BARREL = lathe(((0.43, 0.0), (0.5, 0.3), (0.5, 0.7), (0.43, 1.0), (0.0, 1.0)), 12)

SHAPES: dict[str, Shape] = {
    "tree": _tree,
    "conifer": _conifer,
    "bush": _bush,
    "rock": _rock,
    "pole": _pole,
    "lamp": _lamp,
    "house": _house,
    "building": _building,
    "wall": _wall,
    "crate": _crate,
    "shelf": _shelf,
    "fence": _fence,
    "hay_bale": _hay_bale,
    "car": _car,
    "bench": _bench,
    "desk": _desk,
    "umbrella": _umbrella,
    "cactus": _cactus,
    "palm": _palm,
    "barrel": _barrel,
    "cone": _cone,
    "box": _box,
    "ball": _ball,
    "chair": _chair,
}

ASPECT: dict[str, tuple[float, float]] = {
    "tree": (0.5, 0.8),
    "conifer": (0.35, 0.5),
    "bush": (1.0, 1.6),
    "rock": (1.2, 2.0),
    "pole": (0.03, 0.08),
    "lamp": (0.3, 0.35),
    "house": (1.3, 2.0),
    "building": (0.7, 1.4),
    "wall": (2.0, 5.0),
    "crate": (1.0, 1.6),
    "shelf": (1.0, 2.0),
    "fence": (3.0, 6.0),
    "hay_bale": (1.0, 1.2),
    "car": (2.6, 3.0),
    "bench": (1.8, 2.2),
    "desk": (1.1, 1.8),
    "umbrella": (1.0, 1.4),
    "cactus": (0.4, 0.7),
    "palm": (0.5, 0.8),
    "barrel": (0.66, 0.72),
    "cone": (0.8, 0.9),
    "box": (1.3, 1.45),
    "ball": (1.0, 1.0),
    "chair": (0.88, 0.98),
    "mesh": (1.0, 1.0),
}
"""Width over height where the world file gives no width."""

NARROWEST: dict[str, tuple[float, float]] = {
    "ball": (1.0, 0.0),
    "hay_bale": (1.0, 0.0),
    "lamp": (0.0, 1.2),
    "bench": (0.0, 0.6),
    "shelf": (0.0, 1.5),
    "wall": (0.0, 0.4),
    "fence": (0.0, 0.3),
}
"""Least width of kinds that are as deep as they are high, or of a fixed depth: a share of height, and m."""
