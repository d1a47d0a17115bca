"""Episodes on disk: one safetensors file an episode, keyed (round, index).

A file holds what one flight showed and what should have been done: every frame that arrived, the interval
before it, the expert's command for it, the command that was flown and where the vehicle was. The facts of
the flight (environment, world, seed, outcome) stand as JSON in the file's header, so a folder of episodes
needs no index of its own: listing it is reading it.
"""

from __future__ import annotations

import json
import re
import struct
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from navstack.errors import InputError
from navstack.files import write_atomically

_NAME = re.compile(r"r(\d+)_(\d+)\.safetensors")
_HEADER_KEY = "navstack"


@dataclass(frozen=True, slots=True)
class EpisodeFacts:
    """What is known of an episode besides its arrays."""

    env: str  # task, for instance "FlyToTarget"
    world: str
    seed: int
    outcome: str  # "success", "collision", "timeout", ...
    source: str  # who flew: "expert", "dagger" or "keyboard"
    round: int  # DAgger round, 0 for demonstrations
    index: int  # place inside the round


@dataclass(frozen=True, slots=True)
class Episode:
    """One flight, one row per frame that the policy saw."""

    facts: EpisodeFacts
    image: npt.NDArray[np.uint8]  # (T, H, W, 3) RGB
    dt: npt.NDArray[np.float32]  # (T,) s since the frame before
    expert_command: npt.NDArray[np.float32]  # (T, 4) forward, left, up m/s, yaw_rate rad/s
    command: npt.NDArray[np.float32]  # (T, 4) what was sent to the vehicle
    position_enu: npt.NDArray[np.float32]  # (T, 3) m
    velocity_enu: npt.NDArray[np.float32]  # (T, 3) m/s
    yaw: npt.NDArray[np.float32]  # (T,) rad

    def __len__(self) -> int:
        return len(self.dt)


_ARRAYS: dict[str, tuple[str, tuple[int | None, ...]]] = {
    "image": ("U8", (None, None, None, 3)),
    "dt": ("F32", (None,)),
    "expert_command": ("F32", (None, 4)),
    "command": ("F32", (None, 4)),
    "position_enu": ("F32", (None, 3)),
    "velocity_enu": ("F32", (None, 3)),
    "yaw": ("F32", (None,)),
}


def episode_path(folder: Path, round_: int, index: int) -> Path:
    """Where the episode with this key stands."""
    return folder / f"r{round_:02d}_{index:05d}.safetensors"


def episode_keys(folder: Path) -> list[tuple[int, int]]:
    """(round, index) of every episode in the folder, in order; unfinished files have other names."""
    matches = (_NAME.fullmatch(path.name) for path in folder.iterdir()) if folder.is_dir() else ()
    return sorted((int(m.group(1)), int(m.group(2))) for m in matches if m)


def save_episode(folder: Path, episode: Episode) -> Path:
    """Write the episode under its key, whole or not at all. Raises InputError when the disk is full."""
    arrays = {name: np.ascontiguousarray(getattr(episode, name)) for name in _ARRAYS}
    path = episode_path(folder, episode.facts.round, episode.facts.index)
    header = {_HEADER_KEY: json.dumps(asdict(episode.facts), sort_keys=True)}
    write_atomically(path, save(arrays, metadata=header))
    return path


def load_episode(path: Path) -> Episode:
    """The episode in a file. Raises InputError that names the file and what is wrong with it."""
    try:
        with safe_open(path, framework="numpy") as file:
            facts = _facts(path, (file.metadata() or {}).get(_HEADER_KEY))
            missing = sorted(set(_ARRAYS) - set(file.keys()))
            if missing:
                raise InputError(f"{path}: no array '{missing[0]}'; an episode holds {', '.join(_ARRAYS)}")
            arrays = {name: file.get_tensor(name) for name in _ARRAYS}
    except (SafetensorError, FileNotFoundError, IsADirectoryError) as error:
        raise InputError(f"{path}: not an episode in safetensors format ({error})") from error
    _check(path, arrays)
    return Episode(facts, **arrays)


@dataclass(frozen=True, slots=True)
class EpisodeIndex:
    """Where the arrays of an episode lie in its file: for reading windows without loading the file."""

    facts: EpisodeFacts
    length: int
    image_offset: int  # bytes from the start of the file
    image_shape: tuple[int, ...]  # (T, H, W, 3)


def index_episode(path: Path) -> EpisodeIndex:
    """Read an episode's header only. Raises InputError like `load_episode`."""
    try:
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            header: dict[str, Any] = json.loads(file.read(size))
        image = header["image"]
        start = 8 + size + int(image["data_offsets"][0])
        shape = tuple(int(n) for n in image["shape"])
    except (OSError, struct.error, ValueError, KeyError, TypeError, MemoryError, OverflowError) as error:
        raise InputError(f"{path}: not an episode in safetensors format ({error})") from error
    facts = _facts(path, header.get("__metadata__", {}).get(_HEADER_KEY))
    return EpisodeIndex(facts, shape[0], start, shape)


def _facts(path: Path, text: str | None) -> EpisodeFacts:
    try:
        values = json.loads(text or "null")
        facts = EpisodeFacts(**values)
    except (TypeError, ValueError) as error:
        expected = ", ".join(field.name for field in fields(EpisodeFacts))
        raise InputError(f"{path}: the header's '{_HEADER_KEY}' must hold {expected} ({error})") from error
    return facts


def _check(path: Path, arrays: dict[str, npt.NDArray[Any]]) -> None:
    dtypes = {"U8": np.dtype(np.uint8), "F32": np.dtype(np.float32)}
    length = len(arrays["dt"])
    for name, (dtype, shape) in _ARRAYS.items():
        array = arrays[name]
        fits = array.ndim == len(shape) and all(
            want is None or want == have for want, have in zip(shape, array.shape, strict=True)
        )
        if array.dtype != dtypes[dtype] or not fits or len(array) != length:
            raise InputError(
                f"{path}: '{name}' is {array.dtype} {array.shape}; expected {dtypes[dtype]} with"
                f" {length} rows and shape {tuple('T' if n is None else n for n in shape)}"
            )
        if dtype == "F32" and not np.isfinite(array).all():
            row = int(np.argwhere(~np.isfinite(array.reshape(length, -1)).all(axis=1))[0, 0])
            raise InputError(f"{path}: '{name}' is not finite at frame {row}; expected finite numbers")
