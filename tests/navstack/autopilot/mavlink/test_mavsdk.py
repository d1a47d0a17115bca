"""Our link flies an autopilot that nobody here wrote: MAVSDK's server plugins, in a process of their own.

They announce a generic autopilot, speak PX4's modes and answer PX4's commands; the wire in between relabels
their heartbeat as PX4's, and nothing else. They refuse AUTO.LOITER, so hold must end in landing.
"""

import json
import math
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pymavlink.dialects.v20 import ardupilotmega as dialect

from navstack.autopilot.link import Authority, LinkConfig, LinkEventKind
from navstack.autopilot.mavlink import MavlinkLink
from navstack.autopilot.transport import UdpTransport
from navstack.contract import VelocityCommand

pytest.importorskip("mavsdk", reason="MAVSDK is not installed (pip install 'navstack[dev]')")
PROGRAM = Path(__file__).parent / "mavsdk_autopilot.py"
AUTOPILOT_BYTE = 10 + 5  # of a HEARTBEAT in MAVLink 2
COMMAND = VelocityCommand(0.8, 0.4, 0.2, 0.0)


class Relabelled(UdpTransport):
    """A UDP connection on which a generic autopilot's heartbeat says PX4."""

    def read(self):
        return [relabelled(piece) for piece in super().read()]


def relabelled(data):
    is_heartbeat = len(data) == 21 and data[0] == 0xFD and data[7:10] == b"\0\0\0"
    if not is_heartbeat or data[AUTOPILOT_BYTE] != dialect.MAV_AUTOPILOT_GENERIC:
        return data
    changed = bytearray(data[:-2])
    changed[AUTOPILOT_BYTE] = dialect.MAV_AUTOPILOT_PX4
    extra = dialect.MAVLink_heartbeat_message.crc_extra
    return bytes(changed) + dialect.x25crc(changed[1:] + bytes([extra])).crc.to_bytes(2, "little")


class WallClock:
    def now(self):
        return time.monotonic()


@pytest.mark.slow
def test_it_engages_flies_and_lands_mavsdks_autopilot():
    transport = Relabelled("127.0.0.1", 0, listen=True)
    config = LinkConfig(engage="self", hold_seconds=1.0, allow_unsafe=("firmware version",))
    link, events = MavlinkLink(transport, WallClock(), config), []

    def until(condition, seconds=20.0, command=None):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, (events, link.status(), link.preflight())
            events.extend(link.poll())
            if command is not None:
                link.send(command)
            time.sleep(0.01)

    with subprocess.Popen(
        [sys.executable, str(PROGRAM), str(transport.port)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            until(lambda: all(f.ok or f.what == "firmware version" for f in link.preflight() or (NOT_YET,)))
            assert {f.what: f.found for f in link.preflight()}["COM_OBL_RC_ACT"] == "5 (Hold)"
            link.engage()
            until(lambda: link.status().authority is Authority.HELD, command=COMMAND)
            engaged = time.monotonic()
            until(lambda: time.monotonic() - engaged > 2.0, command=COMMAND)
            state = link.state()
            link.hold("test")
            until(lambda: link.status().mode.name == "AUTO.LAND", command=COMMAND)
            out, _ = process.communicate(timeout=20)
        finally:
            process.kill()
            link.close()
    seen = json.loads(next(line for line in out.splitlines() if line.startswith("{")))
    assert LinkEventKind.REFUSED in [event.kind for event in events]
    assert seen["modes"][-1] == "LAND"
    assert "OFFBOARD" in seen["modes"]
    assert (seen["frames"], seen["masks"], seen["senders"]) == ([1], [0x05C7], [[1, 191]])
    east, north, up = state.velocity_enu
    forward = east * math.cos(state.yaw) + north * math.sin(state.yaw)
    left = north * math.cos(state.yaw) - east * math.sin(state.yaw)
    assert (forward, left, up) == pytest.approx((0.8, 0.4, 0.2), abs=0.05)
    assert link.status().silence_timeout == 1.0


class NOT_YET:  # noqa: N801 (stands for a finding)
    ok, what = False, ""
