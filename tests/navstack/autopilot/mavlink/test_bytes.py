"""Whatever bytes come, the link neither falls over nor stands still; what it sends, both dialects accept."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st
from pymavlink.dialects.v20 import ardupilotmega, common

from navstack.autopilot.link import Authority, Firmware, Identity, LinkConfig
from navstack.autopilot.mavlink import MavlinkLink, messages
from navstack.autopilot.mavlink.asking import Ask
from navstack.autopilot.mavlink.codec import LOSS_WINDOW, Codec, Sequences
from navstack.autopilot.mavlink.firmware import identify, mode_name, px4_mode
from navstack.autopilot.mavlink.parameters import decode_value, encode_value
from navstack.contract import VelocityCommand


class Fed:
    """A transport that hands over what it is given, and a clock that moves when told."""

    datagrams = False

    def __init__(self):
        self.pieces, self.sent, self.time = [], [], 1.0

    def now(self):
        return self.time

    def read(self):
        pieces, self.pieces = self.pieces, []
        return pieces

    def write(self, data):
        self.sent.append(data)
        return True

    def close(self):
        pass


MESSAGES = sorted(ardupilotmega.mavlink_map)
payload = st.binary(max_size=255)


def framed(number, data, system, component, sequence):
    """A MAVLink 2 packet with a right checksum around any payload: it reaches the decoder's inside."""
    header = bytes([len(data), 0, 0, sequence, system, component]) + number.to_bytes(3, "little")
    crc = ardupilotmega.x25crc(header + data + bytes([ardupilotmega.mavlink_map[number].crc_extra]))
    return b"\xfd" + header + data + crc.crc.to_bytes(2, "little")


packet = st.builds(
    framed, st.sampled_from(MESSAGES), payload, st.sampled_from([1, 255]), st.sampled_from([1, 191]),
    st.integers(0, 255),
)  # fmt: skip
HEARTBEATS = [
    Codec(1, 1).encode(ardupilotmega.MAVLink_heartbeat_message(2, autopilot, 209, mode, 4, 3))
    for autopilot, mode in ((12, px4_mode(6)), (3, 4))
]


@settings(max_examples=150)
@given(st.sampled_from(HEARTBEATS), st.lists(st.one_of(payload, packet), max_size=30), st.floats(0.0, 2.0))
def test_no_bytes_make_it_fall_over_or_engage(heartbeat, pieces, seconds):
    wire = Fed()
    link = MavlinkLink(wire, wire, LinkConfig())
    wire.pieces = [heartbeat, *pieces]
    for _ in range(3):
        wire.time += seconds
        link.poll()
        link.send(VelocityCommand(1.0, 0.0, 0.0, 0.0))
        status = link.status()
        assert not status.authority.flies
        assert status.authority is Authority.NONE
    assert b"".join(wire.sent).count(b"\xfd") < 2000


@settings(max_examples=60)
@given(st.lists(packet, min_size=1, max_size=8), st.data())
def test_whole_messages_are_found_again_after_any_rubbish(packets, data):
    rubbish = data.draw(st.binary(max_size=40).filter(lambda b: b"\xfd" not in b and b"\xfe" not in b))
    codec = Codec(1, 191)
    found = codec.decode(rubbish + HEARTBEATS[0])
    assert [m.get_type() for m in found] == ["HEARTBEAT"]
    codec.decode(b"".join(packets), whole=True)
    assert [m.get_type() for m in codec.decode(HEARTBEATS[0], whole=True)] == ["HEARTBEAT"]


FRAME = {Firmware.PX4: common.MAV_FRAME_LOCAL_NED, Firmware.ARDUCOPTER: common.MAV_FRAME_BODY_NED}
number = st.floats(-3.0, 3.0, width=32)


def sent_messages(firmware, version, command, yaw):
    identity = Identity(firmware, version, system_id=7, component_id=1)
    asks = (Ask.mode(px4_mode(4, 3)), Ask.arm(), Ask.takeoff(2.0))
    return [
        messages.heartbeat(),
        messages.velocity_setpoint(identity, command, yaw, 12.5),
        messages.message_interval(identity, 30, 20_000),
        messages.request_message(identity, 148),
        messages.parameter_request(identity, "COM_OBL_RC_ACT"),
        messages.timesync(0, 12_500_000_000),
        messages.timesync(1, 12_500_000_000),
        *(messages.request(identity, ask, 488.0) for ask in asks),
    ]


