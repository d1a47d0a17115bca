"""Triangle meshes: a few low-polygon primitives, an OBJ reader, and a builder that merges them into one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from navstack.contract import Vector3

Array = npt.NDArray[np.float64]

MOST_TRIANGLES = 20_000  # of a mesh file: a world is rendered in software


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


def read_obj(path: Path) -> Mesh:
    """The geometry of a Wavefront OBJ file, scaled to height 1 and standing on the middle of its base.

    Reads v, vt and f (polygons become fans); materials are ignored, the world file gives the texture. Raises
    ValueError that names what is wrong.
    """
    return _read_obj(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=16)
def _read_obj(path: Path, _modified: int) -> Mesh:
    points: list[list[float]] = []
    coordinates: list[list[float]] = []
    corners: list[tuple[int, int]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        words = line.split()
        try:
            if words[:1] == ["v"]:
                points.append(_numbers(words[1:4], 3))
            elif words[:1] == ["vt"]:
                coordinates.append(_numbers(words[1:3], 2))
            elif words[:1] == ["f"]:
                polygon = [_corner(word, len(points), len(coordinates)) for word in words[1:]]
                for k in range(1, len(polygon) - 1):
                    corners += [polygon[0], polygon[k], polygon[k + 1]]
        except ValueError as error:
            raise ValueError(f"the mesh {path} is not a readable OBJ file: line {number}: {error}") from error
    if not corners or len(corners) > 3 * MOST_TRIANGLES:
        raise ValueError(
            f"the mesh {path} has {len(corners) // 3} triangles; 1 to {MOST_TRIANGLES} can be built"
        )
    vertices = np.array([points[p] for p, _ in corners])
    uvs = np.array([coordinates[t] if t >= 0 else (0.5, 0.5) for _, t in corners])
    extent = np.ptp(vertices, axis=0)
    if extent[2] < 1e-9 or max(extent[:2]) < 1e-4 * extent[2]:
        raise ValueError(f"the mesh {path} needs a height along z and a width across it")
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    vertices = (vertices - [*(0.5 * (low + high))[:2], low[2]]) / (high[2] - low[2])
    faces = vertices.reshape(-1, 3, 3)
    flat = np.cross(faces[:, 1] - faces[:, 0], faces[:, 2] - faces[:, 0])
    area = np.linalg.norm(flat, axis=1)
    solid = area > 1e-12  # a triangle without an area has no side to see and no normal
    if not solid.any():
        raise ValueError(f"the mesh {path} has no triangle with an area")
    kept = int(solid.sum())
    return Mesh(
        vertices=faces[solid].reshape(-1, 3),
        normals=np.repeat(flat[solid] / area[solid, None], 3, axis=0),
        uvs=np.mod(uvs.reshape(-1, 3, 2)[solid].reshape(-1, 2), 1.0),
        faces=np.arange(3 * kept, dtype=np.int32).reshape(-1, 3),
    )


def _numbers(words: list[str], count: int) -> list[float]:
    values = [float(word) for word in words]
    if len(values) != count or not all(abs(value) < 1e6 for value in values):
        raise ValueError(f"expected {count} numbers below a million, found {' '.join(words)[:60]!r}")
    return values


def _corner(word: str, points: int, coordinates: int) -> tuple[int, int]:
    parts = word.split("/")
    point = int(parts[0])
    point = point - 1 if point > 0 else points + point
    if not 0 <= point < points:
        raise ValueError(f"vertex {parts[0]} is not among the {points} before it")
    texture = int(parts[1]) if len(parts) > 1 and parts[1] else 0
    if texture:
        texture = texture - 1 if texture > 0 else coordinates + texture
        if not 0 <= texture < coordinates:
            raise ValueError(f"texture coordinate {parts[1]} is not among the {coordinates} before it")
        return point, texture
    return point, -1


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
