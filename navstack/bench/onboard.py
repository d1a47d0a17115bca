"""The flight loop's cost: back to back over an hour of simulated flight, and paced with everything on."""

from __future__ import annotations

import contextlib
import gc
import json
import math
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from navstack.bench.camera_server import QUALITY, make_pictures
from navstack.bench.references import WARM_UP, time_steps
from navstack.camera import open_camera
from navstack.contract import Frame, PolicyCard, VehicleState, VelocityCommand
from navstack.flight import Loop
from navstack.opencv import one_thread
from navstack.policy import OnnxPolicy, model_names
from navstack.recorder import Rotation
from navstack.safety import VehicleHealth, guard_for
from navstack.safety.rule import Demand
from navstack.telemetry import Record
from navstack.watchers import Watchers

STEPS, PACED_SECONDS, HOUR = 3000, 12.0, 3600.0
REFERENCE_STEPS = 1000
EAGER_BUDGET = 0.25  # of torch eager's time
Row = dict[str, Any]


def bench_onboard() -> list[Row]:
    """Rows for every policy that ships. Times are of this machine, this run; ratios are within it."""
    rows: list[Row] = [_start_to_ready()]
    for name in model_names():
        rows += _steps(name) + _hour(name)
        for rate in (20.0, 50.0):
            rows += _paced(name, rate)
    return rows


def _row(what: str, value: float, unit: str, budget: float | None = None, **against: Any) -> Row:
    held = None if budget is None else value <= budget
    row = {"what": what, "value": value, "unit": unit, "against": None, "reference": None, "ratio": None}
    return {**row, "budget": budget, "held": held, **against}


def _quantiles(
    what: str, seconds: list[float], p50: float | None = None, p99: float | None = None
) -> list[Row]:
    found = 1e3 * np.quantile(seconds, (0.5, 0.99, 0.999))
    budgets = (p50, p99, None)
    return [
        _row(f"{what}, {name}", float(value), "ms", budget)
        for name, value, budget in zip(("p50", "p99", "p99.9"), found, budgets, strict=True)
    ]


# --- the policy's step, beside others -------------------------------------------------------------------


