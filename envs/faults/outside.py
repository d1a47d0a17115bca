"""Faults from outside, on the wall clock: what is done to the processes of a flight, and what must follow.

Expectations are those of docs/guard.md and docs/autopilots.md. A flight that did not come into command, or in
which this machine was late by more than LATE, is void and flown again.
"""

from __future__ import annotations

import itertools
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pymavlink.dialects.v20 import ardupilotmega as dialect

from navstack.autopilot.link import Firmware
from navstack.autopilot.mavlink.codec import Codec
from navstack.envs.faults.cases import FASTEST, HELD, STOPPED, Verdict
from navstack.envs.faults.rig import CEILING, FENCE
from navstack.envs.faults.station import Station
from navstack.envs.navigation import NavigationEnv
from navstack.errors import InputError
from navstack.replay import read_log

LATE = 0.1  # s
TRIES = 8  # flights that may be void before this machine is given up
ENGAGED_WITHIN = 25.0  # s from the start of the process
AWAKE = 3.0  # s that a stopped process stays stopped, and a starved one starved
LOSS = 1.0  # s: both firmwares' timeout for missing setpoints, as the emulation sets it
SETTLE = 2.0  # s after which what must stop has stopped
LOST = 1.0  # s of the log that a kill may cost
ENDS_WITHIN = 12.0  # s after SIGTERM: hold is confirmed or given up (3 s), two watchers are waited for (5 s)
SILENT = 0.2  # s between two setpoints of a loop that flies on
PX4, COPTER = Firmware.PX4, Firmware.ARDUCOPTER
Action = Callable[[Station, float, int], None]
"""What is done to a flight, called at every turn: the flight, s since the fault began, the flight's seed."""
Event = tuple[str, float, Firmware | None]  # part of what is said, s after the fault, whose; None: both


@dataclass(frozen=True, slots=True)
class Case:
    """One fault and what must follow."""

    name: str
    act: Action
    watch: float  # s to go on afterwards
    expected: tuple[Event, ...] = ()
    final: tuple[tuple[str, ...], tuple[str, ...]] = ((HELD,), (HELD,))  # PX4, ArduCopter
    never: tuple[str, ...] = ()
    steady: bool = False  # setpoints go on without a gap
    stops: float | None = None  # s after the fault, from when the vehicle stands still
    ends: bool = True  # the loop lives and answers SIGTERM by handing over
    log: str = "whole"  # "whole": every turn; "cut": to a second before the fault; "gone"


# --- what is done ---------------------------------------------------------------------------------------


def once(what: Callable[[Station], None], undo: Callable[[Station], None] | None = None) -> Action:
    """Do it when the fault begins, and undo it AWAKE later."""

    def act(station: Station, since: float, seed: int) -> None:
        if station.stage == 0:
            what(station)
        elif station.stage == 1 and since >= AWAKE and undo is not None:
            undo(station)
        else:
            return
        station.stage += 1

    return act


def loop(number: signal.Signals) -> Callable[[Station], None]:
    """A signal to the loop."""
    return lambda station: station.signal_loop(number)


def watcher(name: str, number: signal.Signals) -> Callable[[Station], None]:
    """A signal to the recorder or the page."""
    return lambda station: station.signal_watcher(name, number)


BUSY = "while True: pass"
BUSY_PROCESSES = 4


def starve(station: Station) -> None:
    """Four busy processes beside the loop on its core, and the loop at the lowest priority there is."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise InputError("to starve the loop and nobody else takes two cores; this machine has one")
    mine, theirs = set(cores[:-1]), {cores[-1]}
    for pid in (0, station.timer.pid):
        os.sched_setaffinity(pid, mine)
    for thread in station.threads():
        os.sched_setaffinity(thread, theirs)
        os.setpriority(os.PRIO_PROCESS, thread, 19)
    for _ in range(BUSY_PROCESSES):
        busy = subprocess.Popen([sys.executable, "-S", "-c", BUSY], text=True)
        os.sched_setaffinity(busy.pid, theirs)
        station.helpers.append(busy)


def feed(station: Station) -> None:
    """The busy processes end."""
    for busy in station.helpers:
        busy.kill()


def remove_folder(station: Station) -> None:
    """The log's folder is removed."""
    shutil.rmtree(station.log.parent)


RIVAL = Codec(255, dialect.MAV_COMP_ID_MISSIONPLANNER)
RIVAL_PERIOD = 0.1  # s


def rival(station: Station, since: float, seed: int) -> None:
    """Another ground station sends velocities of its own, or changes the mode (every second seed)."""
    if seed // 2 % 2:
        if since < RIVAL_PERIOD:
            hold = station.autopilot.emulation.modes.hold
            message: Any = dialect.MAVLink_set_mode_message(1, 1, hold)
            station.rival.write(RIVAL.encode(message))
        return
    if since < AWAKE and since % RIVAL_PERIOD < RIVAL_PERIOD / 5.0:
        message = dialect.MAVLink_set_position_target_local_ned_message(
            0, 1, 1, dialect.MAV_FRAME_LOCAL_NED, 0x05C7, 0, 0, 0, 0.0, 0.0, -0.9, 0, 0, 0, 0, 0
        )
        station.rival.write(RIVAL.encode(message))