@settings(max_examples=60)
@given(
    st.sampled_from([(Firmware.PX4, (1, 15, 4)), (Firmware.ARDUCOPTER, (4, 5, 7)), (Firmware.PX4, None)]),
    number, number, number, number, st.floats(-math.pi, math.pi),
)  # fmt: skip
def test_both_dialects_decode_what_is_sent_to_the_same_fields(who, f, left, u, rate, yaw):
    for message in sent_messages(*who, VelocityCommand(f, left, u, rate), yaw):
        data = Codec(7, 191).encode(message)
        for dialect in (common, ardupilotmega):
            parser = dialect.MAVLink(None)
            (found,) = parser.parse_buffer(data)
            assert found.get_type() == message.get_type()
            assert found.to_dict().keys() == message.to_dict().keys()
            assert (found.get_srcSystem(), found.get_srcComponent()) == (7, 191)
        if message.get_type() == "SET_POSITION_TARGET_LOCAL_NED":
            assert (found.type_mask, found.target_system, found.target_component) == (0x05C7, 7, 1)
            body = who[0] is Firmware.ARDUCOPTER
            assert found.coordinate_frame == (
                common.MAV_FRAME_BODY_NED if body else common.MAV_FRAME_LOCAL_NED
            )


def test_arducopter_of_unknown_version_is_sent_local_ned():
    identity = Identity(Firmware.ARDUCOPTER, None, system_id=1, component_id=1)
    message = messages.velocity_setpoint(identity, VelocityCommand(1.0, 0.0, 0.0, 0.0), math.pi / 2, 0.0)
    assert message.coordinate_frame == common.MAV_FRAME_LOCAL_NED
    assert (round(message.vx, 6), round(message.vy, 6)) == (0.0, 1.0)


@given(st.integers(-(2**31), 2**31 - 1))
def test_an_integer_parameter_of_px4_survives_its_float(value):
    as_float = encode_value(float(value), 6, True)
    if math.isfinite(as_float):  # some integers are the bytes of a NaN, which no wire keeps
        assert decode_value(as_float, 6, True) == value
    assert decode_value(3.0, 6, False) == 3.0


def test_modes_have_the_firmwares_names():
    assert mode_name(Firmware.PX4, 6 << 16) == "OFFBOARD"
    assert mode_name(Firmware.PX4, 4 << 16 | 3 << 24) == "AUTO.LOITER"
    assert mode_name(Firmware.ARDUCOPTER, 17) == "BRAKE"
    assert mode_name(Firmware.ARDUCOPTER, 200) == "UNKNOWN(200)"
    for heartbeat in (
        common.MAVLink_heartbeat_message(6, 8, 0, 0, 4, 3),  # a ground station
        common.MAVLink_heartbeat_message(1, 12, 0, 0, 4, 3),  # a fixed wing
    ):
        assert identify(heartbeat) is None


@given(st.integers(1, 150), st.integers(0, 255))
def test_what_is_missing_is_counted_and_what_comes_late_is_not(missing, start):
    counter, now = Sequences(), 0.0
    for i in range(5):
        counter.take((start + i) % 256, now + 0.01 * i)
    counter.take((start + 5 + missing) % 256, 0.06)
    assert counter.lost == missing
    assert counter.loss(0.06) == missing / (missing + 6)
    counter.take((start + 5 + missing - 1) % 256, 0.07)
    assert counter.lost == missing - 1
    assert not counter.take((start + 5 + missing) % 256, 0.08)
    assert (counter.duplicated, counter.lost) == (1, missing - 1)


@given(st.lists(st.tuples(st.integers(0, 255), st.floats(0.0, 3.0)), min_size=1, max_size=60))
def test_the_loss_is_of_the_last_five_seconds_whatever_came(arrivals):
    counter, now = Sequences(), 0.0
    for number, later in arrivals:
        now += later
        counter.take(number, now)
        loss = counter.loss(now)
        missing = max(0, sum(count for _, count in counter._window))
        assert loss == missing / (len(counter._window) + missing)
        assert all(now - when <= LOSS_WINDOW for when, _ in list(counter._window)[1:])
