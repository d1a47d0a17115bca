"""A program for MAVSDK: fly `navstack sitl` from the ground and back, and print what was seen as JSON.

Run as a process of its own by test_mavsdk.py: mavsdk_client.py PORT
"""

import json
import sys
import time

from mavsdk import ComponentType, Configuration, Mavsdk
from mavsdk.plugins.action import Action
from mavsdk.plugins.offboard import Offboard, VelocityBodyYawspeed
from mavsdk.plugins.telemetry import FlightMode, Telemetry

STILL = VelocityBodyYawspeed(0.0, 0.0, 0.0, 0.0)


def until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def mode(telemetry):
    return FlightMode(telemetry.flight_mode()).name


def fly(telemetry, action, offboard):
    """Arm, take off, fly by velocities, be overridden, hold, land."""
    seen = {}
    try:
        offboard.start()
        seen["refused_without_setpoint"] = False
    except Exception as error:
        seen["refused_without_setpoint"] = type(error).__name__
    action.set_takeoff_altitude(2.0)
    seen["takeoff_altitude"] = action.get_takeoff_altitude()
    action.arm()
    action.takeoff()
    seen["airborne"] = until(lambda: telemetry.position().relative_altitude_m > 1.7)
    seen["holds_after_takeoff"] = until(lambda: mode(telemetry) == "HOLD")
    offboard.set_velocity_body(STILL)
    time.sleep(1.5)
    offboard.start()
    seen["offboard"] = until(lambda: mode(telemetry) == "OFFBOARD", 3.0)
    before = telemetry.attitude_euler().yaw_deg
    offboard.set_velocity_body(VelocityBodyYawspeed(0.0, 0.0, 0.0, 40.0))
    time.sleep(2.0)
    seen["turned_degrees"] = (telemetry.attitude_euler().yaw_deg - before + 180.0) % 360.0 - 180.0
    offboard.set_velocity_body(VelocityBodyYawspeed(1.0, 0.5, 0.0, 0.0))
    time.sleep(2.5)
    velocity, yaw = telemetry.velocity_ned(), telemetry.attitude_euler().yaw_deg
    seen["north_east_down_yaw"] = (
        velocity.north_m_s, velocity.east_m_s, velocity.down_m_s, yaw,
    )  # fmt: skip
    offboard.set_velocity_body(STILL)
    print("override me", flush=True)
    seen["overridden"] = until(lambda: not offboard.is_active(), 10.0)
    seen["mode_after_override"] = mode(telemetry)
    action.hold()
    seen["hold"] = until(lambda: mode(telemetry) == "HOLD", 3.0)
    action.land()
    seen["landed_and_disarmed"] = until(lambda: not telemetry.armed() and not telemetry.in_air())
    return seen


def main():
    sdk = Mavsdk(Configuration.create_with_component_type(ComponentType.GROUND_STATION))
    sdk.add_any_connection(f"udpin://127.0.0.1:{sys.argv[1]}")
    system = sdk.first_autopilot(20.0)
    assert system is not None, "no autopilot was heard"
    telemetry, action, offboard = Telemetry(system), Action(system), Offboard(system)
    telemetry.set_rate_velocity_ned(20.0)
    telemetry.set_rate_position(20.0)
    telemetry.set_rate_attitude_euler(20.0)
    assert until(lambda: telemetry.position().relative_altitude_m == telemetry.position().relative_altitude_m)
    print(json.dumps(fly(telemetry, action, offboard)), flush=True)
    sdk.destroy()


if __name__ == "__main__":
    main()
