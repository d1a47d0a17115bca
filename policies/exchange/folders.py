"""A folder that appears whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from navstack.errors import InputError
from navstack.files import disk_errors


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its name when the block ends well.

    Raises InputError where `path` exists, or its folder does not.
    """
    if path.exists():
        raise InputError(f"{path} exists; name another folder or remove it")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: the folder {path.absolute().parent} does not exist; make it first")
    partial = path.absolute().parent / f".{path.name}.tmp"
    with disk_errors(path):
        shutil.rmtree(partial, ignore_errors=True)  # of a kill before
        partial.mkdir()
        try:
            yield partial
            partial.rename(path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
