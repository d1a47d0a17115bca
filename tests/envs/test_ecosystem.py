"""The environments among their like: Gymnasium's checks and wrappers, vectors, stable-baselines3."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import RecordEpisodeStatistics, RecordVideo, TimeLimit

import navstack.envs  # noqa: F401  # registers the ids
from navstack.contract import CameraSpec
from navstack.envs.navigation import NavigationEnv
from navstack.envs.tasks import TASKS
from navstack.errors import InputError

IDS = sorted(name for name in gymnasium.registry if name.startswith("navstack/"))
STILL = np.zeros(4, np.float32)

only_units = pytest.mark.filterwarnings("ignore:.*symmetric and normalized.*")
no_warning = pytest.mark.filterwarnings("error")


def test_every_task_has_its_id() -> None:
    assert [f"navstack/{name}-v0" for name in sorted(TASKS)] == IDS


@only_units
@no_warning
@pytest.mark.parametrize("name", IDS)
def test_gymnasium_finds_nothing_wrong(name: str) -> None:
    made = gymnasium.make(name)
    check_env(made.unwrapped, skip_render_check=True)
    made.close()


@pytest.mark.slow
@only_units
@pytest.mark.parametrize("name", IDS)
def test_gymnasium_finds_nothing_wrong_with_the_chase_view(name: str) -> None:
    made = gymnasium.make(name, render_mode="rgb_array")
    check_env(made.unwrapped, skip_render_check=True)
    made.reset(seed=1)
    picture = made.render()
    assert isinstance(picture, np.ndarray)
    assert picture.shape == (360, 640, 3)
    made.close()


@only_units
@pytest.mark.parametrize("name", ["navstack/FlyToTarget-v0"])
def test_stable_baselines_finds_nothing_wrong(name: str) -> None:
    checker = pytest.importorskip("stable_baselines3.common.env_checker", reason="needs navstack[rl]")
    made = gymnasium.make(name)
    checker.check_env(made, warn=True, skip_render_check=True)
    made.close()


def test_a_vector_of_environments_flies_each_its_own_world() -> None:
    made = gymnasium.make_vec("navstack/FlyToTarget-v0", num_envs=2, vectorization_mode="sync")
    observation, _ = made.reset(seed=[5, 6])
    alone = gymnasium.make("navstack/FlyToTarget-v0")
    np.testing.assert_array_equal(observation["image"][1], alone.reset(seed=6)[0]["image"])
    assert not np.array_equal(observation["image"][0], observation["image"][1])
    alone.close()
    made.close()


def test_wrappers_count_cut_and_film(tmp_path: Path) -> None:
    pytest.importorskip("moviepy", reason="Gymnasium's RecordVideo needs moviepy (navstack[rl])")
    made = gymnasium.make("navstack/FlyToTarget-v0", render_mode="rgb_array", max_episode_steps=4)
    made = RecordVideo(RecordEpisodeStatistics(made), str(tmp_path), episode_trigger=lambda _: True)
    made.reset(seed=2)
    rewards = []
    for number in range(1, 5):
        _, reward, terminated, truncated, info = made.step(STILL)
        rewards.append(float(reward))
        assert (terminated, truncated) == (False, number == 4)
    assert info["episode"]["l"] == 4
    assert info["episode"]["r"] == pytest.approx(sum(rewards), abs=1e-5)
    made.close()
    (film,) = tmp_path.glob("*.mp4")
    assert film.stat().st_size > 2000


def test_a_time_limit_cuts_before_the_tasks_own() -> None:
    made = TimeLimit(NavigationEnv(camera=False), 2)
    made.reset(seed=2)
    assert made.step(STILL)[2:4] == (False, False)
    assert made.step(STILL)[2:4] == (False, True)
    made.close()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"difficulty": float("nan")}, "between 0 and 1"),
        ({"difficulty": "hard"}, "between 0 and 1"),
        ({"perturb": "wind:2"}, r"\('wind:2',\)"),
        ({"perturb": ("wind:6",)}, "1, 2, 3, 4 or 5"),
        ({"perturb": ("wind:2.5",)}, "no severity"),
        ({"perturb": ("wnd:2",)}, "did you mean 'wind'"),
        ({"timing": 20.0}, "FrameTiming"),
        ({"camera": CameraSpec(height=0)}, "height is 0"),
        ({"camera": CameraSpec(width=5000)}, "width is 5000"),
        ({"camera": CameraSpec(horizontal_fov=3.2)}, "field of view"),
        ({"camera": CameraSpec(pitch=float("nan"))}, "pitch"),
        ({"camera": "wide"}, "CameraSpec"),
    ],
)
def test_an_argument_out_of_range_is_refused_in_a_sentence(arguments: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        NavigationEnv(**arguments)


@pytest.mark.parametrize(
    "action",
    [None, "forward", ["a", "b", "c", "d"], np.zeros((1, 4)), [np.inf] * 4, [1e400, 0, 0, 0], object()],
)
def test_after_an_action_that_is_none_the_environment_flies_and_resets(action: object) -> None:
    made = NavigationEnv(camera=False)
    made.reset(seed=4)
    with pytest.raises(InputError, match="4 finite numbers"):
        made.step(action)  # type: ignore[arg-type]
    flown, reset = made.step(STILL), made.reset(seed=4)
    assert flown[0]["dt"] == reset[0]["dt"]
    again = made.step(STILL)
    assert again[4]["state"] == flown[4]["state"]
    made.close()


def test_a_huge_action_flies_as_the_limit_does() -> None:
    made = NavigationEnv(camera=False)
    states = []
    for action in ([1e300, 0, 0, 0], [2.0, 0, 0, 0]):
        made.reset(seed=4)
        states.append(made.step(np.array(action))[4]["state"])
    assert states[0] == states[1]
    made.close()