# --- the table ------------------------------------------------------------------------------------------

FLIES_ON = ((HELD,), (HELD,))
LEFT = (("AUTO.LOITER",), ("GUIDED",))  # ArduCopter hovers in GUIDED
# By what it still gets of the processor: it flies on, the estimate rule lands where states were old for a
# second, or the autopilot's own failsafe holds.
STARVED = (("AUTO.LOITER", "AUTO.LAND", HELD), ("GUIDED", "LAND", HELD))
# In GUIDED nobody took the vehicle: the loop flies on, or lands where it stands over 2 m from where the state
# before the gap foretold, which it cannot tell from a jump of the estimate.
AWOKE = (("AUTO.LOITER",), (HELD, "LAND"))
OFFBOARD_LOST: Event = ("AUTO.LOITER: offboard loss failsafe", LOSS + 0.2, PX4)
NEVER = ("link: rival", "estimate: ")
CASES: tuple[Case, ...] = (
    Case(
        "loop killed", once(loop(signal.SIGKILL)), 3.5, (OFFBOARD_LOST,), LEFT,
        stops=LOSS + SETTLE, ends=False, log="cut",
    ),
    Case(
        "loop stopped for 3 s", once(loop(signal.SIGSTOP), loop(signal.SIGCONT)), 5.0,
        (OFFBOARD_LOST, ("no longer in command", AWAKE + 0.5, PX4)), AWOKE,
    ),
    Case(
        "recorder killed", once(watcher("recorder", signal.SIGKILL)), 3.0,
        (("the recorder is gone", 0.8, None),), FLIES_ON, NEVER, steady=True, log="cut",
    ),
    Case(
        "recorder stopped for 3 s",
        once(watcher("recorder", signal.SIGSTOP), watcher("recorder", signal.SIGCONT)), 5.0,
        (("the recorder has read nothing", 2.7, None), ("the recorder reads again", 3.8, None)),
        FLIES_ON, NEVER, steady=True,
    ),
    Case(
        "page killed", once(watcher("page", signal.SIGKILL)), 3.0,
        (("the page is gone", 0.8, None),), FLIES_ON, NEVER, steady=True,
    ),
    Case(
        "page stopped for 3 s", once(watcher("page", signal.SIGSTOP), watcher("page", signal.SIGCONT)), 5.0,
        (("the page has read nothing", 2.7, None), ("the page reads again", 3.8, None)),
        FLIES_ON, NEVER, steady=True,
    ),
    Case(
        "CPU starved for 3 s", once(starve, feed), 5.0, (("missed deadlines", AWAKE + 1.5, None),),
        STARVED,
    ),
    Case(
        "log folder removed", once(remove_folder), 3.5,
        (("the flight log was removed in flight", 2.5, None),), FLIES_ON, NEVER, steady=True, log="gone",
    ),
    Case(
        "rival ground station", rival, 4.0, (("no longer in command", 2.0, None),),
        (("AUTO.LOITER",), ("GUIDED", "BRAKE")),
    ),
)  # fmt: skip


# --- one flight -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OutsideVerdict(Verdict):
    """How one flight went, and how many before it were void."""

    void: int = 0


def fly_outside(case: Case, environment: NavigationEnv, seed: int, firmware: Firmware) -> OutsideVerdict:
    """Fly until a flight is not void. Raises InputError where this machine is too busy for it."""
    late = 0.0
    for void in range(TRIES):
        with tempfile.TemporaryDirectory() as folder:
            flight = _Flight(case, environment, seed, firmware, Path(folder))
            try:
                verdict = flight.fly(void)
            finally:
                flight.station.close()
                os.sched_setaffinity(0, flight.cores)
        if verdict is not None:
            return verdict
        late = max(late, flight.late)
    raise InputError(
        f"'{case.name}': {TRIES} flights were void, this machine was up to {late:.2f} s late; nothing else"
        " may run beside this"
    )


