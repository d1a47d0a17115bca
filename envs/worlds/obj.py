"""Wavefront OBJ files and their materials (MTL), as meshes of height 1."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from navstack.contract import Vector3
from navstack.envs.worlds.meshes import Mesh

MOST_TRIANGLES = 20_000  # of a mesh file: a world is rendered in software
MOST_MATERIALS = 8  # of a mesh file: they share one small picture with everything else in the world
Array = npt.NDArray[np.float64]
Up = Literal["y", "z"]


@dataclass(frozen=True, slots=True)
class Material:
    """What one part of a mesh looks like."""

    color: Vector3  # RGB, 0 to 1 (MTL: Kd)
    image: Path | None  # (MTL: map_Kd)


@dataclass(frozen=True, slots=True)
class Part:
    """The triangles of one material."""

    name: str  # of the material; empty where the file names none
    mesh: Mesh  # all parts together are 1 high and stand on the middle of their base


@dataclass(slots=True)
class _Found:
    """What the lines of a file said."""

    points: list[list[float]]
    coordinates: list[list[float]]
    corners: list[tuple[int, int]]  # vertex and texture coordinate, three for each triangle
    names: list[str]  # the material of each triangle
    library: str = ""


def read_obj(path: Path, up: Up = "z") -> tuple[Part, ...]:
    """The geometry of a Wavefront OBJ file, scaled to height 1 and standing on the middle of its base.

    Reads v, vt, f (polygons become fans) and usemtl. Raises ValueError that names what is wrong.
    """
    return _read_obj(path, path.stat().st_mtime_ns, up)


def read_materials(path: Path) -> dict[str, Material]:
    """The materials of an OBJ file's MTL file (Kd and map_Kd), by name. Raises ValueError as `read_obj`."""
    found = _lines_of(path, path.stat().st_mtime_ns)
    library = path.parent / found.library
    used = sorted(set(found.names))
    if not found.library or not library.is_file():
        missing = f"names the material file {library}, which does not exist"
        missing = missing if found.library else "names no material file"
        raise ValueError(f"the mesh {path} {missing}; add it (mtllib), or leave out 'materials'")
    materials = _read_mtl(library)
    if "" in used:
        raise ValueError(f"the mesh {path} has faces before its first material (usemtl)")
    unknown = [name for name in used if name not in materials]
    if unknown:
        raise ValueError(f"the mesh {path} uses the material '{unknown[0]}', which {library} does not have")
    if len(used) > MOST_MATERIALS:
        raise ValueError(f"the mesh {path} uses {len(used)} materials; {MOST_MATERIALS} can be drawn")
    return {name: materials[name] for name in used}


@lru_cache(maxsize=16)
def _read_obj(path: Path, modified: int, up: Up) -> tuple[Part, ...]:
    found = _lines_of(path, modified)
    if not found.corners or len(found.names) > MOST_TRIANGLES:
        raise ValueError(
            f"the mesh {path} has {len(found.names)} triangles; 1 to {MOST_TRIANGLES} can be built"
        )
    vertices = np.array([found.points[p] for p, _ in found.corners])
    if up == "y":
        vertices = vertices[:, [0, 2, 1]] * (1.0, -1.0, 1.0)
    extent = np.ptp(vertices, axis=0)
    if extent[2] < 1e-9 or max(extent[:2]) < 1e-4 * extent[2]:
        raise ValueError(f"the mesh {path} needs a height along {up} and a width across it")
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    faces = ((vertices - [*(0.5 * (low + high))[:2], low[2]]) / (high[2] - low[2])).reshape(-1, 3, 3)
    uvs = np.array([found.coordinates[t] if t >= 0 else (0.5, 0.5) for _, t in found.corners]).reshape(
        -1, 3, 2
    )
    flat = np.cross(faces[:, 1] - faces[:, 0], faces[:, 2] - faces[:, 0])
    area = np.linalg.norm(flat, axis=1)
    solid = area > 1e-12  # a triangle without an area has no side to see and no normal
    if not solid.any():
        raise ValueError(f"the mesh {path} has no triangle with an area")
    names = np.array(found.names)
    return tuple(
        Part(str(name), _part(faces[chosen], uvs[chosen], flat[chosen] / area[chosen, None]))
        for name in sorted(set(found.names))
        if (chosen := solid & (names == name)).any()
    )


def _part(faces: Array, uvs: Array, normals: Array) -> Mesh:
    """Triangles apart from one another; a texture that repeats within one is cut at its edge."""
    middle = 0.5 * (uvs.min(axis=1) + uvs.max(axis=1))
    shifted = uvs - np.floor(middle)[:, None]
    return Mesh(
        vertices=faces.reshape(-1, 3),
        normals=np.repeat(normals, 3, axis=0),
        uvs=np.clip(shifted, 0.0, 1.0).reshape(-1, 2) * (1.0, -1.0) + (0.0, 1.0),
        faces=np.arange(3 * len(faces), dtype=np.int32).reshape(-1, 3),
    )


@lru_cache(maxsize=8)
def _lines_of(path: Path, _modified: int) -> _Found:
    found = _Found([], [], [], [])
    material = ""
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        words = line.split()
        try:
            if words[:1] == ["v"]:
                found.points.append(_numbers(words[1:4], 3))
            elif words[:1] == ["vt"]:
                found.coordinates.append(_numbers(words[1:3], 2))
            elif words[:1] == ["mtllib"]:
                found.library = line.split(maxsplit=1)[1].strip() if len(words) > 1 else ""
            elif words[:1] == ["usemtl"]:
                material = " ".join(words[1:])
            elif words[:1] == ["f"]:
                _add_polygon(found, words[1:], material)
        except ValueError as error:
            raise ValueError(f"the mesh {path} is not a readable OBJ file: line {number}: {error}") from error
    return found


def _add_polygon(found: _Found, words: list[str], material: str) -> None:
    polygon = [_corner(word, len(found.points), len(found.coordinates)) for word in words]
    for k in range(1, len(polygon) - 1):
        found.corners += [polygon[0], polygon[k], polygon[k + 1]]
        found.names.append(material)


def _read_mtl(path: Path) -> dict[str, Material]:
    materials: dict[str, Material] = {}
    name = ""
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        words = line.split()
        try:
            if words[:1] == ["newmtl"]:
                name = " ".join(words[1:])
                materials[name] = Material((0.8, 0.8, 0.8), None)
            elif words[:1] == ["Kd"] and name:
                red, green, blue = (min(1.0, max(0.0, value)) for value in _numbers(words[1:4], 3))
                materials[name] = Material((red, green, blue), materials[name].image)
            elif words[:1] == ["map_Kd"] and name and len(words) > 1:
                file = words[-1] if words[1].startswith("-") else line.split(maxsplit=1)[1].strip()
                image = path.parent / file.replace("\\", "/")
                if not image.is_file():
                    raise ValueError(f"the texture {image} does not exist")
                materials[name] = Material(materials[name].color, image)
        except ValueError as error:
            raise ValueError(f"the material file {path} cannot be used: line {number}: {error}") from error
    return materials


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
