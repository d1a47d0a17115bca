"""Flights to learn from, and flights to choose by: both through the one closed loop.

Nothing here imports torch: a learner is flown as it will be flown for ever after, as an exported file. Every
flight is a pure function of its job, whichever process flies it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import gymnasium
import numpy as np
import numpy.typing as npt

from navstack.card import EXPERT_CARD
from navstack.contract import Frame, Image, PolicyCard, VehicleState, VelocityCommand
from navstack.episodes import Episode, EpisodeFacts, save_episode
from navstack.flight import Policy, Tick, fly
from navstack.options import parse_options
from navstack.policies.imitation.config import CollectConfig, TrainConfig
from navstack.policies.imitation.streams import COLLECT, DEV, generator, integer
from navstack.policy import OnnxPolicy
from navstack.safety import guard_for
from navstack.timing import FrameTiming

PHYSICS_HZ = 240  # frame intervals are drawn in whole physics steps
CUT_OFF = "cut off"  # outcome of a flight that was ended before the judge decided


class Flight(Protocol):
    """What `env.unwrapped.flight()` returns: clock, camera, vehicle and judge of one simulated flight."""

    @property
    def finished(self) -> bool:
        """Whether the judge has decided."""
        ...

    @property
    def outcome(self) -> str | None:
        """How the flight ended."""
        ...

    def now(self) -> float:
        """Seconds since the flight began."""
        ...

    def wait(self, deadline: float) -> Frame | None:
        """The next frame, or None at the deadline."""
        ...

    def state(self) -> VehicleState:
        """The true state."""
        ...

    def send(self, command: VelocityCommand) -> None:
        """Fly this velocity until the next command."""
        ...

    def expert_command(self) -> VelocityCommand:
        """What the expert would fly from the true state."""
        ...


class Disturbance:
    """Slow noise and short bursts on the command: what makes demonstrations show recoveries.

    After Laskey et al. 2017, "DART: Noise Injection for Robust Imitation Learning". The noise is an
    Ornstein-Uhlenbeck process in units of the limits, discretised exactly, so its statistics do not depend on
    the frame rate.
    """

    def __init__(
        self, config: CollectConfig, limits: npt.NDArray[np.float64], rng: np.random.Generator
    ) -> None:
        self._config, self._limits, self._rng = config, limits, rng
        self._noise = rng.normal(0.0, config.sway, 4)
        self._kick = np.zeros(4)
        self._kicked = np.zeros(4, dtype=bool)  # components of the command that the kick replaces
        self._kick_left = 0.0  # s
        self._calm_in = rng.uniform(*config.calm_after)  # s

    def apply(self, command: npt.NDArray[np.float64], dt: float) -> npt.NDArray[np.float64]:
        """The command (4,) as it is flown, `dt` seconds after the one before."""
        config, rng = self._config, self._rng
        self._calm_in -= dt
        if self._calm_in <= 0.0:
            return command
        keep = math.exp(-dt / config.sway_time)
        self._noise = keep * self._noise + rng.normal(0.0, config.sway * math.sqrt(1.0 - keep * keep), 4)
        self._kick_left -= dt
        if self._kick_left <= 0.0:
            self._kicked[:] = False
            if rng.random() < 1.0 - math.exp(-config.kicks_per_second * dt):
                self._draw_kick()
        flown = np.where(self._kicked, self._kick, command + self._noise * self._limits)
        return np.clip(flown, -self._limits, self._limits)

    def _draw_kick(self) -> None:
        config, rng = self._config, self._rng
        if rng.random() < config.overrun:  # ahead, while the rest of the command keeps the target in sight
            self._kick, self._kicked[0] = self._limits, True
            self._kick_left = rng.exponential(config.overrun_time)
        else:
            self._kick, self._kicked[:] = rng.uniform(-1.0, 1.0, 4) * self._limits, True
            self._kick_left = rng.exponential(config.kick_time)


class Demonstration:
    """Flies as expert, learner or a mixture of both, and notes what the expert would have done.

    Implements `navstack.flight.Policy`. The learner, where there is one, sees every frame, so that its state
    is right when it takes over.
    """

    def __init__(
        self, job: CollectJob, flight: Flight, learner: OnnxPolicy | None, rng: np.random.Generator
    ) -> None:
        self._job, self._flight, self._learner, self._rng = job, flight, learner, rng
        self._limits = self.card.limits.as_array().astype(np.float64)
        disturbed = learner is None or rng.random() < job.config.disturbed
        self._disturbance = Disturbance(job.config, self._limits, rng) if disturbed else None
        self._segment_left = 0.0  # s
        self._expert_flies = True
        self.rows: list[tuple[Image, float, VelocityCommand, VehicleState]] = []

    @property
    def card(self) -> PolicyCard:
        """The learner's card, or the expert's."""
        return EXPERT_CARD if self._learner is None else self._learner.card

    def reset(self) -> None:
        """Forget every frame."""
        if self._learner is not None:
            self._learner.reset()

    def step(self, image: Image, dt: float) -> VelocityCommand:
        """Note the expert's command for this frame, and answer what is to be flown."""
        label = self._flight.expert_command()
        self.rows.append((image, dt, label, self._flight.state()))
        command = label if self._learner is None else self._mixture(self._learner.step(image, dt), label, dt)
        if self._disturbance is None:
            return command
        return VelocityCommand.from_array(self._disturbance.apply(_array(command), dt))

    def _mixture(self, command: VelocityCommand, label: VelocityCommand, dt: float) -> VelocityCommand:
        """The learner's command or the expert's, in segments of random length."""
        self._segment_left -= dt
        if self._segment_left <= 0.0:
            self._segment_left = self._rng.exponential(self._job.config.segment_time)
            self._expert_flies = self._rng.random() < self._job.expert_share
        return label if self._expert_flies else command


