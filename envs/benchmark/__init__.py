"""`navstack bench env`: speed and scale of the environments, each beside what it is measured against.

Durations of one process are its CPU time, which other programs on the machine disturb least; those of several
processes are the wall's. All that is compared is measured in the same run, in turn.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from navstack.benchmarks import Row, figure_row, limit_row, rate_row, skipped_row, timing_row
from navstack.envs.benchmark.rival import ENVIRONMENTS, Rival
from navstack.envs.compiled import COMPILED, backend
from navstack.envs.navigation import NavigationEnv
from navstack.envs.physics import pybullet
from navstack.envs.simulator import PHYSICS_HZ
from navstack.envs.vehicle import GRAVITY
from navstack.workers import Workers

STEP_BUDGET = 1.15  # times the floor
RESET_BUDGET = 0.05  # s
SHARE_BUDGET = 0.9  # of what n processes could do
DEFAULT_WORLD, DENSEST_WORLD = "meadow", "forest"  # of the training library
STEPS, RESETS, ROUNDS = 200, 40, 3
SUBSTEPS = PHYSICS_HZ // 20
FLIGHT = 150  # steps of a rollout, about as many as the expert's flights have

_STEPS = "import json; from navstack.envs.benchmark import step_rows; print(json.dumps(step_rows(None)))"
_FIRST = """
import time; started = time.perf_counter()
from navstack.envs.navigation import NavigationEnv
NavigationEnv().close(); print(time.perf_counter() - started)
"""


def bench_env() -> list[Row]:
    """Rows for steps, resets, processes, and gym-pybullet-drones beside us where it can be imported.

    The rows of steps say what computes the inner loops (`envs/compiled.py`); where that is Numba, others
    without a budget say what a step costs without it, and what the first environment of a process with it.
    """
    rows = step_rows(STEP_BUDGET)
    rows += _interpreted_rows() if COMPILED else []
    rows += [_reset_row(world) for world in (DEFAULT_WORLD, DENSEST_WORLD)]
    return [*rows, _rollout_row(os.cpu_count() or 1), *_rival_rows()]


def step_rows(budget: float | None) -> list[Row]:
    """A step with camera beside the calls that it cannot do without, in both worlds."""
    return [_step_row(world, budget) for world in (DEFAULT_WORLD, DENSEST_WORLD)]


def _interpreted_rows() -> list[Row]:
    """Steps in a process without Numba, and what it takes until an environment stands there with it."""
    rows: list[Row] = json.loads(_said(_STEPS, NUMBA_DISABLE_JIT="1"))
    with tempfile.TemporaryDirectory() as cache:
        for how in ("compiling", "from Numba's cache"):
            what = f"first environment of a process, {how}"
            rows.append(figure_row(what, float(_said(_FIRST, NUMBA_CACHE_DIR=cache)), "s"))
    rows.append(
        figure_row(
            "first environment of a process, without Numba", float(_said(_FIRST, NUMBA_DISABLE_JIT="1")), "s"
        )
    )
    return rows


def _said(code: str, **environment: str) -> str:
    """The last line that a new process prints."""
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)
    return ran.stdout.splitlines()[-1]


def _step_row(world: str, budget: float | None) -> Row:
    environment = NavigationEnv(world=world)
    action = np.zeros(4, dtype=np.float32)
    ours: list[float] = []
    floor: list[float] = []
    for number in range(STEPS):
        if number % 50 == 0:
            environment.reset(seed=1 + number)
        ours.append(_seconds(partial(environment.step, action)))
        floor.append(_seconds(partial(_floor_step, environment)))
    environment.close()
    return timing_row(
        f"environment step with camera, {world}, by {backend()}",
        statistics.median(ours),
        f"{SUBSTEPS} x (stepSimulation, pose, velocity, force, torque) + getCameraImage",
        statistics.median(floor),
        budget,
    )


def _floor_step(environment: NavigationEnv) -> None:
    """What no environment with this physics rate and this camera can do without, on the same scene."""
    simulator = environment.simulator
    client, body, camera = simulator.client, simulator.vehicle.body, simulator.camera
    upward = (0.0, 0.0, GRAVITY * simulator.vehicle.airframe.mass)
    for _ in range(SUBSTEPS):
        position, _ = pybullet.getBasePositionAndOrientation(body, client)
        pybullet.getBaseVelocity(body, client)
        pybullet.applyExternalForce(body, -1, upward, position, pybullet.WORLD_FRAME, client)
        pybullet.applyExternalTorque(body, -1, (0.0, 0.0, 0.0), pybullet.WORLD_FRAME, client)
        pybullet.stepSimulation(client)
    camera.bare_image(simulator.vehicle.camera_position(), simulator.vehicle.orientation, simulator.scene)


def _reset_row(world: str) -> Row:
    environment = NavigationEnv(world=world)
    environment.reset(seed=0)
    seconds = [_seconds(partial(environment.reset, seed=1 + number)) for number in range(RESETS)]
    environment.close()
    what = f"episode reset, {world}, median of {RESETS} worlds"
    return limit_row(what, 1e3 * statistics.median(seconds), "ms", 1e3 * RESET_BUDGET)


def _rollout_row(processes: int) -> Row:
    """Camera flights by the expert in one process and in several, by the wall's clock."""
    rates: dict[int, list[float]] = {1: [], processes: []}
    with Workers(max(2, processes)) as workers:
        fly = partial(_rollout, FLIGHT)
        list(workers.map(fly, range(2 * processes)))  # every process has imported what it needs
        for number in range(ROUNDS):
            seeds = range(100 * number, 100 * number + 4 * processes)
            for busy in rates:
                started = time.perf_counter()
                # one flight at a time keeps the pool's other processes idle
                batches = [[seed] for seed in seeds] if busy == 1 else [seeds]
                steps = sum(sum(workers.map(fly, batch)) for batch in batches)
                rates[busy].append(steps / (time.perf_counter() - started))
    many, one = statistics.median(rates[processes]), statistics.median(rates[1])
    what = f"rollouts with camera in {processes} processes"
    return rate_row(what, many, "in one process", one, SHARE_BUDGET * processes)


def _rollout(steps: int, seed: int) -> int:
    """Fly as the expert for so many steps, from a reset to the end of the flight or of the steps."""
    environment = NavigationEnv(world=DEFAULT_WORLD)
    with contextlib.closing(environment):
        _, info = environment.reset(seed=seed)
        for done in range(1, steps + 1):
            *_, terminated, truncated, info = environment.step(info["expert_command"])
            if terminated or truncated:
                return done
    return steps


def _rival_rows() -> list[Row]:
    try:
        rival = Rival.start()
    except RuntimeError as reason:
        return [skipped_row(each.what, f"gym-pybullet-drones: not run, {reason}") for each in ENVIRONMENTS]
    with contextlib.closing(rival):
        return [_rival_row(rival, each.what, each.name, each.camera, each.budget) for each in ENVIRONMENTS]


def _rival_row(rival: Rival, what: str, name: str, camera: bool, budget: float | None) -> Row:
    environment = rival.same_work(camera)
    action = np.zeros(4, dtype=np.float32)
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(10):
        environment.reset(seed=1 + number)
        ours += [_seconds(partial(environment.step, action)) for _ in range(20)]
        theirs += rival.seconds(name, 20)
    environment.close()
    rates = [1.0 / statistics.median(seconds) for seconds in (ours, theirs)]
    return rate_row(what, rates[0], f"gym-pybullet-drones, {name}", rates[1], budget)


def _seconds(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started
