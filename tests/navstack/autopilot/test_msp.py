"""MSP: frames survive the wire, rubbish is skipped, sticks say what was meant, and no bytes break it."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from navstack.autopilot import msp
from navstack.autopilot.betaflight import BetaflightLink
from navstack.autopilot.board import Board
from navstack.autopilot.link import Authority
from navstack.autopilot.motion import Motion
from navstack.autopilot.sticks import as_read, channels, followers, probe
from navstack.autopilot.velocity_loop import Demand
from navstack.contract import VelocityCommand
from navstack.errors import InputError


def answer(command, data=b"", good=True):
    """What a board sends."""
    frame = bytearray(msp.encode(command, data))
    frame[2:3] = b">" if good else b"!"
    return bytes(frame)


payload = st.binary(max_size=255)


@given(
    st.integers(0, 255), payload, st.binary(max_size=30).filter(lambda b: b"$" not in b), st.integers(1, 50)
)
def test_an_answer_is_found_in_any_pieces_after_any_rubbish(command, data, rubbish, size):
    parser, stream, found = msp.Parser(), rubbish + answer(command, data), []
    for start in range(0, len(stream), size):
        found += parser.feed(stream[start : start + size])
    assert found == [msp.Reply(command, data, True)]


@given(st.lists(payload, max_size=10))
def test_the_parser_takes_anything_and_finds_the_next_whole_answer(pieces):
    parser = msp.Parser()
    for piece in pieces:
        parser.feed(piece)
    for _ in range(3):
        parser.feed(answer(1, b"") * 60)  # more than the longest frame that rubbish may have begun
    assert msp.Reply(1, b"", True) in parser.feed(answer(1, b"") * 60)
    assert len(parser._buffer) < 300


def test_every_broken_byte_is_noticed():
    whole = answer(108, struct.pack("<hhh", 10, -20, 90))
    for place in range(3, len(whole)):
        broken = bytearray(whole)
        broken[place] ^= 0x10
        assert msp.Reply(108, whole[5:-1], True) not in msp.Parser().feed(bytes(broken))


class Fed:
    """A transport that hands over what it is given, a clock and a source of motion."""

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

    name, complaint = "the truth", ""

    def motion(self):
        return Motion(self.time, (0.0, 0.0, 2.0), (0.0, 0.0, 0.0), 0.0, 2.0)

    def close(self):
        pass


commands = st.sampled_from([2, 3, 32, 34, 75, 94, 101, 102, 105, 108, 111, 119, 130, 200, 250])


@settings(max_examples=150)
@given(st.lists(st.one_of(payload, st.builds(answer, commands, payload, st.booleans())), max_size=30))
def test_no_bytes_make_the_link_fall_over_or_engage(pieces):
    wire = Fed()
    link = BetaflightLink(wire, wire, None, wire)
    for piece in pieces:
        wire.pieces, wire.time = [piece], wire.time + 0.2
        link.poll()
        link.send(VelocityCommand(1.0, 0.0, 0.0, 0.0))
        link.preflight()
        assert link.status().authority is Authority.NONE
    with pytest.raises(InputError):
        link.takeoff(2.0)


@given(st.floats(-1.0, 1.0), st.floats(10.0, 400.0), st.floats(100.0, 1200.0), st.floats(0.0, 1.0))
def test_the_curve_of_the_stick_is_inverted(stick, center, maximum, expo):
    rates = msp.Rates(center, maximum, expo, True)
    assert rates.rate(rates.stick(rates.rate(stick))) == pytest.approx(rates.rate(stick), abs=1e-3)


def test_sticks_have_betaflights_signs():
    rates = (msp.Rates(70.0, 670.0, 0.0, True),) * 3
    roll, pitch, throttle, yaw, *rest = channels(Demand(0.1, 0.2, 0.5, 0.4), rates, 1.05)
    assert pitch > 1500  # nose down, forward
    assert roll > 1500  # right side down
    assert yaw < 1500  # counter-clockwise
    assert throttle == 1400
    assert rest == [1500] * 12
    assert channels(Demand(0.0, 0.0, 0.0, 0.0), rates, 1.05)[:4] == (1500, 1500, 1000, 1500)


@given(st.sets(st.integers(0, 15)))
def test_the_channels_that_follow_are_found_out(mask):
    def board(sent):
        return tuple(value if i in mask else 1500 for i, value in enumerate(as_read(sent)))

    assert followers([(probe(turn), board(probe(turn))) for turn in range(4)]) == mask


def test_a_short_frame_cannot_be_made():
    with pytest.raises(ValueError, match="16"):
        msp.encode_channels((1500,) * 8)


def test_what_a_board_says_is_understood():
    board = Board()
    for command, data in {
        msp.FC_VARIANT: b"BTFL",
        msp.FC_VERSION: bytes((4, 6, 0)),
        msp.BOXIDS: bytes((0, 1, 50)),
        msp.STATUS: struct.pack("<HHHIBHHBBI", 125, 0, 33, 0b101, 0, 10, 0, 0, 29, 1 << 28 | 0b10000100),
        msp.MODE_RANGES: bytes((0, 0, 32, 48, 50, 2, 32, 48, 5, 0, 0, 0)),
        msp.ATTITUDE: struct.pack("<hhh", 100, -50, 90),
        msp.PID_ADVANCED: bytes(17) + bytes((55,)),
        msp.BATTERY_CONFIG: struct.pack("<BBBHBBHHH", 33, 43, 35, 0, 1, 1, 330, 430, 350),
        msp.BATTERY_STATE: struct.pack("<BHBHhBH", 4, 0, 152, 300, 1250, 1, 1520),
    }.items():
        board.take(msp.Reply(command, data, True), 1.0)
    assert str(board.identity) == "Betaflight 4.6.0"
    assert (board.active(msp.BOX_ARM), board.active(msp.BOX_ANGLE)) == (True, False)
    assert board.active(msp.BOX_MSP_OVERRIDE)
    assert [(r.box, r.channel, r.low, r.high) for r in board.ranges] == [
        (0, 4, 1700, 2100),
        (50, 6, 1700, 2100),
    ]
    assert board.arming == ("RXLOSS", "THROTTLE", "ARM_SWITCH")
    assert board.angle_limit == pytest.approx(0.96, abs=0.01)
    assert board.battery.remaining == pytest.approx(0.5)  # 3.8 V a cell between 3.3 and 4.3
    assert (board.battery.voltage, board.battery.current, board.battery.warning) == (15.2, 12.5, "low")
    assert board.lean == pytest.approx((0.1745, -0.0873), abs=1e-3)
