"""Episodes to exchange."""

import numpy as np
import pytest

from navstack.episodes import Episode, EpisodeFacts, save_episode


def random_episode(index, length, round_=0, outcome="success", env="FlyToTarget", shape=(64, 96, 3)):
    rng = np.random.default_rng(index)

    def numbers(*size):
        return rng.normal(0.0, 0.3, size).astype(np.float32)

    facts = EpisodeFacts(env, "meadow", 100 + index, outcome, "expert", round_, index)
    image = rng.integers(0, 256, (length, *shape), dtype=np.uint8)
    dt = rng.uniform(0.03, 0.1, length).astype(np.float32)
    commands, places = (numbers(length, 4), numbers(length, 4)), (numbers(length, 3), numbers(length, 3))
    return Episode(facts, image, dt, *commands, *places, numbers(length))


@pytest.fixture
def make_episode():
    return random_episode


@pytest.fixture
def episodes(tmp_path):
    """A folder of three episodes of two rounds, and what is in it."""
    folder = tmp_path / "episodes"
    folder.mkdir()
    made = [
        random_episode(0, 12),
        random_episode(1, 9, outcome="collision"),
        random_episode(0, 11, round_=1, outcome="cut off"),
    ]
    for episode in made:
        save_episode(folder, episode)
    return folder, made
