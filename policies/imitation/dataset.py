"""Windows of frames out of episodes on disk, at memory speed and in an order that a restart can continue.

Images stay in their files, memory-mapped; only the frames of a batch are ever read. Each window is a pure
function of (seed, round, step, row), so the position in the data is the step number and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import safe_open

from navstack.episodes import EpisodeIndex, episode_path, index_episode
from navstack.errors import InputError
from navstack.policies.augment import Augmentation, mirror, photometric
from navstack.policies.imitation.streams import BATCH, generator

Key = tuple[int, int]  # round, index
START_SHARE = 0.15  # of the windows begin at the start of their episode, where the state is truly zero
LARGEST_SKIP = 0.5  # in half of the windows frames are left out with a probability drawn up to this


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows for one gradient step."""

    image: npt.NDArray[np.uint8]  # (B, T, H, W, 3)
    dt: npt.NDArray[np.float32]  # (B, T) s since the frame before in the window
    target: npt.NDArray[np.float32]  # (B, T, 4) the expert's command
    weight: npt.NDArray[np.float32]  # (B, T) 1 where the frame counts in the loss


@dataclass(frozen=True, slots=True)
class StoredEpisode:
    """An episode whose images stay on disk."""

    image: npt.NDArray[np.uint8]  # (T, H, W, 3), memory-mapped
    elapsed: npt.NDArray[np.float64]  # (T,) s from the frame before the first
    target: npt.NDArray[np.float32]  # (T, 4)
    env: str = ""  # task that was flown

    @classmethod
    def open(cls, path: Path) -> StoredEpisode:
        """Open an episode's file. Raises InputError where it is none."""
        index: EpisodeIndex = index_episode(path)
        image = np.memmap(path, np.uint8, "r", index.image_offset, index.image_shape)
        with safe_open(path, framework="numpy") as file:
            dt, target = file.get_tensor("dt"), file.get_tensor("expert_command")
        _check_numbers(path, dt, target)
        return cls(image, np.cumsum(dt, dtype=np.float64), target, index.facts.env)

    def __len__(self) -> int:
        return len(self.elapsed)

    def intervals(self, chosen: npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
        """Seconds between the chosen frames; before the first of them, its own recorded interval."""
        first = chosen[0]
        before = self.elapsed[first - 1] if first else 0.0
        return np.diff(self.elapsed[chosen], prepend=before).astype(np.float32)


def _check_numbers(path: Path, dt: npt.NDArray[np.float32], target: npt.NDArray[np.float32]) -> None:
    """Raise InputError that names episode, frame and field of a number that nothing can be learned from."""
    for field, values, right in (
        ("dt", dt, np.isfinite(dt) & (dt > 0.0)),
        ("expert_command", target, np.isfinite(target).all(axis=1)),
    ):
        if not right.all():
            frame = int(np.flatnonzero(~right)[0])
            wanted = "a finite, positive time" if field == "dt" else "finite numbers"
            raise InputError(f"{path}: '{field}' is {values[frame]} at frame {frame}; expected {wanted}")


@dataclass(frozen=True, slots=True)
class Expected:
    """What episodes must be for a run to learn from them."""

    env: str  # task
    height: int  # pixels
    width: int
    dt_min: float  # s between frames that the network is made for
    dt_max: float

    def check(self, path: Path, episode: StoredEpisode) -> None:
        """Raise InputError where an episode shows another task, or another camera's size or rate."""
        if episode.env != self.env:
            raise InputError(
                f"{path}: an episode of the task {episode.env or 'of no name'}, not of {self.env}"
            )
        if episode.image.shape[1:] != (self.height, self.width, 3):
            found, wanted = episode.image.shape[1:], (self.height, self.width, 3)
            raise InputError(f"{path}: its images are {found}; the network sees {wanted}")
        typical = float(np.median(np.diff(episode.elapsed, prepend=0.0)))
        if not self.dt_min <= typical <= self.dt_max:
            raise InputError(
                f"{path}: {1.0 / typical:.3g} frames a second; the network is made for"
                f" {1.0 / self.dt_max:.3g} to {1.0 / self.dt_min:.3g}"
            )


class WindowDataset:
    """Random windows of the episodes with the given keys."""

    def __init__(
        self, folder: Path, keys: Sequence[Key], frames: int, burn_in: int, augmentation: Augmentation,
        expected: Expected | None = None,
    ) -> None:  # fmt: skip
        """Open every episode. Raises InputError where one is missing, broken, or not what is expected."""
        self.frames, self.burn_in, self.augmentation = frames, burn_in, augmentation
        self.episodes = []
        for path in (episode_path(folder, *key) for key in keys):
            episode = StoredEpisode.open(path)
            if expected is not None:
                expected.check(path, episode)
            self.episodes.append(episode)
        if not self.episodes:
            raise InputError(f"{folder}: no episodes to learn from; collect some first")
        # by duration, not by frames: a fast camera shows the same flight no better than a slow one
        seconds = np.array([episode.elapsed[-1] for episode in self.episodes])
        self._cumulative = np.cumsum(seconds / seconds.sum())

    @property
    def frame_count(self) -> int:
        """Frames in all episodes."""
        return sum(map(len, self.episodes))

    def batch(self, rows: Sequence[int], seed: int, round_: int, step: int) -> Batch:
        """These rows of the windows of one gradient step: each depends on (seed, round, step, row) alone."""
        height, width = self.episodes[0].image.shape[1:3]
        image = np.zeros((len(rows), self.frames, height, width, 3), dtype=np.uint8)
        dt = np.ones((len(rows), self.frames), dtype=np.float32)
        target = np.zeros((len(rows), self.frames, 4), dtype=np.float32)
        weight = np.zeros((len(rows), self.frames), dtype=np.float32)
        for place, row in enumerate(rows):
            rng = generator(seed, BATCH, round_, step, row)
            chosen, episode = self._choose(rng)
            count = len(chosen)
            seen, commands = episode.image[chosen], episode.target[chosen]
            if rng.random() < self.augmentation.mirror:
                seen, commands = mirror(seen, commands)
            image[place, :count] = photometric(seen, self.augmentation, rng)
            dt[place, :count] = episode.intervals(chosen)
            target[place, :count] = commands
            weight[place, self.burn_in if chosen[0] else 0 : count] = 1.0
        return Batch(image, dt, target, weight)

    def _choose(self, rng: np.random.Generator) -> tuple[npt.NDArray[np.intp], StoredEpisode]:
        """The frames of one window: in order, some left out, at most `frames` of them."""
        place = int(np.searchsorted(self._cumulative, rng.random() * self._cumulative[-1], side="right"))
        episode = self.episodes[min(place, len(self.episodes) - 1)]
        skip = max(0.0, rng.uniform(-LARGEST_SKIP, LARGEST_SKIP))
        span = round(self.frames / (1.0 - skip))
        latest = max(0, len(episode) - span)
        start = 0 if rng.random() < START_SHARE else int(rng.integers(0, latest + 1))
        kept = rng.random(span) >= skip
        kept[0] = True
        chosen = start + np.flatnonzero(kept)
        return chosen[chosen < len(episode)][: self.frames], episode
