"""The simulated vehicle under an autopilot: it also stands on the ground, takes off and lands.

The simulator knows flight and collision. Ground is added here: what sinks slowly onto it stands, and physics
rests until it takes off again; what hits it or anything else has crashed. The task's judge begins to count
when the companion first flies, so that waiting for a pilot costs nobody the flight.
"""

from __future__ import annotations

from navstack.contract import ZERO_COMMAND, CameraSpec, Frame, Vector3, VehicleState, VelocityCommand
from navstack.envs.navigation import NavigationEnv
from navstack.envs.physics import pybullet
from navstack.envs.simulator import PHYSICS_HZ
from navstack.envs.tasks.base import Judge

STANDING = 0.15  # m: height of the body's centre when it stands
TOUCHDOWN = 1.0  # m/s: sinking faster is a crash
LOW = 1.5  # m: below, the ground is looked for every few steps
FEW = 4  # physics steps


class _Later:
    """The task's judge, counting from when the task begins, and without ending the simulation."""

    def __init__(self, judge: Judge) -> None:
        self._judge, self.began, self.outcome, self.decided = judge, None, None, None

    began: float | None
    outcome: str | None
    decided: float | None

    def update(self, time: float, position: Vector3, velocity: Vector3, yaw: float) -> str | None:
        if self.began is not None and self.outcome is None:
            self.outcome = self._judge.update(time - self.began, position, velocity, yaw)
            self.decided = None if self.outcome is None else time
        return None

    @property
    def target_enu(self) -> Vector3:
        return self._judge.target_enu

    def remaining(self, position: Vector3) -> float:
        return self._judge.remaining(position)

    def report(self) -> dict[str, float]:
        return self._judge.report()


class SitlBody:
    """One vehicle in one exact world, advanced by whoever owns the clock.

    Args:
        environment: whose world, camera and task they are; it is reset.
        seed: of the exact world.
        on_ground: begin standing below the task's start instead of hovering there.
    """

    def __init__(self, environment: NavigationEnv, seed: int, on_ground: bool = False) -> None:
        environment.reset(seed=seed)
        self._environment, self.simulator = environment, environment.simulator
        self._judge = _Later(self.simulator.judge)
        self.simulator.judge = self._judge
        self.landed = False
        self._picture_due = True
        if on_ground:
            self._stand()

    @property
    def camera(self) -> CameraSpec:
        """What the camera is."""
        return self.simulator.camera_spec

    @property
    def crashed(self) -> bool:
        """Whether it touched anything but the ground on landing."""
        return self.simulator.outcome is not None

    @property
    def outcome(self) -> str | None:
        """How the task ended: the collision's word, or the judge's; None while it goes on."""
        return self.simulator.outcome or self._judge.outcome

    @property
    def task_seconds(self) -> float | None:
        """How long the task took; None before its end."""
        if self._judge.began is None or self.outcome is None:
            return None
        return (self._judge.decided or self.now()) - self._judge.began

    def begin_task(self) -> None:
        """The companion flies: the task's time begins, once."""
        if self._judge.began is None:
            self._judge.began = self.now()

    def ground(self) -> float:
        """Height (m, ENU) of the ground below the vehicle."""
        position = self.simulator.vehicle.position
        return position[2] - self.simulator.above_ground(position)[2]

    def now(self) -> float:
        """s of simulated time."""
        return self.simulator.time

    def state(self) -> VehicleState:
        """The true state."""
        return self.simulator.state()

    def lift(self) -> None:
        """Leave the ground: physics goes on from standing."""
        self.landed = False

    def advance(self, until: float, command: VelocityCommand) -> list[Frame]:
        """Fly this command until then (s); the camera's frames that were taken on the way."""
        simulator, frames = self.simulator, []
        target = round(until * PHYSICS_HZ)
        simulator.command = command
        while simulator.steps < target and not self.crashed:
            due = min(target, max(simulator.next_frame_step, simulator.steps + 1))
            self._advance(due)
            if simulator.steps >= simulator.next_frame_step:
                arrives = simulator.next_frame_arrives
                simulator.schedule_frame()
                if arrives:
                    frames.append(Frame(self._environment.picture(), simulator.time))
        if self.crashed and simulator.steps < target:
            simulator.steps = target  # time goes on over the wreck
        return frames

    def _advance(self, until_step: int) -> None:
        simulator = self.simulator
        while simulator.steps < until_step and not self.crashed:
            if self.landed:
                simulator.steps = until_step
                return
            vehicle = simulator.vehicle
            low = simulator.above_ground(vehicle.position)[2] < LOW
            simulator.advance(min(until_step, simulator.steps + FEW) if low else until_step)
            sinking = -vehicle.velocity[2]
            touches = simulator.above_ground(vehicle.position)[2] < STANDING + 0.02
            if touches and 0.0 < sinking < TOUCHDOWN and not self.crashed:
                self._stand()

    def _stand(self) -> None:
        """Put it down below here, upright and at rest."""
        vehicle, client = self.simulator.vehicle, self.simulator.client
        position, yaw = (*vehicle.position[:2], self.ground() + STANDING), vehicle.heading
        upright = pybullet.getQuaternionFromEuler((0.0, 0.0, yaw))
        pybullet.resetBasePositionAndOrientation(vehicle.body, position, upright, physicsClientId=client)
        pybullet.resetBaseVelocity(vehicle.body, (0.0,) * 3, (0.0,) * 3, physicsClientId=client)
        vehicle.read()
        self.simulator.command = ZERO_COMMAND
        self.landed = True