class _Flight:
    def __init__(
        self, case: Case, environment: NavigationEnv, seed: int, firmware: Firmware, folder: Path
    ) -> None:
        self.case, self.seed, self.firmware = case, seed, firmware
        self.cores = os.sched_getaffinity(0)
        self.station = Station(environment, seed, firmware, folder, FENCE, CEILING)
        self.late = 0.0
        self.wrong: list[str] = []

    def fly(self, void: int) -> OutsideVerdict | None:
        """Engage, break, watch, end, judge; None where the machine was late."""
        station, case, rng = self.station, self.case, np.random.default_rng((self.seed, 8))
        began = time.monotonic()
        while not station.engaged and time.monotonic() < began + ENGAGED_WITHIN:
            station.turn()
        engaged = time.monotonic()
        station.turn_until(engaged + float(rng.uniform(0.6, 1.6)))
        start, home = time.monotonic(), station.places[0][1]
        station.watchers()
        while time.monotonic() < start + case.watch and not station.body.crashed:
            case.act(station, time.monotonic() - start, self.seed)
            station.turn()
        watched = time.monotonic()
        crashed = station.body.crashed
        final = self._final(watched)
        ended = self._end(watched)
        self.late = station.lateness(engaged, watched)
        if self.late > LATE or not station.engaged:
            return None
        latest = self._events(start)
        low, high = start, watched if ended is None else watched + 1.0
        flyaway = self._motion(home, low, high, final)
        self._gaps(start, watched)
        if final not in case.final[self.firmware is COPTER] and not crashed:
            self.wrong.append(f"at the end {final}")
        readable = self._log(start, watched)
        if flyaway:
            self.wrong.append("flyaway")
        return OutsideVerdict(
            case.name, str(self.firmware), self.seed, not self.wrong, "; ".join(self.wrong), flyaway, crashed,
            readable, latest, final, void,
        )  # fmt: skip

    def _final(self, now: float) -> str:
        """In command where setpoints still come, else the autopilot's mode."""
        autopilot, setpoints = self.station.autopilot, self.station.setpoints
        commanded = autopilot.mode == autopilot.emulation.modes.command
        return HELD if commanded and setpoints and now - setpoints[-1] < LOSS else autopilot.mode_name

    def _end(self, now: float) -> float | None:
        """Stop the loop as a person would; when the last of its processes ended."""
        station, case = self.station, self.case
        if case.ends:
            station.signal_loop(signal.SIGTERM)
        deadline = now + ENDS_WITHIN
        while station.alive() and time.monotonic() < deadline:
            station.turn()
        if station.alive():
            self.wrong.append(f"{', '.join(station.alive())} still there {ENDS_WITHIN:g} s after the end")
            return None
        text = "\n".join(line for _, line in station.said)
        if case.ends and "stopped by SIGTERM" not in text:
            self.wrong.append("the loop did not say how it stopped")
        if "Traceback" in text:
            self.wrong.append("a traceback")
        return time.monotonic()

    def _events(self, start: float) -> float:
        station, latest = self.station, 0.0
        told = [(when, text) for when, text in (*station.said, *station.acts) if when >= start]
        for part, within, firmware in self.case.expected:
            if firmware not in (None, self.firmware):
                continue
            found = min((when - start for when, text in told if part in text), default=math.inf)
            if found > within + LATE:
                self.wrong.append(f"{part}: after {found:.2f} s, not within {within:g}")
            latest = max(latest, found if found < math.inf else 0.0)
        self.wrong += [f"said: {text}" for _, text in told if any(part in text for part in self.case.never)]
        return latest

    def _motion(self, home: tuple[float, float, float], start: float, end: float, final: str) -> bool:
        """Whether it flew away; what must stop has stopped, and nothing is too low."""
        places = [entry for entry in self.station.places if start <= entry[0] <= end]
        away = max(math.hypot(p[0] - home[0], p[1] - home[1]) for _, p, _, _ in places)
        fastest, highest = max(speed for *_, speed in places), max(height for _, _, height, _ in places)
        lowest = min(height for _, _, height, _ in places)
        stops = self.case.stops
        moving = 0.0
        if stops is not None:
            moving = max((speed for when, *_, speed in places if when >= start + stops), default=0.0)
        if moving > STOPPED:
            self.wrong.append(f"still at {moving:.2f} m/s")
        if lowest < 0.9 and "LAND" not in final and not self.station.body.crashed:
            self.wrong.append(f"down to {lowest:.2f} m")
        return away > FENCE or highest > CEILING or fastest > FASTEST or moving > 2.0 * STOPPED

    def _gaps(self, start: float, end: float) -> None:
        times = [start, *(when for when in self.station.setpoints if start <= when <= end), end]
        gap = max(later - earlier for earlier, later in itertools.pairwise(times))
        if self.case.steady and gap > SILENT + LATE:
            self.wrong.append(f"no setpoint for {gap:.2f} s")

    def _log(self, start: float, end: float) -> bool:
        """Whether the log is as it should be; its times are on the same clock as ours."""
        log, kind = self.station.log, self.case.log
        if kind == "gone":
            return not log.exists()
        try:
            times = [turn.time for turn in read_log(log).turns]
        except InputError as error:
            self.wrong.append(str(error))
            return False
        if kind == "cut" and times[-1] < start - LOST:
            self.wrong.append(f"the log ends {start - times[-1]:.2f} s before the fault")
        if kind == "whole":
            if times[-1] < end - LOST:
                self.wrong.append(f"the log ends {end - times[-1]:.2f} s before the end")
            gaps = [b - a for a, b in itertools.pairwise(times) if b > start]
            if self.case.steady and max(gaps, default=0.0) > SILENT + LATE:
                self.wrong.append(f"the log lacks {max(gaps):.2f} s")
        return True
