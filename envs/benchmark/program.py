"""Runs in the Python that has gym-pybullet-drones, and imports nothing of ours.

A line of JSON with the name of an environment and a number of steps comes in, the CPU seconds of each step go out.
"""

from __future__ import annotations

import json
import os
import sys
import time

RESET_AFTER = 100  # steps; its flights end after 192
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what it prints about itself goes with the errors

import numpy as np  # noqa: E402
from gym_pybullet_drones.envs.HoverAviary import HoverAviary  # noqa: E402
from gym_pybullet_drones.utils.enums import ActionType, ObservationType, Physics  # noqa: E402


class WithoutLandmarks(HoverAviary):
    """A plane and one drone."""

    def _addObstacles(self) -> None:  # noqa: N802 (its name)
        pass


MAKE = {
    "HoverAviary RGB as it ships": (HoverAviary, ObservationType.RGB, ActionType.RPM, Physics.PYB),
    "HoverAviary RGB without landmarks": (WithoutLandmarks, ObservationType.RGB, ActionType.RPM, Physics.PYB),
    "velocity commands and drag, no camera": (
        HoverAviary, ObservationType.KIN, ActionType.VEL, Physics.PYB_DRAG,
    ),
    "rotor speeds, no drag, no camera": (HoverAviary, ObservationType.KIN, ActionType.RPM, Physics.PYB),
}  # fmt: skip


def main() -> None:
    """Answer until the other side closes."""
    made, steps = {}, 0
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        name = asked["name"]
        if name not in made:
            kind, observation, action, physics = MAKE[name]
            made[name] = kind(obs=observation, act=action, physics=physics, pyb_freq=240, ctrl_freq=24)
            made[name].reset()
        environment, seconds = made[name], []
        action = np.zeros(environment.action_space.shape, np.float32)
        for _ in range(asked["steps"]):
            started = time.process_time()
            environment.step(action)
            seconds.append(time.process_time() - started)
            steps += 1
            if steps % RESET_AFTER == 0:
                environment.reset()
        print(json.dumps(seconds), file=answers, flush=True)


if __name__ == "__main__":
    main()
