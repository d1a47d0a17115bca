"""Betaflight over MSP (serial or TCP), by MSP OVERRIDE: attitude comes from it, the velocity loop is ours.

Betaflight knows no velocity and has no hold. It must be in ANGLE mode, armed and overridden by the receiver's
switches, which the override's mask must leave alone; that is looked at, not believed: on the ground,
disarmed, the link sends sticks and reads back which channels follow. A velocity must come from a
`MotionSource`. Hold and landing are flown by this link, so it has to live on until the pilot has the vehicle
back or it stands; where it dies before, its watchdog keeps the vehicle level and sinking.

Source: src/main/rx/msp_override.c, src/main/rx/rx.c, src/main/msp/msp.c of Betaflight 4.6.
"""

from __future__ import annotations

import math

from navstack.autopilot import msp
from navstack.autopilot.board_checks import findings, mask, untold
from navstack.autopilot.dialogue import Dialogue
from navstack.autopilot.link import (
    Authority,
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
from navstack.autopilot.sticks import channels
from navstack.autopilot.touchdown import Touchdown
from navstack.autopilot.transport import Transport
from navstack.autopilot.velocity_loop import Demand, VelocityLoop
from navstack.autopilot.watchdog import Watchdog
from navstack.contract import ZERO_COMMAND, Vector3, VehicleState, VelocityCommand
from navstack.errors import InputError
from navstack.flight import Clock

LAND_SPEED = 0.5  # m/s
BLIND = 0.95  # of the hover throttle, level, while there is no estimate
SINKING = 0.85  # of the hover throttle that the watchdog falls back to
FRAME_PERIOD = 0.03  # s between frames of sticks at least; commands that are flown set their own pace
LATE_COMMAND = 0.1  # s without a command to fly, after which the last is flown on
PATIENCE = 3.0  # s for the settings to be told
IN_THE_AIR = 0.5  # m above the ground from which the override's switch is taken
COASTING = 3.0  # s until a vehicle whose loop died is down from the usual ceiling of 10 m


class BetaflightLink:
    """An `AutopilotLink` to Betaflight.

    Args:
        transport: bytes to and from an MSP port.
        clock: the flight loop's.
        config: every choice; `engage` is the pilot's always, and nothing is armed.
        motion: where velocity and height come from; closed with the link.
        watchdog: the process that takes over when the loop is dead; None for the bench only.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        config: LinkConfig | None,
        motion: MotionSource,
        watchdog: Watchdog | None = None,
    ) -> None:
        self.config = config or LinkConfig()
        self._transport, self._clock, self._source = transport, clock, motion
        self._watchdog, self._watched = watchdog, False
        self._began = self._since = clock.now()
        self._loop, self._dialogue = VelocityLoop(), Dialogue(transport, self._began)
        self._board, self._authority = self._dialogue.board, Authority.NONE
        self._events: list[LinkEvent] = []
        self._frame_time = -math.inf
        self._fresh, self._lost, self._touchdown = False, False, Touchdown()
        self._test: SelfTest | None = None
        self._command = ZERO_COMMAND
        self._motion: Motion | None = None
        self._yaw_rate = 0.0  # rad/s, counter-clockwise
        self._home: Vector3 | None = None  # m, where it last stood disarmed

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
        held = self._authority is Authority.HELD
        if now - self._frame_time >= (LATE_COMMAND if held else FRAME_PERIOD):
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
        if self._authority is Authority.HELD or now - self._frame_time >= FRAME_PERIOD:
            self._fly(now)

    def status(self) -> LinkStatus:
        """The facts as of the last `poll` or `send`, with ages counted to now."""
        now, board, motion, dialogue = self._clock.now(), self._board, self._motion, self._dialogue
        age = now - motion.time if motion is not None else math.inf
        complaint = self._source.complaint
        health = EstimateHealth(now - board.attitude_time, age, age, not complaint, complaint)
        silence = now - dialogue.heard
        statistics = LinkStatistics(
            dialogue.received, dialogue.sent, corrupted=dialogue.corrupted, silence=silence,
            heartbeat_age=silence,
        )  # fmt: skip
        mode = None
        if board.flags_known:
            mode = FlightMode(
                board.mode_name, board.flags, board.active(msp.BOX_ARM), self._touchdown.landed or None
            )
        return LinkStatus(
            now, board.identity, mode, self._authority, health, board.battery, statistics, self._home,
            motion.above_ground if motion is not None else None,
            silence_timeout=math.inf if self._watchdog is None else COASTING, hold_is_ours=True,
        )  # fmt: skip

    def state(self) -> VehicleState:
        """Attitude and rates by Betaflight, the rest by the source. Raises InputError before both came."""
        if self._motion is None or self._board.attitude_time == -math.inf:
            raise InputError("Betaflight's attitude and a velocity from the source have not come yet")
        return self._board.state(self._motion, self._yaw_rate)

    def preflight(self) -> tuple[Finding, ...] | None:
        """Firmware, switches, mask, failsafe, battery and estimate; None while they are being read."""
        now = self._clock.now()
        if missing := self._dialogue.untold:
            return None if now - self._began < PATIENCE else (untold(missing),)
        unfit, watched = self._unfit(now), self._watchdog is not None and self._watchdog.alive
        if unfit and now - self._began < PATIENCE:
            return None
        return findings(self._board, self.follow, self._source.name, unfit, watched)

    def engage(self) -> None:
        """Offer to fly: the pilot's override switch engages. Raises InputError for what speaks against it."""
        found, board = self.preflight(), self._board
        if found is None or board.rates is None or board.angle_limit is None:
            raise InputError("engage: Betaflight's settings are still being read")
        bad = [f for f in found if not f.ok and f.what not in self.config.allow_unsafe]
        if bad:
            listed = "; ".join(f"{f.what} is {f.found}, wanted {f.wanted} ({f.advice})" for f in bad)
            raise InputError(f"engage refused: {listed}")
        if self._home is None:
            raise InputError(
                "engage refused: the source of velocity has not told where the ground is; land, disarm"
            )
        self._fresh = False
        where = "in the air" if self.follow else "on the ground, disarmed, for a look at its mask"
        self._become(Authority.OFFERED, LinkEventKind.OFFERED, f"waits for the override switch {where}")

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
        """Send nothing more; a vehicle that was flown is the watchdog's until the pilot takes it back."""
        if self._authority not in (Authority.NONE, Authority.ENDED):
            self._become(Authority.ENDED, LinkEventKind.ENDED, f"released: {cause}")

    def close(self) -> None:
        """Close everything. A vehicle that is still flown by us is left to the watchdog, which lives on."""
        if self._watchdog is not None:
            if self._watched and not self._touchdown.landed:
                self._watchdog.abandon()
            else:
                self._watchdog.close()
        self._source.close()
        self._transport.close()

    # --- a turn -----------------------------------------------------------------------------------------

    def _turn(self, now: float) -> None:
        known = self._board.identity is not None
        self._dialogue.listen(now)
        if not known and self._board.identity is not None:
            self._tell(LinkEventKind.CONNECTED, str(self._board.identity))
        self._dialogue.work(now)
        self._look()
        if self._board.flags_known and not self._board.active(msp.BOX_ARM):
            self._stand(now)
        self._watch(now)

    def _look(self) -> None:
        """The newest motion, and how fast it turns."""
        before, self._motion = self._motion, self._source.motion()
        if before is not None and self._motion is not None and self._motion.time > before.time:
            turned = math.remainder(self._motion.yaw - before.yaw, math.tau)
            self._yaw_rate = turned / (self._motion.time - before.time)

    def _stand(self, now: float) -> None:
        """On the ground, disarmed: where that is, and which channels the override moves."""
        if self._motion is not None and not self._unfit(now):
            self._home = self._motion.position_enu
        if self._authority is not Authority.OFFERED or self.follow is not None:
            return
        self._dialogue.probe(now)
        if self.follow is None:
            return
        found = mask(self._board, self.follow)
        if found.ok or found.what in self.config.allow_unsafe:
            self._tell(LinkEventKind.OFFERED, "its mask is right; waits for the override switch in the air")
        else:
            self._dialogue.forget_probe()
            cause = f"override mask: {found.found}, wanted {found.wanted} ({found.advice})"
            self._become(Authority.NONE, LinkEventKind.REFUSED, cause)

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
            self._watch_offer(now, overridden, armed)
        elif authority in (Authority.NONE, Authority.ENDED):
            if self._watched and not lost and not (overridden and armed):
                self._rest()  # what was released in flight is the pilot's again
        elif not lost:
            self._watch_pilot(now)

    def _watch_offer(self, now: float, overridden: bool, armed: bool) -> None:
        """The pilot's switch engages, where it comes in the air and all is well."""
        if armed and self.follow is None:
            why = "armed before the override's mask was looked at; disarm, switch it on once on the ground"
            self._become(Authority.NONE, LinkEventKind.REFUSED, why)
        elif armed and overridden and self._fresh:
            self._fresh = False
            if why := self._not_yet(now):
                self._tell(LinkEventKind.REFUSED, f"the override switch: {why}; switch it off and on again")
            elif self.config.self_test:
                self._test = SelfTest(now)
                self._become(Authority.TESTING, LinkEventKind.SELF_TEST, self._board.mode_name)
            else:
                self._become(Authority.HELD, LinkEventKind.ENGAGED, f"{self._board.mode_name}, no self-test")

    def _not_yet(self, now: float) -> str:
        """Why the switch is not taken now; empty where it is."""
        if not self._board.active(msp.BOX_ANGLE):
            return "ANGLE mode is off"
        if unfit := self._unfit(now):
            return unfit
        if self._motion is not None and self._clearance(self._motion) < IN_THE_AIR:
            return "the vehicle is on the ground"
        return ""

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
            self._rest()
            ended = Authority.NONE if self._touchdown.landed and why == "disarmed" else Authority.ENDED
            self._become(ended, LinkEventKind.ENDED, why)
        elif (
            self._authority is Authority.TESTING and self._test is not None and self._test.verdict is not None
        ):
            verdict = self._test.verdict
            if verdict:
                self.hold(f"self-test failed: {verdict}")
            else:
                self._become(Authority.HELD, LinkEventKind.ENGAGED, "self-test passed")
        elif self._touchdown.is_told(now):
            self._tell(LinkEventKind.LANDED, "motors idle; the pilot disarms")
        elif self._authority is Authority.HOLDING and now - self._since >= self.config.hold_seconds:
            self.land(f"held for {self.config.hold_seconds:g} s")

    def _fly(self, now: float) -> None:
        """Send the sticks that this moment needs; a disarmed vehicle needs none."""
        dt, authority, board = now - self._frame_time, self._authority, self._board
        if authority in (Authority.NONE, Authority.ENDED):
            return
        if authority is Authority.OFFERED and not board.active(msp.BOX_ARM):
            return
        self._frame_time = now
        demand = self._demand(now, dt)
        assert board.rates is not None  # `engage` saw to both
        assert board.angle_limit is not None
        if self._watchdog is not None and authority is not Authority.OFFERED:
            sinking = round(msp.LOW + (msp.HIGH - msp.LOW) * SINKING * self._loop.hover)
            self._watchdog.beat(msp.LOW if self._touchdown.landed else sinking, True)
            self._watched = True
        self._dialogue.stick(channels(demand, board.rates, board.angle_limit), now)

    def _demand(self, now: float, dt: float) -> Demand:
        if self._touchdown.landed:
            return Demand(0.0, 0.0, 0.0, 0.0)
        unfit, motion = self._unfit(now), self._motion
        if self._authority is Authority.OFFERED:
            return Demand(0.0, 0.0, 0.0, self._loop.hover)
        if unfit or motion is None:
            return Demand(0.0, 0.0, 0.0, BLIND * self._loop.hover)
        command = self._chosen(now)
        demand = self._loop.update(command, motion.velocity_level, self._board.lean, dt)
        if self._authority is Authority.LANDING:
            self._touchdown.update(motion.velocity_enu[2], self._clearance(motion), now)
        return demand

    def _chosen(self, now: float) -> VelocityCommand:
        if self._authority is Authority.HELD:
            return self._command
        if self._authority is Authority.TESTING and self._test is not None:
            return self._test.command(self.state(), now)
        sink = -LAND_SPEED if self._authority is Authority.LANDING else 0.0
        return VelocityCommand(0.0, 0.0, sink, 0.0)

    # --- helpers ----------------------------------------------------------------------------------------

    def _unfit(self, now: float) -> str:
        motion, oldest = self._motion, self.config.estimate_age
        if complaint := self._source.complaint:
            return complaint
        if motion is None or now - motion.time > oldest:
            return f"no velocity for {oldest:g} s from {self._source.name}"
        # The attitude turns no velocity here: it only tells the thrust that leaning costs.
        if now - self._board.attitude_time > oldest:
            return "Betaflight's attitude is old"
        return ""

    def _clearance(self, motion: Motion) -> float:
        """m above the ground where it is measured, else above where the vehicle last stood."""
        if motion.above_ground is not None:
            return motion.above_ground
        return motion.position_enu[2] - (self._home[2] if self._home is not None else 0.0)

    def _hand_over(self, to: Authority, kind: LinkEventKind, cause: str) -> None:
        if self._authority in (Authority.NONE, Authority.ENDED, to):
            return
        if self._authority is Authority.OFFERED:
            self._become(Authority.NONE, LinkEventKind.ENDED, f"{cause}; no longer offered")
        else:
            self._become(to, kind, cause)

    def _become(self, authority: Authority, kind: LinkEventKind, cause: str) -> None:
        self._authority, self._since = authority, self._clock.now()
        if authority is Authority.OFFERED:
            self._touchdown.reset()
        self._tell(kind, cause)

    def _rest(self) -> None:
        """The vehicle is not ours to save any more."""
        self._watched = False
        if self._watchdog is not None:
            self._watchdog.beat(msp.LOW, False)

    def _tell(self, kind: LinkEventKind, cause: str) -> None:
        self._events.append(LinkEvent(self._clock.now(), kind, cause))