def _steps(name: str) -> list[Row]:
    """In turns: ours, then each reference, so that a machine that gets slower slows all of them."""
    policy = OnnxPolicy.load(name)
    camera = policy.card.camera
    image = np.random.default_rng(0).integers(0, 256, (camera.height, camera.width, 3), np.uint8)
    references = {"ONNX Runtime's default settings": "onnxruntime"}
    if find_spec("torch") is not None:
        references["torch eager"] = "torch"
    ours: list[float] = []
    theirs: dict[str, list[float]] = {what: [] for what in references}
    for _ in range(3):
        ours += time_steps(policy.step, image, STEPS // 3, 0.0)["seconds"]
        for what, key in references.items():
            theirs[what] += _reference(key, name, REFERENCE_STEPS // 3, 0.0)["seconds"]
    rows = _quantiles(f"{name}: step back to back", ours, 0.2, 0.5)
    median = float(np.median(ours))
    for what, seconds in theirs.items():
        reference = float(np.median(seconds))
        ratio, budget = median / reference, EAGER_BUDGET if what == "torch eager" else None
        rows.append(
            _row(
                f"{name}: step back to back", 1e3 * median, "ms", budget,
                against=what, reference=1e3 * reference, ratio=ratio,
                held=None if budget is None else ratio <= budget,
            )
        )  # fmt: skip
    share = _reference("onnxruntime", name, round(50 * PACED_SECONDS / 3), 0.02)["processor"]
    ours_share = time_steps(
        lambda image, dt: policy.step(image, dt) and None, image, round(50 * PACED_SECONDS / 3), 0.02
    )["processor"]
    rows.append(
        _row(
            f"{name}: processor at 50 Hz, step alone", 100 * ours_share, "%", None,
            against="ONNX Runtime's default settings", reference=100 * share, ratio=ours_share / share,
        )
    )  # fmt: skip
    return rows


def _reference(key: str, policy: str, steps: int, period: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "navstack.bench.references", key, policy, str(steps), str(period)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


# --- the whole turn -------------------------------------------------------------------------------------


class Standing:
    """A vehicle that reports on itself and takes commands: each leaves as a datagram on loopback."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sink.bind(("127.0.0.1", 0))
        self._socket.connect(self._sink.getsockname())

    def state(self) -> VehicleState:
        """Hovering, with a little drift, so that nothing is frozen."""
        now = self._clock.now()
        x = math.sin(now)
        return VehicleState(
            now, (x, 0.0, 2.0), (math.cos(now), 0.0, 0.0), (0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.1)
        )

    def health(self) -> VehicleHealth:
        """All is well."""
        return VehicleHealth(battery=0.9)

    def obey(self, demand: Demand, cause: str) -> None:
        """Nothing to do."""

    def send(self, command: VelocityCommand) -> None:
        """One datagram; what the sink holds is thrown away by the kernel when it is full."""
        with contextlib.suppress(OSError):
            self._socket.send(b"%f %f %f %f" % (command.forward, command.left, command.up, command.yaw_rate))

    def close(self) -> None:
        """Close the sockets."""
        self._socket.close()
        self._sink.close()


class Instant:
    """A camera and a clock whose frames come at once, one every period of simulated time."""

    def __init__(self, card: PolicyCard, period: float) -> None:
        rng, self._period, self._time, self._index = np.random.default_rng(0), period, 0.0, 0
        shape = (card.camera.height, card.camera.width, 3)
        self._images = [rng.integers(0, 256, shape, np.uint8) for _ in range(16)]

    def now(self) -> float:
        """Simulated seconds."""
        return self._time

    def wait(self, deadline: float) -> Frame:
        """The next frame."""
        self._time += self._period
        self._index += 1
        return Frame(self._images[self._index % 16], self._time, repeated=False)


class Monotonic:
    """The clock of a flight."""

    def now(self) -> float:
        """Seconds."""
        return time.monotonic()


def _hour(name: str) -> list[Row]:
    """An hour of simulated flight at 20 Hz, image in to setpoint out back to back, and the memory over it."""
    policy = OnnxPolicy.load(name)
    world = Instant(policy.card, 0.05)
    vehicle, early = Standing(world), 0.0
    seconds: list[float] = []
    loop = Loop(policy, guard_for(policy.card), world, vehicle, world, autopilot=vehicle)
    for turn in range(round(HOUR * 20.0)):
        if turn == 2000:
            early = resident()
        began = time.perf_counter()
        loop.turn()
        if turn >= WARM_UP and len(seconds) < STEPS:
            seconds.append(time.perf_counter() - began)
    vehicle.close()
    now = resident()
    return [
        *_quantiles(f"{name}: image to setpoint back to back", seconds),
        _row(f"{name}: memory that an hour of flight adds", now - early, "MB", 1.0),
    ]


def _paced(name: str, rate: float, quality: int = QUALITY) -> list[Row]:
    """The real thing: camera decode, recorder and page on."""
    size = float(np.mean([len(picture) for picture in make_pictures(quality)]))  # bytes
    gc.collect()
    gc.freeze()  # as `navstack fly` does
    one_thread()
    policy = OnnxPolicy.load(name)
    what = f"{name}, {rate:g} Hz, all on"
    with (
        _camera_server(rate, quality) as url,
        tempfile.TemporaryDirectory() as folder,
        Watchers(policy.card) as watchers,
    ):
        watchers.record_to(Path(folder) / "bench.mcap", Rotation())
        watchers.show_on("127.0.0.1:0", None)
        camera = open_camera(url, rate, policy.card.camera, None, math.radians(82.0))
        clock = Monotonic()
        vehicle = Standing(clock)
        loop = Loop(policy, guard_for(policy.card), camera, vehicle, clock, autopilot=vehicle)
        seconds: list[float] = []
        wall, processor = time.monotonic() + 1.0, 0.0  # the first second is for getting going
        began = 0.0
        while time.monotonic() < wall + PACED_SECONDS:
            if not began and time.monotonic() >= wall:
                began, processor = time.monotonic(), time.process_time()
            tick = loop.turn()
            assert tick is not None
            watchers(Record(tick))
            if began and tick.frame is not None:
                seconds.append(tick.latency)
        share = (time.process_time() - processor) / (time.monotonic() - began)
        camera.close()
        vehicle.close()
    late = loop.summary.missed_deadlines
    paced = rate == 50.0
    return [
        *_quantiles(f"{what}: image to setpoint", seconds, 0.6 if paced else None, 1.5 if paced else None),
        _row(f"{what}: frames", len(seconds) / PACED_SECONDS, "Hz"),
        _row(f"{what}: commands that left late", float(late), f"of {loop.summary.ticks}"),
        _row(
            f"{what}: processor, 640 x 480 JPEG of {1e-3 * size:.0f} kB",
            100 * share,
            "%",
            10.0 if paced else None,
        ),
        _row(f"{what}: resident memory of the loop", resident(), "MB", 150.0),
    ]


@contextlib.contextmanager
def _camera_server(rate: float, quality: int) -> Iterator[str]:
    command = [sys.executable, "-m", "navstack.bench.camera_server", str(rate), str(quality)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}/"
        finally:
            server.kill()


READY = """
import sys
from navstack.policy import OnnxPolicy
import navstack.onboard
OnnxPolicy.load(sys.argv[1])
"""


def _start_to_ready() -> Row:
    """From nothing to a checked policy and everything imported that flies."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", READY, model_names()[0]], check=True)
    return _row("start to ready", time.perf_counter() - began, "s", 2.0)


def resident() -> float:
    """Megabytes of this process in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6
