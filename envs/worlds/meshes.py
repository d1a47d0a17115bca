"""Triangle meshes: a few low-polygon primitives, and a builder that merges them into one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from navstack.contract import Vector3

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mesh:
    """Triangles with a normal and a texture coordinate at each vertex."""

    vertices: Array  # (V, 3)
    normals: Array  # (V, 3)
    uvs: Array  # (V, 2), 0 to 1
    faces: npt.NDArray[np.int32]  # (F, 3), counter-clockwise seen from outside


@lru_cache(maxsize=1)
def box() -> Mesh:
    """A cube of side 1, standing on the middle of its base."""
    vertices: list[Array] = []
    normals: list[Array] = []
    faces: list[tuple[int, int, int]] = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            normal = np.zeros(3)
            normal[axis] = sign
            u, v = np.roll(np.eye(3), axis, axis=1)[[1, 2]]
            corners = [0.5 * (normal + a * sign * u + b * v) for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
            start = len(vertices)
            vertices += corners
            normals += 4 * [normal]
            faces += [(start, start + 1, start + 2), (start, start + 2, start + 3)]
    uvs = np.tile([(0.0, 1.0), (1.0, 1.0), (1.0, 0.0), (0.0, 0.0)], (6, 1))
    placed = np.array(vertices) + (0.0, 0.0, 0.5)
    return Mesh(placed, np.array(normals), uvs, np.array(faces, dtype=np.int32))


@lru_cache(maxsize=16)
def lathe(profile: tuple[tuple[float, float], ...], sides: int) -> Mesh:
    """A profile of (radius, height) turned about z, smooth around and faceted along."""
    vertices: list[Vector3] = []
    normals: list[Vector3] = []
    uvs: list[tuple[float, float]] = []
    faces: list[tuple[int, int, int]] = []
    angles = np.linspace(0.0, 2.0 * math.pi, sides + 1)
    top = max(h for _, h in profile) or 1.0
    for (r0, h0), (r1, h1) in pairwise(profile):
        slope = math.atan2(r0 - r1, h1 - h0)
        start = len(vertices)
        for angle in angles:
            c, s = math.cos(angle), math.sin(angle)
            normal = (c * math.cos(slope), s * math.cos(slope), math.sin(slope))
            for r, h in ((r0, h0), (r1, h1)):
                vertices.append((r * c, r * s, h))
                normals.append(normal)
                uvs.append((angle / (2.0 * math.pi), 1.0 - h / top))
        for k in range(sides):
            a = start + 2 * k
            if r0 > 0.0:
                faces.append((a, a + 2, a + 1))
            if r1 > 0.0:
                faces.append((a + 1, a + 2, a + 3))
    return Mesh(np.array(vertices), np.array(normals), np.array(uvs), np.array(faces, dtype=np.int32))


def cylinder(sides: int = 7) -> Mesh:
    """Radius 0.5, height 1, closed at the top."""
    return lathe(((0.5, 0.0), (0.5, 1.0), (0.0, 1.0)), sides)


def cone(sides: int = 8) -> Mesh:
    """Radius 0.5 at the base, height 1."""
    return lathe(((0.5, 0.0), (0.0, 1.0)), sides)


@lru_cache(maxsize=4)
def ball(sides: int = 9, rings: int = 5) -> Mesh:
    """Diameter 1, standing on the origin, smooth."""
    polar = np.linspace(-0.5 * math.pi, 0.5 * math.pi, rings + 1)
    mesh = lathe(tuple((0.5 * max(0.0, math.cos(p)), 0.5 + 0.5 * math.sin(p)) for p in polar), sides)
    outward = mesh.vertices - (0.0, 0.0, 0.5)
    return Mesh(mesh.vertices, outward / np.linalg.norm(outward, axis=1, keepdims=True), mesh.uvs, mesh.faces)


class MeshBuilder:
    """Merges placed meshes into one, each with a tile of a square texture atlas."""

    def __init__(self, tiles_per_side: int) -> None:
        self._tiles = tiles_per_side
        self._parts: list[Mesh] = []

    def add(self, mesh: Mesh, scale: Vector3, yaw: float, position: Vector3, tile: int) -> None:
        """Place a mesh: scaled, turned about z, moved; its texture is tile number `tile`."""
        stretch = np.array(scale)
        c, s = math.cos(yaw), math.sin(yaw)
        turn = np.array(((c, s, 0.0), (-s, c, 0.0), (0.0, 0.0, 1.0)))
        normals = mesh.normals / stretch
        normals = (normals / np.linalg.norm(normals, axis=1, keepdims=True)) @ turn
        corner = np.array((tile % self._tiles, tile // self._tiles))
        # A margin keeps the neighbouring tiles out at the edges.
        uvs = (corner + 0.03 + 0.94 * mesh.uvs) / self._tiles
        self._parts.append(Mesh((mesh.vertices * stretch) @ turn + position, normals, uvs, mesh.faces))

    def merged(self) -> Mesh | None:
        """Everything that was added, as one mesh; None where nothing was."""
        if not self._parts:
            return None
        starts = np.cumsum([0] + [len(part.vertices) for part in self._parts[:-1]])
        return Mesh(
            np.concatenate([part.vertices for part in self._parts]),
            np.concatenate([part.normals for part in self._parts]),
            np.concatenate([part.uvs for part in self._parts]),
            np.concatenate([p.faces + n for p, n in zip(self._parts, starts, strict=True)]).astype(np.int32),
        )
