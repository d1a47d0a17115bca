"""`navstack bench env`: one environment step with camera against the bare PyBullet calls it cannot avoid."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from navstack.envs.navigation import NavigationEnv
from navstack.envs.physics import pybullet
from navstack.envs.simulator import PHYSICS_HZ

STEP_BUDGET = 1.3  # times the floor
REPEATS = 150
SUBSTEPS = PHYSICS_HZ // 20


def bench_env() -> list[dict[str, Any]]:
    """Rows for the default world and the densest one of the training library, each in one run, in turn."""
    return [_step_row("meadow"), _step_row("forest")]


def _step_row(world: str) -> dict[str, Any]:
    environment = NavigationEnv(world=world)
    environment.reset(seed=1)
    action = np.zeros(4, dtype=np.float32)
    ours: list[float] = []
    floor: list[float] = []
    for number in range(REPEATS):
        if number % 50 == 0:
            environment.reset(seed=1 + number)
        ours.append(_milliseconds(lambda: environment.step(action)))
        floor.append(_milliseconds(lambda: _floor_step(environment)))
    environment.close()
    value, reference = statistics.median(ours), statistics.median(floor)
    ratio = value / reference
    return {
        "what": f"environment step with camera, {world}",
        "value": value,
        "unit": "ms",
        "against": f"{SUBSTEPS} x (stepSimulation, pose, velocity, force, torque) + getCameraImage",
        "reference": reference,
        "ratio": ratio,
        "budget": STEP_BUDGET,
        "held": ratio <= STEP_BUDGET,
    }


def _milliseconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - started)


def _floor_step(environment: NavigationEnv) -> None:
    """What no environment with this physics rate and this camera can do without, on the same scene."""
    simulator = environment.simulator
    client, body, camera = simulator.client, simulator.vehicle.body, simulator.camera
    upward = (0.0, 0.0, 9.81 * simulator.vehicle.airframe.mass)
    for _ in range(SUBSTEPS):
        position, _ = pybullet.getBasePositionAndOrientation(body, physicsClientId=client)
        pybullet.getBaseVelocity(body, physicsClientId=client)
        pybullet.applyExternalForce(body, -1, upward, position, pybullet.WORLD_FRAME, physicsClientId=client)
        pybullet.applyExternalTorque(body, -1, (0.0, 0.0, 0.0), pybullet.WORLD_FRAME, physicsClientId=client)
        pybullet.stepSimulation(client)
    camera.bare_image(simulator.vehicle.camera_position(), simulator.vehicle.orientation, simulator.scene)
