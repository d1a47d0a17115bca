"""gym-pybullet-drones beside us: for development only, in a Python of its own, as it is not on PyPI.

Set NAVSTACK_GYM_PYBULLET_DRONES to a Python interpreter that can import `gym_pybullet_drones`; without it,
this Python is tried.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import IO, Self

from navstack.contract import CameraSpec
from navstack.envs.navigation import NavigationEnv
from navstack.timing import FrameTiming

VARIABLE = "NAVSTACK_GYM_PYBULLET_DRONES"
RATE_HZ = 24.0
WIDTH, HEIGHT, VERTICAL_FOV = 64, 48, math.radians(60.0)
_HORIZONTAL_FOV = 2.0 * math.atan(math.tan(0.5 * VERTICAL_FOV) * WIDTH / HEIGHT)


@dataclass(frozen=True, slots=True)
class Environment:
    """One of its environments, as `program.py` makes it, and the least ratio that we promise."""

    name: str
    what: str
    camera: bool
    budget: float | None  # times its rate


ENVIRONMENTS = (
    Environment("HoverAviary RGB as it ships", "64x48 camera, 24 Hz over 240 Hz, plane and drone", True, 8.0),
    Environment("HoverAviary RGB without landmarks", "the same, beside a plane and a drone", True, None),
    Environment("velocity commands and drag, no camera", "24 Hz over 240 Hz, no camera", False, 5.0),
    Environment("rotor speeds, no drag, no camera", "the same, beside a bare body", False, None),
)


class Rival:
    """The other environments in their process; `start` raises RuntimeError that says why there is none."""

    def __init__(self, process: subprocess.Popen[str], answers: IO[str], questions: IO[str]) -> None:
        self._process, self._answers, self._questions = process, answers, questions

    @classmethod
    def start(cls) -> Self:
        """Start the other Python and wait until it has imported gym-pybullet-drones."""
        python = os.environ.get(VARIABLE)
        if python is None:
            if importlib.util.find_spec("gym_pybullet_drones") is None:
                raise RuntimeError(f"set {VARIABLE} to a Python that can import gym_pybullet_drones")
            python = sys.executable
        program = Path(__file__).with_name("program.py")
        try:
            process = subprocess.Popen(
                [python, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
        except OSError as error:
            raise RuntimeError(f"{VARIABLE} is {python}, which does not start ({error.strerror})") from error
        assert process.stdin
        assert process.stdout
        if process.stdout.readline() != "ready\n":
            said = process.communicate()[1].strip().splitlines() or ["it said nothing"]
            raise RuntimeError(f"{python} cannot run it ({said[-1][:200]})")
        return cls(process, process.stdout, process.stdin)

    def seconds(self, name: str, steps: int) -> list[float]:
        """CPU seconds of each of so many steps of the environment with this name."""
        print(json.dumps({"name": name, "steps": steps}), file=self._questions, flush=True)
        answer = self._answers.readline()
        if not answer:
            raise RuntimeError(f"gym-pybullet-drones ended in '{name}'")
        return [float(value) for value in json.loads(answer)]

    @staticmethod
    def same_work(camera: bool) -> NavigationEnv:
        """Ours: a plane, a drone and, where there is a camera, its picture; the target is out of view."""
        with resources.as_file(resources.files("navstack.envs.benchmark") / "plane.yaml") as world:
            return NavigationEnv(
                task="Search",
                world=world,
                timing=FrameTiming(rate_hz=RATE_HZ),
                camera=CameraSpec(HEIGHT, WIDTH, _HORIZONTAL_FOV) if camera else False,
            )

    def close(self) -> None:
        """End its process."""
        self._questions.close()
        self._process.wait()
