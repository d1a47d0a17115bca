"""`navstack fly` on an autopilot: one process from picture to setpoint, the watchers in their own."""

from __future__ import annotations

import contextlib
import gc
import json
import math
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from navstack.autopilot import connect, split_address
from navstack.autopilot.link import Finding, LinkConfig
from navstack.camera import NewestFrame, open_camera
from navstack.commands.fly import Fly
from navstack.contract import Limits, PolicyCard
from navstack.errors import InputError
from navstack.files import check_new_file, write_atomically
from navstack.mission import Mission, MissionOptions, MissionSummary
from navstack.opencv import one_thread
from navstack.policy import OnnxPolicy
from navstack.recorder import Rotation
from navstack.safety import Guard, GuardConfig, guard_for
from navstack.settings import guard_numbers
from navstack.telemetry import Note, Record
from navstack.watchers import Watchers

CONFIRMATION = "ARM"
STOPS = (signal.SIGTERM, signal.SIGINT)


class MonotonicClock:
    """The flight loop's clock on a vehicle: no correction of the wall clock moves it."""

    def now(self) -> float:
        """Seconds of the system's monotonic clock."""
        return time.monotonic()


def run(arguments: Fly) -> int:
    """Fly, print what happens, hand over; 0 where the flight ended as planned, else 1.

    Raises InputError before anything spins, in one sentence.
    """
    check_arguments(arguments)
    one_thread()
    policy = OnnxPolicy.load(arguments.policy)
    print(f"policy {arguments.policy}: {policy.card.task}; real_flights: {policy.card.real_flights}")
    if policy.card.real_flights == 0:
        print("no real flight is on record for this policy: keep pilot, kill switch and distance")
    make_guard = guard_maker(arguments, policy.card)
    guard = make_guard(1.0)  # a fence that is none is said now
    with contextlib.ExitStack() as stack:
        camera = stack.enter_context(contextlib.closing(_open_camera(arguments, policy)))
        print(f"camera {arguments.camera}: {camera.timing}")
        if arguments.arm:
            confirm_arming()
        clock = MonotonicClock()
        link = connect(str(arguments.autopilot), clock, link_config(arguments))
        stack.callback(link.close)
        watchers = stack.enter_context(_watch(arguments, policy.card, guard.config))
        mission = Mission(
            link, camera, clock, policy, make_guard, mission_options(arguments),
            Teller(watchers, camera, lambda cause: mission.hold(cause), lambda: mission.vehicle.engaged),
        )  # fmt: skip
        _say_findings(mission.connect(), arguments.allow_unsafe)
        print(f"ready: {link.status().identity}; {_what_now(arguments)}", flush=True)
        gc.collect()
        gc.freeze()  # what has been imported need not be looked through in flight
        with stop_signals() as stop:
            summary = mission.run(stop)
    _report(arguments, summary, watchers)
    planned = summary.outcome in ("landed", "dry run: nothing was sent")
    return 0 if planned else 1


def check_arguments(arguments: Fly) -> None:
    """Raise InputError for options that do not go together."""
    if arguments.autopilot is None:
        raise InputError(
            "--camera is given without --autopilot; a vehicle needs both (--dry-run sends nothing)"
        )
    if arguments.camera is None:
        raise InputError("--autopilot is given without --camera; a vehicle needs both")
    if not arguments.guard:
        raise InputError("--no-guard is for the simulated vehicle only")
    _check_protocol(arguments)
    if arguments.arm and arguments.takeoff is None:
        raise InputError("--arm is for --takeoff; a vehicle in the air is armed")
    for name in ("speed", "turn", "fence", "ceiling"):
        if not 0.0 < getattr(arguments, name) < math.inf:
            raise InputError(f"--{name} is {getattr(arguments, name)}; expected a number above zero")
    if not 0.0 <= arguments.floor < arguments.ceiling:
        raise InputError(
            f"--floor {arguments.floor:g} must be at least 0 and below --ceiling {arguments.ceiling:g}"
        )
    if arguments.takeoff is not None and not arguments.floor <= arguments.takeoff <= arguments.ceiling:
        raise InputError(f"--takeoff {arguments.takeoff:g} must be between floor and ceiling")
    if arguments.log_megabytes < 1 or arguments.log_files < 1:
        raise InputError("--log-megabytes and --log-files must be at least 1")
    check_new_file(arguments.json)
    check_new_file(arguments.log)


