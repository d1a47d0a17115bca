"""MAVSDK, a client that nobody here wrote, flies `navstack sitl` from the ground and back."""

import json
import math
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from pymavlink.dialects.v20 import ardupilotmega as dialect

from navstack.autopilot.mavlink.codec import Codec

pytest.importorskip("mavsdk", reason="MAVSDK is not installed (pip install 'navstack[dev]')")
CLIENT = Path(__file__).parent / "mavsdk_client.py"


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def override(port):
    """What a pilot's ground station does: select Position mode over a connection of its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as station:
        station.bind(("127.0.0.1", port))
        station.settimeout(10.0)
        _, vehicle = station.recvfrom(4096)
        command = dialect.MAVLink_command_long_message(
            1, 1, dialect.MAV_CMD_DO_SET_MODE, 0, 1, 3, 0, 0, 0, 0, 0
        )
        station.sendto(Codec(255, 190).encode(command), vehicle)


@pytest.mark.slow
def test_mavsdk_takes_off_flies_is_overridden_holds_and_lands():
    companion, station = free_port(), free_port()
    vehicle = [
        sys.executable, "-m", "navstack", "sitl", "--world", "park", "--seed", "3", "--ground",
        "--camera", "", "--seconds", "120",
        "--mavlink", f"udpout:127.0.0.1:{companion}", f"udpout:127.0.0.1:{station}",
    ]  # fmt: skip
    client = [sys.executable, str(CLIENT), str(companion)]
    with (
        subprocess.Popen(vehicle, stdout=subprocess.DEVNULL) as flown,
        subprocess.Popen(client, stdout=subprocess.PIPE, text=True) as flier,
    ):
        try:
            lines = []
            for line in flier.stdout:
                lines.append(line)
                if line.startswith("override me"):
                    override(station)
            assert flier.wait(timeout=60) == 0, lines
        finally:
            flier.kill()
            flown.kill()
    seen = json.loads(next(line for line in lines if line.startswith("{")))
    assert seen["refused_without_setpoint"] == "OffboardError"
    for what in ("airborne", "holds_after_takeoff", "offboard", "overridden", "hold", "landed_and_disarmed"):
        assert seen[what] is True, (what, seen)
    assert seen["takeoff_altitude"] == pytest.approx(2.0)
    assert seen["turned_degrees"] == pytest.approx(80.0, abs=15.0)  # clockwise, as MAVSDK counts
    assert seen["mode_after_override"] == "POSCTL"
    north, east, down, yaw = seen["north_east_down_yaw"]
    yaw = math.radians(yaw)
    forward, right = (
        north * math.cos(yaw) + east * math.sin(yaw),
        east * math.cos(yaw) - north * math.sin(yaw),
    )
    assert (forward, right, down) == pytest.approx((1.0, 0.5, 0.0), abs=0.12)
