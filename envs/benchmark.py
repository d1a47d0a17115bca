"""`navstack bench env`: one environment step with camera against the bare PyBullet calls it cannot avoid."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from navstack.benchmarks import timing_row
from navstack.envs.navigation import NavigationEnv
from navstack.envs.physics import pybullet
from navstack.envs.simulator import PHYSICS_HZ
from navstack.envs.vehicle import GRAVITY

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
        ours.append(_seconds(lambda: environment.step(action)))
        floor.append(_seconds(lambda: _floor_step(environment)))
    environment.close()
    return timing_row(
        f"environment step with camera, {world}",
        statistics.median(ours),
        f"{SUBSTEPS} x (stepSimulation, pose, velocity, force, torque) + getCameraImage",
        statistics.median(floor),
        STEP_BUDGET,
    )


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _floor_step(environment: NavigationEnv) -> None:
    """What no environment with this physics rate and this camera can do without, on the same scene."""
    simulator = environment.simulator
    client, body, camera = simulator.client, simulator.vehicle.body, simulator.camera
    upward = (0.0, 0.0, GRAVITY * simulator.vehicle.airframe.mass)
    for _ in range(SUBSTEPS):
        position, _ = pybullet.getBasePositionAndOrientation(body, physicsClientId=client)
        pybullet.getBaseVelocity(body, physicsClientId=client)
        pybullet.applyExternalForce(body, -1, upward, position, pybullet.WORLD_FRAME, physicsClientId=client)
        pybullet.applyExternalTorque(body, -1, (0.0, 0.0, 0.0), pybullet.WORLD_FRAME, physicsClientId=client)
        pybullet.stepSimulation(client)
    camera.bare_image(simulator.vehicle.camera_position(), simulator.vehicle.orientation, simulator.scene)
