"""The role of an autopilot, and the facts that it reports: what the loop, the guard and the log build on.

A link turns velocity commands into an autopilot's setpoints and an autopilot's messages into facts in the
contract's frames (ENU, FLU, SI). It has no thread: everything leaves and is read in `poll` and `send`, from
the thread that computed the command: a dead loop is silent, and the autopilot's own failsafe runs.
Time is the flight loop's clock, given to a link when it is made (`connect(address, clock, config)`).

The course of a flight, as `Authority`:

    NONE ──engage()──▶ OFFERED ──the mode is selected──▶ TESTING ──self-test passed──▶ HELD
      ▲                   │                                 │                           │
      │                   └── hold(), land(), release() ────┴───────────────────────────┤
      └─ engage() again                                                                 ▼
    ENDED ◀── mode changed by another, link lost, self-test failed ── HOLDING ──10 s──▶ LANDING, RETURNING

`send` flies a command only in HELD. In OFFERED and TESTING it keeps the stream and proof of life alive with
zeros or the self-test's own velocity; in every other state it sends no setpoint at all, unless a hold is not
yet confirmed, when it keeps streaming zeros. The caller may therefore send at every turn, whatever the state.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Literal, Protocol

from navstack.contract import Vector3, VehicleState, VelocityCommand


class Firmware(enum.StrEnum):
    """What flies the vehicle."""

    PX4 = "PX4"
    ARDUCOPTER = "ArduCopter"
    BETAFLIGHT = "Betaflight"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is at the other end."""

    firmware: Firmware
    version: tuple[int, int, int] | None  # None until the autopilot told it
    version_type: str = ""  # "dev", "alpha", "beta", "rc" or "release"; empty where unknown
    system_id: int = 0  # MAVLink system id; 0 where there is none
    component_id: int = 0
    vehicle: str = ""  # "quadrotor", "hexarotor", …
    uid: str = ""  # the board's unique id in hexadecimal, empty where it tells none

    def __str__(self) -> str:
        version = ".".join(map(str, self.version)) if self.version else "of unknown version"
        return f"{self.firmware} {version}{f' {self.version_type}' if self.version_type else ''}"


@dataclass(frozen=True, slots=True)
class FlightMode:
    """The autopilot's own mode, as its heartbeat says; never what was asked for."""

    name: str  # the firmware's name: "OFFBOARD", "GUIDED", "AUTO.LOITER", "BRAKE", …; "UNKNOWN(…)" for others
    number: int  # MAVLink custom_mode; for Betaflight the bits of its flight mode flags
    armed: bool
    landed: bool | None  # None where the autopilot does not say


class Authority(enum.StrEnum):
    """Who flies, as far as this link is concerned."""

    NONE = "none"  # nothing asked for; no setpoints leave
    TAKING_OFF = "taking off"  # the autopilot climbs by itself; no setpoints leave
    OFFERED = "offered"  # zeros stream, the pilot has not switched yet
    TESTING = "testing"  # the mode is ours, the self-test in hover runs
    HELD = "held"  # commands are flown
    HOLDING = "holding"  # hold was asked for, by us
    LANDING = "landing"  # landing was asked for, by us
    RETURNING = "returning"  # return to launch was asked for, by us
    ENDED = "ended"  # somebody else changed the mode, or the link gave up; a fresh engage() is needed

    @property
    def flies(self) -> bool:
        """Whether commands given to `send` reach the vehicle."""
        return self is Authority.HELD


@dataclass(frozen=True, slots=True)
class EstimateHealth:
    """How far the autopilot's own estimate of its motion can be believed."""

    attitude_age: float  # s since the newest attitude was taken; inf before the first
    position_age: float  # s
    velocity_age: float  # s
    flags_ok: bool | None  # the estimator's own verdict; None: it gives none
    flags: str = ""  # what it complains of, in words; empty for nothing
    jump: float = 0.0  # m, distance between the newest position and where the one before and its velocity led


