"""Between the contract's frames (ENU, FLU) and the aerospace frames that autopilots speak (NED, FRD).

North, east, down and forward, right, down exist here and in the emulated autopilot only. Yaw of MAVLink's
ATTITUDE is clockwise from north; the contract's is counter-clockwise from east.
"""

from __future__ import annotations

import math

from navstack.contract import Quaternion, Vector3, VelocityCommand


def ned_to_enu(vector: Vector3) -> Vector3:
    """North, east, down as east, north, up. Its own inverse."""
    north, east, down = vector
    return (east, north, -down)


enu_to_ned = ned_to_enu


def frd_to_flu(vector: Vector3) -> Vector3:
    """Forward, right, down as forward, left, up. Its own inverse."""
    forward, right, down = vector
    return (forward, -right, -down)


flu_to_frd = frd_to_flu


def yaw_ned_to_enu(yaw: float) -> float:
    """Clockwise from north as counter-clockwise from east, in (-pi, pi]. Its own inverse."""
    return math.remainder(math.pi / 2.0 - yaw, math.tau)


yaw_enu_to_ned = yaw_ned_to_enu


def orientation_from_euler(roll: float, pitch: float, yaw: float) -> Quaternion:
    """The unit quaternion x, y, z, w that turns FLU into ENU, from ATTITUDE's roll, pitch and yaw.

    ATTITUDE holds the angles of the z-y-x sequence that turns FRD into NED. Seen with left and up for right
    and down, pitch changes its sign; seen from east and north, yaw is as in `yaw_ned_to_enu`.
    """
    return _quaternion(roll, -pitch, yaw_ned_to_enu(yaw))


def euler_from_orientation(orientation: Quaternion) -> Vector3:
    """ATTITUDE's roll, pitch and yaw of a quaternion that turns FLU into ENU: the inverse of the above."""
    x, y, z, w = orientation
    roll = math.atan2(2.0 * (w * x + y * z), 1.0 - 2.0 * (x * x + y * y))
    pitch = math.asin(max(-1.0, min(1.0, 2.0 * (w * y - z * x))))
    yaw = math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
    return (roll, -pitch, yaw_enu_to_ned(yaw))


def _quaternion(roll: float, pitch: float, yaw: float) -> Quaternion:
    cr, sr = math.cos(roll / 2.0), math.sin(roll / 2.0)
    cp, sp = math.cos(pitch / 2.0), math.sin(pitch / 2.0)
    cy, sy = math.cos(yaw / 2.0), math.sin(yaw / 2.0)
    return (
        sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy,
        cr * cp * sy - sr * sp * cy,
        cr * cp * cy + sr * sp * sy,
    )


def command_to_local_ned(command: VelocityCommand, yaw_ned: float) -> tuple[float, float, float, float]:
    """A command of the level body frame as north, east, down (m/s) and yaw rate (rad/s, clockwise)."""
    cos_yaw, sin_yaw, right = math.cos(yaw_ned), math.sin(yaw_ned), -command.left
    return (
        command.forward * cos_yaw - right * sin_yaw,
        command.forward * sin_yaw + right * cos_yaw,
        -command.up,
        -command.yaw_rate,
    )


def command_to_body_ned(command: VelocityCommand) -> tuple[float, float, float, float]:
    """A command of the level body frame as forward, right, down (m/s) and yaw rate (rad/s, clockwise)."""
    return (command.forward, -command.left, -command.up, -command.yaw_rate)


def command_from_local_ned(
    north: float, east: float, down: float, yaw_rate: float, yaw_ned: float
) -> VelocityCommand:
    """The command of the level body frame that a LOCAL_NED velocity is at this heading."""
    cos_yaw, sin_yaw = math.cos(yaw_ned), math.sin(yaw_ned)
    return VelocityCommand(
        north * cos_yaw + east * sin_yaw, north * sin_yaw - east * cos_yaw, -down, -yaw_rate
    )
