"""The Gymnasium environment: API, determinism, refusals."""

import hashlib
import resource
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

from navstack.envs.navigation import NavigationEnv
from navstack.errors import InputError
from navstack.timing import FrameTiming

ID = "navstack.envs:navstack/FlyToTarget-v0"

IMAGES = f"""
import gymnasium, hashlib, numpy as np
env = gymnasium.make("{ID}", world="forest")
digest = hashlib.sha256()
observation, _ = env.reset(seed=11)
for _ in range(12):
    digest.update(observation["image"].tobytes())
    digest.update(observation["dt"].tobytes())
    observation, *_ = env.step(np.array([1.0, 0.1, 0.0, 0.3], dtype=np.float32))
print(digest.hexdigest())
"""


@pytest.fixture(scope="module")
def environment():
    made = gymnasium.make(ID, world="meadow")
    yield made
    made.close()


@pytest.mark.filterwarnings("ignore:.*recommend using a symmetric and normalized space.*")
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("render_mode", [None, "rgb_array"])
def test_gymnasium_finds_nothing_wrong(render_mode):
    made = gymnasium.make(ID, world="meadow", render_mode=render_mode)
    check_env(made.unwrapped, skip_render_check=True)
    made.close()


def test_the_same_seed_gives_the_same_images_in_every_process():
    printed = {
        subprocess.run(
            [sys.executable, "-c", IMAGES], capture_output=True, text=True, check=True
        ).stdout.split()[-1]
        for _ in range(2)
    }
    assert len(printed) == 1
    assert len(printed.pop()) == 64


def test_an_earlier_flight_leaves_no_trace(environment):
    def digest():
        observation, _ = environment.reset(seed=3)
        observation, *_ = environment.step(np.array([0.5, 0.0, 0.2, 0.4], np.float32))
        return hashlib.sha256(observation["image"].tobytes()).hexdigest()

    first = digest()
    environment.reset(seed=4)
    environment.step(np.ones(4, np.float32))
    assert digest() == first


def test_different_seeds_give_different_places(environment):
    images = [environment.reset(seed=seed)[0]["image"] for seed in (1, 2)]
    assert not np.array_equal(*images)


def test_it_vectorises():
    vector = gymnasium.make_vec(ID, num_envs=2, vectorization_mode="async", world="meadow")
    observation, _ = vector.reset(seed=[1, 2])
    assert observation["image"].shape == (2, 64, 96, 3)
    observation, reward, *_ = vector.step(np.zeros((2, 4), np.float32))
    assert observation["dt"].ravel().tolist() == pytest.approx([0.05, 0.05])
    assert reward.shape == (2,)
    vector.close()


def test_dt_is_the_time_between_frames():
    made = NavigationEnv(
        world="meadow", timing=FrameTiming(rate_hz=30.0, drop_probability=0.5, jitter=0.2), camera=False
    )
    _, info = made.reset(seed=0)
    time = info["state"].time
    gaps = []
    for _ in range(40):
        observation, *_, info = made.step(np.zeros(4, np.float32))
        assert observation["dt"][0] == pytest.approx(info["state"].time - time)
        time = info["state"].time
        gaps.append(float(observation["dt"][0]))
    assert min(gaps) < 0.04
    assert max(gaps) > 0.06
    made.close()


