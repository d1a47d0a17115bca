"""What the link sends in a flight, decoded by Wireshark: nobody of this project parses these bytes.

The dissector is the one that MAVLink publishes for Wireshark, generated from the message definitions
(mavlink.io, "Parsing MAVLink in Wireshark").
"""

import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pymavlink
import pytest

from navstack.autopilot.link import Firmware
from navstack.contract import VelocityCommand

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("tshark") is None, reason="tshark is not installed (apt-get install tshark)"
    ),
]
PORT = 14550  # that Wireshark's dissector listens to
IPV4 = 228  # LINKTYPE_IPV4


def capture(path, packets):
    """A pcap file of UDP datagrams: (seconds, bytes) each."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, IPV4))
        for seconds, data in packets:
            udp = struct.pack(">HHHH", 14540, PORT, 8 + len(data), 0) + data
            ip = struct.pack(
                ">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, b"\x7f\0\0\1", b"\x7f\0\0\1"
            )
            size = len(ip) + len(udp)
            file.write(struct.pack("<IIII", int(seconds), int(seconds % 1 * 1e6), size, size) + ip + udp)


def dissected(path, dialect, folder):
    """Every packet's MAVLink fields, as tshark prints them."""
    script = folder / "mavlink.lua"
    definitions = Path(pymavlink.__file__).parent / "dialects" / "v20" / f"{dialect}.xml"
    generate = [sys.executable, "-m", "pymavlink.tools.mavgen", "--lang=WLua", "--wire-protocol=2.0"]
    subprocess.run([*generate, "-o", str(script), str(definitions)], check=True, capture_output=True)
    done = subprocess.run(
        ["tshark", "-X", f"lua_script:{script}", "-r", str(path), "-T", "json", "--no-duplicate-keys"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return [packet["_source"]["layers"] for packet in json.loads(done.stdout)]


def flatten(layer):
    found = {}
    for key, value in layer.items():
        found |= flatten(value) if isinstance(value, dict) else {key: value}
    return found


@pytest.mark.parametrize(
    ("firmware", "dialect"), [(Firmware.PX4, "common"), (Firmware.ARDUCOPTER, "ardupilotmega")]
)
def test_wireshark_reads_what_the_link_means(fly, tmp_path, firmware, dialect):
    flight, sent = fly(firmware), []
    flight.wire.companion.fault = lambda data, now: sent.append((now, data)) or [(now, data)]
    flight.engaged()
    flight.run(1.0, VelocityCommand(0.7, 0.3, 0.1, 0.2))
    flight.link.hold("test")
    flight.run(1.5)
    path = tmp_path / "flight.pcap"
    capture(path, sent)
    packets = [flatten(packet["mavlink_proto"]) for packet in dissected(path, dialect, tmp_path)]
    assert len(packets) == len(sent)
    assert not any("malformed" in key or "error" in key.lower() for fields in packets for key in fields)
    kinds = {key.split(".")[1].rsplit("_", 1)[0] for fields in packets for key in fields}
    assert any(kind.startswith("SET_POSITION_TARGET_LOCAL_NED") for kind in kinds)
    assert any(kind.startswith("HEARTBEAT") for kind in kinds)
    prefix = "mavlink_proto.SET_POSITION_TARGET_LOCAL_NED_"
    setpoints = [f for f in packets if f"{prefix}vx" in f]
    assert len(setpoints) > 100
    last = next(f for f in reversed(setpoints) if float(f[f"{prefix}yaw_rate"]))
    assert float(last[f"{prefix}yaw_rate"]) == pytest.approx(-0.2, abs=1e-5)
    assert float(last[f"{prefix}vz"]) == pytest.approx(-0.1, abs=1e-5)
    if firmware is Firmware.ARDUCOPTER:
        assert float(last[f"{prefix}vx"]) == pytest.approx(0.7, abs=1e-5)
        assert float(last[f"{prefix}vy"]) == pytest.approx(-0.3, abs=1e-5)
    assert {int(f["mavlink_proto.sysid"]) for f in packets} == {1}
    assert {int(f["mavlink_proto.compid"]) for f in packets} == {191}
    frame = {Firmware.PX4: 1, Firmware.ARDUCOPTER: 8}[firmware]
    assert {int(f[f"{prefix}coordinate_frame"]) for f in setpoints} == {frame}
