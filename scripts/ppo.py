#!/usr/bin/env python3
"""Reinforcement learning from the camera: PPO of stable-baselines3 on a task, from nothing.

usage: .venv/bin/python scripts/ppo.py [--env TASK] [--world NAME] [--steps N] [--seed N] [--figure FILE]

It shows that the environments are ordinary Gymnasium ones, nothing more: the policies that ship learn by
imitation. Flies the same seeds before and after, and once more after with black pictures, which says how much
of it is done by sight. Prints the mean returns, the task's own, with their 95% intervals, and fails when the
interval of the paired difference does not lie above zero. Needs the extras [sim,rl].

The camera takes 5 small pictures a second: a command that is held for 0.2 s moves the vehicle, where the
noise of 20 a second averages out, and a minute of learning sees four times as many flights.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from functools import partial
from pathlib import Path

import gymnasium
import numpy as np
import numpy.typing as npt
import torch
from gymnasium.wrappers import RescaleAction
from matplotlib.figure import Figure
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from navstack.contract import CameraSpec
from navstack.errors import exit_status
from navstack.timing import FrameTiming

JUDGED_FROM = 7_700_000  # seed of the first flight that is judged
SMOOTHED = 10  # flights that a point of the figure's line averages
CAMERA, RATE_HZ = CameraSpec(height=48, width=64), 5.0
TOGETHER = 8  # environments in this process: as many different flights in every update
GAMMA = 0.97  # a horizon of 7 s
STEPS = 4096  # a minute of one core
LEARNING_RATE = 5e-4  # at the beginning; falls to zero
Floats = npt.NDArray[np.float64]


class Returns(BaseCallback):
    """Keeps step and return of every flight that ends, and says how far training is."""

    def __init__(self) -> None:
        super().__init__()
        self.flights: list[tuple[int, float]] = []

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                self.flights.append((self.num_timesteps, float(info["episode"]["r"])))
        return True

    def _on_rollout_end(self) -> None:
        recent = [value for _, value in self.flights[-SMOOTHED:]]
        mean = f"{np.mean(recent):.2f}" if recent else "none yet"
        print(f"{self.num_timesteps} steps, {len(self.flights)} flights, recent return {mean}", flush=True)


def environment(task: str, world: str) -> Monitor:  # type: ignore[type-arg]
    """The task as PPO wants it: actions from -1 to 1, returns recorded."""
    made = gymnasium.make(
        f"navstack.envs:navstack/{task}-v0", world=world, camera=CAMERA, timing=FrameTiming(rate_hz=RATE_HZ)
    )
    return Monitor(RescaleAction(made, np.float32(-1.0), np.float32(1.0)))


def learner(task: str, world: str, seed: int) -> PPO:
    """PPO at its beginning. Rewards are scaled by the spread of the returns: the end's +-10 would drown."""
    together = DummyVecEnv([lambda: environment(task, world)] * TOGETHER)
    return PPO(
        "MultiInputPolicy", VecNormalize(together, norm_obs=False, gamma=GAMMA), seed=seed, device="cpu",
        n_steps=128, batch_size=256, n_epochs=4, learning_rate=lambda left: LEARNING_RATE * left, gamma=GAMMA,
        policy_kwargs={"features_extractor_kwargs": {"cnn_output_dim": 64}, "log_std_init": -1.0},
    )  # fmt: skip


def judged(model: PPO, task: str, world: str, flights: int, blind: bool = False) -> Floats:
    """(flights,) returns of the policy without its noise, the same seeds each time; blind: black pictures."""
    made = environment(task, world)
    returns = np.zeros(flights)
    for number in range(flights):
        observation, _ = made.reset(seed=JUDGED_FROM + number)
        over = False
        while not over:
            if blind:
                observation["image"] = np.zeros_like(observation["image"])
            action, _ = model.predict(observation, deterministic=True)
            observation, reward, terminated, truncated, _ = made.step(action)
            returns[number] += float(reward)
            over = terminated or truncated
    made.close()
    return returns


def interval(values: Floats) -> tuple[float, float]:
    """Mean and half the width of its 95% interval (normal)."""
    return float(values.mean()), 1.96 * float(values.std(ddof=1)) / math.sqrt(len(values))


def drawn(flights: list[tuple[int, float]], judgements: dict[str, Floats], title: str) -> Figure:
    """Returns in training over steps, and the flights that were judged, by when."""
    figure = Figure(figsize=(8.0, 3.4), dpi=110, layout="constrained")
    learning, judging = figure.subplots(1, 2, width_ratios=(5, 3), sharey=True)
    steps, returns = np.array(flights).T
    learning.scatter(steps, returns, s=5, color="0.75", label="a training flight")
    window = min(SMOOTHED, len(returns))
    mean = np.convolve(returns, np.full(window, 1.0 / window), mode="valid")
    learning.plot(steps[window - 1 :], mean, color="tab:blue", label=f"mean of {window}")
    learning.set(xlabel="environment steps", ylabel="return", title=title)
    learning.legend(loc="lower right")
    for place, values in enumerate(judgements.values()):
        mean_return, half = interval(values)
        judging.scatter(np.full(len(values), place), values, s=6, color="0.75")
        judging.errorbar(place, mean_return, half, fmt="o", color="tab:blue", capsize=4)
    judging.set_xticks(range(len(judgements)), judgements)
    number = len(next(iter(judgements.values())))
    judging.set(xlim=(-0.6, len(judgements) - 0.4), title=f"{number} flights, same seeds")
    return figure


def main() -> int:
    """Judge, learn, judge again; 0 when the return has risen."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--env", default="FlyToTarget", help="task (default %(default)s)")
    parser.add_argument("--world", default="meadow", help="to learn and be judged in (default %(default)s)")
    parser.add_argument("--steps", type=int, default=STEPS, help="of training (default %(default)s)")
    parser.add_argument("--flights", type=int, default=12, help="that are judged (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of training (default %(default)s)")
    parser.add_argument("--figure", type=Path, default=Path("runs/ppo.png"), help="default %(default)s")
    given = parser.parse_args()
    given.figure.parent.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # small networks gain nothing from more
    model, returns = learner(given.env, given.world, given.seed), Returns()
    judge = partial(judged, model, given.env, given.world, given.flights)
    judgements = {"before": judge()}
    print("before: return {:.2f} +- {:.2f}".format(*interval(judgements["before"])), flush=True)
    model.learn(given.steps, returns)
    judgements |= {"after": judge(), "after,\nblind": judge(blind=True)}
    risen, half = interval(judgements["after"] - judgements["before"])
    rows = {
        **{name.replace("\n", " "): interval(values) for name, values in judgements.items()},
        "risen": (risen, half), "flights": given.flights, "steps": given.steps, "seed": given.seed,
        "judged": {name.replace("\n", " "): values.tolist() for name, values in judgements.items()},
        "training": returns.flights,
    }  # fmt: skip
    given.figure.with_suffix(".json").write_text(json.dumps(rows) + "\n")
    drawn(returns.flights, judgements, f"PPO, {given.env} in {given.world}").savefig(given.figure)
    print("after: return {:.2f} +- {:.2f}".format(*interval(judgements["after"])))
    print("after, pictures black: return {:.2f} +- {:.2f}".format(*interval(judgements["after,\nblind"])))
    print(f"risen by {risen:.2f} +- {half:.2f} ({given.flights} pairs)")
    return 0 if risen - half > 0.0 else 1


if __name__ == "__main__":
    sys.exit(exit_status(main))