def _check_protocol(arguments: Fly) -> None:
    """What Betaflight needs and cannot do, and what is only for it."""
    if split_address(str(arguments.autopilot))[0] != "msp":
        if arguments.velocity is not None:
            raise InputError("--velocity is for msp: (Betaflight); other autopilots tell their own")
        return
    if arguments.velocity is None:
        raise InputError(
            "Betaflight tells no velocity: give --velocity udpin:HOST:PORT, tcp:HOST:PORT or"
            " serial:DEVICE:BAUD, where an estimator (visual-inertial odometry, optical flow with a"
            " rangefinder, motion capture) sends MAVLink ODOMETRY"
        )
    if arguments.takeoff is not None:
        raise InputError("--takeoff: Betaflight has none of its own; the pilot takes off, then switches")
    if arguments.engage != "pilot":
        raise InputError("--engage self: Betaflight is engaged by the pilot's override switch only")
    if arguments.after_hold != "land":
        raise InputError("--after-hold return: Betaflight is not sent home; after a hold it lands")


def guard_maker(arguments: Fly, card: PolicyCard) -> Callable[[float], Guard]:
    """Makes the guard, given how long (s) the autopilot flies on without us."""
    limits = Limits(arguments.speed, arguments.speed, arguments.speed, arguments.turn)
    polygon = _polygon(arguments.fence_polygon)
    base = GuardConfig(
        fence=arguments.fence, polygon=polygon, ceiling=arguments.ceiling, floor=arguments.floor,
        drift=arguments.drift,
    )  # fmt: skip
    numbers: dict[str, Any] = dict(guard_numbers(arguments.config, base))
    base = replace(base, **numbers)

    def make(link_loss: float) -> Guard:
        return guard_for(card, replace(base, link_loss=link_loss), limits, latency=arguments.camera_latency)

    return make


def link_config(arguments: Fly) -> LinkConfig:
    """The link's part of the options. Raises InputError for a key that is none."""
    key = None
    if arguments.signing_key is not None:
        try:
            key = bytes.fromhex(arguments.signing_key.read_text().strip())
        except (OSError, ValueError) as error:
            raise InputError(
                f"{arguments.signing_key}: cannot be read as hexadecimal digits ({error})"
            ) from error
        if len(key) != 32:
            raise InputError(f"{arguments.signing_key}: a signing key has 64 hexadecimal digits, 32 bytes")
    return LinkConfig(
        engage=arguments.engage, arm=arguments.arm, after_hold=arguments.after_hold,
        allow_unsafe=arguments.allow_unsafe, system_id=arguments.system, signing_key=key,
        velocity=arguments.velocity or "",
    )  # fmt: skip


def mission_options(arguments: Fly) -> MissionOptions:
    """The mission's part of the options."""
    return MissionOptions(
        dry=arguments.dry_run, takeoff=arguments.takeoff, seconds=arguments.seconds,
        offers=arguments.engage == "pilot",
    )  # fmt: skip


def confirm_arming() -> None:
    """Have a person type it. Raises InputError where it is not typed."""
    print(
        f"this program will ARM the vehicle and take off; type {CONFIRMATION} to confirm: ",
        end="",
        flush=True,
    )
    if sys.stdin.readline().strip() != CONFIRMATION:
        raise InputError(f"not confirmed: {CONFIRMATION} was not typed; nothing was sent to the vehicle")


