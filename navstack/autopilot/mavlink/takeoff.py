"""Take-off by the autopilot itself: mode, arming, command, and waiting until the height is stable.

PX4 changes to AUTO.TAKEOFF by the command and to AUTO.LOITER at its end (src/modules/commander/Commander.cpp,
handle_command; src/modules/navigator/takeoff.cpp). ArduCopter must be in GUIDED and armed first
(ArduCopter/takeoff.cpp, Mode::do_user_takeoff), and a velocity target would end its climb.
"""

from __future__ import annotations

from pymavlink.dialects.v20 import ardupilotmega as dialect

from navstack.autopilot.link import FlightMode
from navstack.autopilot.mavlink.asking import Ask, Asking, result_name
from navstack.autopilot.mavlink.firmware import Rules
from navstack.contract import VehicleState

NEAR = 0.4  # m from the height
STILL = 0.2  # m/s
STABLE_SECONDS = 1.0
PATIENCE = 10.0  # s for the mode, for arming, and for the command to be taken
CLIMB_PATIENCE = 60.0  # s


class TakeOff:
    """One take-off; `update` it until it has failed, was taken away, or `reached` its height."""

    def __init__(self, rules: Rules, height: float, ground: float, may_arm: bool) -> None:
        self._rules, self._height, self._ground, self._may_arm = rules, height, ground, may_arm
        self._accepted = False
        self._since: float | None = None
        self._stable_since: float | None = None
        self._left_ground = False
        self.failure = ""
        self.foreign = False
        self.reached = False

    def answer(self, command: int, result: int) -> None:
        """A COMMAND_ACK to the take-off or to arming."""
        good = result in (dialect.MAV_RESULT_ACCEPTED, dialect.MAV_RESULT_IN_PROGRESS)
        if command == dialect.MAV_CMD_NAV_TAKEOFF:
            self._accepted = self._accepted or good
        if not good and command in (dialect.MAV_CMD_NAV_TAKEOFF, dialect.MAV_CMD_COMPONENT_ARM_DISARM):
            what = "take-off" if command == dialect.MAV_CMD_NAV_TAKEOFF else "arming"
            self.failure = f"{what} refused: '{result_name(result)}'"

    def update(self, now: float, mode: FlightMode, state: VehicleState | None, asking: Asking) -> None:
        """Ask for the next thing, or watch the climb."""
        self._since = now if self._since is None else self._since
        if self._accepted:
            asking.drop()
            self._climb(now, mode, state)
        elif now - self._since > PATIENCE:
            self.failure = f"no take-off within {PATIENCE:g} s"
        elif self._rules.takeoff == self._rules.command and mode.number != self._rules.takeoff:
            asking.ask(Ask.mode(self._rules.takeoff), now)
        elif not mode.armed:
            if not self._may_arm:
                self.failure = "disarmed before the take-off"
            asking.ask(Ask.arm(), now)
        else:
            asking.ask(Ask.takeoff(self._height), now)

    def _climb(self, now: float, mode: FlightMode, state: VehicleState | None) -> None:
        assert self._since is not None
        ours = (self._rules.takeoff, self._rules.hold) if self._rules.takeoff != self._rules.command else (
            self._rules.takeoff,)  # fmt: skip
        if mode.number in ours:
            self._left_ground = True  # its mode shows that the command took effect
        elif self._left_ground:
            self.foreign = True
            return
        if not mode.armed and self._left_ground:
            self.failure = "disarmed during the take-off"
            return
        if now - self._since > PATIENCE + CLIMB_PATIENCE:
            self.failure = f"the height was not reached within {CLIMB_PATIENCE:g} s"
            return
        if state is None:
            return
        climbed, speed = state.position_enu[2] - self._ground, abs(state.velocity_enu[2])
        if mode.landed or abs(climbed - self._height) > NEAR or speed > STILL:
            self._stable_since = None
        elif self._stable_since is None:
            self._stable_since = now
        else:
            self.reached = now - self._stable_since >= STABLE_SECONDS
