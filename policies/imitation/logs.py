"""Flight logs as episodes: what was flown is something to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from navstack.contract import VelocityCommand
from navstack.episodes import Episode, EpisodeFacts, episode_keys, save_episode
from navstack.errors import InputError
from navstack.policy import OnnxPolicy
from navstack.replay import Log, read_log

SOURCE = "log"
UNKNOWN = "unknown"  # outcome: nobody judged a real flight


def episodes_from_logs(logs: Sequence[Path], folder: Path, label: str | None) -> list[Path]:
    """Write one episode a log, numbered after those that are in the folder; the files.

    The command to learn is what was sent after the guard, or with `label` what that policy would command on
    the same frames. Raises InputError for a log without frames or with a camera other than the label's.
    """
    policy = None if label is None else OnnxPolicy.load(label)
    found = [read_log(path) for path in logs]
    for path, log in zip(logs, found, strict=True):
        if not any(turn.frame is not None for turn in log.turns):
            raise InputError(f"{path}: the flight log holds no frame of a camera")
        if policy is not None:
            policy.check_camera(log.card.camera)
    folder.mkdir(parents=True, exist_ok=True)
    taken = [index for round_, index in episode_keys(folder) if round_ == 0]
    first = 1 + max(taken, default=-1)
    return [save_episode(folder, _episode(log, first + count, policy)) for count, log in enumerate(found)]


def _episode(log: Log, index: int, policy: OnnxPolicy | None) -> Episode:
    turns = [turn for turn in log.turns if turn.frame is not None]
    frames = [turn.frame for turn in turns if turn.frame is not None]
    times = np.array([frame.capture_time for frame in frames])
    gaps = np.diff(times, prepend=times[0] - 1.0 / log.card.rate_hz)
    dt = np.array([turn.dt or gap for turn, gap in zip(turns, gaps, strict=True)], np.float32)
    sent = [turn.sent for turn in turns]
    labels: list[VelocityCommand] = sent
    if policy is not None:
        policy.reset()
        labels = [policy.step(frame.image, float(t)) for frame, t in zip(frames, dt, strict=True)]
    facts = EpisodeFacts(log.card.task, SOURCE, 0, UNKNOWN, SOURCE, 0, index)
    states = [turn.state for turn in turns]
    return Episode(
        facts,
        image=np.stack([frame.image for frame in frames]),
        dt=dt,
        expert_command=np.array([command.as_array() for command in labels], np.float32),
        command=np.array([command.as_array() for command in sent], np.float32),
        position_enu=np.array([state.position_enu for state in states], np.float32),
        velocity_enu=np.array([state.velocity_enu for state in states], np.float32),
        yaw=np.array([state.yaw for state in states], np.float32),
    )
