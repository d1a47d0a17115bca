"""Fly an exported policy through many exact worlds and say how each flight ended.

Every flight is keyed by (world, seed) and begins from a fresh exact world, so the result does not depend on
the number of workers or on which of them flew it.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from navstack.contract import Image
from navstack.envs.evaluation.record import FlightRecord
from navstack.envs.flight import SimulatedFlight
from navstack.envs.navigation import NavigationEnv
from navstack.envs.vehicle import DEFAULT_AIRFRAME
from navstack.flight import Tick, fly
from navstack.options import parse_options
from navstack.policy import OnnxPolicy
from navstack.results import result_row
from navstack.safety import Guard, guard_for
from navstack.timing import FrameTiming
from navstack.workers import Workers

CHASE_FPS = 10


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under what a policy is judged."""

    env: str = "FlyToTarget"
    airframe: str = DEFAULT_AIRFRAME
    timing: FrameTiming = FrameTiming()
    perturbations: tuple[str, ...] = ()  # each "name:severity"
    guard: bool = True
    difficulty: float = 1.0
    task_options: tuple[str, ...] = ()  # the task's parameters, each "name=value"
    other_task: bool = False  # also a policy that was trained for another task

    @property
    def perturb(self) -> str:
        """The conditions that are not the default, in words: a column of the result table."""
        words = list(self.perturbations)
        if self.timing.rate_hz != 20.0:
            words.append(f"{self.timing.rate_hz:g} Hz")
        if self.timing.drop_probability:
            words.append(f"drop {self.timing.drop_probability:g}")
        if self.timing.jitter:
            words.append(f"jitter {self.timing.jitter:g}")
        if not self.guard:
            words.append("no guard")
        return ", ".join(words) or "none"


@dataclass(frozen=True, slots=True)
class Job:
    """One flight to fly."""

    policy: str  # path or name
    world: str  # name or path
    seed: int
    conditions: Conditions
    film: bool = False  # keep frames and a chase view


def plan(
    policy: str, worlds: Sequence[str], episodes: int, seed: int, conditions: Conditions, filmed: int = 0
) -> list[Job]:
    """The flights of an evaluation: seeds `seed` to `seed + episodes - 1` in each world, the first filmed."""
    return [
        Job(policy, world, seed + index, conditions, film=index < filmed)
        for world in worlds
        for index in range(episodes)
    ]


def fly_jobs(
    jobs: Sequence[Job], workers: int, on_record: Callable[[FlightRecord], None] = lambda _: None
) -> list[FlightRecord]:
    """Fly every job, in the order of the list whatever the number of workers; `on_record` sees each."""
    records = []
    with Workers(workers) as flyers:
        for record in flyers.map(fly_job, jobs):
            records.append(record)
            on_record(record)
    return records


def _task_options(conditions: Conditions) -> dict[str, Any]:
    return dict(parse_options(conditions.task_options))


@lru_cache(maxsize=8)
def _environment(world: str, conditions: Conditions) -> NavigationEnv:
    return NavigationEnv(
        task=conditions.env,
        world=world,
        airframe=conditions.airframe,
        purpose="evaluate",
        difficulty=conditions.difficulty,
        timing=conditions.timing,
        perturb=conditions.perturbations,
        render_mode="rgb_array",
        **_task_options(conditions),
    )


@lru_cache(maxsize=2)
def _policy(path: str) -> OnnxPolicy:
    return OnnxPolicy.load(path)


def fly_job(job: Job) -> FlightRecord:
    """Fly one job. Raises InputError for a policy that was trained for another camera, or for another task
    where the conditions do not ask for that.
    """
    environment, policy = _environment(job.world, job.conditions), _policy(job.policy)
    if not job.conditions.other_task:
        policy.check_task(job.conditions.env)
    policy.check_camera(environment.camera_spec)
    environment.reset(seed=job.seed)
    flight = environment.flight()
    log = FlightLogger(flight, environment if job.film else None)
    guard: Guard | None = guard_for(policy.card) if job.conditions.guard else None
    fly(policy, guard, flight, flight, flight, finished=lambda: flight.finished, observers=[log])
    return log.record(job, policy.card.task)


