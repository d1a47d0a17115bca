"""The table of faults: what breaks, what must follow, how soon; and how one flight is judged."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from navstack.autopilot.link import Firmware
from navstack.envs.faults import breaks
from navstack.envs.faults.rig import CEILING, FENCE, Rig
from navstack.envs.navigation import NavigationEnv
from navstack.errors import InputError
from navstack.flight_log import read_flight_log
from navstack.policy import OnnxPolicy

TURN = 0.06  # s that one turn of the loop may add to every time
STOPPED = 0.3  # m/s
SETTLE = 3.0  # s after which what must stop has stopped
FASTEST = 1.6  # m/s of true speed: the limits in two axes, and what a vehicle overshoots
HELD = "in command"


@dataclass(frozen=True, slots=True)
class Case:
    """One fault and what the guard's table says of it."""

    name: str
    begin: Callable[[Rig], None]
    watch: float  # s to go on afterwards
    expected: tuple[tuple[str, str, float], ...] = ()  # rule or source, action or part of a text, within s
    never: tuple[str, ...] = ()  # rules that must stay silent
    final: tuple[str, ...] = (HELD,)  # how it may stand at the end: in command, or the autopilot's mode
    stops: bool = False  # the vehicle stands still, SETTLE after the last time that was expected


HOLDS = ("AUTO.LOITER", "BRAKE")
LANDS = ("AUTO.LAND", "LAND")
FRESH = 0.3  # s: the shipped policy's longest dt
CASES: tuple[Case, ...] = (
    Case(
        "camera frozen",
        breaks.frozen,
        14.5,
        (("frozen frames", "hover", 0.3 + 1.0), ("frozen frames", "hold", 11.5)),
        (),
        HOLDS,
        True,
    ),
    Case(
        "camera black",
        breaks.black,
        12.5,
        (("blank frames", "hover", 0.35), ("blank frames", "hold", 10.5)),
        (),
        HOLDS,
        True,
    ),
    Case(
        "camera disconnected",
        breaks.disconnected,
        14.0,
        (
            ("frame age", "scale", FRESH + 0.05),
            ("frame age", "hover", 3 * FRESH + 0.05),
            ("frame age", "hold", 11.0),
        ),
        (),
        HOLDS,
        True,
    ),
    Case("camera slow", breaks.slow, 6.0, (("frame age", "scale", 1.1),), ("estimate",)),
    Case("frames out of order", breaks.out_of_order, 5.0, (), ("frame age", "frozen frames", "blank frames")),
    Case("link lost 0.2 s", breaks.link_lost(0.2), 5.0, (), ("link quality", "battery", "following")),
    Case("link lost 1 s", breaks.link_lost(1.0), 6.0, (), ("battery",), (HELD, *HOLDS, *LANDS, "GUIDED")),
    Case(
        "link lost 5 s",
        breaks.link_lost(5.0),
        9.0,
        (("mission", "no longer in command", 2.2),),
        (),
        (*HOLDS, *LANDS, "GUIDED"),
        True,
    ),
    Case("packets duplicated", breaks.duplicated, 5.0, (), ("estimate", "link quality", "pilot override")),
    Case("packets reordered", breaks.reordered, 5.0, (), ("estimate", "pilot override")),
    # One time in a hundred three heartbeats in a row are among them: then it holds, by link quality.
    Case(
        "packets corrupted",
        breaks.corrupted,
        6.0,
        (),
        ("pilot override", "estimate", "following", "frame age", "battery"),
        (HELD, *HOLDS),
    ),
    Case(
        "estimate lost",
        breaks.estimate_lost,
        6.0,
        (("estimate", "hover", 0.45), ("estimate", "land", 1.5)),
        (),
        LANDS,
    ),
    Case(
        "estimate jumped",
        breaks.estimate_jumped,
        6.0,
        (("estimate", "hover", 0.2), ("estimate", "land", 1.25)),
        (),
        LANDS,
    ),
    Case(
        "heading 90 degrees wrong",
        breaks.yaw_wrong,
        6.0,
        (("estimate", "hover", 0.2), ("estimate", "land", 1.25)),
        (),
        LANDS,
    ),
    Case("battery sags for 2 s", breaks.battery(0.1, 2.0), 6.0, (), ("battery",)),
    Case("battery empty", breaks.battery(0.1), 8.0, (("battery", "land", 4.2),), (), LANDS),
    Case(
        "pilot takes over",
        breaks.pilot_takes_over,
        5.0,
        (("mission", "no longer in command", 1.1),),
        (),
        ("POSCTL", "LOITER"),
    ),
    Case("policy is not a number", breaks.not_a_number, 5.0, (("finite", "hover", 0.06),), ("estimate",)),
    Case("clock stepped an hour ahead", breaks.clock_stepped(1.0), 5.0, (), ("frame age", "estimate")),
    Case("clock stepped an hour back", breaks.clock_stepped(-1.0), 5.0, (), ("frame age", "estimate")),
    Case("disk full", breaks.disk_full, 5.0, (("recorder", "gone", 1.5),), ("estimate", "frame age")),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one flight went."""

    case: str
    firmware: str
    seed: int
    ok: bool
    wrong: str  # what is not as expected, in words
    flyaway: bool
    crashed: bool  # touched something before the fault was over
    log_readable: bool
    latest: float  # s after the fault: the last of what was expected, 0 where nothing was
    final: str

    def as_dict(self) -> dict[str, Any]:
        """For a line of JSON."""
        return asdict(self)


def fly_case(
    case: Case, environment: NavigationEnv, policy: OnnxPolicy, seed: int, firmware: Firmware, log: Path
) -> Verdict:
    """One flight with this fault, judged. The log is written, read back and removed."""
    rig = Rig(environment, policy, seed, firmware, log)
    try:
        rig.engage()
        began = rig.body.now()
        home = rig.body.state().position_enu
        start = began + float(rig.rng.uniform(0.5, 3.0))
        places: list[tuple[float, float, float, float]] = []  # time, from home, height, speed
        while rig.body.now() < start + case.watch and not rig.body.crashed:
            if rig.body.now() >= start and not rig.broken:
                rig.broken, start = True, rig.body.now()
                case.begin(rig)
            rig.mission.turn()
            state = rig.body.state()
            away = math.hypot(state.position_enu[0] - home[0], state.position_enu[1] - home[1])
            places.append(
                (rig.body.now(), away, rig.body.simulator.above_ground(state.position_enu)[2], state.speed)
            )
    finally:
        rig.close()
    readable = _readable(log, policy)
    log.unlink(missing_ok=True)
    return _judge(case, rig, seed, firmware, start, places, readable)


def _judge(
    case: Case, rig: Rig, seed: int, firmware: Firmware, start: float,
    places: list[tuple[float, float, float, float]], readable: bool,
) -> Verdict:  # fmt: skip
    wrong, latest = [], 0.0
    crashed = rig.body.crashed
    for who, what, within in case.expected:
        times = [
            t - start
            for t, rule, text in rig.told.events
            if rule == who and what in text and t >= start - 1e-9
        ]
        found = min(times, default=math.inf)
        if found > within + TURN and not crashed:
            wrong.append(f"{who}: {what} after {found:.2f} s, not within {within:g}")
        latest = max(latest, found) if found < math.inf else latest
    for rule in case.never:
        if any(r == rule and t >= start for t, r, _ in rig.told.events):
            wrong.append(f"{rule} acted")
    final = HELD if rig.mission.vehicle.engaged else rig.autopilot.mode_name
    if final not in case.final and not crashed:
        wrong.append(f"at the end {final}")
    still = start + max((within for _, _, within in case.expected), default=0.0) + SETTLE
    moving = max((speed for t, _, _, speed in places if t > still), default=0.0)
    flyaway = any(away > FENCE or height > CEILING or speed > FASTEST for _, away, height, speed in places)
    if case.stops and moving > STOPPED:
        wrong.append(f"still at {moving:.2f} m/s")
        flyaway = flyaway or moving > 2.0 * STOPPED
    low = min((height for t, _, height, _ in places), default=math.inf)
    if low < 0.9 and final not in LANDS and not crashed:
        wrong.append(f"down to {low:.2f} m")
    if not readable:
        wrong.append("the log cannot be read")
    if flyaway:
        wrong.append("flyaway")
    return Verdict(
        case.name, str(firmware), seed, not wrong, "; ".join(wrong), flyaway, crashed, readable, latest, final
    )


def _readable(log: Path, policy: OnnxPolicy) -> bool:
    try:
        return len(read_flight_log(log, policy.card.rate_hz).dt) > 5
    except InputError:
        return False
