#!/usr/bin/env python3
"""Record open-loop manoeuvres of rotorpy's Hummingbird for tests/envs/test_rotorpy.py.

rotorpy brings scipy and plotting, too much for a test's dependency, so its answer is kept in a file. To
record it anew (the file changes only in the last digits): pip install rotorpy==3.0.0 && python
scripts/record_rotorpy.py
"""

from __future__ import annotations

import json
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from rotorpy.vehicles.hummingbird_params import quad_params
from rotorpy.vehicles.multirotor import Multirotor

OUT = Path(__file__).parents[1] / "tests" / "envs" / "data" / "rotorpy_hummingbird.json"
HZ = 240  # commands are held for one physics step
EVERY = 12  # steps between two recorded states
MOTOR_LAG = 0.03  # s, as in hummingbird.yaml; rotorpy's 0.005 s is below what a physics step resolves
HOVER = 469.2  # rad/s

Speeds = tuple[float, float, float, float]  # rad/s, of rotors front left, front right, back right, back left


def tumble(step: int) -> Speeds:
    """Doublets in roll, pitch and yaw on top of a little more than hover."""
    base, time = 1.03 * HOVER, step / HZ
    roll = 8.0 if 0.1 <= time < 0.2 else -8.0 if 0.2 <= time < 0.28 else 0.0
    pitch = 10.0 if 0.4 <= time < 0.5 else -10.0 if 0.5 <= time < 0.62 else 0.0
    yaw = 40.0 if 0.7 <= time < 1.0 else 0.0
    return (
        base + roll - pitch + yaw,
        base - roll - pitch - yaw,
        base - roll + pitch + yaw,
        base + roll + pitch - yaw,
    )


def glide(step: int) -> Speeds:
    """Four equal rotors, a little less than hover."""
    return (0.95 * HOVER,) * 4


START: dict[str, Any] = {
    "x": [0.0, 0.0, 20.0],
    "v": [0.0, 0.0, 0.0],
    "q": [0.0, 0.0, 0.0, 1.0],
    "w": [0.0, 0.0, 0.0],
    "wind": [0.0, 0.0, 0.0],
    "rotor_speeds": [HOVER] * 4,
}
TILTED: dict[str, Any] = START | {
    "v": [3.0, -1.0, 0.5],
    "q": [0.12, 0.2, 0.3, float(np.sqrt(1.0 - 0.12**2 - 0.2**2 - 0.3**2))],
    "wind": [-1.0, 2.0, 0.3],
}
MANOEUVRES: dict[str, dict[str, Any]] = {
    "rigid body": {"speeds": tumble, "start": START, "steps": 360, "aero": False, "without": ()},
    "drag": {"speeds": glide, "start": TILTED, "steps": 480, "aero": True, "without": ("k_h",)},
    "everything": {"speeds": tumble, "start": START, "steps": 360, "aero": True, "without": ()},
}


def fly(name: str) -> dict[str, Any]:
    """Fly one manoeuvre in rotorpy: what was commanded and what came of it."""
    manoeuvre = MANOEUVRES[name]
    parameters = quad_params | {"tau_m": MOTOR_LAG} | dict.fromkeys(manoeuvre["without"], 0.0)
    model = Multirotor(
        parameters, aero=manoeuvre["aero"], integrator_kwargs={"method": "RK45", "rtol": 1e-9, "atol": 1e-9}
    )
    state = {key: np.array(value, dtype=float) for key, value in manoeuvre["start"].items()}
    commands = [manoeuvre["speeds"](step) for step in range(manoeuvre["steps"])]
    states = []
    for step, command in enumerate(commands, 1):
        state = model.step(state, {"cmd_motor_speeds": np.array(command)}, 1.0 / HZ)
        if step % EVERY == 0:
            states.append(
                {"step": step} | {key: np.round(state[key], 6).tolist() for key in ("x", "v", "q", "w")}
            )
    return {
        "start": manoeuvre["start"],
        "aero": manoeuvre["aero"],
        "without": list(manoeuvre["without"]),
        "commands": [[len(list(group)), *speeds] for speeds, group in groupby(commands)],  # run lengths
        "states": states,
    }


def main() -> None:
    """Write the recording."""
    record = {
        "source": f"rotorpy {version('rotorpy')}, vehicles.multirotor.Multirotor, hummingbird_params",
        "hz": HZ,
        "motor_lag": MOTOR_LAG,
        "manoeuvres": {name: fly(name) for name in MANOEUVRES},
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(record) + "\n")
    print(OUT)


if __name__ == "__main__":
    main()
