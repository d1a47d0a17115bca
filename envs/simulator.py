"""One drone in one exact world: physics, rotors, camera and judge under one clock.

Time is counted in physics steps of 1/240 s and frames are taken at physics steps, so nothing here depends on
how long a computation took. Gymnasium (`navigation.py`) and the closed loop (`flight.py`) both stand on it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from navstack.contract import ZERO_COMMAND, CameraSpec, Image, Vector3, VehicleState, VelocityCommand
from navstack.envs.perturb import Perturbation, perturbed_timing
from navstack.envs.perturb.vehicle import PerturbedVehicle
from navstack.envs.perturb.view import PerturbedView
from navstack.envs.physics import pybullet
from navstack.envs.sensors import Camera, chase_view
from navstack.envs.stage import Stage
from navstack.envs.tasks.base import Expert, Judge, Paired, Scenario, Task
from navstack.envs.vehicle import GRAVITY, Airframe, Quadrotor
from navstack.envs.vehicle.dynamics import NO_FAULTS
from navstack.envs.worlds.build import build_world
from navstack.envs.worlds.scene import Scene
from navstack.envs.worlds.spec import WorldSpec
from navstack.results import COLLISION
from navstack.timing import FrameTiming

PHYSICS_HZ = 240
NEAR = 0.5  # m: nearer than this to any obstacle's bounding cylinder, contacts are looked up every step
FASTEST = 6.0  # m/s: no airframe moves faster than this, wind included
ROUNDING = 1e-9  # m, and more than that of any distance here


class Simulator:
    """Physics, camera and judge of one flight at a time. `close` releases the physics server."""

    def __init__(
        self,
        spec: WorldSpec,
        airframe: Airframe,
        task: Task,
        camera: CameraSpec,
        timing: FrameTiming,
        perturbations: Sequence[Perturbation] = (),
    ) -> None:
        self.spec, self.task, self.camera_spec = spec, task, camera
        self.perturbations = tuple(perturbations)
        self.timing = perturbed_timing(timing, self.perturbations)
        self.airframe = airframe
        self.outcome: str | None = None
        self.client: int = pybullet.connect(pybullet.DIRECT)
        self.vehicle = Quadrotor(self.client, self.airframe, PHYSICS_HZ)
        self.camera = Camera(self.client, self.camera_spec)

    @property
    def closed(self) -> bool:
        """Whether the physics server has been released."""
        return self.client < 0

    def close(self) -> None:
        """Disconnect from the physics server; harmless when already closed."""
        if not self.closed:
            pybullet.disconnect(self.client)
            self.client = -1

    def reset(
        self, rng: np.random.Generator, difficulty: float, anywhere: bool = False, mirrored: bool = False
    ) -> None:
        """Build the next exact world and put the vehicle at its start, at rest.

        `mirrored` takes the other flight of the pair, for a task that has pairs.
        """
        scenario_rng, world_rng, self._frame_rng, perturb_rng = rng.spawn(4)
        self.scenario: Scenario = self.task.scenario(self.spec, scenario_rng, difficulty, anywhere)
        if mirrored and isinstance(self.task, Paired):
            self.scenario = self.task.mirrored(self.scenario)
        pybullet.resetSimulation(physicsClientId=self.client)
        pybullet.setGravity(0.0, 0.0, -GRAVITY, physicsClientId=self.client)
        pybullet.setPhysicsEngineParameter(
            fixedTimeStep=1.0 / PHYSICS_HZ, numSubSteps=1, deterministicOverlappingPairs=1,
            enableFileCaching=0,  # or the server keeps the textures of every world that it has shown
            physicsClientId=self.client,
        )  # fmt: skip
        self.scene: Scene = build_world(self.client, self.spec, self.scenario.layout, world_rng)
        drawn = list(zip(self.perturbations, perturb_rng.spawn(len(self.perturbations)), strict=True))
        self._place()
        self._perturb_view(drawn)
        self._air = PerturbedVehicle(drawn, 1.0 / PHYSICS_HZ) if drawn else None
        self.vehicle.spawn(self._start_enu, self.scenario.yaw, self._air.faults if self._air else NO_FAULTS)
        roles = self.task.roles(self.scenario)
        self.judge: Judge = roles.judge
        self.expert: Expert = roles.expert
        self._scenery = roles.scenery
        if self._scenery is not None:
            self._stage = Stage(self.client, self.scene, self._tops, self.scenario.layout, self.vehicle)
            self._scenery.act(0.0, self._stage)
        self.steps = 0
        self.command = ZERO_COMMAND
        self.outcome = None
        self.clearance = math.inf
        self._gap, self._gap_from = -math.inf, self._start_enu  # m, to the obstacles; where it was measured
        self._next_frame_time = 0.0
        self.next_frame_step = 0
        self.next_frame_arrives = True  # the first always does

    @property
    def time(self) -> float:
        """Seconds since the flight began."""
        return self.steps / PHYSICS_HZ

    def state(self) -> VehicleState:
        """The true state of the vehicle; on slopes with its height above the ground below."""
        state = self.vehicle.state(self.time)
        if self.scene.slopes is None:
            return state
        return replace(state, height=self.above_ground(state.position_enu)[2])

    def above_ground(self, position_enu: Vector3) -> Vector3:
        """The same place with its height above the local ground, as tasks, judges and experts count it."""
        slopes = self.scene.slopes
        if slopes is None:
            return position_enu
        x, y, z = position_enu
        return x, y, z - slopes(x, y)

    def expert_command(self, state: VehicleState | None = None) -> VelocityCommand:
        """What the expert would fly from the true state, which whoever has it already may give."""
        state = state or self.state()
        if self.scene.slopes is not None:
            state = replace(state, position_enu=self.above_ground(state.position_enu))
        return self.expert.command(state)

    def capture(self) -> Image:
        """The camera's picture of this instant: (H, W, 3) uint8 RGB, a fresh array."""
        vehicle, view = self.vehicle, self._view
        if view is None:
            return self.camera.render(vehicle.camera_position(), vehicle.orientation, self.scene)
        image = self._camera.render(
            vehicle.camera_position(), view.orientation(vehicle.orientation), self.scene
        )
        return view.picture(image, vehicle.body_rates())

    def _place(self) -> None:
        """Put what the task drew over flat ground onto the world's."""
        (x, y, height), scene = self.scenario.position_enu, self.scene
        self._start_enu = (x, y, height + scene.ground_height(x, y))
        self._tops = scene.obstacles[:, 3]
        if scene.slopes is not None:
            self._tops = self._tops + scene.slopes.terrain.at(scene.obstacles[:, 0], scene.obstacles[:, 1])

    def chase_view(self, width: int = 640, height: int = 360) -> Image:
        """The drone and where it is flying to, from behind and above: (height, width, 3) uint8 RGB."""
        vehicle = self.vehicle
        with vehicle.shown():
            return chase_view(self.client, vehicle.position, vehicle.heading, self.scene, width, height)

    def _perturb_view(self, drawn: list[tuple[Perturbation, np.random.Generator]]) -> None:
        self._view, self._camera = None, self.camera
        if drawn:
            self._view = PerturbedView(drawn, self.camera_spec)
            self.scene = self._view.scene(self.scene)
            if self._view.spec != self.camera_spec:
                self._camera = Camera(self.client, self._view.spec)

    def schedule_frame(self) -> None:
        """Move on to the camera's next frame: when it is taken and whether it will arrive."""
        timing, rng = self.timing, self._frame_rng
        interval = 1.0 / timing.rate_hz
        if timing.jitter:
            interval *= 1.0 + timing.jitter * rng.uniform(-1.0, 1.0)
        self._next_frame_time += interval
        self.next_frame_step = max(self.next_frame_step + 1, round(self._next_frame_time * PHYSICS_HZ))
        dropped = timing.drop_probability and rng.random() < timing.drop_probability
        self.next_frame_arrives = not dropped

    def advance(self, until_step: int) -> None:
        """Fly the current command until this physics step, or until the flight is decided."""
        chunk = PHYSICS_HZ // 10
        while self.steps < until_step and self.outcome is None:
            self._advance_chunk(min(until_step, self.steps + chunk))

    def _advance_chunk(self, until_step: int) -> None:
        """At most 0.1 s: contacts need looking up only where one could happen within it."""
        vehicle, judge, command, wind = self.vehicle, self.judge, self.command, self.scene.wind_enu
        client, step, near = self.client, pybullet.stepSimulation, self._near_anything(until_step)
        actuate, read, decide = vehicle.actuate, vehicle.read, judge.update
        air, slopes, scenery = self._air, self.scene.slopes, self._scenery
        if air is not None:
            air.prepare(self.above_ground(vehicle.position)[2], vehicle.velocity, wind)
        for number in range(self.steps + 1, until_step + 1):
            if air is not None:
                wind, vehicle.velocity_error = air.wind(self.scene.wind_enu), air.velocity_error()
            if scenery is not None:
                command = scenery.act(number / PHYSICS_HZ, self._stage) or self.command
            actuate(command, wind)
            step(client)
            read()
            self.steps = number
            if near and pybullet.getContactPoints(vehicle.body, physicsClientId=client):
                self.clearance = 0.0
                self.outcome = COLLISION
                return
            position = vehicle.position
            if slopes is not None:
                x, y, z = position
                position = (x, y, z - slopes(x, y))
            outcome = decide(number / PHYSICS_HZ, position, vehicle.velocity, vehicle.heading)
            if outcome is not None:
                self.outcome = outcome
                return

    def _near_anything(self, until_step: int) -> bool:
        x, y, z = self.vehicle.position
        fastest = FASTEST if self._scenery is None else FASTEST + Stage.FASTEST
        reach = NEAR + fastest * (until_step - self.steps) / PHYSICS_HZ
        slopes = self.scene.slopes
        below = z if slopes is None else (z - slopes(x, y)) / slopes.steepness
        self.clearance = min(self.clearance, below)
        # Where nothing else moves, a gap shrinks by no more than the vehicle moved since it was measured.
        least = self._gap - math.dist(self.vehicle.position, self._gap_from) - ROUNDING
        if least < reach or least < self.clearance:
            self._gap, self._gap_from = self._gap_to_obstacles(x, y, z), self.vehicle.position
            self.clearance = min(self.clearance, self._gap)
            least = self._gap
        if self._scenery is not None:
            self._gap = -math.inf
        return min(least, below) < reach

    def _gap_to_obstacles(self, x: float, y: float, z: float) -> float:
        if not len(self._tops):
            return math.inf
        obstacles = self.scene.obstacles
        gaps = np.hypot(obstacles[:, 0] - x, obstacles[:, 1] - y) - obstacles[:, 2]
        return float(np.minimum.reduce(np.maximum(gaps, z - self._tops)))
