"""UDP, TCP and serial: nothing waits, strangers are not heard, what breaks says so."""

import os
import socket
import time
import tty

import pytest

from navstack.autopilot import connect
from navstack.autopilot.link import LinkConfig
from navstack.autopilot.transport import TcpTransport, UdpTransport, open_transport
from navstack.errors import InputError


class Clock:
    def now(self):
        return time.monotonic()


def soon(look):
    """What a look finds, within a second."""
    deadline = time.monotonic() + 1.0
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.002)
    return found


def test_udp_answers_whom_the_first_datagram_came_from_and_nobody_else():
    listener = UdpTransport("127.0.0.1", 0, listen=True)
    assert listener.read() == []
    assert listener.write(b"nobody yet") is False
    vehicle = UdpTransport("127.0.0.1", listener.port, listen=False)
    stranger = UdpTransport("127.0.0.1", listener.port, listen=False)
    vehicle.write(b"heartbeat")
    assert soon(listener.read) == [b"heartbeat"]
    stranger.write(b"me too")
    vehicle.write(b"again")
    assert soon(listener.read) == [b"again"]
    assert listener.strangers == 1
    assert listener.write(b"setpoint")
    assert soon(vehicle.read) == [b"setpoint"]
    assert stranger.read() == []
    for end in (listener, vehicle, stranger):
        end.close()


def test_udp_to_a_port_where_nobody_listens_is_no_error():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    out = UdpTransport("127.0.0.1", port, listen=False)
    for _ in range(3):
        out.write(b"is anybody there")
        time.sleep(0.01)
        assert out.read() == []
    out.close()


def test_a_flood_does_not_keep_the_reader():
    listener = UdpTransport("127.0.0.1", 0, listen=True)
    sender = UdpTransport("127.0.0.1", listener.port, listen=False)
    for _ in range(250):
        sender.write(b"x")
    time.sleep(0.05)
    assert len(listener.read()) <= 200
    listener.close()
    sender.close()


def test_tcp_hands_over_what_comes_and_says_when_the_other_side_is_gone():
    with socket.create_server(("127.0.0.1", 0)) as server:
        transport = open_transport(f"tcp:127.0.0.1:{server.getsockname()[1]}")
        other, _ = server.accept()
        assert isinstance(transport, TcpTransport)
        assert transport.read() == []
        other.sendall(b"abc")
        assert soon(transport.read) == [b"abc"]
        assert transport.write(b"def")
        assert other.recv(10) == b"def"
        other.close()
        with pytest.raises(OSError, match="closed"):
            soon(transport.read)
    transport.close()


def test_a_serial_port_is_read_and_written():
    master, slave = os.openpty()
    tty.setraw(master)
    tty.setraw(slave)
    transport = open_transport(f"serial:{os.ttyname(slave)}:57600")
    assert transport.read() == []
    os.write(master, b"abc\x00\x11\x13")
    assert soon(transport.read) == [b"abc\x00\x11\x13"]
    assert transport.write(b"\xfd\x00")
    assert os.read(master, 10) == b"\xfd\x00"
    transport.close()
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("udp:127.0.0.1:14540", "udpin"),
        ("udpin:14540", "host and port"),
        ("udpout:127.0.0.1:port", "host and port"),
        ("udpin:127.0.0.1:99999", "host and port"),
        ("serial:/dev/ttyACM0", "serial:DEVICE:BAUD"),
        ("serial:/dev/no-such-port:57600", "cannot be opened"),
        ("tcp:127.0.0.1:1", "cannot be opened"),
        ("msp:udpin:127.0.0.1:0", "neither msp:serial:DEVICE:BAUD nor msp:tcp:HOST:PORT"),
        ("msp:tcp:127.0.0.1:1", "cannot be opened"),
    ],
)
def test_a_wrong_address_is_one_sentence(address, sentence):
    with pytest.raises(InputError, match=sentence) as raised:
        connect(address, Clock(), LinkConfig())
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("velocity", "sentence"),
    [
        ("udp:127.0.0.1:14600", "--velocity: address 'udp:127.0.0.1:14600' begins with none of"),
        ("udpout:127.0.0.1:14600", "the estimator sends to us"),
        ("tcp:127.0.0.1:1", "--velocity: address 'tcp:127.0.0.1:1' cannot be opened"),
    ],
)
def test_a_wrong_address_of_an_estimator_is_one_sentence(velocity, sentence):
    with pytest.raises(InputError, match=sentence):
        connect("msp:tcp:127.0.0.1:1", Clock(), LinkConfig(velocity=velocity))


def test_a_link_over_a_serial_port_and_a_vehicle_that_is_silent():
    master, slave = os.openpty()
    tty.setraw(master)
    link = connect(f"mavlink:serial:{os.ttyname(slave)}:57600", Clock())
    assert link.poll() == ()
    assert link.status().identity is None
    assert link.preflight() is None
    with pytest.raises(InputError, match="not told"):
        link.state()
    with pytest.raises(InputError, match="still being read"):
        link.engage()
    link.hold("nobody to hold")
    assert os.read(master, 100)[0] == 0xFD  # our heartbeat
    link.close()
    os.close(master)
    os.close(slave)
