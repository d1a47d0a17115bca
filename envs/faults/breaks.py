"""What may break in a flight: each is told to the rig once, at the time when it begins."""

from __future__ import annotations

import math
import resource
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from navstack.camera.sources import capture_time
from navstack.contract import Frame, Image
from navstack.envs.faults.rig import Rig
from navstack.envs.sitl.wire import perfect


def frozen(rig: Rig) -> None:
    """The camera sends its last picture again and again."""
    kept: list[Image] = []

    def fault(frame: Frame, now: float) -> list[tuple[float, Frame]]:
        kept.append(frame.image)
        return [(now, Frame(kept[0], frame.capture_time, repeated=len(kept) > 1))]

    rig.camera.fault = fault


def black(rig: Rig) -> None:
    """The picture is black."""
    rig.camera.fault = lambda frame, now: [(now, Frame(np.zeros_like(frame.image), frame.capture_time))]


def disconnected(rig: Rig) -> None:
    """No frames come any more."""
    rig.camera.fault = lambda frame, now: []


def slow(rig: Rig) -> None:
    """Two frames a second, each half a second old."""
    last = [-math.inf]

    def fault(frame: Frame, now: float) -> list[tuple[float, Frame]]:
        if now - last[0] < 0.5:
            return []
        last[0] = now
        return [(now + 0.5, frame)]

    rig.camera.fault = fault


def out_of_order(rig: Rig) -> None:
    """Every second frame comes after the one that was taken later."""
    count = [0]

    def fault(frame: Frame, now: float) -> list[tuple[float, Frame]]:
        count[0] += 1
        return [(now + (0.07 if count[0] % 2 else 0.0), frame)]

    rig.camera.fault = fault


def link_lost(seconds: float) -> Callable[[Rig], None]:
    """Nothing passes, either way, for so long."""

    def begin(rig: Rig) -> None:
        rig.both_ways(lambda data, now: [])
        rig.for_seconds(seconds, lambda: rig.both_ways(perfect))

    return begin


def duplicated(rig: Rig) -> None:
    """Every packet comes twice."""
    rig.both_ways(lambda data, now: [(now, data), (now + 0.01, data)])


def reordered(rig: Rig) -> None:
    """Packets are up to 60 ms late, each for itself."""
    rig.both_ways(lambda data, now: [(now + rig.rng.uniform(0.0, 0.06), data)])


def corrupted(rig: Rig) -> None:
    """A bit of every fifth packet is wrong."""

    def fault(data: bytes, now: float) -> list[tuple[float, bytes]]:
        if rig.rng.random() < 0.2:
            broken = bytearray(data)
            broken[rig.rng.integers(len(broken))] ^= 1 << int(rig.rng.integers(8))
            data = bytes(broken)
        return [(now, data)]

    rig.both_ways(fault)


def estimate_lost(rig: Rig) -> None:
    """The estimator says that it knows neither velocity nor position."""
    rig.autopilot.reported.estimator_flags = 1
    rig.autopilot.reported.position_frozen = True


def estimate_jumped(rig: Rig) -> None:
    """The position is another one, five metres off."""
    bearing = rig.rng.uniform(0.0, math.tau)
    rig.autopilot.reported.position_offset = (5.0 * math.cos(bearing), 5.0 * math.sin(bearing), 0.0)


def yaw_wrong(rig: Rig) -> None:
    """The heading is 90 degrees off."""
    rig.autopilot.reported.yaw_offset = math.copysign(0.5 * math.pi, rig.rng.uniform(-1.0, 1.0))


def battery(charge: float, seconds: float = math.inf) -> Callable[[Rig], None]:
    """The battery says so little, for so long."""

    def begin(rig: Rig) -> None:
        reported = rig.autopilot.reported
        before, reported.battery = reported.battery, charge
        if seconds < math.inf:
            rig.for_seconds(seconds, lambda: setattr(reported, "battery", before))

    return begin


def pilot_takes_over(rig: Rig) -> None:
    """The pilot switches to flying by hand."""
    rig.autopilot.pilot_selects(rig.autopilot.emulation.pilot_mode)


def not_a_number(rig: Rig) -> None:
    """The policy's command is no number, for a second."""
    rig.policy.broken = True
    rig.for_seconds(1.0, lambda: setattr(rig.policy, "broken", False))


def clock_stepped(hours: float) -> Callable[[Rig], None]:
    """The wall clock jumps between the camera's stamp and ours."""

    def begin(rig: Rig) -> None:
        def fault(frame: Frame, now: float) -> list[tuple[float, Frame]]:
            captured = capture_time(frame.capture_time, now + 3600.0 * hours, now)
            return [(now, replace(frame, capture_time=now if captured is None else captured))]

        rig.camera.fault = fault

    return begin


def disk_full(rig: Rig) -> None:
    """The log's file cannot grow any more: the kernel refuses what goes beyond its present size."""
    if rig.log is not None:
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (rig.log.stat().st_size, most))
        rig.at_the_end.append(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)))
