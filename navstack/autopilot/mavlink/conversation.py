"""What one vehicle says: identity, mode, telemetry, parameters, time, and the quality of hearing it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as dialect

from navstack.autopilot.link import FlightMode, Identity, LinkEvent, LinkEventKind
from navstack.autopilot.mavlink import messages
from navstack.autopilot.mavlink.codec import Sequences
from navstack.autopilot.mavlink.firmware import mode_name, takes_body_frame, with_version
from navstack.autopilot.mavlink.parameters import ParameterReader
from navstack.autopilot.mavlink.rivals import Rivals
from navstack.autopilot.mavlink.streams import Streams
from navstack.autopilot.mavlink.telemetry import Telemetry
from navstack.autopilot.mavlink.timesync import TimeSync

HEARTBEATS_LOST = 3.5  # s without a heartbeat is a lost link, whatever else comes
WARNING = 4  # MAV_SEVERITY: this and worse is told


@dataclass(slots=True)
class Heard:
    """What a message asks of whoever leads the conversation."""

    reply: Any = None  # a message to send back
    rival: str = ""  # a sign of another master, in words
    acknowledged: tuple[int, int] | None = None  # command and result of one of our requests
    rebooted: bool = False


class Conversation:
    """Listens to one vehicle. Events are appended to the list that it is given."""

    def __init__(self, identity: Identity, events: list[LinkEvent], now: float) -> None:
        self.identity = identity
        self.mode: FlightMode | None = None
        self.sync, self.sequences = TimeSync(), Sequences()
        self.telemetry = Telemetry(self.sync)
        self.parameters = ParameterReader(identity.firmware)
        self.streams = Streams(identity)
        self.rivals = Rivals(identity.system_id, messages.COMPONENT)
        self.heard = self.heartbeat_time = now
        self.lost = False
        self._events = events
        who = f"{identity.firmware}, system {identity.system_id}, {identity.vehicle}"
        self._tell(now, LinkEventKind.CONNECTED, who)

    def take(self, message: Any, now: float) -> Heard:
        """Learn from one message, whoever sent it."""
        heard = Heard(rival=self.rivals.take(message, now))
        sender = (message.get_srcSystem(), message.get_srcComponent())
        ours = sender == (self.identity.system_id, self.identity.component_id)
        if not ours or not self.sequences.take(message.get_seq(), now):
            return heard
        self.heard = now
        if (handler := _HANDLERS.get(message.get_type())) is not None:
            handler(self, message, now, heard)
        else:
            self.telemetry.take(message, now)
        if self.telemetry.rebooted:
            self._forget(now)
            heard.rebooted = True
        return heard

    def watch(self, now: float, lost_after: float) -> bool:
        """Whether the link is lost now; a change is an event."""
        silent, headless = now - self.heard, now - self.heartbeat_time
        lost = silent > lost_after or headless > HEARTBEATS_LOST
        if lost != self.lost:
            self.lost = lost
            kind = LinkEventKind.LINK_LOST if lost else LinkEventKind.LINK_BACK
            what = f"nothing for {silent:.1f} s"
            if silent <= lost_after:
                what = f"no heartbeat for {headless:.1f} s"
            self._tell(now, kind, what if lost else "messages come again")
        return lost

    def due(self, now: float) -> list[Any]:
        """Questions to ask now: time, parameters, streams, version."""
        out = self.streams.due(now, self.identity.version is not None)
        out += [messages.parameter_request(self.identity, name) for name in self.parameters.due(now)]
        if (stamp := self.sync.question(now)) is not None:
            out.append(messages.timesync(0, stamp))
        return out

    def unfit(self, now: float, attitude_age: float, estimate_age: float) -> str:
        """Why no velocity may be flown now; empty where it may.

        The attitude only matters to whoever turns the velocity by it: not where the firmware does.
        """
        if not self.telemetry.complete:
            return "estimate: none has come yet"
        health = self.telemetry.health(now)
        if max(health.position_age, health.velocity_age) > estimate_age:
            return f"estimate: position is {1e3 * health.position_age:.0f} ms old"
        if health.flags_ok is False:
            return f"estimate: {health.flags}"
        if health.attitude_age > attitude_age and not takes_body_frame(self.identity):
            return f"attitude is {1e3 * health.attitude_age:.0f} ms old, too old to turn a velocity by"
        return ""

    def mode_now(self) -> FlightMode | None:
        """The mode with what is known of the ground."""
        return replace(self.mode, landed=self.telemetry.landed) if self.mode else None

    def _heartbeat(self, message: Any, now: float, heard: Heard) -> None:
        armed = bool(message.base_mode & dialect.MAV_MODE_FLAG_SAFETY_ARMED)
        number, before = message.custom_mode, self.mode
        self.mode = FlightMode(mode_name(self.identity.firmware, number), number, armed, None)
        self.heartbeat_time = now
        if before is None or before.number != number:
            self._tell(now, LinkEventKind.MODE, self.mode.name)
        if before is not None and before.armed != armed:
            self._tell(now, LinkEventKind.ARMED if armed else LinkEventKind.DISARMED, self.mode.name)

    def _version(self, message: Any, now: float, heard: Heard) -> None:
        first = self.identity.version is None
        self.identity = with_version(self.identity, message)
        if first and self.identity.version is not None:
            frame = "BODY_NED" if takes_body_frame(self.identity) else "LOCAL_NED"
            self._tell(now, LinkEventKind.IDENTIFIED, f"{self.identity}; velocities are sent in {frame}")

    def _acknowledged(self, message: Any, now: float, heard: Heard) -> None:
        addressed = (message.target_system, message.target_component)
        if addressed not in ((0, 0), (self.identity.system_id, messages.COMPONENT)):
            return
        if not self.streams.answer(message):
            heard.acknowledged = (message.command, message.result)

    def _parameter(self, message: Any, now: float, heard: Heard) -> None:
        self.parameters.take(message)

    def _timesync(self, message: Any, now: float, heard: Heard) -> None:
        if message.tc1 == 0:
            heard.reply = messages.timesync(max(1, round(now * 1e9)), message.ts1)
        else:
            self.sync.answer(message.ts1, message.tc1, now)

    def _text(self, message: Any, now: float, heard: Heard) -> None:
        if message.severity <= WARNING:
            self._tell(now, LinkEventKind.AUTOPILOT, str(message.text))

    def _extended(self, message: Any, now: float, heard: Heard) -> None:
        before = self.telemetry.landed
        self.telemetry.take(message, now)
        if self.telemetry.landed and before is False:
            self._tell(now, LinkEventKind.LANDED, "the autopilot reports ground")

    def _forget(self, now: float) -> None:
        self._tell(now, LinkEventKind.REBOOTED, "its clock began anew")
        self.sync.forget()
        self.telemetry.forget()
        self.streams.again()

    def _tell(self, now: float, kind: LinkEventKind, cause: str) -> None:
        self._events.append(LinkEvent(now, kind, cause))


_HANDLERS = {
    "HEARTBEAT": Conversation._heartbeat,
    "AUTOPILOT_VERSION": Conversation._version,
    "COMMAND_ACK": Conversation._acknowledged,
    "PARAM_VALUE": Conversation._parameter,
    "TIMESYNC": Conversation._timesync,
    "STATUSTEXT": Conversation._text,
    "EXTENDED_SYS_STATE": Conversation._extended,
}
