"""Bytes to and from an autopilot: UDP, TCP and serial, none of which ever waits.

Addresses are written as MAVLink programs write them:

    udpin:HOST:PORT    listen; answer whom the first datagram came from (PX4's offboard port)
    udpout:HOST:PORT   send there, and take answers from there
    tcp:HOST:PORT      connect as a client
    serial:DEVICE:BAUD a serial port; needs pyserial
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import Protocol

from navstack.errors import InputError, nearest

READ_SIZE = 65536  # bytes
MOST_READS = 200  # datagrams taken at one look, so that a flood cannot keep the loop from flying
CONNECT_SECONDS = 3.0  # s for a TCP connection to come about, before flight


class Transport(Protocol):
    """A connection that hands over whatever has arrived and never waits."""

    datagrams: bool  # whether a piece holds whole messages only

    def read(self) -> list[bytes]:
        """The pieces that have arrived, in order. Raises OSError when broken."""
        ...

    def write(self, data: bytes) -> bool:
        """Send at once; False where there is nobody yet or no room. Raises OSError when broken."""
        ...

    def close(self) -> None:
        """Close it; harmless when closed."""
        ...


class UdpTransport:
    """One UDP socket with one peer: given, or the first that speaks. Others are not listened to."""

    datagrams = True

    def __init__(self, host: str, port: int, listen: bool) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._peer: tuple[str, int] | None = None
        if listen:
            self._socket.bind((host, port))
        else:
            self._peer = (socket.gethostbyname(host), port)
            self._socket.bind(("", 0))
        self.strangers = 0  # datagrams from others, thrown away

    @property
    def port(self) -> int:
        """The port of this end."""
        return int(self._socket.getsockname()[1])

    def read(self) -> list[bytes]:
        """Datagrams from the peer."""
        pieces: list[bytes] = []
        for _ in range(MOST_READS):
            try:
                data, sender = self._socket.recvfrom(READ_SIZE)
            except BlockingIOError:
                break
            except ConnectionRefusedError:  # nobody listened to something we sent: it may come later
                continue
            if self._peer is None:
                self._peer = sender
            if sender == self._peer:
                pieces.append(data)
            else:
                self.strangers += 1
        return pieces

    def write(self, data: bytes) -> bool:
        """One datagram to the peer."""
        if self._peer is None:
            return False
        try:
            self._socket.sendto(data, self._peer)
        except (BlockingIOError, ConnectionRefusedError):
            return False
        return True

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class TcpTransport:
    """A TCP connection as a client, without delaying small messages."""

    datagrams = False

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), timeout=CONNECT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """The connection's file descriptor, for a process that shares it."""
        return self._socket.fileno()

    def read(self) -> list[bytes]:
        """What has arrived. Raises OSError where the other side closed."""
        try:
            data = self._socket.recv(READ_SIZE)
        except BlockingIOError:
            return []
        if not data:
            raise ConnectionResetError("the autopilot's side closed the TCP connection")
        return [data]

    def write(self, data: bytes) -> bool:
        """Hand it to the kernel; a message that fits only in part breaks the connection, as half is worse."""
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            return False
        if sent != len(data):
            raise ConnectionAbortedError("the TCP connection does not take what is sent")
        return True

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class SerialTransport:
    """A serial port through pyserial, without timeouts."""

    datagrams = False

    def __init__(self, device: str, baud: int) -> None:
        try:
            import serial
        except ModuleNotFoundError as error:
            raise InputError(
                f"'serial:{device}:{baud}' needs the package 'serial'; pip install 'navstack[mavlink]'"
            ) from error
        self._port = serial.Serial(device, baud, timeout=0, write_timeout=0)

    def fileno(self) -> int:
        """The port's file descriptor, for a process that shares it."""
        return int(self._port.fileno())

    def read(self) -> list[bytes]:
        """What has arrived."""
        data = bytes(self._port.read(READ_SIZE))
        return [data] if data else []

    def write(self, data: bytes) -> bool:
        """Hand it to the driver."""
        return bool(self._port.write(data) == len(data))

    def close(self) -> None:
        """Close the port."""
        with contextlib.suppress(OSError):
            self._port.close()


def _udpin(rest: str) -> Transport:
    return UdpTransport(*_host_port(rest, "udpin:127.0.0.1:14540"), listen=True)


def _udpout(rest: str) -> Transport:
    return UdpTransport(*_host_port(rest, "udpout:127.0.0.1:14540"), listen=False)


def _tcp(rest: str) -> Transport:
    return TcpTransport(*_host_port(rest, "tcp:127.0.0.1:5760"))


def _serial(rest: str) -> Transport:
    device, _, baud = rest.rpartition(":")
    if not device or not baud.isdigit():
        raise InputError(f"'serial:{rest}' is not serial:DEVICE:BAUD, as in serial:/dev/ttyAMA0:921600")
    return SerialTransport(device, int(baud))


TRANSPORTS: dict[str, Callable[[str], Transport]] = {
    "udpin": _udpin, "udpout": _udpout, "tcp": _tcp, "serial": _serial,
}  # fmt: skip


def open_transport(address: str) -> Transport:
    """The transport that an address names. Raises InputError for a wrong one or one that cannot be opened."""
    scheme, _, rest = address.partition(":")
    if scheme not in TRANSPORTS:
        hint = nearest(scheme, TRANSPORTS)
        raise InputError(f"address '{address}' begins with none of {', '.join(TRANSPORTS)}{hint}")
    try:
        return TRANSPORTS[scheme](rest)
    except OSError as error:
        raise InputError(f"address '{address}' cannot be opened: {error}") from error


def _host_port(rest: str, example: str) -> tuple[str, int]:
    host, _, port = rest.rpartition(":")
    if not host or not port.isdigit() or not 0 <= int(port) < 65536:
        raise InputError(f"address '…:{rest}' is not host and port, as in {example}")
    return host, int(port)
