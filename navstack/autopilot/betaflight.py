"""Betaflight over MSP (serial or TCP), by MSP OVERRIDE: attitude comes from it, the velocity loop is ours.

Betaflight knows no velocity and has no hold. It must be in ANGLE mode, armed and overridden by the receiver's
switches, which the override's mask must leave alone; that is looked at, not believed: on the ground,
disarmed, the link sends sticks and reads back which channels follow. A velocity must come from somewhere
(optical flow, or the truth in simulation): without a `MotionSource` there is no link.

Source: src/main/rx/msp_override.c, src/main/rx/rx.c, src/main/msp/msp.c of Betaflight 4.6.
"""

from __future__ import annotations

import math

from navstack.autopilot import msp
from navstack.autopilot.dialogue import Dialogue
from navstack.autopilot.link import (
    Authority,
    Battery,
    EstimateHealth,
    Finding,
    FlightMode,
    LinkConfig,
    LinkEvent,
    LinkEventKind,
    LinkStatistics,
    LinkStatus,
)
from navstack.autopilot.motion import Motion, MotionSource
from navstack.autopilot.selftest import SelfTest
from navstack.autopilot.sticks import Sticks
from navstack.autopilot.transport import Transport
from navstack.autopilot.velocity_loop import Demand, VelocityLoop
from navstack.autopilot.watchdog import Watchdog
from navstack.contract import ZERO_COMMAND, VehicleState, VelocityCommand
from navstack.errors import InputError
from navstack.flight import Clock

LAND_SPEED = 0.5  # m/s
SINKING = 0.85  # of the hover throttle that the watchdog falls back to
STILL_LANDED = 1.5  # s without sinking while landing that counts as ground
FRAME_PERIOD = 0.03  # s between frames of sticks at least
PATIENCE = 3.0  # s for the settings to be told


