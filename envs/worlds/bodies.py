"""Static bodies with a texture, in PyBullet."""

from __future__ import annotations

import itertools
import tempfile

import cv2
import numpy as np
import numpy.typing as npt

from navstack.contract import Image
from navstack.envs.physics import pybullet
from navstack.envs.worlds.meshes import Mesh
from navstack.errors import InputError

NO_COLLISION = -1


def textured_body(client: int, mesh: Mesh, picture: Image, collision: int | None = None) -> int:
    """A static body that looks like the mesh; it also collides like it where no collision shape is given."""
    vertices, indices = _rows("vertices", mesh.vertices), _numbers(mesh.faces)
    if collision is None:
        collision = pybullet.createCollisionShape(
            pybullet.GEOM_MESH, vertices=vertices, indices=indices, flags=pybullet.GEOM_FORCE_CONCAVE_TRIMESH,
            physicsClientId=client,
        )  # fmt: skip
    visual = pybullet.createVisualShape(
        pybullet.GEOM_MESH, vertices=vertices, indices=indices, uvs=_rows("uvs", mesh.uvs),
        normals=_rows("normals", mesh.normals), rgbaColor=(1.0, 1.0, 1.0, 1.0), physicsClientId=client,
    )  # fmt: skip
    body = pybullet.createMultiBody(0.0, collision, visual, physicsClientId=client)
    pybullet.changeVisualShape(
        body, -1, textureUniqueId=_load_texture(client, picture), physicsClientId=client
    )
    return int(body)


def _rows(name: str, array: npt.NDArray[np.float64]) -> list[list[float]]:
    """The rows as lists, the same lists in every call: PyBullet never lets go of a list that it was given.

    They are filled number by number, since thousands of new lists would set the garbage collector to work.
    """
    pool, given = _POOLS.setdefault(name, ([], []))
    columns = array.T.tolist()
    pool.extend([0.0] * len(columns) for _ in range(len(array) - len(pool)))
    if len(columns) == 2:
        for row, u, v in zip(pool, *columns, strict=False):
            row[0], row[1] = u, v
    else:
        for row, x, y, z in zip(pool, *columns, strict=False):
            row[0], row[1], row[2] = x, y, z
    given[:] = pool[: len(array)]
    return given


def _numbers(faces: npt.NDArray[np.int32]) -> list[int]:
    """The corners one after another, equal numbers being the same object, for the reason of `_rows`."""
    _INTEGERS.extend(range(len(_INTEGERS), int(faces.max()) + 1))
    _CORNERS[:] = [_INTEGERS[corner] for corner in faces.ravel().tolist()]
    return _CORNERS


_POOLS: dict[str, tuple[list[list[float]], list[list[float]]]] = {}  # all rows ever, those of this call
_INTEGERS: list[int] = []
_CORNERS: list[int] = []


def _load_texture(client: int, picture: Image) -> int:
    """PyBullet takes textures from files only, and takes a file name it has seen for the same texture.

    So each name is new in this process (the number) and among processes forked from one another
    (tempfile's part).
    """
    # TinyRenderer's v counts from the picture's last row; ours counts, as arrays do, from the first.
    _, data = cv2.imencode(".bmp", cv2.cvtColor(np.flipud(picture), cv2.COLOR_RGB2BGR))
    prefix = f"navstack-{next(_texture_numbers)}-"
    try:
        with tempfile.NamedTemporaryFile(prefix=prefix, suffix=".bmp") as file:
            file.write(data.tobytes())
            file.flush()
            return int(pybullet.loadTexture(file.name, physicsClientId=client))
    except OSError as error:
        raise InputError(
            f"cannot write a texture to the temporary folder {tempfile.gettempdir()} ({error.strerror});"
            " make room there, or set TMPDIR to another folder"
        ) from error


_texture_numbers = itertools.count()