def test_the_chase_view_is_a_picture():
    made = NavigationEnv(world="meadow", render_mode="rgb_array")
    made.reset(seed=0)
    picture = made.render()
    assert picture.shape == (360, 640, 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 10.0
    made.close()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"task": "FlyToTargt"}, "did you mean 'FlyToTarget'"),
        ({"world": "fores"}, "did you mean 'forest'"),
        ({"airframe": "crazyflye"}, "did you mean 'crazyflie'"),
        ({"world": "winter"}, "held-out"),
        ({"world": "park"}, "purpose 'train'"),
        ({"world": "winter", "purpose": "dev"}, "held-out"),
        ({"purpose": "test"}, "train, dev, evaluate"),
        ({"difficulty": 1.5}, "between 0 and 1"),
        ({"render_mode": "human"}, "rgb_array"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        NavigationEnv(**arguments)


@pytest.mark.parametrize("action", [np.full(4, np.nan), np.zeros(3), np.array([np.inf, 0, 0, 0])])
def test_a_bad_action_is_refused_and_the_flight_goes_on(environment, action):
    environment.reset(seed=0)
    with pytest.raises(InputError, match="4 finite numbers"):
        environment.unwrapped.step(action)
    observation, *_ = environment.step(np.zeros(4, np.float32))
    assert observation["image"].shape == (64, 96, 3)


@pytest.mark.parametrize("action", [np.full(4, np.nan), np.zeros(5), np.zeros((4, 1)), "left", None])
def test_a_bad_action_leaves_no_trace(action):
    def flown(refused):
        made = NavigationEnv(world="meadow")
        states = []
        for _ in range(2):
            made.reset(seed=5)
            for number in range(4):
                if refused and number % 2:
                    with pytest.raises(InputError, match="4 finite numbers"):
                        made.step(action)
                observation, *_, info = made.step(np.full(4, 0.3, np.float32))
                states.append((info["state"], observation["image"].tobytes()))
        made.close()
        return states

    assert flown(refused=True) == flown(refused=False)


CALLS = {
    "step": lambda made: made.step(np.zeros(4, np.float32)),
    "render": lambda made: made.render(),
    "picture": lambda made: made.picture(),
    "flight": lambda made: made.flight(),
}


@pytest.mark.parametrize("call", CALLS)
def test_before_the_first_reset_there_is_no_flight(call):
    made = NavigationEnv(render_mode="rgb_array")
    with pytest.raises(ResetNeeded, match=f"no flight has begun: call reset before {call}$"):
        CALLS[call](made)
    made.reset(seed=0)
    CALLS[call](made)
    made.close()


@pytest.mark.parametrize("call", [*CALLS, "reset"])
@pytest.mark.parametrize("begun", [False, True])
def test_after_closing_there_is_one_sentence(call, begun):
    made = NavigationEnv(render_mode="rgb_array", camera=False)
    if begun:
        made.reset(seed=0)
    made.close()
    made.close()
    with pytest.raises(InputError, match=r"^this environment is closed: make another one$"):
        CALLS.get(call, lambda made: made.reset(seed=0))(made)


def test_after_a_reset_that_failed_there_is_no_flight(monkeypatch):
    made = NavigationEnv(camera=False)
    made.reset(seed=0)
    with monkeypatch.context() as patched:
        patched.setattr("navstack.envs.simulator.build_world", refuse)
        with pytest.raises(InputError, match="no room"):
            made.reset(seed=1)
    with pytest.raises(ResetNeeded):
        made.step(np.zeros(4, np.float32))
    made.reset(seed=1)
    made.step(np.zeros(4, np.float32))
    made.close()


def refuse(*arguments):
    raise InputError("no room")


@pytest.mark.parametrize(
    "wrong", [{"rate_hz": 0.0}, {"rate_hz": float("nan")}, {"drop_probability": 1.0}, {"jitter": -0.1}]
)
def test_impossible_frame_timings_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        FrameTiming(**wrong)


def test_an_unknown_reset_option_is_named():
    environment = NavigationEnv(camera=False)
    with pytest.raises(InputError, match="reset option 'anywere' is not known; there is 'anywhere'"):
        environment.reset(seed=0, options={"anywere": True})
    environment.reset(seed=0, options={"anywhere": True})
    environment.close()


def resident() -> float:
    """Memory of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


@pytest.mark.slow
def test_memory_stays_flat_over_two_thousand_resets():
    made = NavigationEnv(world="meadow")
    for seed in range(300):  # caches fill
        made.reset(seed=seed)
    before = resident()
    for seed in range(300, 2300):
        made.reset(seed=seed)
    made.close()
    assert resident() - before < 8.0  # MB: a sixtieth of what one texture kept from each world would be