@dataclass(frozen=True, slots=True)
class Battery:
    """The autopilot's view of its battery. None where it does not say."""

    remaining: float | None = None  # fraction, 0 to 1
    voltage: float | None = None  # V
    current: float | None = None  # A
    warning: str = ""  # "low", "critical", "emergency", "failed", "unhealthy"; empty for none


@dataclass(frozen=True, slots=True)
class LinkStatistics:
    """How good the connection is. Losses are counted from MAVLink sequence numbers, where there are any."""

    received: int = 0  # messages that were whole
    sent: int = 0  # messages
    lost: int = 0  # messages missing in the sequence
    duplicated: int = 0  # messages that came again
    corrupted: int = 0  # pieces of the stream that were no message, or failed their checksum or signature
    loss: float = 0.0  # fraction lost over the last 5 s
    silence: float = float("inf")  # s since the last message from the autopilot
    heartbeat_age: float = float("inf")  # s since its last heartbeat
    round_trip: float | None = None  # s, by time synchronisation; None before the first
    clock_offset: float | None = None  # s to add to the autopilot's clock for the flight loop's
    rivals: tuple[str, ...] = ()  # others that command this vehicle: "system 255 component 190"


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """Everything that the guard, the page and the log want to know of the link, at one instant."""

    time: float  # s, on the flight loop's clock
    identity: Identity | None  # None until the first heartbeat
    mode: FlightMode | None
    authority: Authority
    estimate: EstimateHealth
    battery: Battery
    statistics: LinkStatistics
    home_enu: Vector3 | None = None  # m, where it took off, in the frame of VehicleState; None where unknown
    height_above_ground: float | None = None  # m, by a rangefinder that looks down; None without one
    silence_timeout: float | None = None  # s the autopilot flies on after the last setpoint; None: unread
    hold_is_ours: bool = False  # the firmware has no hold: the link flies it, and has to live on meanwhile


class LinkEventKind(enum.StrEnum):
    """Every transition that a link reports."""

    CONNECTED = "connected"  # first heartbeat of the vehicle
    IDENTIFIED = "identified"  # its firmware and version are known
    OFFERED = "offered"
    SELF_TEST = "self-test begins"
    ENGAGED = "engaged"
    ENDED = "authority ended"
    HOLD = "hold"
    LAND = "land"
    RETURN = "return"
    TAKE_OFF = "take-off"
    AIRBORNE = "airborne"  # the take-off's height is reached and stable
    LANDED = "landed"
    ARMED = "armed"
    DISARMED = "disarmed"
    MODE = "mode"  # the autopilot's mode is another
    REFUSED = "refused"  # the autopilot refused a request, or did not act in time
    SETPOINT_WITHHELD = "setpoint withheld"  # attitude too old to turn the velocity, or mode not ours
    SETPOINT_RESUMED = "setpoint resumed"
    RIVAL = "rival"  # another station commands the vehicle
    LINK_LOST = "link lost"
    LINK_BACK = "link back"
    AUTOPILOT = "autopilot says"  # a text of the autopilot at warning level or worse
    REBOOTED = "autopilot rebooted"


