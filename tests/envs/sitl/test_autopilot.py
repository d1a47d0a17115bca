"""The emulated autopilot's rules, each as the source that it names has it."""

import math

import pytest
from pymavlink.dialects.v20 import ardupilotmega as dialect

from navstack.autopilot.link import Firmware
from navstack.autopilot.mavlink.codec import Codec
from navstack.autopilot.mavlink.firmware import px4_mode
from navstack.envs.navigation import NavigationEnv
from navstack.envs.sitl import EmulatedAutopilot, MemoryWire, SitlBody
from navstack.envs.sitl.autopilot import STEP

OFFBOARD = px4_mode(6)


@pytest.fixture(scope="module")
def environment():
    made = NavigationEnv(world="meadow", purpose="dev", camera=False)
    yield made
    made.close()


class Station:
    """Somebody who speaks MAVLink with the vehicle by hand."""

    def __init__(self, environment, firmware, on_ground=False, **parameters):
        self.body = SitlBody(environment, 3, on_ground)
        self.wire = MemoryWire(self.body.now)
        self.autopilot = EmulatedAutopilot(self.body, firmware, [self.wire.vehicle], parameters)
        self.codec, self.heard = Codec(255, 190), []

    def turn(self, seconds, message=None):
        """Let time pass, sending a message 20 times a second."""
        for i in range(round(seconds / STEP)):
            if message is not None and i % 6 == 0:
                self.wire.companion.write(self.codec.encode(message))
            self.autopilot.step()
            for piece in self.wire.companion.read():
                self.heard += self.codec.decode(piece)

    def command(self, number, *parameters):
        """Send a command; the result of its acknowledgement."""
        padded = (*parameters, *((0.0,) * (7 - len(parameters))))
        self.wire.companion.write(
            self.codec.encode(dialect.MAVLink_command_long_message(1, 1, number, 0, *padded))
        )
        self.heard.clear()
        self.turn(0.02)
        (result,) = [m.result for m in self.heard if m.get_type() == "COMMAND_ACK" and m.command == number]
        return result

    def mode(self, number):
        if self.autopilot.emulation.firmware is Firmware.PX4:
            parameters = (1, number >> 16 & 0xFF, number >> 24)
        else:
            parameters = (1, number)
        return self.command(dialect.MAV_CMD_DO_SET_MODE, *parameters)


def setpoint(vx=0.0, vy=0.0, vz=0.0, rate=0.0, frame=1, mask=0x05C7):
    return dialect.MAVLink_set_position_target_local_ned_message(
        0, 1, 1, frame, mask, 0, 0, 0, vx, vy, vz, 0, 0, 0, 0, rate
    )


def test_px4_takes_offboard_only_while_setpoints_have_streamed_for_a_second(environment):
    station = Station(environment, Firmware.PX4)
    assert station.mode(OFFBOARD) == dialect.MAV_RESULT_TEMPORARILY_REJECTED
    station.turn(0.5, setpoint())
    assert station.mode(OFFBOARD) == dialect.MAV_RESULT_TEMPORARILY_REJECTED
    station.turn(1.0, setpoint())
    assert station.mode(OFFBOARD) == dialect.MAV_RESULT_ACCEPTED
    assert station.autopilot.mode_name == "OFFBOARD"


@pytest.mark.parametrize(
    ("action", "name"), [(0, "POSCTL"), (3, "AUTO.RTL"), (4, "AUTO.LAND"), (5, "AUTO.LOITER")]
)
def test_px4_leaves_offboard_as_its_parameters_say(environment, action, name):
    station = Station(environment, Firmware.PX4, COM_OBL_RC_ACT=float(action), COM_OF_LOSS_T=0.6)
    station.turn(1.5, setpoint())
    station.mode(OFFBOARD)
    station.turn(0.5)
    assert station.autopilot.mode_name == "OFFBOARD"
    station.turn(0.2)
    assert station.autopilot.mode_name == name


def test_arducopter_hovers_in_guided_after_its_timeout(environment):
    station = Station(environment, Firmware.ARDUCOPTER, GUID_TIMEOUT=0.5)
    assert station.mode(4) == dialect.MAV_RESULT_ACCEPTED
    station.turn(2.0, setpoint(vx=1.0))
    assert station.body.state().velocity_enu[1] == pytest.approx(1.0, abs=0.1)
    station.turn(2.0)
    assert station.body.state().speed < 0.1
    assert station.autopilot.mode_name == "GUIDED"


def test_arducopter_ignores_setpoints_outside_guided_and_without_all_three_axes(environment):
    station = Station(environment, Firmware.ARDUCOPTER)
    station.turn(0.5, setpoint(vx=1.0))
    assert station.autopilot.setpoints == 0
    station.mode(4)
    station.turn(0.5, setpoint(vx=1.0, mask=0x05C7 | 0x20))
    assert station.autopilot.setpoints == 0


