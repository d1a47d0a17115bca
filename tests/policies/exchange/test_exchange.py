"""Episodes go to other formats and come back as they were; Minari's own library opens them; one trains on."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest

from navstack.episodes import episode_keys, episode_path, load_episode, save_episode
from navstack.errors import InputError
from navstack.policies.augment import Augmentation
from navstack.policies.commands.data import Export, Import
from navstack.policies.exchange.command import FORMATS
from navstack.policies.imitation.config import TrainConfig
from navstack.policies.imitation.dataset import Expected, WindowDataset
from navstack.policies.imitation.learn import Learner
from navstack.policies.imitation.processes import Processes
from navstack.policies.network import NetworkSpec

pytest.importorskip("pyarrow")
pytest.importorskip("minari")


@pytest.mark.parametrize("form", FORMATS)
def test_episodes_come_back_as_they_were(episodes, tmp_path, form):
    folder, made = episodes
    assert Export(folder, tmp_path / "there", form)() == 0
    assert Import(tmp_path / "there", tmp_path / "back", form)() == 0
    assert episode_keys(tmp_path / "back") == [(0, 0), (0, 1), (1, 0)]
    for episode in made:
        found = load_episode(episode_path(tmp_path / "back", episode.facts.round, episode.facts.index))
        for field in fields(episode):
            before, after = getattr(episode, field.name), getattr(found, field.name)
            if field.name == "facts":
                assert after == before
            else:
                np.testing.assert_array_equal(after, before, err_msg=field.name)


@pytest.mark.parametrize("form", FORMATS)
def test_a_gradient_step_is_taken_from_what_came_back(episodes, tmp_path, form):
    Export(episodes[0], tmp_path / "there", form)()
    Import(tmp_path / "there", tmp_path / "back", form)()
    config = TrainConfig(
        steps=(1,), dagger_episodes=(), expert_share=(), windows=2, frames=8, burn_in=2, threads=1
    )
    expected = Expected("FlyToTarget", 64, 96, 1.0 / 60.0, 0.3)
    keys = episode_keys(tmp_path / "back")
    windows = WindowDataset(tmp_path / "back", keys, 8, 2, Augmentation(), expected)
    learner, reports = Learner(config, NetworkSpec(), Processes("cpu")), []
    before = learner.imitator.reader.weight.detach().clone()
    learner.round(windows, 0, 0, reports.append)
    assert reports[0].loss > 0.0
    assert not bool((learner.imitator.reader.weight == before).all())


def test_minari_opens_it(episodes, tmp_path, monkeypatch):
    import minari

    folder, made = episodes
    Export(folder, tmp_path / "there", "minari")()
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "there"))
    dataset = minari.load_dataset("navstack/episodes-v0")
    assert (dataset.total_episodes, dataset.total_steps) == (3, sum(len(e) - 1 for e in made))
    first, second, third = dataset.iterate_episodes()
    np.testing.assert_array_equal(first.observations["image"], made[0].image)
    np.testing.assert_array_equal(first.actions, made[0].expert_command[:-1])
    assert (first.rewards[-1], bool(first.terminations[-1]), bool(first.truncations[-1])) == (1, True, False)
    assert (second.rewards[-1], bool(second.terminations[-1])) == (0, True)
    assert (bool(third.terminations[-1]), bool(third.truncations[-1])) == (False, True)
    assert dataset.observation_space.contains(
        {"image": first.observations["image"][0], "dt": first.observations["dt"][0]}
    )


@pytest.mark.parametrize("form", FORMATS)
def test_what_does_not_fit_together_is_refused_and_nothing_is_left(episodes, tmp_path, make_episode, form):
    folder, _ = episodes
    save_episode(folder, make_episode(7, 5, shape=(32, 48, 3)))
    with pytest.raises(InputError, match=r"r00_00007: its images are \(32, 48, 3\)"):
        Export(folder, tmp_path / "there", form)()
    assert {entry.name for entry in tmp_path.iterdir()} == {"episodes"}


def test_other_tasks_formats_and_folders_are_refused_in_a_sentence(episodes, tmp_path, make_episode):
    folder, _ = episodes
    with pytest.raises(InputError, match="format 'lerobt' not found; did you mean 'lerobot'"):
        Export(folder, tmp_path / "there", "lerobt")()
    with pytest.raises(InputError, match="holds no episodes"):
        Export(tmp_path, tmp_path / "there")()
    with pytest.raises(InputError, match="exists"):
        Export(folder, folder)()
    with pytest.raises(InputError, match="is no folder"):
        Import(tmp_path / "none", tmp_path / "back")()
    for form, sentence in (("lerobot", "not the meta data of a LeRobotDataset"), ("minari", "no Minari")):
        with pytest.raises(InputError, match=sentence):
            Import(folder, tmp_path / "back", form)()
    save_episode(folder, make_episode(9, 5, env="Search"))
    with pytest.raises(InputError, match="its task is Search, not FlyToTarget"):
        Export(folder, tmp_path / "there")()
    assert {entry.name for entry in tmp_path.iterdir()} == {"episodes"}


def test_a_lerobot_data_set_with_other_features_is_refused(episodes, tmp_path):
    Export(episodes[0], tmp_path / "there")()
    path = tmp_path / "there" / "meta" / "info.json"
    info = json.loads(path.read_text())
    for change, sentence in (
        ({"codebase_version": "v2.1"}, "LeRobotDataset v2.1; expected v3.0"),
        ({"features": {**info["features"], "action": {"shape": [7]}}}, r"'action' has the shape \[7\]"),
        ({"features": {"observation.image": {"dtype": "video"}}}, "stored as video"),
        ({"features": {}}, "'observation.image' is missing"),
    ):
        path.write_text(json.dumps({**info, **change}))
        with pytest.raises(InputError, match=sentence):
            Import(tmp_path / "there", tmp_path / "back")()
        assert not (tmp_path / "back").exists()


def test_a_number_that_is_not_finite_is_named(episodes, tmp_path):
    from navstack.policies.exchange.lerobot import read_lerobot, write_lerobot

    spoiled = episodes[1][0].expert_command.copy()
    spoiled[4, 2] = np.nan
    (tmp_path / "there").mkdir()
    write_lerobot(tmp_path / "there", iter([replace(episodes[1][0], expert_command=spoiled)]), lambda: None)
    with pytest.raises(InputError, match="episode 0, frame 4: 'action' is not finite"):
        list(read_lerobot(tmp_path / "there"))
