"""What `navstack doctor` looks at: one function a thing, each with what was found and what to do."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from navstack.commands.doctor import Doctor
from navstack.errors import InputError

STEPS = 300
LISTEN = 8.0  # s for an autopilot
LOOK = 3.0  # s through a camera
LEAST_DISK, LEAST_SPEED, LEAST_MEMORY = 1.0, 5.0, 0.5  # GB, MB/s, GB
LATEST_SLEEP = 0.005  # s that a sleep may take longer than asked
OLDEST_YEAR = 2025  # a clock that says earlier was never set


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    found: str
    advice: str = ""  # what to do, where it is not ok


def check_opencv(arguments: Doctor) -> Iterator[Finding]:
    """Either build of OpenCV will do, if it loads."""
    from navstack.opencv import cv2  # raises InputError with the two ways out

    builds = []
    for name in ("opencv-python", "opencv-python-headless", "opencv-contrib-python"):
        with contextlib.suppress(PackageNotFoundError):
            builds.append(f"{name} {version(name)}")
    yield Finding("opencv", True, ", ".join(builds) or f"cv2 {cv2.__version__}")


def check_policy(arguments: Doctor) -> Iterator[Finding]:
    """It loads, passes every check, and is fast enough here."""
    from navstack.policy import OnnxPolicy

    policy = OnnxPolicy.load(arguments.policy)
    card = policy.card
    yield Finding("policy", True, f"{arguments.policy}: {card.task}, real_flights: {card.real_flights}")
    image = np.random.default_rng(0).integers(0, 256, (card.camera.height, card.camera.width, 3), np.uint8)
    seconds = []
    for _ in range(STEPS):
        began = time.perf_counter()
        policy.step(image, 1.0 / card.rate_hz)
        seconds.append(time.perf_counter() - began)
    p50, p99 = (1e3 * float(q) for q in np.quantile(seconds, (0.5, 0.99)))
    budget = 500.0 / arguments.rate  # half a period
    yield Finding(
        "speed", p99 < budget, f"a step takes {p50:.2f} ms (p50), {p99:.2f} ms (p99)",
        f"the p99 should be under {budget:.0f} ms at {arguments.rate:g} Hz: end other programs, cool the"
        " board, set the processor's governor to 'performance'",
    )  # fmt: skip


def check_clock(arguments: Doctor) -> Iterator[Finding]:
    """The loop's clock is monotonic; the wall clock dates the logs and the pictures of other computers."""
    late = []
    for _ in range(50):
        began = time.monotonic()
        time.sleep(0.002)
        late.append(time.monotonic() - began - 0.002)
    worst = max(late)
    yield Finding(
        "timer", worst < LATEST_SLEEP, f"a sleep of 2 ms ends at most {1e3 * worst:.1f} ms late",
        "the machine is busy or saves power: end other programs, set the governor to 'performance'",
    )  # fmt: skip
    year = time.gmtime().tm_year
    synchronised = _ntp()
    found = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    told = {True: ", synchronised", False: ", not synchronised", None: ""}[synchronised]
    yield Finding(
        "clock", year >= OLDEST_YEAR and synchronised is not False, found + told,
        "set the clock (timedatectl set-ntp true, or GPS time): logs are dated by it",
    )  # fmt: skip


def _ntp() -> bool | None:
    if shutil.which("timedatectl") is None:
        return None
    command = ["timedatectl", "show", "-p", "NTPSynchronized", "--value"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5)
    except subprocess.TimeoutExpired:
        return None
    return {"yes": True, "no": False}.get(done.stdout.strip())


def check_disk(arguments: Doctor) -> Iterator[Finding]:
    """Room and speed for logs."""
    free = shutil.disk_usage(arguments.folder).free / 1e9
    yield Finding(
        "disk", free >= LEAST_DISK, f"{free:.1f} GB free in {arguments.folder.resolve()}",
        f"at least {LEAST_DISK:g} GB: remove old logs, or choose another folder (--folder)",
    )  # fmt: skip
    data = os.urandom(8 << 20)
    with tempfile.NamedTemporaryFile(dir=arguments.folder) as file:
        began = time.monotonic()
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        speed = len(data) / 1e6 / (time.monotonic() - began)
    yield Finding(
        "disk speed", speed >= LEAST_SPEED, f"{speed:.0f} MB/s",
        f"a log needs {LEAST_SPEED:g} MB/s to spare: use a faster card",
    )  # fmt: skip


