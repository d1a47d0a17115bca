#!/usr/bin/env python3
"""Reinforcement learning from the camera: PPO of stable-baselines3 on a task, from nothing.

usage: .venv/bin/python scripts/ppo.py [--env TASK] [--world NAME] [--steps N] [--seed N] [--figure FILE]

It shows that the environments are ordinary Gymnasium ones, nothing more: the policies that ship learn by
imitation. Flies the same seeds before and after, prints both mean returns with their 95% intervals, and fails
when the interval of the paired difference does not lie above zero. Needs the extras [sim,rl].
"""

from __future__ import annotations

import argparse
import json
import math
import sys
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
from stable_baselines3.common.torch_layers import CombinedExtractor

JUDGED_FROM = 7_700_000  # seed of the first flight that is judged
SMOOTHED = 20  # flights that a point of the figure's line averages
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
    made = gymnasium.make(f"navstack.envs:navstack/{task}-v0", world=world)
    return Monitor(RescaleAction(made, -1.0, 1.0))


def judged(model: PPO, task: str, world: str, flights: int) -> Floats:
    """(flights,) returns of the policy without its noise, the same seeds each time."""
    made = environment(task, world)
    returns = np.zeros(flights)
    for number in range(flights):
        observation, _ = made.reset(seed=JUDGED_FROM + number)
        over = False
        while not over:
            action, _ = model.predict(observation, deterministic=True)
            observation, reward, terminated, truncated, _ = made.step(action)
            returns[number] += float(reward)
            over = terminated or truncated
    made.close()
    return returns


def interval(values: Floats) -> tuple[float, float]:
    """Mean and half the width of its 95% interval (normal)."""
    return float(values.mean()), 1.96 * float(values.std(ddof=1)) / math.sqrt(len(values))


def drawn(flights: list[tuple[int, float]], before: Floats, after: Floats, title: str) -> Figure:
    """Returns in training over steps, and the flights that were judged before and after."""
    figure = Figure(figsize=(8.0, 3.4), dpi=110, layout="constrained")
    learning, judging = figure.subplots(1, 2, width_ratios=(3, 1), sharey=True)
    steps, returns = np.array(flights).T
    learning.scatter(steps, returns, s=5, color="0.75", label="a training flight")
    window = min(SMOOTHED, len(returns))
    mean = np.convolve(returns, np.full(window, 1.0 / window), mode="valid")
    learning.plot(steps[window - 1 :], mean, color="tab:blue", label=f"mean of {window}")
    learning.set(xlabel="environment steps", ylabel="return", title=title)
    learning.legend(loc="lower right", frameon=False)
    for place, values in enumerate((before, after)):
        mean_return, half = interval(values)
        judging.scatter(np.full(len(values), place), values, s=6, color="0.75")
        judging.errorbar(place, mean_return, half, fmt="o", color="tab:blue", capsize=4)
    judging.set_xticks((0, 1), ("before", "after"))
    judging.set(xlim=(-0.6, 1.6), title=f"{len(before)} flights, same seeds")
    return figure


def main() -> int:
    """Judge, learn, judge again; 0 when the return has risen."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--env", default="FlyToTarget", help="task (default %(default)s)")
    parser.add_argument("--world", default="meadow", help="to learn and be judged in (default %(default)s)")
    parser.add_argument("--steps", type=int, default=80_000, help="of training (default %(default)s)")
    parser.add_argument("--flights", type=int, default=20, help="that are judged (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of training (default %(default)s)")
    parser.add_argument("--figure", type=Path, default=Path("runs/ppo.png"), help="default %(default)s")
    given = parser.parse_args()
    given.figure.parent.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # small networks gain nothing from more
    model = PPO(
        "MultiInputPolicy", environment(given.env, given.world), seed=given.seed, device="cpu",
        n_steps=2048, batch_size=256, n_epochs=4, learning_rate=3e-4, gamma=0.98,
        policy_kwargs={"features_extractor_class": CombinedExtractor,
                       "features_extractor_kwargs": {"cnn_output_dim": 64}, "log_std_init": -0.5},
    )  # fmt: skip
    before = judged(model, given.env, given.world, given.flights)
    print("before: return {:.2f} +- {:.2f}".format(*interval(before)), flush=True)
    returns = Returns()
    model.learn(given.steps, returns)
    after = judged(model, given.env, given.world, given.flights)
    risen, half = interval(after - before)
    rows = {
        "before": interval(before), "after": interval(after), "risen": (risen, half), "flights": len(before),
        "steps": given.steps, "seed": given.seed, "training": returns.flights,
    }  # fmt: skip
    given.figure.with_suffix(".json").write_text(json.dumps(rows) + "\n")
    drawn(returns.flights, before, after, f"PPO, {given.env} in {given.world}").savefig(given.figure)
    print("after: return {:.2f} +- {:.2f}".format(*interval(after)))
    print(f"risen by {risen:.2f} +- {half:.2f} ({given.flights} pairs)")
    return 0 if risen - half > 0.0 else 1


if __name__ == "__main__":
    sys.exit(main())
