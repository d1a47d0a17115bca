"""PX4 and ArduCopter over MAVLink."""

from navstack.autopilot.mavlink.connection import MavlinkLink

__all__ = ["MavlinkLink"]
