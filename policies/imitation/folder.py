"""The folder of a training run: whose it is, who works in it, and what a kill left behind."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from navstack.errors import InputError
from navstack.files import disk_errors, write_atomically
from navstack.policies.imitation.config import TrainConfig, config_to_json, difference


def open_run(folder: Path, config: TrainConfig) -> None:
    """Make the folder this run's, or check that it is. Raises InputError where it is not."""
    path = folder / "run.json"
    if path.exists():
        try:
            found = json.loads(path.read_text())
        except ValueError as error:
            raise InputError(f"{path}: not the configuration of a training run ({error})") from error
        other = difference(config, found)
        if other:
            raise InputError(
                f"{folder} holds another training run: {other}; name another folder or remove it"
            )
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} exists and is no training run; name another folder or remove it")
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (config_to_json(config) + "\n").encode())


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep a second process out of the folder; the lock goes with the process, however it ends."""
    with (folder / "run.json").open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(
                f"another process is training in {folder}; wait for it or name another folder"
            ) from error
        yield


def remove_leftovers(folder: Path) -> None:
    """Remove files that a killed process had not finished writing."""
    for path in folder.rglob(".*.tmp"):
        path.unlink(missing_ok=True)
