"""Links to real autopilots: MAVLink (PX4, ArduCopter) and MSP (Betaflight).

An address says what speaks at the other end and how it is reached: `mavlink:udpin:127.0.0.1:14540`, or
`udpin:127.0.0.1:14540` for short, and `msp:serial:/dev/ttyAMA0:115200`. Importing this imports nothing else:
the watchdog is there at once.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from navstack.autopilot.link import AutopilotLink, LinkConfig
    from navstack.autopilot.motion import MotionSource
    from navstack.flight import Clock


@contextlib.contextmanager
def _needing_pymavlink() -> Iterator[None]:
    from navstack.errors import InputError

    try:
        yield
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] != "pymavlink":
            raise
        raise InputError(
            "MAVLink needs the package 'pymavlink', which is not installed; pip install 'navstack[mavlink]'"
        ) from error


def _mavlink(address: str, clock: Clock, config: LinkConfig) -> AutopilotLink:
    from navstack.autopilot.transport import open_transport

    with _needing_pymavlink():
        from navstack.autopilot.mavlink import MavlinkLink
    return MavlinkLink(open_transport(address), clock, config, time.time())


def _msp(address: str, clock: Clock, config: LinkConfig) -> AutopilotLink:
    from navstack.autopilot.betaflight import BetaflightLink
    from navstack.autopilot.transport import SerialTransport, TcpTransport, open_transport
    from navstack.autopilot.watchdog import Watchdog
    from navstack.errors import InputError

    if address.partition(":")[0] not in ("serial", "tcp"):
        raise InputError(f"'msp:{address}' is neither msp:serial:DEVICE:BAUD nor msp:tcp:HOST:PORT")
    source = _motion(config, clock)
    try:
        transport = open_transport(address)
        assert isinstance(transport, SerialTransport | TcpTransport)
    except InputError:
        source.close()
        raise
    return BetaflightLink(transport, clock, config, source, Watchdog(transport.fileno()))


def _motion(config: LinkConfig, clock: Clock) -> MotionSource:
    """Where Betaflight's velocity comes from."""
    from navstack.autopilot.motion import NoMotion
    from navstack.autopilot.transport import open_transport
    from navstack.errors import InputError

    address = config.velocity
    if not address:
        return NoMotion()
    if address.startswith("udpout:"):
        raise InputError(f"'{address}': the estimator sends to us; listen with udpin:HOST:PORT")
    with _needing_pymavlink():
        from navstack.autopilot.mavlink.odometry import Odometry
    try:
        transport = open_transport(address)
    except InputError as error:
        raise InputError(f"--velocity: {error}") from error
    return Odometry(transport, clock, address, config.signing_key, time.time())


PROTOCOLS: dict[str, Callable[[str, Clock, LinkConfig], AutopilotLink]] = {
    "mavlink": _mavlink, "msp": _msp,
}  # fmt: skip


def split_address(address: str) -> tuple[str, str]:
    """The protocol of an address, and how the autopilot is reached."""
    protocol, _, rest = address.partition(":")
    return (protocol, rest) if protocol in PROTOCOLS else ("mavlink", address)


def connect(address: str, clock: Clock, config: LinkConfig | None = None) -> AutopilotLink:
    """The link to the autopilot at an address: `[mavlink:]udpin:HOST:PORT`, `msp:tcp:HOST:PORT` and so on.

    Nothing has been heard of the autopilot when it returns: `poll` until `status().identity` is known. Raises
    InputError for an address that is wrong or cannot be opened, or where a package is missing.
    """
    from navstack.autopilot.link import LinkConfig

    protocol, rest = split_address(address)
    return PROTOCOLS[protocol](rest, clock, config or LinkConfig())
