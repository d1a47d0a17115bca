"""EMULATED: an autopilot that flies a simulated body as PX4 or ArduCopter would, where it matters here.

One `step` is one turn of it: what came is answered, the rules decide, the body flies, telemetry leaves. It
has no clock: the time of the body is its time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as dialect

from navstack.autopilot.link import Firmware
from navstack.autopilot.mavlink.codec import Codec
from navstack.autopilot.mavlink.firmware import mode_name
from navstack.autopilot.mavlink.frames import (
    command_from_local_ned,
    command_to_local_ned,
    yaw_enu_to_ned,
)
from navstack.autopilot.transport import Transport
from navstack.contract import ZERO_COMMAND, Frame, Vector3, VelocityCommand
from navstack.envs.simulator import PHYSICS_HZ
from navstack.envs.sitl import telemetry
from navstack.envs.sitl.body import SitlBody
from navstack.envs.sitl.commands import answer
from navstack.envs.sitl.flying import Flying
from navstack.envs.sitl.rules import EMULATIONS, OFFBOARD_LOSS, OFFBOARD_STREAM, Parameter

STEP = 2.0 / PHYSICS_HZ  # s of one turn
BOOTED_BEFORE = 12.345  # s that its clock is ahead of the body's: nobody may take the two for one


class EmulatedAutopilot:
    """One autopilot on one body, spoken to over any number of transports.

    Args:
        body: what it flies.
        firmware: which one it behaves as.
        transports: connections; each hears everything.
        parameters: values other than the emulation's.
        system_id: of the vehicle.
        signing_key: with it everything is signed and unsigned messages are ignored.
        unix_time: s, for the signature's timestamp.
    """

    def __init__(
        self,
        body: SitlBody,
        firmware: Firmware,
        transports: list[Transport],
        parameters: Mapping[str, float] | None = None,
        system_id: int = 1,
        signing_key: bytes | None = None,
        unix_time: float = 0.0,
    ) -> None:
        self.body, self.emulation, self.transports = body, EMULATIONS[firmware], transports
        self.codec = Codec(system_id, dialect.MAV_COMP_ID_AUTOPILOT1, signing_key, unix_time)
        self.parameters = {n: Parameter(*entry) for n, entry in self.emulation.parameters.items()}
        for name, value in (parameters or {}).items():
            self.parameters[name].value = value
        self.reported = telemetry.Reported()
        self.mode = self.emulation.modes.hold if not body.landed else self.emulation.pilot_mode
        self.armed = not body.landed
        x, y, _ = body.state().position_enu
        self.home: Vector3 = (x, y, body.ground())
        self.flying = Flying(self)
        self.flown_ned: tuple[float, float, float, float] | None = None
        self.setpoint: Any = None  # the newest SET_POSITION_TARGET_LOCAL_NED that was taken
        self.setpoint_time = self.streaming_since = -math.inf
        self.first_setpoint = math.inf  # s, taken or not
        self.setpoints = 0
        self._intervals = {number: [interval, 0.0] for number, (interval, _) in telemetry.MESSAGES.items()}
        self._intervals[telemetry.ESTIMATOR[firmware]] = [telemetry.ESTIMATOR_MESSAGE[0], 0.0]
        self._heartbeat_due = 0.0
        self._ground_since = 0.0
        self.log: list[tuple[float, str]] = []  # what it did, for whoever wants to know

    # --- one turn ---------------------------------------------------------------------------------------

    def step(self, seconds: float = STEP) -> list[Frame]:
        """One turn; the frames that the camera took in it."""
        now = self.body.now()
        self.listen()
        self._rules(now)
        command = self.flying.command(now)
        self._note_flown(command)
        frames = self.body.advance(now + seconds, command)
        if self.body.crashed and self.armed:
            self.disarm("crashed")
        self._telemetry()
        return frames

    def listen(self) -> None:
        """Answer what has come."""
        for transport in self.transports:
            for piece in transport.read():
                for message in self.codec.decode(piece, transport.datagrams):
                    answer(self, message)

    def boot_ms(self) -> int:
        """Its clock in ms."""
        return round(1e3 * (self.body.now() + BOOTED_BEFORE))

    @property
    def task(self) -> str:
        """What it does by itself: "climb", "land", or nothing."""
        return self.flying.task

    @property
    def mode_name(self) -> str:
        """The firmware's name of its mode."""
        return mode_name(self.emulation.firmware, self.mode)

    # --- what pilots, companions and failsafes do to it ---------------------------------------------------

    def change_mode(self, mode: int, why: str) -> None:
        """Enter a mode."""
        if mode != self.mode:
            self.mode = mode
            self.flying.entered(self.body.now())
            self.note(f"{self.mode_name}: {why}")

    def pilot_selects(self, mode: int) -> None:
        """The pilot's switch. It is given what it asks for: a pilot's radio is another way in."""
        self.change_mode(mode, "the pilot's switch")

    def arm(self, why: str) -> None:
        """Motors on."""
        if not self.armed:
            self.armed, self._ground_since = True, self.body.now()
            self.note(f"armed: {why}")

    def disarm(self, why: str) -> None:
        """Motors off."""
        if self.armed:
            self.armed = False
            self.note(f"disarmed: {why}")
            self.flying.entered(self.body.now())

    def take_setpoint(self, message: Any) -> None:
        """SET_POSITION_TARGET_LOCAL_NED, as far as the firmware listens.

        PX4 (mavlink_receiver.cpp, handle_message_set_position_target_local_ned) counts it as proof of life in
        every mode; ArduCopter (GCS_MAVLink_Copter.cpp, the same name) ignores it outside GUIDED, and a
        velocity ends a take-off (mode_guided.cpp, set_velaccel).
        """
        now, frame = self.body.now(), message.coordinate_frame
        if frame not in (dialect.MAV_FRAME_LOCAL_NED, dialect.MAV_FRAME_BODY_NED) or message.type_mask & 0x38:
            return
        if not all(map(math.isfinite, (message.vx, message.vy, message.vz, message.yaw_rate))):
            return
        self.first_setpoint = min(now, self.first_setpoint)
        if self.emulation.firmware is Firmware.ARDUCOPTER:
            if self.mode != self.emulation.modes.command:
                return
            if self.task == "climb":
                self.flying.entered(now)
                self.note("a velocity target ended the take-off")
        if now - self.setpoint_time > self.silence_timeout:
            self.streaming_since = now
        self.setpoint, self.setpoint_time = message, now
        self.setpoints += 1

    # --- rules --------------------------------------------------------------------------------------------

    @property
    def silence_timeout(self) -> float:
        """s after which missing setpoints are missed."""
        px4 = self.emulation.firmware is Firmware.PX4
        return self.parameters["COM_OF_LOSS_T" if px4 else "GUID_TIMEOUT"].value

    def offboard_available(self) -> bool:
        """PX4: setpoints stream, for a second already (HealthAndArmingChecks/checks/offboardCheck.cpp)."""
        now = self.body.now()
        return now - self.setpoint_time <= self.silence_timeout and (
            now - self.streaming_since >= OFFBOARD_STREAM - 1e-6
        )

    def _rules(self, now: float) -> None:
        command_mode = self.mode == self.emulation.modes.command
        silent = now - self.setpoint_time > self.silence_timeout
        if self.emulation.firmware is Firmware.PX4 and command_mode and self.armed and silent:
            action = int(self.parameters["COM_OBL_RC_ACT"].value)
            self.say("Offboard signal lost")
            self.change_mode(OFFBOARD_LOSS.get(action, self.emulation.modes.land), "offboard loss failsafe")
        if not self.body.landed:
            self._ground_since = now
        elif self.armed and self.task != "climb":
            landing = self.mode in (self.emulation.modes.land, self.emulation.modes.home)
            wait = self.emulation.disarm_landed if landing else self.emulation.disarm_idle
            if now - self._ground_since >= wait:
                self.disarm("on the ground")

    def _note_flown(self, command: VelocityCommand) -> None:
        flies = self.armed and self.mode == self.emulation.modes.command and self.setpoint is not None
        yaw = yaw_enu_to_ned(self.body.state().yaw)
        self.flown_ned = command_to_local_ned(command, yaw) if flies else None

    def velocity_target(self, now: float) -> VelocityCommand:
        """What the newest setpoint asks for at this heading; after silence, ArduCopter's is zero."""
        setpoint = self.setpoint
        if setpoint is None or now - self.setpoint_time > self.silence_timeout:
            return ZERO_COMMAND
        vx, vy, vz, rate = setpoint.vx, setpoint.vy, setpoint.vz, setpoint.yaw_rate
        if setpoint.coordinate_frame == dialect.MAV_FRAME_BODY_NED:
            return VelocityCommand(vx, -vy, -vz, -rate)
        believed = yaw_enu_to_ned(self.body.state().yaw) + self.reported.yaw_offset
        return command_from_local_ned(vx, vy, vz, rate, believed)

    # --- talking ------------------------------------------------------------------------------------------

    def send(self, message: Any) -> None:
        """To every connection."""
        data = self.codec.encode(message)
        for transport in self.transports:
            transport.write(data)

    def say(self, text: str) -> None:
        """STATUSTEXT at warning level."""
        self.note(text)
        self.send(dialect.MAVLink_statustext_message(dialect.MAV_SEVERITY_WARNING, text.encode()[:50]))

    def note(self, text: str) -> None:
        """Remember what happened."""
        self.log.append((self.body.now(), text))

    def set_interval(self, number: int, microseconds: float) -> bool:
        """SET_MESSAGE_INTERVAL; False for a message that it does not have."""
        if number not in self._intervals:
            return False
        default = telemetry.MESSAGES.get(number, telemetry.ESTIMATOR_MESSAGE)[0]
        wanted = {-1.0: math.inf, 0.0: default}.get(microseconds, microseconds * 1e-6)
        self._intervals[number] = [max(STEP, wanted), 0.0]
        return True

    def _telemetry(self) -> None:
        now = self.body.now()
        if now >= self._heartbeat_due:
            self._heartbeat_due = now + telemetry.HEARTBEAT_INTERVAL
            self.send(telemetry.heartbeat(self))
        for number, entry in self._intervals.items():
            if now >= entry[1] and entry[0] < math.inf:
                entry[1] = max(entry[1] + entry[0], now)
                maker = telemetry.MESSAGES.get(number, telemetry.ESTIMATOR_MESSAGE)[1]
                message = maker(self)
                if message is not None:
                    self.send(message)
