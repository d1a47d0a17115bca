"""A recorded flight through a policy once more: what it saw, and its state before and after every frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from navstack.episodes import load_episode
from navstack.errors import InputError
from navstack.flight_log import read_flight_log
from navstack.policy import OnnxPolicy, PolicyFile


@dataclass(frozen=True, slots=True)
class Recording:
    """The frames of a recorded flight."""

    name: str
    image: npt.NDArray[np.uint8]  # (T, H, W, 3) RGB
    dt: npt.NDArray[np.float32]  # (T,) s
    first: npt.NDArray[np.bool_]  # (T,) whether the state was reset before the frame


@dataclass(frozen=True, slots=True)
class Replay:
    """What a policy made of a recording, stepped by ONNX Runtime from frame to frame as in flight."""

    image: npt.NDArray[np.uint8]  # (T, H, W, 3)
    dt: npt.NDArray[np.float32]  # (T,) s
    state: npt.NDArray[np.float32]  # (T, S) before each frame
    next_state: npt.NDArray[np.float32]  # (T, S) after it
    command: npt.NDArray[np.float32]  # (T, 4) m/s, rad/s

    @property
    def time(self) -> npt.NDArray[np.float64]:
        """Seconds of each frame from the first: (T,)."""
        elapsed = np.cumsum(self.dt, dtype=np.float64)
        return elapsed - elapsed[0]


def read_recording(path: Path, rate_hz: float) -> Recording:
    """A flight log of navstack fly (.mcap) or an episode (.safetensors). Raises InputError for others."""
    if path.suffix == ".mcap":
        log = read_flight_log(path, rate_hz)
        return Recording(path.name, log.image, log.dt, log.first)
    if path.suffix == ".safetensors":
        episode = load_episode(path)
        if not len(episode):
            raise InputError(f"{path}: the episode holds no frame")
        return Recording(path.name, episode.image, episode.dt, np.arange(len(episode)) == 0)
    raise InputError(
        f"{path}: expected a flight log of navstack fly (.mcap) or an episode of a run (.safetensors)"
    )


def replay(file: PolicyFile, recording: Recording) -> Replay:
    """Step the policy over the recording. Raises InputError where the frames are not the policy's."""
    policy = OnnxPolicy.from_file(file)
    before, after, commands = [], [], []
    for image, dt, first in zip(recording.image, recording.dt, recording.first, strict=True):
        if first:
            policy.reset()
        before.append(policy.state[0])
        try:
            commands.append(policy.step(image, float(dt)).as_array())
        except InputError as error:
            raise InputError(f"{recording.name}: {error}") from error
        after.append(policy.state[0])
    return Replay(
        recording.image,
        recording.dt,
        np.stack(before),
        np.stack(after),
        np.stack(commands).astype(np.float32),
    )


def every(recording: Recording, count: int) -> Iterator[int]:
    """At most `count` frame numbers, evenly over the recording."""
    yield from np.unique(np.linspace(0, len(recording.dt) - 1, count).round().astype(int)).tolist()
