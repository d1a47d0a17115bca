"""Writing files so that nothing is ever half there."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from navstack.errors import InputError


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk, a missing folder or a missing permission into one sentence that names the file."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(f"{path}: the disk is full; free some space and try again") from error
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write the whole file or leave what was there: a temporary name in the same folder, then a rename.

    Raises InputError when the disk is full or the file cannot be written.
    """
    with disk_errors(path):
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise


def new_folder(path: Path) -> Path:
    """Make a folder for results. Raises InputError when it exists and holds anything."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{path} exists and is not empty; name another folder or remove it")
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def check_new_file(path: Path | None) -> None:
    """Raise InputError where a result cannot be written: the file exists, or its folder does not."""
    if path is None:
        return
    if path.exists():
        raise InputError(f"{path} exists; name another file or remove it")
    if not path.parent.is_dir():
        raise InputError(f"{path}: the folder {path.parent} does not exist; make it first")