@contextlib.contextmanager
def stop_signals() -> Iterator[Callable[[], str | None]]:
    """SIGTERM and Ctrl-C as a cause to stop, looked at between two turns; a second one ends at once."""
    seen: list[str] = []

    def note(number: int, frame: FrameType | None) -> None:
        seen.append(signal.Signals(number).name)
        for each in STOPS:
            signal.signal(each, signal.SIG_DFL)
        print(f"{seen[-1]}: handing over to hold", file=sys.stderr, flush=True)

    before = {number: signal.signal(number, note) for number in STOPS}
    try:
        yield lambda: seen[0] if seen else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Teller:
    """Tells the watchers and the terminal of every turn, and the mission of a HOLD on the page."""

    def __init__(
        self,
        watchers: Watchers,
        camera: NewestFrame,
        hold: Callable[[str], None],
        engaged: Callable[[], bool],
    ) -> None:
        self._watchers, self._camera, self._hold, self.engaged = watchers, camera, hold, engaged
        self._camera_told = False

    def __call__(self, record: Record) -> tuple[Note, ...]:
        """Pass the record on."""
        for note in record.notes:
            print(f"{'!' if note.warning else ' '} {note.source}: {note.text}", flush=True)
        for event in record.tick.events:
            if event.rule != "rates" and self.engaged():  # that one is always at work
                print(f"  guard: {event.rule}: {event.action or 'ended'}", flush=True)
        notes = self._watchers(record)
        if self._watchers.hold_asked():
            self._hold("HOLD on the page")
        if self._camera.ended is not None and not self._camera_told:
            self._camera_told = True
            notes = (*notes, Note(record.tick.time, "camera", self._camera.ended, warning=True))
        return notes


def _open_camera(arguments: Fly, policy: OnnxPolicy) -> NewestFrame:
    wanted, latency = policy.card.camera, arguments.camera_latency
    policy.check_camera(replace(wanted, latency=latency))  # the rest is what the rectifier makes of it
    fov = None if arguments.camera_fov is None else math.radians(arguments.camera_fov)
    name = str(arguments.camera)
    return open_camera(name, arguments.rate, wanted, arguments.camera_calibration, fov, latency)


@contextlib.contextmanager
def _watch(arguments: Fly, card: PolicyCard, guard: GuardConfig) -> Iterator[Watchers]:
    with Watchers(card) as watchers:
        if arguments.log is not None:
            rotation = Rotation(arguments.log_megabytes << 20, arguments.log_files)
            watchers.record_to(arguments.log, rotation, guard)
        if arguments.view:
            token = secrets.token_urlsafe(16) if arguments.view_token else None
            print(watchers.show_on(arguments.view_address, token, arguments.policy), flush=True)
        yield watchers


def _polygon(path: Path | None) -> tuple[tuple[float, float], ...]:
    if path is None:
        return ()
    try:
        found: Any = json.loads(path.read_bytes()[: 1 << 20])
        if not isinstance(found, list) or not found:
            raise ValueError("no list of corners")
        return tuple((float(east), float(north)) for east, north in found)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: not a list of corners [east, north] in metres ({error})") from error


def _say_findings(findings: tuple[Finding, ...], allowed: tuple[str, ...]) -> None:
    for finding in findings:
        mark = "ok" if finding.ok else "accepted" if finding.what in allowed else "UNSAFE"
        wanted = "" if finding.ok else f", wanted {finding.wanted}; {finding.advice} [{finding.source}]"
        print(f"  {mark}: {finding.what} is {finding.found}{wanted}")


def _what_now(arguments: Fly) -> str:
    if arguments.dry_run:
        return "dry run, nothing is sent"
    if arguments.takeoff is not None:
        return f"taking off to {arguments.takeoff:g} m"
    if split_address(str(arguments.autopilot))[0] == "msp":
        return "disarmed, switch MSP OVERRIDE on and off; then arm, take off, and switch it on"
    if arguments.engage == "pilot":
        return "waiting for the pilot's switch to OFFBOARD or GUIDED"
    return "asking for OFFBOARD or GUIDED"


def _report(arguments: Fly, summary: MissionSummary, watchers: Watchers) -> None:
    loop = summary.loop
    print(f"{summary.outcome}; {summary.flew:.1f} s in command, {loop.frames} frames, {loop.ticks} commands")
    print(
        f"missed deadlines: {loop.missed_deadlines} of {loop.ticks}; looked again after a gap:"
        f" {loop.rechecks}"
    )
    print(f"guard: {', '.join(f'{rule} {n}' for rule, n in loop.events.items()) or 'silent'}")
    for failure in watchers.failures:
        print(f"! {failure}")
    if arguments.json is not None:
        found = {
            "outcome": summary.outcome, "seconds": summary.flew, "engagements": summary.engagements,
            "frames": loop.frames, "commands": loop.ticks, "missed_deadlines": loop.missed_deadlines,
            "guard_events": dict(loop.events), "demand": loop.demand.name.lower(),
        }  # fmt: skip
        write_atomically(arguments.json, (json.dumps(found, indent=1) + "\n").encode())