class FlightLogger:
    """Watches one flight, tick by tick, and becomes its record."""

    def __init__(self, flight: SimulatedFlight, filmed: NavigationEnv | None) -> None:
        self._flight, self._filmed = flight, filmed
        self._positions: list[tuple[float, float, float]] = []
        self._commands: list[tuple[float, float, float, float]] = []
        self._frames: list[Image] = []
        self._chase: list[Image] = []
        self._times: list[float] = []
        self._events: Counter[str] = Counter()

    def __call__(self, tick: Tick) -> None:
        """Note one turn of the loop."""
        sent = tick.sent
        self._positions.append(tick.state.position_enu)
        self._commands.append((sent.forward, sent.left, sent.up, sent.yaw_rate))
        self._events.update(event.rule for event in tick.events)
        due = not self._times or tick.time - self._times[-1] >= 0.999 / CHASE_FPS
        if self._filmed is not None and tick.frame is not None and due:
            chase = self._filmed.render()
            assert chase is not None
            self._frames.append(tick.frame.image)
            self._chase.append(chase)
            self._times.append(tick.time)

    def record(self, job: Job, trained_for: str) -> FlightRecord:
        """The record of the finished flight, by a policy that was trained for that task."""
        simulator = self._flight.simulator
        position = simulator.above_ground(simulator.vehicle.position)
        target = simulator.judge.target_enu
        away = math.hypot(target[0] - position[0], target[1] - position[1])
        outcome = simulator.outcome or "unfinished"
        return FlightRecord(
            policy=job.policy,
            env=" ".join((job.conditions.env, *job.conditions.task_options)),
            world=simulator.spec.name,
            seed=job.seed,
            outcome=outcome,
            detail=f"{outcome} after {simulator.time:.1f} s, {away:.1f} m from the target,"
            f" {position[2]:.1f} m high",
            seconds=simulator.time,
            start_distance=simulator.scenario.start_distance,
            trajectory=np.array(self._positions, dtype=np.float32).reshape(-1, 3),
            target_enu=target,
            obstacles=simulator.scene.obstacles,
            clearance=simulator.clearance,
            guard_events=dict(self._events),
            frames=tuple(self._frames),
            chase=tuple(self._chase),
            frame_times=tuple(self._times),
            commands=np.array(self._commands, dtype=np.float32).reshape(-1, 4),
            report=simulator.judge.report(),
            trained_for=trained_for,
        )


def result_rows(
    records: Sequence[FlightRecord], conditions: Conditions, seed: int, wall_seconds: float
) -> list[dict[str, Any]]:
    """One row a world, and a pooled one where there are several: the rows of `navstack evaluate --json`.

    What the task's judge reports stands in the row as the mean over its flights; `trained_for` is the task
    that the policy was trained for.
    """
    worlds = list(dict.fromkeys(record.world for record in records))
    groups = [(world, [r for r in records if r.world == world]) for world in worlds]
    if len(worlds) > 1:
        groups.append(("all", list(records)))
    return [
        result_row(
            records[0].policy, conditions.env, world, conditions.perturb, [r.outcome for r in group], seed,
            wall_seconds=round(wall_seconds, 2), task_options=" ".join(conditions.task_options),
            trained_for=records[0].trained_for,
            **{name: float(np.mean([r.report[name] for r in group])) for name in group[0].report},
        )
        for world, group in groups
    ]  # fmt: skip


def evaluate(
    policy: str,
    worlds: Sequence[str],
    episodes: int,
    seed: int,
    conditions: Conditions,
    workers: int = 2,
    filmed: int = 0,
    on_record: Callable[[FlightRecord], None] = lambda _: None,
) -> tuple[list[dict[str, Any]], list[FlightRecord]]:
    """Judge a policy: the rows of the result table and the record of every flight."""
    started = time.perf_counter()
    records = fly_jobs(plan(policy, worlds, episodes, seed, conditions, filmed), workers, on_record)
    rows = result_rows(records, conditions, seed, time.perf_counter() - started)
    return rows, records


def expert_success(world: str, episodes: int, seed: int, conditions: Conditions) -> list[str]:
    """Outcomes of the task's expert with the camera off, through Gymnasium alone."""
    environment = NavigationEnv(
        task=conditions.env, world=world, airframe=conditions.airframe, purpose="evaluate",
        difficulty=conditions.difficulty, timing=conditions.timing, perturb=conditions.perturbations,
        camera=False, **_task_options(conditions),
    )  # fmt: skip
    outcomes = []
    for index in range(episodes):
        _, info = environment.reset(seed=seed + index)
        while "outcome" not in info:
            *_, info = environment.step(info["expert_command"])
        outcomes.append(str(info["outcome"]))
    environment.close()
    return outcomes