@pytest.mark.parametrize("frame", [1, 8])
def test_both_frames_fly_where_they_say(environment, frame):
    station = Station(environment, Firmware.ARDUCOPTER)
    station.mode(4)
    yaw = station.body.state().yaw
    station.turn(2.0, setpoint(vx=0.8, frame=frame))
    east, north, _ = station.body.state().velocity_enu
    expected = (0.0, 0.8) if frame == 1 else (0.8 * math.cos(yaw), 0.8 * math.sin(yaw))
    assert (east, north) == pytest.approx(expected, abs=0.08)


@pytest.mark.parametrize("firmware", [Firmware.PX4, Firmware.ARDUCOPTER])
def test_a_disarmed_vehicle_stays_on_the_ground_and_in_the_air_motors_stop_by_force_only(
    environment, firmware
):
    station = Station(environment, firmware, on_ground=True)
    station.turn(1.0, setpoint(vz=-1.0))
    assert station.body.landed
    flying = Station(environment, firmware)
    assert flying.command(dialect.MAV_CMD_COMPONENT_ARM_DISARM, 0.0) != dialect.MAV_RESULT_ACCEPTED
    assert flying.autopilot.armed
    assert flying.command(dialect.MAV_CMD_COMPONENT_ARM_DISARM, 0.0, 21196.0) == dialect.MAV_RESULT_ACCEPTED
    assert not flying.autopilot.armed


def test_arducopter_takes_off_only_armed_and_in_guided(environment):
    station = Station(environment, Firmware.ARDUCOPTER, on_ground=True)
    takeoff = (dialect.MAV_CMD_NAV_TAKEOFF, 0, 0, 0, 0, 0, 0, 2.0)
    assert station.command(*takeoff) == dialect.MAV_RESULT_FAILED
    station.mode(4)
    assert station.command(*takeoff) == dialect.MAV_RESULT_FAILED
    station.command(dialect.MAV_CMD_COMPONENT_ARM_DISARM, 1.0)
    assert station.command(*takeoff) == dialect.MAV_RESULT_ACCEPTED
    station.turn(5.0)
    assert station.body.state().position_enu[2] == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize(("firmware", "wait"), [(Firmware.PX4, 10.0), (Firmware.ARDUCOPTER, 10.0)])
def test_armed_on_the_ground_it_disarms_by_itself(environment, firmware, wait):
    station = Station(environment, firmware, on_ground=True)
    if firmware is Firmware.ARDUCOPTER:
        station.mode(4)
    station.command(dialect.MAV_CMD_COMPONENT_ARM_DISARM, 1.0)
    station.turn(wait - 1.0)
    assert station.autopilot.armed
    station.turn(1.5)
    assert not station.autopilot.armed


@pytest.mark.parametrize("firmware", [Firmware.PX4, Firmware.ARDUCOPTER])
def test_return_goes_home_and_lands(environment, firmware):
    station = Station(environment, firmware)
    start = station.body.state().position_enu
    station.mode({Firmware.PX4: OFFBOARD, Firmware.ARDUCOPTER: 4}[firmware])
    station.turn(3.0, setpoint(vx=1.0))
    station.mode({Firmware.PX4: OFFBOARD, Firmware.ARDUCOPTER: 4}[firmware])
    station.turn(3.0, setpoint(vx=1.0))
    assert math.dist(station.body.state().position_enu, start) > 1.5
    station.mode(station.autopilot.emulation.modes.home)
    station.turn(25.0)
    assert station.body.landed
    assert not station.autopilot.armed
    assert math.dist(station.body.state().position_enu[:2], start[:2]) < 1.0


def test_parameters_are_listed_read_and_set(environment):
    station = Station(environment, Firmware.PX4)
    station.wire.companion.write(station.codec.encode(dialect.MAVLink_param_request_list_message(1, 1)))
    station.turn(0.05)
    told = {m.param_id for m in station.heard if m.get_type() == "PARAM_VALUE"}
    assert told == set(station.autopilot.parameters)
    station.wire.companion.write(
        station.codec.encode(dialect.MAVLink_param_set_message(1, 1, b"COM_OF_LOSS_T", 0.4, 9))
    )
    station.turn(0.05)
    assert station.autopilot.parameters["COM_OF_LOSS_T"].value == pytest.approx(0.4)


def test_messages_for_another_vehicle_are_not_taken(environment):
    station = Station(environment, Firmware.PX4)
    other = setpoint()
    other.target_system = 2
    station.turn(1.0, other)
    assert station.autopilot.setpoints == 0


def test_hitting_something_is_a_crash(environment):
    station = Station(environment, Firmware.ARDUCOPTER)
    station.mode(4)
    station.turn(4.0, setpoint(vz=2.0))
    assert station.body.crashed
    assert not station.autopilot.armed
    assert station.body.outcome == "collision"