def _array(command: VelocityCommand) -> npt.NDArray[np.float64]:
    return np.array((command.forward, command.left, command.up, command.yaw_rate))


@dataclass(frozen=True, slots=True)
class CollectJob:
    """One episode to fly and keep."""

    folder: Path
    config: CollectConfig
    round: int
    index: int
    policy: str | None = None  # path of the learner; None: the expert flies
    expert_share: float = 1.0  # of the segments that the expert flies beside a learner


def collect_episode(job: CollectJob) -> tuple[EpisodeFacts, int]:
    """Fly one episode and write it. Returns its facts and number of frames. Raises InputError (disk full)."""
    config, key = job.config, (job.round, job.index)
    rng = generator(config.seed, COLLECT, *key)
    seed = integer(config.seed, COLLECT, *key)
    world = config.worlds[job.index % len(config.worlds)]
    env = make_env(config, world, "train", draw_timing(config, rng))
    try:
        anywhere = bool(rng.random() < config.anywhere)
        env.reset(seed=seed, options={"anywhere": anywhere})
        flight: Flight = env.unwrapped.flight()  # type: ignore[attr-defined]
        learner = _load_policy(job.policy) if job.policy else None
        pilot = Demonstration(job, flight, learner, rng)
        sent = fly_to_the_end(pilot, flight, config.short if anywhere else config.longest, config.guard)
        outcome = flight.outcome or CUT_OFF
    finally:
        env.close()
    source = "dagger" if job.policy else "expert"
    facts = EpisodeFacts(config.env, world, seed, outcome, source, job.round, job.index)
    episode = recorded(facts, pilot.rows, sent)
    save_episode(job.folder, episode)
    return facts, len(episode)


def fly_to_the_end(policy: Policy, flight: Flight, longest: float, guard: bool) -> list[VelocityCommand]:
    """Fly until the judge decides or `longest` seconds passed. Returns the commands sent, one a frame."""
    sent: list[VelocityCommand] = []

    def note(tick: Tick) -> None:
        if tick.frame is not None:
            sent.append(tick.sent)

    watch = guard_for(policy.card) if guard else None
    over = lambda: flight.finished or flight.now() >= longest  # noqa: E731
    fly(policy, watch, flight, flight, flight, finished=over, observers=[note])
    return sent


def recorded(
    facts: EpisodeFacts,
    rows: list[tuple[Image, float, VelocityCommand, VehicleState]],
    sent: list[VelocityCommand],
) -> Episode:
    """The episode of a flight: for each frame picture, dt, the expert's command and state; what was sent."""
    images, dts, labels, states = zip(*rows, strict=True)
    return Episode(
        facts,
        image=np.stack(images),
        dt=np.array(dts, dtype=np.float32),
        expert_command=np.stack([label.as_array() for label in labels]),
        command=np.stack([command.as_array() for command in sent]),
        position_enu=np.array([state.position_enu for state in states], dtype=np.float32),
        velocity_enu=np.array([state.velocity_enu for state in states], dtype=np.float32),
        yaw=np.array([state.yaw for state in states], dtype=np.float32),
    )


@dataclass(frozen=True, slots=True)
class DevJob:
    """One flight of an exported policy in a dev world."""

    config: CollectConfig
    policy: str
    world: str
    index: int
    longest: float  # s


def dev_jobs(config: TrainConfig, policy: Path, indices: range) -> list[DevJob]:
    """The flights of these numbers in every dev world of a run, world by world."""
    return [
        DevJob(config.collect, str(policy), world, index, config.dev_longest)
        for world in config.dev_worlds
        for index in indices
    ]


def judge_policy(job: DevJob) -> str:
    """The outcome of one dev flight: every other one with the default camera, the rest with a drawn one."""
    config, key = job.config, (job.index,)
    rng = generator(config.seed, DEV, *key)
    timing = draw_timing(config, rng) if job.index % 2 else FrameTiming()
    env = make_env(config, job.world, "dev", timing)
    try:
        env.reset(seed=integer(config.seed, DEV, *key))
        flight: Flight = env.unwrapped.flight()  # type: ignore[attr-defined]
        fly_to_the_end(_load_policy(job.policy), flight, job.longest, config.guard)
        return flight.outcome or CUT_OFF
    finally:
        env.close()


def make_env(config: CollectConfig, world: str, purpose: str, timing: FrameTiming) -> gymnasium.Env[Any, Any]:
    """The environment of the configured task. Raises InputError for unknown names and wrong task options."""
    options: dict[str, Any] = dict(parse_options(config.task_options))
    return gymnasium.make(
        f"navstack.envs:navstack/{config.env}-v0",
        disable_env_checker=True,
        world=world,
        purpose=purpose,
        timing=timing,
        **options,
    )


def draw_timing(config: CollectConfig, rng: np.random.Generator) -> FrameTiming:
    """A camera's clock: whole physics steps between frames, some jitter, lost frames in half the flights."""
    shortest, longest = round(PHYSICS_HZ / config.fastest_hz), round(PHYSICS_HZ / config.slowest_hz)
    rate = PHYSICS_HZ / int(rng.integers(shortest, longest + 1))
    drop = max(0.0, rng.uniform(-config.drop, config.drop))
    return FrameTiming(rate_hz=rate, drop_probability=drop, jitter=rng.uniform(0.0, config.jitter))


def _load_policy(path: str) -> OnnxPolicy:
    return _loaded_policy(path, Path(path).stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _loaded_policy(path: str, written: int) -> OnnxPolicy:
    return OnnxPolicy.load(Path(path))
