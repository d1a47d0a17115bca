"""Links to real autopilots: MAVLink (PX4, ArduCopter) and MSP (Betaflight).

An address says what speaks at the other end and how it is reached: `udpin:127.0.0.1:14540` or
`serial:/dev/ttyAMA0:921600` (MAVLink). Importing this imports nothing else: the watchdog is there at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from navstack.autopilot.link import AutopilotLink, LinkConfig
    from navstack.autopilot.transport import Transport
    from navstack.flight import Clock


def _mavlink(transport: Transport, clock: Clock, config: LinkConfig) -> AutopilotLink:
    from navstack.errors import InputError

    try:
        from navstack.autopilot.mavlink import MavlinkLink
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] != "pymavlink":
            raise
        raise InputError(
            "MAVLink needs the package 'pymavlink', which is not installed; pip install 'navstack[mavlink]'"
        ) from error
    return MavlinkLink(transport, clock, config, time.time())


def _betaflight(transport: Transport, clock: Clock, config: LinkConfig) -> AutopilotLink:
    from navstack.errors import InputError

    transport.close()
    raise InputError(
        "Betaflight tells no velocity: it takes a program that has one (optical flow) and makes a"
        " BetaflightLink with it as MotionSource; docs/autopilots.md shows how"
    )


PROTOCOLS: dict[str, Callable[[Transport, Clock, LinkConfig], AutopilotLink]] = {
    "mavlink": _mavlink, "betaflight": _betaflight,
}  # fmt: skip


def connect(address: str, clock: Clock, config: LinkConfig | None = None) -> AutopilotLink:
    """The link to the autopilot at an address: `[mavlink:]udpin:HOST:PORT` and so on.

    Nothing has been heard of the autopilot when it returns: `poll` until `status().identity` is known. Raises
    InputError for an address that is wrong or cannot be opened, or where a package is missing.
    """
    from navstack.autopilot.link import LinkConfig
    from navstack.autopilot.transport import open_transport

    protocol, _, rest = address.partition(":")
    if protocol not in PROTOCOLS:
        protocol, rest = "mavlink", address
    return PROTOCOLS[protocol](open_transport(rest), clock, config or LinkConfig())