def check_memory(arguments: Doctor) -> Iterator[Finding]:
    """Room for the loop, the recorder and the page."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) / 1e6
    yield Finding(
        "memory", free >= LEAST_MEMORY, f"{free:.1f} GB available", f"at least {LEAST_MEMORY:g} GB is wanted"
    )


def check_camera(arguments: Doctor) -> Iterator[Finding]:
    """It opens, provides the view, and keeps the rate."""
    if arguments.camera is None:
        return
    from navstack.camera import open_camera
    from navstack.policy import read_policy
    from navstack.safety.blank import is_blank

    fov = None if arguments.camera_fov is None else math.radians(arguments.camera_fov)
    wanted = read_policy(arguments.policy).card.camera
    camera = open_camera(arguments.camera, arguments.rate, wanted, arguments.camera_calibration, fov)
    with contextlib.closing(camera):
        frames, end = [], time.monotonic() + LOOK
        while time.monotonic() < end:
            frame = camera.wait(time.monotonic() + 0.1)
            frames += [] if frame is None else [frame]
    rate = len(frames) / LOOK
    yield Finding(
        "camera rate", rate >= 0.8 * arguments.rate, f"{rate:.1f} frames a second; {camera.timing}",
        f"{arguments.rate:g} are wanted: more light, a smaller picture, another mode or cable",
    )  # fmt: skip
    blank = not frames or is_blank(frames[-1].image)
    seen = "black or saturated" if blank else "shows something"
    yield Finding("picture", not blank, seen, "take the lens cap off; more light, or less")


def check_link(arguments: Doctor) -> Iterator[Finding]:
    """Somebody is there, and its failsafes are as a flight needs them."""
    if arguments.autopilot is None:
        return
    from navstack.autopilot import connect
    from navstack.autopilot.link import LinkConfig
    from navstack.onboard import MonotonicClock

    config = LinkConfig(velocity=arguments.velocity or "")
    with contextlib.closing(connect(arguments.autopilot, MonotonicClock(), config)) as link:
        findings, end = None, time.monotonic() + LISTEN
        while findings is None and time.monotonic() < end:
            link.poll()
            findings = link.preflight()
            time.sleep(0.01)
        status = link.status()
    if status.identity is None:
        yield Finding(
            "link", False, f"no autopilot is heard within {LISTEN:g} s",
            "address, baud rate, wiring (TX to RX), and the autopilot's own port settings",
        )  # fmt: skip
        return
    statistics = status.statistics
    yield Finding(
        "link", statistics.loss < 0.05, f"{status.identity}; {100 * statistics.loss:.0f}% of messages lost",
        "a loose cable, another program on the port, or a baud rate that is too low",
    )  # fmt: skip
    for finding in findings or ():
        advice = f"{finding.wanted}: {finding.advice} [{finding.source}]"
        yield Finding(finding.what, finding.ok, finding.found, advice)


CHECKS: dict[str, Callable[[Doctor], Iterator[Finding]]] = {
    "opencv": check_opencv, "policy": check_policy, "clock": check_clock, "disk": check_disk,
    "memory": check_memory, "camera": check_camera, "link": check_link,
}  # fmt: skip


def examine(arguments: Doctor) -> list[Finding]:
    """Everything, in order; what cannot be looked at is a finding too."""
    found: list[Finding] = []
    for name, check in CHECKS.items():
        try:
            found += check(arguments)
        except (InputError, OSError) as error:
            found.append(Finding(name, False, str(error), "see the sentence"))
    return found


def run(arguments: Doctor) -> int:
    """Look, print, 1 where something is not fit."""
    found = examine(arguments)
    if arguments.json:
        print(json.dumps([asdict(finding) for finding in found], indent=1))
    else:
        for finding in found:
            print(f"{'ok ' if finding.ok else 'NOT'}  {finding.what}: {finding.found}")
            if not finding.ok:
                print(f"     -> {finding.advice}")
        for name in ("camera", "autopilot"):
            if getattr(arguments, name) is None:
                print(f"     {name}: not looked at; give --{name}")
    return 0 if all(finding.ok for finding in found) else 1