@dataclass(frozen=True, slots=True)
class LinkEvent:
    """One transition and its cause, for the flight log."""

    time: float  # s, on the flight loop's clock
    kind: LinkEventKind
    cause: str  # one line in plain words


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked before flight."""

    what: str  # "COM_OF_LOSS_T"
    found: str  # "1.0 s"
    wanted: str  # "at most 1 s"
    ok: bool
    advice: str  # what to do; empty where it is as wanted
    source: str  # the firmware's file or page that the rule comes from


@dataclass(frozen=True, slots=True)
class LinkConfig:
    """Every choice about a link. Defaults are the safe ones."""

    engage: Literal["pilot", "self"] = "pilot"
    """Who selects OFFBOARD or GUIDED: the pilot by switch, or this program."""
    arm: bool = False
    """Let `takeoff` arm the vehicle. The command line asks for a typed confirmation before it sets this."""
    after_hold: Literal["land", "return"] = "land"
    """What a hold becomes."""
    hold_seconds: float = 10.0
    """How long a hold lasts before it becomes that."""
    confirm_seconds: float = 1.0
    """How long the autopilot may take to confirm a mode by its heartbeat."""
    allow_unsafe: tuple[str, ...] = ()
    """Names of findings that are accepted although they are not ok."""
    self_test: bool = True
    """Fly 0.3 m/s forward for a second and compare before authority is used."""
    system_id: int = 0
    """MAVLink system of the vehicle to fly; 0 for the only one there is."""
    signing_key: bytes | None = field(default=None, repr=False)
    """32 bytes; with it every message is signed and unsigned ones are ignored."""
    estimate_age: float = 0.3
    """s: position and velocity older than this are no estimate."""
    attitude_age: float = 0.1
    """s: attitude older than this turns no velocity."""
    link_lost_after: float = 1.0
    """s of silence that count as a lost link."""
    velocity: str = ""
    """Address where an estimator sends ODOMETRY, for firmware that tells no velocity (Betaflight)."""


class AutopilotLink(Protocol):
    """An autopilot as the `navstack.flight.Vehicle` of the closed loop, and what surrounds the flight.

    No method blocks. Requests (`engage`, `hold`, …) leave at once and are repeated by `poll` and `send` until
    the autopilot's heartbeat confirms them or `confirm_seconds` are over; progress is seen in
    `status().authority` and in the events that `poll` returns. All of it belongs to one thread.
    """

    def poll(self) -> tuple[LinkEvent, ...]:
        """Read everything that came, run what is due, and return what happened since the last call.

        Call it at every turn of the loop, and every few milliseconds while waiting before a flight. Reads all
        that has arrived, so a turn after a pause sees the newest state. Raises OSError where the connection
        itself broke (serial port unplugged); a silent autopilot is an event, not an error.
        """
        ...

    def status(self) -> LinkStatus:
        """The facts as of the last `poll` or `send`, with ages counted to now."""
        ...

    def state(self) -> VehicleState:
        """The newest state, `time` on the flight loop's clock (when it was true, as well as is known).

        Raises InputError before the autopilot has given attitude, position and velocity once; ask
        `status().estimate` first.
        """
        ...

    def send(self, command: VelocityCommand) -> None:
        """Fly this velocity until the next command, where authority is held; see the module's text.

        Reads what has arrived first where the last look is over 100 ms old, and checks mode and estimate
        immediately before the setpoint leaves. Sends the heartbeat (proof of life) when it is due.
        """
        ...

    def preflight(self) -> tuple[Finding, ...] | None:
        """What was read of the autopilot's failsafes, fence and estimate; None while still being read."""
        ...

    def engage(self) -> None:
        """Offer to fly: stream zeros, and wait for the pilot's switch or ask for the mode, by configuration.

        Raises InputError where `preflight` is unfinished or holds findings that are not ok and not allowed,
        and where the vehicle is on the ground (`takeoff` is for that).
        """
        ...

    def takeoff(self, height: float) -> None:
        """Let the autopilot take off to `height` (m above the ground it stands on) by itself.

        AIRBORNE comes when that height is reached and stable; `engage` is then the next call. Raises
        InputError where preflight is unfinished or not ok, or where the vehicle is not armed and `config.arm`
        is not set.
        """
        ...

    def hold(self, cause: str) -> None:
        """Hand over: the autopilot's own hold without sticks; lands (or returns) after `hold_seconds`.

        PX4 AUTO.LOITER, ArduCopter BRAKE; where that is refused, or there is no position, LAND. Betaflight
        has no hold: see its module. Does nothing where somebody else has the authority already.
        """
        ...

    def land(self, cause: str) -> None:
        """Let the autopilot land here. Does nothing where somebody else has the authority already."""
        ...

    def return_home(self, cause: str) -> None:
        """Let the autopilot return and land. Does nothing where somebody else has the authority already."""
        ...

    def release(self, cause: str) -> None:
        """Stop streaming and asking; what flies on is the autopilot's failsafe or the pilot's."""
        ...

    def close(self) -> None:
        """Close the connection. Does not change the autopilot's mode: call `hold` first."""
        ...
