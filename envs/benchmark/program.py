"""Runs in the Python that has gym-pybullet-drones, and imports nothing of ours.

A line of JSON with the name of an environment and a number of steps comes in, the CPU seconds of each step go
out.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

RESET_AFTER = 100  # steps; its flights end after 192


def make(name: str) -> Any:
    """One of its environments, for 24 Hz control over 240 Hz physics."""
    from gym_pybullet_drones.envs.HoverAviary import HoverAviary
    from gym_pybullet_drones.utils.enums import ActionType, ObservationType, Physics

    class WithoutLandmarks(HoverAviary):  # type: ignore[misc]  # Any
        """A plane and one drone."""

        def _addObstacles(self) -> None:  # noqa: N802 (its name)
            pass

    rgb, kin, rpm, velocity = ObservationType.RGB, ObservationType.KIN, ActionType.RPM, ActionType.VEL
    kind, observation, action, physics = {
        "HoverAviary RGB as it ships": (HoverAviary, rgb, rpm, Physics.PYB),
        "HoverAviary RGB without landmarks": (WithoutLandmarks, rgb, rpm, Physics.PYB),
        "velocity commands and drag, no camera": (HoverAviary, kin, velocity, Physics.PYB_DRAG),
        "rotor speeds, no drag, no camera": (HoverAviary, kin, rpm, Physics.PYB),
    }[name]
    made = kind(obs=observation, act=action, physics=physics, pyb_freq=240, ctrl_freq=24)
    made.reset()
    return made


def main() -> None:
    """Answer until the other side closes."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what it prints about itself goes with the errors
    import gym_pybullet_drones  # noqa: F401
    import numpy as np

    made: dict[str, Any] = {}
    steps = 0
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        name = asked["name"]
        if name not in made:
            made[name] = make(name)
        environment = made[name]
        action, seconds = np.zeros(environment.action_space.shape, np.float32), []
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
