"""Minari data sets, written and read with Minari itself.

Observations are the camera's `image` and `dt` (s since the frame before), actions the expert's commands.
Minari wants one observation more than actions: the last frame's command stands in `infos` only, where all
else is too: `expert_command`, `command` (flown), `position_enu`, `velocity_enu`, `yaw`, a row a frame. The
reward is 1 at the end of a flight that succeeded and 0 elsewhere. The facts of each episode are in the data
set's meta data.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from navstack.contract import Limits
from navstack.episodes import Episode, EpisodeFacts
from navstack.errors import InputError
from navstack.results import COLLISION, SUCCESS

DATASET = "navstack/episodes-v0"
FACTS = "navstack_facts"
INFOS = ("expert_command", "command", "position_enu", "velocity_enu", "yaw")


def write_minari(folder: Path, episodes: Iterator[Episode], on_episode: Callable[[], None]) -> None:
    """Write episodes of one image size into a folder of Minari data sets. Raises InputError otherwise."""
    import minari

    dataset: Any = None
    facts: list[dict[str, Any]] = []
    with _datasets_in(folder):
        for number, episode in enumerate(episodes):
            name = f"episode r{episode.facts.round:02d}_{episode.facts.index:05d}"
            if len(episode) < 2:
                raise InputError(f"{name}: Minari needs at least 2 frames; it has {len(episode)}")
            buffer = _buffer(minari, episode, number)
            facts.append(asdict(episode.facts))
            if dataset is None:
                shape = episode.image.shape[1:]
                dataset = _new(minari, buffer, shape)
            elif episode.image.shape[1:] != shape:
                raise InputError(f"{name}: its images are {episode.image.shape[1:]}; the others' are {shape}")
            else:
                dataset.storage.update_episodes([buffer])
            on_episode()
        if dataset is None:
            raise InputError("there are no episodes to write")
        dataset.storage.update_metadata({FACTS: json.dumps(facts)})


def _new(minari: Any, buffer: Any, shape: tuple[int, ...]) -> Any:
    from gymnasium import spaces

    limits = Limits().as_array()
    seen: dict[str, Any] = {
        "image": spaces.Box(0, 255, shape, np.uint8),
        "dt": spaces.Box(0.0, np.inf, (1,), np.float32),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of authors, links and environments that are not named
        return minari.create_dataset_from_buffers(
            DATASET, [buffer], data_format="hdf5", jpeg_encoding=False,  # nothing is lost
            observation_space=spaces.Dict(seen),
            action_space=spaces.Box(-limits, limits, dtype=np.float32),
            description="Flights with the expert's commands, by navstack.",
            algorithm_name="expert and DAgger",
        )  # fmt: skip


def _buffer(minari: Any, episode: Episode, number: int) -> Any:
    count, won = len(episode), episode.facts.outcome == SUCCESS
    ended = np.zeros(count - 1, bool)
    ended[-1] = True
    terminated = won or episode.facts.outcome == COLLISION
    rewards = np.zeros(count - 1, np.float32)
    rewards[-1] = float(won)
    return minari.data_collector.EpisodeBuffer(
        id=number,
        seed=episode.facts.seed,
        observations={"image": episode.image, "dt": episode.dt[:, None]},
        actions=episode.expert_command[:-1],
        rewards=rewards,
        terminations=ended & terminated,
        truncations=ended & (not terminated),
        infos={name: getattr(episode, name) for name in INFOS},
    )


def read_minari(folder: Path) -> Iterator[Episode]:
    """The episodes of a Minari data set that `write_minari` wrote into this folder.

    Raises InputError where there is none, or its infos are others.
    """
    import minari

    with _datasets_in(folder):
        try:
            dataset = minari.load_dataset(DATASET)
            facts = json.loads(dataset.storage.metadata[FACTS])
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                f"{folder}: no Minari data set '{DATASET}' of navstack in it ({error})"
            ) from error
        for number, found in enumerate(dataset.iterate_episodes()):
            try:
                infos = {name: np.asarray(found.infos[name], np.float32) for name in INFOS}
                images = np.asarray(found.observations["image"], np.uint8)
                dt = np.asarray(found.observations["dt"], np.float32)[:, 0]
                about = EpisodeFacts(**facts[number])
            except (KeyError, TypeError, IndexError) as error:
                raise InputError(f"{folder}: episode {number} is none of navstack's ({error})") from error
            yield Episode(about, image=images, dt=dt, **infos)


@contextmanager
def _datasets_in(folder: Path) -> Iterator[None]:
    """Minari looks for data sets where this variable says, and nowhere else."""
    before = os.environ.get("MINARI_DATASETS_PATH")
    os.environ["MINARI_DATASETS_PATH"] = str(folder.absolute())
    try:
        yield
    finally:
        if before is None:
            del os.environ["MINARI_DATASETS_PATH"]
        else:
            os.environ["MINARI_DATASETS_PATH"] = before