class BetaflightLink:
    """An `AutopilotLink` to Betaflight.

    Args:
        transport: bytes to and from an MSP port.
        clock: the flight loop's.
        config: every choice; `engage` is the pilot's always, and nothing is armed.
        motion: where velocity and height come from.
        sticks: how this vehicle reads sticks.
        watchdog: the process that takes over when the loop is dead; None for the bench only.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        config: LinkConfig | None,
        motion: MotionSource,
        sticks: Sticks | None = None,
        watchdog: Watchdog | None = None,
    ) -> None:
        self.config = config or LinkConfig()
        self._transport, self._clock, self._motion = transport, clock, motion
        self._sticks, self._watchdog = sticks or Sticks(), watchdog
        self._began = self._since = clock.now()
        self._loop, self._dialogue = VelocityLoop(), Dialogue(transport, self._began)
        self._board, self._authority = self._dialogue.board, Authority.NONE
        self._events: list[LinkEvent] = []
        self._frame_time = -math.inf
        self._fresh, self._landed, self._lost = False, False, False
        self._test: SelfTest | None = None
        self._still_since: float | None = None
        self._command = ZERO_COMMAND
        self._position = [0.0, 0.0]  # m, east and north, by adding up velocity
        self._position_time: float | None = None

    @property
    def follow(self) -> set[int] | None:
        """Channels that the override moves, as MSP_RC counts them; None until probed."""
        return self._dialogue.follow

    @property
    def slowest(self) -> float:
        """The longest (s) that sticks waited for their answer since the last reset of this figure."""
        return self._dialogue.slowest

    def reset_slowest(self) -> None:
        """Measure the longest wait from now on."""
        self._dialogue.slowest = 0.0

    # --- AutopilotLink ----------------------------------------------------------------------------------

    def poll(self) -> tuple[LinkEvent, ...]:
        """Read, ask for what is due, keep the sticks fresh, and hand over the events since the last call."""
        now = self._clock.now()
        self._turn(now)
        if now - self._frame_time >= FRAME_PERIOD:
            self._fly(now)
        events = tuple(self._events)
        self._events.clear()
        return events

    def send(self, command: VelocityCommand) -> None:
        """Fly this velocity, where authority is held. Raises ValueError unless it is finite."""
        if not command.is_finite():
            raise ValueError(f"a command that is not finite must not reach the link: {command}")
        now = self._clock.now()
        self._command = command
        self._turn(now)
        self._fly(now)

    def status(self) -> LinkStatus:
        """The facts as of the last `poll` or `send`, with ages counted to now."""
        now, board, motion = self._clock.now(), self._board, self._motion.motion()
        age = now - motion.time if motion is not None else math.inf
        health = EstimateHealth(now - board.attitude_time, age, age, None)
        dialogue, silence = self._dialogue, now - self._dialogue.heard
        statistics = LinkStatistics(
            dialogue.received, dialogue.sent, corrupted=dialogue.corrupted, silence=silence,
            heartbeat_age=silence,
        )  # fmt: skip
        mode = None
        if board.flags_known:
            mode = FlightMode(board.mode_name, board.flags, board.active(msp.BOX_ARM), self._landed or None)
        return LinkStatus(
            now, board.identity, mode, self._authority, health, Battery(voltage=board.voltage), statistics,
            height_above_ground=motion.height if motion is not None else None, silence_timeout=math.inf,
        )  # fmt: skip

    def state(self) -> VehicleState:
        """Attitude and rates by Betaflight, velocity and height by the source, position by adding up."""
        motion = self._motion.motion()
        if motion is None or self._board.attitude_time == -math.inf:
            raise InputError("Betaflight's attitude and a velocity from the source have not come yet")
        return self._board.state(motion, (self._position[0], self._position[1]))

    def preflight(self) -> tuple[Finding, ...] | None:
        """Firmware, mode switches, failsafe and the probed mask; None while they are being read."""
        board = self._board
        if missing := self._dialogue.untold:
            if self._clock.now() - self._began < PATIENCE:
                return None
            return (
                Finding(
                    "MSP", f"no answer to {', '.join(map(str, missing))}", "all answered", False,
                    "check the port's MSP setting and its baud rate", "src/main/msp/msp.c",
                ),
            )  # fmt: skip
        return board.findings(self.follow, self._unfit(self._clock.now()), self._watchdog is not None)

    def engage(self) -> None:
        """Offer to fly: the pilot's override switch engages. Raises InputError for what speaks against it."""
        findings = self.preflight()
        if findings is None or self._board.rates is None:
            raise InputError("engage: Betaflight's settings are still being read")
        bad = [f for f in findings if not f.ok and f.what not in self.config.allow_unsafe]
        if bad:
            listed = "; ".join(f"{f.what} is {f.found}, wanted {f.wanted} ({f.advice})" for f in bad)
            raise InputError(f"engage refused: {listed}")
        self._fresh = False
        self._become(Authority.OFFERED, LinkEventKind.OFFERED, "waits for the override switch")

    def takeoff(self, height: float) -> None:
        """Betaflight does not take off by itself. Always raises InputError."""
        raise InputError("take-off: Betaflight has none of its own; let the pilot take off, then engage")

    def hold(self, cause: str) -> None:
        """Stand still by our own loop, and land after a while: Betaflight has no hold."""
        self._hand_over(Authority.HOLDING, LinkEventKind.HOLD, f"{cause}; by our own loop")

    def land(self, cause: str) -> None:
        """Sink until the ground is reached; the pilot disarms."""
        self._hand_over(Authority.LANDING, LinkEventKind.LAND, cause)

    def return_home(self, cause: str) -> None:
        """Land here: Betaflight's rescue needs GPS and is the pilot's to call."""
        self.land(f"{cause}; Betaflight is not sent home, it lands")

    def release(self, cause: str) -> None:
        """Send nothing more. Older firmware then flies the last sticks until the pilot's switch."""
        if self._authority not in (Authority.NONE, Authority.ENDED):
            self._become(Authority.ENDED, LinkEventKind.ENDED, f"released: {cause}")

    def close(self) -> None:
        """Send the watchdog to rest and close the connection."""
        if self._watchdog is not None:
            self._watchdog.close()
        self._transport.close()

    # --- a turn -----------------------------------------------------------------------------------------

    def _turn(self, now: float) -> None:
        known = self._board.identity is not None
        self._dialogue.listen(now)
        if not known and self._board.identity is not None:
            self._tell(LinkEventKind.CONNECTED, str(self._board.identity))
        self._dialogue.work(now)
        self._add_up(now)
        if self._authority is Authority.NONE:
            self._dialogue.probe(now)
        self._watch(now)

    def _watch(self, now: float) -> None:
        board, authority = self._board, self._authority
        overridden, armed = board.active(msp.BOX_MSP_OVERRIDE), board.active(msp.BOX_ARM)
        lost = now - self._dialogue.heard > self.config.link_lost_after
        if lost != self._lost:
            self._lost = lost
            kind = LinkEventKind.LINK_LOST if lost else LinkEventKind.LINK_BACK
            self._tell(kind, "level and sinking, blind" if lost and authority.flies else "")
        if not overridden:
            self._fresh = True
            if armed and board.channels:
                self._loop.reset((board.channels[3] - msp.LOW) / (msp.HIGH - msp.LOW))
        if authority is Authority.OFFERED:
            ready = overridden and armed and board.active(msp.BOX_ANGLE) and self._fresh
            if ready and self.config.self_test:
                self._test = SelfTest(now)
                self._become(Authority.TESTING, LinkEventKind.SELF_TEST, board.mode_name)
            elif ready:
                self._become(Authority.HELD, LinkEventKind.ENGAGED, f"{board.mode_name}, no self-test")
        elif authority not in (Authority.NONE, Authority.ENDED) and not lost:
            self._watch_pilot(now)

    def _watch_pilot(self, now: float) -> None:
        """What ends authority, and what follows by itself."""
        board = self._board
        why = ""
        if not board.active(msp.BOX_ARM):
            why = "disarmed"
        elif not board.active(msp.BOX_MSP_OVERRIDE):
            why = "the pilot's override switch"
        elif not board.active(msp.BOX_ANGLE):
            why = "ANGLE mode was left"
        elif board.active(msp.BOX_FAILSAFE):
            why = "Betaflight's failsafe"
        if why:
            ended = Authority.NONE if self._landed and why == "disarmed" else Authority.ENDED
            self._become(ended, LinkEventKind.ENDED, why)
        elif (
            self._authority is Authority.TESTING and self._test is not None and self._test.verdict is not None
        ):
            verdict = self._test.verdict
            if verdict:
                self.hold(f"self-test failed: {verdict}")
            else:
                self._become(Authority.HELD, LinkEventKind.ENGAGED, "self-test passed")
        elif self._authority is Authority.HOLDING and now - self._since >= self.config.hold_seconds:
            self.land(f"held for {self.config.hold_seconds:g} s")

    def _fly(self, now: float) -> None:
        """Send the sticks that this moment needs."""
        dt = now - self._frame_time
        if self._authority in (Authority.NONE, Authority.ENDED):
            return
        self._frame_time = now
        demand = self._demand(now, dt)
        assert self._board.rates is not None  # `engage` saw to it
        channels = self._sticks.channels(demand, self._board.rates)
        watching = self._authority is not Authority.OFFERED
        if self._watchdog is not None:
            sinking = round(msp.LOW + (msp.HIGH - msp.LOW) * SINKING * self._loop.hover)
            self._watchdog.beat(msp.LOW if self._landed else sinking, watching)
        self._dialogue.stick(channels, now)

    def _demand(self, now: float, dt: float) -> Demand:
        if self._landed:
            return Demand(0.0, 0.0, 0.0, 0.0)
        unfit, motion = self._unfit(now), self._motion.motion()
        if self._authority is Authority.OFFERED:
            return Demand(0.0, 0.0, 0.0, self._loop.hover)
        if unfit or motion is None:
            return Demand(0.0, 0.0, 0.0, 0.95 * self._loop.hover)
        command = self._chosen(now)
        demand = self._loop.update(command, motion.velocity, self._board.lean, dt)
        if self._authority is Authority.LANDING:
            self._watch_ground(motion, now)
        return demand

    def _chosen(self, now: float) -> VelocityCommand:
        if self._authority is Authority.HELD:
            return self._command
        if self._authority is Authority.TESTING and self._test is not None:
            return self._test.command(self.state(), now)
        sink = -LAND_SPEED if self._authority is Authority.LANDING else 0.0
        return VelocityCommand(0.0, 0.0, sink, 0.0)

    def _watch_ground(self, motion: Motion, now: float) -> None:
        """Ground is where a vehicle that is asked to sink does not."""
        if motion.velocity[2] < -0.15 or motion.height > 0.5:
            self._still_since = None
        elif self._still_since is None:
            self._still_since = now
        elif now - self._still_since > STILL_LANDED:
            self._landed = True
            self._tell(LinkEventKind.LANDED, "motors idle; the pilot disarms")

    # --- helpers ----------------------------------------------------------------------------------------

    def _unfit(self, now: float) -> str:
        motion = self._motion.motion()
        if motion is None or now - motion.time > self.config.estimate_age:
            return "estimate: the source gives no velocity"
        # The attitude turns no velocity here: it only tells the thrust that leaning costs.
        if now - self._board.attitude_time > self.config.estimate_age:
            return "estimate: Betaflight's attitude is old"
        return ""

    def _add_up(self, now: float) -> None:
        motion = self._motion.motion()
        if motion is None:
            return
        if self._position_time is not None and motion.time > self._position_time:
            step, yaw = min(0.5, motion.time - self._position_time), self._board.yaw
            forward, left, _ = motion.velocity
            self._position[0] += step * (forward * math.cos(yaw) - left * math.sin(yaw))
            self._position[1] += step * (forward * math.sin(yaw) + left * math.cos(yaw))
        self._position_time = motion.time

    def _hand_over(self, to: Authority, kind: LinkEventKind, cause: str) -> None:
        if self._authority in (Authority.NONE, Authority.ENDED, to):
            return
        if self._authority is Authority.OFFERED:
            self._become(Authority.NONE, LinkEventKind.ENDED, f"{cause}; no longer offered")
        else:
            self._become(to, kind, cause)

    def _become(self, authority: Authority, kind: LinkEventKind, cause: str) -> None:
        self._authority, self._since = authority, self._clock.now()
        if authority in (Authority.NONE, Authority.ENDED) and self._watchdog is not None:
            self._watchdog.beat(msp.LOW, False)
        if authority is Authority.OFFERED:
            self._landed, self._still_since = False, None
        self._tell(kind, cause)

    def _tell(self, kind: LinkEventKind, cause: str) -> None:
        self._events.append(LinkEvent(self._clock.now(), kind, cause))
