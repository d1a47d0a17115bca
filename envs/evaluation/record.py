"""What is kept of one judged flight."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from navstack.contract import Image, Vector3


@dataclass(frozen=True, slots=True)
class FlightRecord:
    """One flight of an evaluation: how it ended and where it went."""

    policy: str  # path or name, as it was given
    env: str  # task with its options, for instance "FlyToTarget" or "FlyToTarget distance=2"
    world: str
    seed: int
    outcome: str  # "success", "collision" or "timeout"
    detail: str  # how it ended, in words
    seconds: float  # s of flight
    start_distance: float  # m, horizontal, from the start to the target's centre
    trajectory: npt.NDArray[np.float32]  # (T, 3) ENU, m
    target_enu: Vector3  # m, the target's centre
    obstacles: npt.NDArray[np.float64]  # (N, 4) bounding vertical cylinders: x, y, radius, height, m
    clearance: float  # m, the closest that the vehicle came to anything
    guard_events: dict[str, int]  # how often each rule acted
    frames: tuple[Image, ...]  # (H, W, 3) uint8 RGB as the policy saw them; empty unless recorded
    chase: tuple[Image, ...]  # (H, W, 3) uint8 RGB from behind; as many as frames
    frame_times: tuple[float, ...]  # s since the start; as many as frames
    commands: npt.NDArray[np.float32]  # (T, 4) as sent: forward, left, up m/s, yaw_rate rad/s
    report: dict[str, float] = field(default_factory=dict)  # what the task's judge reports besides
    trained_for: str = ""  # the task that the policy was trained for
