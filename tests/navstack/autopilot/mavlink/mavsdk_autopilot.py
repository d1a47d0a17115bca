"""A program for MAVSDK: an autopilot by its server plugins, for our link to fly.

Run as a process of its own by test_mavsdk.py: mavsdk_autopilot.py PORT. What flies is a point whose velocity
follows the setpoint within a quarter of a second. Ends when its standard input does, and prints what it saw.
"""

import ctypes
import json
import math
import sys
import threading
import time

from mavsdk import ComponentType, Configuration, Mavsdk
from mavsdk.plugins.action_server import ActionServer, AllowableFlightModes, FlightMode
from mavsdk.plugins.mavlink_direct_server import MavlinkDirectServer
from mavsdk.plugins.param_server import ParamServer
from mavsdk.plugins.telemetry_server import (
    AngularVelocityBody,
    Battery,
    EulerAngle,
    LandedState,
    PositionNed,
    PositionVelocityNed,
    TelemetryServer,
    VelocityNed,
    VtolState,
)

PERIOD, LAG = 0.02, 0.25  # s
QUADROTOR = 2  # MAV_TYPE
PARAMETERS = {"COM_OBL_RC_ACT": 5, "COM_RC_OVERRIDE": 3, "GF_ACTION": 2}
FLOATS = {"COM_OF_LOSS_T": 1.0, "GF_MAX_HOR_DIST": 100.0}


class Point:
    """Position, velocity and yaw, in north, east, down."""

    def __init__(self):
        self.position, self.velocity, self.yaw = [0.0, 0.0, -2.0], [0.0, 0.0, 0.0], 0.7
        self.wanted, self.rate = [0.0, 0.0, 0.0], 0.0

    def move(self, seconds):
        share = 1.0 - math.exp(-seconds / LAG)
        for axis in range(3):
            self.velocity[axis] += share * (self.wanted[axis] - self.velocity[axis])
            self.position[axis] += seconds * self.velocity[axis]
        self.yaw = math.remainder(self.yaw + seconds * self.rate, math.tau)


def main():
    configuration = Configuration.create_with_component_type(ComponentType.AUTOPILOT)
    set_type = configuration._lib.mavsdk_configuration_set_mav_type  # of the C library, not yet in Python
    set_type.argtypes, set_type.restype = (ctypes.c_void_p, ctypes.c_uint8), None
    set_type(configuration._handle, QUADROTOR)
    sdk = Mavsdk(configuration)
    sdk.add_any_connection(f"udpout://127.0.0.1:{sys.argv[1]}")
    component = sdk.server_component()
    parameters, telemetry = ParamServer(component), TelemetryServer(component)
    action, direct = ActionServer(component), MavlinkDirectServer(component)
    for name, value in PARAMETERS.items():
        parameters.provide_param_int(name, value)
    for name, value in FLOATS.items():
        parameters.provide_param_float(name, value)
    point = Point()
    seen = {"modes": [], "frames": [], "masks": [], "setpoints": 0, "senders": []}

    def changed(result, mode):
        seen["modes"].append(FlightMode(mode).name)

    def take(message):
        fields = json.loads(message.fields_json)
        point.wanted, point.rate = [fields["vx"], fields["vy"], fields["vz"]], fields["yaw_rate"]
        seen["setpoints"] += 1
        for name, value in (("frames", fields["coordinate_frame"]), ("masks", fields["type_mask"])):
            if value not in seen[name]:
                seen[name].append(value)
        if (sender := [message.system_id, message.component_id]) not in seen["senders"]:
            seen["senders"].append(sender)

    action.set_armable(True, True)
    action.set_allowable_flight_modes(AllowableFlightModes(True, True, True, True, True, True, True))
    action.subscribe_flight_mode_change(lambda result, mode, _: changed(result, mode))
    direct.subscribe_message("SET_POSITION_TARGET_LOCAL_NED", lambda message, _: take(message))
    action.set_armed_state(True)
    action.set_flight_mode(FlightMode.HOLD)
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    while not ended.is_set():
        point.move(PERIOD)
        telemetry.publish_attitude(
            EulerAngle(0.0, 0.0, math.degrees(point.yaw), 0), AngularVelocityBody(0.0, 0.0, point.rate)
        )
        telemetry.publish_position_velocity_ned(
            PositionVelocityNed(PositionNed(*point.position), VelocityNed(*point.velocity))
        )
        telemetry.publish_extended_sys_state(VtolState.UNDEFINED, LandedState.IN_AIR)
        telemetry.publish_sys_status(Battery(15.2, 0.8), True, True, True, True, True)
        time.sleep(PERIOD)
    print(json.dumps({**seen, "velocity": point.velocity, "yaw": point.yaw}), flush=True)
    sdk.destroy()


if __name__ == "__main__":
    main()
