"""Images and meshes that a world file names: where they are, and whether they can be used."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import cv2
from PIL import Image
from pydantic import ValidationInfo

from navstack.envs.worlds.obj import Up, read_materials, read_obj

LARGEST_IMAGE = 4096  # pixels a side
LARGEST_FILE = 16 << 20  # bytes
IN_PACKAGE = "package:"  # begins a path inside an installed package

INSTALLS = {"skimage": "scikit-image", "sklearn": "scikit-learn"}
"""What to install for a package that is imported under another name."""


def existing(file: str, info: ValidationInfo, check: Callable[[Path], None]) -> str:
    """The absolute path of a file that a world names, checked. Raises ValueError that says what is wrong.

    A library world may name files of packages that are not installed: with `files` False in the context, for
    who only lists worlds, nothing is looked up.
    """
    context = info.context or {}
    if not context.get("files", True):
        return file
    if file.startswith(IN_PACKAGE):
        path = _in_package(file.removeprefix(IN_PACKAGE))
    else:
        path = (Path(context.get("folder", ".")) / file).absolute()
        if not is_file(path):
            raise ValueError(
                f"the file {str(path)[:300]} does not exist; paths are relative to the world file"
            )
    if path.stat().st_size > LARGEST_FILE:
        raise ValueError(f"the file {path} is larger than {LARGEST_FILE >> 20} MiB")
    check(path)
    return str(path)


def _in_package(file: str) -> Path:
    """The path of `package/folder/file`, without importing the package."""
    package, _, inside = file.partition("/")
    if not package.isidentifier() or not inside:
        raise ValueError(f"'{IN_PACKAGE}{file[:100]}' must be package:NAME/path/in/it")
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        install = INSTALLS.get(package, package)
        raise ValueError(f"the package '{package}' is not installed; install it: pip install {install}")
    for folder in found.submodule_search_locations:
        if is_file(Path(folder) / inside):
            return Path(folder) / inside
    raise ValueError(f"the installed package '{package}' has no file {inside[:200]}")


def is_file(path: Path) -> bool:
    """Whether there is such a file; False also for what cannot be a file's name."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def check_image(path: Path) -> None:
    """Raise ValueError unless the file is an image of a size that makes sense as a texture."""
    try:
        with warnings.catch_warnings(), Image.open(path) as header:  # its size, before anything is decoded
            warnings.simplefilter("ignore")
            large = max(header.size) > LARGEST_IMAGE
    except Image.DecompressionBombError:
        large = True
    except (OSError, ValueError, SyntaxError) as error:  # what Pillow raises for files that are not images
        raise ValueError(f"the file {path} is not an image (PNG, JPEG, ...)") from error
    if large:
        raise ValueError(f"the image {path} is larger than {LARGEST_IMAGE} pixels a side; scale it down")
    if cv2.imread(str(path), cv2.IMREAD_COLOR) is None:
        raise ValueError(f"the image {path} is damaged, or not of a kind that OpenCV reads")


def check_mesh(path: Path, up: Up, materials: bool) -> None:
    """Raise ValueError unless the file is an OBJ mesh that can be built, with materials if asked for."""
    if path.suffix.lower() != ".obj":
        raise ValueError(f"the mesh {path} is not a Wavefront OBJ file (.obj), the only kind that is read")
    read_obj(path, up)
    for material in read_materials(path).values() if materials else ():
        if material.image is not None:
            check_image(material.image)
