"""`MavlinkLink`: an autopilot over MAVLink as the vehicle of the closed loop.

It puts together what the other files of this folder know: bytes, facts, clock, parameters, authority. It has
no thread and never waits; all that is sent leaves in `poll` and `send`, from the caller's thread.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from navstack.autopilot.link import (
    Authority,
    Battery,
    EstimateHealth,
    Finding,
    LinkConfig,
    LinkEvent,
    LinkEventKind,
    LinkStatistics,
    LinkStatus,
)
from navstack.autopilot.mavlink import messages
from navstack.autopilot.mavlink.codec import Codec
from navstack.autopilot.mavlink.conversation import Conversation
from navstack.autopilot.mavlink.engagement import Engagement, Facts
from navstack.autopilot.mavlink.firmware import RULES, identify
from navstack.autopilot.mavlink.frames import command_to_local_ned
from navstack.autopilot.transport import Transport
from navstack.contract import ZERO_COMMAND, VehicleState, VelocityCommand
from navstack.errors import InputError
from navstack.flight import Clock

HEARTBEAT_PERIOD = 1.0  # s
ZERO_PERIOD = 0.05  # s between zeros that `poll` streams while nobody calls `send`
TAKEOFF_HEIGHTS = (0.5, 100.0)  # m
_NOTHING = EstimateHealth(math.inf, math.inf, math.inf, None)
_NOT_OURS = (Authority.NONE, Authority.ENDED, Authority.OFFERED)


class MavlinkLink:
    """An `AutopilotLink` over a transport. Makes nothing move before `engage` or `takeoff`.

    Args:
        transport: bytes to and from the autopilot.
        clock: the flight loop's.
        config: every choice.
        unix_time: s, when the link is made; only a signature's timestamp uses it.
    """

    def __init__(
        self, transport: Transport, clock: Clock, config: LinkConfig | None = None, unix_time: float = 0.0
    ) -> None:
        self.config = config or LinkConfig()
        self._transport, self._clock = transport, clock
        key, system = self.config.signing_key, self.config.system_id or 1
        self._codec = Codec(system, messages.COMPONENT, key, unix_time)
        self._vehicle: Conversation | None = None
        self._engagement: Engagement | None = None
        self._events: list[LinkEvent] = []
        self._heartbeat_sent = self._setpoint_sent = -math.inf

    # --- AutopilotLink ----------------------------------------------------------------------------------

    def poll(self) -> tuple[LinkEvent, ...]:
        """Read, do what is due, and hand over the events since the last call."""
        now = self._clock.now()
        self._read(now)
        self._work(now)
        if now - self._setpoint_sent >= ZERO_PERIOD and self._authority is not Authority.HELD:
            self._stream(ZERO_COMMAND, now)
        events = tuple(self._events)
        self._events.clear()
        return events

    def send(self, command: VelocityCommand) -> None:
        """Fly this velocity, where authority is held. Raises ValueError unless it is finite."""
        if not command.is_finite():
            raise ValueError(f"a command that is not finite must not reach the link: {command}")
        now = self._clock.now()
        self._read(now)
        self._work(now)
        self._stream(command, now)

    def status(self) -> LinkStatus:
        """The facts as of the last `poll` or `send`, with ages counted to now."""
        now, vehicle = self._clock.now(), self._vehicle
        if vehicle is None:
            codec = self._codec
            statistics = LinkStatistics(codec.received, codec.sent, corrupted=codec.corrupted)
            return LinkStatus(now, None, None, Authority.NONE, _NOTHING, Battery(), statistics)
        telemetry = vehicle.telemetry
        return LinkStatus(
            now, vehicle.identity, vehicle.mode_now(), self._authority, telemetry.health(now),
            telemetry.battery, self._statistics(vehicle, now), telemetry.home_enu,
            telemetry.height_above_ground, vehicle.parameters.timeout,
        )  # fmt: skip

    def state(self) -> VehicleState:
        """The newest state. Raises InputError before the first."""
        if self._vehicle is None or not self._vehicle.telemetry.complete:
            raise InputError("the autopilot has not told its attitude, position and velocity yet")
        return self._vehicle.telemetry.state()

    def preflight(self) -> tuple[Finding, ...] | None:
        """The parameters, the estimate and the version; None while they are still being read."""
        vehicle = self._vehicle
        if vehicle is None or not vehicle.parameters.finished:
            return None
        known = vehicle.identity.version is not None
        if not vehicle.streams.version_done(known):
            return None
        unfit = self._unfit(self._clock.now())
        wait = "wait until the estimator is ready; the autopilot's own preflight check tells why it is not"
        return (
            *vehicle.parameters.findings(),
            Finding(
                "estimate", unfit or "good", "good", not unfit, wait if unfit else "",
                "mavlink.io, ESTIMATOR_STATUS; ardupilotmega.xml, EKF_STATUS_REPORT",
            ),
            Finding(
                "firmware version", str(vehicle.identity), "told", known,
                "" if known else "the autopilot did not answer when asked for AUTOPILOT_VERSION",
                "mavlink.io, AUTOPILOT_VERSION",
            ),
        )  # fmt: skip

    def engage(self) -> None:
        """Offer to fly. Raises InputError for what speaks against it."""
        vehicle, engagement = self._checked("engage")
        if vehicle.telemetry.landed:
            raise InputError(
                "engage: the vehicle is on the ground; take off first, by the pilot or with --takeoff"
            )
        engagement.engage(self._facts(self._clock.now()))
        self._collect()

    def takeoff(self, height: float) -> None:
        """Let the autopilot take off. Raises InputError for what speaks against it."""
        vehicle, engagement = self._checked("take-off")
        low, high = TAKEOFF_HEIGHTS
        if not low <= height <= high:
            raise InputError(f"take-off height is {height} m; it must be between {low:g} and {high:g}")
        if vehicle.telemetry.landed is False:
            raise InputError("take-off: the vehicle is in the air already")
        if vehicle.mode is not None and not vehicle.mode.armed and not self.config.arm:
            raise InputError("take-off: the vehicle is disarmed; let the pilot arm it, or give --arm")
        engagement.takeoff(height, self._facts(self._clock.now()))
        self._collect()

    def hold(self, cause: str) -> None:
        """Hand over to the autopilot's hold, later landing."""
        self._hand_over(Engagement.hold, cause)

    def land(self, cause: str) -> None:
        """Let the autopilot land here."""
        self._hand_over(Engagement.land, cause)

    def return_home(self, cause: str) -> None:
        """Let the autopilot return and land."""
        self._hand_over(Engagement.return_home, cause)

    def release(self, cause: str) -> None:
        """Stop streaming and asking."""
        if self._engagement is not None:
            self._engagement.end(f"released: {cause}", self._clock.now())
            self._collect()

    def close(self) -> None:
        """Close the transport."""
        self._transport.close()

    # --- reading ----------------------------------------------------------------------------------------

    def _read(self, now: float) -> None:
        for piece in self._transport.read():
            for message in self._codec.decode(piece, self._transport.datagrams):
                self._take(message, now)

    def _take(self, message: Any, now: float) -> None:
        if self._vehicle is None or self._engagement is None:
            self._meet(message, now)
            return
        heard = self._vehicle.take(message, now)
        if heard.reply is not None:
            self._write(heard.reply)
        if heard.rival and self._authority not in _NOT_OURS:
            self._engagement.end(heard.rival, now, LinkEventKind.RIVAL)
        if heard.acknowledged is not None:
            self._engagement.answer(*heard.acknowledged, self._facts(now))
        if heard.rebooted:
            self._engagement.end("the autopilot rebooted", now)

    def _meet(self, message: Any, now: float) -> None:
        found = identify(message) if message.get_type() == "HEARTBEAT" else None
        if found is None or (self.config.system_id and found.system_id != self.config.system_id):
            return
        self._codec.system_id = found.system_id  # the companion belongs to the vehicle's system
        self._vehicle = Conversation(found, self._events, now)
        self._engagement = Engagement(RULES[found.firmware], self.config)
        self._vehicle.take(message, now)

    # --- sending ----------------------------------------------------------------------------------------

    def _work(self, now: float) -> None:
        """Everything that is due besides the setpoint."""
        if now - self._heartbeat_sent >= HEARTBEAT_PERIOD:
            self._heartbeat_sent = now
            self._write(messages.heartbeat())
        vehicle, engagement = self._vehicle, self._engagement
        if vehicle is None or engagement is None:
            return
        vehicle.watch(now, self.config.link_lost_after)
        for message in vehicle.due(now):
            self._write(message)
        engagement.update(self._facts(now))
        if (ask := engagement.asking.due(now)) is not None:
            self._write(messages.request(vehicle.identity, ask, vehicle.telemetry.altitude_msl))
        self._collect()

    def _stream(self, command: VelocityCommand, now: float) -> None:
        """The setpoint that may leave now: the facts are looked at again immediately before it does."""
        if self._engagement is None or self._vehicle is None:
            return
        setpoint = self._engagement.setpoint(command, self._facts(now))
        self._collect()
        if setpoint is None:
            return
        yaw = self._vehicle.telemetry.yaw_ned
        self._setpoint_sent = now
        self._write(messages.velocity_setpoint(self._vehicle.identity, setpoint, yaw, now))
        north, east, down, _ = command_to_local_ned(setpoint, yaw)
        self._vehicle.rivals.sent((north, east, down), now)

    def _write(self, message: Any) -> None:
        self._transport.write(self._codec.encode(message))

    # --- helpers ----------------------------------------------------------------------------------------

    def _facts(self, now: float) -> Facts:
        assert self._vehicle is not None
        telemetry = self._vehicle.telemetry
        state = telemetry.state() if telemetry.complete else None
        return Facts(now, self._vehicle.mode, state, self._unfit(now), self._vehicle.lost)

    def _unfit(self, now: float) -> str:
        assert self._vehicle is not None
        return self._vehicle.unfit(now, self.config.attitude_age, self.config.estimate_age)

    def _checked(self, what: str) -> tuple[Conversation, Engagement]:
        findings = self.preflight()
        if findings is None or self._engagement is None or self._vehicle is None:
            raise InputError(f"{what}: the autopilot's parameters are still being read")
        bad = [f for f in findings if not f.ok and f.what not in self.config.allow_unsafe]
        if bad:
            listed = "; ".join(f"{f.what} is {f.found}, wanted {f.wanted} ({f.advice})" for f in bad)
            raise InputError(f"{what} refused: {listed}")
        return self._vehicle, self._engagement

    def _hand_over(self, how: Callable[[Engagement, str, Facts], None], cause: str) -> None:
        if self._engagement is not None:
            now = self._clock.now()
            how(self._engagement, cause, self._facts(now))
            self._work(now)

    @property
    def _authority(self) -> Authority:
        return self._engagement.authority if self._engagement is not None else Authority.NONE

    def _statistics(self, vehicle: Conversation, now: float) -> LinkStatistics:
        return LinkStatistics(
            self._codec.received, self._codec.sent, vehicle.sequences.lost, vehicle.sequences.duplicated,
            self._codec.corrupted, vehicle.sequences.loss(now), now - vehicle.heard,
            now - vehicle.heartbeat_time, vehicle.sync.round_trip, vehicle.sync.offset,
            tuple(f"{who}: {what}" for who, what in vehicle.rivals.seen.items()),
        )  # fmt: skip

    def _collect(self) -> None:
        if self._engagement is not None and self._engagement.events:
            self._events += self._engagement.events
            self._engagement.events.clear()
