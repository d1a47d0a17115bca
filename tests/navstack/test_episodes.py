"""Episodes on disk."""

import numpy as np
import pytest

from navstack.episodes import (
    Episode,
    EpisodeFacts,
    episode_keys,
    episode_path,
    index_episode,
    load_episode,
    save_episode,
)
from navstack.errors import InputError


def an_episode(length=5, round_=1, index=7):
    rng = np.random.default_rng(0)
    real = rng.normal(size=(length, 12)).astype(np.float32)
    return Episode(
        EpisodeFacts("FlyToTarget", "meadow", 42, "success", "dagger", round_, index),
        image=rng.integers(0, 256, (length, 64, 96, 3), dtype=np.uint8),
        dt=np.full(length, 0.05, np.float32),
        expert_command=real[:, :4],
        command=real[:, 4:8],
        position_enu=real[:, 8:11],
        velocity_enu=real[:, 8:11] * 2,
        yaw=real[:, 11],
    )


def test_an_episode_survives_the_disk(tmp_path):
    episode = an_episode()
    path = save_episode(tmp_path, episode)
    loaded = load_episode(path)
    assert path == episode_path(tmp_path, 1, 7)
    assert loaded.facts == episode.facts
    assert np.array_equal(loaded.image, episode.image)
    assert np.array_equal(loaded.expert_command, episode.expert_command)
    assert np.array_equal(loaded.yaw, episode.yaw)


def test_the_index_says_where_the_images_lie(tmp_path):
    episode = an_episode()
    path = save_episode(tmp_path, episode)
    index = index_episode(path)
    mapped = np.memmap(path, np.uint8, "r", index.image_offset, index.image_shape)
    assert index.facts == episode.facts
    assert index.length == 5
    assert np.array_equal(mapped, episode.image)


def test_the_folder_is_its_own_index(tmp_path):
    for round_, index in ((1, 0), (0, 3), (0, 1)):
        save_episode(tmp_path, an_episode(2, round_, index))
    (tmp_path / "r00_00009.safetensors.tmp").write_bytes(b"half written")
    assert episode_keys(tmp_path) == [(0, 1), (0, 3), (1, 0)]
    assert episode_keys(tmp_path / "absent") == []


@pytest.mark.parametrize("damage", ["truncated", "empty", "garbage", "missing"])
def test_a_damaged_file_is_named(tmp_path, damage):
    path = save_episode(tmp_path, an_episode())
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"truncated": data[:1000], "empty": b"", "garbage": b"\xff" * 100}[damage])
    with pytest.raises(InputError, match=r"r01_00007\.safetensors"):
        load_episode(path)


def test_a_number_that_is_not_finite_is_named_with_its_frame(tmp_path):
    episode = an_episode()
    episode.expert_command[3, 2] = np.nan
    path = save_episode(tmp_path, episode)
    with pytest.raises(InputError, match="'expert_command' is not finite at frame 3"):
        load_episode(path)


def test_rows_must_agree(tmp_path):
    episode = an_episode()
    short = Episode(
        episode.facts, episode.image, episode.dt[:4], episode.expert_command, episode.command,
        episode.position_enu, episode.velocity_enu, episode.yaw,
    )  # fmt: skip
    with pytest.raises(InputError, match="with 4 rows"):
        load_episode(save_episode(tmp_path, short))
